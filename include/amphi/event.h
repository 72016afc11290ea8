/* event.h: event channels of a domain (two-level), and who is told of which.
 *
 * Callers: the kernel (host_event.c, time, console, store, machine.c). Beneath: event_channel_op and
 * the bits in shared_info. Handlers are called from the upcall with interrupts off: they mark and
 * wake, and do no work. A handler may notify, mask and unmask, not close.
 *
 * Errors: 0 or a negative XEN_Exxx of the hypervisor; -XEN_ENOSPC when the table here is full. Natively
 * there are none: all binds answer -XEN_ENOSYS. A port that is bound is unmasked. Not promised: order
 * between ports; one call of a handler per notification.
 *
 * A port belongs to one vCPU, which takes the upcall and runs the handler: vCPU 0, unless told otherwise.
 * vcpu is the number of struct percpu.vcpu. All calls but event_pending() are made by who holds the kernel's
 * lock, event_dispatch() too.
 */
#ifndef AMPHI_EVENT_H
#define AMPHI_EVENT_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define EVENT_PORTS 1024u /* highest port number served, exclusive */

typedef void event_fn(void *ctx);

/* Boot: where the bits are. Interrupts off. */
void event_init(struct shared_info *shared);

/* In a new world after a suspend (kernel/suspend.h): no port that we had is ours any more. Handlers are forgotten
 * without closing, everything is masked; then owners bind anew. Interrupts off. */
void event_forget(void);

/* A new port of ours, told to *out_port, and its handler. */
int event_bind_virq(unsigned virq, event_fn *fn, void *ctx, port_t *out_port);
/* A virq that each vCPU has (VIRQ_TIMER); a port of that vCPU's, notified by event_notify(). */
int event_bind_virq_of(unsigned vcpu, unsigned virq, event_fn *fn, void *ctx, port_t *out_port);
int event_bind_ipi(unsigned vcpu, event_fn *fn, void *ctx, port_t *out_port);
int event_bind_interdomain(domid_t peer, uint32_t peer_port, event_fn *fn, void *ctx,
			   port_t *out_port);
int event_alloc_unbound(domid_t peer, event_fn *fn, void *ctx, port_t *out_port);
int event_bind_pirq(uint32_t pirq, bool may_share, event_fn *fn, void *ctx, port_t *out_port);

/* A port that the domain's builder made (console, store): sets its handler and unmasks it. fn NULL: no
 * handler, masked. -XEN_EINVAL: not a port. */
int event_adopt(port_t port, event_fn *fn, void *ctx);

/* Changes the handler of a bound port; for ports that must exist before who is told is known. */
void event_set_handler(port_t port, event_fn *fn, void *ctx);

/* Another vCPU's from now on; one notification that is on its way may still come to the old one.
 * -XEN_EINVAL: an IPI's or a vCPU's own virq; they stay. */
int event_move(port_t port, unsigned vcpu);

/* An unbound port of domain owner for peer's use, without a handler here: for a builder that makes
 * another domain's console and store ports. */
int event_alloc_for(domid_t owner, domid_t peer, uint32_t *out_port);

/* Closes it; the handler is not called again. PORT_NONE: nothing. */
void event_close(port_t port);

/* Tells the other end. One hypercall. */
void event_notify(port_t port);

/* The same, but perhaps only when this CPU is about to wait or to run another thread, which sends it with the call that
 * waits; several for one port are then one. Who calls it sees to it that one of these comes soon:
 * event_flush, which sends what is held, or, in a PV domain and with interrupts off, event_flush_and_block, which waits as well and
 * returns with interrupts on. Thread context, under the kernel's lock; waiting alone goes without. */
void event_notify_soon(port_t port);
bool event_held(void);
void event_flush(void);
void event_flush_and_block(void);
/* After a suspend, by event_forget(): those ports are not ours any more. */
void event_forget_held(void);
/* Those that went out with the call that waits; event_sent() has them too. */
uint64_t event_sent_waiting(void);

/* While masked, notifications are kept; unmask delivers them. */
void event_mask(port_t port);
void event_unmask(port_t port);

/* The upcall: calls the handlers of this vCPU's pending ports. From the trap entry, interrupts off. */
void event_dispatch(void);

/* Whether an event is pending for this vCPU and would be delivered, were interrupts on. */
bool event_pending(void);

/* Notifications sent and handlers called since start; ports with a handler now. */
uint64_t event_sent(void);
uint64_t event_received(void);
unsigned event_bound(void);

#endif
