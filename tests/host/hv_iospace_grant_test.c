/* hv_iospace_grant_test.c: granted pages in IO spaces, quotas, faults, and the end of it all.
 *
 * Shows: a grant is mapped by its entry or by the handle of a device map, with its right and no more; its granter sees it in use until the flush,
 * whatever becomes of the handle, and keeps the page when it dies; tables, contexts and grants count against one limit; faults are told to the owner, few of
 * them; long lists stop and go on; full contexts end piece by piece; every page is back. Why: a granted page is another's, who believes
 * what it sees in its table.
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

/* ---- grants -------------------------------------------------------------------------------------- */

static void a_granted_page_is_mapped_by_its_entry(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t theirs = grant(0);

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map_ref(c, DMA, RW), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), theirs.v);
	assert_int_equal(*entry_flags(), GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(
	    one((struct iospace_op){.cmd = IOSPACE_lookup, .u.lookup = {c, 0, DMA, 1}}), 0);
	assert_int_equal(ops[0].flags, RW | IOSPACE_GREF);
	assert_int_equal(ops[0].u.lookup.frame, 0);
	assert_int_equal(unmap(c, DMA, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(*entry_flags(), GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(io_unit_reach(DEV, DMA, true), theirs.v);
	assert_int_equal(flush(IOSPACE_flush_all, c, 0, 0), 0);
	assert_int_equal(*entry_flags(), GTF_permit_access);
	assert_int_equal(refs(theirs), 1);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(back->iospace.n_grants, 0);
}

static void a_grant_gives_its_right_and_no_more(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t theirs = grant(GTF_readonly);
	struct iospace_op op = map_op(c, DMA, 0, IOSPACE_READ | IOSPACE_GREF);

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map_ref(c, DMA, RW), -XEN_EACCES);
	assert_int_equal(map_ref(c, DMA, IOSPACE_WRITE), -XEN_EACCES);
	assert_int_equal(map_ref(c, DMA, IOSPACE_READ), 0);
	assert_int_equal(io_unit_reach(DEV, DMA, true), IO_UNIT_NOTHING);
	assert_int_equal(io_unit_reach(DEV, DMA, false), theirs.v);
	op.u.map.grant.ref = REF + 1;
	op.u.map.grant.domain = front->id;
	assert_int_equal(one(op), -XEN_EACCES);
	op.u.map.grant.ref = ~0u;
	assert_int_equal(one(op), -XEN_EACCES);
	op.u.map.grant.domain = 999;
	assert_int_equal(one(op), -XEN_ESRCH);
	op.u.map.grant.domain = 0xffff;
	assert_int_equal(one(op), -XEN_ESRCH);
	op.u.map.count = 2;
	assert_int_equal(one(op), -XEN_EINVAL);
	assert_int_equal(map_ref(c, DMA, IOSPACE_READ), -XEN_EEXIST);
	assert_int_equal(back->iospace.n_grants, 1);
	assert_int_equal(unmap(c, DMA, 0), 0);
	assert_int_equal(*entry_flags(), GTF_permit_access | GTF_readonly);
}

static long grant_op(unsigned cmd, void *arg, size_t size)
{
	uint64_t va = fake_put(8192, arg, size);
	long result = hc_grant_table_op(cmd, va, 1);

	memcpy(arg, fake_guest_ptr(va), size);
	return result;
}

static struct gnttab_map_grant_ref map_handle(uint32_t flags)
{
	struct gnttab_map_grant_ref op = {.flags = flags, .ref = REF, .dom = front->id};

	assert_int_equal(grant_op(GNTTABOP_map_grant_ref, &op, sizeof(op)), 0);
	assert_int_equal(op.status, GNTST_okay);
	return op;
}

static int unmap_handle(uint32_t handle, uint64_t bus_addr)
{
	struct gnttab_unmap_grant_ref op = {0, bus_addr, handle, 77};

	assert_int_equal(grant_op(GNTTABOP_unmap_grant_ref, &op, sizeof(op)), 0);
	return op.status;
}

/* The handle may go first: the granter goes on seeing its page in use. */
static void a_granted_page_is_mapped_by_its_handle(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t theirs = grant(0);
	struct gnttab_map_grant_ref m = map_handle(GNTMAP_device_map);

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(m.dev_bus_addr, theirs.v << PAGE_SHIFT);
	assert_int_equal(map(c, DMA, m.handle, RW | IOSPACE_HANDLE), 0);
	assert_int_equal(map(c, DMA + PAGE_SIZE, m.handle + 1, RW | IOSPACE_HANDLE), -XEN_EPERM);
	assert_int_equal(map(c, DMA + PAGE_SIZE, 1u << 30, RW | IOSPACE_HANDLE), -XEN_EPERM);
	assert_int_equal(unmap_handle(m.handle, m.dev_bus_addr), GNTST_okay);
	assert_int_equal(io_unit_reach(DEV, DMA, true), theirs.v);
	assert_int_equal(*entry_flags(), GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(map(c, DMA + PAGE_SIZE, m.handle, RW | IOSPACE_HANDLE), -XEN_EPERM);
	assert_int_equal(unmap(c, DMA, 0), 0);
	assert_int_equal(*entry_flags(), GTF_permit_access);
	assert_int_equal(refs(theirs), 1);
}

/* What is mapped for the CPU alone is not for a device. */
static void a_handle_without_device_map_is_none(void **state)
{
	mfn_t table = fake_frame(back);
	struct gnttab_map_grant_ref m = {.flags = GNTMAP_host_map | GNTMAP_contains_pte,
					 .host_addr = table.v << PAGE_SHIFT,
					 .ref = REF,
					 .dom = front->id};
	uint32_t c = alloc(DEV);

	grant(0);
	assert_true(page_get(mfn_to_page(table), back));
	assert_int_equal(page_get_type(mfn_to_page(table), PT_L1), 0);
	assert_int_equal(grant_op(GNTTABOP_map_grant_ref, &m, sizeof(m)), 0);
	assert_int_equal(m.status, GNTST_okay);
	assert_int_equal(map(c, DMA, m.handle, RW | IOSPACE_HANDLE), -XEN_EPERM);
	page_put_and_type(mfn_to_page(table));
}

/* Of two kinds at one address, after each other, each is let go as what it was. */
static void an_address_is_used_again_for_something_else(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t theirs = grant(0);

	assert_int_equal(map_ref(c, DMA + PAGE_SIZE, IOSPACE_READ), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(map_ref(c, DMA, RW), 0);
		assert_int_equal(refs(theirs), 3);
		assert_int_equal(unmap(c, DMA, 0), 0);
		assert_int_equal(refs(theirs), 2);
		assert_int_equal(map(c, DMA, page.v, RW), 0);
		assert_int_equal(unmap(c, DMA, 0), 0);
		assert_int_equal(refs(page), 1);
	}
}

static void a_readonly_handle_gives_no_write(void **state)
{
	uint32_t c = alloc(DEV);
	struct gnttab_map_grant_ref m;

	grant(0);
	m = map_handle(GNTMAP_device_map | GNTMAP_readonly);
	assert_int_equal(map(c, DMA, m.handle, RW | IOSPACE_HANDLE), -XEN_EACCES);
	assert_int_equal(map(c, DMA, m.handle, IOSPACE_READ | IOSPACE_HANDLE), 0);
	assert_int_equal(*entry_flags(), GTF_permit_access | GTF_reading);
	assert_int_equal(unmap_handle(m.handle, m.dev_bus_addr), GNTST_okay);
}

static void a_granter_that_dies_keeps_the_page_that_a_device_reaches(void **state)
{
	uint32_t c = alloc(DEV);
	mfn_t theirs = grant(0);
	domid_t id = front->id;
	struct domain *d;

	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map_ref(c, DMA, RW), 0);
	end(&front);
	fake_run(back->vcpu[0]);
	assert_int_equal(io_unit_reach(DEV, DMA, true), theirs.v);
	d = domain_find(id);
	assert_non_null(d);
	domain_put(d);
	assert_int_equal(unmap(c, DMA, 0), 0);
	assert_null(domain_find(id));
}

/* ---- quotas -------------------------------------------------------------------------------------- */

static void tables_are_limited_and_empty_ones_used_again(void **state)
{
	uint32_t c = alloc(DEV);

	iospace_limit((IOSPACE_CONTEXT_PAGES + 5) << PAGE_SHIFT);
	/* A root, and two tables for each of two far places. */
	assert_int_equal(map(c, DMA, page.v, RW), 0);
	assert_int_equal(map(c, 0x1000000000, page.v, RW), 0);
	assert_int_equal(map(c, 0x2000000000, page.v, RW), -XEN_ENOMEM);
	assert_int_equal(refs(page), 3);
	assert_int_equal(unmap(c, DMA, 0), 0);
	assert_int_equal(map(c, 0x2000000000, page.v, RW), 0);
	assert_int_equal(one((struct iospace_op){.cmd = IOSPACE_alloc, .u.alloc.sbdf = DEV}),
			 -XEN_ENOMEM);
	iospace_limit(64 << 20);
	assert_int_equal(map(c, 0x3000000000, page.v, RW), 0);
}

/* A batch that asks for it again and again does not get more than one walk of all tables. */
static void empty_tables_are_looked_for_once_in_a_batch(void **state)
{
	uint32_t c = alloc(DEV);

	iospace_limit((IOSPACE_CONTEXT_PAGES + 3) << PAGE_SHIFT);
	for (unsigned i = 0; i < 3; i++) {
		ops[2 * i] = map_op(c, DMA + i * 0x1000000000, page.v, RW);
		ops[2 * i + 1] = unmap_op(c, DMA + i * 0x1000000000, 0);
	}
	assert_int_equal(call(6), 0);
	assert_int_equal(ops[2].status, 0);
	assert_int_equal(ops[4].status, -XEN_ENOMEM);
	assert_int_equal(map(c, DMA, page.v, RW), 0);
}

static void grants_count_in_the_same_measure(void **state)
{
	uint32_t c = alloc(DEV), n = 0;

	iospace_limit((IOSPACE_CONTEXT_PAGES + 5) << PAGE_SHIFT);
	grant(0);
	while (n < 400 && !map_ref(c, DMA + n * PAGE_SIZE, IOSPACE_READ))
		n++;
	assert_int_equal(n, 2 * IOSPACE_PAGE_GRANTS);
	assert_int_equal(ops[0].status, -XEN_ENOMEM);
	assert_int_equal(unmap(c, DMA, 0), 0);
	assert_int_equal(map_ref(c, DMA, IOSPACE_READ), 0);
}

/* ---- faults -------------------------------------------------------------------------------------- */

static const struct iospace_op ask = {.cmd = IOSPACE_next_fault};

static void a_fault_is_told_to_its_owner(void **state)
{
	struct evtchn_bind_virq bind = {.virq = VIRQ_IOSPACE};
	uint32_t c = alloc(DEV);

	assert_int_equal(hc_event_channel_op(EVTCHNOP_bind_virq, FAKE_PUT(16384, bind)), 0);
	grant(GTF_readonly);
	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(map_ref(c, DMA, IOSPACE_READ), 0);
	assert_int_equal(one(ask), -XEN_ENOENT);
	iospace_fault(back, &(struct iommu_fault){.bdf = DEV, .address = DMA + 8, .write = true});
	assert_true(event_deliverable(&back->vcpu[0]->events) ||
		    back->vcpu[0]->events.info->evtchn_upcall_pending);
	assert_int_equal(one(ask), 0);
	assert_int_equal(ops[0].flags, IOSPACE_WRITE | IOSPACE_GREF);
	assert_int_equal(ops[0].u.fault.address, DMA + 8);
	assert_int_equal(ops[0].u.fault.sbdf, DEV);
	assert_int_equal(ops[0].u.fault.domain, back->id);
	assert_int_equal(ops[0].u.fault.granter, front->id);
	assert_int_equal(ops[0].u.fault.ref, REF);
	assert_int_equal(ops[0].u.fault.context, c);
	iospace_fault(back, &(struct iommu_fault){.bdf = OTHER, .address = 3, .interrupt = true});
	assert_int_equal(one(ask), 0);
	assert_int_equal(ops[0].flags, IOSPACE_READ | IOSPACE_INTERRUPT);
	assert_int_equal(ops[0].u.fault.context, 0);
	assert_int_equal(one(ask), -XEN_ENOENT);
}

static void faults_without_end_cost_a_few_words(void **state)
{
	for (unsigned i = 0; i < 100; i++)
		iospace_fault(back, &(struct iommu_fault){.bdf = DEV, .address = i * PAGE_SIZE});
	for (unsigned i = 0; i < IOSPACE_FAULTS; i++) {
		assert_int_equal(one(ask), 0);
		assert_int_equal(ops[0].u.fault.address, i * PAGE_SIZE);
		assert_int_equal(ops[0].flags,
				 IOSPACE_READ | (i == IOSPACE_FAULTS - 1 ? IOSPACE_LOST : 0));
	}
	assert_int_equal(one(ask), -XEN_ENOENT);
	iospace_fault(back, &(struct iommu_fault){.bdf = DEV});
	assert_int_equal(one(ask), 0);
	assert_int_equal(ops[0].flags, IOSPACE_READ);
}

/* ---- long calls and ends ------------------------------------------------------------------------- */

static void a_long_list_stops_and_goes_on(void **state)
{
	uint32_t c = alloc(DEV);

	for (unsigned i = 0; i < 80; i++)
		ops[i] = map_op(c, DMA + i * PAGE_SIZE, page.v, IOSPACE_READ);
	ops[40].u.map.frame = 1;
	fake.preempt_after = 0;
	assert_int_equal(call(80), 0);
	fake.preempt_after = -1;
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(ops[i].status, i == 40 ? -XEN_EPERM : 0);
	assert_int_equal(refs(page), 80);
}

static void a_full_context_is_freed_piece_by_piece(void **state)
{
	struct page_info *block = page_alloc_domain(back, 9);
	uint32_t c = alloc(DEV);
	mfn_t first = page_to_mfn(block);

	for (unsigned i = 0; i < 3; i++) {
		ops[i] = map_op(c, DMA + i * 0x1000000, first.v, RW);
		ops[i].u.map.count = 512;
	}
	assert_int_equal(call(3), 0);
	assert_int_equal(ops[2].status, 0);
	assert_int_equal(refs(first), 4);
	grant(0);
	assert_int_equal(map_ref(c, DMA + 0x8000000, RW), 0);
	assert_int_equal(unmap(c, DMA + 0x8000000, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(map_ref(c, DMA + 0x9000000, RW), 0);
	assert_int_equal(iospace_end(back->iospace.context[c]), -XEN_ERESTART);
	assert_int_equal(map(c, DMA + 0xa000000, page.v, RW), -XEN_ENOENT);
	assert_int_equal(attach(DEV, c), -XEN_ENOENT);
	assert_int_equal(release(c), 0);
	assert_int_equal(refs(first), 1);
	assert_int_equal(refs((mfn_t){first.v + 511}), 1);
	assert_int_equal(mfn_to_page(first)->type_count, 0);
	assert_int_equal(*entry_flags(), GTF_permit_access);
	assert_int_equal(back->iospace.n_tables, 0);
}

/* setup and teardown count the pages: all is left as it is when the domain ends. */
static void a_domain_that_ends_leaves_nothing(void **state)
{
	uint32_t c = alloc(DEV), more = alloc(FAR);

	grant(0);
	assert_int_equal(attach(DEV, c), 0);
	assert_int_equal(attach(FAR, more), 0);
	assert_int_equal(map(c, DMA, page.v, RW), 0);
	assert_int_equal(map(c, DMA + PAGE_SIZE, page.v, RW), 0);
	assert_int_equal(unmap(c, DMA, IOSPACE_NO_FLUSH), 0);
	assert_int_equal(map_ref(more, DMA, RW), 0);
}

/* What firmware wants for a function is in the space that it joins, and no page of anybody's is let go for it. */
static void firmwares_memory_is_nobodys(void **state)
{
	uint32_t c = alloc(DEV);

	io_unit_reserve(c, back);
	assert_int_equal(unmap(c, 0x1ffff000, 0), -XEN_EINVAL);
	assert_int_equal(release(c), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_granted_page_is_mapped_by_its_entry),
	    T(a_grant_gives_its_right_and_no_more),
	    T(a_granted_page_is_mapped_by_its_handle),
	    T(a_handle_without_device_map_is_none),
	    T(an_address_is_used_again_for_something_else),
	    T(a_readonly_handle_gives_no_write),
	    T(a_granter_that_dies_keeps_the_page_that_a_device_reaches),
	    T(tables_are_limited_and_empty_ones_used_again),
	    T(empty_tables_are_looked_for_once_in_a_batch),
	    T(grants_count_in_the_same_measure),
	    T(a_fault_is_told_to_its_owner),
	    T(faults_without_end_cost_a_few_words),
	    T(a_long_list_stops_and_goes_on),
	    T(a_full_context_is_freed_piece_by_piece),
	    T(a_domain_that_ends_leaves_nothing),
	    T(firmwares_memory_is_nobodys),
	};

	fake_start();
	io_unit_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
