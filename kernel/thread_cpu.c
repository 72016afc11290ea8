/* thread_cpu.c: interrupts, idling and other CPUs for thread.c, by pv operations and smp.c.
 *
 * Callers: thread.c, and the WAIT macros of thread.h. Apart from thread.c so that the scheduler
 * can be tested in a host program.
 */
#include <amphi/event.h>
#include <amphi/pvops.h>
#include "boot.h"
#include "kernel_lock.h"
#include "smp.h"
#include "thread.h"
#include "thread_cpu.h"
#include "user.h"

unsigned long wait_enter(void)
{
	return irq_save();
}

void wait_leave(unsigned long flags)
{
	irq_restore(flags);
}

/* Called and left with interrupts off. sti and hlt are one operation: an interrupt between them
 * would wake nobody, and the processor would sleep over the thread it made ready. On PV it is
 * SCHEDOP_block, which lets events in and returns at once when one is there; notifications that were held go with it. An interrupt takes the lock and
 * keeps it (trap.c), since it is wanted here at once. */
void thread_cpu_idle(void)
{
	bool held = event_held();

	if (held && boot.platform != BOOT_XEN_PV)
		event_flush();
	kernel_unlock();
	if (held && boot.platform == BOOT_XEN_PV)
		event_flush_and_block();
	else
		pv_safe_halt();
	pv_irq_disable();
	if (!kernel_locked())
		kernel_lock();
}

void thread_cpu_send_held(void)
{
	event_flush();
}

void thread_cpu_kick(unsigned cpu)
{
	smp_kick(cpu);
}

void thread_cpu_gone(void)
{
	smp_leave();
}

/* A new thread begins where interrupts are off; nobody will restore them for it. */
void thread_cpu_irqs_on(void)
{
	pv_irq_enable();
}

/* Only a thread with a program has registers of ring 3 to load. Interrupts off. */
void thread_cpu_user(void *program)
{
	user_switch_to(program);
}

void thread_cpu_user_leave(void *program)
{
	user_leave_cpu(program);
}
