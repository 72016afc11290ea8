/* netif.h: what netfront and netback both know of xen/io/netif.h.
 *
 * The layouts of slots, checked against the numbers of the ABI, the limits that both halves keep, extra infos and
 * the hash of the control ring. Callers: both halves, tests. Implemented here and by protocol/netif_*.c. Pure functions;
 * any context. Linux's include/xen/interface/io/netif.h knows one extra info more (XDP), which is taken from there.
 *
 * A packet is one to 18 slots. Towards the back the first slot's size is that of the whole packet, and extra infos stand
 * behind the first slot; towards the front each slot has its own size, and the slot of a response is that of its request.
 */
#ifndef AMPHI_NETIF_H
#define AMPHI_NETIF_H

#include <amphi/net.h>
#include <amphi/net_offload.h>
#include <amphi/ring.h>
#include <xen/io/netif.h>

/* Requests and responses share a slot of the greater's size. A ring is a page. */
#define NETIF_TX_SLOT_BYTES sizeof(struct netif_tx_request)
#define NETIF_RX_SLOT_BYTES sizeof(struct netif_rx_request)
#define NETIF_CTRL_BYTES    sizeof(struct xen_netif_ctrl_request)
#define NETIF_RING_SLOTS    256u /* of tx and rx */
#define NETIF_CTRL_SLOTS    128u

/* Of one packet, extra infos not counted: every back takes so many (Linux's takes no more than 20). */
#define NETIF_SLOTS_MAX XEN_NETIF_NR_SLOTS_MIN

/* What ours offer and take: more in the other's node is a mistake or not meant for us. */
#define NETIF_QUEUES_MAX      NET_QUEUES_MAX
#define NETIF_MULTICAST_MAX   64u  /* addresses that a front asks for */
#define NETIF_HASH_KEY_MAX    40u  /* bytes: for the longest input, two IPv6 addresses and ports */
#define NETIF_HASH_MAP_MAX    128u /* entries of the table from hash to queue */
#define NETIF_STAGED_MAX      512u /* pages of a queue that a front has mapped at the back */
#define NETIF_STAGED_PER_PAGE ((unsigned)(PAGE_SIZE / sizeof(struct xen_netif_gref)))
_Static_assert(NETIF_STAGED_MAX <= NETIF_STAGED_PER_PAGE, "one page of references is enough");

_Static_assert(offsetof(struct netif_tx_request, offset) == 4, "netif.h");
_Static_assert(offsetof(struct netif_tx_request, flags) == 6, "netif.h");
_Static_assert(offsetof(struct netif_tx_request, id) == 8, "netif.h");
_Static_assert(offsetof(struct netif_tx_request, size) == 10, "netif.h");
_Static_assert(NETIF_TX_SLOT_BYTES == 12, "netif.h");
_Static_assert(offsetof(struct netif_tx_response, status) == 2, "netif.h");
_Static_assert(sizeof(struct netif_tx_response) == 4, "netif.h");
_Static_assert(offsetof(struct netif_rx_request, gref) == 4, "netif.h");
_Static_assert(NETIF_RX_SLOT_BYTES == 8, "netif.h");
_Static_assert(offsetof(struct netif_rx_response, offset) == 2, "netif.h");
_Static_assert(offsetof(struct netif_rx_response, flags) == 4, "netif.h");
_Static_assert(offsetof(struct netif_rx_response, status) == 6, "netif.h");
_Static_assert(sizeof(struct netif_rx_response) == 8, "netif.h");
_Static_assert(sizeof(struct netif_extra_info) == 8, "fits both kinds of slot");
_Static_assert(offsetof(struct netif_extra_info, u) == 2, "netif.h");
_Static_assert(offsetof(struct xen_netif_ctrl_request, data) == 4, "netif.h");
_Static_assert(NETIF_CTRL_BYTES == 16, "netif.h");
_Static_assert(offsetof(struct xen_netif_ctrl_response, data) == 8, "netif.h");
_Static_assert(sizeof(struct xen_netif_ctrl_response) == 12, "netif.h");
_Static_assert(offsetof(struct xen_netif_gref, flags) == 4, "netif.h");
_Static_assert(offsetof(struct xen_netif_gref, status) == 6, "netif.h");
_Static_assert(sizeof(struct xen_netif_gref) == 8, "netif.h");

/* ---- checksums: the same two bits, in another order each way ------------------------------ */

static inline uint16_t netif_tx_flags(uint8_t frame_flags)
{
	return (uint16_t)((frame_flags & NET_CSUM_BLANK ? NETTXF_csum_blank : 0) |
			  (frame_flags & NET_CSUM_VALID ? NETTXF_data_validated : 0));
}
static inline uint16_t netif_rx_flags(uint8_t frame_flags)
{
	return (uint16_t)((frame_flags & NET_CSUM_BLANK ? NETRXF_csum_blank : 0) |
			  (frame_flags & NET_CSUM_VALID ? NETRXF_data_validated : 0));
}
/* A blank one is right by the sender's word, whether its flags say so or not. */
static inline uint8_t netif_tx_frame_flags(uint16_t flags)
{
	if (flags & NETTXF_csum_blank)
		return NET_CSUM_BLANK | NET_CSUM_VALID;
	return flags & NETTXF_data_validated ? NET_CSUM_VALID : 0;
}
static inline uint8_t netif_rx_frame_flags(uint16_t flags)
{
	if (flags & NETRXF_csum_blank)
		return NET_CSUM_BLANK | NET_CSUM_VALID;
	return flags & NETRXF_data_validated ? NET_CSUM_VALID : 0;
}

/* "00:16:3e:01:02:03", and nothing behind; false: none, or that of a group, which no station has. */
bool netif_mac_read(const char *text, uint8_t mac[NET_MAC_BYTES]);

/* ---- extra infos ---------------------------------------------------------------------------- */

#define NETIF_EXTRA_XDP        5u /* of Linux: u.xdp, { uint16_t headroom, pad[2] } */
#define NETIF_EXTRA_TYPES      6u /* 0 is none */
#define NETIF_EXTRAS_MAX       (NETIF_EXTRA_TYPES - 1)
#define NETIF_XDP_HEADROOM_MAX 0x7fffu

/* All that stands between the first slot of a packet and its second. Zeroed is nothing. */
struct netif_extras {
	uint8_t seen;                 /* bit 1 << XEN_NETIF_EXTRA_TYPE_* of what is there */
	uint8_t gso;                  /* enum net_gso */
	uint16_t gso_size;            /* > 0 with gso */
	uint8_t mcast[NET_MAC_BYTES]; /* with MCAST_ADD or MCAST_DEL in seen, never both */
	uint8_t hash_type;            /* bit number: _XEN_NETIF_CTRL_HASH_TYPE_* */
	uint8_t hash_algorithm;
	uint32_t hash;
	uint16_t xdp_headroom;
};

/* Takes in one, from a private copy of its slot. 1: another one follows in the next slot; 0: it was the last one;
 * -XEN_EINVAL: of no type that there is, of one that was seen before (so a chain has at most NETIF_EXTRAS_MAX), or with a
 * value that means nothing. */
int netif_extra_take(struct netif_extras *extras, const struct netif_extra_info *info);

/* The inverse: fills in out and returns how many; by seen. */
unsigned netif_extras_put(const struct netif_extras *extras,
			  struct netif_extra_info out[NETIF_EXTRAS_MAX]);

/* ---- the hash of the control ring ---------------------------------------------------------- */

/* What a front has set; the back chooses queues by it. */
struct netif_hash {
	uint32_t algorithm;      /* XEN_NETIF_CTRL_HASH_ALGORITHM_*: none, or Toeplitz */
	uint32_t types;          /* XEN_NETIF_CTRL_HASH_TYPE_*; 0: no hash */
	uint16_t key_len, n_map; /* n_map 0: hash modulo the number of queues */
	uint8_t key[NETIF_HASH_KEY_MAX];
	uint8_t map[NETIF_HASH_MAP_MAX]; /* < the number of queues */
};
#define NETIF_HASH_TYPES                                                                           \
	(XEN_NETIF_CTRL_HASH_TYPE_IPV4 | XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP |                       \
	 XEN_NETIF_CTRL_HASH_TYPE_IPV6 | XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)

/* The hash of a packet with these headers by the greatest type that is set and fits it, and the type's bit number. False:
 * none does. Fragments are hashed by addresses alone. */
bool netif_hash(const struct netif_hash *hash, const uint8_t *head, const struct net_headers *h,
		uint32_t *out_value, uint8_t *out_type);

/* Which of the back's n_queues it goes to. */
static inline unsigned netif_hash_queue(const struct netif_hash *hash, uint32_t value,
					unsigned n_queues)
{
	return hash->n_map ? hash->map[value % hash->n_map] : value % n_queues;
}

#endif
