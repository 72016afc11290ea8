/* hv_memory_test.c: a domain's memory grows, shrinks, is described and lent as Xen's ABI says.
 *
 * Shows, through the dispatcher, each command of memory_op, and below it the whole contexts of vCPUs,
 * writes to tables that trapped, and the entries that grants are mapped by: what each changes,
 * what it refuses, what it leaves when it is cut short or when the owner ends first. Why: these are
 * the ways a frame changes hands. Expected: all hold, with a recount of the machine after each test.
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

#define dom0  pair.first
#define guest pair.guest
#define own   pair.own   /* dom0's tables */
#define other pair.other /* guest's */

/* ---- memory_op ------------------------------------------------------------------------- */

static xen_pfn_t list[16];

static long reserve(unsigned cmd, unsigned count, unsigned order, domid_t dom)
{
	struct xen_memory_reservation r = {
	    .nr_extents = count, .extent_order = order, .domid = dom};
	long result;

	r.extent_start.p = (void *)fake_put(512, list, sizeof(list));
	result = mm_call(__HYPERVISOR_memory_op, cmd, FAKE_PUT(0, r), 0, 0);
	memcpy(list, fake_guest_ptr(FAKE_GUEST_BASE + 512), sizeof(list));
	return result;
}

static void test_populate_and_give_back(void **state)
{
	uint32_t before = guest->mm.nr_pages;

	list[0] = 0x100;
	list[1] = 0x200;
	assert_int_equal(reserve(XENMEM_populate_physmap, 2, 1, DOMID_SELF), 2);
	assert_int_equal(guest->mm.nr_pages, before + 4);
	assert_int_equal(m2p_get((mfn_t){list[1] + 1}), 0x201);
	assert_ptr_equal(mfn_to_page((mfn_t){list[0]})->owner, guest);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 2, 1, DOMID_SELF), 2);
	assert_int_equal(guest->mm.nr_pages, before);
	assert_true(m2p_get((mfn_t){list[1]}) == M2P_INVALID);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 2, 1, DOMID_SELF), 0);
}

/* A guest that unmaps and does not flush may go on by its TLB for as long as it likes, but not one
 * access after the frame is another's, a table, or ours. */
static void test_stale_translations(void **state)
{
	mfn_t frame = own.frame[5];

	pair_run_as(dom0);
	mm_activate(dom0->vcpu[0]);
	mm_tlb_start();
	memset(mfn_to_virt(own.frame[6]), 0, PAGE_SIZE);
	assert_int_equal(pair_map(pair_va(5), 0, 0), 0);
	list[0] = frame.v;
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, DOMID_SELF), 1);
	mm_tlb_look();
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 0, guest->id), 1);
	assert_int_equal(list[0], frame.v); /* or the test shows nothing */
	mm_tlb_look();
	assert_int_equal(pair_map(pair_va(6), 0, 0), 0);
	assert_int_equal(page_get_type(mfn_to_page(own.frame[6]), PT_L1), 0);
	mm_tlb_look();
	page_put_type(mfn_to_page(own.frame[6]));
	assert_int_equal(pair_map(pair_va(7), 0, 0), 0);
	list[0] = own.frame[7].v;
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, DOMID_SELF), 1);
	assert_ptr_equal(hv_page_alloc(0), mfn_to_virt(own.frame[7]));
	mm_tlb_look();
	hv_page_free(mfn_to_virt(own.frame[7]), 0);
}

static void test_reservation_refuses(void **state)
{
	list[0] = own.frame[5].v;
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, DOMID_SELF), 0);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, dom0->id), 0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 1, 40, DOMID_SELF), 0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 2, 6, DOMID_SELF), 1); /* the limit */
	assert_int_equal(reserve(63, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	pair_run_as(dom0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 1, 0, 99), 0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 1, 0, guest->id), 1);
}

static void test_reservation_cut_anywhere(void **state)
{
	uint32_t before = guest->mm.nr_pages;

	for (int cut = 0; cut < 8; cut++) {
		fake.preempt_after = cut;
		assert_int_equal(reserve(XENMEM_increase_reservation, 8, 0, DOMID_SELF), 8);
		fake.preempt_after = cut;
		assert_int_equal(mm_call_restarts(), cut < 7);
		assert_int_equal(reserve(XENMEM_decrease_reservation, 8, 0, DOMID_SELF), 8);
		assert_int_equal(guest->mm.nr_pages, before);
	}
}

/* A frame given back while mapped stays until the mapping goes. */
static void test_give_back_mapped(void **state)
{
	list[0] = other.frame[5].v;
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, DOMID_SELF), 1);
	assert_ptr_equal(mfn_to_page(other.frame[5])->owner, guest);
	mm_check(pair.both, 2, NULL);
	assert_int_equal(pair_map(pair_va(5), 0, 0), 0);
	assert_null(mfn_to_page(other.frame[5])->owner);
}

static long exchange(unsigned count, unsigned order_out, uint64_t *exchanged)
{
	struct xen_memory_exchange x = {
	    .in = {.nr_extents = count, .domid = DOMID_SELF},
	    .out = {.nr_extents = 1, .extent_order = order_out, .domid = DOMID_SELF}};
	xen_pfn_t pfn = 0x300;
	long result;

	x.in.extent_start.p = (void *)fake_put(512, list, sizeof(list));
	x.out.extent_start.p = (void *)FAKE_PUT(1024, pfn);
	result = mm_call(__HYPERVISOR_memory_op, XENMEM_exchange, FAKE_PUT(0, x), 0, 0);
	memcpy(&list[8], fake_guest_ptr(FAKE_GUEST_BASE + 1024), sizeof(list[8]));
	memcpy(&x, fake_guest_ptr(FAKE_GUEST_BASE), sizeof(x));
	*exchanged = x.nr_exchanged;
	return result;
}

static void test_exchange(void **state)
{
	uint32_t before = guest->mm.nr_pages;
	uint64_t n;

	for (unsigned i = 0; i < 4; i++)
		list[i] = fake_frame(guest).v;
	assert_int_equal(exchange(4, 2, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(guest->mm.nr_pages, before + 4);
	assert_int_equal(m2p_get((mfn_t){list[8] + 3}), 0x303);
	for (unsigned i = 0; i < 4; i++)
		assert_ptr_equal(mfn_to_page((mfn_t){list[8] + i})->owner, guest);
	mm_check(pair.both, 2, NULL);
}

static void test_exchange_refuses(void **state)
{
	uint64_t n, before;

	for (unsigned i = 0; i < 4; i++)
		list[i] = fake_frame(guest).v;
	before = fake_free_pages();
	list[3] = other.frame[4].v; /* mapped */
	assert_int_equal(exchange(4, 2, &n), -XEN_EINVAL);
	list[3] = list[2]; /* twice */
	assert_int_equal(exchange(4, 2, &n), -XEN_EINVAL);
	list[3] = own.frame[11].v;
	assert_int_equal(exchange(4, 2, &n), -XEN_EINVAL);
	list[3] = 1ull << 50;
	assert_int_equal(exchange(4, 2, &n), -XEN_EINVAL);
	assert_int_equal(exchange(3, 2, &n), -XEN_EINVAL);
	assert_int_equal(n, 0);
	assert_int_equal(fake_free_pages(), before);
}

static void test_numbers(void **state)
{
	struct xen_memory_domain self = {DOMID_SELF}, first = {dom0->id};
	struct xen_memory_map map = {.nr_entries = 4};
	struct xen_machphys_mapping m2p;
	const unsigned op = __HYPERVISOR_memory_op;
	uint64_t e820[3];

	assert_int_equal(mm_call(op, XENMEM_maximum_ram_page, 0, 0, 0),
			 FAKE_FIRST_FRAME + FAKE_FRAMES - 1);
	assert_int_equal(mm_call(op, XENMEM_current_reservation, FAKE_PUT(0, self), 0, 0),
			 guest->mm.nr_pages);
	assert_int_equal(mm_call(op, XENMEM_maximum_reservation, FAKE_PUT(0, self), 0, 0), 128);
	assert_int_equal(mm_call(op, XENMEM_current_reservation, FAKE_PUT(0, first), 0, 0),
			 -XEN_EPERM);
	guest->events.shared->arch.max_pfn = 500;
	assert_int_equal(mm_call(op, XENMEM_maximum_gpfn, FAKE_PUT(0, self), 0, 0), 499);
	map.buffer.p = (void *)(FAKE_GUEST_BASE + 512);
	assert_int_equal(mm_call(op, XENMEM_memory_map, FAKE_PUT(0, map), 0, 0), 0);
	memcpy(e820, fake_guest_ptr(FAKE_GUEST_BASE + 512), sizeof(e820));
	assert_int_equal(e820[1], 128 * PAGE_SIZE);
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_GUEST_BASE, 0, 0), -XEN_EPERM);
	assert_int_equal(mm_call(op, XENMEM_machphys_mapping, FAKE_GUEST_BASE, 0, 0), 0);
	guest_read(&m2p, FAKE_GUEST_BASE);
	assert_true(m2p.v_start == HV_M2P_VIRT && m2p.v_end == MACH2PHYS_VIRT_END &&
		    m2p.max_mfn == MACH2PHYS_NR_ENTRIES - 1); /* whatever this machine has */
	assert_int_equal(mm_call(op, XENMEM_add_to_physmap, FAKE_GUEST_BASE, 0, 0), -XEN_EACCES);
	pair_run_as(dom0);
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_PUT(0, map), 0, 0), 0);
	map.nr_entries = 1;
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_PUT(0, map), 0, 0),
			 -XEN_EINVAL);
}

/* ---- contexts, trapped writes, grants --------------------------------------------------- */

static void test_context_is_all_or_nothing(void **state)
{
	static struct vcpu_guest_context ctx, back;
	struct vcpu *v = dom0->vcpu[1];

	memset(&ctx, 0, sizeof(ctx));
	pair_run_as(dom0);
	pair_make_read_only(&own, 6);
	ctx.ctrlreg[3] = xen_pfn_to_cr3(own.frame[0].v);
	ctx.gdt_ents = 600;
	ctx.gdt_frames[0] = own.frame[6].v;
	ctx.gdt_frames[1] = own.frame[7].v; /* writable */
	assert_int_equal(mm_set_context(v, &ctx), -XEN_EINVAL);
	assert_int_equal(v->mm.root.v, 0);
	mm_check(pair.both, 2, NULL);
	ctx.gdt_ents = 8;
	ctx.ctrlreg[1] = xen_pfn_to_cr3(own.frame[1].v); /* no L4 */
	assert_int_equal(mm_set_context(v, &ctx), -XEN_EINVAL);
	ctx.ctrlreg[1] = ctx.ctrlreg[3];
	assert_int_equal(mm_set_context(v, &ctx), 0);
	mm_get_context(v, &back);
	assert_true(back.ctrlreg[3] == ctx.ctrlreg[3] && back.gdt_frames[0] == own.frame[6].v);
	assert_int_equal(mm_set_context(v, &ctx), 0); /* again: nothing is counted twice */
	ctx.gdt_ents = 8000;
	assert_int_equal(mm_set_context(v, &ctx), -XEN_EINVAL);
}

static void test_trapped_write(void **state)
{
	struct vcpu *v = guest->vcpu[0];
	uint64_t entry = pair_va(3) + 70 * 8, old = 0, value = pte_make(other.frame[5], RW);

	assert_int_equal(mm_write_table(v, entry, value, false, &old), 0);
	assert_true(*tables_entry(&other, 3, 70) == value);
	assert_int_equal(mm_write_table(v, entry, 0, true, &old), -XEN_EAGAIN);
	assert_true(old == value);
	assert_int_equal(mm_write_table(v, entry, 0, true, &old), 0);
	assert_int_equal(mm_write_table(v, entry, pte_make(other.frame[0], RW), false, &old),
			 -XEN_EBUSY);
	assert_int_equal(mm_write_table(v, pair_va(5), value, false, &old), -XEN_EFAULT); /* data */
	assert_int_equal(mm_write_table(v, entry + 4, 0, false, &old), -XEN_EFAULT);
	assert_int_equal(mm_write_table(v, HV_M2P_VIRT, 0, false, &old), -XEN_EFAULT);
	assert_int_equal(mm_write_table(v, pair_va(400), 0, false, &old), -XEN_EFAULT);
}

static void test_grant_by_address(void **state)
{
	struct mm_grant_map map = {.host_addr = pair_va(80), .owner = dom0, .frame = own.frame[5]};
	struct mm_grant_map ro = map;

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(tables_uses(&own, 5), 2);
	assert_int_equal(pte_mfn(*tables_entry(&other, 3, 80)).v, own.frame[5].v);
	ro.readonly = true;
	assert_int_equal(mm_grant_unmap_pte(&ro), -XEN_EINVAL);
	assert_int_equal(mm_grant_unmap_pte(&map), 0);
	assert_int_equal(mm_grant_unmap_pte(&map), -XEN_EINVAL);
	assert_int_equal(tables_uses(&own, 5), 1);
	map.frame = own.frame[3]; /* a table may be read, not written */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EBUSY);
	map.readonly = true;
	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(pair_map(pair_va(80), 0, 0), 0); /* the guest's own way out */
	map.frame = other.frame[5];
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EPERM);
	map.host_addr = HV_M2P_VIRT;
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
}

static void test_grant_by_entry(void **state)
{
	struct mm_grant_map map = {.host_addr = tables_maddr(&other, 3, 80),
				   .contains_pte = true,
				   .owner = dom0,
				   .frame = own.frame[5],
				   .pte_bits = ~0ull};

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_true(*tables_entry(&other, 3, 80) == pte_make(own.frame[5], RW | 0xe60));
	assert_int_equal(mm_grant_unmap_pte(&map), 0);
	map.host_addr = tables_maddr(&own, 3, 80); /* another's table */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
	map.host_addr = tables_maddr(&other, 2, 80); /* no L1 */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
	map.host_addr = tables_maddr(&other, 5, 80); /* data */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
}

static void test_grant_replace(void **state)
{
	struct mm_grant_map map = {.host_addr = pair_va(80), .owner = dom0, .frame = own.frame[5]};

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(mm_grant_replace_pte(&map, pair_va(80)), -XEN_EINVAL);
	assert_int_equal(mm_grant_replace_pte(&map, pair_va(5)), 0);
	assert_int_equal(pte_mfn(*tables_entry(&other, 3, 80)).v, other.frame[5].v);
	assert_int_equal(*tables_entry(&other, 3, 5), 0);
	assert_int_equal(tables_uses(&own, 5), 1);
	assert_int_equal(mm_grant_replace_pte(&map, pair_va(6)), -XEN_EINVAL);
}

/* The granter ends first: its frame outlives it as long as it is mapped. */
static void test_frame_outlives_owner(void **state)
{
	struct domain *third = fake_domain(1, 16);
	mfn_t frame = fake_frame(third);
	struct mm_grant_map map = {.host_addr = pair_va(80), .owner = third, .frame = frame};
	domid_t id = third->id;

	pair_run_as(guest);
	assert_int_equal(mm_grant_map_pte(&map), 0);
	fake_domain_end(third);
	third = domain_find(id);
	assert_non_null(third);
	domain_put(third);
	pair_run_as(guest);
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EPERM); /* no new one */
	assert_int_equal(pair_map(pair_va(80), 0, 0), 0);
	assert_null(domain_find(id));
}

static void test_frame_info(void **state)
{
	assert_int_equal(mm_frame_info(guest, other.frame[0]),
			 XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
	assert_int_equal(mm_frame_info(guest, other.frame[3]), XEN_DOMCTL_PFINFO_L1TAB);
	assert_int_equal(mm_frame_info(guest, other.frame[5]), 0);
	assert_int_equal(mm_frame_info(guest, own.frame[5]), XEN_DOMCTL_PFINFO_XTAB);
	mm_dump();
	assert_non_null(strstr(fake.log, "l4: 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, pair_setup, pair_teardown)
	    T(populate_and_give_back),
	    T(stale_translations),
	    T(reservation_refuses),
	    T(reservation_cut_anywhere),
	    T(give_back_mapped),
	    T(exchange),
	    T(exchange_refuses),
	    T(numbers),
	    T(context_is_all_or_nothing),
	    T(trapped_write),
	    T(grant_by_address),
	    T(grant_by_entry),
	    T(grant_replace),
	    T(frame_outlives_owner),
	    T(frame_info),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
