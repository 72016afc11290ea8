/* event.c: the ports of a domain, who is told of them, and who waits for them.
 *
 * A port's state is ours, in chunks that live as long as the domain. What the guest sees of it are
 * bits in memory it shares with us; struct event_bits is how they are kept, in two levels until the
 * guest asks for FIFO. At the top of both is upcall_pending of one vCPU, set here.
 *
 * Not here: what guests ask (event_op.c), the bits (event_2l.c, event_fifo.c), delivery of the upcall
 * (pv). Called by event_op.c, time, irq, sched, domain. Calls mm for shared_info, sched to wake.
 */
#include <amphi/string.h>

#include "event_ports.h"
#include "guest.h"
#include "percpu.h"

_Static_assert(EVENT_PIRQS == IO_PIRQS, "one port for each pirq");
_Static_assert(MAX_VCPUS <= XEN_LEGACY_MAX_VCPUS, "each vCPU has a vcpu_info in shared_info");
_Static_assert(sizeof(struct shared_info) <= PAGE_SIZE, "shared_info is one page");

/* ---- ports ----------------------------------------------------------------------------- */

struct event_port *event_port(struct domain *d, uint32_t port)
{
	struct event_port *chunk = port < EVENT_PORTS ? d->events.chunk[port / EVENT_CHUNK] : NULL;

	return port && chunk ? &chunk[port % EVENT_CHUNK] : NULL;
}

/* The lowest free port, as guests expect of fresh ones. Chunks are never given back while the
 * domain lives, so a pointer to a port stays good under the lock. */
struct event_port *event_port_open(struct domain *d, uint8_t state, uint32_t vcpu,
				   uint32_t *out_port, int *out_error)
{
	struct event_port **chunk, *p;
	uint32_t port;

	*out_error = -XEN_ESRCH;
	if (d->events.closed)
		return NULL;
	for (port = 1; port <= d->events.max_port; port++) {
		chunk = &d->events.chunk[port / EVENT_CHUNK];
		*out_error = -XEN_ENOMEM;
		if (!*chunk)
			*chunk = hv_alloc(EVENT_CHUNK * sizeof(struct event_port));
		if (!*chunk)
			return NULL;
		p = &(*chunk)[port % EVENT_CHUNK];
		if (p->state != EVTCHNSTAT_closed || d->events.bits->busy(d, port))
			continue;
		p->state = state;
		p->vcpu = (uint16_t)vcpu;
		p->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
		d->events.n_open++;
		*out_port = port;
		*out_error = 0;
		return p;
	}
	*out_error = -XEN_ENOSPC;
	return NULL;
}

void event_port_shut(struct domain *d, uint32_t port)
{
	struct event_port *p = event_port(d, port);

	p->state = EVTCHNSTAT_closed;
	p->vcpu = 0;
	p->pending = false;
	memset(&p->u, 0, sizeof(p->u));
	d->events.n_open--;
	/* A port that is given out again must not begin with the notification of its past life. */
	d->events.bits->clear(d, port);
}

/* ---- telling a guest ------------------------------------------------------------------- */

void event_raise(struct vcpu *v)
{
	if (!__atomic_exchange_n(&v->events.info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
		vcpu_wake(v);
}

/* Also for a masked port: a guest that polls has masked what it waits for. */
static void wake_pollers(struct domain *d, uint32_t port)
{
	int32_t polled;

	/* Nearly always nobody polls, and senders are on the fast path. */
	if (!__atomic_load_n(&d->events.n_polling, __ATOMIC_SEQ_CST))
		return;
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		if (!d->vcpu[i])
			continue;
		polled = __atomic_load_n(&d->vcpu[i]->events.polled, __ATOMIC_SEQ_CST);
		if (polled == EVENT_POLL_ANY || polled == (int32_t)port)
			vcpu_wake(d->vcpu[i]);
	}
}

/* Who finds the bit set has nothing to do: whoever set it tells the guest. That is what makes a
 * notification that nobody has taken yet cost one instruction. */
void event_set_pending(struct domain *d, uint32_t port, struct event_port *p)
{
	if (d->events.bits->set(d, port, p))
		wake_pollers(d, port);
}

/* bound is where the source's port stands, if it has one. */
static void send_bound(struct domain *d, const uint32_t *bound)
{
	spin_lock(&d->events.lock);
	if (*bound)
		event_set_pending(d, *bound, event_port(d, *bound));
	spin_unlock(&d->events.lock);
}

void event_send_virq(struct vcpu *v, unsigned virq)
{
	if (virq < NR_VIRQS)
		send_bound(v->domain, &v->events.virq_port[virq]);
}

/* Always the first domain, and there vCPU 0. */
void event_send_global_virq(unsigned virq)
{
	struct domain *d = domain_find(0);

	if (!d)
		return;
	if (d->vcpu[0])
		event_send_virq(d->vcpu[0], virq);
	domain_put(d);
}

void event_send_pirq(struct domain *d, unsigned pirq)
{
	if (pirq < EVENT_PIRQS)
		send_bound(d, &d->events.pirq_port[pirq]);
}

/* ---- SCHEDOP_poll ---------------------------------------------------------------------- */

int event_poll_begin(struct vcpu *v, const uint32_t *ports, unsigned count)
{
	struct domain *d = v->domain;
	int32_t polled = count == 1 && ports[0] ? (int32_t)ports[0] : EVENT_POLL_ANY;
	unsigned i;

	for (i = 0; i < count; i++)
		if (ports[i] >= EVENT_PORTS)
			return -XEN_EINVAL;
	event_poll_end(v);
	__atomic_store_n(&v->events.polled, polled, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&d->events.n_polling, 1, __ATOMIC_SEQ_CST);
	/* Announced first, looked second: a sender either sees the poll or is seen by it. */
	for (i = 0; i < count; i++)
		if (d->events.bits->pending(d, ports[i]))
			break;
	if (i < count)
		event_poll_end(v);
	return i < count;
}

void event_poll_end(struct vcpu *v)
{
	int32_t old = __atomic_exchange_n(&v->events.polled, EVENT_POLL_NOTHING, __ATOMIC_SEQ_CST);

	if (old != EVENT_POLL_NOTHING)
		__atomic_fetch_sub(&v->domain->events.n_polling, 1, __ATOMIC_SEQ_CST);
}

/* ---- vcpu_info at a place of the guest's ----------------------------------------------- */

/* Of the vCPU that calls, or one that is down: another may be looking at the old place. Copies what
 * is pending over and makes the new place the one in use. Whatever was noted in the old
 * one between copy and switch would be lost, so everything is marked pending once. */
int event_register_vcpu_info(struct vcpu *v, uint64_t mfn, uint32_t offset)
{
	struct page_info *page;
	struct vcpu_info *to;

	if (offset > PAGE_SIZE - sizeof(*to) || offset % sizeof(uint64_t))
		return -XEN_ENXIO;
	if (v->events.info_page || (v != current_vcpu() && vcpu_is_up(v)))
		return -XEN_EINVAL;
	if (page_get_and_type((mfn_t){mfn}, v->domain, PT_WRITABLE, &page))
		return -XEN_EINVAL;
	v->events.info_page = page;
	to = (struct vcpu_info *)((char *)page_to_virt(page) + offset);
	memcpy(to, v->events.info, sizeof(*to));
	__atomic_store_n(&v->events.info, to, __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->evtchn_pending_sel, ~0ul, __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
	vcpu_wake(v);
	time_update_vcpu(v);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------ */

int event_domain_init(struct domain *d)
{
	d->events.shared = hv_page_alloc(0);
	if (!d->events.shared)
		return -XEN_ENOMEM;
	mm_share_page(d, d->events.shared, false);
	d->events.bits = &event_2l_bits;
	d->events.max_port = EVENT_PORTS - 1;
	return 0;
}

/* Masked, as interrupts are on a CPU that starts. */
void event_vcpu_init(struct vcpu *v)
{
	v->events.info = &v->domain->events.shared->vcpu_info[v->id];
	v->events.info->evtchn_upcall_mask = 1;
}

/* Where vCPUs that never run again have their bits set, should somebody still do so. */
static struct vcpu_info nobodys_info;

void event_close_all(struct domain *d)
{
	uint32_t port;

	for (port = 1; port < EVENT_PORTS; port++)
		if (event_port(d, port))
			event_close(d, port);
}

void event_domain_teardown(struct domain *d)
{
	struct page_info *page;
	struct vcpu_events *e;

	spin_lock(&d->events.lock);
	d->events.closed = true;
	spin_unlock(&d->events.lock);
	event_close_all(d);
	event_fifo_stop(d);
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		if (!d->vcpu[i])
			continue;
		event_poll_end(d->vcpu[i]);
		e = &d->vcpu[i]->events;
		page = e->info_page;
		e->info = &nobodys_info;
		e->info_page = NULL;
		if (page)
			page_put_and_type(page);
	}
}

void event_domain_unshare(struct domain *d)
{
	void *page = d->events.shared;

	d->events.shared = NULL;
	if (page)
		mm_unshare_page(page);
}

void event_domain_free(struct domain *d)
{
	for (unsigned c = 0; c < ARRAY_SIZE(d->events.chunk); c++)
		hv_free(d->events.chunk[c], EVENT_CHUNK * sizeof(struct event_port));
}

void event_dump(struct domain *d, void *unused)
{
	const struct event_port *p;
	uint32_t port;

	hv_printk("domain %u: %u ports open", d->id, d->events.n_open);
	for (port = 1; port < EVENT_PORTS; port++) {
		p = event_port(d, port);
		if (!p || p->state == EVTCHNSTAT_closed)
			continue;
		hv_printk("  port %u state %u vcpu %u peer %u pending %d masked %d", port, p->state,
			  p->vcpu,
			  p->state == EVTCHNSTAT_interdomain ? p->u.remote.domain->id : p->u.what,
			  d->events.bits->pending(d, port), d->events.bits->masked(d, port));
	}
}
