/* control_ask.c: what is asked of a domain that runs, and what is known of it.
 *
 * Pausing is the hypervisor's doing; the rest is a request in the store, which the guest carries out or
 * does not: the words of control/shutdown, memory/target in KiB, cpu/N/availability (Xen's
 * xenstore-paths). Nothing here waits for the guest. Not here: making and ending (control.c).
 * Worker context; callers in control.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>

#include "control_private.h"

#define PAGE_KIB (PAGE_SIZE / 1024)

/* ---- asking ------------------------------------------------------------------------------- */

/* What has ended, or is about to, can be asked for nothing. */
int control_find_running(const char *name, struct domain_record **out)
{
	int err = control_record(name, out);

	if (err || (*out)->pub.state == CONTROL_RUNNING)
		return err;
	if ((*out)->pub.state == CONTROL_SAVING)
		return control_fail(-XEN_EBUSY, "%s: it is being saved", name);
	return control_fail(-XEN_ESRCH, "%s: it has ended", name);
}

static int told(const char *name, const char *what, int err)
{
	return err ? control_fail(err, "%s: %s: %s", name, what, error_name(err)) : 0;
}

static bool is_paused(const struct domain_record *r)
{
	struct control_figures f;

	return control_look(r->pub.domid, &f) == 0 && f.state[0] == 'p';
}

/* The hypervisor counts pauses; people do not. So a second one is refused here. */
static int set_paused(const char *name, bool paused)
{
	struct xen_domctl op = {.cmd = paused ? XEN_DOMCTL_pausedomain : XEN_DOMCTL_unpausedomain};
	struct domain_record *r;
	int err = control_find_running(name, &r);

	if (err)
		return err;
	if (is_paused(r) == paused)
		return control_fail(-XEN_EBUSY, "%s: it is %s", name,
				    paused ? "paused already" : "not paused");
	op.domain = r->pub.domid;
	return told(name, paused ? "cannot be paused" : "cannot go on", host_domctl(&op));
}

int control_pause(const char *name)
{
	return set_paused(name, true);
}

int control_unpause(const char *name)
{
	return set_paused(name, false);
}

static int ask(const char *name, const char *node, const char *value)
{
	struct domain_record *r;
	int err = control_find_running(name, &r);

	return err ? err : told(name, node, control_store_ask(r->pub.domid, node, value));
}

int control_ask_poweroff(const char *name)
{
	return ask(name, "control/shutdown", "poweroff");
}

int control_ask_reboot(const char *name)
{
	return ask(name, "control/shutdown", "reboot");
}

/* The limit first: with it, a guest that asks for more than its target is refused, and one that is
 * told of a larger target can have it at once. */
int control_set_memory(const char *name, uint64_t mib)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_max_mem};
	struct domain_record *r;
	int err = control_find_running(name, &r);
	char kib[16];

	if (err)
		return err;
	if (mib < CONFIG_MIN_MEMORY_MIB || mib > r->pub.config->max_memory_mib)
		return control_fail(-XEN_ERANGE, "%s: memory must be from %u to %u MiB", name,
				    CONFIG_MIN_MEMORY_MIB, r->pub.config->max_memory_mib);
	op.domain = r->pub.domid;
	op.u.max_mem.max_memkb = mib * 1024 + BUILD_MEMORY_SLACK_KIB;
	err = host_domctl(&op);
	if (!err) {
		fmt_text(kib, sizeof(kib), "%u", (unsigned)mib * 1024);
		err = control_store_ask(r->pub.domid, "memory/target", kib);
	}
	return told(name, "memory cannot be set", err);
}

/* Only nodes that change are written, or a guest would be woken for each of the others. */
static int set_availability(domid_t domid, unsigned cpu, bool online)
{
	const char *value = online ? "online" : "offline";
	char node[32], path[STORE_PATH_MAX], old[16];

	fmt_text(node, sizeof(node), "cpu/%u/availability", cpu);
	fmt_text(path, sizeof(path), "/local/domain/%u/%s", domid, node);
	if (host_store_read(HOST_TX_NONE, path, old, sizeof(old)) > 0 && (old[1] == 'n') == online)
		return 0;
	return control_store_ask(domid, node, value);
}

int control_set_vcpus(const char *name, uint64_t vcpus)
{
	struct domain_record *r;
	int err = control_find_running(name, &r);

	if (err)
		return err;
	if (vcpus < 1 || vcpus > r->pub.config->max_vcpus)
		return control_fail(-XEN_ERANGE, "%s: vCPUs must be from 1 to %u", name,
				    r->pub.config->max_vcpus);
	for (unsigned cpu = 0; !err && cpu < r->pub.config->max_vcpus; cpu++)
		err = set_availability(r->pub.domid, cpu, cpu < vcpus);
	return told(name, "vCPUs cannot be set", err);
}

/* ---- looking ------------------------------------------------------------------------------ */

/* The strongest reason first: a domain that is paused may be blocked as well. */
static const char *state_name(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} states[] = {
	    {XEN_DOMINF_dying, "ending"},    {XEN_DOMINF_shutdown, "ended"},
	    {XEN_DOMINF_paused, "paused"},   {XEN_DOMINF_running, "running"},
	    {XEN_DOMINF_blocked, "blocked"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		if (flags & states[i].flag)
			return states[i].name;
	return "runnable";
}

/* max_memkb is asked for without slack, as the user wrote it. */
int control_look(domid_t domid, struct control_figures *out)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = domid};
	const struct xen_domctl_getdomaininfo *i = &op.u.getdomaininfo;
	struct host_usage usage = {0};
	int err = host_domctl(&op);

	if (!err && op.domain != domid) /* it answers with the next one that is there */
		err = -XEN_ESRCH;
	if (err)
		return err;
	(void)host_domain_usage(domid, &usage); /* zeros where it may not be asked */
	*out = (struct control_figures){
	    .state = state_name(i->flags),
	    .vcpus = i->nr_online_vcpus,
	    .max_vcpus = i->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : i->max_vcpu_id + 1,
	    .cpu_time_ns = i->cpu_time,
	    .memory_kib = i->tot_pages * PAGE_KIB,
	    .max_memory_kib = i->max_pages * PAGE_KIB,
	    .grants = usage.grants,
	    .ports = usage.ports,
	};
	return 0;
}
