/* netfront_tx_put.c: how a frame lies in the slots of a tx ring, and by which memory the backend reads it.
 *
 * Three ways, by what they cost. A frame of at most NF_CHUNK_BYTES is copied into the chunk that goes with its slot, which
 * is granted once. A longer one is lent as it is, page by page, with its headers in a chunk. And all is copied into pages of
 * ours when the backend is not trusted, or takes only one slot, or the frame is in too many pieces for a packet's slots; or in one page
 * when the backend has such pages mapped (netfront_staging.c).
 * Called by netfront_tx.c; calls netfront_pages.c and host.h. First a plan is made, which can fail and changes nothing.
 */
#include <amphi/string.h>

#include "netfront_private.h"

/* What one slot will carry. */
struct piece {
	uint8_t kind;
	uint16_t len_bytes;
	const uint8_t *va;    /* NF_GRANT: within one page, our own memory */
	struct nf_page *page; /* NF_PAGE */
};

struct plan {
	unsigned n;
	struct piece pieces[NETIF_SLOTS_MAX];
};

/* Reads a frame from its beginning. */
struct reader {
	const struct net_frame *frame;
	unsigned segment;
	uint32_t at; /* in it */
};

static void read_bytes(struct reader *r, uint8_t *to, uint32_t len)
{
	while (len) {
		const struct net_segment *seg = &r->frame->segments[r->segment];
		uint32_t n = MIN(len, seg->len_bytes - r->at);

		memcpy(to, (const uint8_t *)seg->va + r->at, n);
		to += n;
		len -= n;
		r->at += n;
		if (r->at == seg->len_bytes) {
			r->segment++;
			r->at = 0;
		}
	}
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* One more on the queue's stack. */
static bool make_page(struct nf_queue *q)
{
	struct nf_page *page = q->n_tx_pages < q->dev->tx_pages ? nf_page_new(q) : NULL;

	if (!page)
		return false;
	if (!nf_page_grant(q, page, true)) {
		nf_page_end(page);
		return false;
	}
	nf_pages_put(&q->tx_pages, page);
	q->n_tx_pages++;
	return true;
}

/* What is not used in the end goes back to the stack. */
static int take_page(struct nf_queue *q, struct piece *piece)
{
	piece->kind = NF_PAGE;
	piece->page = nf_pages_get(&q->tx_pages);
	if (!piece->page && make_page(q))
		piece->page = nf_pages_get(&q->tx_pages);
	return piece->page ? 0 : -XEN_EAGAIN;
}

static void plan_drop(struct nf_queue *q, struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->pieces[i].kind == NF_PAGE)
			nf_pages_put(&q->tx_pages, plan->pieces[i].page);
	plan->n = 0;
}

/* Copied as a whole, page after page. The bound: a frame has 64 KiB. */
static int plan_copy(struct nf_queue *q, const struct net_frame *frame, struct plan *plan)
{
	uint32_t left = frame->len_bytes;

	if (q->dev->no_sg && left > PAGE_SIZE)
		return -XEN_EINVAL;
	while (left) {
		struct piece *piece = &plan->pieces[plan->n];
		int err = take_page(q, piece);

		if (err)
			return err;
		piece->len_bytes = (uint16_t)MIN(left, PAGE_SIZE);
		left -= piece->len_bytes;
		plan->n++;
	}
	return 0;
}

/* One segment, cut where pages end. False: the packet has no more slots. */
static bool plan_segment(const struct net_segment *seg, struct plan *plan)
{
	const uint8_t *va = seg->va;
	uint32_t left = seg->len_bytes;

	while (left) {
		uint32_t room = (uint32_t)(PAGE_SIZE - ((uintptr_t)va & ~PAGE_MASK));
		struct piece *piece = &plan->pieces[plan->n];

		if (plan->n == NETIF_SLOTS_MAX)
			return false;
		piece->kind = NF_GRANT;
		piece->va = va;
		piece->len_bytes = (uint16_t)MIN(left, room);
		va += piece->len_bytes;
		left -= piece->len_bytes;
		plan->n++;
	}
	return true;
}

/* The headers in a chunk: they are seldom alone in their page, and what is beside them is nobody's business. */
static bool plan_lend(const struct net_frame *frame, struct plan *plan)
{
	unsigned i = 0;

	if (frame->segments[0].len_bytes <= NF_CHUNK_BYTES) {
		plan->pieces[0].kind = NF_CHUNK;
		plan->pieces[0].len_bytes = (uint16_t)frame->segments[0].len_bytes;
		plan->n = 1;
		i = 1;
	}
	for (; i < frame->n_segments; i++)
		if (!plan_segment(&frame->segments[i], plan))
			return false;
	return true;
}

/* Of what the slots may be made: of nothing in a frame that a slot's fields cannot say. */
static bool fits(const struct net_frame *frame)
{
	uint32_t sum = 0;

	if (frame->len_bytes < NET_HEAD_BYTES || frame->len_bytes > NET_FRAME_MAX ||
	    frame->n_segments == 0 || frame->n_segments > NET_SEGMENTS_MAX)
		return false;
	for (unsigned i = 0; i < frame->n_segments; i++) {
		if (!frame->segments[i].va || !frame->segments[i].len_bytes)
			return false;
		sum += frame->segments[i].len_bytes;
	}
	return sum == frame->len_bytes;
}

static int plan_frame(struct nf_queue *q, const struct net_frame *frame, struct plan *plan)
{
	/* A guest's frame (net.h: owner) may lie in pages of his that we have mapped: those are not ours to grant. */
	bool copies = q->dev->untrusted || q->dev->no_sg || frame->owner;

	plan->n = 0;
	if (!fits(frame))
		return -XEN_EINVAL;
	if (q->staged && !copies && frame->len_bytes <= PAGE_SIZE && !plan_copy(q, frame, plan))
		return 0;
	plan_drop(q, plan);
	if (!copies && plan_lend(frame, plan))
		return 0;
	plan->n = 0;
	return plan_copy(q, frame, plan);
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* The chunk of an id; NULL: there is no memory for its page. */
static struct nf_page *chunk_page(struct nf_queue *q, unsigned id)
{
	struct nf_page **page = &q->chunks[id * NF_CHUNK_BYTES / PAGE_SIZE];

	if (*page)
		return *page;
	*page = nf_page_new(q);
	if (*page && !nf_page_grant(q, *page, true)) {
		nf_page_end(*page);
		*page = NULL;
	}
	return *page;
}

static unsigned chunk_offset(unsigned id)
{
	return id * NF_CHUNK_BYTES % PAGE_SIZE;
}

/* Three words, which is all of the slot. */
static void put_request(struct nf_queue *q, const struct netif_tx_request *req)
{
	volatile uint32_t *to =
	    (volatile uint32_t *)(volatile void *)ring_slot(&q->tx, q->tx.out++);

	peer_store32(&to[0], req->gref);
	peer_store32(&to[1], req->offset | (uint32_t)req->flags << 16);
	peer_store32(&to[2], req->id | (uint32_t)req->size << 16);
}

static struct nf_slot *slot_take(struct nf_queue *q, uint8_t kind, uint16_t *out_id)
{
	struct nf_slot *slot = &q->slots[q->first_free];

	*out_id = q->first_free;
	q->first_free = slot->next_free;
	q->n_free--;
	slot->kind = kind;
	slot->frame = NULL;
	slot->page = NULL;
	return slot;
}

/* What the backend answers with a word of its own, each. */
static void put_extras(struct nf_queue *q, const struct netif_extras *extras)
{
	struct netif_extra_info info[NETIF_EXTRAS_MAX];
	unsigned n = netif_extras_put(extras, info);

	for (unsigned i = 0; i < n; i++) {
		struct {
			struct netif_extra_info info;
			uint32_t unused;
		} out = {info[i], 0};

		_Static_assert(sizeof(out) == NETIF_TX_SLOT_BYTES, "the whole slot is written");
		peer_copy_out(ring_slot(&q->tx, q->tx.out++), &out, sizeof(out));
	}
	q->extras_out = (uint16_t)(q->extras_out + n);
}

static unsigned count_extras(const struct net_frame *frame)
{
	return frame->gso != NET_GSO_NONE;
}

static uint16_t first_flags(const struct net_frame *frame)
{
	return netif_tx_flags(frame->flags) | (count_extras(frame) ? NETTXF_extra_info : 0);
}

static void put_gso(struct nf_queue *q, const struct net_frame *frame)
{
	struct netif_extras extras = {
	    .seen = 1u << XEN_NETIF_EXTRA_TYPE_GSO, .gso = frame->gso, .gso_size = frame->gso_size};

	put_extras(q, &extras);
	q->dev->stats.gso_out++;
}

/* The memory of one piece, into req; its bytes are copied if they are to be. */
static void fill(struct nf_queue *q, const struct piece *piece, struct nf_slot *slot,
		 struct reader *r, struct netif_tx_request *req)
{
	struct nf_page *page = piece->kind == NF_CHUNK ? chunk_page(q, req->id) : piece->page;

	if (piece->kind == NF_GRANT) {
		req->gref = slot->ref.v;
		req->offset = (uint16_t)((uintptr_t)piece->va & ~PAGE_MASK);
		return;
	}
	req->gref = page->ref.v;
	req->offset = piece->kind == NF_CHUNK ? (uint16_t)chunk_offset(req->id) : 0;
	slot->page = piece->kind == NF_PAGE ? page : NULL;
	read_bytes(r, page->va + req->offset, piece->len_bytes);
	q->dev->stats.copied_out++;
}

/* Ends what grants the plan has got. */
static void ungrant(gref_t *refs, const struct plan *plan, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (plan->pieces[i].kind == NF_GRANT)
			(void)host_grant_end(refs[i]); /* nobody was told of it */
}

/* Every grant before any slot, so that a shortage changes nothing. The page as it is in memory, whatever else is in it:
 * that is what a backend is trusted with (trusted=1), and the price of the protocol. */
static int grant_all(struct nf_queue *q, const struct plan *plan, gref_t *refs)
{
	for (unsigned i = 0; i < plan->n; i++) {
		const struct piece *piece = &plan->pieces[i];
		void *va = (void *)((uintptr_t)piece->va & PAGE_MASK);

		if (piece->kind == NF_GRANT &&
		    host_grant_offer(q->dev->bus.peer, va, true, &refs[i])) {
			ungrant(refs, plan, i);
			return -XEN_EAGAIN;
		}
	}
	if (plan->pieces[0].kind == NF_CHUNK && !chunk_page(q, q->first_free)) {
		ungrant(refs, plan, plan->n);
		return -XEN_EAGAIN;
	}
	return 0;
}

static void put_piece(struct nf_queue *q, struct net_frame *frame, const struct plan *plan,
		      unsigned i, const gref_t *refs, struct reader *r)
{
	const struct piece *piece = &plan->pieces[i];
	struct netif_tx_request req = {.size = piece->len_bytes};
	struct nf_slot *slot = slot_take(q, piece->kind, &req.id);

	if (piece->kind == NF_GRANT) {
		slot->ref = refs[i];
		slot->frame = frame;
		net_frame_hold(frame);
		q->n_held++;
		q->dev->stats.granted_out++;
		q->dev->stats.grants_offered++;
	}
	fill(q, piece, slot, r, &req);
	req.flags = i + 1 < plan->n ? NETTXF_more_data : 0;
	if (i == 0) {
		req.size = (uint16_t)frame->len_bytes;
		req.flags |= first_flags(frame);
	}
	put_request(q, &req);
	if (i == 0 && frame->gso)
		put_gso(q, frame);
}

static bool room(const struct nf_queue *q, unsigned n_slots, unsigned n_extras)
{
	return q->n_free >= n_slots && ring_front_free(&q->tx) >= n_slots + n_extras;
}

/* With nothing on its way that could bring anything back. */
static int shortage(const struct nf_queue *q)
{
	return q->n_free == NETIF_RING_SLOTS ? -XEN_ENOMEM : -XEN_EAGAIN;
}

/* By itself, since under load it is what nearly every frame is: a slot, a copy, three words. */
static int put_small(struct nf_queue *q, struct net_frame *frame)
{
	struct netif_tx_request req;
	struct nf_page *page;

	if (!room(q, 1, count_extras(frame)))
		return -XEN_EAGAIN;
	page = chunk_page(q, q->first_free);
	if (!page)
		return shortage(q);
	slot_take(q, NF_CHUNK, &req.id);
	req.gref = page->ref.v;
	req.offset = (uint16_t)chunk_offset(req.id);
	req.size = (uint16_t)frame->len_bytes;
	req.flags = first_flags(frame);
	read_bytes(&(struct reader){.frame = frame}, page->va + req.offset, frame->len_bytes);
	put_request(q, &req);
	q->dev->stats.copied_out++;
	if (frame->gso)
		put_gso(q, frame);
	return 0;
}

static int put_large(struct nf_queue *q, struct net_frame *frame)
{
	gref_t refs[NETIF_SLOTS_MAX];
	struct reader r = {.frame = frame};
	struct plan plan;
	int err = plan_frame(q, frame, &plan);

	if (!err && !room(q, plan.n, count_extras(frame)))
		err = -XEN_EAGAIN;
	if (!err)
		err = grant_all(q, &plan, refs);
	if (err) {
		plan_drop(q, &plan);
		return err == -XEN_EAGAIN ? shortage(q) : err;
	}
	for (unsigned i = 0; i < plan.n; i++)
		put_piece(q, frame, &plan, i, refs, &r);
	return 0;
}

int nf_tx_put(struct nf_queue *q, struct net_frame *frame)
{
	struct net_stats *stats = nf_stats(q);
	uint32_t len_bytes = frame->len_bytes;
	int err;

	if (len_bytes <= NF_CHUNK_BYTES && fits(frame))
		err = put_small(q, frame);
	else
		err = put_large(q, frame);
	if (err)
		return err;
	stats->frames_out++;
	stats->bytes_out += len_bytes;
	/* The slots hold it as far as they need it. */
	net_frame_put(frame, 0);
	return 0;
}

bool nf_tx_put_word(struct nf_queue *q, const struct netif_extras *extras)
{
	struct netif_tx_request req = {.flags = NETTXF_extra_info};

	if (!room(q, 1, NETIF_EXTRAS_MAX))
		return false;
	slot_take(q, NF_WORD, &req.id);
	put_request(q, &req);
	put_extras(q, extras);
	return true;
}

void nf_tx_make_pages(struct nf_queue *q, unsigned n)
{
	for (unsigned i = 0; i < NF_CHUNK_PAGES; i++)
		(void)chunk_page(q, i * (unsigned)(PAGE_SIZE / NF_CHUNK_BYTES));
	while (q->n_tx_pages < n && make_page(q))
		;
}
