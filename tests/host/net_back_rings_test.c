/* net_back_rings_test: frontends whose rings make no sense, or whose keys, or that die; and some that are only strange.
 *
 * Why: netback reads what any guest cares to write, and its neighbours' traffic passes through the same code. Expected: a ring
 * that makes no sense ends its connection and no other's, and is logged with the domain and the reason; what is strange
 * and allowed harms nobody; nothing is left when the guest has gone.
 *
 * links: tests/host/net_world.c tests/host/net_guest.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c protocol/grant_retire.c
 * links: protocol/netif_*.c protocol/net_*.c drivers-back/netback*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net_back_bad.h"

/* ---- rings ---- */

static void too_many_requests(void)
{
	guest.queues[0].tx.shared->req_prod = 300;
	guest.queues[0].tx.out = guest.queues[0].tx.out_pushed;
	host_event_notify(guest.queues[0].tx_port);
}

static void requests_back_in_time(void)
{
	guest.queues[0].tx.shared->req_prod = guest.queues[0].tx.out - 1;
	host_event_notify(guest.queues[0].tx_port);
}

static void packet_without_end(void)
{
	struct netif_tx_request req = good();

	req.flags = NETTXF_more_data;
	put(req);
}

static void extra_that_is_not_there(void)
{
	struct netif_tx_request req = good();

	req.flags = NETTXF_extra_info;
	put(req);
}

static void extras_without_end(void)
{
	struct netif_extra_info infos[200];

	for (unsigned i = 0; i < 200; i++)
		infos[i] = (struct netif_extra_info){.type = (uint8_t)(i % 6)};
	put_extra_packet(infos, 200);
}

static void full_ring_without_end(void)
{
	struct netif_tx_request req = good();

	req.flags = NETTXF_more_data;
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
		put(req);
}

static void to_guest(void)
{
	static uint8_t data[64];
	static struct net_sent sent;

	if (sent.pages)
		net_sent_free(&sent);
	send(&sent, data, sizeof(data));
	net_sent_free(&sent);
	sent.pages = NULL;
	mock_enter(1);
}

static void too_many_rx_requests(void)
{
	guest.queues[0].rx.shared->req_prod = 257;
	to_guest();
}

static void rx_requests_back_in_time(void)
{
	guest.queues[0].rx.shared->req_prod = ~0u;
	to_guest();
}

static void too_many_messages(void)
{
	guest.ctrl.shared->req_prod = 129;
	host_event_notify(guest.ctrl_port);
}

/* ---- what is not forbidden, and harms nobody ---- */

static void one_id_for_all(void)
{
	for (unsigned i = 0; i < 200; i++)
		put(good());
}

static void slots_of_one_byte(void)
{
	struct netif_tx_request req = good();

	req.size = NETIF_SLOTS_MAX;
	req.flags = NETTXF_more_data;
	put(req);
	req.size = 1;
	for (unsigned i = 1; i < NETIF_SLOTS_MAX; i++) {
		req.flags = i + 1 < NETIF_SLOTS_MAX ? NETTXF_more_data : 0;
		put(req);
	}
}

static void rx_pages_not_granted(void)
{
	struct ring *rx = &guest.queues[0].rx;
	struct netif_rx_request req = {.id = 0xffff, .gref = 1020};
	struct netif_rx_response rsp;

	memcpy((uint8_t *)ring_slot(rx, rx->out++), &req, sizeof(req));
	ring_front_push(rx);
	to_guest();
	memcpy(&rsp, (uint8_t *)ring_slot(rx, rx->in++), sizeof(rsp));
	assert_int_equal(rsp.status, NETIF_RSP_ERROR);
	assert_int_equal(rsp.id, 0xffff);
}

static void rx_pages_for_reading(void)
{
	struct ring *rx = &guest.queues[0].rx;
	struct netif_rx_request req = {.gref = guest.refs[0].v};
	struct netif_rx_response rsp;

	memcpy((uint8_t *)ring_slot(rx, rx->out++), &req, sizeof(req));
	ring_front_push(rx);
	to_guest();
	memcpy(&rsp, (uint8_t *)ring_slot(rx, rx->in++), sizeof(rsp));
	assert_int_equal(rsp.status, NETIF_RSP_ERROR);
}

static void storm(void)
{
	uint64_t before = mock_calls.spurious;

	for (unsigned i = 0; i < 100; i++) {
		mock_enter(1);
		host_event_notify(guest.queues[0].tx_port);
		mock_run();
	}
	assert_true(mock_calls.spurious >= before + 99);
	mock_enter(1);
}

static void wild_event_thresholds(void)
{
	guest.queues[0].tx.shared->rsp_event = 0x80000000;
	guest.queues[0].rx.shared->rsp_event = 0x80000000;
	put(good());
}

static const struct bad bad[] = {
    {"more requests than the ring holds", too_many_requests, ENDS, "more tx requests"},
    {"requests taken back", requests_back_in_time, ENDS, "more tx requests"},
    {"a packet without its end", packet_without_end, ENDS, "a packet without end"},
    {"an extra info that is not there", extra_that_is_not_there, ENDS, "a packet without end"},
    {"200 extra infos", extras_without_end, ENDS, "a chain of extra infos without end"},
    {"a full ring of one packet", full_ring_without_end, ENDS, "a packet without end"},
    {"more rx requests than the ring holds", too_many_rx_requests, ENDS, "more rx requests"},
    {"rx requests taken back", rx_requests_back_in_time, ENDS, "more rx requests"},
    {"more messages than the ring holds", too_many_messages, ENDS, "more control messages"},
    {"one id for all packets", one_id_for_all, LIVES, NULL},
    {"slots of one byte", slots_of_one_byte, LIVES, NULL},
    {"rx pages not granted", rx_pages_not_granted, LIVES, NULL},
    {"rx pages for reading", rx_pages_for_reading, LIVES, NULL},
    {"an event storm", storm, LIVES, NULL},
    {"thresholds far away", wild_event_thresholds, LIVES, NULL},
};

static void test_bad_fronts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		play(&bad[i]);
	printf("%u bad frontends\n", (unsigned)ARRAY_SIZE(bad));
}

/* Keys that are no offer. */
static void test_bad_keys(void **state)
{
	static const struct {
		const char *key, *value;
	} keys[] = {
	    {"multi-queue-num-queues", "0"},
	    {"multi-queue-num-queues", "9"},
	    {"multi-queue-num-queues", "-1"},
	    {"multi-queue-num-queues", "2"},
	    {"tx-ring-ref", "x"},
	    {"rx-ring-ref", "99999"},
	    {"tx-ring-ref", "4294967296"},
	    {"event-channel", "0"},
	    {"event-channel", "63"},
	    {"request-rx-copy", "2"},
	    {"feature-sg", "yes"},
	    {"xdp-headroom", "4096"},
	    {"event-channel-ctrl", "0"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		begin();
		net_world_attach(1, 0, NULL);
		net_guest_offer(&guest, 1, &(struct net_plan){.ctrl = true});
		net_world_put_front(1, 0, keys[i].key, keys[i].value);
		net_guest_say(&guest, "4");
		if (strcmp(net_world_back(1, 0, "state"), "6") != 0)
			fail_msg("%s = %s: state %s", keys[i].key, keys[i].value,
				 net_world_back(1, 0, "state"));
		end();
	}
}

/* A guest that dies without a word, with all it has under way. */
static void test_killed(void **state)
{
	(void)state;
	begin();
	connect(&(struct net_plan){.n_queues = 4});
	net_hub.keeps = true;
	for (unsigned q = 0; q < 4; q++) {
		net_guest_packet(&guest, q, &(struct net_packet){.len = 9000});
		net_guest_push(&guest, q);
	}
	mock_kill(1);
	mock_store_remove("/local/domain/1");
	mock_run();
	assert_null(net_world_device(1, 0));
	net_world_detach_begin(1, 0);
	mock_advance(6000000000ull);
	mock_enter(0);
	netback_exit();
	mock_run();
	assert_true(mock_nothing_left(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_fronts),
	    cmocka_unit_test(test_bad_keys),
	    cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
