/* config_text.c: writes a domain_config in the syntax of xl.cfg(5).
 *
 * A saved domain is made again elsewhere, perhaps by xl: what it was is told in the words that both know. Keys are
 * written when they say anything. In strings, quotes, backslashes and what is not printable are escaped as
 * config_lex.c and xl's own reader undo it. Caller: save_stream.c. Calls printf.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "config_text.h"

struct text {
	char *out;
	size_t cap, len; /* len goes on beyond cap, to be told */
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	size_t at = MIN(t->len, t->cap - 1);
	va_list args;

	va_start(args, fmt);
	t->len += fmt_vtext(t->out + at, t->cap - at, fmt, args);
	va_end(args);
}

/* The inside of a string. */
static void put_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			put(t, "\\%c", *s);
		else if (*s < ' ' || *s > '~')
			put(t, "\\x%02x", (uint8_t)*s);
		else
			put(t, "%c", *s);
	}
}

static void put_string(struct text *t, const char *key, const char *value)
{
	if (!value[0])
		return;
	put(t, "%s = \"", key);
	put_escaped(t, value);
	put(t, "\"\n");
}

static void put_number(struct text *t, const char *key, uint32_t value)
{
	if (value)
		put(t, "%s = %u\n", key, value);
}

static void put_action(struct text *t, const char *key, enum config_action action)
{
	static const char *const words[] = {
	    [CONFIG_DESTROY] = "destroy",
	    [CONFIG_RESTART] = "restart",
	    [CONFIG_PRESERVE] = "preserve",
	    [CONFIG_RENAME_RESTART] = "rename-restart",
	};

	put_string(t, key, words[action]);
}

/* A text for each vCPU: with one for all, those that are online later would be left out. */
static void put_cpus(struct text *t, const struct domain_config *c)
{
	uint64_t any = 0;

	for (unsigned v = 0; v < c->max_vcpus; v++)
		any |= c->cpus[v];
	if (!any)
		return;
	put(t, "cpus = [");
	for (unsigned v = 0; v < c->max_vcpus; v++) {
		const char *comma = "";

		put(t, "%s\"%s", v ? ", " : "", c->cpus[v] ? "" : "all");
		for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++)
			if (c->cpus[v] >> cpu & 1) {
				put(t, "%s%u", comma, cpu);
				comma = ",";
			}
		put(t, "\"");
	}
	put(t, "]\n");
}

static void put_disk_extras(struct text *t, const struct config_disk *d)
{
	if (d->cdrom)
		put(t, "devtype=cdrom,");
	if (d->no_discard)
		put(t, "no-discard,");
	if (d->no_flush_cache)
		put(t, "no-flush-cache,");
	if (d->no_persistent)
		put(t, "no-persistent,");
	if (d->backend[0]) {
		put(t, "backend=");
		put_escaped(t, d->backend);
		put(t, ",");
	}
	if (d->limit.iops || d->limit.bps || d->limit.burst_ms != CONFIG_BURST_USUAL_MS)
		put(t, "iops=%llu,bps=%llu,burst=%ums,", (unsigned long long)d->limit.iops,
		    (unsigned long long)d->limit.bps, d->limit.burst_ms);
}

/* The target last, where it may hold what it likes. */
static void put_disks(struct text *t, const struct domain_config *c)
{
	if (!c->n_disks)
		return;
	put(t, "disk = [");
	for (unsigned i = 0; i < c->n_disks; i++) {
		const struct config_disk *d = &c->disks[i];

		put(t, "%s\"vdev=%s,access=%s,format=raw,", i ? ", " : "", d->vdev,
		    d->readonly ? "ro" : "rw");
		put_disk_extras(t, d);
		put(t, "target=");
		put_escaped(t, d->target);
		put(t, "\"");
	}
	put(t, "]\n");
}

static void put_vif(struct text *t, const struct config_vif *v)
{
	put(t, "mac=%02x:%02x:%02x:%02x:%02x:%02x,bridge=", v->mac[0], v->mac[1], v->mac[2],
	    v->mac[3], v->mac[4], v->mac[5]);
	put_escaped(t, v->bridge);
	if (v->ip[0]) {
		put(t, ",ip=");
		put_escaped(t, v->ip);
	}
	if (v->rate_bytes)
		put(t, ",rate=%lluB/s@%uus",
		    (unsigned long long)(v->rate_bytes * 1000000 / v->rate_us), v->rate_us);
	if (v->mtu)
		put(t, ",mtu=%u", v->mtu);
	if (v->untrusted)
		put(t, ",trusted=0");
	if (v->backend[0]) {
		put(t, ",backend=");
		put_escaped(t, v->backend);
	}
}

static void put_vifs(struct text *t, const struct domain_config *c)
{
	if (!c->n_vifs)
		return;
	put(t, "vif = [");
	for (unsigned i = 0; i < c->n_vifs; i++) {
		put(t, "%s\"", i ? ", " : "");
		put_vif(t, &c->vifs[i]);
		put(t, "\"");
	}
	put(t, "]\n");
}

/* Each says all for itself, whatever the file said for all. */
static void put_pcis(struct text *t, const struct domain_config *c)
{
	if (!c->n_pci)
		return;
	put(t, "pci = [");
	for (unsigned i = 0; i < c->n_pci; i++) {
		const struct config_pci *p = &c->pci[i];

		put(t, "%s\"%04x:%02x:%02x.%x", i ? ", " : "", p->segment, p->bdf >> 8,
		    p->bdf >> 3 & 31, p->bdf & 7);
		if (p->slot != CONFIG_PCI_ANY_SLOT)
			put(t, "@%x", p->slot);
		put(t, ",permissive=%d,power_mgmt=%d,seize=%d,rdm_policy=%s%s\"",
		    !!(p->flags & CONFIG_PCI_PERMISSIVE), !!(p->flags & CONFIG_PCI_POWER),
		    !(p->flags & CONFIG_PCI_ASK),
		    p->flags & CONFIG_PCI_RELAXED ? "relaxed" : "strict",
		    p->flags & CONFIG_PCI_APART ? ",group_policy=relaxed" : "");
	}
	put(t, "]\n");
}

size_t domain_config_text(const struct domain_config *c, char *out, size_t cap)
{
	struct text t = {out, cap, 0};

	out[0] = 0;
	put_string(&t, "name", c->name);
	put_string(&t, "type", "pv");
	put_string(&t, "kernel", c->kernel);
	put_string(&t, "ramdisk", c->ramdisk);
	put_string(&t, "cmdline", c->cmdline);
	put_number(&t, "memory", c->memory_mib);
	put_number(&t, "maxmem", c->max_memory_mib);
	put_number(&t, "vcpus", c->vcpus);
	put_number(&t, "maxvcpus", c->max_vcpus);
	put_cpus(&t, c);
	put_number(&t, "cpu_weight", c->cpu_weight);
	put_number(&t, "cap", c->cpu_cap);
	put_action(&t, "on_poweroff", c->on_poweroff);
	put_action(&t, "on_reboot", c->on_reboot);
	put_action(&t, "on_crash", c->on_crash);
	put_action(&t, "on_watchdog", c->on_watchdog);
	put_disks(&t, c);
	put_vifs(&t, c);
	put_pcis(&t, c);
	if (c->passthrough)
		put_string(&t, "passthrough", "enabled");
	if (c->pci_as_is)
		put_string(&t, "pci_topology", "passthrough");
	return t.len;
}
