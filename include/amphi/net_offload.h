/* net_offload.h: what a network card does for a processor, done by the processor.
 *
 * Callers: the bridge (before a port that cannot), netfront and netback (headers of frames they did not make), native
 * drivers (where a checksum begins), tests. Implemented by protocol/net_*.c. Pure functions but net_fit, which asks host.h
 * for memory; any context but for that. Bytes are hostile: every length in a header is held against what is there.
 * Sources: RFC 791, 1071, 1624, 8200 (extension headers), 9293; IEEE 802.1Q; the Toeplitz hash of xen/io/netif.h.
 */
#ifndef AMPHI_NET_OFFLOAD_H
#define AMPHI_NET_OFFLOAD_H

#include <amphi/net.h>

#define NET_PARSE_BYTES                                                                            \
	256u /* headers longer than that are not looked at: enough for all that TCP/IP has, and tags */

enum net_proto { NET_PROTO_OTHER, NET_PROTO_IPV4, NET_PROTO_IPV6, NET_PROTO_ARP };
enum net_l4 { NET_L4_OTHER, NET_L4_TCP, NET_L4_UDP };

/* Where the headers of a frame are; offsets in bytes from its start. */
struct net_headers {
	uint8_t proto, l4;
	bool fragment;    /* of an IP datagram, and not the whole: l4 is OTHER */
	uint16_t vlan;    /* the outer tag's id, 0: none */
	uint16_t l3_at;   /* IP header; with ARP its packet */
	uint16_t l4_at;   /* with l4 != OTHER */
	uint16_t data_at; /* behind TCP's or UDP's header */
	uint32_t l3_end;  /* where the IP datagram ends, as its header says */
};

/* Looks at the first bytes of a frame of frame_len. -XEN_EINVAL: a header says what cannot be (a length beyond the frame, an IHL
 * or data offset too small); a protocol that is not known is no error. head_len: as many as there are, or NET_PARSE_BYTES. */
int net_parse(const uint8_t *head, uint32_t head_len, uint32_t frame_len, struct net_headers *out);

/* ---- checksums (RFC 1071) ---------------------------------------------------------------- */

/* The sum of bytes added to sum; pieces but the last have even lengths. Not folded, not inverted. */
uint64_t net_sum(uint64_t sum, const void *bytes, size_t len);
/* Folded to 16 bits, not inverted; in the order in which the bytes lie in memory. */
uint16_t net_fold(uint64_t sum);
/* Of TCP's or UDP's pseudo header for l4_len bytes; folded, as NET_CSUM_BLANK wants it in the field. */
uint16_t net_pseudo_sum(const uint8_t *head, const struct net_headers *h, uint32_t l4_len);

/* Fills in the checksum of a NET_CSUM_BLANK frame all of which is in memory of ours that nobody changes. Clears the flag.
 * -XEN_EINVAL: it has no TCP or UDP. */
int net_fill_checksum(struct net_frame *frame);
/* The same for one that is not BLANK: whether TCP's or UDP's checksum is right. True where there is none. */
bool net_checksum_right(const struct net_frame *frame);

/* ---- making frames fit ------------------------------------------------------------------- */

/* Calls fn for each frame that this one becomes for a device that can so much: the frame itself, when it fits as it is,
 * else copies of ours: remote segments fetched, cut at gso_size, checksums filled in. The frame is put, in every case.
 * Returns the number of frames, or, before fn was called, -XEN_ENOMEM, -XEN_EINVAL (headers), -XEN_E2BIG (longer than the MTU
 * and not to be cut), -XEN_EFAULT (a grant of the owner's failed). fn takes the frames, as send does. */
int net_fit(struct net_frame *frame, uint32_t can, uint16_t mtu,
	    void (*fn)(void *ctx, struct net_frame *frame), void *ctx);

/* Gives back the memory that is kept for the next frame. For host programs, whose world ends. */
void net_fit_trim(void);

/* ---- flows --------------------------------------------------------------------------------- */

/* Which flow: equal for frames of one connection in one direction, never 0. By addresses and ports, or for what is not
 * IP by the Ethernet addresses. */
uint32_t net_flow_hash(const uint8_t *head, const struct net_headers *h);

/* Toeplitz's hash: the key is key_len bytes, and zeros behind. */
uint32_t net_toeplitz(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len);

#endif
