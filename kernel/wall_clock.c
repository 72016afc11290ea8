/* wall_clock.c: asks whoever knows the date on this platform, and adds the time since.
 *
 * Callers: see wall_clock.h. Calls rtc.c, and reads what the hypervisors share: a moment of the world's time
 * that belongs to zero of their system clock, under a version as in clock_shared.h. All are asked anew each
 * time: the host's clock may be set while we run, and after a resume it is another host's.
 */
#include <amphi/pvops.h>

#include "boot.h"
#include "clock.h"
#include "io.h"
#include "kvm_guest.h"
#include "mm.h"
#include <amphi/rtc.h>
#include "time.h"
#include "wall_clock.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71
#define READS_MAX  64u /* a version that stays odd for longer is a broken host's */

/* The index port's top bit would mask NMIs; it is left clear. */
static uint8_t read_cmos(unsigned reg)
{
	io_out8(CMOS_INDEX, (uint8_t)reg);
	return io_in8(CMOS_DATA);
}

/* False: no version that stood still, or a time of nobody's. */
static bool read_versioned(const volatile uint32_t *version, const volatile uint32_t *sec,
			   const volatile uint32_t *nsec, uint32_t sec_hi, uint64_t *out_ns)
{
	uint32_t before;
	unsigned reads = 0;

	do {
		before = *version;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		*out_ns = ((uint64_t)sec_hi << 32 | *sec) * NS_PER_S + *nsec;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((before & 1 || before != *version) && ++reads < READS_MAX);
	return reads < READS_MAX && *out_ns;
}

static bool read_xen(uint64_t *out_ns)
{
	const volatile struct shared_info *s = boot.shared_info;

	return read_versioned(&s->wc_version, &s->wc_sec, &s->wc_nsec, s->wc_sec_hi, out_ns);
}

/* KVM writes the area while the register is written, once (msr.rst, MSR_KVM_WALL_CLOCK_NEW); its moment is
 * that of kvmclock's zero, so it is of use only where time_ns() is that clock. */
static bool read_kvm(uint64_t *out_ns)
{
	static volatile struct {
		uint32_t version, sec, nsec;
	} area __attribute__((aligned(16)));

	if (!kvm_para.clock_msr)
		return false;
	pv_write_msr(kvm_para.clock_msr == KVM_MSR_CLOCK ? KVM_MSR_WALL : KVM_MSR_WALL_OLD,
		     virt_to_maddr((const void *)(uintptr_t)&area).v);
	return read_versioned(&area.version, &area.sec, &area.nsec, 0, out_ns);
}

static bool read_rtc(uint64_t *out_ns)
{
	uint64_t seconds;

	if (boot.acpi.no_rtc || !rtc_seconds(read_cmos, boot.acpi.rtc_century, &seconds))
		return false;
	*out_ns = seconds * NS_PER_S;
	return true;
}

uint64_t wall_clock_ns(const char **out_source)
{
	uint64_t ns;

	if (boot_on_xen()) {
		*out_source = "xen";
		/* A moment of the hypervisor's clock; ours stood still while we were suspended. */
		return read_xen(&ns) ? ns + time_ns() - clock_offset_xen() : 0;
	}
	*out_source = "kvm";
	if (boot.platform == BOOT_KVM && read_kvm(&ns))
		return ns + time_ns();
	*out_source = "rtc";
	return read_rtc(&ns) ? ns : 0;
}
