/* hv_iospace_test.c: what domains map of their own memory for their devices, and what the devices reach, through a unit that remembers.
 *
 * Shows: contexts are their owner's, limited, and hold a function at a time; a device reaches what its owner mapped, with that right, and nothing that is
 * another's, a table, or at forbidden addresses; what is mapped stays its owner's and no table until it is unmapped AND flushed; strict and deferred flushes,
 * by entry, range and all; a unit that does not answer; what waits is bounded. Why: one page let go too early is another domain's memory in a
 * device's hands. The unit (io_unit.c) keeps every translation it ever used until it is flushed, and asserts at each access that the frame is still held.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c hypervisor/grant_entry.c hypervisor/grant_device.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/iospace.c hypervisor/iommu_quota.c hypervisor/iospace_map.c hypervisor/iospace_op.c hypervisor/iospace_fault.c
 * links: iommu/iommu.c iommu/io_table.c tests/host/iommu_world.c tests/host/io_unit.c
 */
#include "tests/host/iospace_fixture.h"

/* ---- contexts ------------------------------------------------------------------------------------ */

static void only_owners_of_functions_have_contexts(void **state)
{
	struct iospace_op query = {.cmd = IOSPACE_query, .u.query.sbdf = DEV};
	uint32_t c;

	assert_int_equal(one(query), 0);
	assert_int_equal(ops[0].u.query.address_bits, 39);
	assert_int_equal(ops[0].u.query.page_sizes, PAGE_SIZE);
	assert_int_equal(ops[0].u.query.contexts_left, 31);
	assert_int_equal(ops[0].u.query.tables_left, 1024);
	c = alloc(DEV);
	assert_int_equal(c, 1);
	assert_int_equal(one(query), 0);
	assert_int_equal(ops[0].u.query.contexts_left, 30);
	assert_int_equal(ops[0].u.query.tables, 1);
	query.u.query.sbdf = 0x28;
	assert_int_equal(one(query), -XEN_EPERM);
	query.u.query.sbdf = 0x10000 | DEV;
	assert_int_equal(one(query), -XEN_EPERM);
	fake_run(front->vcpu[0]);
	assert_int_equal(one((struct iospace_op){.cmd = IOSPACE_alloc, .u.alloc.sbdf = DEV}),
			 -XEN_EPERM);
	assert_int_equal(attach(DEV, 0), -XEN_EPERM);
	assert_int_equal(map(c, DMA, page.v, RW), -XEN_ENOENT);
	assert_int_equal(release(c), -XEN_ENOENT);
}

static void contexts_are_numbered_and_limited(void **state)
{
	for (unsigned i = 1; i < IOSPACE_CONTEXTS; i++)
		assert_int_equal(alloc(DEV), i);
	assert_int_equal(one((struct iospace_op){.cmd = IOSPACE_alloc, .u.alloc.sbdf = DEV}),
			 -XEN_ENOSPC);
	assert_int_equal(release(7), 0);
	assert_int_equal(release(7), -XEN_ENOENT);
	assert_int_equal(alloc(DEV), 7);
	assert_int_equal(release(0), -XEN_ENOENT);
	assert_int_equal(release(IOSPACE_CONTEXTS), -XEN_ENOENT);
	assert_int_equal(release(~0u), -XEN_ENOENT);
}

static void a_function_is_in_one_context_at_a_time(void **state)
{
	uint32_t a = alloc(DEV), b = alloc(DEV), far = alloc(FAR);

	assert_int_equal(map(a, DMA, page.v, RW), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(attach(DEV, a), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(io_unit_reach(OTHER, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(release(a), -XEN_EBUSY);
	assert_int_equal(attach(DEV, b), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(release(a), 0);
	assert_int_equal(refs(page), 1);
	assert_int_equal(map(b, DMA, page.v, RW), 0);
	assert_int_equal(attach(DEV, far), -XEN_EXDEV);
	assert_int_equal(attach(DEV, 9), -XEN_ENOENT);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(attach(DEV, 0), 0);
	assert_int_equal(release(b), 0);
	assert_int_equal(release(far), 0);
}

static void what_the_unit_cannot_do_leaves_the_books_true(void **state)
{
	uint32_t a = alloc(DEV), b = alloc(DEV);

	assert_int_equal(attach(DEV, a), 0);
	assert_int_equal(map(a, DMA, page.v, RW), 0);
	io_unit.silent = true;
	assert_int_equal(attach(DEV, b), -XEN_EIO);
	assert_ptr_equal(io_device_find(DEV)->context, back->iospace.context[a]);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(release(a), -XEN_EBUSY);
	io_unit.silent = false;
	assert_int_equal(attach(DEV, b), 0);
	io_unit.silent = true;
	assert_int_equal(release(a), -XEN_EIO);
	assert_int_equal(map(a, DMA + PAGE_SIZE, page.v, RW), -XEN_ENOENT);
	io_unit.silent = false;
	assert_int_equal(release(a), 0);
}

/* ---- own frames ---------------------------------------------------------------------------------- */

static void rights_are_what_was_mapped(void **state)
{
	uint32_t c = alloc(DEV);

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map(c, DMA, page.v, IOSPACE_READ), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, false), page.v);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(map(c, DMA + PAGE_SIZE, page.v, IOSPACE_WRITE), 0);
	assert_int_equal(io_unit_reach(DEV, DMA + PAGE_SIZE, true), page.v);
	assert_int_equal(io_unit_reach(DEV, DMA + PAGE_SIZE, false), IO_UNIT_NOTHING);
	assert_int_equal(refs(page), 3);
	assert_int_equal(mfn_to_page(page)->type_count, 1);
	assert_int_equal(
	    one((struct iospace_op){.cmd = IOSPACE_lookup, .u.lookup = {c, 0, DMA, 1}}), 0);
	assert_int_equal(ops[0].flags, IOSPACE_READ);
	assert_int_equal(ops[0].u.lookup.frame, page.v);
	assert_int_equal(
	    one((struct iospace_op){.cmd = IOSPACE_lookup, .u.lookup = {c, 0, DMA - 4096, 1}}),
	    -XEN_ENXIO);
	assert_int_equal(map(c, DMA, page.v, IOSPACE_READ), -XEN_EEXIST);
	assert_int_equal(refs(page), 3);
}

static void only_own_frames_are_mapped(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t foreign = fake_frame(front), first = fake_frame(back);

	assert_int_equal(map(c, DMA, foreign.v, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(map(c, DMA, 1, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(map(c, DMA, FAKE_FIRST_FRAME + FAKE_FRAMES, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(map(c, DMA, ~0ull, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(map(c, DMA, 1ull << 52 | page.v, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(refs(foreign), 1);
	/* All or nothing: the second of the two is not its own. */
	ops[0] = map_op(c, DMA, first.v, RW);
	ops[0].u.map.count = 512;
	assert_int_equal(call(1), 0);
	assert_int_equal(ops[0].status, -XEN_EPERM);
	assert_int_equal(refs(first), 1);
	assert_int_equal(mfn_to_page(first)->type_count, 0);
}

static void a_table_is_not_written_and_what_is_written_is_no_table(void **state)
{
	struct page_info *p = mfn_to_page(page);
	uint32_t c = alloc(DEV);

	assert_true(page_get(p, back));
	assert_int_equal(page_get_type(p, PT_L1), 0);
	assert_int_equal(map(c, DMA, page.v, IOSPACE_WRITE), -XEN_EBUSY);
	assert_int_equal(map(c, DMA, page.v, IOSPACE_READ), 0);
	page_put_type(p);
	assert_int_equal(map(c, DMA + PAGE_SIZE, page.v, RW), 0);
	assert_int_equal(page_get_type(p, PT_L1), -XEN_EBUSY);
	assert_int_equal(unmap(c, DMA + PAGE_SIZE, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(page_get_type(p, PT_L1), -XEN_EBUSY);
	assert_int_equal(flush(IOSPACE_flush_all, c, 0, 0), 0);
	assert_int_equal(page_get_type(p, PT_L1), 0);
	page_put_and_type(p);
}

static void addresses_of_no_use_are_refused(void **state)
{
	static const uint64_t bad[] = {0xfee00000, 0xfeeff000,  0x20000000, 0x20001000,
				       1ull << 39, ~0ull << 12, DMA + 8};
	struct iospace_op reserved = {.cmd = IOSPACE_reserved, .u.reserved = {DEV, 2, 0, 0}};
	uint32_t c = alloc(DEV);

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(map(c, bad[i], page.v, RW), -XEN_EINVAL);
		assert_int_equal(unmap(c, bad[i], 0), -XEN_EINVAL);
	}
	assert_int_equal(map(c, 0xfef00000, page.v, RW), 0);
	assert_int_equal(map(c, 0xfedff000, page.v, RW), 0);
	assert_int_equal(map(c, 0x1fffe000, page.v, RW), 0);
	assert_int_equal(map(c, (1ull << 39) - PAGE_SIZE, page.v, RW), 0);
	ops[0] = map_op(c, 0xfedff000 - PAGE_SIZE, page.v, RW);
	ops[0].u.map.count = 3;
	call(1);
	assert_int_equal(ops[0].status, -XEN_EINVAL);
	assert_int_equal(one(reserved), 0);
	assert_int_equal(ops[0].u.reserved.start, 0x1ffff000);
	assert_int_equal(ops[0].u.reserved.end, 0x20002000);
	assert_int_equal(ops[0].flags, RW);
	reserved.u.reserved.index = 3;
	assert_int_equal(one(reserved), -XEN_ENOENT);
}

static void nonsense_is_refused(void **state)
{
	uint32_t c = alloc(DEV);

	assert_int_equal(map(c, DMA, page.v, 0), -XEN_EINVAL);
	assert_int_equal(map(c, DMA, page.v, RW | 0x80), -XEN_EINVAL);
	assert_int_equal(map(c, DMA, page.v, RW | IOSPACE_GREF | IOSPACE_HANDLE), -XEN_EINVAL);
	assert_int_equal(map(0, DMA, page.v, RW), -XEN_EACCES);
	assert_int_equal(unmap(0, DMA, 0), -XEN_EACCES);
	assert_int_equal(map(2, DMA, page.v, RW), -XEN_ENOENT);
	assert_int_equal(unmap(c, DMA, IOSPACE_READ), -XEN_EINVAL);
	assert_int_equal(unmap(c, DMA, 0), -XEN_ENOENT);
	assert_int_equal(flush(IOSPACE_flush_all, 0, 0, 0), 0);
	assert_int_equal(flush(IOSPACE_flush_range, c, DMA, 0), -XEN_EINVAL);
	assert_int_equal(flush(IOSPACE_flush_range, c, ~0ull << 12, 2), -XEN_EINVAL);
	for (unsigned cmd = 0; cmd < 64; cmd++)
		if (!cmd || (cmd > IOSPACE_lookup && cmd < IOSPACE_flush_entry) ||
		    cmd > IOSPACE_reserved)
			assert_int_equal(one((struct iospace_op){.cmd = (uint16_t)cmd}),
					 -XEN_ENOSYS);
	for (unsigned count = 0; count <= 513; count += 513) {
		ops[0] = map_op(c, DMA, page.v, RW);
		ops[0].u.map.count = count;
		call(1);
		assert_int_equal(ops[0].status, -XEN_EINVAL);
	}
	assert_int_equal(hc_iospace_op(1, 1), -XEN_EFAULT);
	assert_int_equal(hc_iospace_op(FAKE_GUEST_BASE, ~0ull), -XEN_EINVAL);
	io_unit.off = true;
	assert_int_equal(call(1), -XEN_ENODEV);
	io_unit.off = false;
}

static void a_page_that_its_owner_gives_up_is_free_after_the_flush(void **state)
{
	uint32_t c = alloc(DEV);
	uint64_t before;

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map(c, DMA, page.v, RW), 0);
	before = fake_free_pages();
	assert_int_equal(page_release_domain(back, page), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(map(c, DMA + PAGE_SIZE, page.v, IOSPACE_READ), -XEN_EPERM);
	assert_int_equal(unmap(c, DMA, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(fake_free_pages(), before);
	assert_int_equal(flush(IOSPACE_flush_entry, c, DMA, 0), 0);
	assert_int_equal(fake_free_pages(), before + 1);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
}

/* ---- flushes ------------------------------------------------------------------------------------- */

static void a_batch_is_flushed_once(void **state)
{
	uint32_t c = alloc(DEV);
	unsigned before;

	assert_int_equal(attach(DEV, c), 0);
	for (unsigned i = 0; i < 32; i++)
		ops[i] = map_op(c, DMA + i * PAGE_SIZE, page.v, RW);
	before = io_unit.flushes;
	assert_int_equal(call(32), 0);
	assert_int_equal(io_unit.flushes, before);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(ops[i].status, 0);
		assert_int_equal(io_unit_reach(DEV, DMA + i * PAGE_SIZE, true), page.v);
		ops[i] = unmap_op(c, DMA + (31 - i) * PAGE_SIZE, 0);
	}
	assert_int_equal(call(32), 0);
	assert_int_equal(io_unit.flushes, before + 1);
	assert_int_equal(refs(page), 1);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(io_unit_reach(DEV, DMA + i * PAGE_SIZE, true), IO_UNIT_NOTHING);
}

static void a_deferred_flush_lets_go_what_it_reaches(void **state)
{
	uint32_t c = alloc(DEV);

	assert_int_equal(attach(DEV, c), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(map(c, DMA + i * PAGE_SIZE, page.v, RW), 0);
		assert_int_equal(io_unit_reach(DEV, DMA + i * PAGE_SIZE, true), page.v);
		assert_int_equal(unmap(c, DMA + i * PAGE_SIZE, IOSPACE_NO_FLUSH), 0);
	}
	assert_int_equal(io_unit.flushes, 0);
	assert_int_equal(refs(page), 9);
	assert_int_equal(flush(IOSPACE_flush_entry, c, DMA + PAGE_SIZE, 99), 0);
	assert_int_equal(refs(page), 8);
	assert_int_equal(io_unit_reach(DEV, DMA + PAGE_SIZE, true), IO_UNIT_NOTHING);
	assert_int_equal(io_unit_reach(DEV, DMA + 2 * PAGE_SIZE, true), page.v);
	assert_int_equal(flush(IOSPACE_flush_range, c, DMA + 2 * PAGE_SIZE, 3), 0);
	assert_int_equal(refs(page), 5);
	assert_int_equal(io_unit_reach(DEV, DMA + 4 * PAGE_SIZE, true), IO_UNIT_NOTHING);
	assert_int_equal(io_unit_reach(DEV, DMA + 5 * PAGE_SIZE, true), page.v);
	/* An unmap that is not deferred flushes what lies where it does. */
	assert_int_equal(map(c, DMA + PAGE_SIZE, page.v, RW), 0);
	assert_int_equal(unmap(c, DMA + PAGE_SIZE, 0), 0);
	assert_int_equal(refs(page), 5);
	assert_int_equal(flush(IOSPACE_flush_all, c, 5, 5), 0);
	assert_int_equal(refs(page), 1);
	assert_int_equal(io_unit_reach(DEV, DMA + 7 * PAGE_SIZE, true), IO_UNIT_NOTHING);
}

static void what_waits_is_bounded(void **state)
{
	uint32_t c = alloc(DEV);

	assert_int_equal(attach(DEV, c), 0);
	for (unsigned i = 0; i < IOSPACE_WAITING; i++) {
		assert_int_equal(map(c, DMA, page.v, RW), 0);
		assert_int_equal(unmap(c, DMA, IOSPACE_NO_FLUSH), 0);
	}
	assert_int_equal(refs(page), 1 + IOSPACE_WAITING);
	assert_int_equal(io_unit.flushes, 0);
	assert_int_equal(map(c, DMA, page.v, RW), 0);
	assert_int_equal(io_unit.flushes, 1);
	assert_int_equal(refs(page), 2);
	for (unsigned i = 1; i <= IOSPACE_WAITING; i++)
		assert_int_equal(map(c, DMA + i * PAGE_SIZE, page.v, RW), 0);
	for (unsigned i = 0; i <= IOSPACE_WAITING; i++)
		assert_int_equal(unmap(c, DMA + i * PAGE_SIZE, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(io_unit.flushes, 2);
	assert_int_equal(refs(page), 2);
}

static void a_unit_that_does_not_answer_lets_nothing_go(void **state)
{
	uint32_t c = alloc(DEV);

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map(c, DMA, page.v, RW), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	io_unit.silent = true;
	assert_int_equal(unmap(c, DMA, 0), -XEN_EIO);
	assert_int_equal(refs(page), 2);
	assert_int_equal(io_unit_reach(DEV, DMA, true), page.v);
	assert_int_equal(flush(IOSPACE_flush_all, c, 0, 0), -XEN_EIO);
	assert_int_equal(refs(page), 2);
	/* A unit that has to be told of maps, too: what it may have seen is held as well. */
	io_unit.remembers_nothing = true;
	assert_int_equal(map(c, DMA, page.v, RW), -XEN_EIO);
	assert_int_equal(refs(page), 3);
	assert_int_equal(unmap(c, DMA, 0), -XEN_ENOENT);
	io_unit.silent = false;
	assert_int_equal(flush(IOSPACE_flush_all, c, 0, 0), 0);
	assert_int_equal(refs(page), 1);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(only_owners_of_functions_have_contexts),
	    T(contexts_are_numbered_and_limited),
	    T(a_function_is_in_one_context_at_a_time),
	    T(what_the_unit_cannot_do_leaves_the_books_true),
	    T(rights_are_what_was_mapped),
	    T(only_own_frames_are_mapped),
	    T(a_table_is_not_written_and_what_is_written_is_no_table),
	    T(addresses_of_no_use_are_refused),
	    T(nonsense_is_refused),
	    T(a_page_that_its_owner_gives_up_is_free_after_the_flush),
	    T(a_batch_is_flushed_once),
	    T(a_deferred_flush_lets_go_what_it_reaches),
	    T(what_waits_is_bounded),
	    T(a_unit_that_does_not_answer_lets_nothing_go),
	};

	fake_start();
	io_unit_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
