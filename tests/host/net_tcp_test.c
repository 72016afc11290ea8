/* net_tcp_test: streams of host_tcp.h over the stack and a wire that loses, delays, doubles and cuts.
 *
 * Shows: the stack connects to itself over a mirror (net_wire.h), both ends send megabytes at once, and every byte arrives once and in order; a
 * reader that pauses stops the sender within a bound; refused, unanswered and unknown connections end with their reason; closing
 * sends what was sent, aborting does not; users close from within every callback; a device that is pulled out ends its
 * connections, and everything comes back. Why: disks over NBD and the control console stand on it. Expected: all hold.
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

#include <amphi/net_offload.h>

#include "kernel/net/net_stack.h"
#include "kernel/net/port.h"
#include "mock_host.h"
#include "net_tcp_ends.h"

/* ---- bytes ------------------------------------------------------------------------------------------ */

static void test_both_ways(void **state)
{
	static const struct {
		uint32_t can, cut;
		uint8_t flags;
		unsigned lose, late, twice;
		size_t total;
		unsigned seconds;
	} rows[] = {
	    {CAN_ALL, 0, 0, 0, 0, 0, 4u << 20, 20},
	    {0, 0, 0, 0, 0, 0, 1u << 20, 20},
	    {CAN_ALL, 200, NET_CSUM_VALID, 0, 0, 0, 1u << 20, 20},
	    {CAN_ALL, 0, 0, 0, 7, 0, 1u << 20, 60},
	    {CAN_ALL, 0, 0, 0, 0, 5, 1u << 20, 60},
	    {CAN_ALL, 300, 0, 50, 20, 20, 512u << 10, 400},
	    {0, 0, 0, 20, 0, 0, 256u << 10, 400},
	};

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		start(rows[r].can);
		wire.cut_bytes = rows[r].cut;
		wire.flags = rows[r].flags;
		wire.lose_one_in = rows[r].lose;
		wire.late_one_in = rows[r].late;
		wire.double_one_in = rows[r].twice;
		client.total = rows[r].total;
		server.total = rows[r].total / 2;
		connect_to("10.0.0.2", PORT);
		run(rows[r].seconds);
		assert_all_arrived();
		if (!rows[r].lose)
			assert_true(client.writables);
		stop();
	}
}

/* A segment is missing, and the device has no more buffers than those in which the ones behind it lie: they must not wait for it
 * there, or it never comes. Within seconds, and not when lwIP gives up what came too early. */
static void test_few_buffers(void **state)
{
	start(CAN_ALL);
	wire.buffers = 32;
	wire.lose_one_in = 300;
	client.total = 2u << 20;
	connect_to("10.0.0.2", PORT);
	run(8);
	assert_all_arrived();
	stop();
}

/* Sums that the wire is told to have looked at are not looked at; else a wrong one is no byte of the stream. */
static void corrupt(struct net_wire *w, const uint8_t *bytes, uint32_t len)
{
	static unsigned n;
	static uint8_t b[2000];

	memcpy(b, bytes, len < sizeof(b) ? len : sizeof(b));
	if (len > 1000 && len <= sizeof(b) && n++ % 8 == 3)
		b[900] ^= 0x10;
	net_wire_mirror(w, len <= sizeof(b) ? b : bytes, len);
}

static void test_checksums(void **state)
{
	start(0); /* the stack's own are whole on this wire */
	wire.peer = corrupt;
	client.total = 100000;
	connect_to("10.0.0.2", PORT);
	run(200);
	assert_all_arrived();
	stop();
	start(0);
	wire.peer = corrupt;
	wire.flags = NET_CSUM_VALID;
	client.total = 100000;
	connect_to("10.0.0.2", PORT);
	run(10);
	assert_int_equal(server.got, client.total);
	assert_true(server.wrong);
	stop();
}

/* On a device that can, checksums of TCP stay blank, and the mirror gives them back so. */
static void test_blank(void **state)
{
	start(CAN_ALL);
	wire.flags = NET_CSUM_BLANK;
	client.total = 100000;
	connect_to("10.0.0.2", PORT);
	run(10);
	assert_all_arrived();
	assert_true(wire.blanks > 60);
	stop();
}

/* By the loop, and by an address of an interface's that could do the sums. */
static void test_self(void **state)
{
	static const char *const self[] = {"127.0.0.1", "10.0.0.1"};

	for (unsigned i = 0; i < 2; i++) {
		start(CAN_ALL);
		client.total = server.total = 1u << 20;
		connect_to(self[i], PORT);
		run(10);
		assert_all_arrived();
		assert_true(wire.sent < 20);
		stop();
	}
}

/* ---- pauses ------------------------------------------------------------------------------------------- */

static void test_pause(void **state)
{
	start(CAN_ALL);
	client.total = 3u << 20;
	connect_to("10.0.0.2", PORT);
	server.pause_in_received = true;
	run(5);
	assert_true(server.got < 100000);
	assert_true(client.sent < 2u << 20);
	assert_true(net_mem_used() < 4u << 20);
	assert_int_equal(wire.alive, 0);    /* what waits is a copy */
	for (unsigned i = 0; i < 20; i++) { /* a little at a time */
		host_tcp_pause(server.tcp, false);
		net_wire_pass(SECOND / 100);
	}
	server.pause_in_received = false;
	host_tcp_pause(server.tcp, false);
	run(30);
	assert_all_arrived();
	stop();
}

/* Paused, ended by the other side, and still everything is read. */
static void test_pause_and_end(void **state)
{
	start(CAN_ALL);
	client.total = 300000;
	client.close_when_sent = true;
	server.pause_in_received = true;
	connect_to("10.0.0.2", PORT);
	run(5);
	assert_null(client.tcp);
	assert_true(server.got < 300000);
	assert_false(server.ended);
	server.pause_in_received = false;
	host_tcp_pause(server.tcp, false);
	run(30);
	assert_int_equal(server.got, 300000);
	net_wire_pass(SECOND);
	assert_true(server.ended);
	assert_int_equal(server.status, 0);
	assert_int_equal(host_tcp_send(server.tcp, "x", 1, false), 0);
	stop();
}

/* ---- ends ----------------------------------------------------------------------------------------------- */

static void test_reasons(void **state)
{
	struct host_tcp_listener *second;

	start(CAN_ALL);
	assert_int_equal(host_tcp_listen(PORT, on_accepted, NULL, &second), -XEN_EADDRINUSE);
	assert_int_equal(host_tcp_connect("10.0.0.2", 0, &end_ops, &client, &client.tcp),
			 -XEN_EINVAL);
	assert_int_equal(host_tcp_connect("", 1, &end_ops, &client, &client.tcp), -XEN_EINVAL);
	connect_to("10.0.0.2", PORT + 1);
	assert_int_equal(host_tcp_send(client.tcp, "x", 1, false), 0);
	run(2);
	assert_true(client.ended);
	assert_int_equal(client.status, -XEN_ECONNREFUSED);
	shut(&client, false);
	memset(&client, 0, sizeof(client));
	connect_to("nobody.example", PORT); /* and no server of names is known */
	run(2);
	assert_int_equal(client.status, -XEN_ENOENT);
	shut(&client, false);
	memset(&client, 0, sizeof(client));
	wire.lose_one_in = 1;
	connect_to("10.0.0.2", PORT);
	net_wire_pass(100 * SECOND);
	assert_true(client.ended);
	assert_int_equal(client.status, -XEN_ETIMEDOUT);
	stop();
}

static void test_refused_by_user(void **state)
{
	start(CAN_ALL);
	refuse = true;
	client.total = 10;
	connect_to("10.0.0.2", PORT);
	net_wire_pass(2 * SECOND);
	assert_true(client.ended);
	assert_int_equal(client.status, -XEN_EIO);
	stop();
}

/* Close lets what was sent arrive; abort is told to the other side. */
static void test_close_and_abort(void **state)
{
	start(CAN_ALL);
	client.total = 200000;
	client.close_when_sent = true;
	connect_to("10.0.0.2", PORT);
	run(10);
	assert_null(client.tcp);
	assert_int_equal(server.got, 200000);
	net_wire_pass(SECOND);
	assert_true(server.ended);
	assert_int_equal(server.status, 0);
	stop();
	start(CAN_ALL);
	client.total = 20u << 20;
	connect_to("10.0.0.2", PORT);
	net_wire_pass(SECOND / 100);
	assert_true(server.tcp);
	shut(&client, true);
	net_wire_pass(SECOND);
	assert_true(server.ended);
	assert_int_equal(server.status, -XEN_EIO);
	stop();
}

static void test_close_in_callbacks(void **state)
{
	for (unsigned how = 0; how < 5; how++) {
		start(CAN_ALL);
		client.total = server.total = 100000;
		client.close_in_connected = how == 0;
		client.close_in_received = how == 1;
		client.abort_in_received = how == 2;
		server.close_in_received = how == 3;
		server.abort_in_received = how == 4;
		connect_to("10.0.0.2", PORT);
		net_wire_pass(3 * SECOND);
		assert_true(how > 2 ? !server.tcp : !client.tcp);
		stop();
	}
	start(CAN_ALL); /* and before anything has come of it */
	connect_to("10.0.0.2", PORT);
	shut(&client, false);
	connect_to("10.0.0.2", PORT);
	shut(&client, true);
	stop();
}

/* The device goes, with bytes on their way, held out of order, and read by nobody. */
static void test_pulled(void **state)
{
	start(CAN_ALL);
	wire.lose_one_in = 10;
	client.total = server.total = 20u << 20;
	connect_to("10.0.0.2", PORT);
	net_wire_pass(SECOND / 2);
	host_tcp_pause(client.tcp, true);
	net_wire_pass(SECOND / 2);
	net_wire_close(&wire);
	net_wire_pass(SECOND);
	assert_true(server.ended);
	assert_int_equal(server.status, -XEN_ETIMEDOUT);
	host_tcp_pause(client.tcp, false);
	net_wire_pass(SECOND);
	assert_true(client.ended);
	assert_false(client.wrong || server.wrong);
	net_wire_open(&wire, "eth0", 15, CAN_ALL, net_wire_mirror);
	stop();
}

/* What the windows would let be in flight does not fit: it goes on slowly, and arrives. */
static void test_little_memory(void **state)
{
	struct net_stack_config config;

	start(CAN_ALL);
	assert_int_equal(net_stack_parse("10.0.0.1/24", &config), 0);
	net_mem_limit(300000);
	client.total = server.total = 2u << 20;
	connect_to("10.0.0.2", PORT);
	run(600);
	assert_all_arrived();
	stop();
}

static void test_no_memory(void **state)
{
	for (int n = 1; n < 80; n++) {
		start(CAN_ALL);
		mock_fail_after(n);
		client.total = server.total = 50000;
		if (!host_tcp_connect("10.0.0.2", PORT, &end_ops, &client, &client.tcp))
			run(20);
		mock_fail_after(-1);
		if (client.tcp && !client.ended)
			assert_all_arrived();
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_ways),
	    cmocka_unit_test(test_checksums),
	    cmocka_unit_test(test_few_buffers),
	    cmocka_unit_test(test_blank),
	    cmocka_unit_test(test_self),
	    cmocka_unit_test(test_pause),
	    cmocka_unit_test(test_pause_and_end),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_refused_by_user),
	    cmocka_unit_test(test_close_and_abort),
	    cmocka_unit_test(test_close_in_callbacks),
	    cmocka_unit_test(test_pulled),
	    cmocka_unit_test(test_little_memory),
	    cmocka_unit_test(test_no_memory),
	};

	mock_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
