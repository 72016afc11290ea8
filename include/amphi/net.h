/* net.h: a frame, and a network interface as its user and its driver see them.
 *
 * Drivers: drivers-front/netfront*.c, drivers-back/netback*.c (for which a guest is the other end of the wire),
 * drivers-native (virtio-net, e1000e), a bridge's own interface. Users, one to an interface: a bridge, the
 * TCP/IP stack of kernel/net. Both ways a frame is lent: who gives it keeps its memory unchanged until the
 * taker has called net_frame_put() once, with what came of it. All calls and callbacks are made in the worker
 * context of host.h, so nobody locks.
 *
 * Error rule: send and received cannot fail; a frame that cannot be carried is put back with a negative
 * XEN_Exxx, and counted. Not promised: that a frame put back with 0 arrives. Frames of one flow (net_flow_hash)
 * keep their order.
 */
#ifndef AMPHI_NET_H
#define AMPHI_NET_H

#include <amphi/types.h>
#include <amphi/xen.h>

#define NET_MAC_BYTES  6u
#define NET_HEAD_BYTES 14u /* an Ethernet header without a tag */
#define NET_FRAME_MAX                                                                              \
	65535u /* bytes of a frame, header and all; longer than an MTU only with gso */
#define NET_SEGMENTS_MAX                                                                           \
	20u /* 18 slots of a guest's packet, the first cut in two, and one to spare */

/* Of a frame: its TCP or UDP checksum field holds the sum of the pseudo header only, and who puts it on a wire
 * fills it in; its checksum was looked at, and is right, or will be. BLANK implies nothing of VALID. */
#define NET_CSUM_BLANK 1u
#define NET_CSUM_VALID 2u

/* A frame of many segments of TCP data, to be cut into frames with at most gso_size bytes of it each; it is
 * always CSUM_BLANK. */
enum net_gso { NET_GSO_NONE, NET_GSO_TCPV4, NET_GSO_TCPV6 };

/* A stretch of a frame: memory of ours, which may cross pages, or (va is NULL) part of a page that frame->owner has
 * granted to us. Both (ref is not 0): such a page that is also mapped here, at va, and does not cross its end. */
struct net_segment {
	void *va;
	uint32_t len_bytes;
	uint16_t offset; /* into the granted page */
	gref_t ref;
};

struct net_frame {
	struct net_frame
	    *next; /* the giver's, while it is not given: there may be several holders */
	/* IN: the giver's */
	uint32_t len_bytes; /* of all segments; >= NET_HEAD_BYTES */
	uint8_t flags, gso;
	uint16_t gso_size;
	uint32_t hash; /* of its flow; 0: not known */
	domid_t owner; /* of the segments without va */
	uint16_t n_segments;
	/* The first is always memory of ours that no other domain can write, and it has at least all headers up to TCP's
	 * or UDP's, or the whole frame. Other segments with va may be pages that a peer can still change. */
	struct net_segment segments[NET_SEGMENTS_MAX];
	/* Called when the last holder has put it: with 0, or with the first error. */
	void (*done)(struct net_frame *frame, int status);
	void *ctx;
	/* net_frame_hold's and put's */
	uint32_t holders; /* 1 when given */
	int status;
};

/* For who gives the same frame to several. */
static inline void net_frame_hold(struct net_frame *frame)
{
	frame->holders++;
}

static inline void net_frame_put(struct net_frame *frame, int status)
{
	if (status && !frame->status)
		frame->status = status;
	if (--frame->holders == 0)
		frame->done(frame, frame->status);
}

struct net_device;

/* The driver's. */
struct net_ops {
	/* Takes the frame, which is as dev->can allows; it may stay in the driver's own queue until kick or longer. */
	void (*send)(struct net_device *dev, struct net_frame *frame);
	/* Everything sent since the last kick goes: one doorbell, one batch of copies. */
	void (*kick)(struct net_device *dev);
	/* Which addresses to take besides its own and broadcast; NULL: it takes all, or what it likes. */
	void (*promiscuous)(struct net_device *dev, bool on);
	void (*multicast)(struct net_device *dev, const uint8_t *mac, bool on);
	/* NULL: dev->mtu is not for its user to choose. Else it becomes as much as is asked for, as far as the device can; not less than
	 * it was at first. No `changed` follows. */
	void (*set_mtu)(struct net_device *dev, uint16_t mtu);
};

/* The user's. */
struct net_user_ops {
	/* A frame came in. */
	void (*received)(struct net_device *dev, struct net_frame *frame);
	/* The last of a batch was received: now kick what was sent in answer. */
	void (*batch_end)(struct net_device *dev);
	/* carrier, mtu or can have changed, or gone was set: then the user puts every frame of dev's that it holds and
	 * forgets dev before it returns. */
	void (*changed)(struct net_device *dev);
};

/* Who looks on at an interface: called for each frame before it goes its way, which may be looked at and no more: remote
 * segments have no va. to_device: the user sends it; else it came in. frame NULL: the interface has gone, and this was the
 * last call. */
typedef void net_tap_fn(void *ctx, const struct net_frame *frame, bool to_device);

/* What send takes as it is; what it does not take is done before, by net_fit (net_offload.h). Without any of them a
 * frame is one segment, with its checksums filled in, no longer than the MTU. */
#define NET_CAN_SEGMENTS 1u /* more than one */
#define NET_CAN_REMOTE   2u /* segments without va */
#define NET_CAN_CSUM4    4u /* NET_CSUM_BLANK over IPv4 */
#define NET_CAN_CSUM6    8u
#define NET_CAN_GSO4     16u
#define NET_CAN_GSO6     32u

/* Why frames were dropped, in both directions. */
#define NET_DROPS(X)                                                                               \
	X(full, "queue full")                                                                      \
	X(malformed, "malformed")                                                                  \
	X(too_long, "too long")                                                                    \
	X(no_memory, "no memory")                                                                  \
	X(spoofed, "address not its own")                                                          \
	X(filtered, "not asked for")                                                               \
	X(down, "no carrier")                                                                      \
	X(device, "device error")

enum net_drop {
#define NET_DROP_NAME(name, text) NET_DROP_##name,
	NET_DROPS(NET_DROP_NAME)
#undef NET_DROP_NAME
	    NET_DROP_REASONS
};

#define NET_QUEUES_MAX 8u

/* Of one queue; "in" is what the user received, "out" what it sent. */
struct net_stats {
	uint64_t frames_in, bytes_in, frames_out, bytes_out;
	uint64_t batches_in, batches_out; /* frames by batches is how well they are batched */
	uint64_t notifications_out, notifications_in;
	uint64_t drops[NET_DROP_REASONS];
};

/* Made by the driver, found by its user through the registry (host_net.h). */
struct net_device {
	const struct net_ops *ops;
	char name[16]; /* "eth0", "vif3.0", "xenbr0" */
	char bridge
	    [48]; /* the bridge it wants to be a port of, and its VLANs there (bridge.h); "": of none, or the default one's */
	uint8_t mac[NET_MAC_BYTES];
	uint16_t mtu; /* bytes behind the Ethernet header, without tag: 68 .. 65521 */
	uint32_t can; /* NET_CAN_* */
	bool carrier;
	bool gone;         /* being unregistered */
	bool uplink;       /* a card of ours: a wire to elsewhere, for a bridge */
	unsigned n_queues; /* 1 .. NET_QUEUES_MAX; frames spread over them by their flow */
	struct net_stats stats[NET_QUEUES_MAX];
	void *driver;
	/* the user's, NULL: nobody's, and what comes in is dropped by the driver */
	const struct net_user_ops *user;
	void *user_ctx;
	/* the registry's */
	struct net_device *next;
};

#endif
