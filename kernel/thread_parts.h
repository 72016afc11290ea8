/* thread_parts.h: what thread.c and thread_home.c tell each other. Private to them.
 *
 * thread.c makes threads and switches between them; thread_home.c says on which CPU each runs, and lists them.
 * All under the kernel lock, which a thread holds across its switch.
 */
#ifndef KERNEL_THREAD_PARTS_H
#define KERNEL_THREAD_PARTS_H

#include <amphi/percpu.h>
#include <amphi/types.h>

#include "mm.h"
#include "thread.h"
#include "time.h"

#define STACK_PAGES 8u
#define STACK_BYTES (STACK_PAGES * PAGE_SIZE)

enum thread_state { THREAD_RUNNING, THREAD_READY, THREAD_WAITING, THREAD_DEAD };

struct thread {
	void *sp; /* where it stands, while it is not running */
	const char *name;
	void (*fn)(void *ctx);
	void *ctx;
	enum thread_state state;
	unsigned cpu;                /* where it runs, or will */
	bool may_move;               /* a program's: to any CPU, while it does not run */
	struct thread *next;         /* in the ready list or a wait queue */
	struct wait_queue *waits_on; /* NULL when woken */
	bool timed_out;
	struct timer timer;
	uint64_t *stack; /* lowest word; NULL: the boot stack */
	uint64_t switches;
	void *user; /* the program whose kernel side it is, or NULL */
	struct thread *next_of_all;
};

extern struct thread *thread_all;

/* dead: the last that ended, whose stack may still be stood upon; there is never more than one. ready: first
 * come, first served, and no priorities: the threads are few and give way. open: threads may be sent there. Who
 * runs there is in its struct percpu. */
struct cpu_threads {
	struct thread *dead, *idle;
	struct wait_queue ready;
	bool open;
	uint64_t switches;
} __attribute__((aligned(64)));
extern struct cpu_threads thread_cpus[CPUS_MAX];

/* Those that have nothing to do, a bit each. */
extern uint64_t thread_idle_cpus;
_Static_assert(CPUS_MAX <= 64, "a bit each");

/* With a stack, known to nobody yet; NULL: no memory. Then known, or known and ready (of NULL: NULL). */
struct thread *thread_new(const char *name, void (*fn)(void *ctx), void *ctx);
void thread_link(struct thread *t);
struct thread *thread_begin(struct thread *t, unsigned cpu, bool may_move);

/* Interrupts off. */
struct thread *thread_queue_pop(struct wait_queue *q);
void thread_queue_remove(struct wait_queue *q, struct thread *t);
void thread_make_ready(struct thread *t);
void thread_schedule(void);

#endif
