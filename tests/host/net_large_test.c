/* net_large_test: TCP segments of up to 64 KiB, where the interface cuts them.
 *
 * Shows: over a wire that loses, delays and doubles pieces of them, and to a neighbour who takes them whole, every byte arrives once and in order, over IPv4
 * and IPv6; they are cut at what the other side takes; they grow and shrink with the window; a window that has become smaller than one
 * stops nothing; nor does an interface that can no longer. Why: lwIP itself knows no such segments. Expected: all hold.
 *
 * links: kernel/net/[a-z]*.c kernel/net.c protocol/net_*.c lib/printf.c lib/text.c lib/sha256.c lib/error_name.c tests/host/net_wire.c tests/host/net_tcp_ends.c tests/host/mock_*.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mock_host.h"
#include "net_tcp_ends.h"

/* Over a wire that loses pieces of them, and to a neighbour who gets them whole; IPv4 and IPv6. */
static void test_large(void **state)
{
	static const struct {
		const char *host;
		bool uncut;
		uint32_t cut;
		unsigned lose, late, twice;
		size_t total;
		unsigned seconds;
		uint16_t size;
	} rows[] = {
	    {"10.0.0.2", false, 0, 0, 0, 0, 16u << 20, 20, 1460},
	    {"10.0.0.2", true, 4096, 0, 0, 0, 16u << 20, 20, 1460},
	    {"fe80::2%eth0", false, 0, 0, 0, 0, 16u << 20, 20, 1440},
	    {"fe80::2%eth0", true, 4096, 0, 0, 0, 16u << 20, 20, 1440},
	    {"10.0.0.2", false, 0, 3000, 50, 500, 4u << 20, 100, 1460},
	    {"10.0.0.2", false, 0, 100, 20, 20, 1u << 20, 600, 1460},
	    {"10.0.0.2", true, 4096, 40, 0, 30, 4u << 20, 600, 1460},
	};

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		start(CAN_CUT);
		net_wire_pass(2 * SECOND); /* until our own address of IPv6 is ours */
		wire.uncut = rows[r].uncut;
		wire.cut_bytes = rows[r].cut;
		wire.lose_one_in = rows[r].lose;
		wire.late_one_in = rows[r].late;
		wire.double_one_in = rows[r].twice;
		client.total = rows[r].total;
		server.total = rows[r].total / 2;
		connect_to(rows[r].host, PORT);
		run(rows[r].seconds);
		assert_all_arrived();
		assert_true(wire.large > 20);
		assert_int_equal(wire.last_size, rows[r].size);
		if (!rows[r].lose)
			assert_true(wire.largest > 60000);
		stop();
	}
}

/* The more is lost, the shorter they are: a burst is in proportion to what gets through. */
static void test_large_by_window(void **state)
{
	start(CAN_CUT);
	client.total = 1u << 20;
	wire.lose_one_in = 30;
	connect_to("10.0.0.2", PORT);
	run(600);
	assert_all_arrived();
	assert_true(wire.largest < 16000);
	stop();
}

/* All that is in flight is lost, and with it the window that let a long segment go; then the other side reads little by little, and its
 * window is smaller than the segment. */
static void test_large_and_small_windows(void **state)
{
	start(CAN_CUT);
	client.total = 16u << 20;
	connect_to("10.0.0.2", PORT);
	while (wire.largest < 60000)
		net_wire_pass(SECOND / 1000);
	wire.lose_one_in = 1;
	net_wire_pass(SECOND / 10);
	wire.lose_one_in = 0;
	server.pause_in_received = true;
	for (unsigned i = 0; i < 400; i++) {
		net_wire_pass(SECOND / 20);
		host_tcp_pause(server.tcp, false);
	}
	assert_true(server.got > 1u << 20);
	assert_true(server.got < client.total);
	server.pause_in_received = false;
	host_tcp_pause(server.tcp, false);
	run(30);
	assert_all_arrived();
	stop();
}

/* Closed with long segments queued, of which some are lost: nobody but lwIP's timers looks after them. */
static void test_large_closed(void **state)
{
	start(CAN_CUT);
	client.total = 4u << 20;
	client.close_when_sent = true;
	connect_to("10.0.0.2", PORT);
	while (client.tcp)
		net_wire_pass(SECOND / 10000);
	wire.lose_one_in = 1;
	net_wire_pass(SECOND / 10);
	wire.lose_one_in = 0;
	run(60);
	assert_all_arrived();
	stop();
}

/* What the interface can do is taken away while long segments wait: then we cut. */
static void test_large_and_less(void **state)
{
	start(CAN_CUT);
	client.total = 8u << 20;
	connect_to("10.0.0.2", PORT);
	while (wire.largest < 60000)
		net_wire_pass(SECOND / 1000);
	wire.dev.can = CAN_ALL;
	host_net_changed(&wire.dev);
	wire.large = 0;
	run(20);
	assert_all_arrived();
	assert_int_equal(wire.large, 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_large_by_window),
	    cmocka_unit_test(test_large_and_small_windows),
	    cmocka_unit_test(test_large_closed),
	    cmocka_unit_test(test_large_and_less),
	};

	mock_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
