/* selftest_threads.c: the self-test's checks of threads, wait queues, timers and the clock.
 *
 * Caller: commands_selftest.c. Times are only ever compared from below: nothing may come early; how late a busy
 * host makes it is nobody's fault. Threads made here have ended when their check returns.
 */
#include <amphi/string.h>

#include "selftest.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define WORKERS   3u
#define PATIENCE  (10 * NS_PER_S) /* after which something has been lost */
#define CLOCK_MAX 5000u

/* What happened, in order, as letters. */
static char story[32];
static struct wait_queue queue, told;
static unsigned n_waiting, n_ended;
static bool go;

static void note(char letter)
{
	size_t len = strlen(story);

	if (len + 1 < sizeof(story)) {
		story[len] = letter;
		story[len + 1] = '\0';
	}
}

static void begin(void)
{
	memset(story, 0, sizeof(story));
	n_waiting = n_ended = 0;
	go = false;
}

static bool is_story(const char *want)
{
	return !strcmp(story, want);
}

static void end_one(void)
{
	n_ended++;
	wait_wake(&told);
}

static bool all_ended(unsigned n)
{
	return WAIT_UNTIL_DEADLINE(&told, n_ended == n, time_ns() + PATIENCE);
}

static void take_turns(void *ctx)
{
	note(*(const char *)ctx);
	thread_yield();
	note((char)(*(const char *)ctx - 'a' + 'A'));
	end_one();
}

/* A thread runs at its maker's next wait, and those that yield take turns in order. */
static const char *turns(void)
{
	begin();
	WANT(thread_create("selftest", take_turns, (void *)"a"));
	WANT(thread_create("selftest", take_turns, (void *)"b"));
	WANT(is_story(""));
	WANT(all_ended(2));
	WANT(is_story("abAB"));
	return NULL;
}

static void wait_for_go(void *ctx)
{
	n_waiting++;
	wait_wake(&told);
	WAIT_UNTIL(&queue, go);
	note(*(const char *)ctx);
	end_one();
}

/* First come, first woken; a wake without a reason wakes nobody for good. */
static const char *waits(void)
{
	static const char names[WORKERS + 1] = "xyz";

	begin();
	for (unsigned i = 0; i < WORKERS; i++)
		WANT(thread_create("selftest", wait_for_go, (void *)(uintptr_t)&names[i]));
	WANT(WAIT_UNTIL_DEADLINE(&told, n_waiting == WORKERS, time_ns() + PATIENCE));
	wait_wake(&queue);
	thread_yield();
	WANT(is_story(""));
	go = true;
	wait_wake(&queue);
	WANT(all_ended(WORKERS));
	WANT(is_story("xyz"));
	return NULL;
}

static const char *deadlines(void)
{
	uint64_t due_ns = time_ns() + 2 * NS_PER_MS;

	WANT(!WAIT_UNTIL_DEADLINE(&queue, false, due_ns));
	WANT(time_ns() >= due_ns);
	due_ns = time_ns() + NS_PER_MS;
	thread_sleep_ns(NS_PER_MS);
	WANT(time_ns() >= due_ns);
	return NULL;
}

static int answer(void *ctx)
{
	return worker_is_current() ? *(int *)ctx + 1 : -1;
}

static const char *worker(void)
{
	int question = 41;

	WANT(!worker_is_current());
	WANT(worker_call(answer, &question) == 42);
	return NULL;
}

/* ---- timers and the clock ------------------------------------------------------------- */

struct alarm {
	struct timer timer;
	char letter;
	bool early;
};

static void ring(void *ctx)
{
	struct alarm *alarm = ctx;

	alarm->early = time_ns() < alarm->timer.due_ns;
	note(alarm->letter);
	end_one();
}

/* Set out of order, moved once, and one taken back; with interrupts off, or on a machine that stands still between two
 * lines the first would ring before the last is set. */
static const char *timers(void)
{
	struct alarm a = {.letter = 'a'}, b = {.letter = 'b'}, c = {.letter = 'c'},
		     lost = {.letter = '?'};
	struct alarm *all[] = {&c, &a, &lost, &b};
	unsigned long flags = wait_enter();
	uint64_t now_ns = time_ns();

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		all[i]->timer.fn = ring;
		all[i]->timer.ctx = all[i];
	}
	timer_set(&c.timer, now_ns + 60 * NS_PER_MS);
	timer_set(&b.timer, now_ns + 40 * NS_PER_MS);
	timer_set(&lost.timer, now_ns + 30 * NS_PER_MS);
	timer_set(&a.timer, now_ns + 100 * NS_PER_MS);
	timer_set(&a.timer, now_ns + 20 * NS_PER_MS);
	timer_cancel(&lost.timer);
	wait_leave(flags);
	WANT(all_ended(3));
	WANT(is_story("abc"));
	WANT(!a.early && !b.early && !c.early);
	WANT(time_ns() >= now_ns + 60 * NS_PER_MS);
	return NULL;
}

/* A moment that is past is not one that is missed. */
static const char *past(void)
{
	struct alarm alarm = {.timer = {.fn = ring}, .letter = 'p'};

	begin();
	alarm.timer.ctx = &alarm;
	timer_set(&alarm.timer, 1);
	WANT(all_ended(1));
	return NULL;
}

static const char *monotonic(void)
{
	uint64_t last_ns = time_ns(), now_ns, tsc = time_tsc();

	for (unsigned i = 0; i < CLOCK_MAX; i++) {
		now_ns = time_ns();
		WANT(now_ns >= last_ns);
		last_ns = now_ns;
	}
	WANT(time_tsc() > tsc);
	WANT(time_tsc_hz() > 1000000);
	return NULL;
}

static const struct selftest tests[] = {
    {"threads: turns", turns},
    {"threads: wait queues", waits},
    {"threads: deadlines", deadlines},
    {"threads: worker", worker},
    {"timers: in order, none early", timers},
    {"timers: the past", past},
    {"time: monotonic", monotonic},
};
const struct selftest_room selftest_threads = {tests, ARRAY_SIZE(tests)};
