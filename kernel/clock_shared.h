/* clock_shared.h: the clock that a hypervisor keeps in memory shared with a virtual processor.
 *
 * Callers: time_xen.c and time_kvm.c; host tests. Pure. A moment of the TSC, the system time then, and the
 * rate since, which the hypervisor changes at any time, with an odd version while it does: struct
 * vcpu_time_info of <xen/xen.h>, to which KVM's pvclock area is the same to the byte. Not promised: that
 * two versions' lines meet, nor those of two vCPUs; clock_shared_forward() is for that.
 */
#ifndef KERNEL_CLOCK_SHARED_H
#define KERNEL_CLOCK_SHARED_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include <amphi/clock_scale.h>

#include "time.h"

_Static_assert(sizeof(struct vcpu_time_info) == 32 && offsetof(struct vcpu_time_info, flags) == 29,
	       "KVM's pvclock_vcpu_time_info");

typedef uint64_t clock_tsc_fn(void);

/* System time now. Inline, so that tsc is an instruction and no call. The hypervisor writes on the CPU it
 * runs us on, so we are never between an odd version and the even one for long; but each part must be of
 * one version, the TSC among them: after a migration it is another machine's. */
static inline uint64_t clock_shared_ns(const volatile struct vcpu_time_info *shared,
				       clock_tsc_fn *tsc)
{
	struct clock_scale scale;
	uint64_t ns, stamp, now;
	uint32_t version;

	do {
		version = shared->version;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		scale.mul = shared->tsc_to_system_mul;
		scale.shift = shared->tsc_shift;
		stamp = shared->tsc_timestamp;
		ns = shared->system_time;
		now = tsc();
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} while (version & 1 || version != shared->version);
	return ns + clock_scale_ns(scale, now - stamp);
}

/* A reading so put that no CPU sees a step back, its own last or another's. stable is what the hypervisor
 * says in flags (XEN_PVCLOCK_TSC_STABLE_BIT): all vCPUs' lines are one line, because all TSCs are one. Then
 * *all_ns is only read, and its cache line stays shared; otherwise each reading writes it, which is what a
 * clock costs on such a machine: two vCPUs' lines differ by microseconds there, and a reading that was
 * handed from one to the other is compared with one of the other's. own_ns is this CPU's, and joins the
 * lines of two versions. */
static inline uint64_t clock_shared_forward(bool stable, uint64_t *all_ns, uint64_t *own_ns,
					    uint64_t ns)
{
	uint64_t latest = __atomic_load_n(all_ns, __ATOMIC_RELAXED);

	if (ns < *own_ns)
		ns = *own_ns;
	*own_ns = ns;
	if (stable)
		return ns > latest ? ns : latest;
	while (ns > latest)
		if (__atomic_compare_exchange_n(all_ns, &latest, ns, true, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return ns;
	return latest;
}

/* The inverse of the scale: ticks for 10^9 ns. 0: nobody has written a scale. */
static inline uint64_t clock_shared_hz(const volatile struct vcpu_time_info *shared)
{
	uint32_t mul = shared->tsc_to_system_mul;
	int8_t shift = shared->tsc_shift;
	uint64_t hz = mul ? (NS_PER_S << 32) / mul : 0;

	return shift < 0 ? hz << -shift : hz >> shift;
}

/* Whether that is a clock: a version that stands still before long, and a scale of a processor between 10 MHz
 * and 100 GHz. Asked once, before clock_shared_ns() is ever called: that one waits for the version. */
static inline bool clock_shared_plausible(const volatile struct vcpu_time_info *shared)
{
	uint64_t hz;

	for (unsigned i = 0; shared->version & 1; i++)
		if (i == 1000000)
			return false;
	if (shared->tsc_shift < -31 || shared->tsc_shift > 31)
		return false;
	hz = clock_shared_hz(shared);
	return hz >= 10000000 && hz <= 100000000000;
}

#endif
