/* firmware_bytes.h: a table of firmware that a test writes byte by byte, and what is seen of any such table, whichever it is.
 *
 * Included by dmar_test and ivrs_test, which say how theirs is read (parse) and what the usual one is (usual), and, for the sum alone, by what plays
 * firmware elsewhere.
 */
#ifndef TESTS_HOST_FIRMWARE_BYTES_H
#define TESTS_HOST_FIRMWARE_BYTES_H

#include "iommu/firmware_table.h"

/* Length and sum, as they should be. */
static inline void firmware_seal(uint8_t *bytes, size_t n)
{
	uint8_t sum = 0;

	bytes[4] = (uint8_t)n;
	bytes[5] = (uint8_t)(n >> 8);
	bytes[9] = 0;
	for (size_t i = 0; i < n; i++)
		sum += bytes[i];
	bytes[9] = (uint8_t)-sum;
}

#ifdef FIRMWARE_SIGNATURE
static uint8_t table[1024];
static size_t len;
static struct firmware t;

static int parse(void);
static int usual(void **state);

static void add(const void *bytes, size_t n)
{
	memcpy(table + len, bytes, n);
	len += n;
}

static void seal(void)
{
	firmware_seal(table, len);
}

/* The header alone. */
static void begin(void)
{
	memset(table, 0, sizeof(table));
	memcpy(table, FIRMWARE_SIGNATURE, 4);
	len = FIRMWARE_HEADER;
}

static void is_wrong(const char *why)
{
	seal();
	assert_int_equal(parse(), -XEN_EINVAL);
	if (!strstr(t.problem, why))
		fail_msg("'%s' is said, not '%s'", t.problem, why);
}

/* The usual one, but for a byte. */
static void refused(unsigned at, uint8_t byte, const char *why)
{
	usual(NULL);
	table[at] = byte;
	is_wrong(why);
}

static void another_table(void **state)
{
	usual(NULL);
	table[9]++;
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_non_null(strstr(t.problem, "sum"));
	table[9]--;
	table[0] = 'X';
	assert_int_equal(parse(), -XEN_EINVAL);
	assert_string_equal(t.problem, "not a whole table");
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
			assert_true(t.n_units <= FIRMWARE_UNITS &&
				    t.n_reserved <= FIRMWARE_RESERVED);
		}
}
#endif

#endif
