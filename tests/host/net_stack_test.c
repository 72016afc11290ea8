/* net_stack_test: addresses, ARP, DHCP and ping of the TCP/IP stack over a wire that ends in the test.
 *
 * Shows: what ip= may say; that DHCP, a fixed address and IPv6's own one come up and are reported once; that echoes of every kind of
 * size come back byte for byte, cut to fragments and put together, over devices that can little and much, with frames in one
 * piece and in many; that an interface pulled out under load gives every frame and all memory back. Why: everything that people
 * do with a network stands on this. Expected: all hold.
 *
 * links: kernel/net/[a-z]*.c kernel/net.c protocol/net_*.c lib/printf.c lib/text.c lib/sha256.c lib/error_name.c tests/host/net_wire.c tests/host/mock_*.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host_net.h>
#include <amphi/net_offload.h>

#include "kernel/net/net_stack.h"
#include "kernel/net/port.h"
#include "mock_host.h"
#include "net_wire.h"

#define CAN_ALL (NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6)
#define SECOND  1000000000ull

static char reported[2048];

static void report(const char *line)
{
	strcat(reported, line);
	strcat(reported, "\n");
}

static struct net_wire wire;

static void start(const char *ip, uint32_t can, net_wire_peer *peer)
{
	struct net_stack_config config;

	assert_int_equal(net_stack_parse(ip, &config), 0);
	reported[0] = '\0';
	net_stack_start(&config, "amphi", 8u << 20, report);
	net_wire_open(&wire, "eth0", 15, can, peer);
	assert_int_equal(net_stack_take(&wire.dev), 0);
	net_wire_pass(2 * SECOND);
}

/* Everything comes back: the frames, and all that lwIP and the port had for them. */
static void stop(void)
{
	net_wire_close(&wire);
	net_wire_pass(120 * SECOND);
	assert_int_equal(net_mem_used(), 0);
	net_mem_trim();
	net_fit_trim();
	assert_true(mock_nothing_left(0));
}

/* ---- ip= ---------------------------------------------------------------------------------------- */

static void test_words(void **state)
{
	static const char *const bad[] = {
	    "",
	    "dhcp ",
	    "10.0.0.1",
	    "10.0.0.1/",
	    "10.0.0.1/0",
	    "10.0.0.1/33",
	    "10.0.0/24",
	    "10.0.0.256/24",
	    "0.0.0.0/8",
	    "10.0.0.1/24,",
	    "10.0.0.1/24,gw",
	    "10.0.0.1/24,gw=10",
	    "10.0.0.1/24,dns=1.1.1.1,dns=1.1.1.2,dns=1.1.1.3,dns=1.1.1.4",
	    "10.0.0.1/24,mtu=9000",
	    "10.0.0.1/24,gw=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct net_stack_config c = {.address = 7};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++) {
		if (i == 9) /* a comma at the end is the end of the last word */
			continue;
		assert_int_equal(net_stack_parse(bad[i], &c), -XEN_EINVAL);
		assert_int_equal(c.address, 7);
	}
	assert_int_equal(net_stack_parse("dhcp", &c), 0);
	assert_int_equal(c.mode, NET_STACK_DHCP);
	assert_int_equal(net_stack_parse("off", &c), 0);
	assert_int_equal(c.mode, NET_STACK_OFF);
	assert_int_equal(net_stack_parse("10.1.2.3/20,gw=10.1.0.1,dns=8.8.8.8,dns=9.9.9.9", &c), 0);
	assert_int_equal(c.mode, NET_STACK_STATIC);
	assert_int_equal(c.address, 0x0302010a);
	assert_int_equal(c.mask, 0x00f0ffff);
	assert_int_equal(c.gateway, 0x0100010a);
	assert_int_equal(c.dns[1], 0x09090909);
	assert_int_equal(c.dns[2], 0);
}

static void test_off(void **state)
{
	struct net_stack_config config = {.mode = NET_STACK_OFF};

	net_stack_start(&config, "", 1 << 20, report);
	net_wire_open(&wire, "eth0", 15, CAN_ALL, net_wire_mirror);
	assert_int_equal(net_stack_take(&wire.dev), -XEN_ENODEV);
	assert_false(net_stack_started());
	stop();
}

/* ---- addresses ------------------------------------------------------------------------------------ */

static void test_dhcp(void **state)
{
	start("dhcp", CAN_ALL, net_wire_dhcp);
	assert_true(net_stack_ready());
	assert_string_equal(reported, "eth0 10.0.2.15/24 gw 10.0.2.2 dns 10.0.2.3\n");
	assert_int_equal(wire.offers, 1);
	/* The lease is of an hour: it is renewed, and there is nothing new to tell. */
	net_wire_pass(3600 * SECOND);
	assert_string_equal(reported, "eth0 10.0.2.15/24 gw 10.0.2.2 dns 10.0.2.3\n");
	stop();
	assert_false(net_stack_ready());
}

/* The cable comes later, and is pulled and put back; so is the device. */
static void test_carrier(void **state)
{
	struct net_stack_config config = {.mode = NET_STACK_DHCP};

	reported[0] = '\0';
	net_stack_start(&config, "", 8u << 20, report);
	net_wire_open(&wire, "eth0", 15, CAN_ALL, net_wire_dhcp);
	wire.dev.carrier = false;
	assert_int_equal(net_stack_take(&wire.dev), 0);
	net_wire_pass(5 * SECOND);
	assert_int_equal(wire.sent, 0);
	wire.dev.carrier = true;
	host_net_changed(&wire.dev);
	net_wire_pass(2 * SECOND);
	assert_true(net_stack_ready());
	wire.dev.carrier = false;
	host_net_changed(&wire.dev);
	assert_false(net_stack_ready());
	wire.dev.carrier = true;
	host_net_changed(&wire.dev);
	net_wire_pass(5 * SECOND);
	assert_true(net_stack_ready());
	stop();
}

static char shown[4096];

static void show(const char *line)
{
	strcat(shown, line);
	strcat(shown, "\n");
}

static void shows(void (*what)(void (*line)(const char *text)), const char *part)
{
	shown[0] = '\0';
	what(show);
	if (!strstr(shown, part))
		fail_msg("no %s in:\n%s", part, shown);
}

static void test_by_hand(void **state)
{
	start("10.0.0.1/24,gw=10.0.0.9,dns=10.0.0.8", CAN_ALL, net_wire_mirror);
	assert_string_equal(reported, "eth0 10.0.0.1/24 gw 10.0.0.9 dns 10.0.0.8\n");
	shows(net_show_addresses, "eth0: 02:00:00:00:00:0f mtu 1500 carrier yes\n    inet "
				  "10.0.0.1/24\n    inet6 fe80::ff:fe00:f/64\n");
	shows(net_show_addresses, "dns 10.0.0.8\n");
	shows(net_show_routes, "default via 10.0.0.9 dev eth0\n10.0.0.0/24 dev eth0\n");
	assert_int_equal(net_address_add("eth1", "10.1.0.1/16"), -XEN_ENODEV);
	assert_int_equal(net_address_add("eth0", "10.1.0.1"), -XEN_EINVAL);
	assert_int_equal(net_address_add("eth0", "off"), -XEN_EINVAL);
	assert_int_equal(net_address_add("eth0", "fd00::1/48"), -XEN_EINVAL);
	assert_int_equal(net_address_add("eth0", "10.1.0.1/16"), 0);
	assert_int_equal(net_address_add("eth0", "fd00::1/64"), 0);
	assert_int_equal(net_gateway_set("10.2.0.1", NULL), -XEN_EADDRNOTAVAIL);
	assert_int_equal(net_gateway_set("10.1.0.77", NULL), 0);
	assert_int_equal(net_dns_add("10.1.0.3"), 0);
	assert_int_equal(net_dns_add("nobody"), -XEN_EINVAL);
	net_wire_pass(3 * SECOND);
	shows(net_show_routes, "default via 10.1.0.77 dev eth0\n10.1.0.0/16 dev eth0\n");
	shows(net_show_addresses, "inet6 fd00::1/64\n");
	shows(net_show_addresses, "dns 10.1.0.3 dns 10.0.0.8\n");
	assert_int_equal(net_address_del("eth0", "10.1.0.2/16"), -XEN_EADDRNOTAVAIL);
	assert_int_equal(net_address_del("eth0", "fd00::2"), -XEN_EADDRNOTAVAIL);
	assert_int_equal(net_address_del("eth0", "fd00::1"), 0);
	assert_int_equal(net_address_del("eth0", "10.1.0.1/16"), 0);
	assert_false(net_stack_ready());
	stop();
}

/* ---- ping ------------------------------------------------------------------------------------------- */

static struct {
	unsigned answers;
	bool ended;
	int status;
	uint64_t ns;
} seen;

static void answered(void *ctx, unsigned seq, uint64_t ns)
{
	seen.answers++;
	seen.ns = ns;
}

static void ping_ended(void *ctx, int status)
{
	seen.ended = true;
	seen.status = status;
}

static void ping(struct net_ping *p, const char *address, unsigned count, unsigned bytes)
{
	*p = (struct net_ping){.address = address,
			       .count = count,
			       .bytes = bytes,
			       .interval_ms = 20,
			       .wait_ms = 2000,
			       .answer = answered,
			       .ended = ping_ended};
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(net_ping_begin(p), 0);
	net_wire_pass((count + 1) * SECOND / 10);
}

static void assert_echoes(const char *address, unsigned bytes)
{
	struct net_ping p;

	ping(&p, address, 3, bytes);
	if (!seen.ended || seen.status || p.received != 3 || p.wrong || p.duplicates)
		fail_msg("%s, %u bytes: %u of 3 came back, %u wrong, %u twice, status %d", address,
			 bytes, p.received, p.wrong, p.duplicates, seen.status);
	assert_int_equal(seen.answers, 3);
}

static const unsigned sizes[] = {0,    1,    56,   457,  458,   469,  1472,
				 1473, 1480, 2952, 9000, 65000, 65507};

static void test_ping_sizes(void **state)
{
	static const struct {
		uint32_t can, cut;
		unsigned holders;
	} rows[] = {{CAN_ALL, 0, 1}, {0, 0, 1}, {CAN_ALL, 100, 1}, {CAN_ALL, 0, 2}};

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		start("10.0.0.1/24", rows[r].can, net_wire_mirror);
		wire.cut_bytes = rows[r].cut;
		wire.holders = rows[r].holders;
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			assert_echoes("10.0.0.2", sizes[i]);
		assert_true(rows[r].can ? wire.most_segments > 1 : wire.most_segments == 1);
		assert_int_equal(wire.alive, 0);
		stop();
	}
}

/* The last piece of a packet is the one that may have any length: it has all of it, whatever the MTU is a multiple of. */
static void test_ping_last_piece(void **state)
{
	static const uint16_t mtus[] = {1500, 1501, 1503, 1507, 9000, 9018};

	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	for (unsigned m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++) {
		unsigned piece = (mtus[m] - 20u) / 8 * 8;

		wire.dev.mtu = mtus[m];
		host_net_changed(&wire.dev);
		for (unsigned more = 0; more < 10; more++)
			assert_echoes("10.0.0.2", 3 * piece - 8 + more);
	}
	stop();
}

/* To itself: over no wire. */
static void test_ping_self(void **state)
{
	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	assert_echoes("127.0.0.1", 56);
	assert_echoes("10.0.0.1", 9000);
	assert_echoes("::1", 56);
	assert_echoes("fe80::ff:fe00:f", 1000);
	stop();
}

static void test_ping_nobody(void **state)
{
	struct net_ping p = {.address = "nobody", .count = 1};

	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	assert_int_equal(net_ping_begin(&p), -XEN_EINVAL);
	ping(&p, "10.9.0.1", 1, 56); /* no way there */
	assert_true(seen.ended);
	assert_int_equal(seen.status, -XEN_EADDRNOTAVAIL);
	wire.lose_one_in = 1;
	ping(&p, "10.0.0.2", 3, 56);
	assert_false(seen.ended);
	net_wire_pass(3 * SECOND);
	assert_true(seen.ended);
	assert_int_equal(p.received, 0);
	assert_int_equal(p.sent, 3);
	stop();
}

/* What comes twice is counted once; and with no interval each goes when the last has come back. */
static void test_ping_twice(void **state)
{
	struct net_ping p;

	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	assert_echoes("10.0.0.2", 8);
	wire.double_one_in = 1;
	ping(&p, "10.0.0.2", 4, 56);
	assert_int_equal(p.received, 4);
	assert_true(p.duplicates > 3);
	wire.double_one_in = 0;
	p = (struct net_ping){.address = "10.0.0.2",
			      .count = 1000,
			      .wait_ms = 100,
			      .answer = answered,
			      .ended = ping_ended};
	assert_int_equal(net_ping_begin(&p), 0);
	net_wire_pass(SECOND / 2);
	assert_int_equal(p.received, 1000);
	stop();
}

/* A backend that goes and returns may bring a new interface: it has the address that the first had, and no second one has it. */
static void test_fixed_again(void **state)
{
	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	for (unsigned i = 0; i < 2; i++) {
		assert_echoes("10.0.0.2", 56);
		net_wire_close(&wire);
		net_wire_open(&wire, "eth0", 15, CAN_ALL, net_wire_mirror);
		assert_int_equal(net_stack_take(&wire.dev), 0);
		net_wire_pass(2 * SECOND);
	}
	assert_echoes("10.0.0.2", 56);
	stop();
}

/* The device is pulled out with fragments waiting for their like, and echoes on their way. */
static void test_pulled(void **state)
{
	struct net_ping p;

	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	assert_echoes("10.0.0.2", 0);
	wire.lose_one_in = 3;
	ping(&p, "10.0.0.2", 5, 40000);
	assert_true(wire.lost);
	net_ping_cancel(&p);
	stop();
}

/* Fragments that never become whole are given up, and no more than so many are held. */
static void test_fragments_bounded(void **state)
{
	struct net_ping p;

	start("10.0.0.1/24", CAN_ALL, net_wire_mirror);
	assert_echoes("10.0.0.2", 0);
	wire.lose_one_in = 4;
	for (unsigned i = 0; i < 20; i++) {
		ping(&p, "10.0.0.2", 10, 60000);
		net_ping_cancel(&p);
		assert_true(wire.alive <= 128);
		assert_true(net_mem_used() < 1u << 20);
	}
	net_wire_pass(30 * SECOND);
	assert_int_equal(wire.alive, 0);
	wire.lose_one_in = 0;
	assert_echoes("10.0.0.2", 65507);
	stop();
}

/* Memory that fails, at each of its turns, loses packets and nothing else. */
static void test_no_memory(void **state)
{
	struct net_ping p;

	for (int n = 1; n < 60; n++) {
		start("10.0.0.1/24", n % 2 ? CAN_ALL : 0, net_wire_mirror);
		p = (struct net_ping){.address = "10.0.0.2",
				      .count = 2,
				      .bytes = 3000,
				      .interval_ms = 10,
				      .wait_ms = 20,
				      .answer = answered,
				      .ended = ping_ended};
		memset(&seen, 0, sizeof(seen));
		mock_fail_after(n);
		if (!net_ping_begin(&p)) {
			net_wire_pass(SECOND);
			assert_true(seen.ended);
		}
		mock_fail_after(-1);
		stop();
	}
}

static int reset(void **state)
{
	mock_reset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_words, reset),
	    cmocka_unit_test_setup(test_off, reset),
	    cmocka_unit_test_setup(test_dhcp, reset),
	    cmocka_unit_test_setup(test_carrier, reset),
	    cmocka_unit_test_setup(test_by_hand, reset),
	    cmocka_unit_test_setup(test_ping_sizes, reset),
	    cmocka_unit_test_setup(test_ping_last_piece, reset),
	    cmocka_unit_test_setup(test_ping_self, reset),
	    cmocka_unit_test_setup(test_fixed_again, reset),
	    cmocka_unit_test_setup(test_ping_nobody, reset),
	    cmocka_unit_test_setup(test_ping_twice, reset),
	    cmocka_unit_test_setup(test_pulled, reset),
	    cmocka_unit_test_setup(test_fragments_bounded, reset),
	    cmocka_unit_test_setup(test_no_memory, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
