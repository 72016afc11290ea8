/* mm_xen_test.c: a PV domain's memory, from the builder's tables to ours, under a hypervisor that checks.
 *
 * Shows: for domains of several sizes and layouts, mm_init_xen_pv() makes no update that the rules refuse;
 * afterwards every page is in the direct map, writable unless it is a table, the first mapping holds the
 * image and nothing else, with its rights and with the shared page; every page given to the allocator can
 * be written without spoiling a table, the p2m list or the ramdisk; windows get their tables. Why: on real
 * Xen a mistake here is a dead domain with one line in somebody else's log.
 *
 * links: kernel/mm_xen.c kernel/mm.c kernel/mm_walk.c kernel/page_bitmap.c pvops/xen_pv.c pvops/xen_mmu.c pvops/xen_queue.c hypercall/multicall.c pvops/native_cpu.c pvops/fill.c pvops/plan.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c tests/host/pv_machine.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include "kernel/boot.h"
#include "kernel/host_iospace.h"
#include "kernel/mm_parts.h"
#include "kernel/panic.h"
#include "kernel/trap.h"
#include "pv_machine.h"
#include "thin_fixture.h"

static unsigned drains;

void iospace_drain(void)
{
	drains++;
}

#define IMAGE_START 0x100u /* pfns, as the kernel's */
#define RODATA      0x120u
#define DATA        0x128u
#define SHARED      0x130u
#define BSS_END     0x138u
#define IMAGE_END   0x13cu

uint64_t mm_test_kernel_base = PV_KERNEL, mm_test_direct_base = PV_DIRECT;
char *image_start, *text_start, *text_end, *rodata_start, *rodata_end, *data_start, *bss_end,
    *image_end;
struct boot_info boot;

static jmp_buf on_panic;
static bool panic_expected;

void panic(const char *fmt, ...)
{
	if (!panic_expected)
		fail_msg("panic: %s", fmt);
	longjmp(on_panic, 1);
}

void pvops_refused(const char *op, int64_t error)
{
	fail_msg("%s is refused", op);
	__builtin_unreachable();
}

/* The m2p lies at an address of the ABI; here it is a question to the machine. Frames of others have
 * numbers in it too: theirs. */
bool trap_safe_read64(const void *va, uint64_t *out)
{
	uint64_t mfn = ((uint64_t)(uintptr_t)va - 0xffff800000000000ull) / 8;

	*out = pv_pfn(mfn);
	if (*out == ~0ull)
		*out = 3;
	return mfn < 1u << 20;
}

static const struct pvops_env env = {.virt_to_maddr = virt_to_maddr,
				     .pfn_to_mfn = pfn_to_mfn,
				     .mfn_to_pfn = mfn_to_pfn,
				     .direct_entry = mm_direct_entry};

/* How a builder lays a domain out, in pages. */
struct layout {
	unsigned n_pages, ramdisk, spare;
	bool rings, tables_before_list;
};

static struct start_info info;
static unsigned list_pfn, tables_pfn, n_tables, ramdisk_pfn, n_mapped;

static char *kernel_va(unsigned pfn)
{
	return (char *)(PV_KERNEL + pfn * PAGE_SIZE);
}

static void set_marks(void)
{
	image_start = text_start = kernel_va(IMAGE_START);
	text_end = rodata_start = kernel_va(RODATA);
	rodata_end = data_start = kernel_va(DATA);
	bss_end = kernel_va(BSS_END);
	image_end = kernel_va(IMAGE_END);
}

static void build(const struct layout *l)
{
	unsigned at = IMAGE_END, list_pages = (unsigned)PAGES_FOR(l->n_pages * 8), want;

	pv_machine_init(l->n_pages);
	ramdisk_pfn = at, at += l->ramdisk;
	want = 3 + (at + list_pages + 20 + l->spare) / 512 + 1;
	tables_pfn = l->tables_before_list ? at : at + list_pages;
	list_pfn = l->tables_before_list ? at + want : at;
	at += list_pages + want;
	n_mapped = MIN(at + 2 + l->spare, l->n_pages); /* start info, stack, spare */
	for (unsigned pfn = 0; pfn < l->n_pages; pfn++)
		((uint64_t *)pv_page(list_pfn))[pfn] = pv_mfn(pfn);
	memset(pv_page(ramdisk_pfn), 0x5a, l->ramdisk * PAGE_SIZE);
	n_tables = pv_build_tables(tables_pfn, n_mapped);
	assert_true(n_tables <= want);
	info = (struct start_info){
	    .nr_pages = l->n_pages,
	    .shared_info = (uint64_t)PV_SHARED_MFN << 12,
	    .pt_base = PV_KERNEL + tables_pfn * PAGE_SIZE,
	    .nr_pt_frames = n_tables,
	    .mfn_list = PV_KERNEL + list_pfn * PAGE_SIZE,
	    .mod_start = l->ramdisk ? PV_KERNEL + ramdisk_pfn * PAGE_SIZE : 0,
	    .mod_len = l->ramdisk * PAGE_SIZE,
	};
	if (l->rings)
		info.console.domU.mfn = pv_mfn(at), info.store_mfn = pv_mfn(at + 1);
	memset(&boot, 0, sizeof(boot));
	boot.start_info = &info;
	boot.start_info_va = PV_KERNEL + at * PAGE_SIZE;
	boot.shared_info = (void *)kernel_va(SHARED);
	boot.privileged = !l->rings;
	boot.ramdisk_start = ramdisk_pfn * PAGE_SIZE;
	boot.ramdisk_len_bytes = l->ramdisk * PAGE_SIZE;
	mm_p2m_list = NULL;
	mm_top = NULL;
	pvops_init_xen_pv(&env);
	pv_ops.cpu.cpuid = (void (*)(uint32_t *))(void *)pv_unfilled; /* says: no NX */
}

static bool in(unsigned pfn, unsigned first, unsigned n)
{
	return pfn >= first && pfn < first + n;
}

static void check_direct_map(unsigned n)
{
	for (unsigned pfn = 0; pfn < n; pfn++) {
		uint64_t entry = pv_leaf(PV_DIRECT + pfn * PAGE_SIZE);

		assert_int_equal((entry & PTE_FRAME) >> 12, pv_mfn(pfn));
		assert_true(entry & PTE_PRESENT);
		/* a table cannot be written, and what is no table can */
		if (pv_is_table(pfn))
			assert_false(entry & PTE_WRITE);
		else if (!in(pfn, tables_pfn, n_tables))
			assert_true(entry & PTE_WRITE);
	}
	assert_int_equal(pv_leaf(PV_DIRECT + n * PAGE_SIZE) & 1, 0);
}

static void check_first_mapping(void)
{
	for (unsigned pfn = 0; pfn < 4096; pfn++) {
		uint64_t entry = pv_leaf(PV_KERNEL + pfn * PAGE_SIZE);

		if (!in(pfn, IMAGE_START, IMAGE_END - IMAGE_START)) {
			assert_int_equal(entry & 1, 0);
			continue;
		}
		assert_true(entry & 1);
		assert_int_equal((entry & PTE_FRAME) >> 12,
				 pfn == SHARED ? PV_SHARED_MFN : pv_mfn(pfn));
		assert_int_equal(!!(entry & PTE_WRITE), pfn >= DATA && pfn < BSS_END);
	}
}

static void check_addresses(unsigned n)
{
	for (unsigned pfn = 0; pfn < n; pfn += 7) {
		char *va = (char *)pfn_to_virt((pfn_t){pfn}) + 5;

		assert_int_equal(virt_to_pfn(va).v, pfn);
		assert_int_equal(virt_to_maddr(va).v, pv_mfn(pfn) << 12 | 5);
		assert_int_equal(mfn_to_pfn((mfn_t){pv_mfn(pfn)}).v, pfn);
		assert_true(mm_readable(va, 1));
	}
	assert_true(mfn_to_pfn((mfn_t){PV_SHARED_MFN}).v == ~0ull);
	assert_true(pfn_to_mfn((pfn_t){n}).v == MFN_NONE.v);
	assert_false(mm_readable(pfn_to_virt((pfn_t){n}), 1));
	assert_false(mm_readable((void *)0x1000, 1));
	assert_true(virt_to_maddr((void *)0x1000).v == ~0ull);
}

/* Every page the allocator has is ours to write: after that all that must stay has stayed. */
static void check_free_pages(const struct layout *l)
{
	size_t free_pages = pages_free_count();
	void *page;

	while ((page = pages_alloc(1))) {
		unsigned pfn = (unsigned)virt_to_pfn(page).v;

		assert_false(pv_is_table(pfn));
		assert_false(in(pfn, IMAGE_START, IMAGE_END - IMAGE_START));
		assert_false(in(pfn, ramdisk_pfn, l->ramdisk));
		memset(page, 0xee, PAGE_SIZE);
		free_pages--;
	}
	assert_int_equal(free_pages, 0);
	check_direct_map(l->n_pages);
	assert_int_equal(mm_p2m_entries, l->n_pages);
	for (unsigned pfn = 0; pfn < l->n_pages; pfn++)
		assert_int_equal(mm_p2m_list[pfn], pv_mfn(pfn));
	for (unsigned i = 0; i < l->ramdisk * PAGE_SIZE; i += 512)
		assert_int_equal(((uint8_t *)pv_page(ramdisk_pfn))[i], 0x5a);
}

static void check_rings(const struct layout *l)
{
	if (!l->rings) {
		assert_null(boot.console_page);
		return;
	}
	assert_int_equal(virt_to_maddr(boot.console_page).v, info.console.domU.mfn << 12);
	assert_int_equal(virt_to_maddr(boot.store_page).v, info.store_mfn << 12);
}

/* A leaf far from everything: tables are made for it, read-only before they are linked. */
static void check_new_tables(void)
{
	size_t before = pages_free_count();
	uint64_t *leaf = mm_leaf(0x123400000000);

	assert_non_null(leaf);
	assert_int_equal(pages_free_count(), before - 3);
	assert_true(pv_is_table((unsigned)virt_to_pfn(leaf).v));
	assert_ptr_equal(mm_leaf(0x123400000000), leaf);
	assert_ptr_equal(mm_leaf(0x123400001000), leaf + 1);
	pv_set_pte(leaf, pv_mfn(3) << 12 | mm_flags.leaf);
	assert_int_equal(virt_to_maddr((void *)0x123400000123).v, pv_mfn(3) << 12 | 0x123);
	pv_set_pte(leaf, 0);
}

/* As a toolstack reads it: one list of all pages, at an address of the tables named. */
static void check_what_is_told(const struct layout *l)
{
	const struct arch_shared_info *arch = &boot.shared_info->arch;

	assert_int_equal(arch->max_pfn, l->n_pages);
	assert_true(arch->pfn_to_mfn_frame_list_list == ~0ul);
	assert_int_equal(arch->p2m_cr3, pv_mfn(tables_pfn) << 12);
	assert_int_equal(arch->p2m_generation, 0);
	for (unsigned i = 0; i < PAGES_FOR(l->n_pages * 8); i++)
		assert_int_equal(pv_leaf(arch->p2m_vaddr + i * PAGE_SIZE) >> 12 & 0xffffffffff,
				 pv_mfn(list_pfn + i));
}

static void live(const struct layout *l)
{
	size_t total = pages_total_count(); /* never begins anew in a kernel */

	build(l);
	mm_init_xen_pv();
	assert_int_equal(pv_refused(), 0);
	check_direct_map(l->n_pages);
	check_first_mapping();
	check_addresses(l->n_pages);
	check_rings(l);
	check_what_is_told(l);
	assert_int_equal(pages_total_count() - total, l->n_pages);
	check_new_tables();
	assert_int_equal(pv_refused(), 0);
	check_free_pages(l);
	pv_machine_done();
}

static void a_small_guest(void **state)
{
	live(&(struct layout){.n_pages = 1024, .spare = 130, .rings = true});
}

static void a_first_domain_with_a_ramdisk(void **state)
{
	live(&(struct layout){.n_pages = 3000, .ramdisk = 700, .spare = 300});
}

static void tables_before_the_list(void **state)
{
	live(&(struct layout){
	    .n_pages = 2048, .spare = 128, .rings = true, .tables_before_list = true});
}

/* So few spare pages that tables must come from what the direct map has already. */
static void hardly_a_spare_page(void **state)
{
	live(&(struct layout){.n_pages = 6000, .spare = 20, .rings = true});
}

static void no_spare_page(void **state)
{
	struct layout l = {.n_pages = 1024, .spare = 0};

	build(&l);
	panic_expected = true;
	if (!setjmp(on_panic)) {
		mm_init_xen_pv();
		fail_msg("went on without a spare page");
	}
	panic_expected = false;
	pv_machine_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_guest),
	    cmocka_unit_test(a_first_domain_with_a_ramdisk),
	    cmocka_unit_test(tables_before_the_list),
	    cmocka_unit_test(hardly_a_spare_page),
	    cmocka_unit_test(no_spare_page),
	};

	set_marks();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
