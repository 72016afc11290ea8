/* netback_checks.c: what the headers of a guest's packet have to be for what it asks.
 *
 * Looks at our copy of the packet's head, once it is there. A plain packet may be anything: it is the receiver's business.
 * One with a checksum to fill in, or to be cut in segments, is worked on by whoever carries it, who then finds the fields
 * where net_parse() says they are. A guest with given addresses is held to them (netback_guard.c). Caller: netback_tx.c. Pure.
 */
#include "netback_private.h"

static const char *check_checksum(const struct net_frame *net, const struct net_headers *h)
{
	if (h->l4 == NET_L4_OTHER || h->fragment)
		return "a checksum to fill in, and neither TCP nor UDP";
	if (h->data_at > net->segments[0].len_bytes)
		return "header cut in the linear part";
	return NULL;
}

static const char *check_gso(const struct net_frame *net, const struct net_headers *h)
{
	uint8_t proto = net->gso == NET_GSO_TCPV4 ? NET_PROTO_IPV4 : NET_PROTO_IPV6;

	if (h->l4 != NET_L4_TCP || h->proto != proto)
		return "GSO of another protocol than its type's";
	if (h->data_at >= net->len_bytes)
		return "GSO without data";
	return NULL;
}

const char *vif_check(struct vif *vif, struct vif_frame *frame, enum net_drop *out_drop)
{
	const struct net_frame *net = &frame->net;
	const struct net_segment *head = &net->segments[0];
	struct net_headers h;
	const char *why = NULL;

	*out_drop = NET_DROP_malformed;
	if (!(net->flags & NET_CSUM_BLANK) && !vif->guard.on)
		return NULL;
	if (net_parse(head->va, head->len_bytes, net->len_bytes, &h))
		return "headers longer than the packet";
	if (net->flags & NET_CSUM_BLANK)
		why = check_checksum(net, &h);
	if (!why && net->gso != NET_GSO_NONE)
		why = check_gso(net, &h);
	if (!why && vif->guard.on && !vif_guard_allows(vif, head->va, head->len_bytes, &h)) {
		*out_drop = NET_DROP_spoofed;
		why = "an address that is not its own";
	}
	return why;
}
