/* sched_op.c: the hypercall by which a guest gives its CPU away, waits, or ends itself.
 *
 * All commands act on the current vCPU or its domain, except remote_shutdown (privileged). Waiting
 * is a change of run state that takes effect on the way out. Not here: who runs next (sched.c).
 * What the end of the first domain means for the machine is in machine.c.
 */
#include <amphi/types.h>

#include "domain.h"
#include "guest.h"
#include "percpu.h"

#define POLL_MAX_PORTS 128u
#define NS_PER_S       1000000000ull
#define WATCHDOG_MAX_S (1u << 30)

/* As an event would: the guest looks at its pending bits and the time, and knows. */
static void poll_timeout(void *ctx)
{
	vcpu_wake(ctx);
}

/* The guest polls with its upcall masked, as a rule; an unmasked pending event ends the poll too.
 */
static long op_poll(struct vcpu *v, uint64_t arg_va)
{
	struct sched_poll poll;
	uint32_t ports[POLL_MAX_PORTS];
	int rc;

	if (guest_read(&poll, arg_va) != 0)
		return -XEN_EFAULT;
	if (poll.nr_ports > POLL_MAX_PORTS)
		return -XEN_EINVAL;
	if (handle_read_n(ports, poll.ports, 0, poll.nr_ports) != 0)
		return -XEN_EFAULT;
	/* Before the ports are announced, so that there is nothing to take back. A timeout of 0
	 * means none, and no ports at all mean to sleep until then. */
	if (poll.timeout != 0 && poll.timeout <= time_now_ns())
		return 0;
	rc = poll.nr_ports != 0 ? event_poll_begin(v, ports, poll.nr_ports) : 0;
	if (rc != 0)
		return rc > 0 ? 0 : rc;
	v->sched.polling = true;
	v->sched.poll.fn = poll_timeout;
	v->sched.poll.ctx = v;
	if (poll.timeout != 0)
		timer_set(&v->sched.poll, poll.timeout);
	vcpu_block(v);
	return 0;
}

/* shutdown_code says beforehand with which code the domain would like to be known to have ended. */
static long op_shutdown(struct vcpu *v, uint64_t arg_va, bool now)
{
	struct sched_shutdown s;

	if (guest_read(&s, arg_va) != 0)
		return -XEN_EFAULT;
	if (s.reason > SHUTDOWN_MAX || (!now && v->domain->shut_down))
		return -XEN_EINVAL;
	if (now)
		domain_shutdown(v->domain, s.reason);
	else
		v->domain->shutdown_code = s.reason;
	return 0;
}

static long op_remote_shutdown(struct vcpu *v, uint64_t arg_va)
{
	struct sched_remote_shutdown r;
	struct domain *d;

	if (!v->domain->privileged)
		return -XEN_EPERM;
	if (guest_read(&r, arg_va) != 0)
		return -XEN_EFAULT;
	/* Not its own: the first domain's end is the machine's, and does not come back to put d. */
	if (r.reason > SHUTDOWN_MAX || r.domain_id == DOMID_SELF || r.domain_id == v->domain->id)
		return -XEN_EINVAL;
	d = domain_get(r.domain_id);
	if (d == NULL)
		return -XEN_ESRCH;
	domain_shutdown(d, r.reason);
	domain_put(d);
	return 0;
}

/* From a timer, with whoever happens to be current: the domain is named by ctx alone. */
static void watchdog_bites(void *ctx)
{
	domain_shutdown(ctx, SHUTDOWN_watchdog);
}

/* id 0 asks for a new one; id n with time 0 lets it go. Ids are 1 and 2. */
static long op_watchdog(struct vcpu *v, uint64_t arg_va)
{
	/* The domain's, whichever vCPU asks: one may set what another keeps quiet. */
	struct hv_timer *t = v->domain->vcpu[0]->sched.watchdog;
	struct sched_watchdog w;
	unsigned i;

	if (guest_read(&w, arg_va) != 0)
		return -XEN_EFAULT;
	if (w.id > 2 || w.timeout > WATCHDOG_MAX_S || (w.id == 0 && w.timeout == 0))
		return -XEN_EINVAL;
	i = w.id != 0 ? w.id - 1 : t[0].armed;
	if (t[i].armed != (w.id != 0))
		return w.id != 0 ? -XEN_EINVAL : -XEN_ENOSPC;
	if (w.timeout == 0) {
		timer_stop(&t[i]);
		return 0;
	}
	t[i].fn = watchdog_bites;
	t[i].ctx = v->domain;
	timer_set(&t[i], time_now_ns() + w.timeout * NS_PER_S);
	return w.id != 0 ? 0 : i + 1;
}

long hc_sched_op(uint64_t cmd, uint64_t arg_va)
{
	struct vcpu *v = current_vcpu();

	switch (cmd) {
	case SCHEDOP_yield:
		sched_yield_now();
		return 0;
	case SCHEDOP_block:
		/* One call for both: between two, an upcall could be taken that the guest then
		 * sleeps over. */
		event_set_mask(&v->events, false);
		vcpu_block(v);
		return 0;
	case SCHEDOP_poll:
		return op_poll(v, arg_va);
	case SCHEDOP_shutdown:
	case SCHEDOP_shutdown_code:
		return op_shutdown(v, arg_va, cmd == SCHEDOP_shutdown);
	case SCHEDOP_remote_shutdown:
		return op_remote_shutdown(v, arg_va);
	case SCHEDOP_watchdog:
		return op_watchdog(v, arg_va);
	default:
		return -XEN_ENOSYS;
	}
}
