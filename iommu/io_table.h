/* io_table.h: the tree of tables that leads from DMA addresses to pages, as VT-d and AMD-Vi have it.
 *
 * Both have tables of 512 entries of 8 bytes and nine bits a level; what the bits of an entry mean is a format, a row of numbers. Private to
 * iommu/. No unit is told here that something changed: the caller flushes.
 */
#ifndef IOMMU_IO_TABLE_H
#define IOMMU_IO_TABLE_H

#include <amphi/iommu.h>
#include <amphi/types.h>

struct io_format {
	uint64_t read, write; /* rights in a leaf and in what leads to it */
	uint64_t present;     /* any of these: the entry is one */
	uint64_t leaf, table; /* always set in a leaf, and in an entry that leads to a table */
	uint64_t kind, large; /* above the lowest level: a leaf has (entry & kind) == large */
	uint8_t next_shift;   /* where the level below is told, 0: nowhere */
};

/* A table of another make: its own functions, as those below. It has no tables to cut. */
struct io_table;
struct io_table_other {
	int (*init)(struct io_table *t);
	void (*free)(struct io_table *t);
	int (*map)(struct io_table *t, uint64_t dma, maddr_t to, uint64_t len, unsigned rights);
	int (*unmap)(struct io_table *t, uint64_t dma, uint64_t len);
	int (*lookup)(const struct io_table *t, uint64_t dma, maddr_t *out_to,
		      unsigned *out_rights);
	bool (*next)(const struct io_table *t, struct iommu_piece *piece);
};

struct io_table {
	const struct io_table_other
	    *other; /* NULL: the tree; else nothing of format and levels counts */
	const struct io_format *format;
	uint8_t levels; /* 2-6 */
	uint8_t
	    large_levels; /* bit n: level n may hold leaves (1: 2 MiB, 2: 1 GiB); level 0 always may */
	bool noncoherent; /* the unit does not see the caches */
	unsigned n_pages, max_pages;
	uint64_t *root;
	maddr_t where;
};

/* Takes the root. -XEN_ENOMEM. The fields above root are filled by the caller, n_pages with 0. */
int io_table_init(struct io_table *t);
void io_table_free(struct io_table *t);

/* As their namesakes of iommu.h. */
int io_table_map(struct io_table *t, uint64_t dma, maddr_t to, uint64_t len, unsigned rights);
int io_table_unmap(struct io_table *t, uint64_t dma, uint64_t len);
int io_table_take(struct io_table *t, uint64_t dma, maddr_t *out_to, unsigned *out_rights);
int io_table_lookup(const struct io_table *t, uint64_t dma, maddr_t *out_to, unsigned *out_rights);

bool io_table_next(const struct io_table *t, struct iommu_piece *piece);

/* Takes up to max empty tables out of the tree and puts them into out; they may be freed after a flush of all. */
unsigned io_table_cut_empty(struct io_table *t, void **out, unsigned max);

#endif
