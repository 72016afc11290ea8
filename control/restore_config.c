/* restore_config.c: what a saved domain is, from the text in front of its stream.
 *
 * xl writes libxl's JSON, and older ones the domain file itself. Of the JSON's many keys the table takes
 * those that a domain file of ours can set; others are passed over, as they are of devices and kinds of domain
 * that a restored PV domain does not have. Values are checked as those of a domain file are. Pure.
 * Caller: restore_stream.c. Calls json.c, domain_config.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "json.h"
#include "restore.h"

#define KIB_PER_MIB 1024u

/* While it is read; sizes are KiB there. */
struct reading {
	struct restore *r;
	uint64_t memory_kib, max_memory_kib, vcpus;
	bool is_pv;
};

struct key {
	const char *path;
	int (*take)(struct reading *g, const struct key *k, const struct json_value *v);
	size_t offset, size; /* of the member that it sets */
};

static int refuse(struct reading *g, const struct json_value *v)
{
	return restore_fail(g->r, -XEN_EINVAL, "its configuration: %s is '%.40s'", v->path,
			    v->text);
}

/* ---- setters ----------------------------------------------------------------------------------- */

static int text(struct reading *g, const struct key *k, const struct json_value *v)
{
	char *to = (char *)g->r->config + k->offset;

	return v->is_string && str_copy(to, k->size, v->text) ? 0 : refuse(g, v);
}

static int number(struct reading *g, const struct key *k, const struct json_value *v)
{
	uint64_t n;

	if (v->is_string || !str_to_u64(v->text, &n) || n > UINT32_MAX)
		return refuse(g, v);
	*(uint32_t *)((char *)g->r->config + k->offset) = (uint32_t)n;
	return 0;
}

static int kib(struct reading *g, const struct key *k, const struct json_value *v)
{
	uint64_t n;

	if (v->is_string || !str_to_u64(v->text, &n) ||
	    n > (uint64_t)CONFIG_MAX_MEMORY_MIB * KIB_PER_MIB)
		return refuse(g, v);
	*(uint64_t *)((char *)g + k->offset) = n;
	return 0;
}

static int type(struct reading *g, const struct key *k, const struct json_value *v)
{
	(void)k;
	g->is_pv = !strcmp(v->text, "pv");
	return g->is_pv ? 0 : refuse(g, v);
}

/* Numbers of those that are online; only how many counts here. */
static int vcpu(struct reading *g, const struct key *k, const struct json_value *v)
{
	(void)k, (void)v;
	g->vcpus++;
	return 0;
}

static int action(struct reading *g, const struct key *k, const struct json_value *v)
{
	static const struct {
		const char *name;
		enum config_action action;
	} actions[] = {
	    {"destroy", CONFIG_DESTROY},
	    {"restart", CONFIG_RESTART},
	    {"preserve", CONFIG_PRESERVE},
	    {"restart_rename", CONFIG_RENAME_RESTART},
	    {"rename_restart", CONFIG_RENAME_RESTART},
	    {"coredump_destroy", CONFIG_DESTROY}, /* without the dump */
	    {"coredump_restart", CONFIG_RESTART},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(v->text, actions[i].name)) {
			*(enum config_action *)((char *)g->r->config + k->offset) =
			    actions[i].action;
			return 0;
		}
	return refuse(g, v);
}

/* Each key of a disk comes by itself, in any order: the first makes the disk. */
static struct config_disk *disk_at(struct reading *g, const struct json_value *v)
{
	struct domain_config *c = g->r->config;

	if (v->index >= CONFIG_MAX_DISKS)
		return NULL;
	for (; c->n_disks <= v->index; c->n_disks++)
		c->disks[c->n_disks] = (struct config_disk){.readonly = true};
	return &c->disks[v->index];
}

static int disk_text(struct reading *g, const struct key *k, const struct json_value *v)
{
	struct config_disk *d = disk_at(g, v);

	return d && v->is_string && str_copy((char *)d + k->offset, k->size, v->text)
		   ? 0
		   : refuse(g, v);
}

static int disk_vdev(struct reading *g, const struct key *k, const struct json_value *v)
{
	int err = disk_text(g, k, v);

	if (!err && !config_vdev_number(v->text, &disk_at(g, v)->devid))
		err = refuse(g, v);
	return err;
}

static int disk_writable(struct reading *g, const struct key *k, const struct json_value *v)
{
	struct config_disk *d = disk_at(g, v);

	(void)k;
	if (!d)
		return refuse(g, v);
	d->readonly = !strcmp(v->text, "0");
	return 0;
}

/* As a disk; one whose bridge is not told had the usual one. */
static struct config_vif *vif_at(struct reading *g, const struct json_value *v)
{
	struct domain_config *c = g->r->config;

	if (v->index >= CONFIG_MAX_VIFS)
		return NULL;
	for (; c->n_vifs <= v->index; c->n_vifs++)
		c->vifs[c->n_vifs] = (struct config_vif){.devid = c->n_vifs,
							 .bridge = CONFIG_BRIDGE_USUAL,
							 .rate_us = CONFIG_RATE_USUAL_US};
	return &c->vifs[v->index];
}

static int vif_text(struct reading *g, const struct key *k, const struct json_value *v)
{
	struct config_vif *vif = vif_at(g, v);

	return vif && v->is_string && str_copy((char *)vif + k->offset, k->size, v->text)
		   ? 0
		   : refuse(g, v);
}

static int vif_mac(struct reading *g, const struct key *k, const struct json_value *v)
{
	struct config_vif *vif = vif_at(g, v);

	(void)k;
	return vif && config_mac(v->text, vif->mac) ? 0 : refuse(g, v);
}

/* A member of four bytes, or of eight. */
static int vif_number(struct reading *g, const struct key *k, const struct json_value *v)
{
	struct config_vif *vif = vif_at(g, v);
	uint64_t n;

	if (!vif || !str_to_u64(v->text, &n) || (k->size == 4 && n > UINT32_MAX))
		return refuse(g, v);
	memcpy((char *)vif + k->offset, &n, k->size);
	return 0;
}

/* ---- the table --------------------------------------------------------------------------------- */

#define CONFIG(member)                                                                             \
	offsetof(struct domain_config, member), sizeof(((struct domain_config *)0)->member)
#define READING(member) offsetof(struct reading, member), 0
#define VIF(member)     offsetof(struct config_vif, member), sizeof(((struct config_vif *)0)->member)
#define DISK(member)    offsetof(struct config_disk, member), sizeof(((struct config_disk *)0)->member)

static const struct key keys[] = {
    {"c_info.type", type, 0, 0},
    {"c_info.name", text, CONFIG(name)},
    {"b_info.max_vcpus", number, CONFIG(max_vcpus)},
    {"b_info.avail_vcpus[]", vcpu, 0, 0},
    {"b_info.target_memkb", kib, READING(memory_kib)},
    {"b_info.max_memkb", kib, READING(max_memory_kib)},
    {"b_info.sched_params.weight", number, CONFIG(cpu_weight)},
    {"b_info.sched_params.cap", number, CONFIG(cpu_cap)},
    {"b_info.kernel", text, CONFIG(kernel)},
    {"b_info.ramdisk", text, CONFIG(ramdisk)},
    {"b_info.cmdline", text, CONFIG(cmdline)},
    {"disks[].pdev_path", disk_text, DISK(target)},
    {"disks[].vdev", disk_vdev, DISK(vdev)},
    {"disks[].readwrite", disk_writable, 0, 0},
    {"nics[].devid", vif_number, VIF(devid)},
    {"nics[].mac", vif_mac, 0, 0},
    {"nics[].bridge", vif_text, VIF(bridge)},
    {"nics[].ip", vif_text, VIF(ip)},
    {"nics[].mtu", vif_number, VIF(mtu)},
    {"nics[].rate_bytes_per_interval", vif_number, VIF(rate_bytes)},
    {"nics[].rate_interval_usecs", vif_number, VIF(rate_us)},
    {"on_poweroff", action, CONFIG(on_poweroff)},
    {"on_reboot", action, CONFIG(on_reboot)},
    {"on_crash", action, CONFIG(on_crash)},
    {"on_watchdog", action, CONFIG(on_watchdog)},
};

static int take_value(void *ctx, const struct json_value *v)
{
	struct reading *g = ctx;

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(v->path, keys[i].path))
			return keys[i].take(g, &keys[i], v);
	return 0;
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* A name goes into paths of the store and onto the console. */
static bool name_ok(const char *s)
{
	if (!*s || !strcmp(s, "Domain-0"))
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr("-_.+:@", *s)))
			return false;
	return true;
}

static const char *fault(const struct reading *g)
{
	const struct domain_config *c = g->r->config;

	if (!g->is_pv)
		return "it is not of a PV domain";
	if (!name_ok(c->name))
		return "it gives no name that a domain can have";
	if (c->max_vcpus < 1 || c->max_vcpus > CONFIG_MAX_VCPUS)
		return "it has too many vCPUs, or none";
	if (c->vcpus < 1 || c->vcpus > c->max_vcpus)
		return "no vCPU is online, or too many";
	if (c->memory_mib < CONFIG_MIN_MEMORY_MIB || c->max_memory_mib < c->memory_mib)
		return "it has too little memory";
	for (unsigned i = 0; i < c->n_disks; i++)
		if (!c->disks[i].vdev[0] || !c->disks[i].target[0])
			return "a disk has no name or no target";
	for (unsigned i = 0; i < c->n_vifs; i++)
		if (c->vifs[i].rate_bytes && !c->vifs[i].rate_us)
			return "an interface has a rate in no time";
	return NULL;
}

/* libxl leaves out what has its default: all actions are destroy then, and maxmem is memory. */
static int read_json(struct restore *r, const char *text_of, size_t len)
{
	struct reading g = {.r = r};
	struct domain_config *c = r->config;
	const char *why;
	size_t at;
	int err;

	err = json_read(text_of, len, take_value, &g, &at);
	if (err && !r->why[0])
		restore_fail(r, err, "its configuration is no JSON at character %zu", at);
	if (err)
		return err;
	c->vcpus = g.vcpus ? (uint32_t)g.vcpus : c->max_vcpus;
	if (!g.max_memory_kib)
		g.max_memory_kib = g.memory_kib;
	c->memory_mib = (uint32_t)((g.memory_kib + KIB_PER_MIB - 1) / KIB_PER_MIB);
	c->max_memory_mib = (uint32_t)((g.max_memory_kib + KIB_PER_MIB - 1) / KIB_PER_MIB);
	why = fault(&g);
	return why ? restore_fail(r, -XEN_EINVAL, "its configuration: %s", why) : 0;
}

static void say(void *ctx, bool is_error, const char *line)
{
	struct restore *r = ctx;

	if (is_error && !r->why[0])
		restore_fail(r, -XEN_EINVAL, "%s", line);
}

int restore_read_config(struct restore *r, const char *text_of, size_t len, bool is_json)
{
	struct config_listener listener = {say, r};

	while (len && !text_of[len - 1]) /* its end is in it */
		len--;
	if (is_json)
		return read_json(r, text_of, len);
	return domain_config_parse("configuration", text_of, len, &listener, r->config);
}
