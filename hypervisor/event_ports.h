/* event_ports.h: the inside of event channels, shared by event*.c only.
 *
 * event.c keeps the ports and sets pending bits; event_op.c decodes what guests ask and makes
 * channels; event_close.c ends them. Calls marked [locked] want the domain's event lock held.
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

/* Marks port of d pending for the vCPU it is bound to, unmasked or not, and ends polls of it. */
void event_set_pending(struct domain *d, uint32_t port, uint32_t vcpu);

/* Clears the mask bit; a notification that waited behind it is delivered. */
void event_clear_mask(struct domain *d, uint32_t port, uint32_t vcpu);

/* Both domains' event locks, lower address first; they may be one domain. */
void event_lock_two(struct domain *a, struct domain *b);
void event_unlock_two(struct domain *a, struct domain *b);

/* Closes a port of d, with what hangs on it. -XEN_EINVAL when it is not open. */
int event_close(struct domain *d, uint32_t port);
void event_close_all(struct domain *d);

#endif
