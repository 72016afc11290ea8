/* ivrs_test.c: the IVRS table, as QEMU makes it and as firmware gets it wrong.
 *
 * Shows: units once, though told of in two forms; functions by themselves, in ranges, and all others; unity maps and exclusions; whatever is cut off,
 * does not add up or ends without a beginning is refused with a reason of its own, at every length and with every byte changed without a crash.
 * Why: firmware's tables are read before anything protects us. (ivrs_fuzz goes on.)
 *
 * links: iommu/ivrs.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include "iommu/ivrs.h"

static uint8_t table[1024];
static size_t len;
static struct ivrs t;

static void add(const void *bytes, size_t n)
{
	memcpy(table + len, bytes, n);
	len += n;
}

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
	return ivrs_parse(table, len, &t);
}

/* 48 bits of virtual addresses (bits 15-21 of the information). */
static void begin(void)
{
	memset(table, 0, sizeof(table));
	memcpy(table, "IVRS", 4);
	table[37] = 0;
	table[38] = 0x18;
	len = 48;
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

	begin();
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

static void refused(unsigned at, uint8_t byte, const char *why)
{
	usual(NULL);
	table[at] = byte;
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	if (!strstr(t.problem, why))
		fail_msg("'%s' is said, not '%s'", t.problem, why);
}

static void wrong_ones(void **state)
{
	refused(FIRST + 2, 3, "block of a wrong length");
	refused(FIRST + 2, 200, "block of a wrong length");
	refused(FIRST + 2, 20, "a unit that is cut off");
	refused(FIRST + 6, 0xf4, "without registers");
	refused(FIRST + 6, 0x42, "without registers");
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
	usual(NULL);
	table[9]++;
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(t.problem, "sum"));
}

static void too_many(void **state)
{
	static const uint8_t one[] = {2, 0x18, 0, 0};
	uint8_t unit[] = {UNIT(0x10, 24, 0)};

	begin();
	for (uint8_t i = 0; i < IVRS_UNITS + 1; i++) {
		unit[9] = (uint8_t)(i << 4);
		add(unit, sizeof(unit));
	}
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_string_equal(t.problem, "too many units");
	begin();
	unit[2] = 24 + 4 * 17;
	add(unit, sizeof(unit));
	for (unsigned i = 0; i < 17; i++)
		add(one, sizeof(one));
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(t.problem, "too many ranges"));
}

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
			assert_true(t.n_units <= IVRS_UNITS && t.n_reserved <= IVRS_RESERVED);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_it_says, usual),
	    cmocka_unit_test_setup(the_long_form, usual),
	    cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test_setup(whatever_it_holds, usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
