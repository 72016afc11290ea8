/* io_table.c: maps, unmaps and looks up pages in a tree of I/O page tables.
 *
 * Callers: iommu.c through the ops of VT-d and AMD-Vi. Calls host_iommu.h for pages. A map is checked whole, and has all its tables,
 * before the first leaf is written; an unmap is checked whole before the first is cleared. So both do all or nothing, and
 * what a space is out of memory for leaves only empty tables behind, which io_table_cut_empty finds.
 *
 * Tables that ran empty stay: counting entries would cost every map, and a driver maps where it did before.
 */
#include "io_table.h"

#include <amphi/host_iommu.h>
#include <amphi/iommu.h>
#include <amphi/xen.h>

#define ENTRIES    512u
#define ENTRY_BITS 9u
#define WHERE      0x000ffffffffff000ull

static unsigned shift_of(unsigned level)
{
	return PAGE_SHIFT + ENTRY_BITS * level;
}

static uint64_t size_of(unsigned level)
{
	return 1ull << shift_of(level);
}

static unsigned index_of(uint64_t dma, unsigned level)
{
	return (dma >> shift_of(level)) % ENTRIES;
}

static bool is_leaf(const struct io_format *f, uint64_t entry, unsigned level)
{
	return level == 0 || (entry & f->kind) == f->large;
}

static unsigned rights_of(const struct io_format *f, uint64_t entry)
{
	return (entry & f->read ? IOMMU_READ : 0) | (entry & f->write ? IOMMU_WRITE : 0);
}

static uint64_t *below(uint64_t entry)
{
	return host_iommu_view((maddr_t){entry & WHERE});
}

/* One store: the unit may walk at any moment. */
static void put(struct io_table *t, uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	if (t->noncoherent)
		host_iommu_clean(entry, sizeof(*entry));
}

static uint64_t *new_table(struct io_table *t, maddr_t *out_where)
{
	uint64_t *page;

	if (t->n_pages >= t->max_pages)
		return NULL;
	page = host_iommu_pages(1, out_where);
	if (!page)
		return NULL;
	t->n_pages++;
	if (t->noncoherent)
		host_iommu_clean(page, PAGE_SIZE);
	return page;
}

int io_table_init(struct io_table *t)
{
	if (t->other)
		return t->other->init(t);
	t->root = new_table(t, &t->where);
	return t->root ? 0 : -XEN_ENOMEM;
}

/* As deep as there are levels. */
static void free_below(struct io_table *t, uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level && i < ENTRIES; i++)
		if ((table[i] & t->format->present) && !is_leaf(t->format, table[i], level))
			free_below(t, below(table[i]), level - 1);
	host_iommu_pages_free(table, 1);
	t->n_pages--;
}

void io_table_free(struct io_table *t)
{
	if (t->other)
		t->other->free(t);
	else if (t->root)
		free_below(t, t->root, t->levels - 1u);
	t->root = NULL;
}

/* ---- to an entry ----------------------------------------------------------------------------------- */

/* The entry that dma leads to: a leaf, or the first that is empty, or at level `stop`. */
static uint64_t *walk(const struct io_table *t, uint64_t dma, unsigned stop, unsigned *out_level)
{
	uint64_t *table = t->root;
	unsigned level = t->levels - 1u;

	for (;; level--) {
		uint64_t *entry = &table[index_of(dma, level)];

		*out_level = level;
		if (level == stop || !(*entry & t->format->present) ||
		    is_leaf(t->format, *entry, level))
			return entry;
		table = below(*entry);
	}
}

/* Hangs a table beneath an empty entry of this level. */
static int grow(struct io_table *t, uint64_t *entry, unsigned level)
{
	const struct io_format *f = t->format;
	maddr_t where;

	if (!new_table(t, &where))
		return -XEN_ENOMEM;
	put(t, entry, where.v | f->table | (f->next_shift ? (uint64_t)level << f->next_shift : 0));
	return 0;
}

/* The level whose pages are the largest that lie at both addresses and within what is left. */
static unsigned fitting(const struct io_table *t, uint64_t dma, uint64_t to, uint64_t left)
{
	for (unsigned level = t->levels - 1u; level; level--)
		if ((t->large_levels >> level & 1) && !((dma | to) & (size_of(level) - 1)) &&
		    left >= size_of(level))
			return level;
	return 0;
}

/* ---- map ------------------------------------------------------------------------------------------- */

static bool sound(const struct io_table *t, uint64_t dma, uint64_t len)
{
	uint64_t end = size_of(t->levels - 1u) * ENTRIES; /* 0: 2^64 and more, of six levels */

	if (!len || ((dma | len) & ~PAGE_MASK) || dma + len < dma)
		return false;
	return t->levels > 5 || dma + len <= end;
}

/* Finds the entry for the page at dma, of `level` or below it where a table hangs in the way, and makes the tables to it. */
static int place(struct io_table *t, uint64_t dma, unsigned level, unsigned *out_level,
		 uint64_t **out_entry)
{
	for (;;) {
		uint64_t *entry = walk(t, dma, level, out_level);
		int err;

		if (*entry & t->format->present) {
			if (is_leaf(t->format, *entry, *out_level))
				return -XEN_EEXIST;
			level--;
			continue;
		}
		*out_entry = entry;
		if (*out_level == level)
			return 0;
		err = grow(t, entry, *out_level);
		if (err)
			return err;
	}
}

/* Where smaller tables hang already, even empty ones, place() has gone below them: so does the second round, to the same entries. */
static int map_tree(struct io_table *t, uint64_t dma, maddr_t to, uint64_t len, unsigned rights)
{
	const struct io_format *f = t->format;
	uint64_t bits =
	    f->leaf | (rights & IOMMU_READ ? f->read : 0) | (rights & IOMMU_WRITE ? f->write : 0);
	uint64_t *entry = NULL;
	unsigned level;

	if (!sound(t, dma, len) || (to.v & ~WHERE) || to.v + len - 1 > (WHERE | ~PAGE_MASK) ||
	    !(rights & (IOMMU_READ | IOMMU_WRITE)))
		return -XEN_EINVAL;
	for (uint64_t at = 0; at < len; at += size_of(level)) {
		int err =
		    place(t, dma + at, fitting(t, dma + at, to.v + at, len - at), &level, &entry);

		if (err)
			return err;
	}
	/* One page, as most maps are, is found already. */
	if (len == PAGE_SIZE) {
		put(t, entry, to.v | bits);
		return 0;
	}
	for (uint64_t at = 0; at < len; at += size_of(level)) {
		unsigned want = fitting(t, dma + at, to.v + at, len - at);

		entry = walk(t, dma + at, want, &level);
		while (*entry & f->present)
			entry = walk(t, dma + at, --want, &level);
		put(t, entry, (to.v + at) | bits | (level ? f->large : 0));
	}
	return 0;
}

int io_table_map(struct io_table *t, uint64_t dma, maddr_t to, uint64_t len, unsigned rights)
{
	return t->other ? t->other->map(t, dma, to, len, rights)
			: map_tree(t, dma, to, len, rights);
}

/* ---- and back -------------------------------------------------------------------------------------- */

int io_table_unmap(struct io_table *t, uint64_t dma, uint64_t len)
{
	unsigned level;

	if (t->other)
		return t->other->unmap(t, dma, len);
	if (!sound(t, dma, len))
		return -XEN_EINVAL;
	for (uint64_t at = 0; at < len; at += size_of(level)) {
		uint64_t entry = *walk(t, dma + at, 0, &level);

		if (!(entry & t->format->present))
			return -XEN_ENOENT;
		if (((dma + at) & (size_of(level) - 1)) || len - at < size_of(level))
			return -XEN_EINVAL;
	}
	for (uint64_t at = 0; at < len; at += size_of(level))
		put(t, walk(t, dma + at, 0, &level), 0);
	return 0;
}

int io_table_take(struct io_table *t, uint64_t dma, maddr_t *out_to, unsigned *out_rights)
{
	uint64_t *entry, was;
	unsigned level;

	if (!sound(t, dma, PAGE_SIZE))
		return -XEN_EINVAL;
	entry = walk(t, dma, 0, &level);
	was = *entry;
	if (!(was & t->format->present))
		return -XEN_ENOENT;
	if (level)
		return -XEN_EINVAL;
	*out_to = (maddr_t){was & WHERE};
	*out_rights = rights_of(t->format, was);
	put(t, entry, 0);
	return 0;
}

int io_table_lookup(const struct io_table *t, uint64_t dma, maddr_t *out_to, unsigned *out_rights)
{
	uint64_t entry;
	unsigned level;

	if (t->other)
		return t->other->lookup(t, dma, out_to, out_rights);
	if (!sound(t, dma & PAGE_MASK, PAGE_SIZE))
		return -XEN_EINVAL;
	entry = *walk(t, dma, 0, &level);
	if (!(entry & t->format->present))
		return -XEN_ENOENT;
	*out_to = (maddr_t){(entry & WHERE & ~(size_of(level) - 1)) | (dma & (size_of(level) - 1))};
	*out_rights = rights_of(t->format, entry);
	return 0;
}

/* What is empty in a table is passed over without another walk: a domain may ask for this with many tables that ran empty. */
bool io_table_next(const struct io_table *t, struct iommu_piece *piece)
{
	uint64_t end = t->levels > 5 ? 0 : size_of(t->levels - 1u) * ENTRIES, at = piece->dma;
	unsigned level, left;

	if (end && at >= end)
		return false;
	for (;;) {
		const uint64_t *entry = walk(t, at, 0, &level);

		left = ENTRIES - index_of(at, level);
		for (; left && !(*entry & t->format->present); left--, entry++)
			at = (at | (size_of(level) - 1)) + 1;
		if (left && is_leaf(t->format, *entry, level)) {
			piece->dma = at & ~(size_of(level) - 1);
			piece->to = (maddr_t){*entry & WHERE & ~(size_of(level) - 1)};
			piece->len = size_of(level);
			piece->rights = rights_of(t->format, *entry);
			return true;
		}
		if (!left && (end ? at >= end : !at))
			return false;
	}
}

/* ---- empty tables ---------------------------------------------------------------------------------- */

struct cutting {
	struct io_table *t;
	void **out;
	unsigned n, max;
};

/* Whether nothing is left in the table. Its own tables go first. */
static bool cut_below(struct cutting *c, uint64_t *table, unsigned level)
{
	bool empty = true;

	for (unsigned i = 0; i < ENTRIES && c->n < c->max; i++) {
		if (!(table[i] & c->t->format->present))
			continue;
		if (is_leaf(c->t->format, table[i], level) ||
		    !cut_below(c, below(table[i]), level - 1)) {
			empty = false;
			continue;
		}
		/* There is room: a table that is not looked at to its end is not empty. */
		c->out[c->n++] = below(table[i]);
		put(c->t, &table[i], 0);
	}
	return empty && c->n < c->max;
}

unsigned io_table_cut_empty(struct io_table *t, void **out, unsigned max)
{
	struct cutting c = {.t = t, .out = out, .max = max};

	if (t->other)
		return 0;
	cut_below(&c, t->root, t->levels - 1u);
	t->n_pages -= c.n;
	return c.n;
}
