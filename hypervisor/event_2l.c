/* event_2l.c: the bits of ports as two levels of them in shared_info, as every domain begins.
 *
 * A notification is three levels of bits in memory shared with the guest: the port's pending bit,
 * a selector bit for its word, and upcall_pending of one vCPU. The guest clears them from the top
 * down, so they are set from the bottom up, each only when it was clear: whoever sets the last one
 * wakes the vCPU. Nothing in shared memory is believed: it is written, and read only as bits.
 *
 * Not here: ports (event.c). Called through struct event_bits only.
 */
#include "event_ports.h"

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

static bool is_pending(const struct domain *d, uint32_t port)
{
	return test_bit(d->events.shared->evtchn_pending, port);
}

static bool is_masked(const struct domain *d, uint32_t port)
{
	return test_bit(d->events.shared->evtchn_mask, port);
}

/* Nothing outlives the pending bit. */
static bool is_busy(const struct domain *d, uint32_t port)
{
	return false;
}

/* The port's bit is set and not masked: the levels above it. */
static void raise_selector(struct vcpu *v, uint32_t port)
{
	if (!test_and_set_bit(&v->events.info->evtchn_pending_sel, port / 64))
		event_raise(v);
}

static bool set(struct domain *d, uint32_t port, struct event_port *p)
{
	struct shared_info *s = d->events.shared;

	if (test_and_set_bit(s->evtchn_pending, port))
		return false;
	if (!test_bit(s->evtchn_mask, port))
		raise_selector(d->vcpu[p->vcpu], port);
	return true;
}

/* What came while the port was masked went no further than its own bit; it goes on now. */
static void unmask(struct domain *d, uint32_t port, struct event_port *p)
{
	struct shared_info *s = d->events.shared;

	if (test_and_clear_bit(s->evtchn_mask, port) && test_bit(s->evtchn_pending, port))
		raise_selector(d->vcpu[p->vcpu], port);
}

static void clear(struct domain *d, uint32_t port)
{
	test_and_clear_bit(d->events.shared->evtchn_pending, port);
}

const struct event_bits event_2l_bits = {set, unmask, clear, is_pending, is_masked, is_busy};
