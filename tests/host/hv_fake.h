/* hv_fake.h: a machine for the hypervisor's own code to run on, inside a host program.
 *
 * RAM is ordinary memory, guests' virtual memory is one arena that all fake vCPUs see at the same
 * address, the scheduler and the clock do what the test says, and the console is a buffer. Real
 * are: dispatch, events, grants, domains, domctl and (where linked) memory management. Used by
 * tests/host/hv_*_test.c and tests/fuzz/hv_*_fuzz.c; implemented in hv_fake.c and hv_fake_cpu.c.
 */
#ifndef HV_FAKE_H
#define HV_FAKE_H

#include <setjmp.h>

#include "hypervisor/domain.h"
#include "hypervisor/guest.h"
#include "hypervisor/percpu.h"

#define FAKE_FIRST_FRAME 0x100u /* frames below are no RAM, as on a machine */
#define FAKE_FRAMES      2048u

/* Guest addresses that can be reached; everything else faults. */
#define FAKE_GUEST_BASE 0x400000ull
#define FAKE_GUEST_SIZE 0x40000ull

struct fake {
	unsigned wakes;    /* calls of vcpu_wake */
	int preempt_after; /* hypercall_preempt says yes after so many noes; < 0: never */
	uint64_t now_ns;
	char log[4096]; /* what hv_printk wrote, newest kept, newline after each */
	bool machine_ended;
	jmp_buf *on_machine_end; /* where machine_off goes; NULL: the test fails */
	uint32_t pirqs_bound;    /* bit n: pirq n */

	unsigned tlb_flushes;
	uint64_t flushed_vcpus; /* of the last flush that a guest asked for */
	void (*on_flush)(
	    void); /* after the CPU has forgotten all translations; NULL: nobody asks */
};
extern struct fake fake;

/* Once in a process, before all else. */
void fake_start(void);

/* fake_start's part in hv_fake.c. */
void fake_memory_start(void);

/* The current vCPU from now on; NULL: the idle one. */
void fake_run(struct vcpu *v);

/* A domain with vCPUs that are up and may own max_pages frames, not paused. The first one made
 * becomes domain 0 and current. Fails the program when it cannot be had. */
struct domain *fake_domain(unsigned max_vcpus, unsigned max_pages);

/* Kills it, gives the last reference back; the idle vCPU becomes current. */
void fake_domain_end(struct domain *d);

/* A place in the guests' arena: its address, and our pointer to it. */
uint64_t fake_guest_va(const void *p);
void *fake_guest_ptr(uint64_t va);
extern uint8_t fake_arena[FAKE_GUEST_SIZE];

/* Copies an object to the arena's start plus offset and returns its guest address. */
uint64_t fake_put(size_t offset, const void *object, size_t size);

/* A frame of d's, its machine frame number. */
mfn_t fake_frame(struct domain *d);
uint64_t fake_free_pages(void);

/* The table that mm has loaded. */
mfn_t fake_root(void);

#define FAKE_PUT(offset, object) fake_put((offset), &(object), sizeof(object))

#endif
