/* amdvi.c: AMD's IOMMU: turns a unit on, and puts functions into spaces.
 *
 * Callers: iommu.c. Calls ivrs.c for where the units are, amdvi_queue.c, host_iommu.h. One table has an entry for each of 65536 functions. An entry
 * that is not valid means that all is open (2.2.2.2), so every entry is made valid before the unit is turned on, with a space in which nothing is.
 */
#include <amphi/host_iommu.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "amdvi.h"
#include "ivrs.h"

/* An entry of a function (2.2.2.1). */
#define DEVICE_VALID     1u
#define DEVICE_TABLE     2u
#define DEVICE_LEVELS(n) ((uint64_t)(n) << 9)
#define DEVICE_READ      (1ull << 61)
#define DEVICE_WRITE     (1ull << 62)
#define DEVICE_RIGHTS    (DEVICE_READ | DEVICE_WRITE)

#define LEVELS       4u
#define ADDRESS_BITS 48u /* that they make */
#define SPACES       4096u
#define NOTHING      (SPACES - 1) /* the number of those in no space */
#define CAP_NO_CACHE (1u << 26)   /* of the capability: it remembers what is not there */

/* 2.2.3: rights are in every entry on the way, and the level below is told. */
static const struct io_format format = {.read = DEVICE_READ,
					.write = DEVICE_WRITE,
					.present = 1,
					.leaf = 1 | 1ull << 60,
					.table = 1 | DEVICE_RIGHTS,
					.kind = 7u << 9,
					.next_shift = 9};

static struct amdvi *of(struct iommu *unit)
{
	return container_of(unit, struct amdvi, unit);
}

static uint16_t number_of(const struct iommu_space *space)
{
	return space ? space->number : NOTHING;
}

/* The half with the number first, as it means nothing while the other says otherwise. */
static void set_entry(struct amdvi *a, uint16_t bdf, uint16_t number, uint64_t table)
{
	struct amdvi_device *d = &a->devices[bdf];

	d->number = number;
	__atomic_store_n(&d->table, table | DEVICE_VALID | DEVICE_TABLE, __ATOMIC_RELEASE);
}

static void set_nothing(struct amdvi *a, uint16_t bdf)
{
	set_entry(a, bdf, NOTHING, a->nothing_at.v | DEVICE_LEVELS(LEVELS) | DEVICE_RIGHTS);
}

static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct amdvi *a = of(unit);

	/* Without levels all is open, with these rights. */
	set_entry(a, bdf, number_of(space),
		  DEVICE_RIGHTS | (space ? space->table.where.v | DEVICE_LEVELS(LEVELS) : 0));
	return amdvi_forget_device(a, NOTHING, bdf);
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct amdvi *a = of(unit);

	set_nothing(a, bdf);
	return amdvi_forget_device(a, number_of(space), bdf);
}

static void shape(struct iommu *unit, struct io_table *t)
{
	t->format = &format;
	t->levels = LEVELS;
	t->large_levels = 1 << 1 | 1 << 2;
}

static int flush(struct iommu *unit, const struct iommu_space *space, uint64_t dma, uint64_t len,
		 bool tables)
{
	return amdvi_forget_pages(of(unit), space->number, dma, len, tables);
}

/* ---- on and off ------------------------------------------------------------------------------------ */

static void stop(struct iommu *unit)
{
	struct amdvi *a = of(unit);

	host_iommu_write64(a->regs, AMDVI_CONTROL, 0);
	amdvi_queue_stop(a);
	if (a->devices && a->nothing)
		amdvi_interrupts_free(a);
	if (a->devices)
		host_iommu_pages_free(a->devices, AMDVI_DEVICE_PAGES);
	if (a->nothing)
		host_iommu_pages_free(a->nothing, 1);
	host_iommu_free(a, sizeof(*a));
}

/* Off first, whatever firmware left. */
static int turn_on(struct amdvi *a)
{
	maddr_t where;
	int err;

	host_iommu_write64(a->regs, AMDVI_CONTROL, 0);
	a->devices = host_iommu_pages(AMDVI_DEVICE_PAGES, &where);
	a->nothing = host_iommu_pages(1, &a->nothing_at);
	if (!a->devices || !a->nothing)
		return -XEN_ENOMEM;
	for (unsigned bdf = 0; bdf < AMDVI_DEVICES_ALL; bdf++)
		set_nothing(a, (uint16_t)bdf);
	host_iommu_write64(a->regs, AMDVI_DEVICES, where.v | (AMDVI_DEVICE_PAGES - 1));
	err = amdvi_queue_start(a);
	if (err)
		return err;
	host_iommu_write64(a->regs, AMDVI_CONTROL, AMDVI_COMMANDS_ON | AMDVI_EVENTS_ON);
	host_iommu_write64(a->regs, AMDVI_CONTROL, AMDVI_COMMANDS_ON | AMDVI_EVENTS_ON | AMDVI_ON);
	/* What it knew before; and that it answers at all. */
	return amdvi_forget_device(a, NOTHING, 0);
}

static const struct iommu_ops ops = {.shape = shape,
				     .attach = attach,
				     .detach = detach,
				     .flush = flush,
				     .fault = amdvi_fault,
				     .fault_interrupt = amdvi_fault_interrupt,
				     .interrupts = amdvi_interrupts,
				     .interrupt = amdvi_interrupt,
				     .message = amdvi_message,
				     .stop = stop};

static int start_unit(const struct firmware *f, unsigned n)
{
	const struct firmware_unit *u = &f->units[n];
	unsigned bits = f->address_bits ? f->address_bits : ADDRESS_BITS;
	struct amdvi *a = host_iommu_alloc(sizeof(*a));
	int err;

	if (!a)
		return -XEN_ENOMEM;
	a->unit.ops = &ops;
	a->unit.traits = (struct iommu_traits){.address_bits = (uint8_t)MIN(bits, ADDRESS_BITS),
					       .large_2m = true,
					       .large_1g = true,
					       .interrupts = u->n_ioapics,
					       .spaces = SPACES - 1};
	fmt_text(a->unit.name, sizeof(a->unit.name), "amd-vi%u", n);
	a->bdf = u->bdf;
	a->unit.flush_after_map = host_iommu_config(u->bdf, u->capability) & CAP_NO_CACHE;
	iommu_take_scopes(&a->unit, u);
	a->regs = host_iommu_registers((maddr_t){u->registers}, AMDVI_REGISTERS_BYTES);
	if (!a->regs) {
		host_iommu_free(a, sizeof(*a));
		return -XEN_ENOMEM;
	}
	err = turn_on(a);
	if (!err)
		err = iommu_add(&a->unit);
	if (err)
		stop(&a->unit);
	return err;
}

int amdvi_start(const void *table, size_t len)
{
	struct firmware *f = host_iommu_alloc(sizeof(*f));

	return iommu_start_units(f, f ? ivrs_parse(table, len, f) : -XEN_ENOMEM, start_unit);
}
