/* time.c: the clock as the kernel sees it, above pv_ops.time.
 *
 * Callers: see time.h. The platform's file (time_native.c, time_xen.c, time_kvm.c) provides the three
 * operations; after that every reading is one patched call. Nothing here differs between platforms.
 */
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "smp_xen.h"
#include "time.h"

/* Before the rate is known a delay assumes a processor this fast, and so waits too long. */
#define FASTEST_TSC_HZ 5000000000ull

static uint64_t tsc_hz;

/* PV and PVH share Xen's clock. KVM's needs the native parts too, for the timer is the APIC's. */
void time_init(void)
{
	if (boot_on_xen())
		tsc_hz = clock_init_xen();
	else
		tsc_hz = boot.platform == BOOT_KVM ? clock_init_kvm() : clock_init_native();
}

static void own_clock(bool online)
{
	clock_cpu_native(online);
	if (boot.platform == BOOT_KVM)
		(void)clock_cpu_kvm(online);
}

void time_cpu_online(void)
{
	if (boot_on_xen())
		smp_xen_cpu_online();
	else
		own_clock(true);
}

void time_cpu_offline(void)
{
	if (!boot_on_xen())
		own_clock(false);
}

/* A hypervisor's clock has its own word on it (clock_shared_forward()). */
void time_check_cpus(void)
{
	if (boot.platform == BOOT_NATIVE)
		clock_check_native();
}

/* 0 until the platform's clock is there: the log wants times before that. */
uint64_t time_ns(void)
{
	return tsc_hz ? pv_sched_clock() : 0;
}

uint64_t time_steal_ns(void)
{
	return tsc_hz ? pv_steal_clock() : 0;
}

uint64_t time_tsc_hz(void)
{
	return tsc_hz;
}

/* One moment, replaced by each call; a moment that is past fires at once. */
void clock_program(uint64_t due_ns)
{
	pv_set_next_event(due_ns);
}

/* By the TSC, which works with interrupts off and before there is a clock. For drivers that wait
 * for a device; anybody who can sleep should. */
void time_delay_us(unsigned us)
{
	uint64_t ticks = (tsc_hz ? tsc_hz : FASTEST_TSC_HZ) / 1000000 * us;
	uint64_t start = time_tsc();

	while (time_tsc() - start < ticks)
		__asm__ volatile("pause");
}
