/* suspend.c: the steps by which this kernel stops to be carried elsewhere, and comes back.
 *
 * Called by guest_control.c in the worker. Everything above host.h runs in that thread and so stands still
 * by itself; requests that a backend has stay in the frontend's table and are sent again to the next one.
 * Rings are not emptied and connections not closed, so a domain that is let go on where it was (a checkpoint)
 * notices nothing. Calls suspend_order.c, the platform's part, and whoever has to bind anew.
 */
#include <amphi/blkfront.h>
#include <amphi/netfront.h>
#include <amphi/pcifront.h>
#include <amphi/error_name.h>
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "clock.h"
#include "console.h"
#include "host_resume.h"
#include "lock_wait.h"
#include "panic.h"
#include "smp_xen.h"
#include "suspend.h"
#include "time.h"
#include "user.h"
#include "worker.h"

/* ---- the steps ------------------------------------------------------------------------------ */

static bool has_toolstack(void)
{
	return boot_on_xen() && !boot.privileged && boot.store_page;
}

static const char *role_stop(void)
{
	if (pcifront_count())
		return "it has devices of its own";
	return has_toolstack() ? NULL : "nobody could resume this domain";
}

/* Those that were taken down, to be brought up again. */
static bool taken_down[CPUS_MAX];

/* As many as there are come back; one that does not is one CPU less, and no reason to end the domain. */
static void cpus_go_on(enum suspend_end end)
{
	for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
		int error = taken_down[cpu] ? smp_up(cpu) : 0;

		taken_down[cpu] = false;
		if (error && error != -XEN_EBUSY)
			klog(LOG_ERROR, "CPU %u does not come back after the suspend: %s", cpu,
			     error_name(error));
	}
}

/* The worker is on CPU 0, whose registers a toolstack carries; others would have to stand still in the same
 * moment, and being down they do. */
static const char *cpus_stop(void)
{
	for (unsigned cpu = 1; cpu < smp_count(); cpu++) {
		if (smp_state(cpu) != SMP_ONLINE)
			continue;
		if (smp_down(cpu)) {
			cpus_go_on(SUSPEND_SAME_WORLD);
			return "a CPU does not go down";
		}
		taken_down[cpu] = true;
	}
	return NULL;
}

/* What is still in the ring may be thrown away with it. */
static const char *words_stop(void)
{
	console_drain();
	return NULL;
}

/* All are dropped before any begins again. */
static void devices_go_on(enum suspend_end end)
{
	if (end != SUSPEND_NEW_WORLD)
		return;
	netfront_drop();
	blkfront_resume();
	netfront_resume();
}

/* Without it there are no disks and no next suspend, but the domain lives. */
static void store_go_on(enum suspend_end end)
{
	if (end == SUSPEND_NEW_WORLD && host_store_resume())
		klog(LOG_ERROR, "the store does not answer after the suspend");
}

static const char *interrupts_stop(void)
{
	pv_irq_disable();
	return NULL;
}

static void interrupts_go_on(enum suspend_end end)
{
	pv_irq_enable();
}

/* Asked with interrupts off, when nobody can change it any more. A frame of another domain has no number that a
 * toolstack could carry. */
static const char *last_look_stop(void)
{
	if (smp_online() > 1)
		return "a CPU has come up meanwhile";
	return grant_mapped() ? "it has pages of other domains mapped" : NULL;
}

/* What the hypervisor keeps for the program that was here last (I/O rights, tables) is not all carried along: with
 * nobody here, the next is given everything again. */
static const char *programs_stop(void)
{
	user_leave_cpu(NULL);
	return NULL;
}

static void programs_go_on(enum suspend_end end)
{
	if (end == SUSPEND_NEW_WORLD)
		user_cpu_online();
}

static void console_go_on(enum suspend_end end)
{
	if (end == SUSPEND_NEW_WORLD)
		console_resume();
}

static const char *clock_stop(void)
{
	clock_stop_xen();
	return NULL;
}

static void clock_go_on(enum suspend_end end)
{
	if (end == SUSPEND_SAME_WORLD)
		return;
	clock_resume_xen();
	smp_xen_resume();
}

static void events_go_on(enum suspend_end end)
{
	if (end == SUSPEND_SAME_WORLD)
		return;
	event_forget();
	host_event_forget();
	lock_wait_forget();
	lock_wait_cpu_online();
}

static const char *platform_stop(void)
{
	return boot.platform == BOOT_XEN_PV ? suspend_xen_pv_stop() : NULL;
}

static void platform_go_on(enum suspend_end end)
{
	if (boot.platform == BOOT_XEN_PV)
		suspend_xen_pv_go_on(end);
	else
		suspend_xen_pvh_go_on(end);
}

static int64_t leave(void)
{
	return boot.platform == BOOT_XEN_PV ? suspend_xen_pv_leave() : suspend_xen_pvh_leave();
}

/* From the top down to stop; from the bottom up to go on. From "interrupts" on nothing may wait. What each
 * needs on its way back is below it: disks need the store, the store its port, ports the shared page. */
static const struct suspend_step steps[] = {
    {"role", role_stop, NULL},           {"CPUs", cpus_stop, cpus_go_on},
    {"devices", NULL, devices_go_on},    {"store", NULL, store_go_on},
    {"last words", words_stop, NULL},    {"interrupts", interrupts_stop, interrupts_go_on},
    {"last look", last_look_stop, NULL}, {"programs", programs_stop, programs_go_on},
    {"console", NULL, console_go_on},    {"clock", clock_stop, clock_go_on},
    {"events", NULL, events_go_on},      {"platform", platform_stop, platform_go_on},
};

/* ---- all of it ------------------------------------------------------------------------------ */

bool suspend_possible(void)
{
	return has_toolstack();
}

/* Said when all works again: in between there may be no console. */
struct suspend_report suspend_domain(void)
{
	uint64_t start_ns = time_ns();
	struct suspend_report report;

	KASSERT(worker_is_current());
	report = suspend_run(steps, ARRAY_SIZE(steps), leave);
	if (report.why)
		klog(LOG_ERROR, "suspend is refused (%s): %s", report.step, report.why);
	else
		klog(LOG_INFO, "%s after %llu us of our own time",
		     report.end == SUSPEND_NEW_WORLD ? "resumed in a new domain"
						     : "suspend cancelled, going on",
		     (unsigned long long)(time_ns() - start_ns) / NS_PER_US);
	return report;
}
