/* hv_grant2_test.c: grants of version 2 give exactly what was granted, and give it back.
 *
 * Shows: the change of version with its reserved entries, status frames that grow with the table,
 * parts of pages, grants passed on from a third domain, and each error of these. Why: what an owner
 * writes decides what of its memory, or of another's, can be reached; a range or a chain read twice is
 * a hole. Expected: all hold, and every page is back at the end. What one domain can see of itself is
 * in tests/guest/pv_grants.c, compared with real Xen.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c hypervisor/grant_entry.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"

#define REF  9u  /* front's, for back */
#define FAR  20u /* third's, for front */
#define BUSY (GTF_reading | GTF_writing)

static struct domain *back, *front, *third; /* back reaches what front grants, or passes on */
static mfn_t page, far_page, mine;          /* of front, third and back */
static uint64_t free_before;

/* A call with one argument, which comes back. */
static long one(unsigned cmd, void *arg, size_t size)
{
	uint64_t va = fake_put(0, arg, size);
	long result = hc_grant_table_op(cmd, va, 1);

	memcpy(arg, fake_guest_ptr(va), size);
	return result;
}
#define ONE(cmd, arg) one(GNTTABOP_##cmd, &(arg), sizeof(arg))

/* Leaves back running, as all do that follow. */
static long set_version(struct domain *d, uint32_t version)
{
	struct gnttab_set_version a = {.version = version};
	long result;

	fake_run(d->vcpu[0]);
	result = ONE(set_version, a);
	assert_int_equal(a.version, d->grants.version);
	fake_run(back->vcpu[0]);
	return result;
}

static union grant_entry_v2 *entry(struct domain *d, uint32_t ref)
{
	return (union grant_entry_v2 *)d->grants.shared[ref / 256] + ref % 256;
}

static struct grant_entry_v1 *entry1(struct domain *d, uint32_t ref)
{
	return (struct grant_entry_v1 *)d->grants.shared[ref / 512] + ref % 512;
}

static grant_status_t *status(struct domain *d, uint32_t ref)
{
	return &d->grants.status[ref / 2048][ref % 2048];
}

static void grant(struct domain *d, uint32_t ref, const struct domain *to, mfn_t mfn,
		  uint16_t flags)
{
	union grant_entry_v2 *e = entry(d, ref);

	memset(e, 0, sizeof(*e));
	e->full_page.frame = mfn.v;
	e->hdr.domid = to->id;
	e->hdr.flags = GTF_permit_access | flags;
}

static void grant_part(uint16_t start, uint16_t length, uint16_t flags)
{
	grant(front, REF, back, page, GTF_sub_page | flags);
	entry(front, REF)->sub_page.page_off = start;
	entry(front, REF)->sub_page.length = length;
}

/* What third granted to front, passed on to back. */
static void pass_on(uint16_t flags)
{
	union grant_entry_v2 *e = entry(front, REF);

	memset(e, 0, sizeof(*e));
	e->transitive.trans_domid = third->id;
	e->transitive.gref = FAR;
	e->hdr.domid = back->id;
	e->hdr.flags = GTF_transitive | flags;
}

static int setup(void **state)
{
	free_before = fake_free_pages();
	back = fake_domain(1, 64);
	front = fake_domain(1, 64);
	third = fake_domain(1, 64);
	page = fake_frame(front);
	far_page = fake_frame(third);
	mine = fake_frame(back);
	assert_int_equal(set_version(front, 2), 0);
	entry1(third, FAR)->domid = front->id;
	entry1(third, FAR)->frame = (uint32_t)far_page.v;
	entry1(third, FAR)->flags = GTF_permit_access;
	return 0;
}

static int teardown(void **state)
{
	fake_domain_end(third);
	fake_domain_end(front);
	fake_domain_end(back);
	return fake_free_pages() == free_before ? 0 : -1;
}

/* Into mine, or out of it. */
static int copy(uint16_t offset, uint16_t len, bool write)
{
	struct gnttab_copy_ptr granted = {.u.ref = REF, .domid = front->id, .offset = offset};
	struct gnttab_copy_ptr own = {.u.gmfn = mine.v, .domid = DOMID_SELF};
	struct gnttab_copy op = {.source = write ? own : granted,
				 .dest = write ? granted : own,
				 .len = len,
				 .flags = write ? GNTCOPY_dest_gref : GNTCOPY_source_gref};

	assert_int_equal(ONE(copy, op), 0);
	assert_int_equal(*status(front, REF), 0);
	assert_int_equal(mfn_to_page(page)->count, 1);
	assert_int_equal(mfn_to_page(far_page)->count, 1);
	return op.status;
}

static struct gnttab_map_grant_ref map(uint32_t ref, uint32_t flags)
{
	struct gnttab_map_grant_ref op = {
	    .flags = flags | GNTMAP_device_map, .ref = ref, .dom = front->id};

	assert_int_equal(ONE(map_grant_ref, op), 0);
	return op;
}

static int unmap(struct gnttab_map_grant_ref m)
{
	struct gnttab_unmap_grant_ref op = {0, m.dev_bus_addr, m.handle, 77};

	assert_int_equal(ONE(unmap_grant_ref, op), 0);
	return op.status;
}

/* ---- pages ----------------------------------------------------------------------------- */

static void the_status_tells_the_owner(void **state)
{
	struct gnttab_map_grant_ref a, b;

	grant(front, REF, back, page, 0);
	a = map(REF, 0);
	b = map(REF, GNTMAP_readonly);
	assert_int_equal(a.status, GNTST_okay);
	assert_int_equal(*status(front, REF), BUSY);
	assert_int_equal(entry(front, REF)->hdr.flags, GTF_permit_access);
	assert_int_equal(unmap(a), GNTST_okay);
	assert_int_equal(*status(front, REF), GTF_reading);
	assert_int_equal(unmap(b), GNTST_okay);
	assert_int_equal(*status(front, REF), 0);
}

static void what_is_refused_leaves_no_trace(void **state)
{
	struct gnttab_map_grant_ref a;

	grant(front, REF, back, page, GTF_readonly);
	assert_int_equal(map(REF, 0).status, GNTST_general_error);
	assert_int_equal(*status(front, REF), 0);
	a = map(REF, GNTMAP_readonly);
	assert_int_equal(map(REF, 0).status, GNTST_general_error);
	assert_int_equal(*status(front, REF), GTF_reading); /* a's */
	assert_int_equal(unmap(a), GNTST_okay);
	grant(front, REF, third, page, 0);
	assert_int_equal(map(REF, 0).status, GNTST_general_error);
	grant(front, REF, back, (mfn_t){page.v | 1ull << 32}, 0);
	assert_int_equal(map(REF, 0).status, GNTST_bad_page);
	assert_int_equal(map(256, 0).status, GNTST_bad_gntref);
	assert_int_equal(*status(front, REF), 0);
	assert_int_equal(back->grants.n_mapped, 0);
}

/* ---- parts ----------------------------------------------------------------------------- */

static void a_part_is_what_can_be_copied(void **state)
{
	uint8_t *bytes = mfn_to_virt(page), *own = mfn_to_virt(mine);

	memset(bytes, 1, PAGE_SIZE);
	bytes[100] = 2;
	bytes[149] = 3;
	grant_part(100, 50, 0);
	assert_int_equal(copy(100, 50, false), GNTST_okay);
	assert_int_equal(own[0], 2);
	assert_int_equal(own[49], 3);
	assert_int_equal(own[50], 0);
	assert_int_equal(copy(99, 2, false), GNTST_general_error);
	assert_int_equal(copy(149, 2, false), GNTST_general_error);
	assert_int_equal(copy(149, 2, true), GNTST_general_error);
	assert_int_equal(copy(99, 1, true), GNTST_general_error);
	assert_int_equal(copy(149, 1, true), GNTST_okay);
	assert_int_equal(bytes[149], 2);
	assert_int_equal(bytes[150], 1);
	grant_part(100, 50, GTF_readonly);
	assert_int_equal(copy(100, 1, true), GNTST_general_error);
	assert_int_equal(copy(100, 1, false), GNTST_okay);
}

static void a_part_ends_with_its_page(void **state)
{
	grant_part(4090, 0xffff, 0);
	assert_int_equal(copy(4090, 6, false), GNTST_okay);
	assert_int_equal(copy(4090, 7, false), GNTST_bad_copy_arg);
	grant_part(0xfff0, 0xffff, 0);
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	assert_int_equal(copy(0xfff0, 0, false), GNTST_bad_copy_arg);
}

/* Pinned as a page, made a part: what was given first counts, and the other way round as well. */
static void a_part_is_not_mapped(void **state)
{
	struct gnttab_map_grant_ref a;

	grant_part(0, PAGE_SIZE - 1, 0);
	assert_int_equal(map(REF, 0).status, GNTST_general_error);
	assert_int_equal(map(REF, GNTMAP_readonly).status, GNTST_general_error);
	assert_int_equal(*status(front, REF), 0);
	grant(front, REF, back, page, 0);
	a = map(REF, 0);
	entry(front, REF)->hdr.flags |= GTF_sub_page;
	entry(front, REF)->full_page.frame = 1;
	assert_int_equal(map(REF, 0).dev_bus_addr, page.v << PAGE_SHIFT);
	assert_int_equal(unmap(a), GNTST_okay);
}

/* ---- lists ------------------------------------------------------------------------------ */

static struct gnttab_copy copy_from_ref(uint16_t len)
{
	return (struct gnttab_copy){.source = {.u.ref = REF, .domid = front->id},
				    .dest = {.u.gmfn = mine.v, .domid = DOMID_SELF},
				    .len = len,
				    .flags = GNTCOPY_source_gref};
}

/* What is wrong with one copy of a list is that one's matter, and what stays taken for the next is given up at the end. */
static void a_list_of_copies_holds_what_it_names(void **state)
{
	mfn_t other = fake_frame(back);
	struct gnttab_copy list[5], *op = list;
	uint64_t va;

	grant(front, REF, back, page, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = copy_from_ref(8);
		list[i].source.offset = list[i].dest.offset = (uint16_t)(i * 8);
		memset((char *)mfn_to_virt(page) + i * 8, 0x10 + (int)i, 8);
	}
	list[1].source.u.ref = REF + 1;
	list[2].len = 0xffff;
	list[3].dest.u.gmfn = other.v;
	list[4].flags = 0; /* the same number, and no grant */
	va = fake_put(0, list, sizeof(list));
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, va, ARRAY_SIZE(list)), 0);
	op = fake_guest_ptr(va);
	assert_int_equal(op[0].status, GNTST_okay);
	assert_int_equal(op[1].status, GNTST_general_error);
	assert_int_equal(op[2].status, GNTST_bad_copy_arg);
	assert_int_equal(op[3].status, GNTST_okay);
	assert_int_equal(op[4].status, GNTST_permission_denied);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[7], 0x10);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[8], 0);
	assert_int_equal(((uint8_t *)mfn_to_virt(other))[24], 0x13);
	assert_int_equal(*status(front, REF), 0);
	assert_int_equal(mfn_to_page(page)->count, 1);
	assert_int_equal(mfn_to_page(mine)->count, 1);
	assert_int_equal(mfn_to_page(other)->type_count, 0);
}

/* A list that ends where memory does: those in front of the end are done, and say so. */
static void copies_before_a_fault_are_done(void **state)
{
	struct gnttab_copy op = copy_from_ref(8);
	uint64_t end = FAKE_GUEST_BASE + FAKE_GUEST_SIZE, at = end - 20 * sizeof(op);

	grant(front, REF, back, page, 0);
	for (unsigned i = 0; i < 20; i++)
		memcpy(fake_guest_ptr(at + i * sizeof(op)), &op, sizeof(op));
	op.status = 77;
	memcpy(fake_guest_ptr(end - sizeof(op)), &op, sizeof(op));
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, at, 21), -XEN_EFAULT);
	memcpy(&op, fake_guest_ptr(end - sizeof(op)), sizeof(op));
	assert_int_equal(op.status, GNTST_okay);
	assert_int_equal(*status(front, REF), 0);
}

/* ---- passed on ------------------------------------------------------------------------- */

static void a_grant_is_passed_on(void **state)
{
	memset(mfn_to_virt(far_page), 7, PAGE_SIZE);
	pass_on(0);
	assert_int_equal(copy(10, 20, false), GNTST_okay);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[19], 7);
	memset(mfn_to_virt(mine), 8, PAGE_SIZE);
	assert_int_equal(copy(10, 1, true), GNTST_okay);
	assert_int_equal(((uint8_t *)mfn_to_virt(far_page))[10], 8);
	assert_int_equal(entry1(third, FAR)->flags, GTF_permit_access);
	/* Not even the one who passes it on may give more than it got. */
	entry1(third, FAR)->flags |= GTF_readonly;
	assert_int_equal(copy(10, 1, true), GNTST_general_error);
	assert_int_equal(copy(10, 1, false), GNTST_okay);
	entry1(third, FAR)->flags = GTF_permit_access;
	pass_on(GTF_readonly);
	assert_int_equal(copy(10, 1, true), GNTST_general_error);
	assert_int_equal(map(REF, GNTMAP_readonly).status, GNTST_general_error);
}

/* Both grants are held for the next copy that names the first, and let go before one that names another. */
static void what_is_passed_on_is_copied_twice(void **state)
{
	struct gnttab_copy list[3] = {copy_from_ref(1)};
	uint64_t va;

	pass_on(0);
	list[1] = list[2] = list[0];
	list[2].source.u.ref = REF + 1;
	grant(front, REF + 1, back, page, 0);
	va = fake_put(0, list, sizeof(list));
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, va, 3), 0);
	memcpy(list, fake_guest_ptr(va), sizeof(list));
	assert_int_equal(list[0].status, GNTST_okay);
	assert_int_equal(list[1].status, GNTST_okay);
	assert_int_equal(list[2].status, GNTST_okay);
	assert_int_equal(entry1(third, FAR)->flags, GTF_permit_access);
	assert_int_equal(mfn_to_page(far_page)->count, 1);
}

static void chains_that_lead_nowhere(void **state)
{
	grant(front, FAR, front, page, 0);
	pass_on(0);
	entry(front, REF)->transitive.trans_domid = front->id;
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	entry(front, REF)->transitive.trans_domid = 77;
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	entry(front, REF)->transitive.trans_domid = DOMID_SELF;
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	pass_on(0);
	entry(front, REF)->transitive.gref = 100000;
	assert_int_equal(copy(0, 1, false), GNTST_bad_gntref);
	pass_on(0);
	entry1(third, FAR)->domid = back->id; /* to back, but not through front */
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	entry1(third, FAR)->domid = front->id;
	entry1(third, FAR)->frame = (uint32_t)page.v; /* not third's to give */
	assert_int_equal(copy(0, 1, false), GNTST_bad_page);
	assert_int_equal(entry1(third, FAR)->flags, GTF_permit_access);
}

/* One step is enough: of two, none is known to the one whose page it is. */
static void a_chain_of_two_is_refused(void **state)
{
	assert_int_equal(set_version(third, 2), 0);
	entry(third, FAR)->transitive.trans_domid = back->id;
	entry(third, FAR)->transitive.gref = 3;
	entry(third, FAR)->hdr.domid = front->id;
	entry(third, FAR)->hdr.flags = GTF_transitive;
	pass_on(0);
	assert_int_equal(copy(0, 1, false), GNTST_general_error);
	assert_int_equal(*status(third, FAR), 0);
}

static void a_part_is_passed_on_as_a_part(void **state)
{
	assert_int_equal(set_version(third, 2), 0);
	grant(third, FAR, front, far_page, GTF_sub_page);
	entry(third, FAR)->sub_page.page_off = 64;
	entry(third, FAR)->sub_page.length = 64;
	pass_on(0);
	assert_int_equal(copy(64, 64, false), GNTST_okay);
	assert_int_equal(copy(63, 2, false), GNTST_general_error);
	assert_int_equal(copy(127, 2, true), GNTST_general_error);
	assert_int_equal(*status(third, FAR), 0);
}

/* ---- the table ------------------------------------------------------------------------- */

static void status_frames_grow_with_the_table(void **state)
{
	struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 9};
	struct gnttab_get_status_frames f = {.dom = front->id, .nr_frames = 2};
	uint64_t list[2];

	s.frame_list.p = (xen_pfn_t *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	f.frame_list.p = (uint64_t *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(ONE(get_status_frames, f), 0);
	assert_int_equal(f.status, GNTST_general_error);
	assert_int_equal(front->grants.n_frames, 1);
	fake_run(front->vcpu[0]);
	assert_int_equal(ONE(setup_table, s), 0);
	assert_int_equal(s.status, GNTST_okay);
	assert_int_equal(front->grants.n_status, 2);
	fake_run(back->vcpu[0]);
	assert_int_equal(ONE(get_status_frames, f), 0);
	assert_int_equal(f.status, GNTST_okay);
	memcpy(list, fake_arena + 4096, sizeof(list));
	assert_ptr_equal(mfn_to_virt((mfn_t){list[1]}), front->grants.status[1]);
	grant(front, 9 * 256 - 1, back, page, 0);
	assert_int_equal(map(9 * 256 - 1, 0).status, GNTST_okay);
	assert_int_equal(*status(front, 9 * 256 - 1), BUSY);
	f.frame_list.p = (uint64_t *)16;
	assert_int_equal(ONE(get_status_frames, f), 0);
	assert_int_equal(f.status, GNTST_bad_virt_addr);
	f.dom = 0;
	fake_run(front->vcpu[0]);
	assert_int_equal(ONE(get_status_frames, f), 0);
	assert_int_equal(f.status, GNTST_permission_denied);
}

/* The toolstack's entries 0 to 7 stay, the one that is in use as well. */
static void reserved_entries_outlive_the_version(void **state)
{
	struct gnttab_map_grant_ref m;

	assert_int_equal(set_version(front, 1), 0);
	entry1(front, 1)->domid = back->id;
	entry1(front, 1)->frame = (uint32_t)page.v;
	entry1(front, 1)->flags = GTF_permit_access;
	entry1(front, 33)->frame = 77;
	entry1(front, 3)->flags = GTF_accept_transfer;
	m = map(1, 0);
	assert_int_equal(set_version(front, 2), 0);
	assert_int_equal(entry(front, 1)->hdr.flags, GTF_permit_access);
	assert_int_equal(*status(front, 1), BUSY);
	assert_int_equal(entry(front, 1)->full_page.frame, page.v);
	assert_int_equal(entry(front, 16)->full_page.frame, 0);
	assert_int_equal(entry(front, 3)->hdr.flags, GTF_accept_transfer);
	assert_int_equal(set_version(front, 1), 0);
	assert_int_equal(entry1(front, 3)->flags, 0);
	assert_int_equal(entry1(front, 1)->flags, GTF_permit_access | BUSY);
	assert_int_equal(unmap(m), GNTST_okay);
	assert_int_equal(entry1(front, 1)->flags, GTF_permit_access);
	assert_int_equal(front->grants.n_status, 0);
}

static void the_version_stays(void **state)
{
	struct gnttab_map_grant_ref m;
	struct page_info *held;

	assert_int_equal(set_version(front, 0), -XEN_EINVAL);
	assert_int_equal(set_version(front, 3), -XEN_EINVAL);
	grant(front, REF, back, page, 0);
	m = map(REF, GNTMAP_readonly);
	assert_int_equal(set_version(front, 1), -XEN_EBUSY);
	assert_int_equal(unmap(m), GNTST_okay);
	/* A status frame that is mapped: seen here as a reference. */
	held = mfn_to_page(virt_to_mfn(front->grants.status[0]));
	assert_true(page_get(held, front));
	assert_int_equal(set_version(front, 1), -XEN_EBUSY);
	page_put(held);
	entry(front, 7)->hdr.flags = GTF_transitive;
	assert_int_equal(set_version(front, 1), -XEN_ERANGE);
	entry(front, 7)->hdr.flags = GTF_permit_access;
	entry(front, 7)->full_page.frame = 1ull << 32;
	assert_int_equal(set_version(front, 1), -XEN_ERANGE);
	entry(front, 7)->hdr.flags = 0;
	assert_int_equal(set_version(front, 1), 0);
	front->grants.max_version = 1;
	assert_int_equal(set_version(front, 2), -XEN_ENOSYS);
}

static void entries_change_places(void **state)
{
	struct gnttab_swap_grant_ref op = {REF, REF + 1, 77};
	struct gnttab_map_grant_ref m;

	grant_part(5, 6, 0);
	*status(front, REF) = 4;
	fake_run(front->vcpu[0]);
	assert_int_equal(ONE(swap_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_okay);
	assert_int_equal(entry(front, REF)->hdr.flags, 0);
	assert_int_equal(entry(front, REF + 1)->sub_page.page_off, 5);
	assert_int_equal(entry(front, REF + 1)->sub_page.frame, page.v);
	assert_int_equal(*status(front, REF + 1), 4);
	assert_int_equal(*status(front, REF), 0);
	op.ref_b = 256;
	assert_int_equal(ONE(swap_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_bad_gntref);
	grant(front, REF, back, page, 0);
	fake_run(back->vcpu[0]);
	m = map(REF, 0);
	fake_run(front->vcpu[0]);
	op.ref_b = 3;
	assert_int_equal(ONE(swap_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_eagain);
	fake_run(back->vcpu[0]);
	assert_int_equal(unmap(m), GNTST_okay);
}

/* The owner goes while a part of it is in use by a device: the pins outlive its table. */
static void an_owner_that_dies_waits_for_its_users(void **state)
{
	struct gnttab_map_grant_ref m;

	grant(front, REF, back, page, 0);
	m = map(REF, 0);
	assert_int_equal(m.status, GNTST_okay);
	assert_int_equal(domain_kill(front), 0);
	fake_run(back->vcpu[0]);
	assert_int_equal(map(REF, 0).status, GNTST_bad_domain);
	assert_int_equal(unmap(m), GNTST_okay);
	domain_put(front);
	front = fake_domain(1, 4); /* for teardown to end */
}

static void a_builder_gets_at_the_status(void **state)
{
	struct xen_mem_acquire_resource r = {.domid = front->id,
					     .type = XENMEM_resource_grant_table,
					     .id = XENMEM_resource_grant_table_id_status};
	uint64_t frames[4];

	assert_int_equal(hc_memory_op(XENMEM_acquire_resource, FAKE_PUT(0, r)), 0);
	memcpy(&r, fake_arena, sizeof(r));
	assert_int_equal(r.nr_frames, GRANT_STATUS_FRAMES);
	r.frame_list.p = (xen_pfn_t *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(hc_memory_op(XENMEM_acquire_resource, FAKE_PUT(0, r)), 0);
	memcpy(frames, fake_arena + 4096, sizeof(frames));
	assert_ptr_equal(mfn_to_virt((mfn_t){frames[3]}), front->grants.status[3]);
	assert_int_equal(front->grants.n_frames, GRANT_MAX_FRAMES);
	r.frame = 4;
	r.nr_frames = 1;
	assert_int_equal(hc_memory_op(XENMEM_acquire_resource, FAKE_PUT(0, r)), -XEN_EINVAL);
	r.frame = 0;
	r.domid = third->id; /* version 1 has none */
	assert_int_equal(hc_memory_op(XENMEM_acquire_resource, FAKE_PUT(0, r)), -XEN_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(the_status_tells_the_owner),
	    TEST(what_is_refused_leaves_no_trace),
	    TEST(a_part_is_what_can_be_copied),
	    TEST(a_part_ends_with_its_page),
	    TEST(a_part_is_not_mapped),
	    TEST(a_list_of_copies_holds_what_it_names),
	    TEST(copies_before_a_fault_are_done),
	    TEST(a_grant_is_passed_on),
	    TEST(what_is_passed_on_is_copied_twice),
	    TEST(chains_that_lead_nowhere),
	    TEST(a_chain_of_two_is_refused),
	    TEST(a_part_is_passed_on_as_a_part),
	    TEST(status_frames_grow_with_the_table),
	    TEST(reserved_entries_outlive_the_version),
	    TEST(the_version_stays),
	    TEST(entries_change_places),
	    TEST(an_owner_that_dies_waits_for_its_users),
	    TEST(a_builder_gets_at_the_status),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
