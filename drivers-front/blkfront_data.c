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

#define REF_STALE 0x80000000u /* of a connection that is over; the old backend still maps it */

/* ---- lent memory --------------------------------------------------------------------- */

static bool is_lent(const struct front_lent *lent, const uint8_t *page)
{
	return (size_t)(page - lent->va) < (size_t)lent->count << PAGE_SHIFT && lent->va;
}

/* Grants a page of lent memory the first time it is used. 0: it cannot be. */
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

/* The standing reference of a page of lent memory; 0: it is not lent, or cannot be granted. */
static uint32_t lent_ref(struct front_disk *disk, uint8_t *page)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		struct front_lent *lent = &disk->root->lent[i];
		uint32_t **refs = &disk->lent_refs[i], *entry;

		if (!is_lent(lent, page))
			continue;
		if (!*refs)
			*refs = host_alloc(lent->count * sizeof(**refs));
		if (!*refs)
			return 0;
		entry = &(*refs)[(size_t)(page - lent->va) >> PAGE_SHIFT];
		if (*entry && !(*entry & REF_STALE)) {
			disk->stats.persistent_hits++;
			return *entry;
		}
		return lent_first_use(disk, entry, page);
	}
	return 0;
}

/* Ends what can be ended of one disk's references to a range; how many stay. */
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
			if (!root->lent[i].va) {
				root->lent[i] = (struct front_lent){.va = pages, .count = count};
				return 0;
			}
	return -XEN_ENOSPC;
}

static int reclaim_range(struct front_root *root, unsigned range)
{
	struct front_lent *lent = &root->lent[range];
	unsigned left;

	if (lent->held && grant_retiring() == 0)
		lent->held = false;
	left = lent->held;
	for (struct front_disk *d = root->disks; d; d = d->next)
		left += lent_end(d->lent_refs[range], lent->count);
	if (left)
		return -XEN_EBUSY;
	for (struct front_disk *d = root->disks; d; d = d->next) {
		host_free(d->lent_refs[range], lent->count * sizeof(uint32_t));
		d->lent_refs[range] = NULL;
	}
	*lent = (struct front_lent){0};
	return 0;
}

int blkfront_reclaim(void *pages, unsigned count)
{
	for (struct front_root *root = front_roots; root; root = root->next)
		for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
			if (root->lent[i].va == pages && root->lent[i].count == count)
				return reclaim_range(root, i);
	return -XEN_ENOENT;
}

/* ---- pages of our own ---------------------------------------------------------------- */

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

static bool bounce_get(struct front_disk *disk, struct front_page *out)
{
	if (disk->n_bounce_free == 0)
		return bounce_new(disk, out);
	*out = disk->bounce[--disk->n_bounce_free];
	disk->stats.persistent_hits++;
	return true;
}

static void bounce_put(struct front_disk *disk, void *va, gref_t ref)
{
	disk->bounce[disk->n_bounce_free++] = (struct front_page){va, ref};
}

/* ---- one segment --------------------------------------------------------------------- */

static uint8_t *page_of(void *va)
{
	return (uint8_t *)((uintptr_t)va & PAGE_MASK);
}

/* Puts the reference of a segment into *out. False: not now. */
static bool segment_grant(struct front_disk *disk, struct front_slot *slot, unsigned i,
			  uint32_t *out)
{
	struct block_segment *seg = &slot->req->segments[i];
	struct front_page page;

	slot->refs[i].v = 0;
	slot->bounce[i] = NULL;
	if (!disk->persistent) {
		if (host_grant_offer(disk->bus.peer, page_of(seg->va), slot->op == BLKIF_OP_WRITE,
				     &slot->refs[i]) != 0)
			return false;
		disk->stats.grants_offered++;
		*out = slot->refs[i].v;
		return true;
	}
	*out = lent_ref(disk, page_of(seg->va));
	if (*out)
		return true;
	if (!bounce_get(disk, &page))
		return false;
	slot->refs[i] = page.ref;
	slot->bounce[i] = page.va;
	*out = page.ref.v;
	if (slot->op == BLKIF_OP_WRITE) {
		memcpy((uint8_t *)page.va + ((uintptr_t)seg->va & ~PAGE_MASK), seg->va,
		       seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	return true;
}

static bool segment_release(struct front_disk *disk, struct front_slot *slot, unsigned i, bool copy)
{
	struct block_segment *seg = &slot->req->segments[i];

	if (!slot->refs[i].v)
		return true;
	if (!slot->bounce[i]) {
		if (host_grant_end(slot->refs[i]) == 0)
			return true;
		grant_retire(slot->refs[i], NULL);
		return false;
	}
	if (copy && slot->op == BLKIF_OP_READ) {
		memcpy(seg->va, (uint8_t *)slot->bounce[i] + ((uintptr_t)seg->va & ~PAGE_MASK),
		       seg->len_bytes);
		disk->stats.copied_bytes += seg->len_bytes;
	}
	bounce_put(disk, slot->bounce[i], slot->refs[i]);
	return true;
}

bool front_data_grant(struct front_disk *disk, struct front_slot *slot,
		      struct blkif_request_segment *segs)
{
	slot->len_bytes = 0;
	for (unsigned i = 0; i < slot->n_segments; i++) {
		const struct block_segment *seg = &slot->req->segments[i];
		unsigned first = (unsigned)((uintptr_t)seg->va & ~PAGE_MASK) / SECTOR_SIZE;

		__builtin_memset(&segs[i], 0, sizeof(segs[i])); /* its padding goes to the peer */
		if (!segment_grant(disk, slot, i, &segs[i].gref)) {
			slot->n_segments = (uint8_t)i;
			front_data_release(disk, slot, false);
			return false;
		}
		slot->len_bytes += seg->len_bytes;
		segs[i].first_sect = (uint8_t)first;
		segs[i].last_sect = (uint8_t)(first + seg->len_bytes / SECTOR_SIZE - 1);
	}
	return true;
}

bool front_data_release(struct front_disk *disk, struct front_slot *slot, bool copy)
{
	bool all = true;

	for (unsigned i = 0; i < slot->n_segments; i++)
		all &= segment_release(disk, slot, i, copy);
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
	HOST_ASSERT(disk->n_bounce == 0);
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
		lent_end(disk->lent_refs[i], disk->root->lent[i].count);
}

void front_data_free(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		struct front_lent *lent = &disk->root->lent[i];

		if (!disk->lent_refs[i])
			continue;
		for (unsigned p = 0; p < lent->count; p++)
			if (disk->lent_refs[i][p])
				grant_retire((gref_t){disk->lent_refs[i][p] & ~REF_STALE}, NULL);
		lent->held |= grant_retiring() != 0;
		host_free(disk->lent_refs[i], lent->count * sizeof(uint32_t));
		disk->lent_refs[i] = NULL;
	}
}
