/* netback_fuzz: a guest's netfront that is nothing but fuzz, against netback.
 *
 * The input is a plan (queues, channels, what the guest can) and a script: packets nearly right, bytes written anywhere into
 * rings, indices moved, messages of the control ring, rx requests, frames for the guest, notifications, keys and states changed, grants
 * ended, memory short, time. Expected: no bad access (grants are real mappings, so a page used after unmap faults), no byte
 * of a slot fetched twice, every frame given to the user whole (net_world.c checks), and when the guest is gone nothing is left.
 *
 * links: tests/host/net_world.c tests/host/net_guest.c tests/host/mock_host.c tests/host/mock_share.c
 * links: tests/host/mock_store.c tests/host/mock_disk.c tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c protocol/grant_retire.c
 * links: protocol/netif_*.c protocol/net_*.c drivers-back/netback*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_script.h"
#include "tests/host/net_guest.h"
#include "tests/host/peer_recorder.h"

#define SENT 64u

static struct net_guest guest;
static struct net_sent sent[SENT];

static unsigned any_queue(void)
{
	return byte() % guest.n_queues;
}

static void poke(uint8_t *to, unsigned offset, unsigned size)
{
	for (unsigned n = byte() % 64; n && offset < size; n--, offset++)
		to[offset] = byte();
}

static void poke_ring(void)
{
	struct net_guest_queue *q = &guest.queues[any_queue()];

	poke(byte() & 1 ? q->tx_page : q->rx_page, word() % 4096, 4096);
}

static void poke_page(void)
{
	poke(guest.pages, byte() % GUEST_PAGES * 4096u + byte(), GUEST_PAGES * 4096u);
}

static struct ring *roomy_tx(unsigned queue, unsigned slots)
{
	struct ring *tx = &guest.queues[queue].tx;

	if (ring_front_free(tx) < slots)
		tx->in = tx->out - byte() % (tx->n_slots - slots);
	return tx;
}

static void headers(void)
{
	uint8_t how = byte();
	struct net_recipe r = {.ipv6 = how & 1, .udp = how & 2, .fragment = how & 4};

	net_world_frame(guest.pages, 100 + word() % 60000, &r);
	if (how & 8)
		guest.pages[byte()] = byte();
}

/* Of the frontend's kind, nearly right. */
static void put_packet(void)
{
	unsigned queue = any_queue();
	uint8_t shape = byte();
	struct netif_extras extras = {0};
	struct net_packet p = {.page = shape & 1 ? byte() % GUEST_PAGES : 0,
			       .len = shape & 2 ? word() % 65536 : byte() + 14u,
			       .first = shape & 4 ? byte() + 1u : 0,
			       .flags = byte() % 4};

	if (shape & 8) {
		extras.seen = byte() & 0x3e;
		extras.gso = byte() % 4;
		extras.gso_size = (uint16_t)word();
		extras.mcast[0] = byte();
		p.extras = &extras;
	}
	roomy_tx(queue, 40);
	net_guest_packet(&guest, queue, &p);
}

static void put_slot(void)
{
	unsigned queue = any_queue();
	struct netif_tx_request req = {.gref =
					   byte() & 1 ? guest.refs[byte() % GUEST_PAGES].v : word(),
				       .offset = (uint16_t)(byte() * 17),
				       .flags = byte() % 16,
				       .id = byte(),
				       .size = (uint16_t)word()};

	roomy_tx(queue, 1);
	net_guest_tx(&guest, queue, &req);
}

static void publish(void)
{
	unsigned n = any_queue();
	uint8_t *ring;

	mock_enter(0);
	ring = mock_mapping(1, guest.queues[n].tx_ref);
	if (ring)
		peer_recorder_begin(ring + 64, PAGE_SIZE - 64, true);
	net_guest_push(&guest, n);
	if (ring && peer_recorder_doubles())
		abort();
	peer_recorder_end();
}

static void wild_prod(void)
{
	struct net_guest_queue *q = &guest.queues[any_queue()];
	struct ring *ring = byte() & 1 ? &q->tx : &q->rx;
	uint32_t near = ring->shared->rsp_prod + byte() % 34;

	mock_enter(1);
	ring->shared->req_prod = byte() & 1 ? word() : near;
	host_event_notify(q->tx_port);
}

static void post(void)
{
	unsigned queue = any_queue(), n = byte() % 64u + 1;
	struct ring *rx = &guest.queues[queue].rx;

	if (ring_front_free(rx) < n)
		rx->in = rx->out - byte() % (rx->n_slots - n);
	net_guest_post(&guest, queue, n);
}

static void message(void)
{
	struct xen_netif_ctrl_request req = {.id = byte(), .type = byte() % 13};
	struct xen_netif_ctrl_response rsp;

	if (!guest.plan.ctrl)
		return;
	req.data[0] = byte() & 1 ? guest.refs[0].v : byte();
	req.data[1] = byte() & 1 ? guest.refs[1].v : byte();
	req.data[2] = byte() & 1 ? byte() : word();
	if (!ring_front_free(&guest.ctrl))
		guest.ctrl.in++;
	net_guest_ctrl(&guest, &req, &rsp);
}

/* A list of pages, as the control ring wants it, in page 1. */
static void make_list(void)
{
	struct xen_netif_gref *list = (void *)(guest.pages + PAGE_SIZE);

	for (unsigned i = 0, n = byte(); i < n; i++)
		list[i] = (struct xen_netif_gref){
		    .ref = byte() & 1 ? guest.rx_refs[i % GUEST_PAGES].v : byte(),
		    .flags = byte() & 1};
}

static void send_to_guest(void)
{
	static uint8_t data[NET_FRAME_MAX];
	struct net_device *dev = net_world_device(1, 0);
	struct net_sent *s = &sent[byte() % SENT];

	if (!dev || (s->pages && !s->done))
		return;
	if (s->pages)
		net_sent_free(s);
	net_world_frame(data, 100, &(struct net_recipe){.sport = byte()});
	data[0] = byte();
	s->frame.gso = byte() % 3;
	s->frame.gso_size = 1448;
	s->frame.flags = byte() % 4;
	s->frame.hash = 0;
	net_world_send(dev, s, data, byte() & 1 ? 100u + word() % 65000 : 60);
	if (byte() & 1)
		net_world_kick(dev);
}

static void hub_mood(void)
{
	uint8_t mood = byte();

	net_hub.keeps = mood & 1;
	mock_enter(0);
	if (mood & 2)
		net_hub_release(mood & 4 ? -XEN_EFAULT : 0);
}

static void change_key(void)
{
	static const char *const keys[] = {
	    "tx-ring-ref",      "rx-ring-ref",      "event-channel",
	    "event-channel-tx", "event-channel-rx", "multi-queue-num-queues",
	    "feature-sg",       "ctrl-ring-ref",    "request-multicast-control",
	    "xdp-headroom",     "request-rx-copy",  "queue-1/tx-ring-ref",
	};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];
	char value[SCRIPT_TEXT];

	script_text(value);
	net_world_put_front(1, 0, key, value);
}

static void change_state(void)
{
	char state[2] = {(char)('0' + byte() % 10), '\0'};

	net_world_put_front(1, 0, "state", state);
}

static void toolstack(void)
{
	static const char *const values[] = {"10000,1000", "0,0", "1,1", "x", "10.0.0.5"};
	uint8_t how = byte();

	net_world_put_back(1, 0, how & 1 ? "rate" : "ip", values[how / 2 % 5]);
}

/* One page for reading only, or another reference for it. */
static void regrant(void)
{
	unsigned n = byte() % GUEST_PAGES;

	mock_enter(1);
	if (host_grant_end(guest.refs[n]) != 0)
		return;
	mock_fail_after(-1);
	host_grant_offer(0, guest.pages + n * PAGE_SIZE, byte() & 1, &guest.refs[n]);
}

static void run_some(void)
{
	mock_run_some(byte());
}

static void time_goes_by(void)
{
	mock_advance(byte() * 1000000ull);
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {
    put_packet,    put_packet, put_packet, put_slot,     publish, publish,  poke_ring, poke_page,
    headers,       wild_prod,  post,       post,         message, message,  make_list, hub_mood,
    send_to_guest, toolstack,  change_key, change_state, regrant, run_some, shortage,  time_goes_by,
};

static void connect(void)
{
	uint8_t how = byte(), shape = byte();
	struct net_plan plan = {.n_queues = how % 4,
				.split = how & 4,
				.ctrl = how & 8,
				.no_notify = how & 16,
				.plain = (how & 96) == 96,
				.no_gso = shape & 1,
				.no_csum4 = shape & 2,
				.multicast = shape & 4,
				.headroom = shape & 8 ? 256 : 0};

	net_world_attach(1, 0, NULL);
	net_guest_connect(&guest, 1, &plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script_begin(data, size);
	memset(sent, 0, sizeof(sent));
	net_world_begin();
	net_hub.records = false;
	net_world_start_back();
	connect();
	for (int n = 0; at < stop && n < 300; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		if (byte() & 1)
			mock_run();
	}
	mock_fail_after(-1);
	mock_enter(0);
	net_hub.keeps = false;
	net_hub_release(0);
	mock_run();
	net_guest_end(&guest);
	for (unsigned i = 0; i < SENT; i++) {
		if (sent[i].pages && !sent[i].done)
			abort();
		if (sent[i].pages)
			net_sent_free(&sent[i]);
	}
	if (!net_world_end())
		abort();
	return 0;
}
