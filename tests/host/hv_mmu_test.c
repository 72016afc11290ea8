/* hv_mmu_test.c: the memory hypercalls do what Xen's ABI says, and to the caller's frames only.
 *
 * Shows, through the dispatcher, each command of mmu_update, update_va_mapping, mmuext_op, set_gdt,
 * update_descriptor and memory_op: what it changes, what it refuses, how far a list got, that a
 * list cut anywhere ends the same; then contexts, trapped writes to tables, LDT faults, and the
 * entries grants are mapped by. Why: guests are built against exactly these answers. Expected: all
 * hold, with a recount of the machine after each test.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c tests/host/hv_mm_check.c
 * links: lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c hypervisor/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_mm_check.h"
#include "hypervisor/hypercall.h"
#include "hypervisor/mm_private.h"

static struct domain *dom0, *guest, *both[2];
static struct tables own, other; /* dom0's, guest's */
static uint64_t free_before;

static void run_as(struct domain *d)
{
	fake_run(d->vcpu[0]);
	hv_test_percpu.loaded = d->vcpu[0];
}

static int setup(void **state)
{
	free_before = fake_free_pages();
	mm_budget_full = 4096;
	fake.preempt_after = -1;
	both[0] = dom0 = fake_domain(2, 128);
	both[1] = guest = fake_domain(1, 128);
	tables_build(&own, dom0);
	tables_build(&other, guest);
	assert_int_equal(mm_set_boot_root(dom0->vcpu[0], own.frame[0]), 0);
	assert_int_equal(mm_set_boot_root(guest->vcpu[0], other.frame[0]), 0);
	dom0->vcpu[0]->pv.kernel_mode = guest->vcpu[0]->pv.kernel_mode = true;
	run_as(guest);
	return 0;
}

static int teardown(void **state)
{
	fake.preempt_after = -1;
	mm_check(both, 2, NULL);
	fake_domain_end(guest);
	fake_domain_end(dom0);
	hv_test_percpu.loaded = NULL;
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

#define RW (PTE_PRESENT | PTE_RW | PTE_USER)
#define RO (PTE_PRESENT | PTE_USER)
#define DONE_VA (FAKE_GUEST_BASE + 0x8000)

static uint64_t at(const struct tables *t, unsigned i, unsigned index)
{
	return (t->frame[i].v << PAGE_SHIFT) + index * 8;
}

static long update(uint64_t ptr, uint64_t val, uint64_t foreign)
{
	struct mmu_update u = {ptr, val};

	return mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 1, 0, foreign);
}

static long ext(unsigned cmd, uint64_t arg1, uint64_t arg2, uint64_t foreign)
{
	struct mmuext_op op = {.cmd = cmd};

	op.arg1.mfn = arg1;
	op.arg2.src_mfn = arg2;
	return mm_call(__HYPERVISOR_mmuext_op, FAKE_PUT(0, op), 1, 0, foreign);
}

static long va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
	return mm_call(__HYPERVISOR_update_va_mapping, va, pte, flags, 0);
}

static uint64_t page_va(unsigned i)
{
	return TABLES_VA + i * PAGE_SIZE;
}

static unsigned uses(const struct tables *t, unsigned i)
{
	return mfn_to_page(t->frame[i])->type_count;
}

/* ---- mmu_update -------------------------------------------------------------------- */

static void test_update_of_a_table(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 50);

	assert_int_equal(update(at(&other, 3, 50), pte_make(other.frame[4], RW), DOMID_SELF), 0);
	assert_true(*entry == pte_make(other.frame[4], RW));
	assert_int_equal(uses(&other, 4), 2);
	assert_int_equal(update(at(&other, 3, 50), pte_make(other.frame[4], RO), DOMID_SELF), 0);
	assert_int_equal(uses(&other, 4), 1);
	assert_int_equal(update(at(&other, 3, 50), 0, DOMID_SELF), 0);
	assert_int_equal(*entry, 0);
}

static void test_update_refuses(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 50);

	assert_int_equal(update(at(&other, 3, 50), pte_make(other.frame[3], RW), DOMID_SELF),
			 -XEN_EINVAL); /* a table, writable */
	assert_int_equal(update(at(&other, 3, 50), pte_make(own.frame[5], RO), DOMID_SELF),
			 -XEN_EINVAL); /* another's frame */
	assert_int_equal(update(at(&own, 3, 50), pte_make(other.frame[5], RO), DOMID_SELF),
			 -XEN_EINVAL); /* another's table */
	assert_int_equal(update(at(&other, 0, 256), 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(at(&other, 0, 271), 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(at(&other, 3, 50) + 4, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(~0ull << 12, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(at(&other, 0, 2), pte_make(other.frame[0], RO), DOMID_SELF),
			 -XEN_EINVAL); /* a loop */
	assert_int_equal(*entry, 0);
}

/* Read-only to writable is where a guest would try to get at its tables. */
static void test_upgrade_is_checked(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(update(at(&other, 3, i), pte_make(other.frame[i], RW), DOMID_SELF),
				 -XEN_EINVAL);
	assert_int_equal(update(at(&other, 3, 1), pte_make(other.frame[1], RO | PTE_ACCESSED),
				DOMID_SELF), 0);
}

static void test_update_of_data(void **state)
{
	uint64_t garbage = 0x123456789abcdef1;

	assert_int_equal(update(at(&other, 5, 7), garbage, DOMID_SELF), 0);
	assert_true(*tables_entry(&other, 5, 7) == garbage);
}

static void test_preserve_ad(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 4), value = pte_make(other.frame[4], RW);

	*entry |= PTE_DIRTY;
	assert_int_equal(update(at(&other, 3, 4) | MMU_PT_UPDATE_PRESERVE_AD,
				value | PTE_ACCESSED, DOMID_SELF), 0);
	assert_true(*entry == (value | PTE_ACCESSED | PTE_DIRTY));
	assert_int_equal(update(at(&other, 3, 4), value | PTE_ACCESSED, DOMID_SELF), 0);
	assert_true(*entry == (value | PTE_ACCESSED));
}

static void test_m2p(void **state)
{
	assert_int_equal(update(at(&other, 5, 0) | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF), 0);
	assert_int_equal(m2p_get(other.frame[5]), 77);
	assert_int_equal(update(at(&own, 5, 0) | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(MMU_MACHPHYS_UPDATE, 77, DOMID_SELF), -XEN_EINVAL);
}

/* The first domain builds others: it maps their frames, and changes their tables. */
static void test_foreign(void **state)
{
	assert_int_equal(update(at(&other, 3, 50), pte_make(own.frame[5], RO), dom0->id), -XEN_EPERM);
	run_as(dom0);
	assert_int_equal(update(at(&own, 3, 50), pte_make(other.frame[5], RW), guest->id), 0);
	assert_int_equal(uses(&other, 5), 2);
	assert_int_equal(update(at(&own, 3, 51), pte_make(other.frame[3], RW), guest->id), -XEN_EINVAL);
	assert_int_equal(update(at(&own, 3, 51), pte_make(own.frame[5], RW), guest->id), -XEN_EINVAL);
	assert_int_equal(update(at(&other, 3, 50), pte_make(other.frame[4], RO),
				(guest->id + 1u) << 16 | guest->id), 0);
	assert_int_equal(update(at(&own, 3, 50), 0, 99), -XEN_ESRCH);
	mm_check(both, 2, NULL);
}

static void test_devices(void **state)
{
	uint64_t device = pte_make((mfn_t){0xfee00}, RW);

	assert_int_equal(update(at(&other, 3, 50), device, DOMID_IO), -XEN_EINVAL);
	run_as(dom0);
	assert_int_equal(update(at(&own, 3, 50), device, DOMID_IO), 0);
	assert_int_equal(update(at(&own, 3, 51), pte_make(own.frame[5], RW), DOMID_IO), -XEN_EINVAL);
}

/* How far a list got is told, and the rest is not done. */
static void test_list_stops_at_error(void **state)
{
	struct mmu_update u[3] = {{at(&other, 5, 0), 1}, {at(&own, 5, 0), 2}, {at(&other, 5, 1), 3}};
	uint32_t done = 99;

	fake_put(0x8000, &done, sizeof(done));
	assert_int_equal(mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 3, DONE_VA, DOMID_SELF),
			 -XEN_EINVAL);
	guest_read(&done, DONE_VA);
	assert_int_equal(done, 1);
	assert_int_equal(*tables_entry(&other, 5, 0), 1);
	assert_int_equal(*tables_entry(&other, 5, 1), 0);
	assert_int_equal(mm_call(__HYPERVISOR_mmu_update, 0, 3, 0, DOMID_SELF), -XEN_EFAULT);
}

static void test_list_cut_anywhere(void **state)
{
	struct mmu_update u[20];
	uint32_t done = 0;

	for (unsigned i = 0; i < 20; i++)
		u[i] = (struct mmu_update){at(&other, 5, i), i + 1};
	for (int cut = 0; cut < 20; cut++) {
		memset(mfn_to_virt(other.frame[5]), 0, PAGE_SIZE);
		fake.preempt_after = cut;
		assert_int_equal(mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 20, DONE_VA,
					 DOMID_SELF), 0);
		assert_int_equal(mm_call_restarts(), cut < 19);
		guest_read(&done, DONE_VA);
		assert_int_equal(done, 20);
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(*tables_entry(&other, 5, i), i + 1);
	}
}

/* ---- update_va_mapping ---------------------------------------------------------------- */

static void test_va_mapping(void **state)
{
	unsigned before = fake.tlb_flushes;

	assert_int_equal(va_mapping(page_va(60), pte_make(other.frame[5], RW), UVMF_TLB_FLUSH), 0);
	assert_true(fake.tlb_flushes > before);
	assert_true(*tables_entry(&other, 3, 60) == pte_make(other.frame[5], RW));
	assert_int_equal(va_mapping(page_va(60), 0, UVMF_INVLPG | UVMF_ALL), 0);
	assert_int_equal(va_mapping(page_va(60), pte_make(other.frame[0], RW), 0), -XEN_EINVAL);
	assert_int_equal(va_mapping(TABLES_VA << 1, pte_make(other.frame[5], RW), 0), -XEN_EINVAL);
	assert_int_equal(va_mapping(HV_M2P_VIRT, pte_make(other.frame[5], RW), 0), -XEN_EINVAL);
	assert_int_equal(va_mapping(1ull << 47, 0, 0), -XEN_EINVAL);
}

static void test_va_mapping_otherdomain(void **state)
{
	const unsigned op = __HYPERVISOR_update_va_mapping_otherdomain;

	assert_int_equal(mm_call(op, page_va(60), pte_make(own.frame[5], RO), 0, dom0->id), -XEN_EPERM);
	run_as(dom0);
	assert_int_equal(mm_call(op, page_va(60), pte_make(other.frame[5], RW), 0, guest->id), 0);
	assert_int_equal(uses(&other, 5), 2);
	assert_int_equal(mm_call(op, page_va(60), 0, 0, guest->id), 0);
}

/* ---- mmuext_op ------------------------------------------------------------------------ */

static void test_pins(void **state)
{
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, other.frame[0].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, other.frame[1].v, 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_PIN_L3_TABLE, other.frame[2].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_PIN_L1_TABLE, other.frame[5].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_PIN_L1_TABLE, own.frame[3].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, other.frame[1].v, 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, other.frame[1].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, ~0ull, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, other.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(uses(&other, 0), 1); /* the root in use */
}

static void test_foreign_pins(void **state)
{
	struct tables third;

	tables_build(&third, guest);
	run_as(dom0);
	mm_budget_full = 64;
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, third.frame[0].v, 0, guest->id), 0);
	assert_true(mm_call_restarts() > 5);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, third.frame[0].v, 0, guest->id), -XEN_EPERM);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, third.frame[0].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, third.frame[0].v, 0, guest->id), 0);
	run_as(guest);
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, own.frame[0].v, 0, dom0->id), -XEN_EPERM);
}

static void test_roots(void **state)
{
	struct tables second;
	struct vcpu *v = guest->vcpu[0];

	tables_build(&second, guest);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(hw_root().v, second.frame[0].v);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second.frame[1].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, 0, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, own.frame[0].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, other.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(uses(&other, 3), 0); /* the old space is gone, but for the pin */
	tables_fill(&other);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, other.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(hw_root().v, second.frame[0].v);
	v->pv.kernel_mode = false;
	assert_true(mm_toggle_user(v));
	assert_int_equal(hw_root().v, other.frame[0].v);
	v->pv.kernel_mode = true;
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF), 0);
	v->pv.kernel_mode = false;
	assert_false(mm_toggle_user(v));
	v->pv.kernel_mode = true;
}

static void test_whole_pages(void **state)
{
	memset(mfn_to_virt(other.frame[5]), 0x77, PAGE_SIZE);
	assert_int_equal(ext(MMUEXT_COPY_PAGE, other.frame[6].v, other.frame[5].v, DOMID_SELF), 0);
	assert_memory_equal(mfn_to_virt(other.frame[5]), mfn_to_virt(other.frame[6]), PAGE_SIZE);
	assert_int_equal(ext(MMUEXT_CLEAR_PAGE, other.frame[6].v, 0, DOMID_SELF), 0);
	assert_int_equal(*tables_entry(&other, 6, 511), 0);
	assert_int_equal(ext(MMUEXT_CLEAR_PAGE, other.frame[3].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_COPY_PAGE, other.frame[3].v, other.frame[5].v, DOMID_SELF),
			 -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_COPY_PAGE, other.frame[6].v, own.frame[5].v, DOMID_SELF),
			 -XEN_EINVAL);
}

static void test_flushes(void **state)
{
	static const unsigned all[] = {MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_TLB_FLUSH_MULTI,
				       MMUEXT_TLB_FLUSH_ALL};
	unsigned before;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		before = fake.tlb_flushes;
		assert_int_equal(ext(all[i], 0, 0, DOMID_SELF), 0);
		assert_int_equal(fake.tlb_flushes, before + 1);
	}
	assert_int_equal(ext(MMUEXT_INVLPG_LOCAL, HV_HOLE_START, 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_INVLPG_ALL, page_va(3), 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_FLUSH_CACHE, 0, 0, DOMID_SELF), -XEN_EACCES);
	assert_int_equal(ext(MMUEXT_MARK_SUPER, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	assert_int_equal(ext(14, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	run_as(dom0);
	assert_int_equal(ext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0, DOMID_SELF), 0);
}

/* ---- segments -------------------------------------------------------------------------- */

#define CODE 0x00affb000000ffffull

static long set_gdt(uint64_t frame, uint64_t entries)
{
	return mm_call(__HYPERVISOR_set_gdt, FAKE_PUT(0, frame), entries, 0, 0);
}

static void make_read_only(struct tables *t, unsigned i)
{
	memset(mfn_to_virt(t->frame[i]), 0, PAGE_SIZE);
	assert_int_equal(va_mapping(page_va(i), pte_make(t->frame[i], RO), UVMF_TLB_FLUSH), 0);
}

static void test_gdt(void **state)
{
	const uint64_t *area = guest->mm.perdomain_l1[0];

	assert_int_equal(set_gdt(other.frame[6].v, 512), -XEN_EINVAL); /* writable */
	make_read_only(&other, 6);
	assert_int_equal(set_gdt(other.frame[6].v, 7169), -XEN_EINVAL);
	assert_int_equal(set_gdt(own.frame[6].v, 8), -XEN_EINVAL);
	assert_int_equal(set_gdt(other.frame[6].v, 8), 0);
	assert_int_equal(pte_mfn(area[0]).v, other.frame[6].v);
	assert_int_equal(va_mapping(page_va(6), pte_make(other.frame[6], RW), 0), -XEN_EINVAL);
	assert_int_equal(set_gdt(0, 0), 0);
	assert_int_equal(area[0], 0);
	assert_int_equal(uses(&other, 6), 0);
}

static long descriptor(const struct tables *t, unsigned i, uint64_t value)
{
	return mm_call(__HYPERVISOR_update_descriptor, at(t, i, 3), value, 0, 0);
}

static void test_update_descriptor(void **state)
{
	make_read_only(&other, 6);
	assert_int_equal(set_gdt(other.frame[6].v, 8), 0);
	assert_int_equal(descriptor(&other, 6, CODE & ~(3ull << 45)), 0);
	assert_true(*tables_entry(&other, 6, 3) == CODE);
	assert_int_equal(descriptor(&other, 6, 0x0000ec0000080000), -XEN_EINVAL);
	assert_int_equal(descriptor(&other, 5, CODE), 0); /* data */
	assert_int_equal(descriptor(&other, 3, CODE), -XEN_EINVAL); /* a table */
	assert_int_equal(descriptor(&own, 6, CODE), -XEN_EINVAL);
	assert_int_equal(update(at(&other, 6, 3), CODE, DOMID_SELF), -XEN_EINVAL);
}

static void test_ldt(void **state)
{
	struct vcpu *v = guest->vcpu[0];
	uint64_t area = mm_gdt_base(v) + HV_LDT_OFFSET;

	make_read_only(&other, 7);
	assert_int_equal(ext(MMUEXT_SET_LDT, page_va(7) + 8, 8, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, page_va(7), 8193, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, HV_HOLE_START, 8, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, page_va(7), 600, DOMID_SELF), 0);
	assert_int_equal(uses(&other, 7), 0);
	assert_true(mm_page_fault(v, area + 16, 0));
	assert_int_equal(uses(&other, 7), 1);
	assert_false(mm_page_fault(v, area + 16, 0));  /* it is there: the fault is the guest's */
	assert_false(mm_page_fault(v, area + PAGE_SIZE, 0)); /* page 8 is writable */
	assert_false(mm_page_fault(v, area + 2 * PAGE_SIZE, 0)); /* beyond the LDT */
	assert_false(mm_page_fault(v, page_va(7), 0));
	assert_int_equal(ext(MMUEXT_SET_LDT, 0, 0, DOMID_SELF), 0);
	assert_int_equal(uses(&other, 7), 0);
}

/* ---- memory_op ------------------------------------------------------------------------- */

static xen_pfn_t list[16];

static long reserve(unsigned cmd, unsigned count, unsigned order, domid_t dom)
{
	struct xen_memory_reservation r = {.nr_extents = count, .extent_order = order, .domid = dom};
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

static void test_reservation_refuses(void **state)
{
	list[0] = own.frame[5].v;
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, DOMID_SELF), 0);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 1, 0, dom0->id), -XEN_EPERM);
	assert_int_equal(reserve(XENMEM_increase_reservation, 1, 40, DOMID_SELF), 0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 2, 6, DOMID_SELF), 1); /* the limit */
	assert_int_equal(reserve(63, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	run_as(dom0);
	assert_int_equal(reserve(XENMEM_increase_reservation, 1, 0, 99), -XEN_ESRCH);
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
	mm_check(both, 2, NULL);
	assert_int_equal(va_mapping(page_va(5), 0, 0), 0);
	assert_null(mfn_to_page(other.frame[5])->owner);
}

static long exchange(unsigned count, unsigned order_out, uint64_t *exchanged)
{
	struct xen_memory_exchange x = {.in = {.nr_extents = count, .domid = DOMID_SELF},
					.out = {.nr_extents = 1, .extent_order = order_out,
						.domid = DOMID_SELF}};
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
	mm_check(both, 2, NULL);
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
	assert_int_equal(mm_call(op, XENMEM_current_reservation, FAKE_PUT(0, first), 0, 0), -XEN_EPERM);
	guest->events.shared->arch.max_pfn = 500;
	assert_int_equal(mm_call(op, XENMEM_maximum_gpfn, FAKE_PUT(0, self), 0, 0), 499);
	map.buffer.p = (void *)(FAKE_GUEST_BASE + 512);
	assert_int_equal(mm_call(op, XENMEM_memory_map, FAKE_PUT(0, map), 0, 0), 0);
	memcpy(e820, fake_guest_ptr(FAKE_GUEST_BASE + 512), sizeof(e820));
	assert_int_equal(e820[1], 128 * PAGE_SIZE);
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_GUEST_BASE, 0, 0), -XEN_EPERM);
	assert_int_equal(mm_call(op, XENMEM_machphys_mapping, FAKE_GUEST_BASE, 0, 0), 0);
	guest_read(&m2p, FAKE_GUEST_BASE);
	assert_true(m2p.v_start == HV_M2P_VIRT && m2p.max_mfn == FAKE_FIRST_FRAME + FAKE_FRAMES - 1);
	assert_int_equal(mm_call(op, XENMEM_add_to_physmap, FAKE_GUEST_BASE, 0, 0), -XEN_EACCES);
	run_as(dom0);
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_PUT(0, map), 0, 0), 0);
	map.nr_entries = 1;
	assert_int_equal(mm_call(op, XENMEM_machine_memory_map, FAKE_PUT(0, map), 0, 0), -XEN_EINVAL);
}

/* ---- contexts, trapped writes, grants --------------------------------------------------- */

static void test_context_is_all_or_nothing(void **state)
{
	static struct vcpu_guest_context ctx, back;
	struct vcpu *v = dom0->vcpu[1];

	memset(&ctx, 0, sizeof(ctx));
	run_as(dom0);
	make_read_only(&own, 6);
	ctx.ctrlreg[3] = xen_pfn_to_cr3(own.frame[0].v);
	ctx.gdt_ents = 600;
	ctx.gdt_frames[0] = own.frame[6].v;
	ctx.gdt_frames[1] = own.frame[7].v; /* writable */
	assert_int_equal(mm_set_context(v, &ctx), -XEN_EINVAL);
	assert_int_equal(v->mm.root.v, 0);
	mm_check(both, 2, NULL);
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
	uint64_t entry = page_va(3) + 70 * 8, old = 0, value = pte_make(other.frame[5], RW);

	assert_int_equal(mm_write_table(v, entry, value, false, &old), 0);
	assert_true(*tables_entry(&other, 3, 70) == value);
	assert_int_equal(mm_write_table(v, entry, 0, true, &old), -XEN_EAGAIN);
	assert_true(old == value);
	assert_int_equal(mm_write_table(v, entry, 0, true, &old), 0);
	assert_int_equal(mm_write_table(v, entry, pte_make(other.frame[0], RW), false, &old), -XEN_EINVAL);
	assert_int_equal(mm_write_table(v, page_va(5), value, false, &old), -XEN_EFAULT); /* data */
	assert_int_equal(mm_write_table(v, entry + 4, 0, false, &old), -XEN_EFAULT);
	assert_int_equal(mm_write_table(v, HV_M2P_VIRT, 0, false, &old), -XEN_EFAULT);
	assert_int_equal(mm_write_table(v, page_va(400), 0, false, &old), -XEN_EFAULT);
}

static void test_grant_by_address(void **state)
{
	struct mm_grant_map map = {.host_addr = page_va(80), .owner = dom0, .frame = own.frame[5]};
	struct mm_grant_map ro = map;

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(uses(&own, 5), 2);
	assert_int_equal(pte_mfn(*tables_entry(&other, 3, 80)).v, own.frame[5].v);
	ro.readonly = true;
	assert_int_equal(mm_grant_unmap_pte(&ro), -XEN_EINVAL);
	assert_int_equal(mm_grant_unmap_pte(&map), 0);
	assert_int_equal(mm_grant_unmap_pte(&map), -XEN_EINVAL);
	assert_int_equal(uses(&own, 5), 1);
	map.frame = own.frame[3]; /* a table may be read, not written */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EBUSY);
	map.readonly = true;
	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(va_mapping(page_va(80), 0, 0), 0); /* the guest's own way out */
	map.frame = other.frame[5];
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EPERM);
	map.host_addr = HV_M2P_VIRT;
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
}

static void test_grant_by_entry(void **state)
{
	struct mm_grant_map map = {.host_addr = at(&other, 3, 80), .contains_pte = true,
				   .owner = dom0, .frame = own.frame[5], .pte_bits = ~0ull};

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_true(*tables_entry(&other, 3, 80) == pte_make(own.frame[5], RW | 0xe60));
	assert_int_equal(mm_grant_unmap_pte(&map), 0);
	map.host_addr = at(&own, 3, 80); /* another's table */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
	map.host_addr = at(&other, 2, 80); /* no L1 */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
	map.host_addr = at(&other, 5, 80); /* data */
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EINVAL);
}

static void test_grant_replace(void **state)
{
	struct mm_grant_map map = {.host_addr = page_va(80), .owner = dom0, .frame = own.frame[5]};

	assert_int_equal(mm_grant_map_pte(&map), 0);
	assert_int_equal(mm_grant_replace_pte(&map, page_va(80)), -XEN_EINVAL);
	assert_int_equal(mm_grant_replace_pte(&map, page_va(5)), 0);
	assert_int_equal(pte_mfn(*tables_entry(&other, 3, 80)).v, other.frame[5].v);
	assert_int_equal(*tables_entry(&other, 3, 5), 0);
	assert_int_equal(uses(&own, 5), 1);
	assert_int_equal(mm_grant_replace_pte(&map, page_va(6)), -XEN_EINVAL);
}

/* The granter ends first: its frame outlives it as long as it is mapped. */
static void test_frame_outlives_owner(void **state)
{
	struct domain *third = fake_domain(1, 16);
	mfn_t frame = fake_frame(third);
	struct mm_grant_map map = {.host_addr = page_va(80), .owner = third, .frame = frame};
	domid_t id = third->id;

	run_as(guest);
	assert_int_equal(mm_grant_map_pte(&map), 0);
	fake_domain_end(third);
	third = domain_find(id);
	assert_non_null(third);
	domain_put(third);
	run_as(guest);
	assert_int_equal(mm_grant_map_pte(&map), -XEN_EPERM); /* no new one */
	assert_int_equal(va_mapping(page_va(80), 0, 0), 0);
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
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	    T(update_of_a_table), T(update_refuses), T(upgrade_is_checked), T(update_of_data),
	    T(preserve_ad), T(m2p), T(foreign), T(devices), T(list_stops_at_error),
	    T(list_cut_anywhere), T(va_mapping), T(va_mapping_otherdomain), T(pins),
	    T(foreign_pins), T(roots), T(whole_pages), T(flushes), T(gdt), T(update_descriptor),
	    T(ldt), T(populate_and_give_back), T(reservation_refuses), T(reservation_cut_anywhere),
	    T(give_back_mapped), T(exchange), T(exchange_refuses), T(numbers),
	    T(context_is_all_or_nothing), T(trapped_write), T(grant_by_address), T(grant_by_entry),
	    T(grant_replace), T(frame_outlives_owner), T(frame_info),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
