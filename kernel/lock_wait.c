/* lock_wait.c: waiting for a lock and waking who waits, under Xen: an event channel of each vCPU, polled.
 *
 * Called by smp.c for each CPU, and through pv_ops.lock (pvops/lock.c) from lock_wait_init() on. The channels are
 * masked: they never make an upcall, and SCHEDOP_poll looks at their bits. They are used outside the kernel lock,
 * so here are no calls of event.c but to make them; a bit is cleared by its own CPU alone.
 */
#include "lock_wait.h"

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/percpu.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "clock.h"
#include "console.h"
#include "time.h"

#define WORD_BITS 64u
/* The longest sleep. Xen 4.17's credit2 scheduler can leave a vCPU that could run in its queue while all
 * processors idle, until anything of that queue wakes: the vCPU that would have kicked us. Then we are what wakes. */
#define SLEEP_NS (10 * NS_PER_MS)

/* By our number of the CPU; PORT_NONE: it spins. */
static port_t ports[CPUS_MAX];
static bool in_use; /* from lock_wait_init() on */

static void nobody(void *ctx) {}

/* The byte is looked at when nothing can come in between any more: an interrupt that waits for a lock of its
 * own would take our kick for its own. An interrupt that is due already ends the wait before it
 * begins, and one that comes wakes the vCPU, masked as it is: both are let in on return. */
static void xen_wait(const uint8_t *byte, uint8_t value)
{
	port_t port = ports[this_cpu()->cpu];
	struct sched_poll poll = {.nr_ports = 1};
	uint64_t flags = irq_save();

	if (port.v && __atomic_load_n(byte, __ATOMIC_ACQUIRE) == value &&
	    !(flags & PV_FLAGS_IF && event_pending())) {
		set_xen_guest_handle(poll.ports, &port.v);
		poll.timeout = time_ns() - clock_offset_xen() + SLEEP_NS;
		(void)hypercall_sched_op(SCHEDOP_poll, &poll);
		__atomic_and_fetch(&boot.shared_info->evtchn_pending[port.v / WORD_BITS],
				   ~(1ul << port.v % WORD_BITS), __ATOMIC_SEQ_CST);
	}
	irq_restore(flags);
}

static void xen_kick(unsigned cpu)
{
	struct evtchn_send op = {.port = ports[cpu].v};

	if (op.port)
		(void)hypercall_event_channel_op(EVTCHNOP_send, &op);
}

void lock_wait_init(void)
{
	if (!boot_on_xen())
		return;
	in_use = true;
	lock_wait_cpu_online();
	if (pvops_provide_lock_wait(PV_HYPERCALL, xen_wait, xen_kick))
		klog(LOG_ERROR, "the sites of locks are not what they should be");
}

/* A CPU without a channel spins: it costs time and nothing else. */
void lock_wait_cpu_online(void)
{
	struct percpu *here = this_cpu();
	port_t port;

	if (!in_use || ports[here->cpu].v)
		return;
	if (event_bind_ipi(here->vcpu, nobody, NULL, &port))
		return;
	event_mask(port);
	ports[here->cpu] = port;
}

void lock_wait_forget(void)
{
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		ports[cpu] = PORT_NONE;
}
