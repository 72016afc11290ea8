/* net_tcp_ends.c: the two ends. See net_tcp_ends.h.
 *
 * Called by tests; calls host_tcp.h, net_stack.h and net_wire.h.
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

struct net_wire wire;
struct end client, server;
static struct host_tcp_listener *listener;
bool refuse;

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

void shut(struct end *e, bool abort)
{
	struct host_tcp *tcp = e->tcp;

	e->tcp = NULL;
	host_tcp_close(tcp, abort);
}

static void pump(struct end *e)
{
	uint8_t piece[PIECE];
	size_t n, done;

	while (e->tcp && e->sent < e->total) {
		n = e->total - e->sent < PIECE ? e->total - e->sent : PIECE;
		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(e->sent + i);
		done = host_tcp_send(e->tcp, piece, n, e->sent + n < e->total);
		e->sent += done;
		if (done < n)
			return;
	}
	if (e->tcp && e->close_when_sent && e->total)
		shut(e, false);
}

static void on_connected(void *ctx)
{
	struct end *e = ctx;

	e->connected = true;
	if (e->close_in_connected)
		shut(e, true);
	else
		pump(e);
}

static void on_received(void *ctx, const void *bytes, size_t len)
{
	struct end *e = ctx;
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		e->wrong |= b[i] != byte_at(e->got + i);
	e->got += len;
	if (e->pause_in_received)
		host_tcp_pause(e->tcp, true);
	if (e->close_in_received || e->abort_in_received)
		shut(e, e->abort_in_received);
}

static void on_writable(void *ctx)
{
	struct end *e = ctx;

	e->writables++;
	pump(e);
}

static void on_ended(void *ctx, int status)
{
	struct end *e = ctx;

	assert_false(e->ended);
	e->ended = true;
	e->status = status;
}

const struct host_tcp_ops end_ops = {on_connected, on_received, on_writable, on_ended};

bool on_accepted(void *ctx, struct host_tcp *tcp, const struct host_tcp_ops **out_ops,
		 void **out_ctx)
{
	if (refuse || server.tcp)
		return false;
	server.tcp = tcp;
	server.connected = true;
	*out_ops = &end_ops;
	*out_ctx = &server;
	pump(&server);
	return true;
}

void start(uint32_t can)
{
	struct net_stack_config config;

	assert_int_equal(net_stack_parse("10.0.0.1/24", &config), 0);
	net_stack_start(&config, "", 8u << 20, NULL);
	net_wire_open(&wire, "eth0", 15, can, net_wire_mirror);
	assert_int_equal(net_stack_take(&wire.dev), 0);
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	refuse = false;
	assert_int_equal(host_tcp_listen(PORT, on_accepted, NULL, &listener), 0);
	net_wire_pass(SECOND / 10);
}

void stop(void)
{
	if (client.tcp)
		shut(&client, true);
	if (server.tcp)
		shut(&server, true);
	host_tcp_unlisten(listener);
	net_wire_close(&wire);
	net_wire_pass(SECOND);
	assert_int_equal(net_mem_used(), 0);
	net_mem_trim();
	net_fit_trim();
	assert_true(mock_nothing_left(0));
}

void connect_to(const char *host, uint16_t port)
{
	assert_int_equal(host_tcp_connect(host, port, &end_ops, &client, &client.tcp), 0);
}

void run(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		net_wire_pass(SECOND / 10);
		if (client.got == server.total && server.got == client.total)
			return;
	}
}

void assert_all_arrived(void)
{
	if (client.got != server.total || server.got != client.total || client.wrong ||
	    server.wrong)
		fail_msg("%zu of %zu and %zu of %zu bytes; wrong: %d %d", client.got, server.total,
			 server.got, client.total, client.wrong, server.wrong);
}
