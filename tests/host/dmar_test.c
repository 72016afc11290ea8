/* dmar_test.c: the DMAR table, as QEMU makes it and as firmware gets it wrong.
 *
 * Shows: units with what is behind them, bridges followed by their buses, reserved memory for each function, I/O APICs; whatever is
 * cut off, does not add up or leads nowhere is refused with a reason of its own, at every length and with every byte changed
 * without a crash. Why: firmware's tables are read before anything protects us. (dmar_fuzz goes on.)
 *
 * links: iommu/dmar.c tests/host/iommu_world.c
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

static uint8_t table[1024];
static size_t len;
static struct dmar d;

static void add(const void *bytes, size_t n)
{
	memcpy(table + len, bytes, n);
	len += n;
}

/* Length and sum, as they should be. */
static void seal(void)
{
	uint8_t sum = 0;

	table[4] = (uint8_t)len;
	table[5] = (uint8_t)(len >> 8);
	table[9] = 0;
	for (size_t i = 0; i < len; i++)
		sum += table[i];
	table[9] = (uint8_t)-sum;
}

static int parse(void)
{
	return dmar_parse(table, len, host_iommu_bridge, &d);
}

/* 39 bits, interrupts allowed. */
static void begin(void)
{
	memset(table, 0, sizeof(table));
	memset(iommu_world_bridges, 0, sizeof(iommu_world_bridges));
	memcpy(table, "DMAR", 4);
	table[36] = 38;
	table[37] = 1;
	len = 48;
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

	begin();
	add(one, sizeof(one));
	add(rest, sizeof(rest));
	add(kept, sizeof(kept));
	seal();
	return 0;
}

static void what_it_says(void **state)
{
	assert_int_equal(parse(), 0);
	assert_true(d.interrupts);
	assert_int_equal(d.address_bits, 39);
	assert_int_equal(d.n_units, 2);
	assert_int_equal(d.units[0].registers, 0xfed90000);
	assert_false(d.units[0].all_others);
	assert_int_equal(d.units[0].n_scopes, 1);
	assert_int_equal(d.units[0].scopes[0].first_bdf, 0x10);
	assert_int_equal(d.units[0].scopes[0].last_bdf, 0x10);
	assert_true(d.units[1].all_others);
	assert_int_equal(d.units[1].n_scopes, 0);
	assert_int_equal(d.units[1].n_ioapics, 1);
	assert_int_equal(d.units[1].ioapics[0].id, 5);
	assert_int_equal(d.units[1].ioapics[0].bdf, 0xf0ff);
	assert_int_equal(d.n_reserved, 1);
	assert_int_equal(d.reserved[0].start, 0xe0000);
	assert_int_equal(d.reserved[0].end, 0xf0000);
	assert_int_equal(d.reserved[0].first_bdf, 0x1d << 3);
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

	begin();
	add(unit, sizeof(unit));
	seal();
	iommu_world_bridges[0] = (struct iommu_bridge){0x0008, 4, 9};
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(d.problem, "leads to no bridge"));
	iommu_world_bridges[1] = (struct iommu_bridge){0x0410, 7, 7};
	assert_int_equal(parse(), 0);
	assert_int_equal(d.units[0].n_scopes, 3);
	assert_int_equal(d.units[0].scopes[0].first_bdf, 0x0719);
	assert_int_equal(d.units[0].scopes[1].first_bdf, 0x0008);
	assert_int_equal(d.units[0].scopes[2].first_bdf, 0x0400);
	assert_int_equal(d.units[0].scopes[2].last_bdf, 0x09ff);
}

static void other_segments_are_left_out(void **state)
{
	table[48 + 6] = 1;
	seal();
	assert_int_equal(parse(), 0);
	assert_int_equal(d.n_units, 1);
	assert_int_equal(d.units[0].registers, 0xfed91000);
}

static void refused(unsigned at, uint8_t byte, const char *why)
{
	usual(NULL);
	table[at] = byte;
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	if (!strstr(d.problem, why))
		fail_msg("'%s' is said, not '%s'", d.problem, why);
}

static void wrong_ones(void **state)
{
	refused(48 + 2, 3, "structure of a wrong length");
	refused(48 + 2, 200, "structure of a wrong length");
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
	usual(NULL);
	table[9]++;
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(d.problem, "sum"));
	table[0] = 'X';
	assert_int_equal(parse(), -XEN_EINVAL);
}

static void too_many(void **state)
{
	static const uint8_t unit[] = {0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0};
	static const uint8_t long_unit[] = {0, 0, 160, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0};
	static const uint8_t scope[] = {SCOPE(1, 0, 0, 3, 0)}, ioapic[] = {SCOPE(3, 0, 0, 3, 0)};

	begin();
	for (unsigned i = 0; i < DMAR_UNITS + 1; i++)
		add(unit, sizeof(unit));
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_string_equal(d.problem, "too many units");
	begin();
	add(long_unit, sizeof(long_unit));
	for (unsigned i = 0; i < 18; i++)
		add(scope, sizeof(scope));
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(d.problem, "too many device scopes"));
	begin();
	add(long_unit, sizeof(long_unit));
	for (unsigned i = 0; i < 18; i++)
		add(ioapic, sizeof(ioapic));
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(d.problem, "too many I/O APICs"));
}

/* At every length, and with every byte set to this and that. */
static void whatever_it_holds(void **state)
{
	size_t whole = len;

	for (len = 0; len < whole; len++)
		assert_int_equal(parse(), -XEN_EINVAL);
	for (unsigned at = 10; at < whole; at++)
		for (unsigned v = 0; v < 256; v++) {
			usual(NULL);
			table[at] = (uint8_t)v;
			seal();
			parse();
			assert_true(d.n_units <= DMAR_UNITS && d.n_reserved <= DMAR_RESERVED);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_it_says, usual),
	    cmocka_unit_test(bridges_are_followed),
	    cmocka_unit_test_setup(other_segments_are_left_out, usual),
	    cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test_setup(whatever_it_holds, usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
