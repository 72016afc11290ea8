/* event.c: two-level event channels: which bits of the shared page mean whom.
 *
 * A notification sets a bit for its port, a bit for the port's word, and its vCPU's pending byte; the
 * upcall undoes them in the opposite order (<xen/xen.h>, struct shared_info). The first bit is in the page
 * that the domain shares, the others in the vCPU's own vcpu_info (amphi/percpu.h). Handlers are called with
 * interrupts off. Called by the kernel; calls event_channel_op.
 */
#include <amphi/event.h>

#include <amphi/hypercall.h>
#include <amphi/percpu.h>
#include <amphi/string.h>

/*   evtchn_send            hypervisor                         this vCPU
 *                          evtchn_pending[port] = 1
 *                          not evtchn_mask[port]:
 *                            pending_sel[port / 64] = 1
 *                            upcall_pending = 1
 *                            not upcall_mask: upcall  ---->  event_dispatch:
 *                                                              upcall_pending = 0
 *                                                              words = exchange(pending_sel, 0)
 *                                                              for each word: pending & ~mask
 *                                                              clear the port's bit, then call
 *
 * Each level is cleared before the one below is read. The other way round, an event between reading
 * and clearing would be wiped out without having been seen. */
#define WORD_BITS 64u
#define WORDS     (EVENT_PORTS / WORD_BITS)

struct handler {
	event_fn *fn;
	void *ctx;
	unsigned vcpu; /* who takes it */
};

static struct shared_info *shared;
static struct handler handlers[EVENT_PORTS];
/* The same by vCPU, a bit each: a word of pending bits is all vCPUs', and one must not take another's. */
static uint64_t owned[CPUS_MAX][WORDS];
static uint64_t n_sent, n_received;
static unsigned n_bound;

/* Boot, before the callback is registered. */
void event_init(struct shared_info *page)
{
	shared = page;
	/* Everything is masked until it has a handler: a notification before that is kept, not lost. */
	for (unsigned w = 0; w < WORDS; w++)
		shared->evtchn_mask[w] = ~0ul;
	memset(owned, 0, sizeof(owned));
	memset(owned[0], 0xff, sizeof(owned[0]));
}

/* Pending bits stay: an event for a port that its builder made may have come before us. */
void event_forget(void)
{
	memset(handlers, 0, sizeof(handlers));
	n_bound = 0;
	event_forget_held();
	event_init(shared);
}

/* Locked, whoever holds the kernel's lock: the hypervisor changes other bits of the same word from other
 * processors. Bits do not cross words, so the operand is the word and not the whole row. */
static void set_bit(volatile xen_ulong_t *words, unsigned bit)
{
	__asm__ volatile("lock; btsq %1, %0"
			 : "+m"(words[bit / WORD_BITS])
			 : "Jr"((uint64_t)bit % WORD_BITS)
			 : "cc");
}

static bool clear_bit(volatile xen_ulong_t *words, unsigned bit)
{
	bool was;

	__asm__ volatile("lock; btrq %2, %0; setc %1"
			 : "+m"(words[bit / WORD_BITS]), "=q"(was)
			 : "Jr"((uint64_t)bit % WORD_BITS)
			 : "cc", "memory");
	return was;
}

/* A hint only: the bit may change before the answer is used. */
static bool test_bit(volatile xen_ulong_t *words, unsigned bit)
{
	return words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1;
}

static int channel_op(unsigned cmd, void *arg)
{
	return shared ? (int)hypercall_event_channel_op(cmd, arg) : -XEN_ENOSYS;
}

static void close_port(uint32_t port)
{
	struct evtchn_close op = {.port = port};

	(void)channel_op(EVTCHNOP_close, &op);
}

/* No order between the two members is needed: the port is masked, or interrupts are off. */
void event_set_handler(port_t port, event_fn *fn, void *ctx)
{
	struct handler *h = &handlers[port.v];

	n_bound += !!fn - !!h->fn;
	h->fn = fn;
	h->ctx = ctx;
}

/* vcpu < CPUS_MAX. Natively as well, and to no end. */
static void set_owner(uint32_t port, unsigned vcpu)
{
	uint64_t bit = 1ull << port % WORD_BITS;

	owned[handlers[port].vcpu][port / WORD_BITS] &= ~bit;
	owned[vcpu][port / WORD_BITS] |= bit;
	handlers[port].vcpu = vcpu;
}

/* For ports that others made: the console's and the store's of the start info. */
int event_adopt(port_t port, event_fn *fn, void *ctx)
{
	if (!shared)
		return -XEN_ENOSYS;
	if (port.v == 0 || port.v >= EVENT_PORTS)
		return -XEN_EINVAL;
	event_set_handler(port, fn, ctx);
	if (fn)
		event_unmask(port);
	else
		event_mask(port);
	return 0;
}

/* What binds of one vCPU end in: the port is ours now, or closed when the table has no place for it.
 * Until here the port was masked, as event_init and event_close leave all of them, so nothing came
 * before its handler. */
static int finish_bind_of(unsigned vcpu, uint32_t port, struct handler to, port_t *out_port)
{
	if (port == 0 || port >= EVENT_PORTS || vcpu >= CPUS_MAX) {
		close_port(port);
		return -XEN_ENOSPC;
	}
	set_owner(port, vcpu);
	*out_port = (port_t){port};
	return event_adopt(*out_port, to.fn, to.ctx);
}

/* The others: the hypervisor gives them to vCPU 0. */
static int finish_bind(uint32_t port, event_fn *fn, void *ctx, port_t *out_port)
{
	return finish_bind_of(0, port, (struct handler){.fn = fn, .ctx = ctx}, out_port);
}

/* Virqs of a vCPU are bound once for it; a global one (VIRQ_DOM_EXC, VIRQ_CONSOLE) by one domain
 * only, and for vCPU 0. */
int event_bind_virq(unsigned virq, event_fn *fn, void *ctx, port_t *out_port)
{
	return event_bind_virq_of(0, virq, fn, ctx, out_port);
}

int event_bind_virq_of(unsigned vcpu, unsigned virq, event_fn *fn, void *ctx, port_t *out_port)
{
	struct evtchn_bind_virq op = {.virq = virq, .vcpu = vcpu};
	int err = channel_op(EVTCHNOP_bind_virq, &op);

	return err ? err
		   : finish_bind_of(vcpu, op.port, (struct handler){.fn = fn, .ctx = ctx},
				    out_port);
}

int event_bind_ipi(unsigned vcpu, event_fn *fn, void *ctx, port_t *out_port)
{
	struct evtchn_bind_ipi op = {.vcpu = vcpu};
	int err = channel_op(EVTCHNOP_bind_ipi, &op);

	return err ? err
		   : finish_bind_of(vcpu, op.port, (struct handler){.fn = fn, .ctx = ctx},
				    out_port);
}

/* Masked while it moves: with the bit of the word already set at the old vCPU and the port's taken there,
 * nothing is lost; and what comes meanwhile is told to the new one by the unmasking. */
int event_move(port_t port, unsigned vcpu)
{
	struct evtchn_bind_vcpu op = {.port = port.v, .vcpu = vcpu};
	bool was_masked;
	int err;

	if (port.v == 0 || port.v >= EVENT_PORTS || vcpu >= CPUS_MAX)
		return -XEN_EINVAL;
	was_masked = shared && test_bit(shared->evtchn_mask, port.v);
	if (shared)
		event_mask(port);
	err = channel_op(EVTCHNOP_bind_vcpu, &op);
	if (!err)
		set_owner(port.v, vcpu);
	if (shared && !was_masked)
		event_unmask(port);
	return err;
}

/* Xen raises both ends once when they meet, since a notification before that had nowhere to go. A
 * handler must bear being called for nothing anyhow. */
int event_bind_interdomain(domid_t peer, uint32_t peer_port, event_fn *fn, void *ctx,
			   port_t *out_port)
{
	struct evtchn_bind_interdomain op = {.remote_dom = peer, .remote_port = peer_port};
	int err = channel_op(EVTCHNOP_bind_interdomain, &op);

	return err ? err : finish_bind(op.local_port, fn, ctx, out_port);
}

int event_alloc_unbound(domid_t peer, event_fn *fn, void *ctx, port_t *out_port)
{
	struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = peer};
	int err = channel_op(EVTCHNOP_alloc_unbound, &op);

	return err ? err : finish_bind(op.port, fn, ctx, out_port);
}

/* The port is another domain's, so there is no handler here and nothing to unmask. */
int event_alloc_for(domid_t owner, domid_t peer, uint32_t *out_port)
{
	struct evtchn_alloc_unbound op = {.dom = owner, .remote_dom = peer};
	int err = channel_op(EVTCHNOP_alloc_unbound, &op);

	*out_port = op.port;
	return err;
}

/* Bound unmasked; a level interrupt must also be told to the hypervisor as handled (PHYSDEVOP_eoi),
 * which is its owner's affair. */
int event_bind_pirq(uint32_t pirq, bool may_share, event_fn *fn, void *ctx, port_t *out_port)
{
	struct evtchn_bind_pirq op = {.pirq = pirq, .flags = may_share ? BIND_PIRQ__WILL_SHARE : 0};
	int err = channel_op(EVTCHNOP_bind_pirq, &op);

	return err ? err : finish_bind(op.port, fn, ctx, out_port);
}

/* Masked first: between the end of the handler's entry and the close an event may still come. What
 * was pending is wiped out last, or the number's next owner would begin with it. */
void event_close(port_t port)
{
	if (!shared || port.v == 0 || port.v >= EVENT_PORTS)
		return;
	event_flush(); /* the last word is often for this port */
	event_mask(port);
	event_set_handler(port, NULL, NULL);
	set_owner(port.v, 0);
	close_port(port.v);
	clear_bit(shared->evtchn_pending, port.v);
}

/* Sending to a peer that has gone is an error of the call and of no interest here: its end is told
 * by the store. */
void event_notify(port_t port)
{
	struct evtchn_send op = {.port = port.v};

	n_sent++;
	(void)channel_op(EVTCHNOP_send, &op);
}

void event_mask(port_t port)
{
	set_bit(shared->evtchn_mask, port.v);
}

/* An event that came while the port was masked set no upper bits: we set them, as the hypervisor would
 * have, and the pending byte makes the next irq_enable fetch it. The hypervisor's own unmask call does
 * the same; it is needed only for a port of another vCPU, whose bits we may not touch: setting them would
 * not wake it. There the call clears the mask, and goes on only when it was it that cleared it. */
void event_unmask(port_t port)
{
	struct vcpu_info *vcpu = &this_cpu()->vcpu_info;
	struct evtchn_unmask op = {.port = port.v};

	if (handlers[port.v].vcpu != this_cpu()->vcpu) {
		(void)channel_op(EVTCHNOP_unmask, &op);
		return;
	}
	clear_bit(shared->evtchn_mask, port.v);
	if (!test_bit(shared->evtchn_pending, port.v))
		return;
	set_bit(&vcpu->evtchn_pending_sel, port.v / WORD_BITS);
	vcpu->evtchn_upcall_pending = 1;
	if (!vcpu->evtchn_upcall_mask)
		(void)channel_op(EVTCHNOP_unmask, &op);
}

/* A port without a handler is masked, so that a peer that goes on sending does not keep us here.
 * The bit is cleared before the call: what comes meanwhile is a new event. */
static void call_handler(unsigned port)
{
	struct handler *h = &handlers[port];

	if (!clear_bit(shared->evtchn_pending, port))
		return;
	if (!h->fn) {
		event_mask((port_t){port});
		return;
	}
	n_received++;
	h->fn(h->ctx);
}

static void scan_word(unsigned w)
{
	uint64_t ready;

	/* Bounded by the ports of the word: a handler does not set its own bit, and a peer's that is set
	 * again raises the pending byte and is seen by the next round of event_dispatch(). */
	ready = shared->evtchn_pending[w] & ~shared->evtchn_mask[w] & owned[this_cpu()->vcpu][w];
	while (ready) {
		unsigned bit = (unsigned)__builtin_ctzll(ready);

		ready &= ready - 1;
		call_handler(w * WORD_BITS + bit);
	}
}

/* The pending byte is cleared before the bits are read, and is looked at again after: an event in
 * between sets it once more. */
void event_dispatch(void)
{
	struct vcpu_info *vcpu = &this_cpu()->vcpu_info;

	while (vcpu->evtchn_upcall_pending) {
		uint64_t words;

		vcpu->evtchn_upcall_pending = 0;
		words = __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
		while (words) {
			unsigned w = (unsigned)__builtin_ctzll(words);

			words &= words - 1;
			if (w < WORDS)
				scan_word(w);
		}
	}
}

/* For who has events masked and wants to know whether unmasking would bring any. */
bool event_pending(void)
{
	return shared && this_cpu()->vcpu_info.evtchn_upcall_pending;
}

uint64_t event_sent(void)
{
	return n_sent + event_sent_waiting();
}

uint64_t event_received(void)
{
	return n_received;
}

unsigned event_bound(void)
{
	return n_bound;
}
