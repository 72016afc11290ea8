/* net_back_guard_test: which packets of a guest with given addresses are let through, and how much of them.
 *
 * Why: a guest that sends as its neighbour gets its neighbour's answers; one that floods takes the wire from all. Expected:
 * every kind of claim to an address is held against `ip` and `mac`; a rate limit holds over all queues and lets bursts
 * through; a multicast list is kept and applied.
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

#include "net_back_fixture.h"

static void ready(const char *key)
{
	const char *const more[] = {key, NULL};

	begin();
	net_world_attach(1, 0, more);
	net_guest_connect(&guest, 1, &(struct net_plan){0});
	assert_string_equal(net_world_back(1, 0, "state"), "4");
}

static uint64_t dropped(enum net_drop why)
{
	return net_world_device(1, 0)->stats[0].drops[why];
}

/* Sends what is in page 0, from the guest's own MAC. True: it got through. */
static bool passes(uint32_t len)
{
	unsigned before = net_hub.n_frames;
	uint64_t spoofed = dropped(NET_DROP_spoofed);
	int status;

	memcpy(guest.pages + 6, net_world_mac(1, 0), 6);
	status = net_guest_ask(&guest, 0, len, 0);
	if (net_hub.n_frames != before)
		return status == 0;
	assert_int_equal(status, NETIF_RSP_ERROR);
	assert_int_equal(dropped(NET_DROP_spoofed), spoofed + 1);
	return false;
}

static const struct net_recipe mine4 = {.source = {10, 0, 0, 5}, .dest = {10, 0, 0, 9}};

static bool passes4(struct net_recipe r)
{
	net_world_frame(guest.pages, 100, &r);
	return passes(100);
}

static void test_ipv4(void **state)
{
	struct net_recipe r = mine4;

	(void)state;
	ready("ip=10.0.0.5 10.0.0.6");
	assert_true(passes4(r));
	r.source[3] = 6;
	assert_true(passes4(r));
	r.source[3] = 7;
	assert_false(passes4(r));
	assert_true(mock_logged("an address that is not its own"));
	end();
}

static void test_ethernet(void **state)
{
	unsigned before;

	(void)state;
	ready("ip=10.0.0.5");
	net_world_frame(guest.pages, 100, &mine4);
	before = net_hub.n_frames;
	assert_int_equal(net_guest_ask(&guest, 0, 100, 0), NETIF_RSP_ERROR);
	assert_int_equal(net_hub.n_frames, before);
	guest.pages[12] = 0x88; /* neither IP nor ARP */
	assert_false(passes(100));
	end();
}

static void test_dhcp_before_an_address(void **state)
{
	struct net_recipe r = {.udp = true, .sport = 68, .dport = 67};

	(void)state;
	ready("ip=10.0.0.5");
	assert_true(passes4(r));
	r.dport = 53;
	assert_false(passes4(r));
	end();
}

/* ARP: who sends, by both addresses. */
static bool passes_arp(const uint8_t *mac, uint8_t last)
{
	uint8_t *arp = guest.pages + 14;

	memset(guest.pages, 0xff, 6);
	guest.pages[12] = 0x08, guest.pages[13] = 0x06;
	memset(arp, 0, 46);
	memcpy(arp, (uint8_t[]){0, 1, 8, 0, 6, 4, 0, 2}, 8);
	memcpy(arp + 8, mac, 6);
	if (last)
		memcpy(arp + 14, (uint8_t[]){10, 0, 0, last}, 4);
	return passes(60);
}

static void test_arp(void **state)
{
	static const uint8_t other[6] = {2, 2, 2, 2, 2, 2};

	(void)state;
	ready("ip=10.0.0.5");
	assert_true(passes_arp(net_world_mac(1, 0), 5));
	assert_true(passes_arp(net_world_mac(1, 0), 0)); /* a probe */
	assert_false(passes_arp(net_world_mac(1, 0), 6));
	assert_false(passes_arp(other, 5));
	end();
}

static const uint8_t link_local[16] = {0xfe, 0x80, 0,    0,    0,    0, 0, 0,
				       2,    0x16, 0x3e, 0xff, 0xfe, 0, 1, 0};

static void test_ipv6(void **state)
{
	static const uint8_t given[16] = {0x20, 1, 0xd, 0xb8, [15] = 0x42};
	struct net_recipe r = {.ipv6 = true};

	(void)state;
	ready("ip=10.0.0.5,2001:db8::42");
	memcpy(r.source, given, 16);
	assert_true(passes4(r));
	r.source[15]++;
	assert_false(passes4(r));
	memcpy(r.source, link_local, 16);
	assert_true(passes4(r));
	memset(r.source, 0, 16); /* looks whether its address is taken */
	assert_true(passes4(r));
	end();
}

/* A neighbour advertisement claims an address, also behind an extension header. */
static void test_neighbours(void **state)
{
	uint8_t *ip = guest.pages;

	(void)state;
	ready("ip=2001:db8::42");
	for (unsigned hop = 0; hop < 2; hop++)
		for (unsigned own = 0; own < 2; own++) {
			uint8_t *icmp;

			ip = guest.pages + 14;
			net_world_frame(guest.pages, 120, &(struct net_recipe){.ipv6 = true});
			memcpy(ip + 8, link_local, 16);
			memset(ip + 40, 0, 66);
			ip[6] = hop ? 0 : 58;
			ip[40] = 58; /* where there is a hop-by-hop header */
			icmp = ip + (hop ? 48 : 40);
			icmp[0] = 136;
			memcpy(icmp + 8, link_local, 16);
			icmp[8 + 15] ^= !own;
			assert_int_equal(passes(120), own);
		}
	end();
}

static void test_addresses_that_are_none(void **state)
{
	static const char *const bad[] = {
	    "ip=10.0.0",           "ip=10.0.0.256", "ip=1.2.3.4.5", "ip=::1::2", "ip=1:2:3",
	    "ip=12345::",          "ip=:1",         "ip=1:",        "ip=0x1::",  "ip=a b",
	    "ip=1:2:3:4:5:6:7:8:9"};
	static const char *const good[] = {
	    "ip=::",      "ip=::1", "ip=1::",           "ip=1:2:3:4:5:6:7:8",
	    "ip=1.2.3.4", "ip=",    "ip=1::2 , 3.4.5.6"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad) + ARRAY_SIZE(good); i++) {
		bool is_bad = i < ARRAY_SIZE(bad);
		const char *more[] = {is_bad ? bad[i] : good[i - ARRAY_SIZE(bad)], NULL};

		begin();
		net_world_attach(1, 0, more);
		assert_string_equal(net_world_back(1, 0, "state"), is_bad ? "6" : "2");
		net_world_detach_begin(1, 0);
		mock_advance(6000000000ull);
		assert_true(net_world_end());
	}
}

/* ---- how much ------------------------------------------------------------------------------- */

static unsigned burst(unsigned n, uint32_t len)
{
	unsigned before = net_hub.n_frames;

	for (unsigned i = 0; i < n; i++)
		net_guest_packet(&guest, 0,
				 &(struct net_packet){.page = i % GUEST_PAGES, .len = len});
	net_guest_push(&guest, 0);
	return net_hub.n_frames - before;
}

static void test_rate(void **state)
{
	unsigned before;

	(void)state;
	ready("rate=10000,10000");
	fill(0, 1000);
	net_hub.records = false;
	assert_int_equal(burst(30, 1000), 10);
	before = net_hub.n_frames;
	for (unsigned i = 0; i < 9; i++)
		mock_advance(1000000);
	assert_int_equal(net_hub.n_frames, before);
	mock_advance(1000000);
	assert_int_equal(net_hub.n_frames, before + 10);
	mock_advance(10000000);
	assert_int_equal(net_hub.n_frames, before + 20);
	assert_int_equal(answers(0), 0);
	mock_advance(1000000000); /* unused credit is kept up to a burst */
	assert_in_range(burst(200, 1000), 131, 132);
	net_world_put_back(1, 0, "rate", "0,0"); /* and changed while it runs */
	mock_run();
	assert_int_equal(answers(0), 0);
	assert_int_equal(burst(200, 1000), 200);
	assert_int_equal(answers(0), 0);
	end();
}

static void test_rate_that_is_none(void **state)
{
	(void)state;
	ready("rate=fast");
	assert_true(mock_logged("rate is not BYTES,MICROSECONDS"));
	assert_int_equal(burst(100, 1000), 100);
	end();
}

/* ---- which ---------------------------------------------------------------------------------- */

static int ask_multicast(const uint8_t *mac, bool add)
{
	struct netif_extras extras = {0};
	int status;

	extras.seen =
	    add ? 1 << XEN_NETIF_EXTRA_TYPE_MCAST_ADD : 1 << XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
	memcpy(extras.mcast, mac, 6);
	net_guest_packet(&guest, 0, &(struct net_packet){.len = 1, .extras = &extras});
	net_guest_push(&guest, 0);
	status = answers(0);
	return status;
}

static bool arrives(const uint8_t *to)
{
	static uint8_t data[64];
	static struct net_got got;
	struct net_sent sent = {0};

	memcpy(data, to, 6);
	send(&sent, data, sizeof(data));
	net_sent_free(&sent);
	return net_guest_got(&guest, 0, &got);
}

static void test_multicast_list(void **state)
{
	uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	begin();
	connect(&(struct net_plan){.multicast = true});
	net_guest_post(&guest, 0, 40);
	assert_false(arrives(group));
	assert_int_equal(dropped(NET_DROP_filtered), 1);
	assert_true(arrives(all));
	assert_true(arrives(net_world_mac(1, 0)));
	assert_int_equal(ask_multicast(group, true), 0);
	assert_int_equal(ask_multicast(group, true), 0);
	assert_int_equal(net_world_info().n_multicast, 1);
	assert_true(arrives(group));
	assert_int_equal(ask_multicast(group, false), 0);
	assert_false(arrives(group));
	net_world_put_front(1, 0, "request-multicast-control", "0");
	mock_run();
	assert_true(arrives(group));
	assert_int_equal(net_hub.n_frames, 0); /* the requests themselves are no packets */
	end();
}

static void test_multicast_list_is_bounded(void **state)
{
	uint8_t group[6] = {1, 0, 0x5e, 0, 0, 0};

	(void)state;
	begin();
	connect(&(struct net_plan){.multicast = true});
	for (unsigned i = 0; i < NETIF_MULTICAST_MAX; i++, group[5]++)
		assert_int_equal(ask_multicast(group, true), 0);
	assert_int_equal(ask_multicast(group, true), NETIF_RSP_ERROR);
	assert_int_equal(net_world_info().n_multicast, NETIF_MULTICAST_MAX);
	end();
}

/* ---- looking on ------------------------------------------------------------------------------ */

static unsigned seen_in, seen_out, seen_end;

static void look(void *ctx, const struct net_frame *frame, bool to_guest)
{
	assert_ptr_equal(ctx, &seen_in);
	if (!frame) {
		seen_end++;
		return;
	}
	assert_int_equal(frame->len_bytes, 64);
	seen_in += !to_guest;
	seen_out += to_guest;
}

static void test_tap(void **state)
{
	uint8_t to[6] = {0};

	(void)state;
	seen_in = seen_out = 0;
	begin();
	connect(&(struct net_plan){0});
	net_guest_post(&guest, 0, 4);
	mock_enter(0);
	assert_int_equal(netback_tap("vif9.0", look, &seen_in), -XEN_ENODEV);
	assert_int_equal(netback_tap("vif1.0", look, &seen_in), 0);
	assert_int_equal(netback_tap("vif1.0", look, &seen_in), -XEN_EBUSY);
	fill(0, 64);
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), 0);
	assert_true(arrives(to));
	assert_int_equal(seen_in, 1);
	assert_int_equal(seen_out, 1);
	mock_enter(0);
	assert_int_equal(netback_tap("vif1.0", NULL, NULL), 0);
	assert_int_equal(net_guest_ask(&guest, 0, 64, 0), 0);
	assert_int_equal(seen_in, 1);
	assert_int_equal(seen_end, 0);
	assert_int_equal(netback_tap("vif1.0", look, &seen_in), 0);
	end(); /* the guest goes */
	assert_int_equal(seen_end, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ipv4),
	    cmocka_unit_test(test_ethernet),
	    cmocka_unit_test(test_dhcp_before_an_address),
	    cmocka_unit_test(test_arp),
	    cmocka_unit_test(test_ipv6),
	    cmocka_unit_test(test_neighbours),
	    cmocka_unit_test(test_addresses_that_are_none),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_rate_that_is_none),
	    cmocka_unit_test(test_multicast_list),
	    cmocka_unit_test(test_multicast_list_is_bounded),
	    cmocka_unit_test(test_tap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
