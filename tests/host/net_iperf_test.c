/* net_iperf_test: iperf's client and server against each other over the stack, and against peers that know no iperf3.
 *
 * Shows: tests of both directions and several streams end with the same figures at both ends; a second client is turned away; a peer that
 * says something else at any point, or leaves, ends the test with a reason; the JSON that is read and written. Why: these figures are
 * what the network's speed is judged by. That it is iperf3's protocol tests/qemu/ip_test.sh shows. Expected: all hold.
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
#include <amphi/host_tcp.h>
#include <amphi/net_offload.h>

#include "kernel/net/iperf.h"
#include "kernel/net/net_stack.h"
#include "kernel/net/port.h"
#include "mock_host.h"
#include "net_wire.h"

#define SECOND 1000000000ull

struct outcome {
	struct iperf *iperf;
	bool ended;
	int status;
	struct iperf_result result;
};

static struct net_wire wire;
static struct outcome client, server;

static void on_ended(void *ctx, int status, const struct iperf_result *result)
{
	struct outcome *o = ctx;

	assert_false(o->ended);
	o->ended = true;
	o->status = status;
	o->result = *result;
}

static void start(void)
{
	struct net_stack_config config;

	assert_int_equal(net_stack_parse("10.0.0.1/24", &config), 0);
	net_stack_start(&config, "", 32u << 20, NULL);
	net_wire_open(&wire, "eth0", 15, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6,
		      net_wire_mirror);
	assert_int_equal(net_stack_take(&wire.dev), 0);
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	net_wire_pass(SECOND / 10);
}

static void let_go(struct outcome *o)
{
	if (o->iperf)
		iperf_free(o->iperf);
	o->iperf = NULL;
}

static void stop(void)
{
	let_go(&client);
	let_go(&server);
	net_wire_pass(SECOND / 10);
	net_wire_close(&wire);
	for (unsigned i = 0; i < 600; i++) /* connections that are over wait for two minutes */
		mock_advance(SECOND / 4);
	assert_int_equal(net_mem_used(), 0);
	net_mem_trim();
	net_fit_trim();
	assert_true(mock_nothing_left(0));
}

static void begin_server(void)
{
	memset(&server, 0, sizeof(server));
	assert_int_equal(iperf_server(IPERF_PORT, on_ended, &server, &server.iperf), 0);
}

static int begin_client(unsigned streams, bool reverse)
{
	struct iperf_params params = {.streams = streams, .seconds = 1, .reverse = reverse};

	memset(&client, 0, sizeof(client));
	return iperf_client("10.0.0.2", IPERF_PORT, &params, on_ended, &client, &client.iperf);
}

static void test_both_ways(void **state)
{
	/* Slow, so that a second is not a gigabyte of a test's time: one frame in a hundred is late by 3 ms. */
	start();
	wire.late_one_in = 20;
	for (unsigned i = 0; i < 6; i++) {
		unsigned streams = (unsigned[]){1, 3, 8}[i / 2];

		begin_server();
		assert_int_equal(begin_client(streams, i % 2), 0);
		for (unsigned s = 0; s < 40 && !(client.ended && server.ended); s++)
			net_wire_pass(SECOND / 4);
		if (!client.ended || !server.ended)
			fail_msg("row %u: %d %d, %d %d", i, client.ended, server.ended,
				 client.status, server.status);
		assert_int_equal(client.status, 0);
		assert_int_equal(server.status, 0);
		assert_int_equal(client.result.sent, i % 2 == 0);
		assert_int_equal(server.result.sent, i % 2);
		assert_int_equal(server.result.params.streams, streams);
		assert_int_equal(client.result.peer.bytes, server.result.own.bytes);
		assert_int_equal(server.result.peer.bytes, client.result.own.bytes);
		assert_true(client.result.own.bytes > 100000);
		assert_true(client.result.ns >= SECOND && client.result.ns < 11 * SECOND / 10);
		let_go(&client);
		let_go(&server);
		net_wire_pass(SECOND / 10);
	}
	stop();
}

static int begin_udp_client(const struct iperf_params *params)
{
	memset(&client, 0, sizeof(client));
	return iperf_client("10.0.0.2", IPERF_PORT, params, on_ended, &client, &client.iperf);
}

/* What was received and what was lost is what was sent; packets that are late are none that are lost (but the test's last), and
 * make jitter. */
static void look_at_udp(const struct iperf_params *params, bool loses, bool late)
{
	const struct iperf_stream_result *sent =
	    params->reverse ? &server.result.own : &client.result.own;
	const struct iperf_stream_result *got =
	    params->reverse ? &client.result.own : &server.result.own;
	uint64_t due = params->rate_bit_s / 8 * params->streams;

	assert_memory_equal(got, params->reverse ? &server.result.peer : &client.result.peer,
			    sizeof(*got));
	assert_int_equal(sent->bytes, sent->packets * params->packet_bytes);
	assert_int_equal((got->packets - got->lost) * params->packet_bytes, got->bytes);
	assert_true(sent->packets - got->packets < 64 * params->streams);
	if (sent->lost || (loses ? !got->lost : got->lost > 32u * late) ||
	    (got->jitter_ns > 20000) != late)
		fail_msg("%u streams, %u bytes: lost %llu of %llu, jitter %llu ns", params->streams,
			 params->packet_bytes, (unsigned long long)got->lost,
			 (unsigned long long)got->packets, (unsigned long long)got->jitter_ns);
	if (params->rate_bit_s)
		assert_in_range(sent->bytes, due * 97 / 100,
				due * 11 / 10 + params->streams * params->packet_bytes);
	else
		assert_true(sent->packets > 3000);
}

static void test_udp(void **state)
{
	static const struct {
		unsigned streams, lose, late, bytes;
		bool reverse;
		uint64_t rate;
	} rows[] = {
	    {1, 0, 0, 1448, false, 1000000}, {3, 0, 0, 1448, true, 8000000},
	    {8, 20, 0, 200, false, 1000000}, {2, 50, 40, 1448, true, 20000000},
	    {1, 0, 30, 16, false, 1000000},  {1, 0, 0, 5000, true, 10000000},
	    {1, 0, 0, 1448, false, 0},       {2, 0, 0, 65507, false, 10000000},
	};

	start();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iperf_params params = {.streams = rows[i].streams,
					      .seconds = 1,
					      .reverse = rows[i].reverse,
					      .udp = true,
					      .rate_bit_s = rows[i].rate,
					      .packet_bytes = rows[i].bytes};

		wire.lose_one_in = rows[i].lose;
		wire.late_one_in = rows[i].late;
		begin_server();
		assert_int_equal(begin_udp_client(&params), 0);
		for (unsigned s = 0; s < 80 && !(client.ended && server.ended); s++)
			net_wire_pass(SECOND / 4);
		if (!client.ended || client.status || !server.ended || server.status)
			fail_msg("row %u: %d %d, %d %d", i, client.ended, server.ended,
				 client.status, server.status);
		look_at_udp(&params, rows[i].lose, rows[i].late);
		let_go(&client);
		let_go(&server);
		wire.lose_one_in = 0;
		net_wire_pass(3 * SECOND);
	}
	stop();
}

/* The server's answer to a stream, kept until the control connection has long said that the test runs. */
static uint8_t answer[46];

static void answers_late(struct net_wire *w, const uint8_t *bytes, uint32_t len)
{
	if (len == sizeof(answer) && bytes[23] == 17 && bytes[34] == IPERF_PORT >> 8 &&
	    bytes[35] == (IPERF_PORT & 0xff))
		memcpy(answer, bytes, len);
	else
		net_wire_mirror(w, bytes, len);
}

static void test_udp_late_answer(void **state)
{
	struct iperf_params params = {
	    .streams = 1, .seconds = 1, .udp = true, .rate_bit_s = 1000000, .packet_bytes = 100};

	start();
	wire.peer = answers_late;
	begin_server();
	assert_int_equal(begin_udp_client(&params), 0);
	net_wire_pass(SECOND / 2);
	assert_int_equal(answer[12], 8);
	net_wire_mirror(&wire, answer, sizeof(answer));
	net_wire_pass(2 * SECOND);
	assert_true(client.ended && server.ended);
	assert_int_equal(client.status, 0);
	look_at_udp(&params, false, false);
	stop();
}

static void test_second_client(void **state)
{
	struct outcome first;

	start();
	wire.late_one_in = 20;
	begin_server();
	assert_int_equal(begin_client(1, false), 0);
	net_wire_pass(SECOND / 5);
	first = client;
	assert_int_equal(begin_client(1, false), 0);
	net_wire_pass(SECOND / 5);
	assert_true(client.ended);
	assert_int_equal(client.status, -XEN_EBUSY);
	assert_false(server.ended);
	let_go(&client);
	iperf_free(first.iperf); /* it leaves in the middle */
	net_wire_pass(SECOND / 5);
	assert_true(server.ended);
	assert_true(server.status < 0);
	stop();
}

static void test_words(void **state)
{
	struct iperf_params bad = {.streams = 9, .seconds = 1};

	start();
	assert_int_equal(iperf_client("10.0.0.2", 1, &bad, on_ended, &client, &client.iperf),
			 -XEN_EINVAL);
	bad = (struct iperf_params){.streams = 1};
	assert_int_equal(iperf_client("10.0.0.2", 1, &bad, on_ended, &client, &client.iperf),
			 -XEN_EINVAL);
	assert_int_equal(begin_client(1, false), 0);
	net_wire_pass(SECOND);
	assert_true(client.ended); /* nobody listens */
	assert_int_equal(client.status, -XEN_ECONNREFUSED);
	begin_server();
	assert_int_equal(iperf_server(IPERF_PORT, on_ended, &client, &client.iperf),
			 -XEN_EADDRINUSE);
	stop();
}

/* ---- peers that know no iperf3 ------------------------------------------------------------------- */

static const char *said;
static size_t said_len;
static struct host_tcp *talker;

static void talk(void *ctx)
{
	(void)host_tcp_send(talker, said, said_len, false);
}

static void hear(void *ctx, const void *bytes, size_t len) {}

static void nothing(void *ctx) {}

static void talker_ended(void *ctx, int status) {}

static const struct host_tcp_ops talker_ops = {talk, hear, nothing, talker_ended};

static bool talker_accepts(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
			   void **out_ctx)
{
	talker = tcp;
	*out_ops = &talker_ops;
	talk(NULL);
	return true;
}

#define COOKIE "abcdefghijklmnopqrstuvwxyz0123456789\0"
#define SAYS(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static void test_strange_clients(void **state)
{
	static const struct {
		const char *says;
		size_t len;
	} rows[] = {
	    SAYS("GET / HTTP/1.0\r\nHost: somebody-with-a-name\r\n\r\n"),
	    SAYS(COOKIE "\0\0\0\0"),
	    SAYS(COOKIE "\0\0\x20\0"),
	    SAYS(COOKIE "\xff\xff\xff\xff"),
	    SAYS(COOKIE "\0\0\0\x0e{\"parallel\":0}"),
	    SAYS(COOKIE "\0\0\0\x0e{\"parallel\":9}"),
	    SAYS(COOKIE "\0\0\0\x0c{\"udp\":true}"),
	    SAYS(COOKIE "\0\0\0\x15{\"udp\":true,\"len\":15}"),
	    SAYS(COOKIE "\0\0\0\x0e{\"parallel\":1}\x07"),
	    SAYS(COOKIE "\0\0\0\x0e{\"parallel\":1}\x04\0\0\x30\0"),
	};

	start();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin_server();
		said = rows[i].says;
		said_len = rows[i].len;
		assert_int_equal(
		    host_tcp_connect("10.0.0.2", IPERF_PORT, &talker_ops, NULL, &talker), 0);
		net_wire_pass(SECOND);
		if (!server.ended || server.status >= 0)
			fail_msg("row %u: %d", i, server.status);
		host_tcp_close(talker, true);
		let_go(&server);
		net_wire_pass(SECOND / 10);
	}
	stop();
}

static void test_strange_servers(void **state)
{
	static const struct {
		const char *says;
		size_t len;
		int status;
	} rows[] = {
	    {"\xff", 1, -XEN_EBUSY},
	    {"\xfe", 1, -XEN_EBADMSG},
	    {"SSH-2.0", 7, -XEN_EBADMSG},
	    {"\x0d\0\0\0\0", 5, -XEN_EBADMSG},
	    {"\x0d\0\xff\0\0", 5, -XEN_EBADMSG},
	};
	struct host_tcp_listener *listener;

	start();
	assert_int_equal(host_tcp_listen(IPERF_PORT, talker_accepts, NULL, &listener), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		said = rows[i].says;
		said_len = rows[i].len;
		assert_int_equal(begin_client(1, false), 0);
		net_wire_pass(SECOND);
		if (!client.ended || client.status != rows[i].status)
			fail_msg("row %u: %d", i, client.status);
		let_go(&client);
		host_tcp_close(talker, true);
		net_wire_pass(SECOND / 10);
	}
	/* It leaves without a word. */
	said_len = 0;
	assert_int_equal(begin_client(1, false), 0);
	net_wire_pass(SECOND / 10);
	host_tcp_close(talker, false);
	net_wire_pass(SECOND);
	assert_int_equal(client.status, -XEN_EBADMSG);
	host_tcp_unlisten(listener);
	stop();
}

/* A frame of UDP from 10.0.0.9 to where iperf listens. */
static void stranger(uint16_t port, const void *bytes, uint8_t len)
{
	uint8_t b[128] = "\2\0\0\0\0\17\2\0\0\0\1\11\10\0\105\0\0\0\0\0\0\0\100\21\0\0"
			 "\12\0\0\11\12\0\0\1";
	uint16_t sum;

	b[17] = (uint8_t)(28 + len);
	sum = (uint16_t)~net_fold(net_sum(0, b + 14, 20));
	memcpy(b + 24, &sum, 2);
	b[34] = (uint8_t)(port >> 8);
	b[35] = (uint8_t)port;
	b[36] = IPERF_PORT >> 8;
	b[37] = IPERF_PORT & 0xff;
	b[39] = (uint8_t)(8 + len);
	memcpy(b + 42, bytes, len);
	net_wire_give(&wire, b, 42u + len);
	net_wire_pass(SECOND / 1000);
}

/* Who asks is a stream, and no more than are wanted; packets of nobody's, and such as are too short, do nothing. */
static void test_udp_strangers(void **state)
{
	static const char packet[40] = "\0\0\0\1\0\0\0\1\0\0\0\3\0\0\0\0 and so on";
	unsigned before;

	start();
	begin_server();
	said = COOKIE "\0\0\0\x2a{\"udp\":true,\"parallel\":2,\"len\":100      }";
	said_len = 37 + 4 + 42;
	assert_int_equal(host_tcp_connect("10.0.0.2", IPERF_PORT, &talker_ops, NULL, &talker), 0);
	net_wire_pass(SECOND);
	stranger(5, packet, 40); /* it has not asked */
	for (uint8_t len = 0; len < 20; len += 1 + 2 * (len > 3))
		stranger(6, packet, len); /* one of them is a question */
	before = wire.sent;
	stranger(6, "9876", 4);
	assert_true(wire.sent > before); /* it asks again, and is answered */
	stranger(7, "9876", 4);
	stranger(7, packet, 40);
	before = wire.sent;
	stranger(8, "9876", 4);
	assert_int_equal(wire.sent, before);
	assert_false(server.ended);
	assert_int_equal(host_tcp_send(talker, "\4\0\0\0\2{}\20", 8, false), 8);
	net_wire_pass(SECOND);
	host_tcp_close(talker, true);
	net_wire_pass(SECOND);
	assert_true(server.ended);
	assert_int_equal(server.result.own.bytes, 7 + 10 + 13 + 16 + 19 + 40);
	assert_int_equal(server.result.own.lost, (2 - 1) + 2); /* one came twice */
	stop();
}

/* The server's machine takes TCP, and no UDP comes through. */
static void deaf(struct net_wire *w, const uint8_t *bytes, uint32_t len)
{
	if (bytes[12] != 8 || bytes[13] || bytes[23] != 17)
		net_wire_mirror(w, bytes, len);
}

static void test_udp_unanswered(void **state)
{
	struct iperf_params params = {
	    .streams = 2, .seconds = 1, .udp = true, .rate_bit_s = 1000, .packet_bytes = 100};

	start();
	wire.peer = deaf;
	begin_server();
	assert_int_equal(begin_udp_client(&params), 0);
	net_wire_pass(30 * SECOND);
	assert_true(client.ended);
	assert_int_equal(client.status, -XEN_ETIMEDOUT);
	let_go(&client);
	params.packet_bytes = 15;
	assert_int_equal(begin_udp_client(&params), -XEN_EINVAL);
	params.packet_bytes = 65508;
	assert_int_equal(begin_udp_client(&params), -XEN_EINVAL);
	stop();
}

static void test_json(void **state)
{
	static const char text[] = "{\"tcp\" : true,\"bytes\": 12.5, \"x\":\"bytes\",\"bytes\":\t7,"
				   "\"reverse\":false,\"bytes\":-1}";
	const char *at = text;
	struct iperf_params params = {.streams = 3, .seconds = 4};
	struct iperf_stream_result results[2] = {{5}, {1ull << 40, 7, 3, 1250001}};
	uint64_t n;
	char out[1000], small[20];

	assert_true(iperf_json_number(&at, "bytes", &n));
	assert_int_equal(n, 12);
	assert_true(iperf_json_is_true(text, "tcp"));
	assert_false(iperf_json_is_true(text, "reverse"));
	assert_false(iperf_json_is_true(text, "udp"));
	assert_true(strlen(text) > 0 && iperf_json_params(out, sizeof(out), &params) < sizeof(out));
	at = out;
	assert_true(iperf_json_number(&at, "parallel", &n));
	assert_int_equal(n, 3);
	assert_false(iperf_json_is_true(out, "reverse"));
	assert_true(iperf_json_results(out, sizeof(out), results, 2, 1500000000) < sizeof(out));
	assert_non_null(strstr(out, "{\"id\":1,\"bytes\":5,"));
	assert_non_null(strstr(out, "{\"id\":3,\"bytes\":1099511627776,"));
	assert_non_null(strstr(out, "\"jitter\":0.001250001,\"errors\":3,\"packets\":7,"));
	assert_non_null(strstr(out, "\"end_time\":1.500}"));
	assert_true(iperf_json_results(small, sizeof(small), results, 2, 0) >= sizeof(small));
}

static void test_json_of_udp(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
	    {"\"j\":0", 0},
	    {"\"j\": 1.5,", 1500000000},
	    {"\"j\":0.000012345678999}", 12345},
	    {"\"j\":1.2345678912345678e-05}", 12345},
	    {"\"j\":2e+1}", 20000000000},
	    {"\"j\":3E-9", 3},
	    {"\"j\":3e-10", 0},
	    {"\"j\":3e", 3000000000},
	    {"\"j\":1.2.3", 1200000000},
	    {"\"j\":0.00000000012345678901234567890123456789", 0},
	};
	struct iperf_params params = {.streams = 1,
				      .seconds = 4,
				      .udp = true,
				      .rate_bit_s = 5000000000,
				      .packet_bytes = 1200};
	const char *at;
	char out[1000];
	uint64_t n;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		at = rows[i].text;
		assert_true(iperf_json_seconds(&at, "j", &n));
		if (n != rows[i].ns)
			fail_msg("%s: %llu", rows[i].text, (unsigned long long)n);
	}
	at = "\"j\":99999999999999999999999e99999";
	assert_true(iperf_json_seconds(&at, "j", &n));
	at = "\"j\":-1";
	assert_false(iperf_json_seconds(&at, "j", &n));
	assert_true(iperf_json_params(out, sizeof(out), &params) < sizeof(out));
	assert_true(iperf_json_is_true(out, "udp"));
	assert_null(strstr(out, "tcp"));
	at = out;
	assert_true(iperf_json_number(&at, "bandwidth", &n));
	assert_int_equal(n, 5000000000);
	for (unsigned cap = 0; cap < strlen(out); cap++)
		assert_true(iperf_json_params(out + 500, cap, &params) >= cap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_ways),
	    cmocka_unit_test(test_second_client),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_strange_clients),
	    cmocka_unit_test(test_strange_servers),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_udp),
	    cmocka_unit_test(test_udp_late_answer),
	    cmocka_unit_test(test_udp_strangers),
	    cmocka_unit_test(test_udp_unanswered),
	    cmocka_unit_test(test_json_of_udp),
	};

	mock_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
