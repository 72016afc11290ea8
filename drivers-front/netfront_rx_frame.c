/* netfront_rx_frame.c: a packet that came in becomes a frame, and its pages come back when the user has done with it.
 *
 * What is short is copied out and its page lent again as it is, still granted. Of what is longer the pages are taken back
 * from the backend before anybody looks into them; or, when the backend has them mapped for good, the headers are copied out
 * and the rest may change under the user's hands, as net.h says. Called by netfront_rx.c; calls host_net.h. Every length is
 * checked by then; not here: what the headers say.
 */
#include <amphi/string.h>

#include "netfront_private.h"

static void drop(struct nf_queue *q, enum net_drop why)
{
	nf_stats(q)->drops[why]++;
}

/* ---- pages --------------------------------------------------------------------------------------- */

/* The page of a slot whose response is consumed. */
static struct nf_page *page_of(struct nf_queue *q, unsigned slot)
{
	struct nf_page *page = q->posted[slot];

	q->posted[slot] = NULL;
	return page;
}

/* A user has done with it: to its queue, when that is of the same connection still. */
static void page_back(struct nf_device *dev, struct nf_page *page)
{
	struct nf_queue *q;

	if (page->life != dev->life || !dev->n_queues) {
		nf_page_end(page);
		return;
	}
	q = &dev->queues[page->queue];
	nf_pages_put(page->granted ? &q->ready : &q->free, page);
	if (q->hungry)
		host_work_soon(&q->again);
}

static void pages_back(struct nf_rx_frame *f)
{
	while (f->n_pages)
		page_back(f->dev, f->pages[--f->n_pages]);
}

/* ---- frames -------------------------------------------------------------------------------------- */

static void frame_done(struct net_frame *frame, int status)
{
	struct nf_rx_frame *f = container_of(frame, struct nf_rx_frame, frame);
	struct nf_device *dev = f->dev;

	(void)status;
	pages_back(f);
	f->next = dev->frames;
	dev->frames = f;
	dev->n_frames_free++;
}

static struct nf_rx_frame *frame_new(struct nf_device *dev)
{
	struct nf_rx_frame *f = dev->frames;

	if (f) {
		dev->frames = f->next;
		dev->n_frames_free--;
		return f;
	}
	if (dev->n_frames == NF_FRAMES_MAX)
		return NULL;
	f = host_alloc(sizeof(*f));
	if (!f)
		return NULL;
	dev->n_frames++;
	f->dev = dev;
	f->frame.done = frame_done;
	return f;
}

void nf_rx_frames_free(struct nf_device *dev)
{
	HOST_ASSERT(dev->n_frames == dev->n_frames_free);
	while (dev->frames) {
		struct nf_rx_frame *f = dev->frames;

		dev->frames = f->next;
		host_free(f, sizeof(*f));
	}
	dev->n_frames = dev->n_frames_free = 0;
}

/* ---- memory -------------------------------------------------------------------------------------- */

/* Not all are private: then what a packet's first bytes say must not change after somebody has looked. */
static void pull_head(struct net_frame *frame, uint8_t *head)
{
	uint32_t left = MIN(frame->len_bytes, NF_COPY_BYTES), at = 0;
	unsigned i = 0, n = frame->n_segments;

	while (at < left) {
		struct net_segment *seg = &frame->segments[i];
		uint32_t take = MIN(left - at, seg->len_bytes);

		peer_copy_in(head + at, seg->va, take);
		at += take;
		seg->va = (uint8_t *)seg->va + take;
		seg->len_bytes -= take;
		i += seg->len_bytes == 0;
	}
	memmove(&frame->segments[1], &frame->segments[i], (n - i) * sizeof(frame->segments[0]));
	frame->segments[0] = (struct net_segment){.va = head, .len_bytes = left};
	frame->n_segments = (uint16_t)(n - i + 1);
}

/* Pages stay as they are, granted, to be lent again. */
static void lend_again(struct nf_queue *q, const struct nf_packet *p)
{
	for (unsigned i = 0; i < p->n_data; i++)
		nf_pages_put(&q->ready, page_of(q, p->data[i].slot));
}

static void copy_small(struct nf_queue *q, const struct nf_packet *p, struct nf_rx_frame *f)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < p->n_data; i++) {
		/* Once, and only from here on looked at. */
		peer_copy_in(f->head + at, q->posted[p->data[i].slot]->va + p->data[i].offset,
			     p->data[i].len_bytes);
		at += p->data[i].len_bytes;
	}
	f->frame.segments[0] = (struct net_segment){.va = f->head, .len_bytes = at};
	f->frame.n_segments = 1;
	lend_again(q, p);
	q->dev->stats.copied_in++;
}

/* False: the backend has a page mapped that it gave back. The frame keeps the others, to be put back. */
static bool take_pages(struct nf_queue *q, const struct nf_packet *p, struct nf_rx_frame *f)
{
	bool all = true, private = p->n_data == 1 || p->data[0].len_bytes >= NF_COPY_BYTES;

	for (unsigned i = 0; i < p->n_data; i++) {
		struct nf_page *page = page_of(q, p->data[i].slot);

		private &= !page->staged;
		if (!page->staged && !nf_page_take(page)) {
			q->n_rx_pages--;
			nf_page_end(page);
			all = false;
			continue;
		}
		f->pages[f->n_pages++] = page;
		f->frame.segments[i] = (struct net_segment){.va = page->va + p->data[i].offset,
							    .len_bytes = p->data[i].len_bytes};
	}
	f->frame.n_segments = (uint16_t)p->n_data;
	if (all && !private)
		pull_head(&f->frame, f->head);
	return all;
}

/* ---- what it is ---------------------------------------------------------------------------------- */

/* Of old backends: which kind is in the packet. */
static uint8_t prefix_kind(const struct net_frame *frame)
{
	const uint8_t *head = frame->segments[0].va;

	return head[12] == 0x86 && head[13] == 0xdd ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
}

static void describe(struct nf_queue *q, const struct nf_packet *p, struct nf_rx_frame *f)
{
	struct net_frame *frame = &f->frame;

	frame->next = NULL;
	frame->len_bytes = p->len_bytes;
	frame->flags = netif_rx_frame_flags(p->flags);
	frame->gso = p->extras.gso;
	frame->gso_size = p->prefix_gso ? p->prefix_gso : p->extras.gso_size;
	frame->hash = q->dev->stats.hashed ? p->extras.hash : 0;
	frame->holders = 1;
	frame->status = 0;
}

/* NET_DROP_REASONS: it may come in. A large packet is one whose checksum is left to who cuts it (net.h). */
static enum net_drop refusal(const struct nf_queue *q, const struct nf_packet *p)
{
	bool gso = p->extras.gso || p->prefix_gso;

	if (p->refused)
		return NET_DROP_device;
	if (p->len_bytes < NET_HEAD_BYTES || (gso && !(p->flags & NETRXF_csum_blank)) ||
	    p->extras.seen &
		(1u << XEN_NETIF_EXTRA_TYPE_MCAST_ADD | 1u << XEN_NETIF_EXTRA_TYPE_MCAST_DEL))
		return NET_DROP_malformed;
	if (p->len_bytes > (gso ? NET_FRAME_MAX : q->dev->net.mtu + NET_HEAD_BYTES + NF_TAG_BYTES))
		return NET_DROP_too_long;
	return NET_DROP_REASONS;
}

static void count(struct nf_queue *q, const struct net_frame *frame, unsigned n_data)
{
	struct net_stats *stats = nf_stats(q);

	stats->frames_in++;
	stats->bytes_in += frame->len_bytes;
	q->dev->stats.gso_in += frame->gso != NET_GSO_NONE;
	q->dev->stats.merged_in += n_data > 1;
}

static void deliver(struct nf_queue *q, const struct nf_packet *p, struct nf_rx_frame *f)
{
	bool whole = true;

	describe(q, p, f);
	if (p->len_bytes <= NF_COPY_BYTES)
		copy_small(q, p, f);
	else
		whole = take_pages(q, p, f);
	if (!whole) {
		frame_done(&f->frame, 0);
		nf_broken(q->dev, "has a page mapped that it has answered");
		return;
	}
	if (p->prefix_gso)
		f->frame.gso = prefix_kind(&f->frame);
	count(q, &f->frame, p->n_data);
	host_net_receive(&q->dev->net, &f->frame);
}

void nf_rx_deliver(struct nf_queue *q, const struct nf_packet *p)
{
	enum net_drop why = refusal(q, p);
	struct nf_rx_frame *f = why == NET_DROP_REASONS ? frame_new(q->dev) : NULL;

	for (unsigned i = 0; i < p->n_extra_slots; i++)
		nf_pages_put(&q->ready, page_of(q, p->extra_slots[i]));
	if (f) {
		deliver(q, p, f);
		return;
	}
	lend_again(q, p);
	drop(q, why == NET_DROP_REASONS ? NET_DROP_no_memory : why);
}
