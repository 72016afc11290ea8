/* event_close.c: an event channel's end, whoever asks for it, and the locks of its two sides.
 *
 * Closing is the one operation that starts from one end and has to find the other: the peer waits
 * again (unbound) for the domain that closed. Interrupt sources are masked again, virqs forgotten.
 *
 * Not here: making channels (event_op.c). Called by event_op.c and by domain teardown. Calls io for
 * pirqs.
 */
#include "event_ports.h"

/* Lower address first, so that two domains closing on each other do not wait for each other. */
void event_lock_two(struct domain *a, struct domain *b)
{
	spin_lock(&MIN(a, b)->events.lock);
	if (a != b)
		spin_lock(&MAX(a, b)->events.lock);
}

void event_unlock_two(struct domain *a, struct domain *b)
{
	spin_unlock(&a->events.lock);
	if (a != b)
		spin_unlock(&b->events.lock);
}

/* The peer of an interdomain port, or d itself. Its end holds it in being while d's lock is. */
static struct domain *port_peer(struct domain *d, uint32_t port)
{
	struct event_port *p = event_port(d, port);

	return p && p->state == EVTCHNSTAT_interdomain ? p->u.remote.domain : d;
}

/* Takes the locks of d and of the port's peer, which is only known under d's. Letting go of d's
 * lock to take both in order lets the port change hands, hence the second look; the reference keeps
 * the peer in being meanwhile. The caller gives it back. */
static struct domain *lock_with_peer(struct domain *d, uint32_t port)
{
	struct domain *peer;

	for (;;) {
		spin_lock(&d->events.lock);
		peer = port_peer(d, port);
		domain_hold(peer);
		spin_unlock(&d->events.lock);
		event_lock_two(d, peer);
		if (port_peer(d, port) == peer)
			return peer;
		event_unlock_two(d, peer);
		domain_put(peer);
	}
}

int event_close(struct domain *d, uint32_t port)
{
	struct domain *peer = lock_with_peer(d, port);
	struct event_port *other, *p = event_port(d, port);
	uint32_t i, pirq = EVENT_PIRQS;
	int error = -XEN_EINVAL;

	if (!p || p->state == EVTCHNSTAT_closed)
		goto out;
	if (p->state == EVTCHNSTAT_interdomain) {
		/* The other end waits for this domain again. */
		other = event_port(peer, p->u.remote.port);
		other->state = EVTCHNSTAT_unbound;
		other->u.what = d->id;
	}
	/* The virq's vCPU is searched: bind_vcpu may have moved the port elsewhere. */
	for (i = 0; p->state == EVTCHNSTAT_virq && i < d->max_vcpus; i++)
		if (d->vcpu[i] && d->vcpu[i]->events.virq_port[p->u.what] == port)
			d->vcpu[i]->events.virq_port[p->u.what] = 0;
	if (p->state == EVTCHNSTAT_pirq) {
		pirq = p->u.what;
		d->events.pirq_port[pirq] = 0;
	}
	event_port_shut(d, port);
	error = 0;
out:
	event_unlock_two(d, peer);
	domain_put(peer);
	if (pirq < EVENT_PIRQS)
		io_pirq_unbind(d, pirq);
	return error;
}
