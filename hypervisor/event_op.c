/* event_op.c: EVTCHNOP_*: channels made, asked about and closed as guests want it.
 *
 * Each command has one function that gets its argument already copied in; the table at the end says
 * how long the argument is and whether it goes back. An interdomain channel is two ports that
 * name each other; both change together under both domains' locks:
 *
 *     closed --alloc_unbound--> unbound --bind_interdomain of the peer--> interdomain
 *        ^                        |  ^                                       |
 *        +--------close-----------+  +---------close at the other end--------+
 *
 * Not here: pending bits (event.c), closing (event_close.c). Called by dispatch.c.
 */
#include <amphi/string.h>

#include "event_ports.h"
#include "guest.h"
#include "percpu.h"

union event_arg {
	struct evtchn_alloc_unbound alloc_unbound;
	struct evtchn_bind_interdomain bind_interdomain;
	struct evtchn_bind_virq bind_virq;
	struct evtchn_bind_pirq bind_pirq;
	struct evtchn_bind_ipi bind_ipi;
	struct evtchn_close close;
	struct evtchn_send send;
	struct evtchn_status status;
	struct evtchn_bind_vcpu bind_vcpu;
	struct evtchn_unmask unmask;
	struct evtchn_reset reset;
};

/* The domain a command is about: the caller's own, or any for the privileged one. */
static int target_get(domid_t id, struct domain **out)
{
	struct domain *self = current_domain();

	if (id != DOMID_SELF && id != self->id && !self->privileged)
		return -XEN_EPERM;
	*out = domain_get(id);
	return *out ? 0 : -XEN_ESRCH;
}

static bool vcpu_exists(const struct domain *d, uint32_t id)
{
	return id < d->max_vcpus && d->vcpu[id];
}

/* ---- making channels ------------------------------------------------------------------- */

/* A new port of d in a state that concerns d alone; `what` is the virq, pirq or peer. bound, when
 * not NULL, is where the number is kept for senders: one port for each such place. */
struct making {
	uint8_t state;
	uint32_t vcpu, what;
	uint32_t *bound;
};

static int port_make(struct domain *d, const struct making *m, uint32_t *out_port)
{
	struct event_port *p = NULL;
	int error = -XEN_EEXIST;

	spin_lock(&d->events.lock);
	if (!m->bound || !*m->bound)
		p = event_port_new(d, out_port, &error);
	if (p) {
		event_port_open(d, p, m->state, m->vcpu);
		p->u.what = m->what;
	}
	if (p && m->bound)
		*m->bound = *out_port;
	spin_unlock(&d->events.lock);
	return error;
}

static long alloc_unbound(union event_arg *a)
{
	struct making m = {.state = EVTCHNSTAT_unbound, .what = a->alloc_unbound.remote_dom};
	struct domain *d;
	int error = target_get(a->alloc_unbound.dom, &d);

	if (error)
		return error;
	if (m.what == DOMID_SELF)
		m.what = current_domain()->id;
	error = port_make(d, &m, &a->alloc_unbound.port);
	domain_put(d);
	return error;
}

/* Both locks are held. */
static int join(struct domain *self, struct domain *peer, struct evtchn_bind_interdomain *b)
{
	struct event_port *remote = event_port(peer, b->remote_port);
	struct event_port *local;
	int error;

	if (!remote || remote->state != EVTCHNSTAT_unbound || remote->u.what != self->id)
		return -XEN_EINVAL;
	local = event_port_new(self, &b->local_port, &error);
	if (!local)
		return error;
	event_port_open(self, local, EVTCHNSTAT_interdomain, 0);
	local->u.remote.domain = peer;
	local->u.remote.port = b->remote_port;
	remote->state = EVTCHNSTAT_interdomain;
	remote->u.remote.domain = self;
	remote->u.remote.port = b->local_port;
	/* What the other end sent while nobody listened was dropped: say that there may be some. */
	event_set_pending(self, b->local_port, 0);
	return 0;
}

static long bind_interdomain(union event_arg *a)
{
	struct domain *self = current_domain();
	struct domain *peer = domain_get(a->bind_interdomain.remote_dom);
	int error;

	if (!peer)
		return -XEN_ESRCH;
	event_lock_two(self, peer);
	error = join(self, peer, &a->bind_interdomain);
	event_unlock_two(self, peer);
	domain_put(peer);
	return error;
}

static long bind_virq(union event_arg *a)
{
	struct domain *d = current_domain();
	struct evtchn_bind_virq *b = &a->bind_virq;
	struct making m = {.state = EVTCHNSTAT_virq, .vcpu = b->vcpu, .what = b->virq};

	if (b->virq >= NR_VIRQS || (event_virq_global(b->virq) && b->vcpu))
		return -XEN_EINVAL;
	if (!vcpu_exists(d, b->vcpu))
		return -XEN_ENOENT;
	m.bound = &d->vcpu[b->vcpu]->events.virq_port[b->virq];
	return port_make(d, &m, &b->port);
}

static long bind_ipi(union event_arg *a)
{
	struct making m = {.state = EVTCHNSTAT_ipi, .vcpu = a->bind_ipi.vcpu};

	if (!vcpu_exists(current_domain(), m.vcpu))
		return -XEN_ENOENT;
	return port_make(current_domain(), &m, &a->bind_ipi.port);
}

/* The port is there before the source is unmasked, so that the first interrupt is not lost; the
 * guest learns its number only when both are. A refusal by the source leaves it to io to say so
 * again when the port is closed: unbinding what is not bound changes nothing. */
static long bind_pirq(union event_arg *a)
{
	struct domain *d = current_domain();
	struct evtchn_bind_pirq *b = &a->bind_pirq;
	struct making m = {.state = EVTCHNSTAT_pirq, .what = b->pirq};
	int error;

	if (b->pirq >= EVENT_PIRQS)
		return -XEN_EINVAL;
	m.bound = &d->events.pirq_port[b->pirq];
	error = port_make(d, &m, &b->port);
	if (error)
		return error;
	error = io_pirq_bind(d, b->pirq);
	if (error)
		event_close(d, b->port);
	return error;
}

static long op_close(union event_arg *a)
{
	return event_close(current_domain(), a->close.port);
}

static long reset(union event_arg *a)
{
	struct domain *d;
	uint32_t port;
	int error = target_get(a->reset.dom, &d);

	if (error)
		return error;
	for (port = 1; port < EVENT_PORTS; port++)
		if (event_port(d, port))
			event_close(d, port);
	domain_put(d);
	return 0;
}

/* ---- using ----------------------------------------------------------------------------- */

static long op_send(union event_arg *a)
{
	struct domain *d = current_domain();
	struct event_port *p, *other;
	long error = 0;

	spin_lock(&d->events.lock);
	p = event_port(d, a->send.port);
	switch (p ? p->state : EVTCHNSTAT_closed) {
	case EVTCHNSTAT_interdomain:
		/* The other end stays while our lock is held: closing it takes both. Which vCPU it
		 * notifies may change under us; either is right. */
		other = event_port(p->u.remote.domain, p->u.remote.port);
		event_set_pending(p->u.remote.domain, p->u.remote.port, other->vcpu);
		break;
	case EVTCHNSTAT_ipi:
		event_set_pending(d, a->send.port, p->vcpu);
		break;
	case EVTCHNSTAT_unbound:
		break;
	default:
		error = -XEN_EINVAL;
	}
	spin_unlock(&d->events.lock);
	return error;
}

static void describe(const struct event_port *p, struct evtchn_status *s)
{
	s->status = p->state;
	s->vcpu = p->vcpu;
	switch (p->state) {
	case EVTCHNSTAT_unbound:
		s->u.unbound.dom = (domid_t)p->u.what;
		break;
	case EVTCHNSTAT_interdomain:
		s->u.interdomain.dom = p->u.remote.domain->id;
		s->u.interdomain.port = p->u.remote.port;
		break;
	default:
		s->u.virq = p->u.what; /* a pirq has the same place */
	}
}

static long status(union event_arg *a)
{
	struct evtchn_status *s = &a->status;
	struct event_port *p;
	struct domain *d;
	int error = target_get(s->dom, &d);

	if (error)
		return error;
	spin_lock(&d->events.lock);
	p = event_port(d, s->port);
	if (p)
		describe(p, s);
	else if (s->port == 0 || s->port >= EVENT_PORTS)
		error = -XEN_EINVAL;
	else
		s->status = EVTCHNSTAT_closed;
	spin_unlock(&d->events.lock);
	domain_put(d);
	return error;
}

/* An IPI and a virq of a vCPU stay with it: the guest counts on where they arrive. */
static bool can_move(const struct event_port *p)
{
	switch (p ? p->state : EVTCHNSTAT_closed) {
	case EVTCHNSTAT_unbound:
	case EVTCHNSTAT_interdomain:
	case EVTCHNSTAT_pirq:
		return true;
	case EVTCHNSTAT_virq:
		return event_virq_global(p->u.what);
	default:
		return false;
	}
}

static long bind_vcpu(union event_arg *a)
{
	struct domain *d = current_domain();
	struct event_port *p;
	long error = -XEN_EINVAL;

	if (!vcpu_exists(d, a->bind_vcpu.vcpu))
		return -XEN_ENOENT;
	spin_lock(&d->events.lock);
	p = event_port(d, a->bind_vcpu.port);
	if (can_move(p)) {
		p->vcpu = (uint16_t)a->bind_vcpu.vcpu;
		error = 0;
	}
	spin_unlock(&d->events.lock);
	return error;
}

static long op_unmask(union event_arg *a)
{
	struct domain *d = current_domain();
	struct event_port *p;
	long error = -XEN_EINVAL;

	spin_lock(&d->events.lock);
	p = event_port(d, a->unmask.port);
	if (p && p->state != EVTCHNSTAT_closed) {
		event_clear_mask(d, a->unmask.port, p->vcpu);
		error = 0;
	}
	spin_unlock(&d->events.lock);
	return error;
}

/* ---- the table ------------------------------------------------------------------------- */

static const struct event_op {
	long (*fn)(union event_arg *a);
	uint8_t bytes;
	bool answers; /* the argument has OUT fields */
} ops[] = {
#define OP(name, fn, answers)                                                                      \
	[EVTCHNOP_##name] = {fn, sizeof(((union event_arg *)0)->name), answers}
    OP(bind_interdomain, bind_interdomain, true),
    OP(bind_virq, bind_virq, true),
    OP(bind_pirq, bind_pirq, true),
    OP(close, op_close, false),
    OP(send, op_send, false),
    OP(status, status, true),
    OP(alloc_unbound, alloc_unbound, true),
    OP(bind_ipi, bind_ipi, true),
    OP(bind_vcpu, bind_vcpu, false),
    OP(unmask, op_unmask, false),
    OP(reset, reset, false),
#undef OP
};

/* init_control and its like are FIFO's: -ENOSYS makes guests fall back to two levels. */
long hc_event_channel_op(uint64_t cmd, uint64_t arg_va)
{
	union event_arg arg;
	const struct event_op *op;
	long result;

	if (cmd >= ARRAY_SIZE(ops) || !ops[cmd].fn)
		return -XEN_ENOSYS;
	op = &ops[cmd];
	memset(&arg, 0, sizeof(arg));
	if (guest_copy_from(&arg, arg_va, op->bytes))
		return -XEN_EFAULT;
	result = op->fn(&arg);
	if (result == 0 && op->answers && guest_copy_to(arg_va, &arg, op->bytes))
		return -XEN_EFAULT;
	return result;
}
