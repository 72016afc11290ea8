/* control_store_vif.c: what the store says of a network interface: its two halves, as libxl writes them.
 *
 * What is the same of every device is in control_store_device.c. Callers: control_store.c, control_net.c.
 */
#include <amphi/net.h>

#include "control_store.h"

static void put_mac(struct writer *w, const uint8_t *mac)
{
	store_put(w, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		  mac[5]);
}

void store_put_vif(struct writer *w, const struct config_vif *vif)
{
	struct store_device dev = vif_device(vif);

	store_put_backend(w, &dev);
	store_put(w, "handle", "%u", vif->devid);
	put_mac(w, vif->mac);
	store_put(w, "bridge", "%s", vif->bridge);
	store_put(w, "type", "vif");
	store_put(w, "hotplug-status", "%s", "");
	if (vif->ip[0])
		store_put(w, "ip", "%s", vif->ip);
	if (vif->rate_bytes)
		store_put(w, "rate", "%llu,%u", (unsigned long long)vif->rate_bytes, vif->rate_us);
	if (vif->mtu)
		store_put(w, "mtu", "%u", vif->mtu);
	store_put_frontend(w, &dev);
	store_put(w, "handle", "%u", vif->devid);
	put_mac(w, vif->mac);
	store_put(w, "trusted", "%d", !vif->untrusted);
	if (vif->mtu)
		store_put(w, "mtu", "%u", vif->mtu);
}

static void put_one(struct writer *w, const void *ctx)
{
	store_put_vif(w, ctx);
}

int control_store_add_vif(const struct domain_record *r, const struct config_vif *vif)
{
	return store_transaction(r, put_one, vif);
}
