/* net_plain_user.c: the guest's side of net_plain_back.h: who uses its interface, and frames to send.
 *
 * Called by tests and net_plain_back.c; calls the mock world as guest 1, and host_net.h. It checks what a driver promises of
 * frames that it gives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_plain_back.h"

struct nb_user nb_user;
static struct host_net_watch watch;

/* ---- the user --------------------------------------------------------------------------------- */

static void look_at(const struct net_frame *frame)
{
	uint32_t at = 0;

	if (!frame->n_segments || frame->n_segments > NET_SEGMENTS_MAX)
		mock_bug("a frame of %u segments", frame->n_segments);
	for (unsigned i = 0; i < frame->n_segments; i++) {
		const struct net_segment *s = &frame->segments[i];

		if (!s->va || !s->len_bytes || at + s->len_bytes > NET_FRAME_MAX)
			mock_bug("segment %u of %u bytes", i, s->len_bytes);
		memcpy(nb_user.data + at, s->va, s->len_bytes);
		at += s->len_bytes;
	}
	if (at != frame->len_bytes || at < NET_HEAD_BYTES)
		mock_bug("a frame of %u bytes has %u", frame->len_bytes, at);
	if (frame->n_segments > 1 && frame->segments[0].len_bytes < MIN(at, NET_PARSE_BYTES))
		mock_bug("headers of %u bytes", frame->segments[0].len_bytes);
	if (frame->gso && (!(frame->flags & NET_CSUM_BLANK) || !frame->gso_size))
		mock_bug("a large frame that cannot be cut");
	nb_user.len = at;
	nb_user.last = *frame;
}

static void on_received(struct net_device *dev, struct net_frame *frame)
{
	look_at(frame);
	nb_user.n_frames++;
	if (nb_user.holds && nb_user.n_held < ARRAY_SIZE(nb_user.held)) {
		nb_user.held[nb_user.n_held++] = frame;
		return;
	}
	if (nb_user.echoes)
		dev->ops->send(dev, frame); /* lent on: it is put by who sends it */
	else
		net_frame_put(frame, 0);
}

static void on_batch_end(struct net_device *dev)
{
	nb_user.n_batches++;
	dev->ops->kick(dev);
}

void nb_user_release(void)
{
	mock_enter(1);
	for (unsigned i = 0; i < nb_user.n_held; i++)
		net_frame_put(nb_user.held[i], 0);
	nb_user.n_held = 0;
}

static void on_changed(struct net_device *dev)
{
	nb_user.n_changes++;
	if (dev->gone)
		nb_user_release();
}

static const struct net_user_ops user_ops = {on_received, on_batch_end, on_changed};

static void on_device(void *ctx, struct net_device *dev)
{
	if (!dev->gone && !dev->user && !nb_user.away)
		host_net_attach(dev, &user_ops, NULL);
}

void nb_user_begin(void)
{
	memset(&nb_user, 0, sizeof(nb_user));
	watch = (struct host_net_watch){.fn = on_device};
	host_net_watch(&watch);
}

void nb_user_end(void)
{
	host_net_unwatch(&watch);
}

/* ---- frames of the guest's ------------------------------------------------------------------------ */

void nb_fill(uint8_t *p, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void on_done(struct net_frame *frame, int status)
{
	struct nb_frame *f = frame->ctx;

	if (f->n_done++)
		mock_bug("a frame was put twice");
	f->status = status;
}

static void add_segment(struct nb_frame *f, uint8_t *va, uint32_t len)
{
	nb_fill(va, len, f->frame.len_bytes * 31 + f->frame.n_segments);
	f->frame.segments[f->frame.n_segments++] = (struct net_segment){.va = va, .len_bytes = len};
	f->frame.len_bytes += len;
}

void nb_frame_make(struct nb_frame *f, uint32_t len, uint32_t head, unsigned n_parts,
		   unsigned shift)
{
	uint32_t rest = len - head, at;
	int faults = mock_fail_left();

	memset(f, 0, sizeof(*f));
	mock_enter(1);
	mock_fail_after(-1);
	f->n_pages = (unsigned)PAGES_FOR(rest + shift) + 1;
	f->pages = host_pages_alloc(f->n_pages);
	mock_fail_after(faults);
	f->frame.done = on_done;
	f->frame.ctx = f;
	f->frame.holders = 1;
	if (head)
		add_segment(f, f->pages + 100, head);
	at = (uint32_t)PAGE_SIZE + shift;
	for (unsigned i = 0; i < n_parts && rest; i++) {
		uint32_t n = i + 1 < n_parts ? len / n_parts : rest;

		n = MIN(n, rest);
		add_segment(f, f->pages + at, n);
		at += n;
		rest -= n;
	}
}

void nb_frame_free(struct nb_frame *f)
{
	mock_enter(1);
	if (f->pages)
		host_pages_free(f->pages, f->n_pages);
	f->pages = NULL;
}

void nb_frame_send(struct net_device *dev, struct nb_frame *f)
{
	mock_enter(1);
	dev->ops->send(dev, &f->frame);
	dev->ops->kick(dev);
	mock_run();
}

bool nb_same(const struct nb_frame *f, const void *data, uint32_t len)
{
	const uint8_t *at = data;

	if (len != f->frame.len_bytes)
		return false;
	for (unsigned i = 0; i < f->frame.n_segments; i++) {
		if (memcmp(at, f->frame.segments[i].va, f->frame.segments[i].len_bytes) != 0)
			return false;
		at += f->frame.segments[i].len_bytes;
	}
	return true;
}
