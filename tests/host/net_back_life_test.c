/* net_back_life_test: netback's connections come, change, and end at any moment.
 *
 * Why: a guest goes with its packets in a card, in other guests' queues, and with others' packets in its own; what is freed under
 * one of them is memory that somebody writes to. Expected: nothing is freed before the last frame is back, nobody else loses
 * one, and nothing is left.
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

/* As Linux's netfront does when an XDP program comes: Reconfiguring, and back to Connected when we have seen it. */
static void test_headroom_comes_later(void **state)
{
	static uint8_t data[5000];
	static struct net_got got;
	struct net_sent sent = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	send(&sent, data, sizeof(data)); /* waits, for two slots */
	net_world_put_front(1, 0, "xdp-headroom", "256");
	net_guest_say(&guest, "7");
	assert_string_equal(net_world_back(1, 0, "state"), "8");
	assert_true(sent.done);
	net_sent_free(&sent);
	net_guest_say(&guest, "4");
	net_guest_post(&guest, 0, 4);
	send(&sent, data, sizeof(data));
	net_sent_free(&sent);
	assert_true(net_guest_got(&guest, 0, &got));
	assert_int_equal(got.extras.xdp_headroom, 256);
	assert_int_equal(got.len, sizeof(data));
	net_world_put_front(1, 0, "xdp-headroom", "99999");
	net_guest_say(&guest, "7");
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), 0);
	end();
}

static void test_ends_with_frames_everywhere(void **state)
{
	struct net_sent sent = {0};
	uint8_t data[64] = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_hub.keeps = true;
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 9000});
	net_guest_push(&guest, 0);
	send(&sent, data, sizeof(data));
	assert_false(sent.done);
	net_guest_say(&guest, "5");
	net_guest_say(&guest, "6");
	assert_string_equal(net_world_back(1, 0, "state"), "6");
	assert_true(sent.done);
	assert_null(net_world_device(1, 0));
	net_sent_free(&sent);
	net_guest_take_back(&guest);
	net_guest_say(&guest, "1");
	assert_string_equal(net_world_back(1, 0, "state"), "2");
	net_hub.keeps = false;
	net_guest_connect(&guest, 1, &(struct net_plan){.n_queues = 2});
	assert_string_equal(net_world_back(1, 0, "state"), "4");
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), 0);
	end();
}

/* A network card has a frame, and is not done with it: its memory stays, and the guest's pages too. */
static void test_ends_when_the_card_is_done(void **state)
{
	uint8_t slots[NETIF_TX_SLOT_BYTES * 3];

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_hub.keeps = net_hub.stubborn = true;
	net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 9000});
	net_guest_push(&guest, 0);
	memcpy(slots, guest.queues[0].tx_page + 64, sizeof(slots));
	net_guest_say(&guest, "5");
	net_guest_say(&guest, "6");
	assert_string_equal(net_world_back(1, 0, "state"), "5");
	mock_enter(0);
	net_hub_release(0);
	mock_run();
	assert_string_equal(net_world_back(1, 0, "state"), "6");
	assert_int_equal(guest.queues[0].tx.shared->rsp_prod, 0);
	assert_memory_equal(guest.queues[0].tx_page + 64, slots, sizeof(slots));
	end();
}

/* Frames of a guest that goes wait for another one, who keeps those of others, in their order. */
static void test_goes_while_its_frames_wait(void **state)
{
	static struct net_guest other;
	static struct net_got got;
	struct net_sent sent[2] = {0};
	uint8_t data[64] = {0};

	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_world_attach(2, 0, NULL);
	net_guest_connect(&other, 2, &(struct net_plan){0});
	net_hub.forwards = true;
	for (unsigned i = 0; i < 2; i++) {
		data[20] = (uint8_t)(i + 1);
		net_world_send(net_world_device(2, 0), &sent[i], data, sizeof(data));
		net_guest_packet(&guest, 0, &(struct net_packet){.page = 0, .len = 9000});
		net_guest_push(&guest, 0);
	}
	net_guest_end(&guest);
	assert_null(net_world_device(1, 0));
	net_guest_post(&other, 0, 8);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(net_guest_got(&other, 0, &got));
		assert_int_equal(got.data[20], i + 1);
		assert_true(sent[i].done);
		net_sent_free(&sent[i]);
	}
	assert_false(net_guest_got(&other, 0, &got));
	net_guest_end(&other);
	assert_true(net_world_end());
}

static void test_removed_by_the_toolstack(void **state)
{
	(void)state;
	begin();
	connect(&(struct net_plan){0});
	net_world_detach_begin(1, 0);
	assert_string_equal(net_world_back(1, 0, "state"), "5");
	net_guest_say(&guest, "6");
	assert_null(mock_store_get("/local/domain/0/backend/vif/1/0/state"));
	net_world_detach_end(1, 0);
	net_guest_take_back(&guest);
	assert_true(net_world_end());
}

static void test_no_memory(void **state)
{
	(void)state;
	for (int n = 1; n < 40; n++) {
		begin();
		net_world_attach(1, 0, NULL);
		net_guest_offer(&guest, 1, &(struct net_plan){.n_queues = 2, .split = true});
		mock_fail_after(n);
		net_guest_say(&guest, "4");
		mock_fail_after(-1);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headroom_comes_later),
	    cmocka_unit_test(test_ends_with_frames_everywhere),
	    cmocka_unit_test(test_ends_when_the_card_is_done),
	    cmocka_unit_test(test_goes_while_its_frames_wait),
	    cmocka_unit_test(test_removed_by_the_toolstack),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
