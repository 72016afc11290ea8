/* suspend_test.c: the steps of a suspend in their order, and who refuses one.
 *
 * Shows: for a PV and a PVH domain, in a new world and in the same, what is done between the toolstack's word and the
 * domain's going on, in which order; that pages of others mapped, a first domain and a bare machine
 * refuse with a reason and leave interrupts on; that a refusal of the call takes everything back. Why:
 * a console that speaks before its port is bound, or a disk before the store, hangs a domain that has come back.
 *
 * links: kernel/suspend.c kernel/suspend_order.c  lib/text.c lib/error_name.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/pcifront.h>

#include <amphi/blkfront.h>
#include <amphi/netfront.h>
#include <amphi/event.h>
#include <amphi/grant.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/host_resume.h"
#include "kernel/panic.h"
#include "kernel/smp_xen.h"
#include "kernel/lock_wait.h"
#include "kernel/suspend.h"
#include "kernel/time.h"
#include "kernel/user.h"
#include "kernel/worker.h"

struct boot_info boot;
struct pv_ops pv_ops;
static char story[256];
static unsigned mapped, devices;
static int64_t answer;
static bool irqs_on;
static unsigned n_cpus, stubborn; /* the CPU that does not go down */
static bool online[4], comes_up_by_itself;

static void say(const char *what)
{
	strcat(story, what);
	strcat(story, irqs_on ? " " : "- ");
}

/* ---- the kernel around it: each says that it was called -------------------------------------- */

static void disable(void)
{
	irqs_on = false;
}

static void enable(void)
{
	irqs_on = true;
}

void netfront_drop(void)
{
	say("net-");
}

void blkfront_resume(void)
{
	say("disks");
}

void netfront_resume(void)
{
	say("net");
}

int host_store_resume(void)
{
	say("store");
	return 0;
}

void lock_wait_forget(void) {}
void lock_wait_cpu_online(void) {}
void host_event_forget(void)
{
	say("slots");
}

void event_forget(void)
{
	say("ports");
}

void console_resume(void)
{
	say("console");
}

void console_drain(void)
{
	say("drain");
}

unsigned smp_count(void)
{
	return n_cpus;
}

unsigned smp_online(void)
{
	unsigned n = comes_up_by_itself;

	for (unsigned cpu = 0; cpu < n_cpus; cpu++)
		n += online[cpu];
	return n;
}

enum smp_state smp_state(unsigned cpu)
{
	return online[cpu] ? SMP_ONLINE : SMP_OFFLINE;
}

static int change(unsigned cpu, bool to, const char *word)
{
	char text[16];

	assert_int_equal(online[cpu], !to);
	online[cpu] = to;
	sprintf(text, "%s%u", word, cpu);
	say(text);
	return 0;
}

int smp_up(unsigned cpu)
{
	return change(cpu, true, "up");
}

int smp_down(unsigned cpu)
{
	return cpu == stubborn ? -XEN_EBUSY : change(cpu, false, "down");
}

void clock_stop_xen(void)
{
	say("clock-stops");
}

void clock_resume_xen(void)
{
	say("clock");
}

unsigned pcifront_count(void)
{
	return devices;
}

unsigned grant_mapped(void)
{
	return mapped;
}

const char *suspend_xen_pv_stop(void)
{
	say("unmap");
	return NULL;
}

int64_t suspend_xen_pv_leave(void)
{
	say("LEAVE");
	return answer;
}

void suspend_xen_pv_go_on(enum suspend_end end)
{
	say(end == SUSPEND_NEW_WORLD ? "new" : "map");
}

int64_t suspend_xen_pvh_leave(void)
{
	say("LEAVE");
	return answer;
}

void suspend_xen_pvh_go_on(enum suspend_end end)
{
	say(end == SUSPEND_NEW_WORLD ? "new" : "same");
}

void user_leave_cpu(struct user_task *task)
{
	assert_null(task);
	say("programs-leave");
}

void user_cpu_online(void)
{
	say("programs");
}

void smp_xen_resume(void)
{
	say("kick");
}

uint64_t time_ns(void)
{
	return 5;
}

bool worker_is_current(void)
{
	return true;
}

void klog(enum log_level level, const char *fmt, ...) {}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	__builtin_unreachable();
}

/* ---- tests ---------------------------------------------------------------------------------- */

static int fresh(void **state)
{
	boot = (struct boot_info){.platform = BOOT_XEN_PV, .store_page = story};
	pv_ops.irq.irq_disable = disable;
	pv_ops.irq.irq_enable = enable;
	mapped = 0;
	irqs_on = true;
	n_cpus = 1;
	stubborn = 9;
	comes_up_by_itself = false;
	online[0] = true;
	return 0;
}

static struct suspend_report run(int64_t what_is_answered)
{
	struct suspend_report report;

	story[0] = '\0';
	answer = what_is_answered;
	report = suspend_domain();
	assert_true(irqs_on);
	return report;
}

/* '-' behind a word: with interrupts off. */
static void a_pv_domain(void **state)
{
	assert_true(suspend_possible());
	assert_int_equal(run(0).end, SUSPEND_NEW_WORLD);
	assert_string_equal(story, "drain programs-leave- clock-stops- unmap- LEAVE- new- ports- "
				   "slots- clock- kick- console- programs- store net- disks net ");
	assert_int_equal(run(1).end, SUSPEND_SAME_WORLD);
	assert_string_equal(story, "drain programs-leave- clock-stops- unmap- LEAVE- map- ");
}

static void a_pvh_domain(void **state)
{
	boot.platform = BOOT_XEN_PVH;
	assert_int_equal(run(0).end, SUSPEND_NEW_WORLD);
	assert_string_equal(story, "drain programs-leave- clock-stops- LEAVE- new- ports- slots- "
				   "clock- kick- console- programs- store net- disks net ");
	assert_int_equal(run(1).end, SUSPEND_SAME_WORLD);
	assert_string_equal(story, "drain programs-leave- clock-stops- LEAVE- same- ");
}

static void pages_of_others(void **state)
{
	struct suspend_report report;

	mapped = 1;
	report = run(0);
	assert_string_equal(report.step, "last look");
	assert_non_null(report.why);
	assert_string_equal(story, "drain ");
}

static void set_cpus(bool second, bool third, bool fourth)
{
	n_cpus = 4;
	online[1] = second, online[2] = third, online[3] = fourth;
}

/* One that was down before stays down. */
static void several_cpus(void **state)
{
	set_cpus(true, false, true);
	boot.platform = BOOT_XEN_PVH;
	assert_int_equal(run(1).end, SUSPEND_SAME_WORLD);
	assert_string_equal(story,
			    "down1 down3 drain programs-leave- clock-stops- LEAVE- same- up1 up3 ");
	assert_int_equal(run(0).end, SUSPEND_NEW_WORLD);
	assert_string_equal(
	    story, "down1 down3 drain programs-leave- clock-stops- LEAVE- new- ports- slots- "
		   "clock- kick- console- programs- store net- disks net up1 up3 ");
}

static void a_cpu_that_stays(void **state)
{
	set_cpus(true, true, true);
	stubborn = 3;
	assert_string_equal(run(0).step, "CPUs");
	assert_string_equal(story, "down1 down2 up1 up2 ");
	stubborn = 9;
	comes_up_by_itself = true;
	assert_string_equal(run(0).step, "last look");
	assert_string_equal(story, "down1 down2 down3 drain up1 up2 up3 ");
}

static void the_call_is_refused(void **state)
{
	struct suspend_report report = run(-38);

	assert_non_null(report.why);
	assert_int_equal(report.end, SUSPEND_SAME_WORLD);
	assert_string_equal(story, "drain programs-leave- clock-stops- unmap- LEAVE- map- ");
}

static void refused(void)
{
	struct suspend_report report = run(0);

	assert_false(suspend_possible());
	assert_string_equal(report.step, "role");
	assert_string_equal(story, "");
}

static void who_cannot(void **state)
{
	boot.privileged = true;
	refused();
	boot.privileged = false;
	boot.store_page = NULL;
	refused();
	boot.store_page = story;
	boot.platform = BOOT_NATIVE;
	refused();
}

/* The toolstack may ask, and is told. */
static void devices_of_its_own(void **state)
{
	struct suspend_report report;

	devices = 1;
	report = run(0);
	devices = 0;
	assert_string_equal(report.step, "role");
	assert_string_equal(report.why, "it has devices of its own");
	assert_string_equal(story, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_pv_domain, fresh),
	    cmocka_unit_test_setup(a_pvh_domain, fresh),
	    cmocka_unit_test_setup(pages_of_others, fresh),
	    cmocka_unit_test_setup(several_cpus, fresh),
	    cmocka_unit_test_setup(a_cpu_that_stays, fresh),
	    cmocka_unit_test_setup(the_call_is_refused, fresh),
	    cmocka_unit_test_setup(who_cannot, fresh),
	    cmocka_unit_test_setup(devices_of_its_own, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
