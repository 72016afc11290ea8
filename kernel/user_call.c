/* user_call.c: system calls, once they are decoded.
 *
 * Entered from entry_*.S on the program's kernel stack with interrupts off, which are on while a call is
 * served. Arguments were checked by user_decode.c; that an address is mapped is found out by user_space.c
 * when it is used. Calls time.h, console.h, user.c.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "console.h"
#include "kernel_lock.h"
#include "time.h"
#include "user_decode.h"
#include "user_parts.h"

/* One per row of user_calls.def; a negative result is an XEN_E number, as in the kernel. */
typedef int64_t call_fn(struct user_task *task, const uint64_t *args);

/* The code was checked to be at most 255: what is above tells of exceptions (USER_ENDED_BY). */
static int64_t call_exit(struct user_task *task, const uint64_t *args)
{
	user_end((int)args[0]);
}

/* By pieces that fit the kernel's stack; nothing is said when part of the text is not the program's. A
 * buffer is no longer than a page, so its ends are in all its pages. */
_Static_assert(USER_BUFFER_MAX <= PAGE_SIZE, "the first and the last byte tell of all");
static int64_t call_write(struct user_task *task, const uint64_t *args)
{
	char piece[256];
	size_t step;

	if (!args[1])
		return 0;
	if (!user_space_at(&task->space, args[0], false) ||
	    !user_space_at(&task->space, args[0] + args[1] - 1, false))
		return -XEN_EFAULT;
	for (uint64_t at = 0; at < args[1]; at += step) {
		step = MIN(args[1] - at, sizeof(piece));
		if (user_copy_from(&task->space, piece, args[0] + at, step))
			return -XEN_EFAULT;
		console_write(piece, step);
	}
	return (int64_t)args[1];
}

static int64_t call_getpid(struct user_task *task, const uint64_t *args)
{
	return task->pid;
}

/* Addresses first, from the program's own bitmap, then pages: they are given back in the other
 * order when memory is short. A program's heap never meets its image or stack. */
static int64_t call_pages(struct user_task *task, const uint64_t *args)
{
	size_t first = page_bitmap_alloc(&task->space.heap, args[0]);
	uint64_t va = USER_HEAP + first * PAGE_SIZE;
	int error;

	if (first == PAGE_BITMAP_NONE)
		return -XEN_ENOMEM;
	error = user_space_map(&task->space, va, (unsigned)args[0], (unsigned)args[1]);
	if (!error)
		return (int64_t)va;
	page_bitmap_release(&task->space.heap, first, args[0]);
	return error;
}

/* Only what was mapped throughout is unmapped (user_space.c), so the bitmap's pages are in use:
 * a program cannot make its release fail. */
static int64_t call_unpages(struct user_task *task, const uint64_t *args)
{
	int error = user_space_unmap(&task->space, args[0], (unsigned)args[1]);

	if (!error)
		page_bitmap_release(&task->space.heap, (args[0] - USER_HEAP) / PAGE_SIZE, args[1]);
	return error;
}

static int64_t call_protect(struct user_task *task, const uint64_t *args)
{
	return user_space_protect(&task->space, args[0], (unsigned)args[1], (unsigned)args[2]);
}

/* The end of all programs wakes it early; it then ends on its way back. */
static int64_t call_sleep(struct user_task *task, const uint64_t *args)
{
	uint64_t end_ns = time_ns() + args[0];

	(void)WAIT_UNTIL_DEADLINE(&task->sleeps, task->to_end, end_ns);
	return 0;
}

static int64_t call_yield(struct user_task *task, const uint64_t *args)
{
	thread_yield();
	return 0;
}

static int64_t call_time(struct user_task *task, const uint64_t *args)
{
	return (int64_t)time_ns();
}

static int64_t call_set_fs_base(struct user_task *task, const uint64_t *args)
{
	user_cpu_set_fs_base(&task->cpu, args[0]);
	return 0;
}

static int64_t call_set_tls(struct user_task *task, const uint64_t *args)
{
	return (int64_t)user_cpu_set_tls(&task->cpu, args[0], (unsigned)args[1]);
}

static int64_t call_set_ldt(struct user_task *task, const uint64_t *args)
{
	return user_cpu_set_ldt(&task->cpu, (unsigned)args[0], args[1]);
}

static int64_t call_ports(struct user_task *task, const uint64_t *args)
{
	return user_cpu_set_ports(&task->cpu, (unsigned)args[0], (unsigned)args[1], args[2]);
}

static int64_t call_watch(struct user_task *task, const uint64_t *args)
{
	user_set_watch(&task->cpu.rights, args[0], (unsigned)args[1], (unsigned)args[2]);
	return 0;
}

/* Not looked at here: a handler that lies nowhere faults in ring 3, which ends the program. */
static int64_t call_on_fault(struct user_task *task, const uint64_t *args)
{
	task->fault_start = args[0];
	task->fault_size = args[1];
	task->fault_handler = args[2];
	return 0;
}

/* The word is copied before use: the program's memory may change meanwhile. Bounded by half of
 * what a start takes, which leaves room for the name. */
static int64_t call_spawn(struct user_task *task, const uint64_t *args)
{
	char word[USER_WORDS_MAX / 2];
	char *argv[] = {task->name, word};
	int pid;

	if (args[1] >= sizeof(word))
		return -XEN_EINVAL;
	if (user_copy_from(&task->space, word, args[0], args[1]))
		return -XEN_EFAULT;
	word[args[1]] = '\0';
	pid = user_start(2, argv, task->pid);
	if (task->to_end) /* while it was made: it came too late to be told */
		user_end_all();
	return pid;
}

/* A number above an int's would be cut to that of another program. */
static int64_t call_wait(struct user_task *task, const uint64_t *args)
{
	return args[0] <= INT32_MAX ? user_wait((int)args[0], task->pid) : -XEN_ESRCH;
}

/* resume works on the frame and is not here. */
static int64_t call_resume(struct user_task *task, const uint64_t *args)
{
	return -XEN_ENOSYS;
}

/* From the same rows as the checks and the program's own stubs: a call cannot be in one and not
 * in another. */
static call_fn *const calls[USER_CALL_COUNT] = {
#define USER_CALL(nr, name, k1, k2, k3) [nr] = call_##name,
#include <amphi/user_calls.def>
};

/* Interrupts on: a call may be long, and may wait. The entry code's frame lies on the thread's
 * own stack, where it stays while others run. */
static int64_t serve(struct user_task *task, const struct user_call *call)
{
	int64_t result;

	pv_irq_enable();
	result = calls[call->nr](task, call->args);
	pv_irq_disable();
	return result;
}

/* false: the whole frame is another one now (resume), so the entry code must load all of it by
 * iret; sysret takes rip and flags from registers that hold the call's. */
bool user_syscall(struct trap_frame *frame)
{
	const uint64_t args[USER_CALL_ARGS] = {frame->rdi, frame->rsi, frame->rdx};
	struct user_task *task;
	struct user_call call;
	int64_t result = user_decode(frame->rax, args, &call);

	kernel_lock();
	task = user_current();
	if (!result && call.nr == USER_CALL_resume) {
		result = user_resume(task, frame, call.args[0]);
		if (!result) {
			user_going_back();
			return false;
		}
	} else if (!result) {
		result = serve(task, &call);
	}
	frame->rax = (uint64_t)result;
	user_going_back();
	return true;
}
