/* hv_mm_test.c: a frame is never two things at once, and its counts are always right.
 *
 * Shows the rules of page types on real code and a fake machine: what becomes a table and what is
 * refused, at each level; that a table is not writable and a writable frame no table; the hole;
 * foreign and device frames; pins; validation and its undoing stopped at every possible place;
 * stale translations; descriptors; what teardown leaves. Why: one wrong count and a guest writes its
 * own page tables, and so all memory. Expected: each rule holds, and after every step a recount of
 * the whole machine (hv_mm_check.c) agrees.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c tests/host/hv_mm_check.c
 * links: lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant_entry.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_mm_check.h"
#include "hypervisor/mm_private.h"

static struct domain *both[2];
static struct tables own, other;
static uint64_t free_before;

static int setup(void **state)
{
	free_before = fake_free_pages();
	mm_budget_full = 4096;
	both[0] = fake_domain(2, 128);
	both[1] = fake_domain(1, 128);
	tables_build(&own, both[0]);
	tables_build(&other, both[1]);
	return 0;
}

static int teardown(void **state)
{
	fake_domain_end(both[1]);
	fake_domain_end(both[0]);
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

static void check(void)
{
	mm_check(both, 2, NULL);
}

/* One use of frame i of t as type, with a reference: 0 or the error. */
static int take(struct tables *t, unsigned i, enum page_type type)
{
	struct page_info *page;
	int error = page_get_and_type(t->frame[i], t->d, type, &page);

	return error;
}

static void give(struct tables *t, unsigned i)
{
	page_put_and_type(mfn_to_page(t->frame[i]));
	check();
}

static void refused(struct tables *t, unsigned i, enum page_type type)
{
	assert_true(take(t, i, type) < 0); /* which error: hv_mmu_test.c */
	check();
	assert_int_equal(mfn_to_page(t->frame[i])->type_count, 0);
}

/* A change of one entry makes the whole address space unacceptable, from the top. */
static void bad_entry(unsigned i, unsigned index, uint64_t value)
{
	uint64_t *entry = tables_entry(&own, i, index), before = *entry;

	*entry = value;
	assert_true(take(&own, 0, PT_L4) < 0);
	check();
	for (unsigned k = 0; k < TABLES_FRAMES; k++)
		assert_int_equal(mfn_to_page(own.frame[k])->type_count, 0);
	*entry = before;
}

/* ---- tables ------------------------------------------------------------------------ */

static void test_whole_space_is_accepted(void **state)
{
	assert_int_equal(take(&own, 0, PT_L4), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mfn_to_page(own.frame[i])->type, PT_L4 - i);
	assert_int_equal(mfn_to_page(own.frame[4])->type, PT_WRITABLE);
	page_put_and_type(mfn_to_page(own.frame[0]));
	check();
	assert_int_equal(mfn_to_page(own.frame[3])->type_count, 0);
}

static void test_bad_entries_are_refused(void **state)
{
	bad_entry(3, 9, pte_make(own.frame[0], RW));           /* the L4 writable */
	bad_entry(3, 0, pte_make(own.frame[3], RW));           /* the L1 itself writable */
	bad_entry(3, 9, pte_make(other.frame[5], RO));         /* another's frame */
	bad_entry(3, 9, pte_make((mfn_t){0x50}, RO));          /* no RAM of ours, and no device */
	bad_entry(3, 9, pte_make((mfn_t){1ull << 30}, RO));    /* beyond the physical width */
	bad_entry(2, 9, pte_make(own.frame[4], RW | PTE_PSE)); /* a superpage */
	bad_entry(2, 9, pte_make(own.frame[1], RW));           /* an L3 as an L1 */
	bad_entry(1, 9, pte_make(own.frame[0], RW));           /* a loop upwards */
	bad_entry(0, 9, pte_make(own.frame[0], RW));           /* an L4 in itself */
	bad_entry(0, 9, pte_make(own.frame[0], RO));           /* ... read-only */
	bad_entry(0, 511, pte_make(other.frame[1], RW));       /* another's table */
	bad_entry(0, 511, pte_make((mfn_t){FAKE_FIRST_FRAME + FAKE_FRAMES}, RW));
}

/* Entries that are not present may hold anything. */
static void test_absent_entries_are_the_guests(void **state)
{
	*tables_entry(&own, 3, 100) = ~(uint64_t)PTE_PRESENT;
	*tables_entry(&own, 0, 100) = 0xdeadbeef000;
	assert_int_equal(take(&own, 0, PT_L4), 0);
	assert_true(*tables_entry(&own, 3, 100) == ~(uint64_t)PTE_PRESENT);
	give(&own, 0);
}

static void test_entries_become_user_and_local(void **state)
{
	*tables_entry(&own, 3, 4) = pte_make(own.frame[4], PTE_PRESENT | PTE_RW | PTE_GLOBAL);
	*tables_entry(&own, 2, 0) = pte_make(own.frame[3], PTE_PRESENT | PTE_RW);
	assert_int_equal(take(&own, 0, PT_L4), 0);
	assert_int_equal(*tables_entry(&own, 3, 4) & 0xfff, RW);
	assert_int_equal(*tables_entry(&own, 2, 0) & 0xfff, RW);
	give(&own, 0);
}

/* Caching is a right of those who have devices. */
static void test_cache_bits(void **state)
{
	*tables_entry(&other, 3, 4) |= PTE_PCD;
	refused(&other, 3, PT_L1);
	*tables_entry(&own, 3, 4) |= PTE_PCD;
	assert_int_equal(take(&own, 3, PT_L1), 0);
	give(&own, 3);
}

static void test_device_frames_need_the_right(void **state)
{
	*tables_entry(&own, 3, 20) = pte_make((mfn_t){0xfee00}, RW);
	*tables_entry(&other, 3, 20) = pte_make((mfn_t){0xfee00}, RW);
	assert_int_equal(take(&own, 3, PT_L1), 0);
	give(&own, 3);
	refused(&other, 3, PT_L1);
}

/* What stands in the hole is ours, whatever the guest wrote there. */
static void test_hole_is_ours(void **state)
{
	uint64_t *l4 = tables_entry(&own, 0, 0);
	const uint64_t *hv = mfn_to_virt(mm_hv_root());

	for (unsigned i = 256; i < 272; i++)
		l4[i] = pte_make(other.frame[1], RW);
	assert_int_equal(take(&own, 0, PT_L4), 0);
	for (unsigned i = 256; i < 272; i++)
		if (i != HV_PERDOMAIN_SLOT && i != HV_M2P_SLOT)
			assert_true(l4[i] == hv[i]);
	assert_true(pte_mfn(l4[HV_PERDOMAIN_SLOT]).v == virt_to_mfn(both[0]->mm.perdomain_l3).v);
	give(&own, 0);
	for (unsigned i = 256; i < 272; i++)
		assert_true(l4[i] == 0);
}

/* The m2p is for those that ask for it from the start; the others get it as a kernel's root. */
static void test_m2p_is_for_kernels(void **state)
{
	uint64_t *l4 = tables_entry(&own, 0, 0);
	uint64_t m2p = ((const uint64_t *)mfn_to_virt(mm_hv_root()))[HV_M2P_SLOT];

	assert_int_equal(take(&own, 0, PT_L4), 0);
	assert_true(l4[HV_M2P_SLOT] == 0);
	give(&own, 0);
	both[0]->vm_assist = 1ull << VMASST_TYPE_m2p_strict;
	assert_int_equal(take(&own, 0, PT_L4), 0);
	assert_true(l4[HV_M2P_SLOT] == m2p);
	give(&own, 0);
}

/* ---- one thing at a time ------------------------------------------------------------- */

static void test_writable_frame_is_no_table(void **state)
{
	assert_int_equal(take(&own, 3, PT_WRITABLE), 0);
	assert_int_equal(take(&own, 3, PT_L1), -XEN_EBUSY);
	assert_int_equal(take(&own, 0, PT_L4), -XEN_EINVAL);
	give(&own, 3);
	assert_int_equal(take(&own, 0, PT_L4), 0);
	give(&own, 0);
}

static void test_table_is_not_writable(void **state)
{
	assert_int_equal(take(&own, 0, PT_L4), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take(&own, i, PT_WRITABLE), -XEN_EBUSY);
	assert_int_equal(take(&own, 3, PT_L2), -XEN_EBUSY);
	assert_int_equal(take(&own, 3, PT_SEG), -XEN_EBUSY);
	give(&own, 0);
	assert_int_equal(take(&own, 3, PT_WRITABLE), 0);
	give(&own, 3);
}

static void test_references_are_the_owners(void **state)
{
	struct page_info *page = mfn_to_page(own.frame[5]);

	assert_false(page_get(page, both[1]));
	assert_true(page_get(page, both[0]));
	mm_check(both, 2, page);
	assert_int_equal(page_release_domain(both[0], own.frame[5]), 0);
	assert_false(page_get(page, both[0])); /* given up: the last user is the last */
	assert_ptr_equal(page->owner, both[0]);
	mm_check(both, 2, page);
	page_put(page);
	assert_null(page->owner);
	assert_int_equal(page_release_domain(both[0], own.frame[5]), -XEN_EINVAL);
	check();
}

/* The shared pages of ours can be mapped, and be nothing else. */
static void test_shared_pages(void **state)
{
	void *ro = hv_page_alloc(0), *rw = hv_page_alloc(0);
	struct page_info *page;

	mm_share_page(both[0], ro, true);
	mm_share_page(both[0], rw, false);
	check();
	assert_int_equal(page_get_and_type(virt_to_mfn(ro), both[0], PT_WRITABLE, &page),
			 -XEN_EBUSY);
	assert_int_equal(page_get_and_type(virt_to_mfn(ro), both[0], PT_L1, &page), -XEN_EBUSY);
	assert_int_equal(page_get_and_type(virt_to_mfn(rw), both[0], PT_L1, &page), -XEN_EBUSY);
	assert_int_equal(page_get_and_type(virt_to_mfn(rw), both[1], PT_WRITABLE, &page),
			 -XEN_EINVAL);
	assert_int_equal(page_get_and_type(virt_to_mfn(rw), both[0], PT_WRITABLE, &page), 0);
	mm_unshare_page(ro);
	mm_unshare_page(rw); /* still mapped, so still there */
	assert_ptr_equal(page->owner, both[0]);
	page_put_and_type(page);
	assert_null(page->owner);
	check();
}

/* ---- stopped anywhere, and gone on with ----------------------------------------------- */

static unsigned take_slowly(struct tables *t, unsigned i, enum page_type type, int *result)
{
	unsigned tries = 0;

	do {
		*result = take(t, i, type);
		if (*result)
			check();
		assert_true(++tries < 5000);
	} while (*result == -XEN_ERESTART);
	return tries;
}

static void finish_undo(struct domain *d)
{
	for (unsigned tries = 0; d->mm.undo; tries++) {
		if (!mm_begin(d))
			mm_unlock();
		check();
		assert_true(tries < 5000);
	}
}

static void test_validation_stops_and_goes_on(void **state)
{
	static const int budgets[] = {4, 5, 100, 511, 512, 513, 1000, 2047, 2048};
	unsigned tries;
	int result;

	for (unsigned i = 0; i < ARRAY_SIZE(budgets); i++) {
		mm_budget_full = budgets[i];
		tries = take_slowly(&own, 0, PT_L4, &result);
		assert_int_equal(result, 0);
		assert_true(budgets[i] < 2048 ? tries > 1 : tries == 1);
		page_put_and_type(mfn_to_page(own.frame[0]));
		check();
		finish_undo(both[0]);
		assert_int_equal(mfn_to_page(own.frame[3])->type_count, 0);
	}
}

static void test_bad_entry_after_a_stop(void **state)
{
	int result;

	*tables_entry(&own, 3, 511) = pte_make(other.frame[5], RW);
	for (int budget = 4; budget < 2100; budget += 61) {
		mm_budget_full = budget;
		take_slowly(&own, 0, PT_L4, &result);
		assert_int_equal(result, -XEN_EINVAL);
		finish_undo(both[0]);
		for (unsigned k = 0; k < TABLES_FRAMES; k++)
			assert_int_equal(mfn_to_page(own.frame[k])->type_count, 0);
	}
}

/* While a table is half done it is already no data, and not yet a table. */
static void test_half_done_is_neither(void **state)
{
	mm_budget_full = 300;
	assert_int_equal(take(&own, 0, PT_L4), -XEN_ERESTART);
	assert_true(mfn_to_page(own.frame[0])->flags & PG_PARTIAL);
	assert_int_equal(take(&own, 0, PT_WRITABLE), -XEN_EBUSY);
	assert_int_equal(take(&own, 0, PT_L3), -XEN_EBUSY);
	check();
	assert_int_equal(page_release_domain(both[0], own.frame[0]), 0); /* ends it */
	finish_undo(both[0]);
	assert_int_equal(mfn_to_page(own.frame[0])->type_count, 0);
	check();
}

/* A frame wanted as something else while it is still given up is there once that is finished. */
static void test_wanted_while_given_up(void **state)
{
	int result = -XEN_ERESTART;

	assert_int_equal(take(&own, 0, PT_L4), 0);
	mm_budget_full = 100;
	page_put_and_type(mfn_to_page(own.frame[0]));
	assert_true(mfn_to_page(own.frame[0])->flags & PG_UNDO);
	for (int i = 0; result == -XEN_ERESTART && i < 5000; i++) {
		result = take(&own, 0, PT_WRITABLE);
		if (result)
			check();
	}
	assert_int_equal(result, 0);
	give(&own, 0);
}

/* A domain can end with tables half done in both directions. */
static void test_end_in_the_middle(void **state)
{
	mm_budget_full = 200;
	assert_int_equal(take(&own, 0, PT_L4), -XEN_ERESTART);
	assert_int_equal(take(&own, 1, PT_L3), -XEN_ERESTART);
	mm_budget_full = 4096;
	assert_int_equal(take(&own, 2, PT_L2), 0);
	mm_budget_full = 100;
	page_put_and_type(mfn_to_page(own.frame[2]));
	check();
}

/* ---- stale translations ---------------------------------------------------------------- */

static unsigned flushes_for(enum page_type type)
{
	unsigned before = fake.tlb_flushes;

	assert_int_equal(take(&own, 3, type), 0);
	give(&own, 3);
	return fake.tlb_flushes - before;
}

static void test_flush_between_two_uses(void **state)
{
	hw_flush();
	assert_int_equal(flushes_for(PT_WRITABLE), 0);
	assert_int_equal(flushes_for(PT_WRITABLE), 0); /* the same again is harmless */
	assert_int_equal(flushes_for(PT_L1), 1);       /* writable before: must be gone */
	assert_int_equal(flushes_for(PT_WRITABLE), 1); /* a table before */
	hw_flush();
	assert_int_equal(flushes_for(PT_L1), 0); /* it is gone already */
}

static void test_flush_before_reuse(void **state)
{
	struct page_info *page;
	unsigned before;

	hw_flush();
	assert_int_equal(page_release_domain(both[0], own.frame[11]), 0);
	before = fake.tlb_flushes;
	page = page_alloc_domain(both[1], 0); /* the allocator gives the last freed first */
	assert_int_equal(page_to_mfn(page).v, own.frame[11].v);
	assert_int_equal(fake.tlb_flushes, before + 1);
	check();
}

/* A frame comes to its new owner without what the old one wrote. */
static void test_frames_come_empty(void **state)
{
	static const char zero[PAGE_SIZE];
	struct page_info *page;

	memset(mfn_to_virt(own.frame[11]), 0x5a, PAGE_SIZE);
	page_release_domain(both[0], own.frame[11]);
	page = page_alloc_domain(both[1], 0);
	assert_int_equal(page_to_mfn(page).v, own.frame[11].v);
	assert_memory_equal(page_to_virt(page), zero, PAGE_SIZE);
}

/* ---- descriptors ----------------------------------------------------------------------- */

static void test_descriptors(void **state)
{
	uint64_t code = 0x00af9b000000ffff, data = 0x00cf93000000ffff;
	uint64_t gate = 0x0000ec0000080000, tss = 0x0000890000000067, absent = 0x00006c0000080000;
	uint64_t reserved = 0x0000800000000000;

	assert_true(descriptor_check(&code));
	assert_true(code == 0x00affb000000ffff); /* ring 3 now */
	assert_true(descriptor_check(&data));
	assert_true(descriptor_check(&absent));
	assert_true(descriptor_check(&reserved));
	assert_false(descriptor_check(&gate));
	assert_false(descriptor_check(&tss));
}

static void test_segment_page(void **state)
{
	uint64_t *page = mfn_to_virt(own.frame[6]);

	memset(page, 0, PAGE_SIZE);
	page[511] = 0x0000890000000067;
	refused(&own, 6, PT_SEG);
	page[511] = 0x00cf93000000ffff;
	assert_int_equal(take(&own, 6, PT_SEG), 0);
	assert_true(page[511] == 0x00cff3000000ffff);
	assert_int_equal(take(&own, 6, PT_WRITABLE), -XEN_EBUSY);
	assert_int_equal(take(&own, 3, PT_L1), -XEN_EBUSY); /* maps it writable */
	give(&own, 6);
}

/* ---- the allocator ---------------------------------------------------------------------- */

static void test_allocator_gives_and_joins(void **state)
{
	uint64_t before = fake_free_pages();
	void *p[8];

	for (unsigned i = 0; i < 8; i++) {
		p[i] = hv_page_alloc(i);
		assert_non_null(p[i]);
		assert_int_equal(virt_to_mfn(p[i]).v % (1u << i), 0);
	}
	for (unsigned i = 0; i < 8; i += 2)
		hv_page_free(p[i], i);
	for (unsigned i = 1; i < 8; i += 2)
		hv_page_free(p[i], i);
	assert_int_equal(fake_free_pages(), before);
	p[0] = hv_page_alloc(MM_MAX_ORDER - 1); /* the pieces are one block again */
	assert_non_null(p[0]);
	hv_page_free(p[0], MM_MAX_ORDER - 1);
	assert_null(hv_page_alloc(MM_MAX_ORDER + 1));
}

static void test_low_frames(void **state)
{
	struct page_info *page = frames_alloc(2, 0x200);

	assert_non_null(page);
	assert_true(page_to_mfn(page).v + 4 <= 0x200);
	frames_free(page, 2);
	assert_null(frames_alloc(0, FAKE_FIRST_FRAME));
}

static void test_heap(void **state)
{
	static const size_t sizes[] = {1, 32, 33, 100, 512, 2048, 2049, 5000, 20000};
	uint64_t before = fake_free_pages();
	char *p[ARRAY_SIZE(sizes)][40];

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned k = 0; k < 40; k++) {
			p[i][k] = hv_alloc(sizes[i]);
			assert_non_null(p[i][k]);
			assert_true((uint64_t)p[i][k] % (sizes[i] >= 64 ? 64 : 16) == 0);
			assert_int_equal(p[i][k][0] | p[i][k][sizes[i] - 1], 0);
			memset(p[i][k], (int)(i + k + 1), sizes[i]);
		}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned k = 0; k < 40; k++) {
			assert_int_equal(p[i][k][0], (char)(i + k + 1));
			assert_int_equal(p[i][k][sizes[i] - 1], (char)(i + k + 1));
			hv_free(p[i][k], sizes[i]);
		}
	assert_int_equal(fake_free_pages(), before);
	hv_free(NULL, 7);
	assert_null(hv_alloc((size_t)1 << 40));
}

static void test_limits(void **state)
{
	both[1]->mm.max_pages = both[1]->mm.nr_pages + 3;
	assert_null(page_alloc_domain(both[1], 2));
	assert_non_null(page_alloc_domain(both[1], 1));
	assert_non_null(page_alloc_domain(both[1], 0));
	assert_null(page_alloc_domain(both[1], 0));
	check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	    T(whole_space_is_accepted),
	    T(bad_entries_are_refused),
	    T(absent_entries_are_the_guests),
	    T(entries_become_user_and_local),
	    T(cache_bits),
	    T(device_frames_need_the_right),
	    T(hole_is_ours),
	    T(m2p_is_for_kernels),
	    T(writable_frame_is_no_table),
	    T(table_is_not_writable),
	    T(references_are_the_owners),
	    T(shared_pages),
	    T(validation_stops_and_goes_on),
	    T(bad_entry_after_a_stop),
	    T(half_done_is_neither),
	    T(wanted_while_given_up),
	    T(end_in_the_middle),
	    T(flush_between_two_uses),
	    T(flush_before_reuse),
	    T(frames_come_empty),
	    T(descriptors),
	    T(segment_page),
	    T(allocator_gives_and_joins),
	    T(low_frames),
	    T(heap),
	    T(limits),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
