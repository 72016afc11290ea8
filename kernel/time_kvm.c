/* time_kvm.c: clock of a KVM guest, and the time that was taken from it.
 *
 * Caller: time.c. The timer is the local APIC's, as on a bare machine (time_native.c); the clock is the one
 * that KVM keeps in memory shared with us, which stays right when the guest is moved or stopped. What KVM
 * offers of it was read by platform.c; where it offers no clock everything stays native.
 */
#include <amphi/pvops.h>

#include "boot.h"
#include "clock.h"
#include "clock_shared.h"
#include "console.h"
#include "kvm_para.h"
#include "mm.h"
#include "time.h"

/* KVM writes here: neither crosses a page. */
static struct vcpu_time_info area __attribute__((aligned(64)));
static struct kvm_steal steal;
static uint64_t latest_ns;

/* As Xen's (time_xen.c): two versions' lines need not meet, and the clock must not step back. */
static uint64_t kvm_sched_clock(void)
{
	uint64_t ns = clock_shared_ns(&area, time_tsc);

	if (ns > latest_ns)
		latest_ns = ns;
	return latest_ns;
}

/* Reads memory only: KVM writes it when the processor comes back, so no exit is needed to ask. */
static uint64_t kvm_steal_clock(void)
{
	return kvm_steal_ns(&steal);
}

/* For the log: which of them are used is not the same question. */
static void say_parts(const struct kvm_para *para)
{
	for (enum kvm_part part = 0; part < KVM_PARTS; part++)
		if (para->has[part])
			klog(LOG_DEBUG, "kvm offers %s", kvm_part_name(part));
}

/* The area is filled while the register is written. One that stays empty is no clock. */
static bool start_clock(const struct kvm_para *para)
{
	if (!para->clock_msr)
		return false;
	pv_write_msr(para->clock_msr, virt_to_maddr(&area).v | KVM_MSR_ON);
	return clock_shared_hz(&area) != 0;
}

/* The native clock comes up first, since its timer stays and since it is what remains where KVM
 * has no clock. The steal area begins as zeros, because KVM adds to what it finds there. The
 * rate returned is KVM's own, which is not measured and so not wrong by a few ticks. */
uint64_t clock_init_kvm(void)
{
	uint64_t measured_hz = clock_init_native();
	struct kvm_para para;

	kvm_decode(boot.kvm_features, boot.kvm_hints, &para);
	say_parts(&para);
	if (para.has[KVM_STEAL]) {
		pv_write_msr(KVM_MSR_STEAL, virt_to_maddr(&steal).v | KVM_MSR_ON);
		pvops_provide(PV_time_steal_clock, PV_CALL, (void *)kvm_steal_clock);
	}
	if (!start_clock(&para))
		return measured_hz;
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)kvm_sched_clock);
	return clock_shared_hz(&area);
}
