/* pvops_lazy_test.c: what a PV domain puts off happens, in order, all of it, and in few hypercalls.
 *
 * Shows: in lazy mode changes of page tables reach the hypervisor at a flush, at the end, or when there are
 * many, in the order they were asked for, whatever the mixture; 256 pages cost three hypercalls; what
 * wants an answer sends the rest ahead; a switch of programs is one hypercall; other CPUs and other kinds of
 * change are not held up; a refusal later still ends the kernel, by the name of the hypercall; without a
 * page for the queue all is as without it. Why: a change that is lost or overtaken is a page of one program in the
 * hands of another.
 *
 * links: pvops/plan.c pvops/fill.c pvops/xen_pv.c pvops/xen_mmu.c pvops/xen_queue.c pvops/native_cpu.c
 * links: hypercall/multicall.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include "fake_hypercall.h"
#include "fake_percpu.h"
#include "thin_fixture.h"

static jmp_buf on_refused;
static char refused_op[32];
void pvops_refused(const char *op, int64_t error)
{
	strncpy(refused_op, op, sizeof(refused_op) - 1);
	longjmp(on_refused, 1);
}

/* ---- the hypervisor ---------------------------------------------------------------------- */

/* What has happened, in order: one row an effect, as (what, where or which, value). */
struct effect {
	uint64_t what, where, value;
};
#define EFFECTS 4096u
static struct effect effects[EFFECTS], expected[EFFECTS];
static unsigned n_effects, n_expected, n_calls, refuse_nr;

#define MACHINE(va) ((uint64_t)(uintptr_t)(va) + (1ull << 40))

static void happens(uint64_t what, uint64_t where, uint64_t value)
{
	assert_true(n_effects < EFFECTS);
	effects[n_effects++] = (struct effect){what, where, value};
}

static void take_updates(const struct mmu_update *reqs, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = (reqs[i].ptr & ~3ull) - (1ull << 40);

		*(uint64_t *)(uintptr_t)at = reqs[i].val;
		happens(100 + (reqs[i].ptr & 3), at, reqs[i].val);
	}
}

static int64_t one_call(uint64_t nr, const uint64_t *a)
{
	const struct mmuext_op *ops = (const struct mmuext_op *)(uintptr_t)a[0];

	if (nr == refuse_nr)
		return -XEN_EPERM;
	if (nr == __HYPERVISOR_mmu_update)
		take_updates((const struct mmu_update *)(uintptr_t)a[0], a[1]);
	else if (nr == __HYPERVISOR_mmuext_op)
		for (uint64_t i = 0; i < a[1]; i++)
			happens(200 + ops[i].cmd, ops[i].arg1.mfn, 0);
	else
		happens(nr, a[0], a[1]);
	return 0;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	struct multicall_entry *entries = (struct multicall_entry *)(uintptr_t)a1;
	uint64_t args[] = {a1, a2, a3, a4};

	n_calls++;
	if (nr != __HYPERVISOR_multicall)
		return one_call(nr, args);
	for (uint64_t i = 0; i < a2; i++)
		entries[i].result = (xen_ulong_t)one_call(entries[i].op, entries[i].args);
	return 0;
}

/* ---- the kernel -------------------------------------------------------------------------- */

static maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){MACHINE(va)};
}
static mfn_t pfn_to_mfn(pfn_t pfn)
{
	return (mfn_t){1000 + pfn.v};
}
static pfn_t mfn_to_pfn(mfn_t mfn)
{
	return (pfn_t){mfn.v - 1000};
}
static void direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry)
{
	*out_va = pfn.v << PAGE_SHIFT;
	*out_entry = readonly;
}
static bool no_memory;
static void *alloc_page(void)
{
	return no_memory ? NULL : calloc(1, PAGE_SIZE); /* kept, as in the kernel */
}
static const struct pvops_env env = {.virt_to_maddr = virt_to_maddr,
				     .pfn_to_mfn = pfn_to_mfn,
				     .mfn_to_pfn = mfn_to_pfn,
				     .direct_entry = direct_entry,
				     .alloc_page = alloc_page};

static uint64_t table[512];

static int fresh(void **state)
{
	fake_cpu_run_on(0);
	no_memory = false;
	refuse_nr = ~0u;
	pvops_init_xen_pv(&env);
	pv_lazy_mode_enter(), pv_lazy_mode_leave();
	memset(table, 0, sizeof(table));
	n_effects = n_expected = n_calls = 0;
	return 0;
}

static void pages_in_few_calls(void **state)
{
	pv_lazy_mode_enter();
	for (unsigned i = 0; i < 256; i++)
		pv_set_pte(&table[i], i + 1);
	assert_int_equal(table[255], 0);
	pv_lazy_mode_leave();
	assert_int_equal(n_calls, 3);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(table[i], i + 1);
	pv_set_pte(&table[0], 7); /* no longer put off */
	assert_int_equal(n_calls, 4);
	assert_int_equal(table[0], 7);
}

static void a_flush_shows_all(void **state)
{
	pv_lazy_mode_enter();
	pv_set_pmd(&table[1], 1);
	pv_set_pte(&table[2], 2);
	assert_int_equal(n_calls, 0);
	pv_lazy_mode_flush();
	assert_true(n_calls == 1 && table[1] == 1 && table[2] == 2);
	pv_lazy_mode_flush(); /* nothing is no call */
	pv_set_pte(&table[2], 3);
	assert_true(n_calls == 1 && table[2] == 2);
	pv_lazy_mode_leave();
	assert_true(n_calls == 2 && table[2] == 3);
}

/* Answers are wanted at once; what was said before must be true by then. */
static void answers_send_the_rest_ahead(void **state)
{
	const uint64_t value = 5;

	pv_lazy_mode_enter();
	pv_set_pte(&table[1], 4);
	assert_int_equal(pv_set_ptes(&table[1], &value, 1, 3), 0);
	assert_true(table[1] == 5 && n_effects == 2);
	pv_lazy_mode_leave();
	assert_int_equal(n_effects, 2);
}

/* ---- order ------------------------------------------------------------------------------- */

static void expect(uint64_t what, uint64_t where, uint64_t value)
{
	expected[n_expected++] = (struct effect){what, where, value};
}

static void any_change(unsigned which, unsigned i)
{
	uint64_t *entry = &table[i % 512], at = (uintptr_t)entry;

	switch (which) {
	case 0:
		pv_set_pte(entry, i), expect(100, at, i);
		break;
	case 1:
		pv_ptep_modify_prot_commit(entry, i);
		expect(100 + MMU_PT_UPDATE_PRESERVE_AD, at, i);
		break;
	case 2:
		pv_flush_tlb_one(i), expect(200 + MMUEXT_INVLPG_LOCAL, i, 0);
		break;
	case 3:
		pv_alloc_pt(i, 1), expect(__HYPERVISOR_update_va_mapping, i << PAGE_SHIFT, 1);
		break;
	case 4:
		pv_alloc_pt(i, 4), expect(__HYPERVISOR_update_va_mapping, i << PAGE_SHIFT, 1);
		pv_enter_mmap(i);
		expect(200 + MMUEXT_PIN_L4_TABLE, 1000 + i, 0);
		break;
	case 5:
		pv_exit_mmap(i), expect(200 + MMUEXT_UNPIN_TABLE, 1000 + i, 0);
		pv_release_pt(i, 4), expect(__HYPERVISOR_update_va_mapping, i << PAGE_SHIFT, 0);
		break;
	case 6:
		pv_lazy_mode_flush();
		assert_int_equal(n_effects, n_expected);
	}
}

/* Runs of one kind and single ones, so that each of the queue's limits is met. */
static void in_order_whatever_comes(void **state)
{
	unsigned dice = 1;

	for (unsigned round = 0; round < 20; round++) {
		n_effects = n_expected = 0;
		pv_lazy_mode_enter();
		for (unsigned i = 0; i < 200; i++) {
			dice = dice * 1103515245u + 12345u;
			for (unsigned n = dice >> 16 & 1 ? 1 : dice >> 17 & 15; n; n--)
				any_change((dice >> 24) % 7, i * 16 + n);
		}
		pv_lazy_mode_leave();
		assert_int_equal(n_effects, n_expected);
		assert_memory_equal(effects, expected, n_effects * sizeof(effects[0]));
	}
}

/* ---- switches ---------------------------------------------------------------------------- */

static void a_switch_is_one_call(void **state)
{
	uint64_t sp0 = 0, gdt[3] = {1, 2, 3}, tls[3] = {1, 2, 9};

	pv_start_context_switch();
	pv_load_sp0(&sp0, 0x8000);
	pv_activate_mm(0x78000, 0x79000);
	pv_load_tls(gdt, tls);
	pv_set_ldt(table, 4);
	pv_load_fs_base(0x5678);
	pv_load_gs_index(0);
	pv_write_cr0(8);
	pv_clts();
	assert_int_equal(n_calls, 0);
	pv_end_context_switch();
	assert_int_equal(n_calls, 1);
	expect(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, 0x8000);
	expect(200 + MMUEXT_NEW_BASEPTR, 0x78, 0);
	expect(200 + MMUEXT_NEW_USER_BASEPTR, 0x79, 0);
	expect(__HYPERVISOR_update_descriptor, MACHINE(&gdt[2]), 9);
	expect(200 + MMUEXT_SET_LDT, (uintptr_t)table, 0);
	expect(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0x5678);
	expect(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0);
	expect(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER, 0);
	expect(__HYPERVISOR_fpu_taskswitch, 1, 0);
	expect(__HYPERVISOR_fpu_taskswitch, 0, 0);
	assert_int_equal(n_effects, n_expected);
	for (unsigned i = 0; i < n_effects; i++) {
		assert_int_equal(effects[i].what, expected[i].what);
		assert_true(effects[i].where == expected[i].where);
	}
	pv_load_fs_base(1);
	assert_int_equal(n_calls, 2);
}

static void one_kind_does_not_hold_up_the_other(void **state)
{
	uint64_t sp0;

	pv_lazy_mode_enter();
	pv_load_sp0(&sp0, 1);
	assert_int_equal(n_calls, 1);
	pv_lazy_mode_leave();
	pv_start_context_switch();
	pv_set_pte(&table[0], 1);
	assert_int_equal(n_calls, 2);
	pv_end_context_switch();
	assert_int_equal(n_calls, 2);
}

static void cpus_are_lazy_by_themselves(void **state)
{
	pv_lazy_mode_enter();
	pv_set_pte(&table[0], 1);
	fake_cpu_run_on(1);
	pv_set_pte(&table[1], 2);
	assert_true(n_calls == 1 && table[0] == 0 && table[1] == 2);
	pv_lazy_mode_enter();
	pv_set_pte(&table[2], 3);
	pv_lazy_mode_leave();
	assert_true(n_calls == 2 && table[0] == 0 && table[2] == 3);
	fake_cpu_run_on(0);
	pv_lazy_mode_leave();
	assert_true(n_calls == 3 && table[0] == 1);
}

static void without_memory_at_once(void **state)
{
	fake_cpu_run_on(2);
	no_memory = true;
	pv_lazy_mode_enter();
	pv_set_pte(&table[0], 1);
	assert_true(n_calls == 1 && table[0] == 1);
	pv_lazy_mode_leave();
	assert_int_equal(n_calls, 1);
}

static void a_late_refusal_is_one(void **state)
{
	refuse_nr = __HYPERVISOR_update_va_mapping;
	pv_lazy_mode_enter();
	pv_set_pte(&table[0], 1);
	pv_alloc_pt(3, 1);
	if (!setjmp(on_refused)) {
		pv_lazy_mode_leave();
		fail_msg("it went through");
	}
	assert_string_equal(refused_op, "update_va_mapping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(pages_in_few_calls, fresh),
	    cmocka_unit_test_setup(a_flush_shows_all, fresh),
	    cmocka_unit_test_setup(answers_send_the_rest_ahead, fresh),
	    cmocka_unit_test_setup(in_order_whatever_comes, fresh),
	    cmocka_unit_test_setup(a_switch_is_one_call, fresh),
	    cmocka_unit_test_setup(one_kind_does_not_hold_up_the_other, fresh),
	    cmocka_unit_test_setup(cpus_are_lazy_by_themselves, fresh),
	    cmocka_unit_test_setup(without_memory_at_once, fresh),
	    cmocka_unit_test_setup(a_late_refusal_is_one, fresh), /* last: its queue stays full */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
