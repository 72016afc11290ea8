/* blkfront_lent.c: memory of the kernel's that is granted once and used again and again.
 *
 * The kernel lends ranges for all disks (blkfront_lend); a page of them is granted to a disk's backend
 * the first time that disk uses it, and stays so until the connection ends, or until a sweep finds it
 * unused and the backend has let go of it, or the kernel takes the range back. Called by
 * blkfront_data.c and blkfront.c; calls host.h. Not here: pages of the driver's own.
 */
#include "blkfront_private.h"

/* A page's life in the table of one disk and one range (0: not granted):
 *
 *    an entry of lent_refs
 *                      lent_first_use                      connection ends,
 *         0  ---------------------------->  ref | USED     backend still maps it
 *         ^                                  |  \-------------------------->  ref | REF_STALE
 *         '--- connection ends, let go ------'                                    |
 *         '--- a sweep finds it unused since the one before, and let go           |
 *         '--- used again, or reclaimed, and let go by now -----------------------'
 *
 * A stale page is not granted a second time while it is mapped: its data goes through a bounce
 * page. References are numbers of table entries, far below either bit. */

/* Granted to one backend at once: as many as the bound of Linux's blkback for a ring of one page, times
 * four. What is used beyond is copied, until a sweep has found others that are not used any more. */
#define LENT_STANDING_MAX 4096u

static struct front_lent *lent_range(const struct front_disk *disk, unsigned range)
{
	return &front_root_of(disk->bus.class)->lent[range];
}

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

	if (*entry & REF_STALE && host_grant_end((gref_t){*entry & ~REF_FLAGS}) != 0)
		return 0;
	*entry = 0;
	if (disk->n_lent >= LENT_STANDING_MAX ||
	    host_grant_offer(disk->bus.peer, page, false, &ref) != 0)
		return 0;
	disk->stats.grants_offered++;
	disk->n_lent++;
	host_work_after(&disk->sweep, FRONT_SWEEP_NS); /* nothing when it waits already */
	*entry = ref.v | REF_USED;
	return ref.v;
}

/* A page of lent memory that has no grant of this connection, or was not used for a while, or is not in the
 * range used last. The table of a range comes with its first use by this disk: memory is lent to all disks,
 * and most never touch most of it. No memory for it means a copy, not an error. */
static uint32_t lent_begin(struct front_disk *disk, unsigned range, size_t offset)
{
	struct front_lent *lent = lent_range(disk, range);
	uint32_t **refs = &disk->lent_refs[range], *entry;

	if (!*refs)
		*refs = host_alloc(lent_count(lent) * sizeof(**refs));
	if (!*refs)
		return 0;
	disk->hot_va = lent->va;
	disk->hot_len_bytes = lent->len_bytes;
	disk->hot_refs = *refs;
	entry = &(*refs)[offset >> PAGE_SHIFT];
	if (!*entry || *entry & REF_STALE)
		return lent_first_use(disk, entry, lent->va + (offset & PAGE_MASK));
	*entry |= REF_USED;
	return *entry & ~REF_FLAGS;
}

uint32_t front_lent_find(struct front_disk *disk, const uint8_t *va)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		const struct front_lent *lent = lent_range(disk, i);
		size_t offset = (size_t)(va - lent->va); /* as in front_lent_hot */

		if (offset < lent->len_bytes)
			return lent_begin(disk, i, offset);
	}
	return 0;
}

static void forget_hot(struct front_disk *disk)
{
	disk->hot_len_bytes = 0;
}

/* Ends what can be ended of one disk's references to a range; how many stay. Bounded by the lent
 * range. What the backend still maps is marked, not waited for: a page that is not to be used by
 * anybody else costs nothing as long as it stays lent. */
static unsigned lent_end(struct front_disk *disk, unsigned range)
{
	uint32_t *refs = disk->lent_refs[range];
	unsigned left = 0, count = lent_count(lent_range(disk, range));

	for (unsigned i = 0; refs && i < count; i++) {
		if (!refs[i])
			continue;
		disk->n_lent -= !(refs[i] & REF_STALE);
		refs[i] = (refs[i] & ~REF_FLAGS) | REF_STALE;
		if (host_grant_end((gref_t){refs[i] & ~REF_FLAGS}) == 0)
			refs[i] = 0;
		else
			left++;
	}
	return left;
}

void front_lent_disconnect(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
		lent_end(disk, i);
}

/* Second chance: a page used since the last sweep loses its mark, one without a mark loses its grant. The
 * backend decides when that can be: as long as it has the page mapped, so has our table its reference. */
static void sweep_entry(struct front_disk *disk, uint32_t *entry)
{
	if (!*entry || *entry & REF_STALE)
		return;
	if (*entry & REF_USED) {
		*entry &= ~REF_USED;
	} else if (host_grant_end((gref_t){*entry}) == 0) {
		*entry = 0;
		disk->n_lent--;
		disk->stats.grants_released++;
	}
}

/* Requests in flight never lose their grants: a backend that has not answered has not let go, or has
 * never mapped. The caller sweeps only an idle disk for that reason. */
bool front_lent_sweep(struct front_disk *disk)
{
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++)
		for (unsigned p = 0; disk->lent_refs[i] && p < lent_count(lent_range(disk, i)); p++)
			sweep_entry(disk, &disk->lent_refs[i][p]);
	return disk->n_lent != 0;
}

/* ---- blkfront.h's part ----------------------------------------------------------------- */

int blkfront_lend(void *pages, unsigned count)
{
	for (struct xenbus_class *class = front_kind.classes; class; class = class->next)
		for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
			struct front_lent *lent = &front_root_of(class)->lent[i];

			if (lent->len_bytes)
				continue;
			*lent = (struct front_lent){.va = pages, .len_bytes = count * PAGE_SIZE};
			return 0;
		}
	return -XEN_ENOSPC;
}

/* All or nothing: while one page stays, the caller keeps the whole range and may ask again. held
 * stands for disks that are gone and whose tables went with them; what they left is only known as a
 * number of grants that retire, so all of these are waited for. */
static int reclaim_range(const struct xenbus_class *class, unsigned range)
{
	struct front_lent *lent = &front_root_of(class)->lent[range];
	unsigned left;

	if (lent->held && grant_retiring() == 0)
		lent->held = false;
	left = lent->held;
	for (struct xenbus_device *bus = class->devices; bus; bus = bus->next)
		left += lent_end(front_disk_of(bus), range);
	if (left)
		return -XEN_EBUSY;
	for (struct xenbus_device *bus = class->devices; bus; bus = bus->next) {
		struct front_disk *disk = front_disk_of(bus);

		forget_hot(disk);
		host_free(disk->lent_refs[range], lent_count(lent) * sizeof(uint32_t));
		disk->lent_refs[range] = NULL;
	}
	*lent = (struct front_lent){0};
	return 0;
}

int blkfront_reclaim(void *pages, unsigned count)
{
	for (struct xenbus_class *class = front_kind.classes; class; class = class->next)
		for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
			const struct front_lent *lent = &front_root_of(class)->lent[i];

			if (lent->va == pages && lent_count(lent) == count)
				return reclaim_range(class, i);
		}
	return -XEN_ENOENT;
}

/* Lent pages are the kernel's, not ours to free: only the references retire, and held tells a later
 * reclaim to wait for them. */
void front_lent_free(struct front_disk *disk)
{
	forget_hot(disk);
	for (unsigned i = 0; i < FRONT_LENT_MAX; i++) {
		struct front_lent *lent = lent_range(disk, i);

		if (!disk->lent_refs[i])
			continue;
		for (unsigned p = 0; p < lent_count(lent); p++)
			if (disk->lent_refs[i][p])
				grant_retire((gref_t){disk->lent_refs[i][p] & ~REF_FLAGS}, NULL);
		lent->held |= grant_retiring() != 0;
		host_free(disk->lent_refs[i], lent_count(lent) * sizeof(uint32_t));
		disk->lent_refs[i] = NULL;
	}
}
