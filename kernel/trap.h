/* trap.h: exceptions and interrupts, on every platform.
 *
 * Callers: boot (trap_init_native, trap_init_xen_pv), the kernel's timers and machine.c (vectors), panic. Entered from
 * entry_native.S and entry_xen.S, which make the same struct trap_frame. Interrupt handlers run with
 * interrupts off on the stack of whoever was interrupted: they mark and wake.
 *
 * An exception with a fixup (a table in trap.c) continues there; any other goes to
 * trap_unhandled(), which does not return.
 */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include <amphi/fixup.h>
#include <amphi/types.h>

/* In the order entry*.S pushes it; from error down it is the processor's own frame. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_VECTOR_PV_UPCALL 256u /* the hypervisor's event callback, in frame->vector */
#define TRAP_VECTOR_HVM_UPCALL                                                                     \
	240u /* the same in a PVH domain: a vector that irq.c never gives out */

#define TRAP_VECTOR_SYSCALL 257u /* a program's system call, entry_*.S */

/* Boot: GDT, IDT or trap table, callbacks, per-CPU base. Interrupts off. */
void trap_init_native(void);
void trap_init_xen_pv(void);

/* Natively: a free interrupt vector whose handler fn(ctx) is called with interrupts off, after which
 * the local APIC is told. -XEN_ENOSPC; -XEN_ENOSYS on PV. */
typedef void irq_fn(void *ctx);
int irq_vector_alloc(irq_fn *fn, void *ctx, uint8_t *out_vector);
/* count (a power of 2) of them in a row, the first a multiple of count; vector i of them is for fn(ctx[i]). */
int irq_vectors_alloc(irq_fn *fn, void *const *ctx, unsigned count, uint8_t *out_first);

/* Natively: one of the 16 lines of the old interrupt controller (serial: 4), unmasked. -XEN_EBUSY,
 * -XEN_EINVAL; -XEN_ENOSYS on PV, where pirqs are bound by event_bind_pirq(). */
int irq_legacy_bind(unsigned irq, irq_fn *fn, void *ctx);

/* Interrupts and upcalls taken since start, by all CPUs. */
uint64_t trap_irq_count(void);

/* The name of exception vector 0..31. */
const char *trap_name(unsigned vector);

/* The faulting address of the last page fault of this CPU. */
uint64_t trap_fault_address(void);

/* Reads a word that may not be mapped: false on a fault. */
bool trap_safe_read64(const void *va, uint64_t *out);

/* The last exception that was dealt with so. */
struct trap_fixed {
	uint64_t vector, error;
};
struct trap_fixed trap_last_fixed(void);

/* In a PV domain: while fn is not NULL it is called for each debug exception of kernel code, with events masked, and may
 * change the frame, which is returned to. For selftest_upcall.c, which steps. */
typedef void trap_step_fn(struct trap_frame *frame);
void trap_set_step(trap_step_fn *fn);

/* kernel/panic.c: says what happened, with a backtrace from the frame, and ends the kernel. */
void trap_unhandled(const struct trap_frame *frame) __attribute__((noreturn));

#endif
