/* netback_slots.c: frames for a guest are copied into the pages of its rx requests.
 *
 * Caller: netback_rx.c, with frames for which there are slots. A batch of them is planned (which stretch of which segment
 * goes to which page), copied by as few hypercalls as hold it, and only then answered: a response takes its request's
 * place, and Linux's netfront wants it in that very slot. A stretch in another guest's page goes from there to here by
 * one copy with a grant on both sides; this domain never sees it. Where both pages are mapped here, it copies itself.
 *
 * A first slot, the extra infos, the other slots (xen/io/netif.h, "Guest receive"). Their sizes are free: when each segment
 * can have a slot of its own no stretch is cut in two, which is half the copies of a packed frame.
 */
#include <amphi/string.h>

#include "netback_private.h"

#define SLOTS  256u /* of a batch; a frame has at most NET_SEGMENTS_MAX and three extra infos */
#define FRAMES 256u /* the rx ring has slots for no more */

/* A response, or an extra info in its place. */
union rx_slot {
	struct netif_rx_response rsp;
	struct netif_extra_info extra;
	uint64_t word;
};

/* The batch that is being planned, of one queue. */
static struct {
	bool busy; /* frames are being put: what comes of that must not plan */
	struct gnttab_copy ops[HOST_COPY_BATCH];
	uint8_t op_slot[HOST_COPY_BATCH]; /* below SLOTS */
	unsigned n_ops;
	union rx_slot slots[SLOTS];
	uint8_t slot_frame[SLOTS];
	unsigned n_slots;
	struct net_frame *frames[FRAMES];
	int status[FRAMES];
	unsigned n_frames;
} work;

/* The frame that is being planned. */
struct plan {
	struct vif_queue *q;
	const struct net_frame *frame;
	const struct vif_waiting *waiting;
	bool by_segment;
	unsigned slot; /* in work.slots */
	gref_t ref;    /* its page */
	uint8_t *page; /* where that is kept mapped; NULL: nowhere */
	uint32_t room; /* in its page */
	uint32_t left; /* of the frame, not in a slot yet */
};

bool vif_slots_busy(void)
{
	return work.busy;
}

/* ---- how many ---------------------------------------------------------------------------- */

static unsigned extras_of(const struct vif *vif, const struct net_frame *frame, bool hashed)
{
	return (frame->gso != NET_GSO_NONE) + hashed + (vif->headroom != 0);
}

static unsigned packed_slots(const struct vif *vif, const struct net_frame *frame)
{
	return DIV_ROUND_UP(frame->len_bytes, (uint32_t)PAGE_SIZE - vif->headroom);
}

/* Pays from three segments on, and may cost one slot more. */
static bool fits_by_segment(const struct vif *vif, const struct net_frame *frame)
{
	unsigned n = frame->n_segments;

	if (n < 3 || n > packed_slots(vif, frame) + 1 || n > NETIF_SLOTS_MAX + 1 ||
	    frame->segments[0].len_bytes > VIF_SHORT_SLOT)
		return false;
	for (unsigned i = 1; i < n; i++)
		if (frame->segments[i].len_bytes > PAGE_SIZE - vif->headroom)
			return false;
	return true;
}

unsigned vif_slots_of(const struct vif *vif, const struct net_frame *frame, bool hashed)
{
	unsigned data;

	if (frame->len_bytes <= PAGE_SIZE - VIF_HEADROOM_MAX)
		data = 1;
	else
		data = fits_by_segment(vif, frame) ? frame->n_segments : packed_slots(vif, frame);
	return data + extras_of(vif, frame, hashed);
}

/* ---- copies ------------------------------------------------------------------------------- */

static void mark_failed(unsigned slot)
{
	work.slots[slot].rsp.status = NETIF_RSP_ERROR;
	work.status[work.slot_frame[slot]] = -XEN_EFAULT;
}

/* What failed may be either side's grant: the receiver is told that its slot holds nothing, the sender that its
 * slots were in vain. */
static void run_ops(struct vif *vif)
{
	if (!work.n_ops)
		return;
	vif->stats.copied += work.n_ops;
	vif->stats.copy_calls++;
	(void)host_grants_copy(work.ops, work.n_ops);
	for (unsigned i = 0; i < work.n_ops; i++)
		if (work.ops[i].status != GNTST_okay)
			mark_failed(work.op_slot[i]);
	work.n_ops = 0;
}

/* Memory of ours may cross pages, and a copy may not. How much of want may go at once. */
static uint32_t set_source(struct gnttab_copy *op, const struct net_frame *frame,
			   const struct net_segment *s, uint32_t at, uint32_t want)
{
	maddr_t from;

	op->flags = GNTCOPY_dest_gref;
	if (s->ref.v) {
		op->flags |= GNTCOPY_source_gref;
		op->source.u.ref = s->ref.v;
		op->source.domid = frame->owner;
		op->source.offset = (uint16_t)(s->offset + at);
		return want;
	}
	from = host_virt_to_maddr((uint8_t *)s->va + at);
	op->source.u.gmfn = maddr_to_mfn(from).v;
	op->source.domid = DOMID_SELF;
	op->source.offset = (uint16_t)(from.v % PAGE_SIZE);
	return MIN(want, (uint32_t)(PAGE_SIZE - op->source.offset));
}

static uint32_t copy_piece(struct plan *p, const struct net_segment *s, uint32_t at, uint32_t want)
{
	struct gnttab_copy *op;
	uint32_t len;

	if (p->page && s->va) {
		peer_copy_out(p->page + (PAGE_SIZE - p->room), (uint8_t *)s->va + at, want);
		p->q->vif->stats.unmapped_copies++;
		return want;
	}
	if (work.n_ops == HOST_COPY_BATCH)
		run_ops(p->q->vif);
	op = &work.ops[work.n_ops];
	len = set_source(op, p->frame, s, at, want);
	op->dest.u.ref = p->ref.v;
	op->dest.domid = p->q->vif->bus.peer;
	op->dest.offset = (uint16_t)(PAGE_SIZE - p->room);
	op->len = (uint16_t)len;
	op->status = GNTST_general_error;
	work.op_slot[work.n_ops++] = (uint8_t)p->slot;
	return len;
}

/* ---- slots -------------------------------------------------------------------------------- */

/* Takes the next request off the ring, whose place the response will have. Its id and page. */
static uint16_t next_slot(struct plan *p, gref_t *out_ref)
{
	struct ring *rx = &p->q->rx;
	uint64_t req = peer_fetch64(ring_slot(rx, rx->in++));

	p->slot = work.n_slots++;
	work.slots[p->slot].word = 0;
	work.slot_frame[p->slot] = (uint8_t)work.n_frames;
	out_ref->v = (uint32_t)(req >> 32);
	return (uint16_t)req;
}

/* One that the guest lets us only read is not for what it receives: the copy by its grant will say so. */
static uint8_t *staged_page(const struct vif_queue *q, gref_t ref)
{
	const struct vif_staged *e = vif_staged_find(q, ref.v);

	return e && !e->readonly ? e->page : NULL;
}

static void data_slot(struct plan *p)
{
	uint16_t id = next_slot(p, &p->ref);

	p->page = p->q->n_staged ? staged_page(p->q, p->ref) : NULL;
	p->room = (uint32_t)PAGE_SIZE - p->q->vif->headroom;
	work.slots[p->slot].rsp =
	    (struct netif_rx_response){.id = id, .offset = p->q->vif->headroom};
}

static void put_extras(struct plan *p)
{
	const struct net_frame *frame = p->frame;
	struct netif_extras extras = {
	    .gso = frame->gso,
	    .gso_size = frame->gso_size,
	    .hash_type = p->waiting->hash_type,
	    .hash_algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
	    .hash = p->waiting->hash,
	    .xdp_headroom = p->q->vif->headroom,
	};
	struct netif_extra_info infos[NETIF_EXTRAS_MAX];
	gref_t unused;
	unsigned n;

	extras.seen |= (frame->gso != NET_GSO_NONE) << XEN_NETIF_EXTRA_TYPE_GSO;
	extras.seen |= (extras.hash_type != VIF_NO_HASH) << XEN_NETIF_EXTRA_TYPE_HASH;
	extras.seen |= (extras.xdp_headroom != 0) << NETIF_EXTRA_XDP;
	n = netif_extras_put(&extras, infos);
	for (unsigned i = 0; i < n; i++) {
		(void)next_slot(p, &unused);
		work.slots[p->slot].extra = infos[i];
	}
}

/* The first data slot has the frame's flags, and the extra infos behind it. */
static void first_slot(struct plan *p)
{
	const struct net_frame *frame = p->frame;
	unsigned first,
	    n_extras = extras_of(p->q->vif, frame, p->waiting->hash_type != VIF_NO_HASH);
	uint16_t flags = netif_rx_flags(frame->flags);

	if (n_extras)
		flags |= NETRXF_extra_info;
	data_slot(p);
	first = p->slot;
	work.slots[first].rsp.flags = flags;
	if (n_extras)
		put_extras(p);
	p->slot = first;
}

static void another_slot(struct plan *p)
{
	work.slots[p->slot].rsp.flags |= NETRXF_more_data;
	data_slot(p);
}

static void put_segment(struct plan *p, const struct net_segment *s)
{
	for (uint32_t at = 0, len; at < s->len_bytes; at += len) {
		if (!p->room)
			another_slot(p);
		len = copy_piece(p, s, at, MIN(s->len_bytes - at, p->room));
		p->room -= len;
		/* What a failed copy wrote there stays: an error in a slot is for good. */
		if (work.slots[p->slot].rsp.status >= 0)
			work.slots[p->slot].rsp.status =
			    (int16_t)(work.slots[p->slot].rsp.status + len);
	}
}

/* ---- the batch ---------------------------------------------------------------------------- */

void vif_slots_put(struct vif_queue *q, const struct vif_waiting *waiting)
{
	const struct net_frame *frame = waiting->frame;
	struct plan p = {.q = q, .frame = frame, .waiting = waiting};

	if (work.n_frames == FRAMES || work.n_slots + waiting->slots > SLOTS)
		vif_slots_flush(q);
	p.by_segment =
	    frame->len_bytes > PAGE_SIZE - VIF_HEADROOM_MAX && fits_by_segment(q->vif, frame);
	work.frames[work.n_frames] = waiting->frame;
	work.status[work.n_frames] = 0;
	first_slot(&p);
	for (unsigned i = 0; i < frame->n_segments; i++) {
		if (i && p.by_segment)
			another_slot(&p);
		put_segment(&p, &frame->segments[i]);
	}
	work.n_frames++;
	vif_count_offloads(frame, &q->vif->stats.blank_out, &q->vif->stats.gso_out);
}

void vif_slots_flush(struct vif_queue *q)
{
	unsigned n_frames = work.n_frames;

	run_ops(q->vif);
	for (unsigned i = 0; i < work.n_slots; i++)
		peer_store64((volatile uint64_t *)ring_slot(&q->rx, q->rx.out++),
			     work.slots[i].word);
	work.busy = true;
	for (unsigned i = 0; i < n_frames; i++)
		net_frame_put(work.frames[i], work.status[i]);
	work.busy = false;
	work.n_slots = work.n_frames = 0;
}
