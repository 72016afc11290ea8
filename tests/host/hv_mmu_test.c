/* hv_mmu_test.c: the page-table hypercalls do what Xen's ABI says, and to the caller's frames only.
 *
 * Shows, through the dispatcher, each command of mmu_update, update_va_mapping, mmuext_op, set_gdt
 * and update_descriptor: what it changes, what it refuses, how far a list got, that a list cut
 * anywhere ends the same; LDT faults. Why: guests are built against exactly these answers, and get
 * at the hypervisor through nothing else as often. Expected: all hold, with a recount of the machine
 * after each test.
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

#define DONE_VA (FAKE_GUEST_BASE + 0x8000)

/* ---- words for what follows ------------------------------------------------------------ */

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

/* ---- mmu_update -------------------------------------------------------------------- */

static void test_update_of_a_table(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 50);

	assert_int_equal(
	    update(tables_maddr(&other, 3, 50), pte_make(other.frame[4], RW), DOMID_SELF), 0);
	assert_true(*entry == pte_make(other.frame[4], RW));
	assert_int_equal(tables_uses(&other, 4), 2);
	assert_int_equal(
	    update(tables_maddr(&other, 3, 50), pte_make(other.frame[4], RO), DOMID_SELF), 0);
	assert_int_equal(tables_uses(&other, 4), 1);
	assert_int_equal(update(tables_maddr(&other, 3, 50), 0, DOMID_SELF), 0);
	assert_int_equal(*entry, 0);
}

static void test_update_refuses(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 50);

	assert_int_equal(
	    update(tables_maddr(&other, 3, 50), pte_make(other.frame[3], RW), DOMID_SELF),
	    -XEN_EBUSY); /* a table, writable */
	assert_int_equal(
	    update(tables_maddr(&other, 3, 50), pte_make(own.frame[5], RO), DOMID_SELF),
	    -XEN_EBUSY); /* another's frame */
	assert_int_equal(
	    update(tables_maddr(&own, 3, 50), pte_make(other.frame[5], RO), DOMID_SELF),
	    -XEN_EINVAL); /* another's table */
	assert_int_equal(update(tables_maddr(&other, 0, 256), 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(tables_maddr(&other, 0, 271), 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(update(tables_maddr(&other, 3, 50) + 4, 0, DOMID_SELF), -XEN_ENOSYS);
	assert_int_equal(update(~0ull << 12, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(
	    update(tables_maddr(&other, 0, 2), pte_make(other.frame[0], RO), DOMID_SELF),
	    -XEN_EINVAL); /* a loop */
	assert_int_equal(*entry, 0);
}

/* Read-only to writable is where a guest would try to get at its tables. */
static void test_upgrade_is_checked(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
		    update(tables_maddr(&other, 3, i), pte_make(other.frame[i], RW), DOMID_SELF),
		    -XEN_EBUSY);
	assert_int_equal(update(tables_maddr(&other, 3, 1),
				pte_make(other.frame[1], RO | PTE_ACCESSED), DOMID_SELF),
			 0);
}

static void test_update_of_data(void **state)
{
	uint64_t garbage = 0x123456789abcdef1;

	assert_int_equal(update(tables_maddr(&other, 5, 7), garbage, DOMID_SELF), 0);
	assert_true(*tables_entry(&other, 5, 7) == garbage);
}

static void test_preserve_ad(void **state)
{
	uint64_t *entry = tables_entry(&other, 3, 4), value = pte_make(other.frame[4], RW);

	*entry |= PTE_DIRTY;
	assert_int_equal(update(tables_maddr(&other, 3, 4) | MMU_PT_UPDATE_PRESERVE_AD,
				value | PTE_ACCESSED, DOMID_SELF),
			 0);
	assert_true(*entry == (value | PTE_ACCESSED | PTE_DIRTY));
	assert_int_equal(update(tables_maddr(&other, 3, 4), value | PTE_ACCESSED, DOMID_SELF), 0);
	assert_true(*entry == (value | PTE_ACCESSED));
}

static void test_m2p(void **state)
{
	assert_int_equal(update(tables_maddr(&other, 5, 0) | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF),
			 0);
	assert_int_equal(m2p_get(other.frame[5]), 77);
	assert_int_equal(update(tables_maddr(&own, 5, 0) | MMU_MACHPHYS_UPDATE, 77, DOMID_SELF),
			 -XEN_EINVAL);
	assert_int_equal(update(MMU_MACHPHYS_UPDATE, 77, DOMID_SELF), -XEN_EINVAL);
}

/* The first domain builds others: it maps their frames, and changes their tables. */
static void test_foreign(void **state)
{
	assert_int_equal(update(tables_maddr(&other, 3, 50), pte_make(own.frame[5], RO), dom0->id),
			 -XEN_EPERM);
	pair_run_as(dom0);
	assert_int_equal(update(tables_maddr(&own, 3, 50), pte_make(other.frame[5], RW), guest->id),
			 0);
	assert_int_equal(tables_uses(&other, 5), 2);
	assert_int_equal(update(tables_maddr(&own, 3, 51), pte_make(other.frame[3], RW), guest->id),
			 -XEN_EBUSY);
	assert_int_equal(update(tables_maddr(&own, 3, 51), pte_make(own.frame[5], RW), guest->id),
			 -XEN_EBUSY);
	assert_int_equal(update(tables_maddr(&other, 3, 50), pte_make(other.frame[4], RO),
				(guest->id + 1u) << 16 | guest->id),
			 0);
	assert_int_equal(update(tables_maddr(&own, 3, 50), 0, 99), -XEN_ESRCH);
	mm_check(pair.both, 2, NULL);
}

static void test_devices(void **state)
{
	uint64_t device = pte_make((mfn_t){0xfee00}, RW);

	assert_int_equal(update(tables_maddr(&other, 3, 50), device, DOMID_IO), -XEN_EPERM);
	pair_run_as(dom0);
	assert_int_equal(update(tables_maddr(&own, 3, 50), device, DOMID_IO), 0);
	assert_int_equal(update(tables_maddr(&own, 3, 51), pte_make(own.frame[5], RW), DOMID_IO),
			 -XEN_EBUSY);
}

/* How far a list got is told, and the rest is not done. */
static void test_list_stops_at_error(void **state)
{
	struct mmu_update u[3] = {{tables_maddr(&other, 5, 0), 1},
				  {tables_maddr(&own, 5, 0), 2},
				  {tables_maddr(&other, 5, 1), 3}};
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
		u[i] = (struct mmu_update){tables_maddr(&other, 5, i), i + 1};
	for (int cut = 0; cut < 20; cut++) {
		memset(mfn_to_virt(other.frame[5]), 0, PAGE_SIZE);
		fake.preempt_after = cut;
		assert_int_equal(
		    mm_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 20, DONE_VA, DOMID_SELF), 0);
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

	assert_int_equal(pair_map(pair_va(60), pte_make(other.frame[5], RW), UVMF_TLB_FLUSH), 0);
	assert_true(fake.tlb_flushes > before);
	assert_true(*tables_entry(&other, 3, 60) == pte_make(other.frame[5], RW));
	assert_int_equal(pair_map(pair_va(60), 0, UVMF_INVLPG | UVMF_ALL), 0);
	assert_int_equal(pair_map(pair_va(60), pte_make(other.frame[0], RW), 0), -XEN_EBUSY);
	assert_int_equal(pair_map(TABLES_VA << 1, pte_make(other.frame[5], RW), 0), -XEN_EINVAL);
	assert_int_equal(pair_map(HV_M2P_VIRT, pte_make(other.frame[5], RW), 0), -XEN_EINVAL);
	assert_int_equal(pair_map(1ull << 47, 0, 0), -XEN_EINVAL);
}

static void test_va_mapping_otherdomain(void **state)
{
	const unsigned op = __HYPERVISOR_update_va_mapping_otherdomain;

	assert_int_equal(mm_call(op, pair_va(60), pte_make(own.frame[5], RO), 0, dom0->id),
			 -XEN_EPERM);
	pair_run_as(dom0);
	assert_int_equal(mm_call(op, pair_va(60), pte_make(other.frame[5], RW), 0, guest->id), 0);
	assert_int_equal(tables_uses(&other, 5), 2);
	assert_int_equal(mm_call(op, pair_va(60), 0, 0, guest->id), 0);
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
	assert_int_equal(tables_uses(&other, 0), 1); /* the root in use */
}

static void test_foreign_pins(void **state)
{
	struct tables third;

	tables_build(&third, guest);
	pair_run_as(dom0);
	mm_budget_full = 64;
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, third.frame[0].v, 0, guest->id), 0);
	assert_true(mm_call_restarts() > 5);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, third.frame[0].v, 0, guest->id), -XEN_EPERM);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, third.frame[0].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, third.frame[0].v, 0, guest->id), 0);
	pair_run_as(guest);
	assert_int_equal(ext(MMUEXT_PIN_L4_TABLE, own.frame[0].v, 0, dom0->id), -XEN_EPERM);
}

static void test_roots(void **state)
{
	struct tables second;
	struct vcpu *v = guest->vcpu[0];

	tables_build(&second, guest);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(fake_root().v, second.frame[0].v);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second.frame[1].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, 0, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, own.frame[0].v, 0, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_UNPIN_TABLE, other.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(tables_uses(&other, 3), 0); /* the old space is gone, but for the pin */
	tables_fill(&other);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, other.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(fake_root().v, second.frame[0].v);
	v->pv.kernel_mode = false;
	assert_true(mm_toggle_user(v));
	assert_int_equal(fake_root().v, other.frame[0].v);
	v->pv.kernel_mode = true;
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF), 0);
	v->pv.kernel_mode = false;
	assert_false(mm_toggle_user(v));
	v->pv.kernel_mode = true;
}

static uint64_t m2p_in(const struct tables *t)
{
	return *tables_entry((struct tables *)t, 0, HV_M2P_SLOT);
}

/* A root shows the m2p once it is a kernel's; with m2p_strict not when it is a program's. */
static void test_m2p_in_roots(void **state)
{
	uint64_t m2p = ((const uint64_t *)mfn_to_virt(mm_hv_root()))[HV_M2P_SLOT];
	struct tables second;

	tables_build(&second, guest);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(m2p_in(&second), 0);
	assert_int_equal(ext(MMUEXT_NEW_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_true(m2p_in(&second) == m2p);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_true(m2p_in(&second) == m2p); /* one root for both */
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF), 0);
	guest->vm_assist = 1ull << VMASST_TYPE_m2p_strict;
	assert_int_equal(ext(MMUEXT_NEW_USER_BASEPTR, second.frame[0].v, 0, DOMID_SELF), 0);
	assert_int_equal(m2p_in(&second), 0);
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
	uint64_t mask = 0xff05, mask_va = FAKE_PUT(0x8000, mask), self = current_vcpu()->id;
	const struct {
		unsigned cmd;
		uint64_t vcpus;
	} all[] = {{MMUEXT_TLB_FLUSH_LOCAL, 1ull << self},
		   {MMUEXT_TLB_FLUSH_MULTI, mask & 0xff}, /* not beyond the domain's vCPUs */
		   {MMUEXT_TLB_FLUSH_ALL, TLB_ALL_VCPUS}};
	unsigned before;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		before = fake.tlb_flushes;
		assert_int_equal(ext(all[i].cmd, 0, mask_va, DOMID_SELF), 0);
		assert_int_equal(fake.tlb_flushes, before + 1);
		assert_int_equal(fake.flushed_vcpus, all[i].vcpus);
	}
	assert_int_equal(ext(MMUEXT_TLB_FLUSH_MULTI, 0, 0, DOMID_SELF), -XEN_EFAULT);
	assert_int_equal(ext(MMUEXT_INVLPG_MULTI, pair_va(3), mask_va, DOMID_SELF), 0);
	assert_int_equal(fake.flushed_vcpus, mask & 0xff);
	assert_int_equal(pair_map(pair_va(60), 0, UVMF_INVLPG | UVMF_MULTI | mask_va), 0);
	assert_int_equal(fake.flushed_vcpus, mask & 0xff);
	assert_int_equal(pair_map(pair_va(60), 0, UVMF_TLB_FLUSH | UVMF_LOCAL), 0);
	assert_int_equal(fake.flushed_vcpus, 1ull << self);
	assert_int_equal(pair_map(pair_va(60), 0, UVMF_TLB_FLUSH | UVMF_MULTI | 0x10), -XEN_EFAULT);
	assert_int_equal(ext(MMUEXT_INVLPG_LOCAL, HV_HOLE_START, 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_INVLPG_ALL, pair_va(3), 0, DOMID_SELF), 0);
	assert_int_equal(ext(MMUEXT_FLUSH_CACHE, 0, 0, DOMID_SELF), -XEN_EACCES);
	assert_int_equal(ext(MMUEXT_MARK_SUPER, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	assert_int_equal(ext(14, 0, 0, DOMID_SELF), -XEN_ENOSYS);
	pair_run_as(dom0);
	assert_int_equal(ext(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0, DOMID_SELF), 0);
}

/* ---- segments -------------------------------------------------------------------------- */

#define CODE 0x00affb000000ffffull

static long set_gdt(uint64_t frame, uint64_t entries)
{
	return mm_call(__HYPERVISOR_set_gdt, FAKE_PUT(0, frame), entries, 0, 0);
}

static void test_gdt(void **state)
{
	const uint64_t *area = guest->mm.perdomain_l1[0];

	assert_int_equal(set_gdt(other.frame[6].v, 512), -XEN_EINVAL); /* writable */
	pair_make_read_only(&other, 6);
	assert_int_equal(set_gdt(other.frame[6].v, 7169), -XEN_EINVAL);
	assert_int_equal(set_gdt(own.frame[6].v, 8), -XEN_EINVAL);
	assert_int_equal(set_gdt(other.frame[6].v, 8), 0);
	assert_int_equal(pte_mfn(area[0]).v, other.frame[6].v);
	assert_int_equal(pair_map(pair_va(6), pte_make(other.frame[6], RW), 0), -XEN_EBUSY);
	assert_int_equal(set_gdt(0, 0), 0);
	assert_int_equal(area[0], 0);
	assert_int_equal(tables_uses(&other, 6), 0);
}

static long descriptor(const struct tables *t, unsigned i, uint64_t value)
{
	return mm_call(__HYPERVISOR_update_descriptor, tables_maddr(t, i, 3), value, 0, 0);
}

static void test_update_descriptor(void **state)
{
	pair_make_read_only(&other, 6);
	assert_int_equal(set_gdt(other.frame[6].v, 8), 0);
	assert_int_equal(descriptor(&other, 6, CODE & ~(3ull << 45)), 0);
	assert_true(*tables_entry(&other, 6, 3) == CODE);
	assert_int_equal(descriptor(&other, 6, 0x0000ec0000080000), -XEN_EINVAL);
	assert_int_equal(descriptor(&other, 5, CODE), 0);           /* data */
	assert_int_equal(descriptor(&other, 3, CODE), -XEN_EINVAL); /* a table */
	assert_int_equal(descriptor(&own, 6, CODE), -XEN_EINVAL);
	assert_int_equal(update(tables_maddr(&other, 6, 3), CODE, DOMID_SELF), -XEN_EINVAL);
}

static void test_ldt(void **state)
{
	struct vcpu *v = guest->vcpu[0];
	uint64_t area = mm_gdt_base(v) + HV_LDT_OFFSET;

	pair_make_read_only(&other, 7);
	assert_int_equal(ext(MMUEXT_SET_LDT, pair_va(7) + 8, 8, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, pair_va(7), 8193, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, HV_HOLE_START, 8, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(ext(MMUEXT_SET_LDT, pair_va(7), 600, DOMID_SELF), 0);
	assert_int_equal(tables_uses(&other, 7), 0);
	assert_true(mm_page_fault(v, area + 16, 0));
	assert_int_equal(tables_uses(&other, 7), 1);
	assert_false(mm_page_fault(v, area + 16, 0)); /* it is there: the fault is the guest's */
	assert_false(mm_page_fault(v, area + PAGE_SIZE, 0));     /* page 8 is writable */
	assert_false(mm_page_fault(v, area + 2 * PAGE_SIZE, 0)); /* beyond the LDT */
	assert_false(mm_page_fault(v, pair_va(7), 0));
	assert_int_equal(ext(MMUEXT_SET_LDT, 0, 0, DOMID_SELF), 0);
	assert_int_equal(tables_uses(&other, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, pair_setup, pair_teardown)
	    T(update_of_a_table),
	    T(update_refuses),
	    T(upgrade_is_checked),
	    T(update_of_data),
	    T(preserve_ad),
	    T(m2p),
	    T(foreign),
	    T(devices),
	    T(list_stops_at_error),
	    T(list_cut_anywhere),
	    T(va_mapping),
	    T(va_mapping_otherdomain),
	    T(pins),
	    T(foreign_pins),
	    T(roots),
	    T(m2p_in_roots),
	    T(whole_pages),
	    T(flushes),
	    T(gdt),
	    T(update_descriptor),
	    T(ldt),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
