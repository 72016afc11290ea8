/* event_hold.c: notifications that wait for the moment when their CPU has nothing else to do.
 *
 * What a worker tells its peers, it mostly tells them last, before it sleeps: then the hypercall that waits takes
 * the notifications with it, in one multicall. Who goes on to something else sends them first (event_flush). Callers: the kernel's
 * host_event.c, threads and idling. Calls event_channel_op and sched_op, through multicall or alone. Not here: upcalls and
 * ports, event.c. Only for the CPU that booted, where the worker is; others send at once.
 */
#include <amphi/event.h>

#include <amphi/hypercall.h>
#include <amphi/percpu.h>

/* The list ends with the call that waits, and grows downwards from it. Entries are written anew each time: a hypervisor may
 * use them for what it has not finished. */
#define HELD_MAX 6u

static struct evtchn_send ports[HELD_MAX];
static struct multicall_entry calls[HELD_MAX + 1];
static unsigned n_held;
static uint64_t n_sent_waiting;

static bool is_held(port_t port)
{
	for (unsigned i = 1; i <= n_held; i++)
		if (ports[HELD_MAX - i].port == port.v)
			return true;
	return false;
}

void event_notify_soon(port_t port)
{
	unsigned i;

	if (is_held(port))
		return;
	if (n_held == HELD_MAX || this_cpu()->cpu) {
		event_notify(port);
		return;
	}
	i = HELD_MAX - ++n_held;
	ports[i].port = port.v;
	calls[i].op = __HYPERVISOR_event_channel_op;
	calls[i].args[0] = EVTCHNOP_send;
	calls[i].args[1] = (uint64_t)(uintptr_t)&ports[i];
}

bool event_held(void)
{
	return n_held && !this_cpu()->cpu;
}

/* The first held goes first; with the call that waits the last does. No order between ports is promised. */
void event_flush(void)
{
	if (!event_held())
		return;
	for (unsigned i = HELD_MAX; n_held; n_held--)
		event_notify((port_t){ports[--i].port});
}

/* Each entry has a result of its own, and none is of interest: a peer that has gone is told by the store. Nothing is
 * held any more when the call begins, since an upcall may come before it returns. */
void event_flush_and_block(void)
{
	unsigned n = n_held;

	n_sent_waiting += n;
	n_held = 0;
	calls[HELD_MAX].op = __HYPERVISOR_sched_op;
	calls[HELD_MAX].args[0] = SCHEDOP_block;
	calls[HELD_MAX].args[1] = 0;
	(void)hypercall_multicall(&calls[HELD_MAX - n], n + 1);
}

void event_forget_held(void)
{
	n_held = 0;
}

uint64_t event_sent_waiting(void)
{
	return n_sent_waiting;
}
