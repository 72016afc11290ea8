/* vtd.c: Intel's VT-d: turns a unit on, and puts functions into spaces.
 *
 * Callers: iommu.c. Calls dmar.c for where the units are, vtd_queue.c to make them forget, host_iommu.h. Used are tables of the second level only
 * (VT-d 3.7, legacy mode): a table for the 256 buses, one for each bus, and a tree for each space. A unit without the queue, or whose trees have
 * neither three nor four levels, is refused by name.
 */
#include <amphi/host_iommu.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "dmar.h"
#include "vtd.h"

#define CAP_SPACES(cap)  (1u << (4 + 2 * ((cap)&7)))
#define CAP_FLUSH_WRITES (1ull << 4)
#define CAP_LOW_MEMORY   (3ull << 5)
#define CAP_CACHES_NOTHING                                                                         \
	(1ull << 7) /* it remembers entries that were not there ("caching mode") */
#define CAP_LEVELS(cap)    ((unsigned)((cap) >> 8 & 0x1f))
#define CAP_BITS(cap)      ((unsigned)((cap) >> 16 & 0x3f) + 1)
#define CAP_FAULTS_AT(cap) ((unsigned)((cap) >> 24 & 0x3ff) * 16)
#define CAP_LARGE(cap)     ((unsigned)((cap) >> 34 & 3))
#define CAP_FAULTS(cap)    ((unsigned)((cap) >> 40 & 0xff) + 1)
#define ECAP_COHERENT      (1ull << 0)
#define ECAP_QUEUE         (1ull << 1)
#define ECAP_INTERRUPTS    (1ull << 3)
#define ECAP_PASS          (1ull << 6)
#define ECAP_SNOOP         (1ull << 7)

#define SPACES_MAX 4096u

/* An entry of a bus's table (9.3). */
#define ENTRY_PRESENT   1u
#define ENTRY_PASS      (2u << 2)
#define ENTRY_NUMBER(n) ((uint64_t)(n) << 8)
#define LEVELS_FOUR     2u

/* 9.8: read, write, a leaf above the lowest level; and that the device's writes are seen by the caches. */
static const struct io_format format = {
    .read = 1,
    .write = 2,
    .present = 3,
    .table = 3,
    .kind = 1u << 7,
    .large = 1u << 7,
};
static const struct io_format format_snooped = {
    .read = 1,
    .write = 2,
    .present = 3,
    .table = 3,
    .kind = 1u << 7,
    .large = 1u << 7,
    .leaf = 1u << 11,
};

static struct vtd *of(struct iommu *unit)
{
	return container_of(unit, struct vtd, unit);
}

void vtd_clean(const struct vtd *v, const void *p, size_t len)
{
	if (v->noncoherent)
		host_iommu_clean(p, len);
}

/* 11.4.4: the register takes one command at a time, with all that is on repeated. */
int vtd_command(struct vtd *v, uint32_t bit, bool on)
{
	uint32_t stays =
	    host_iommu_read32(v->regs, VTD_GSTS) & (VTD_TRANSLATE | VTD_QUEUE | VTD_IRQ);

	host_iommu_write32(v->regs, VTD_GCMD, on ? stays | bit : stays & ~bit);
	for (unsigned us = 0; us < IOMMU_ANSWER_US; us++) {
		if (!(host_iommu_read32(v->regs, VTD_GSTS) & bit) == !on)
			return 0;
		host_iommu_pause();
	}
	host_iommu_log("%s does not do a command: %x", v->unit.name, bit);
	return -XEN_EIO;
}

/* ---- functions ------------------------------------------------------------------------------------- */

static struct vtd_entry *entry_of(struct vtd *v, uint16_t bdf)
{
	struct vtd_entry *root = &v->root[bdf >> 8];
	maddr_t where;

	if (v->bus[bdf >> 8])
		return &v->bus[bdf >> 8][bdf & 0xff];
	v->bus[bdf >> 8] = host_iommu_pages(1, &where);
	if (!v->bus[bdf >> 8])
		return NULL;
	vtd_clean(v, v->bus[bdf >> 8], PAGE_SIZE);
	root->low = where.v | ENTRY_PRESENT;
	vtd_clean(v, root, sizeof(*root));
	return &v->bus[bdf >> 8][bdf & 0xff];
}

/* The number of those that see everything: 0 is never a space's, but a unit that remembers what is not there keeps that under it. */
static uint16_t number_of(const struct vtd *v, const struct iommu_space *space)
{
	return space ? space->number : v->unit.traits.spaces;
}

static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct vtd *v = of(unit);
	struct vtd_entry *entry = entry_of(v, bdf);
	unsigned levels = v->unit.traits.address_bits > 39 ? LEVELS_FOUR : LEVELS_FOUR - 1;

	if (!entry)
		return -XEN_ENOMEM;
	if (!space && !(v->ecap & ECAP_PASS))
		return -XEN_EOPNOTSUPP;
	entry->high = ENTRY_NUMBER(number_of(v, space)) | levels;
	vtd_clean(v, entry, sizeof(*entry));
	/* The high half first: with the low one the entry is there. */
	__atomic_store_n(&entry->low, ENTRY_PRESENT | (space ? space->table.where.v : ENTRY_PASS),
			 __ATOMIC_RELEASE);
	vtd_clean(v, entry, sizeof(*entry));
	return v->unit.flush_after_map ? vtd_forget_function(v, 0, bdf) : 0;
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct vtd *v = of(unit);
	struct vtd_entry *entry = entry_of(v, bdf);

	__atomic_store_n(&entry->low, 0, __ATOMIC_RELEASE);
	vtd_clean(v, entry, sizeof(*entry));
	return vtd_forget_function(v, number_of(v, space), bdf);
}

static void shape(struct iommu *unit, struct io_table *t)
{
	struct vtd *v = of(unit);

	t->format = v->ecap & ECAP_SNOOP ? &format_snooped : &format;
	t->levels = v->unit.traits.address_bits > 39 ? 4 : 3;
	t->large_levels = (uint8_t)(CAP_LARGE(v->cap) << 1);
	t->noncoherent = v->noncoherent;
}

static int flush(struct iommu *unit, const struct iommu_space *space, uint64_t dma, uint64_t len,
		 bool tables)
{
	return vtd_forget_pages(of(unit), space->number, dma, len, tables);
}

/* ---- on and off ------------------------------------------------------------------------------------ */

static void stop(struct iommu *unit)
{
	struct vtd *v = of(unit);

	vtd_command(v, VTD_TRANSLATE, false);
	(void)vtd_interrupts_stop(v);
	vtd_queue_stop(v);
	for (unsigned i = 0; i < VTD_BUSES; i++)
		if (v->bus[i])
			host_iommu_pages_free(v->bus[i], 1);
	if (v->root)
		host_iommu_pages_free(v->root, 1);
	host_iommu_free(v, sizeof(*v));
}

/* What the unit can; -XEN_ENODEV: not enough. */
static int read_traits(struct vtd *v)
{
	struct iommu_traits *t = &v->unit.traits;
	bool four = CAP_LEVELS(v->cap) & 1u << 2, three = CAP_LEVELS(v->cap) & 1u << 1;

	if (!(v->ecap & ECAP_QUEUE) || (!four && !three) || (v->cap & CAP_FLUSH_WRITES)) {
		host_iommu_log("%s is not driven: %s", v->unit.name,
			       !(v->ecap & ECAP_QUEUE) ? "it has no queue"
			       : !four && !three ? "its tables have neither three nor four levels"
						 : "its write buffer has to be flushed");
		return -XEN_ENODEV;
	}
	t->address_bits = (uint8_t)MIN(CAP_BITS(v->cap), four ? 48u : 39u);
	t->large_2m = CAP_LARGE(v->cap) & 1;
	t->large_1g = CAP_LARGE(v->cap) & 2;
	t->interrupts = v->ecap & ECAP_INTERRUPTS;
	/* The last number is kept for those that see everything. */
	t->spaces = (uint16_t)(MIN(CAP_SPACES(v->cap), SPACES_MAX) - 1);
	v->unit.flush_after_map = v->cap & CAP_CACHES_NOTHING;
	v->noncoherent = !(v->ecap & ECAP_COHERENT);
	v->fault_offset = CAP_FAULTS_AT(v->cap);
	v->n_faults = CAP_FAULTS(v->cap);
	if (v->fault_offset + v->n_faults * 16 <= VTD_REGISTERS_BYTES)
		return 0;
	host_iommu_log("%s is not driven: its fault records lie elsewhere", v->unit.name);
	return -XEN_ENODEV;
}

/* From any state firmware or a kernel before us left it in. */
static int turn_on(struct vtd *v)
{
	maddr_t root;
	int err = 0;

	if (host_iommu_read32(v->regs, VTD_GSTS) & VTD_TRANSLATE)
		err = vtd_command(v, VTD_TRANSLATE, false);
	if (!err)
		err = vtd_interrupts_stop(v);
	if (!err && (host_iommu_read32(v->regs, VTD_GSTS) & VTD_QUEUE))
		err = vtd_command(v, VTD_QUEUE, false);
	if (err)
		return err;
	host_iommu_write32(v->regs, VTD_FSTS, ~0u);
	v->root = host_iommu_pages(1, &root);
	if (!v->root)
		return -XEN_ENOMEM;
	vtd_clean(v, v->root, PAGE_SIZE);
	host_iommu_write64(v->regs, VTD_RTADDR, root.v);
	err = vtd_command(v, VTD_ROOT, true);
	if (!err)
		err = vtd_queue_start(v);
	if (!err)
		err = vtd_forget_all(v);
	if (!err)
		err = vtd_command(v, VTD_TRANSLATE, true);
	if (!err && (v->cap & CAP_LOW_MEMORY))
		host_iommu_write32(v->regs, VTD_PMEN, 0);
	return err;
}

static const struct iommu_ops ops = {.shape = shape,
				     .attach = attach,
				     .detach = detach,
				     .flush = flush,
				     .fault = vtd_fault,
				     .fault_interrupt = vtd_fault_interrupt,
				     .interrupts = vtd_interrupts,
				     .interrupt = vtd_interrupt,
				     .message = vtd_message,
				     .stop = stop};

static int start_unit(const struct firmware *t, unsigned n)
{
	const struct firmware_unit *d = &t->units[n];
	struct vtd *v = host_iommu_alloc(sizeof(*v));
	int err = -XEN_ENOMEM;

	if (!v)
		return err;
	v->unit.ops = &ops;
	fmt_text(v->unit.name, sizeof(v->unit.name), "vt-d%u", n);
	iommu_take_scopes(&v->unit, d);
	v->regs = host_iommu_registers((maddr_t){d->registers}, VTD_REGISTERS_BYTES);
	if (v->regs) {
		v->cap = host_iommu_read64(v->regs, VTD_CAP);
		v->ecap = host_iommu_read64(v->regs, VTD_ECAP);
		err = read_traits(v);
		v->unit.traits.interrupts &= t->interrupts;
	}
	if (err) {
		host_iommu_free(v, sizeof(*v));
		return err;
	}
	err = turn_on(v);
	if (!err)
		err = iommu_add(&v->unit);
	if (err)
		stop(&v->unit);
	return err;
}

int vtd_start(const void *table, size_t len)
{
	struct firmware *f = host_iommu_alloc(sizeof(*f));

	return iommu_start_units(f, f ? dmar_parse(table, len, host_iommu_bridge, f) : -XEN_ENOMEM,
				 start_unit);
}
