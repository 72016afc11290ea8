/* xenbus_keys_test: numbers of a directory in the store, and transactions.
 *
 * Why: a number from a peer becomes a size, a port or an index, and what a driver writes must be seen whole or not at all.
 * Expected: digits within a range and nothing else; a transaction that another disturbs is made again, eight times.
 *
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus_keys.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <amphi/xenbus.h>

#include "mock_host.h"

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t value;
	} cases[] = {
	    {"0", 0, true, 0},
	    {"1", 0, false, 0},
	    {"007", 9, true, 7},
	    {"", 9, false, 0},
	    {"+1", 9, false, 0},
	    {" 1", 9, false, 0},
	    {"1\n", 9, false, 0},
	    {"0x10", 99, false, 0},
	    {"255", 255, true, 255},
	    {"256", 255, false, 0},
	    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, false, 0},
	    {"99999999999999999999999", UINT64_MAX, false, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;

		assert_int_equal(xenbus_parse_number(cases[i].text, cases[i].max, &value),
				 cases[i].good);
		assert_true(!cases[i].good || value == cases[i].value);
	}
}

static void test_read_numbers(void **state)
{
	static const struct xenbus_number wanted[] = {
	    {"a", 2, 10, 0, true}, {"b", 0, 10, 7, false}, {"c", 0, 10, 7, true}};
	uint64_t out[3];

	mock_reset();
	mock_store_put("/local/domain/0/d/a", "2");
	assert_int_equal(xenbus_read_numbers(HOST_TX_NONE, "d", wanted, 2, out), 0);
	assert_int_equal(out[0], 2);
	assert_int_equal(out[1], 7);
	assert_int_equal(xenbus_read_numbers(HOST_TX_NONE, "d", wanted, 3, out), -XEN_ENOENT);
	assert_true(mock_logged("d/c: missing"));
	mock_store_put("/local/domain/0/d/a", "1");
	assert_int_equal(xenbus_read_numbers(HOST_TX_NONE, "d", wanted, 1, out), -XEN_EINVAL);
	mock_store_put("/local/domain/0/d/a", "2222222222222222222222222222222222");
	assert_int_equal(xenbus_read_numbers(HOST_TX_NONE, "d", wanted, 1, out), -XEN_EINVAL);
}

static int count_tries(uint32_t tx, void *ctx)
{
	++*(int *)ctx;
	return host_store_write(tx, "x", "1");
}

static void test_transactions(void **state)
{
	int tries = 0;

	mock_reset();
	mock_tx_conflicts(3);
	assert_int_equal(xenbus_transaction(count_tries, &tries), 0);
	assert_int_equal(tries, 4);
	mock_tx_conflicts(1000);
	tries = 0;
	assert_int_equal(xenbus_transaction(count_tries, &tries), -XEN_EAGAIN);
	assert_int_equal(tries, 8);
	assert_true(mock_nothing_left(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_read_numbers),
	    cmocka_unit_test(test_transactions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
