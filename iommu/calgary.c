/* calgary.c: IBM's Calgary and CalIOC2: finds the buses that have one, and puts functions into the space of their bus.
 *
 * Callers: iommu.c. Calls rio.c for where the chips are, calgary_bus.c, calgary_table.c, host_iommu.h. A bus has one table for all its functions, so
 * that a unit has one space: who is on the bus sees what any neighbour may see, and nothing else. Only what shows itself in configuration
 * space as one of the two bridges is touched.
 */
#include <amphi/host_iommu.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "calgary.h"
#include "rio.h"

#define BUSES              256u
#define ADDRESS_BITS(size) (uint8_t)(25 + (size)) /* 64 KiB are 8192 entries of 4 KiB */

static struct calgary *of(struct iommu *unit)
{
	return container_of(unit, struct calgary, unit);
}

/* The bus cannot be open: its functions see the one table, or there would be none for any. */
static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct calgary *c = of(unit);
	int err = 0;

	if (!space)
		return -XEN_EOPNOTSUPP;
	if (!c->n_functions)
		err = calgary_show(c, &c->table);
	c->n_functions += !err;
	return err;
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	struct calgary *c = of(unit);
	int err = calgary_show(c, c->n_functions > 1 ? &c->table : &c->nothing);

	c->n_functions -= !err;
	return err;
}

static int flush(struct iommu *unit, const struct iommu_space *space, uint64_t dma, uint64_t len,
		 bool tables)
{
	struct calgary *c = of(unit);

	return calgary_show(c, c->n_functions ? &c->table : &c->nothing);
}

/* The chips tell of errors in a register only. */
static void fault_interrupt(struct iommu *unit, uint64_t address, uint32_t data) {}

static void free_tables(struct calgary *c)
{
	calgary_table_free(&c->table);
	calgary_table_free(&c->nothing);
	host_iommu_free(c, sizeof(*c));
}

static void stop(struct iommu *unit)
{
	struct calgary *c = of(unit);

	calgary_translate(c, false);
	free_tables(c);
}

static const struct iommu_ops ops = {.shape = calgary_shape,
				     .attach = attach,
				     .detach = detach,
				     .flush = flush,
				     .fault = calgary_fault,
				     .fault_interrupt = fault_interrupt,
				     .stop = stop};

/* ---- finding them ---------------------------------------------------------------------------------- */

/* The largest table there is memory for; and the smallest for nothing. */
static int take_tables(struct calgary *c)
{
	unsigned size = CALGARY_SIZES;
	int err = calgary_table_new(&c->nothing, 0);

	if (err)
		return err;
	do
		err = calgary_table_new(&c->table, --size);
	while (err && size);
	return err;
}

static void describe(struct calgary *c, uint8_t last_bus)
{
	c->unit.ops = &ops;
	c->unit.traits =
	    (struct iommu_traits){.address_bits = ADDRESS_BITS(c->table.size), .spaces = 2};
	fmt_text(c->unit.name, sizeof(c->unit.name), "%s-%02x",
		 c->is_calioc2 ? "calioc2" : "calgary", c->bus);
	c->unit.n_scopes = 1;
	c->unit.scopes[0] =
	    (struct iommu_scope){(uint16_t)(c->bus << 8), (uint16_t)(last_bus << 8 | 0xff)};
}

/* No address of a hole leads anywhere in a space. */
static int tell_holes(const struct calgary *c)
{
	int err = 0;

	for (unsigned i = 0; i < c->n_holes && !err; i++) {
		struct iommu_reserved r = {.first_bdf = c->unit.scopes[0].first_bdf,
					   .last_bdf = c->unit.scopes[0].last_bdf,
					   .start = c->holes[i].start,
					   .end = c->holes[i].end};

		err = iommu_add_reserved(&r);
	}
	return err;
}

static bool is_bridge(uint32_t id)
{
	return id == CALGARY_ID || id == CALIOC2_ID;
}

/* One bridge of a chip. Without a bus behind it, or a bridge that shows itself there, it is left alone. */
static int start_bridge(volatile void *regs, unsigned bridge)
{
	uint32_t buses = __builtin_bswap32(host_iommu_read32(regs, CALGARY_BUSES(bridge)));
	uint8_t first = (uint8_t)(buses >> 16), last = (uint8_t)(buses >> 8);
	uint32_t id = host_iommu_config((uint16_t)(first << 8), 0);
	struct calgary *c;
	int err;

	if (!is_bridge(id) || iommu_of((uint16_t)(first << 8)))
		return 0;
	c = host_iommu_alloc(sizeof(*c));
	if (!c)
		return -XEN_ENOMEM;
	c->regs = regs;
	c->bridge = bridge;
	c->bus = first;
	c->is_calioc2 = id == CALIOC2_ID;
	err = take_tables(c);
	if (err)
		goto out;
	describe(c, MAX(first, last));
	calgary_read_holes(c);
	err = calgary_show(c, &c->nothing);
	if (err)
		goto out;
	calgary_translate(c, true);
	err = iommu_add(&c->unit);
	if (!err)
		return tell_holes(c);
	calgary_translate(c, false);
out:
	free_tables(c);
	return err;
}

/* Before any register is looked at: whether configuration space shows one at all. */
static bool any_bridge(void)
{
	for (unsigned bus = 0; bus < BUSES; bus++)
		if (is_bridge(host_iommu_config((uint16_t)(bus << 8), 0)))
			return true;
	return false;
}

static int start_chip(uint64_t where)
{
	volatile void *regs = host_iommu_registers((maddr_t){where}, CALGARY_REGISTERS_BYTES);
	int err = regs ? 0 : -XEN_ENOMEM;

	for (unsigned bridge = 0; bridge < CALGARY_BRIDGES && !err; bridge++)
		err = start_bridge(regs, bridge);
	return err;
}

int iommu_start_calgary(const void *ebda, size_t len)
{
	struct rio *rio = host_iommu_alloc(sizeof(*rio));
	int err;

	if (!rio)
		return -XEN_ENOMEM;
	err = rio_parse(ebda, len, rio);
	if (err == -XEN_EINVAL)
		host_iommu_log("the Rio Grande table: %s", rio->problem);
	if (!err && !any_bridge())
		err = -XEN_ENODEV;
	for (unsigned i = 0; i < rio->n_calgaries && !err; i++)
		err = start_chip(rio->registers[i]);
	host_iommu_free(rio, sizeof(*rio));
	return iommu_found(err);
}
