/* large.c: has lwIP make segments of up to 64 KiB, where an interface (or who is behind it) cuts them for the wire.
 *
 * Contract: large.h; lwIP calls what port/hooks.h names. lwIP cuts at pcb->mss, and counts its windows in it. So that number is changed with
 * what is done: the connection's own, which is kept beside the pcb (wire_mss), while a packet is taken in, so that
 * windows grow as for everybody; and a multiple of it from net_large_begin on, when bytes are written.
 *
 * lwIP holds no segment to be longer than mss, and none in flight means that the next fits the congestion window. Neither is true
 * of long segments once a window has shrunk: raise() makes both so again, where lwIP looks at them.
 */
#include <amphi/host.h>

#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>

#include "kernel/net/port/hooks.h"
#include "large.h"
#include "link.h"

/* With all headers and the pbuf in front of it 16 pages, which with the headers' own are 17 slots of netfront's 18. */
#define DATA_MAX 65280u
/* So many segments fill a window: fewer would leave the other side idle between them. */
#define WINDOW_OF 4u
/* Of a frame whose connection is gone; every host takes so much. */
#define MSS4_LEAST 536u
#define MSS6_LEAST 1220u

/* 0: not known yet, and no segment has been longer than mss. */
static u16_t wire_mss(const struct tcp_pcb *pcb)
{
	return (u16_t)(uintptr_t)tcp_ext_arg_get(pcb, 0);
}

static bool may_be_large(const struct tcp_pcb *pcb)
{
	uint32_t v4 = NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_GSO4;
	uint32_t v6 = NET_CAN_SEGMENTS | NET_CAN_CSUM6 | NET_CAN_GSO6;
	const struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);

	return netif && net_link_can(netif, IP_IS_V6(&pcb->remote_ip) ? v6 : v4);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The last segment that waits may still grow into the room that was made for it. */
static uint32_t last_unsent(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *seg = pcb->unsent;

	while (seg && seg->next)
		seg = seg->next;
	return seg ? (uint32_t)seg->len + pcb->unsent_oversize : 0;
}

void net_large_begin(struct tcp_pcb *pcb)
{
	uint32_t wire = wire_mss(pcb), size;

	if (!wire) {
		wire = pcb->mss;
		tcp_ext_arg_set(pcb, 0, (void *)(uintptr_t)wire);
	}
	size = MIN(MIN(pcb->cwnd, pcb->snd_wnd_max) / WINDOW_OF, DATA_MAX);
	size = may_be_large(pcb) ? MAX(size - size % wire, wire) : wire;
	pcb->mss = (u16_t)MAX(size, last_unsent(pcb));
}

/* ---- windows ------------------------------------------------------------------------------ */

err_t net_tcp_inpacket(struct tcp_pcb *pcb)
{
	u16_t wire = pcb->state == LISTEN ? 0 : wire_mss(pcb);

	if (wire)
		pcb->mss = wire;
	return ERR_OK;
}

void net_large_acked(struct tcp_pcb *pcb)
{
	if (!pcb->unacked && pcb->unsent && pcb->cwnd < pcb->unsent->len)
		pcb->cwnd = pcb->unsent->len;
}

static u16_t longest(const struct tcp_seg *seg, u16_t least)
{
	for (; seg; seg = seg->next)
		least = MAX(least, seg->len);
	return least;
}

/* The wire's own segment can have become shorter on the way (RFC 8201), of which lwIP tells only who asks. */
static void raise(struct tcp_pcb *pcb)
{
	u16_t wire = tcp_eff_send_mss(wire_mss(pcb), &pcb->local_ip, &pcb->remote_ip);

	tcp_ext_arg_set(pcb, 0, (void *)(uintptr_t)wire);
	pcb->mss = longest(pcb->unsent, longest(pcb->unacked, wire));
	net_large_acked(pcb);
}

/* After its time is out, lwIP sets the congestion window to mss, and sends the first segment again; into a small window of the other side it
 * sends a part of at most mss. */
void net_large_timers(void)
{
	struct tcp_pcb *pcb;

	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (wire_mss(pcb))
			raise(pcb);
}

/* ---- frames ------------------------------------------------------------------------------- */

/* What is left and fits the MTU is lwIP's last piece, of which it carries a multiple of eight bytes: with an MTU such as 9000 up to
 * seven bytes would be missing, and nobody told. So it is asked for an MTU with which all pieces end at eight. */
static err_t cut_at_eight(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest)
{
	uint16_t mtu = netif->mtu;
	err_t err;

	netif->mtu = (uint16_t)(mtu - (mtu - IP_HLEN) % 8);
	err = ip4_frag(p, netif, dest);
	netif->mtu = mtu;
	return err;
}

/* Segments that are too long for the interface go to link.c as they are, and are cut there or below. */
err_t net_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest)
{
	const struct ip_hdr *ip = p->payload;

	return IPH_PROTO(ip) == IP_PROTO_TCP ? netif->output(netif, p, dest)
					     : cut_at_eight(p, netif, dest);
}

err_t net_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest)
{
	const struct ip6_hdr *ip = p->payload;

	return IP6H_NEXTH(ip) == IP6_NEXTH_TCP ? netif->output_ip6(netif, p, dest)
					       : ip6_frag(p, netif, dest);
}

/* Addresses behind each other in either header: ours is the source. */
static bool has_addresses(const struct tcp_pcb *pcb, const uint8_t *ip, bool is_v6)
{
	size_t n = is_v6 ? 16 : 4, at = is_v6 ? 8 : 12;

	return IP_IS_V6(&pcb->remote_ip) == is_v6 && !memcmp(&pcb->local_ip, ip + at, n) &&
	       !memcmp(&pcb->remote_ip, ip + at + n, n);
}

uint16_t net_large_cut(const uint8_t *frame, const struct net_headers *h)
{
	const struct tcp_hdr *tcp = (const struct tcp_hdr *)(frame + h->l4_at);
	bool is_v6 = h->proto == NET_PROTO_IPV6;
	uint32_t data = h->l3_end - h->data_at;
	const struct tcp_pcb *pcb;
	uint16_t wire = is_v6 ? MSS6_LEAST : MSS4_LEAST;

	if (!data)
		return 0;
	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->local_port != lwip_ntohs(tcp->src) ||
		    pcb->remote_port != lwip_ntohs(tcp->dest) ||
		    !has_addresses(pcb, frame + h->l3_at, is_v6))
			continue;
		wire = wire_mss(pcb) ? wire_mss(pcb) : pcb->mss;
		break;
	}
	return data > wire ? wire : 0;
}
