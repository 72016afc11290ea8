/* net_world.c: the toolstack's part and the wire's around netfront and netback.
 *
 * Keys and their order are those that libxl writes for a vif (they are what both halves meet on real Xen). Called by
 * the network tests and fuzzers; calls the mock world, the registry and netback.
 */
#include <stdio.h>
#include <string.h>

#include "net_world.h"

struct net_hub net_hub;
static struct host_net_watch hub_watch;

/* ---- the hub ---- */

static const struct net_user_ops hub_ops;

static void fetch(const struct net_frame *frame, const struct net_segment *s, uint8_t *to)
{
	struct gnttab_copy op = {.flags = GNTCOPY_source_gref, .len = (uint16_t)s->len_bytes};
	static uint8_t *page;

	if (s->va) {
		memcpy(to, s->va, s->len_bytes);
		return;
	}
	page = host_pages_alloc(1);
	op.source.u.ref = s->ref.v;
	op.source.domid = frame->owner;
	op.source.offset = s->offset;
	op.dest.u.gmfn = host_virt_to_maddr(page).v >> PAGE_SHIFT;
	op.dest.domid = DOMID_SELF;
	host_grants_copy(&op, 1);
	if (op.status == GNTST_okay)
		memcpy(to, page, s->len_bytes);
	host_pages_free(page, 1);
}

static void record(struct net_device *dev, const struct net_frame *frame)
{
	uint32_t at = 0;

	net_hub.last = (struct net_seen){.dev = dev,
					 .len = frame->len_bytes,
					 .flags = frame->flags,
					 .gso = frame->gso,
					 .gso_size = frame->gso_size,
					 .hash = frame->hash,
					 .n_segments = frame->n_segments};
	for (unsigned i = 0; i < frame->n_segments; at += frame->segments[i++].len_bytes)
		fetch(frame, &frame->segments[i], net_hub.last.data + at);
	if (at != frame->len_bytes)
		mock_bug("segments of %u bytes, a frame of %u", at, frame->len_bytes);
}

static void check(const struct net_frame *frame)
{
	uint32_t sum = 0;

	if (frame->n_segments == 0 || frame->n_segments > NET_SEGMENTS_MAX ||
	    frame->len_bytes < NET_HEAD_BYTES || !frame->segments[0].va)
		mock_bug("a frame that is none");
	for (unsigned i = 0; i < frame->n_segments; i++) {
		const struct net_segment *s = &frame->segments[i];

		if (s->len_bytes == 0 || (!s->va && s->offset + s->len_bytes > PAGE_SIZE))
			mock_bug("segment %u of %u bytes at %u", i, s->len_bytes, s->offset);
		sum += s->len_bytes;
	}
	if (sum != frame->len_bytes)
		mock_bug("a frame of %u bytes has %u", frame->len_bytes, sum);
}

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	check(frame);
	net_hub.n_frames++;
	if (net_hub.records)
		record(dev, frame);
	if (net_hub.keeps && net_hub.n_held < NET_SEEN) {
		net_hub.held[net_hub.n_held++] = frame;
		return;
	}
	for (struct net_device *to = host_net_next(NULL); to && net_hub.forwards;
	     to = host_net_next(to)) {
		if (to == dev || to->user != &hub_ops)
			continue;
		net_frame_hold(frame);
		to->ops->send(to, frame);
	}
	net_frame_put(frame, 0);
}

static void on_batch_end(struct net_device *dev)
{
	net_hub.n_batches++;
	for (struct net_device *to = host_net_next(NULL); to && net_hub.forwards;
	     to = host_net_next(to))
		if (to != dev && to->user == &hub_ops)
			to->ops->kick(to);
}

void net_hub_release(int status)
{
	unsigned n = net_hub.n_held;

	net_hub.n_held = 0;
	for (unsigned i = 0; i < n; i++)
		net_frame_put(net_hub.held[i], status);
}

static void on_changed(struct net_device *dev)
{
	if (dev->gone && !net_hub.stubborn)
		net_hub_release(-XEN_ENODEV);
}

static const struct net_user_ops hub_ops = {on_received, on_batch_end, on_changed};

static void on_device(void *ctx, struct net_device *dev)
{
	(void)ctx;
	if (!dev->gone && !dev->user && mock_current() == 0)
		host_net_attach(dev, &hub_ops, NULL);
}

/* ---- begin, end ---- */

void net_world_begin(void)
{
	mock_reset();
	memset(&net_hub, 0, sizeof(net_hub));
	net_hub.records = true;
	hub_watch = (struct host_net_watch){.fn = on_device};
	host_net_watch(&hub_watch);
}

bool net_world_end(void)
{
	bool clean = true;

	mock_enter(0);
	netback_exit();
	mock_run();
	host_net_unwatch(&hub_watch);
	for (int i = 0; i < 3; i++)
		mock_advance(2000000000ull); /* retired grants */
	for (domid_t d = 0; d < MOCK_DOMAINS; d++)
		clean &= mock_nothing_left(d);
	mock_enter(0);
	return clean && !host_net_next(NULL);
}

void net_world_start_back(void)
{
	mock_enter(0);
	netback_init();
	mock_run();
}

/* ---- nodes ---- */

const char *net_world_front(domid_t guest, unsigned handle, const char *key)
{
	return mock_store_key(mock_front_dir("vif", guest, handle), key);
}

const char *net_world_back(domid_t guest, unsigned handle, const char *key)
{
	return mock_store_key(mock_back_dir("vif", guest, handle), key);
}

void net_world_put_front(domid_t guest, unsigned handle, const char *key, const char *value)
{
	mock_store_put_key(mock_front_dir("vif", guest, handle), key, value);
}

void net_world_put_back(domid_t guest, unsigned handle, const char *key, const char *value)
{
	mock_store_put_key(mock_back_dir("vif", guest, handle), key, value);
}

const uint8_t *net_world_mac(domid_t guest, unsigned handle)
{
	static uint8_t mac[NET_MAC_BYTES];

	memcpy(mac, (uint8_t[]){0x00, 0x16, 0x3e, 0x00, (uint8_t)guest, (uint8_t)handle}, 6);
	return mac;
}

static void put_common(domid_t guest, unsigned handle)
{
	char text[24];
	const char *f = mock_front_dir("vif", guest, handle),
		   *b = mock_back_dir("vif", guest, handle);

	snprintf(text, sizeof(text), "00:16:3e:00:%02x:%02x", guest, handle);
	mock_store_put_key(b, "mac", text);
	mock_store_put_key(f, "mac", text);
	snprintf(text, sizeof(text), "%u", handle);
	mock_store_put_key(b, "handle", text);
	mock_store_put_key(f, "handle", text);
	snprintf(text, sizeof(text), "%u", guest);
	mock_store_put_key(b, "frontend-id", text);
	mock_store_put_key(f, "backend-id", "0");
}

void net_world_attach(domid_t guest, unsigned handle, const char *const *more)
{
	const char *f = mock_front_dir("vif", guest, handle),
		   *b = mock_back_dir("vif", guest, handle);

	mock_store_put_key(b, "frontend", f);
	mock_store_put_key(b, "online", "1");
	mock_store_put_key(b, "bridge", "xenbr0");
	mock_store_put_key(b, "hotplug-status", "");
	mock_store_put_key(b, "type", "vif");
	put_common(guest, handle);
	for (; more && *more; more++) {
		char key[64];
		size_t n = strcspn(*more, "=");

		snprintf(key, sizeof(key), "%.*s", (int)n, *more);
		mock_store_put_key(b, key, *more + n + 1);
	}
	mock_store_put_key(f, "backend", b);
	mock_store_put_key(f, "state", "1");
	mock_store_put_key(b, "state", "1");
	mock_run();
}

void net_world_detach_begin(domid_t guest, unsigned handle)
{
	net_world_put_back(guest, handle, "online", "0");
	net_world_put_back(guest, handle, "state", "5");
	mock_run();
}

void net_world_detach_end(domid_t guest, unsigned handle)
{
	mock_store_remove(mock_front_dir("vif", guest, handle));
	mock_run();
}

/* ---- frames from domain 0 ---- */

static void on_done(struct net_frame *frame, int status)
{
	struct net_sent *sent = frame->ctx;

	if (sent->done)
		mock_bug("a frame was put twice");
	sent->done = true;
	sent->status = status;
}

void net_world_send(struct net_device *dev, struct net_sent *sent, const void *data, uint32_t len)
{
	net_world_send_in(0, dev, sent, data, len);
}

void net_world_send_in(domid_t domain, struct net_device *dev, struct net_sent *sent,
		       const void *data, uint32_t len)
{
	mock_enter(domain);
	sent->domain = domain;
	sent->n_pages = (unsigned)PAGES_FOR(len);
	sent->pages = host_pages_alloc(sent->n_pages);
	memcpy(sent->pages, data, len);
	sent->done = false;
	sent->frame.len_bytes = len;
	sent->frame.n_segments = 1;
	sent->frame.segments[0] = (struct net_segment){.va = sent->pages, .len_bytes = len};
	sent->frame.done = on_done;
	sent->frame.ctx = sent;
	sent->frame.holders = 1;
	sent->frame.status = 0;
	dev->ops->send(dev, &sent->frame);
}

void net_world_kick(struct net_device *dev)
{
	mock_enter(0);
	dev->ops->kick(dev);
	mock_run();
}

void net_sent_free(struct net_sent *sent)
{
	mock_enter(sent->domain);
	host_pages_free(sent->pages, sent->n_pages);
}

/* ---- looking ---- */

static void take_first(const struct netback_info *info, void *ctx)
{
	struct netback_info *out = ctx;

	if (!out->dev)
		*out = *info;
}

struct netback_info net_world_info(void)
{
	struct netback_info info = {0};

	mock_enter(0);
	netback_for_each(take_first, &info);
	return info;
}

struct net_device *net_world_device(domid_t guest, unsigned handle)
{
	char name[16];

	snprintf(name, sizeof(name), "vif%u.%u", guest, handle);
	return host_net_find(name);
}

/* ---- frames ---- */

static void put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static uint32_t put_ipv4(uint8_t *ip, uint32_t len, const struct net_recipe *r)
{
	ip[0] = 0x45;
	put16(ip + 2, len);
	put16(ip + 6, r->fragment ? 0x2000 : 0);
	ip[8] = 64;
	ip[9] = r->udp ? 17 : 6;
	memcpy(ip + 12, r->source, 4);
	memcpy(ip + 16, r->dest, 4);
	return 20;
}

static uint32_t put_ipv6(uint8_t *ip, uint32_t len, const struct net_recipe *r)
{
	ip[0] = 0x60;
	put16(ip + 4, len - 40);
	ip[6] = r->udp ? 17 : 6;
	ip[7] = 64;
	memcpy(ip + 8, r->source, 16);
	memcpy(ip + 24, r->dest, 16);
	return 40;
}

uint32_t net_world_frame(uint8_t *out, uint32_t len, const struct net_recipe *r)
{
	static const uint8_t nobody[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 9};
	uint32_t at = NET_HEAD_BYTES, l4 = r->udp ? 8 : 20;

	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	memset(out, 0, MIN(len, 80u));
	memcpy(out, r->to ? r->to : nobody, NET_MAC_BYTES);
	memcpy(out + 6, r->from ? r->from : nobody, NET_MAC_BYTES);
	put16(out + 12, r->ipv6 ? 0x86dd : 0x0800);
	at += r->ipv6 ? put_ipv6(out + at, len - at, r) : put_ipv4(out + at, len - at, r);
	put16(out + at, r->sport);
	put16(out + at + 2, r->dport);
	if (r->udp)
		put16(out + at + 4, len - at);
	else
		out[at + 12] = 0x50;
	return at + l4;
}
