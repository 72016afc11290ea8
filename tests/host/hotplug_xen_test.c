/* hotplug_xen_test.c: CPUs follow what the toolstack writes, and only what it writes.
 *
 * Shows: at the first call of the watch every CPU's node is looked at; later only the one that has changed; what is
 * as wanted is left alone; nodes that are missing or say something else are no wish; names that are no number, and
 * numbers that are no CPU's, do no harm; an error is a log line. Why: a wrong wish takes a CPU away.
 *
 * links: kernel/hotplug_xen.c lib/printf.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host.h>
#include "kernel/console.h"
#include "kernel/hotplug_xen.h"
#include "kernel/smp.h"
#include "kernel/thread.h"
#include "kernel/worker.h"

static const char *nodes[CPUS_MAX];
static enum smp_state states[CPUS_MAX];
static unsigned n_cpus, n_ups, n_downs, n_reads, n_warnings;
static int down_error;
static bool taken_before_us;
static host_watch_fn *watch_fn;
static void (*thread_fn)(void *ctx);
static jmp_buf on_wait;

unsigned smp_count(void)
{
	return n_cpus;
}

enum smp_state smp_state(unsigned cpu)
{
	return states[cpu];
}

int smp_up(unsigned cpu)
{
	n_ups++;
	states[cpu] = SMP_ONLINE;
	return 0;
}

int smp_down(unsigned cpu)
{
	n_downs++;
	if (!down_error || taken_before_us)
		states[cpu] = SMP_OFFLINE;
	return down_error;
}

int host_store_read(uint32_t tx, const char *path, char *out, size_t cap)
{
	unsigned cpu;

	n_reads++;
	assert_int_equal(sscanf(path, "cpu/%u/availability", &cpu), 1);
	assert_true(cpu < n_cpus);
	if (!nodes[cpu])
		return -XEN_ENOENT;
	return snprintf(out, cap, "%s", nodes[cpu]);
}

int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out_watch)
{
	assert_string_equal(path, "cpu");
	watch_fn = fn;
	fn(ctx, path);
	return 0;
}

int worker_call(int (*fn)(void *ctx), void *ctx)
{
	return fn(ctx);
}

struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx)
{
	thread_fn = fn;
	return (struct thread *)fn;
}

unsigned long wait_enter(void)
{
	return 0;
}

void wait_leave(unsigned long flags) {}

/* The thread has nothing left to do. */
bool wait_sleep(struct wait_queue *q, uint64_t deadline_ns)
{
	longjmp(on_wait, 1);
}

void wait_wake(struct wait_queue *q) {}

void klog(enum log_level level, const char *fmt, ...)
{
	n_warnings += level == LOG_WARN;
}

const char *error_name(int error);
const char *error_name(int error)
{
	return "";
}

static void run(void)
{
	n_ups = n_downs = n_reads = n_warnings = 0;
	if (!setjmp(on_wait))
		thread_fn(NULL);
}

static int fresh(void **state)
{
	n_cpus = 4;
	down_error = 0;
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		states[i] = i < n_cpus ? SMP_ONLINE : SMP_ABSENT;
		nodes[i] = i < 2 ? "online" : "offline";
	}
	assert_int_equal(hotplug_xen_start(), 0);
	run();
	return 0;
}

static void at_first_all(void **state)
{
	assert_int_equal(n_reads, 4);
	assert_int_equal(n_downs, 2);
	assert_int_equal(n_ups, 0);
	assert_true(states[1] == SMP_ONLINE && states[2] == SMP_OFFLINE &&
		    states[3] == SMP_OFFLINE);
}

static void then_what_has_changed(void **state)
{
	nodes[3] = "online";
	states[2] = SMP_ONLINE; /* by hand, against an old wish: it stays */
	watch_fn(NULL, "cpu/3/availability");
	run();
	assert_true(n_reads == 1 && n_ups == 1 && n_downs == 0);
	assert_true(states[3] == SMP_ONLINE && states[2] == SMP_ONLINE);
	watch_fn(NULL, "cpu/3/availability"); /* as it is already */
	run();
	assert_true(n_reads == 1 && n_ups == 0 && n_downs == 0);
	nodes[3] = nodes[1] = "offline"; /* two at once */
	watch_fn(NULL, "cpu/3/availability");
	watch_fn(NULL, "cpu/1/availability");
	run();
	assert_true(n_downs == 2 && states[3] == SMP_OFFLINE && states[1] == SMP_OFFLINE);
}

static void no_wish(void **state)
{
	nodes[1] = "perhaps";
	nodes[2] = NULL;
	watch_fn(NULL, "cpu/1/availability");
	watch_fn(NULL, "cpu/2/availability");
	run();
	assert_true(n_reads == 2 && n_ups == 0 && n_downs == 0);
}

static void names(void **state)
{
	static const char *const nobody[] = {"cpu/4/availability", "cpu/64/availability",
					     "cpu/4294967297/availability",
					     "cpu/99999999999999999999/availability"};

	for (unsigned i = 0; i < 4; i++) {
		watch_fn(NULL, nobody[i]);
		run();
		assert_int_equal(n_reads, 0);
	}
	watch_fn(NULL, "cpu/x"); /* something: look at all */
	run();
	assert_int_equal(n_reads, 4);
	assert_int_equal(n_ups + n_downs, 0);
}

static void what_cannot_be_is_said(void **state)
{
	down_error = -XEN_EINVAL;
	nodes[0] = "offline";
	watch_fn(NULL, "cpu/0/availability");
	run();
	assert_int_equal(n_warnings, 1);
}

/* The prompt was quicker: what was wished is so, and nobody is warned. */
static void done_by_another(void **state)
{
	down_error = -XEN_EBUSY;
	taken_before_us = true;
	nodes[1] = "offline";
	watch_fn(NULL, "cpu/1/availability");
	run();
	assert_true(n_downs == 1 && n_warnings == 0);
	taken_before_us = false;
	nodes[0] = "offline"; /* busy for another reason */
	watch_fn(NULL, "cpu/0/availability");
	run();
	assert_int_equal(n_warnings, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(at_first_all, fresh),
	    cmocka_unit_test_setup(then_what_has_changed, fresh),
	    cmocka_unit_test_setup(no_wish, fresh),
	    cmocka_unit_test_setup(names, fresh),
	    cmocka_unit_test_setup(what_cannot_be_is_said, fresh),
	    cmocka_unit_test_setup(done_by_another, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
