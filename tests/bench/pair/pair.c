/* pair.c: how fast the two halves of a disk's ring are on this machine, ours beside a virtio ring driven the same way.
 *
 * A host program, run by tests/bench/pair.sh: it forks, so that front and back run at the same time on two processors and meet in
 * shared memory alone; the lines are a machine's cache's, and noisy: it is no bar. Of time there is that on the wall, which a machine that is
 * busy with others makes long, and that of the processors while they had something to do. Cache misses come from the processor's counters where
 * the system lends them; else pair.sh runs it under cachegrind, by words: RING REQUESTS. Calls pair_blkif.c and pair_virtio.c, which are
 * the two rings.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pair.h"

#define SECONDS 2

/* A line of the cache for each word, so that it is not their neighbourhood that is measured. */
static struct shared {
	_Alignas(64) volatile int bell[2][16];
	_Alignas(64) volatile int stop;
	volatile int64_t misses[2];
	volatile uint64_t busy_ns[2];
} * shared;
enum pair_side pair_side;
static uint64_t done, generator;
static uint64_t wanted; /* requests; 0: as many as the time allows */

void *pair_memory(unsigned pages)
{
	void *p =
	    mmap(NULL, pages * 4096ul, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

void pair_ring(enum pair_side side)
{
	__atomic_store_n(&shared->bell[side][0], 1, __ATOMIC_SEQ_CST);
}

void pair_done(unsigned requests)
{
	done += requests;
}

uint64_t pair_next_slot(void)
{
	generator = generator * 6364136223846793005ull + 1442695040888963407ull;
	return (generator >> 33) % PAIR_SLOTS;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* -1: this system has none to lend. */
static int misses_open(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_CACHE_MISSES,
				       .exclude_kernel = 1};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static bool is_over(uint64_t end_ns)
{
	return wanted ? done >= wanted : now_ns(CLOCK_MONOTONIC) > end_ns;
}

/* One side. The processor is given away now and then: there may be fewer than two. */
static void turn(void (*step)(void), uint64_t end_ns)
{
	int counter = misses_open();
	uint64_t from, busy = 0;
	unsigned idle = 0;

	while (!shared->stop) {
		if (__atomic_exchange_n(&shared->bell[pair_side][0], 0, __ATOMIC_SEQ_CST)) {
			from = now_ns(CLOCK_THREAD_CPUTIME_ID);
			step();
			busy += now_ns(CLOCK_THREAD_CPUTIME_ID) - from;
			idle = 0;
		} else if (++idle % 1024 == 0) {
			sched_yield();
		}
		if (pair_side == PAIR_GUEST && idle % 1024 == 0 && is_over(end_ns))
			shared->stop = 1;
	}
	shared->busy_ns[pair_side] = busy;
	if (counter < 0 || read(counter, (void *)&shared->misses[pair_side], 8) != 8)
		shared->misses[pair_side] = -1;
	close(counter);
}

static void print(const char *what, uint64_t ns)
{
	int64_t misses = shared->misses[0] < 0 || shared->misses[1] < 0
			     ? -1
			     : shared->misses[0] + shared->misses[1];

	printf("@pair %s requests_per_s=%.0f busy_ns_per_request=%.0f misses_per_request=", what,
	       (double)done * 1e9 / (double)ns,
	       (double)(shared->busy_ns[0] + shared->busy_ns[1]) / (double)done);
	if (misses < 0)
		printf("unknown\n");
	else
		printf("%.2f\n", (double)misses / (double)done);
}

void pair_run(const char *what, void (*begin)(void), void (*step[2])(void))
{
	uint64_t from;
	int status;
	pid_t child;

	fflush(stdout);
	shared->stop = shared->bell[0][0] = shared->bell[1][0] = 0;
	done = generator = 0;
	child = fork();
	pair_side = child ? PAIR_GUEST : PAIR_SERVER;
	if (!child) {
		turn(step[PAIR_SERVER], 0);
		_exit(0);
	}
	from = now_ns(CLOCK_MONOTONIC);
	begin();
	turn(step[PAIR_GUEST], from + SECONDS * 1000000000ull);
	from = now_ns(CLOCK_MONOTONIC) - from;
	if (child < 0 || waitpid(child, &status, 0) != child || status || !done)
		abort();
	print(what, from);
}

int main(int argc, char **argv)
{
	bool both = argc != 3;

	shared = pair_memory(1);
	if (!both)
		wanted = strtoull(argv[2], NULL, 10);
	if (both || !strcmp(argv[1], "blkif"))
		pair_blkif();
	if (both || !strcmp(argv[1], "virtio"))
		pair_virtio();
	return 0;
}
