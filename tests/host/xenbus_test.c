/* xenbus_test: the table of states of the xenbus engine and the lists of its devices, with a driver that does nothing.
 *
 * Shows for each half what it becomes and which of the driver's steps it calls, for every state of
 * the peer; that a step that fails closes; that a slow disconnect is waited for; that devices and classes come and
 * go, and want of memory passes. Why: drivers only fill in the steps, so what is wrong here is wrong in all
 * of them. Expected: the table below, written from xen/io/xenbus.h and the stock drivers, not from
 * xenbus.c.
 *
 * links: tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus.c
 * links: protocol/xenbus_class.c protocol/xenbus_keys.c protocol/grant_retire.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/xenbus.h>

#include "mock_host.h"

/* A driver that notes which steps it was led through. */
static struct xenbus_device *device;
static char steps[64];
static int fail_open, fail_connect;
static bool slow;

static void note(char step)
{
	size_t n = strlen(steps);

	if (n + 1 < sizeof(steps))
		steps[n] = step;
}

static int on_open(struct xenbus_device *dev)
{
	note('o');
	return fail_open;
}

static int on_connect(struct xenbus_device *dev)
{
	note('c');
	return fail_connect;
}

static bool on_disconnect(struct xenbus_device *dev)
{
	note('d');
	return !slow;
}

static void on_created(struct xenbus_device *dev)
{
	device = dev;
}

static void on_gone(struct xenbus_device *dev)
{
	note('g');
	device = NULL;
}

static const struct xenbus_ops ops = {.created = on_created,
				      .open = on_open,
				      .connect = on_connect,
				      .disconnect = on_disconnect,
				      .gone = on_gone};

static struct xenbus_kind toy;
static struct xenbus_class *class;

#define FRONT "/local/domain/1/device/toy/3"
#define BACK  "/local/domain/0/backend/toy/1/3"

static bool at_once;

static void start(void)
{
	class = xenbus_class_new(&toy);
	assert_int_equal(xenbus_class_start(class), 0);
	mock_run();
}

static void begin(enum xenbus_side side)
{
	mock_reset();
	mock_store_put_key(FRONT, "backend", BACK);
	mock_store_put_key(FRONT, "backend-id", "0");
	mock_store_put_key(FRONT, "state", "1");
	mock_store_put_key(BACK, "frontend", FRONT);
	mock_store_put_key(BACK, "frontend-id", "1");
	mock_store_put_key(BACK, "online", "1");
	mock_store_put_key(BACK, "state", "1");
	memset(steps, 0, sizeof(steps));
	fail_open = fail_connect = 0;
	slow = false;
	mock_enter(side == XENBUS_FRONT ? 1 : 0);
	toy = (struct xenbus_kind){
	    .side = side,
	    .root = side == XENBUS_FRONT ? "device/toy" : "backend/toy",
	    .device_bytes = sizeof(struct xenbus_device),
	    .class_bytes = sizeof(struct xenbus_class),
	    .ops = &ops,
	    .at_once = at_once,
	};
	start();
	assert_non_null(device);
	assert_int_equal(device->id, 3);
	assert_int_equal(device->peer, side == XENBUS_FRONT ? 0 : 1);
}

static void end(void)
{
	domid_t me = mock_current();

	slow = false;
	assert_true(xenbus_class_stop(class));
	mock_run();
	assert_null(device);
	assert_null(toy.classes);
	assert_true(mock_nothing_left(me));
}

/* Sets the peer's state and lets the half see it. */
static void peer(const char *state)
{
	mock_store_put_key(toy.side == XENBUS_FRONT ? BACK : FRONT, "state", state);
	mock_run();
}

static const char *ours(void)
{
	return mock_store_key(toy.side == XENBUS_FRONT ? FRONT : BACK, "state");
}

/* The peer's states in order (digits; '-' removes its node), then our state and the steps gone
 * through. */
static const struct run {
	enum xenbus_side side;
	const char *peer, *state, *steps;
} runs[] = {
    {XENBUS_FRONT, "", "1", ""},         {XENBUS_FRONT, "2", "3", "o"},
    {XENBUS_FRONT, "24", "4", "oc"},     {XENBUS_FRONT, "4", "1", ""},
    {XENBUS_FRONT, "6", "1", ""},        {XENBUS_FRONT, "5", "1", ""},
    {XENBUS_FRONT, "23", "3", "o"},      {XENBUS_FRONT, "25", "6", "od"},
    {XENBUS_FRONT, "26", "1", "od"},     {XENBUS_FRONT, "245", "6", "ocd"},
    {XENBUS_FRONT, "2456", "1", "ocd"},  {XENBUS_FRONT, "246", "1", "ocd"},
    {XENBUS_FRONT, "247", "4", "oc"},    {XENBUS_FRONT, "24-", "6", "ocd"},
    {XENBUS_FRONT, "2462", "3", "ocdo"}, {XENBUS_FRONT, "24624", "4", "ocdoc"},
    {XENBUS_FRONT, "241", "1", "ocd"},   {XENBUS_FRONT, "242", "3", "ocdo"},
    {XENBUS_FRONT, "2464", "1", "ocd"},  {XENBUS_FRONT, "24612", "3", "ocdo"},
    {XENBUS_BACK, "", "2", "o"},         {XENBUS_BACK, "3", "4", "oc"},
    {XENBUS_BACK, "34", "4", "oc"},      {XENBUS_BACK, "4", "2", "o"},
    {XENBUS_BACK, "6", "2", "o"},        {XENBUS_BACK, "345", "5", "oc"},
    {XENBUS_BACK, "3456", "6", "ocd"},   {XENBUS_BACK, "346", "6", "ocd"},
    {XENBUS_BACK, "34561", "2", "ocdo"}, {XENBUS_BACK, "345613", "4", "ocdoc"},
    {XENBUS_BACK, "341", "2", "ocdo"},   {XENBUS_BACK, "34-", "6", "ocd"},
    {XENBUS_BACK, "3451", "2", "ocdo"},  {XENBUS_BACK, "5", "5", "o"},
    {XENBUS_BACK, "56", "6", "od"},      {XENBUS_BACK, "343", "4", "oc"},
    {XENBUS_BACK, "3463", "6", "ocd"},   {XENBUS_BACK, "-", "2", "o"},
};

/* Of a class whose front halves say Connected by themselves. */
static const struct run at_once_runs[] = {
    {XENBUS_FRONT, "2", "4", "o"},      {XENBUS_FRONT, "24", "4", "oc"},
    {XENBUS_FRONT, "245", "6", "ocd"},  {XENBUS_FRONT, "2462", "4", "ocdo"},
    {XENBUS_FRONT, "21", "1", "od"},    {XENBUS_FRONT, "2124", "4", "odoc"},
    {XENBUS_FRONT, "241", "1", "ocd"},  {XENBUS_BACK, "4", "4", "oc"},
    {XENBUS_BACK, "3", "4", "oc"},      {XENBUS_BACK, "34", "4", "oc"},
    {XENBUS_BACK, "456", "6", "ocd"},   {XENBUS_BACK, "41", "2", "ocdo"},
    {XENBUS_BACK, "414", "4", "ocdoc"}, {XENBUS_BACK, "4561", "2", "ocdo"},
};

static void walk(const struct run *run)
{
	begin(run->side);
	for (const char *s = run->peer; *s; s++) {
		char text[2] = {*s, '\0'};

		if (*s != '-') {
			peer(text);
			continue;
		}
		mock_store_remove(toy.side == XENBUS_FRONT ? BACK "/state" : FRONT "/state");
		mock_run();
	}
	if (strcmp(ours(), run->state) || strcmp(steps, run->steps))
		fail_msg("side %d, peer %s: state %s steps '%s', expected %s '%s'", run->side,
			 run->peer, ours(), steps, run->state, run->steps);
	end();
}

static void test_table(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
		walk(&runs[i]);
}

static void test_at_once(void **state)
{
	at_once = true;
	for (unsigned i = 0; i < ARRAY_SIZE(at_once_runs); i++)
		walk(&at_once_runs[i]);
	at_once = false;
}

/* A backend that begins while its front half says Connected to the one before: those rings are not its own. */
static void test_at_once_and_stale(void **state)
{
	at_once = true;
	begin(XENBUS_BACK);
	peer("4");
	assert_true(xenbus_class_stop(class));
	mock_run();
	mock_store_put_key(BACK, "frontend", FRONT);
	mock_store_put_key(BACK, "frontend-id", "1");
	mock_store_put_key(BACK, "state", "1");
	memset(steps, 0, sizeof(steps));
	start();
	assert_string_equal(steps, "o");
	assert_string_equal(ours(), "2");
	peer("6");
	peer("1");
	peer("4");
	assert_string_equal(steps, "oc");
	end();
	at_once = false;
}

/* Linux's back, unbound and bound again, that has seen us Closed: it is Closed, online, and begins when we do. One that
 * goes on so is followed once in three seconds. */
static void test_both_closed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		at_once = i;
		begin(XENBUS_FRONT);
		peer("2");
		peer("4");
		peer("6");
		assert_string_equal(ours(), "1");
		peer("2");
		peer("4");
		assert_string_equal(ours(), "4");
		assert_string_equal(steps, "ocdoc");
		for (unsigned round = 0; round < 3; round++) {
			peer("6");
			assert_string_equal(ours(), "6");
			mock_advance(2500000000ull);
			assert_string_equal(ours(), "6");
			mock_advance(600000000ull);
			assert_string_equal(ours(), "1");
			peer("2");
		}
		end();
	}
	at_once = false;
}

/* The end of a removal, and of a connection that we have ended, is the end. */
static void test_both_closed_for_good(void **state)
{
	(void)state;
	begin(XENBUS_FRONT);
	peer("2");
	peer("4");
	mock_store_put_key(BACK, "online", "0");
	peer("5");
	peer("6");
	mock_advance(20000000000ull);
	assert_string_equal(ours(), "6");
	end();
	begin(XENBUS_FRONT);
	peer("2");
	peer("4");
	xenbus_fail(device, "it sang");
	mock_run();
	peer("6");
	mock_advance(20000000000ull);
	assert_string_equal(ours(), "6");
	peer("2");
	assert_string_equal(ours(), "3");
	end();
	begin(XENBUS_FRONT);
	peer("2");
	peer("4");
	mock_store_remove(BACK);
	peer("6");
	mock_advance(20000000000ull);
	assert_string_equal(ours(), "6");
	end();
}

static void test_failing_steps(void **state)
{
	begin(XENBUS_FRONT);
	fail_open = -XEN_ENOMEM;
	peer("2");
	assert_string_equal(ours(), "6");
	assert_string_equal(steps, "od");
	end();
	begin(XENBUS_BACK);
	fail_connect = -XEN_EINVAL;
	peer("3");
	assert_string_equal(ours(), "6");
	assert_string_equal(steps, "ocd");
	fail_connect = 0;
	peer("1");
	peer("3");
	assert_string_equal(ours(), "4");
	end();
}

/* While a driver is not done with the old connection nothing new begins, and the peer is not told.
 */
static void test_slow_disconnect(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	slow = true;
	peer("6");
	assert_string_equal(ours(), "4");
	peer("1");
	peer("3");
	assert_string_equal(steps, "ocd");
	slow = false;
	xenbus_disconnected(device);
	mock_run();
	assert_string_equal(ours(), "6");
	peer("1");
	peer("3");
	assert_string_equal(ours(), "4");
	assert_string_equal(steps, "ocdoc");
	end();
}

static void test_slow_and_removed(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	slow = true;
	mock_store_remove(BACK);
	mock_run();
	assert_non_null(device);
	xenbus_disconnected(device);
	mock_run();
	assert_null(device);
	assert_string_equal(mock_store_key(BACK, "state"), ""); /* not made again by a late write */
	end();
}

#define OTHER "/local/domain/7/backend/toy/1/3"

static void other(const char *state)
{
	mock_store_put_key(OTHER, "state", state);
	mock_store_put_key(FRONT, "backend-id", "7");
	mock_store_put_key(FRONT, "backend", OTHER);
	mock_run();
}

/* Its backend's domain was made anew, as another, after the front half saw the old one go; who was its peer is nobody to it then. Or before,
 * and the driver still waits for those who use the device; or the directory goes meanwhile. */
static void test_moved(void **state)
{
	static const char *const expected[] = {"ocddo", "ocdo", "ocdg"};

	for (int how = 0; how < 3; how++) {
		begin(XENBUS_FRONT);
		peer("2");
		peer("4");
		slow = how;
		if (!how)
			peer("6");
		other("2");
		if (how == 2)
			mock_store_remove(FRONT);
		mock_run();
		if (how) {
			assert_string_equal(steps, "ocd");
			xenbus_disconnected(device);
		}
		mock_run();
		peer("5");
		assert_string_equal(steps, expected[how]);
		assert_string_equal(ours(), how == 2 ? "" : "3");
		end();
	}
}

/* The toolstack removes the directory while the half is about to write its state there. */
static void test_no_write_after_removal(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	mock_store_put_key(FRONT, "state", "6");
	mock_store_remove(BACK);
	mock_run();
	assert_null(device);
	assert_int_equal(mock_store_count(BACK), 0);
	end();
}

static void test_fail(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	xenbus_fail(device, "it sang");
	xenbus_fail(device, "it danced");
	assert_string_equal(steps, "oc"); /* not from within the driver */
	mock_run();
	assert_string_equal(steps, "ocd");
	assert_string_equal(ours(), "6");
	assert_true(mock_logged("backend/toy/1/3: domain 1: it sang; connection closed"));
	assert_false(mock_logged("it danced"));
	end();
}

static void test_removal(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	mock_store_put_key(BACK, "online", "0");
	mock_run();
	assert_string_equal(ours(), "4"); /* half of the order only */
	mock_store_put_key(BACK, "state", "5");
	mock_run();
	assert_string_equal(ours(), "5");
	peer("5");
	assert_string_equal(ours(), "5");
	peer("6");
	assert_null(device);
	assert_int_equal(mock_store_count(BACK), 0);
	assert_string_equal(steps, "ocddg");
	end();
}

/* No reconnect once the toolstack wants it gone; and no waiting without end. */
static void test_removal_of_a_stubborn_peer(void **state)
{
	begin(XENBUS_BACK);
	peer("3");
	mock_store_put_key(BACK, "online", "0");
	mock_store_put_key(BACK, "state", "5");
	mock_run();
	peer("1");
	peer("3");
	assert_string_equal(ours(), "5");
	mock_advance(4900000000ull);
	assert_non_null(device);
	mock_advance(200000000ull);
	assert_null(device);
	assert_int_equal(mock_store_count(BACK), 0);
	end();
}

/* A directory that is not complete yet is looked at again when it changes; others are no devices.
 */
static void test_incomplete_directories(void **state)
{
	begin(XENBUS_FRONT);
	mock_store_put("/local/domain/1/device/toy/9/state", "1");
	mock_store_put("/local/domain/1/device/toy/nine/backend", "/x");
	mock_store_put("/local/domain/1/device/toy/9/backend", "/local/domain/0/backend/toy/1/9");
	mock_run();
	assert_int_equal(device->id, 3);
	mock_store_put("/local/domain/1/device/toy/9/backend-id", "0");
	mock_run();
	assert_int_equal(device->id, 9);
	mock_store_remove("/local/domain/1/device/toy");
	mock_run();
	assert_null(class->devices);
	end();
}

/* Three domains of this program have the kind: one has two devices, one none, and the last one that cannot go yet. */
static void test_classes_of_a_kind(void **state)
{
	struct xenbus_device *dev;

	begin(XENBUS_FRONT);
	mock_store_put("/local/domain/1/device/toy/9/backend-id", "0");
	mock_store_put("/local/domain/1/device/toy/9/backend", "/local/domain/0/backend/toy/1/9");
	mock_run();
	mock_enter(3);
	start();
	mock_store_put("/local/domain/2/device/toy/5/backend-id", "0");
	mock_store_put("/local/domain/2/device/toy/5/backend", "/local/domain/0/backend/toy/2/5");
	mock_enter(2);
	start();
	dev = xenbus_next(&toy, NULL);
	assert_int_equal(dev->id, 5);
	dev = xenbus_next(&toy, dev);
	assert_int_equal(dev->id, 9);
	dev = xenbus_next(&toy, dev);
	assert_int_equal(dev->id, 3);
	assert_null(xenbus_next(&toy, dev));
	slow = true;
	assert_false(xenbus_class_stop(class));
	slow = false;
	mock_enter(3);
	assert_true(xenbus_class_stop(toy.classes->next));
	mock_enter(1);
	xenbus_kind_stop(&toy);
	dev = xenbus_next(&toy, NULL);
	assert_int_equal(dev->id, 5);
	assert_null(xenbus_next(&toy, dev));
	mock_enter(2);
	xenbus_disconnected(dev);
	mock_run();
	assert_null(xenbus_next(&toy, NULL));
	xenbus_kind_stop(&toy);
	assert_null(toy.classes);
	assert_true(mock_nothing_left(1) && mock_nothing_left(2));
}

/* What fails once, memory above all, leaves a device out; its directory is looked at again when it changes. */
static void test_no_memory(void **state)
{
	for (int n = 1; n < 8; n++) {
		begin(XENBUS_FRONT);
		mock_store_put("/local/domain/1/device/toy/9/backend-id", "0");
		mock_run();
		mock_fail_after(n);
		mock_store_put("/local/domain/1/device/toy/9/backend",
			       "/local/domain/0/backend/toy/1/9");
		mock_run();
		mock_fail_after(-1);
		mock_store_put("/local/domain/1/device/toy/9/state", "1");
		mock_run();
		assert_int_equal(device->id, 9);
		mock_fail_all(true);
		assert_int_equal(xenbus_class_start(xenbus_class_new(&toy)), -XEN_ENOMEM);
		mock_fail_all(false);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_at_once),
	    cmocka_unit_test(test_at_once_and_stale),
	    cmocka_unit_test(test_both_closed),
	    cmocka_unit_test(test_both_closed_for_good),
	    cmocka_unit_test(test_failing_steps),
	    cmocka_unit_test(test_slow_disconnect),
	    cmocka_unit_test(test_slow_and_removed),
	    cmocka_unit_test(test_moved),
	    cmocka_unit_test(test_no_write_after_removal),
	    cmocka_unit_test(test_fail),
	    cmocka_unit_test(test_removal),
	    cmocka_unit_test(test_removal_of_a_stubborn_peer),
	    cmocka_unit_test(test_incomplete_directories),
	    cmocka_unit_test(test_classes_of_a_kind),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
