/* hv_iommu_own_test.c: a domain's memory and what its devices see of it keep in step.
 *
 * Real frames, types and grants on a fake unit that keeps within a device's reach what was not flushed. Why: a page that a device still
 * reaches when it has become a page table, or another's page, is the end of all isolation, and no guest would notice. Expected: with
 * XEN_DOMCTL_CDF_iommu just the domain's writable frames, and what it has mapped by grants, are within reach, after every step; the tables for that take no more than
 * the domain's share; a unit that does not answer keeps the pages where they are.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c tests/host/fake_iommu.c lib/printf.c lib/text.c lib/pci_cap.c
 * links: hypervisor/iommu_device.c hypervisor/iommu_sender.c iommu/sender.c hypervisor/iommu_kept.c hypervisor/iommu_own.c hypervisor/iommu_quota.c hypervisor/iommu_lent.c hypervisor/iommu_assign.c
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
#include "hv_iommu_fixture.h"

/* ---- its own memory ------------------------------------------------------------------------ */

static void writable_pages_are_reached(void **state)
{
	assert_int_equal(take(0, PT_WRITABLE), 0);
	assert_int_equal(take(1, PT_WRITABLE), 0);
	give(1);
	clear(2);
	assert_int_equal(take(2, PT_L1), 0);
	assert_int_equal(assign(stock, NVME), 0);
	in_step();
	assert_int_equal(reach(0), ALL);
	assert_int_equal(reach(1), ALL);
	assert_int_equal(reach(2), 0);
	assert_int_equal(reach(3), 0);
	assert_int_equal(take(3, PT_WRITABLE), 0);
	assert_int_equal(reach(3), ALL);
	give(0);
	give(2);
	give(3);
	in_step();
}

/* To a table and a descriptor page and back, with the flush before. */
static void a_page_leaves_before_it_is_a_table(void **state)
{
	unsigned flushes;

	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	clear(0);
	give(0);
	flushes = fake_iommu.flushes;
	assert_int_equal(take(0, PT_L1), 0);
	assert_int_equal(reach(0), 0);
	assert_int_equal(fake_iommu.flushes, flushes + 1);
	give(0);
	assert_int_equal(reach(0), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	assert_int_equal(reach(0), ALL);
	give(0);
	assert_int_equal(take(0, PT_SEG), 0);
	assert_int_equal(reach(0), 0);
	give(0);
	/* A page that fails to be one is out all the same, and comes back as writable. */
	assert_int_equal(take(1, PT_WRITABLE), 0);
	memset(mfn_to_virt(frame[1]), 0xff, PAGE_SIZE);
	give(1);
	assert_int_not_equal(take(1, PT_L1), 0);
	assert_int_equal(reach(1), 0);
	assert_int_equal(take(1, PT_WRITABLE), 0);
	assert_int_equal(reach(1), ALL);
	give(1);
	in_step();
}

static void a_page_that_is_given_up_leaves(void **state)
{
	struct page_info *page = mfn_to_page(frame[0]);

	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	give(0);
	/* Somebody else's reference keeps it its owner's, and within reach. */
	assert_true(page_get(page, stock));
	assert_int_equal(page_release_domain(stock, frame[0]), 0);
	assert_int_equal(reach(0), ALL);
	page_put(page);
	assert_int_equal(reach(0), 0);
	in_step();
}

/* Piece by piece, with changes in between: all of them are in at the end. */
static void the_walk_may_be_interrupted(void **state)
{
	struct iommu_space *own;
	int error, turns = 0;

	for (unsigned i = 0; i < FRAMES; i += 2)
		assert_int_equal(take(i, PT_WRITABLE), 0);
	do {
		fake.preempt_after = 0;
		error = iommu_own_space(stock, iommu_of(NVME), &own);
		if (turns == 0)
			assert_int_equal(take(1, PT_WRITABLE), 0);
		turns++;
	} while (error == -XEN_ERESTART);
	fake.preempt_after = -1;
	assert_int_equal(error, 0);
	assert_int_equal(assign(stock, NVME), 0);
	in_step();
	give(1);
	for (unsigned i = 0; i < FRAMES; i += 2)
		give(i);
	assert_int_equal(deassign(stock, NVME), 0);
	assert_false(stock->iommu.in_step);
	assert_int_equal(fake_iommu.spaces, 0);
}

static void no_memory_for_tables(void **state)
{
	assert_int_equal(take(0, PT_WRITABLE), 0);
	assert_int_equal(take(1, PT_WRITABLE), 0);
	fake_iommu.maps_left = 1;
	assert_int_equal(assign(stock, NVME), -XEN_ENOMEM);
	assert_ptr_equal(io_device_find(NVME)->owner, first);
	assert_int_equal(fake_iommu.spaces, 0);
	fake_iommu.maps_left = -1;
	assert_int_equal(assign(stock, NVME), 0);
	fake_iommu.maps_left = 0;
	assert_int_equal(take(2, PT_WRITABLE), -XEN_ENOMEM);
	assert_int_equal(mfn_to_page(frame[2])->type_count, 0);
	in_step();
	fake_iommu.maps_left = -1;
	assert_int_equal(take(2, PT_WRITABLE), 0);
	in_step();
	for (unsigned i = 0; i < 3; i++)
		give(i);
}

/* Each page has a table here. What the domain may have for nothing is 66 tables, and `left` more of those that all its contexts share. */
static void with_room_for(uint32_t left)
{
	iospace_limit(left << PAGE_SHIFT);
	assert_int_equal(iommu_own_most(stock), 66 + left);
}

static void with_room_limit(void)
{
	iospace_limit(4 << 20);
}

static void fill(unsigned from, unsigned n, mfn_t *out)
{
	struct page_info *page;

	for (unsigned i = from; i < from + n; i++) {
		out[i] = fake_frame(stock);
		assert_int_equal(page_get_and_type(out[i], stock, PT_WRITABLE, &page), 0);
		page_put_and_type(page);
	}
}

/* The page that would need one more table does not become writable, and nothing else happens: to others nothing at all. */
static void tables_are_bounded(void **state)
{
	struct page_info *page;
	mfn_t more[100], last = fake_frame(stock);

	assert_int_equal(assign(stock, NVME), 0);
	with_room_for(10);
	fill(0, 66, more);
	assert_int_equal(stock->iospace.n_own, 0);
	fill(66, 10, more);
	assert_int_equal(stock->iospace.n_own, 10);
	assert_int_equal(iommu_own_most(stock), 66);
	assert_int_equal(page_get_and_type(last, stock, PT_WRITABLE, &page), -XEN_ENOMEM);
	assert_int_equal(page_get_and_type(last, stock, PT_WRITABLE, &page), -XEN_ENOMEM);
	assert_non_null(strstr(fake.log,
			       "domain 2: no room for more tables of its memory for devices "
			       "than 76 pages: see iospace_tables="));
	assert_null(strstr(strstr(fake.log, "no room") + 1, "no room"));
	assert_int_equal(fake_iommu.prunes, 0);
	assert_int_equal(mfn_to_page(last)->type_count, 0);
	in_step();
	/* What contexts take of it is gone for context 0. */
	stock->iospace.n_tables = 5;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(page_release_domain(stock, more[i]), 0);
	for (unsigned i = 0; i < 3; i++)
		fill(i, 1, more);
	assert_int_equal(page_get_and_type(last, stock, PT_WRITABLE, &page), -XEN_ENOMEM);
	assert_int_equal(fake_iommu.prunes, 1);
	assert_int_equal(stock->iospace.n_own, 5);
	stock->iospace.n_tables = 0;
	fill(3, 5, more);
	in_step();
	/* More memory means more tables, and with the last function all are given back. */
	stock->mm.max_pages = 1024;
	assert_int_equal(iommu_own_most(stock), 68 + 0);
	assert_int_equal(page_get_and_type(last, stock, PT_WRITABLE, &page), 0);
	page_put_and_type(page);
	assert_int_equal(deassign(stock, NVME), 0);
	assert_int_equal(stock->iospace.n_own, 0);
	with_room_limit();
}

/* A domain that had too much when its first function came does not get it. */
static void tables_are_bounded_from_the_start(void **state)
{
	mfn_t more[100];

	fill(0, 70, more);
	with_room_for(3);
	assert_int_equal(assign(stock, NVME), -XEN_ENOMEM);
	assert_ptr_equal(io_device_find(NVME)->owner, first);
	assert_int_equal(stock->iospace.n_own, 0);
	assert_int_equal(fake_iommu.spaces, 0);
	with_room_for(4);
	assert_int_equal(assign(stock, NVME), 0);
	in_step();
	with_room_limit();
}

/* The page is nobody's for good; the domain does not end, and says so, until the unit answers. */
static void a_unit_that_does_not_answer(void **state)
{
	struct domain *d = fake_domain(1, 64);
	struct page_info *page;
	mfn_t mine = fake_frame(d);
	uint64_t before;

	d->iommu.own_memory = true;
	fake_run(first->vcpu[0]);
	assert_int_equal(assign(d, NVME), 0);
	assert_int_equal(page_get_and_type(mine, d, PT_WRITABLE, &page), 0);
	page_put_and_type(page);
	fake_iommu.broken = true;
	assert_int_equal(page_get_type(page, PT_SEG), -XEN_EIO);
	assert_int_equal(page_get_type(page, PT_SEG), -XEN_EIO);
	assert_int_equal(deassign(d, NVME), -XEN_EIO);
	assert_ptr_equal(io_device_find(NVME)->owner, d);
	before = fake_free_pages();
	assert_int_equal(domain_kill(d), -XEN_EIO);
	assert_int_equal(domain_kill(d), -XEN_EIO);
	assert_ptr_equal(page->owner, d);
	assert_true(fake_free_pages() == before);
	assert_non_null(strstr(fake.log, "00:04.0 does not come back"));
	fake_iommu.broken = false;
	fake_domain_end(d);
	fake_run(first->vcpu[0]);
}

static void a_frame_that_cannot_be_flushed_is_lost(void **state)
{
	uint64_t before;

	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(take(0, PT_WRITABLE), 0);
	give(0);
	fake_iommu.broken = true;
	before = fake_free_pages();
	assert_int_equal(page_release_domain(stock, frame[0]), 0);
	assert_true(fake_free_pages() == before);
	fake_iommu.broken = false;
	free_before--;
}

/* ---- others' pages ------------------------------------------------------------------------- */

#define REF 9u

static mfn_t granted;

static void grant(uint16_t flags)
{
	struct grant_entry_v1 *e = plain->grants.shared[0];

	granted = fake_frame(plain);
	e[REF].domid = stock->id;
	e[REF].frame = (uint32_t)granted.v;
	e[REF].flags = GTF_permit_access | flags;
}

static int map_grant(uint32_t flags, uint32_t *out_handle)
{
	struct gnttab_map_grant_ref m = {
	    .flags = GNTMAP_device_map | flags, .ref = REF, .dom = plain->id};
	const struct gnttab_map_grant_ref *back = (const void *)fake_arena;

	fake_run(stock->vcpu[0]);
	assert_int_equal(hc_grant_table_op(GNTTABOP_map_grant_ref, FAKE_PUT(0, m), 1), 0);
	fake_run(first->vcpu[0]);
	*out_handle = back->handle;
	return back->status;
}

static int unmap_grant(uint32_t handle)
{
	struct gnttab_unmap_grant_ref u = {.dev_bus_addr = granted.v << PAGE_SHIFT,
					   .handle = handle};
	const struct gnttab_unmap_grant_ref *back = (const void *)fake_arena;

	fake_run(stock->vcpu[0]);
	assert_int_equal(hc_grant_table_op(GNTTABOP_unmap_grant_ref, FAKE_PUT(0, u), 1), 0);
	fake_run(first->vcpu[0]);
	return back->status;
}

static unsigned granted_reach(void)
{
	return fake_iommu_reach(NVME, granted);
}

static void a_grant_is_reached_while_it_is_mapped(void **state)
{
	const struct grant_entry_v1 *e = plain->grants.shared[0];
	uint32_t reader, writer, again;

	grant(0);
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(granted_reach(), 0);
	assert_int_equal(map_grant(GNTMAP_readonly, &reader), GNTST_okay);
	assert_int_equal(granted_reach(), IOMMU_READ);
	assert_int_equal(map_grant(0, &writer), GNTST_okay);
	assert_int_equal(granted_reach(), ALL);
	assert_int_equal(map_grant(0, &again), GNTST_okay);
	assert_int_equal(unmap_grant(writer), GNTST_okay);
	assert_int_equal(granted_reach(), ALL);
	assert_int_equal(unmap_grant(again), GNTST_okay);
	assert_int_equal(granted_reach(), IOMMU_READ);
	assert_int_equal(unmap_grant(reader), GNTST_okay);
	assert_int_equal(granted_reach(), 0);
	assert_int_equal(e[REF].flags, GTF_permit_access);
	assert_int_equal(mfn_to_page(granted)->count, 1);
	assert_int_equal(mfn_to_page(granted)->type_count, 0);
	in_step();
}

/* Mapped before the first function came, and after the last had gone. */
static void a_grant_outlasts_the_function(void **state)
{
	uint32_t handle;

	grant(0);
	assert_int_equal(map_grant(0, &handle), GNTST_okay);
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(granted_reach(), ALL);
	assert_int_equal(deassign(stock, NVME), 0);
	assert_int_equal(granted_reach(), 0);
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(granted_reach(), ALL);
	assert_int_equal(deassign(stock, NVME), 0);
	assert_int_equal(unmap_grant(handle), GNTST_okay);
	assert_int_equal(mfn_to_page(granted)->count, 1);
	assert_int_equal(mfn_to_page(granted)->type_count, 0);
	assert_null(stock->iommu.lent);
}

/* One that is mapped when the domain ends, too; and of a function that a unit does not let go of, not before. */
static void a_grant_that_is_not_flushed_stays_in_use(void **state)
{
	const struct grant_entry_v1 *e = plain->grants.shared[0];
	uint32_t handle;

	grant(0);
	assert_int_equal(assign(stock, NVME), 0);
	assert_int_equal(map_grant(0, &handle), GNTST_okay);
	fake_iommu.broken = true;
	(void)unmap_grant(handle);
	assert_int_equal(e[REF].flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_true(mfn_to_page(granted)->type_count > 0);
	fake_iommu.broken = false;
}

static void no_memory_to_lend(void **state)
{
	uint32_t handle;

	grant(0);
	assert_int_equal(assign(stock, NVME), 0);
	fake_iommu.maps_left = 0;
	assert_int_equal(map_grant(0, &handle), GNTST_no_space);
	assert_int_equal(mfn_to_page(granted)->count, 1);
	assert_null(stock->iommu.lent);
	fake_iommu.maps_left = -1;
	assert_int_equal(map_grant(0, &handle), GNTST_okay);
	assert_int_equal(granted_reach(), ALL);
}

/* Anything in any order: after each step what the device reaches is what the domain may write. */
static void in_step_always(void **state)
{
	uint8_t uses[FRAMES] = {0};

	srand(7);
	for (unsigned i = 0; i < FRAMES; i++)
		clear(i);
	assert_int_equal(assign(stock, NVME), 0);
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = (unsigned)rand() % FRAMES, what = (unsigned)rand() % 8;

		if (what == 0 && uses[i] == 0) {
			assert_int_equal(page_release_domain(stock, frame[i]), 0);
			frame[i] = fake_frame(stock);
		} else if (what < 4 && uses[i]) {
			give(i);
			uses[i]--;
		} else if (what == 7 && step % 16 == 0) {
			assert_int_equal(deassign(stock, NVME), 0);
			assert_int_equal(assign(stock, NVME), 0);
		} else {
			uses[i] += take(i, (enum page_type[]){PT_WRITABLE, PT_L1, PT_WRITABLE,
							      PT_SEG}[what % 4]) == 0;
		}
		in_step();
	}
	for (unsigned i = 0; i < FRAMES; i++)
		while (uses[i]--)
			give(i);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(writable_pages_are_reached),
	    TEST(a_page_leaves_before_it_is_a_table),
	    TEST(a_page_that_is_given_up_leaves),
	    TEST(the_walk_may_be_interrupted),
	    TEST(no_memory_for_tables),
	    TEST(tables_are_bounded),
	    TEST(tables_are_bounded_from_the_start),
	    TEST(a_unit_that_does_not_answer),
	    TEST(a_frame_that_cannot_be_flushed_is_lost),
	    TEST(a_grant_is_reached_while_it_is_mapped),
	    TEST(a_grant_outlasts_the_function),
	    TEST(a_grant_that_is_not_flushed_stays_in_use),
	    TEST(no_memory_to_lend),
	    TEST(in_step_always),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
