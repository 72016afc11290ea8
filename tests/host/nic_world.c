/* nic_world.c: the world of a network card's driver under test; see nic_world.h.
 *
 * Segments begin in the middle of pages and cross them where they are long, as those of users do. Called by tests and
 * fuzzers; calls the driver through the interface it has registered.
 */
#include "nic_world.h"

#include <amphi/machine.h>
#include <amphi/pci.h>

#include <stdlib.h>
#include <string.h>

#include "mock_host.h"

struct nic_seen nic_seen;
struct net_device *nic_dev;
struct nic_world_irq nic_irqs[16];
unsigned nic_vectors, nic_delays;
bool nic_disabled;
void (*nic_on_delay)(void);

/* ---- frames ---- */

void nic_world_bytes(uint8_t *out, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)(seed + i + (i >> 8) * 13);
}

static void put16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

unsigned nic_world_headers(uint8_t *out, uint32_t frame_len, unsigned proto)
{
	unsigned ip_bytes = proto == 4 ? 20 : 40;
	uint8_t *ip = out + 14, *tcp = ip + ip_bytes;

	memset(out, 0, 14 + ip_bytes + 20);
	out[0] = 0x52;
	out[6] = 0x54;
	put16(out + 12, proto == 4 ? 0x0800 : 0x86dd);
	if (proto == 4) {
		ip[0] = 0x45;
		put16(ip + 2, frame_len - 14);
		ip[8] = 64;
		ip[9] = 6;
	} else {
		ip[0] = 0x60;
		put16(ip + 4, frame_len - 14 - 40);
		ip[6] = 6;
		ip[7] = 64;
	}
	put16(tcp, 1234);
	put16(tcp + 2, 80);
	tcp[12] = 0x50;
	return 14 + ip_bytes + 20;
}

static void on_done(struct net_frame *frame, int status)
{
	struct nic_frame *f = frame->ctx;

	f->done++;
	f->status = status;
}

/* Each segment in pages of its own, at an odd place; the last has what is left. */
struct nic_frame *nic_world_frame(uint32_t len, unsigned n_segments, unsigned seed)
{
	struct nic_frame *f = calloc(1, sizeof(*f));
	uint8_t *bytes = malloc(len);
	uint32_t each = len / n_segments, at = 0;

	nic_world_bytes(bytes, len, seed);
	for (unsigned i = 0; i < n_segments; i++) {
		uint32_t n = i + 1 < n_segments ? each : len - at;
		unsigned offset = 1 + i * 96 % 2048;
		char *pages = host_pages_alloc((n + offset) / PAGE_SIZE + 1);

		memcpy(pages + offset, bytes + at, n);
		f->frame.segments[i] = (struct net_segment){.va = pages + offset, .len_bytes = n};
		at += n;
	}
	free(bytes);
	f->frame.len_bytes = len;
	f->frame.n_segments = (uint16_t)n_segments;
	f->frame.holders = 1;
	f->frame.done = on_done;
	f->frame.ctx = f;
	return f;
}

struct nic_frame *nic_world_tcp(uint32_t len, unsigned proto, unsigned n_segments)
{
	struct nic_frame *f = nic_world_frame(len, n_segments, 0);

	(void)nic_world_headers(f->frame.segments[0].va, len, proto);
	f->frame.flags = NET_CSUM_BLANK;
	return f;
}

void nic_world_send(struct nic_frame *f)
{
	nic_dev->ops->send(nic_dev, &f->frame);
	nic_dev->ops->kick(nic_dev);
}

/* ---- the user ---- */

static void copy_out(const struct net_frame *frame)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < frame->n_segments; i++) {
		const struct net_segment *s = &frame->segments[i];

		HOST_ASSERT(at + s->len_bytes <= sizeof(nic_seen.bytes));
		memcpy(nic_seen.bytes + at, s->va, s->len_bytes);
		at += s->len_bytes;
	}
	HOST_ASSERT(at == frame->len_bytes && at >= NET_HEAD_BYTES);
	HOST_ASSERT(frame->n_segments <= NET_SEGMENTS_MAX);
	HOST_ASSERT(!frame->gso || (frame->flags & NET_CSUM_BLANK && frame->gso_size));
	nic_seen.len = at;
	nic_seen.n_segments = frame->n_segments;
	nic_seen.flags = frame->flags;
	nic_seen.gso = frame->gso;
	nic_seen.gso_size = frame->gso_size;
}

static void received(struct net_device *dev, struct net_frame *frame)
{
	nic_seen.frames++;
	copy_out(frame);
	if (nic_seen.echo)
		dev->ops->send(dev, frame); /* it is put when it is sent */
	else if (nic_seen.keep)
		nic_seen.kept[nic_seen.n_kept++ % 4096] = frame;
	else
		net_frame_put(frame, 0);
}

static void batch_end(struct net_device *dev)
{
	nic_seen.batches++;
	dev->ops->kick(dev);
}

void nic_world_put_kept(int status)
{
	while (nic_seen.n_kept)
		net_frame_put(nic_seen.kept[--nic_seen.n_kept], status);
}

static void changed(struct net_device *dev)
{
	nic_seen.changes++;
	nic_seen.gone += dev->gone;
	if (dev->gone)
		nic_world_put_kept(-XEN_EIO);
}

static const struct net_user_ops user_ops = {received, batch_end, changed};

void nic_world_attach(void)
{
	HOST_ASSERT(!host_net_attach(nic_dev, &user_ops, NULL));
}

static void on_device(void *ctx, struct net_device *dev)
{
	nic_seen.watched++;
	nic_dev = dev->gone ? NULL : dev;
}

void nic_world_begin(void)
{
	static struct host_net_watch watch = {.fn = on_device};
	static bool watching;

	mock_reset();
	memset(&nic_seen, 0, sizeof(nic_seen));
	memset(nic_irqs, 0, sizeof(nic_irqs));
	nic_disabled = false;
	nic_on_delay = NULL;
	nic_delays = 0;
	HOST_ASSERT(!host_net_next(NULL));
	if (!watching)
		host_net_watch(&watch);
	watching = true;
}

uint64_t nic_world_drops(enum net_drop why)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < NET_QUEUES_MAX; i++)
		n += nic_dev->stats[i].drops[why];
	return n;
}

/* ---- the machine ---- */

void machine_delay_us(unsigned us)
{
	nic_delays++;
	if (nic_on_delay)
		nic_on_delay();
}

void pci_enable(const struct pci_function *f) {}

void pci_disable(const struct pci_function *f)
{
	nic_disabled = true;
}

int pci_msix_find(const struct pci_function *f, struct pci_msix *out)
{
	out->entries = nic_vectors;
	return nic_vectors ? 0 : -XEN_ENODEV;
}

int pci_msix_bind(const struct pci_function *f, struct pci_msix *msix, unsigned entry,
		  void (*fn)(void *ctx), void *ctx)
{
	HOST_ASSERT(entry < nic_vectors);
	nic_irqs[entry] = (struct nic_world_irq){fn, ctx};
	return 0;
}

/* What a card was told of stays its own: that is no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
