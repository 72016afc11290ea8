/* ivrs_test.c: the IVRS table, as QEMU makes it and as firmware gets it wrong.
 *
 * Shows: units once, though told of in two forms; functions by themselves, in ranges, and all others; those that send as another; I/O APICs; unity maps and exclusions; whatever is cut off,
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

/* As QEMU tells of two bridges: 00:06.0 is Express, all on bus 2 send as 02:00.0; 00:07.0 is not, all on buses 3 and 4 send as it. Then one that does as the next. */
enum { ALIASES = FIRST + 24 };
#define ALIAS(type, n, sender) type, (n)&0xff, (n) >> 8, 0, 0xff, (sender)&0xff, (sender) >> 8, 0xff
#define PLAIN(type, n)         type, (n)&0xff, (n) >> 8, 0

static int aliased(void **state)
{
	static const uint8_t block[] = {UNIT(0x10, 24 + 40, 0),  PLAIN(2, 0x30),
					ALIAS(67, 0x200, 0x200), PLAIN(4, 0x2ff),
					PLAIN(2, 0x38),          ALIAS(67, 0x300, 0x38),
					PLAIN(4, 0x4ff),         ALIAS(66, 0x48, 0x49)};

	begin_it();
	add(block, sizeof(block));
	seal();
	return 0;
}

static void who_sends_as_another(void **state)
{
	static const struct iommu_alias want[] = {
	    {0x200, 0x2ff, 0x200}, {0x300, 0x4ff, 0x38}, {0x48, 0x48, 0x49}};
	/* The numbers that are sent by are the unit's, too. */
	static const struct iommu_scope scopes[] = {{0x30, 0x30},   {0x200, 0x2ff}, {0x38, 0x38},
						    {0x300, 0x4ff}, {0x38, 0x38},   {0x48, 0x48},
						    {0x49, 0x49}};

	assert_int_equal(parse(), 0);
	assert_int_equal(t.units[0].n_aliases, ARRAY_SIZE(want));
	assert_memory_equal(t.units[0].aliases, want, sizeof(want));
	assert_int_equal(t.units[0].n_scopes, ARRAY_SIZE(scopes));
	assert_memory_equal(t.units[0].scopes, scopes, sizeof(scopes));
}

/* The aliased one, but for a byte. */
static void alias_refused(unsigned at, uint8_t byte, const char *why)
{
	aliased(NULL);
	table[at] = byte;
	is_wrong(why);
}

static void wrong_aliases(void **state)
{
	enum {
		RANGE = ALIASES + 4,
		END = RANGE + 8,
		SECOND_RANGE = END + 8,
		ONE = SECOND_RANGE + 12
	};

	alias_refused(END, 0, "a range within a range");
	alias_refused(END + 4, 3, "a range within a range");
	alias_refused(RANGE, 66, "a range that did not begin");
	alias_refused(END + 2, 1, "ends before it begins");
	alias_refused(SECOND_RANGE + 8, 0, "an alias within a range");
	alias_refused(ONE, 67, "a range that does not end");
	/* Its second half is not there. */
	aliased(NULL);
	len -= 4;
	table[FIRST + 2] -= 4;
	is_wrong("an entry that is cut off");
	aliased(NULL);
	table[ONE] = 2;
	table[ONE + 4] = 67;
	is_wrong("an entry that is cut off");
}

static void too_many_aliases(void **state)
{
	static const uint8_t one[] = {ALIAS(66, 0x48, 0x48)};
	uint8_t unit[] = {UNIT(0x10, 0, 0)};
	unsigned bytes = sizeof(unit) + sizeof(one) * (IOMMU_ALIASES + 1);

	begin_it();
	unit[2] = (uint8_t)bytes;
	unit[3] = (uint8_t)(bytes >> 8);
	add(unit, sizeof(unit));
	for (unsigned i = 0; i < IOMMU_ALIASES + 1; i++)
		add(one, sizeof(one));
	is_wrong("too many aliases");
	table[FIRST + 2] -= sizeof(one);
	len -= sizeof(one);
	seal();
	assert_int_equal(parse(), 0);
	assert_int_equal(t.units[0].n_aliases, IOMMU_ALIASES);
	assert_int_equal(t.units[0].n_scopes, IOMMU_ALIASES);
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
	    cmocka_unit_test_setup(who_sends_as_another, aliased),
	    cmocka_unit_test(wrong_aliases),
	    cmocka_unit_test(too_many_aliases),
	    cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(another_table),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test_setup(whatever_it_holds, usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
