/* pvops_thunks_test.c: the short operations of a PV domain keep every register they promise to keep.
 *
 * Shows: the assembled irq_enable and restore_fl, run here as they are, set the mask byte, fetch a
 * waiting event by exactly one hypercall and not without one, and leave all registers as they
 * were even though the hypercall spoils what a hypercall may; so do the inline forms of save_fl and
 * irq_disable, and those of read_fl and read_cr2 but for rax. Why: a site of such an operation is compiled as if
 * nothing else changed.
 *
 * links: pvops/plan.c pvops/fill.c pvops/xen_pv.c pvops/xen_mmu.c pvops/xen_queue.c
 * links: hypercall/multicall.c hypercall/count.c pvops/native_cpu.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include "fake_hypercall.h"
#include "pvops/lock.h"
#include "fake_percpu.h"

#define INFO (&fake_cpus[0].vcpu_info)

/* The file itself: its pages and its code become part of this program. */
__asm__(".include \"pvops/thunks.S\"\n .text\n");

/* The file itself: its code becomes part of this program. */
__asm__(".include \"pvops/thin.S\"\n .text\n");

void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve) {}
static unsigned n_calls;

void pvops_refused(const char *op, int64_t error)
{
	fail_msg("%s refused", op);
	__builtin_unreachable();
}

static uint64_t set_at, set_to; /* by the last mmu_update */

/* A hypercall may change these; the hypervisor's stub keeps rcx and r11, but who trusts it. */
static int64_t spoil(void)
{
	__asm__ volatile("mov $0xbad, %%ecx; mov %%rcx, %%rdx; mov %%rcx, %%rsi; mov %%rcx, %%rdi; "
			 "mov %%rcx, %%r8;"
			 "mov %%rcx, %%r9; mov %%rcx, %%r10; mov %%rcx, %%r11" ::
			     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
	return 0;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr == __HYPERVISOR_mmu_update) {
		const struct mmu_update *req = (const struct mmu_update *)(uintptr_t)a1;

		set_at = req->ptr, set_to = req->val;
		return spoil();
	}
	if (nr == __HYPERVISOR_mmuext_op) {
		set_to = ((const struct mmuext_op *)(uintptr_t)a1)->arg1.linear_addr;
		return spoil();
	}
	assert_int_equal(nr, __HYPERVISOR_xen_version);
	assert_int_equal(a1, 0);
	assert_int_equal(a2, 0);
	assert_int_equal(INFO->evtchn_upcall_mask, 0); /* unmasked before the call */
	n_calls++;
	INFO->evtchn_upcall_pending = 0; /* delivered */
	return spoil();
}

struct registers {
	uint64_t rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rax;
};

/* run_with(fn, in, out): loads all registers from in, calls fn, stores them to out. */
void run_with(void *fn, const struct registers *in, struct registers *out);
__asm__(
    ".globl run_with\nrun_with:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "push %rdx; mov %rdi, %rbp; mov %rsi, %rax\n"
    "mov 0(%rax), %rbx; mov 8(%rax), %rcx; mov 16(%rax), %rdx; mov 24(%rax), %rsi; mov 32(%rax), "
    "%rdi\n"
    "mov 40(%rax), %r8; mov 48(%rax), %r9; mov 56(%rax), %r10; mov 64(%rax), %r11; mov 72(%rax), "
    "%r12\n"
    "mov 80(%rax), %r13; mov 88(%rax), %r14; mov 96(%rax), %r15; mov 104(%rax), %rax\n"
    "call *%rbp\n"
    "xchg %rax, (%rsp)\n" /* rax on the stack, out in rax */
    "mov %rbx, 0(%rax); mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rsi, 24(%rax); mov %rdi, "
    "32(%rax)\n"
    "mov %r8, 40(%rax); mov %r9, 48(%rax); mov %r10, 56(%rax); mov %r11, 64(%rax); mov %r12, "
    "72(%rax)\n"
    "mov %r13, 80(%rax); mov %r14, 88(%rax); mov %r15, 96(%rax); pop %rcx; mov %rcx, 104(%rax)\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

#define RAX 0x123456789abcdefull

static uint64_t run(void *fn, uint64_t rdi)
{
	struct registers in = {1, 2, 3, 4, rdi, 6, 7, 8, 9, 10, 11, 12, 13, RAX}, out;

	n_calls = 0;
	run_with(fn, &in, &out);
	assert_memory_equal(&in, &out, offsetof(struct registers, rax));
	return out.rax;
}

/* The same for what keeps rax too. */
static void run_bare(void *fn)
{
	assert_int_equal(run(fn, 5), RAX);
}

/* The two whose word is on the stack, as functions with the word in rdi and rax. fn in its own memory, as all
 * registers are looked at. */
void *stacked_fn;
void restore_word(void), save_word(void);
__asm__("restore_word: push %rdi; call *stacked_fn(%rip); ret\n"
	"save_word: call *stacked_fn(%rip); pop %rax; ret\n");

static uint64_t saved(void)
{
	stacked_fn = (void *)pv_ops.irq.save_fl;
	return run((void *)save_word, 5);
}

static void restore(uint64_t word)
{
	stacked_fn = (void *)pv_ops.irq.restore_fl;
	assert_int_equal(run((void *)restore_word, word), RAX);
}

/* Those of page tables, with their arguments as sites push them; in memory, as all registers are looked at. */
struct {
	void *fn;
	uint64_t first, second, address; /* as they are pushed */
} stacked;
void stacked_both(void), stacked_load(void), stacked_one(void), stacked_store(void);
__asm__("stacked_both: pushq stacked+8(%rip); pushq stacked+16(%rip); call *stacked(%rip)\n"
	"popq stacked+16(%rip); ret\n"
	"stacked_load: pushq stacked+24(%rip); call *stacked(%rip); popq stacked+16(%rip); ret\n"
	"stacked_one: pushq stacked+8(%rip); call *stacked(%rip); ret\n"
	"stacked_store: pushq stacked+8(%rip); push %rdi; mov stacked+24(%rip), %rdi\n"
	"call *stacked(%rip); ret\n");

static uint64_t both(uint64_t (*fn)(uint64_t, uint64_t), uint64_t value, uint64_t other)
{
	stacked.fn = (void *)fn, stacked.first = other, stacked.second = value;
	assert_int_equal(run((void *)stacked_both, 5), RAX);
	return stacked.second;
}

static pfn_t mfn_to_pfn(mfn_t mfn)
{
	return (pfn_t){mfn.v - 1000};
}
static mfn_t pfn_to_mfn(pfn_t pfn)
{
	return (mfn_t){pfn.v + 1000};
}
static maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}
static const struct pvops_env env = {
    .mfn_to_pfn = mfn_to_pfn, .pfn_to_mfn = pfn_to_mfn, .virt_to_maddr = virt_to_maddr};

static int fresh(void **state)
{
	*INFO = (struct vcpu_info){0};
	pvops_init_xen_pv(&env);
	return 0;
}

static void enable_without_an_event(void **state)
{
	INFO->evtchn_upcall_mask = 1;
	run_bare((void *)pv_ops.irq.irq_enable);
	assert_int_equal(INFO->evtchn_upcall_mask, 0);
	assert_int_equal(n_calls, 0);
}

static void enable_with_an_event(void **state)
{
	uint64_t before = hypercall_counts[__HYPERVISOR_xen_version];

	INFO->evtchn_upcall_pending = INFO->evtchn_upcall_mask = 1;
	run_bare((void *)pv_ops.irq.irq_enable);
	assert_int_equal(n_calls, 1);
	assert_int_equal(INFO->evtchn_upcall_mask, 0);
	assert_int_equal(hypercall_counts[__HYPERVISOR_xen_version], before + 1);
}

static void restore_both_ways(void **state)
{
	uint64_t on = saved(), off;

	INFO->evtchn_upcall_mask = 1;
	off = saved();
	restore(off);
	assert_int_equal(INFO->evtchn_upcall_mask, 1);
	restore(on);
	assert_int_equal(INFO->evtchn_upcall_mask, 0);
	assert_int_equal(n_calls, 0); /* nothing waits */
	restore(off);
	INFO->evtchn_upcall_pending = 1;
	restore(off);
	assert_int_equal(n_calls, 0); /* off stays off, whatever waits */
	restore(on);
	assert_int_equal(INFO->evtchn_upcall_mask, 0);
	assert_int_equal(n_calls, 1);
	INFO->evtchn_upcall_mask = 0xff;
	restore(saved()); /* any mask but zero is a mask */
	assert_int_not_equal(INFO->evtchn_upcall_mask, 0);
}

static void disable_and_save(void **state)
{
	assert_true(run((void *)pv_ops.irq.read_fl, 5) & PV_FLAGS_IF);
	run_bare((void *)pv_ops.irq.irq_disable);
	assert_int_equal(INFO->evtchn_upcall_mask, 1);
	assert_false(run((void *)pv_ops.irq.read_fl, 5) & PV_FLAGS_IF);
	assert_int_equal(n_calls, 0);
	INFO->evtchn_upcall_mask = 0xff; /* any mask but zero is a mask */
	assert_false(run((void *)pv_ops.irq.read_fl, 5) & PV_FLAGS_IF);
}

static void fault_address(void **state)
{
	INFO->arch.cr2 = 0x123456789abc;
	assert_int_equal(run((void *)pv_ops.mmu.read_cr2, 5), 0x123456789abc);
}

static void entries(void **state)
{
	uint64_t entry = 7;

	assert_int_equal(both(pv_ops.mmu.pte_val, 1005 << 12 | 0x63, ~0xfffull), 5 << 12);
	assert_int_equal(both(pv_ops.mmu.make_pte, 5 << 12, 0x63), 1005 << 12 | 0x63);
	set_at = set_to = 0;
	stacked.fn = (void *)pv_ops.mmu.flush_tlb_one, stacked.first = 0xabc;
	run_bare((void *)stacked_one);
	assert_int_equal(set_to, 0xabc);
	stacked.fn = (void *)pv_ops.mmu.set_pte;
	stacked.first = 0x1234, stacked.address = (uintptr_t)&entry;
	run_bare((void *)stacked_store);
	assert_true(set_at == (uintptr_t)&entry && set_to == 0x1234);
	stacked.fn = (void *)pv_ops.mmu.ptep_modify_prot_commit;
	run_bare((void *)stacked_store);
	assert_true(set_at == ((uintptr_t)&entry | MMU_PT_UPDATE_PRESERVE_AD) && set_to == 0x1234);
	stacked.fn = (void *)pv_ops.mmu.ptep_modify_prot_start;
	run_bare((void *)stacked_load);
	assert_int_equal(stacked.second, 7);
}

/* As the kernel's code has them: through the sites, unpatched. */
static void through_call_sites(void **state)
{
	uint64_t flags;

	pv_irq_enable();
	assert_true(irqs_enabled());
	flags = irq_save();
	assert_false(irqs_enabled());
	irq_restore(flags);
	assert_true(irqs_enabled());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(enable_without_an_event, fresh),
	    cmocka_unit_test_setup(enable_with_an_event, fresh),
	    cmocka_unit_test_setup(restore_both_ways, fresh),
	    cmocka_unit_test_setup(disable_and_save, fresh),
	    cmocka_unit_test_setup(fault_address, fresh),
	    cmocka_unit_test_setup(entries, fresh),
	    cmocka_unit_test_setup(through_call_sites, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
