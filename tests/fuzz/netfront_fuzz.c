/* netfront_fuzz: a backend that is nothing but fuzz, against netfront and its user.
 *
 * The input chooses what is offered (queues, ports, offloads, control ring, trust) and is then a script: bytes written into the
 * rings' pages, packets good and wild, answers good and wild, states and keys of the store, pages mapped and kept, frames of every
 * shape made meanwhile, groups, the hash, other backends in its place, new worlds. Expected: no bad access, each frame put once, and
 * when the interface is gone and the backend has let go nothing is left.
 *
 * links: tests/host/net_plain_*.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/netif_*.c
 * links: protocol/net_parse.c protocol/net_hash.c drivers-front/netfront*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "tests/host/net_plain_back.h"

#define FRAMES 24u

static struct input in;
static struct nb_frame frames[FRAMES];
static struct host_grant_map kept[8];
static unsigned n_kept;

static uint8_t byte(void)
{
	return (uint8_t)take(&in, 1);
}

/* ---- frames --------------------------------------------------------------------------------------- */

static void make_frame(void)
{
	struct net_device *dev = host_net_find("eth0");
	struct nb_frame *f = &frames[byte() % FRAMES];
	uint32_t len = 14 + byte() * (byte() & 1 ? 256u : 1u);
	uint8_t shape = byte();

	if (!dev || (f->pages && !f->n_done))
		return;
	nb_frame_free(f);
	nb_frame_make(f, len, shape & 1 ? 14 : 0, 1 + shape % 7, shape * 16);
	if (shape & 64) {
		f->frame.flags = NET_CSUM_BLANK;
		f->frame.gso = NET_GSO_TCPV4;
		f->frame.gso_size = 1 + shape;
	}
	mock_enter(1);
	dev->ops->send(dev, &f->frame);
	if (shape & 128)
		dev->ops->kick(dev);
}

static void change_group(void)
{
	struct net_device *dev = host_net_find("eth0");
	uint8_t mac[NET_MAC_BYTES] = {1, 0, 0, 0, 0, byte()};

	if (!dev)
		return;
	mock_enter(1);
	dev->ops->multicast(dev, mac, byte() & 1);
	dev->ops->promiscuous(dev, byte() == 1);
}

static void change_connection(void)
{
	uint8_t what = byte();

	mock_enter(1);
	if (what & 1)
		(void)netfront_hash("eth0", what & 2);
	else
		(void)netfront_staging("eth0", what & 2);
}

static void user_does(void)
{
	uint8_t what = byte();

	nb_user.holds = what & 1;
	nb_user.echoes = what & 2;
	if (what & 4)
		nb_user_release();
}

/* ---- rings ---------------------------------------------------------------------------------------- */

static struct nb_queue *any_queue(void)
{
	unsigned n = byte();

	return nb.n_queues ? &nb.q[n % nb.n_queues] : NULL;
}

static void poke(void)
{
	struct nb_queue *q = any_queue();
	unsigned which = byte(), offset = byte() | byte() << 8, n = byte() % 64;
	uint8_t *page;

	if (!q)
		return;
	page = (uint8_t *)(which % 3 == 0   ? q->tx.shared
			   : which % 3 == 1 ? q->rx.shared
					    : nb.ctrl.shared);
	for (; page && n && offset < PAGE_SIZE; n--, offset++)
		page[offset] = byte();
}

/* Whether the next n slots name pages that nobody has written over. */
static bool lent(const struct nb_queue *q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct host_grant_map map = {.owner = 1};
		struct netif_rx_request req;

		memcpy(&req, (const void *)ring_slot(&q->rx, q->rx.out + i), sizeof(req));
		map.ref.v = req.gref;
		if (req.id != (q->rx.out + i) % NETIF_RING_SLOTS || host_grants_map(&map, 1) ||
		    map.status != GNTST_okay)
			return false;
		host_grants_unmap(&map, 1);
	}
	return true;
}

static void good_packet(void)
{
	static uint8_t data[NET_FRAME_MAX];
	struct nb_send how = {.queue = byte(), .flags = byte() & 3, .offset = byte()};
	uint32_t len = 1 + byte() * (byte() & 1 ? 256u : 1u);
	struct nb_queue *q;
	uint32_t waiting;

	if (!nb.n_queues)
		return;
	how.queue %= nb.n_queues;
	q = &nb.q[how.queue];
	/* Only where what the other half says can be taken. */
	waiting = q->rx.shared->req_prod - q->rx.out;
	if (waiting == 0 || waiting > NETIF_RING_SLOTS || len > 30000 ||
	    strcmp(nb_front("state"), "4"))
		return;
	how.extras.seen = byte() & 0x12;
	how.extras.gso = NET_GSO_TCPV4;
	how.extras.gso_size = 1 + byte();
	how.first = byte();
	mock_enter(0);
	mock_fail_after(-1);
	if (lent(q, MIN(waiting, 14u)))
		nb_send(data, len, &how);
}

static void wild_packet(void)
{
	struct nb_queue *q = any_queue();
	unsigned n = byte() % 30;

	if (!q)
		return;
	while (n--)
		nb_raw((unsigned)(q - nb.q), byte(), byte() | byte() << 8, byte(),
		       (int16_t)(byte() | byte() << 8));
	nb_push((unsigned)(q - nb.q));
}

static void wild_answer(void)
{
	struct nb_queue *q = any_queue();
	struct netif_tx_response rsp = {byte(), (int8_t)byte()};

	if (!q)
		return;
	memcpy((void *)ring_slot(&q->tx, q->tx.out++), &rsp, sizeof(rsp));
	mock_enter(0);
	ring_back_push(&q->tx);
	host_event_notify(q->port_tx);
}

static void wild_control(void)
{
	struct xen_netif_ctrl_request req = {.id = byte(), .type = byte() % 12};

	if (nb.ctrl.shared)
		nb_ctrl_answer(&req, byte() % 4, byte() * 8u);
}

static void keep_page(void)
{
	struct nb_queue *q = any_queue();
	struct host_grant_map map = {.owner = 1};
	struct netif_rx_request req;

	if (!q || n_kept == ARRAY_SIZE(kept))
		return;
	memcpy(&req, (const void *)ring_slot(&q->rx, byte()), sizeof(req));
	map.ref.v = req.gref;
	mock_enter(0);
	if (!host_grants_map(&map, 1) && map.status == GNTST_okay)
		kept[n_kept++] = map;
}

/* ---- the store, time, worlds ------------------------------------------------------------------------ */

static void change_state(void)
{
	nb_put_back("state", (char[]){(char)('0' + byte() % 10), '\0'});
}

static void change_key(void)
{
	static const char *const keys[] = {
	    "carrier",           "feature-sg",
	    "feature-rx-copy",   "multi-queue-max-queues",
	    "feature-ctrl-ring", "feature-dynamic-multicast-control"};
	const char *key = keys[byte() % ARRAY_SIZE(keys)];

	nb_put_back(key, (char[]){(char)byte(), (char)byte(), '\0'});
}

static void choose_offer(void)
{
	uint8_t a = byte(), b = byte();

	nb.queues = a % 5;
	nb.split = a & 8;
	nb.no_sg = (a & 0x30) == 0x30;
	nb.csum6 = nb.gso4 = nb.gso6 = a & 64;
	nb.control = a & 128;
	nb.multicast = b & 1;
	nb.dynamic = b & 2;
	nb.staging = b & 4 ? 400 : 0;
	nb.hash_map = b & 8 ? 128 : 0;
	nb.mute = b & 16;
	nb.hash_fail = b >> 5;
}

static void connect_if_asked(void)
{
	int left = mock_fail_left();

	mock_fail_after(-1); /* it is the frontend that shall lack something */
	if (!nb.n_queues)
		(void)nb_try();
	mock_fail_after(left);
}

static void let_go(void)
{
	mock_enter(0);
	if (n_kept)
		host_grants_unmap(kept, n_kept);
	n_kept = 0;
	nb_drop();
}

static void other_backend(void)
{
	let_go();
	nb_put_back("state", "6");
	mock_run();
	choose_offer();
	nb_offer();
	connect_if_asked();
}

static void new_world(void)
{
	let_go();
	mock_new_world(1);
	mock_enter(1);
	netfront_drop();
	netfront_resume();
	mock_run();
	connect_if_asked();
}

static void time_goes(void)
{
	mock_advance(byte() * 100000000ull);
}

static void shortage(void)
{
	mock_fail_after(byte());
}

static void (*const steps[])(void) = {
    make_frame,  make_frame,        poke,          good_packet,  good_packet, wild_packet,
    wild_answer, wild_control,      keep_page,     change_state, change_key,  change_group,
    user_does,   change_connection, other_backend, new_world,    time_goes,   shortage};

static void begin(void)
{
	static const struct netfront_limits limits = {
	    .queues = 4, .rx_pages = 40, .tx_pages = 20, .staging = true};

	nb_reset();
	memset(frames, 0, sizeof(frames));
	n_kept = 0;
	nb.passive = true;
	netfront_limit(&limits);
	choose_offer();
	nb_attach();
	nb_put_front("trusted", byte() & 1 ? "0" : "1");
	mock_enter(1);
	netfront_init();
	mock_run();
	nb_offer();
	connect_if_asked();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in = (struct input){data, data + size};
	begin();
	for (int n = 0; in.at < in.end && n < 200; n++) {
		steps[byte() % ARRAY_SIZE(steps)]();
		if (byte() & 1)
			mock_run();
	}
	mock_fail_after(-1);
	let_go();
	nb_detach();
	for (unsigned i = 0; i < FRAMES; i++) {
		if (frames[i].pages && !frames[i].n_done)
			abort();
		nb_frame_free(&frames[i]);
	}
	if (!nb_end())
		abort();
	return 0;
}
