/* event.c: the ports of a domain and the bits a guest sees of them.
 *
 * A notification is three levels of bits in memory shared with the guest: the port's pending bit,
 * a selector bit for its word, and upcall_pending of one vCPU. The guest clears them from the top
 * down, so they are set from the bottom up, each only when it was clear: whoever sets the last one
 * wakes the vCPU. Nothing in shared memory is believed: it is written, and read only as bits.
 *
 * Not here: what guests ask (event_op.c), delivery of the upcall (pv). Called by event_op.c, time,
 * irq, sched, domain. Calls mm for shared_info, sched to wake.
 */
#include <amphi/string.h>

#include "event_ports.h"
#include "guest.h"
#include "percpu.h"

_Static_assert(EVENT_PIRQS == IO_PIRQS, "one port for each pirq");
_Static_assert(MAX_VCPUS <= XEN_LEGACY_MAX_VCPUS, "each vCPU has a vcpu_info in shared_info");
_Static_assert(sizeof(struct shared_info) <= PAGE_SIZE, "shared_info is one page");

static bool test_and_set_bit(xen_ulong_t *words, uint32_t bit)
{
	xen_ulong_t mask = 1ul << (bit % 64);

	return __atomic_fetch_or(&words[bit / 64], mask, __ATOMIC_SEQ_CST) & mask;
}

static bool test_and_clear_bit(xen_ulong_t *words, uint32_t bit)
{
	xen_ulong_t mask = 1ul << (bit % 64);

	return __atomic_fetch_and(&words[bit / 64], ~mask, __ATOMIC_SEQ_CST) & mask;
}

static bool test_bit(const xen_ulong_t *words, uint32_t bit)
{
	return __atomic_load_n(&words[bit / 64], __ATOMIC_SEQ_CST) >> (bit % 64) & 1;
}

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
	for (port = 1; port < EVENT_PORTS; port++) {
		chunk = &d->events.chunk[port / EVENT_CHUNK];
		*out_error = -XEN_ENOMEM;
		if (!*chunk)
			*chunk = hv_alloc(EVENT_CHUNK * sizeof(struct event_port));
		if (!*chunk)
			return NULL;
		p = &(*chunk)[port % EVENT_CHUNK];
		if (p->state != EVTCHNSTAT_closed)
			continue;
		*p = (struct event_port){.state = state, .vcpu = (uint16_t)vcpu};
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

	memset(p, 0, sizeof(*p));
	d->events.n_open--;
	/* A port that is given out again must not begin with the notification of its past life. */
	test_and_clear_bit(d->events.shared->evtchn_pending, port);
}

/* ---- telling a guest ------------------------------------------------------------------- */

/* The port's bit is set and not masked: the levels above it. */
static void raise_upcall(struct vcpu *v, uint32_t port)
{
	struct vcpu_info *info = v->events.info;

	if (!test_and_set_bit(&info->evtchn_pending_sel, port / 64) &&
	    !__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
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
void event_set_pending(struct domain *d, uint32_t port, uint32_t vcpu)
{
	struct shared_info *s = d->events.shared;
	struct vcpu *v = vcpu < d->max_vcpus ? d->vcpu[vcpu] : NULL;

	if (!v || test_and_set_bit(s->evtchn_pending, port))
		return;
	if (!test_bit(s->evtchn_mask, port))
		raise_upcall(v, port);
	wake_pollers(d, port);
}

/* What came while the port was masked went no further than its own bit; it goes on now. */
void event_clear_mask(struct domain *d, uint32_t port, uint32_t vcpu)
{
	struct shared_info *s = d->events.shared;

	if (test_and_clear_bit(s->evtchn_mask, port) && test_bit(s->evtchn_pending, port))
		raise_upcall(d->vcpu[vcpu], port);
}

/* bound is where the source's port stands, if it has one. */
static void send_bound(struct domain *d, const uint32_t *bound)
{
	spin_lock(&d->events.lock);
	if (*bound)
		event_set_pending(d, *bound, event_port(d, *bound)->vcpu);
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
		if (test_bit(d->events.shared->evtchn_pending, ports[i]))
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

	if (offset > PAGE_SIZE - sizeof(*to) || offset % sizeof(uint64_t) || v->events.info_page ||
	    (v != current_vcpu() && vcpu_is_up(v)))
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
			  test_bit(d->events.shared->evtchn_pending, port),
			  test_bit(d->events.shared->evtchn_mask, port));
	}
}
