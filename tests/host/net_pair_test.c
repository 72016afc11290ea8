/* net_pair_test: our netfront and our netback, and a wire between two guests of it.
 *
 * Why: each half has its tests against a half that a test plays; what both have wrong the same way is seen only when bytes
 * go from a guest's memory to another's. Expected: every length arrives as it was, large frames in one, in their order and
 * once, over one queue and over several, whatever runs first; a backend that goes away and comes back has its guests again
 * without their doing.
 *
 * links: tests/host/net_world.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus.c protocol/xenbus_class.c
 * links: protocol/xenbus_keys.c protocol/grant_retire.c protocol/netif_*.c protocol/net_*.c
 * links: drivers-front/netfront*.c drivers-back/netback*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/netfront.h>

#include "drivers-front/netfront_private.h"
#include "net_world.h"

/* Guest 1 has eth1, guest 2 has eth2: their names are of one registry here. */
static struct xenbus_class *classes[3];
static struct net_device *eth[3];

static struct {
	unsigned frames;
	uint32_t len, last_number, hash;
	uint8_t flags, gso;
	uint16_t gso_size;
	bool in_order;
	uint8_t data[NET_FRAME_MAX];
} got;

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	uint32_t number;

	got.frames++;
	got.len = 0;
	for (unsigned i = 0; i < frame->n_segments; i++) {
		memcpy(got.data + got.len, frame->segments[i].va, frame->segments[i].len_bytes);
		got.len += frame->segments[i].len_bytes;
	}
	got.flags = frame->flags;
	got.hash = frame->hash;
	got.gso = frame->gso;
	got.gso_size = frame->gso_size;
	memcpy(&number, got.data + 56, 4);
	got.in_order &= number == got.last_number + 1;
	got.last_number = number;
	net_frame_put(frame, 0);
}

static void on_nothing(struct net_device *dev)
{
	(void)dev;
}

static const struct net_user_ops user_ops = {on_received, on_nothing, on_nothing};

static void start_guest(domid_t guest)
{
	char name[8] = "eth0";

	net_world_attach(guest, guest, NULL);
	mock_enter(guest);
	nf_kind.classes = NULL;
	assert_int_equal(netfront_init(), 0);
	classes[guest] = nf_kind.classes;
	mock_run();
	name[3] = (char)('0' + guest);
	eth[guest] = host_net_find(name);
	assert_non_null(eth[guest]);
	assert_true(eth[guest]->carrier);
	mock_enter(guest);
	assert_int_equal(host_net_attach(eth[guest], &user_ops, NULL), 0);
}

static void begin_with(const struct netfront_limits *limits)
{
	net_world_begin();
	memset(&got, 0, sizeof(got));
	got.in_order = true;
	net_hub.forwards = true;
	net_hub.records = false;
	netfront_limit(limits);
	net_world_start_back();
	start_guest(1);
	start_guest(2);
}

static void begin(unsigned queues)
{
	begin_with(&(struct netfront_limits){.queues = queues, .rx_pages = 64, .tx_pages = 64});
}

static void end(void)
{
	for (domid_t g = 1; g < 3; g++) {
		net_world_detach_begin(g, g);
		net_world_detach_end(g, g);
		mock_enter(g);
		nf_kind.classes = classes[g];
		assert_true(xenbus_class_stop(classes[g]));
		mock_run();
	}
	nf_kind.classes = NULL;
	mock_advance(6000000000ull);
	if (!net_world_end())
		mock_bug("something is left");
}

static void send_from(domid_t guest, struct net_sent *sent, const void *data, uint32_t len)
{
	net_world_send_in(guest, eth[guest], sent, data, len);
	mock_enter(guest);
	eth[guest]->ops->kick(eth[guest]);
}

static void test_every_length(void **state)
{
	static const uint32_t lens[] = {60, 64, 255, 256, 257, 1000, 1514};
	static uint8_t data[NET_FRAME_MAX];

	(void)state;
	begin(1);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		struct net_sent sent = {0};

		net_world_frame(data, lens[i], &(struct net_recipe){.sport = (uint16_t)i});
		send_from(1, &sent, data, lens[i]);
		mock_run();
		assert_true(sent.done);
		assert_int_equal(sent.status, 0);
		assert_int_equal(got.frames, i + 1);
		assert_int_equal(got.len, lens[i]);
		assert_memory_equal(got.data, data, lens[i]);
		net_sent_free(&sent);
	}
	end();
}

static void test_large_frames_stay_whole(void **state)
{
	static uint8_t data[NET_FRAME_MAX];
	struct net_sent sent = {0};

	(void)state;
	begin(1);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		net_world_frame(data, 60000, &(struct net_recipe){.ipv6 = v6});
		sent.frame.flags = NET_CSUM_BLANK;
		sent.frame.gso = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
		sent.frame.gso_size = 1440;
		send_from(2, &sent, data, 60000);
		mock_run();
		assert_true(sent.done);
		assert_int_equal(got.frames, 1 + v6);
		assert_int_equal(got.len, 60000);
		assert_memory_equal(got.data, data, 60000);
		assert_int_equal(got.gso, sent.frame.gso);
		assert_int_equal(got.gso_size, 1440);
		assert_true(got.flags & NET_CSUM_BLANK);
		net_sent_free(&sent);
	}
	end();
}

/* A flow of numbered frames, as fast as the rings take them, the domains by chance. */
static void flow(unsigned queues, uint32_t seed)
{
	static struct net_sent sent[400];
	static uint8_t data[3000];
	unsigned n = 0;

	memset(sent, 0, sizeof(sent));
	begin(queues);
	mock_shuffle(seed);
	for (uint32_t number = 1; number <= 400; number++, n++) {
		net_world_frame(data, 64 + number % 1400, &(struct net_recipe){.sport = 5});
		memcpy(data + 56, &number, 4);
		send_from(1, &sent[n], data, 64 + number % 1400);
		mock_run_some(number % 7 ? 1 : 40);
	}
	mock_run();
	mock_shuffle(0);
	for (unsigned i = 0; i < n; i++) {
		assert_true(sent[i].done);
		net_sent_free(&sent[i]);
	}
	assert_int_equal(got.frames, 400);
	assert_true(got.in_order);
	end();
}

static void test_in_order_and_once(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 8; seed++)
		flow(1, seed);
}

static void test_in_order_over_queues(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 8; seed++)
		flow(4, seed);
}

/* What is under way may be lost; what is sent afterwards is not. */
static void test_backend_comes_back(void **state)
{
	static uint8_t data[1000];
	struct net_sent sent = {0};

	(void)state;
	begin(2);
	mock_enter(0);
	netback_exit();
	mock_run();
	for (domid_t g = 1; g < 3; g++) { /* as a toolstack makes it anew */
		net_world_put_back(g, g, "state", "1");
		assert_false(eth[g]->carrier && net_world_device(g, g));
	}
	net_world_start_back();
	mock_run();
	assert_true(eth[1]->carrier);
	assert_true(eth[2]->carrier);
	net_world_frame(data, sizeof(data), &(struct net_recipe){0});
	send_from(1, &sent, data, sizeof(data));
	mock_run();
	assert_int_equal(got.frames, 1);
	assert_memory_equal(got.data, data, sizeof(data));
	net_sent_free(&sent);
	end();
}

/* 64 frames under load: how much of each there is for a packet. */
static void test_batches(void **state)
{
	static struct net_sent sent[48];
	uint8_t data[64];
	uint64_t notifies, calls;

	(void)state;
	memset(sent, 0, sizeof(sent));
	begin(1);
	mock_run();
	notifies = mock_calls.notifies;
	calls = net_world_info().stats.copy_calls;
	net_world_frame(data, sizeof(data), &(struct net_recipe){0});
	for (unsigned i = 0; i < 48; i++)
		net_world_send_in(1, eth[1], &sent[i], data, sizeof(data));
	mock_enter(1);
	eth[1]->ops->kick(eth[1]);
	mock_run();
	assert_int_equal(got.frames, 48);
	assert_in_range(mock_calls.notifies - notifies, 2, 4);
	assert_in_range(net_world_info().stats.copy_calls - calls, 0, 2);
	for (unsigned i = 0; i < 48; i++)
		net_sent_free(&sent[i]);
	end();
}

/* Both halves keep their pages where they are: in steady state nobody asks the hypervisor for anything but to tell. */
static void test_staged_pages(void **state)
{
	static uint8_t data[9000];
	struct net_sent sent = {0};
	uint64_t copies, maps;

	(void)state;
	begin_with(&(struct netfront_limits){
	    .queues = 1, .rx_pages = 64, .tx_pages = 64, .staging = true});
	assert_true(net_world_info().n_staged > 64);
	copies = mock_calls.copies;
	maps = mock_calls.mapped + mock_calls.unmapped;
	for (unsigned i = 0; i < 200; i++) {
		uint32_t len = i & 1 ? 64 : 1514;

		net_world_frame(data, len, &(struct net_recipe){.sport = 5});
		send_from(1, &sent, data, len);
		mock_run();
		assert_true(sent.done);
		assert_int_equal(got.frames, i + 1);
		assert_memory_equal(got.data, data, len);
		net_sent_free(&sent);
	}
	assert_int_equal(mock_calls.copies, copies);
	assert_int_equal(mock_calls.mapped + mock_calls.unmapped, maps);
	end();
}

/* The guest's own hash comes with each frame, one for a flow, and another for another. */
static void test_hash_is_told(void **state)
{
	static uint8_t data[200];
	struct net_sent sent = {0};
	uint32_t seen[3];

	(void)state;
	begin(4);
	mock_enter(2);
	nf_kind.classes = classes[2];
	assert_int_equal(netfront_hash("eth2", true), 0);
	mock_run();
	assert_true(net_world_device(2, 2)->n_queues == 4);
	for (unsigned i = 0; i < 3; i++) {
		net_world_frame(data, sizeof(data),
				&(struct net_recipe){.source = {10, 0, 0, 1},
						     .dest = {10, 0, 0, 2},
						     .sport = i == 2 ? 9 : 8});
		send_from(1, &sent, data, sizeof(data));
		mock_run();
		assert_int_equal(got.frames, i + 1);
		seen[i] = got.hash;
		net_sent_free(&sent);
	}
	assert_int_not_equal(seen[0], 0);
	assert_int_equal(seen[0], seen[1]);
	assert_int_not_equal(seen[0], seen[2]);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_large_frames_stay_whole),
	    cmocka_unit_test(test_in_order_and_once),
	    cmocka_unit_test(test_in_order_over_queues),
	    cmocka_unit_test(test_backend_comes_back),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_staged_pages),
	    cmocka_unit_test(test_hash_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
