/* ivrs_test.c: the IVRS table, as QEMU makes it and as firmware gets it wrong.
 *
 * Shows: units once, though told of in two forms; functions by themselves, in ranges, and all others; I/O APICs; unity maps and exclusions; whatever is cut off,
 * does not add up or ends without a beginning is refused with a reason of its own, at every length and with every byte changed without a crash.
 * Why: firmware's tables are read before anything protects us. (ivrs_fuzz goes on.)
 *
 * links: iommu/ivrs.c iommu/firmware_table.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include "iommu/ivrs.h"

#define FIRMWARE_SIGNATURE "IVRS"
#include "tests/host/firmware_bytes.h"

static int parse(void)
{
	return ivrs_parse(table, len, &t);
}

/* 48 bits of virtual addresses (bits 15-21 of the information). */
static void begin_it(void)
{
	begin();
	table[38] = 0x18;
}

#define UNIT(type, len, at)                                                                        \
	type, 0, len, 0, 8, 0, 0x40, 0, 0, at, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
enum { FIRST = 48, ENTRIES = FIRST + 24, SECOND = ENTRIES + 16, MEMORY = SECOND + 44 };

/* A unit for a function and a range, the same again in the long form with all others, and a keyboard's memory. */
static int usual(void **state)
{
	static const uint8_t short_form[] = {
	    UNIT(0x10, 40, 0), 2, 0x18, 0, 0, 3, 0x20, 0, 0, 4, 0x27, 0, 0, 0, 0, 0, 0};
	static const uint8_t long_form[] = {
	    UNIT(0x11, 44, 0), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
	static const uint8_t memory[] = {0x21, 7, 32,   0, 0xe8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					 0,    0, 0x0e, 0, 0,    0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};

	begin_it();
	add(short_form, sizeof(short_form));
	add(long_form, sizeof(long_form));
	add(memory, sizeof(memory));
	seal();
	return 0;
}

static void what_it_says(void **state)
{
	assert_int_equal(parse(), 0);
	assert_int_equal(t.address_bits, 48);
	assert_int_equal(t.n_units, 1);
	assert_int_equal(t.units[0].registers, 0xfed80000);
	assert_int_equal(t.units[0].bdf, 8);
	assert_int_equal(t.units[0].capability, 0x40);
	assert_false(t.units[0].all_others);
	assert_int_equal(t.units[0].n_scopes, 2);
	assert_int_equal(t.units[0].scopes[0].first_bdf, 0x18);
	assert_int_equal(t.units[0].scopes[1].first_bdf, 0x20);
	assert_int_equal(t.units[0].scopes[1].last_bdf, 0x27);
	assert_int_equal(t.n_reserved, 1);
	assert_int_equal(t.reserved[0].start, 0xe0000);
	assert_int_equal(t.reserved[0].end, 0xf0000);
	assert_int_equal(t.reserved[0].rights, IOMMU_READ | IOMMU_WRITE);
	assert_int_equal(t.reserved[0].first_bdf, 0xe8);
}

static void the_long_form(void **state)
{
	table[SECOND + 9] = 0x10; /* another unit, then */
	table[MEMORY] = 0x20;     /* for all */
	table[MEMORY + 1] = 2;    /* to be read only */
	seal();
	assert_int_equal(parse(), 0);
	assert_int_equal(t.n_units, 2);
	assert_true(t.units[1].all_others);
	assert_int_equal(t.reserved[0].last_bdf, 0xffff);
	assert_int_equal(t.reserved[0].rights, IOMMU_READ);
}

/* Devices that are no functions: I/O APICs by their ids, and what is none. */
static void io_apics(void **state)
{
	uint8_t block[24 + (IOMMU_IOAPICS + 2) * 8] = {UNIT(0x10, 0, 0)};
	unsigned n = IOMMU_IOAPICS + 1;

	(void)state;
	for (uint8_t i = 0; i <= n; i++)
		memcpy(block + 24 + 8 * i, (uint8_t[]){72, 0, 0, 0, i, (uint8_t)(0xa0 + i), 0, 1},
		       8);
	block[24 + 8 + 7] = 2; /* an HPET */
	block[2] = (uint8_t)(24 + 8 * n);
	begin_it();
	add(block, 24 + 8 * n);
	seal();
	assert_int_equal(parse(), 0);
	assert_int_equal(t.units[0].n_ioapics, IOMMU_IOAPICS);
	assert_int_equal(t.units[0].n_scopes, 0);
	assert_int_equal(t.units[0].ioapics[0].id, 0);
	assert_int_equal(t.units[0].ioapics[0].bdf, 0xa0);
	assert_int_equal(t.units[0].ioapics[1].id, 2);
	assert_int_equal(t.units[0].ioapics[1].bdf, 0xa2);
	block[2] += 8;
	begin_it();
	add(block, sizeof(block));
	is_wrong("a unit with too many I/O APICs");
}

static void wrong_ones(void **state)
{
	refused(FIRST + 2, 3, "block of a wrong length");
	refused(FIRST + 2, 200, "block of a wrong length");
	refused(FIRST + 2, 20, "a unit that is cut off");
	refused(FIRST + 6, 0xf4, "without a capability");
	refused(FIRST + 6, 0x42, "without a capability");
	refused(FIRST + 9, 1, "without registers");
	refused(ENTRIES, 4, "did not begin");
	refused(ENTRIES, 3, "within a range");
	refused(ENTRIES + 8, 0, "does not end");
	refused(ENTRIES + 12, 240, "cut off");
	refused(ENTRIES + 12, 64, "cut off");
	refused(ENTRIES + 9, 0x1f, "ends before it begins");
	refused(MEMORY + 2, 28, "reserved memory that is cut off");
	refused(MEMORY + 17, 8, "no range of pages");
	refused(MEMORY + 26, 0, "no range of pages");
}

static void too_many(void **state)
{
	static const uint8_t one[] = {2, 0x18, 0, 0};
	uint8_t unit[] = {UNIT(0x10, 24, 0)};

	begin_it();
	for (uint8_t i = 0; i < FIRMWARE_UNITS + 1; i++) {
		unit[9] = (uint8_t)(i << 4);
		add(unit, sizeof(unit));
	}
	is_wrong("too many units");
	begin_it();
	unit[2] = (uint8_t)(24 + 4 * (IOMMU_SCOPES + 1));
	unit[3] = (24 + 4 * (IOMMU_SCOPES + 1)) >> 8;
	add(unit, sizeof(unit));
	for (unsigned i = 0; i < IOMMU_SCOPES + 1; i++)
		add(one, sizeof(one));
	is_wrong("too many ranges");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_it_says, usual),
	    cmocka_unit_test_setup(the_long_form, usual),
	    cmocka_unit_test(io_apics),
	    cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(another_table),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test_setup(whatever_it_holds, usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
