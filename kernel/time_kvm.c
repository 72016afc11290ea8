/* time_kvm.c: clock of a KVM guest.
 *
 * Caller: time.c, for each CPU. The timer is the local APIC's, as on a bare machine (time_native.c); the clock is the one
 * that KVM keeps in memory shared with us, which stays right when the guest is moved or stopped. What KVM
 * offers of it was read by kvm_guest.c; where it offers no clock everything stays native.
 */
#include <amphi/percpu.h>
#include <amphi/pvops.h>

#include "clock.h"
#include "clock_shared.h"
#include "console.h"
#include "kvm_guest.h"
#include "mm.h"
#include "time.h"

/* KVM writes here; none crosses a page. latest_ns: what this CPU has read last. */
static struct {
	struct vcpu_time_info area;
	uint64_t latest_ns;
} __attribute__((aligned(64))) cpus[CPUS_MAX];
static uint64_t latest_ns; /* of all CPUs, where their clocks are not one */

static uint64_t kvm_sched_clock(void)
{
	unsigned cpu = this_cpu()->cpu;
	const volatile struct vcpu_time_info *area = &cpus[cpu].area;
	uint64_t ns = clock_shared_ns(area, time_tsc);

	return clock_shared_forward(kvm_para.clock_stable &&
					area->flags & XEN_PVCLOCK_TSC_STABLE_BIT,
				    &latest_ns, &cpus[cpu].latest_ns, ns);
}

/* On the CPU whose clock it is. The area is filled while the register is written; one that stays empty, or
 * is filled with what is no scale, is no clock. */
bool clock_cpu_kvm(bool online)
{
	struct vcpu_time_info *area = &cpus[this_cpu()->cpu].area;

	if (!kvm_para.clock_msr)
		return false;
	pv_write_msr(kvm_para.clock_msr, online ? virt_to_maddr(area).v | KVM_MSR_ON : 0);
	return online && clock_shared_plausible(area);
}

/* The native clock comes up first, since its timer stays and since it is what remains where KVM
 * has no clock. The rate returned is KVM's own, which is not measured and so not wrong by a few
 * ticks. */
uint64_t clock_init_kvm(void)
{
	uint64_t measured_hz = clock_init_native();

	kvm_guest_init();
	if (!clock_cpu_kvm(true)) {
		if (kvm_para.clock_msr)
			klog(LOG_WARN, "KVM's clock says nothing that can be: the TSC is used");
		kvm_para.clock_msr = 0;
		return measured_hz;
	}
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)kvm_sched_clock);
	return clock_shared_hz(&cpus[0].area);
}
