/* percpu.h: what belongs to one physical CPU, found through GS.
 *
 * While the hypervisor runs, GS's base is this CPU's struct percpu and the guest's own base waits
 * in KERNEL_GS_BASE (entry.S swaps them). Host tests define hv_test_cpus and which of
 * them they are. entry.S knows the offsets of the first fields; they are asserted in cpu.c. What
 * others read and write of a CPU's is theirs under the hypervisor's lock (smp.h).
 */
#ifndef HV_PERCPU_H
#define HV_PERCPU_H

#include <amphi/types.h>

struct vcpu;
struct domain;
struct hv_timer;
struct x86_tss;

#define MAX_CPUS 8u

struct percpu {
	struct percpu *self;  /*  0: so that gs:0 gives the address */
	uint64_t stack_top;   /*  8: of this CPU's hypervisor stack */
	uint64_t regs_top;    /* 16: end of the current vCPU's guest_regs; as TSS.rsp0 */
	uint64_t scratch;     /* 24: entry.S */
	struct vcpu *current; /* whose turn it is; the idle vCPU when nobody's */
	struct vcpu *loaded;  /* whose CR3, segments and FPU are in the CPU; may differ from current
				while idle */
	struct vcpu *idle;
	uint32_t id;
	uint32_t apic_id;
	bool resched;            /* sched_leave must choose again */
	bool locked;             /* it holds the hypervisor's lock; its own field */
	uint32_t looks;          /* of hv_wanted since it has the lock */
	bool outside;            /* in a guest, or waiting: it hears of an interrupt only */
	uint32_t requests;       /* what the lock's holder waits for: ASK_* of smp.h */
	uint32_t flushed;        /* what tlb_clock said at its last full flush */
	struct hv_timer *timers; /* sorted by due time */
	uint64_t counters[8];    /* enum hv_counter; its own to write */
	struct x86_tss *tss;
	void *gdt;    /* this CPU's own GDT page (reserved entries) */
	uint8_t *ist; /* its IST stacks, a page each */
};

enum hv_counter {
	CNT_HYPERCALLS,
	CNT_UPCALLS,
	CNT_EXCEPTIONS,
	CNT_IRQS,
	CNT_SWITCHES,
	CNT_EMULATED,
	CNT_PAGE_FAULTS,
	CNT_TIMERS,
	CNT_COUNT
};

#ifdef AMPHI_HOST_TEST
extern struct percpu hv_test_cpus[MAX_CPUS];
extern __thread unsigned hv_test_cpu; /* which of them the thread is */
#define hv_percpu      hv_test_cpus
#define hv_test_percpu hv_test_cpus[0]
static inline struct percpu *this_cpu(void)
{
	return &hv_test_cpus[hv_test_cpu];
}
#else
extern struct percpu hv_percpu[MAX_CPUS];
static inline struct percpu *this_cpu(void)
{
	struct percpu *p;

	__asm__("movq %%gs:0, %0" : "=r"(p));
	return p;
}
#endif

static inline struct vcpu *current_vcpu(void)
{
	return this_cpu()->current;
}

/* Needs domain.h at the place of use. */
#define current_domain() (current_vcpu()->domain)

static inline void count(enum hv_counter c)
{
	this_cpu()->counters[c]++;
}

static inline uint64_t count_all(enum hv_counter c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		n += hv_percpu[i].counters[c];
	return n;
}

#endif
