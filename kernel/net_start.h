/* net_start.h: the network of this domain begins.
 *
 * Caller: kmain's shell thread, once, before the drivers of the role; it says nothing of interfaces, which come later by themselves.
 */
#ifndef KERNEL_NET_START_H
#define KERNEL_NET_START_H

/* In the worker. What fails is told; the domain goes on without a network. Returns 0. */
int net_start(void *ctx);

#endif
