/* event.h: event channels, and the memory a domain and its hypervisor share about them.
 *
 * Callers: domain.c (init and teardown), the scheduler (poll, deliverable), the entry code (upcall
 * mask), time and interrupts (virqs, pirqs), mm (shared_info's frame). Implemented in event*.c.
 * Ports are per domain, 1..4095 whichever way their bits are kept (two levels, or FIFO once the guest
 * has asked for it); port 0 is never used, and the 4096th is refused with -XEN_ENOSPC. Each domain has
 * one lock over its ports; an operation on both ends of a channel takes both, lower address first, so
 * senders need only theirs.
 *
 * event_send_* may be called in any context, interrupts off included; it never fails and never
 * blocks, and says nothing when nobody has bound the event. Everything else: from a hypercall.
 */
#ifndef HV_EVENT_H
#define HV_EVENT_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "lock.h"

struct domain;
struct vcpu;
struct page_info;
struct event_bits;
struct event_fifo;

#define EVENT_PORTS        ((uint32_t)EVTCHN_2L_NR_CHANNELS)
#define EVENT_CHUNK        128u /* ports allocated at a time */
#define EVENT_PIRQS        128u /* as io.h has */
#define EVENT_POLL_NOTHING 0
#define EVENT_POLL_ANY     (-1)

struct event_port {
	uint8_t state;    /* EVTCHNSTAT_* */
	uint8_t priority; /* FIFO's: the queue it goes to next */
	uint16_t vcpu;    /* who is notified */
	/* FIFO's, and kept while the port is closed: the queue it was on last, and whether it is
	 * pending while the guest has no word for it yet. */
	uint16_t last_vcpu;
	uint8_t last_priority;
	bool pending;
	union {
		uint32_t what; /* unbound: the domain it is for; pirq, virq: its number */
		struct {
			struct domain *domain; /* not counted: its end is closed before it goes */
			uint32_t port;
		} remote;
	} u;
};

/* In struct domain. shared belongs to event.c: made in event_domain_init, mappable by the domain
 * (mm_share_page), gone (NULL) at the end of teardown. Time may write its fields of a living one.
 */
struct domain_events {
	spinlock_t lock;
	struct shared_info *shared;
	const struct event_bits *bits; /* event_ports.h */
	struct event_fifo *fifo;       /* NULL while there are two levels */
	struct event_port *chunk[EVTCHN_2L_NR_CHANNELS / EVENT_CHUNK];
	uint32_t pirq_port[EVENT_PIRQS]; /* 0: none */
	uint32_t max_port;               /* the highest that is given out */
	uint32_t n_open;                 /* for the dumps and the leak tests */
	int32_t n_polling;               /* vCPUs in a poll; atomic */
	bool closed;                     /* teardown has run: no port is given out any more */
};

/* In struct vcpu. info points into shared_info or to the place the guest registered, after teardown
 * to a place of nobody's; never NULL. */
struct vcpu_events {
	struct vcpu_info *info;
	struct page_info *info_page; /* held for a registered place, else NULL */
	uint32_t virq_port[NR_VIRQS];
	int32_t polled; /* a port, EVENT_POLL_ANY or EVENT_POLL_NOTHING; atomic */
};

/* ---- life, called by domain.c ---------------------------------------------------------- */

/* 0 or -XEN_ENOMEM, having kept nothing. */
int event_domain_init(struct domain *d);
void event_vcpu_init(struct vcpu *v);
/* Closes every port; bounded (4096 ports). The domain cannot run any more. */
void event_domain_teardown(struct domain *d);
/* Takes shared_info away from the domain, after its memory. */
void event_domain_unshare(struct domain *d);
/* Last step, when nothing refers to the domain: frees what is left. */
void event_domain_free(struct domain *d);

/* ---- telling a guest ------------------------------------------------------------------- */

void event_send_virq(struct vcpu *v, unsigned virq);
/* To the one domain that has bound the global virq (VIRQ_CONSOLE, VIRQ_DOM_EXC, ...): the first. */
void event_send_global_virq(unsigned virq);
void event_send_pirq(struct domain *d, unsigned pirq);

/* ---- for the way back to the guest ----------------------------------------------------- */

/* Whether an upcall is due now (pending and not masked), pending at all. Any context. */
static inline bool event_deliverable(const struct vcpu_events *e)
{
	return __atomic_load_n(&e->info->evtchn_upcall_pending, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&e->info->evtchn_upcall_mask, __ATOMIC_RELAXED);
}

/* The guest's virtual interrupt flag: masked means off. The old value is returned. */
static inline bool event_set_mask(struct vcpu_events *e, bool masked)
{
	return __atomic_exchange_n(&e->info->evtchn_upcall_mask, masked, __ATOMIC_SEQ_CST);
}
static inline bool event_masked(const struct vcpu_events *e)
{
	return __atomic_load_n(&e->info->evtchn_upcall_mask, __ATOMIC_RELAXED);
}

/* ---- SCHEDOP_poll ---------------------------------------------------------------------- */

/* From now on a notification of one of the ports (of any port when count is not 1) also calls
 * vcpu_wake(v). 0, or 1 when one of them is pending already and the poll is over at once, or
 * -XEN_EINVAL for a port out of range. event_poll_end forgets it; harmless without a begin. */
int event_poll_begin(struct vcpu *v, const uint32_t *ports, unsigned count);
void event_poll_end(struct vcpu *v);

/* ---- VCPUOP_register_vcpu_info --------------------------------------------------------- */

/* Moves vcpu_info to a place in a writable page of the domain's own, once. -XEN_EINVAL for a bad
 * place or a second time. */
int event_register_vcpu_info(struct vcpu *v, uint64_t mfn, uint32_t offset);

/* hypercall */
long hc_event_channel_op(uint64_t cmd, uint64_t arg_va);

/* Prints the open ports of d through hv_printk; for domain_for_each. */
void event_dump(struct domain *d, void *unused);

#endif
