/* xs_limits_test.c: the store server against domains that ask too much, break the rules, or end.
 *
 * Shows that quotas hold, that what waits for a slow reader is bounded and loses nothing, that a
 * peer that breaks the ring or the wire format is cut off alone, that nothing of a domain is left
 * once it is gone, and that want of memory at any allocation leaves the tree as it was. Why: one
 * guest must not be able to disturb another. Expected: all pass with no memory held at the end.
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

/* ---- quotas and flow --------------------------------------------------------------------- */

static const struct xs_quota small = {
    .nodes = 10,
    .bytes = 4096,
    .watches = 3,
    .transactions = 2,
    .tx_bytes = 2048,
    .value_bytes = 1024,
    .event_bytes = 256,
};

static int setup_small(void **state)
{
	return store_setup_quota(&small);
}

static void test_quota_nodes(void **state)
{
	char payload[1200] = "v";
	struct xs_counters count;
	unsigned made = 0;
	uint32_t tx;
	int len;

	for (unsigned i = 0; i < 20; i++) {
		len = snprintf(payload, sizeof(payload), "n%u", i);
		len = guest_ask(1, XS_MKDIR, 0, payload, (size_t)len + 1);
		assert_true(len == 3 || len == -XEN_ENOSPC);
		made += len == 3;
	}
	assert_int_equal(made, 9); /* and its home */
	/* Not in a transaction either, nor below a foreign node, nor for others. */
	tx = begin(1);
	assert_int_equal(guest_ask(1, XS_MKDIR, tx, Z("more")), -XEN_ENOSPC);
	assert_int_equal(guest_ask(2, XS_MKDIR, 0, Z("mine")), 3);
	assert_int_equal(ask(XS_MKDIR, 0, Z("/local/domain/1/from0")), 3);
	/* What there is can be changed and removed, and then there is room again. */
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("n1\0v")), 3);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("n1")), 3);
	assert_int_equal(guest_ask(1, XS_RM, 0, Z("n2")), 3);
	assert_int_equal(guest_ask(1, XS_MKDIR, 0, Z("n1")), 3);
	memset(payload, 'x', sizeof(payload));
	memcpy(payload, "n1", 3);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, payload, 3 + 1025), -XEN_ENOSPC);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, payload, 3 + 1024), 3);
	memcpy(payload, "n3", 3);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, payload, 3 + 1024), 3);
	memcpy(payload, "n4", 3);
	assert_int_equal(guest_ask(1, XS_WRITE, 0, payload, 3 + 1024), -XEN_ENOSPC);
	xs_server_count_domain(1, &count);
	assert_true(count.node_bytes <= 4096 + 200);
}

static void test_quota_watches_and_transactions(void **state)
{
	char payload[900];
	uint32_t tx;
	int len;

	for (char c = 'a'; c < 'd'; c++) {
		len = snprintf(payload, sizeof(payload), "x%ct%c", 0, c);
		assert_int_equal(guest_ask(1, XS_WATCH, 0, payload, (size_t)len + 1), 3);
	}
	assert_int_equal(guest_ask(1, XS_WATCH, 0, Z("x\0td")), -XEN_E2BIG);
	tx = begin(1);
	begin(1);
	assert_int_equal(guest_ask(1, XS_TRANSACTION_START, 0, Z("")), -XEN_ENOSPC);
	/* Notes of what was touched are bounded too. */
	memset(payload, 'p', sizeof(payload));
	payload[800] = 0;
	guest_ask(1, XS_READ, tx, payload, 801);
	guest_ask(1, XS_READ, tx, payload, 801);
	payload[0] = 'q';
	assert_int_equal(guest_ask(1, XS_READ, tx, payload, 801), -XEN_ENOENT);
	payload[0] = 'r';
	assert_int_equal(guest_ask(1, XS_READ, tx, payload, 801), -XEN_ENOSPC);
	assert_int_equal(guest_ask(1, XS_TRANSACTION_END, tx, Z("T")), 3);
	begin(1);
}

/* A reader that does not read: what waits is bounded, and when it reads again it is told to look.
 */
static void test_slow_reader(void **state)
{
	struct xs_counters count;
	const char *seen;
	char payload[64];

	guest_ask(1, XS_WATCH, 0, Z("d\0t"));
	guest_events(1);
	for (unsigned i = 0; i < 400; i++) {
		int len = snprintf(payload, sizeof(payload), "/local/domain/1/d/%u%cv", i, 0);

		assert_int_equal(ask(XS_WRITE, 0, payload, (size_t)len), 3);
		host_run();
	}
	xs_server_count_domain(1, &count);
	assert_true(count.queued_bytes <= small.event_bytes);
	xs_server_count(&count);
	assert_true(count.events_merged > 300);
	seen = guest_events(1);
	assert_non_null(strstr(seen, "d/0|t\n"));
	assert_null(strstr(seen, "d/399|t\n"));
	/* The last event covers all that were left out. */
	assert_string_equal(seen + strlen(seen) - 4, "d|t\n");
	xs_server_count_domain(1, &count);
	assert_int_equal(count.queued_bytes, 0);
}

/* The same event is not queued twice while it waits. */
static void test_equal_events_merge(void **state)
{
	struct xenstore_domain_interface *page = guest_store_page(1);
	uint32_t full;

	guest_ask(1, XS_WATCH, 0, Z("d\0t"));
	guest_events(1);
	full = page->rsp_cons;
	page->rsp_cons = page->rsp_prod - XENSTORE_RING_SIZE; /* the ring is full */
	for (unsigned i = 0; i < 10; i++)
		ask(XS_WRITE, 0, R("/local/domain/1/d\0v"));
	host_run();
	page->rsp_cons = full;
	assert_string_equal(guest_events(1), "d|t\n");
}

/* A peer that asks and does not read its replies holds up nobody but itself. */
static void test_unread_replies(void **state)
{
	struct xsd_sockmsg head = {XS_GET_DOMAIN_PATH, 0, 0, 2};
	char message[18];
	unsigned sent = 0;

	memcpy(message, &head, sizeof(head));
	memcpy(message + 16, "1", 2);
	for (unsigned i = 0; i < 4000; i++) {
		sent += (unsigned)guest_put(1, message + sent % 18, 18 - sent % 18);
		guest_kick(1, STORE_PORT);
		assert_true(host_run());
	}
	assert_true(sent < 4096);
	assert_int_equal(guest_ask(2, XS_WRITE, 0, R("a\0v")), 3);
	assert_false(xs_server_is_broken(1));
}

/* ---- domains ----------------------------------------------------------------------------- */

static void test_domain_requests(void **state)
{
	assert_int_equal(guest_ask(1, XS_GET_DOMAIN_PATH, 0, Z("7")), 16);
	assert_string_equal(guest_reply, "/local/domain/7");
	assert_int_equal(guest_ask(1, XS_GET_DOMAIN_PATH, 0, Z("x")), -XEN_EINVAL);
	assert_int_equal(guest_ask(1, XS_INTRODUCE, 0,
				   Z("3\0"
				     "1\0"
				     "7")),
			 -XEN_EACCES);
	assert_int_equal(guest_ask(1, XS_RELEASE, 0, Z("2")), -XEN_EACCES);
	assert_int_equal(ask(XS_INTRODUCE, 0,
			     Z("3\0"
			       "1\0"
			       "7")),
			 3);
	assert_int_equal(ask(XS_INTRODUCE, 0,
			     Z("3\0"
			       "1\0"
			       "7")),
			 -XEN_EEXIST);
	assert_int_equal(ask(XS_INTRODUCE, 0,
			     Z("4\0"
			       "1\0"
			       "9")),
			 -XEN_EINVAL); /* no such port */
	assert_int_equal(ask(XS_INTRODUCE, 0,
			     Z("77\0"
			       "1\0"
			       "7")),
			 -XEN_EINVAL);
	assert_int_equal(ask(XS_IS_DOMAIN_INTRODUCED, 0, Z("3")), 2);
	assert_string_equal(local_reply, "T");
	ask(XS_IS_DOMAIN_INTRODUCED, 0, Z("4"));
	assert_string_equal(local_reply, "F");
	assert_int_equal(ask(XS_RESUME, 0, Z("3")), 3);
	assert_int_equal(ask(XS_RELEASE, 0, Z("3")), 3);
	assert_int_equal(ask(XS_RELEASE, 0, Z("3")), -XEN_ENOENT);
	assert_int_equal(ask(XS_RESUME, 0, Z("3")), -XEN_ENOENT);
	assert_int_equal(ask(XS_CONTROL, 0, Z("check")), -XEN_ENOSYS);
	assert_int_equal(xs_server_release(0), -XEN_ENOENT); /* never the own link */
}

/* Whatever a domain did, nothing of it is left, and a domain of the same number starts clean. */
static void test_release_leaves_nothing(void **state)
{
	struct xs_counters before, after;
	size_t held;

	guest_ask(2, XS_MKDIR, 0, Z("open"));
	guest_ask(2, XS_SET_PERMS, 0, Z("open\0n2\0b3"));
	/* The place for its home is there before and after. */
	ask(XS_MKDIR, 0, Z("/local/domain/3"));
	xs_server_count(&before);
	held = host_bytes_held();
	for (unsigned i = 0; i < 100; i++) {
		uint32_t tx;

		memset(guest_store_page(3), 0, PAGE_SIZE);
		assert_int_equal(xs_server_introduce(3, STORE_PORT), 0);
		ask(XS_WRITE, 0, R("/local/domain/3/home\0v"));
		ask(XS_SET_PERMS, 0, Z("/local/domain/3/home\0n3"));
		assert_int_equal(guest_ask(3, XS_WRITE, 0, R("home/a/b\0v")), 3);
		if (i == 0)
			assert_int_equal(guest_ask(3, XS_MKDIR, 0, Z("/local/domain/2/open/x")), 3);
		guest_ask(3, XS_WATCH, 0, Z("home\0t"));
		tx = begin(3);
		assert_int_equal(guest_ask(3, XS_WRITE, tx, R("home/c\0v")), 3);
		guest_put(3, "half a message", 14);
		assert_int_equal(xs_server_release(3), 0);
		assert_false(guest_kick(3, STORE_PORT));
	}
	xs_server_count(&after);
	assert_int_equal(before.nodes, after.nodes);
	assert_int_equal(before.node_bytes, after.node_bytes);
	assert_int_equal(before.watches, after.watches);
	assert_int_equal(before.transactions, after.transactions);
	assert_int_equal(before.connections, after.connections);
	xs_server_count_domain(3, &after);
	assert_int_equal(after.nodes + after.watches + after.transactions + after.connections, 0);
	/* Its right to guest 2's node is gone too. */
	assert_int_equal(ask(XS_GET_PERMS, 0, Z("/local/domain/2/open")), 3);
	assert_string_equal(local_reply, "n2");
	assert_in_range(host_bytes_held(), held - 64, held + 64);
}

/* A domain may ask before anybody listens to it; it will not notify again. */
static void test_asked_before_introduced(void **state)
{
	struct xsd_sockmsg head = {XS_GET_DOMAIN_PATH, 1, 0, 2};

	guest_put(3, &head, sizeof(head));
	guest_put(3, "3", 2);
	assert_int_equal(xs_server_introduce(3, STORE_PORT), 0);
	assert_true(host_run());
	assert_int_equal(guest_store_page(3)->rsp_prod, 16 + 16);
	assert_int_equal(guest_notified(3, STORE_PORT), 1);
}

static void test_reconnect(void **state)
{
	struct xenstore_domain_interface *page = guest_store_page(1);

	guest_ask(1, XS_WATCH, 0, Z("d\0t"));
	assert_string_equal(guest_events(1), "d|t\n");
	begin(1);
	guest_put(1, "half", 4);
	page->connection = XENSTORE_RECONNECT;
	guest_kick(1, STORE_PORT);
	host_run();
	assert_int_equal(page->connection, XENSTORE_CONNECTED);
	assert_int_equal(page->req_prod | page->req_cons | page->rsp_prod | page->rsp_cons, 0);
	guest_ask(1, XS_WRITE, 0, R("d\0v"));
	assert_string_equal(guest_events(1), "");
	assert_int_equal(page->server_features, 3);
}

/* ---- peers that break the rules ---------------------------------------------------------- */

static void assert_broken(domid_t domid, uint32_t error)
{
	struct xs_counters count;

	guest_kick(domid, STORE_PORT);
	host_run();
	assert_true(xs_server_is_broken(domid));
	assert_int_equal(guest_store_page(domid)->error, error);
	xs_server_count_domain(domid, &count);
	assert_int_equal(count.watches + count.transactions + count.queued_bytes, 0);
	/* It is not served any more; the other is; and it can be released. */
	guest_store_page(domid)->req_cons = guest_store_page(domid)->req_prod = 0;
	assert_int_equal(guest_ask(domid, XS_READ, 0, Z("a")), -XEN_ETIME);
	assert_int_equal(guest_ask(2, XS_WRITE, 0, R("a\0v")), 3);
	assert_int_equal(xs_server_release(domid), 0);
}

static void test_message_too_long(void **state)
{
	struct xsd_sockmsg head = {XS_WRITE, 1, 0, XENSTORE_PAYLOAD_MAX + 1};

	guest_ask(1, XS_WATCH, 0, Z("d\0t"));
	begin(1);
	guest_put(1, &head, sizeof(head));
	assert_broken(1, XENSTORE_ERROR_PROTO);
}

static void test_impossible_request_index(void **state)
{
	guest_store_page(1)->req_prod += XENSTORE_RING_SIZE + 1;
	assert_broken(1, XENSTORE_ERROR_RINGIDX);
}

static void test_impossible_reply_index(void **state)
{
	struct xsd_sockmsg head = {XS_GET_DOMAIN_PATH, 1, 0, 2};

	guest_store_page(1)->rsp_cons += 5;
	guest_put(1, &head, sizeof(head));
	guest_put(1, "1", 2);
	assert_broken(1, XENSTORE_ERROR_RINGIDX);
}

static unsigned fetched[PAGE_SIZE];

static void count_fetches(const volatile void *from, size_t len)
{
	size_t at = (size_t)((const volatile char *)from - (char *)guest_store_page(1));

	for (size_t i = at; i < at + len && at < XENSTORE_RING_SIZE; i++)
		fetched[i]++;
}

/* Each byte of a request is read once from the shared page: what is checked is what is used. */
static void test_bytes_are_fetched_once(void **state)
{
	memset(fetched, 0, sizeof(fetched));
	test_on_fetch = count_fetches;
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("data/a\0one")), 3);
	for (unsigned i = 0; i < 16 + 10; i++)
		assert_int_equal(fetched[i], 1);
	assert_int_equal(fetched[26], 0);
}

/* ---- want of memory ---------------------------------------------------------------------- */

/* One run through everything that changes, with the nth allocation failing. */
static void scenario(void)
{
	uint32_t tx;

	guest_ask(1, XS_WRITE, 0, R("a/b/c\0value that is long enough to be one of its own"));
	guest_ask(1, XS_SET_PERMS, 0, Z("a/b\0n1\0r2"));
	guest_ask(1, XS_WATCH, 0, Z("a\0t"));
	if (guest_ask(1, XS_TRANSACTION_START, 0, Z("")) > 0) {
		tx = (uint32_t)atoi(guest_reply);
		guest_ask(1, XS_WRITE, tx, R("a/d\0v"));
		guest_ask(1, XS_RM, tx, Z("a/b"));
		guest_ask(1, XS_DIRECTORY, tx, Z("a"));
		guest_ask(1, XS_TRANSACTION_END, tx, Z("T"));
	}
	if (!xs_server_introduce(4, STORE_PORT))
		xs_server_release(4);
	guest_ask(1, XS_UNWATCH, 0, Z("a\0t"));
	guest_ask(1, XS_RM, 0, Z("a"));
}

static void test_allocations_fail(void **state)
{
	struct xs_counters before, after;

	xs_server_count(&before);
	for (unsigned n = 1; n < 400; n++) {
		host_fail_alloc(n, n % 2);
		scenario();
		host_fail_alloc(0, false);
		assert_false(xs_server_is_broken(1));
		guest_ask(1, XS_RESET_WATCHES, 0, Z(""));
		assert_true(guest_ask(1, XS_RM, 0, Z("a")) == 3);
		guest_events(1);
		xs_server_count(&after);
		assert_int_equal(before.nodes, after.nodes);
		assert_int_equal(before.node_bytes, after.node_bytes);
		assert_int_equal(after.watches + after.transactions + after.queued_bytes, 0);
	}
	assert_int_equal(guest_ask(1, XS_WRITE, 0, R("a\0v")), 3);
	/* The server itself. */
	xs_server_stop();
	for (unsigned n = 1; n < 5; n++) {
		host_fail_alloc(n, true);
		if (!xs_server_init(0, NULL))
			break;
		assert_int_equal(host_bytes_held(), 0);
	}
	host_fail_alloc(0, false);
	assert_true(xs_server_running());
	assert_int_equal(xs_server_init(0, NULL), -XEN_EBUSY);
}

int main(void)
{
#define T(name)       cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
#define T_SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, store_teardown)
	const struct CMUnitTest tests[] = {
	    T_SMALL(test_quota_nodes),
	    T_SMALL(test_quota_watches_and_transactions),
	    T_SMALL(test_slow_reader),
	    T_SMALL(test_equal_events_merge),
	    T(test_unread_replies),
	    T(test_domain_requests),
	    T(test_release_leaves_nothing),
	    T(test_asked_before_introduced),
	    T(test_reconnect),
	    T(test_message_too_long),
	    T(test_impossible_request_index),
	    T(test_impossible_reply_index),
	    T(test_bytes_are_fetched_once),
	    T(test_allocations_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
