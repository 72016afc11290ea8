/* start_layout.c: computes where a new domain's parts lie and what its first page tables say.
 *
 * Pure arithmetic on what the caller gives, so the whole of it is tested on the host. Not a
 * page-table walker: it knows only one-to-one mappings from virt_base on. Callers: domain_builder.c
 * of control/, and the hypervisor for the first domain. Calls nothing.
 */
#include <amphi/start_layout.h>
#include <amphi/string.h>

#define RFLAGS_IF 0x200u
#define DR6_FIXED 0xffff0ff0u /* debug registers that ask for nothing */
#define DR7_FIXED 0x400u

/* The order is that of xen/xen.h ("start of day"), each part on a page of its own:
 *
 *   pfn 0                                                                                   end_pfn
 *   | kernel | ramdisk | p2m | start info | store | console | (gap) L4 L3.. L2.. L1.. | stack | free |
 *   '--- mapped one to one from virt_base; the tables are the ones that do the mapping ---------'
 *
 * The tables stand behind everything whose size is known, and before the stack, because their
 * number depends on the end of the mapping and the end of the mapping on their number
 * (layout_plan). */

/* Kernels may count on this much mapped memory after the last part: xen/xen.h promises 512 KiB, and
 * early boot code takes its first page tables from there. */
#define PADDING_PAGES (512u * 1024 / PAGE_SIZE)
/* The mapping ends on a border of so many pages, where the domain has them; the 4 MiB are
 * xen/xen.h's too, from the days when one table mapped that much. */
#define END_ALIGN_PAGES (4u * 1024 * 1024 / PAGE_SIZE)

/* A guest's own addresses: below the canonical gap, or above the hypervisor's hole
 * (HYPERVISOR_VIRT_START to _END in xen/arch-x86/xen-x86_64.h). A mapping anywhere else would put
 * guest entries into L4 slots that the hypervisor fills in itself. */
#define LOWER_END   0x00007fffffffffffull
#define UPPER_START 0xffff880000000000ull
#define MAX_PAGES   (1ull << 36)

/* One entry of a table of this level spans 1 << entry_shift bytes. */
static unsigned entry_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

/* The numbers, counted over the whole address space, of the first and last entry in use. */
static uint64_t first_entry(const struct start_layout *l, unsigned level)
{
	return l->virt_base >> entry_shift(level);
}
static uint64_t last_entry(const struct start_layout *l, unsigned level)
{
	return (l->virt_base + (l->end_pfn << PAGE_SHIFT) - 1) >> entry_shift(level);
}

/* A level's tables are told by dividing entry numbers by 512, not sizes by spans: virt_base need
 * not begin a table, so a small mapping that crosses a border has two of them. */
static unsigned count_tables(struct start_layout *l)
{
	unsigned n = 0;

	for (unsigned level = 1; level <= 4; level++) {
		l->n_level[level] =
		    (unsigned)((last_entry(l, level) >> 9) - (first_entry(l, level) >> 9) + 1);
		n += l->n_level[level];
	}
	return n;
}

/* How many pages to leave free before tables that would end at tables_end. Linux unmaps what is behind its
 * image from where the tables begin up to the next border behind their end, and takes that for the end of the
 * mapping; when the stack and the padding alone cross a border, 4 MiB remain mapped writable and executable,
 * and it warns of them at each boot. So the tables are moved until they cross it too. */
static uint64_t gap_before_tables(const struct start_layout *l, uint64_t tables_end)
{
	uint64_t border = ROUND_UP(tables_end, END_ALIGN_PAGES);
	uint64_t end = ROUND_UP(tables_end + 1 + PADDING_PAGES, END_ALIGN_PAGES);

	return border < end && end <= l->pages ? border + 1 - tables_end : 0;
}

/* Places all parts, given room for n_tables tables. */
static void place(struct start_layout *l)
{
	uint64_t pfn = PAGES_FOR(l->kernel_end_paddr);

	l->ramdisk_pfn = pfn;
	pfn += PAGES_FOR(l->ramdisk_bytes);
	l->p2m_pfn = pfn;
	pfn += PAGES_FOR(l->pages * sizeof(uint64_t));
	l->start_info_pfn = pfn++;
	l->store_pfn = pfn;
	l->console_pfn = pfn + 1;
	pfn += l->no_rings ? 0 : 2;
	pfn += gap_before_tables(l, pfn + l->n_tables);
	l->tables_pfn = pfn;
	pfn += l->n_tables;
	l->stack_pfn = pfn++;
	l->needs_pages = pfn + PADDING_PAGES;
	l->end_pfn = ROUND_UP(l->needs_pages, END_ALIGN_PAGES);
	/* A small domain has less than the border: then all of it is mapped. */
	if (l->end_pfn > l->pages)
		l->end_pfn = MAX(l->pages, l->needs_pages);
}

/* Whether all that is mapped lies in the guest's half of the canonical addresses, outside the
 * hypervisor's hole, and does not wrap. Asked each round, before entries are counted: their numbers
 * mean nothing in a range that wraps. */
static bool addresses_good(const struct start_layout *l)
{
	uint64_t start = l->virt_base, end = start + (l->end_pfn << PAGE_SHIFT) - 1;

	if (l->end_pfn > MAX_PAGES || end < start)
		return false;
	return end <= LOWER_END || start >= UPPER_START;
}

bool layout_plan(struct start_layout *l)
{
	/* The tables lie in what they map: more tables, more to map. A round adds at least one
	 * table, which is room for 512 pages more, so few rounds are needed. */
	l->n_tables = 4;
	for (;;) {
		unsigned n;

		place(l);
		if (!addresses_good(l))
			return false;
		n = count_tables(l);
		if (n == l->n_tables)
			return l->pages >= l->needs_pages;
		l->n_tables = n;
	}
}

/* The first table of a level in the run at tables_pfn: the L4 (cr3 points at the first frame), then
 * L3s, L2s, L1s. Kernels do not rely on the order within, only on pt_base and nr_pt_frames. */
static unsigned first_table(const struct start_layout *l, unsigned level)
{
	unsigned n = 0;

	for (unsigned above = 4; above > level; above--)
		n += l->n_level[above];
	return n;
}

void layout_table(const struct start_layout *l, unsigned number, unsigned *out_level,
		  unsigned *out_index)
{
	unsigned level = 4;

	while (level > 1 && number >= l->n_level[level])
		number -= l->n_level[level--];
	*out_level = level;
	*out_index = number;
}

static bool is_table(const struct start_layout *l, uint64_t pfn)
{
	return pfn >= l->tables_pfn && pfn < l->tables_pfn + l->n_tables;
}

/* entry is the slot's number counted over the whole address space, so tests against the first and
 * last entry in use are enough: what lies outside, at either end of a level's run of tables, is
 * empty. */
bool layout_entry(const struct start_layout *l, unsigned level, unsigned index, unsigned slot,
		  uint64_t *out_pfn, uint64_t *out_flags)
{
	uint64_t first = first_entry(l, level), last = last_entry(l, level);
	uint64_t entry = ((first >> 9) + index) << 9 | slot;

	if (entry < first || entry > last)
		return false;
	/* USER at every level, because the guest's kernel runs in ring 3. ACCESSED and DIRTY as if
	 * it had been used already, which spares the processor the writes. */
	*out_flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
	if (level > 1) {
		*out_pfn = l->tables_pfn + first_table(l, level - 1) + (entry - first);
		*out_flags |= PTE_WRITE | PTE_DIRTY;
		return true;
	}
	*out_pfn = entry - first;
	/* Page tables are the domain's to read; it changes them through the hypervisor. Left
	 * writable here, the pin would be refused: a frame is a table or writable, never both. */
	if (!is_table(l, *out_pfn))
		*out_flags |= PTE_WRITE | PTE_DIRTY;
	return true;
}

/* What is not set here is zero, and that has a meaning: no flags, so neither privileged nor the
 * initial domain; first_p2m_pfn unused, since the list lies inside the mapping. */
void layout_start_info(const struct start_layout *l, const char *cmdline, struct start_info *out)
{
	(void)str_copy(out->magic, sizeof(out->magic), "xen-3.0-x86_64");
	out->nr_pages = l->pages;
	out->pt_base = layout_va(l, l->tables_pfn);
	out->nr_pt_frames = l->n_tables;
	out->mfn_list = layout_va(l, l->p2m_pfn);
	if (l->ramdisk_bytes > 0) {
		out->mod_start = layout_va(l, l->ramdisk_pfn);
		out->mod_len = l->ramdisk_bytes;
	}
	(void)str_copy((char *)out->cmd_line, sizeof(out->cmd_line), cmdline);
}

/* What xen/xen.h promises the entry point: rsi has the start info, rsp the top of the stack page,
 * and all selectors are the flat ones of ring 3. The stack for events and traps out of user mode is
 * the boot stack until stack_switch says more. */
void layout_context(const struct start_layout *l, uint64_t entry, struct vcpu_guest_context *out)
{
	uint64_t stack_top = layout_va(l, l->stack_pfn + 1);

	out->flags = VGCF_in_kernel | VGCF_online;
	out->user_regs.rip = entry;
	out->user_regs.rsp = stack_top;
	out->user_regs.rsi = layout_va(l, l->start_info_pfn);
	out->user_regs.rflags = RFLAGS_IF;
	out->user_regs.cs = FLAT_RING3_CS64;
	out->user_regs.ss = FLAT_RING3_SS64;
	out->user_regs.ds = out->user_regs.es = FLAT_RING3_DS64;
	out->user_regs.fs = out->user_regs.gs = FLAT_RING3_DS64;
	out->kernel_ss = FLAT_RING3_SS64;
	out->kernel_sp = stack_top;
	out->debugreg[6] = DR6_FIXED;
	out->debugreg[7] = DR7_FIXED;
}
