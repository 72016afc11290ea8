/* xs_tx_test.c: the store's transactions: isolation, conflicts, and that what commits serialises.
 *
 * Shows that a transaction sees its own changes and nobody else's, that others see all of it or
 * nothing, and that it fails exactly when something it looked at was changed by another. Why:
 * toolstacks and drivers change several nodes at once and count on it. Expected: all pass; of two
 * domains that raise one counter at random moments, every commit counts once.
 *
 * links: tests/host/store_host.c tests/host/store_fixture.c drivers-back/xs_server.c
 * links: drivers-back/xs_server_account.c drivers-back/xs_server_change.c
 * links: drivers-back/xs_server_conn.c drivers-back/xs_server_ops.c
 * links: drivers-back/xs_server_ring.c drivers-back/xs_server_tree.c
 * links: drivers-back/xs_server_tx.c drivers-back/xs_server_watch.c protocol/xs_wire.c
 * links: protocol/xs_path.c protocol/xs_perms.c protocol/xs_ring.c lib/printf.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/xs_server.h>

#include "store_fixture.h"

/* ---- transactions ------------------------------------------------------------------------ */

static void test_transaction_isolation(void **state)
{
	char end[] = "T";
	uint32_t tx;

	guest_ask(1, XS_WRITE, 0, R("a\0old"));
	guest_ask(1, XS_WATCH, 0, Z("a\0t"));
	guest_events(1);
	tx = begin(1);
	assert_int_equal(guest_ask(1, XS_WRITE, tx, R("a\0new")), 3);
	assert_int_equal(guest_ask(1, XS_MKDIR, tx, Z("a/sub")), 3);
	/* It sees its own writes; others do not, and nobody is told. */
	guest_ask(1, XS_READ, tx, Z("a"));
	assert_string_equal(guest_reply, "new");
	guest_ask(1, XS_READ, 0, Z("a"));
	assert_string_equal(guest_reply, "old");
	assert_string_equal(guest_events(1), "");
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z(end)), 3);
	assert_string_equal(guest_events(1), "a|t\na/sub|t\n");
	guest_ask(1, XS_READ, 0, Z("a"));
	assert_string_equal(guest_reply, "new");
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z(end)), -XEN_ENOENT);
}

static void test_transaction_abort(void **state)
{
	uint32_t tx = begin(1);

	guest_ask(1, XS_WRITE, tx, R("a\0v"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_START, tx, Z("")), -XEN_EBUSY);
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("X")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("F")), 3);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("a")), -XEN_ENOENT);
	/* A number is one domain's own. */
	tx = begin(1);
	assert_int_equal(guest_ask(2, XS_READ, tx, Z("a")), -XEN_ENOENT);
}

/* What was read and then changed by another makes it fail; what was not touched does not. */
static void test_transaction_conflict(void **state)
{
	uint32_t tx;

	guest_ask(1, XS_WRITE, 0,
		  R("a\0"
		    "1"));
	guest_ask(1, XS_WRITE, 0,
		  R("b\0"
		    "1"));
	tx = begin(1);
	guest_ask(1, XS_READ, tx, Z("a"));
	guest_ask(1, XS_WRITE, tx, R("c\0v"));
	guest_ask(1, XS_WRITE, 0,
		  R("a\0"
		    "1"));                 /* the same value is a change too */
	guest_ask(1, XS_READ, tx, Z("a")); /* reads what was, whatever happened since */
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), -XEN_EAGAIN);
	assert_int_equal(guest_ask(1, XS_READ, 0, Z("c")), -XEN_ENOENT);

	tx = begin(1);
	guest_ask(1, XS_READ, tx, Z("a"));
	guest_ask(1, XS_WRITE, tx, R("c\0v"));
	guest_ask(1, XS_WRITE, 0,
		  R("b\0"
		    "2"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), 3);
	guest_ask(1, XS_READ, 0, Z("b"));
	assert_string_equal(guest_reply, "2");

	/* A change below a node is none of the node. */
	guest_ask(1, XS_WRITE, 0,
		  R("a/low/est\0"
		    "1"));
	tx = begin(1);
	guest_ask(1, XS_READ, tx, Z("a"));
	guest_ask(1, XS_DIRECTORY, tx, Z("a"));
	guest_ask(1, XS_WRITE, 0,
		  R("a/low/est\0"
		    "2"));
	guest_ask(1, XS_MKDIR, 0, Z("a/low/other"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), 3);

	/* That a node was not there is something read as well. */
	tx = begin(1);
	assert_int_equal(guest_ask(1, XS_READ, tx, Z("d")), -XEN_ENOENT);
	guest_ask(1, XS_WRITE, 0, R("d\0v"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), -XEN_EAGAIN);

	/* A listing is one of names. */
	tx = begin(1);
	guest_ask(1, XS_DIRECTORY, tx, Z("a"));
	guest_ask(1, XS_MKDIR, 0, Z("a/x"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), -XEN_EAGAIN);

	/* A right that was lost meanwhile. */
	guest_ask(2, XS_WRITE, 0, R("open\0v"));
	guest_ask(2, XS_SET_PERMS, 0, Z("open\0b2"));
	tx = begin(1);
	assert_int_equal(guest_ask(1, XS_MKDIR, tx, Z("/local/domain/2/open/x")), 3);
	guest_ask(2, XS_SET_PERMS, 0, Z("open\0n2"));
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), -XEN_EAGAIN);
}

/* Counters raised in transactions that interleave at random: every commit counts exactly once. */
static void test_transactions_serialise(void **state)
{
	uint32_t tx[2] = {0, 0};
	int value[2], commits = 0;
	char payload[32];

	srand(1);
	ask(XS_WRITE, 0,
	    R("/count\0"
	      "0"));
	ask(XS_SET_PERMS, 0, Z("/count\0b0"));
	for (unsigned i = 0; i < 600; i++) {
		domid_t d = (domid_t)(1 + rand() % 2);
		uint32_t *t = &tx[d - 1];
		int len;

		if (!*t) {
			*t = begin(d);
			guest_ask(d, XS_READ, *t, Z("/count"));
			value[d - 1] = atoi(guest_reply);
			continue;
		}
		len = snprintf(payload, sizeof(payload), "/count%c%d", 0, value[d - 1] + 1);
		assert_int_equal(guest_ask(d, XS_WRITE, *t, payload, (size_t)len), 3);
		len = guest_ask(d, XS_TRANSACTION_END, *t, Z("T"));
		assert_true(len == 3 || len == -XEN_EAGAIN);
		commits += len == 3;
		*t = 0;
	}
	ask(XS_READ, 0, Z("/count"));
	assert_int_equal(atoi(local_reply), commits);
	assert_true(commits > 100 && commits < 299);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    T(test_transaction_isolation),
	    T(test_transaction_abort),
	    T(test_transaction_conflict),
	    T(test_transactions_serialise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
