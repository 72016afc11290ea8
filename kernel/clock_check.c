/* clock_check.c: one CPU's turn of the check.
 *
 * Callers: see clock_check.h. Calls the clock. The latest reading is fetched before the clock is read, so whatever is
 * smaller was read later and says less: that is a step back, and cannot be the time between two
 * instructions.
 */
#include "clock_check.h"

#define READINGS_MAX 100000000u /* the end of a turn by a clock that stands still */

static void add(uint64_t *total, uint64_t n)
{
	(void)__atomic_fetch_add(total, n, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *word, uint64_t value)
{
	uint64_t was = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (value > was && !__atomic_compare_exchange_n(word, &was, value, true,
							   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

/* The fence keeps the reading behind the fetch: rdtsc alone may be executed before a load that precedes it
 * (SDM vol. 2, RDTSC). */
static uint64_t read_after(const struct clock_check *check, uint64_t *out_latest)
{
	*out_latest = __atomic_load_n(&check->latest, __ATOMIC_ACQUIRE);
	__asm__ volatile("lfence" ::: "memory");
	return check->read();
}

void clock_check_turn(struct clock_check *check)
{
	uint64_t start = check->read(), now = start, latest, n = 0, back = 0;

	while (now - start < check->length && n < READINGS_MAX) {
		now = read_after(check, &latest);
		n++;
		if (now < latest) {
			back++;
			raise_to(&check->most_back, latest - now);
			now = latest;
		} else {
			raise_to(&check->latest, now);
		}
	}
	add(&check->readings, n);
	add(&check->back, back);
}
