/* pv_bad_netback.c: a PV kernel that plays netback for one interface of another domain, and is bad at it in each way that has a
 * name here.
 *
 * Each row of `attacks` is one connection: it offers the interface (or does that wrongly), does one wrong thing when the first packet
 * has come, and begins anew. Before the first and after the last it is as it should be: a station that has the address 10.9.0.1
 * and gives echoes. Printed: "ok NAME" or "FAILED NAME", by what the frontend did: closed the connection, or went on and had
 * echoes. Run as a domain that another's vif names as its backend, by tests/qemu/bad_netback_test.sh, which looks whether that
 * other has come to harm.
 */
#include "pv_back.h"
#include <amphi/netif.h>

#define ENOUGH      2 /* echoes after something wrong */
#define PACKETS_MAX 200u
#define PACKET_MAX  2048u
#define LONG_PACKET 500u /* not copied by its sender, but lent */
#define QUIET_NS    500000000ull

/* What the frontend is to do of it: end the connection; go on with it; or not even begin one. EITHER: what it likes. */
enum outcome { CLOSES, GOES_ON, REFUSES, EITHER };

struct words {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
};
static uint8_t tx_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t rx_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t ctrl_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t window[PEER_PAGE] __attribute__((aligned(4096)));
static volatile struct words *const tx = (volatile void *)tx_page,
				    *const rx = (volatile void *)rx_page,
				    *const ctrl = (volatile void *)ctrl_page;

static uint32_t handles[3], port, ctrl_port;
static int mapped[3];
static uint32_t tx_taken, rx_taken, ctrl_taken;
static int mute; /* questions of the control ring are not answered */
static int echoes;

/* A packet that came: which slots it took, and its bytes. */
struct packet {
	struct netif_tx_request first, slots[NETIF_SLOTS_MAX];
	unsigned n_slots, n_extras, len;
	uint8_t bytes[PACKET_MAX];
};
static struct packet p;

static const uint8_t station[6] = {2, 0, 0, 0, 9, 1}, address[4] = {10, 9, 0, 1};

/* ---- a backend as it should be --------------------------------------------------------------- */

static void describe(void)
{
	static const char *const ones[] = {"feature-rx-copy", "feature-sg", "feature-gso-tcpv4",
					   "feature-gso-tcpv6", "feature-ipv6-csum-offload"};
	static const char *const none[] = {
	    "feature-ctrl-ring",         "feature-split-event-channels",
	    "feature-multicast-control", "feature-dynamic-multicast-control",
	    "multi-queue-max-queues",    "carrier"};

	for (unsigned i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
		store_number(back, ones[i], 1);
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		store_remove(back, none[i]);
}

static uint32_t front_number(const char *key)
{
	return (uint32_t)text_value(store_read(front, key));
}

static int take_page(unsigned i, const char *key, volatile void *at)
{
	mapped[i] = !map(front_number(key), at, 0, &handles[i]);
	return mapped[i];
}

/* The frontend's rings, once it has offered some. */
static int take_rings(void)
{
	if (store_wait(front, "state", 1u << XenbusStateConnected | 1u << XenbusStateClosed) !=
	    XenbusStateConnected)
		return 0;
	if (!take_page(0, "tx-ring-ref", tx_page) || !take_page(1, "rx-ring-ref", rx_page))
		return 0;
	port = bind_port(front_number("event-channel"));
	if (front_number("event-channel-ctrl") && take_page(2, "ctrl-ring-ref", ctrl_page))
		ctrl_port = bind_port(front_number("event-channel-ctrl"));
	tx_taken = rx_taken = ctrl_taken = 0;
	return 1;
}

/* Lets go of everything, as a backend does that has died and comes again. */
static void leave(void)
{
	volatile void *const pages[3] = {tx_page, rx_page, ctrl_page};

	state(XenbusStateClosed);
	store_wait(front, "state", 1u << XenbusStateClosed | 1u << XenbusStateInitialising);
	for (unsigned i = 0; i < 3; i++) {
		if (mapped[i])
			unmap(pages[i], handles[i]);
		mapped[i] = 0;
	}
	if (port)
		port_close(port);
	if (ctrl_port)
		port_close(ctrl_port);
	port = ctrl_port = 0;
	mute = 0;
	describe();
}

/* ---- what it sent ---- */

static void fetch_slot(struct netif_tx_request *out)
{
	copy_bytes(out, tx_page + 64 + tx_taken++ % NETIF_RING_SLOTS * NETIF_TX_SLOT_BYTES,
		   sizeof(*out));
}

/* Where a frame's bytes are; it publishes whole packets. */
static void fetch_bytes(const struct netif_tx_request *slot, unsigned n)
{
	uint32_t handle;

	if (p.len + n > PACKET_MAX || map(slot->gref, window, GNTMAP_readonly, &handle))
		return;
	copy_bytes(p.bytes + p.len, window + slot->offset, n);
	p.len += n;
	unmap(window, handle);
}

static int fetch_packet(void)
{
	struct netif_extra_info info = {0};
	unsigned rest = 0;

	if (tx->req_prod == tx_taken)
		return 0;
	p.n_slots = p.n_extras = p.len = 0;
	fetch_slot(&p.first);
	p.slots[p.n_slots++] = p.first;
	for (int more = p.first.flags & NETTXF_extra_info; more;) {
		copy_bytes(&info,
			   tx_page + 64 + tx_taken++ % NETIF_RING_SLOTS * NETIF_TX_SLOT_BYTES,
			   sizeof(info));
		p.n_extras++;
		more = info.flags & XEN_NETIF_EXTRA_FLAG_MORE;
	}
	while (p.slots[p.n_slots - 1].flags & NETTXF_more_data && p.n_slots < NETIF_SLOTS_MAX) {
		fetch_slot(&p.slots[p.n_slots]);
		rest += p.slots[p.n_slots++].size;
	}
	fetch_bytes(&p.first, p.first.size - rest);
	for (unsigned i = 1; i < p.n_slots; i++)
		fetch_bytes(&p.slots[i], p.slots[i].size);
	return 1;
}

static void put_answer(uint16_t id, int16_t status)
{
	struct netif_tx_response rsp = {.id = id, .status = status};

	copy_bytes(tx_page + 64 + tx->rsp_prod % NETIF_RING_SLOTS * NETIF_TX_SLOT_BYTES, &rsp,
		   sizeof(rsp));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	tx->rsp_prod++;
}

static void respond(int16_t status)
{
	for (unsigned i = 0; i < p.n_slots; i++)
		put_answer(p.slots[i].id, status);
	for (unsigned i = 0; i < p.n_extras; i++)
		put_answer(0, NETIF_RSP_NULL);
	notify(port);
}

/* ---- what it gets ---- */

/* The next page that is lent. */
static int fetch_lent(struct netif_rx_request *out)
{
	if (rx->req_prod == rx_taken)
		return 0;
	copy_bytes(out, rx_page + 64 + rx_taken++ % NETIF_RING_SLOTS * sizeof(*out), sizeof(*out));
	return 1;
}

/* The answer of the slot that the producer has come to. */
static void put_raw(uint16_t id, uint16_t offset, uint16_t flags, int16_t status)
{
	struct netif_rx_response rsp = {
	    .id = id, .offset = offset, .flags = flags, .status = status};

	copy_bytes(rx_page + 64 + rx->rsp_prod % NETIF_RING_SLOTS * sizeof(rsp), &rsp, sizeof(rsp));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rx->rsp_prod++;
}

static void give(const uint8_t *bytes, unsigned len)
{
	struct netif_rx_request req;
	uint32_t handle;

	if (!fetch_lent(&req) || map(req.gref, window, 0, &handle))
		return;
	copy_bytes(window, bytes, len);
	unmap(window, handle);
	put_raw(req.id, 0, NETRXF_data_validated, (int16_t)len);
	notify(port);
}

static void swap(uint8_t *a, uint8_t *b, unsigned n)
{
	for (; n--; a++, b++) {
		uint8_t was = *a;

		*a = *b;
		*b = was;
	}
}

static int same(const uint8_t *a, const uint8_t *b, unsigned n)
{
	while (n && *a == *b)
		n--, a++, b++;
	return n == 0;
}

/* The packet was a question for our address, or for an echo: the answer is made of it. */
static void reply(void)
{
	uint8_t *f = p.bytes;

	if (p.len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 1 && same(f + 38, address, 4)) {
		copy_bytes(f, f + 6, 6);
		copy_bytes(f + 6, station, 6);
		f[21] = 2;
		swap(f + 22, f + 32, 10);
		copy_bytes(f + 22, station, 6);
		give(f, p.len);
	} else if (p.len >= 42 && f[12] == 8 && f[13] == 0 && f[23] == 1 && f[34] == 8 &&
		   same(f + 30, address, 4)) {
		unsigned sum = (f[36] << 8 | f[37]) + 0x0800u;

		swap(f, f + 6, 6);
		swap(f + 26, f + 30, 4);
		f[34] = 0;
		sum = (sum & 0xffff) + (sum >> 16);
		f[36] = (uint8_t)(sum >> 8);
		f[37] = (uint8_t)sum;
		give(f, p.len);
		echoes++;
	}
}

/* Its questions by the control ring: we keep no page mapped, and hash nothing. */
static void answer_control(uint16_t id_more, uint16_t type_more, uint32_t status, uint32_t value)
{
	struct xen_netif_ctrl_request req;
	struct xen_netif_ctrl_response rsp;
	uint32_t at = ctrl_taken++ % NETIF_CTRL_SLOTS * sizeof(req);

	copy_bytes(&req, ctrl_page + 64 + at, sizeof(req));
	rsp = (struct xen_netif_ctrl_response){.id = (uint16_t)(req.id + id_more),
					       .type = (uint16_t)(req.type + type_more),
					       .status = status,
					       .data = value};
	copy_bytes(ctrl_page + 64 + at, &rsp, sizeof(rsp));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ctrl->rsp_prod++;
	notify(ctrl_port);
}

/* The next packet. Every other thing goes on meanwhile. */
static int packet(void)
{
	uint64_t end = now_ns() + PEER_WAIT / 2;

	for (unsigned round = 0; !fetch_packet(); round++) {
		if (ctrl_port && !mute && ctrl->req_prod != ctrl_taken)
			answer_control(0, 0, XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED, 0);
		if (mapped[2])
			ctrl->req_event = ctrl_taken + 1;
		tx->req_event = tx_taken + 1;
		rx->req_event = rx_taken + 1;
		if (now_ns() > end || (round % 32 == 31 && closed()))
			return 0;
		yield();
	}
	return 1;
}

/* Answers what comes, until so many echoes. */
static void serve(int n)
{
	echoes = 0;
	for (unsigned i = 0; i < PACKETS_MAX && echoes < n && packet(); i++) {
		respond(NETIF_RSP_OKAY);
		reply();
	}
}

#include "bad_net_answers.inc"

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct attack {
	const char *name;
	void (*offer)(void);
	void (*answer)(void);
	enum outcome wanted;
} attacks[] = {
#define ANSWER(name, wanted)                                                                       \
	{                                                                                          \
#name, 0, name, wanted                                                             \
	}
#define OFFER(name, wanted)                                                                        \
	{                                                                                          \
#name, name, 0, wanted                                                             \
	}
#define CONTROL(name, wanted)                                                                      \
	{                                                                                          \
#name, control_ring, name, wanted                                                  \
	}
    ANSWERS,
    OFFERS,
};

/* Whether the frontend is in this connection: it lends pages. */
static int begin(const struct attack *a)
{
	uint64_t end = now_ns() + PEER_WAIT;

	state(XenbusStateInitialising);
	if (!store_wait(front, "state", 1u << XenbusStateInitialising))
		return 0;
	describe();
	if (a && a->offer)
		a->offer();
	state(XenbusStateInitWait);
	if (!take_rings())
		return 0;
	state(XenbusStateConnected);
	while (rx->req_prod == 0 && !closed() && now_ns() < end)
		yield();
	return rx->req_prod != 0 && !closed();
}

static int attack(const struct attack *a)
{
	int in = begin(a);

	if (!in || a->wanted == REFUSES)
		return a->wanted == REFUSES ? !in : a->wanted == EITHER;
	if (a->answer) {
		if (!packet())
			return 0;
		a->answer();
	}
	serve(ENOUGH);
	in = !closed();
	return a->wanted == EITHER || (in && echoes == ENOUGH) == (a->wanted == GOES_ON);
}

/* As it should be, for at least so long and so many echoes. */
static void good(uint64_t ns)
{
	uint64_t end = now_ns() + ns;
	int n = 0;

	while (now_ns() < end || n < 10) {
		if ((!port || closed()) && !begin(0))
			leave();
		else
			serve(1), n += echoes;
	}
}

void guest_main(struct start_info *si)
{
	peer_begin(si);
	back_find("backend/vif");
	print("good\n");
	good(QUIET_NS);
	print("bad\n");
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		leave();
		check(attacks[i].name, attack(&attacks[i]));
	}
	check("nothing but what was granted was mapped", maps_got == 0);
	check("what was lent told nothing", !stale);
	print_number("attacks ", sizeof(attacks) / sizeof(attacks[0]));
	leave();
	print("good\n");
	good(QUIET_NS);
	print("bad\n");
	good(~0ull >> 1);
}
