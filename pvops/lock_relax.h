/* lock_relax.h: one turn of waiting for a lock. Private to pvops/.
 *
 * The processor is told that this is a loop (SDM vol. 2, PAUSE). A host test has more waiters than
 * processors and says itself what to do; it may also use the call to let another step happen.
 */
#ifndef PVOPS_LOCK_RELAX_H
#define PVOPS_LOCK_RELAX_H

#ifdef AMPHI_HOST_TEST
void lock_relax(void);
#else
static inline void lock_relax(void)
{
	__asm__ volatile("pause");
}
#endif

#endif
