/* clock.h: between the clock's parts: the common one and one file per platform.
 *
 * Callers: time.c, timers.c. Implemented by time.c (clock_program) and by time_native.c,
 * time_xen.c, time_kvm.c. All with interrupts off.
 */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <amphi/clock_scale.h>
#include <amphi/types.h>

/* Wants time_interrupt() at due_ns or soon after; a moment that has passed means at once. */
void clock_program(uint64_t due_ns);

/* Finds the rate, binds the timer interrupt to time_interrupt, provides the pv time operations.
 * Returns the TSC's ticks in a second. */
uint64_t clock_init_native(void);
uint64_t clock_init_xen(void);
uint64_t clock_init_kvm(void);

/* Several CPUs are there: looks whether their TSCs agree, and provides a clock that can bear it when they do
 * not. Thread context. */
void clock_check_native(void);

/* KVM's clock of the running CPU begins, or ends. False: there is none, or it says nonsense. */
bool clock_cpu_kvm(bool online);

/* Xen: gives the vCPU of percpu its timer's event and its stolen time's area, if it has them not yet. It may
 * be another's, before its first start. 0 or negative XEN_Exxx. */
struct percpu;
int clock_xen_cpu(const struct percpu *percpu);
/* The timer of a further CPU, the one we run on, begins with nothing programmed, or ends. */
void clock_cpu_native(bool online);

/* A Xen domain is about to be suspended: the clock stops. In a new world it goes on from there, however long
 * that took, and the timer is set anew. Interrupts off. */
void clock_stop_xen(void);
void clock_resume_xen(void);
/* What time_ns() is ahead of the hypervisor's clock, modulo 2^64; any context. */
uint64_t clock_offset_xen(void);

#endif
