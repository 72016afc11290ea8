/* time.h: the hypervisor's clock, its timers, and the time guests see.
 *
 * System time is nanoseconds since power-on by the TSC, calibrated once; it never steps back.
 * Timers live in a list per CPU and fire with interrupts off from the timer interrupt or on the way
 * to a guest, never inside the call that sets them. A timer is its owner's memory: stop it before
 * freeing.
 */
#ifndef HV_TIME_H
#define HV_TIME_H

#include <amphi/types.h>

struct vcpu;
struct domain;

struct hv_timer {
	uint64_t due_ns; /* system time */
	void (*fn)(void *ctx);
	void *ctx;
	/* time.c's: */
	struct hv_timer *next;
	uint32_t cpu;
	bool armed;
};

uint64_t time_now_ns(void);
extern uint64_t boot_tsc; /* at entry (boot.S) */
uint32_t time_tsc_khz(void);

/* Arms for due_ns (a time in the past fires soon), or arms anew. fn and ctx were set by the caller.
 */
void timer_set(struct hv_timer *t, uint64_t due_ns);
void timer_stop(struct hv_timer *t);

/* Runs what is due on this CPU and programs the LAPIC for the next; from the interrupt and
 * sched_leave. */
void timers_run(void);

/* Writes v's vcpu_time_info (in its vcpu_info and its registered copy, the latter only while it is the current one). Called
 * when a vCPU gets a vcpu_info. When it starts to run: the same, if the contents have changed since it had them whole, which they
 * do with calibration alone. */
void time_update_vcpu(struct vcpu *v);
void time_refresh_vcpu(struct vcpu *v);

/* XENPF_settime: wall time was seconds.nanoseconds at system_time_ns. */
void time_set_wallclock(uint64_t seconds, uint32_t nanoseconds, uint64_t system_time_ns);

/* vcpu_op's timers: period 0 stops; its range was checked. The caller checked that v is current's or current's domain's.
 */
void time_set_periodic(struct vcpu *v, uint64_t period_ns);
long time_set_singleshot(struct vcpu *v, uint64_t due_ns, bool only_future); /* -XEN_ETIME */
/* VCPUOP_register_vcpu_time_memory_area: guest virtual address of a struct vcpu_time_info. */
long time_register_area(struct vcpu *v, uint64_t va);

/* For sched.c: the timers of a new vCPU; all of them stopped. */
void time_vcpu_init(struct vcpu *v);
void time_vcpu_teardown(struct vcpu *v);

/* hypercall */
long hc_set_timer_op(uint64_t due_ns);

/* Start of the machine. */
void time_init(void);

#endif
