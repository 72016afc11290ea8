/* event_fifo.c: the bits of ports as words of the guest's, linked into queues by priority.
 *
 * The guest gives pages of 32-bit words, one for each port (the event array), and for each vCPU a
 * control block: a head for each of 16 queues and a bit that says there is one. A word has PENDING,
 * MASKED, LINKED (on a queue), BUSY (we are at its link) and the port behind it. We append, the guest
 * takes from the head:
 *
 *   set:    PENDING; when neither MASKED nor LINKED: LINKED, then behind the tail, or as the head
 *   guest:  head -> its word's link becomes the head; clears LINKED and the link; PENDING: an event
 *
 * The guest may write anything there at any time. So tails, and the queue each port was on last, are
 * kept here; of the words we read bits, never a link, and no loop over them is longer than its bound.
 * The pages are held as writable ones of the domain's own until EVTCHNOP_reset or its end.
 *
 * Not here: ports (event.c), decoding (event_op.c). Called by event_op.c, event.c and through struct
 * event_bits. Calls mm. Lock: the queues' own, inside a domain's event lock, since senders hold
 * only theirs.
 */
#include "event_ports.h"

#define WORDS_PER_PAGE ((uint32_t)(PAGE_SIZE / sizeof(event_word_t)))
#define ARRAY_PAGES    (EVENT_PORTS / WORDS_PER_PAGE)

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define BUSY    (1u << EVTCHN_FIFO_BUSY)

_Static_assert(EVENT_PORTS % WORDS_PER_PAGE == 0, "whole pages");
_Static_assert(sizeof(struct evtchn_fifo_control_block) == 72, "as the ABI has it");

struct fifo_vcpu {
	struct evtchn_fifo_control_block *control; /* in a page of the guest's; NULL: none yet */
	uint32_t tail[EVTCHN_FIFO_MAX_QUEUES];     /* the port appended last; 0: none */
};

struct event_fifo {
	spinlock_t lock; /* tails, and last_vcpu and last_priority of the domain's ports */
	uint32_t n_pages;
	event_word_t *array[ARRAY_PAGES];
	struct fifo_vcpu vcpu[MAX_VCPUS];
};

/* NULL while the guest has not given the page it would be in. */
static event_word_t *word_of(const struct domain *d, uint32_t port)
{
	const struct event_fifo *f = d->events.fifo;

	if (port / WORDS_PER_PAGE >= f->n_pages)
		return NULL;
	return &f->array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static bool word_has(const struct domain *d, uint32_t port, uint32_t bit)
{
	const event_word_t *word = word_of(d, port);

	return word && (__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit);
}

static bool is_pending(const struct domain *d, uint32_t port)
{
	return word_has(d, port, PENDING);
}

static bool is_masked(const struct domain *d, uint32_t port)
{
	return !word_of(d, port) || word_has(d, port, MASKED);
}

static bool is_busy(const struct domain *d, uint32_t port)
{
	return word_has(d, port, LINKED);
}

/* ---- queues ---------------------------------------------------------------------------- */

/* While a word is LINKED and BUSY the guest may clear PENDING, set MASKED and clear LINKED, each
 * once: an exchange fails at most three times after the one that found it changing. One that fails
 * more often is against a guest that breaks the rules, and what is lost is its own event. */
#define LINK_TRIES 5

/* Makes port the one behind the tail; false when the guest has taken that off the queue, which is
 * empty then. */
static bool link_behind(event_word_t *tail, uint32_t port)
{
	uint32_t old = __atomic_load_n(tail, __ATOMIC_SEQ_CST), new;
	int tries;

	for (tries = 0; tries < LINK_TRIES && (old & LINKED); tries++) {
		new = (old & ~(BUSY | (uint32_t)EVTCHN_FIFO_LINK_MASK)) | port;
		if (__atomic_compare_exchange_n(tail, &old, new, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
		if (tries == 0)
			old = __atomic_fetch_or(tail, BUSY, __ATOMIC_SEQ_CST) | BUSY;
	}
	if (tries)
		__atomic_fetch_and(tail, ~BUSY, __ATOMIC_SEQ_CST);
	return false;
}

/* The lock is held. Whether the vCPU has to be told that this queue is not empty any more. */
static bool append(struct domain *d, struct fifo_vcpu *to, uint32_t port, uint8_t priority)
{
	uint32_t tail = to->tail[priority], bit = 1u << priority;

	to->tail[priority] = port;
	if (tail && link_behind(word_of(d, tail), port))
		return false;
	__atomic_store_n(&to->control->head[priority], port, __ATOMIC_SEQ_CST);
	return !(__atomic_fetch_or(&to->control->ready, bit, __ATOMIC_SEQ_CST) & bit);
}

/* A port that was the tail of a queue has been taken off it, or it would be LINKED: that queue is
 * empty. To append to it would otherwise follow the port to where it is going now. */
static void enqueue(struct domain *d, uint32_t port, struct event_port *p)
{
	struct event_fifo *f = d->events.fifo;
	struct fifo_vcpu *to = &f->vcpu[p->vcpu];
	bool raise = false;
	uint32_t *last;

	spin_lock(&f->lock);
	/* Without a control block the guest must not have unmasked: the event is dropped. */
	if (to->control &&
	    !(__atomic_fetch_or(word_of(d, port), LINKED, __ATOMIC_SEQ_CST) & LINKED)) {
		last = &f->vcpu[p->last_vcpu].tail[p->last_priority];
		if (*last == port)
			*last = 0;
		p->last_vcpu = p->vcpu;
		p->last_priority = p->priority;
		raise = append(d, to, port, p->priority);
	}
	spin_unlock(&f->lock);
	if (raise)
		event_raise(d->vcpu[p->vcpu]);
}

/* A word found MASKED or LINKED is left to the guest: it sees PENDING when it clears either. */
static bool set(struct domain *d, uint32_t port, struct event_port *p)
{
	event_word_t *word = word_of(d, port);
	uint32_t old;

	if (!word) {
		p->pending = true;
		return false;
	}
	old = __atomic_fetch_or(word, PENDING, __ATOMIC_SEQ_CST);
	if (!(old & (MASKED | LINKED)))
		enqueue(d, port, p);
	return !(old & PENDING);
}

static void unmask(struct domain *d, uint32_t port, struct event_port *p)
{
	event_word_t *word = word_of(d, port);

	if (word && (__atomic_fetch_and(word, ~MASKED, __ATOMIC_SEQ_CST) & PENDING))
		set(d, port, p);
}

/* Only the guest takes it off its queue, and finds nothing. */
static void clear(struct domain *d, uint32_t port)
{
	event_word_t *word = word_of(d, port);

	if (word)
		__atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
}

const struct event_bits event_fifo_bits = {set, unmask, clear, is_pending, is_masked, is_busy};

/* ---- the guest's pages ----------------------------------------------------------------- */

/* A frame of d's that is nothing but writable from now to page_let_go. */
static void *page_hold(struct domain *d, uint64_t mfn)
{
	struct page_info *page;

	return page_get_and_type((mfn_t){mfn}, d, PT_WRITABLE, &page) ? NULL : page_to_virt(page);
}

static void page_let_go(void *in_page)
{
	if (in_page)
		page_put_and_type(mfn_to_page(virt_to_mfn(in_page)));
}

/* The notifications of before are kept with the ports until their words come. */
static void begin(struct domain *d, struct event_fifo *f)
{
	struct event_port *p;

	for (uint32_t port = 1; port < EVENT_PORTS; port++) {
		p = event_port(d, port);
		if (p)
			p->pending = d->events.bits->pending(d, port);
	}
	d->events.fifo = f;
	d->events.bits = &event_fifo_bits;
}

long event_fifo_control(struct domain *d, struct evtchn_init_control *a)
{
	struct event_fifo *f = d->events.fifo;
	uint8_t *page;

	if (a->vcpu >= d->max_vcpus || !d->vcpu[a->vcpu])
		return -XEN_ENOENT;
	if (a->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) || a->offset % 8 ||
	    (f && f->vcpu[a->vcpu].control))
		return -XEN_EINVAL;
	if (!f)
		f = hv_alloc(sizeof(*f));
	if (!f)
		return -XEN_ENOMEM;
	page = page_hold(d, a->control_gfn);
	if (!page) {
		if (f != d->events.fifo)
			hv_free(f, sizeof(*f));
		return -XEN_EINVAL;
	}
	f->vcpu[a->vcpu].control = (void *)(page + a->offset);
	if (f != d->events.fifo)
		begin(d, f);
	a->link_bits = EVTCHN_FIFO_LINK_BITS;
	return 0;
}

long event_fifo_expand(struct domain *d, const struct evtchn_expand_array *a)
{
	struct event_fifo *f = d->events.fifo;
	struct event_port *p;
	uint32_t port, end;

	if (!f)
		return -XEN_EOPNOTSUPP;
	if (f->n_pages == ARRAY_PAGES)
		return -XEN_ENOSPC;
	f->array[f->n_pages] = page_hold(d, a->array_gfn);
	if (!f->array[f->n_pages])
		return -XEN_EINVAL;
	port = f->n_pages++ * WORDS_PER_PAGE;
	for (end = port + WORDS_PER_PAGE; port < end; port++) {
		p = event_port(d, port);
		if (!p || !p->pending)
			continue;
		p->pending = false;
		event_set_pending(d, port, p);
	}
	return 0;
}

/* An event that is on a queue stays there; the next goes to the new one. */
long event_fifo_priority(struct domain *d, const struct evtchn_set_priority *a)
{
	struct event_port *p = event_port(d, a->port);

	if (!p)
		return -XEN_EINVAL;
	if (!d->events.fifo)
		return -XEN_ENOSYS;
	if (p->state == EVTCHNSTAT_closed)
		return -XEN_EACCES;
	if (a->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -XEN_EINVAL;
	p->priority = (uint8_t)a->priority;
	return 0;
}

/* Without open ports nobody sets a bit; the pages are put without the lock, as mm may end what they
 * were the last of. */
long event_fifo_stop(struct domain *d)
{
	struct event_fifo *f = NULL;
	bool in_use;

	spin_lock(&d->events.lock);
	in_use = d->events.n_open;
	if (!in_use) {
		f = d->events.fifo;
		d->events.bits = &event_2l_bits;
		d->events.fifo = NULL;
	}
	spin_unlock(&d->events.lock);
	if (in_use)
		return -XEN_EAGAIN;
	for (unsigned i = 0; f && i < f->n_pages; i++)
		page_let_go(f->array[i]);
	for (unsigned i = 0; f && i < MAX_VCPUS; i++)
		page_let_go(f->vcpu[i].control);
	hv_free(f, sizeof(*f));
	return 0;
}
