/* user_space_test.c: address spaces of programs, on page tables in a host program's memory.
 *
 * Shows: with one top table and with two, what is mapped is found at its address with its rights in every
 * one of them and nothing else is; the kernel's half is in the first only; copies reach over pages and stop
 * where the program may not go; every failure of memory on the way leaves nothing behind, and in the end
 * every page and table is given back. Why: a wrong entry is somebody else's memory. Frames in entries are
 * scrambled, so that a frame number taken for a machine's shows; each entry is written through the operation
 * of its level, into a page that was declared a table of that level. All of it also as a PV domain does it, where
 * changes made in lazy mode happen only at the end of it.
 *
 * links: kernel/user_space.c kernel/page_bitmap.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/pvops.h>
#include <amphi/xen.h>
#include "kernel/mm_parts.h"
#include "kernel/user_space.h"
#include "pvops/impl.h"
#include "stacked_ops.h"

#define PAGES    256u
#define SCRAMBLE 0x5000u /* of frame numbers */
#define CODE     0x400000ull

uint64_t mm_test_kernel_base, mm_test_direct_base;
struct mm_flags mm_flags = {
    .leaf = PTE_PRESENT | PTE_ACCESSED, .table = PTE_PRESENT | PTE_WRITE, .no_execute = PTE_NX};
uint64_t *mm_top;
struct pv_ops pv_ops;

static uint8_t arena[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static bool used[PAGES];
static uint8_t table_level[PAGES]; /* 0: no table */
static bool is_space[PAGES];
static unsigned n_used, pages_left, flushes;
static struct user_space space;

/* ---- what is put off --------------------------------------------------------------------- */

typedef void change_fn(uint64_t a, uint64_t b, uint64_t c);
static struct {
	change_fn *fn;
	uint64_t a, b, c;
} put_off[4096];
static unsigned n_put_off, frees_put_off;
static bool may_put_off, is_lazy; /* as a PV domain does; a processor of our own does all at once */

static void flush_all(void)
{
	for (unsigned i = 0; i < n_put_off; i++)
		put_off[i].fn(put_off[i].a, put_off[i].b, put_off[i].c);
	n_put_off = frees_put_off = 0;
}

static void later(change_fn *fn, uint64_t a, uint64_t b, uint64_t c)
{
	assert_true(n_put_off < ARRAY_SIZE(put_off));
	put_off[n_put_off].fn = fn, put_off[n_put_off].a = a;
	put_off[n_put_off].b = b, put_off[n_put_off++].c = c;
	if (!is_lazy)
		flush_all();
}

static void lazy_enter(void)
{
	assert_false(is_lazy);
	is_lazy = may_put_off;
}

static void lazy_leave(void)
{
	flush_all();
	is_lazy = false;
}

/* ---- memory ------------------------------------------------------------------------------ */

void *pages_alloc(unsigned n)
{
	assert_false(frees_put_off);
	assert_int_equal(n, 1);
	if (!pages_left)
		return NULL;
	for (unsigned i = 1; i < PAGES; i++) {
		if (used[i])
			continue;
		used[i] = true;
		n_used++, pages_left--;
		memset(arena + i * PAGE_SIZE, 0, PAGE_SIZE);
		return arena + i * PAGE_SIZE;
	}
	return NULL;
}

pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){(uint64_t)((const uint8_t *)va - arena) / PAGE_SIZE};
}

static void free_now(uint64_t pfn, uint64_t unused, uint64_t unused_too)
{
	assert_int_equal(table_level[pfn], 0);
	memset(arena + pfn * PAGE_SIZE, 0xee, PAGE_SIZE); /* whoever reads it again sees nonsense */
	used[pfn] = false;
	n_used--;
}

/* In lazy mode the page is still what it was, so it may not be anything else yet. */
void pages_free(void *va, unsigned n)
{
	uint64_t pfn = virt_to_pfn(va).v;

	assert_true(n == 1 && used[pfn]);
	frees_put_off = 1;
	later(free_now, pfn, 0, 0);
}

/* ---- operations ---------------------------------------------------------------------------- */

static uint64_t scramble(uint64_t entry)
{
	return entry & PTE_PRESENT ? entry ^ (uint64_t)SCRAMBLE << PAGE_SHIFT : entry;
}

static void set_now(uint64_t level, uint64_t at, uint64_t value)
{
	uint64_t *entry = (uint64_t *)(uintptr_t)at;
	uint64_t pfn = virt_to_pfn(entry).v, to = (scramble(value) & PTE_FRAME) >> PAGE_SHIFT;

	assert_true(pfn < PAGES && table_level[pfn] == level);
	assert_true(level < 4 || is_space[pfn]);
	if (value & PTE_PRESENT && entry < (uint64_t *)(arena + pfn * PAGE_SIZE) + 256) {
		assert_true(to < PAGES && used[to]);
		assert_int_equal(table_level[to], level - 1);
	}
	*entry = value;
}
static void set_at(unsigned level, uint64_t *entry, uint64_t value)
{
	later(set_now, level, (uintptr_t)entry, value);
}
STACKED(STORE, set_pte, void, uint64_t *, uint64_t);
void set_pte(uint64_t *entry, uint64_t value)
{
	set_at(1, entry, value);
}
STACKED(STORE, set_pmd, void, uint64_t *, uint64_t);
void set_pmd(uint64_t *entry, uint64_t value)
{
	set_at(2, entry, value);
}
STACKED(STORE, set_pud, void, uint64_t *, uint64_t);
void set_pud(uint64_t *entry, uint64_t value)
{
	set_at(3, entry, value);
}
STACKED(STORE, set_pgd, void, uint64_t *, uint64_t);
void set_pgd(uint64_t *entry, uint64_t value)
{
	set_at(4, entry, value);
}
STACKED(BOTH, make_pte, uint64_t, uint64_t, uint64_t);
uint64_t make_pte(uint64_t address, uint64_t flags)
{
	return scramble(address | flags);
}
STACKED(BOTH, pte_val, uint64_t, uint64_t, uint64_t);
uint64_t pte_val(uint64_t entry, uint64_t mask)
{
	return scramble(entry) & mask;
}
uint64_t stacked_modify_start(uint64_t *entry);
__asm__("stacked_modify_start: " PV_LOAD_CALLED "\n");
static void alloc_now(uint64_t pfn, uint64_t level, uint64_t unused)
{
	assert_true(used[pfn] && !table_level[pfn]);
	table_level[pfn] = (uint8_t)level;
}
static void alloc_pt(uint64_t pfn, unsigned level)
{
	later(alloc_now, pfn, level, 0);
}
static void release_now(uint64_t pfn, uint64_t level, uint64_t unused)
{
	assert_int_equal(table_level[pfn], level);
	for (unsigned i = 0; i < PAGES; i++)
		assert_false(is_space[i]);
	table_level[pfn] = 0;
}
static void release_pt(uint64_t pfn, unsigned level)
{
	later(release_now, pfn, level, 0);
}
/* An address space begins empty, and its tables are no longer in use when it has ended. */
static void enter_now(uint64_t pfn, uint64_t unused, uint64_t unused_too)
{
	assert_true(table_level[pfn] == 4 && !is_space[pfn]);
	is_space[pfn] = true;
}
static void enter_mmap(uint64_t pfn)
{
	later(enter_now, pfn, 0, 0);
}
static void exit_now(uint64_t pfn, uint64_t unused, uint64_t unused_too)
{
	assert_true(is_space[pfn]);
	is_space[pfn] = false;
}
static void exit_mmap(uint64_t pfn)
{
	later(exit_now, pfn, 0, 0);
}
static void flush_now(uint64_t n, uint64_t unused, uint64_t unused_too)
{
	flushes += (unsigned)n;
}
STACKED(INVLPG, flush_one, void, uint64_t);
void flush_one(uint64_t va)
{
	later(flush_now, 1, 0, 0);
}
static void flush_user(void)
{
	later(flush_now, 1000, 0, 0);
}

static int fresh(void **state)
{
	static uint64_t top[PT_ENTRIES];

	memset(used, 0, sizeof(used));
	memset(table_level, 0, sizeof(table_level));
	n_used = flushes = 0;
	pages_left = 1000;
	mm_test_direct_base = (uint64_t)(uintptr_t)arena;
	memset(top, 0, sizeof(top));
	for (unsigned i = 256; i < PT_ENTRIES; i += 5)
		top[i] = (0x1000 + i * PAGE_SIZE) | PTE_PRESENT;
	mm_top = top;
	pv_ops.mmu.set_pte = stacked_set_pte, pv_ops.mmu.set_pmd = stacked_set_pmd;
	pv_ops.mmu.set_pud = stacked_set_pud, pv_ops.mmu.set_pgd = stacked_set_pgd;
	pv_ops.mmu.alloc_pt = alloc_pt, pv_ops.mmu.release_pt = release_pt;
	pv_ops.mmu.enter_mmap = enter_mmap, pv_ops.mmu.exit_mmap = exit_mmap;
	pv_ops.mmu.make_pte = stacked_make_pte, pv_ops.mmu.pte_val = stacked_pte_val;
	pv_ops.mmu.flush_tlb_one = stacked_flush_one, pv_ops.mmu.flush_tlb_user = flush_user;
	pv_ops.mmu.ptep_modify_prot_start = stacked_modify_start;
	pv_ops.mmu.ptep_modify_prot_commit = stacked_set_pte;
	pv_ops.mmu.lazy_mode_enter = lazy_enter, pv_ops.mmu.lazy_mode_leave = lazy_leave;
	pv_ops.mmu.lazy_mode_flush = flush_all;
	may_put_off = is_lazy = false;
	return 0;
}

static int fresh_lazy(void **state)
{
	(void)fresh(state);
	may_put_off = true;
	return 0;
}

/* The processor's way: the leaf that root leads to, 0: none. Frames are unscrambled as the hardware
 * would. */
static uint64_t walk(const uint64_t *root, uint64_t va)
{
	uint64_t entry = 0;

	for (unsigned level = 4; level; level--) {
		entry = root[pt_index(va, level)];
		if (!(entry & PTE_PRESENT) || (level > 1 && !(entry & PTE_USER)))
			return 0;
		root = (uint64_t *)(arena + (scramble(entry) & PTE_FRAME));
	}
	return entry & PTE_USER ? entry : 0;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void both_ends(unsigned n_roots)
{
	assert_int_equal(user_space_init(&space, n_roots), 0);
	assert_int_equal(user_space_map(&space, CODE, 3, USER_READ | USER_EXEC), 0);
	assert_int_equal(user_space_map(&space, USER_STACK_LOW, 2, USER_READ | USER_WRITE), 0);
	for (unsigned r = 0; r < n_roots; r++) {
		uint64_t code = walk(space.roots[r], CODE + 0x2000),
			 stack = walk(space.roots[r], USER_STACK_LOW);

		assert_true(code && !(code & (PTE_WRITE | PTE_NX)));
		assert_true(stack && stack & PTE_WRITE && stack & PTE_NX);
		assert_false(walk(space.roots[r], CODE + 0x3000));
		assert_false(walk(space.roots[r], CODE - 1));
	}
	user_space_free(&space);
	assert_int_equal(n_used, 0);
}

static void mapped_and_freed(void **state)
{
	both_ends(1);
	both_ends(2);
}

/* From the direct map's entry on: those before it are the hypervisor's. A program's own table has none. */
static void the_kernels_half(void **state)
{
	mm_test_direct_base = 272ull << 39;
	assert_int_equal(pt_index(DIRECT_BASE, 4), 272);
	mm_test_direct_base = (uint64_t)(uintptr_t)arena;
	assert_int_equal(user_space_init(&space, 2), 0);
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		bool kernels = i >= pt_index(DIRECT_BASE, 4);

		assert_true(space.roots[0][i] == (kernels ? mm_top[i] : 0));
		assert_int_equal(space.roots[1][i], 0);
	}
	user_space_free(&space);
}

static void copies(void **state)
{
	static uint8_t in[3 * PAGE_SIZE], out[3 * PAGE_SIZE];

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / PAGE_SIZE);
	assert_int_equal(user_space_init(&space, 1), 0);
	assert_int_equal(user_space_map(&space, CODE, 2, USER_READ), 0);
	assert_int_equal(user_space_map(&space, CODE + 0x2000, 1, USER_READ | USER_WRITE), 0);
	assert_int_equal(user_copy_to(&space, CODE + 0x1ff0, in, 32), -XEN_EFAULT); /* read-only */
	assert_int_equal(user_copy_load(&space, CODE + 100, in, 0x2000), 0);
	assert_int_equal(user_copy_from(&space, out, CODE + 100, 0x2000), 0);
	assert_memory_equal(in, out, 0x2000);
	assert_int_equal(user_copy_from(&space, out, CODE + 0x2ff0, 17), -XEN_EFAULT);
	assert_int_equal(user_copy_to(&space, CODE + 0x2ff0, in, 16), 0);
	assert_int_equal(user_copy_from(&space, out, CODE - 1, 1), -XEN_EFAULT);
	assert_int_equal(user_copy_from(&space, out, USER_END, 1), -XEN_EFAULT);
	assert_int_equal(user_copy_from(&space, out, ~0ull, 1), -XEN_EFAULT);
	assert_null(user_space_at(&space, CODE, true));
	assert_non_null(user_space_at(&space, CODE, false));
	assert_null(user_space_at(&space, mm_test_direct_base | 1ull << 63, false));
	user_space_free(&space);
}

static void taken_back(void **state)
{
	unsigned before;

	assert_int_equal(user_space_init(&space, 2), 0);
	assert_int_equal(user_space_map(&space, USER_HEAP, 1, USER_READ | USER_WRITE), 0);
	before = n_used;
	assert_int_equal(user_space_map(&space, USER_HEAP + PAGE_SIZE, 4, USER_READ | USER_WRITE),
			 0);
	memset(user_space_at(&space, USER_HEAP + PAGE_SIZE, true), 0x77, PAGE_SIZE);
	assert_int_equal(user_space_protect(&space, USER_HEAP + PAGE_SIZE, 5, USER_READ),
			 -XEN_EFAULT);
	assert_non_null(user_space_at(&space, USER_HEAP + PAGE_SIZE, true)); /* nothing done */
	assert_int_equal(user_space_protect(&space, USER_HEAP + PAGE_SIZE, 4, USER_READ), 0);
	assert_int_equal(flushes, 4);
	assert_null(user_space_at(&space, USER_HEAP + PAGE_SIZE, true));
	assert_int_equal(*(uint8_t *)user_space_at(&space, USER_HEAP + PAGE_SIZE, false), 0x77);
	assert_int_equal(user_space_unmap(&space, USER_HEAP + PAGE_SIZE, 5), -XEN_EFAULT);
	assert_int_equal(user_space_unmap(&space, USER_HEAP + PAGE_SIZE, 4), 0);
	assert_int_equal(flushes, 8);
	assert_int_equal(n_used, before);
	assert_false(walk(space.roots[1], USER_HEAP + PAGE_SIZE));
	assert_true(walk(space.roots[1], USER_HEAP));
	user_space_free(&space);
	assert_int_equal(n_used, 0);
}

/* With n pages and no more, for each n that is too few. */
static void too_little_memory(void **state)
{
	unsigned n, error = 1;

	for (n = 0; error; n++) {
		pages_left = n;
		error = (unsigned)user_space_init(&space, 2);
		if (error) {
			assert_int_equal(n_used, 0);
			continue;
		}
		error = (unsigned)user_space_map(&space, CODE, 5, USER_READ);
		assert_true(!error || !walk(space.roots[0], CODE));
		user_space_free(&space);
		assert_int_equal(n_used, 0);
	}
	assert_int_equal(n, 2 + 3 + 5 + 1);
}

/* Filling the TLB again costs less than emptying it entry by entry. */
static void many_are_flushed_together(void **state)
{
	assert_int_equal(user_space_init(&space, 1), 0);
	assert_int_equal(user_space_map(&space, USER_HEAP, 40, USER_WRITE), 0);
	assert_int_equal(flushes, 0);
	assert_int_equal(user_space_protect(&space, USER_HEAP, 40, USER_READ), 0);
	assert_int_equal(flushes, 1000);
	assert_null(user_space_at(&space, USER_HEAP + 39 * PAGE_SIZE, true));
	assert_int_equal(user_space_unmap(&space, USER_HEAP, 40), 0);
	assert_int_equal(flushes, 2000);
	user_space_free(&space);
	assert_int_equal(n_used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(mapped_and_freed, fresh),
	    cmocka_unit_test_setup(mapped_and_freed, fresh_lazy),
	    cmocka_unit_test_setup(the_kernels_half, fresh),
	    cmocka_unit_test_setup(the_kernels_half, fresh_lazy),
	    cmocka_unit_test_setup(copies, fresh),
	    cmocka_unit_test_setup(copies, fresh_lazy),
	    cmocka_unit_test_setup(taken_back, fresh),
	    cmocka_unit_test_setup(taken_back, fresh_lazy),
	    cmocka_unit_test_setup(many_are_flushed_together, fresh),
	    cmocka_unit_test_setup(many_are_flushed_together, fresh_lazy),
	    cmocka_unit_test_setup(too_little_memory, fresh),
	    cmocka_unit_test_setup(too_little_memory, fresh_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
