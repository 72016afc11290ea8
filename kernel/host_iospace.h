/* host_iospace.h: starts the layer of DMA over IO spaces, where the hypervisor has any.
 *
 * Private to kernel/. Callers: who starts the drivers, in the worker and before them, on Xen's ABI alone; who gives pages of ours away.
 */
#ifndef KERNEL_HOST_IOSPACE_H
#define KERNEL_HOST_IOSPACE_H

#include <amphi/dma.h>

void iospace_start(enum dma_policy policy);
/* Called by that: faults of our devices are said from now on. */
void iospace_watch_faults(void);
/* Before a page of ours becomes a table, or goes: what devices are done with they can reach no more. Any thread. */
void iospace_drain(void);

#endif
