/* selftest_cpus.c: the self-test's checks of what holds between CPUs: calls, locks, and one clock.
 *
 * Caller: commands_selftest.c. With one CPU they hold as well, and are checked. What CPUs do at the same time
 * they do in smp_call_all(), in interrupt context, and write into memory of their own or under a lock of the
 * check's own. Which CPUs there are, and that they come and go, is not asked here: the answer is the machine's.
 */
#include <amphi/spinlock.h>
#include <amphi/string.h>

#include "selftest.h"
#include "smp.h"
#include "time.h"

#define ROUNDS 200u

static unsigned called[CPUS_MAX];

static void note_cpu(void *ctx)
{
	called[this_cpu()->cpu]++;
	++*(unsigned *)ctx;
}

static const char *calls(void)
{
	unsigned cpus = 0, want = 0;

	memset(called, 0, sizeof(called));
	for (unsigned cpu = 0; cpu < smp_count(); cpu++) {
		bool online = smp_state(cpu) == SMP_ONLINE;

		WANT(smp_call(cpu, note_cpu, &cpus) == (online ? 0 : -XEN_ENODEV));
		want += online;
		WANT(called[cpu] == online && cpus == want);
	}
	WANT(cpus == smp_online());
	WANT(smp_call(smp_count(), note_cpu, &cpus) == -XEN_ENODEV);
	return NULL;
}

/* What every CPU changes; not atomically, that is the point. */
static struct {
	struct spinlock lock;
	volatile unsigned count;
	uint64_t last_ns;
	bool back;
} shared;

static void add(void *ctx)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		spin_lock(&shared.lock);
		shared.count = shared.count + 1;
		spin_unlock(&shared.lock);
	}
}

static const char *locks(void)
{
	uint64_t flags;

	memset(&shared, 0, sizeof(shared));
	smp_call_all(add, NULL);
	WANT(shared.count == ROUNDS * smp_online());
	flags = irq_save();
	spin_lock(&shared.lock);
	shared.back = spin_trylock(&shared.lock);
	spin_unlock(&shared.lock);
	irq_restore(flags);
	WANT(!shared.back);
	WANT(spin_trylock(&shared.lock));
	spin_unlock(&shared.lock);
	WANT(shared.lock.value == 0);
	return NULL;
}

/* In the order of the lock no CPU may read an earlier time than the one before it did. */
static void read_clock(void *ctx)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now_ns;

		spin_lock(&shared.lock);
		now_ns = time_ns();
		shared.back |= now_ns < shared.last_ns;
		shared.last_ns = now_ns;
		spin_unlock(&shared.lock);
	}
}

static const char *clocks(void)
{
	memset(&shared, 0, sizeof(shared));
	smp_call_all(read_clock, NULL);
	WANT(!shared.back && shared.last_ns > 0);
	return NULL;
}

static const struct selftest tests[] = {
    {"cpus: each is called", calls},
    {"cpus: a lock for all", locks},
    {"cpus: one clock", clocks},
};
const struct selftest_room selftest_cpus = {tests, ARRAY_SIZE(tests)};
