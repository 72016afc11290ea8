/* user.c: the table of programs: started, waited for, ended.
 *
 * Called by the shell, by user_call.c for programs that start others, and by trap.c by way of
 * user_fault.c. Calls user_load.c and user_cpu.c, and thread.h: a program is a kernel thread that goes to
 * ring 3 and comes back for its traps. States of an entry:
 *
 *   FREE --user_start--> RUNS --user_end--> ENDED --user_wait, or the parent's end--> FREE
 */
#include <amphi/error_name.h>
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "boot.h"
#include "console.h"
#include "kernel_lock.h"
#include "mm.h"
#include "panic.h"
#include "smp.h"
#include "time.h"
#include "user_parts.h"

#define NOBODY      (-1) /* the parent of programs whose parent has ended */
#define SLICE_NS    (5 * NS_PER_MS)
#define RFLAGS_USER 0x202u /* interrupts on; bit 1 is always set */

/* Set once by user_init_*(). The table of tasks is fixed: a program that starts others without
 * end runs into -XEN_EAGAIN and not into the kernel's memory. */
struct user_platform user_platform;
static struct user_task tasks[USER_PROGRAMS];
static int last_pid;
static bool ready;

/* NULL in a kernel thread. */
struct user_task *user_current(void)
{
	return thread_user();
}

/* The kernel's part of the top table must be complete before it is copied: the entry of the windows may
 * not have been needed yet. */
static int init_once(void)
{
	unsigned long flags;
	void *window;
	int error;

	if (ready)
		return 0;
	window = vmap_reserve(1);
	if (!window)
		return -XEN_ENOMEM;
	vmap_release(window, 1);
	error = boot.platform == BOOT_XEN_PV ? user_init_xen_pv() : user_init_native();
	if (error)
		return error;
	flags = wait_enter();
	user_cpu_begin();
	user_fpu_init();
	wait_leave(flags);
	ready = true;
	return 0;
}

/* ---- going there and coming back ----------------------------------------------------------- */

/* An interrupt out of ring 3 gives the processor away; one that comes during a system call cannot, and leaves word
 * for the way back: a program that does nothing but calls would else never be interrupted elsewhere. Each CPU has
 * its own: they end when they began there. */
static struct slice {
	struct timer timer;
	bool over;
} slices[CPUS_MAX];

static struct slice *this_slice(void)
{
	return &slices[this_cpu()->cpu];
}

static void slice_over(void *ctx)
{
	this_slice()->over = true;
}

/* Only marks: a program ends itself, on its own stack, when it is about to go back to ring 3.
 * One asleep in a call is woken so that it gets there, one in ring 3 on another CPU is interrupted. Any context. */
void user_end_all(void)
{
	for (unsigned i = 0; i < USER_PROGRAMS; i++) {
		tasks[i].to_end = true;
		wait_wake(&tasks[i].sleeps);
	}
	for (unsigned cpu = 0; cpu < smp_count(); cpu++)
		if (smp_state(cpu) == SMP_ONLINE)
			smp_kick(cpu);
}

static void start_slice(void)
{
	struct timer *timer = &this_slice()->timer;

	if (timer->queued)
		return;
	timer->fn = slice_over;
	timer_set(timer, time_ns() + SLICE_NS);
}

static void give_way(void)
{
	this_slice()->over = false;
	thread_yield();
}

/* The last thing before ring 3: from here on other CPUs may be in the kernel. The slice's timer is started
 * only when somebody else wants to run: a program alone is not interrupted. */
void user_going_back(void)
{
	if (this_slice()->over)
		give_way();
	if (user_current()->to_end) {
		pv_irq_enable();
		user_end(USER_ENDED_BY_KEY);
	}
	if (thread_others_ready())
		start_slice();
	kernel_unlock();
}

/* A running program loses the processor: whoever was ready runs, and this returns when it is the program's
 * turn again. The timer's interrupt is enough to get here. */
void user_interrupted(void)
{
	thread_balance();
	give_way();
	user_going_back();
}

/* The thread of a program. The frame is a local variable: it is gone as soon as it is loaded, and the
 * program's first trap begins at the top of the stack, over what is here. */
static void user_thread(void *ctx)
{
	struct user_task *task = ctx;
	struct trap_frame frame = {
	    .rdi = task->argc,
	    .rsi = task->argv,
	    .rip = task->entry,
	    .cs = user_platform.cs,
	    .rflags = RFLAGS_USER,
	    .rsp = task->sp,
	    .ss = user_platform.ss,
	};

	(void)wait_enter();
	task->cpu.kernel_sp = thread_stack_top();
	thread_set_user(task);
	user_switch_to(task);
	user_going_back();
	user_enter(&frame);
}

/* ---- the table ------------------------------------------------------------------------------ */

static struct user_task *find_free(void)
{
	for (unsigned i = 0; i < USER_PROGRAMS; i++)
		if (tasks[i].state == USER_FREE)
			return &tasks[i];
	return NULL;
}

/* The thread is made last, since it cannot be unmade. It does not run before this returns:
 * nothing from here to the end of user_start() waits, which gives the task its pid and state
 * first. */
static int make(struct user_task *task, int argc, char **argv)
{
	int error = user_space_init(&task->space, user_platform.n_roots);

	if (error)
		return error;
	error = user_load(task, argc, argv);
	if (!error)
		error = user_cpu_init(&task->cpu);
	if (error)
		goto free_space;
	if (!thread_create_movable(task->name, user_thread, task)) {
		error = -XEN_ENOMEM;
		goto free_cpu;
	}
	return 0;

free_cpu:
	user_cpu_free(&task->cpu);
free_space:
	user_space_free(&task->space);
	return error;
}

/* The entry is taken by its state, at the end. Numbers of programs are not used again, so that a
 * late user_wait() cannot meet a stranger. */
int user_start(int argc, char **argv, int parent)
{
	struct user_task *task = find_free();
	int error = init_once();

	if (!error && !task)
		error = -XEN_EAGAIN;
	if (!error && strlen(argv[0]) >= USER_NAME_MAX)
		error = -XEN_ENOENT;
	if (error)
		return error;
	memset(task, 0, sizeof(*task));
	str_copy(task->name, sizeof(task->name), argv[0]);
	task->parent = parent;
	error = make(task, argc, argv);
	if (error)
		return error;
	task->pid = ++last_pid;
	task->state = USER_RUNS;
	return task->pid;
}

static struct user_task *find_child(int pid, int parent)
{
	for (unsigned i = 0; i < USER_PROGRAMS; i++)
		if (tasks[i].state != USER_FREE && tasks[i].pid == pid && tasks[i].parent == parent)
			return &tasks[i];
	return NULL;
}

/* Only a parent may wait, and once: the wait is what frees the entry. */
int user_wait(int pid, int parent)
{
	struct user_task *task = find_child(pid, parent);

	if (!task)
		return -XEN_ESRCH;
	WAIT_UNTIL(&task->ended, task->state == USER_ENDED);
	task->state = USER_FREE;
	return task->status;
}

/* What nobody will wait for any more goes at once, or when it ends. */
static void leave_children(int pid)
{
	for (unsigned i = 0; i < USER_PROGRAMS; i++) {
		if (tasks[i].state == USER_FREE || tasks[i].parent != pid)
			continue;
		tasks[i].parent = NOBODY;
		if (tasks[i].state == USER_ENDED)
			tasks[i].state = USER_FREE;
	}
}

/* The entry is free only once this thread no longer uses it, and it runs on until thread_exit(): no other
 * thread runs in between, since none of this waits. */
void user_end(int status)
{
	struct user_task *task = user_current();
	unsigned long flags = wait_enter();

	thread_set_user(NULL);
	user_fpu_drop(&task->cpu);
	user_leave_cpu(task);
	wait_leave(flags);
	user_space_free(&task->space);
	user_cpu_free(&task->cpu);
	leave_children(task->pid);
	task->status = status;
	task->state = task->parent == NOBODY ? USER_FREE : USER_ENDED;
	wait_wake(&task->ended);
	thread_exit();
}
