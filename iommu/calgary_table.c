/* calgary_table.c: a flat table of translation control entries: the n-th says where the n-th page of 4 KiB leads.
 *
 * Callers: iommu.c by way of io_table.c; calgary.c. An entry is big-endian: the page's address, and the rights in its two lowest bits; the bits between
 * are zero. The chip does not look into the processors' caches, so each entry is written back.
 */
#include <amphi/host_iommu.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "calgary.h"

#define ENTRY_READ  1u
#define ENTRY_WRITE 2u
#define ENTRY_PAGE  0x0000fffffffff000ull

/* With a table's size to spare there is a border of its size in it. */
int calgary_table_new(struct calgary_table *t, unsigned size)
{
	unsigned bytes = CALGARY_TABLE_BYTES(size);
	maddr_t where;

	t->size = size;
	t->pages = host_iommu_pages(2 * bytes / PAGE_SIZE - 1, &where);
	if (!t->pages)
		return -XEN_ENOMEM;
	t->where.v = (where.v + bytes - 1) & ~(uint64_t)(bytes - 1);
	t->entries = (void *)((char *)t->pages + (t->where.v - where.v));
	host_iommu_clean(t->entries, bytes);
	return 0;
}

void calgary_table_free(struct calgary_table *t)
{
	if (t->pages)
		host_iommu_pages_free(t->pages, 2 * CALGARY_TABLE_BYTES(t->size) / PAGE_SIZE - 1);
	t->pages = NULL;
}

/* ---- as io_table.h has it -------------------------------------------------------------------------- */

static const struct calgary *of(const struct io_table *t)
{
	return container_of(t->other, struct calgary, kind);
}

static uint64_t get(const struct io_table *t, uint64_t dma)
{
	return __builtin_bswap64(t->root[dma >> PAGE_SHIFT]);
}

static void set(struct io_table *t, uint64_t dma, uint64_t entry)
{
	uint64_t *at = &t->root[dma >> PAGE_SHIFT];

	__atomic_store_n(at, __builtin_bswap64(entry), __ATOMIC_RELEASE);
	host_iommu_clean(at, sizeof(*at));
}

/* The unit has one space, and its table lies there already. */
static int init(struct io_table *t)
{
	const struct calgary *c = of(t);

	t->root = c->table.entries;
	t->where = c->table.where;
	t->n_pages = 1;
	return 0;
}

/* The next space finds it as new. */
static void clear(struct io_table *t)
{
	unsigned bytes = CALGARY_TABLE_BYTES(of(t)->table.size);

	memset(t->root, 0, bytes);
	host_iommu_clean(t->root, bytes);
}

static bool in_table(const struct io_table *t, uint64_t dma, uint64_t len)
{
	uint64_t end = (uint64_t)CALGARY_ENTRIES(of(t)->table.size) << PAGE_SHIFT;

	return len && !((dma | len) & ~PAGE_MASK) && len <= end && dma <= end - len;
}

static bool in_hole(const struct calgary *c, uint64_t dma, uint64_t len)
{
	for (unsigned i = 0; i < c->n_holes; i++)
		if (dma < c->holes[i].end && c->holes[i].start < dma + len)
			return true;
	return false;
}

static int map(struct io_table *t, uint64_t dma, maddr_t to, uint64_t len, unsigned rights)
{
	uint64_t bits =
	    (rights & IOMMU_READ ? ENTRY_READ : 0) | (rights & IOMMU_WRITE ? ENTRY_WRITE : 0);

	if (!in_table(t, dma, len) || !bits || to.v & ~ENTRY_PAGE || to.v + len - 1 < to.v ||
	    (to.v + len - PAGE_SIZE) & ~ENTRY_PAGE)
		return -XEN_EINVAL;
	if (in_hole(of(t), dma, len))
		return -XEN_EEXIST;
	for (uint64_t at = 0; at < len; at += PAGE_SIZE)
		if (get(t, dma + at))
			return -XEN_EEXIST;
	for (uint64_t at = 0; at < len; at += PAGE_SIZE)
		set(t, dma + at, (to.v + at) | bits);
	return 0;
}

static int unmap(struct io_table *t, uint64_t dma, uint64_t len)
{
	if (!in_table(t, dma, len))
		return -XEN_EINVAL;
	for (uint64_t at = 0; at < len; at += PAGE_SIZE)
		if (!get(t, dma + at))
			return -XEN_ENOENT;
	for (uint64_t at = 0; at < len; at += PAGE_SIZE)
		set(t, dma + at, 0);
	return 0;
}

static int lookup(const struct io_table *t, uint64_t dma, maddr_t *out_to, unsigned *out_rights)
{
	uint64_t entry = in_table(t, dma & PAGE_MASK, PAGE_SIZE) ? get(t, dma) : 0;

	if (!entry)
		return -XEN_ENOENT;
	out_to->v = (entry & ENTRY_PAGE) | (dma & ~PAGE_MASK);
	*out_rights =
	    (entry & ENTRY_READ ? IOMMU_READ : 0) | (entry & ENTRY_WRITE ? IOMMU_WRITE : 0);
	return 0;
}

/* A page at a time. */
static bool next(const struct io_table *t, struct iommu_piece *piece)
{
	uint64_t end = (uint64_t)CALGARY_ENTRIES(of(t)->table.size) << PAGE_SHIFT;

	for (uint64_t at = piece->dma & PAGE_MASK; at < end; at += PAGE_SIZE) {
		if (lookup(t, at, &piece->to, &piece->rights))
			continue;
		piece->dma = at;
		piece->len = PAGE_SIZE;
		return true;
	}
	return false;
}

void calgary_shape(struct iommu *unit, struct io_table *t)
{
	static const struct io_table_other kind = {init, clear, map, unmap, lookup, next};
	struct calgary *c = container_of(unit, struct calgary, unit);

	c->kind = kind;
	t->other = &c->kind;
}
