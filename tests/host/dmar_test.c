/* dmar_test.c: the DMAR table, as QEMU makes it and as firmware gets it wrong.
 *
 * Shows: units with what is behind them, bridges followed by their buses, reserved memory for each function, I/O APICs; whatever is
 * cut off, does not add up or leads nowhere is refused with a reason of its own, at every length and with every byte changed
 * without a crash. Why: firmware's tables are read before anything protects us. (dmar_fuzz goes on.)
 *
 * links: iommu/dmar.c iommu/firmware_table.c tests/host/iommu_world.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host_iommu.h>
#include <xen/errno.h>
#include "iommu/dmar.h"
#include "tests/host/iommu_world.h"

#define FIRMWARE_SIGNATURE "DMAR"
#include "tests/host/firmware_bytes.h"

static int parse(void)
{
	return dmar_parse(table, len, host_iommu_bridge, &t);
}

/* 39 bits, interrupts allowed. */
static void begin_it(void)
{
	begin();
	memset(iommu_world_bridges, 0, sizeof(iommu_world_bridges));
	table[36] = 38;
	table[37] = 1;
}

#define SCOPE(type, id, bus, dev, fn) type, 8, 0, 0, id, bus, dev, fn

/* One unit for one function, one for an I/O APIC and the rest; a keyboard's memory. */
static int usual(void **state)
{
	static const uint8_t one[] = {
	    0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, SCOPE(1, 0, 0, 2, 0)};
	static const uint8_t rest[] = {
	    0, 0, 24, 0, 1, 0, 0, 0, 0, 0x10, 0xd9, 0xfe, 0, 0, 0, 0, SCOPE(3, 5, 0xf0, 31, 7)};
	static const uint8_t kept[] = {1,    0,    32,   0,    0,
				       0,    0,    0,    0,    0,
				       0x0e, 0,    0,    0,    0,
				       0,    0xff, 0xff, 0x0e, 0,
				       0,    0,    0,    0,    SCOPE(1, 0, 0, 0x1d, 0)};

	begin_it();
	add(one, sizeof(one));
	add(rest, sizeof(rest));
	add(kept, sizeof(kept));
	seal();
	return 0;
}

static void what_it_says(void **state)
{
	assert_int_equal(parse(), 0);
	assert_true(t.interrupts);
	assert_int_equal(t.address_bits, 39);
	assert_int_equal(t.n_units, 2);
	assert_int_equal(t.units[0].registers, 0xfed90000);
	assert_false(t.units[0].all_others);
	assert_int_equal(t.units[0].n_scopes, 1);
	assert_int_equal(t.units[0].scopes[0].first_bdf, 0x10);
	assert_int_equal(t.units[0].scopes[0].last_bdf, 0x10);
	assert_true(t.units[1].all_others);
	assert_int_equal(t.units[1].n_scopes, 0);
	assert_int_equal(t.units[1].n_ioapics, 1);
	assert_int_equal(t.units[1].ioapics[0].id, 5);
	assert_int_equal(t.units[1].ioapics[0].bdf, 0xf0ff);
	assert_int_equal(t.n_reserved, 1);
	assert_int_equal(t.reserved[0].start, 0xe0000);
	assert_int_equal(t.reserved[0].end, 0xf0000);
	assert_int_equal(t.reserved[0].first_bdf, 0x1d << 3);
}

/* A function two bridges away, and all behind a bridge. */
static void bridges_are_followed(void **state)
{
	static const uint8_t unit[] = {0,
				       0,
				       36,
				       0,
				       0,
				       0,
				       0,
				       0,
				       0,
				       0,
				       0xd9,
				       0xfe,
				       0,
				       0,
				       0,
				       0,
				       1,
				       12,
				       0,
				       0,
				       0,
				       0,
				       1,
				       0,
				       2,
				       0,
				       3,
				       1,
				       SCOPE(2, 0, 0, 1, 0)};

	begin_it();
	add(unit, sizeof(unit));
	seal();
	iommu_world_bridges[0] = (struct iommu_bridge){0x0008, 4, 9};
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(t.problem, "leads to no bridge"));
	iommu_world_bridges[1] = (struct iommu_bridge){0x0410, 7, 7};
	assert_int_equal(parse(), 0);
	assert_int_equal(t.units[0].n_scopes, 3);
	assert_int_equal(t.units[0].scopes[0].first_bdf, 0x0719);
	assert_int_equal(t.units[0].scopes[1].first_bdf, 0x0008);
	assert_int_equal(t.units[0].scopes[2].first_bdf, 0x0400);
	assert_int_equal(t.units[0].scopes[2].last_bdf, 0x09ff);
}

static void other_segments_are_left_out(void **state)
{
	table[48 + 6] = 1;
	seal();
	assert_int_equal(parse(), 0);
	assert_int_equal(t.n_units, 1);
	assert_int_equal(t.units[0].registers, 0xfed91000);
}

static void wrong_ones(void **state)
{
	refused(48 + 2, 3, "block of a wrong length");
	refused(48 + 2, 200, "block of a wrong length");
	refused(48 + 2, 23, "device scope of a wrong length");
	refused(48 + 2, 12, "a unit that is cut off");
	refused(48 + 9, 1, "without registers");
	refused(48 + 17, 6, "device scope of a wrong length");
	refused(48 + 17, 9, "device scope of a wrong length");
	refused(48 + 17, 10, "device scope of a wrong length");
	refused(48 + 22, 32, "leads to no bridge");
	refused(48 + 23, 8, "leads to no bridge");
	refused(96 + 2, 20, "reserved memory that is cut off");
	refused(96 + 9, 8, "no range of pages");
	refused(96 + 10, 0x0f, "no range of pages");
}

static void too_many(void **state)
{
	static const uint8_t unit[] = {0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0};
	static const uint8_t long_unit[] = {0, 0, 160, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0};
	static const uint8_t full_unit[] = {0, 0, 0x18, 2,    0, 0, 0, 0,
					    0, 0, 0xd9, 0xfe, 0, 0, 0, 0};
	static const uint8_t scope[] = {SCOPE(1, 0, 0, 3, 0)}, ioapic[] = {SCOPE(3, 0, 0, 3, 0)};

	begin_it();
	for (unsigned i = 0; i < FIRMWARE_UNITS + 1; i++)
		add(unit, sizeof(unit));
	is_wrong("too many units");
	begin_it();
	add(full_unit, sizeof(full_unit));
	for (unsigned i = 0; i < IOMMU_SCOPES + 1; i++)
		add(scope, sizeof(scope));
	is_wrong("too many ranges of functions");
	begin_it();
	add(long_unit, sizeof(long_unit));
	for (unsigned i = 0; i < 18; i++)
		add(ioapic, sizeof(ioapic));
	is_wrong("too many I/O APICs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_it_says, usual),
	    cmocka_unit_test(bridges_are_followed),
	    cmocka_unit_test_setup(other_segments_are_left_out, usual),
	    cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(another_table),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test_setup(whatever_it_holds, usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
