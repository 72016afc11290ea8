/* dma_space.c: a device's own addresses: a window of pages in a space of an IOMMU.
 *
 * Callers: dma.c. Calls iommu.h and host.h. Strict, an unmap flushes the page at once, and its address is free when that is done. Lazy, addresses wait until
 * there are DMA_LAZY_MAX, and one flush is for all: cheaper by far, and for that long the device still reaches what was unmapped.
 *
 *	window	[WINDOW, WINDOW + WINDOW_PAGES): below 4 GiB for devices that know no more, and below 0xfee00000, where writes are interrupts
 */
#include "dma_space.h"

#include <amphi/host.h>
#include <amphi/iommu.h>

#define WINDOW       0x10000000ull
#define WINDOW_PAGES 65536u
#define WORDS        (WINDOW_PAGES / 64u)
#define TABLES_MAX   (WINDOW_PAGES / 512u + 64u)

struct dma_space {
	struct iommu_space *io;
	bool lazy;
	unsigned next; /* no word of the bits below has one that is free */
	uint64_t maps, unmaps, flushes;
	unsigned n_waiting;
	uint32_t waiting[DMA_LAZY_MAX]; /* pages of the window, unmapped and not flushed */
	uint64_t taken[WORDS];
};

static uint64_t address(unsigned page)
{
	return WINDOW + (uint64_t)page * PAGE_SIZE;
}

static void set(struct dma_space *s, unsigned page, bool on)
{
	unsigned word = page / 64;

	if (on) {
		s->taken[word] |= 1ull << page % 64;
		return;
	}
	s->taken[word] &= ~(1ull << page % 64);
	s->next = MIN(s->next, word);
}

/* What firmware uses by this device lies where it says, whoever else wants the addresses. */
static int keep_reserved(struct dma_space *s, uint16_t bdf)
{
	const struct iommu_reserved *r;
	int err = 0;

	for (unsigned n = 0; !err && (r = iommu_reserved(n)) != NULL; n++) {
		if (bdf < r->first_bdf || bdf > r->last_bdf)
			continue;
		err = iommu_map(s->io, r->start, (maddr_t){r->start}, r->end - r->start, r->rights);
		for (uint64_t at = MAX(r->start, WINDOW); at < MIN(r->end, address(WINDOW_PAGES));
		     at += PAGE_SIZE)
			set(s, (unsigned)((at - WINDOW) >> PAGE_SHIFT), true);
	}
	return err;
}

int dma_space_new(uint16_t bdf, uint64_t mask, bool lazy, struct dma_space **out)
{
	struct iommu *unit = iommu_of(bdf);
	struct dma_space *s;
	int err;

	if (!unit || mask < address(WINDOW_PAGES) - 1)
		return unit ? -XEN_EFAULT : -XEN_ENXIO;
	s = host_alloc(sizeof(*s));
	if (!s)
		return -XEN_ENOMEM;
	s->lazy = lazy;
	err = iommu_space_new(unit, TABLES_MAX, &s->io);
	if (err)
		goto out_memory;
	err = keep_reserved(s, bdf);
	if (!err)
		err = iommu_attach(s->io, bdf);
	if (err)
		goto out_space;
	*out = s;
	return 0;

out_space:
	iommu_space_free(s->io);
out_memory:
	host_free(s, sizeof(*s));
	return err;
}

/* A unit that does not answer may still walk the tables: they stay its own then. */
void dma_space_free(struct dma_space *s, uint16_t bdf)
{
	if (iommu_detach(s->io, bdf) || iommu_space_free(s->io))
		return;
	host_free(s, sizeof(*s));
}

int dma_space_cut(struct dma_space *s, uint16_t bdf)
{
	return iommu_detach(s->io, bdf);
}

/* ---- addresses ------------------------------------------------------------------------------------- */

static bool is_free(const struct dma_space *s, unsigned page, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (page + i >= WINDOW_PAGES || s->taken[(page + i) / 64] >> (page + i) % 64 & 1)
			return false;
	return true;
}

/* The lowest: what was used lately has its tables, and they are few. More than one page is asked for at the start of a device only, so it may look at every
 * place. */
static bool take(struct dma_space *s, unsigned count, unsigned *out_page)
{
	for (unsigned word = s->next; word < WORDS; word++)
		for (uint64_t open = ~s->taken[word]; open; open &= open - 1) {
			unsigned page = word * 64 + (unsigned)__builtin_ctzll(open);

			if (count > 1 && !is_free(s, page, count))
				continue;
			for (unsigned n = 0; n < count; n++)
				set(s, page + n, true);
			s->next = count == 1 ? word : s->next;
			*out_page = page;
			return true;
		}
	return false;
}

/* A flush that fails leaves the addresses taken: the device may still reach what they led to. */
static void flush_waiting(struct dma_space *s)
{
	s->flushes++;
	if (!iommu_flush_all(s->io))
		for (unsigned i = 0; i < s->n_waiting; i++)
			set(s, s->waiting[i], false);
	s->n_waiting = 0;
}

/* ---- map and unmap --------------------------------------------------------------------------------- */

/* Frame by frame: in a direct map that is scattered they lie anywhere. */
static int map_pages(struct dma_space *s, char *va, unsigned count, uint64_t at, unsigned rights)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		maddr_t where = host_virt_to_maddr(va + i * PAGE_SIZE);

		err = iommu_map(s->io, at + i * PAGE_SIZE, where, PAGE_SIZE, rights);
		if (err && i)
			(void)iommu_unmap(s->io, at, i * PAGE_SIZE);
	}
	return err;
}

int dma_space_map(struct dma_space *s, void *va, unsigned count, enum dma_direction dir,
		  dma_addr_t *out_addr)
{
	unsigned rights =
	    (dir & DMA_TO_DEVICE ? IOMMU_READ : 0) | (dir & DMA_FROM_DEVICE ? IOMMU_WRITE : 0);
	uintptr_t offset = (uintptr_t)va & ~PAGE_MASK;
	unsigned page;
	int err;

	if (!take(s, count, &page)) {
		flush_waiting(s);
		if (!take(s, count, &page))
			return -XEN_ENOSPC;
	}
	err = map_pages(s, (char *)va - offset, count, address(page), rights);
	if (err) {
		/* What was mapped for a moment nobody was told of, but a device may guess. */
		(void)iommu_flush_all(s->io);
		for (unsigned i = 0; i < count; i++)
			set(s, page + i, false);
		return err;
	}
	s->maps += count;
	*out_addr = (dma_addr_t){address(page) + offset};
	return 0;
}

static void unmap_page(struct dma_space *s, unsigned page)
{
	if (s->lazy) {
		s->waiting[s->n_waiting++] = page;
		if (s->n_waiting == DMA_LAZY_MAX)
			flush_waiting(s);
		return;
	}
	s->flushes++;
	if (!iommu_flush_entry(s->io, address(page)))
		set(s, page, false);
}

void dma_space_unmap(struct dma_space *s, dma_addr_t addr, unsigned count)
{
	unsigned page = (unsigned)((addr.v - WINDOW) >> PAGE_SHIFT);

	if (iommu_unmap(s->io, addr.v & PAGE_MASK, (uint64_t)count * PAGE_SIZE)) {
		host_log(HOST_LOG_ERROR, "dma: address %llx is unmapped and was not mapped",
			 (unsigned long long)addr.v);
		return;
	}
	s->unmaps += count;
	for (unsigned i = 0; i < count; i++)
		unmap_page(s, page + i);
}

void dma_space_count(const struct dma_space *s, struct dma_counts *out)
{
	out->maps = s->maps;
	out->unmaps = s->unmaps;
	out->flushes = s->flushes;
	out->tables = iommu_space_tables(s->io);
}
