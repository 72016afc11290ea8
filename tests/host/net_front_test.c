/* net_front_test: netfront with a backend that behaves: what is offered, what goes out, what comes in, what comes back.
 *
 * Shows the keys of each layout, the three ways in which a frame's memory reaches a backend, packets of one slot and of many
 * in both directions, checksums and large frames, several queues, and that what is short of slots waits in its order. Why: this is
 * all that a user of an interface is promised. Expected: every byte arrives, every frame is put once, and nothing is left.
 *
 * links: tests/host/net_plain_*.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/netif_*.c
 * links: protocol/net_parse.c protocol/net_hash.c drivers-front/netfront*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net_plain_back.h"

static uint8_t data[NET_FRAME_MAX];

static struct netfront_stats stats_of_all;

static void take_stats(const struct net_device *dev, const struct netfront_stats *s, void *ctx)
{
	stats_of_all = *s;
}

static const struct netfront_stats *stats(void)
{
	netfront_for_each(take_stats, NULL);
	return &stats_of_all;
}

/* ---- connecting --------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	assert_non_null(dev);
	assert_true(dev->carrier);
	assert_int_equal(dev->mtu, 1500);
	assert_int_equal(dev->can, NET_CAN_SEGMENTS | NET_CAN_CSUM4);
	assert_memory_equal(dev->mac, "\x00\x16\x3e\x00\x00\x01", 6);
	assert_string_equal(nb_front("request-rx-copy"), "1");
	assert_string_equal(nb_front("feature-rx-notify"), "1");
	assert_string_equal(nb_front("feature-sg"), "1");
	assert_string_equal(nb_front("feature-gso-tcpv4"), "1");
	assert_string_equal(nb_front("feature-gso-tcpv6"), "1");
	assert_string_equal(nb_front("feature-ipv6-csum-offload"), "1");
	assert_string_equal(nb_front("multi-queue-num-queues"), "");
	assert_string_equal(nb_front("queue-0/tx-ring-ref"), "");
	assert_string_equal(nb_front("state"), "4");
	assert_int_equal(stats()->posted, 64);
	assert_true(nb_end());
}

static void test_queues_and_ports(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.queues = 3;
	nb.split = nb.csum6 = nb.gso4 = nb.gso6 = true;
	dev = nb_begin();
	assert_string_equal(nb_front("multi-queue-num-queues"), "3");
	assert_string_equal(nb_front("tx-ring-ref"), "");
	assert_string_equal(nb_front("event-channel-tx"), "");
	assert_string_not_equal(nb_front("queue-2/event-channel-rx"), "");
	assert_int_equal(dev->n_queues, 3);
	assert_int_equal(dev->can, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6 | NET_CAN_GSO4 |
				       NET_CAN_GSO6);
	/* Another backend with one queue: nothing of the old layout stays. */
	nb_drop();
	nb_put_back("state", "6");
	mock_run();
	assert_false(dev->carrier);
	mock_store_remove("/local/domain/0/backend/vif/1/0/multi-queue-max-queues");
	nb.queues = 0;
	nb.split = false;
	nb_offer();
	nb_connect();
	assert_string_equal(nb_front("multi-queue-num-queues"), "");
	assert_string_equal(nb_front("queue-0/tx-ring-ref"), "");
	assert_string_not_equal(nb_front("event-channel"), "");
	assert_int_equal(dev->n_queues, 1);
	assert_true(dev->carrier);
	assert_int_equal(stats()->reconnects, 1);
	assert_true(nb_end());
}

/* A large frame is one without its checksum, in several slots: what lacks one of these lacks it. */
static void test_what_it_can(void **state)
{
	static const struct {
		bool no_sg, no_csum, csum6, gso4, gso6;
		uint32_t can;
	} rows[] = {
	    {true, false, true, true, true, NET_CAN_CSUM4 | NET_CAN_CSUM6},
	    {false, true, false, true, true, NET_CAN_SEGMENTS},
	    {false, true, true, true, true, NET_CAN_SEGMENTS | NET_CAN_CSUM6 | NET_CAN_GSO6},
	    {false, false, false, true, true, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_GSO4},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		nb_reset();
		nb.no_sg = rows[i].no_sg;
		nb.no_csum = rows[i].no_csum;
		nb.csum6 = rows[i].csum6;
		nb.gso4 = rows[i].gso4;
		nb.gso6 = rows[i].gso6;
		assert_int_equal(nb_begin()->can, rows[i].can);
		assert_true(nb_end());
	}
}

static void test_mtu_and_carrier(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb_put_front("mtu", "9000");
	nb_put_back("carrier", "0");
	dev = nb_begin();
	assert_int_equal(dev->mtu, 9000);
	assert_false(dev->carrier);
	nb_put_back("carrier", "1");
	mock_run();
	assert_true(dev->carrier);
	assert_int_equal(nb_user.n_changes, 1);
	nb_put_back("carrier", "0");
	mock_run();
	assert_false(dev->carrier);
	assert_true(nb_end());
	nb_reset();
	nb.no_sg = true;
	nb_put_front("mtu", "9000");
	assert_int_equal(nb_begin()->mtu, 1500);
	assert_true(nb_end());
}

/* Of a toolstack that made a mistake there is no interface, and no harm. */
static void test_no_interface(void **state)
{
	static const struct {
		const char *key, *value;
	} wrong[] = {{"mac", "00:16:3e:00:00"},
		     {"mac", "01:00:5e:00:00:01"},
		     {"mac", "00:16:3e:00:00:01x"},
		     {"mtu", "67"},
		     {"mtu", "65536"},
		     {"trusted", "2"}};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		nb_reset();
		nb_attach();
		nb_put_front(wrong[i].key, wrong[i].value);
		mock_enter(1);
		netfront_init();
		mock_run();
		nb_offer();
		nb_try();
		assert_null(host_net_find("eth0"));
		assert_string_equal(nb_front("state"), "6");
		assert_true(nb_end());
	}
	nb_reset();
	nb_attach();
	mock_enter(1);
	netfront_init();
	nb_put_back("state", "2"); /* without feature-rx-copy */
	mock_run();
	assert_string_equal(nb_front("state"), "6");
	assert_true(nb_end());
}

/* Its number's name is another's already. */
static void test_name_taken(void **state)
{
	struct net_device card = {.name = "eth0"};

	nb_reset();
	nb_user.away = true;
	assert_int_equal(host_net_register(&card), 0);
	assert_ptr_equal(nb_begin(), &card);
	assert_non_null(host_net_find("eth1"));
	host_net_unregister(&card);
	assert_true(nb_end());
}

/* ---- out ---------------------------------------------------------------------------------------- */

static void send_one(struct net_device *dev, uint32_t len, uint32_t head, unsigned parts,
		     unsigned shift, unsigned slots)
{
	unsigned n = nb.n_seen;
	struct nb_frame f;

	nb_frame_make(&f, len, head, parts, shift);
	nb_frame_send(dev, &f);
	assert_int_equal(nb.n_seen, n + 1);
	if (!nb_same(&f, nb_last()->data, nb_last()->len))
		fail_msg("%u bytes, head %u, %u parts, shift %u: other bytes", len, head, parts,
			 shift);
	if (slots)
		assert_int_equal(nb_last()->n_slots, slots);
	assert_int_equal(f.n_done, 1);
	assert_int_equal(f.status, 0);
	nb_frame_free(&f);
}

/* Of every shape: copied, lent, and copied because it is in too many pieces. */
static void test_out(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	send_one(dev, 14, 0, 1, 0, 1);
	send_one(dev, 64, 54, 1, 0, 1);
	send_one(dev, 256, 0, 1, 4000, 1);
	assert_int_equal(stats()->granted_out, 0);
	send_one(dev, 1514, 54, 1, 0, 2);
	send_one(dev, 1514, 0, 1, 4000, 2);
	send_one(dev, 65535, 66, 1, 100, 18);
	send_one(dev, 65535, 66, 16, 4090, 0);
	assert_int_not_equal(stats()->granted_out, 0);
	send_one(dev, 9000, 54, 18, 0, 3); /* 19 pieces */
	for (unsigned i = 0; i < 600; i++)
		send_one(dev, 14 + i * 37 % 3000, i % 3 ? 14 : 0, 1 + i % 5, i * 61 % 4096, 0);
	assert_int_equal(dev->stats[0].frames_out, 608);
	assert_int_equal(dev->stats[0].batches_out, 608);
	assert_true(nb_end());
}

/* What a backend is not trusted with: a byte that was not sent. */
static void test_not_trusted(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb_put_front("trusted", "0");
	dev = nb_begin();
	send_one(dev, 64, 0, 1, 0, 1);
	send_one(dev, 1514, 54, 1, 700, 1);
	send_one(dev, 65535, 66, 3, 700, 16);
	assert_int_equal(stats()->granted_out, 0);
	assert_true(stats()->untrusted);
	assert_true(nb_end());
}

/* What a driver domain sends on for its guests may lie in their pages. */
static void test_not_ours_to_grant(void **state)
{
	struct net_device *dev;
	struct nb_frame f;

	nb_reset();
	dev = nb_begin();
	nb_frame_make(&f, 9000, 54, 1, 0);
	f.frame.owner = 3;
	nb_frame_send(dev, &f);
	assert_true(nb_same(&f, nb_last()->data, nb_last()->len));
	assert_int_equal(stats()->granted_out, 0);
	nb_frame_free(&f);
	assert_true(nb_end());
}

/* One slot a frame, whatever pages it lies in. */
static void test_one_slot(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.no_sg = true;
	dev = nb_begin();
	send_one(dev, 1514, 0, 1, 4000, 1);
	send_one(dev, 60, 0, 1, 4090, 1);
	assert_true(nb_end());
}

static void test_offloads_out(void **state)
{
	struct net_device *dev;
	struct nb_frame f;

	nb_reset();
	nb.gso4 = nb.gso6 = nb.csum6 = true;
	dev = nb_begin();
	nb_frame_make(&f, 200, 54, 1, 0);
	f.frame.flags = NET_CSUM_BLANK | NET_CSUM_VALID;
	nb_frame_send(dev, &f);
	assert_int_equal(nb_last()->flags, NETTXF_csum_blank | NETTXF_data_validated);
	nb_frame_free(&f);
	nb_frame_make(&f, 40000, 54, 1, 0);
	f.frame.flags = NET_CSUM_BLANK;
	f.frame.gso = NET_GSO_TCPV6;
	f.frame.gso_size = 1428;
	nb_frame_send(dev, &f);
	assert_int_equal(nb_last()->extras.gso, NET_GSO_TCPV6);
	assert_int_equal(nb_last()->extras.gso_size, 1428);
	assert_true(nb_same(&f, nb_last()->data, nb_last()->len));
	nb_frame_free(&f);
	/* In one slot and its extra info. */
	nb_frame_make(&f, 250, 54, 1, 0);
	f.frame.flags = NET_CSUM_BLANK;
	f.frame.gso = NET_GSO_TCPV4;
	f.frame.gso_size = 100;
	nb_frame_send(dev, &f);
	assert_int_equal(nb_last()->extras.gso, NET_GSO_TCPV4);
	assert_int_equal(nb_last()->n_slots, 1);
	nb_frame_free(&f);
	assert_int_equal(stats()->gso_out, 2);
	assert_true(nb_end());
}

/* What cannot be said in slots is put back, and nothing has happened. */
static void test_refused(void **state)
{
	struct net_device *dev;
	struct nb_frame f;

	nb_reset();
	dev = nb_begin();
	for (unsigned i = 0; i < 4; i++) {
		nb_frame_make(&f, 300, 54, 2, 0);
		if (i == 0)
			f.frame.segments[1].va = NULL;
		else if (i == 1)
			f.frame.segments[2].len_bytes = 0;
		else
			f.frame.len_bytes = i == 2 ? 13 : 301;
		nb_frame_send(dev, &f);
		assert_int_equal(f.status, -XEN_EINVAL);
		nb_frame_free(&f);
	}
	assert_int_equal(nb.n_seen, 0);
	assert_int_equal(dev->stats[0].drops[NET_DROP_malformed], 4);
	assert_true(nb_end());
}

/* A backend that does not answer: 256 slots, then 256 frames that wait, then drops; all in order. */
static void test_waiting(void **state)
{
	static struct nb_frame f[600];
	struct net_device *dev;
	unsigned ok = 0, dropped = 0;

	nb_reset();
	nb.hold = true;
	dev = nb_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		nb_frame_make(&f[i], 60 + i, 0, 1, 0);
		mock_enter(1);
		dev->ops->send(dev, &f[i].frame);
		dev->ops->kick(dev);
		if (i % 10 == 0)
			mock_run();
	}
	mock_run();
	assert_true(nb.n_seen <= 256);
	assert_int_equal(stats()->waiting, 256);
	for (unsigned last = 0; last != nb.n_seen;) {
		last = nb.n_seen;
		nb_answer(nb.n_unanswered);
		mock_run();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		assert_int_equal(f[i].n_done, 1);
		ok += f[i].status == 0;
		dropped += f[i].status == -XEN_ENOBUFS;
		nb_frame_free(&f[i]);
	}
	assert_int_equal(ok, nb.n_seen);
	assert_int_equal(ok + dropped, ARRAY_SIZE(f));
	assert_int_equal(dev->stats[0].drops[NET_DROP_full], dropped);
	for (unsigned i = nb.n_seen - NB_SEEN + 1; i < nb.n_seen; i++)
		assert_int_equal(nb.seen[i % NB_SEEN].len, nb.seen[(i - 1) % NB_SEEN].len + 1);
	assert_true(nb_end());
}

/* A large frame that waits for slots is not overtaken by small ones, for which there would be some. */
static void test_not_overtaken(void **state)
{
	static struct nb_frame f[270];
	struct net_device *dev;

	nb_reset();
	nb.hold = true;
	dev = nb_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		nb_frame_make(&f[i], i == 250 ? 60000 : 60 + i % 100, 0, 1, 0);
		mock_enter(1);
		dev->ops->send(dev, &f[i].frame);
	}
	dev->ops->kick(dev);
	mock_run();
	assert_int_equal(nb.n_seen, 250);
	nb_answer(200);
	mock_run();
	assert_true(nb.n_seen > 250);
	assert_int_equal(nb.seen[250 % NB_SEEN].len, 60000);
	nb.hold = false;
	nb_answer(nb.n_unanswered);
	mock_run();
	assert_int_equal(nb.n_seen, ARRAY_SIZE(f));
	for (unsigned i = 251; i < ARRAY_SIZE(f); i++)
		assert_int_equal(nb.seen[i % NB_SEEN].len, 60 + i % 100);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		nb_frame_free(&f[i]);
	assert_true(nb_end());
}

/* Answers of copied frames wake nobody; those of lent ones do. */
static void test_quiet_answers(void **state)
{
	struct net_device *dev;
	uint64_t before;

	nb_reset();
	dev = nb_begin();
	send_one(dev, 60, 0, 1, 0, 1);
	before = dev->stats[0].notifications_in;
	for (unsigned i = 0; i < 100; i++)
		send_one(dev, 60, 0, 1, 0, 1);
	assert_true(dev->stats[0].notifications_in - before <= 2);
	for (unsigned i = 0; i < 10; i++)
		send_one(dev, 1500, 0, 1, 0, 1);
	assert_true(dev->stats[0].notifications_in - before >= 10);
	assert_true(nb_end());
}

/* ---- both --------------------------------------------------------------------------------------- */

static void receive(uint32_t len, const struct nb_send *how)
{
	unsigned n = nb_user.n_frames;

	nb_fill(data, len, len);
	assert_true(nb_send(data, len, how));
	assert_int_equal(nb_user.n_frames, n + 1);
	assert_int_equal(nb_user.len, len);
	assert_memory_equal(nb_user.data, data, len);
}

/* Each frame that comes in is sent on: the memory goes out as it came. */
static void test_echo(void **state)
{
	nb_reset();
	nb_user.echoes = true;
	nb.gso4 = true;
	nb_begin();
	for (unsigned i = 0; i < 300; i++) {
		uint32_t len = 14 + i * 211 % 1400;

		receive(len, NULL);
		assert_int_equal(nb.n_seen, i + 1);
		assert_int_equal(nb_last()->len, len);
		assert_memory_equal(nb_last()->data, data, len);
	}
	assert_int_equal(stats()->posted, 64);
	assert_true(nb_end());
}

/* Frames of one flow take one queue, those of many take all; what is known of a flow is used. */
static void test_flows(void **state)
{
	struct net_device *dev;
	struct nb_frame f;
	unsigned used = 0, queue = 0;

	nb_reset();
	nb.queues = 4;
	nb.split = true;
	dev = nb_begin();
	for (unsigned i = 0; i < 64; i++) {
		nb_frame_make(&f, 100, 0, 1, 0);
		((uint8_t *)f.frame.segments[0].va)[5] = (uint8_t)(i / 2);
		nb_frame_send(dev, &f);
		if (i % 2)
			assert_int_equal(nb_last()->queue, queue);
		queue = nb_last()->queue;
		nb_frame_free(&f);
	}
	for (unsigned i = 0; i < 4; i++)
		used += nb.q[i].packets > 4;
	assert_int_equal(used, 4);
	nb_frame_make(&f, 100, 0, 1, 0);
	f.frame.hash = 4 * 1000 + 2;
	nb_frame_send(dev, &f);
	assert_int_equal(nb_last()->queue, 2);
	nb_frame_free(&f);
	for (unsigned i = 0; i < 4; i++)
		receive(1000, &(struct nb_send){.queue = i});
	assert_true(nb_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_queues_and_ports),
	    cmocka_unit_test(test_what_it_can),
	    cmocka_unit_test(test_mtu_and_carrier),
	    cmocka_unit_test(test_no_interface),
	    cmocka_unit_test(test_name_taken),
	    cmocka_unit_test(test_out),
	    cmocka_unit_test(test_not_trusted),
	    cmocka_unit_test(test_one_slot),
	    cmocka_unit_test(test_offloads_out),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_waiting),
	    cmocka_unit_test(test_quiet_answers),
	    cmocka_unit_test(test_not_overtaken),
	    cmocka_unit_test(test_not_ours_to_grant),
	    cmocka_unit_test(test_echo),
	    cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
