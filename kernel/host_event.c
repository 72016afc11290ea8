/* host_event.c: host.h's events, for the kernel.
 *
 * Callers: the portable rooms. Calls event.h. The upcall only queues a piece of work for the
 * worker, so a handler of a portable room is called in the worker context, once for any number of
 * notifications that came before it ran.
 */
#include <amphi/event.h>
#include <amphi/host.h>
#include "host_resume.h"
#include "mm.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

#define IDLE_FREE    4u       /* events without a cause, in a row, that cost the peer nothing */
#define IDLE_REST_NS 62500ull /* the first rest; each one after it is twice as long */
#define REST_MAX_NS  64000000ull

/* One per bound port. Its work is queued at most once, which is what joins notifications. */
struct slot {
	struct host_work work, rest;
	host_event_fn *fn;
	void *ctx;
	port_t port;
	unsigned n_idle; /* calls in a row that found nothing to do */
	bool idle;       /* the last one did not */
	bool told;       /* since host_event_wait looked */
	struct wait_queue waiting;
};

/* By port, to find what host_event_close() is to free. */
static struct slot *slots[EVENT_PORTS];

/* Interrupt context, interrupts off. The mark in the shared page is cleared already (event.h),
 * so what the peer does from now on comes as a new event and queues the work again. */
static void upcall(void *ctx)
{
	struct slot *slot = ctx;

	slot->told = true;
	if (slot->waiting.head)
		wait_wake(&slot->waiting);
	worker_post(&slot->work);
}

/* The handler may close its own port: nothing of the slot is looked at behind it. */
static void run(void *ctx)
{
	struct slot *slot = ctx;

	if (!slot->idle)
		slot->n_idle = 0;
	slot->idle = false;
	slot->fn(slot->ctx);
}

static void rest_over(void *ctx)
{
	struct slot *slot = ctx;

	event_unmask(slot->port);
}

/* A port that is masked costs us nothing, however often the peer notifies: the hypervisor finds it pending
 * already. Work that is queued by now still runs, and finds nothing once more. */
void host_event_spurious(port_t port)
{
	struct slot *slot = port.v < EVENT_PORTS ? slots[port.v] : NULL;
	unsigned times;

	if (!slot)
		return;
	slot->idle = true;
	if (++slot->n_idle <= IDLE_FREE)
		return;
	times = MIN(slot->n_idle - IDLE_FREE - 1, 16u);
	event_mask(port);
	host_work_after(&slot->rest, MIN(IDLE_REST_NS << times, REST_MAX_NS));
}

/* Before the port, because an event may come as soon as the port is bound. */
static struct slot *slot_new(host_event_fn *fn, void *ctx)
{
	struct slot *slot = kmalloc(sizeof(*slot));

	if (!slot)
		return NULL;
	slot->fn = fn;
	slot->ctx = ctx;
	slot->work = (struct host_work){.fn = run, .ctx = slot};
	slot->rest = (struct host_work){.fn = rest_over, .ctx = slot};
	return slot;
}

/* Keeps the slot under its port, or frees it when there is none because of error. */
static int slot_keep(struct slot *slot, int error, port_t *out_port)
{
	if (error) {
		kfree(slot, sizeof(*slot));
		return error;
	}
	slots[slot->port.v] = slot;
	*out_port = slot->port;
	return 0;
}

/* An event between the binding and slot_keep() is not lost: upcall() has the slot from the
 * binding, and the table is for closing only. */
int host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port)
{
	struct slot *slot = slot_new(fn, ctx);

	if (!slot)
		return -XEN_ENOMEM;
	return slot_keep(slot, event_alloc_unbound(peer, upcall, slot, &slot->port), out_port);
}

int host_event_bind(domid_t peer, uint32_t peer_port, host_event_fn *fn, void *ctx,
		    port_t *out_port)
{
	struct slot *slot = slot_new(fn, ctx);

	if (!slot)
		return -XEN_ENOMEM;
	return slot_keep(slot, event_bind_interdomain(peer, peer_port, upcall, slot, &slot->port),
			 out_port);
}

/* At the end of what the worker is doing, with all that it says until then. */
void host_event_notify(port_t port)
{
	event_notify_soon(port);
}

/* The worker's thread sleeps, and its other work with it. What it has to tell goes out then (event_notify_soon). */
int host_event_wait(port_t port, uint64_t timeout_ns)
{
	struct slot *slot = port.v < EVENT_PORTS ? slots[port.v] : NULL;
	uint64_t deadline_ns = time_ns() + timeout_ns;

	if (!slot)
		return -XEN_EINVAL;
	if (!WAIT_UNTIL_DEADLINE(&slot->waiting, slot->told, deadline_ns))
		return -XEN_ETIMEDOUT;
	slot->told = false;
	return 0;
}

/* The worker took the work off its list before it called fn, so a handler may close its own port.
 */
void host_event_close(port_t port)
{
	struct slot *slot;

	if (!port.v || port.v >= EVENT_PORTS || !slots[port.v])
		return;
	slot = slots[port.v];
	slots[port.v] = NULL;
	event_close(port);
	host_work_cancel(&slot->work);
	host_work_cancel(&slot->rest);
	kfree(slot, sizeof(*slot));
}

/* The ports are gone already, and their numbers will be given to others: a close that comes later must
 * find nothing. */
void host_event_forget(void)
{
	for (unsigned i = 0; i < EVENT_PORTS; i++) {
		if (!slots[i])
			continue;
		host_work_cancel(&slots[i]->work);
		host_work_cancel(&slots[i]->rest);
		kfree(slots[i], sizeof(*slots[i]));
		slots[i] = NULL;
	}
}
