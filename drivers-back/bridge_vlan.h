/* bridge_vlan.h: which VLANs (IEEE 802.1Q) a bridge's port has, and frames with the tag that a port wants.
 *
 * Private to drivers-back; callers: bridge.c and its test. Implemented by bridge_vlan.c. Worker context. VLAN 0 is the one of frames
 * without a tag. A port is said as xl's users say it to Open vSwitch: NAME[.ACCESS][:TRUNK]...
 *
 *	xenbr0            every VLAN, frames as they are
 *	xenbr0.5          VLAN 5, without a tag at this port; what comes with a tag is dropped
 *	xenbr0:5:6        VLANs 5 and 6, with their tags; what comes without one is dropped, unless 0 is said
 *	xenbr0.5:6:7      5 without a tag, 6 and 7 with theirs
 */
#ifndef DRIVERS_BACK_BRIDGE_VLAN_H
#define DRIVERS_BACK_BRIDGE_VLAN_H

#include <amphi/net.h>

#define VLAN_MAX    4094u
#define VLAN_TRUNKS 8u

struct vlan_rule {
	bool aware;      /* else every VLAN, as it is */
	uint16_t access; /* 0: none */
	uint16_t trunks[VLAN_TRUNKS];
	unsigned n_trunks;
};

/* False: it cannot be read, or name has no room. */
bool vlan_rule_read(const char *text, char *name, size_t cap, struct vlan_rule *out);

/* The id of a frame's tag; 0 without one. More of the headers is not a bridge's matter. */
unsigned vlan_tag(const uint8_t *head, uint32_t len);

/* The VLAN of a frame that came in with this tag; -1: it may not. */
int vlan_in(const struct vlan_rule *rule, unsigned tag);
/* Whether frames of the VLAN may leave. */
bool vlan_out(const struct vlan_rule *rule, unsigned vlan);

/* The frame as it leaves at such a port: itself, or one of ours over the same bytes that takes its place and puts it when it is put.
 * NULL: no memory, or too long; the frame is still the caller's. */
struct net_frame *vlan_dress(const struct vlan_rule *rule, struct net_frame *frame, unsigned vlan);

/* Gives back what is kept for the next frames. For host programs. */
void vlan_trim(void);

#endif
