/* host_store_test.c: the kernel's store calls, over the ring of a guest and directly beside the
 * server.
 *
 * Shows that the link is found at the first call; that a waiting call is woken by the event and by
 * nothing else, also when the event comes before the wait; that watch events which come while no
 * call waits are taken in by the worker; that a store that never answers is given up. Why: a lost
 * wake-up here hangs a guest at its first disk. Expected: all pass.
 *
 * links: tests/host/store_host.c drivers-front/xs_client.c drivers-front/xs_client_watch.c
 * links: drivers-front/xs_client_list.c drivers-back/xs_server.c drivers-back/xs_server_account.c
 * links: drivers-back/xs_server_change.c drivers-back/xs_server_conn.c
 * links: drivers-back/xs_server_ops.c drivers-back/xs_server_ring.c
 * links: drivers-back/xs_server_tree.c drivers-back/xs_server_tx.c
 * links: drivers-back/xs_server_watch.c protocol/xs_wire.c protocol/xs_path.c
 * links: protocol/xs_perms.c protocol/xs_ring.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The file itself, to end its connection between tests. connect is a name of the C library's too.
 */
#define connect connect_store
#include "kernel/host_store.c"

#include "store_host.h"

/* ---- the kernel around it ------------------------------------------------------------------ */

struct boot_info boot;
static event_fn *handler;
static unsigned sleeps, asleep, notified;
static bool deaf; /* the server does not hear */
static uint64_t clock_ns;

int event_adopt(port_t adopted, event_fn *fn, void *ctx)
{
	if (adopted.v != STORE_PORT)
		return -XEN_EINVAL;
	handler = fn;
	return 0;
}

void event_notify(port_t to)
{
	assert_int_equal(to.v, STORE_PORT);
	notified++;
}

void worker_post(struct host_work *work)
{
	host_work_soon(work);
}

uint64_t time_ns(void)
{
	return clock_ns;
}

unsigned long wait_enter(void)
{
	return 0;
}

void wait_leave(unsigned long flags) {}

void wait_wake(struct wait_queue *q)
{
	asleep = 0;
}

static void server_turn(void)
{
	if (deaf)
		return;
	guest_kick(1, STORE_PORT);
	if (guest_notified(1, STORE_PORT))
		handler(NULL);
}

/* The thread sleeps: others run, and time passes when nobody wakes it. */
bool wait_sleep(struct wait_queue *q, uint64_t deadline_ns)
{
	sleeps++;
	asleep = 1;
	server_turn();
	if (asleep)
		clock_ns += NS_PER_S;
	return clock_ns < deadline_ns;
}

/* ---- tests --------------------------------------------------------------------------------- */

static int setup_guest(void **state)
{
	struct xsd_sockmsg mkdir = {XS_MKDIR, 0, 0, 3};
	struct xsd_sockmsg open = {XS_SET_PERMS, 0, 0, 6};
	char ignored[64];

	host_reset();
	handler = NULL;
	deaf = false;
	sleeps = asleep = notified = 0;
	boot = (struct boot_info){.store_page = guest_store_page(1), .store_port = STORE_PORT};
	assert_int_equal(xs_server_init(0, NULL), 0);
	xs_local_send(&mkdir, sizeof(mkdir));
	xs_local_send("/d", 3);
	xs_local_recv(ignored, sizeof(ignored));
	xs_local_send(&open, sizeof(open));
	xs_local_send("/d\0n1", 6);
	xs_local_recv(ignored, sizeof(ignored));
	assert_int_equal(xs_server_introduce(1, STORE_PORT), 0);
	/* Only the test knows of the server: the kernel under test is the guest's. */
	client = NULL;
	signalled = false;
	poll_work.fn = poll_client;
	return connect_ring();
}

static int setup_service(void **state)
{
	host_reset();
	boot = (struct boot_info){0};
	client = NULL;
	assert_int_equal(host_store_write(HOST_TX_NONE, "x", "1"), -XEN_ENODEV);
	return xs_server_init(0, NULL);
}

static int teardown(void **state)
{
	if (client)
		xs_client_close(client);
	client = NULL;
	host_work_cancel(&poll_work);
	xs_server_stop();
	assert_int_equal(host_bytes_held(), 0);
	return 0;
}

static void test_calls_wait_for_the_event(void **state)
{
	char value[16], names[64];
	uint32_t tx;

	assert_int_equal(host_store_write(HOST_TX_NONE, "/d/a", "one"), 0);
	assert_true(sleeps > 0 && notified > 0);
	assert_int_equal(host_store_read(HOST_TX_NONE, "/d/a", value, sizeof(value)), 3);
	assert_string_equal(value, "one");
	assert_int_equal(host_store_mkdir(HOST_TX_NONE, "/d/b"), 0);
	assert_int_equal(host_store_list(HOST_TX_NONE, "/d", names, sizeof(names)), 2);
	assert_int_equal(host_store_begin(&tx), 0);
	assert_int_equal(host_store_rm(tx, "/d/b"), 0);
	assert_int_equal(host_store_end(tx, true), 0);
	assert_int_equal(host_store_read(HOST_TX_NONE, "/d/b", value, 16), -XEN_ENOENT);
	assert_int_equal(clock_ns, 0); /* it never slept through a second */
}

/* An event of long ago makes one needless look at the ring, and no harm. */
static void test_stale_event(void **state)
{
	char value[16];

	handler(NULL);
	assert_int_equal(host_store_read(HOST_TX_NONE, "/d/none", value, 16), -XEN_ENOENT);
	assert_int_equal(clock_ns, 0);
}

static char told[64];

static void on_change(void *ctx, const char *path)
{
	strcat(told, path);
	strcat(told, "|");
}

static void test_events_between_calls(void **state)
{
	struct host_watch *watch;
	struct xsd_sockmsg write = {XS_WRITE, 0, 0, 7};

	told[0] = 0;
	assert_int_equal(host_store_watch("/d", on_change, NULL, &watch), 0);
	for (unsigned i = 0; i < 4; i++) {
		server_turn();
		host_run();
	}
	assert_string_equal(told, "/d|");
	xs_local_send(&write, sizeof(write));
	xs_local_send("/d/x\0v2", 7);
	for (unsigned i = 0; i < 4; i++) {
		host_run(); /* the server's turn, and then the worker's */
		if (guest_notified(1, STORE_PORT))
			handler(NULL);
	}
	assert_string_equal(told, "/d|/d/x|");
	host_store_unwatch(watch);
}

/* The port is another one now; only the server of this test still hears the old number. */
static void test_new_world(void **state)
{
	struct host_watch *watch;

	told[0] = 0;
	assert_int_equal(host_store_watch("/d", on_change, NULL, &watch), 0);
	server_turn();
	host_run();
	told[0] = 0;
	assert_int_equal(xs_server_release(1), 0);
	assert_int_equal(xs_server_introduce(1, STORE_PORT), 0);
	port.v = 99;
	handler = NULL;
	assert_int_equal(host_store_resume(), 0);
	assert_int_equal(port.v, STORE_PORT);
	for (unsigned i = 0; i < 4; i++) {
		server_turn();
		host_run();
	}
	assert_string_equal(told, "/d|");
	host_store_unwatch(watch);
}

static void test_silent_store(void **state)
{
	char value[16];

	deaf = true;
	assert_int_equal(host_store_read(HOST_TX_NONE, "/d", value, 16), -XEN_EIO);
	assert_in_range(clock_ns, ANSWER_WITHIN_NS, ANSWER_WITHIN_NS + 2 * NS_PER_S);
	deaf = false;
	assert_int_equal(host_store_read(HOST_TX_NONE, "/d", value, 16), -XEN_EIO);
	clock_ns = 0;
}

static void test_direct(void **state)
{
	struct host_watch *watch;
	char value[16];

	told[0] = 0;
	assert_int_equal(host_store_write(HOST_TX_NONE, "/a", "1"), 0);
	assert_int_equal(host_store_watch("/a", on_change, NULL, &watch), 0);
	assert_int_equal(host_store_write(HOST_TX_NONE, "/a/b", "1"), 0);
	assert_string_equal(told, ""); /* not within a call */
	assert_true(host_run());
	assert_string_equal(told, "/a|/a/b|");
	host_store_unwatch(watch);
	assert_int_equal(host_store_read(HOST_TX_NONE, "/a/b", value, 16), 1);
}

/* The owner has all rights, the reader one, others none. */
static void test_permissions(void **state)
{
	char perms[16];
	struct xs_call call = {XS_GET_PERMS, .text = {"/a"}, .out = perms, .cap = sizeof(perms)};

	assert_int_equal(host_store_mkdir(HOST_TX_NONE, "/a"), 0);
	assert_int_equal(host_store_set_perms(HOST_TX_NONE, "/a", 3, 4), 0);
	assert_int_equal(xs_client_call(client, &call), 6);
	assert_memory_equal(perms, "n3\0r4", 6);
	assert_int_equal(host_store_set_perms(HOST_TX_NONE, "/a", 3, DOMID_INVALID), 0);
	assert_int_equal(xs_client_call(client, &call), 3);
	assert_string_equal(perms, "n3");
}

int main(void)
{
#define GUEST(name)   cmocka_unit_test_setup_teardown(name, setup_guest, teardown)
#define SERVICE(name) cmocka_unit_test_setup_teardown(name, setup_service, teardown)
	const struct CMUnitTest tests[] = {
	    GUEST(test_calls_wait_for_the_event),
	    GUEST(test_stale_event),
	    GUEST(test_events_between_calls),
	    GUEST(test_new_world),
	    GUEST(test_silent_store),
	    SERVICE(test_direct),
	    SERVICE(test_permissions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
