/* swiotlb.c: bounce buffers: blocks of slots, an area of them for each processor, copies in and out.
 *
 * Contract: swiotlb.h. A block's free slots are the bits of one word, which is all that processors share: bits are taken with a compare and
 * exchange and given back with an or. Blocks are only ever added, at the head of lists, and never go: whoever reads a
 * list sees whole blocks. In the common case a processor finds room in its own area, whose lines nobody else takes from;
 * else it makes a block, and when there may be no more it takes from another's area. Those times are counted (`shared`).
 *
 *	free --swiotlb_map: bits cleared, origin written, bytes in--> mapped --swiotlb_unmap: bytes out, bits set--> free
 */
#include "swiotlb.h"

#include <amphi/host.h>
#include <amphi/host_dma.h>
#include <amphi/string.h>

#define SLOT_BYTES    2048u
#define BLOCK_SLOTS   64u
#define BLOCK_BYTES   (BLOCK_SLOTS * SLOT_BYTES)
#define BLOCK_PAGES   (BLOCK_BYTES / PAGE_SIZE)
#define AREAS         64u
#define BUCKETS       64u
#define EVEN          0x5555555555555555ull /* the first halves of pages */
#define DEFAULT_FIRST BLOCK_BYTES
#define DEFAULT_MAX   (16u << 20)

/* Whose bytes a slot has; written by who took it. Both slots of a page have the same. */
struct origin {
	char *va;
	uint16_t offset; /* in the page, of the first byte */
	uint16_t len;
	uint8_t dir;
	bool both;
};

struct block {
	uint64_t free; /* atomic; a bit for each slot */
	uint64_t start;
	char *va;
	struct block *next_in_area, *next_in_bucket;
	struct origin origins[BLOCK_SLOTS];
};

/* On lines of its own; counted by its own processor only. */
struct area {
	struct block *first;
	uint64_t maps, shared, full;
} __attribute__((aligned(64)));

static struct area areas[AREAS];
static struct block *buckets[BUCKETS]; /* by address: a block begins at a multiple of its size */
static unsigned n_blocks;              /* atomic; those being made too */
static unsigned first_blocks = DEFAULT_FIRST / BLOCK_BYTES, max_blocks = DEFAULT_MAX / BLOCK_BYTES;

void dma_set_pool(uint64_t first_bytes, uint64_t max_bytes)
{
	max_blocks = (unsigned)MIN(DIV_ROUND_UP(max_bytes, BLOCK_BYTES), 1u << 16);
	first_blocks = (unsigned)MIN(DIV_ROUND_UP(first_bytes, BLOCK_BYTES), max_blocks);
}

static struct area *this_area(void)
{
	return &areas[host_dma_cpu() % AREAS];
}

/* ---- blocks ---------------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t at)
{
	return (unsigned)(at / BLOCK_BYTES % BUCKETS);
}

static struct block *block_of(maddr_t at)
{
	struct block *b = __atomic_load_n(&buckets[bucket_of(at.v)], __ATOMIC_ACQUIRE);

	while (b && b->start != at.v / BLOCK_BYTES * BLOCK_BYTES)
		b = b->next_in_bucket;
	return b;
}

/* At the head of a list. Its next is the old head, whoever else pushes meanwhile. */
static void push(struct block **head, struct block **next, struct block *b)
{
	*next = __atomic_load_n(head, __ATOMIC_RELAXED);
	while (
	    !__atomic_compare_exchange_n(head, next, b, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* The bound is on what is begun, so that two who grow at once do not pass it. */
static struct block *new_block(struct area *area, uint64_t mask)
{
	struct block *b = NULL;

	if (__atomic_fetch_add(&n_blocks, 1, __ATOMIC_RELAXED) < max_blocks)
		b = host_alloc(sizeof(*b));
	if (b)
		b->va = host_dma_pages(BLOCK_PAGES, BLOCK_PAGES, mask);
	if (!b || !b->va) {
		host_free(b, sizeof(*b));
		__atomic_fetch_sub(&n_blocks, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	b->start = host_virt_to_maddr(b->va).v;
	b->free = ~0ull;
	push(&buckets[bucket_of(b->start)], &b->next_in_bucket, b);
	push(&area->first, &b->next_in_area, b);
	return b;
}

void swiotlb_start(uint64_t mask)
{
	while (__atomic_load_n(&n_blocks, __ATOMIC_RELAXED) < first_blocks)
		if (!new_block(this_area(), mask))
			return;
}

/* ---- slots ----------------------------------------------------------------------------------------- */

/* What is asked of a slot: which half of a page it is, or both; and below what. */
struct wish {
	uint64_t mask;
	bool second, both;
};

/* The bits of free whose slot would do: the first one's, of two. */
static uint64_t fitting(uint64_t free, const struct wish *w)
{
	if (w->both)
		return free & free >> 1 & EVEN;
	return free & (w->second ? ~EVEN : EVEN);
}

static bool take_slot(struct block *b, const struct wish *w, unsigned *out_slot)
{
	uint64_t free = __atomic_load_n(&b->free, __ATOMIC_RELAXED), bits;

	if (b->start + BLOCK_BYTES - 1 > w->mask)
		return false;
	while ((bits = fitting(free, w)) != 0) { /* again only when another took or gave one */
		*out_slot = (unsigned)__builtin_ctzll(bits);
		if (__atomic_compare_exchange_n(&b->free, &free,
						free & ~((w->both ? 3ull : 1ull) << *out_slot),
						false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static struct block *take_in(const struct area *area, const struct wish *w, unsigned *out_slot)
{
	struct block *b = __atomic_load_n(&area->first, __ATOMIC_ACQUIRE);

	while (b && !take_slot(b, w, out_slot))
		b = b->next_in_area;
	return b;
}

/* Beyond the own area: a block more, or another's. */
static struct block *take_elsewhere(struct area *area, const struct wish *w, unsigned *out_slot)
{
	struct block *b = new_block(area, w->mask);

	area->shared++;
	if (b && take_slot(b, w, out_slot))
		return b;
	for (unsigned i = 0; i < AREAS; i++) {
		b = take_in(&areas[i], w, out_slot);
		if (b)
			return b;
	}
	area->full++;
	return NULL;
}

/* ---- copies ---------------------------------------------------------------------------------------- */

static char *page_of(const struct block *b, unsigned slot)
{
	return b->va + slot / 2 * PAGE_SIZE;
}

int swiotlb_map(uint64_t mask, bool whole, const struct dma_piece *piece, enum dma_direction dir,
		maddr_t *out_at)
{
	uint16_t offset = (uint16_t)((uintptr_t)piece->va & ~PAGE_MASK);
	bool first = offset<SLOT_BYTES, last = offset + piece->len> SLOT_BYTES;
	struct wish w = {.mask = mask, .second = !first, .both = whole || (first && last)};
	struct area *area = this_area();
	struct origin o = {piece->va, offset, (uint16_t)piece->len, (uint8_t)dir, w.both};
	unsigned slot = 0;
	struct block *b = take_in(area, &w, &slot);

	if (!b)
		b = take_elsewhere(area, &w, &slot);
	if (!b)
		return -XEN_ENOSPC;
	area->maps++;
	b->origins[slot] = o;
	if (w.both)
		b->origins[slot + 1] = o;
	if (whole)
		memset(page_of(b, slot), 0, PAGE_SIZE);
	memcpy(page_of(b, slot) + offset, piece->va, piece->len);
	out_at->v = b->start + slot / 2 * PAGE_SIZE + offset;
	return 0;
}

/* The origin of a mapped slot, or NULL. */
static struct origin *origin_of(maddr_t at, struct block **out_block, unsigned *out_slot)
{
	*out_block = block_of(at);
	if (!*out_block)
		return NULL;
	*out_slot = (unsigned)((at.v - (*out_block)->start) / SLOT_BYTES);
	if (__atomic_load_n(&(*out_block)->free, __ATOMIC_RELAXED) >> *out_slot & 1)
		return NULL;
	return &(*out_block)->origins[*out_slot];
}

void swiotlb_unmap(maddr_t at, bool free)
{
	struct block *b;
	unsigned slot;
	const struct origin *o = origin_of(at, &b, &slot);

	if (!o || o->offset != (at.v & ~PAGE_MASK)) {
		host_log(HOST_LOG_ERROR, "swiotlb: address %llx is unmapped and was not mapped",
			 (unsigned long long)at.v);
		return;
	}
	if (o->dir & DMA_FROM_DEVICE)
		memcpy(o->va, page_of(b, slot) + o->offset, o->len);
	if (!free)
		return;
	/* Last: from then on the bytes may be another's. */
	__atomic_fetch_or(&b->free, o->both ? 3ull << (slot & ~1u) : 1ull << slot,
			  __ATOMIC_RELEASE);
}

void swiotlb_sync(maddr_t at, size_t len, bool for_device)
{
	struct block *b;
	unsigned slot;
	const struct origin *o = origin_of(at, &b, &slot);
	size_t offset = at.v & ~PAGE_MASK;
	char *copy, *own;

	HOST_ASSERT(o && offset >= o->offset && offset + len <= (size_t)o->offset + o->len);
	copy = page_of(b, slot) + offset;
	own = o->va + (offset - o->offset);
	if (for_device)
		memcpy(copy, own, len);
	else if (o->dir & DMA_FROM_DEVICE)
		memcpy(own, copy, len);
}

bool swiotlb_has(maddr_t at)
{
	return block_of(at) != NULL;
}

void *swiotlb_view(maddr_t at)
{
	const struct block *b = block_of(at);

	return b->va + (at.v - b->start);
}

static unsigned used_slots(const struct area *area)
{
	const struct block *b = __atomic_load_n(&area->first, __ATOMIC_ACQUIRE);
	unsigned n = 0;

	for (; b; b = b->next_in_area)
		for (uint64_t used = ~__atomic_load_n(&b->free, __ATOMIC_RELAXED); used;
		     used &= used - 1)
			n++;
	return n;
}

void dma_pool_count(struct dma_pool_counts *out)
{
	*out = (struct dma_pool_counts){.bytes = n_blocks * BLOCK_BYTES,
					.max_bytes = (uint64_t)max_blocks * BLOCK_BYTES};
	for (unsigned i = 0; i < AREAS; i++) {
		out->used_bytes += used_slots(&areas[i]) * SLOT_BYTES;
		out->areas += areas[i].first != NULL;
		out->maps += areas[i].maps;
		out->shared += areas[i].shared;
		out->full += areas[i].full;
	}
}
