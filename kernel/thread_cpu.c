/* thread_cpu.c: interrupts on and off for thread.c, by pv operations.
 *
 * Callers: thread.c, and the WAIT macros of thread.h. Apart from thread.c so that the scheduler
 * can be tested in a host program.
 */
#include <amphi/pvops.h>
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

void thread_cpu_idle(void)
{
	pv_safe_halt();
	pv_irq_disable();
}

void thread_cpu_irqs_on(void)
{
	pv_irq_enable();
}

void thread_cpu_user(void *program)
{
	user_switch_to(program);
}
