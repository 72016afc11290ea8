/* ctl_net.c: the commands on domains' network interfaces: their words, and what they do by control_net.h.
 *
 * As ctl_block.c, for interfaces. Worker context. Caller: ctl_commands.c. Calls control_net.h, ctl_table.h.
 */
#include <amphi/control_net.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

int ctl_net_attach(struct run *r)
{
	char spec[CTL_LINE_MAX];
	int err;

	if (!ctl_join_words(r->argv + 2, spec, sizeof(spec)))
		return -XEN_E2BIG;
	err = control_net_attach(r->argv[1], spec, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
}

int ctl_net_detach(struct run *r)
{
	const char *words[2] = {0};
	bool force;
	int err;

	if (!ctl_detach_words(r, words, &force))
		return control_fail(-XEN_EINVAL, "usage: network-detach NAME VIF [--force]");
	err = control_net_detach(words[0], words[1], force, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
}

/* ---- the interfaces of domains --------------------------------------------------------------- */

static const struct ctl_column list_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},     {"VIF", "vif", 3, CTL_NUMBER},
    {"MAC", "mac", -17, CTL_TEXT},       {"STATE", "state", 5, CTL_NUMBER},
    {"BRIDGE", "bridge", -12, CTL_TEXT}, {"MTU", "mtu", 5, CTL_NUMBER},
    {"RATE", "rate", 11, CTL_NUMBER},    {"IP", "ip", -1, CTL_TEXT},
};

struct listing {
	struct ctl_answer *out;
	const char *only; /* NULL: all */
};

static void add_vif(const struct listing *l, const struct control_domain *d,
		    const struct config_vif *vif)
{
	struct store_device dev = vif_device(vif);
	const uint8_t *m = vif->mac;
	char mac[18];

	fmt_text(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	ctl_table_row(l->out, list_columns, ARRAY_SIZE(list_columns),
		      (const struct ctl_cell[]){
			  {.text = d->config->name},
			  {.number = vif->devid},
			  {.text = mac},
			  {.number = control_store_device_state(d->domid, &dev)},
			  {.text = vif->bridge},
			  {.number = vif->mtu ? vif->mtu : 1500},
			  {.number = vif->rate_bytes ? vif->rate_bytes * 1000000 / vif->rate_us
						     : CTL_NOTHING},
			  {.text = vif->ip},
		      });
}

static void add_vifs(void *ctx, const struct control_domain *d)
{
	const struct listing *l = ctx;

	if (l->only && strcmp(l->only, d->config->name) != 0)
		return;
	for (unsigned i = 0; i < d->config->n_vifs; i++)
		add_vif(l, d, &d->config->vifs[i]);
}

int ctl_net_list(struct run *r)
{
	struct listing l = {r->out, r->argv[1]};

	if (l.only && !control_find(l.only))
		return control_fail(-XEN_ENOENT, "%s: no such domain", l.only);
	ctl_table_begin(r->out, list_columns, ARRAY_SIZE(list_columns));
	control_for_each(add_vifs, &l);
	ctl_table_end(r->out);
	return 0;
}
