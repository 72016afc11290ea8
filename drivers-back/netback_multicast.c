/* netback_multicast.c: which multicast frames a guest wants (xen/io/netif.h, "feature-multicast-control").
 *
 * A guest that has set request-multicast-control is sent only frames to the addresses of a list that it keeps by extra
 * infos; the list is kept also while it does not ask for it. The key is looked at when the guest connects, and whenever
 * it changes (feature-dynamic-multicast-control). Callers: netback.c, netback_take.c, netback_rx.c.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "netback_private.h"

static const char key_name[] = "request-multicast-control";

static void sample(struct vif *vif)
{
	static const struct xenbus_number key = {key_name, 0, 1, 0, false};
	uint64_t wanted;

	if (xenbus_read_numbers(HOST_TX_NONE, vif->bus.peer_path, &key, 1, &wanted) == 0)
		vif->filters = wanted;
}

static void on_key(void *ctx, const char *changed_path)
{
	(void)changed_path;
	sample(ctx);
}

int vif_multicast_connect(struct vif *vif)
{
	char path[STORE_PATH_MAX];

	vif->n_multicast = 0;
	sample(vif);
	fmt_text(path, sizeof(path), "%s/%s", vif->bus.peer_path, key_name);
	return host_store_watch(path, on_key, vif, &vif->multicast_watch);
}

void vif_multicast_drop(struct vif *vif)
{
	if (vif->multicast_watch)
		host_store_unwatch(vif->multicast_watch);
	vif->multicast_watch = NULL;
	vif->filters = false;
}

static unsigned find(const struct vif *vif, const uint8_t *mac)
{
	unsigned i = 0;

	while (i < vif->n_multicast && memcmp(vif->multicast[i], mac, NET_MAC_BYTES))
		i++;
	return i;
}

bool vif_multicast_ask(struct vif *vif, const uint8_t *mac, bool add)
{
	unsigned at = find(vif, mac);
	bool known = at < vif->n_multicast;

	if (!(mac[0] & 1))
		return false;
	if (!add && known)
		memcpy(vif->multicast[at], vif->multicast[--vif->n_multicast], NET_MAC_BYTES);
	if (!add || known)
		return true;
	if (vif->n_multicast == NETIF_MULTICAST_MAX)
		return false;
	memcpy(vif->multicast[vif->n_multicast++], mac, NET_MAC_BYTES);
	return true;
}

bool vif_multicast_wanted(const struct vif *vif, const uint8_t *head)
{
	static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (!vif->filters || !(head[0] & 1) || memcmp(head, broadcast, NET_MAC_BYTES) == 0)
		return true;
	return find(vif, head) < vif->n_multicast;
}
