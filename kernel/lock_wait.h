/* lock_wait.h: how a CPU that waits for a lock gives its processor away, and how it is woken.
 *
 * Callers: smp.c, when there is more than one CPU, and on each that comes; suspend when the event channels
 * are new. lock_wait.c knows the platforms; where there is no way to sleep (natively, and with one CPU)
 * locks spin. Kernel lock held.
 */
#ifndef KERNEL_LOCK_WAIT_H
#define KERNEL_LOCK_WAIT_H

/* Before the second CPU starts: patches the sites of pv_ops.lock. */
void lock_wait_init(void);

/* On the CPU that comes: its own way to be woken; until then it does not sleep. Again after it was away:
 * nothing. */
void lock_wait_cpu_online(void);

/* The channels of before are gone (the domain was resumed): no CPU sleeps until lock_wait_cpu_online(). */
void lock_wait_forget(void);

#endif
