/* time.h: the kernel's clock and its timers.
 *
 * Callers: threads (deadlines), worker (delayed work), shell, machine.c (delays). The clock is the
 * TSC scaled to nanoseconds: by the hypervisor's own figures in a PV domain, by a short
 * calibration natively. One one-shot timer of the platform, reached through pv_ops.time, serves a
 * list of timers. Not a calendar: it does not know the date.
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* Finds the clock's rate and binds the timer interrupt. Once, from kmain, interrupts off. */
void time_init(void);

/* Nanoseconds since some moment before start; never steps back. Any context after time_init;
 * 0 before. */
uint64_t time_ns(void);

/* Nanoseconds in which this CPU was ready to run and the hypervisor ran another; 0 where nobody tells. */
uint64_t time_steal_ns(void);

/* Ticks of the TSC in a second; 0 before time_init. */
uint64_t time_tsc_hz(void);

/* The processor's time stamp counter. Any context. */
static inline uint64_t time_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Busy wait; any context. Before time_init it assumes a fast clock and so waits longer. */
void time_delay_us(unsigned us);

struct timer {
	/* IN; fn is called in interrupt context, interrupts off: it may mark and wake. */
	void (*fn)(void *ctx);
	void *ctx;
	/* the list's */
	uint64_t due_ns;
	struct timer *next;
	unsigned cpu; /* whose list */
	bool queued;
};

/* Calls timer->fn once when time_ns() >= due_ns, on this CPU; sets it anew when it was set already.
 * Any context. The timer is the caller's and must stay until it ran or was cancelled. */
void timer_set(struct timer *timer, uint64_t due_ns);
void timer_cancel(struct timer *timer);

/* From the platform's timer interrupt, interrupts off. */
void time_interrupt(void);

/* A CPU comes: its clock and its one-shot timer begin. On that CPU, interrupts off, kernel lock held. The
 * boot CPU's are time_init()'s. */
void time_cpu_online(void);

/* Another CPU is there: whether its clock is like the others'. Thread context. */
void time_check_cpus(void);

/* And goes, likewise; its timers are taken over by another with timers_take(), once it has stopped. */
void time_cpu_offline(void);
void timers_take(unsigned cpu);

#endif
