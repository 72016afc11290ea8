/* net_stack_fuzz: frames of anybody's making into the TCP/IP stack.
 *
 * The input is a row of frames: how long, how it is given (in how many segments, with a checksum that is vouched for or not, to
 * several), what is made right before (the IP header's checksum, and the addresses of a connection that is open), and its
 * bytes. A server listens, a client is connected, an echo is awaited, and time goes by between. Finds: reads and writes outside
 * of frames, assertions of lwIP, frames and memory that do not come back.
 *
 * links: kernel/net/[a-z]*.c kernel/net.c protocol/net_*.c lib/printf.c lib/text.c lib/sha256.c lib/error_name.c tests/host/net_wire.c tests/host/mock_*.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/host_net.h>
#include <amphi/host_tcp.h>
#include <amphi/net_offload.h>

#include "kernel/net/http.h"
#include "kernel/net/net_stack.h"
#include "kernel/net/port.h"
#include "tests/host/mock_host.h"
#include "tests/host/net_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES_MAX 12u
#define STEP_NS    700000000u /* a retransmission, a second of ARP, now and then */

/* How a frame is given: bits of its first byte. */
#define GIVE_VALID  1u
#define GIVE_BLANK  2u
#define GIVE_CUT    4u
#define GIVE_HELD   8u
#define FIX_HEADER  16u
#define FIX_FLOW    32u
#define LET_TIME_GO 64u

static struct net_wire wire;
static struct host_tcp *client;
static bool client_ended;

/* The last frame that the stack sent: whose ports and numbers FIX_FLOW takes. */
static uint8_t last[1600];
static uint32_t last_len;

static void keep(struct net_wire *w, const uint8_t *bytes, uint32_t len)
{
	if (len < sizeof(last) && len >= 54 && bytes[12] == 8 && !bytes[13] && bytes[23] == 6) {
		memcpy(last, bytes, len);
		last_len = len;
	}
	if (len >= 42 && bytes[12] == 8 && bytes[13] == 6)
		net_wire_mirror(w, bytes, len); /* ARP is answered */
}

static void nothing(void *ctx) {}

static void received(void *ctx, const void *bytes, size_t len)
{
	(void)host_tcp_send(client, bytes, len, false);
}

static void ended(void *ctx, int status)
{
	client_ended = true;
}

static void read_zeros(struct http_content *c, uint64_t offset, void *buf, uint32_t len)
{
	memset(buf, 0, len);
	http_content_done(c, 0);
}

static int open_path(void *ctx, const char *path, struct http_content *out)
{
	*out = (struct http_content){
	    .length = strlen(path) * 10000, .type = "text/plain", .read = read_zeros};
	return 0;
}

static void fix_header(uint8_t *b)
{
	uint16_t sum;

	memset(b + 24, 0, 2);
	sum = (uint16_t)~net_fold(net_sum(0, b + 14, 20));
	memcpy(b + 24, &sum, 2);
}

/* As if in answer to what the stack sent last: its addresses and ports exchanged, its numbers taken up. */
static void fix_flow(uint8_t *b, uint32_t len)
{
	if (len < 54 || !last_len)
		return;
	memcpy(b, last + 6, 6);
	memcpy(b + 12, last + 12, 4); /* IPv4, no options */
	b[23] = 6;
	memcpy(b + 26, last + 30, 4);
	memcpy(b + 30, last + 26, 4);
	memcpy(b + 34, last + 36, 2);
	memcpy(b + 36, last + 34, 2);
	memcpy(b + 38, last + 42, 4);
	memcpy(b + 42, last + 38, 4);
	b[45] = (uint8_t)(b[45] + 1);
}

static const uint8_t *give(const uint8_t *p, const uint8_t *end)
{
	uint8_t how = p[0], b[2048];
	uint32_t len = (uint32_t)(p[1] | (p[2] & 7) << 8);

	p += 3;
	if (len > (size_t)(end - p))
		len = (uint32_t)(end - p);
	if (len < NET_HEAD_BYTES)
		return end;
	memcpy(b, p, len);
	if (how & FIX_FLOW)
		fix_flow(b, len);
	if (how & FIX_HEADER && len >= 34)
		fix_header(b);
	wire.flags = how & (GIVE_VALID | GIVE_BLANK);
	wire.flags &= (uint8_t) ~(how & GIVE_BLANK ? NET_CSUM_VALID : 0);
	wire.cut_bytes = how & GIVE_CUT ? 64 + (how >> 4) * 16 : 0;
	wire.holders = how & GIVE_HELD ? 2 : 1;
	net_wire_give(&wire, b, len);
	mock_advance(how & LET_TIME_GO ? STEP_NS : 60000);
	mock_advance(60000);
	return p + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host_tcp_ops ops = {nothing, received, nothing, ended};
	static const struct net_stack_config config = {
	    .mode = NET_STACK_STATIC, .address = 0x0100000a, .mask = 0x00ffffff};
	const uint8_t *end = data + size;
	struct http_server *server;

	mock_reset();
	net_stack_start(&config, "", 2u << 20, NULL);
	net_wire_open(&wire, "eth0", 15, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6, keep);
	client = NULL;
	last_len = 0;
	if (net_stack_take(&wire.dev) || http_server_start(80, open_path, NULL, &server))
		abort();
	(void)host_tcp_connect("10.0.0.2", 9, &ops, NULL, &client);
	for (unsigned i = 0; i < 5; i++)
		mock_advance(100000);
	for (unsigned i = 0; i < FRAMES_MAX && end - data > 3; i++)
		data = give(data, end);
	if (client)
		host_tcp_close(client, true);
	http_server_stop(server);
	net_wire_close(&wire);
	for (unsigned i = 0; i < 20; i++)
		mock_advance(STEP_NS);
	if (net_mem_used())
		abort();
	net_mem_trim();
	net_fit_trim();
	if (!mock_nothing_left(0))
		abort();
	return 0;
}
