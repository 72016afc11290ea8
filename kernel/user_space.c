/* user_space.c: page tables of programs: made, filled, looked up, taken apart.
 *
 * Called by user_load.c, user_call.c and user.c. Everything of a program lies below 512 GiB, so under one
 * entry of the top table; the kernel's entries are copied into the first root when it is made and never
 * change afterwards (user_init_native and its sister saw to it that all of them exist). Calls pvops for tables and entries, and
 * mm.h for pages. Changes are made in lazy mode, so that a PV domain makes them together; no page is taken in it
 * that was given back in it.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "mm_parts.h"
#include "user_space.h"

#define TOP_LEVEL        4u
#define FLUSH_ONE_BY_ONE 16u
#define KEPT_BITS        (PTE_FRAME | PTE_ACCESSED | PTE_DIRTY) /* of an entry whose rights change */
#define USER_SLOT        0u                       /* of the top table: USER_END is what it spans */
#define KERNEL_SLOT      pt_index(DIRECT_BASE, 4) /* below it and above the middle: the hypervisor's */

/* Through pvops: on PV the entry holds the machine's frame. */
static uint64_t entry_of(const void *page, uint64_t flags)
{
	return pv_make_pte(virt_to_pfn(page).v << PAGE_SHIFT, flags);
}

/* PTE_USER is what makes it the program's; the kernel reaches the page by the direct map only. */
static uint64_t leaf_flags(unsigned prot)
{
	uint64_t flags = mm_flags.leaf | PTE_USER;

	if (prot & USER_WRITE)
		flags |= PTE_WRITE;
	if (!(prot & USER_EXEC))
		flags |= mm_flags.no_execute;
	return flags;
}

/* ---- the top -------------------------------------------------------------------------- */

/* Empty, and a top table for the hypervisor (pinned) before anything leads to it. */
static uint64_t *new_root(void)
{
	uint64_t *root = pages_alloc(1);

	if (!root)
		return NULL;
	pv_alloc_pt(virt_to_pfn(root).v, TOP_LEVEL);
	pv_enter_mmap(virt_to_pfn(root).v);
	return root;
}

/* In lazy mode. Entries and not tables: what the kernel maps later appears in all programs, as long as it is
 * under an entry that exists now. */
static void copy_kernel_half(uint64_t *root)
{
	for (unsigned i = KERNEL_SLOT; i < PT_ENTRIES; i++)
		if (mm_top[i] & PTE_PRESENT)
			pv_set_pgd(&root[i], mm_top[i]);
}

/* The second root, PV's for the program, stays without the kernel: Xen adds what it needs
 * itself. */
int user_space_init(struct user_space *s, unsigned n_roots)
{
	memset(s, 0, sizeof(*s));
	page_bitmap_init(&s->heap, s->heap_words, USER_HEAP_PAGES);
	page_bitmap_release(&s->heap, 0, USER_HEAP_PAGES);
	pv_lazy_mode_enter();
	while (s->n_roots < n_roots && (s->roots[s->n_roots] = new_root()))
		s->n_roots++;
	if (s->n_roots == n_roots)
		copy_kernel_half(s->roots[0]);
	pv_lazy_mode_leave();
	if (s->n_roots == n_roots)
		return 0;
	user_space_free(s);
	return -XEN_ENOMEM;
}

/* ---- tables --------------------------------------------------------------------------- */

/* The first level below the top is shared by all roots, so it is linked into each; entry is then
 * not used. */
static void link_table(struct user_space *s, uint64_t *entry, uint64_t value, unsigned level)
{
	if (level == 3)
		pv_set_pud(entry, value);
	else if (level == 2)
		pv_set_pmd(entry, value);
	else
		for (unsigned i = 0; i < s->n_roots; i++)
			pv_set_pgd(&s->roots[i][USER_SLOT], value);
}

/* Zeroed and made a table before it is linked, which is the order a hypervisor insists on; and done, not
 * put off: the next page's walk goes this way. Rights are the leaf's: tables allow everything. Rare, and
 * out of the way of the walk. */
static __attribute__((noinline)) uint64_t *make_table(struct user_space *s, uint64_t *entry,
						      unsigned level)
{
	uint64_t *table = pages_alloc(1);

	if (!table)
		return NULL;
	pv_alloc_pt(virt_to_pfn(table).v, level - 1);
	link_table(s, entry, entry_of(table, mm_flags.table | PTE_USER), level);
	pv_lazy_mode_flush();
	return table;
}

/* The leaf entry of va, with its tables made or, when make is false, NULL where one is missing. */
static uint64_t *leaf_of(struct user_space *s, uint64_t va, bool make)
{
	uint64_t *table = s->roots[0];

	for (unsigned level = TOP_LEVEL; level > 1 && table; level--) {
		uint64_t *entry = &table[pt_index(va, level)];

		if (*entry & PTE_PRESENT)
			table = page_of_entry(*entry);
		else
			table = make ? make_table(s, entry, level) : NULL;
	}
	return table ? &table[pt_index(va, 1)] : NULL;
}

static void free_page(void *page)
{
	pages_free(page, 1);
}

/* A table that nothing leads to any more, with all that is below it. Levels end the recursion at 1. */
static void free_table(uint64_t *table, unsigned level)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		if (!(table[i] & PTE_PRESENT))
			continue;
		if (level > 1)
			free_table(page_of_entry(table[i]), level - 1);
		else
			free_page(page_of_entry(table[i]));
	}
	pv_release_pt(virt_to_pfn(table).v, level);
	free_page(table);
}

/* From the top down: a table that an address space leads to cannot be made an ordinary page again. The
 * kernel's entries in the root are not followed. */
void user_space_free(struct user_space *s)
{
	uint64_t top = s->n_roots ? s->roots[0][USER_SLOT] : 0;

	pv_lazy_mode_enter();
	for (unsigned i = 0; i < s->n_roots; i++)
		pv_exit_mmap(virt_to_pfn(s->roots[i]).v);
	for (unsigned i = 0; i < s->n_roots; i++) {
		pv_release_pt(virt_to_pfn(s->roots[i]).v, TOP_LEVEL);
		free_page(s->roots[i]);
	}
	if (top & PTE_PRESENT)
		free_table(page_of_entry(top), TOP_LEVEL - 1);
	pv_lazy_mode_leave();
	s->n_roots = 0;
}

/* ---- pages ---------------------------------------------------------------------------- */

/* One by one while that is less than filling the TLB again. */
static void flush(uint64_t va, unsigned n)
{
	if (n > FLUSH_ONE_BY_ONE)
		pv_flush_tlb_user();
	else
		for (unsigned i = 0; i < n; i++)
			pv_flush_tlb_one(va + i * PAGE_SIZE);
}

/* Undone when memory is short, but for tables: they are found again by the next call, or freed
 * at the end. */
int user_space_map(struct user_space *s, uint64_t va, unsigned n, unsigned prot)
{
	unsigned done;

	pv_lazy_mode_enter();
	for (done = 0; done < n; done++) {
		uint64_t *leaf = leaf_of(s, va + done * PAGE_SIZE, true);
		void *page = leaf ? pages_alloc(1) : NULL;

		if (!page)
			break;
		pv_set_pte(leaf, entry_of(page, leaf_flags(prot)));
	}
	pv_lazy_mode_leave();
	if (done == n)
		return 0;
	(void)user_space_unmap(s, va, done);
	return -XEN_ENOMEM;
}

/* Looked at as a whole first, so that a call does all or nothing. */
static bool all_mapped(struct user_space *s, uint64_t va, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint64_t *leaf = leaf_of(s, va + i * PAGE_SIZE, false);

		if (!leaf || !(*leaf & PTE_PRESENT))
			return false;
	}
	return true;
}

/* The pages are nobody else's before all is done: nobody runs that could take one. */
int user_space_unmap(struct user_space *s, uint64_t va, unsigned n)
{
	if (!all_mapped(s, va, n))
		return -XEN_EFAULT;
	pv_lazy_mode_enter();
	for (unsigned i = 0; i < n; i++) {
		uint64_t *leaf = leaf_of(s, va + i * PAGE_SIZE, false);
		void *page = page_of_entry(*leaf);

		pv_set_pte(leaf, 0);
		free_page(page);
	}
	flush(va, n);
	pv_lazy_mode_leave();
	return 0;
}

/* A page whose rights shrink must leave the TLB: the old ones would hold until it is evicted. */
int user_space_protect(struct user_space *s, uint64_t va, unsigned n, unsigned prot)
{
	if (!all_mapped(s, va, n))
		return -XEN_EFAULT;
	pv_lazy_mode_enter();
	for (unsigned i = 0; i < n; i++) {
		uint64_t *leaf = leaf_of(s, va + i * PAGE_SIZE, false);
		uint64_t was = pv_ptep_modify_prot_start(leaf);

		pv_ptep_modify_prot_commit(leaf, (was & KEPT_BITS) | leaf_flags(prot));
	}
	flush(va, n);
	pv_lazy_mode_leave();
	return 0;
}

/* ---- bytes ---------------------------------------------------------------------------- */

/* need: bits that the leaf must have. */
static void *byte_at(const struct user_space *s, uint64_t va, uint64_t need)
{
	const uint64_t *leaf = va < USER_END ? leaf_of((struct user_space *)s, va, false) : NULL;

	if (!leaf || (*leaf & need) != need)
		return NULL;
	return (char *)page_of_entry(*leaf) + va % PAGE_SIZE;
}

void *user_space_at(const struct user_space *s, uint64_t va, bool write)
{
	return byte_at(s, va, PTE_PRESENT | (write ? PTE_WRITE : 0));
}

/* Bytes of [va, va + len) in va's page. */
static size_t piece(uint64_t va, size_t len)
{
	return MIN(len, PAGE_SIZE - va % PAGE_SIZE);
}

/* Page by page, through the direct map: neighbours of the program's need not be neighbours
 * there. */
int user_copy_from(const struct user_space *s, void *to, uint64_t from, size_t len)
{
	char *out = to;

	for (size_t step; len; from += step, out += step, len -= step) {
		const void *at = user_space_at(s, from, false);

		if (!at)
			return -XEN_EFAULT;
		step = piece(from, len);
		memcpy(out, at, step);
	}
	return 0;
}

static int copy_out(const struct user_space *s, uint64_t to, const char *from, size_t len,
		    uint64_t need)
{
	for (size_t step; len; to += step, from += step, len -= step) {
		void *at = byte_at(s, to, need);

		if (!at)
			return -XEN_EFAULT;
		step = piece(to, len);
		memcpy(at, from, step);
	}
	return 0;
}

int user_copy_to(const struct user_space *s, uint64_t to, const void *from, size_t len)
{
	return copy_out(s, to, from, len, PTE_PRESENT | PTE_WRITE);
}

int user_copy_load(const struct user_space *s, uint64_t to, const void *from, size_t len)
{
	return copy_out(s, to, from, len, PTE_PRESENT);
}
