/* thread.h: kernel threads and what they wait on.
 *
 * Callers: all of kernel/. Threads are cooperative: a thread runs until it waits, yields or ends;
 * interrupt handlers run between and may only mark memory and wake. So data shared by threads
 * needs no lock as long as no wait lies inside; data shared with handlers needs interrupts off. That
 * holds with several CPUs too: the kernel runs on one at a time (kernel_lock.h).
 * A thread belongs to one CPU; those that may move (programs') go to another when that one is idle.
 * Not a preemptive scheduler: a thread that never waits starves the others.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct thread;

/* Threads that wait for one thing, first come first woken. All zero is an empty queue. */
struct wait_queue {
	struct thread *head, *tail;
};

#define WAIT_FOREVER UINT64_MAX

/* Makes the caller (kmain, on its boot stack) the first thread, named "main". Once. */
void thread_init(void);

/* A new thread that may run at the caller's next wait; it ends when fn returns. name is kept by
 * pointer. NULL when there is no memory. Thread context. It stays on the CPU that booted; or, _on, on that
 * CPU while it runs (NULL: it does not); _movable: on the CPU that has the fewest of this kind, and it may
 * be moved at each wait. */
struct thread *thread_create(const char *name, void (*fn)(void *ctx), void *ctx);
struct thread *thread_create_on(unsigned cpu, const char *name, void (*fn)(void *ctx), void *ctx);
struct thread *thread_create_movable(const char *name, void (*fn)(void *ctx), void *ctx);
struct thread *thread_current(void);
const char *thread_name(const struct thread *t);

/* The program whose kernel side the current thread is (user.h); NULL: none. While it is set,
 * thread_cpu_user() is called with it before the thread runs again. */
void thread_set_user(void *program);
void *thread_user(void);

/* Where the current thread's stack begins, aligned to 16; 0 for the boot stack. */
uint64_t thread_stack_top(void);

/* Whether a yield would let somebody else run. Any context. */
bool thread_others_ready(void);

/* Lets others that are ready run first. Thread context; interrupts stay as they are. */
void thread_yield(void);
void thread_sleep_ns(uint64_t delay_ns);
void thread_exit(void) __attribute__((noreturn));

/* Makes every waiter ready. Any context, interrupt handlers included. */
void wait_wake(struct wait_queue *q);

/* The parts of WAIT_UNTIL: turns interrupts off and returns what they were / puts them back /
 * sleeps until woken or until the clock (time_ns) reaches deadline_ns; returns false when the
 * deadline passed. wait_sleep is called and returns with interrupts off. */
unsigned long wait_enter(void);
void wait_leave(unsigned long flags);
bool wait_sleep(struct wait_queue *q, uint64_t deadline_ns);

/* Sleeps until cond holds. cond is evaluated with interrupts off, so a handler cannot change it
 * between the look and the sleep. Thread context. */
#define WAIT_UNTIL(q, cond)                                                                        \
	do {                                                                                       \
		unsigned long wait_flags_ = wait_enter();                                          \
		while (!(cond))                                                                    \
			(void)wait_sleep((q), WAIT_FOREVER);                                       \
		wait_leave(wait_flags_);                                                           \
	} while (0)

/* The same with an end; the value is whether cond holds. */
#define WAIT_UNTIL_DEADLINE(q, cond, deadline_ns)                                                  \
	({                                                                                         \
		unsigned long wait_flags_ = wait_enter();                                          \
		bool wait_ok_;                                                                     \
		while (!(wait_ok_ = (cond)) && wait_sleep((q), (deadline_ns)))                     \
			;                                                                          \
		wait_leave(wait_flags_);                                                           \
		wait_ok_;                                                                          \
	})

/* ---- CPUs: from smp.c, and from user.c for the balance. Interrupts off. ----------------------------- */

/* When programs are ready here and other CPUs are idle, they get one each. */
void thread_balance(void);

/* On another CPU, in thread context, before cpu is started: the end of the stack it begins on. NULL: no
 * memory. */
void *thread_cpu_prepare(unsigned cpu);

/* On the new CPU, on that stack, the kernel lock held: it takes part from now on. */
void thread_cpu_run(void) __attribute__((noreturn));

/* No thread is sent there any more. When nobody runs there but the idle thread, thread_cpu_gone() is called
 * there. After that, on another CPU, thread context: all its threads go elsewhere. */
void thread_cpu_close(unsigned cpu);
void thread_cpu_take(unsigned cpu);

/* Turns of threads on that CPU since start. */
uint64_t thread_cpu_switches(unsigned cpu);

/* For the shell's list: calls fn for each thread. Thread context. */
struct thread_info {
	const char *name;
	const char *state; /* "running", "ready", "waiting" */
	unsigned cpu;
	bool idle; /* the CPU's own, that runs when no other does */
	uint64_t switches;
	unsigned stack_used_bytes, stack_bytes; /* the most that was used so far */
};
void thread_for_each(void (*fn)(void *ctx, const struct thread_info *info), void *ctx);

#endif
