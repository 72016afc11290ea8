/* hotplug_xen.h: CPUs that come and go at the toolstack's wish (`xl vcpu-set`).
 *
 * Caller: main.c, in a guest that has a store.
 */
#ifndef KERNEL_HOTPLUG_XEN_H
#define KERNEL_HOTPLUG_XEN_H

/* [waits] Watches the store from now on; CPUs that are not to be used at start go soon after. In the worker,
 * after smp_init(). 0 or negative XEN_Exxx. */
int hotplug_xen_start(void);

#endif
