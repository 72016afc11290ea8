/* net_back_test: netback against a frontend that says what the test says.
 *
 * Why: every packet of every guest goes through it, each way. Expected: what a guest sends is what the interface's user
 * sees, byte by byte, with its offloads, and what is sent to a guest lies in its pages; slots are answered once, when
 * the frame is put; a batch is one hypercall and one notification; nothing is left when it goes.
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

#include "net_back_fixture.h"

/* ---- the store ---- */

static void test_keys(void **state)
{
	(void)state;
	begin();
	net_world_attach(1, 0, NULL);
	assert_string_equal(net_world_back(1, 0, "state"), "2");
	assert_string_equal(net_world_back(1, 0, "feature-sg"), "1");
	assert_string_equal(net_world_back(1, 0, "feature-rx-copy"), "1");
	assert_string_equal(net_world_back(1, 0, "multi-queue-max-queues"), "8");
	assert_string_equal(net_world_back(1, 0, "hotplug-status"), "connected");
	net_guest_connect(&guest, 1, &(struct net_plan){.n_queues = 2, .split = true});
	assert_string_equal(net_world_back(1, 0, "state"), "4");
	mock_run();
	assert_string_equal(net_world_back(1, 0, "carrier"), "1");
	assert_non_null(net_world_device(1, 0));
	assert_string_equal(net_world_device(1, 0)->bridge, "xenbr0");
	assert_memory_equal(net_world_device(1, 0)->mac, net_world_mac(1, 0), 6);
	assert_int_equal(net_world_device(1, 0)->n_queues, 2);
	assert_int_equal(net_world_device(1, 0)->mtu, 1500);
	end();
}

static void test_what_a_guest_can(void **state)
{
	static const struct {
		struct net_plan plan;
		uint32_t can;
	} cases[] = {
	    {{0}, NET_CAN_CSUM4 | NET_CAN_CSUM6 | NET_CAN_GSO4 | NET_CAN_GSO6},
	    {{.plain = true}, NET_CAN_CSUM4},
	    {{.no_csum4 = true}, NET_CAN_CSUM6 | NET_CAN_GSO6},
	    {{.no_csum6 = true}, NET_CAN_CSUM4 | NET_CAN_GSO4},
	    {{.no_gso = true}, NET_CAN_CSUM4 | NET_CAN_CSUM6},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		begin();
		connect(&cases[i].plan);
		assert_int_equal(net_world_device(1, 0)->can,
				 cases[i].can | NET_CAN_SEGMENTS | NET_CAN_REMOTE);
		end();
	}
}

static void test_toolstack_keys(void **state)
{
	static const char *const more[] = {"mtu=9000", NULL}, *const bad[] = {"mac=00:16", NULL};

	(void)state;
	begin();
	net_world_attach(1, 0, more);
	net_guest_connect(&guest, 1, &(struct net_plan){0});
	assert_int_equal(net_world_device(1, 0)->mtu, 9000);
	end();
	begin();
	net_world_attach(1, 0, bad);
	assert_string_equal(net_world_back(1, 0, "state"), "6");
	net_world_detach_begin(1, 0);
	assert_true(net_world_end());
}

static void test_copying_is_all_there_is(void **state)
{
	(void)state;
	begin();
	net_world_attach(1, 0, NULL);
	net_guest_connect(&guest, 1, &(struct net_plan){.no_copy = true});
	assert_string_equal(net_world_back(1, 0, "state"), "6");
	assert_null(net_world_device(1, 0));
	end();
}

/* ---- from the guest ---- */

static void test_small_packet(void **state)
{
	(void)state;
	begin();
	connect(&(struct net_plan){0});
	fill(0, 64);
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), NETIF_RSP_OKAY);
	assert_int_equal(net_hub.n_frames, 1);
	assert_int_equal(net_hub.n_batches, 1);
	assert_int_equal(net_hub.last.len, 64);
	assert_int_equal(net_hub.last.n_segments, 1);
	assert_memory_equal(net_hub.last.data, guest.pages, 64);
	end();
}

/* Every length, every way to cut the first slot: the bytes are the same. */
static void test_lengths_and_cuts(void **state)
{
	static const uint32_t lens[] = {14,   60,   255,  256,   257,   1514,  4095,
					4096, 4097, 9014, 61440, 65226, 65535, 65535};
	static const uint32_t firsts[] = {0, 1, 14, 66, 256, 300};

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	fill(0, 65535);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++)
		for (unsigned f = 0; f < ARRAY_SIZE(firsts); f++) {
			if (firsts[f] >= lens[i])
				continue;
			net_guest_packet(
			    &guest, 0,
			    &(struct net_packet){.page = 0, .len = lens[i], .first = firsts[f]});
			net_guest_push(&guest, 0);
			assert_int_equal(answers(0), NETIF_RSP_OKAY);
			assert_int_equal(net_hub.last.len, lens[i]);
			assert_memory_equal(net_hub.last.data, guest.pages, lens[i]);
		}
	end();
}

static void test_offloads_from_the_guest(void **state)
{
	struct netif_extras gso = {
	    .seen = 1 << XEN_NETIF_EXTRA_TYPE_GSO, .gso = NET_GSO_TCPV4, .gso_size = 1448};

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_world_frame(guest.pages, 20000, &(struct net_recipe){.sport = 1, .dport = 2});
	net_guest_packet(&guest, 0,
			 &(struct net_packet){.page = 0,
					      .len = 20000,
					      .flags = NETTXF_csum_blank | NETTXF_data_validated,
					      .extras = &gso});
	net_guest_push(&guest, 0);
	assert_int_equal(answers(0), NETIF_RSP_OKAY);
	assert_int_equal(net_hub.last.gso, NET_GSO_TCPV4);
	assert_int_equal(net_hub.last.gso_size, 1448);
	assert_true(net_hub.last.flags & NET_CSUM_BLANK);
	assert_int_equal(net_guest_ask(&guest, 0, 1000, NETTXF_csum_blank), -1);
	net_world_frame(guest.pages, 1000, &(struct net_recipe){.ipv6 = true, .udp = true});
	assert_int_equal(net_guest_ask(&guest, 0, 1000, NETTXF_csum_blank), 0);
	assert_int_equal(net_guest_ask(&guest, 0, 1000, NETTXF_data_validated), 0);
	assert_int_equal(net_hub.last.flags, NET_CSUM_VALID);
	assert_int_equal(net_world_info().stats.blank_in, 3);
	assert_int_equal(net_world_info().stats.gso_in, 1);
	end();
}

/* 128 packets are one hypercall, one batch, one notification. */
static void test_a_batch_is_one_of_each(void **state)
{
	uint64_t calls, notifies;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_hub.records = false;
	for (unsigned i = 0; i < 128; i++) {
		fill(i % 40, 64);
		net_guest_packet(&guest, 0, &(struct net_packet){.page = i % 40, .len = 64});
	}
	calls = net_world_info().stats.copy_calls;
	guest.queues[0].tx.shared->rsp_event = 128;
	mock_enter(1);
	notifies = mock_calls.notifies;
	net_guest_push(&guest, 0);
	assert_int_equal(net_world_info().stats.copy_calls, calls + 1);
	assert_int_equal(net_world_info().stats.copied, 128);
	assert_int_equal(net_hub.n_frames, 128);
	assert_int_equal(net_hub.n_batches, 1);
	assert_int_equal(mock_calls.notifies, notifies + 2); /* the guest's, and ours */
	end();
}

/* A frame that is kept keeps its slots; when all are, the guest waits, and goes on. */
static void test_slots_are_answered_when_put(void **state)
{
	struct netif_tx_response rsp;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_hub.keeps = true;
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
		net_guest_packet(&guest, 0,
				 &(struct net_packet){.page = i % GUEST_PAGES, .len = 64});
	net_guest_push(&guest, 0);
	assert_int_equal(net_hub.n_held, NETIF_RING_SLOTS);
	assert_false(net_guest_answer(&guest, 0, &rsp));
	mock_enter(0);
	net_hub_release(0);
	mock_run();
	assert_int_equal(answers(0), 0);
	net_hub.keeps = false;
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), 0);
	end();
}

static void test_many_queues(void **state)
{
	(void)state;
	begin();
	connect(&(struct net_plan){.n_queues = 8, .split = true});
	for (unsigned q = 0; q < 8; q++) {
		fill(q, 100 + q);
		net_guest_packet(&guest, q, &(struct net_packet){.page = q, .len = 100 + q});
		net_guest_push(&guest, q);
		assert_int_equal(answers(q), 0);
		assert_int_equal(net_hub.last.len, 100 + q);
		assert_int_equal(net_world_device(1, 0)->stats[q].frames_in, 1);
	}
	end();
}

/* ---- to the guest ---- */

static void test_to_the_guest(void **state)
{
	static const uint32_t lens[] = {14, 60, 1514, 4096, 4097, 9000, 65535};
	static uint8_t data[NET_FRAME_MAX];
	static struct net_got got;
	struct net_sent sent = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){.split = true});
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 255);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		net_guest_post(&guest, 0, 20);
		send(&sent, data, lens[i]);
		assert_true(sent.done);
		assert_int_equal(sent.status, 0);
		assert_true(net_guest_got(&guest, 0, &got));
		assert_int_equal(got.len, lens[i]);
		assert_int_equal(got.status, 0);
		assert_memory_equal(got.data, data, lens[i]);
		net_sent_free(&sent);
	}
	end();
}

static void test_offloads_to_the_guest(void **state)
{
	static uint8_t data[20000];
	static struct net_got got;
	struct net_sent sent = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){.headroom = 256});
	net_guest_post(&guest, 0, 20);
	net_world_frame(data, sizeof(data), &(struct net_recipe){.sport = 1});
	sent.frame.gso = NET_GSO_TCPV6;
	sent.frame.gso_size = 1400;
	sent.frame.flags = NET_CSUM_BLANK;
	send(&sent, data, sizeof(data));
	assert_true(net_guest_got(&guest, 0, &got));
	assert_int_equal(got.extras.gso, NET_GSO_TCPV6);
	assert_int_equal(got.extras.gso_size, 1400);
	assert_int_equal(got.extras.xdp_headroom, 256);
	assert_true(got.flags & NETRXF_csum_blank);
	assert_int_equal(got.len, sizeof(data));
	assert_memory_equal(got.data, data, sizeof(data));
	assert_int_equal(net_world_info().stats.blank_out, 1);
	assert_int_equal(net_world_info().stats.gso_out, 1);
	net_sent_free(&sent);
	end();
}

/* Guest 1's pages go to guest 2's: one copy for each, with a grant on both sides. */
static void test_guest_to_guest(void **state)
{
	static struct net_guest other;
	static struct net_got got;
	uint64_t copies;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_world_attach(2, 0, NULL);
	net_guest_connect(&other, 2, &(struct net_plan){0});
	net_hub.forwards = true;
	net_hub.records = false;
	net_guest_post(&other, 0, 40);
	fill(0, 65535);
	copies = mock_calls.copies;
	net_guest_packet(&guest, 0,
			 &(struct net_packet){.page = 0, .len = 61440 + 66, .first = 66});
	net_guest_push(&guest, 0);
	assert_int_equal(answers(0), 0);
	assert_true(net_guest_got(&other, 0, &got));
	assert_int_equal(got.len, 61440 + 66);
	assert_memory_equal(got.data, guest.pages, 61440 + 66);
	assert_in_range(mock_calls.copies - copies, 18, 19);
	net_guest_end(&other);
	end();
}

/* As Linux sends TCP: the headers by themselves, and then whole pages. None of these is cut in two. */
static void test_pages_stay_whole(void **state)
{
	static struct net_guest other;
	static struct net_got got;
	struct netif_tx_request req = {.offset = 100, .size = 66 + 15 * 4096};
	uint64_t copies;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_world_attach(2, 0, NULL);
	net_guest_connect(&other, 2, &(struct net_plan){0});
	net_hub.forwards = true;
	net_hub.records = false;
	net_guest_post(&other, 0, 40);
	fill(0, 15 * 4096);
	req.gref = guest.refs[20].v;
	req.flags = NETTXF_more_data;
	net_guest_tx(&guest, 0, &req);
	for (unsigned i = 0; i < 15; i++) {
		req = (struct netif_tx_request){.gref = guest.refs[i].v, .size = 4096};
		req.flags = i < 14 ? NETTXF_more_data : 0;
		net_guest_tx(&guest, 0, &req);
	}
	copies = mock_calls.copies;
	net_guest_push(&guest, 0);
	assert_int_equal(answers(0), 0);
	assert_int_equal(mock_calls.copies - copies, 2 + 1 + 15);
	assert_true(net_guest_got(&other, 0, &got));
	assert_int_equal(got.len, 66 + 15 * 4096);
	assert_memory_equal(got.data + 66, guest.pages, 15 * 4096);
	net_guest_end(&other);
	end();
}

/* A guest that takes nothing: its frames are bounded in number, bytes and time, and then none wait at all. */
static void test_guest_that_takes_nothing(void **state)
{
	static struct net_sent sent[300];
	static uint8_t data[1000];
	struct net_device *dev;
	unsigned done = 0;

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	dev = net_world_device(1, 0);
	for (unsigned i = 0; i < 300; i++)
		net_world_send(dev, &sent[i], data, sizeof(data));
	net_world_kick(dev);
	for (unsigned i = 0; i < 300; i++)
		done += sent[i].done;
	assert_int_equal(done, 44); /* beyond the 256 that may wait */
	mock_advance(21000000);
	assert_false(sent[0].done);
	mock_advance(21000000);
	for (unsigned i = 0; i < 300; i++) {
		assert_true(sent[i].done);
		net_sent_free(&sent[i]);
	}
	send(&sent[0], data, sizeof(data));
	assert_true(sent[0].done);
	assert_int_equal(sent[0].status, -XEN_EBUSY);
	net_sent_free(&sent[0]);
	net_guest_post(&guest, 0, 4);
	send(&sent[0], data, sizeof(data));
	assert_int_equal(sent[0].status, 0);
	net_sent_free(&sent[0]);
	assert_int_equal(dev->stats[0].drops[NET_DROP_full], 301);
	end();
}

/* Frames wait for room, and go when the guest tells of it. */
static void test_room_comes(void **state)
{
	static struct net_sent sent[4];
	static struct net_got got;
	uint8_t data[100] = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){.split = true});
	for (unsigned i = 0; i < 4; i++) {
		data[20] = (uint8_t)i;
		send(&sent[i], data, sizeof(data));
		assert_false(sent[i].done);
	}
	net_guest_post(&guest, 0, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(net_guest_got(&guest, 0, &got));
		assert_int_equal(got.data[20], i);
	}
	assert_false(sent[3].done);
	net_guest_post(&guest, 0, 1);
	assert_true(sent[3].done);
	for (unsigned i = 0; i < 4; i++)
		net_sent_free(&sent[i]);
	end();
}

static void test_without_sg_one_slot(void **state)
{
	static uint8_t data[5000];
	struct net_sent sent = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){.plain = true});
	net_guest_post(&guest, 0, 4);
	send(&sent, data, 5000);
	assert_int_equal(sent.status, -XEN_E2BIG);
	net_sent_free(&sent);
	send(&sent, data, 4096);
	assert_int_equal(sent.status, 0);
	net_sent_free(&sent);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_what_a_guest_can),
	    cmocka_unit_test(test_toolstack_keys),
	    cmocka_unit_test(test_copying_is_all_there_is),
	    cmocka_unit_test(test_small_packet),
	    cmocka_unit_test(test_lengths_and_cuts),
	    cmocka_unit_test(test_offloads_from_the_guest),
	    cmocka_unit_test(test_a_batch_is_one_of_each),
	    cmocka_unit_test(test_slots_are_answered_when_put),
	    cmocka_unit_test(test_many_queues),
	    cmocka_unit_test(test_to_the_guest),
	    cmocka_unit_test(test_offloads_to_the_guest),
	    cmocka_unit_test(test_guest_to_guest),
	    cmocka_unit_test(test_pages_stay_whole),
	    cmocka_unit_test(test_guest_that_takes_nothing),
	    cmocka_unit_test(test_room_comes),
	    cmocka_unit_test(test_without_sg_one_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
