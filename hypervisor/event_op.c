/* event_op.c: EVTCHNOP_*: channels made, asked about and closed as guests want it.
 *
 * Each command has one function that gets the domain it is about and its argument, copied in; the
 * table at the end says how long that is, whether it goes back, whose domain, and under which lock.
 * An interdomain channel is two ports that name each other; both change together under both
 * domains' locks:
 *
 *     closed --alloc_unbound--> unbound --bind_interdomain of the peer--> interdomain
 *        ^                        |  ^                                       |
 *        +--------close-----------+  +---------close at the other end--------+
 *
 * Not here: pending bits (event_2l.c, event_fifo.c), closing (event_close.c). Called by dispatch.c.
 */
#include <amphi/string.h>

#include "event_ports.h"
#include "guest.h"
#include "percpu.h"

union event_arg {
	domid_t dom; /* alloc_unbound, status and reset begin with it */
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
	struct evtchn_init_control init_control;
	struct evtchn_expand_array expand_array;
	struct evtchn_set_priority set_priority;
};

static bool vcpu_exists(const struct domain *d, uint32_t id)
{
	return id < d->max_vcpus && d->vcpu[id];
}

/* ---- making channels ------------------------------------------------------------------- */

/* A new port of d in a state that concerns d alone; `what` is the virq, pirq or peer. bound, when
 * not NULL, is where the number is kept for senders: one port for each such place. */
static int port_make(struct domain *d, uint8_t state, uint32_t vcpu, uint32_t what, uint32_t *bound,
		     uint32_t *out_port)
{
	struct event_port *p = NULL;
	int error = -XEN_EEXIST;

	spin_lock(&d->events.lock);
	if (!bound || !*bound)
		p = event_port_open(d, state, vcpu, out_port, &error);
	if (p)
		p->u.what = what;
	if (p && bound)
		*bound = *out_port;
	spin_unlock(&d->events.lock);
	return error;
}

static long alloc_unbound(struct domain *d, union event_arg *a)
{
	domid_t peer = a->alloc_unbound.remote_dom;

	if (peer == DOMID_SELF)
		peer = current_domain()->id;
	return port_make(d, EVTCHNSTAT_unbound, 0, peer, NULL, &a->alloc_unbound.port);
}

static long bind_interdomain(struct domain *self, union event_arg *a)
{
	struct evtchn_bind_interdomain *b = &a->bind_interdomain;
	struct domain *peer = domain_get(b->remote_dom);
	struct event_port *remote, *local = NULL;
	int error = -XEN_EINVAL;

	if (!peer)
		return -XEN_ESRCH;
	event_lock_two(self, peer);
	remote = event_port(peer, b->remote_port);
	if (remote && remote->state == EVTCHNSTAT_unbound && remote->u.what == self->id)
		local = event_port_open(self, EVTCHNSTAT_interdomain, 0, &b->local_port, &error);
	if (local) {
		local->u.remote.domain = peer;
		local->u.remote.port = b->remote_port;
		remote->state = EVTCHNSTAT_interdomain;
		remote->u.remote.domain = self;
		remote->u.remote.port = b->local_port;
		/* What the other end sent while nobody listened was dropped: say that there may be
		 * some. */
		event_set_pending(self, b->local_port, local);
	}
	event_unlock_two(self, peer);
	domain_put(peer);
	return error;
}

/* Virqs that exist once for a machine, not once for a vCPU. */
static bool virq_global(unsigned virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF &&
	       virq != VIRQ_XENPMU;
}

static long bind_virq(struct domain *d, union event_arg *a)
{
	struct evtchn_bind_virq *b = &a->bind_virq;

	if (b->virq >= NR_VIRQS || (virq_global(b->virq) && b->vcpu))
		return -XEN_EINVAL;
	if (!vcpu_exists(d, b->vcpu))
		return -XEN_ENOENT;
	return port_make(d, EVTCHNSTAT_virq, b->vcpu, b->virq,
			 &d->vcpu[b->vcpu]->events.virq_port[b->virq], &b->port);
}

static long bind_ipi(struct domain *d, union event_arg *a)
{
	if (!vcpu_exists(d, a->bind_ipi.vcpu))
		return -XEN_ENOENT;
	return port_make(d, EVTCHNSTAT_ipi, a->bind_ipi.vcpu, 0, NULL, &a->bind_ipi.port);
}

/* The port is there before the source is unmasked, so that the first interrupt is not lost; the
 * guest learns its number only when both are. A refusal by the source leaves it to io to say so
 * again when the port is closed: unbinding what is not bound changes nothing. */
static long bind_pirq(struct domain *d, union event_arg *a)
{
	struct evtchn_bind_pirq *b = &a->bind_pirq;
	int error;

	if (b->pirq >= EVENT_PIRQS)
		return -XEN_EINVAL;
	error = port_make(d, EVTCHNSTAT_pirq, 0, b->pirq, &d->events.pirq_port[b->pirq], &b->port);
	if (error)
		return error;
	error = io_pirq_bind(d, b->pirq);
	if (error)
		event_close(d, b->port);
	return error;
}

static long op_close(struct domain *d, union event_arg *a)
{
	return event_close(d, a->close.port);
}

/* Of another domain only while its builder holds it: it must not be at its events. */
static long reset(struct domain *d, union event_arg *a)
{
	if (d != current_domain() && !d->ctl_pauses)
		return -XEN_EINVAL;
	event_close_all(d);
	return event_fifo_stop(d);
}

/* ---- using: the domain's lock is held ---------------------------------------------------- */

static long op_send(struct domain *d, union event_arg *a)
{
	struct event_port *p = event_port(d, a->send.port), *other;

	switch (p ? p->state : EVTCHNSTAT_closed) {
	case EVTCHNSTAT_interdomain:
		/* The other end stays while our lock is held: closing it takes both. Which vCPU it
		 * notifies may change under us; either is right. */
		other = event_port(p->u.remote.domain, p->u.remote.port);
		event_set_pending(p->u.remote.domain, p->u.remote.port, other);
		return 0;
	case EVTCHNSTAT_ipi:
		event_set_pending(d, a->send.port, p);
		return 0;
	case EVTCHNSTAT_unbound:
		return 0;
	default:
		return -XEN_EINVAL;
	}
}

static long status(struct domain *d, union event_arg *a)
{
	struct evtchn_status *s = &a->status;
	const struct event_port *p = event_port(d, s->port);

	if (s->port == 0 || s->port >= EVENT_PORTS)
		return -XEN_EINVAL;
	s->status = p ? p->state : EVTCHNSTAT_closed;
	if (!p)
		return 0;
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
	return 0;
}

/* An IPI and a virq of a vCPU stay with it: the guest counts on where they arrive. */
static long bind_vcpu(struct domain *d, union event_arg *a)
{
	struct event_port *p = event_port(d, a->bind_vcpu.port);

	if (!vcpu_exists(d, a->bind_vcpu.vcpu))
		return -XEN_ENOENT;
	switch (p ? p->state : EVTCHNSTAT_closed) {
	case EVTCHNSTAT_virq:
		if (!virq_global(p->u.what))
			return -XEN_EINVAL;
		break;
	case EVTCHNSTAT_unbound:
	case EVTCHNSTAT_interdomain:
	case EVTCHNSTAT_pirq:
		break;
	default:
		return -XEN_EINVAL;
	}
	p->vcpu = (uint16_t)a->bind_vcpu.vcpu;
	return 0;
}

static long op_unmask(struct domain *d, union event_arg *a)
{
	struct event_port *p = event_port(d, a->unmask.port);

	if (!p || p->state == EVTCHNSTAT_closed)
		return -XEN_EINVAL;
	d->events.bits->unmask(d, a->unmask.port, p);
	return 0;
}

static long init_control(struct domain *d, union event_arg *a)
{
	return event_fifo_control(d, &a->init_control);
}

static long expand_array(struct domain *d, union event_arg *a)
{
	return event_fifo_expand(d, &a->expand_array);
}

static long set_priority(struct domain *d, union event_arg *a)
{
	return event_fifo_priority(d, &a->set_priority);
}

/* ---- the table ------------------------------------------------------------------------- */

enum {
	ANSWERS = 1, /* the argument has OUT fields */
	NAMED = 2,   /* and begins with the domain it is about; else that is the caller */
	LOCKED = 4,  /* done under that domain's lock */
};

static const struct event_op {
	long (*fn)(struct domain *d, union event_arg *a);
	uint8_t bytes, flags;
} ops[] = {
#define OP(name, fn, flags) [EVTCHNOP_##name] = {fn, sizeof(((union event_arg *)0)->name), flags}
    OP(bind_interdomain, bind_interdomain, ANSWERS),
    OP(bind_virq, bind_virq, ANSWERS),
    OP(bind_pirq, bind_pirq, ANSWERS),
    OP(close, op_close, 0),
    OP(send, op_send, LOCKED),
    OP(status, status, ANSWERS | NAMED | LOCKED),
    OP(alloc_unbound, alloc_unbound, ANSWERS | NAMED),
    OP(bind_ipi, bind_ipi, ANSWERS),
    OP(bind_vcpu, bind_vcpu, LOCKED),
    OP(unmask, op_unmask, LOCKED),
    OP(reset, reset, NAMED),
    OP(init_control, init_control, ANSWERS | LOCKED),
    OP(expand_array, expand_array, LOCKED),
    OP(set_priority, set_priority, LOCKED),
#undef OP
};

long hc_event_channel_op(uint64_t cmd, uint64_t arg_va)
{
	const struct event_op *op = &ops[cmd < ARRAY_SIZE(ops) ? cmd : 0];
	union event_arg arg;
	struct domain *d;
	long result;
	int error;

	if (cmd >= ARRAY_SIZE(ops) || !op->fn)
		return -XEN_ENOSYS;
	if (guest_copy_from(&arg, arg_va, op->bytes))
		return -XEN_EFAULT;
	/* The caller's own stays as long as the call. */
	d = op->flags & NAMED ? domain_named(arg.dom, &error) : current_domain();
	if (!d)
		return error;
	if (op->flags & LOCKED)
		spin_lock(&d->events.lock);
	result = op->fn(d, &arg);
	if (op->flags & LOCKED)
		spin_unlock(&d->events.lock);
	if (op->flags & NAMED)
		domain_put(d);
	if (result == 0 && (op->flags & ANSWERS) && guest_copy_to(arg_va, &arg, op->bytes))
		return -XEN_EFAULT;
	return result;
}
