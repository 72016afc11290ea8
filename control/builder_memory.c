/* builder_memory.c: gives a new domain its frames and writes what is in them before it starts.
 *
 * Frames of the new domain are mapped here in windows of WINDOW_PAGES, written, and unmapped at
 * once: page tables can be checked only when nobody has them writable. Not here: what the
 * start info says (builder_start.c). Caller: domain_builder.c's table of steps. Calls:
 * host_control.h, lib/start_layout.c.
 */
#include <amphi/string.h>

#include "builder.h"

/* A window is 1 MiB: large enough that a call per window costs little beside the copy, small enough
 * for the address space and the tables a small service domain has. A batch of populate bounds how
 * long the hypervisor works in one call. */
#define WINDOW_PAGES   256u
#define POPULATE_BATCH 1024u

/* All "no memory" answers read alike, whether they come from the look before or from populate
 * itself. */
static int too_little(struct build *b, uint64_t free_pages)
{
	return build_fail(b, -XEN_ENOMEM, "memory: %llu KiB asked for, %llu KiB are free",
			  (unsigned long long)b->layout.pages * 4,
			  (unsigned long long)free_pages * 4);
}

/* Says no before the machine's last page has gone into a domain that cannot be. Another may take
 * memory in between, so populate looks again. */
int build_check_memory(struct build *b)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo};

	if (host_sysctl(&op) != 0)
		return 0; /* populate will see */
	if (op.u.physinfo.free_pages < b->layout.pages)
		return too_little(b, op.u.physinfo.free_pages);
	return 0;
}

int build_populate(struct build *b)
{
	uint64_t done = 0, pages = b->layout.pages;

	/* In: which pfn each extent is to be. Out, in place: its frame. */
	for (uint64_t pfn = 0; pfn < pages; pfn++)
		b->frames[pfn].v = pfn;
	while (done < pages) { /* each round eats a batch */
		struct xen_memory_reservation r = {
		    .nr_extents = MIN(pages - done, POPULATE_BATCH),
		    .domid = b->out->domid,
		};
		long got;

		/* extent_start is IN and OUT (xen/memory.h): a PV domain's pfns go in, the frames
		 * it got come back in the same array, which so becomes the p2m list without a copy.
		 */
		set_xen_guest_handle(r.extent_start, (xen_pfn_t *)&b->frames[done]);
		got = host_memory_op(XENMEM_populate_physmap, &r);
		if (got < 0)
			return (int)got;
		/* Fewer than asked is no error of the call: it stops at the first extent it has no
		 * page for. */
		if ((uint64_t)got != r.nr_extents)
			return too_little(b, done + (uint64_t)got);
		done += r.nr_extents;
	}
	b->out->pages = pages;
	return 0;
}

/* Frames, not pfns, are what a foreign mapping names: the domain has no p2m of its own yet. */
static int map_window(struct build *b, uint64_t pfn, unsigned count, void **out_va)
{
	return host_foreign_map(b->out->domid, &b->frames[pfn], count, out_va);
}

/* The piece of [paddr, paddr + len) that fits one window; its length, or an error. paddr comes from
 * an ELF file and was checked against the image only, so it is checked against the domain here,
 * before a frame is looked up. */
static long write_piece(struct build *b, uint64_t paddr, const uint8_t *data, uint64_t len)
{
	uint64_t offset = paddr & (PAGE_SIZE - 1), pfn = paddr >> PAGE_SHIFT;
	uint64_t piece = MIN(len, WINDOW_PAGES * PAGE_SIZE - offset);
	unsigned count = (unsigned)PAGES_FOR(offset + piece);
	void *va;
	int err;

	if (pfn + count > b->layout.pages)
		return -XEN_ENOMEM;
	err = map_window(b, pfn, count, &va);
	if (err)
		return err;
	if (data)
		memcpy((char *)va + offset, data, piece);
	else
		memset((char *)va + offset, 0, piece);
	host_foreign_unmap(va, count);
	return (long)piece;
}

/* len may be 0 (a segment without a part in the file): then nothing is mapped. */
int build_write(struct build *b, uint64_t paddr, const void *data, uint64_t len)
{
	const uint8_t *from = data;

	while (len > 0) { /* each round eats a piece */
		long piece = write_piece(b, paddr, from, len);

		if (piece < 0)
			return (int)piece;
		paddr += (uint64_t)piece;
		len -= (uint64_t)piece;
		from = from ? from + piece : NULL;
	}
	return 0;
}

int build_load_kernel(struct build *b)
{
	for (unsigned i = 0; i < b->image.n_segments; i++) {
		const struct elf_segment *s = &b->image.segments[i];
		uint64_t paddr = elf_xen_paddr(&b->notes, s->paddr);
		int err = build_write(b, paddr, s->data, s->file_bytes);

		/* Memory beyond the file's part is zero; frames may hold what was there before. */
		if (!err)
			err = build_write(b, paddr + s->file_bytes, NULL,
					  s->memory_bytes - s->file_bytes);
		if (err)
			return err;
	}
	return 0;
}

/* Without a ramdisk its length is 0, and the step does nothing. */
int build_load_ramdisk(struct build *b)
{
	return build_write(b, b->layout.ramdisk_pfn << PAGE_SHIFT, b->plan->ramdisk,
			   b->layout.ramdisk_bytes);
}

/* b->frames is what populate answered with. Frame numbers are the machine's, so the list is true
 * for this domain on this machine and nowhere else. */
int build_write_p2m(struct build *b)
{
	return build_write(b, b->layout.p2m_pfn << PAGE_SHIFT, b->frames,
			   b->layout.pages * sizeof(mfn_t));
}

/* A table is written whole, empty slots too: its frame may hold what another domain left there. */
static void fill_table(struct build *b, unsigned number, uint64_t *table)
{
	unsigned level, index;

	layout_table(&b->layout, number, &level, &index);
	for (unsigned slot = 0; slot < PTES; slot++) {
		uint64_t pfn, flags;

		table[slot] = 0;
		if (layout_entry(&b->layout, level, index, slot, &pfn, &flags))
			table[slot] = mfn_to_maddr(b->frames[pfn]).v | flags;
	}
}

/* All four levels are one run of frames, so one loop in windows does for all; none of them is a
 * table to the hypervisor yet, only a page that we have writable. The pin comes when we no longer
 * have. */
int build_write_tables(struct build *b)
{
	unsigned done = 0;

	while (done < b->layout.n_tables) { /* each round eats a window */
		unsigned count = MIN(b->layout.n_tables - done, WINDOW_PAGES);
		void *va;
		int err = map_window(b, b->layout.tables_pfn + done, count, &va);

		if (err)
			return err;
		for (unsigned i = 0; i < count; i++)
			fill_table(b, done + i, (uint64_t *)va + i * PTES);
		host_foreign_unmap(va, count);
		done += count;
	}
	return 0;
}
