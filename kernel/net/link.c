/* link.c: frames of a net_device to lwIP and back.
 *
 * Called by the device's driver (net_user_ops), by lwIP (linkoutput), and by stack.c. What comes in is read where it lies, when it
 * is worth it: lwIP's pbufs point into the frame, which is put when the last of them is freed. What goes out is lent to
 * the driver where lwIP has it. Addresses are stack.c's.
 *
 *   in   received() -> [net_fit, when part of it is a grant] -> wrap() or copy() -> ethernet_input()
 *   out  linkoutput() -> tx, holding the pbuf -> net_fit() -> dev->ops->send;  batch_end() or kick_work -> kick
 */
#include <amphi/host_net.h>
#include <amphi/net_offload.h>
#include <amphi/string.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/mld6.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <netif/ethernet.h>

#include "large.h"
#include "link.h"
#include "port.h"
#include "stack.h"

/* Shorter frames are copied: an acknowledgement costs less to copy than to wrap, and its page goes back at once. So are fragments,
 * which may have to wait for their like, and echoes, whose answers are made where they lie. */
#define WRAP_FROM_BYTES 512u
/* Frames that lwIP may keep of one device at a time (segments that came too early): a driver has only so many buffers (netfront
 * as few as 64 in all), and when all are kept, the segment that is missing has none to come in. Above that they are copied. */
#define HELD_MAX 24u

#define CHECKS_BY_DEVICE (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)
/* TCP's sum over the data is left to the device, or to net_fit; everything else is rare or short. */
#define CHECKS_ALL (NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP)

#define ETHERTYPE_AT 12u
#define IPV4_FLAGS   20u /* and fragment offset */
#define IPV4_PROTO   23u
#define IPV6_NEXT    20u
#define PROTO_TCP    6u
#define PROTO_UDP    17u
#define LOOK_BYTES   24u

/* ---- in ---------------------------------------------------------------------------------- */

struct rx;
/* One segment of a frame, as lwIP sees it. */
struct rx_part {
	struct pbuf_custom custom;
	struct rx *rx;
};

/* A frame that lwIP reads where it lies. It may take the chain apart and free the parts in any order. */
struct rx {
	struct net_frame *frame;
	struct net_link *link;
	unsigned alive;
	struct rx_part parts[];
};

static void part_freed(struct pbuf *p)
{
	struct rx *rx = ((struct rx_part *)p)->rx;

	if (--rx->alive)
		return;
	rx->link->held--;
	net_frame_put(rx->frame, 0);
	net_mem_free(rx);
}

/* NULL: no memory. */
static struct pbuf *wrap(struct net_link *link, struct net_frame *frame)
{
	struct rx *rx = net_mem_alloc(sizeof(*rx) + frame->n_segments * sizeof(rx->parts[0]));
	struct pbuf *chain = NULL, *p;
	struct rx_part *part;

	if (!rx)
		return NULL;
	rx->frame = frame;
	rx->link = link;
	rx->alive = frame->n_segments;
	link->held++;
	/* From the last: the one before it is put in front of it, which costs no walk. */
	for (unsigned i = frame->n_segments; i-- > 0;) {
		part = &rx->parts[i];
		part->rx = rx;
		part->custom.custom_free_function = part_freed;
		p = pbuf_alloced_custom(PBUF_RAW, (u16_t)frame->segments[i].len_bytes, PBUF_REF,
					&part->custom, frame->segments[i].va,
					(u16_t)frame->segments[i].len_bytes);
		if (chain)
			pbuf_cat(p, chain);
		chain = p;
	}
	return chain;
}

/* What came too early is given up, and the other side sends it again. */
static void forget_out_of_order(void)
{
	struct tcp_pcb *pcb;

	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		tcp_free_ooseq(pcb);
}

/* The frame is put, whatever comes of it. When memory is short, what came too early goes first: it waits for a segment that would not be
 * taken. Then only short ones are copied, which are acknowledgements and their like: by those memory comes free. */
static struct pbuf *copy(struct net_frame *frame)
{
	bool is_short = frame->len_bytes < WRAP_FROM_BYTES;
	struct pbuf *p = NULL;
	uint8_t *to;

	if (!is_short && !net_mem_ample())
		forget_out_of_order();
	if (is_short || net_mem_ample())
		p = pbuf_alloc(PBUF_RAW, (u16_t)frame->len_bytes, PBUF_RAM);
	to = p ? p->payload : NULL;
	for (unsigned i = 0; p && i < frame->n_segments; i++) {
		memcpy(to, frame->segments[i].va, frame->segments[i].len_bytes);
		to += frame->segments[i].len_bytes;
	}
	net_frame_put(frame, p ? 0 : -XEN_ENOMEM);
	return p;
}

/* TCP or UDP, when that is what an untagged frame holds, in one piece and right behind the IP header; else 0. */
static uint8_t protocol_of(const uint8_t *head, size_t len)
{
	uint16_t type;

	if (len < LOOK_BYTES)
		return 0;
	type = (uint16_t)(head[ETHERTYPE_AT] << 8 | head[ETHERTYPE_AT + 1]);
	if (type == ETHTYPE_IPV6)
		return head[IPV6_NEXT];
	if (type != ETHTYPE_IP || head[IPV4_FLAGS] & 0x3f || head[IPV4_FLAGS + 1])
		return 0;
	return head[IPV4_PROTO];
}

/* All of it is in memory. What the giver says of a checksum is said of a whole TCP or UDP packet; of a fragment it is said by nobody who
 * could know. lwIP writes into headers as it reads them, which only the one holder of a frame may. */
static void take(void *ctx, struct net_frame *frame)
{
	struct net_link *link = ctx;
	uint8_t protocol = protocol_of(frame->segments[0].va, frame->segments[0].len_bytes);
	bool whole = protocol == PROTO_TCP || protocol == PROTO_UDP;
	bool checked = whole && frame->flags & (NET_CSUM_VALID | NET_CSUM_BLANK);
	bool own = whole && frame->holders == 1 && frame->len_bytes >= WRAP_FROM_BYTES &&
		   link->held < HELD_MAX;
	struct pbuf *p = own ? wrap(link, frame) : NULL;

	if (!p)
		p = copy(frame);
	if (!p)
		return;
	link->netif.chksum_flags = checked ? CHECKS_ALL & ~CHECKS_BY_DEVICE : CHECKS_ALL;
	if (link->netif.input(p, &link->netif) != ERR_OK)
		pbuf_free(p);
}

static bool has_remote(const struct net_frame *frame)
{
	for (unsigned i = 0; i < frame->n_segments; i++)
		if (!frame->segments[i].va)
			return true;
	return false;
}

static void received(struct net_device *dev, struct net_frame *frame)
{
	struct net_link *link = dev->user_ctx;

	link->in_batch = true;
	if (!has_remote(frame)) {
		take(link, frame);
		return;
	}
	(void)net_fit(
	    frame, NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6 | NET_CAN_GSO4 | NET_CAN_GSO6,
	    NET_FRAME_MAX - NET_HEAD_BYTES, take, link);
}

static void batch_end(struct net_device *dev)
{
	struct net_link *link = dev->user_ctx;

	link->in_batch = false;
	net_loop_soon();
	dev->ops->kick(dev);
}

/* ---- out --------------------------------------------------------------------------------- */

struct tx {
	struct net_frame frame;
	struct pbuf *p;
};

static unsigned tx_out; /* with drivers, of all interfaces, also of those that are gone */

static void tx_done(struct net_frame *frame, int status)
{
	struct tx *tx = frame->ctx;

	tx_out--;
	pbuf_free(tx->p);
	net_mem_free(tx);
}

/* p's parts become segments; false: it has too many. */
static bool lay_out(struct net_frame *frame, struct pbuf *p)
{
	struct net_segment *s = frame->segments;

	for (; p; p = p->next) {
		if (!p->len)
			continue;
		if (s == frame->segments + NET_SEGMENTS_MAX)
			return false;
		*s++ = (struct net_segment){.va = p->payload, .len_bytes = p->len};
		frame->len_bytes += p->len;
	}
	frame->n_segments = (uint16_t)(s - frame->segments);
	return true;
}

/* Of TCP the sum of the pseudo header is put where the checksum will be, and what is longer than the wire takes is to be cut. The header is
 * lwIP's own and not sent a second time before this frame was put. */
static void leave_blank(struct net_frame *frame)
{
	struct net_segment *first = &frame->segments[0];
	uint8_t *head = first->va;
	struct net_headers h;
	uint16_t sum;

	if (protocol_of(head, first->len_bytes) != PROTO_TCP ||
	    net_parse(head, first->len_bytes, frame->len_bytes, &h) || h.l4 != NET_L4_TCP)
		return;
	sum = net_pseudo_sum(head, &h, h.l3_end - h.l4_at);
	memcpy(head + h.l4_at + 16, &sum, sizeof(sum));
	frame->flags |= NET_CSUM_BLANK;
	frame->gso_size = net_large_cut(head, &h);
	if (frame->gso_size)
		frame->gso = h.proto == NET_PROTO_IPV6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
}

static struct tx *tx_new(struct pbuf *p)
{
	struct tx *tx = net_mem_alloc(sizeof(*tx));

	if (!tx)
		return NULL;
	memset(&tx->frame, 0, offsetof(struct net_frame, segments));
	tx->frame.holders = 1;
	tx->frame.status = 0;
	tx->frame.done = tx_done;
	tx->frame.ctx = tx;
	if (lay_out(&tx->frame, p)) {
		pbuf_ref(p);
		tx->p = p;
		return tx;
	}
	tx->frame.len_bytes = 0;
	tx->p = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	if (tx->p && lay_out(&tx->frame, tx->p))
		return tx;
	net_mem_free(tx);
	return NULL;
}

static void send(void *ctx, struct net_frame *frame)
{
	struct net_device *dev = ctx;

	dev->ops->send(dev, frame);
}

static void kick_work(void *ctx)
{
	struct net_link *link = ctx;

	link->dev->ops->kick(link->dev);
}

/* lwIP's: p stays its own. Everything that one turn of the worker sends is kicked once: at the end of the batch that it answers, or by a
 * piece of work that comes when the present one is done. */
static err_t linkoutput(struct netif *netif, struct pbuf *p)
{
	struct net_link *link = netif->state;
	struct tx *tx = tx_new(p);

	if (!tx)
		return ERR_MEM;
	tx_out++;
	leave_blank(&tx->frame);
	if (!link->in_batch)
		host_work_soon(&link->kick);
	return net_fit(&tx->frame, link->dev->can, link->dev->mtu, send, link->dev) < 0 ? ERR_IF
											: ERR_OK;
}

bool net_link_can(const struct netif *netif, uint32_t can)
{
	const struct net_link *link = netif->state;

	return netif->linkoutput == linkoutput && (link->dev->can & can) == can;
}

void net_links_kick(void)
{
	struct net_link *link = NULL;

	while (tx_out && (link = net_link_next(link)))
		link->dev->ops->kick(link->dev);
}

/* ---- the interface ----------------------------------------------------------------------- */

/* Groups of IPv6 are addresses 33:33 and the last four bytes. */
static err_t multicast(struct netif *netif, const ip6_addr_t *group,
		       enum netif_mac_filter_action action)
{
	struct net_link *link = netif->state;
	struct net_device *dev = link->dev;
	uint8_t mac[NET_MAC_BYTES] = {0x33, 0x33};

	memcpy(mac + 2, &group->addr[3], 4);
	if (dev->ops->multicast)
		dev->ops->multicast(dev, mac, action == NETIF_ADD_MAC_FILTER);
	return ERR_OK;
}

static void follow(struct net_link *link)
{
	struct net_device *dev = link->dev;

	link->netif.mtu = link->netif.mtu6 = dev->mtu;
	if (dev->carrier)
		netif_set_link_up(&link->netif);
	else
		netif_set_link_down(&link->netif);
}

static void changed(struct net_device *dev)
{
	struct net_link *link = dev->user_ctx;

	if (dev->gone)
		net_stack_lost(link);
	else
		follow(link);
	net_stack_carriers();
}

static const struct net_user_ops user_ops = {
    .received = received,
    .batch_end = batch_end,
    .changed = changed,
};

static err_t netif_begin(struct netif *netif)
{
	struct net_link *link = netif->state;

	/* Two letters are all that lwIP has; link.dev->name is what people see. */
	netif->name[0] = 'e';
	netif->name[1] = 'n';
	memcpy(netif->hwaddr, link->dev->mac, NET_MAC_BYTES);
	netif->hwaddr_len = NET_MAC_BYTES;
	netif->mtu = netif->mtu6 = link->dev->mtu;
	netif->flags =
	    NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = linkoutput;
	netif->mld_mac_filter = multicast;
	netif->chksum_flags = CHECKS_ALL;
	return ERR_OK;
}

int net_link_open(struct net_device *dev, struct net_link **out)
{
	struct net_link *link = host_alloc(sizeof(*link));
	int error = link ? host_net_attach(dev, &user_ops, link) : -XEN_ENOMEM;

	if (error) {
		host_free(link, sizeof(*link));
		return error;
	}
	link->dev = dev;
	link->kick.fn = kick_work;
	link->kick.ctx = link;
	net_random_stir(dev->mac, sizeof(dev->mac));
	(void)netif_add_noaddr(&link->netif, link, netif_begin, ethernet_input);
	netif_set_up(&link->netif);
	follow(link);
	*out = link;
	return 0;
}

void net_link_loops(struct net_link *link)
{
	link->netif.chksum_flags = CHECKS_ALL & ~CHECKS_BY_DEVICE;
}

/* Of frames only connections hold any, and those end with the address that they have here. */
void net_link_close(struct net_link *link)
{
	netif_remove(&link->netif);
	/* What was on its way to ourselves lwIP forgets. */
	if (link->netif.loop_first)
		pbuf_free(link->netif.loop_first);
	HOST_ASSERT(!link->held);
	host_work_cancel(&link->kick);
	host_net_detach(link->dev);
	host_free(link, sizeof(*link));
}
