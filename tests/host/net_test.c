/* net_test: the list of network interfaces: who is told of what, and when.
 *
 * Why: a bridge and the TCP/IP stack learn of every interface through it, a guest's included; one that is told too
 * late sends through a device that is freed. Expected: order kept, names unique, watchers told of what was there
 * before them, a user once, and nobody after the unregister.
 * links: kernel/net.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <amphi/host.h>
#include <amphi/host_net.h>

void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	__builtin_unreachable();
}

static struct {
	unsigned told, told_gone, received, ended, changed, put;
	int status;
} seen;

static void on_device(void *ctx, struct net_device *dev)
{
	(void)ctx;
	seen.told++;
	seen.told_gone += dev->gone;
}

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	(void)dev;
	seen.received++;
	net_frame_put(frame, 0);
}

static void on_batch_end(struct net_device *dev)
{
	(void)dev;
	seen.ended++;
}

static void on_changed(struct net_device *dev)
{
	(void)dev;
	seen.changed++;
}

static const struct net_user_ops user_ops = {on_received, on_batch_end, on_changed};

static void on_put(struct net_frame *frame, int status)
{
	(void)frame;
	seen.put++;
	seen.status = status;
}

static int setup(void **state)
{
	(void)state;
	seen.told = seen.told_gone = seen.received = seen.ended = seen.changed = seen.put = 0;
	return 0;
}

static void test_names_and_order(void **state)
{
	struct net_device a = {.name = "eth0"}, b = {.name = "vif1.0"}, twin = {.name = "eth0"};

	(void)state;
	assert_int_equal(host_net_register(&a), 0);
	assert_int_equal(host_net_register(&b), 0);
	assert_int_equal(host_net_register(&twin), -XEN_EEXIST);
	assert_ptr_equal(host_net_next(NULL), &a);
	assert_ptr_equal(host_net_next(&a), &b);
	assert_null(host_net_next(&b));
	assert_ptr_equal(host_net_find("vif1.0"), &b);
	host_net_unregister(&a);
	assert_null(host_net_find("eth0"));
	host_net_unregister(&b);
	assert_null(host_net_next(NULL));
}

static void test_watchers_hear_all(void **state)
{
	struct net_device a = {.name = "a"}, b = {.name = "b"};
	struct host_net_watch watch = {.fn = on_device};

	(void)state;
	assert_int_equal(host_net_register(&a), 0);
	host_net_watch(&watch);
	assert_int_equal(seen.told, 1);
	assert_int_equal(host_net_register(&b), 0);
	assert_int_equal(seen.told, 2);
	host_net_changed(&b);
	assert_int_equal(seen.told, 3);
	host_net_unregister(&a);
	assert_int_equal(seen.told_gone, 1);
	host_net_unwatch(&watch);
	host_net_unregister(&b);
	assert_int_equal(seen.told, 4);
}

static void test_one_user(void **state)
{
	struct net_device a = {.name = "a"};
	struct net_frame frame = {.done = on_put, .holders = 1};

	(void)state;
	assert_int_equal(host_net_register(&a), 0);
	assert_int_equal(host_net_attach(&a, &user_ops, NULL), 0);
	assert_int_equal(host_net_attach(&a, &user_ops, NULL), -XEN_EBUSY);
	host_net_receive(&a, &frame);
	host_net_batch_end(&a);
	assert_int_equal(seen.received, 1);
	assert_int_equal(seen.ended, 1);
	assert_int_equal(seen.put, 1);
	host_net_unregister(&a);
	assert_int_equal(seen.changed, 1);
	assert_null(a.user);
}

/* A frame that two have is put when the second has put it, with the first error. */
static void test_nobodys_frame_and_holders(void **state)
{
	struct net_device a = {.name = "a"};
	struct net_frame frame = {.done = on_put, .holders = 1};

	(void)state;
	host_net_receive(&a, &frame);
	host_net_batch_end(&a);
	assert_int_equal(seen.put, 1);
	assert_int_equal(seen.status, -XEN_ENODEV);
	frame = (struct net_frame){.done = on_put, .holders = 1};
	net_frame_hold(&frame);
	net_frame_put(&frame, -XEN_EIO);
	assert_int_equal(seen.put, 1);
	net_frame_put(&frame, 0);
	assert_int_equal(seen.put, 2);
	assert_int_equal(seen.status, -XEN_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_names_and_order, setup),
	    cmocka_unit_test_setup(test_watchers_hear_all, setup),
	    cmocka_unit_test_setup(test_one_user, setup),
	    cmocka_unit_test_setup(test_nobodys_frame_and_holders, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
