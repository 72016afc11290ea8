/* user.h: programs in ring 3, as the rest of the kernel sees them.
 *
 * Callers: the shell (run), trap.c (exceptions and interrupts out of a program), thread_cpu.c (a program's
 * thread is about to run). A program is a kernel thread with an address space; whatever it does ends at
 * worst the program. At most USER_PROGRAMS at a time. What programs see is amphi/user.h.
 */
#ifndef KERNEL_USER_H
#define KERNEL_USER_H

#include <amphi/types.h>

#include "trap.h"

#define USER_PROGRAMS 16u
#define USER_ARGS_MAX 12
#define USER_SHELL    0 /* the parent of what the shell starts; programs begin at 1 */

struct user_task;

/* Starts the program of the boot module with this name: a member of the archive, or the module itself when
 * that is an ELF file. Returns its pid, or -XEN_ENOENT, -XEN_ENOEXEC (and a log line says why), -XEN_ENOMEM,
 * -XEN_EAGAIN: too many programs. Thread context. */
int user_start(int argc, char **argv, int parent);

/* [waits] How that child of parent ended, as amphi/user.h says; its pid is free afterwards. -XEN_ESRCH: no such
 * child. */
int user_wait(int pid, int parent);

/* Every program ends as soon as it would go back to ring 3. Any context, interrupts off. */
void user_end_all(void);

/* ---- from trap.c: frame came out of ring 3 -------------------------------------------------- */

static inline bool user_frame(const struct trap_frame *frame)
{
	return (frame->cs & 3) == 3;
}

/* An exception; interrupts off. Returns to go on with the program as frame says, or does not return. */
void user_exception(struct trap_frame *frame);

/* An interrupt was dealt with; others may run before the program goes on. Interrupts off. */
void user_interrupted(void);

/* A system call, from entry_*.S; interrupts off. true: go back by sysret, rcx and r11 may be lost. */
bool user_syscall(struct trap_frame *frame);

/* ---- from thread_cpu.c: this program's thread runs from now on. Interrupts off. -------------------- */

void user_switch_to(struct user_task *task);

/* ---- from smp.c and thread.c: CPUs come and go, and a program may go from one to another. Interrupts off. ---- */

/* A CPU begins to run, anew or again: nothing of a program's is in it, and whatever ring 3 needs there is set up
 * before its first program. Called on that CPU; may be called before ring 3 was ever used. */
void user_cpu_online(void);

/* The program's registers are saved and its tables taken off the CPU we run on, if they are there: then it may go
 * on elsewhere. Its thread is not running. NULL: whichever program is there (the CPU stops). */
void user_leave_cpu(struct user_task *task);

#endif
