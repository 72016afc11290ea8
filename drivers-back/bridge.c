/* bridge.c: frames between guests, the wires, and the service domain itself.
 *
 * Contract: bridge.h; docs of what a frame is: net.h. Calls the registry (host_net.h), the table of addresses, and net_fit for
 * ports that can do less than the port a frame came from. Worker context. Copies nothing itself: a frame from a guest's
 * granted pages goes to another guest as references, and is copied once, by the other one's netback.
 *
 *      vif1.0 --received--> [ learn the source | where is the destination? ] --net_fit--> vif2.0.send
 *         '----batch_end--> kick of each port that something was sent to
 */
#include <amphi/bridge.h>
#include <amphi/host.h>
#include <amphi/net_offload.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "bridge_table.h"
#include "bridge_vlan.h"

#define UPLINK_ADDRESSES BRIDGE_ADDRESSES
#define OWN_MTU          1500u
#define NS_PER_MS        1000000u

struct port {
	struct table_port table; /* first of all: a table_port is its port */
	struct port *next;
	struct bridge *bridge;
	struct net_device *dev;
	bool to_kick;
	struct vlan_rule vlans;
	uint64_t flooded, moved, too_many;
	net_tap_fn *tap;
	void *tap_ctx;
};

/* own is the interface that the domain has in the bridge, own_port what the bridge sees of it. */
struct bridge {
	struct bridge *next;
	struct port *ports;
	struct net_device own;
	struct port own_port;
	unsigned n_aware; /* ports that have VLANs; without any nobody's tags are touched */
	uint32_t now_ms;  /* of this batch */
	bool now_known;
	struct bridge_table table;
};

static struct bridge *bridges;
static unsigned n_bridges;
static const char *default_name = "";

/* ---- out of a port --------------------------------------------------------------------------- */

/* The own interface's end of the wire is the stack that attached to it. */
static void port_send(void *ctx, struct net_frame *frame)
{
	struct port *p = ctx;

	p->to_kick = true;
	if (p->tap)
		p->tap(p->tap_ctx, frame, true);
	if (p == &p->bridge->own_port)
		host_net_receive(p->dev, frame);
	else
		p->dev->ops->send(p->dev, frame);
}

static void count_drop(struct port *p, int err)
{
	enum net_drop why = err == -XEN_E2BIG    ? NET_DROP_too_long
			    : err == -XEN_ENOMEM ? NET_DROP_no_memory
						 : NET_DROP_malformed;

	p->dev->stats[0].drops[why]++;
}

/* NULL: it has been put. */
static struct net_frame *dress(struct port *p, struct net_frame *frame, unsigned vlan)
{
	struct net_frame *dressed = NULL;

	if (!p->bridge->n_aware)
		return frame;
	if (vlan_out(&p->vlans, vlan)) {
		dressed = vlan_dress(&p->vlans, frame, vlan);
		p->dev->stats[0].drops[NET_DROP_no_memory] += !dressed;
	}
	if (!dressed)
		net_frame_put(frame, 0);
	return dressed;
}

static void port_give(struct port *p, struct net_frame *frame, unsigned vlan)
{
	int n;

	if (p == &p->bridge->own_port && !p->dev->user) {
		net_frame_put(frame, 0); /* the domain has no stack, or it is off */
		return;
	}
	if (!p->dev->carrier) {
		p->dev->stats[0].drops[NET_DROP_down]++;
		net_frame_put(frame, -XEN_ENODEV);
		return;
	}
	frame = dress(p, frame, vlan);
	if (!frame)
		return;
	n = net_fit(frame, p->dev->can, p->dev->mtu, port_send, p);
	if (n < 0)
		count_drop(p, n);
}

/* To all but the one it came from; one more holds it until the last has it. */
static void flood(struct bridge *b, struct port *from, struct net_frame *frame, unsigned vlan)
{
	struct port *p;

	from->flooded++;
	for (p = b->ports; p; p = p->next) {
		if (p == from)
			continue;
		net_frame_hold(frame);
		port_give(p, frame, vlan);
	}
	net_frame_put(frame, 0);
}

/* ---- into one ---------------------------------------------------------------------------------- */

/* Addresses that no bridge passes on (IEEE 802.1D, table 7-10): what neighbours tell each other of the wire itself. */
static bool is_link_local(const uint8_t *mac)
{
	return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && !mac[3] && !mac[4] &&
	       mac[5] < 0x10;
}

/* The domain's own address is known without being heard: what is for the domain is nobody else's, even if it never says a word. */
static bool is_own(const struct bridge *b, const uint8_t *mac)
{
	return !memcmp(mac, b->own.mac, NET_MAC_BYTES);
}

static uint32_t now_ms(struct bridge *b)
{
	if (!b->now_known) {
		b->now_ms = (uint32_t)(host_time_ns() / NS_PER_MS);
		b->now_known = true;
	}
	return b->now_ms;
}

/* Whether the frame may go on, by where it comes from. */
static bool is_welcome(struct bridge *b, struct port *from, const uint8_t *head, unsigned vlan)
{
	static const uint8_t none[NET_MAC_BYTES];
	const uint8_t *source = head + NET_MAC_BYTES;
	enum table_heard heard;

	if ((source[0] & 1) || !memcmp(source, none, NET_MAC_BYTES)) {
		from->dev->stats[0].drops[NET_DROP_malformed]++;
		return false;
	}
	if (is_own(b, source) && from != &b->own_port)
		heard = TABLE_ELSEWHERE;
	else
		heard = table_hear(&b->table, table_key_of(source, vlan), &from->table, now_ms(b));
	from->moved += heard == TABLE_ELSEWHERE;
	from->too_many += heard == TABLE_TOO_MANY;
	if (heard != TABLE_KNOWN)
		from->dev->stats[0].drops[NET_DROP_spoofed]++;
	return heard == TABLE_KNOWN;
}

static void forward(struct bridge *b, struct port *from, struct net_frame *frame)
{
	const uint8_t *head = frame->segments[0].va;
	int vlan = vlan_in(&from->vlans, vlan_tag(head, frame->segments[0].len_bytes));
	struct port *to = NULL;

	if (vlan < 0) {
		from->dev->stats[0].drops[NET_DROP_filtered]++;
		net_frame_put(frame, 0);
		return;
	}
	if (is_link_local(head) || !is_welcome(b, from, head, (unsigned)vlan)) {
		net_frame_put(frame, 0);
		return;
	}
	if (is_own(b, head))
		to = &b->own_port;
	else if (!(head[0] & 1))
		to = (struct port *)table_find(&b->table, table_key_of(head, (unsigned)vlan),
					       now_ms(b));
	if (!to)
		flood(b, from, frame, (unsigned)vlan);
	else if (to == from)
		net_frame_put(frame, 0);
	else
		port_give(to, frame, (unsigned)vlan);
}

static void port_received(struct net_device *dev, struct net_frame *frame)
{
	struct port *p = dev->user_ctx;

	if (p->tap)
		p->tap(p->tap_ctx, frame, false);
	forward(p->bridge, p, frame);
}

/* A kick may bring frames back at once (the stack answers), which are kicked by their own batch's end. */
static void kick_ports(struct bridge *b)
{
	struct port *p;

	b->now_known = false;
	for (p = b->ports; p; p = p->next) {
		if (!p->to_kick)
			continue;
		p->to_kick = false;
		if (p == &b->own_port)
			host_net_batch_end(p->dev);
		else
			p->dev->ops->kick(p->dev);
	}
}

static void port_batch_end(struct net_device *dev)
{
	struct port *p = dev->user_ctx;

	kick_ports(p->bridge);
}

/* ---- ports -------------------------------------------------------------------------------------- */

static void port_add(struct bridge *b, struct port *p, struct net_device *dev, unsigned max)
{
	p->bridge = b;
	p->dev = dev;
	p->table.max_addresses = max;
	p->next = b->ports;
	b->ports = p;
}

static void port_remove(struct port *p)
{
	struct port **link = &p->bridge->ports;

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	p->bridge->n_aware -= p->vlans.aware;
	table_forget(&p->bridge->table, &p->table);
}

/* A wire takes frames as long as the longest that a guest may send, as far as it can. */
static void widen_wires(struct bridge *b)
{
	uint16_t most = 0;
	struct port *p;

	for (p = b->ports; p; p = p->next)
		if (p != &b->own_port && !p->dev->uplink && p->dev->mtu > most)
			most = p->dev->mtu;
	for (p = b->ports; p; p = p->next)
		if (p->dev->ops->set_mtu)
			p->dev->ops->set_mtu(p->dev, most);
}

/* The own interface's mtu is that of the narrowest port, so that the stack makes no frame that one cannot take; its carrier is
 * anybody's. */
static void follow_ports(struct bridge *b)
{
	bool carrier = false;
	uint16_t mtu = 0;
	struct port *p;

	widen_wires(b);
	for (p = b->ports; p; p = p->next) {
		if (p == &b->own_port)
			continue;
		carrier |= p->dev->carrier;
		if (!mtu || p->dev->mtu < mtu)
			mtu = p->dev->mtu;
	}
	mtu = mtu ? mtu : OWN_MTU;
	if (b->own.mtu == mtu && b->own.carrier == carrier)
		return;
	b->own.mtu = mtu;
	b->own.carrier = carrier;
	host_net_changed(&b->own);
}

static void port_changed(struct net_device *dev)
{
	struct port *p = dev->user_ctx;
	struct bridge *b = p->bridge;

	if (dev->gone) {
		if (p->tap)
			p->tap(p->tap_ctx, NULL, false);
		port_remove(p);
		host_log(HOST_LOG_INFO, "%s: %s has left", b->own.name, dev->name);
		host_free(p, sizeof(*p));
	}
	follow_ports(b);
}

static const struct net_user_ops port_ops = {
    .received = port_received,
    .batch_end = port_batch_end,
    .changed = port_changed,
};

/* ---- the own interface ---------------------------------------------------------------------------- */

static void own_send(struct net_device *dev, struct net_frame *frame)
{
	struct bridge *b = dev->driver;

	if (b->own_port.tap)
		b->own_port.tap(b->own_port.tap_ctx, frame, false);
	forward(b, &b->own_port, frame);
}

static void own_kick(struct net_device *dev)
{
	kick_ports(dev->driver);
}

static const struct net_ops own_ops = {.send = own_send, .kick = own_kick};

/* ---- bridges -------------------------------------------------------------------------------------- */

static struct bridge *bridge_find(const char *name)
{
	struct bridge *b = bridges;

	while (b && strcmp(b->own.name, name))
		b = b->next;
	return b;
}

/* An address of one's own making (the second bit says so), the same at each start for one name. */
static void own_mac(struct bridge *b)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	const char *c;

	for (c = b->own.name; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
	memcpy(b->own.mac, &hash, NET_MAC_BYTES);
	b->own.mac[0] = (uint8_t)((b->own.mac[0] & 0xfc) | 2);
}

static struct bridge *bridge_make(const char *name)
{
	struct bridge *b = n_bridges < BRIDGE_MAX ? host_alloc(sizeof(*b)) : NULL;

	if (!b)
		return NULL;
	(void)str_copy(b->own.name, sizeof(b->own.name), name);
	b->own.ops = &own_ops;
	b->own.mtu = OWN_MTU;
	b->own.can = NET_CAN_SEGMENTS | NET_CAN_CSUM4 | NET_CAN_CSUM6 | NET_CAN_GSO4 | NET_CAN_GSO6;
	b->own.n_queues = 1;
	b->own.driver = b;
	b->table.seed = host_time_ns() * 0x9e3779b97f4a7c15ull;
	own_mac(b);
	port_add(b, &b->own_port, &b->own, UPLINK_ADDRESSES);
	if (host_net_register(&b->own)) {
		host_free(b, sizeof(*b));
		return NULL;
	}
	b->next = bridges;
	bridges = b;
	n_bridges++;
	return b;
}

static void take(struct bridge *b, struct net_device *dev, const struct vlan_rule *vlans)
{
	struct port *p = host_alloc(sizeof(*p));

	if (!p || host_net_attach(dev, &port_ops, p)) {
		host_free(p, sizeof(*p));
		host_log(HOST_LOG_WARN, "%s: %s cannot be a port", b->own.name, dev->name);
		return;
	}
	p->vlans = *vlans;
	b->n_aware += vlans->aware;
	port_add(b, p, dev, dev->uplink ? UPLINK_ADDRESSES : BRIDGE_GUEST_ADDRESSES);
	if (dev->ops->promiscuous)
		dev->ops->promiscuous(dev, true);
	host_log(HOST_LOG_INFO, "%s: %s is a port", b->own.name, dev->name);
	follow_ports(b);
}

static void on_device(void *ctx, struct net_device *dev)
{
	const char *said = dev->bridge[0] ? dev->bridge : dev->uplink ? default_name : "";
	char name[sizeof(dev->name)];
	struct vlan_rule vlans;
	struct bridge *b;

	(void)ctx;
	if (dev->gone || dev->user || !*said)
		return;
	if (!vlan_rule_read(said, name, sizeof(name), &vlans) || !name[0]) {
		host_log(HOST_LOG_WARN, "%s: '%s' is no bridge and no VLANs", dev->name, said);
		return;
	}
	b = bridge_find(name);
	if (!b)
		b = bridge_make(name);
	if (b)
		take(b, dev, &vlans);
	else
		host_log(HOST_LOG_WARN, "%s: no bridge %s can be made", dev->name, name);
}

static struct host_net_watch watch = {.fn = on_device};

int bridge_start(const char *default_bridge)
{
	default_name = default_bridge;
	if (*default_name && !bridge_make(default_name))
		return -XEN_ENOMEM;
	host_net_watch(&watch);
	return 0;
}

/* ---- looking --------------------------------------------------------------------------------------- */

void bridge_for_each_port(void (*fn)(const struct bridge_port_info *info, void *ctx), void *ctx)
{
	struct bridge *b;
	struct port *p;

	for (b = bridges; b; b = b->next) {
		for (p = b->ports; p; p = p->next) {
			struct bridge_port_info info = {b->own.name, p->dev,   p->table.n_addresses,
							p->flooded,  p->moved, p->too_many};

			fn(&info, ctx);
		}
	}
}

static void tell_addresses(struct bridge *b,
			   void (*fn)(const struct bridge_address_info *info, void *ctx), void *ctx)
{
	const struct table_entry *e = b->table.entries[0], *end = e + BRIDGE_ADDRESSES;
	uint32_t now = (uint32_t)(host_time_ns() / NS_PER_MS);

	for (; e < end; e++) {
		struct bridge_address_info info = {.bridge = b->own.name,
						   .mac = (const uint8_t *)&e->key,
						   .vlan = (unsigned)(e->key >> 48),
						   .age_ms = now - e->heard_ms};

		if (!e->key || info.age_ms > BRIDGE_AGE_MS)
			continue;
		info.port = ((const struct port *)e->port)->dev->name;
		fn(&info, ctx);
	}
}

void bridge_for_each_address(void (*fn)(const struct bridge_address_info *info, void *ctx),
			     void *ctx)
{
	struct bridge *b;

	for (b = bridges; b; b = b->next)
		tell_addresses(b, fn, ctx);
}

static struct port *find_port(const char *name)
{
	for (struct bridge *b = bridges; b; b = b->next)
		for (struct port *p = b->ports; p; p = p->next)
			if (!strcmp(p->dev->name, name))
				return p;
	return NULL;
}

int bridge_tap(const char *name, net_tap_fn *fn, void *ctx)
{
	struct port *p = find_port(name);

	if (!p)
		return -XEN_ENODEV;
	if (fn && p->tap)
		return -XEN_EBUSY;
	p->tap = fn;
	p->tap_ctx = ctx;
	return 0;
}

bool bridge_is_outside(const uint8_t *mac)
{
	for (struct bridge *b = bridges; b; b = b->next) {
		const struct port *p =
		    (struct port *)table_find(&b->table, table_key_of(mac, 0), now_ms(b));

		b->now_known = false; /* this is no batch */
		if (p)
			return p->dev->uplink;
	}
	return false;
}

static void bridge_free(struct bridge *b)
{
	struct port *p, *next;

	for (p = b->ports; p; p = next) {
		next = p->next;
		if (p == &b->own_port)
			continue;
		host_net_detach(p->dev);
		host_free(p, sizeof(*p));
	}
	host_net_unregister(&b->own);
	host_free(b, sizeof(*b));
}

void bridge_stop(void)
{
	struct bridge *b = bridges, *next;

	host_net_unwatch(&watch);
	for (; b; b = next) {
		next = b->next;
		bridge_free(b);
	}
	vlan_trim();
	bridges = NULL;
	n_bridges = 0;
}
