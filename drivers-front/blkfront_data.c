/* blkfront_data.c: how the memory of a request's segments reaches the backend.
 *
 * Three ways. Without persistence each segment's page is granted for the request and taken back
 * at its end. With it (feature-persistent on both sides) every reference that goes out stays:
 * memory lent by the kernel is granted once, page by page as it is used, and its data is never
 * copied; anything else is copied through pages of ours. Called by blkfront_ring.c and blkfront.c;
 * calls host.h.
 *
 * A page that the backend still has mapped is not ours yet, whatever it answered: grant_retire
 * keeps it out of use.
 */
#include <amphi/string.h>

#include "blkfront_private.h"

/* A page's life in the table of one disk and one range (0: not granted):
 *
 *    an entry of lent_refs
 *                      lent_first_use                      connection ends,
 *         0  ---------------------------->  ref            backend still maps it
 *         ^                                  |  \-------------------------->  ref | REF_STALE
 *         '--- connection ends, let go ------'                                    |
 *         '--- used again, or reclaimed, and let go by now -----------------------'
 *
 * A stale page is not granted a second time while it is mapped: its data goes through a bounce
 * page. */
#define REF_STALE 0x80000000u /* of a connection that is over; the old backend still maps it */

/* ---- lent memory --------------------------------------------------------------------- */

static unsigned lent_count(const struct front_lent *lent)
{
	return (unsigned)(lent->len_bytes >> PAGE_SHIFT);
}

/* Grants a page of lent memory the first time it is used. 0: it cannot be. Read-write, though this
 * request may only read from it: blkif.h (note 7 and after) has persistent grants writable whatever
 * their first use was, since the next use may be the other way. */
static uint32_t lent_first_use(struct front_disk *disk, uint32_t *entry, void *page)
{
	gref_t ref;

	if (*entry & REF_STALE && host_grant_end((gref_t){*entry & ~REF_STALE}) != 0)
		return 0;
	*entry = 0;
	if (host_grant_offer(disk->bus.peer, page, false, &ref) != 0)
		return 0;
	disk->stats.grants_offered++;
	*entry = ref.v;
	return ref.v;
}

/* A page of lent memory that has no grant of this connection yet. The table of a range comes with
 * its first use by this disk: memory is lent to all disks, and most never touch most of it. No
 * memory for it means a copy, not an error. */
static uint32_t lent_begin(struct front_disk *disk, unsigned range, size_t offset)
{
	struct front_lent *lent = &disk->root->lent[range];
	uint32_t **refs = &disk->lent_refs[range];

	if (!*refs)
		*refs = host_alloc(lent_count(lent) * sizeof(**refs));
	if (!*refs)
		return 0;
	return lent_first_use(disk, &(*refs)[offset >> PAGE_SHIFT],
			      lent->va + (offset & PAGE_MASK));
}

/* The standing reference of memory in a lent page; 0: it is not lent, or cannot be granted. */
static uint32_t lent_ref(struct front_disk *disk, const uint8_t *va)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		/* Below the range the difference wraps to a great number, so one comparison does
		 * for both ends; a free entry has no length and covers nothing. */
		size_t offset = (size_t)(va - disk->root->lent[i].va);
		uint32_t ref;

		if (offset >= disk->root->lent[i].len_bytes)
			continue;
		ref = disk->lent_refs[i] ? disk->lent_refs[i][offset >> PAGE_SHIFT] : 0;
		if (ref && !(ref & REF_STALE)) {
			disk->stats.persistent_hits++;
			return ref;
		}
		return lent_begin(disk, i, offset);
	}
	return 0;
}

/* Ends what can be ended of one disk's references to a range; how many stay. Bounded by the lent
 * range. What the backend still maps is marked, not waited for: a page that is not to be used by
 * anybody else costs nothing as long as it stays lent. */
static unsigned lent_end(uint32_t *refs, unsigned count)
{
	unsigned left = 0;

	for (unsigned i = 0; refs && i < count; i++) {
		if (!refs[i])
			continue;
		if (host_grant_end((gref_t){refs[i] & ~REF_STALE}) == 0)
			refs[i] = 0;
		else
			refs[i] |= REF_STALE, left++;
	}
	return left;
}

int blkfront_lend(void *pages, unsigned count)
{
	for (struct front_root *root = front_roots; root; root = root->next)
		for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
			if (!root->lent[i].len_bytes) {
				root->lent[i] = (struct front_lent){.va = pages,
								    .len_bytes = count * PAGE_SIZE};
				return 0;
			}
	return -XEN_ENOSPC;
}

/* All or nothing: while one page stays, the caller keeps the whole range and may ask again. held
 * stands for disks that are gone and whose tables went with them; what they left is only known as a
 * number of grants that retire, so all of these are waited for. */
static int reclaim_range(struct front_root *root, unsigned range)
{
	struct front_lent *lent = &root->lent[range];
	unsigned left;

	if (lent->held && grant_retiring() == 0)
		lent->held = false;
	left = lent->held;
	for (struct front_disk *d = root->disks; d; d = d->next)
		left += lent_end(d->lent_refs[range], lent_count(lent));
	if (left)
		return -XEN_EBUSY;
	for (struct front_disk *d = root->disks; d; d = d->next) {
		host_free(d->lent_refs[range], lent_count(lent) * sizeof(uint32_t));
		d->lent_refs[range] = NULL;
	}
	*lent = (struct front_lent){0};
	return 0;
}

int blkfront_reclaim(void *pages, unsigned count)
{
	for (struct front_root *root = front_roots; root; root = root->next)
		for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
			if (root->lent[i].va == pages && lent_count(&root->lent[i]) == count)
				return reclaim_range(root, i);
	return -XEN_ENOENT;
}

/* ---- pages of our own ---------------------------------------------------------------- */

/* Grown page by page up to the bound and never shrunk while connected: the backend keeps each of
 * them mapped, and a page that comes and goes would cost it a mapping each time, which is what
 * feature-persistent exists to save. */
static bool bounce_new(struct front_disk *disk, struct front_page *out)
{
	if (disk->n_bounce == FRONT_BOUNCE_MAX)
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
	return true;
}

/* The last one put back first: it is the likeliest to be in the cache. */
static bool bounce_get(struct front_disk *disk, struct front_page *out)
{
	if (disk->n_bounce_free == 0)
		return bounce_new(disk, out);
	*out = disk->bounce[--disk->n_bounce_free];
	disk->stats.persistent_hits++;
	return true;
}

/* There is always room: n_bounce counts what was ever made, and the stack holds as many. */
static void bounce_put(struct front_disk *disk, void *va, gref_t ref)
{
	disk->bounce[disk->n_bounce_free++] = (struct front_page){va, ref};
}

/* ---- one segment --------------------------------------------------------------------- */

/* A segment lies within one page (block.h), so its page is the whole of what is granted. */
static uint8_t *page_of(void *va)
{
	return (uint8_t *)((uintptr_t)va & PAGE_MASK);
}

/* Sectors are counted within the page, in 512 bytes whatever the disk's sector is. */
static unsigned offset_of(const struct block_segment *seg)
{
	return (unsigned)((uintptr_t)seg->va & ~PAGE_MASK);
}

/* The user's own page, for this request. A whole page is granted, and the backend sees what else is
 * in it; a write needs no more than reading. This is the price of the protocol, whose sectors are
 * 512 bytes and whose grants are pages. */
static uint32_t own_grant(struct front_disk *disk, struct front_slot *slot, unsigned i)
{
	struct front_held *held = &slot->held[slot->n_held];
	void *page = page_of(slot->req->segments[i].va);

	if (host_grant_offer(disk->bus.peer, page, slot->op == BLKIF_OP_WRITE, &held->ref) != 0)
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
	slot->held[slot->n_held++] = (struct front_held){page.ref, i, page.va};
	if (slot->op == BLKIF_OP_WRITE) {
		memcpy((uint8_t *)page.va + offset_of(seg), seg->va, seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	return page.ref.v;
}

/* The reference for a segment; 0: not now. */
static uint32_t segment_ref(struct front_disk *disk, struct front_slot *slot, unsigned i)
{
	uint32_t ref;

	if (!disk->persistent)
		return own_grant(disk, slot, i);
	ref = lent_ref(disk, slot->req->segments[i].va);
	return ref ? ref : bounce_grant(disk, slot, i);
}

bool front_data_grant(struct front_disk *disk, struct front_slot *slot,
		      struct blkif_request_segment *segs)
{
	slot->len_bytes = 0;
	slot->n_held = 0;
	for (unsigned i = 0; i < slot->n_segments; i++) {
		const struct block_segment *seg = &slot->req->segments[i];
		unsigned first = offset_of(seg) / SECTOR_SIZE, n = seg->len_bytes / SECTOR_SIZE;
		uint32_t ref = segment_ref(disk, slot, i);

		if (!ref) {
			front_data_release(disk, slot, false);
			return false;
		}
		slot->len_bytes += seg->len_bytes;
		__builtin_memset(&segs[i], 0, sizeof(segs[i])); /* its padding goes to the peer */
		segs[i].gref = ref;
		segs[i].first_sect = (uint8_t)first;
		segs[i].last_sect = (uint8_t)(first + n - 1);
	}
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
	if (copy && slot->op == BLKIF_OP_READ) {
		memcpy(seg->va, (uint8_t *)held->bounce + offset_of(seg), seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	bounce_put(disk, held->bounce, held->ref);
	return true;
}

/* Every one is released though one may fail: the slot must be empty afterwards in any case. */
bool front_data_release(struct front_disk *disk, struct front_slot *slot, bool copy)
{
	bool all = true;

	for (unsigned i = 0; i < slot->n_held; i++)
		all &= held_release(disk, slot, &slot->held[i], copy);
	slot->n_held = 0;
	return all;
}

/* ---- the end of a connection --------------------------------------------------------- */

void front_data_disconnect(struct front_disk *disk)
{
	while (disk->n_bounce_free) {
		struct front_page *p = &disk->bounce[--disk->n_bounce_free];

		grant_retire(p->ref, p->va);
		disk->n_bounce--;
	}
	/* All were on the stack: front_requeue_in_flight has released every slot before. */
	HOST_ASSERT(disk->n_bounce == 0);
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
		lent_end(disk->lent_refs[i], lent_count(&disk->root->lent[i]));
}

/* Lent pages are the kernel's, not ours to free: only the references retire, and held tells a later
 * reclaim to wait for them. */
void front_data_free(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		struct front_lent *lent = &disk->root->lent[i];

		if (!disk->lent_refs[i])
			continue;
		for (unsigned p = 0; p < lent_count(lent); p++)
			if (disk->lent_refs[i][p])
				grant_retire((gref_t){disk->lent_refs[i][p] & ~REF_STALE}, NULL);
		lent->held |= grant_retiring() != 0;
		host_free(disk->lent_refs[i], lent_count(lent) * sizeof(uint32_t));
		disk->lent_refs[i] = NULL;
	}
}
