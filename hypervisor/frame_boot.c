/* frame_boot.c: from the machine's memory map to a frame table, an m2p, a direct map, an allocator.
 *
 * Runs once at boot, on the tables boot.S made, which map the image and the first GiB of RAM.
 * Pages needed before there is an allocator are taken upwards from 1 MiB, around what is in use.
 * Afterwards it only maps device memory (hv_map_io) and gives boot modules back. Callers: boot
 * code, drivers of the APICs. Calls frame.c.
 */
#include <amphi/string.h>

#include "io.h"
#include "mm_private.h"

#define LOW_END   0x100000ul   /* the first MiB stays the firmware's */
#define EARLY_END 0x40000000ul /* what boot.S has mapped */
#define SIZE_2M   0x200000ul

/* Accessed and dirty from the start, so that no CPU ever has to write to tables of ours. Never
 * global: a guest's top-level table is left by loading another one, and hw_flush relies on that. */
#define TABLE_FLAGS (PTE_PRESENT | PTE_RW | PTE_ACCESSED)
#define DATA_FLAGS  (PTE_PRESENT | PTE_RW | PTE_ACCESSED | PTE_DIRTY | PTE_NX)

static struct mm_range machine[MM_RANGES_MAX], in_use[MM_RANGES_MAX];
static unsigned machine_count, in_use_count;
static mfn_t root;
static uint64_t early_next = LOW_END;
/* While early, pages come from early_next on; nothing of that is ever freed. */
static bool early = true;
static uint64_t io_next = HV_IO_VIRT;
static spinlock_t io_lock;

const struct mm_range *mm_machine_map(unsigned *out_count)
{
	*out_count = machine_count;
	return machine;
}

mfn_t mm_hv_root(void)
{
	return root;
}

mfn_t virt_to_mfn(const void *va)
{
	return maddr_to_mfn(virt_to_maddr(va));
}

/* The image lies below the direct map. */
maddr_t virt_to_maddr(const void *va)
{
	uint64_t v = (uint64_t)va;

	return (maddr_t){v >= MM_DIRECT ? v - MM_DIRECT : v - HV_IMAGE_VIRT};
}

/* ---- pages before there is an allocator ------------------------------------------- */

/* The first range that has part of [start, end). */
static const struct mm_range *in_use_at(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < in_use_count; i++)
		if (start < in_use[i].end && in_use[i].start < end)
			return &in_use[i];
	return NULL;
}

/* Whether [start, end) lies in RAM as a whole. */
static bool all_ram(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < machine_count; i++)
		if (machine[i].kind == MM_RANGE_RAM && machine[i].start <= start &&
		    end <= machine[i].end)
			return true;
	return false;
}

/* Upwards without a gap, so that in the end one range in use says what was taken. Only RAM that is
 * mapped can be zeroed, hence EARLY_END. */
static void *table_page(void)
{
	if (!early)
		return hv_page_alloc(0);
	while (early_next < EARLY_END) {
		uint64_t at = early_next;
		void *page = maddr_to_virt((maddr_t){at});

		early_next += PAGE_SIZE;
		if (!all_ram(at, at + PAGE_SIZE) || in_use_at(at, at + PAGE_SIZE))
			continue;
		page_zero(page);
		return page;
	}
	return NULL;
}

/* ---- our own tables --------------------------------------------------------------- */

/* The entry for va at `level` (1: 4 KiB, 2: 2 MiB), making tables on the way. */
static uint64_t *our_entry(uint64_t va, unsigned level, uint64_t flags)
{
	uint64_t *table = mfn_to_virt(root);

	for (unsigned l = 4; l > level; l--) {
		uint64_t *entry = &table[pt_index(va, l)];

		if (!(*entry & PTE_PRESENT)) {
			void *page = table_page();

			if (!page)
				return NULL;
			*entry = pte_make(virt_to_mfn(page), flags);
		}
		table = mfn_to_virt(pte_mfn(*entry));
	}
	return &table[pt_index(va, level)];
}

/* Frame table and m2p are arrays by frame number over all of the machine's addresses, of which only
 * the pages with RAM's entries exist. Two ranges may meet in one page, so it may be there. */
/* Pages under table[first .. end) of entries of `size` bytes, at va. */
static int map_table_part(uint64_t va, uint64_t size, uint64_t first, uint64_t end)
{
	for (uint64_t at = (va + first * size) & PAGE_MASK; at < va + end * size; at += PAGE_SIZE) {
		uint64_t *entry = our_entry(at, 1, TABLE_FLAGS);
		void *page = NULL;

		if (entry && (*entry & PTE_PRESENT))
			continue;
		if (entry)
			page = table_page();
		if (!page)
			return -XEN_ENOMEM;
		*entry = pte_make(virt_to_mfn(page), DATA_FLAGS);
	}
	return 0;
}

/* The pages of the m2p once more where guests may read them. A guest that looks up a frame that is
 * no RAM finds no number rather than a fault. */
static int map_m2p_for_guests(void)
{
	uint64_t *none = table_page(), end = (frames_highest() + 1) * 8;

	if (!none)
		return -XEN_ENOMEM;
	memset(none, 0xff, PAGE_SIZE);
	for (uint64_t at = 0; at < end; at += PAGE_SIZE) {
		uint64_t *rw = our_entry(HV_M2P_RW_VIRT + at, 1, TABLE_FLAGS);
		uint64_t *ro = our_entry(HV_M2P_VIRT + at, 1, TABLE_FLAGS | PTE_USER);

		if (!rw || !ro)
			return -XEN_ENOMEM;
		*ro = pte_make(*rw & PTE_PRESENT ? pte_mfn(*rw) : virt_to_mfn(none),
			       PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NX);
	}
	return 0;
}

/* In steps of 2 MiB, so that firmware tables in the last piece of RAM are in it too. */
static int map_direct(uint64_t start, uint64_t end)
{
	for (uint64_t at = start & ~(SIZE_2M - 1); at < end; at += SIZE_2M) {
		uint64_t *entry = our_entry(HV_DIRECT_VIRT + at, 2, TABLE_FLAGS);

		if (!entry)
			return -XEN_ENOMEM;
		if (!(*entry & PTE_PRESENT))
			*entry = at | DATA_FLAGS | PTE_PSE;
	}
	return 0;
}

/* ---- the steps of mm_boot_init ----------------------------------------------------- */

static int copy_list(struct mm_range *to, unsigned *to_count, const struct mm_range *from,
		     unsigned count)
{
	if (count > MM_RANGES_MAX)
		return -XEN_EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (from[i].start > from[i].end || from[i].end >> 52)
			return -XEN_EINVAL;
	memcpy(to, from, count * sizeof(*from));
	*to_count = count;
	return 0;
}

/* A page that is RAM only in part is none: its other part may be a device's or the firmware's. What
 * the direct map cannot reach is left alone. */
static bool ram_frames(const struct mm_range *r, uint64_t *first, uint64_t *end)
{
	const uint64_t most = (uint64_t)(HV_DIRECT_LAST_SLOT + 1 - HV_DIRECT_SLOT) << 39;

	*first = PAGES_FOR(MAX(r->start, LOW_END));
	*end = MIN(r->end, most) >> PAGE_SHIFT;
	return r->kind == MM_RANGE_RAM && *first < *end;
}

/* RAM of a range is declared last: mfn_valid must not lead anybody to a page_info that is not
 * mapped yet. ACPI's tables are no RAM to us, but we read them. */
static int set_up_ram(void)
{
	int error = 0;

	for (unsigned i = 0; i < machine_count && !error; i++) {
		const struct mm_range *r = &machine[i];
		uint64_t first, end;

		if (ram_frames(r, &first, &end))
			error = map_table_part(HV_FRAMES_VIRT, sizeof(struct page_info), first, end)
				?: map_table_part(HV_M2P_RW_VIRT, 8, first, end)
				?: map_direct(first << PAGE_SHIFT, end << PAGE_SHIFT)
				?: frames_add_ram(first, end);
		else if (r->kind == MM_RANGE_ACPI || r->kind == MM_RANGE_ACPI_NVS)
			error = map_direct(r->start, r->end);
	}
	return error ? error : map_m2p_for_guests();
}

/* Frees [first, end) but for what is in use: each piece up to the next range in use. */
static void free_around_used(uint64_t first, uint64_t end)
{
	uint64_t run = first;

	for (uint64_t n = first; n < end; n++) {
		uint64_t at = n << PAGE_SHIFT;
		const struct mm_range *used = in_use_at(at, at + PAGE_SIZE);

		if (!used)
			continue;
		frames_add_free(run, n);
		/* The loop's step goes to the first page beyond, which may be in use as well. */
		n = PAGES_FOR(used->end) - 1;
		run = n + 1;
	}
	frames_add_free(run, end);
}

static void start_allocator(void)
{
	uint64_t first, end;

	/* In this order: after the first there is no early page any more that is not in use. */
	in_use[in_use_count++] = (struct mm_range){LOW_END, early_next, MM_RANGE_RESERVED};
	early = false;
	for (unsigned i = 0; i < machine_count; i++) {
		if (!ram_frames(&machine[i], &first, &end))
			continue;
		/* By whole pages of the m2p: guests may look up what lies beside RAM too. */
		for (uint64_t n = first & ~511ull; n <= ((end - 1) | 511); n++)
			m2p_set((mfn_t){n}, M2P_INVALID);
		free_around_used(first, end);
	}
}

int mm_boot_init(const struct mm_range *map, unsigned map_count, const struct mm_range *used,
		 unsigned used_count, mfn_t l4)
{
	int error;

	if (used_count >= MM_RANGES_MAX) /* one more will be ours */
		return -XEN_EINVAL;
	root = l4;
	error = copy_list(machine, &machine_count, map, map_count)
		?: copy_list(in_use, &in_use_count, used, used_count)
		?: set_up_ram();
	if (error)
		return error;
	/* Guests' tables get copies of the hole's slots: all that will ever be used exist now. */
	if (!our_entry(HV_IO_VIRT, 1, TABLE_FLAGS))
		return -XEN_ENOMEM;
	start_allocator();
	return 0;
}

/* Page by page, because a module may lie across RAM and what is not. Joining makes blocks of it. */
void mm_boot_release(uint64_t start, uint64_t end)
{
	for (uint64_t n = PAGES_FOR(start); n < end >> PAGE_SHIFT; n++)
		if (mfn_valid((mfn_t){n}))
			frames_add_free(n, n + 1);
}

/* What a try that failed half-way wrote is written over by the next: io_next has not moved. An
 * entry that was not present is in no TLB (Intel SDM 3A, 4.10.2.3), so there is nothing to flush.
 * All address spaces have it at once: they share the L3 that HV_IO_VIRT is under. */
void *hv_map_io(maddr_t maddr, uint64_t size)
{
	uint64_t offset = maddr.v & ~PAGE_MASK, at = 0;
	uint64_t bytes = PAGES_FOR(offset + size) * PAGE_SIZE;
	void *va = NULL;

	if (size > HV_IO_VIRT_END - HV_IO_VIRT)
		return NULL;
	spin_lock(&io_lock);
	while (io_next + bytes <= HV_IO_VIRT_END && at < bytes) {
		uint64_t *entry = our_entry(io_next + at, 1, TABLE_FLAGS);

		if (!entry)
			break;
		*entry = ((maddr.v & PAGE_MASK) + at) | DATA_FLAGS | PTE_PCD | PTE_PWT;
		at += PAGE_SIZE;
	}
	if (at == bytes && bytes) {
		va = (void *)(io_next + offset);
		io_next += bytes;
	}
	spin_unlock(&io_lock);
	return va;
}
