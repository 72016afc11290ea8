/* blkfront_data.c: how the memory of a request's segments reaches the backend.
 *
 * Three ways. Without persistence each segment's page is granted for the request and taken back
 * at its end. With it (feature-persistent on both sides) every reference that goes out stays: lent
 * memory (blkfront_lent.c) is granted once and its data never copied; anything else is copied through
 * pages of ours. For a backend that is not trusted (trusted=0) everything is copied: it never sees a byte
 * that was not meant for it. Called by blkfront_ring.c and blkfront.c; calls host.h.
 *
 * A page that the backend still has mapped is not ours yet, whatever it answered: grant_retire
 * keeps it out of use.
 */
#include <amphi/string.h>

#include "blkfront_straight.h"

/* ---- pages of our own ---------------------------------------------------------------- */

/* Grown page by page up to the bound; given back only by a sweep, because the backend keeps each of
 * them mapped, and a page that comes and goes would cost it a mapping each time, which is what
 * feature-persistent exists to save. A page is zeroed when it comes (host.h) and from then on holds
 * nothing but data of this disk, which its backend has seen anyway. */
static bool bounce_new(struct front_disk *disk, struct front_page *out)
{
	if (disk->n_bounce == disk->max_bounce)
		return false;
	out->va = host_pages_alloc(1);
	if (!out->va)
		return false;
	if (host_grant_offer(disk->bus.peer, out->va, false, &out->ref) != 0) {
		host_pages_free(out->va, 1);
		return false;
	}
	disk->stats.grants_offered++;
	disk->n_bounce++;
	disk->bounce_low = 0;
	host_work_after(&disk->sweep, FRONT_SWEEP_NS); /* nothing when it waits already */
	return true;
}

/* The last one put back first: it is the likeliest to be in the cache, and the ones below are those that
 * nobody has used for the longest time. */
static bool bounce_get(struct front_disk *disk, struct front_page *out)
{
	if (disk->n_bounce_free == 0)
		return bounce_new(disk, out);
	*out = disk->bounce[--disk->n_bounce_free];
	disk->bounce_low = MIN(disk->bounce_low, disk->n_bounce_free);
	disk->stats.persistent_hits++;
	return true;
}

/* There is always room: n_bounce counts what was ever made, and the stack holds as many. */
static void bounce_put(struct front_disk *disk, void *va, gref_t ref)
{
	disk->bounce[disk->n_bounce_free++] = (struct front_page){va, ref};
}

/* Those at the stack's bottom that no request reached since the last sweep. A backend that still has one
 * mapped keeps it; Linux's unmaps what it has not seen for a minute. */
static void bounce_sweep(struct front_disk *disk)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < disk->n_bounce_free; i++) {
		struct front_page page = disk->bounce[i];

		if (i < disk->bounce_low && host_grant_end(page.ref) == 0) {
			host_pages_free(page.va, 1);
			disk->n_bounce--;
			disk->stats.grants_released++;
		} else {
			disk->bounce[kept++] = page;
		}
	}
	disk->n_bounce_free = disk->bounce_low = kept;
}

/* ---- pages of more segments ---------------------------------------------------------- */

/* Writable where grants stand, as every grant then has to be (blkif.h, note 8); what a backend writes
 * there is never read. */
static struct front_indirect *indirect_new(struct front_disk *disk)
{
	struct front_indirect *new = host_alloc(sizeof(*new));

	if (!new)
		return NULL;
	new->page.va = host_pages_alloc(1);
	new->held = host_pages_alloc(1);
	if (new->page.va &&new->held && host_grant_offer(disk->bus.peer, new->page.va,
							 !disk->persistent, &new->page.ref) == 0) {
		disk->stats.grants_offered++;
		disk->n_indirect++;
		return new;
	}
	if (new->page.va)
		host_pages_free(new->page.va, 1);
	if (new->held)
		host_pages_free(new->held, 1);
	host_free(new, sizeof(*new));
	return NULL;
}

/* Its page has gone its own way. */
static void indirect_free(struct front_disk *disk, struct front_indirect *in)
{
	host_pages_free(in->held, 1);
	host_free(in, sizeof(*in));
	disk->n_indirect--;
}

struct front_indirect *front_indirect_get(struct front_disk *disk)
{
	struct front_indirect *first = disk->indirect;

	if (!first)
		return disk->n_indirect < FRONT_INDIRECT_MAX ? indirect_new(disk) : NULL;
	disk->indirect = first->next;
	return first;
}

void front_indirect_put(struct front_disk *disk, struct front_indirect *indirect)
{
	indirect->next = disk->indirect;
	disk->indirect = indirect;
}

/* ---- one segment --------------------------------------------------------------------- */

/* A segment lies within one page (block.h), so its page is the whole of what is granted. */
static uint8_t *page_of(void *va)
{
	return (uint8_t *)((uintptr_t)va & PAGE_MASK);
}

static bool is_write(const struct front_slot *slot)
{
	return slot->op != BLKIF_OP_READ;
}

/* The grants that a slot's request holds. */
static struct front_held *held_of(struct front_slot *slot)
{
	return slot->indirect ? slot->indirect->held : slot->held;
}

/* The user's own page, for this request. A whole page is granted, and the backend sees what else is
 * in it; a write needs no more than reading. This is the price of the protocol, whose sectors are
 * 512 bytes and whose grants are pages. */
static uint32_t own_grant(struct front_disk *disk, struct front_slot *slot, unsigned i)
{
	struct front_held *held = &held_of(slot)[slot->n_held];
	void *page = page_of(slot->req->segments[i].va);

	if (host_grant_offer(disk->bus.peer, page, is_write(slot), &held->ref) != 0)
		return 0;
	held->segment = i;
	held->bounce = NULL;
	slot->n_held++;
	disk->stats.grants_offered++;
	return held->ref.v;
}

/* A page of ours in the place of the user's. */
static uint32_t bounce_grant(struct front_disk *disk, struct front_slot *slot, unsigned i)
{
	struct block_segment *seg = &slot->req->segments[i];
	struct front_page page;

	if (!bounce_get(disk, &page))
		return 0;
	/* Of a page that served other requests the backend sees old data, its own disk's each time:
	 * bounce pages are not shared between disks. */
	held_of(slot)[slot->n_held++] = (struct front_held){page.ref, i, page.va};
	if (is_write(slot)) {
		memcpy((uint8_t *)page.va + front_offset_of(seg), seg->va, seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	return page.ref.v;
}

/* The reference for a segment, whatever its memory is; 0: not now. */
static uint32_t segment_ref(struct front_disk *disk, struct front_slot *slot, unsigned i)
{
	uint32_t ref;

	if (disk->untrusted)
		return bounce_grant(disk, slot, i);
	if (!disk->persistent)
		return own_grant(disk, slot, i);
	ref = front_lent_find(disk, slot->req->segments[i].va);
	return ref ? ref : bounce_grant(disk, slot, i);
}

/* Memory comes back with answers. When none are to come, a part goes with what there is; n segments of the
 * slot have theirs. */
static bool shortage(struct front_disk *disk, struct front_slot *slot, unsigned n)
{
	if (n > 0 && front_in_flight(disk) == 0) {
		slot->n_segments = (uint16_t)n;
		return true;
	}
	front_data_release(disk, slot, false);
	return false;
}

/* From the i-th segment of the slot on, one by one. */
static bool grant_rest(struct front_disk *disk, struct front_slot *slot, unsigned i,
		       volatile uint32_t *to)
{
	for (; i < slot->n_segments; i++, to += 2) {
		const struct block_segment *seg = &slot->req->segments[slot->first + i];
		uint32_t ref = segment_ref(disk, slot, slot->first + i);

		if (!ref)
			break;
		slot->len_bytes += seg->len_bytes;
		front_put_segment(to, ref, seg, disk->unit_shift);
	}
	disk->stats.persistent_hits += i - slot->n_held;
	return i == slot->n_segments || shortage(disk, slot, i);
}

/* Memory that stands granted needs no more than two words a segment; whatever begins with it is done at once. */
bool front_data_grant(struct front_disk *disk, struct front_slot *slot, peer_byte *segs)
{
	const struct block_segment *first = slot->req->segments + slot->first, *seg = first;
	const struct block_segment *end = seg + slot->n_segments;
	volatile uint32_t *to = (volatile uint32_t *)(volatile void *)segs;
	uint32_t len_bytes = 0, ref;

	slot->n_held = 0;
	if (disk->persistent && !disk->untrusted)
		for (; seg < end && (ref = front_lent_hot(disk, seg->va)); seg++, to += 2) {
			len_bytes += seg->len_bytes;
			front_put_segment(to, ref, seg, disk->unit_shift);
		}
	slot->len_bytes = len_bytes;
	if (seg < end)
		return grant_rest(disk, slot, (unsigned)(seg - first), to);
	disk->stats.persistent_hits += slot->n_segments;
	return true;
}

/* A page of the user's that is still mapped after the answer belongs to two: the reference waits,
 * and the caller breaks with the backend. It is not the driver's page to keep, hence NULL. */
static bool held_release(struct front_disk *disk, struct front_slot *slot, struct front_held *held,
			 bool copy)
{
	struct block_segment *seg = &slot->req->segments[held->segment];

	if (!held->bounce) {
		if (host_grant_end(held->ref) == 0)
			return true;
		grant_retire(held->ref, NULL);
		return false;
	}
	/* The page stays writable for the backend, but this copy is the last that is read of it for
	 * this request: what it writes later is not seen. */
	if (copy && !is_write(slot)) {
		memcpy(seg->va, (uint8_t *)held->bounce + front_offset_of(seg), seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	bounce_put(disk, held->bounce, held->ref);
	return true;
}

/* Every one is released though one may fail: the slot must be empty afterwards in any case. */
bool front_data_release(struct front_disk *disk, struct front_slot *slot, bool copy)
{
	struct front_held *held = held_of(slot);
	bool all = true;

	for (unsigned i = 0; i < slot->n_held; i++)
		all &= held_release(disk, slot, &held[i], copy);
	slot->n_held = 0;
	return all;
}

/* ---- a connection's begin and end ---------------------------------------------------- */

static unsigned bounce_table_pages(const struct front_disk *disk)
{
	return PAGES_FOR(disk->max_bounce * sizeof(struct front_page));
}

int front_data_begin(struct front_disk *disk)
{
	disk->max_bounce = front_limits.copy_pages;
	disk->bounce = host_pages_alloc(bounce_table_pages(disk));
	return disk->bounce ? 0 : -XEN_ENOMEM;
}

/* A page of a long request is not given back by a sweep: there are few. */
static void indirect_let_go(struct front_disk *disk)
{
	struct front_indirect **link = &disk->indirect, *in;

	while ((in = *link)) {
		if (host_grant_end(in->page.ref) != 0) {
			link = &in->next;
			continue;
		}
		*link = in->next;
		host_pages_free(in->page.va, 1);
		indirect_free(disk, in);
	}
}

/* Two sweeps, the first of which takes the marks of use away. */
void front_data_let_go(struct front_disk *disk)
{
	disk->bounce_low = disk->n_bounce_free;
	bounce_sweep(disk);
	indirect_let_go(disk);
	if (front_lent_sweep(disk))
		(void)front_lent_sweep(disk);
}

/* Lent pages not while requests are in flight: what these use may look unused, since a backend that has
 * not mapped a page yet does not keep its grant from being ended. A busy disk is looked at again later. */
void front_data_sweep(void *ctx)
{
	struct front_disk *disk = ctx;
	bool stands = true;

	if (!disk->connected)
		return;
	bounce_sweep(disk);
	if (front_in_flight(disk) == 0)
		stands = front_lent_sweep(disk);
	if (stands || disk->n_bounce)
		host_work_after(&disk->sweep, FRONT_SWEEP_NS);
}

void front_data_disconnect(struct front_disk *disk)
{
	struct front_indirect *in;

	while (disk->n_bounce_free) {
		struct front_page *p = &disk->bounce[--disk->n_bounce_free];

		grant_retire(p->ref, p->va);
		disk->n_bounce--;
	}
	while ((in = disk->indirect)) {
		disk->indirect = in->next;
		grant_retire(in->page.ref, in->page.va);
		indirect_free(disk, in);
	}
	/* All were there: front_requeue_all has released every slot before. */
	HOST_ASSERT(disk->n_bounce == 0 && disk->n_indirect == 0);
	front_lent_disconnect(disk);
	if (disk->bounce)
		host_pages_free(disk->bounce, bounce_table_pages(disk));
	disk->bounce = NULL;
}
