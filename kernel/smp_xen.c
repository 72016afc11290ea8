/* smp_xen.c: vCPUs of a Xen domain: how those of a PV domain come and go, and what PV's and PVH's have of
 * Xen.
 *
 * Called by smp.c. A PV vCPU is made by VCPUOP_initialise with everything a processor would have to be told
 * (page table, gates, stack, gs) and begins as if it had always been in 64-bit mode. That works once:
 * afterwards it goes down by a call and, brought up again, goes on after that call. A PVH vCPU is started
 * like a bare machine's (smp_native.c) and meets Xen here. Both are kicked by an event channel, in a
 * PVH domain too: one hypercall, where the emulated APIC's interrupt would cost an exit for each of its two
 * registers here and one for its end there.
 */
#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include <xen/arch-x86/cpuid.h>

#include "boot.h"
#include "clock.h"
#include "console.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "platform.h"
#include "smp.h"
#include "smp_xen.h"
#include "trap_parts.h"
#include "vcpu_xen.h"

#define CONTEXT_PAGES ((unsigned)PAGES_FOR(sizeof(struct vcpu_guest_context)))

/* By our number. Nothing of it is taken back when a CPU goes down: it finds it again. */
static struct vcpu {
	bool registered;  /* its vcpu_info is in struct percpu */
	bool initialised; /* PV: it goes on in park() from now on */
	port_t ipi;
} vcpus[CPUS_MAX];

/* entry_xen.S: the stack that park() goes on with, by our number. */
uint64_t smp_xen_stacks[CPUS_MAX];

/* ---- what every vCPU has ----------------------------------------------------------------------- */

static int share_info(struct percpu *percpu, unsigned vcpu)
{
	mfn_t frame = {virt_to_maddr(percpu).v >> PAGE_SHIFT};
	int error;

	if (percpu->cpu == 0 || vcpus[percpu->cpu].registered)
		return 0;
	error = vcpu_xen_register(percpu, vcpu, frame);
	vcpus[percpu->cpu].registered = !error;
	return error;
}

/* All is in the kick's having come: the way into the kernel looks at the queue and the calls. */
static void kicked(void *ctx) {}

static void kick(struct percpu *percpu)
{
	event_notify(vcpus[percpu->cpu].ipi);
}

/* Without them the CPU would be there and neither be woken nor have a clock. */
void smp_xen_cpu_online(void)
{
	struct percpu *self = this_cpu();
	port_t *ipi = &vcpus[self->cpu].ipi;
	int error = clock_xen_cpu(self);

	if (!error && !ipi->v)
		error = event_bind_ipi(self->vcpu, kicked, NULL, ipi);
	if (error)
		panic("vCPU %u gets no events (%d)", self->vcpu, error);
}

void smp_xen_resume(void)
{
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		vcpus[cpu] = (struct vcpu){0};
	smp_xen_cpu_online();
}

/* ---- PV ---------------------------------------------------------------------------------------- */

/* The domain's builder made them all, numbered without a gap; those that it wants down for now are told by
 * the store (hotplug_xen.c). The one we boot on is number 0. */
static unsigned pv_find(uint32_t *ids, unsigned max)
{
	unsigned n = 1;

	ids[0] = this_cpu()->vcpu;
	while (n < max && hypercall_vcpu_op(VCPUOP_is_up, n, NULL) >= 0) {
		ids[n] = n;
		n++;
	}
	return n;
}

/* What the boot CPU was given by the builder and by its own hypercalls. GDT and LDT are ring 3's, which
 * loads them on its CPU before the first program. */
static void fill_context(struct vcpu_guest_context *ctx, struct percpu *percpu, uint64_t stack_top)
{
	ctx->flags = VGCF_in_kernel | VGCF_failsafe_disables_events;
	ctx->user_regs.cs = FLAT_KERNEL_CS;
	ctx->user_regs.ss = ctx->user_regs.ds = ctx->user_regs.es = FLAT_KERNEL_SS;
	ctx->user_regs.rip = (uint64_t)(uintptr_t)smp_xen_entry;
	ctx->user_regs.rsp = stack_top;
	ctx->kernel_ss = FLAT_KERNEL_SS;
	ctx->kernel_sp = stack_top;
	ctx->ctrlreg[3] = xen_pfn_to_cr3(virt_to_maddr(mm_top).v >> PAGE_SHIFT);
	ctx->gs_base_kernel = (uint64_t)(uintptr_t)percpu;
	trap_xen_context(ctx);
}

static int initialise(struct percpu *percpu, uint64_t stack_top)
{
	struct vcpu_guest_context *ctx = pages_alloc(CONTEXT_PAGES);
	int error;

	if (!ctx)
		return -XEN_ENOMEM;
	fill_context(ctx, percpu, stack_top);
	error = (int)hypercall_vcpu_op(VCPUOP_initialise, percpu->id, ctx);
	pages_free(ctx, CONTEXT_PAGES);
	return error;
}

/* Its share of the memory first: registered while it is down, its mask is set before it runs. */
static int pv_start(struct percpu *percpu, void *stack_top)
{
	struct vcpu *v = &vcpus[percpu->cpu];
	int error = share_info(percpu, percpu->id);

	percpu->self = percpu;
	smp_xen_stacks[percpu->cpu] = (uint64_t)(uintptr_t)stack_top;
	if (!error && !v->initialised)
		error = initialise(percpu, smp_xen_stacks[percpu->cpu]);
	if (error)
		return error;
	v->initialised = true;
	return (int)hypercall_vcpu_op(VCPUOP_up, percpu->id, NULL);
}

/* entry_xen.S has a stack for it. */
void smp_xen_begin(void)
{
	trap_init_cpu_xen_pv();
	smp_started();
}

static void pv_park(void) __attribute__((noreturn));
static void pv_park(void)
{
	smp_xen_park(this_cpu()->vcpu, &smp_xen_stacks[this_cpu()->cpu]);
}

/* From the moment it counts as down it runs no instruction of ours, and none before used a stack. */
static bool pv_parked(struct percpu *percpu)
{
	return hypercall_vcpu_op(VCPUOP_is_up, percpu->id, NULL) == 0;
}

/* A domain may take down any of its vCPUs but the last. */
static void pv_stop(struct percpu *percpu)
{
	(void)hypercall_vcpu_op(VCPUOP_down, percpu->id, NULL);
}

static const struct smp_platform pv_platform = {
    .find = pv_find,
    .start = pv_start,
    .kick = kick,
    .park = pv_park,
    .parked = pv_parked,
    .stop = pv_stop,
};

/* ---- PVH ---------------------------------------------------------------------------------------- */

/* The vCPU's own number, which hypercalls want and the APIC's id is not. A Xen that does not tell it gives
 * the APIC of vCPU n the id 2n. */
static unsigned pvh_number(const struct percpu *percpu)
{
	struct platform_found found = {0};
	uint32_t regs[4] = {0};

	platform_look(pv_cpuid, &found);
	regs[0] = found.xen_base + 4;
	pv_cpuid(regs);
	return regs[0] & XEN_HVM_CPUID_VCPU_ID_PRESENT ? regs[1] : percpu->id / 2;
}

void smp_xen_cpu_begin(struct percpu *percpu)
{
	int error = share_info(percpu, pvh_number(percpu));

	if (error)
		panic("the share of vCPU %u in memory is refused (%d)", percpu->vcpu, error);
}

/* The CPU that asks has its clock already, and others will kick it. In a PVH domain INIT and startup interrupts
 * go to the APIC that Xen emulates. */
const struct smp_platform *smp_xen_platform(void)
{
	static struct smp_platform pvh_platform;

	smp_xen_cpu_online();
	if (boot.platform == BOOT_XEN_PV)
		return &pv_platform;
	pvh_platform = smp_native_platform;
	pvh_platform.kick = kick;
	return &pvh_platform;
}
