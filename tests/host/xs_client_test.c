/* xs_client_test.c: the store client over a ring, with the real server behind it or a liar.
 *
 * Shows that each call gives what the server says, that lists of any length are read, that watch
 * events come from the worker and never inside a call, in bounded memory and never after an
 * unwatch, and that a server that breaks the format ends the connection with an error and nothing
 * else. Why: every driver finds its peer through these calls. Expected: all pass, no memory held at
 * the end.
 *
 * links: tests/host/store_host.c drivers-front/xs_client.c drivers-front/xs_client_watch.c
 * links: drivers-front/xs_client_list.c drivers-back/xs_server.c drivers-back/xs_server_account.c
 * links: drivers-back/xs_server_change.c drivers-back/xs_server_conn.c drivers-back/xs_server_ops.c
 * links: drivers-back/xs_server_ring.c drivers-back/xs_server_tree.c drivers-back/xs_server_tx.c
 * links: drivers-back/xs_server_watch.c protocol/xs_wire.c protocol/xs_path.c
 * links: protocol/xs_perms.c protocol/xs_ring.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/xs_client.h>
#include <amphi/xs_server.h>

#include "store_host.h"

static struct xs_client *client, *admin; /* guest 1's over its ring; the server's own domain's */
static unsigned waits;
static bool in_call;
static void (*meanwhile)(void); /* what another does while a call waits */

/* ---- streams ----------------------------------------------------------------------------- */

static void ring_notify(void *ctx) {}

/* Time passes: the server's handler runs, and no deferred work, as host.h promises. */
static int ring_wait(void *ctx)
{
	in_call = true;
	guest_kick(1, STORE_PORT);
	if (meanwhile)
		meanwhile();
	return ++waits > 100000 ? -XEN_EIO : 0;
}

static int local_send(void *ctx, const void *bytes, size_t len)
{
	return xs_local_send(bytes, len);
}

static int local_recv(void *ctx, void *bytes, size_t cap)
{
	return xs_local_recv(bytes, cap);
}

static int local_wait(void *ctx)
{
	return -XEN_EIO; /* the server answers at once: there is nothing to wait for */
}

static void local_output(void *ctx)
{
	*(bool *)ctx = true;
}

static struct xs_client_ring ring = {.notify = ring_notify, .wait = ring_wait};
static bool local_has_output;

static int setup(void **state)
{
	struct xs_stream direct = {local_send, local_recv, local_wait, NULL}, stream;
	struct xs_perms mine = {.count = 1, .entry = {{.domid = 1}}};

	host_reset();
	waits = 0;
	assert_int_equal(xs_server_init(0, NULL), 0);
	xs_local_on_output(local_output, &local_has_output);
	admin = xs_client_open(&direct);
	assert_int_equal(xs_client_mkdir(admin, 0, "/local/domain/1"), 0);
	assert_int_equal(xs_client_set_perms(admin, 0, "/local/domain/1", &mine), 0);
	assert_int_equal(xs_server_introduce(1, STORE_PORT), 0);
	ring.ring = guest_store_page(1);
	stream = xs_client_ring_stream(&ring);
	client = xs_client_open(&stream);
	assert_non_null(client);
	return 0;
}

static int teardown(void **state)
{
	xs_client_close(client);
	xs_client_close(admin);
	xs_server_stop();
	assert_int_equal(host_bytes_held(), 0);
	return 0;
}

/* Lets the guest's events come in and be told. */
static void settle(void)
{
	for (unsigned i = 0; i < 200; i++) {
		xs_client_poll(client);
		guest_kick(1, STORE_PORT);
		host_run();
	}
}

/* ---- calls ------------------------------------------------------------------------------- */

static void test_calls(void **state)
{
	char value[16], names[64];

	assert_int_equal(xs_client_write(client, 0, "data/a", "hello"), 0);
	assert_int_equal(xs_client_read(client, 0, "data/a", value, sizeof(value)), 5);
	assert_string_equal(value, "hello");
	assert_int_equal(xs_client_read(client, 0, "data/a", value, 5), -XEN_E2BIG);
	assert_int_equal(xs_client_read(client, 0, "data/a", value, 6), 5);
	assert_int_equal(xs_client_read(client, 0, "data/b", value, 6), -XEN_ENOENT);
	assert_int_equal(xs_client_read(client, 0, "/x", value, 6), -XEN_EACCES);
	assert_int_equal(xs_client_mkdir(client, 0, "data/b"), 0);
	assert_int_equal(xs_client_list(client, 0, "data", names, sizeof(names)), 2);
	assert_memory_equal(names, "a\0b", 4);
	assert_int_equal(xs_client_list(client, 0, "data/b", names, sizeof(names)), 0);
	assert_int_equal(xs_client_list(client, 0, "data", names, 3), -XEN_E2BIG);
	assert_int_equal(xs_client_list(client, 0, "none", names, 3), -XEN_ENOENT);
	assert_int_equal(xs_client_rm(client, 0, "data/b"), 0);
	assert_int_equal(xs_client_write(client, 0, "bad path", "x"), -XEN_EINVAL);
}

static void test_large_values(void **state)
{
	static char value[5000], got[5000];

	memset(value, 'v', 2040);
	assert_int_equal(xs_client_write(client, 0, "big", value), 0);
	assert_int_equal(xs_client_read(client, 0, "big", got, sizeof(got)), 2040);
	assert_string_equal(got, value);
	memset(value, 'v', 4999);
	assert_int_equal(xs_client_write(client, 0, "big", value), -XEN_E2BIG);
	assert_int_equal(xs_client_write(admin, 0, "/big", value + 1000), 0);
	assert_int_equal(xs_client_read(admin, 0, "/big", got, sizeof(got)), 3999);
}

static void test_transactions(void **state)
{
	char value[16];
	uint32_t tx;

	assert_int_equal(xs_client_begin(client, &tx), 0);
	assert_int_equal(xs_client_write(client, tx, "a", "1"), 0);
	assert_int_equal(xs_client_read(client, 0, "a", value, 16), -XEN_ENOENT);
	assert_int_equal(xs_client_end(client, tx, true), 0);
	assert_int_equal(xs_client_read(client, 0, "a", value, 16), 1);
	assert_int_equal(xs_client_begin(client, &tx), 0);
	assert_int_equal(xs_client_read(client, tx, "a", value, 16), 1);
	assert_int_equal(xs_client_write(admin, 0, "/local/domain/1/a", "2"), 0);
	assert_int_equal(xs_client_write(client, tx, "b", value), 0);
	assert_int_equal(xs_client_end(client, tx, true), -XEN_EAGAIN);
	assert_int_equal(xs_client_begin(client, &tx), 0);
	assert_int_equal(xs_client_end(client, tx, false), 0);
	assert_int_equal(xs_client_end(client, tx, false), -XEN_ENOENT);
}

/* 500 names take several messages; that the caller sees one list is the client's work. */
static void test_long_lists(void **state)
{
	static char names[20000];
	char path[64];
	const char *at = names;

	for (unsigned i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "dir/entry-number-%03u", i);
		assert_int_equal(xs_client_mkdir(client, 0, path), 0);
	}
	assert_int_equal(xs_client_list(client, 0, "dir", names, sizeof(names)), 500);
	for (unsigned i = 0; i < 500; i++, at += strlen(at) + 1) {
		snprintf(path, sizeof(path), "entry-number-%03u", i);
		assert_string_equal(at, path);
	}
	assert_int_equal(xs_client_list(client, 0, "dir", names, 17 * 500), 500);
	assert_int_equal(xs_client_list(client, 0, "dir", names, 17 * 500 - 1), -XEN_E2BIG);
}

static unsigned additions;

static void add_to_dir(void)
{
	char path[64];

	if (additions >= 300)
		return;
	snprintf(path, sizeof(path), "/local/domain/1/dir/a-%03u", additions++);
	xs_client_mkdir(admin, 0, path);
}

/* A directory that grows between two parts of its list is listed anew, never half old, half new. */
static void test_list_that_changes(void **state)
{
	static char names[20000];
	char path[64];
	const char *at = names;
	int count;

	for (unsigned i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "dir/entry-number-%03u", i);
		assert_int_equal(xs_client_mkdir(client, 0, path), 0);
	}
	additions = 0;
	meanwhile = add_to_dir;
	do
		count = xs_client_list(client, 0, "dir", names, sizeof(names));
	while (count == -XEN_EAGAIN); /* it changed at each of the tries */
	meanwhile = NULL;
	assert_in_range(count, 401, 700);
	for (int i = 1; i < count; i++, at += strlen(at) + 1)
		assert_true(strcmp(at, at + strlen(at) + 1) < 0);
}

/* ---- watches ----------------------------------------------------------------------------- */

static char told[1 << 14];
static unsigned tell_count;
static struct xs_watch *to_end;

static void on_change(void *ctx, const char *path)
{
	size_t used = strlen(told);

	assert_false(in_call); /* callbacks come from the worker only */
	tell_count++;
	snprintf(told + used, sizeof(told) - used, "%s:%s|", (const char *)ctx, path);
}

static void watch(const char *path, const char *name, struct xs_watch **out)
{
	told[0] = 0;
	tell_count = 0;
	assert_int_equal(xs_client_watch(client, path, on_change, (void *)name, out), 0);
	in_call = false;
}

static void test_watch(void **state)
{
	struct xs_watch *a, *b;

	watch("data", "A", &a);
	assert_string_equal(told, "");
	settle();
	assert_string_equal(told, "A:data|");
	watch("/local/domain/1/data", "B", &b);
	xs_client_write(admin, 0, "/local/domain/1/data/x", "1");
	settle();
	assert_string_equal(told, "B:/local/domain/1/data|A:data/x|B:/local/domain/1/data/x|");
	xs_client_unwatch(a);
	in_call = false;
	told[0] = 0;
	xs_client_write(admin, 0, "/local/domain/1/data/x", "2");
	settle();
	assert_string_equal(told, "B:/local/domain/1/data/x|");
}

/* After a suspend: the ring is at a server that has never heard of us, and the old one was in the middle of a
 * sentence. Both watches fire once, as new ones do, and work. */
static void test_new_server(void **state)
{
	struct xs_watch *a, *b;
	struct xs_perms mine = {.count = 1, .entry = {{.domid = 1}}};
	char value[16];

	watch("data", "A", &a);
	watch("other", "B", &b);
	settle();
	assert_int_equal(xs_server_release(1), 0);
	assert_int_equal(xs_client_mkdir(admin, 0, "/local/domain/1"), 0);
	assert_int_equal(xs_client_set_perms(admin, 0, "/local/domain/1", &mine), 0);
	assert_int_equal(xs_ring_put(ring.ring, XS_SIDE_SERVER, "half a message", 14), 14);
	xs_client_poll(client);
	assert_int_equal(xs_ring_put(ring.ring, XS_SIDE_SERVER, "more", 4), 4);
	assert_int_equal(xs_server_introduce(1, STORE_PORT), 0);
	told[0] = 0;
	xs_ring_drop(ring.ring, XS_SIDE_CLIENT);
	assert_int_equal(xs_client_resume(client), 0);
	in_call = false;
	settle();
	assert_string_equal(told, "B:other|A:data|");
	assert_int_equal(xs_client_write(admin, 0, "/local/domain/1/data/x", "2"), 0);
	settle();
	assert_string_equal(told, "B:other|A:data|A:data/x|");
	assert_int_equal(xs_client_read(client, 0, "data/x", value, 16), 1);
	xs_client_unwatch(a), xs_client_unwatch(b);
	in_call = false;
}

/* Events that were queued before the unwatch are not told after it. */
static void test_unwatch_is_final(void **state)
{
	struct xs_counters count;
	struct xs_watch *a;

	watch("data", "A", &a);
	for (unsigned i = 0; i < 5; i++)
		xs_client_write(client, 0, i % 2 ? "data/x" : "data/y", "1");
	xs_client_unwatch(a);
	in_call = false;
	settle();
	assert_string_equal(told, "");
	xs_server_count(&count);
	assert_int_equal(count.watches, 0);
}

static void end_it(void *ctx, const char *path)
{
	tell_count++;
	xs_client_unwatch(to_end);
	in_call = false;
}

static void test_unwatch_in_callback(void **state)
{
	told[0] = 0;
	tell_count = 0;
	assert_int_equal(xs_client_watch(client, "data", end_it, NULL, &to_end), 0);
	xs_client_write(client, 0, "data/x", "1");
	xs_client_write(client, 0, "data/y", "1");
	settle();
	assert_int_equal(tell_count, 1);
}

static void asks_in_callback(void *ctx, const char *path)
{
	char value[8];

	in_call = false;
	tell_count++;
	assert_int_equal(xs_client_read(client, 0, "data/x", value, sizeof(value)), 1);
	if (tell_count < 5) /* causes its own next call */
		assert_int_equal(xs_client_write(client, 0, "data/x", "2"), 0);
	in_call = false;
}

static void test_calls_in_callback(void **state)
{
	struct xs_watch *a;

	tell_count = 0;
	xs_client_write(client, 0, "data/x", "1");
	assert_int_equal(xs_client_watch(client, "data", asks_in_callback, NULL, &a), 0);
	settle();
	assert_int_equal(tell_count, 5);
}

/* More than is kept: the rest is told as one "look again" at the watch's own path. */
static void test_too_many_events(void **state)
{
	struct xs_watch *a;
	char path[32];

	watch("data", "A", &a);
	settle();
	told[0] = 0;
	for (unsigned i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "data/%u", i);
		xs_client_write(client, 0, path, "1");
	}
	in_call = false;
	settle();
	assert_non_null(strstr(told, "A:data/0|"));
	assert_null(strstr(told, "A:data/199|"));
	assert_string_equal(told + strlen(told) - 7, "A:data|");
	assert_true(tell_count < 80);
}

static void test_local_events(void **state)
{
	struct xs_watch *a;

	local_has_output = false;
	told[0] = 0;
	assert_int_equal(xs_client_watch(admin, "/local", on_change, (void *)"L", &a), 0);
	in_call = false;
	xs_client_poll(admin);
	host_run();
	local_has_output = false;
	told[0] = 0;
	xs_client_write(client, 0, "x", "1");
	in_call = false;
	assert_true(local_has_output); /* by which the kernel knows that it must poll */
	xs_client_poll(admin);
	host_run();
	assert_string_equal(told, "L:/local/domain/1/x|");
}

/* ---- want of memory, and servers that lie ------------------------------------------------- */

static void test_allocations_fail(void **state)
{
	struct xs_stream stream = xs_client_ring_stream(&ring);
	struct xs_watch *a = NULL;
	unsigned n;

	for (n = 1; n < 3; n++) {
		host_fail_alloc(n, true);
		assert_null(xs_client_open(&stream));
	}
	for (n = 1; n < 30; n++) {
		host_fail_alloc(n, true);
		if (!xs_client_watch(client, "data", on_change, (void *)"A", &a))
			break;
	}
	host_fail_alloc(0, false);
	assert_in_range(n, 3, 29);
	in_call = false;
	settle();
	told[0] = 0;
	/* An event for which there is no memory in the client is made up for. */
	xs_client_write(admin, 0, "/local/domain/1/data/x", "1");
	guest_kick(1, STORE_PORT);
	host_fail_alloc(1, true);
	xs_client_poll(client);
	host_fail_alloc(0, false);
	host_run();
	assert_string_equal(told, "A:data|");
}

static const char *lie;
static size_t lie_len;

static int lying_wait(void *ctx)
{
	char ignored[512];

	while (xs_ring_take(ring.ring, XS_SIDE_SERVER, ignored, sizeof(ignored)) > 0)
		;
	if (!lie)
		return -XEN_EIO;
	xs_ring_put(ring.ring, XS_SIDE_SERVER, lie, lie_len);
	lie = NULL;
	return 0;
}

/* The answer to one READ that is these bytes and then silence. */
static int ask_liar(const struct xsd_sockmsg *head, const char *body)
{
	static char bytes[512];
	struct xs_client_ring liar = {ring.ring, ring_notify, lying_wait, NULL};
	struct xs_stream stream = xs_client_ring_stream(&liar);
	struct xs_client *victim;
	char value[16];
	int status;

	memset(ring.ring, 0, sizeof(*ring.ring));
	memcpy(bytes, head, sizeof(*head));
	memcpy(bytes + sizeof(*head), body, strlen(body) + 1);
	lie = bytes;
	lie_len = sizeof(*head) + strlen(body) + 1;
	victim = xs_client_open(&stream);
	status = xs_client_read(victim, 0, "x", value, sizeof(value));
	xs_client_close(victim);
	return status;
}

static void test_lying_server(void **state)
{
	struct xsd_sockmsg good = {XS_READ, 1, 0, 4}, head;

	assert_int_equal(ask_liar(&good, "val"), 4);
	head = (struct xsd_sockmsg){XS_READ, 1, 0, 4097};
	assert_int_equal(ask_liar(&head, "val"), -XEN_EIO);
	assert_non_null(strstr(host_last_warning(), "too long"));
	head = (struct xsd_sockmsg){XS_READ, 7, 0, 4}; /* no answer to us */
	assert_int_equal(ask_liar(&head, "val"), -XEN_EIO);
	head = (struct xsd_sockmsg){XS_WRITE, 1, 0, 4}; /* an answer to something else */
	assert_int_equal(ask_liar(&head, "val"), -XEN_EIO);
	head = (struct xsd_sockmsg){XS_ERROR, 1, 0, 4};
	assert_int_equal(ask_liar(&head, "BAD"), -XEN_EINVAL);
	head = (struct xsd_sockmsg){XS_WATCH_EVENT, 0, 0, 4}; /* not for any watch of ours */
	assert_int_equal(ask_liar(&head, "a\0b"), -XEN_EIO);
	head = (struct xsd_sockmsg){XS_READ, 1, 0, 400}; /* half of it */
	assert_int_equal(ask_liar(&head, "val"), -XEN_EIO);
}

static void test_impossible_index(void **state)
{
	char value[16];

	ring.ring->rsp_prod += XENSTORE_RING_SIZE + 1;
	assert_int_equal(xs_client_read(client, 0, "x", value, 16), -XEN_EIO);
	ring.ring->rsp_prod = ring.ring->rsp_cons;
	assert_int_equal(xs_client_read(client, 0, "x", value, 16), -XEN_EIO); /* for good */
	assert_int_equal(host_warnings(), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_calls),
	    T(test_large_values),
	    T(test_transactions),
	    T(test_long_lists),
	    T(test_list_that_changes),
	    T(test_watch),
	    T(test_new_server),
	    T(test_unwatch_is_final),
	    T(test_unwatch_in_callback),
	    T(test_calls_in_callback),
	    T(test_too_many_events),
	    T(test_local_events),
	    T(test_allocations_fail),
	    T(test_lying_server),
	    T(test_impossible_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
