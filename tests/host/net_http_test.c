/* net_http_test: HTTP's client and server against each other over the stack, and against peers that talk nonsense.
 *
 * Shows: files of every kind of length arrive whole, over a wire that loses frames too; what a URL may be; that a missing path, a
 * request that is none, an answer that is none or too short, and more connections than there may be each get their own end; that the server
 * can be stopped under load. Why: fetch and httpd are how people see that a network works. Expected: all hold.
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
#include <amphi/host_tcp.h>
#include <amphi/net_offload.h>

#include "kernel/net/http.h"
#include "kernel/net/net_stack.h"
#include "kernel/net/port.h"
#include "mock_host.h"
#include "net_wire.h"

#define CAN_ALL (NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6)
#define SECOND  1000000000ull

static struct net_wire wire;
static struct http_server *server;

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 13 + (at >> 9));
}

/* ---- the content: /N is N bytes, read at once or a little later ------------------------------------- */

static struct {
	struct host_work work;
	struct http_content *reading;
	bool late, busy, fails;
	unsigned opened, closed;
} content;

static void read_later(void *ctx)
{
	content.busy = false;
	http_content_done(content.reading, content.fails ? -XEN_EIO : 0);
}

static void read_bytes(struct http_content *c, uint64_t offset, void *buf, uint32_t len)
{
	assert_true(offset + len <= c->length);
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = byte_at(offset + i);
	if (!content.late) {
		http_content_done(c, 0);
		return;
	}
	assert_false(content.busy);
	content.busy = true;
	content.reading = c;
	content.work.fn = read_later;
	host_work_after(&content.work, 2000000);
}

static void close_content(struct http_content *c)
{
	assert_false(content.busy);
	content.closed++;
}

static int open_path(void *ctx, const char *path, struct http_content *out)
{
	if (path[1] < '0' || path[1] > '9')
		return -XEN_ENOENT;
	content.opened++;
	*out = (struct http_content){.length = strtoull(path + 1, NULL, 10),
				     .type = "text/plain",
				     .read = read_bytes,
				     .close = close_content};
	return 0;
}

/* ---- the client -------------------------------------------------------------------------------------- */

static struct {
	struct http_fetch *http;
	uint64_t got;
	bool wrong, ended;
	int status;
	unsigned code;
} fetched;

static void on_body(void *ctx, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fetched.wrong |= ((const uint8_t *)bytes)[i] != byte_at(fetched.got + i);
	fetched.got += len;
}

static void on_end(void *ctx, int status, unsigned code)
{
	assert_false(fetched.ended);
	fetched.ended = true;
	fetched.status = status;
	fetched.code = code;
}

static int begin(const char *url)
{
	static const struct http_fetch_ops ops = {on_body, on_end};

	memset(&fetched, 0, sizeof(fetched));
	return http_fetch_begin(url, &ops, NULL, &fetched.http);
}

static void fetch(const char *url, unsigned seconds)
{
	assert_int_equal(begin(url), 0);
	for (unsigned i = 0; i < seconds * 10 && !fetched.ended; i++)
		net_wire_pass(SECOND / 10);
	assert_true(fetched.ended);
	http_fetch_free(fetched.http);
	net_wire_pass(SECOND / 10);
}

static void start(void)
{
	struct net_stack_config config;

	assert_int_equal(net_stack_parse("10.0.0.1/24", &config), 0);
	net_stack_start(&config, "", 8u << 20, NULL);
	net_wire_open(&wire, "eth0", 15, CAN_ALL, net_wire_mirror);
	assert_int_equal(net_stack_take(&wire.dev), 0);
	memset(&content, 0, sizeof(content));
	assert_int_equal(http_server_start(80, open_path, NULL, &server), 0);
	net_wire_pass(SECOND / 10);
}

static void stop(void)
{
	if (server)
		http_server_stop(server);
	server = NULL;
	net_wire_pass(SECOND / 10);
	net_wire_close(&wire);
	net_wire_pass(SECOND);
	assert_int_equal(content.opened, content.closed);
	assert_int_equal(net_mem_used(), 0);
	net_mem_trim();
	net_fit_trim();
	assert_true(mock_nothing_left(0));
}

/* ---- */

static void test_lengths(void **state)
{
	static const char *const urls[] = {"http://10.0.0.2/0",        "10.0.0.2/1",
					   "http://10.0.0.2:80/32767", "http://10.0.0.2/32768",
					   "http://10.0.0.2/32769",    "http://10.0.0.2/3000000"};
	uint64_t requests, bytes;

	start();
	for (unsigned i = 0; i < 12; i++) {
		content.late = i % 2;
		fetch(urls[i / 2], 20);
		assert_int_equal(fetched.status, 0);
		assert_int_equal(fetched.code, 200);
		assert_false(fetched.wrong);
		assert_int_equal(fetched.got, strtoull(strrchr(urls[i / 2], '/') + 1, NULL, 10));
	}
	http_server_count(server, &requests, &bytes);
	assert_int_equal(requests, 12);
	assert_int_equal(bytes, 2 * (1 + 32767 + 32768 + 32769 + 3000000));
	wire.lose_one_in = 40;
	wire.late_one_in = 10;
	fetch("http://10.0.0.2/400000", 300);
	assert_int_equal(fetched.status, 0);
	assert_int_equal(fetched.got, 400000);
	assert_false(fetched.wrong);
	stop();
}

static void test_urls(void **state)
{
	static const char *const bad[] = {"",
					  "http://",
					  "http:///a",
					  "10.0.0.2:",
					  "10.0.0.2:0/",
					  "10.0.0.2:65536/",
					  "10.0.0.2:x/",
					  "[fe80::1/",
					  "[]/",
					  "[::1]x/",
					  "https://10.0.0.2/"};

	start();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (begin(bad[i]) != -XEN_EINVAL)
			fail_msg("'%s' is taken for a URL", bad[i]);
	fetch("http://[::1]/77", 3);
	assert_int_equal(fetched.got, 77);
	fetch("10.0.0.2", 3); /* the path is / then, which there is not */
	assert_int_equal(fetched.code, 404);
	assert_int_equal(fetched.status, 0);
	fetch("10.0.0.2:81/", 3);
	assert_int_equal(fetched.status, -XEN_ECONNREFUSED);
	assert_int_equal(fetched.code, 0);
	stop();
}

/* ---- peers that talk nonsense --------------------------------------------------------------------------- */

static const char *said;
static struct host_tcp *talker;

static void nothing(void *ctx) {}

/* Says its piece when it is spoken to, and closes. */
static void talk(void *ctx, const void *bytes, size_t len)
{
	(void)host_tcp_send(talker, said, strlen(said), false);
	host_tcp_close(talker, false);
}

static void talker_ended(void *ctx, int status)
{
	host_tcp_close(talker, true);
}

static bool talker_accepts(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
			   void **out_ctx)
{
	static const struct host_tcp_ops ops = {nothing, talk, nothing, talker_ended};

	talker = tcp;
	*out_ops = &ops;
	return true;
}

static void test_strange_answers(void **state)
{
	static const struct {
		const char *says;
		int status;
		unsigned code;
		uint64_t got;
	} rows[] = {
	    {"", -XEN_EBADMSG, 0, 0},
	    {"HTTP/1.1 200 OK\r\n", -XEN_EBADMSG, 0, 0},
	    {"SSH-2.0\r\n\r\n", -XEN_EBADMSG, 0, 0},
	    {"HTTP/1.0 2\r\n\r\n", -XEN_EBADMSG, 0, 0},
	    {"HTTP/1.0 abc\r\n\r\n", -XEN_EBADMSG, 0, 0},
	    {"HTTP/1.1 204 No Content\r\n\r\n", 0, 204, 0},
	    {"HTTP/1.1 200 OK\nCONTENT-LENGTH:   3\n\nabc", 0, 200, 3},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 0, 200, 3},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", -XEN_EIO, 200, 3},
	    {"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc", 0, 200, 3},
	    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", 0, 200, 13},
	};
	struct host_tcp_listener *listener;
	static char endless[6000];

	start();
	assert_int_equal(host_tcp_listen(82, talker_accepts, NULL, &listener), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		said = rows[i].says;
		fetch("10.0.0.2:82/", 5);
		if (fetched.status != rows[i].status || fetched.code != rows[i].code ||
		    fetched.got != rows[i].got)
			fail_msg("%s: status %d, code %u, %llu bytes", said, fetched.status,
				 fetched.code, (unsigned long long)fetched.got);
	}
	memset(endless, 'x', sizeof(endless) - 1);
	said = endless;
	fetch("10.0.0.2:82/", 5);
	assert_int_equal(fetched.status, -XEN_EBADMSG);
	host_tcp_unlisten(listener);
	stop();
}

/* One connection of the test's own to the server: what it is told. */
static struct {
	struct host_tcp *tcp;
	char heard[300];
	bool ended;
} raw;

static void raw_received(void *ctx, const void *bytes, size_t len)
{
	size_t at = strlen(raw.heard);

	if (at + len < sizeof(raw.heard))
		memcpy(raw.heard + at, bytes, len);
}

static void raw_ended(void *ctx, int status)
{
	raw.ended = true;
}

static void raw_connected(void *ctx)
{
	(void)host_tcp_send(raw.tcp, said, strlen(said), false);
}

static const struct host_tcp_ops raw_ops = {raw_connected, raw_received, nothing, raw_ended};

static void test_strange_requests(void **state)
{
	static const struct {
		const char *says, *hears;
	} rows[] = {
	    {"POST /5 HTTP/1.0\r\n\r\n", "HTTP/1.0 400"},
	    {"GET 5\r\n\r\n", "HTTP/1.0 400"},
	    {"GET /5\n\n", "HTTP/1.0 400"},
	    {"\r\n\r\n", "HTTP/1.0 400"},
	    {"GET /x HTTP/1.0\r\n\r\n", "HTTP/1.0 404"},
	    {"GET /5 HTTP/1.1\r\nHost: x\r\n\r\nGET /6 HTTP/1.1\r\n\r\n", "HTTP/1.0 200"},
	};
	static char endless[3000];

	start();
	for (unsigned i = 0; i <= sizeof(rows) / sizeof(rows[0]); i++) {
		bool last = i == sizeof(rows) / sizeof(rows[0]);

		memset(&raw, 0, sizeof(raw));
		memset(endless, 'y', sizeof(endless) - 1);
		said = last ? endless : rows[i].says;
		assert_int_equal(host_tcp_connect("10.0.0.2", 80, &raw_ops, NULL, &raw.tcp), 0);
		net_wire_pass(SECOND);
		assert_true(raw.ended);
		if (last ? raw.heard[0] != '\0' : !strstr(raw.heard, rows[i].hears))
			fail_msg("'%s' is answered by '%s'", said, raw.heard);
		host_tcp_close(raw.tcp, true);
	}
	stop();
}

/* A read that fails breaks off what was promised; a server that is stopped, too, whatever it waits for. */
static void test_breaks(void **state)
{
	start();
	content.late = content.fails = true;
	fetch("10.0.0.2/100000", 5);
	assert_int_equal(fetched.status, -XEN_EIO);
	content.fails = false;
	for (unsigned i = 0; i < 2; i++) {
		content.late = i;
		assert_int_equal(begin("10.0.0.2/2000000000"), 0);
		net_wire_pass(SECOND / 50);
		http_server_stop(server);
		server = NULL;
		net_wire_pass(SECOND);
		assert_true(fetched.ended);
		assert_int_equal(fetched.status, -XEN_EIO);
		http_fetch_free(fetched.http);
		if (!i)
			assert_int_equal(http_server_start(80, open_path, NULL, &server), 0);
	}
	stop();
}

/* Sixteen that say nothing keep out the next, and no more than that. */
static void test_many(void **state)
{
	struct host_tcp *idle[16];

	start();
	said = "";
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(host_tcp_connect("10.0.0.2", 80, &raw_ops, NULL, &raw.tcp), 0);
		net_wire_pass(SECOND / 100);
		idle[i] = raw.tcp;
	}
	fetch("10.0.0.2/5", 5);
	assert_int_equal(fetched.status, -XEN_EIO);
	host_tcp_close(idle[3], false);
	net_wire_pass(SECOND);
	fetch("10.0.0.2/5", 5);
	assert_int_equal(fetched.status, 0);
	for (unsigned i = 0; i < 16; i++)
		if (i != 3)
			host_tcp_close(idle[i], true);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lengths),         cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_strange_answers), cmocka_unit_test(test_strange_requests),
	    cmocka_unit_test(test_breaks),          cmocka_unit_test(test_many),
	};

	mock_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
