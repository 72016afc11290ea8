/* net_hostile_back_test: netfront against a backend that means ill, or is broken.
 *
 * Shows, by name, what a backend can do to its rings and keys and what it costs: the connection, and no memory; that a page it
 * has mapped still is never used again; that no byte of its is fetched twice; that a storm of events is not listened to. Why:
 * a guest must survive its service domain. Expected: each frame put once, nothing left, and a good backend is served afterwards.
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

#include "drivers-front/netfront_private.h"
#include "net_plain_back.h"
#include "peer_recorder.h"

static struct nb_frame sent[3];
static uint8_t data[NET_FRAME_MAX];
static struct net_device *dev;

/* Connected, with one small frame and two lent ones that have no answer yet, and an extra info. */
static void begin(void)
{
	nb_reset();
	nb.control = nb.multicast = nb.gso4 = true;
	nb.hold = true;
	dev = nb_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(sent); i++) {
		nb_frame_make(&sent[i], i ? 1500 : 60, 54, 1, 0);
		sent[i].frame.flags = NET_CSUM_BLANK;
		sent[i].frame.gso = i == 2 ? NET_GSO_TCPV4 : NET_GSO_NONE;
		sent[i].frame.gso_size = 500;
		nb_frame_send(dev, &sent[i]);
	}
	assert_int_equal(nb.n_seen, 3);
}

static void end(void)
{
	nb_detach();
	for (unsigned i = 0; i < ARRAY_SIZE(sent); i++) {
		assert_int_equal(sent[i].n_done, 1);
		nb_frame_free(&sent[i]);
	}
	assert_true(nb_end());
}

/* ---- what it does ------------------------------------------------------------------------------- */

static void put_tx(uint16_t id, int16_t status)
{
	struct nb_queue *q = &nb.q[0];
	struct netif_tx_response rsp = {id, status};

	memcpy((void *)ring_slot(&q->tx, q->tx.out++), &rsp, sizeof(rsp));
}

static void publish_tx(void)
{
	mock_enter(0);
	if (ring_back_push(&nb.q[0].tx))
		host_event_notify(nb.q[0].port_tx);
	else
		host_event_notify(nb.q[0].port_tx);
	mock_run();
}

static void tx_id_out_of_range(void)
{
	put_tx(256, 0);
	publish_tx();
}

static void tx_id_of_nothing(void)
{
	put_tx(200, 0);
	publish_tx();
}

static void tx_id_twice(void)
{
	put_tx(nb.unanswered[0].id, 0);
	put_tx(nb.unanswered[0].id, 0);
	publish_tx();
}

static void tx_nulls_without_end(void)
{
	for (unsigned i = 0; i < 3; i++)
		put_tx(nb.unanswered[0].id, NETIF_RSP_NULL);
	publish_tx();
}

static void tx_more_answers_than_frames(void)
{
	nb.q[0].tx.out += 20;
	publish_tx();
}

static void tx_index_far_back(void)
{
	nb.q[0].tx.out -= 3;
	publish_tx();
}

static void rx_more_than_lent(void)
{
	nb.q[0].rx.out += 65;
	nb_push(0);
}

static void rx_index_wrapped(void)
{
	nb.q[0].rx.out -= 1;
	nb_push(0);
}

static void rx_other_slot(void)
{
	nb_raw(0, 1, 0, 0, 100);
	nb_push(0);
}

static void rx_offset_beyond_page(void)
{
	nb_raw(0, 0, 4096, 0, 100);
	nb_push(0);
}

static void rx_longer_than_page(void)
{
	nb_raw(0, 0, 4000, 0, 97);
	nb_push(0);
}

static void rx_greatest_length(void)
{
	nb_raw(0, 0, 0, 0, 32767);
	nb_push(0);
}

static void rx_too_many_slots(void)
{
	for (uint16_t i = 0; i < 20; i++)
		nb_raw(0, i, 0, NETRXF_more_data, 4000);
	nb_push(0);
}

static void rx_chain_of_extras(void)
{
	nb_raw(0, 0, 0, NETRXF_extra_info, 100);
	for (unsigned i = 0; i < 30; i++) /* type 1, MORE */
		nb_raw(0, 0x0101, 1448, NET_GSO_TCPV4, 0);
	nb_push(0);
}

static void rx_prefix_and_every_extra(void)
{
	nb_raw(0, 0, 1400, NETRXF_gso_prefix | NETRXF_more_data, 0);
	nb_raw(0, 1, 0, NETRXF_extra_info, 100);
	nb_raw(0, 0x0101, 1448, NET_GSO_TCPV4, 0);
	nb_raw(0, 0x0102, 0x0001, 0x5e, 0);
	nb_raw(0, 0x0104, 0x0101, 0, 0);
	nb_raw(0, 0x0105, 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		nb_raw(0, 0x0104, 0x0101, 0, 0);
	nb_push(0);
}

static void rx_extra_of_no_type(void)
{
	nb_raw(0, 0, 0, NETRXF_extra_info, 100);
	nb_raw(0, 0x0009, 0, 0, 0);
	nb_push(0);
}

static void rx_gso_of_nothing(void)
{
	nb_raw(0, 0, 0, NETRXF_extra_info | NETRXF_csum_blank, 100);
	nb_raw(0, 0x0001, 0, NET_GSO_TCPV4, 0);
	nb_push(0);
}

static void rx_extras_in_the_middle(void)
{
	nb_raw(0, 0, 0, NETRXF_more_data, 100);
	nb_raw(0, 1, 0, NETRXF_extra_info, 100);
	nb_raw(0, 0x0001, 1448, NET_GSO_TCPV4, 0);
	nb_push(0);
}

static void rx_prefix_after_prefix(void)
{
	nb_raw(0, 0, 1400, NETRXF_gso_prefix | NETRXF_more_data, 0);
	nb_raw(0, 1, 1400, NETRXF_gso_prefix | NETRXF_more_data, 0);
	nb_push(0);
}

static void rx_prefix_alone(void)
{
	nb_raw(0, 0, 1400, NETRXF_gso_prefix, 0);
	nb_push(0);
}

static void ctrl_answer_to_nothing(void)
{
	nb_ctrl_answer(&(struct xen_netif_ctrl_request){.id = 7}, 0, 0);
	mock_run();
}

static void ctrl_other_type(void)
{
	nb.mute = true;
	mock_enter(1);
	netfront_hash("eth0", true);
	mock_run();
	nb_ctrl_answer(&(struct xen_netif_ctrl_request){.id = 1, .type = 3}, 0, 0);
	mock_run();
}

static void ctrl_more_answers_than_questions(void)
{
	nb.ctrl.out += 100;
	nb_ctrl_answer(&(struct xen_netif_ctrl_request){.id = 1}, 0, 0);
	mock_run();
}

static const struct {
	const char *name;
	void (*fn)(void);
	const char *why;
} ways[] = {
    {"tx: id out of range", tx_id_out_of_range, "not sent"},
    {"tx: id of nothing", tx_id_of_nothing, "not sent"},
    {"tx: id twice", tx_id_twice, "not sent"},
    {"tx: null answers without end", tx_nulls_without_end, "not sent"},
    {"tx: more answers than frames", tx_more_answers_than_frames, "more answers"},
    {"tx: index far back", tx_index_far_back, "more answers"},
    {"rx: more than was lent", rx_more_than_lent, "more packets"},
    {"rx: index goes back", rx_index_wrapped, "more packets"},
    {"rx: another slot's id", rx_other_slot, "no packet"},
    {"rx: offset beyond the page", rx_offset_beyond_page, "no packet"},
    {"rx: longer than the page", rx_longer_than_page, "no packet"},
    {"rx: the greatest length", rx_greatest_length, "no packet"},
    {"rx: too many slots", rx_too_many_slots, "no packet"},
    {"rx: a chain of extra infos", rx_chain_of_extras, "no packet"},
    {"rx: a prefix and every extra info", rx_prefix_and_every_extra, "no packet"},
    {"rx: an extra info of no type", rx_extra_of_no_type, "no packet"},
    {"rx: pieces of no bytes", rx_gso_of_nothing, "no packet"},
    {"rx: extra infos in the middle", rx_extras_in_the_middle, "no packet"},
    {"rx: a prefix after a prefix", rx_prefix_after_prefix, "no packet"},
    {"rx: a prefix alone", rx_prefix_alone, "no packet"},
    {"control: an answer to nothing", ctrl_answer_to_nothing, "questions"},
    {"control: another type", ctrl_other_type, "not asked"},
    {"control: more answers than questions", ctrl_more_answers_than_questions, "questions"},
};

/* Each costs the connection, and a good backend in its place is served. */
static void test_ways(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		begin();
		ways[i].fn();
		if (strcmp(nb_front("state"), "6") || !mock_logged(ways[i].why) || dev->carrier)
			fail_msg("%s: state %s, expected '%s'", ways[i].name, nb_front("state"),
				 ways[i].why);
		assert_int_equal(nb_user.n_frames, 0);
		nb_drop();
		nb.hold = nb.mute = false;
		nb_put_back("state", "1");
		mock_run();
		nb_offer();
		nb_connect();
		nb_fill(data, 700, i);
		assert_true(nb_send(data, 700, NULL));
		assert_int_equal(nb_user.n_frames, 1);
		end();
	}
}

/* ---- pages it does not let go of --------------------------------------------------------------- */

/* A page that came back filled, and is mapped still: nobody may look into it, and nobody gets it. */
static void test_rx_page_mapped(void **state)
{
	begin();
	nb.maps = true;
	assert_true(nb_send(data, 1000, NULL));
	assert_int_equal(nb_user.n_frames, 0);
	assert_string_equal(nb_front("state"), "6");
	assert_true(mock_logged("has a page mapped that it has answered"));
	assert_int_not_equal(grant_retiring(), 0);
	end();
	assert_int_equal(grant_retiring(), 0);
}

static void test_tx_page_mapped(void **state)
{
	struct host_grant_map map;

	begin();
	mock_enter(0);
	map = (struct host_grant_map){.owner = 1, .ref = nb.seen[1].refs[1], .readonly = true};
	assert_int_equal(host_grants_map(&map, 1), 0);
	nb_answer(nb.n_unanswered);
	mock_run();
	assert_true(mock_logged("memory it has mapped still"));
	assert_string_equal(nb_front("state"), "6");
	mock_enter(0);
	host_grants_unmap(&map, 1);
	end();
}

static struct nf_queue *queue_0(void)
{
	return &container_of(xenbus_next(&nf_kind, NULL), struct nf_device, bus)->queues[0];
}

/* Of a page that stays lent each byte is fetched once. */
static void test_page_once(void **state)
{
	nb_reset();
	nb_begin();
	nb_fill(data, 200, 3);
	peer_recorder_begin(queue_0()->posted[0]->va, PAGE_SIZE, true);
	assert_true(nb_send(data, 200, NULL));
	assert_int_equal(peer_recorder_fetched(), 200);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	assert_int_equal(nb_user.n_frames, 1);
	assert_memory_equal(nb_user.data, data, 200);
	assert_true(nb_end());
}

/* A slot is fetched once: with its bytes turned at a second look, the packet would be another. */
static void test_slots_once(void **state)
{
	struct ring *ring;

	nb_reset();
	nb_begin();
	ring = &queue_0()->rx;
	nb_fill(data, 1000, 3);
	peer_recorder_begin((void *)ring_slot(ring, 0), 8 * 40, true);
	for (unsigned i = 0; i < 40; i++)
		assert_true(nb_send(data, 20 + i * 20, NULL));
	assert_int_equal(peer_recorder_fetched(), 8 * 40);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	ring = &queue_0()->tx;
	peer_recorder_begin((void *)ring_slot(ring, 0), 12 * 40, true);
	for (unsigned i = 0; i < 40; i++) {
		struct nb_frame f;

		nb_frame_make(&f, 1000, 0, 1, 0);
		nb_frame_send(host_net_find("eth0"), &f);
		assert_int_equal(f.n_done, 1);
		nb_frame_free(&f);
	}
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	assert_string_equal(nb_front("state"), "4");
	assert_true(nb_end());
}

/* ---- without a cause ----------------------------------------------------------------------------- */

static void test_storm(void **state)
{
	uint64_t before;

	begin();
	nb_notify(0);
	before = mock_calls.spurious;
	for (unsigned i = 0; i < 100; i++)
		nb_notify(0);
	assert_true(mock_calls.spurious - before >= 99);
	assert_string_equal(nb_front("state"), "4");
	end();
}

/* States and keys in every order, with frames on their way. */
static void test_states(void **state)
{
	static const char *const walks[] = {"5",  "6",   "1",  "2",   "0",    "9",   "7",
					    "56", "562", "61", "612", "6121", "x45", "24"};

	for (unsigned i = 0; i < ARRAY_SIZE(walks); i++) {
		begin();
		for (const char *s = walks[i]; *s; s++) {
			nb_put_back("state", (char[]){*s, '\0'});
			mock_run();
		}
		end();
	}
}

static void test_keys(void **state)
{
	static const struct {
		const char *key, *value;
	} wrong[] = {{"feature-rx-copy", "0"},
		     {"multi-queue-max-queues", "-1"},
		     {"multi-queue-max-queues", "99999999999999999999"},
		     {"feature-sg", "yes"},
		     {"feature-ctrl-ring", "0x1"},
		     {"feature-gso-tcpv4", ""}};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		nb_reset();
		nb_attach();
		mock_enter(1);
		netfront_init();
		mock_run();
		nb_put_back("feature-rx-copy", "1");
		nb_put_back(wrong[i].key, wrong[i].value);
		nb_put_back("state", "2");
		mock_run();
		nb_try();
		if (host_net_find("eth0"))
			fail_msg("%s = %s was taken", wrong[i].key, wrong[i].value);
		assert_true(nb_end());
	}
	/* As many queues as there may be, of a backend that says more. */
	nb_reset();
	nb.queues = 4000000000u;
	assert_int_equal(nb_begin()->n_queues, 4);
	nb_put_back("carrier", "maybe");
	mock_run();
	assert_true(nb_end());
}

/* Each call that can lack something, in turn: less, or none, and nothing is left. */
static void test_shortage(void **state)
{
	for (int i = 0; i < 120; i++) {
		struct nb_frame f;

		nb_reset();
		nb.control = nb.split = nb.multicast = true;
		nb.queues = 3;
		nb.staging = 512;
		nb_attach();
		mock_enter(1);
		mock_fail_after(i);
		if (netfront_init() == 0) {
			mock_run();
			nb_offer();
			mock_fail_after(-1);
			if (!strcmp(nb_front("state"), "4"))
				nb_try();
		}
		mock_fail_after(-1);
		dev = host_net_find("eth0");
		if (dev) {
			nb_frame_make(&f, 3000, 54, 1, 0);
			mock_enter(1);
			mock_fail_after(i % 7);
			dev->ops->send(dev, &f.frame);
			dev->ops->kick(dev);
			mock_fail_after(-1);
			mock_run();
			(void)nb_send(data, 700, &(struct nb_send){.quiet = true});
			mock_fail_after(i % 3);
			nb_push(0);
			mock_fail_after(-1);
			mock_run();
			nb_detach();
			assert_int_equal(f.n_done, 1);
			nb_frame_free(&f);
		}
		assert_true(nb_end());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ways),           cmocka_unit_test(test_rx_page_mapped),
	    cmocka_unit_test(test_tx_page_mapped), cmocka_unit_test(test_page_once),
	    cmocka_unit_test(test_slots_once),     cmocka_unit_test(test_storm),
	    cmocka_unit_test(test_states),         cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_shortage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
