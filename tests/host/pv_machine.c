/* pv_machine.c: page tables with a hypervisor's rules and an MMU's effect, on the host.
 *
 * Linked with mm_xen_test.c. After each accepted update the whole tree is walked anew: slow, and sure. It
 * knows three hypercalls and two regions; everything else fails the test.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <amphi/types.h>
#include <amphi/xen.h>
#include "fake_hypercall.h"
#include "pv_machine.h"

#define MAX_PAGES   16384u
#define KERNEL_SPAN 8192u /* pages of PV_KERNEL that are watched */
#define MFN_FIRST   0x1000u
#define MFN_PRIME   100003u
#define MFN_END     (MFN_FIRST + MFN_PRIME)
#define FRAME       0x000ffffffffff000ull

static unsigned n_pages, top_pfn, n_refused;
static int fd = -1;
static uint8_t *memory; /* all pages, writable: the hypervisor's view */
static uint64_t mfn_of[MAX_PAGES];
static uint32_t pfn_of[MFN_END];    /* plus one */
static uint8_t level_of[MAX_PAGES]; /* of a table that hangs from the top; 0: no table */

/* What is mapped now in the two regions: frame number and right to write; 0: nothing. */
struct shown {
	uint64_t entry[MAX_PAGES];
};
static struct shown kernel_now, direct_now, next_kernel, next_direct;

static void *reserve(uint64_t va, size_t size)
{
	void *p = mmap((void *)va, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	assert_ptr_equal(p, (void *)va);
	return p;
}

void pv_machine_init(unsigned n)
{
	assert_true(n <= MAX_PAGES);
	n_pages = n;
	n_refused = 0;
	fd = memfd_create("domain", 0);
	assert_int_equal(ftruncate(fd, (off_t)((n + 1) * PAGE_SIZE)),
			 0); /* the last: the shared page */
	memory = mmap(NULL, (n + 1) * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	reserve(PV_KERNEL, KERNEL_SPAN * PAGE_SIZE);
	reserve(PV_DIRECT, MAX_PAGES * PAGE_SIZE);
	memset(level_of, 0, sizeof(level_of));
	memset(&kernel_now, 0, sizeof(kernel_now));
	memset(&direct_now, 0, sizeof(direct_now));
	memset(pfn_of, 0, sizeof(pfn_of));
	for (unsigned pfn = 0; pfn < n; pfn++) {
		mfn_of[pfn] =
		    MFN_FIRST + (pfn * 7919u + 13) % MFN_PRIME; /* scattered, each its own */
		pfn_of[mfn_of[pfn]] = pfn + 1;
	}
}

void pv_machine_done(void)
{
	munmap(memory, (n_pages + 1) * PAGE_SIZE);
	munmap((void *)PV_KERNEL, KERNEL_SPAN * PAGE_SIZE);
	munmap((void *)PV_DIRECT, MAX_PAGES * PAGE_SIZE);
	close(fd);
}

uint64_t pv_mfn(unsigned pfn)
{
	return mfn_of[pfn];
}

uint64_t pv_pfn(uint64_t mfn)
{
	return mfn < MFN_END && pfn_of[mfn] ? pfn_of[mfn] - 1 : ~0ull;
}

void *pv_page(unsigned pfn)
{
	return memory + pfn * PAGE_SIZE;
}

unsigned pv_refused(void)
{
	return n_refused;
}

bool pv_is_table(unsigned pfn)
{
	return level_of[pfn];
}

static unsigned index_of(uint64_t va, unsigned level)
{
	return va >> (12 + 9 * (level - 1)) & 511;
}

static uint64_t *table_at(uint64_t entry)
{
	uint64_t pfn = pv_pfn((entry & FRAME) >> 12);

	return pfn == ~0ull ? NULL : pv_page((unsigned)pfn);
}

/* The entry for va at a level, or NULL where the tables end before. */
static uint64_t *entry_at(uint64_t va, unsigned at_level)
{
	uint64_t *table = pv_page(top_pfn);

	for (unsigned level = 4; level > at_level; level--) {
		uint64_t entry = table[index_of(va, level)];

		if (!(entry & 1))
			return NULL;
		table = table_at(entry);
		assert_non_null(table);
	}
	return &table[index_of(va, at_level)];
}

uint64_t pv_leaf(uint64_t va)
{
	uint64_t *entry = entry_at(va, 1);

	return entry ? *entry : 0;
}

/* ---- the rules -------------------------------------------------------------------------- */

/* Walks everything that hangs from table; notes tables and what the two regions show. false: a rule is
 * broken. Frames that are named must be the domain's or the shared page. */
static uint8_t new_level[MAX_PAGES];
static uint16_t writable[MAX_PAGES];

static void note_leaf(uint64_t va, uint64_t entry)
{
	uint64_t pfn = pv_pfn((entry & FRAME) >> 12);
	uint64_t show = (pfn == ~0ull ? n_pages : pfn) + 1;

	if (pfn != ~0ull && entry & 2)
		writable[pfn]++;
	show |= entry & 2 ? 1ull << 32 : 0;
	if (va >= PV_DIRECT && va < PV_DIRECT + MAX_PAGES * PAGE_SIZE)
		next_direct.entry[(va - PV_DIRECT) / PAGE_SIZE] = show;
	else if (va >= PV_KERNEL && va < PV_KERNEL + KERNEL_SPAN * PAGE_SIZE)
		next_kernel.entry[(va - PV_KERNEL) / PAGE_SIZE] = show;
}

static bool walk(unsigned table_pfn, unsigned level, uint64_t va)
{
	uint64_t *table = pv_page(table_pfn);

	if (new_level[table_pfn] && new_level[table_pfn] != level)
		return false;
	new_level[table_pfn] = (uint8_t)level;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t entry = table[i], at = va + ((uint64_t)i << (12 + 9 * (level - 1)));
		uint64_t mfn = (entry & FRAME) >> 12, pfn;

		if (!(entry & 1))
			continue;
		pfn = pv_pfn(mfn);
		if (pfn == ~0ull && (level > 1 || mfn != PV_SHARED_MFN))
			return false;
		if (level == 1)
			note_leaf(at, entry);
		else if (!walk((unsigned)pfn, level - 1, at))
			return false;
	}
	return true;
}

static bool tree_is_legal(void)
{
	memset(new_level, 0, sizeof(new_level));
	memset(writable, 0, sizeof(writable));
	memset(&next_kernel, 0, sizeof(next_kernel));
	memset(&next_direct, 0, sizeof(next_direct));
	if (!walk(top_pfn, 4, 0))
		return false;
	for (unsigned pfn = 0; pfn < n_pages; pfn++)
		if (new_level[pfn] && writable[pfn])
			return false;
	return true;
}

/* ---- the effect ------------------------------------------------------------------------- */

static void show_page(uint64_t va, uint64_t show)
{
	uint64_t page = (show & 0xffffffff) - 1;
	int prot = PROT_READ | (show >> 32 ? PROT_WRITE : 0);

	if (!show) {
		reserve(va, PAGE_SIZE);
		return;
	}
	assert_ptr_equal(mmap((void *)va, PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, fd,
			      (off_t)(page * PAGE_SIZE)),
			 (void *)va);
}

static void show_region(struct shown *now, const struct shown *next, uint64_t base)
{
	for (unsigned i = 0; i < MAX_PAGES; i++) {
		if (now->entry[i] != next->entry[i])
			show_page(base + i * PAGE_SIZE, next->entry[i]);
		now->entry[i] = next->entry[i];
	}
}

static void take_effect(void)
{
	memcpy(level_of, new_level, sizeof(level_of));
	show_region(&kernel_now, &next_kernel, PV_KERNEL);
	show_region(&direct_now, &next_direct, PV_DIRECT);
}

static int64_t update(uint64_t *entry, uint64_t value)
{
	uint64_t old = *entry;

	*entry = value;
	if (tree_is_legal()) {
		take_effect();
		return 0;
	}
	*entry = old;
	n_refused++;
	return -XEN_EINVAL;
}

static int64_t mmu_update(const struct mmu_update *reqs, uint64_t n)
{
	int64_t err = 0;

	for (uint64_t i = 0; i < n && !err; i++) {
		uint64_t pfn = pv_pfn(reqs[i].ptr >> 12);

		assert_int_equal(reqs[i].ptr & 7, MMU_NORMAL_PT_UPDATE);
		assert_true(pfn != ~0ull);
		if (!level_of[pfn]) {
			n_refused++;
			return -XEN_EINVAL;
		}
		err =
		    update((uint64_t *)((uint8_t *)pv_page((unsigned)pfn) + (reqs[i].ptr & 0xff8)),
			   reqs[i].val);
	}
	return err;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	uint64_t *entry;

	switch (nr) {
	case __HYPERVISOR_mmu_update:
		return mmu_update((const struct mmu_update *)(uintptr_t)a1, a2);
	case __HYPERVISOR_update_va_mapping:
		entry = entry_at(a1, 1);
		return entry ? update(entry, a2) : -XEN_EINVAL;
	case __HYPERVISOR_mmuext_op:
		return 0; /* only flushes are asked for */
	}
	fail_msg("hypercall %u is not expected", (unsigned)nr);
	return -XEN_ENOSYS;
}

/* ---- the builder ------------------------------------------------------------------------ */

static uint64_t frame_entry(unsigned pfn, uint64_t flags)
{
	return mfn_of[pfn] << 12 | flags;
}

unsigned pv_build_tables(unsigned first, unsigned n_mapped)
{
	unsigned n_l1 = (n_mapped + 511) / 512, n = 3 + n_l1;
	uint64_t *l4 = pv_page(first), *l3 = pv_page(first + 1), *l2 = pv_page(first + 2);

	top_pfn = first;
	l4[index_of(PV_KERNEL, 4)] = frame_entry(first + 1, 7);
	l3[index_of(PV_KERNEL, 3)] = frame_entry(first + 2, 7);
	for (unsigned i = 0; i < n_l1; i++)
		l2[i] = frame_entry(first + 3 + i, 7);
	for (unsigned pfn = 0; pfn < n_mapped; pfn++) {
		uint64_t *l1 = pv_page(first + 3 + pfn / 512);

		l1[pfn % 512] = frame_entry(pfn, pfn >= first && pfn < first + n ? 5 : 7);
	}
	assert_true(tree_is_legal());
	take_effect();
	return n;
}
