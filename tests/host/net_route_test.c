/* net_route_test: static routes of the TCP/IP stack, over two wires that end in the test.
 *
 * Shows: what is no network, no gateway or no way is refused; an echo to a network behind a machine goes by that machine's interface and to its
 * hardware address, the longest network wins, the networks of the interfaces come before all, and without a route it is the
 * gateway's; IPv6 too; a route goes when it is deleted, and with its interface. Why: a domain between two networks reaches both
 * only so. Expected: all hold.
 *
 * links: kernel/net/[a-z]*.c kernel/net.c protocol/net_*.c lib/printf.c lib/text.c lib/sha256.c lib/error_name.c tests/host/net_wire.c tests/host/mock_*.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
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

static struct net_wire wires[2];
static const struct net_wire *last_wire; /* by which the last echo went */
static uint8_t last_mac;                 /* the last byte of whom it went to */
static char shown[1024];

static void peer(struct net_wire *w, const uint8_t *bytes, uint32_t len)
{
	bool echo = bytes[12] == 8 ? bytes[13] == 0 && bytes[23] == 1
				   : bytes[12] == 0x86 && bytes[20] == 58 && bytes[54] == 128;

	if (echo) {
		last_wire = w;
		last_mac = bytes[5];
	}
	net_wire_mirror(w, bytes, len);
}

static void start(void)
{
	struct net_stack_config config;

	assert_int_equal(net_stack_parse("10.0.0.1/24,gw=10.0.0.2", &config), 0);
	net_stack_start(&config, "", 8u << 20, NULL);
	net_wire_open(&wires[0], "eth0", 15, CAN_ALL, peer);
	net_wire_open(&wires[1], "eth1", 16, CAN_ALL, peer);
	assert_int_equal(net_stack_take(&wires[0].dev), 0);
	assert_int_equal(net_stack_take(&wires[1].dev), 0);
	assert_int_equal(net_address_add("eth1", "10.1.0.1/24"), 0);
	net_wire_pass(3 * SECOND);
}

static void stop(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (wires[i].dev.ops)
			net_wire_close(&wires[i]);
	net_wire_pass(120 * SECOND);
	assert_int_equal(net_mem_used(), 0);
	net_mem_trim();
	net_fit_trim();
	assert_true(mock_nothing_left(0));
}

static void answered(void *ctx, unsigned seq, uint64_t ns) {}

static void ended(void *ctx, int status)
{
	*(int *)ctx = status;
}

/* "WIRE to MAC" of the echo; what went wrong when there was none. */
static const char *way_to(const char *address)
{
	static char text[32];
	int status = 1;
	struct net_ping p = {.address = address,
			     .count = 1,
			     .bytes = 10,
			     .wait_ms = 2000,
			     .answer = answered,
			     .ended = ended,
			     .ctx = &status};

	last_wire = NULL;
	assert_int_equal(net_ping_begin(&p), 0);
	net_wire_pass(3 * SECOND);
	if (last_wire && p.received == 1)
		snprintf(text, sizeof(text), "%s to %u", last_wire->dev.name, last_mac);
	else
		snprintf(text, sizeof(text), "%d", status);
	return text;
}

static void line(const char *text)
{
	strcat(strcat(shown, text), "\n");
}

static void test_words(void **state)
{
	static const struct {
		const char *network, *gateway, *dev;
		int error;
	} rows[] = {
	    {"10.7.0.0", "10.1.0.9", NULL, -XEN_EINVAL},
	    {"10.7.0.0/33", "10.1.0.9", NULL, -XEN_EINVAL},
	    {"10.7.0.0/x", "10.1.0.9", NULL, -XEN_EINVAL},
	    {"10.7.0.1/16", "10.1.0.9", NULL, -XEN_EINVAL},
	    {"10.7.128.0/16", "10.1.0.9", NULL, -XEN_EINVAL},
	    {"10.7.0.0/16", NULL, NULL, -XEN_EINVAL},
	    {"10.7.0.0/16", "fe80::2", NULL, -XEN_EINVAL},
	    {"10.7.0.0/16", "somebody", NULL, -XEN_EINVAL},
	    {"10.7.0.0/16", "10.1.0.9", "eth2", -XEN_ENODEV},
	    {"10.7.0.0/16", "10.1.0.9", "eth0", -XEN_EADDRNOTAVAIL},
	    {"10.7.0.0/16", "10.9.0.9", NULL, -XEN_EADDRNOTAVAIL},
	    {"fd07::/129", "fe80::9", "eth1", -XEN_EINVAL},
	    {"fd07::1/64", "fe80::9", "eth1", -XEN_EINVAL},
	    {"fd07::/64", "fd09::9", "eth1", -XEN_EADDRNOTAVAIL},
	};
	char network[32];

	start();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (net_route_add(rows[i].network, rows[i].gateway, rows[i].dev) != rows[i].error)
			fail_msg("row %u", i);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(network, sizeof(network), "10.%u.0.0/16", 100 + i);
		assert_int_equal(net_route_add(network, "10.1.0.9", NULL), 0);
		assert_int_equal(net_route_add(network, "10.1.0.8", NULL), -XEN_EEXIST);
	}
	assert_int_equal(net_route_add("10.7.0.0/16", "10.1.0.9", NULL), -XEN_ENOSPC);
	assert_int_equal(net_route_del("10.7.0.0/16"), -XEN_ENOENT);
	assert_int_equal(net_route_del("10.100.0.0"), -XEN_EINVAL);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(network, sizeof(network), "10.%u.0.0/16", 100 + i);
		assert_int_equal(net_route_del(network), 0);
	}
	stop();
}

static void test_ways(void **state)
{
	start();
	assert_string_equal(way_to("10.7.1.3"), "eth0 to 2");
	assert_int_equal(net_route_add("10.7.0.0/16", "10.1.0.9", NULL), 0);
	assert_string_equal(way_to("10.7.1.3"), "eth1 to 9");
	assert_int_equal(net_route_add("10.7.1.0/25", "10.0.0.7", "eth0"), 0);
	assert_int_equal(net_route_add("10.7.1.128/25", NULL, "eth1"), 0);
	assert_int_equal(net_route_add("10.0.0.0/8", "10.1.0.6", NULL), 0);
	assert_string_equal(way_to("10.7.1.3"), "eth0 to 7");
	assert_string_equal(way_to("10.7.1.130"), "eth1 to 130"); /* asked for itself */
	assert_string_equal(way_to("10.7.2.3"), "eth1 to 9");
	assert_string_equal(way_to("10.8.2.3"), "eth1 to 6");
	assert_string_equal(way_to("10.0.0.77"), "eth0 to 77"); /* a network of ours */
	assert_string_equal(way_to("11.0.0.77"), "eth0 to 2");
	shown[0] = '\0';
	net_show_routes(line);
	assert_non_null(strstr(shown, "10.7.0.0/16 via 10.1.0.9 dev eth1\n"));
	assert_non_null(strstr(shown, "10.7.1.128/25 dev eth1\n"));
	assert_int_equal(net_route_del("10.7.1.0/25"), 0);
	assert_string_equal(way_to("10.7.1.3"), "eth1 to 9");
	assert_int_equal(net_route_add("0.0.0.0/0", "10.1.0.5", NULL), 0);
	assert_string_equal(way_to("11.0.0.77"), "eth1 to 5");
	stop();
	shown[0] = '\0';
	net_show_routes(line); /* with the interfaces */
	assert_string_equal(shown, "");
}

static void test_ip6(void **state)
{
	start();
	assert_int_equal(net_address_add("eth0", "fd00::1/64"), 0);
	assert_int_equal(net_address_add("eth1", "fd01::1/64"), 0);
	net_wire_pass(3 * SECOND);
	assert_string_equal(way_to("fd00::4"), "eth0 to 4");
	assert_int_equal(net_route_add("fd07::/16", "fe80::9", "eth1"), 0);
	assert_int_equal(net_route_add("fd08::/17", "fd00::8", NULL), 0);
	assert_int_equal(net_route_add("fd00::/8", "fd01::5", NULL), 0);
	assert_string_equal(way_to("fd07:1::4"), "eth1 to 9");
	assert_string_equal(way_to("fd08:1::4"), "eth0 to 8");
	assert_string_equal(way_to("fd09::4"), "eth1 to 5");
	assert_string_equal(way_to("fd00::4"), "eth0 to 4");
	shown[0] = '\0';
	net_show_routes(line);
	assert_non_null(strstr(shown, "fd07::/16 via fe80::9 dev eth1\n"));
	assert_int_equal(net_route_del("fd07::/16"), 0);
	assert_string_equal(way_to("fd07:1::4"), "eth1 to 5");
	stop();
}

/* The interface of a route goes, and what it had with it. */
static void test_lost(void **state)
{
	start();
	assert_int_equal(net_route_add("10.7.0.0/16", "10.1.0.9", NULL), 0);
	wires[1].dev.carrier = false;
	host_net_changed(&wires[1].dev);
	assert_string_equal(way_to("10.7.1.3"), "eth0 to 2");
	wires[1].dev.carrier = true;
	host_net_changed(&wires[1].dev);
	assert_string_equal(way_to("10.7.1.3"), "eth1 to 9");
	net_wire_close(&wires[1]);
	wires[1].dev.ops = NULL;
	assert_string_equal(way_to("10.7.1.3"), "eth0 to 2");
	assert_int_equal(net_route_del("10.7.0.0/16"), -XEN_ENOENT);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_ways),
	    cmocka_unit_test(test_ip6),
	    cmocka_unit_test(test_lost),
	};

	mock_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
