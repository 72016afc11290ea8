/* net_back_share_test: what a guest that floods leaves its neighbours.
 *
 * Why: one worker serves all interfaces, and a ring can be filled as fast as it is emptied. Expected: a turn is 128 packets and no
 * more, then all others have theirs; where nobody waits it is the whole ring, with a list of copies for all heads; who has little to send is served within one turn of each who floods, however many queues the
 * flood has and however often it notifies; who is held by its rate keeps nobody else waiting; every packet is answered once.
 *
 * links: tests/host/net_world.c tests/host/net_guest.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c protocol/grant_retire.c
 * links: protocol/netif_*.c drivers-back/netback*.c kernel/net.c protocol/net_*.c lib/printf.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net_guest.h"

#define GUESTS 4u
#define TURN   128u /* netback's */
#define BYTES  60u
#define SEEN   4096u

static struct net_guest guests[GUESTS]; /* domains 1.. */

/* Whose frames came, in their order. */
static domid_t seen[SEEN];
static unsigned n_seen;

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	(void)dev;
	if (n_seen < SEEN)
		seen[n_seen++] = frame->owner;
	net_frame_put(frame, 0);
}

static void on_nothing(struct net_device *dev)
{
	(void)dev;
}

static const struct net_user_ops user_ops = {on_received, on_nothing, on_nothing};

/* In place of the hub of net_world.h, which keeps only the last. */
static void begin(unsigned flood_queues, const char *const *flood_more)
{
	net_world_begin();
	mock_shuffle(0);
	net_world_start_back();
	for (unsigned i = 0; i < GUESTS; i++) {
		struct net_device *dev;

		net_world_attach((domid_t)(i + 1), 0, i ? NULL : flood_more);
		net_guest_connect(&guests[i], (domid_t)(i + 1),
				  &(struct net_plan){.n_queues = i ? 1 : flood_queues});
		memset(guests[i].pages, 0, BYTES);
		guests[i].pages[12] = 0x88, guests[i].pages[13] = 0xb5;
		mock_run();
		mock_enter(0);
		dev = net_world_device((domid_t)(i + 1), 0);
		host_net_detach(dev);
		assert_int_equal(host_net_attach(dev, &user_ops, NULL), 0);
	}
	n_seen = 0;
}

static void end(void)
{
	for (unsigned i = 0; i < GUESTS; i++)
		net_guest_end(&guests[i]);
	assert_true(net_world_end());
}

/* n packets in a queue's ring, published; nobody runs yet. */
static void put(unsigned i, unsigned queue, unsigned n)
{
	struct net_guest_queue *q = &guests[i].queues[queue];

	mock_enter(guests[i].domid);
	for (; n; n--)
		net_guest_packet(&guests[i], queue, &(struct net_packet){.page = 0, .len = BYTES});
	if (ring_front_push(&q->tx))
		host_event_notify(q->tx_port);
}

/* As many as there is room for; the answers are taken. */
static unsigned refill(unsigned i, unsigned queue)
{
	struct net_guest_queue *q = &guests[i].queues[queue];
	struct netif_tx_response rsp;
	unsigned n;

	mock_enter(guests[i].domid);
	while (net_guest_answer(&guests[i], queue, &rsp))
		assert_int_equal(rsp.status, NETIF_RSP_OKAY);
	n = NETIF_RING_SLOTS - ring_front_in_flight(&q->tx);
	put(i, queue, n);
	return n;
}

static unsigned count_of(domid_t domid, unsigned from, unsigned to)
{
	unsigned n = 0;

	for (unsigned k = from; k < to; k++)
		n += seen[k] == domid;
	return n;
}

static unsigned first_of(domid_t domid, unsigned from)
{
	while (from < n_seen && seen[from] != domid)
		from++;
	return from;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_a_turn_has_an_end(void **state)
{
	(void)state;
	begin(0, NULL);
	put(0, 0, 200);
	put(1, 0, 250);
	put(2, 0, 1);
	mock_run();
	assert_int_equal(n_seen, 451);
	assert_int_equal(first_of(3, 0), 0);
	assert_int_equal(first_of(2, 0), 1 + TURN);
	assert_int_equal(count_of(1, 0, 1 + TURN), TURN);
	assert_int_equal(count_of(2, 0, 1 + 2 * TURN), TURN);
	end();
}

static void first_guests(const struct netback_info *info, void *ctx)
{
	if (info->guest == guests[0].domid)
		*(struct netback_stats *)ctx = info->stats;
}

/* Nobody else waits: one turn, whose heads are one list. */
static void test_alone(void **state)
{
	struct netback_stats stats;

	(void)state;
	begin(0, NULL);
	put(0, 0, NETIF_RING_SLOTS);
	mock_run();
	assert_int_equal(n_seen, NETIF_RING_SLOTS);
	mock_enter(0);
	assert_int_equal(net_world_device(1, 0)->stats[0].batches_in, 1);
	netback_for_each(first_guests, &stats);
	assert_int_equal(stats.copied, NETIF_RING_SLOTS);
	assert_int_equal(stats.copy_calls, 1);
	end();
}

/* Whatever runs first; the flood is renewed before each step of anybody. */
static void flood(unsigned queues)
{
	uint64_t sent = 0;

	for (unsigned round = 0; round < 16; round++) {
		unsigned at;

		for (unsigned k = 0; k < 4 * queues; k++) {
			sent += refill(0, k % queues);
			(void)mock_run_some(1);
		}
		n_seen = 0;
		put(1, 0, 1);
		for (unsigned k = 0; k < 1000 && count_of(2, 0, n_seen) == 0; k++) {
			for (unsigned i = 0; i < queues; i++)
				sent += refill(0, i);
			(void)mock_run_some(1);
		}
		at = first_of(2, 0);
		assert_true(at < n_seen);
		assert_true(at <= 2 * TURN);
	}
	mock_run();
	assert_true(sent > 16 * TURN);
}

static void test_little_beside_a_flood(void **state)
{
	for (uint32_t seed = 0; seed < 8; seed++) {
		(void)state;
		begin(0, NULL);
		mock_shuffle(seed);
		flood(1);
		end();
	}
}

static void test_little_beside_many_queues(void **state)
{
	for (uint32_t seed = 0; seed < 8; seed++) {
		(void)state;
		begin(8, NULL);
		mock_shuffle(seed);
		flood(8);
		end();
	}
}

/* Two that flood have as much, however many queues. */
static void test_floods_share(void **state)
{
	static const unsigned queues[] = {1, 2, 8};

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(queues); k++) {
		unsigned own, other;

		begin(queues[k], NULL);
		for (unsigned round = 0; round < 20000 && n_seen < SEEN / 2; round++) {
			for (unsigned q = 0; q < queues[k]; q++)
				(void)refill(0, q);
			(void)refill(1, 0);
			(void)mock_run_some(1);
		}
		own = count_of(1, 0, n_seen);
		other = count_of(2, 0, n_seen);
		assert_true(n_seen > 8 * TURN);
		assert_true(own <= other + 2 * TURN && other <= own + 2 * TURN);
		mock_run();
		end();
	}
}

/* 6000 bytes are 100 packets: the rest waits for its span, and the neighbour for nothing. */
static void test_rate_keeps_nobody_waiting(void **state)
{
	static const char *const rate[] = {"rate=6000,50000", NULL};

	(void)state;
	begin(0, rate);
	put(0, 0, 250);
	put(1, 0, 5);
	mock_run();
	assert_int_equal(count_of(1, 0, n_seen), 100);
	assert_int_equal(count_of(2, 0, n_seen), 5);
	put(2, 0, 7);
	mock_run();
	assert_int_equal(count_of(3, 0, n_seen), 7);
	mock_advance(50000000);
	assert_int_equal(count_of(1, 0, n_seen), 200);
	mock_advance(50000000);
	assert_int_equal(count_of(1, 0, n_seen), 250);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_turn_has_an_end),
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_little_beside_a_flood),
	    cmocka_unit_test(test_little_beside_many_queues),
	    cmocka_unit_test(test_floods_share),
	    cmocka_unit_test(test_rate_keeps_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
