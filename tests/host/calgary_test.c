/* calgary_test.c: buses of a Calgary and of a CalIOC2, on a model of their registers; and the Rio Grande table that says where they are.
 *
 * Shows: the table as BIOSes leave it, and damaged; buses found by it and by their bridges' ids, and nothing else touched; what devices see is the
 * one space of their bus, in big-endian entries with the rights they have; what is unmapped is forgotten after the flush, which brings the bus to rest
 * first, each chip in its own way; a bus that does not; holes that lead nowhere; all eight sizes of tables; errors. Why: no such machine
 * is at hand, so the published order of steps is held fast here.
 *
 * links: iommu/calgary.c iommu/calgary_bus.c iommu/calgary_table.c iommu/rio.c iommu/iommu.c iommu/io_table.c lib/printf.c lib/text.c
 * iommu/interrupt.c tests/host/iommu_world.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/iommu.h>
#include <xen/errno.h>
#include "iommu/iommu_ops.h"
#include "iommu/rio.h"
#include "tests/host/iommu_world.h"

#define CHIP   0xfeb00000u
#define BUS    4u /* a Calgary: buses 4 and 5 */
#define BUS_2  8u /* a CalIOC2: bus 8 */
#define DISK   (BUS << 8 | 0x08)
#define CARD   ((BUS + 1) << 8 | 0x10)
#define CARD_2 (BUS_2 << 8 | 0x08)

/* ---- the model: registers in the order of their bytes, which is big-endian ---------------------------- */

static uint8_t regs[0x100000];
static char steps[600];        /* what was done to bring a bus to rest, in letters */
static unsigned soft_failures; /* soft stops that fail yet */
static bool busy;              /* a bus does not come to rest */
static struct {
	bool known;
	uint64_t entry;
} cache[4][1u << 20];

static uint64_t reg(unsigned at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v = v << 8 | regs[at + i];
	return v;
}

static void set_reg(unsigned at, unsigned size, uint64_t v)
{
	for (unsigned i = size; i--; v >>= 8)
		regs[at + i] = (uint8_t)v;
}

static void step(char what)
{
	size_t n = strlen(steps);

	if (n + 1 < sizeof(steps) && (!n || steps[n - 1] != what))
		steps[n] = what;
}

/* A read of the migration's register after a soft stop makes it hard. */
static uint64_t model_read(unsigned at, unsigned size)
{
	uint64_t raw = 0;

	if ((at & 0xfff) == 0x870) {
		step('q');
		regs[at] = busy ? 0x7f : 0xff;
	}
	if ((at & 0xfff) == 0x120)
		step('p');
	if ((at & 0xfff) == 0xda0) {
		step('d');
		set_reg(at, 4, soft_failures ? 0x40000000 : 0);
		soft_failures -= soft_failures != 0;
	}
	if ((at & 0xfff) == 0xda8 && reg(at, 4) & 0x80000000)
		step('H');
	memcpy(&raw, regs + at, size);
	return raw;
}

static void model_write(unsigned at, unsigned size, uint64_t raw)
{
	memcpy(regs + at, &raw, size);
	if (at >= 0x580 && at < 0x5a0) {
		step('T');
		memset(cache[(at - 0x580) / 8], 0, sizeof(cache[0]));
	}
	if ((at & 0xfff) == 0x200)
		step(reg(at, 4) ? 'A' : 'a');
	if ((at & 0xfff) == 0xda8)
		step(reg(at, 4) & 0x80000000 ? 'S' : 's');
}

static const struct iommu_model model = {model_read, model_write};

/* What the bus behind a bridge reaches: the machine address; 0: nothing. */
static uint64_t reach(unsigned bridge, uint64_t dma, bool write)
{
	uint64_t table = reg(0x580 + 8 * bridge, 8), page = dma >> 12, entry;
	unsigned size = table & 7;

	assert_true(reg(0x8160 + 0x1000 * bridge, 4) & 0x20000000);
	assert_int_equal((table & 0xffffffff8000) % (0x10000u << size), 0);
	if (page >= 0x2000u << size)
		return 0;
	if (!cache[bridge][page].known) {
		const uint8_t *at = (const uint8_t *)(uintptr_t)(table & 0xffffffff8000) + 8 * page;

		entry = 0;
		for (unsigned i = 0; i < 8; i++)
			entry = entry << 8 | at[i];
		cache[bridge][page].known = true;
		cache[bridge][page].entry = entry;
	}
	entry = cache[bridge][page].entry;
	assert_int_equal(entry & 0xffff000000000ffc, 0);
	return entry >> write & 1 ? (entry & 0xfffffffff000) | (dma & 0xfff) : 0;
}

int vtd_start(const void *dmar, size_t len)
{
	return -XEN_ENODEV;
}

int amdvi_start(const void *ivrs, size_t len)
{
	return -XEN_ENODEV;
}

/* ---- the table ------------------------------------------------------------------------------------- */

static uint8_t ebda[1024];
#define TABLE 0x204

/* A block of another kind first; then one scalability device, a Hurricane and a Calgary. */
static int usual(void **state)
{
	memset(ebda, 0, sizeof(ebda));
	memcpy(ebda + 0x180, (uint8_t[]){0x00, 0x02, 0x11, 0x22}, 4);
	memcpy(ebda + 0x200, (uint8_t[]){0, 0, 0x52, 0x47, 3, 1, 2}, 7);
	ebda[TABLE + 3 + 12 + 5] = 2;
	memcpy(ebda + TABLE + 3 + 12 + 15, (uint8_t[]){9, 0, 0, 0xb0, 0xfe, 4}, 6);

	memset(regs, 0, sizeof(regs));
	memset(cache, 0, sizeof(cache));
	memset(steps, 0, sizeof(steps));
	memset(iommu_world_configs, 0, sizeof(iommu_world_configs));
	iommu_world_configs[0] = (struct iommu_config){BUS << 8, 0x02a11014};
	iommu_world_configs[1] = (struct iommu_config){BUS_2 << 8, 0x03081014};
	soft_failures = 0;
	busy = false;
	set_reg(0x4020, 4, BUS << 16 | (BUS + 1) << 8);
	set_reg(0x5020, 4, BUS_2 << 16);
	set_reg(0x6020, 4, 12 << 16 | 13 << 8); /* somebody else's bridge is there */
	for (unsigned n = 0; n < 4; n++) {
		set_reg(0x8200 + 0x1000 * n, 4, 0x1234);
		set_reg(0x580 + 8 * n, 8, 0x5a00000000000ff0); /* what is not ours of it */
	}
	/* Memory of devices: 0x10000000 to 0x101fffff, and 0x20000000 to 0x200fffff. */
	set_reg(0x8190, 4, 0x10000000);
	set_reg(0x81c0, 4, 0x10100000);
	set_reg(0x82b0, 4, 0x20000000);
	set_reg(0x82e0, 4, 0x20000000);
	set_reg(0x8160, 4, 0x00400000);
	iommu_world_model = &model;
	return 0;
}

static int end(void **state)
{
	busy = false;
	iommu_world_memory(~0u);
	assert_int_equal(iommu_start("none", 4), -XEN_EINVAL);
	assert_int_equal(iommu_world_pages(), 0);
	assert_int_equal(reg(0x8160, 4) & 0x21100000, 0);
	return 0;
}

static int parse(size_t len, struct rio *out)
{
	uint8_t *copy = malloc(len);
	int err;

	memcpy(copy, ebda, len);
	err = rio_parse(copy, len, out);
	free(copy);
	return err;
}

static void where_they_are(void **state)
{
	struct rio r;

	assert_int_equal(parse(sizeof(ebda), &r), 0);
	assert_int_equal(r.n_calgaries, 1);
	assert_int_equal(r.registers[0], CHIP);
	/* The older version, whose devices are shorter. */
	memset(ebda + TABLE, 0, 100);
	memcpy(ebda + TABLE, (uint8_t[]){2, 2, 2}, 3);
	memcpy(ebda + TABLE + 3 + 22, (uint8_t[]){9, 0, 0, 0xb0, 0xfe, 4}, 6);
	memcpy(ebda + TABLE + 3 + 22 + 13, (uint8_t[]){9, 0, 0, 0xc0, 0xfe, 5}, 6);
	assert_int_equal(parse(sizeof(ebda), &r), 0);
	assert_int_equal(r.n_calgaries, 2);
	assert_int_equal(r.registers[1], 0xfec00000);
}

static void damaged(void **state)
{
	struct rio r;

	for (size_t len = 1; len <= sizeof(ebda); len++) {
		int err = parse(len, &r);

		assert_int_equal(err, len < 0x204                     ? -XEN_ENODEV
				      : len < TABLE + 3 + 12 + 2 * 15 ? -XEN_EINVAL
								      : 0);
		assert_true(!err || r.problem);
	}
	ebda[TABLE] = 1;
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_EINVAL);
	assert_string_equal(r.problem, "a table of another version");
	ebda[TABLE] = 200;
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_EINVAL);
	usual(NULL);
	ebda[TABLE + 2] = 255; /* more than the area has */
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_EINVAL);
	usual(NULL);
	ebda[TABLE + 3 + 12 + 15 + 2] = 8; /* registers on no border */
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_EINVAL);
	usual(NULL);
	ebda[0x180] = 0x80; /* a chain that leads back to itself, and down */
	ebda[0x181] = 1;
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_ENODEV);
	ebda[0x181] = 0;
	ebda[0x80] = 0x80; /* which leads up again */
	ebda[0x81] = 1;
	assert_int_equal(parse(sizeof(ebda), &r), -XEN_ENODEV);
}

/* ---- buses ----------------------------------------------------------------------------------------- */

static struct iommu_space *start(uint16_t bdf)
{
	struct iommu_space *space;

	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), 2);
	assert_int_equal(iommu_space_new(iommu_of(bdf), 1, &space), 0);
	return space;
}

static void leave(struct iommu_space *space, uint16_t bdf)
{
	assert_int_equal(iommu_detach(space, bdf), 0);
	assert_int_equal(iommu_space_free(space), 0);
}

static void found(void **state)
{
	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), 2);
	assert_string_equal(iommu_name(iommu_get(0)), "calgary-04");
	assert_string_equal(iommu_name(iommu_get(1)), "calioc2-08");
	assert_int_equal(iommu_traits(iommu_get(0))->address_bits, 32);
	assert_false(iommu_traits(iommu_get(0))->interrupts);
	assert_ptr_equal(iommu_of(CARD), iommu_get(0));
	assert_ptr_equal(iommu_of(CARD_2), iommu_get(1));
	assert_null(iommu_of((BUS + 2) << 8));
	assert_null(iommu_of(12 << 8));
	assert_int_equal(iommu_interrupts_start(NULL, 0), -XEN_EOPNOTSUPP);
	/* Translated: no addresses beyond, errors told; the bits of others as they were. */
	assert_int_equal(reg(0x8160, 4), 0x21500000);
	assert_int_equal(reg(0x9160, 4), 0x21100000);
	assert_int_equal(reg(0x9db0, 4), 0x00800000);
	assert_int_equal(reg(0x580, 8) & ~0xffffffff8007ull, 0x5a00000000000ff0);
	/* The third bridge is not one of ours, the fourth has no bus: not touched. */
	assert_int_equal(reg(0xa160, 4), 0);
	assert_int_equal(reg(0x590, 8), 0x5a00000000000ff0);
	assert_int_equal(reach(0, 0x3000, false), 0);
}

static void no_such_machine(void **state)
{
	memset(iommu_world_configs, 0, sizeof(iommu_world_configs));
	iommu_world_model = NULL; /* nor is anything asked for */
	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), -XEN_ENODEV);
	iommu_world_model = &model;
	memset(ebda + 0x200, 0, 4);
	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), -XEN_ENODEV);
	assert_string_equal(steps, "");
}

static void what_devices_see(void **state)
{
	struct iommu_space *space = start(DISK), *second;
	maddr_t to;
	unsigned rights;

	assert_int_equal(iommu_space_new(iommu_of(DISK), 1, &second), -XEN_ENOSPC);
	assert_int_equal(iommu_map(space, 0x200000, (maddr_t){0x123456000}, 0x2000, IOMMU_READ), 0);
	assert_int_equal(reach(0, 0x200010, false), 0); /* nobody is in it yet */
	assert_int_equal(iommu_attach(space, DISK), 0);
	assert_int_equal(reach(0, 0x200010, false), 0x123456010);
	assert_int_equal(reach(0, 0x201010, false), 0x123457010);
	assert_int_equal(reach(0, 0x200010, true), 0);
	assert_int_equal(reach(0, 0x202000, false), 0);
	assert_int_equal(reach(1, 0x200010, false), 0);
	assert_int_equal(iommu_map(space, 0x300000, (maddr_t){0x7000}, 0x1000, IOMMU_WRITE), 0);
	assert_int_equal(reach(0, 0x300fff, true), 0x7fff);
	assert_int_equal(reach(0, 0x300fff, false), 0);
	assert_int_equal(iommu_lookup(space, 0x300123, &to, &rights), 0);
	assert_int_equal(to.v, 0x7123);
	assert_int_equal(rights, IOMMU_WRITE);
	assert_int_equal(iommu_lookup(space, 0x302123, &to, &rights), -XEN_ENOENT);
	/* Unmapped, and forgotten after the flush. */
	assert_int_equal(iommu_unmap(space, 0x200000, 0x2000), 0);
	assert_int_equal(reach(0, 0x200010, false), 0x123456010);
	assert_int_equal(iommu_flush_range(space, 0x200000, 0x2000), 0);
	assert_int_equal(reach(0, 0x200010, false), 0);
	assert_int_equal(iommu_space_prune(space), 0);
	leave(space, DISK);
	assert_int_equal(reach(0, 0x300fff, true), 0);
	/* The next space is empty. */
	assert_int_equal(iommu_space_new(iommu_of(DISK), 1, &space), 0);
	assert_int_equal(iommu_attach(space, CARD), 0);
	assert_int_equal(reach(0, 0x300fff, true), 0);
	leave(space, CARD);
}

/* The last one closes the door. */
static void neighbours(void **state)
{
	struct iommu_space *space = start(DISK);

	assert_int_equal(iommu_attach(space, DISK), 0);
	assert_int_equal(iommu_attach(space, CARD), 0);
	assert_int_equal(iommu_attach(space, CARD_2), -XEN_EXDEV);
	assert_int_equal(iommu_pass(CARD, true), -XEN_EBUSY);
	assert_int_equal(iommu_pass(CARD + 8, true), -XEN_EOPNOTSUPP);
	assert_int_equal(iommu_map(space, 0x300000, (maddr_t){0x7000}, 0x1000, 3), 0);
	assert_int_equal(iommu_detach(space, DISK), 0);
	assert_int_equal(reach(0, 0x300000, true), 0x7000);
	assert_int_equal(iommu_space_free(space), -XEN_EBUSY);
	assert_int_equal(iommu_detach(space, CARD), 0);
	assert_int_equal(reach(0, 0x300000, true), 0);
	assert_int_equal(iommu_attach(space, CARD), 0);
	assert_int_equal(reach(0, 0x300000, true), 0x7000);
	leave(space, CARD);
}

static void refused(void **state)
{
	struct iommu_space *space = start(DISK);
	uint64_t end = 1ull << 32;
	maddr_t to = {0x7000};
	const struct iommu_reserved *r = iommu_reserved(0);

	assert_int_equal(iommu_map(space, 0x300800, to, 0x1000, 3), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, 0x300000, to, 0, 3), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, 0x300000, to, 0x1000, 0), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, 0x300000, (maddr_t){1ull << 48}, 0x1000, 3), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, end - 0x1000, to, 0x2000, 3), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, end, to, 0x1000, 3), -XEN_EINVAL);
	assert_int_equal(iommu_map(space, end - 0x1000, to, 0x1000, 3), 0);
	assert_int_equal(iommu_map(space, end - 0x2000, to, 0x2000, 3), -XEN_EEXIST);
	assert_int_equal(iommu_unmap(space, end - 0x2000, 0x2000), -XEN_ENOENT);
	assert_int_equal(iommu_unmap(space, end, 0x1000), -XEN_EINVAL);
	/* Holes: the PC's own, and where the bus's devices have their memory. */
	assert_int_equal(iommu_map(space, 0x9f000, to, 0x1000, 3), 0);
	assert_int_equal(iommu_map(space, 0xa0000, to, 0x1000, 3), -XEN_EEXIST);
	assert_int_equal(iommu_map(space, 0x0ffff000, to, 0x2000, 3), -XEN_EEXIST);
	assert_int_equal(iommu_map(space, 0x101ff000, to, 0x1000, 3), -XEN_EEXIST);
	assert_int_equal(iommu_map(space, 0x10200000, to, 0x1000, 3), 0);
	assert_int_equal(iommu_map(space, 0x20000000, to, 0x1000, 3), -XEN_EEXIST);
	assert_int_equal(r->start, 0xa0000);
	assert_int_equal(r->end, 0x100000);
	assert_int_equal(r->rights, 0);
	assert_true(r->first_bdf == BUS << 8 && r->last_bdf == ((BUS + 1) << 8 | 0xff));
	assert_int_equal(iommu_space_free(space), 0);
}

/* ---- coming to rest -------------------------------------------------------------------------------- */

static void a_calgary_rests(void **state)
{
	struct iommu_space *space = start(DISK);

	memset(steps, 0, sizeof(steps));
	assert_int_equal(iommu_attach(space, DISK), 0);
	/* No arbitration, which is seen to be there, rest, the table, arbitration as it was. */
	assert_string_equal(steps, "apqTA");
	assert_int_equal(reg(0x8200, 4), 0x1234);
	busy = true;
	memset(steps, 0, sizeof(steps));
	assert_int_equal(iommu_flush_entry(space, 0x200000), -XEN_EIO);
	assert_string_equal(steps, "apqTA");
	assert_int_equal(iommu_detach(space, DISK), -XEN_EIO);
	busy = false;
	leave(space, DISK);
}

static void a_calioc2_rests(void **state)
{
	struct iommu_space *space = start(CARD_2);

	memset(steps, 0, sizeof(steps));
	soft_failures = 2;
	assert_int_equal(iommu_attach(space, CARD_2), 0);
	/* A soft stop, rest, whether it was one: three times; made hard; the table; and on. */
	assert_string_equal(steps, "SqdHSqdHSqdHdTHs");
	assert_int_equal(reg(0x9da8, 4), 0);
	assert_int_equal(iommu_map(space, 0x300000, (maddr_t){0x7000}, 0x1000, 3), 0);
	assert_int_equal(reach(1, 0x300000, true), 0x7000);
	soft_failures = 1000;
	assert_int_equal(iommu_flush_all(space), -XEN_EIO);
	assert_int_equal(reg(0x9da8, 4), 0); /* the bus goes on */
	soft_failures = 0;
	leave(space, CARD_2);
}

/* As large as there is memory for: one for nothing, and one for the space, each with its size to spare. */
static void all_sizes(void **state)
{
	ebda[TABLE + 3 + 12 + 15 + 5] = 5;
	iommu_world_configs[1].bdf = 0xffff;
	for (unsigned size = 0; size < 8; size++) {
		struct iommu_space *space;
		uint64_t last = (0x2000ull << (size + 12)) - 0x1000;

		iommu_world_memory(31 + 2 * (16u << size));
		assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), 1);
		iommu_world_memory(~0u);
		assert_int_equal(iommu_traits(iommu_get(0))->address_bits, 25 + size);
		assert_int_equal(iommu_space_new(iommu_get(0), 1, &space), 0);
		assert_int_equal(iommu_attach(space, DISK), 0);
		assert_int_equal(reg(0x580, 8) & 7, size);
		assert_int_equal(iommu_map(space, last, (maddr_t){0x7000}, 0x1000, 3), 0);
		assert_int_equal(reach(0, last, true), 0x7000);
		assert_int_equal(iommu_map(space, last + 0x1000, (maddr_t){0x7000}, 0x1000, 3),
				 -XEN_EINVAL);
		leave(space, DISK);
		end(NULL);
	}
	iommu_world_memory(31);
	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), -XEN_ENOMEM);
	iommu_world_memory(~0u);
}

static void errors(void **state)
{
	struct iommu_fault f;
	bool lost;

	assert_int_equal(iommu_start_calgary(ebda, sizeof(ebda)), 2);
	set_reg(0x8110, 4, 0x001f0000); /* an agent alone is no error */
	assert_false(iommu_fault(&f, &lost));
	set_reg(0x8110, 4, 0x80030000);
	set_reg(0x8120, 4, 0x55);
	assert_true(iommu_fault(&f, &lost));
	assert_int_equal(f.bdf, BUS << 8);
	assert_string_equal(iommu_world_said(),
			    "calgary-04: status 80030000, PLSSR 00000055: its slots are off now");
	assert_int_equal(reg(0x8160, 4) & 0x1c000000, 0x1c000000);
	assert_int_equal(reg(0x9160, 4) & 0x1c000000, 0);
	assert_false(iommu_fault(&f, &lost));
	iommu_fault_interrupt(0xfee00000, 0x41);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, usual, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(where_they_are),   UNIT(damaged),    UNIT(found),   UNIT(no_such_machine),
	    UNIT(what_devices_see), UNIT(neighbours), UNIT(refused), UNIT(a_calgary_rests),
	    UNIT(a_calioc2_rests),  UNIT(all_sizes),  UNIT(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
