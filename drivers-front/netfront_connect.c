/* netfront_connect.c: what the backend says of its interface, when it connects and while it is connected.
 *
 * Reads the keys of both directories, fills in the net_device, registers it the first time, and says host_net_changed when
 * something of it changed later. Called by the xenbus engine; calls xenbus.h and host_net.h. Not here: rings
 * (netfront_offer.c).
 */
#include <amphi/printf.h>

#include "netfront_private.h"

#define MTU_PLAIN 1500u /* of Ethernet, and all that one slot is sure to hold */
#define MTU_MAX   65521u

/* "feature-no-csum-offload" takes away what is there without a word; IPv6's has to be said (xen/io/netif.h). A large frame is
 * one without its checksum, in many slots. */
enum { K_SG, K_NO_CSUM, K_CSUM6, K_GSO4, K_GSO6, K_COUNT };
static const struct xenbus_number back_keys[K_COUNT] = {
    [K_SG] = {"feature-sg", 0, UINT32_MAX, 0, false},
    [K_NO_CSUM] = {"feature-no-csum-offload", 0, UINT32_MAX, 0, false},
    [K_CSUM6] = {"feature-ipv6-csum-offload", 0, UINT32_MAX, 0, false},
    [K_GSO4] = {"feature-gso-tcpv4", 0, UINT32_MAX, 0, false},
    [K_GSO6] = {"feature-gso-tcpv6", 0, UINT32_MAX, 0, false},
};

static uint32_t can_of(const uint64_t *keys)
{
	uint32_t can = keys[K_SG] ? NET_CAN_SEGMENTS : 0;

	if (!keys[K_NO_CSUM])
		can |= NET_CAN_CSUM4;
	if (keys[K_CSUM6])
		can |= NET_CAN_CSUM6;
	if (keys[K_SG] && keys[K_GSO4] && can & NET_CAN_CSUM4)
		can |= NET_CAN_GSO4;
	if (keys[K_SG] && keys[K_GSO6] && can & NET_CAN_CSUM6)
		can |= NET_CAN_GSO6;
	return can;
}

/* The toolstack's words, in our own directory. */
static int read_own(struct nf_device *dev, uint8_t *mac, uint64_t *mtu)
{
	static const struct xenbus_number key = {"mtu", 68, MTU_MAX, MTU_PLAIN, false};
	char text[32];
	int err = xenbus_read_text(HOST_TX_NONE, dev->bus.path, "mac", text, sizeof(text));

	if (err >= 0 && !netif_mac_read(text, mac))
		err = -XEN_EINVAL;
	if (err < 0) {
		host_log(HOST_LOG_WARN, "%s: mac is none", dev->bus.path);
		return err;
	}
	return xenbus_read_numbers(HOST_TX_NONE, dev->bus.path, &key, 1, mtu);
}

/* A card of the same domain may have been first. */
static void choose_name(struct nf_device *dev)
{
	unsigned n = dev->bus.id;

	do
		fmt_text(dev->net.name, sizeof(dev->net.name), "eth%u", n++);
	while (host_net_find(dev->net.name));
}

static void describe(struct nf_device *dev, const uint64_t *keys, const uint8_t *mac, uint64_t mtu)
{
	struct net_device *net = &dev->net;

	dev->no_sg = !keys[K_SG];
	net->can = can_of(keys);
	net->mtu = (uint16_t)(dev->no_sg ? MIN(mtu, MTU_PLAIN) : mtu);
	net->n_queues = dev->n_queues;
	__builtin_memcpy(net->mac, mac, NET_MAC_BYTES);
	if (dev->registered)
		return;
	choose_name(dev);
	net->ops = &nf_net_ops;
	net->driver = dev;
}

static void say_connected(const struct nf_device *dev)
{
	const struct net_device *net = &dev->net;

	host_log(HOST_LOG_INFO, "%s: domain %u, %u queues%s, mtu %u,%s%s%s%s%s%s", net->name,
		 dev->bus.peer, dev->n_queues, dev->split ? " of two ports" : "", net->mtu,
		 net->can & NET_CAN_SEGMENTS ? " sg" : "", net->can & NET_CAN_CSUM4 ? " csum4" : "",
		 net->can & NET_CAN_CSUM6 ? " csum6" : "", net->can & NET_CAN_GSO4 ? " gso4" : "",
		 net->can & NET_CAN_GSO6 ? " gso6" : "", dev->untrusted ? ", not trusted" : "");
}

/* ---- carrier ----------------------------------------------------------------------------------- */

/* No such node: the link is up. */
static bool read_carrier(const struct nf_device *dev)
{
	static const struct xenbus_number key = {"carrier", 0, 1, 1, false};
	uint64_t carrier;

	return xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, &key, 1, &carrier) == 0 &&
	       carrier;
}

static void on_carrier(void *ctx, const char *changed)
{
	struct nf_device *dev = ctx;
	bool carrier = dev->connected && read_carrier(dev);

	(void)changed;
	if (!dev->connected || carrier == dev->net.carrier)
		return;
	dev->net.carrier = carrier;
	host_net_changed(&dev->net);
}

static int watch_carrier(struct nf_device *dev)
{
	char path[STORE_PATH_MAX];

	if (fmt_text(path, sizeof(path), "%s/carrier", dev->bus.peer_path) >= sizeof(path))
		return -XEN_E2BIG;
	return host_store_watch(path, on_carrier, dev, &dev->watch_carrier);
}

/* ---- steps ------------------------------------------------------------------------------------- */

int nf_connect(struct xenbus_device *bus)
{
	struct nf_device *dev = container_of(bus, struct nf_device, bus);
	uint8_t mac[NET_MAC_BYTES];
	uint64_t keys[K_COUNT], mtu;
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, back_keys, K_COUNT, keys);

	if (!err)
		err = read_own(dev, mac, &mtu);
	if (!err)
		err = watch_carrier(dev);
	if (err)
		return err;
	describe(dev, keys, mac, mtu);
	say_connected(dev);
	dev->connected = true;
	dev->net.carrier = read_carrier(dev);
	for (unsigned i = 0; i < dev->n_queues; i++)
		nf_rx_fill(&dev->queues[i]);
	nf_control_begin(dev);
	if (nf_limits.staging)
		nf_staging_begin(dev);
	nf_hash_begin(dev);
	nf_multicast_begin(dev);
	if (dev->registered) {
		dev->stats.reconnects++;
		host_net_changed(&dev->net);
		return 0;
	}
	err = host_net_register(&dev->net);
	dev->registered = !err;
	return err;
}

void nf_connect_end(struct nf_device *dev)
{
	bool was = dev->net.carrier;

	if (dev->watch_carrier)
		host_store_unwatch(dev->watch_carrier);
	dev->watch_carrier = NULL;
	dev->connected = dev->net.carrier = false;
	dev->stats.staged = 0;
	dev->stats.hashed = false;
	if (was && dev->registered)
		host_net_changed(&dev->net);
}
