/* blkback_pool.c: pages of the guest, mapped for one request or kept for the next.
 *
 * With feature-persistent on both sides a page stays mapped after its request, found again by its
 * grant reference; the pool is bounded, and when it is full a clock hand lets go of a page that was
 * not used for a round; a page that nobody used for a minute goes too. Without it, or when every page is
 * in use, a page is mapped for its request. Maps and unmaps go in batches, one hypercall each. Called by
 * blkback_ring.c and blkback_request.c; calls host.h.
 *
 * References are the guest's numbers: here they are keys that are compared, and words for the
 * hypervisor, which alone judges them.
 */
#include "blkback_straight.h"

/* Together, because an unmap costs a hypercall and a flush of TLBs, whether it is of one page or of
 * sixteen. More would throw away what is about to be used again. */
#define EVICT_AT_ONCE 16u /* pages let go by one hypercall */

/* What is not used for three ticks is let go. A guest that was busy once does not keep windows and
 * mappings of this domain for ever; after an idle minute there is nothing left to tick for. */
#define TICK_NS 20000000000ull
#define OLD_AGE 3u

/* As many for each ring as Linux keeps; in all, what the host can map beside BACK_IN_FLIGHT_MAX. */
static unsigned per_queue = 1056, total = 12288;

void blkback_persistent_limits(unsigned pages_per_queue, unsigned pages_in_all)
{
	per_queue = pages_per_queue;
	total = pages_in_all;
}

/* A guest's share of the whole, which shrinks as others connect; what it has above it goes with its next
 * mapping. */
static unsigned limit_of(const struct back_disk *disk)
{
	return MIN(disk->pool.n_kept, total / MAX(back_root_of(disk)->n_connected, 1u));
}

static void on_tick(void *ctx);

/* The pool when it is new, and its four ways in:
 *
 *    kept[]   page, ref, in_use, recent      n_kept entries
 *    hash[]   ref % 1024 -> chain through next
 *    free     first_free -> chain through next (an entry is in one chain or the other)
 *    hand     walks over kept[] in order */
int back_pool_alloc(struct back_disk *disk)
{
	struct back_pool *pool = &disk->pool;
	size_t bytes;

	*pool = (struct back_pool){.first_free = BACK_NONE};
	if (!disk->persistent)
		return 0;
	pool->n_kept = MIN(MIN(per_queue * disk->n_queues, total), BACK_POOL_TOP);
	bytes = pool->n_kept * sizeof(*pool->kept);
	pool->n_pages = PAGES_FOR(bytes + BACK_POOL_HASH * sizeof(*pool->hash));
	pool->kept = host_pages_alloc(pool->n_pages);
	if (!pool->kept)
		return -XEN_ENOMEM;
	pool->hash = (uint16_t *)((uint8_t *)pool->kept + bytes);
	for (unsigned i = 0; i < BACK_POOL_HASH; i++)
		pool->hash[i] = BACK_NONE;
	for (unsigned i = pool->n_kept; i > 0; i--) {
		pool->kept[i - 1].next = pool->first_free;
		pool->first_free = (uint16_t)(i - 1);
	}
	disk->age = (struct host_work){.fn = on_tick, .ctx = disk};
	return 0;
}

static void unlink_kept(struct back_pool *pool, uint16_t index)
{
	uint16_t *link = &pool->hash[back_hash_of(pool->kept[index].ref)];

	while (*link != index)
		link = &pool->kept[*link].next;
	*link = pool->kept[index].next;
	pool->kept[index] = (struct back_kept){.next = pool->first_free};
	pool->first_free = index;
	pool->n_held--;
}

static void evict(struct back_disk *disk);

/* The pool takes over a page that was mapped for seg, if it has room and not that reference
 * already. */
static void keep(struct back_disk *disk, struct back_segment *seg)
{
	struct back_pool *pool = &disk->pool;
	uint16_t index, *chain = &pool->hash[back_hash_of(seg->ref)];

	/* Only when a page is there to be kept, so that refused references empty nobody's pool. */
	if (pool->n_held >= limit_of(disk))
		evict(disk);
	index = pool->n_held < limit_of(disk) ? pool->first_free : BACK_NONE;
	/* The same reference twice in one batch (two segments of one page) was mapped twice: the
	 * second mapping is that request's own and ends with it. */
	if (index == BACK_NONE || back_pool_find(pool, seg->ref))
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
	seg->kept = &pool->kept[index];
	if (pool->n_held++ == 0)
		host_work_after(&disk->age, TICK_NS);
}

/* What an unmap reads of the struct; owner and reference went with the mapping. */
static struct host_grant_map to_unmap(uint32_t handle, uint8_t *page)
{
	return (struct host_grant_map){.status = GNTST_okay, .handle = handle, .page = page};
}

/* Pages that go together. */
struct sweep {
	unsigned count;
	struct host_grant_map maps[EVICT_AT_ONCE];
};

static void sweep_out(struct sweep *sweep)
{
	if (sweep->count)
		host_grants_unmap(sweep->maps, sweep->count);
	sweep->count = 0;
}

/* Out of the table before the unmap: nobody can find a page that is about to go. */
static void let_go(struct back_pool *pool, uint16_t index, struct sweep *sweep)
{
	sweep->maps[sweep->count++] = to_unmap(pool->kept[index].handle, pool->kept[index].page);
	unlink_kept(pool, index);
	if (sweep->count == EVICT_AT_ONCE)
		sweep_out(sweep);
}

/* Makes room in a full pool: at most two turns of the hand, the first to find what is not recent.
 */
static void evict(struct back_disk *disk)
{
	struct back_pool *pool = &disk->pool;
	struct sweep sweep = {0};
	unsigned gone = 0;

	for (unsigned n = 0; n < 2 * pool->n_kept && gone < EVICT_AT_ONCE; n++) {
		struct back_kept *k = &pool->kept[pool->hand];
		uint16_t index = pool->hand;

		pool->hand = (uint16_t)((pool->hand + 1u) % pool->n_kept);
		/* A page that a disk is working on stays, however old. When all are in use nothing
		 * is found, and the page that wanted room is mapped for its request alone. */
		if (!k->page || k->in_use)
			continue;
		if (k->recent) {
			k->recent = false;
			continue;
		}
		let_go(pool, index, &sweep);
		gone++;
	}
	disk->stats.persistent_evicted += gone;
	sweep_out(&sweep);
}

static void on_tick(void *ctx)
{
	struct back_disk *disk = ctx;
	struct back_pool *pool = &disk->pool;
	struct sweep sweep = {0};

	for (uint16_t i = 0; i < pool->n_kept; i++) {
		struct back_kept *k = &pool->kept[i];

		if (!k->page || k->in_use || ++k->age < OLD_AGE)
			continue;
		let_go(pool, i, &sweep);
		disk->stats.persistent_released++;
	}
	sweep_out(&sweep);
	if (pool->n_held)
		host_work_after(&disk->age, TICK_NS);
}

/* Out of line, and rare with standing grants. */
static __attribute__((noinline)) void map_later(struct back_disk *disk, struct back_segment *seg,
						bool readonly, struct back_batch *batch)
{
	seg->page = NULL;
	if (batch->count == HOST_GRANT_BATCH)
		back_pool_map(disk, batch);
	batch->maps[batch->count] = (struct host_grant_map){
	    .owner = disk->bus.peer,
	    .ref = {seg->ref},
	    .readonly = readonly,
	};
	batch->segs[batch->count++] = seg;
}

void back_pool_collect(struct back_disk *disk, struct back_request *req, struct back_batch *batch)
{
	const struct back_pool pool = disk->pool; /* its tables stay where they are */
	bool persistent = disk->persistent;
	/* A page that is kept will serve both ways. */
	bool readonly = req->op != BLKIF_OP_READ && !persistent;
	struct back_segment *seg = req->segs; /* NULL: of none */
	struct block_segment *piece = req->pieces;

	req->n_mapped = 0;
	for (unsigned i = 0; i < req->n_segments; i++, seg++, piece++) {
		seg->kept = NULL;
		if (persistent && back_pool_hit(&pool, seg)) {
			piece->va = seg->page + seg->offset;
			continue;
		}
		req->n_mapped++;
		map_later(disk, seg, readonly, batch);
	}
	disk->stats.persistent_hits += (unsigned)req->n_segments - req->n_mapped;
}

/* Each grant has its own answer: a guest that gives one bad reference in a batch fails that request, not
 * its neighbours'. Without memory none is mapped, and all of them fail alike. */
void back_pool_map(struct back_disk *disk, struct back_batch *batch)
{
	unsigned count = batch->count;

	batch->count = 0;
	if (count == 0 || host_grants_map(batch->maps, count) != 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		const struct host_grant_map *map = &batch->maps[i];
		struct back_segment *seg = batch->segs[i];

		if (map->status != GNTST_okay)
			continue;
		disk->stats.grants_mapped++;
		seg->page = map->page;
		seg->handle = map->handle;
		if (disk->persistent)
			keep(disk, seg);
	}
}

/* A kept page is only given back to the pool. `page` is NULL for what was refused at the mapping,
 * which is how half a request is undone by the same code. */
void back_pool_release_all(struct back_request *req, struct back_batch *batch)
{
	struct back_segment *seg = req->segs; /* NULL: of none */

	if (!req->n_mapped) {
		for (unsigned i = 0; i < req->n_segments; i++)
			seg[i].kept->in_use--;
		return;
	}
	for (unsigned i = 0; i < req->n_segments; i++, seg++) {
		if (!seg->page)
			continue;
		if (seg->kept) {
			seg->kept->in_use--;
			continue;
		}
		if (batch->count == HOST_GRANT_BATCH)
			back_pool_unmap(batch);
		batch->maps[batch->count++] = to_unmap(seg->handle, seg->page);
	}
}

void back_pool_unmap(struct back_batch *batch)
{
	if (batch->count)
		host_grants_unmap(batch->maps, batch->count);
	batch->count = 0;
}

/* A list of segments that is granted once and for all is mapped like data; any other is copied by the
 * hypervisor, which is one call where mapping and unmapping are two, and a flush of TLBs. */
static bool copy_granted(struct back_disk *disk, gref_t ref, unsigned len)
{
	maddr_t to = host_virt_to_maddr(disk->indirect_page);
	struct gnttab_copy op = {
	    .source = {.u.ref = ref.v, .domid = disk->bus.peer},
	    .dest = {.u.gmfn = to.v >> PAGE_SHIFT, .domid = DOMID_SELF},
	    .len = (uint16_t)len,
	    .flags = GNTCOPY_source_gref,
	};

	return host_grants_copy(&op, 1) == 0 && op.status == GNTST_okay;
}

bool back_pool_copy_in(struct back_disk *disk, gref_t ref, unsigned len)
{
	struct back_segment seg = {.ref = ref.v};
	struct host_grant_map map = {.owner = disk->bus.peer, .ref = ref};

	if (!disk->persistent)
		return copy_granted(disk, ref, len);
	if (back_pool_hit(&disk->pool, &seg)) {
		disk->stats.persistent_hits++;
		peer_copy_in(disk->indirect_page, seg.page, len);
		seg.kept->in_use--; /* nobody works on it */
		return true;
	}
	if (host_grants_map(&map, 1) != 0 || map.status != GNTST_okay)
		return false;
	disk->stats.grants_mapped++;
	peer_copy_in(disk->indirect_page, map.page, len);
	seg.page = map.page;
	seg.handle = map.handle;
	keep(disk, &seg);
	if (seg.kept)
		seg.kept->in_use--; /* nobody works on it */
	else
		host_grants_unmap(&map, 1);
	return true;
}

/* The caller waited for the last request (back_disconnect): otherwise a disk writes here. */
void back_pool_free(struct back_disk *disk)
{
	struct back_pool *pool = &disk->pool;
	struct sweep sweep = {0};

	if (!pool->kept)
		return;
	for (uint16_t i = 0; i < pool->n_kept; i++) {
		if (!pool->kept[i].page)
			continue;
		HOST_ASSERT(pool->kept[i].in_use == 0);
		let_go(pool, i, &sweep);
	}
	sweep_out(&sweep);
	host_work_cancel(&disk->age);
	host_pages_free(pool->kept, pool->n_pages);
	pool->kept = NULL;
}
