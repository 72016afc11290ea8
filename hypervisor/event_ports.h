/* event_ports.h: the inside of event channels, shared by event*.c only.
 *
 * event.c keeps the ports; event_2l.c and event_fifo.c the bits that guests see of them; event_op.c
 * decodes what guests ask and makes channels; event_close.c ends them. Calls marked [locked] want the
 * domain's event lock held.
 */
#ifndef HV_EVENT_PORTS_H
#define HV_EVENT_PORTS_H

#include "domain.h"

/* [locked] The port, or NULL when the number is 0, out of range, or was never given out. A port
 * that is closed again is found, with state EVTCHNSTAT_closed. */
struct event_port *event_port(struct domain *d, uint32_t port);

/* [locked] The lowest closed port, in use from now to shut and notifying vcpu; its number is in
 * *out_port. NULL with *out_error = -XEN_ENOSPC, -XEN_ENOMEM or, for a dying domain, -XEN_ESRCH. */
struct event_port *event_port_open(struct domain *d, uint8_t state, uint32_t vcpu,
				   uint32_t *out_port, int *out_error);

/* [locked] Ends that, and clears the pending bit. */
void event_port_shut(struct domain *d, uint32_t port);

/* How the pending and mask bits of a domain's ports are kept. p is the port's own entry. The guest
 * writes all of it at any time: what is read there is a bit, and never more than a bit is believed.
 * Each is called with a lock held under which the port stays open: the domain's, or its peer's. */
struct event_bits {
	/* Marks the port pending and, unless it is masked, tells its vCPU. Whether it was not
	 * pending before, so that polls of it end. */
	bool (*set)(struct domain *d, uint32_t port, struct event_port *p);
	/* Clears the mask bit; a notification that waited behind it is delivered. */
	void (*unmask)(struct domain *d, uint32_t port, struct event_port *p);
	void (*clear)(struct domain *d, uint32_t port);
	bool (*pending)(const struct domain *d, uint32_t port);
	bool (*masked)(const struct domain *d, uint32_t port);
	/* The guest still has to take the closed port off a queue: not to be given out again. */
	bool (*busy)(const struct domain *d, uint32_t port);
};
extern const struct event_bits event_2l_bits, event_fifo_bits;

/* Marks port of d pending for the vCPU it is bound to, unmasked or not, and ends polls of it. */
void event_set_pending(struct domain *d, uint32_t port, struct event_port *p);

/* Something is there for v: its upcall, when that is not under way. */
void event_raise(struct vcpu *v);

/* Both domains' event locks, lower address first; they may be one domain. */
void event_lock_two(struct domain *a, struct domain *b);
void event_unlock_two(struct domain *a, struct domain *b);

/* Closes a port of d, with what hangs on it. -XEN_EINVAL when it is not open. */
int event_close(struct domain *d, uint32_t port);
void event_close_all(struct domain *d);

/* ---- event_fifo.c ---------------------------------------------------------------------- */

/* [locked] EVTCHNOP_init_control, expand_array and set_priority, for the domain itself. The first
 * control block makes the domain's bits FIFO's; what is pending then is, when its word comes.
 * -XEN_ENOENT, -XEN_EINVAL, -XEN_ENOMEM; -XEN_EOPNOTSUPP (array) and -XEN_ENOSYS (priority) before
 * that; -XEN_ENOSPC beyond EVENT_PORTS; -XEN_EACCES for a port that is closed. */
long event_fifo_control(struct domain *d, struct evtchn_init_control *a);
long event_fifo_expand(struct domain *d, const struct evtchn_expand_array *a);
long event_fifo_priority(struct domain *d, const struct evtchn_set_priority *a);

/* Back to two levels; all the guest's pages are given up. -XEN_EAGAIN while a port is open. */
long event_fifo_stop(struct domain *d);

#endif
