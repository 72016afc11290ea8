/* pv_bad_netfront.c: a PV kernel that plays netfront, and is bad at it in each way that has a name here.
 *
 * Each row of `attacks` connects to the backend of the first interface (if it is not connected), does one wrong thing,
 * and must then be able to ask a neighbour for an echo and have it back with every byte, over a new connection if the
 * backend has closed the old one. Printed: "ok NAME" or "FAILED NAME", and "quiet" where nothing is under way, before the first and behind
 * the last; then it ends with its rings full. tests/qemu/bad_netfront_test.sh runs it beside guests that must not notice.
 */
#include "pv_front.h"
#include <amphi/netif.h>

#define TX_REF   8u
#define RX_REF   9u
#define CTRL_REF 10u
#define DATA_REF 16u /* and one for each page of data */
#define DATA     16u
#define TAKE_REF 48u /* pages for what comes in */
#define TAKE     32u
#define NO_REF   400u /* never granted */

#define ECHO_BYTES 1000u
#define ECHO_AT    42u
#define QUIET_NS   1500000000ull

/* What came of packets: a status of netif.h, or one of these. */
enum { GONE = 100, SILENT, MIXED };
/* What an attack is answered with: an error in each slot, the end of the connection, or not at all (what it does is
 * foolish and no fault). EITHER: it is up to the backend whether that is a connection. */
enum outcome { ERROR, CLOSED, NOTHING, EITHER };

struct words {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
};
static uint8_t tx_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t rx_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t ctrl_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t data[DATA][PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t take[TAKE][PEER_PAGE] __attribute__((aligned(4096)));
static volatile struct words *const tx = (volatile void *)tx_page,
				    *const rx = (volatile void *)rx_page,
				    *const ctrl = (volatile void *)ctrl_page;

static uint32_t tx_next; /* requests put, of which those up to req_prod are published */
static uint32_t tx_seen, rx_seen, ctrl_seen, ctrl_port;
static uint32_t rx_ref; /* of all pages for what comes in; 0: each has its own */
static uint8_t mac[6], peer_mac[6];
static const uint8_t address[4] = {10, 0, 0, 66}, peer[4] = {10, 0, 0, 3};
static uint16_t echo_number;

/* ---- a frontend as it should be -------------------------------------------------------------- */

static void clear(volatile void *page, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		((volatile uint8_t *)page)[i] = 0;
}

static void post(void)
{
	while (rx->req_prod - rx_seen < TAKE) {
		struct netif_rx_request req = {.id = (uint16_t)rx->req_prod};

		req.gref = rx_ref ? rx_ref : TAKE_REF + rx->req_prod % TAKE;
		copy_bytes(rx_page + 64 + rx->req_prod % NETIF_RING_SLOTS * sizeof(req), &req,
			   sizeof(req));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		rx->req_prod++;
	}
}

static void offer(void)
{
	volatile struct words *const rings[] = {tx, rx, ctrl};

	for (unsigned i = 0; i < 3; i++) {
		clear(rings[i], PEER_PAGE);
		rings[i]->req_event = rings[i]->rsp_event = 1;
		grant(TX_REF + i, back_id, rings[i], 0);
	}
	tx_next = tx_seen = rx_seen = ctrl_seen = rx_ref = 0;
	for (unsigned i = 0; i < DATA; i++)
		grant(DATA_REF + i, back_id, data[i], 0);
	for (unsigned i = 0; i < TAKE; i++)
		grant(TAKE_REF + i, back_id, take[i], 0);
	post();
	port = port_for(back_id);
	ctrl_port = port_for(back_id);
	store_number(front, "tx-ring-ref", TX_REF);
	store_number(front, "rx-ring-ref", RX_REF);
	store_number(front, "event-channel", port);
	store_number(front, "ctrl-ring-ref", CTRL_REF);
	store_number(front, "event-channel-ctrl", ctrl_port);
	store_number(front, "request-rx-copy", 1);
	store_number(front, "feature-rx-notify", 1);
	store_number(front, "feature-sg", 1);
	store_remove(front, "multi-queue-num-queues");
	store_remove(front, "request-multicast-control");
	store_remove(front, "xdp-headroom");
}

static int begin(void)
{
	if (ctrl_port)
		port_close(ctrl_port);
	ctrl_port = 0;
	return front_begin(TX_REF, TAKE_REF + TAKE);
}

static int finish(void)
{
	return front_finish(XenbusStateConnected);
}

static int connect(void)
{
	if (connected)
		return 1;
	if (!begin())
		return 0;
	offer();
	return finish();
}

/* ---- packets --------------------------------------------------------------------------------- */

static struct netif_tx_request slot(unsigned page, uint16_t size, uint16_t flags)
{
	struct netif_tx_request req = {
	    .gref = DATA_REF + page, .flags = flags, .id = (uint16_t)page, .size = size};

	return req;
}

static void put_slot(const void *bytes, unsigned n)
{
	copy_bytes(tx_page + 64 + tx_next++ % NETIF_RING_SLOTS * NETIF_TX_SLOT_BYTES, bytes, n);
}

static void put(struct netif_tx_request req)
{
	put_slot(&req, sizeof(req));
}

static void put_extra(struct netif_extra_info info)
{
	put_slot(&info, sizeof(info));
}

/* Whole packets: the backend may look at any moment. */
static void publish(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	tx->req_prod = tx_next;
	notify(port);
}

/* What all that was sent came to: the status that each slot has, and MIXED when they differ; extra infos' (1) are none of
 * these. Asks the store, which is slow, only now and then. */
static int answer(uint64_t wait_ns)
{
	uint64_t end = now_ns() + wait_ns;
	int came = SILENT;

	for (unsigned round = 0; tx_seen != tx_next; round++) {
		struct netif_tx_response rsp;

		if (tx->rsp_prod != tx_seen) {
			copy_bytes(
			    &rsp, tx_page + 64 + tx_seen++ % NETIF_RING_SLOTS * NETIF_TX_SLOT_BYTES,
			    sizeof(rsp));
			tx->rsp_event = tx_seen + 1;
			if (rsp.status != NETIF_RSP_NULL)
				came = came == SILENT || came == rsp.status ? rsp.status : MIXED;
			continue;
		}
		if (round % 64 == 63 && !backend_is_there()) {
			connected = 0;
			return GONE;
		}
		if (now_ns() > end)
			return SILENT;
		yield();
	}
	return came;
}

static int told(void)
{
	publish();
	return answer(PEER_WAIT);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_sum(uint8_t *at, const uint8_t *from, unsigned len)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += i % 2 ? from[i] : (uint32_t)from[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	put16(at, ~(sum + (sum >> 16)) & 0xffff);
}

/* Ethernet's header at the beginning of a page of data; to NULL: to all. */
static uint8_t *ethernet(unsigned page, const uint8_t *to, unsigned type)
{
	uint8_t *f = data[page];

	clear(f, 128);
	for (unsigned i = 0; i < 6; i++)
		f[i] = to ? to[i] : 0xff;
	copy_bytes(f + 6, mac, 6);
	put16(f + 12, type);
	return f;
}

/* IPv4 from us to the neighbour, len bytes with its header and the frame's. */
static uint8_t *ipv4(unsigned page, unsigned protocol, unsigned len)
{
	uint8_t *f = ethernet(page, peer_mac, 0x0800);

	f[14] = 0x45;
	put16(f + 16, len - 14);
	f[22] = 64;
	f[23] = (uint8_t)protocol;
	copy_bytes(f + 26, address, 4);
	copy_bytes(f + 30, peer, 4);
	put_sum(f + 24, f + 14, 20);
	return f;
}

/* ---- what comes in ----------------------------------------------------------------------------- */

/* The next packet's bytes (of a slot), or NULL: none is there. Its length, <= 0 when the slot is empty. */
static const uint8_t *taken(int *out_len)
{
	struct netif_rx_response rsp;
	uint32_t n = rx_seen;

	if (rx->rsp_prod == n)
		return 0;
	copy_bytes(&rsp, rx_page + 64 + n % NETIF_RING_SLOTS * sizeof(rsp), sizeof(rsp));
	rx->rsp_event = ++rx_seen + 1;
	*out_len = rsp.status;
	return take[n % TAKE] + rsp.offset % PEER_PAGE;
}

static int same(const uint8_t *a, const uint8_t *b, unsigned n)
{
	while (n && *a == *b)
		n--, a++, b++;
	return n == 0;
}

/* Whose address it is, is kept. */
static int is_arp_answer(const uint8_t *f, int len)
{
	if (len < 42 || f[12] != 8 || f[13] != 6 || f[21] != 2 || !same(f + 28, peer, 4) ||
	    !same(f + 38, address, 4))
		return 0;
	copy_bytes(peer_mac, f + 6, 6);
	return 1;
}

static int is_echo(const uint8_t *f, int len)
{
	return len == ECHO_AT + ECHO_BYTES && f[23] == 1 && f[34] == 0 && same(f + 26, peer, 4) &&
	       same(f + 38, data[1] + 38, 4 + ECHO_BYTES);
}

/* Sends what is in a page of data, and waits for a frame that is as it should be. */
static int ask(unsigned page, uint16_t len, int (*wanted)(const uint8_t *f, int len))
{
	uint64_t end = now_ns() + PEER_WAIT / 10;
	const uint8_t *f;
	int n, came = 0;

	while (taken(&n)) /* what came in since the last time */
		;
	post();
	put(slot(page, len, 0));
	publish();
	while (!came && now_ns() < end) {
		while (!came && (f = taken(&n)) != 0)
			came = wanted(f, n);
		post();
		yield();
	}
	notify(port); /* of the pages */
	return answer(PEER_WAIT / 10) == NETIF_RSP_OKAY && came;
}

/* Who has the neighbour's address? */
static void question(void)
{
	uint8_t *f = ethernet(0, 0, 0x0806);

	copy_bytes(f + 14, "\0\1\10\0\6\4\0\1", 8);
	copy_bytes(f + 22, mac, 6);
	copy_bytes(f + 28, address, 4);
	copy_bytes(f + 38, peer, 4);
}

static int ask_address(void)
{
	question();
	return ask(0, 60, is_arp_answer);
}

static int ask_echo(int (*wanted)(const uint8_t *f, int len))
{
	uint8_t *f = ipv4(1, 1, ECHO_AT + ECHO_BYTES);

	f[34] = 8;
	put16(f + 38, 0x6d61);
	put16(f + 40, ++echo_number);
	for (unsigned i = 0; i < ECHO_BYTES; i++)
		f[ECHO_AT + i] = (uint8_t)(echo_number * 7 + i * 13);
	put_sum(f + 36, f + 34, 8 + ECHO_BYTES);
	return ask(1, ECHO_AT + ECHO_BYTES, wanted);
}

/* Who we ask knows us by our question, and answers the echo. A packet may be lost where many are sent. */
static int passes(void)
{
	for (unsigned try = 0; try < 20; try++) {
		if (connect() && ask_address() && ask_echo(is_echo))
			return 1;
		connected = connected && backend_is_there();
	}
	return 0;
}

#include "bad_net_packets.inc"
#include "bad_net_rings.inc"
#include "bad_net_control.inc"
#include "bad_net_keys.inc"

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct attack {
	const char *name;
	void (*packet)(void);
	int (*other)(void);
	enum outcome wanted;
} attacks[] = {
#define PACKET(name)                                                                               \
	{                                                                                          \
#name, name, 0, ERROR                                                              \
	}
#define OTHER(name, wanted)                                                                        \
	{                                                                                          \
#name, 0, name, wanted                                                             \
	}
    PACKETS,
    RINGS,
    CONTROL,
    KEYS,
};

static int as_wanted(enum outcome wanted, int came)
{
	switch (wanted) {
	case ERROR:
		return came == NETIF_RSP_ERROR;
	case CLOSED:
		return came == GONE;
	case EITHER:
		return came == GONE || came == NETIF_RSP_OKAY;
	default:
		return came == NETIF_RSP_OKAY;
	}
}

static void attack(const struct attack *a)
{
	int came, good;

	connect();
	if (a->packet)
		a->packet();
	came = a->packet ? told() : a->other();
	good = as_wanted(a->wanted, came);
	if (!good)
		print_number("it came to ", (uint64_t)(came + 2));
	check(a->name, passes() && good);
}

/* Whoever counts what the backend holds counts it here. */
static void rest(void)
{
	print("quiet\n");
	for (uint64_t end = now_ns() + QUIET_NS; now_ns() < end;)
		yield();
	print("loud\n");
}

static void end_under_load(void)
{
	connect();
	for (unsigned i = 0; i < NETIF_RING_SLOTS; i++)
		put(slot(1, ECHO_AT + ECHO_BYTES, 0));
	publish();
}

static void find_mac(void)
{
	const char *text = store_read(front, "mac");

	for (unsigned i = 0; i < 12; i++) {
		char c = text[i / 2 * 3 + i % 2];

		mac[i / 2] =
		    (uint8_t)(mac[i / 2] << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10));
	}
}

void guest_main(struct start_info *si)
{
	peer_begin(si);
	front_find("device/vif/0");
	find_mac();
	check("an echo comes back", passes());
	rest();
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attack(&attacks[i]);
	print_number("attacks ", sizeof(attacks) / sizeof(attacks[0]));
	rest();
	end_under_load();
	end(SHUTDOWN_crash);
}
