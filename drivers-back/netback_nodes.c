/* netback_nodes.c: what the toolstack says of an interface, what the guest is told, and what it can.
 *
 * Called by netback.c when an interface opens and when its guest connects; calls xenbus.h for the keys. The toolstack's keys
 * are trusted, the guest's are numbers in range or no connection. Keys and their defaults are those of xen/io/netif.h;
 * what Linux's netback writes is written too, and a key that is not there means the same.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "netback_private.h"

#define MTU_USUAL 1500u
#define MTU_MIN   68u
#define MTU_MAX   65521u

/* ---- the toolstack's ----------------------------------------------------------------------- */

int vif_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "00:16:3e:01:02:03" */
static bool parse_mac(const char *text, uint8_t *out)
{
	if (strlen(text) != 3 * NET_MAC_BYTES - 1)
		return false;
	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		int high = vif_hex_digit(text[0]), low = vif_hex_digit(text[1]);

		if (high < 0 || low < 0 || (text[2] && text[2] != ':'))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int read_mac(struct vif *vif)
{
	char text[24];
	int len = xenbus_read_text(HOST_TX_NONE, vif->bus.path, "mac", text, sizeof(text));

	if (len < 0)
		return len;
	if (!parse_mac(text, vif->dev.mac)) {
		host_log(HOST_LOG_ERROR, "%s: mac is no Ethernet address", vif->bus.path);
		return -XEN_EINVAL;
	}
	return 0;
}

static int read_mtu(struct vif *vif)
{
	static const struct xenbus_number key = {"mtu", MTU_MIN, MTU_MAX, MTU_USUAL, false};
	uint64_t mtu;
	int err = xenbus_read_numbers(HOST_TX_NONE, vif->bus.path, &key, 1, &mtu);

	vif->dev.mtu = (uint16_t)mtu;
	return err;
}

static int read_bridge(struct vif *vif)
{
	int len = xenbus_read_text(HOST_TX_NONE, vif->bus.path, "bridge", vif->dev.bridge,
				   sizeof(vif->dev.bridge));

	if (len < 0)
		vif->dev.bridge[0] = '\0';
	return len == -XEN_ENOENT || len >= 0 ? 0 : len;
}

int vif_read_nodes(struct vif *vif)
{
	int err = read_mac(vif);

	if (!err)
		err = read_mtu(vif);
	if (!err)
		err = vif_guard_read(vif);
	return err ? err : read_bridge(vif);
}

/* ---- told to the guest --------------------------------------------------------------------- */

static int put_all(uint32_t tx, void *ctx)
{
	static const struct {
		const char *key;
		uint64_t value;
	} nodes[] = {
	    {"feature-sg", 1},
	    {"feature-gso-tcpv4", 1},
	    {"feature-gso-tcpv6", 1},
	    {"feature-ipv6-csum-offload", 1},
	    {"feature-rx-copy", 1},
	    {"feature-rx-flip", 0},
	    {"feature-xdp-headroom", 1},
	    {"feature-multicast-control", 1},
	    {"feature-dynamic-multicast-control", 1},
	    {"feature-split-event-channels", 1},
	    {"feature-ctrl-ring", 1},
	    {"multi-queue-max-queues", NETBACK_QUEUES_MAX},
	};
	const struct vif *vif = ctx;
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(nodes) && !err; i++)
		err = xenbus_write_number(tx, vif->bus.path, nodes[i].key, nodes[i].value);
	/* Linux's script writes it when the interface is in its bridge; here that needs no script. */
	return err ? err : xenbus_write_text(tx, vif->bus.path, "hotplug-status", "connected");
}

int vif_write_nodes(struct vif *vif)
{
	return xenbus_transaction(put_all, vif);
}

void vif_write_carrier(struct vif *vif)
{
	int carrier = vif->dev.user != NULL;

	if (vif->carrier == carrier || vif->bus.removed)
		return;
	if (xenbus_write_number(HOST_TX_NONE, vif->bus.path, "carrier", (unsigned)carrier) == 0)
		vif->carrier = carrier;
}

/* ---- the guest's --------------------------------------------------------------------------- */

enum { K_COPY, K_NOTIFY, K_SG, K_GSO4, K_GSO6, K_NO_CSUM4, K_CSUM6, K_HEADROOM, K_COUNT };
static const struct xenbus_number front_keys[K_COUNT] = {
    [K_COPY] = {"request-rx-copy", 0, 1, 0, false},
    [K_NOTIFY] = {"feature-rx-notify", 0, UINT32_MAX, 0, false},
    [K_SG] = {"feature-sg", 0, UINT32_MAX, 0, false},
    [K_GSO4] = {"feature-gso-tcpv4", 0, UINT32_MAX, 0, false},
    [K_GSO6] = {"feature-gso-tcpv6", 0, UINT32_MAX, 0, false},
    [K_NO_CSUM4] = {"feature-no-csum-offload", 0, UINT32_MAX, 0, false},
    [K_CSUM6] = {"feature-ipv6-csum-offload", 0, UINT32_MAX, 0, false},
    [K_HEADROOM] = {"xdp-headroom", 0, VIF_HEADROOM_MAX, 0, false},
};

/* Frames to be cut come with blank checksums, and do not fit one slot: GSO needs both. The old GSO of a slot in
 * front (feature-gso-tcpv4-prefix) is known and not used, as Linux's does since 4.9. */
static uint32_t abilities(const uint64_t *keys)
{
	uint32_t can = NET_CAN_SEGMENTS | NET_CAN_REMOTE;

	if (!keys[K_NO_CSUM4])
		can |= NET_CAN_CSUM4;
	if (keys[K_CSUM6])
		can |= NET_CAN_CSUM6;
	if (keys[K_SG] && keys[K_GSO4] && (can & NET_CAN_CSUM4))
		can |= NET_CAN_GSO4;
	if (keys[K_SG] && keys[K_GSO6] && (can & NET_CAN_CSUM6))
		can |= NET_CAN_GSO6;
	return can;
}

/* The guest's XDP has come or gone while it is connected. What it says wrong changes nothing. */
void vif_read_headroom(struct vif *vif)
{
	uint64_t headroom;

	if (xenbus_read_numbers(HOST_TX_NONE, vif->bus.peer_path, &front_keys[K_HEADROOM], 1,
				&headroom) == 0)
		vif->headroom = (uint16_t)headroom;
}

int vif_read_features(struct vif *vif)
{
	uint64_t keys[K_COUNT];
	int err = xenbus_read_numbers(HOST_TX_NONE, vif->bus.peer_path, front_keys, K_COUNT, keys);

	if (err)
		return err;
	if (!keys[K_COPY]) {
		host_log(HOST_LOG_ERROR, "%s: domain %u wants pages flipped to it", vif->bus.path,
			 vif->bus.peer);
		return -XEN_EOPNOTSUPP;
	}
	vif->rx_notify = keys[K_NOTIFY];
	vif->sg = keys[K_SG];
	vif->headroom = (uint16_t)keys[K_HEADROOM];
	vif->dev.can = abilities(keys);
	return 0;
}
