/* percpu.h: one CPU's own data, as everybody may find it through gs.
 *
 * Two sides: the kernel makes one struct per CPU (kernel/smp.c) and points the CPU's gs base at it before
 * anything else runs there; pvops, hypercall and the kernel's entry code read it. Offsets are part of the
 * contract where assembly uses them. Written by its own CPU only, except where a member says otherwise.
 *
 * Errors: none. Context: any, natively and in a domain; this_cpu() may be kept only while the thread cannot
 * change CPUs: with interrupts off, or in a thread bound to its CPU. Not here: what only one file needs
 * per CPU; it keeps an array of CPUS_MAX of its own.
 */
#ifndef AMPHI_PERCPU_H
#define AMPHI_PERCPU_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define CPUS_MAX 64u

/* For assembly and inline forms: %gs:PERCPU_... */
#define PERCPU_CPU       8
#define PERCPU_KERNEL_SP 24
#define PERCPU_USER_SP   32
#define PERCPU_VCPU_INFO 64

struct percpu {
	struct percpu *self;
	uint32_t cpu; /* our number; the one that booted is 0. Never changes. */
	uint32_t id;  /* the platform's: local APIC id natively, vCPU number in a Xen domain */
	uint64_t irq_count;
	uint64_t kernel_sp; /* entry_native.S: where the current program's system calls begin */
	uint64_t user_sp;   /* and where the program's own stack is put for three instructions */
	/* kernel/kernel_lock.c: whether this CPU holds the kernel's lock; and up to which change of kernel
	 * mappings it has flushed its TLB. */
	uint32_t kernel_locked, tlb_seen;
	void *thread; /* kernel/thread.c: who runs here */
	uint32_t
	    vcpu; /* in a Xen domain: its number to the hypervisor; set by vcpu_xen_register() */
	/* What the hypervisor shares of this vCPU, registered here by VCPUOP_register_vcpu_info; it must not
	 * cross a page, hence the alignment of the whole. Unused natively. */
	struct vcpu_info vcpu_info;
} __attribute__((aligned(128)));
_Static_assert(sizeof(struct vcpu_info) == 64 && PERCPU_VCPU_INFO % 64 == 0, "it crosses no page");
_Static_assert(offsetof(struct percpu, cpu) == PERCPU_CPU, "PERCPU_CPU");
_Static_assert(offsetof(struct percpu, kernel_sp) == PERCPU_KERNEL_SP, "PERCPU_KERNEL_SP");
_Static_assert(offsetof(struct percpu, user_sp) == PERCPU_USER_SP, "PERCPU_USER_SP");
_Static_assert(offsetof(struct percpu, vcpu_info) == PERCPU_VCPU_INFO, "PERCPU_VCPU_INFO");

/* The CPU we run on. */
static inline struct percpu *this_cpu(void)
{
	struct percpu *p;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(p));
	return p;
}

#endif
