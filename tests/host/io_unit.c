/* io_unit.c: units that remember what they were asked until they are flushed, and whose function is which. See io_unit.h. */
#include "tests/host/io_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/iospace_private.h"
#include "iommu/iommu_ops.h"
#include "tests/host/hv_fake.h"

#define REMEMBERED 2048u

struct io_unit io_unit;

static const struct io_format format = {
    .read = 1, .write = 2, .present = 3, .table = 3, .kind = 128, .large = 128};

static const struct iommu_space *sees[512]; /* by function; NULL: nothing */

/* What was looked up once, by space. */
static struct memory {
	const struct iommu_space *space;
	uint64_t dma, frame;
	unsigned rights;
} memory[REMEMBERED];

/* ---- the units ------------------------------------------------------------------------------------- */

static void shape(struct iommu *unit, struct io_table *t)
{
	t->format = &format;
	t->levels = 3;
}

static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	sees[bdf] = space;
	return 0;
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	if (io_unit.silent)
		return -XEN_EIO;
	sees[bdf] = NULL;
	return 0;
}

static int flush(struct iommu *unit, const struct iommu_space *space, uint64_t dma, uint64_t len,
		 bool tables)
{
	if (io_unit.silent)
		return -XEN_EIO;
	io_unit.flushes++;
	for (unsigned i = 0; i < REMEMBERED; i++)
		if (memory[i].space == space && (!len || memory[i].dma - dma < len))
			memory[i].space = NULL;
	return 0;
}

static bool fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost)
{
	return false;
}

static void stop(struct iommu *unit) {}

static const struct iommu_ops ops = {.shape = shape,
				     .attach = attach,
				     .detach = detach,
				     .flush = flush,
				     .fault = fault,
				     .stop = stop};
static struct iommu units[2] = {
    {.ops = &ops,
     .traits = {.address_bits = 39, .spaces = 64},
     .n_scopes = 1,
     .scopes = {{0, 0xff}}},
    {.ops = &ops,
     .traits = {.address_bits = 39, .spaces = 64},
     .n_scopes = 1,
     .scopes = {{0x100, 0x1ff}}},
};

int vtd_start(const void *dmar, size_t len)
{
	static const struct iommu_reserved kept[] = {
	    {0, 0, 0x1ffff000, 0x20002000, IOMMU_READ | IOMMU_WRITE},
	    {0x100, 0x100, 0x30000000, 0x30001000, IOMMU_READ},
	};

	return iommu_add(&units[0]) || iommu_add(&units[1]) || iommu_add_reserved(&kept[0]) ||
		       iommu_add_reserved(&kept[1])
		   ? -XEN_ENOMEM
		   : 0;
}

int amdvi_start(const void *ivrs, size_t len)
{
	return -XEN_ENODEV;
}

void io_unit_start(void)
{
	if (iommu_start("DMAR", 4) != 2)
		abort();
}

static struct memory *remembered(const struct iommu_space *space, uint64_t dma)
{
	for (unsigned i = 0; i < REMEMBERED; i++)
		if (memory[i].space == space && memory[i].dma == dma)
			return &memory[i];
	return NULL;
}

static struct memory *look_up(const struct iommu_space *space, uint64_t dma)
{
	struct memory *m = memory;
	maddr_t to;

	while (m->space)
		if (++m == memory + REMEMBERED)
			abort();
	if (iommu_lookup(space, dma, &to, &m->rights))
		return NULL;
	m->space = space;
	m->dma = dma;
	m->frame = to.v >> PAGE_SHIFT;
	return m;
}

uint64_t io_unit_reach(uint16_t bdf, uint64_t dma, bool write)
{
	const struct iommu_space *space = sees[bdf];
	const struct page_info *page;
	struct memory *m;

	if (!space)
		return IO_UNIT_NOTHING;
	m = remembered(space, dma & PAGE_MASK);
	if (!m)
		m = look_up(space, dma & PAGE_MASK);
	if (!m || !(m->rights & (write ? IOMMU_WRITE : IOMMU_READ)))
		return IO_UNIT_NOTHING;
	page = mfn_to_page((mfn_t){m->frame});
	if (!page->owner || !page->count ||
	    (write && (page->type != PT_WRITABLE || !page->type_count))) {
		fprintf(stderr, "a device reaches frame %llx, which is not held\n",
			(unsigned long long)m->frame);
		abort();
	}
	return m->frame;
}

/* ---- the registry ---------------------------------------------------------------------------------- */

#define DEVICES 8u
static struct io_device devices[DEVICES];

struct io_device *io_device_find(uint16_t bdf)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].owner && devices[i].bdf == bdf)
			return &devices[i];
	return NULL;
}

struct io_device *io_device_of(const struct domain *d, uint16_t bdf)
{
	struct io_device *dev = io_device_find(bdf);

	return dev && dev->owner == d ? dev : NULL;
}

int io_device_enter(struct io_device *dev, struct iommu_space *space)
{
	int error = dev->space ? iommu_detach(dev->space, dev->bdf) : 0;

	if (error)
		return error;
	dev->space = NULL;
	error = space ? iommu_attach(space, dev->bdf) : 0;
	if (!error)
		dev->space = space;
	return error;
}

bool iommu_is_on(void)
{
	units[0].flush_after_map = units[1].flush_after_map = io_unit.remembers_nothing;
	return !io_unit.off;
}

void io_unit_give(uint16_t bdf, struct domain *d)
{
	unsigned i = 0;

	while (devices[i].owner)
		i++;
	devices[i] = (struct io_device){.owner = d, .unit = iommu_of(bdf), .bdf = bdf};
}

void io_unit_take(struct domain *d)
{
	bool silent = io_unit.silent;

	io_unit.silent = false;
	for (unsigned i = 0; i < DEVICES; i++) {
		if (devices[i].owner != d)
			continue;
		iospace_lose(&devices[i]);
		if (io_device_enter(&devices[i], NULL))
			abort();
		devices[i].owner = NULL;
	}
	io_unit.silent = silent;
}

int io_devices_teardown(struct domain *d)
{
	bool there = false;

	for (unsigned i = 0; i < DEVICES; i++)
		there |= devices[i].owner == d;
	if (there)
		io_unit_take(d);
	return iospace_teardown(d);
}

void io_unit_reserve(uint32_t context, struct domain *d)
{
	if (iommu_map(d->iospace.context[context]->space, 0x1ffff000, (maddr_t){0x1ffff000}, 0x3000,
		      IOMMU_READ | IOMMU_WRITE))
		abort();
}
