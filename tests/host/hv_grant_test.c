/* hv_grant_test.c: grants give exactly what was granted, and give it back.
 *
 * Shows: mapping (by linear address of an entry's table, by the entry's machine address, for
 * devices), copying, the flags an owner sees meanwhile, each GNTST_* a wrong call gets, owners and
 * users that die in each order. Why: this is how one domain reaches another's memory; a pin lost or
 * kept too long is a hole or a leak. Expected: all hold, and every page is back at the end.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
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

#include "hv_fake.h"
#include "hypervisor/pte.h"

#define REF 9u

static struct domain *back, *front; /* back maps what front grants */
static struct page_info *l1;        /* a table of back's */
static mfn_t page;                  /* front's, granted by REF */
static uint64_t free_before;

static struct grant_entry_v1 *entry(struct domain *d, uint32_t ref)
{
	return (struct grant_entry_v1 *)d->grants.shared[ref / GRANTS_PER_FRAME] +
	       ref % GRANTS_PER_FRAME;
}

static void grant(struct domain *d, uint32_t ref, domid_t to, mfn_t mfn, uint16_t flags)
{
	struct grant_entry_v1 *e = entry(d, ref);

	e->domid = to;
	e->frame = (uint32_t)mfn.v;
	__atomic_store_n(&e->flags, GTF_permit_access | flags, __ATOMIC_SEQ_CST);
}

static int setup(void **state)
{
	free_before = fake_free_pages();
	back = fake_domain(1, 64);
	front = fake_domain(1, 64);
	l1 = mfn_to_page(fake_frame(back));
	assert_true(page_get(l1, back));
	assert_int_equal(page_get_type(l1, PT_L1), 0);
	page = fake_frame(front);
	grant(front, REF, back->id, page, 0);
	fake_run(back->vcpu[0]);
	return 0;
}

static void table_gone(void)
{
	if (l1) {
		page_put_type(l1);
		page_put(l1);
	}
	l1 = NULL;
}

static int teardown(void **state)
{
	table_gone();
	if (front)
		fake_domain_end(front);
	fake_domain_end(back);
	front = NULL;
	fake.preempt_after = -1;
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

static uint64_t slot(unsigned index)
{
	return (page_to_mfn(l1).v << PAGE_SHIFT) + index * 8;
}

static uint64_t pte(unsigned index)
{
	return ((uint64_t *)page_to_virt(l1))[index];
}

/* A call with one argument, which comes back. */
static long one(unsigned cmd, void *arg, size_t size)
{
	uint64_t va = fake_put(0, arg, size);
	long result = hc_grant_table_op(cmd, va, 1);

	memcpy(arg, fake_guest_ptr(va), size);
	return result;
}
#define ONE(cmd, arg) one(GNTTABOP_##cmd, &(arg), sizeof(arg))

static struct gnttab_map_grant_ref map(uint32_t ref, unsigned index, uint32_t flags)
{
	struct gnttab_map_grant_ref op = {
	    .host_addr = slot(index),
	    .flags = flags | GNTMAP_contains_pte,
	    .ref = ref,
	    .dom = front->id,
	};

	assert_int_equal(ONE(map_grant_ref, op), 0);
	return op;
}

static int unmap(uint32_t handle, uint64_t host_addr, uint64_t bus_addr)
{
	struct gnttab_unmap_grant_ref op = {host_addr, bus_addr, handle, 77};

	assert_int_equal(ONE(unmap_grant_ref, op), 0);
	return op.status;
}

static int copy_op(struct gnttab_copy op)
{
	assert_int_equal(ONE(copy, op), 0);
	return op.status;
}

static struct gnttab_copy copy_from_ref(uint32_t ref, mfn_t to, uint16_t len)
{
	struct gnttab_copy op = {
	    .source.u.ref = ref,
	    .source.domid = front->id,
	    .dest.u.gmfn = to.v,
	    .dest.domid = DOMID_SELF,
	    .len = len,
	    .flags = GNTCOPY_source_gref,
	};

	return op;
}

/* ---- mapping --------------------------------------------------------------------------- */

static void a_grant_is_mapped_and_unmapped(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map);

	assert_int_equal(m.status, GNTST_okay);
	assert_int_equal(pte_mfn(pte(3)).v, page.v);
	assert_true(pte(3) & PTE_RW);
	assert_int_equal(m.dev_bus_addr, page.v << PAGE_SHIFT);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_okay);
	assert_int_equal(pte(3), 0);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_bad_handle);
	assert_int_equal(back->grants.n_mapped, 0);
}

static void a_readonly_mapping_reads_only(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map | GNTMAP_readonly);

	assert_int_equal(m.status, GNTST_okay);
	assert_false(pte(3) & PTE_RW);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_okay);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
}

static void a_readonly_grant_is_not_written(void **state)
{
	grant(front, REF, back->id, page, GTF_readonly);
	assert_int_equal(map(REF, 3, GNTMAP_host_map).status, GNTST_general_error);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(map(REF, 3, GNTMAP_host_map | GNTMAP_readonly).status, GNTST_okay);
}

static void flags_stay_while_any_mapping_does(void **state)
{
	struct gnttab_map_grant_ref a = map(REF, 1, GNTMAP_host_map);
	struct gnttab_map_grant_ref b = map(REF, 2, GNTMAP_host_map | GNTMAP_readonly);

	assert_int_equal(unmap(a.handle, slot(1), 0), GNTST_okay);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap(b.handle, slot(2), 0), GNTST_okay);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
}

/* The owner writes another frame into a pinned entry: mappings made later get the first one. */
static void a_pinned_entry_keeps_its_frame(void **state)
{
	struct gnttab_map_grant_ref a = map(REF, 1, GNTMAP_host_map);

	entry(front, REF)->frame = (uint32_t)fake_frame(front).v;
	assert_int_equal(map(REF, 2, GNTMAP_host_map).status, GNTST_okay);
	assert_int_equal(pte_mfn(pte(2)).v, page.v);
	assert_int_equal(unmap(a.handle, slot(1), 0), GNTST_okay);
}

/* The owner writes another user into a pinned entry: that one gets nothing until it is free. */
static void a_pinned_entry_keeps_its_user(void **state)
{
	struct domain *other = fake_domain(1, 4);
	struct gnttab_map_grant_ref op = {.flags = GNTMAP_device_map, .ref = REF, .dom = front->id};

	assert_int_equal(map(REF, 1, GNTMAP_host_map | GNTMAP_readonly).status, GNTST_okay);
	grant(front, REF, other->id, page, GTF_reading);
	fake_run(other->vcpu[0]);
	assert_int_equal(ONE(map_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_general_error);
	fake_domain_end(other);
}

static void wrong_references_are_refused(void **state)
{
	grant(front, REF + 1, 55, page, 0);                 /* for another */
	entry(front, REF + 2)->flags = GTF_accept_transfer; /* of another kind */
	assert_int_equal(map(REF + 1, 3, GNTMAP_host_map).status, GNTST_general_error);
	assert_int_equal(map(REF + 2, 3, GNTMAP_host_map).status, GNTST_general_error);
	assert_int_equal(map(REF + 3, 3, GNTMAP_host_map).status, GNTST_general_error);
	assert_int_equal(map(GRANTS_PER_FRAME, 3, GNTMAP_host_map).status, GNTST_bad_gntref);
	assert_int_equal(map(0xffffffff, 3, GNTMAP_host_map).status, GNTST_bad_gntref);
	assert_int_equal(map(REF, 3, 0).status, GNTST_bad_gntref);
	assert_int_equal(back->grants.n_mapped, 0);
}

static void wrong_places_are_refused(void **state)
{
	struct gnttab_map_grant_ref op = {.flags = GNTMAP_host_map, .ref = REF, .dom = 99};

	assert_int_equal(ONE(map_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_bad_domain);
	op.dom = front->id;
	op.flags |= GNTMAP_contains_pte | GNTMAP_device_map;
	op.host_addr = slot(3) + 4; /* not an entry */
	assert_int_equal(ONE(map_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_general_error);
	op.host_addr = page.v << PAGE_SHIFT; /* no table of ours */
	assert_int_equal(ONE(map_grant_ref, op), 0);
	assert_int_equal(op.status, GNTST_general_error);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
	assert_int_equal(back->grants.n_mapped, 0);
	assert_int_equal(mfn_to_page(page)->count, 1);
	assert_int_equal(mfn_to_page(page)->type_count, 0);
}

/* A frame the owner does not own (ours, nobody's, no RAM) cannot be granted. */
static void only_own_frames_can_be_granted(void **state)
{
	grant(front, REF, back->id, fake_frame(back), 0);
	assert_int_equal(map(REF, 3, GNTMAP_host_map).status, GNTST_bad_page);
	grant(front, REF, back->id, (mfn_t){1}, 0);
	assert_int_equal(map(REF, 3, GNTMAP_host_map).status, GNTST_bad_page);
	grant(front, REF, back->id, (mfn_t){0xffffffff}, 0);
	assert_int_equal(map(REF, 3, GNTMAP_host_map | GNTMAP_device_map).status, GNTST_bad_page);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
	assert_int_equal(pte(3), 0);
}

/* A frame in use as a page table must not become writable to a third party. */
static void a_granted_table_is_not_written(void **state)
{
	struct page_info *p = mfn_to_page(page);

	assert_true(page_get(p, front));
	assert_int_equal(page_get_type(p, PT_L1), 0);
	assert_int_equal(map(REF, 3, GNTMAP_host_map).status, GNTST_general_error);
	assert_int_equal(map(REF, 3, GNTMAP_device_map).status, GNTST_general_error);
	assert_int_equal(copy_op((struct gnttab_copy){
			     .source = {.u.gmfn = fake_frame(back).v, .domid = DOMID_SELF},
			     .dest = {.u.ref = REF, .domid = front->id},
			     .len = 8,
			     .flags = GNTCOPY_dest_gref}),
			 GNTST_general_error);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
	page_put_type(p);
	page_put(p);
}

static void devices_hold_the_frame_by_themselves(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map | GNTMAP_device_map);
	struct page_info *p = mfn_to_page(page);
	uint32_t count = p->count;

	assert_int_equal(m.status, GNTST_okay);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_okay);
	assert_int_equal(p->count, count - 1);
	assert_true(entry(front, REF)->flags & GTF_writing);
	assert_int_equal(unmap(m.handle, 0, 0x1000), GNTST_general_error);
	assert_int_equal(unmap(m.handle, 0, m.dev_bus_addr), GNTST_okay);
	assert_int_equal(p->count, count - 2);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
}

static void a_wrong_unmap_leaves_the_mapping(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map);

	assert_int_equal(unmap(m.handle, slot(4), 0), GNTST_general_error);
	assert_int_equal(unmap(m.handle + 1, slot(3), 0), GNTST_bad_handle);
	assert_int_equal(unmap(0xffffffff, slot(3), 0), GNTST_bad_handle);
	assert_int_equal(unmap(m.handle, 0, 0), GNTST_okay); /* asked for nothing */
	assert_int_equal(pte_mfn(pte(3)).v, page.v);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_okay);
}

static void guest_bits_reach_the_entry(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map | (5u << _GNTMAP_guest_avail0));

	assert_int_equal(m.status, GNTST_okay);
	assert_int_equal(pte(3) & 0xe00, 5u << 9);
}

static void handles_run_out_with_a_status(void **state)
{
	uint32_t n = 0, limit = GRANT_TRACK_CHUNK * GRANT_TRACK_CHUNKS;
	struct gnttab_map_grant_ref m;

	while ((m = map(REF, n % 512, GNTMAP_device_map | GNTMAP_readonly)).status == GNTST_okay)
		n++;
	assert_int_equal(m.status, GNTST_no_space);
	assert_int_equal(n, limit);
}

static void a_batch_flushes_once_and_goes_on(void **state)
{
	struct gnttab_unmap_grant_ref ops[40];
	unsigned i, flushes;

	for (i = 0; i < 40; i++) {
		ops[i] = (struct gnttab_unmap_grant_ref){slot(i), 0, 0, 77};
		ops[i].handle = map(REF, i, GNTMAP_host_map).handle;
	}
	flushes = fake.tlb_flushes;
	fake.preempt_after = 1;
	assert_int_equal(hc_grant_table_op(GNTTABOP_unmap_grant_ref, FAKE_PUT(0, ops), 40), 0);
	assert_true(back->vcpu[0]->call.restart);
	assert_int_equal(back->vcpu[0]->call.arg[2], 8);
	fake.preempt_after = -1;
	back->vcpu[0]->call.restart = false;
	assert_int_equal(hc_grant_table_op(back->vcpu[0]->call.arg[0], back->vcpu[0]->call.arg[1],
					   back->vcpu[0]->call.arg[2]),
			 0);
	memcpy(ops, fake_arena, sizeof(ops));
	for (i = 0; i < 40; i++)
		assert_int_equal(ops[i].status, GNTST_okay);
	assert_int_equal(fake.tlb_flushes - flushes, 3);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
}

/* ---- death ----------------------------------------------------------------------------- */

static void a_user_that_dies_lets_go(void **state)
{
	struct domain *user = fake_domain(1, 4);
	struct gnttab_map_grant_ref op = {
	    .flags = GNTMAP_device_map, .ref = REF + 1, .dom = front->id};

	grant(front, REF + 1, user->id, page, 0);
	fake_run(user->vcpu[0]);
	assert_int_equal(ONE(map_grant_ref, op), 0);
	assert_true(entry(front, REF + 1)->flags & GTF_writing);
	fake_domain_end(user);
	assert_int_equal(entry(front, REF + 1)->flags, GTF_permit_access);
	assert_int_equal(mfn_to_page(page)->type_count, 0);
}

/* The owner dies first: its frame and its id stay until the user lets go, then all is gone. */
static void an_owner_that_dies_waits_for_its_users(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map);
	domid_t id = front->id;
	struct domain *zombie;

	assert_int_equal(domain_kill(front), 0);
	domain_put(front);
	front = NULL;
	zombie = domain_find(id);
	assert_non_null(zombie);
	assert_null(domain_get(id));
	domain_put(zombie);
	assert_int_equal(pte_mfn(pte(3)).v, page.v);
	fake_run(back->vcpu[0]);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_okay);
	assert_null(domain_find(id));
}

/* The user wipes the entry by an ordinary page-table write, the owner goes, a new domain gets its
 * number: the stale handle must not touch the new one. */
static void a_stale_handle_hurts_nobody(void **state)
{
	struct gnttab_map_grant_ref m = map(REF, 3, GNTMAP_host_map);
	struct mmu_update u = {.ptr = slot(3), .val = 0};
	uint32_t done = 0;
	uint64_t va = FAKE_PUT(0, u), done_va = FAKE_PUT(64, done);
	domid_t id = front->id;
	struct domain *heir;

	assert_int_equal(hc_mmu_update(va, 1, done_va, DOMID_SELF), 0);
	assert_int_equal(pte(3), 0);
	assert_int_equal(domain_kill(front), 0);
	domain_put(front);
	front = NULL;
	heir = fake_domain(1, 4);
	assert_int_not_equal(heir->id, id); /* the handle keeps the number taken */
	fake_run(back->vcpu[0]);
	assert_int_equal(unmap(m.handle, slot(3), 0), GNTST_general_error);
	fake_domain_end(heir);
}

/* ---- copying --------------------------------------------------------------------------- */

static void bytes_are_copied_both_ways(void **state)
{
	mfn_t mine = fake_frame(back);
	struct gnttab_copy op = copy_from_ref(REF, mine, 100);

	memset(mfn_to_virt(page), 0x5a, PAGE_SIZE);
	op.source.offset = 4000 - 4;
	op.dest.offset = 8;
	assert_int_equal(copy_op(op), GNTST_okay);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[8], 0x5a);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[107], 0x5a);
	assert_int_equal(((uint8_t *)mfn_to_virt(mine))[108], 0);
	op = (struct gnttab_copy){.source = {.u.gmfn = mine.v, .domid = DOMID_SELF},
				  .dest = {.u.ref = REF, .domid = front->id},
				  .len = PAGE_SIZE / 2,
				  .flags = GNTCOPY_dest_gref};
	assert_int_equal(copy_op(op), GNTST_okay);
	assert_int_equal(((uint8_t *)mfn_to_virt(page))[0], 0);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access);
	assert_int_equal(mfn_to_page(page)->count, 1);
	assert_int_equal(mfn_to_page(mine)->count, 1);
	assert_int_equal(mfn_to_page(mine)->type_count, 0);
}

static void wrong_copies_are_refused(void **state)
{
	mfn_t mine = fake_frame(back);
	struct gnttab_copy op = copy_from_ref(REF, mine, 100);

	op.source.offset = PAGE_SIZE - 99;
	assert_int_equal(copy_op(op), GNTST_bad_copy_arg);
	op = copy_from_ref(REF, mine, 0xffff);
	assert_int_equal(copy_op(op), GNTST_bad_copy_arg);
	op = copy_from_ref(REF + 1, mine, 100);
	assert_int_equal(copy_op(op), GNTST_general_error);
	op = copy_from_ref(REF, page, 100); /* not ours to write */
	assert_int_equal(copy_op(op), GNTST_bad_page);
	op = copy_from_ref(REF, mine, 100);
	op.dest.domid = front->id;
	assert_int_equal(copy_op(op), GNTST_permission_denied);
	op = copy_from_ref(REF, mine, 100);
	op.source.domid = 99;
	assert_int_equal(copy_op(op), GNTST_bad_domain);
	op = copy_from_ref(REF, page_to_mfn(l1), 100); /* a page table */
	assert_int_equal(copy_op(op), GNTST_general_error);
	grant(front, REF, back->id, page, GTF_readonly);
	op = (struct gnttab_copy){.source = {.u.gmfn = mine.v, .domid = DOMID_SELF},
				  .dest = {.u.ref = REF, .domid = front->id},
				  .len = 1,
				  .flags = GNTCOPY_dest_gref};
	assert_int_equal(copy_op(op), GNTST_general_error);
	assert_int_equal(entry(front, REF)->flags, GTF_permit_access | GTF_readonly);
	assert_int_equal(mfn_to_page(mine)->count, 1);
}

/* ---- the table itself ------------------------------------------------------------------ */

static void the_table_grows_to_its_limit(void **state)
{
	struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = GRANT_MAX_FRAMES};
	struct gnttab_query_size q = {.dom = DOMID_SELF};
	xen_pfn_t frames[GRANT_MAX_FRAMES];

	op.frame_list.p = (xen_pfn_t *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(ONE(setup_table, op), 0);
	assert_int_equal(op.status, GNTST_okay);
	memcpy(frames, fake_arena + 4096, sizeof(frames));
	assert_ptr_equal(mfn_to_virt((mfn_t){frames[31]}), back->grants.shared[31]);
	op.nr_frames++;
	assert_int_equal(ONE(setup_table, op), 0);
	assert_int_equal(op.status, GNTST_general_error);
	assert_int_equal(ONE(query_size, q), 0);
	assert_int_equal(q.nr_frames, GRANT_MAX_FRAMES);
	assert_int_equal(q.max_nr_frames, GRANT_MAX_FRAMES);
}

static void only_the_privileged_ask_for_others(void **state)
{
	struct gnttab_query_size q = {.dom = back->id};

	fake_run(front->vcpu[0]);
	assert_int_equal(ONE(query_size, q), 0);
	assert_int_equal(q.status, GNTST_permission_denied);
	fake_run(back->vcpu[0]);
	q.dom = front->id;
	assert_int_equal(ONE(query_size, q), 0);
	assert_int_equal(q.status, GNTST_okay);
	q.dom = 99;
	assert_int_equal(ONE(query_size, q), 0);
	assert_int_equal(q.status, GNTST_bad_domain);
}

static void version_one_is_what_there_is_first(void **state)
{
	struct gnttab_set_version s = {.version = 1};
	struct gnttab_get_version g = {.dom = DOMID_SELF};

	assert_int_equal(ONE(get_version, g), 0);
	assert_int_equal(g.version, 1);
	assert_int_equal(ONE(set_version, s), 0);
	s.version = 2;
	assert_int_equal(ONE(set_version, s), 0);
	assert_int_equal(ONE(get_version, g), 0);
	assert_int_equal(g.version, 2);
}

static void bad_calls_are_refused(void **state)
{
	assert_int_equal(hc_grant_table_op(GNTTABOP_map_grant_ref, 0, 1), -XEN_EFAULT);
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, 0, 1), -XEN_EFAULT);
	assert_int_equal(hc_grant_table_op(GNTTABOP_unmap_grant_ref, 0, 1), -XEN_EFAULT);
	assert_int_equal(hc_grant_table_op(GNTTABOP_query_size, FAKE_GUEST_BASE, 2), -XEN_EINVAL);
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, 0, 1ull << 31), -XEN_EINVAL);
	assert_int_equal(hc_grant_table_op(GNTTABOP_copy, 0, 0), 0);
	assert_int_equal(hc_grant_table_op(GNTTABOP_transfer, FAKE_GUEST_BASE, 1), -XEN_ENOSYS);
	assert_int_equal(hc_grant_table_op(GNTTABOP_dump_table, FAKE_GUEST_BASE, 1), -XEN_ENOSYS);
	assert_int_equal(hc_grant_table_op(~0ull, FAKE_GUEST_BASE, 1), -XEN_ENOSYS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_grant_is_mapped_and_unmapped),
	    TEST(a_readonly_mapping_reads_only),
	    TEST(a_readonly_grant_is_not_written),
	    TEST(flags_stay_while_any_mapping_does),
	    TEST(a_pinned_entry_keeps_its_frame),
	    TEST(a_pinned_entry_keeps_its_user),
	    TEST(wrong_references_are_refused),
	    TEST(wrong_places_are_refused),
	    TEST(only_own_frames_can_be_granted),
	    TEST(a_granted_table_is_not_written),
	    TEST(devices_hold_the_frame_by_themselves),
	    TEST(a_wrong_unmap_leaves_the_mapping),
	    TEST(guest_bits_reach_the_entry),
	    TEST(handles_run_out_with_a_status),
	    TEST(a_batch_flushes_once_and_goes_on),
	    TEST(a_user_that_dies_lets_go),
	    TEST(an_owner_that_dies_waits_for_its_users),
	    TEST(a_stale_handle_hurts_nobody),
	    TEST(bytes_are_copied_both_ways),
	    TEST(wrong_copies_are_refused),
	    TEST(the_table_grows_to_its_limit),
	    TEST(only_the_privileged_ask_for_others),
	    TEST(version_one_is_what_there_is_first),
	    TEST(bad_calls_are_refused),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
