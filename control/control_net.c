/* control_net.c: network interfaces of domains that run: attached and detached.
 *
 * Contract: amphi/control_net.h. What is the same of every device is in control_device.c. Callers: ctl_net.c, control.c.
 * Calls control_store_vif.c, config_vif.c. Worker context.
 */
#include <amphi/control_net.h>
#include <amphi/error_name.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_device.h"

static struct config_vif *vif_at(const struct domain_record *r, uint32_t devid)
{
	struct domain_config *c = (struct domain_config *)r->pub.config; /* control's own copy */

	for (unsigned i = 0; i < c->n_vifs; i++)
		if (c->vifs[i].devid == devid)
			return &c->vifs[i];
	return NULL;
}

/* The last one takes the place of the one that goes: nothing depends on their order. */
static void forget_vif(const struct domain_record *r, uint32_t devid)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	struct config_vif *vif = vif_at(r, devid);

	*vif = c->vifs[--c->n_vifs];
}

static void target_of(const struct config_vif *vif, struct device_target *out)
{
	out->dev = vif_device(vif);
	out->forget = forget_vif;
	fmt_text(out->what, sizeof(out->what), "vif %u", vif->devid);
}

static struct config_vif *find_vif(const struct domain_record *r, const char *word)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	uint8_t mac[CONFIG_MAC_BYTES];
	uint64_t number;

	if (str_to_u64(word, &number))
		return number <= UINT32_MAX ? vif_at(r, (uint32_t)number) : NULL;
	for (unsigned i = 0; config_mac(word, mac) && i < c->n_vifs; i++)
		if (!memcmp(c->vifs[i].mac, mac, sizeof(mac)))
			return &c->vifs[i];
	return NULL;
}

int control_resolve_vif(const struct domain_record *r, struct config_vif *vif)
{
	struct device_target target;

	target_of(vif, &target);
	return control_find_backend(r, vif->backend, target.what, &vif->backend_id);
}

int control_add_vif(const struct domain_record *r, struct config_vif *vif)
{
	int err = control_resolve_vif(r, vif);

	if (err)
		return err;
	err = control_store_add_vif(r, vif);
	return err ? control_fail(err, "%s: vif %u: %s", r->pub.config->name, vif->devid,
				  error_name(err))
		   : 0;
}

int control_net_attach(const char *name, const char *spec, control_done_fn *done, void *ctx)
{
	struct device_target target;
	struct domain_record *r;
	struct config_vif *vif;
	int err = control_find_running(name, &r);

	if (!err)
		err = device_read_spec(r, spec, config_add_vif);
	if (err)
		return err;
	config_vif_finish((struct domain_config *)r->pub.config);
	vif = (struct config_vif *)&r->pub.config->vifs[r->pub.config->n_vifs - 1];
	err = control_add_vif(r, vif);
	target_of(vif, &target);
	if (!err) {
		err = device_begin(r, &target, DEVICE_ATTACH, done, ctx);
		if (err)
			control_store_remove_device(r->pub.domid, &target.dev);
	}
	if (err)
		forget_vif(r, target.dev.devid);
	return err;
}

int control_net_detach(const char *name, const char *word, bool force, control_done_fn *done,
		       void *ctx)
{
	struct device_target target;
	struct domain_record *r;
	struct config_vif *vif;
	int err = control_find_running(name, &r);

	if (err)
		return err;
	vif = find_vif(r, word);
	if (!vif)
		return control_fail(-XEN_ENOENT, "%s: has no vif '%s'", name, word);
	target_of(vif, &target);
	err = device_idle(r, &target.dev, target.what);
	return err ? err : device_detach(r, &target, force, done, ctx);
}
