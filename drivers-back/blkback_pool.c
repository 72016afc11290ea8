/* blkback_pool.c: pages of the guest, mapped for one request or kept for the next.
 *
 * With feature-persistent on both sides a page stays mapped after its request, found again by its
 * grant reference; the pool is bounded, and when it is full a clock hand lets go of a page that was
 * not used for a round. Without it, or when every page is in use, a page is mapped for its request.
 * Maps and unmaps go in batches, one hypercall each. Called by blkback_ring.c; calls host.h.
 *
 * References are the guest's numbers: here they are keys that are compared, and words for the
 * hypervisor, which alone judges them.
 */
#include "blkback_private.h"

/* Together, because an unmap costs a hypercall and a flush of TLBs, whether it is of one page or of
 * sixteen. More would throw away what is about to be used again. */
#define EVICT_AT_ONCE 16u /* pages let go by one hypercall */

static unsigned hash_of(uint32_t ref)
{
	return ref % BACK_POOL_HASH; /* guests number their references from small ones up */
}

/* The pool when it is new, and its four ways in:
 *
 *    kept[]   page, ref, in_use, recent      384 entries
 *    hash[]   ref % 256 -> chain through next
 *    free     first_free -> chain through next (an entry is in one chain or the other)
 *    hand     walks over kept[] in order
 *
 * More entries than a ring full of whole requests has segments (32 * 11): what is in use always
 * fits, and some of what was used before stays beside it. */
void back_pool_reset(struct back_pool *pool)
{
	for (unsigned i = 0; i < BACK_POOL_HASH; i++)
		pool->hash[i] = BACK_NONE;
	for (unsigned i = 0; i < BACK_POOL_MAX; i++)
		pool->kept[i] = (struct back_kept){.next = i + 1 < BACK_POOL_MAX ? (uint16_t)(i + 1)
										 : BACK_NONE};
	pool->first_free = 0;
	pool->hand = 0;
	pool->n_held = 0;
}

/* Chains are as long as a guest makes them: at most BACK_POOL_MAX steps when all its references are
 * equal modulo the hash. That slows its own requests. */
static uint16_t find(const struct back_pool *pool, uint32_t ref)
{
	uint16_t i = pool->hash[hash_of(ref)];

	while (i != BACK_NONE && pool->kept[i].ref != ref)
		i = pool->kept[i].next;
	return i;
}

static void unlink_kept(struct back_pool *pool, uint16_t index)
{
	uint16_t *link = &pool->hash[hash_of(pool->kept[index].ref)];

	while (*link != index)
		link = &pool->kept[*link].next;
	*link = pool->kept[index].next;
	pool->kept[index] = (struct back_kept){.next = pool->first_free};
	pool->first_free = index;
	pool->n_held--;
}

/* The pool takes over a page that was mapped for seg, if it has room and not that reference
 * already. */
static void keep(struct back_pool *pool, struct back_segment *seg)
{
	uint16_t index = pool->first_free, *chain = &pool->hash[hash_of(seg->ref)];

	/* The same reference twice in one batch (two segments of one page) was mapped twice: the
	 * second mapping is that request's own and ends with it. */
	if (index == BACK_NONE || find(pool, seg->ref) != BACK_NONE)
		return;
	pool->first_free = pool->kept[index].next;
	pool->kept[index] = (struct back_kept){
	    .ref = seg->ref,
	    .handle = seg->handle,
	    .page = seg->page,
	    .in_use = 1,
	    .next = *chain,
	    .recent = true,
	};
	*chain = index;
	seg->kept = index;
	pool->n_held++;
}

/* What an unmap reads of the struct; owner and reference went with the mapping. */
static struct host_grant_map to_unmap(uint32_t handle, uint8_t *page)
{
	return (struct host_grant_map){.status = GNTST_okay, .handle = handle, .page = page};
}

/* Makes room in a full pool: at most two turns of the hand, the first to find what is not recent.
 */
static void evict(struct back_pool *pool)
{
	struct host_grant_map maps[EVICT_AT_ONCE];
	unsigned count = 0;

	for (unsigned n = 0; n < 2 * BACK_POOL_MAX && count < EVICT_AT_ONCE; n++) {
		struct back_kept *k = &pool->kept[pool->hand];
		uint16_t index = pool->hand;

		pool->hand = (uint16_t)((pool->hand + 1) % BACK_POOL_MAX);
		/* A page that a disk is working on stays, however old. When all are in use nothing
		 * is found, and the page that wanted room is mapped for its request alone. */
		if (!k->page || k->in_use)
			continue;
		if (k->recent) {
			k->recent = false;
			continue;
		}
		maps[count++] = to_unmap(k->handle, k->page);
		/* Out of the table before the unmap: nobody can find a page that is about to go. */
		unlink_kept(pool, index);
	}
	if (count)
		host_grants_unmap(maps, count);
}

/* in_use is counted per segment and at once: a page found here must not be evicted by the mapping
 * of another request in the same batch. */
void back_pool_collect(struct back_disk *disk, struct back_request *req, struct back_batch *batch)
{
	for (unsigned i = 0; i < req->n_segments; i++) {
		struct back_segment *seg = &req->segs[i];

		seg->kept = disk->persistent ? find(&disk->pool, seg->ref) : BACK_NONE;
		if (seg->kept != BACK_NONE) {
			struct back_kept *k = &disk->pool.kept[seg->kept];

			k->in_use++;
			k->recent = true;
			seg->page = k->page;
			disk->stats.persistent_hits++;
			continue;
		}
		seg->page = NULL;
		batch->maps[batch->count] = (struct host_grant_map){
		    .owner = disk->bus.peer,
		    .ref = {seg->ref},
		    /* A page that is kept will serve both ways. */
		    .readonly = req->op == BLKIF_OP_WRITE && !disk->persistent,
		};
		batch->segs[batch->count++] = seg;
	}
}

bool back_pool_map(struct back_disk *disk, struct back_batch *batch)
{
	if (batch->count == 0)
		return true;
	/* Each grant has its own answer: a guest that gives one bad reference in a batch fails that
	 * request, not its neighbours'. */
	if (host_grants_map(batch->maps, batch->count) != 0)
		return false;
	for (unsigned i = 0; i < batch->count; i++) {
		const struct host_grant_map *map = &batch->maps[i];
		struct back_segment *seg = batch->segs[i];

		if (map->status != GNTST_okay)
			continue;
		disk->stats.grants_mapped++;
		seg->page = map->page;
		seg->handle = map->handle;
		if (!disk->persistent)
			continue;
		/* Only when a page is there to be kept, so that refused references empty nobody's
		 * pool. */
		if (disk->pool.first_free == BACK_NONE)
			evict(&disk->pool);
		keep(&disk->pool, seg);
	}
	return true;
}

/* A kept page is only given back to the pool. `page` is NULL for what was refused at the mapping,
 * which is how half a request is undone by the same code. */
void back_pool_release(struct back_disk *disk, struct back_request *req, struct back_batch *batch)
{
	for (unsigned i = 0; i < req->n_segments; i++) {
		struct back_segment *seg = &req->segs[i];

		if (!seg->page)
			continue;
		if (seg->kept != BACK_NONE)
			disk->pool.kept[seg->kept].in_use--;
		else
			batch->maps[batch->count++] = to_unmap(seg->handle, seg->page);
		seg->page = NULL;
	}
}

void back_pool_unmap(struct back_batch *batch)
{
	if (batch->count)
		host_grants_unmap(batch->maps, batch->count);
	batch->count = 0;
}

void back_pool_drop_all(struct back_disk *disk)
{
	struct host_grant_map maps[EVICT_AT_ONCE];
	unsigned count = 0;

	for (uint16_t i = 0; i < BACK_POOL_MAX; i++) {
		struct back_kept *k = &disk->pool.kept[i];

		if (!k->page)
			continue;
		/* The caller waited for the last request (back_disconnect): otherwise a disk writes
		 * here. */
		HOST_ASSERT(k->in_use == 0);
		maps[count++] = to_unmap(k->handle, k->page);
		unlink_kept(&disk->pool, i);
		if (count == EVICT_AT_ONCE) {
			host_grants_unmap(maps, count);
			count = 0;
		}
	}
	if (count)
		host_grants_unmap(maps, count);
}
