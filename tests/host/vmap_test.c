/* vmap_test.c: windows do not overlap, have their tables, and map what was asked or nothing.
 *
 * Shows: reserved windows are apart and their leaf tables exist; map_frames writes frame, rights and
 * caching of each page and passes the owner on; a refusal in the middle leaves nothing mapped; unmapping
 * clears and flushes all at once, over several tables too; map_io keeps the offset in the page and gives its window back on refusal; what is not
 * in use cannot be released. Why: a leftover mapping of another domain's frame keeps its memory alive.
 *
 * links: kernel/vmap.c kernel/page_bitmap.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/pvops.h>
#include "kernel/kernel_lock.h"
#include "kernel/mm_parts.h"
#include "kernel/panic.h"
#include "stacked_ops.h"

struct mm_flags mm_flags = {.leaf = 0x21, .table = 0x23, .no_execute = 1ull << 63};
struct pv_ops pv_ops;

static uint64_t leaves[VMAP_PAGES];
static bool has_table[VMAP_PAGES / PT_ENTRIES];
static unsigned tables_left, n_batches, refuse_batch, flushes_one, flushes_all;
static uint16_t last_owner;
static jmp_buf on_panic;

uint64_t *mm_leaf(uint64_t va)
{
	uint64_t page = (va - VMAP_BASE) / PAGE_SIZE;
	bool *table = &has_table[page / PT_ENTRIES];

	assert_true(va >= VMAP_BASE && va < VMAP_END);
	if (!*table && !tables_left)
		return NULL;
	tables_left -= !*table;
	*table = true;
	return &leaves[page];
}

void panic(const char *fmt, ...)
{
	longjmp(on_panic, 1);
}

static int set_ptes(uint64_t *entries, const uint64_t *values, unsigned n, unsigned owner)
{
	uint64_t first = (uint64_t)(entries - leaves);

	assert_true(n && n <= 64);
	assert_true(first / PT_ENTRIES == (first + n - 1) / PT_ENTRIES); /* one table */
	last_owner = (uint16_t)owner;
	if (++n_batches == refuse_batch)
		return -XEN_EPERM;
	memcpy(entries, values, n * sizeof(*values));
	return 0;
}

/* Cleared is what was put off, at the end. */
static uint64_t *put_off[VMAP_PAGES];
static unsigned n_put_off, n_lazy;
static bool is_lazy;

STACKED(STORE, set_pte, void, uint64_t *, uint64_t);
void set_pte(uint64_t *entry, uint64_t value)
{
	assert_true(is_lazy && !value);
	put_off[n_put_off++] = entry;
}

static void lazy_enter(void)
{
	assert_false(is_lazy);
	is_lazy = true;
	n_lazy++;
}

static void lazy_leave(void)
{
	assert_true(flushes_one + flushes_all);
	is_lazy = false;
	while (n_put_off)
		*put_off[--n_put_off] = 0;
}

static unsigned n_told;

/* Other CPUs flush later. */
void kernel_tlb_changed(void)
{
	assert_true(flushes_one + flushes_all); /* this one has */
	n_told++;
}

static void flush_all(void)
{
	flushes_all++;
}

STACKED(INVLPG, flush_one, void, uint64_t);
void flush_one(uint64_t va)
{
	flushes_one++;
}

static int fresh(void **state)
{
	pv_ops.mmu.set_ptes = set_ptes, pv_ops.mmu.set_pte = stacked_set_pte;
	pv_ops.mmu.lazy_mode_enter = lazy_enter, pv_ops.mmu.lazy_mode_leave = lazy_leave;
	n_lazy = 0;
	pv_ops.mmu.flush_tlb_kernel = flush_all;
	pv_ops.mmu.flush_tlb_one = stacked_flush_one;
	tables_left = 1000;
	n_batches = refuse_batch = flushes_one = flushes_all = 0;
	return 0;
}

static uint64_t leaf_of(const void *va)
{
	return leaves[((uintptr_t)va - VMAP_BASE) / PAGE_SIZE];
}

static unsigned mapped_pages(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VMAP_PAGES; i++)
		n += leaves[i] != 0;
	return n;
}

static void windows_are_apart(void **state)
{
	char *a = vmap_reserve(3), *b = vmap_reserve(600), *c = vmap_reserve(1);

	assert_true(a && b && c);
	assert_true((uintptr_t)b >= (uintptr_t)a + 3 * PAGE_SIZE ||
		    (uintptr_t)b + 600 * PAGE_SIZE <= (uintptr_t)a);
	assert_true((uintptr_t)c >= (uintptr_t)b + 600 * PAGE_SIZE || (uintptr_t)c < (uintptr_t)b);
	assert_true(has_table[((uintptr_t)b - VMAP_BASE) / PAGE_SIZE / PT_ENTRIES + 1]);
	assert_null(vmap_reserve(0));
	assert_null(vmap_reserve(VMAP_PAGES));
	vmap_release(a, 3), vmap_release(b, 600), vmap_release(c, 1);
	vmap_release(NULL, 9);
	a = vmap_reserve(VMAP_PAGES); /* all of it is there again */
	assert_non_null(a);
	vmap_release(a, VMAP_PAGES);
}

static void no_memory_for_tables(void **state)
{
	void *a;

	memset(has_table, 0, sizeof(has_table));
	tables_left = 1;
	assert_null(vmap_reserve(2 * PT_ENTRIES));
	tables_left = 100;
	a = vmap_reserve(VMAP_PAGES);
	assert_non_null(a); /* nothing was kept of the attempt */
	vmap_release(a, VMAP_PAGES);
}

static void frames_and_rights(void **state)
{
	char *va = vmap_reserve(2);
	mfn_t mfns[] = {{0x111}, {0x222}};

	assert_int_equal(map_frames(va, mfns, 2, MM_WRITE, 7), 0);
	assert_int_equal(last_owner, 7);
	assert_true(leaf_of(va) == (0x111000 | 0x21 | PTE_WRITE | PTE_NX));
	assert_true(leaf_of(va + PAGE_SIZE) == (0x222000 | 0x21 | PTE_WRITE | PTE_NX));
	unmap_frames(va, 2);
	assert_int_equal(flushes_all, 1);
	assert_int_equal(mapped_pages(), 0);
	assert_int_equal(map_frames(va, mfns, 1, MM_READ | MM_UNCACHED, DOMID_SELF), 0);
	assert_true(leaf_of(va) == (0x111000 | 0x21 | PTE_UNCACHED | PTE_WT | PTE_NX));
	unmap_frames(va, 1);
	assert_int_equal(flushes_one, 1);
	vmap_release(va, 2);
}

static void all_or_nothing(void **state)
{
	char *va = vmap_reserve(200);
	mfn_t mfns[200];

	for (unsigned i = 0; i < 200; i++)
		mfns[i] = (mfn_t){i + 1};
	refuse_batch = 3;
	assert_int_equal(map_frames(va, mfns, 200, MM_WRITE, 3), -XEN_EPERM);
	assert_int_equal(mapped_pages(), 0);
	assert_int_equal(flushes_all, 1);
	assert_int_equal(map_frames(va, mfns, 200, MM_WRITE, 3), 0);
	assert_int_equal(mapped_pages(), 200);
	unmap_frames(va, 200);
	vmap_release(va, 200);
}

/* Leaves of one table are neighbours, those of two are not. */
static void over_two_tables(void **state)
{
	unsigned n = PT_ENTRIES + 40;
	mfn_t mfns[PT_ENTRIES + 40];
	char *va = vmap_reserve(2 * n);

	for (unsigned i = 0; i < n; i++)
		mfns[i] = (mfn_t){i + 1};
	for (unsigned at = 0; at < n; at += 37) {
		assert_int_equal(map_frames(va + at * PAGE_SIZE, mfns, n, MM_WRITE, DOMID_SELF), 0);
		assert_int_equal(mapped_pages(), n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(
			    (leaf_of(va + (at + i) * PAGE_SIZE) & PTE_FRAME) >> PAGE_SHIFT, i + 1);
		n_lazy = 0;
		unmap_frames(va + at * PAGE_SIZE, n);
		assert_int_equal(mapped_pages(), 0);
		assert_int_equal(n_lazy, 1);
	}
	vmap_release(va, 2 * n);
}

static void device_registers(void **state)
{
	char *va = map_io((maddr_t){0xfebd0ff0}, 0x20, MM_WRITE | MM_UNCACHED);
	void *all;

	assert_int_equal((uintptr_t)va & 0xfff, 0xff0);
	assert_int_equal(last_owner, DOMID_IO);
	assert_int_equal(leaf_of(va) & PTE_FRAME, 0xfebd0000);
	assert_int_equal(leaf_of(va + 0x10) & PTE_FRAME, 0xfebd1000);
	unmap_frames((void *)((uintptr_t)va & PAGE_MASK), 2);
	vmap_release((void *)((uintptr_t)va & PAGE_MASK), 2);
	n_batches = 0;
	refuse_batch = 2;
	assert_null(map_io((maddr_t){0xfebd0000}, 3 * PAGE_SIZE, MM_WRITE));
	assert_int_equal(mapped_pages(), 0);
	assert_null(map_io((maddr_t){0}, 0, MM_WRITE));
	assert_null(map_io((maddr_t){0}, ~0ull, MM_WRITE));
	all = vmap_reserve(VMAP_PAGES);
	assert_non_null(all);
	vmap_release(all, VMAP_PAGES);
}

static void releasing_twice_ends_the_kernel(void **state)
{
	char *va = vmap_reserve(2);

	vmap_release(va, 2);
	if (!setjmp(on_panic)) {
		vmap_release(va, 1);
		fail();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(windows_are_apart, fresh),
	    cmocka_unit_test_setup(no_memory_for_tables, fresh),
	    cmocka_unit_test_setup(frames_and_rights, fresh),
	    cmocka_unit_test_setup(all_or_nothing, fresh),
	    cmocka_unit_test_setup(over_two_tables, fresh),
	    cmocka_unit_test_setup(device_registers, fresh),
	    cmocka_unit_test_setup(releasing_twice_ends_the_kernel, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
