/* keys.c: the hypervisor's debug keys: one letter, one dump to the console.
 *
 * For people at a console and for tests that compare counters before and after. Dumps only read,
 * and take the locks of what they read nowhere: a dump of a machine in trouble must not hang.
 *
 * Called by sysctl's debug_keys and the console. Calls the *_dump of each part.
 */
#include "domain.h"
#include "percpu.h"

static void dump_vcpu(const struct vcpu *v)
{
	hv_printk("  vcpu %u holds %x pauses %u rip %016llx rsp %016llx upcall %d/%d", v->id,
		  v->sched.holds, v->sched.pause_count, (unsigned long long)v->pv.regs.rip,
		  (unsigned long long)v->pv.regs.rsp, v->events.info->evtchn_upcall_pending,
		  v->events.info->evtchn_upcall_mask);
}

static void dump_domain(struct domain *d, void *ctx)
{
	unsigned i;

	hv_printk("domain %u: refs %d%s%s code %u pauses %u pages %u of %u", d->id, d->refs,
		  d->dying ? " dying" : "", d->shut_down ? " shut-down" : "", d->shutdown_code,
		  d->ctl_pauses, d->mm.nr_pages, d->mm.max_pages);
	for (i = 0; i < d->max_vcpus; i++)
		if (d->vcpu[i])
			dump_vcpu(d->vcpu[i]);
}

static void counters(void)
{
	unsigned i;

	for (i = 0; i < HYPERCALL_MAX; i++)
		if (hypercall_count(i))
			hv_printk("  %-30s %llu", hypercall_name(i),
				  (unsigned long long)hypercall_count(i));
	hv_printk("  exceptions %llu interrupts %llu switches %llu upcalls %llu emulated %llu",
		  (unsigned long long)this_cpu()->counters[CNT_EXCEPTIONS],
		  (unsigned long long)this_cpu()->counters[CNT_IRQS],
		  (unsigned long long)this_cpu()->counters[CNT_SWITCHES],
		  (unsigned long long)this_cpu()->counters[CNT_UPCALLS],
		  (unsigned long long)this_cpu()->counters[CNT_EMULATED]);
}

static void help(void);

/* all: for the machine; each: once for every domain. */
static const struct {
	char key;
	void (*all)(void);
	void (*each)(struct domain *d, void *ctx);
	const char *what;
} keys[] = {
    {'h', help, NULL, "this list"},
    {'?', help, NULL, "this list"},
    {'d', NULL, dump_domain, "domains and vCPUs"},
    {'m', mm_dump, NULL, "memory"},
    {'e', NULL, event_dump, "event channels"},
    {'g', NULL, grant_dump, "grants"},
    {'q', counters, NULL, "counters"},
};

static void help(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		hv_printk("  %c  %s", keys[i].key, keys[i].what);
}

void debug_key(char key)
{
	unsigned i = 0;

	while (i < ARRAY_SIZE(keys) && keys[i].key != key)
		i++;
	if (i == ARRAY_SIZE(keys)) {
		hv_printk("debug key 0x%02x is not known; 'h' lists them", (unsigned char)key);
		return;
	}
	hv_printk("debug key '%c': %s", key, keys[i].what);
	if (keys[i].all)
		keys[i].all();
	else
		domain_for_each(keys[i].each, NULL);
}
