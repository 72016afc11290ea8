/* domain_end.c: domains paused, ended and taken apart, and what is said of them meanwhile.
 *
 *     running --shutdown, crash--> shut down --domain_kill--> dying --last reference--> freed
 *        ^-------domain_resume---------'                        ^
 *        +---------------------------domain_kill----------------+
 *
 * Teardown is a list of steps, each of which may say that it has more to do; the builder's
 * hypercall then restarts. The order matters: nothing runs any more before channels close, devices
 * are out before any page that they reach goes, and what is mapped of others is given back before the
 * page tables go that map it.
 *
 * Called by sched_op, domctl, vcpu_op, and by whoever catches a domain at something forbidden.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "domain.h"
#include "percpu.h"
#include "smp.h"

/* ---- pause ----------------------------------------------------------------------------- */

/* A toolstack's pauses are counted apart, so that it cannot take away those of others. */
void domain_ctl_pause(struct domain *d)
{
	spin_lock(&d->lock);
	d->ctl_pauses++;
	spin_unlock(&d->lock);
	domain_pause(d);
}

int domain_ctl_unpause(struct domain *d)
{
	bool paused;

	spin_lock(&d->lock);
	paused = d->ctl_pauses > 0;
	d->ctl_pauses -= paused;
	spin_unlock(&d->lock);
	if (!paused)
		return -XEN_EINVAL;
	domain_unpause(d);
	return 0;
}

/* ---- shutdown -------------------------------------------------------------------------- */

/* The first reason counts. The domain stays as it is, for the toolstack to look at, to dump, to
 * kill; VIRQ_DOM_EXC says that there is something to see. */
void domain_shutdown(struct domain *d, uint32_t code)
{
	bool first;

	spin_lock(&d->lock);
	first = !d->shut_down;
	if (first)
		d->shutdown_code = code;
	d->shut_down = true;
	spin_unlock(&d->lock);
	if (!first)
		return;
	if (d->privileged) {
		if (code == SHUTDOWN_reboot)
			machine_reboot();
		hv_printk("the first domain has ended (code %u): power off", code);
		machine_off();
	}
	domain_hold_all(d);
	event_send_global_virq(VIRQ_DOM_EXC);
}

/* The call that ended it returns what the toolstack has put into its rax. */
void domain_resume(struct domain *d)
{
	bool held;

	spin_lock(&d->lock);
	held = d->shut_down;
	d->shut_down = false;
	spin_unlock(&d->lock);
	if (held)
		domain_unpause(d);
}

void domain_crash(struct domain *d, const char *why, ...)
{
	const struct guest_regs *r = &current_vcpu()->pv.regs;
	char text[160];
	va_list args;

	hv_enter(); /* faults of a guest's that are its own affair come here without */
	va_start(args, why);
	fmt_vtext(text, sizeof(text), why, args);
	va_end(args);
	hv_printk("domain %u crashed: %s", d->id, text);
	if (current_domain() == d)
		hv_printk("  vcpu %u at %04lx:%016lx, stack %016lx", current_vcpu()->id, r->cs,
			  r->rip, r->rsp);
	domain_shutdown(d, SHUTDOWN_crash);
}

/* ---- teardown -------------------------------------------------------------------------- */

/* Dying is said first: from then on no part gives the domain anything new. */
static int kill_stop(struct domain *d)
{
	spin_lock(&d->lock);
	__atomic_store_n(&d->dying, true, __ATOMIC_RELEASE);
	spin_unlock(&d->lock);
	domain_pause(d);
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		if (!d->vcpu[i])
			continue;
		sched_vcpu_teardown(d->vcpu[i]);
		mm_vcpu_teardown(d->vcpu[i]);
	}
	sched_domain_teardown(d);
	return 0;
}

static int kill_events(struct domain *d)
{
	event_domain_teardown(d);
	io_domain_teardown(d);
	return 0;
}

/* The living domain's own reference goes last; mm may keep one for frames that others still map. */
static int kill_rest(struct domain *d)
{
	event_domain_unshare(d);
	event_send_global_virq(VIRQ_DOM_EXC);
	domain_put(d);
	return 0;
}

static int (*const kill_steps[])(struct domain *d) = {
    kill_stop,          kill_events, io_devices_teardown, grant_domain_teardown,
    mm_domain_teardown, kill_rest,
};

/* One at a time, each call going on where the last one stopped. The lock is tried, not waited for,
 * which would hold this CPU for as long as a step takes. */
int domain_kill(struct domain *d)
{
	int error = 0;

	if (!spin_trylock(&d->kill_lock))
		return -XEN_EBUSY;
	while (!error && d->teardown_step < ARRAY_SIZE(kill_steps)) {
		error = kill_steps[d->teardown_step](d);
		if (!error && ++d->teardown_step < ARRAY_SIZE(kill_steps) && hypercall_preempt())
			error = -XEN_ERESTART;
	}
	spin_unlock(&d->kill_lock);
	return error;
}

/* ---- what is said of it ---------------------------------------------------------------- */

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *out)
{
	bool blocked = true;
	struct vcpu *v;

	memset(out, 0, sizeof(*out));
	out->domain = d->id;
	out->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		v = d->vcpu[i];
		if (!v)
			continue;
		out->max_vcpu_id = i;
		out->cpu_time += vcpu_cpu_time_ns(v);
		if (!vcpu_is_up(v))
			continue;
		out->nr_online_vcpus++;
		blocked &= (v->sched.holds & HOLD_BLOCKED) != 0;
		if (v->sched.runstate.state == RUNSTATE_running)
			out->flags |= XEN_DOMINF_running;
	}
	if (out->nr_online_vcpus && blocked)
		out->flags |= XEN_DOMINF_blocked;
	if (d->dying)
		out->flags |= XEN_DOMINF_dying;
	if (d->shut_down)
		out->flags |= XEN_DOMINF_shutdown | (d->shutdown_code & XEN_DOMINF_shutdownmask)
							<< XEN_DOMINF_shutdownshift;
	if (d->ctl_pauses)
		out->flags |= XEN_DOMINF_paused;
	out->tot_pages = d->mm.nr_pages;
	out->max_pages = d->mm.max_pages;
	out->shared_info_frame = d->events.shared ? virt_to_mfn(d->events.shared).v : MFN_NONE.v;
	memcpy(out->handle, d->handle, sizeof(out->handle));
}
