/* net_start.h: the network of this domain begins, and its bridges.
 *
 * Callers: kmain's shell thread, once, before the drivers of the role, which says nothing of interfaces: those come later by themselves; and the
 * command `serve`, by which a guest becomes a domain that serves others.
 */
#ifndef KERNEL_NET_START_H
#define KERNEL_NET_START_H

/* In the worker. What fails is told; the domain goes on without a network. Returns 0. */
int net_start(void *ctx);

/* In the worker, once. From now on this domain's cards, those that it has and those that come, are wires of the bridge xenbr0, interfaces of guests
 * are ports of the bridges that they name, and the stack has the bridges' own interfaces instead of the cards: addresses are asked for anew,
 * and a fixed one goes along. What another domain serves to this one stays the stack's. -XEN_ENOMEM. */
int net_start_bridges(void);

#endif
