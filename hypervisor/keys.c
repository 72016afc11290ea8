/* keys.c: the hypervisor's debug keys: one letter, one dump to the console.
 *
 * For people at a console and for tests that compare counters before and after. Dumps only read,
 * and take the locks of what they read nowhere: a dump of a machine in trouble must not hang.
 *
 * Called by sysctl's debug_keys and the console. Calls the *_dump of each part.
 */
#include "domain.h"
#include "percpu.h"

static void dump_domain(struct domain *d, void *ctx)
{
	const struct vcpu *v;

	hv_printk("domain %u: refs %d%s%s code %u pauses %u pages %u of %u", d->id, d->refs,
		  d->dying ? " dying" : "", d->shut_down ? " shut-down" : "", d->shutdown_code,
		  d->ctl_pauses, d->mm.nr_pages, d->mm.max_pages);
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		v = d->vcpu[i];
		if (v)
			hv_printk("  vcpu %u holds %x pauses %u rip %016lx rsp %016lx upcall %d/%d",
				  i, v->sched.holds, v->sched.pause_count, v->pv.regs.rip,
				  v->pv.regs.rsp, v->events.info->evtchn_upcall_pending,
				  v->events.info->evtchn_upcall_mask);
	}
}

static void counters(void)
{
	for (unsigned i = 0; i < HYPERCALL_MAX; i++)
		if (hypercall_count(i))
			hv_printk("  %-30s %lu", hypercall_name(i), hypercall_count(i));
	hv_printk("  exceptions %lu interrupts %lu switches %lu upcalls %lu emulated %lu",
		  count_all(CNT_EXCEPTIONS), count_all(CNT_IRQS), count_all(CNT_SWITCHES),
		  count_all(CNT_UPCALLS), count_all(CNT_EMULATED));
}

/* all: for the machine; each: once for every domain. */
static const struct {
	char key;
	void (*all)(void);
	void (*each)(struct domain *d, void *ctx);
	const char *what;
} keys[] = {
    {'d', NULL, dump_domain, "domains and vCPUs"}, {'m', mm_dump, NULL, "memory"},
    {'e', NULL, event_dump, "event channels"},     {'g', NULL, grant_dump, "grants"},
    {'i', io_devices_dump, NULL, "PCI functions"}, {'q', counters, NULL, "counters"},
};

/* h, ? and what is not known list what is. */
void debug_key(char key)
{
	unsigned i = 0;

	while (i < ARRAY_SIZE(keys) && keys[i].key != key)
		i++;
	if (i == ARRAY_SIZE(keys)) {
		if (key != 'h' && key != '?')
			hv_printk("debug key 0x%02x is not known", (unsigned char)key);
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			hv_printk("  %c  %s", keys[i].key, keys[i].what);
		return;
	}
	hv_printk("debug key '%c': %s", key, keys[i].what);
	if (keys[i].all)
		keys[i].all();
	else
		domain_for_each(keys[i].each, NULL);
}
