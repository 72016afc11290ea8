/* trap.c: from a trap frame to who deals with it.
 *
 * Called by the common part of entry_native.S on every platform. Exceptions with a fixup continue there,
 * others end in panic.c; interrupts go to irq.c, the hypervisor's upcall to event_dispatch(). What differs
 * between platforms is in trap_native.c and trap_xen.c.
 */
#include <amphi/event.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "kernel_lock.h"
#include "trap_parts.h"
#include "user.h"

#define INSN_HLT     0xf4u
#define VECTOR_DEBUG 1u

/* Where an instruction that may fault goes on instead: section trap_fixups, sorted by nothing, few. The
 * marks have the names that the linker gives a section by itself, for the host test's sake. */
struct fixup {
	int32_t insn, target; /* each from its own address */
};
extern const struct fixup __start_trap_fixups[], __stop_trap_fixups[];

struct percpu trap_percpus[CPUS_MAX];
bool trap_is_native;

/* self first: code that has only %gs reads the address of its own structure from there. */
void trap_percpu_init(unsigned cpu)
{
	struct percpu *percpu = &trap_percpus[cpu];

	percpu->self = percpu;
	percpu->cpu = cpu;
	percpu->kernel_locked = false;
	pv_load_gs_base((uint64_t)(uintptr_t)percpu);
}

static uint64_t at_offset(const int32_t *member)
{
	return (uint64_t)(uintptr_t)member + (uint64_t)(int64_t)*member;
}

static struct trap_fixed last_fixed;

/* Few entries, and only on the way to what would otherwise be a panic: a linear search will do. */
static bool fix_up(struct trap_frame *frame)
{
	for (const struct fixup *f = __start_trap_fixups; f < __stop_trap_fixups; f++)
		if (at_offset(&f->insn) == frame->rip) {
			last_fixed = (struct trap_fixed){frame->vector, frame->error};
			frame->rip = at_offset(&f->target);
			return true;
		}
	return false;
}

struct trap_fixed trap_last_fixed(void)
{
	return last_fixed;
}

/* NMI, double fault and machine check are nobody's doing, wherever they came. */
static bool programs_own(const struct trap_frame *frame)
{
	return user_frame(frame) && frame->vector != 2 && frame->vector != 8 && frame->vector != 18;
}

static trap_step_fn *step;

void trap_set_step(trap_step_fn *fn)
{
	step = fn;
}

/* A program's exception never looks at the kernel's fixups: its rip is its own number, and might
 * be chosen to equal one. */
static void exception(struct trap_frame *frame)
{
	if (programs_own(frame)) {
		kernel_lock();
		user_exception(frame);
	} else if (frame->vector == VECTOR_DEBUG && step) {
		step(frame);
	} else if (!fix_up(frame)) {
		trap_unhandled(frame);
	}
}

/* An interrupt between the idle loop's sti and hlt would go back to the hlt, which then sleeps over the thread that it
 * made ready, and with the kernel lock held. No processor lets one in there (SDM vol. 2, STI), but a hypervisor's exit
 * can: QEMU's TCG loses the delay when a VMRUN resumes the guest between the two. So the hlt has had its interrupt. */
static void leave_halt(struct trap_frame *frame)
{
	if (trap_is_native && *(const uint8_t *)(uintptr_t)frame->rip == INSN_HLT)
		frame->rip++;
}

/* A kernel that does not hold the lock is idle. */
static void enter_from_outside(struct trap_frame *frame)
{
	kernel_lock();
	if (!user_frame(frame))
		leave_halt(frame);
}

/* Interrupts off all the while; handlers mark and wake. Only when the interrupt came out of ring
 * 3 may another thread run before it returns: kernel code is never switched away from between
 * two of its waits, which is what spares it locks. The kernel lock is taken when it came from outside:
 * from ring 3, on the way back to which user.c gives it back, or from the idle loop, which goes on with
 * it. */
void trap_dispatch(struct trap_frame *frame)
{
	if (frame->vector < 32) {
		exception(frame);
		return;
	}
	this_cpu()->irq_count++;
	if (!kernel_locked())
		enter_from_outside(frame);
	if (frame->vector == TRAP_VECTOR_PV_UPCALL ||
	    (frame->vector == TRAP_VECTOR_HVM_UPCALL && boot.platform == BOOT_XEN_PVH))
		event_dispatch();
	else
		irq_dispatch((unsigned)frame->vector);
	if (user_frame(frame))
		user_interrupted();
}

/* The ends of the paths in entry_native.S: the processor's frame is at the top of the stack, every
 * register has its value. To a program by iret or by sysret, or to where the kernel was. */
void trap_return(void);
__attribute__((naked)) void trap_return(void)
{
	PV_TAIL_SITE(PV_cpu_iret, 6);
}

void trap_return_user(void);
__attribute__((naked)) void trap_return_user(void)
{
	PV_BARE_SITE(PV_cpu_swapgs, 6);
	PV_TAIL_SITE(PV_cpu_iret, 6);
}

void trap_return_syscall(void);
__attribute__((naked)) void trap_return_syscall(void)
{
	PV_TAIL_SITE(PV_cpu_sysret, 20);
}

/* For addresses that may have nothing behind them. ok is set by the instruction after the load,
 * which the fixup jumps over. */
bool trap_safe_read64(const void *va, uint64_t *out)
{
	uint64_t value = 0;
	bool ok = false;

	__asm__ volatile("1: mov (%2), %0\n movb $1, %1\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "=&r"(value), "+&q"(ok)
			 : "r"(va)
			 : "memory");
	*out = value;
	return ok;
}

uint64_t trap_irq_count(void)
{
	uint64_t n = 0;

	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		n += trap_percpus[cpu].irq_count;
	return n;
}

uint64_t trap_fault_address(void)
{
	return pv_read_cr2();
}

const char *trap_name(unsigned vector)
{
	static const char *const names[32] = {
	    "divide error",
	    "debug",
	    "NMI",
	    "breakpoint",
	    "overflow",
	    "bound range",
	    "invalid opcode",
	    "device not available",
	    "double fault",
	    "coprocessor overrun",
	    "invalid TSS",
	    "segment not present",
	    "stack fault",
	    "general protection",
	    "page fault",
	    "reserved",
	    "x87 error",
	    "alignment check",
	    "machine check",
	    "SIMD error",
	    "virtualisation",
	    "control protection",
	};

	return vector < 32 && names[vector] ? names[vector] : "reserved";
}
