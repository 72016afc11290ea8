/* fake_iommu.c: the unit of fake_iommu.h: a byte a frame for what is mapped, and one for what is still within reach.
 *
 * Called by iommu_device.c, iommu_own.c and iommu_assign.c in host tests and fuzzers. What the real code promises, this one keeps: all
 * or nothing, -XEN_EEXIST, -XEN_ENOENT, -XEN_EBUSY.
 */
#include "tests/host/fake_iommu.h"

#include <stdlib.h>
#include <string.h>

#include <amphi/host_iommu.h>
#include <amphi/pci_cap.h>

#include "hv_fake.h"
#include "hypervisor/pci_config.h"
#include "hypervisor/pirq.h"

#define FRAMES    (FAKE_FIRST_FRAME + FAKE_FRAMES + 64)
#define FUNCTIONS 16u
#define MEMBERS   16u
#define LAST_BUS  15u

struct iommu {
	struct iommu_traits traits;
};

struct iommu_space {
	unsigned members, tables, limit;
	uint8_t now[FRAMES], seen[FRAMES], table[FRAMES]; /* a table has one page */
};

static struct iommu unit = {{.address_bits = 48, .spaces = 100}};
static struct function {
	uint16_t bdf, class_code, buses;
	bool bridge, express;
	uint8_t type;
} functions[FUNCTIONS];
static unsigned n_functions;
static struct member {
	struct iommu_space *space; /* NULL: passed */
	uint16_t bdf;
	bool there;
} members[MEMBERS];
struct fake_iommu fake_iommu = {.maps_left = -1};

void fake_iommu_reset(void)
{
	if (fake_iommu.spaces)
		abort();
	memset(members, 0, sizeof(members));
	n_functions = 0;
	fake_iommu = (struct fake_iommu){.maps_left = -1};
}

/* ---- units and functions ------------------------------------------------------------------- */

struct iommu *iommu_of(uint16_t bdf)
{
	return fake_iommu.off || bdf >> 8 >= LAST_BUS ? NULL : &unit;
}

const struct iommu_reserved *iommu_reserved(unsigned n)
{
	return n < FAKE_RESERVED && fake_iommu.reserved[n].end ? &fake_iommu.reserved[n] : NULL;
}

const struct iommu_alias *iommu_alias(unsigned n)
{
	return n < fake_iommu.n_aliases ? &fake_iommu.aliases[n] : NULL;
}

bool iommu_is_on(void)
{
	return !fake_iommu.off;
}

bool iommu_is_off(void)
{
	return fake_iommu.off;
}

static struct member *find(uint16_t bdf)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (members[i].there && members[i].bdf == bdf)
			return &members[i];
	return NULL;
}

static int join(struct iommu_space *space, uint16_t bdf)
{
	unsigned i = 0;

	if (find(bdf))
		return -XEN_EBUSY;
	while (i < MEMBERS && members[i].there)
		i++;
	if (i == MEMBERS)
		return -XEN_ENOMEM;
	members[i] = (struct member){space, bdf, true};
	return 0;
}

static int leave(const struct iommu_space *space, uint16_t bdf)
{
	struct member *m = find(bdf);

	if (!m || m->space != space)
		return -XEN_ENOENT;
	if (fake_iommu.broken)
		return -XEN_EIO;
	m->there = false;
	return 0;
}

int iommu_attach(struct iommu_space *space, uint16_t bdf)
{
	int error = iommu_of(bdf) ? join(space, bdf) : -XEN_EXDEV;

	space->members += !error;
	return error;
}

int iommu_detach(struct iommu_space *space, uint16_t bdf)
{
	int error = leave(space, bdf);

	space->members -= !error;
	return error;
}

int iommu_pass(uint16_t bdf, bool open)
{
	if (!iommu_of(bdf))
		return -XEN_ENXIO;
	if (find(bdf) && find(bdf)->space)
		return -XEN_EBUSY;
	if (!find(bdf) == !open)
		return 0;
	return open ? join(NULL, bdf) : leave(NULL, bdf);
}

/* ---- spaces -------------------------------------------------------------------------------- */

int iommu_space_new(struct iommu *u, unsigned max_tables, struct iommu_space **out_space)
{
	*out_space = calloc(1, sizeof(**out_space));
	if (!*out_space)
		return -XEN_ENOMEM;
	(*out_space)->limit = max_tables;
	fake_iommu.spaces++;
	return 0;
}

unsigned iommu_space_tables(const struct iommu_space *space)
{
	return space->tables;
}

void iommu_space_limit(struct iommu_space *space, unsigned max_tables)
{
	space->limit = max_tables;
}

int iommu_space_prune(struct iommu_space *space)
{
	unsigned before = space->tables;

	if (fake_iommu.broken)
		return -XEN_EIO;
	fake_iommu.prunes++;
	space->tables = 0;
	for (unsigned n = 0; n < FRAMES; n++) {
		space->table[n] = space->now[n] != 0;
		space->tables += space->table[n];
	}
	memcpy(space->seen, space->now, sizeof(space->seen));
	return (int)(before - space->tables);
}

int iommu_space_free(struct iommu_space *space)
{
	if (space->members)
		return -XEN_EBUSY;
	if (fake_iommu.broken)
		return -XEN_EIO;
	free(space);
	fake_iommu.spaces--;
	return 0;
}

int iommu_map(struct iommu_space *space, uint64_t dma, maddr_t to, uint64_t len, unsigned rights)
{
	uint64_t n = dma >> PAGE_SHIFT;

	if (len != PAGE_SIZE || to.v != dma || n >= FRAMES)
		return -XEN_EINVAL;
	if (space->now[n])
		return -XEN_EEXIST;
	if (fake_iommu.maps_left == 0)
		return -XEN_ENOMEM;
	if (!space->table[n] && space->tables >= space->limit)
		return -XEN_ENOMEM;
	space->tables += !space->table[n];
	space->table[n] = 1;
	fake_iommu.maps_left -= fake_iommu.maps_left > 0;
	space->now[n] = space->seen[n] = (uint8_t)rights;
	return 0;
}

int iommu_unmap(struct iommu_space *space, uint64_t dma, uint64_t len)
{
	uint64_t n = dma >> PAGE_SHIFT;

	if (len != PAGE_SIZE || n >= FRAMES)
		return -XEN_EINVAL;
	if (!space->now[n])
		return -XEN_ENOENT;
	space->now[n] = 0;
	return 0;
}

int iommu_lookup(const struct iommu_space *space, uint64_t dma, maddr_t *out_to,
		 unsigned *out_rights)
{
	uint64_t n = dma >> PAGE_SHIFT;

	if (n >= FRAMES || !space->now[n])
		return -XEN_ENOENT;
	*out_to = (maddr_t){dma};
	*out_rights = space->now[n];
	return 0;
}

int iommu_flush_entry(struct iommu_space *space, uint64_t dma)
{
	if (fake_iommu.broken)
		return -XEN_EIO;
	fake_iommu.flushes++;
	space->seen[dma >> PAGE_SHIFT] = space->now[dma >> PAGE_SHIFT];
	return 0;
}

/* ---- configuration space ------------------------------------------------------------------- */

void fake_iommu_function(uint16_t bdf, uint16_t class_code, bool bridge, uint16_t buses,
			 bool express)
{
	functions[n_functions++] =
	    (struct function){bdf, class_code, buses, bridge, express, bridge ? 4 : 0};
}

void fake_iommu_type(uint16_t bdf, uint8_t type)
{
	for (unsigned i = 0; i < n_functions; i++)
		if (functions[i].bdf == bdf)
			functions[i].type = type;
}

#define EXPRESS_AT 0x40u

static uint32_t config_word(const struct function *f, unsigned offset)
{
	switch (offset) {
	case 0:
		return 0x1234;
	case PCI_CONFIG_COMMAND:
		return f->express ? 0x10u << 16 : 0;
	case PCI_CONFIG_CLASS:
		return (uint32_t)f->class_code << 16;
	case PCI_CONFIG_HEADER & ~3u:
		return (uint32_t)f->bridge << 16;
	case PCI_CONFIG_BUSES:
		return (uint32_t)f->buses << 8;
	case 0x34:
		return EXPRESS_AT;
	case EXPRESS_AT:
		return 0x10 | (uint32_t)f->type << 20;
	default:
		return 0;
	}
}

uint32_t pci_config_read(uint16_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = ~0u;

	for (unsigned i = 0; i < n_functions; i++)
		if (functions[i].bdf == bdf)
			value = config_word(&functions[i], offset & ~3u);
	value >>= offset % 4 * 8;
	return width == 4 ? value : value & ((1u << width * 8) - 1);
}

unsigned pci_config_cap(uint16_t bdf, unsigned id)
{
	return pci_cap_find(pci_config_read, bdf, id, 0);
}

uint32_t host_iommu_config(uint16_t bdf, unsigned offset)
{
	return pci_config_read(bdf, offset, 4);
}

bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	uint32_t buses = pci_config_read(bdf, PCI_CONFIG_BUSES, 4);

	*out_first_bus = (uint8_t)(buses >> 8);
	*out_last_bus = (uint8_t)(buses >> 16);
	return (pci_config_read(bdf, PCI_CONFIG_HEADER, 1) & 0x7f) == PCI_HEADER_BRIDGE;
}

void pci_config_write(uint16_t bdf, unsigned offset, uint32_t value) {}

void io_lose_function(struct domain *d, uint16_t bdf)
{
	fake_iommu.lost_msis++;
}

/* ---- what a device reaches ------------------------------------------------------------------ */

unsigned fake_iommu_reach(uint16_t bdf, mfn_t mfn)
{
	const struct member *m = find(bdf);

	if (!iommu_of(bdf) || (m && !m->space))
		return IOMMU_READ | IOMMU_WRITE;
	return m && mfn.v < FRAMES ? m->space->seen[mfn.v] : 0;
}

bool fake_iommu_in_step(const struct domain *d, uint16_t bdf, uint64_t *out_frame)
{
	for (uint64_t n = 0; n < FAKE_FIRST_FRAME + FAKE_FRAMES; n++) {
		const struct page_info *page = mfn_to_page((mfn_t){n});
		bool should = mfn_valid((mfn_t){n}) && page->owner == d &&
			      page->type == PT_WRITABLE && !(page->flags & PG_SHARED);

		*out_frame = n;
		if (fake_iommu_reach(bdf, (mfn_t){n}) != (should ? IOMMU_READ | IOMMU_WRITE : 0))
			return false;
	}
	return true;
}
