/* trap_test.c: each frame goes to who deals with it, and what may fault comes back.
 *
 * Shows: trap_safe_read64, run here with a signal handler in the processor's place, continues after its
 * fault and says so; an exception without a fixup, and one whose address is beside a
 * fixup, end in trap_unhandled; upcalls and interrupts reach their dispatchers and are counted, those of
 * programs too; the kernel lock is taken by what comes from outside and by nothing else. Why: the
 * page walk of a panic and every look into the m2p stand on the fixup table.
 *
 * links: kernel/trap.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <asm/prctl.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/pvops.h>
#include "kernel/boot.h"
#include "kernel/kernel_lock.h"
#include "kernel/trap_parts.h"
#include "kernel/user.h"

struct pv_ops pv_ops;
struct boot_info boot;
static unsigned n_upcalls, last_vector, n_unhandled, n_user_exceptions, n_user_interrupts;
static jmp_buf on_unhandled;

void event_dispatch(void)
{
	n_upcalls++;
}

struct spinlock kernel_lock_word;
uint32_t kernel_tlb_changes;
static unsigned n_waits, n_flushes;

void kernel_lock_wait(void)
{
	n_waits++;
}

void kernel_tlb_flush(void)
{
	n_flushes++;
	this_cpu()->tlb_seen = kernel_tlb_changes;
}

static void release(void)
{
	this_cpu()->kernel_locked = false;
	kernel_lock_word.value = 0;
}

void irq_dispatch(unsigned vector)
{
	last_vector = vector;
}

void user_exception(struct trap_frame *frame)
{
	n_user_exceptions++;
	release();
}

void user_interrupted(void)
{
	n_user_interrupts++;
	release(); /* as on the way back to ring 3 */
}

void trap_unhandled(const struct trap_frame *frame)
{
	n_unhandled++;
	longjmp(on_unhandled, 1);
}

static void load_gs_base(uint64_t base)
{
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, base), 0);
}

static uint64_t read_cr2(void)
{
	return 0x4711;
}

/* The processor's part: a fault becomes a frame. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct trap_frame frame = {.vector = 14, .rip = (uint64_t)regs[REG_RIP]};

	trap_dispatch(&frame);
	regs[REG_RIP] = (greg_t)frame.rip;
}

static int set_up(void **state)
{
	pv_ops.cpu.load_gs_base = load_gs_base;
	pv_ops.mmu.read_cr2 = read_cr2;
	trap_percpu_init(0);
	return 0;
}

/* In the test itself: cmocka has put its own handler there before. */
static void take_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

static void memory_that_is_there(void **state)
{
	uint64_t word = 0x1122334455667788, out = 0;

	assert_true(trap_safe_read64(&word, &out));
	assert_true(out == word);
}

static void memory_that_is_not(void **state)
{
	char *page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t out = 1;

	take_faults();
	assert_int_equal(mprotect(page, 4096, PROT_READ), 0);
	assert_true(trap_safe_read64(page + 4088, &out));
	assert_false(trap_safe_read64(page + 4096, &out));
	assert_false(trap_safe_read64(page + 4089, &out)); /* the last seven bytes are missing */
	assert_false(trap_safe_read64((void *)0xffff800000000000ull, &out));
	assert_false(trap_safe_read64((void *)0x0123456789abcdefull, &out)); /* no address at all */
	munmap(page, 8192);
}

static bool is_unhandled(uint64_t vector, uint64_t rip)
{
	struct trap_frame frame = {.vector = vector, .rip = rip};
	unsigned before = n_unhandled;

	if (!setjmp(on_unhandled))
		trap_dispatch(&frame);
	return n_unhandled > before;
}

static void what_nobody_expects(void **state)
{
	assert_true(is_unhandled(14, 0x1000));
	assert_true(is_unhandled(6, (uint64_t)(uintptr_t)trap_safe_read64 + 1));
	assert_true(is_unhandled(0, 0));
}

static void interrupts_and_upcalls(void **state)
{
	struct trap_frame frame = {.vector = TRAP_VECTOR_PV_UPCALL};
	uint64_t before = trap_irq_count();

	trap_dispatch(&frame);
	assert_int_equal(n_upcalls, 1);
	frame.vector = 0x31;
	trap_dispatch(&frame);
	assert_int_equal(last_vector, 0x31);
	assert_int_equal(n_upcalls, 1);
	assert_int_equal(trap_irq_count(), before + 2);
	assert_int_equal(n_user_interrupts, 0);
}

/* The vector of a PVH domain's upcall is an interrupt like others on a bare machine. */
static void the_upcall_of_a_pvh_domain(void **state)
{
	struct trap_frame frame = {.vector = TRAP_VECTOR_HVM_UPCALL};
	unsigned before = n_upcalls;

	trap_dispatch(&frame);
	assert_int_equal(n_upcalls, before);
	assert_int_equal(last_vector, TRAP_VECTOR_HVM_UPCALL);
	boot.platform = BOOT_XEN_PVH;
	trap_dispatch(&frame);
	assert_int_equal(n_upcalls, before + 1);
	boot.platform = BOOT_NATIVE;
}

/* What interrupts a program may take the CPU from it; what a program does wrong is its own affair, but for
 * an NMI or a double fault, which are never its doing. */
static void programs(void **state)
{
	struct trap_frame frame = {.vector = 0x31, .cs = 3};

	trap_dispatch(&frame);
	assert_int_equal(n_user_interrupts, 1);
	frame.vector = 14;
	trap_dispatch(&frame);
	assert_int_equal(n_user_exceptions, 1);
	if (!setjmp(on_unhandled)) {
		frame.vector = 8;
		trap_dispatch(&frame);
	}
	assert_int_equal(n_user_exceptions, 1);
}

/* The lock is taken on the way in from outside, once: from a program, from the idle loop, which keeps it; and
 * not by what comes in the middle of the kernel. */
static void the_lock_on_the_way_in(void **state)
{
	struct trap_frame frame = {.vector = 0x31};
	unsigned waits = n_waits, interrupts = n_user_interrupts;
	uint64_t word;

	release();
	trap_dispatch(&frame); /* idle */
	assert_true(kernel_locked());
	assert_int_equal(kernel_lock_word.value, 1);
	trap_dispatch(&frame); /* the kernel */
	assert_int_equal(n_waits, waits);
	release();
	frame.cs = 3;
	trap_dispatch(&frame);
	assert_int_equal(n_user_interrupts, interrupts + 1);
	kernel_lock_word.value = 1; /* another CPU's */
	trap_dispatch(&frame);
	assert_int_equal(n_waits, waits + 1);
	frame.vector = 14;
	kernel_lock_word.value = 1;
	trap_dispatch(&frame);
	assert_int_equal(n_waits, waits + 2);
	assert_false(kernel_locked());
	take_faults();
	assert_false(trap_safe_read64((void *)0xffff800000000000ull, &word));
	assert_int_equal(n_waits, waits + 2);
	assert_int_equal(kernel_lock_word.value, 0);
}

/* One that an emulator lets in between sti and hlt has been waited for: the idle loop goes on behind the hlt. Nowhere
 * else, and not in a PV domain, which has none. */
static void the_idle_loops_halt(void **state)
{
	static const uint8_t code[] = {0xf4, 0xfa};
	const uint64_t hlt = (uint64_t)(uintptr_t)code;
	struct trap_frame frame = {.vector = 0x31, .rip = hlt};

	release();
	trap_is_native = false;
	trap_dispatch(&frame);
	assert_int_equal(frame.rip, hlt);
	release();
	trap_is_native = true;
	trap_dispatch(&frame);
	assert_int_equal(frame.rip, hlt + 1);
	release();
	trap_dispatch(&frame);
	assert_int_equal(frame.rip, hlt + 1);
	frame.rip = hlt; /* the kernel, which holds the lock */
	trap_dispatch(&frame);
	assert_int_equal(frame.rip, hlt);
	release();
	frame.cs = 3;
	trap_dispatch(&frame);
	assert_int_equal(frame.rip, hlt);
	trap_is_native = false;
}

/* What others have unmapped is flushed before anything else is done. */
static void the_flush_on_the_way_in(void **state)
{
	struct trap_frame frame = {.vector = 0x31, .cs = 3};

	trap_dispatch(&frame);
	assert_int_equal(n_flushes, 0);
	kernel_tlb_changes++;
	trap_dispatch(&frame);
	trap_dispatch(&frame);
	assert_int_equal(n_flushes, 1);
}

/* Each CPU counts for itself, and the sum is told. */
static void cpus_have_their_own(void **state)
{
	struct trap_frame frame = {.vector = 0x31};
	uint64_t before = trap_irq_count();

	release();
	trap_percpu_init(3);
	assert_int_equal(this_cpu()->cpu, 3);
	assert_ptr_equal(this_cpu(), &trap_percpus[3]);
	trap_dispatch(&frame);
	assert_int_equal(this_cpu()->irq_count, 1);
	assert_int_equal(trap_irq_count(), before + 1);
	release();
	trap_percpu_init(0);
	trap_dispatch(&frame);
	assert_int_equal(trap_percpus[3].irq_count, 1);
	assert_int_equal(trap_irq_count(), before + 2);
}

static void names(void **state)
{
	assert_string_equal(trap_name(14), "page fault");
	assert_string_equal(trap_name(0), "divide error");
	assert_string_equal(trap_name(31), "reserved");
	assert_string_equal(trap_name(400), "reserved");
	assert_int_equal(trap_fault_address(), 0x4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_that_is_there),
	    cmocka_unit_test(memory_that_is_not),
	    cmocka_unit_test(what_nobody_expects),
	    cmocka_unit_test(interrupts_and_upcalls),
	    cmocka_unit_test(the_upcall_of_a_pvh_domain),
	    cmocka_unit_test(programs),
	    cmocka_unit_test(the_idle_loops_halt),
	    cmocka_unit_test(the_lock_on_the_way_in),
	    cmocka_unit_test(the_flush_on_the_way_in),
	    cmocka_unit_test(cpus_have_their_own),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
