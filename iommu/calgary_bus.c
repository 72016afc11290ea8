/* calgary_bus.c: the registers of one bus of a Calgary or CalIOC2: which table it sees, its holes, its errors.
 *
 * Callers: calgary.c, iommu.c by its ops. The chip remembers entries, and forgets them all when the address of its table is written, while nothing is
 * on its way: a Calgary is brought to rest by taking the bus's arbitration away, a CalIOC2 by the steps of a page migration. No way to have
 * it forget a single entry was published.
 */
#include <amphi/host_iommu.h>
#include <amphi/xen.h>

#include "calgary.h"

#define AT_REST        0xffu /* of SPLIT's first byte: no queue has anything */
#define SOFT_STOPS_MAX 100u
#define HOLE_BORDER    0x100000ull
#define LOW_HOLE_START 0xa0000u
#define LOW_HOLE_END   0x100000u

uint32_t calgary_get(const struct calgary *c, unsigned reg)
{
	return __builtin_bswap32(host_iommu_read32(c->regs, CALGARY_BRIDGE(c->bridge) + reg));
}

void calgary_set(const struct calgary *c, unsigned reg, uint32_t value)
{
	host_iommu_write32(c->regs, CALGARY_BRIDGE(c->bridge) + reg, __builtin_bswap32(value));
}

/* ---- holes ----------------------------------------------------------------------------------------- */

static uint64_t wide(const struct calgary *c, unsigned high, unsigned low)
{
	return (uint64_t)calgary_get(c, high) << 32 | calgary_get(c, low);
}

/* last: any address of the hole's last MiB. */
static void add_hole(struct calgary *c, uint64_t start, uint64_t last)
{
	uint64_t end = (last | (HOLE_BORDER - 1)) + 1;

	if (start < end)
		c->holes[c->n_holes++] = (struct calgary_hole){start & PAGE_MASK, end};
}

/* The first is the PC's own; a CalIOC2 translates nothing below 1 MiB. The others are where the bus's devices have their memory. */
void calgary_read_holes(struct calgary *c)
{
	c->n_holes = 0;
	add_hole(c, c->is_calioc2 ? 0 : LOW_HOLE_START, LOW_HOLE_END - 1);
	add_hole(c, wide(c, CALGARY_MEM_1_HIGH, CALGARY_MEM_1_LOW),
		 calgary_get(c, CALGARY_MEM_1_SIZE));
	if (calgary_get(c, CALGARY_CONFIG) & CALGARY_MEM_2_ON)
		add_hole(c, wide(c, CALGARY_MEM_2_HIGH, CALGARY_MEM_2_LOW),
			 wide(c, CALGARY_MEM_2_SIZE_HIGH, CALGARY_MEM_2_SIZE_LOW));
}

/* ---- forgetting ------------------------------------------------------------------------------------ */

static int rest(const struct calgary *c)
{
	for (unsigned us = 0; us < IOMMU_ANSWER_US; us++) {
		if ((host_iommu_read64(c->regs, CALGARY_SPLIT(c->bridge)) & AT_REST) == AT_REST)
			return 0;
		host_iommu_pause();
	}
	host_iommu_log("%s: the bus does not come to rest", c->unit.name);
	return -XEN_EIO;
}

/* What is not ours of the register stays. */
static void set_table(const struct calgary *c, const struct calgary_table *t)
{
	uint64_t old = __builtin_bswap64(host_iommu_read64(c->regs, CALGARY_TABLE(c->bridge)));

	host_iommu_write64(
	    c->regs, CALGARY_TABLE(c->bridge),
	    __builtin_bswap64((old & ~CALGARY_TABLE_BITS) | (t ? t->where.v | t->size : 0)));
	(void)host_iommu_read64(c->regs, CALGARY_TABLE(c->bridge)); /* it is there now */
}

/* The table is written even if the bus does not rest: what comes later sees it. */
static int show_calgary(const struct calgary *c, const struct calgary_table *t)
{
	uint32_t arbitration = calgary_get(c, CALGARY_ARBITRATION);
	int err;

	calgary_set(c, CALGARY_ARBITRATION, 0);
	(void)calgary_get(c, CALGARY_PLSSR); /* it is there now */
	err = rest(c);
	set_table(c, t);
	calgary_set(c, CALGARY_ARBITRATION, arbitration);
	(void)calgary_get(c, CALGARY_ARBITRATION);
	return err;
}

/* A soft stop may fail, and is asked for again; a read of the register makes it a hard one. */
static int stop_calioc2(const struct calgary *c)
{
	for (unsigned i = 0; i < SOFT_STOPS_MAX; i++) {
		int err;

		calgary_set(c, CALIOC2_MIGRATION,
			    calgary_get(c, CALIOC2_MIGRATION) | CALIOC2_SOFT_STOP);
		err = rest(c);
		if (err)
			return err;
		if (!(calgary_get(c, CALIOC2_MIGRATION_STATE) & CALIOC2_STOP_FAILED)) {
			(void)calgary_get(c, CALIOC2_MIGRATION);
			(void)calgary_get(c, CALIOC2_MIGRATION_STATE);
			return 0;
		}
	}
	host_iommu_log("%s: the bus does not stop", c->unit.name);
	return -XEN_EIO;
}

static int show_calioc2(const struct calgary *c, const struct calgary_table *t)
{
	int err = stop_calioc2(c);

	set_table(c, t);
	(void)calgary_get(c, CALIOC2_MIGRATION);
	calgary_set(c, CALIOC2_MIGRATION, 0);
	(void)calgary_get(c, CALIOC2_MIGRATION);
	return err;
}

int calgary_show(const struct calgary *c, const struct calgary_table *t)
{
	return c->is_calioc2 ? show_calioc2(c, t) : show_calgary(c, t);
}

/* ---- on and off, and errors ------------------------------------------------------------------------ */

void calgary_translate(const struct calgary *c, bool on)
{
	uint32_t bits = CALGARY_TRANSLATE | CALGARY_NO_DAC | CALGARY_REPORTS,
		 config = calgary_get(c, CALGARY_CONFIG);

	if (on && c->is_calioc2) /* its designers recommended it */
		calgary_set(c, CALIOC2_SAVIOR, calgary_get(c, CALIOC2_SAVIOR) | CALIOC2_SAVIOR_FIX);
	calgary_set(c, CALGARY_CONFIG, on ? config | bits : config & ~bits);
	(void)calgary_get(c, CALGARY_CONFIG);
}

/* The bus's function is not told, nor the address: the registers of the error go to the log as they are. After one the bus's slots are
 * off, as nobody said how far its state may be trusted. */
bool calgary_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost)
{
	struct calgary *c = container_of(unit, struct calgary, unit);
	uint32_t status = calgary_get(c, CALGARY_STATUS);

	if (!(status & CALGARY_ERRORS))
		return false;
	host_iommu_log("%s: status %08x, PLSSR %08x: its slots are off now", unit->name, status,
		       calgary_get(c, CALGARY_PLSSR));
	calgary_set(c, CALGARY_STATUS, 0);
	calgary_set(c, CALGARY_CONFIG, calgary_get(c, CALGARY_CONFIG) | CALGARY_SLOTS_OFF);
	(void)calgary_get(c, CALGARY_CONFIG);
	*out_fault = (struct iommu_fault){.bdf = (uint16_t)(c->bus << 8),
					  .why = "an error of its bus, of whatever function"};
	return true;
}
