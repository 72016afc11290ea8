/* netif_extra.c: the extra infos between the slots of a packet, read and written.
 *
 * Contract: amphi/netif.h. Callers: netback for what a guest sends, netfront for what it receives, both for what
 * they put. Not here: slots, rings, and whether an extra info is one that this packet may have. Pure functions.
 */
#include <amphi/netif.h>
#include <amphi/string.h>

/* The numbers of the wire are those of enum net_gso. */
_Static_assert(XEN_NETIF_GSO_TYPE_TCPV4 == NET_GSO_TCPV4, "one number");
_Static_assert(XEN_NETIF_GSO_TYPE_TCPV6 == NET_GSO_TCPV6, "one number");
_Static_assert(NETIF_EXTRA_XDP == XEN_NETIF_EXTRA_TYPE_MAX, "the one behind the known");

#define MCAST (1u << XEN_NETIF_EXTRA_TYPE_MCAST_ADD | 1u << XEN_NETIF_EXTRA_TYPE_MCAST_DEL)

static int take_gso(struct netif_extras *extras, const struct netif_extra_info *info)
{
	if (!info->u.gso.size || (info->u.gso.type != XEN_NETIF_GSO_TYPE_TCPV4 &&
				  info->u.gso.type != XEN_NETIF_GSO_TYPE_TCPV6))
		return -XEN_EINVAL;
	extras->gso = info->u.gso.type;
	extras->gso_size = info->u.gso.size;
	return 0;
}

/* The address of a group: of one station it would be no multicast. */
static int take_mcast(struct netif_extras *extras, const struct netif_extra_info *info)
{
	if ((extras->seen & MCAST) == MCAST || !(info->u.mcast.addr[0] & 1))
		return -XEN_EINVAL;
	memcpy(extras->mcast, info->u.mcast.addr, NET_MAC_BYTES);
	return 0;
}

static int take_hash(struct netif_extras *extras, const struct netif_extra_info *info)
{
	if (info->u.hash.type > _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)
		return -XEN_EINVAL;
	extras->hash_type = info->u.hash.type;
	extras->hash_algorithm = info->u.hash.algorithm;
	memcpy(&extras->hash, info->u.hash.value, sizeof(extras->hash));
	return 0;
}

static int take_value(struct netif_extras *extras, const struct netif_extra_info *info)
{
	switch (info->type) {
	case XEN_NETIF_EXTRA_TYPE_GSO:
		return take_gso(extras, info);
	case XEN_NETIF_EXTRA_TYPE_HASH:
		return take_hash(extras, info);
	case NETIF_EXTRA_XDP:
		extras->xdp_headroom = info->u.pad[0];
		return extras->xdp_headroom > NETIF_XDP_HEADROOM_MAX ? -XEN_EINVAL : 0;
	default:
		return take_mcast(extras, info);
	}
}

int netif_extra_take(struct netif_extras *extras, const struct netif_extra_info *info)
{
	int err;

	if (info->type == XEN_NETIF_EXTRA_TYPE_NONE || info->type >= NETIF_EXTRA_TYPES ||
	    extras->seen & 1u << info->type)
		return -XEN_EINVAL;
	extras->seen |= (uint8_t)(1u << info->type);
	err = take_value(extras, info);
	return err ? err : (info->flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
}

static void put_value(const struct netif_extras *extras, struct netif_extra_info *out)
{
	switch (out->type) {
	case XEN_NETIF_EXTRA_TYPE_GSO:
		out->u.gso.size = extras->gso_size;
		out->u.gso.type = extras->gso;
		break;
	case XEN_NETIF_EXTRA_TYPE_HASH:
		out->u.hash.type = extras->hash_type;
		out->u.hash.algorithm = extras->hash_algorithm;
		memcpy(out->u.hash.value, &extras->hash, sizeof(extras->hash));
		break;
	case NETIF_EXTRA_XDP:
		out->u.pad[0] = extras->xdp_headroom;
		break;
	default:
		memcpy(out->u.mcast.addr, extras->mcast, NET_MAC_BYTES);
	}
}

/* Zeroed first: the unused bytes go to the peer too. */
unsigned netif_extras_put(const struct netif_extras *extras,
			  struct netif_extra_info out[NETIF_EXTRAS_MAX])
{
	unsigned n = 0;

	for (uint8_t type = 1; type < NETIF_EXTRA_TYPES; type++) {
		if (!(extras->seen & 1u << type))
			continue;
		memset(&out[n], 0, sizeof(out[n]));
		out[n].type = type;
		put_value(extras, &out[n]);
		if (n)
			out[n - 1].flags = XEN_NETIF_EXTRA_FLAG_MORE;
		n++;
	}
	return n;
}
