/* ctl_net.c: the commands on domains' network interfaces: their words, and what they do by control_net.h.
 *
 * As ctl_block.c, for interfaces. Worker context. Caller: ctl_commands.c. Calls control_net.h, ctl_device.c, ctl_table.h.
 */
#include <amphi/control_net.h>
#include <amphi/printf.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

int ctl_net_attach(struct run *r)
{
	return ctl_attach(r, control_net_attach);
}

int ctl_net_detach(struct run *r)
{
	return ctl_detach(r, "VIF", control_net_detach);
}

/* ---- the interfaces of domains --------------------------------------------------------------- */

static const struct ctl_column list_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},     {"VIF", "vif", 3, CTL_NUMBER},
    {"MAC", "mac", -17, CTL_TEXT},       {"STATE", "state", 5, CTL_NUMBER},
    {"BRIDGE", "bridge", -12, CTL_TEXT}, {"MTU", "mtu", 5, CTL_NUMBER},
    {"RATE", "rate", 11, CTL_NUMBER},    {"IP", "ip", -1, CTL_TEXT},
};

static void add_vif(struct ctl_answer *out, const struct control_domain *d,
		    const struct config_vif *vif)
{
	struct store_device dev = vif_device(vif);
	const uint8_t *m = vif->mac;
	char mac[18];

	fmt_text(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	ctl_table_row(out, list_columns, ARRAY_SIZE(list_columns),
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

static void add_vifs(struct ctl_answer *out, const struct control_domain *d)
{
	for (unsigned i = 0; i < d->config->n_vifs; i++)
		add_vif(out, d, &d->config->vifs[i]);
}

int ctl_net_list(struct run *r)
{
	return ctl_list(r, list_columns, ARRAY_SIZE(list_columns), add_vifs);
}
