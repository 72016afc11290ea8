/* net_wire.h: a network interface that ends in the test, and simple machines at its other end.
 *
 * Used by net_stack_test and others that drive kernel/net: net_wire.c is a driver as net.h wants it, over the mock world's worker and time.
 * What the stack sends is given, in order and a little later, to the peer function; what the peer answers may be lost, doubled, delayed and
 * cut into segments. Not a model of any device.
 */
#ifndef TESTS_NET_WIRE_H
#define TESTS_NET_WIRE_H

#include <amphi/host.h>
#include <amphi/net.h>

struct net_wire;
typedef void net_wire_peer(struct net_wire *wire, const uint8_t *bytes, uint32_t len);

struct net_wire {
	struct net_device dev;
	net_wire_peer *peer;
	/* What happens to frames towards the stack. */
	unsigned lose_one_in, late_one_in, double_one_in; /* 0: none */
	uint32_t cut_bytes;                               /* of a segment; 0: one segment */
	uint8_t flags;                                    /* NET_CSUM_* of each */
	unsigned holders;                                 /* of each; 0: one */
	unsigned buffers; /* what comes while so many are not put is lost; 0: no bound */
	bool
	    uncut; /* large frames stay as they are, as between neighbours; else they are cut as for a wire */
	uint32_t chance;
	/* What was seen. */
	unsigned kicks, sent, lost, given, most_segments, blanks;
	unsigned large;     /* frames that were longer than the MTU */
	uint32_t largest;   /* of them */
	uint16_t last_size; /* the gso_size of the last of them */
	unsigned alive;     /* frames given and not put yet */
	unsigned offers;    /* of DHCP */
	struct wire_frame *queue, **queue_end;
	struct host_work work;
};

/* A device named name, with the address 02:00:00:00:00:last, registered. can: NET_CAN_*. */
void net_wire_open(struct net_wire *wire, const char *name, uint8_t last, uint32_t can,
		   net_wire_peer *peer);
void net_wire_close(struct net_wire *wire);

/* Towards the stack: soon, if it is not lost. */
void net_wire_give(struct net_wire *wire, const uint8_t *bytes, uint32_t len);

/* Each frame comes back as if from the one it was sent to: source and destination are exchanged, of Ethernet and of IP (whose checksums do not
 * change by that), and whoever is asked for by ARP or neighbour discovery (of link-local addresses) is there. So the stack talks to itself over a wire. */
void net_wire_mirror(struct net_wire *wire, const uint8_t *bytes, uint32_t len);

/* A DHCP server that gives 10.0.2.15/24 with 10.0.2.2 as gateway and 10.0.2.3 for names; all else is mirrored. */
void net_wire_dhcp(struct net_wire *wire, const uint8_t *bytes, uint32_t len);

/* Time goes by in small steps, and what becomes due runs. */
void net_wire_pass(uint64_t ns);

#endif
