/* net_front_life_test: an interface whose backend goes and comes, whose domain is suspended, and which is taken away.
 *
 * Shows: its user keeps it and is told of the carrier; what was on its way ends once and is not sent again; frames that a user
 * has outlive the connection that they came by; ports of the old world are not closed in the new one; many rounds leave
 * nothing. Why: a guest must get its traffic back without being touched. Expected: traffic both ways after each change.
 *
 * links: tests/host/net_plain_*.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/netif_*.c
 * links: protocol/net_parse.c protocol/net_hash.c drivers-front/netfront*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net_plain_back.h"

static uint8_t data[NET_FRAME_MAX];

static void traffic(struct net_device *dev)
{
	unsigned n = nb.n_seen, m = nb_user.n_frames;
	struct nb_frame f;

	for (unsigned i = 0; i < 20; i++) {
		nb_frame_make(&f, 60 + i * 70, 54, 1, i * 200);
		nb_frame_send(dev, &f);
		assert_int_equal(nb.n_seen, ++n);
		assert_true(nb_same(&f, nb_last()->data, nb_last()->len));
		assert_int_equal(f.n_done, 1);
		nb_frame_free(&f);
		nb_fill(data, 60 + i * 70, i);
		assert_true(nb_send(data, 60 + i * 70, NULL));
		assert_int_equal(nb_user.n_frames, ++m);
		assert_memory_equal(nb_user.data, data, 60 + i * 70);
	}
}

/* Frames of each kind that have no answer: copied, lent, waiting. */
static struct nb_frame on_way[300];

static void send_many(struct net_device *dev)
{
	nb.hold = true;
	for (unsigned i = 0; i < ARRAY_SIZE(on_way); i++) {
		nb_frame_make(&on_way[i], i % 2 ? 60 : 1500, 54, 1, 0);
		mock_enter(1);
		dev->ops->send(dev, &on_way[i].frame);
	}
	dev->ops->kick(dev);
	mock_run();
}

static void all_ended(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(on_way); i++) {
		assert_int_equal(on_way[i].n_done, 1);
		nb_frame_free(&on_way[i]);
	}
	nb.hold = false;
}

static void test_backend_replaced(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	for (unsigned round = 0; round < 5; round++) {
		unsigned seen;

		traffic(dev);
		send_many(dev);
		seen = nb.n_seen;
		if (round % 2)
			nb_drop();
		nb_put_back("state", round == 4 ? "5" : "6");
		mock_run();
		nb_drop();
		all_ended();
		assert_false(dev->carrier);
		assert_int_equal(nb.n_seen, seen);
		/* While it is away nothing is kept. */
		nb_frame_make(&on_way[0], 100, 0, 1, 0);
		nb_frame_send(dev, &on_way[0]);
		assert_int_equal(on_way[0].status, -XEN_ENOTCONN);
		nb_frame_free(&on_way[0]);
		nb.queues = round;
		nb.split = round & 1;
		nb_offer();
		nb_connect();
		assert_true(dev->carrier);
		assert_ptr_equal(host_net_find("eth0"), dev);
	}
	traffic(dev);
	assert_true(nb_user.n_changes >= 10);
	assert_true(nb_end());
}

/* A user has frames of two connections before, and gives them back in the third. */
static void test_frames_outlive(void **state)
{
	unsigned pages;

	nb_reset();
	nb_put_front("mtu", "9000");
	nb_user.holds = true;
	nb_begin();
	nb_fill(data, 6000, 1);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 20; i++)
			assert_true(nb_send(data, i % 2 ? 100 : 6000, NULL));
		if (round == 2)
			break;
		nb_drop();
		nb_put_back("state", "6");
		mock_run();
		nb_offer();
		nb_connect();
	}
	assert_int_equal(nb_user.n_held, 60);
	for (unsigned i = 0; i < 60; i++)
		assert_memory_equal(nb_user.held[i]->segments[0].va, data, 100);
	pages = mock_left(1).pages;
	nb_user_release();
	/* Those of old connections are nobody's any more: 10 frames of 2 pages, twice. */
	assert_int_equal(mock_left(1).pages, pages - 40);
	nb_user.holds = false;
	traffic(host_net_find("eth0"));
	assert_true(nb_end());
}

/* The toolstack takes it away, with frames both ways. */
static void test_unplugged(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	nb_user.holds = true;
	nb_fill(data, 1000, 1);
	for (unsigned i = 0; i < 20; i++)
		assert_true(nb_send(data, 1000, NULL));
	send_many(dev);
	nb_detach();
	all_ended();
	assert_int_equal(nb_user.n_held, 0);
	assert_null(host_net_find("eth0"));
	/* And plugs in another. */
	nb_user.holds = false;
	nb_attach();
	nb_offer();
	nb_connect();
	traffic(host_net_find("eth0"));
	assert_true(nb_end());
}

/* ---- suspend --------------------------------------------------------------------------------------- */

static void new_world(bool with_interface)
{
	mock_freeze(1, true);
	nb_drop();
	mock_store_remove("/local/domain/0/backend/vif/1");
	mock_run();
	mock_new_world(1);
	mock_store_remove("/local/domain/1/device/vif");
	if (with_interface)
		nb_attach();
	mock_enter(1);
	netfront_drop();
	netfront_resume();
	mock_freeze(1, false);
	mock_run();
}

static void test_suspend(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.split = nb.control = true;
	nb.queues = 3;
	dev = nb_begin();
	for (unsigned round = 0; round < 6; round++) {
		traffic(dev);
		nb_user.holds = true;
		nb_fill(data, 1000, round);
		for (unsigned i = 0; i < 5; i++)
			assert_true(nb_send(data, 1000, NULL));
		send_many(dev);
		new_world(true);
		all_ended();
		assert_false(dev->carrier);
		nb_user_release();
		nb_user.holds = false;
		nb_offer();
		nb_connect();
		assert_ptr_equal(host_net_find("eth0"), dev);
	}
	traffic(dev);
	assert_true(nb_end());
}

/* The domain wakes up without it. */
static void test_suspend_without(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	send_many(dev);
	new_world(false);
	all_ended();
	assert_null(host_net_find("eth0"));
	assert_true(nb_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_backend_replaced), cmocka_unit_test(test_frames_outlive),
	    cmocka_unit_test(test_unplugged),        cmocka_unit_test(test_suspend),
	    cmocka_unit_test(test_suspend_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
