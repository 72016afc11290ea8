/* balloon_xen.h: a PV guest's memory as its toolstack wants it (`mem-set`).
 *
 * Caller: main.c, in a guest that has a store. What is given to the hypervisor is missing from the free pages,
 * and comes back when the toolstack allows it; more than the domain began with it never gets, since the direct
 * map ends there.
 */
#ifndef KERNEL_BALLOON_XEN_H
#define KERNEL_BALLOON_XEN_H

/* [waits] Worker. Follows memory/target from now on. 0 or a negative XEN_Exxx. */
int balloon_xen_start(void);

#endif
