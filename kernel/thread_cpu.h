/* thread_cpu.h: what thread.c asks of the processor, and nothing more.
 *
 * Caller: thread.c. Implemented by thread_cpu.c and switch.S; by the test's own functions on the
 * host, where nobody may turn interrupts off. All are called with interrupts off.
 */
#ifndef KERNEL_THREAD_CPU_H
#define KERNEL_THREAD_CPU_H

/* Gives the kernel lock back, waits for an interrupt with interrupts on, and returns with them off and the
 * lock held. The check of the ready list and the wait cannot be parted by a wake: both happen before
 * interrupts are let in, and another CPU's kick is one. */
void thread_cpu_idle(void);

/* This CPU goes on to something else: notifications that were held for its idling are sent now. */
void thread_cpu_send_held(void);

/* That CPU has something in its queue: it comes into the kernel soon. Any context. */
void thread_cpu_kick(unsigned cpu);

/* This CPU was closed and has nothing left to run. */
void thread_cpu_gone(void) __attribute__((noreturn));

/* Interrupts on: the first act of a new thread. */
void thread_cpu_irqs_on(void);

/* A thread with a program is about to run: its registers and page tables are loaded. */
void thread_cpu_user(void *program);

/* It will run on another CPU: its registers are saved. */
void thread_cpu_user_leave(void *program);

/* Puts the callee-saved registers on the stack, its pointer into *save_sp, and takes the same from
 * load_sp. */
void thread_switch(void **save_sp, void *load_sp);

#endif
