/* pci_group.c: groups of PCI functions that no IOMMU keeps apart, found by how they hang together.
 *
 * A unit tells functions apart by the number that a request bears, and only requests that come by it. So one group are:
 *	behind a bridge to conventional PCI	all of it: they bear the bridge's number, and share its wires
 *	functions of one device, unless each has access control (ACS) on: the device may send from one to the other by itself
 *	behind a port that is not isolated, or below one: what comes up by it may be sent down again before the unit sees it
 *	the ports beside a switch's port that is not isolated, with all behind them: it may send to each of them
 * A port is isolated when its ACS is on: source validation, request and completion redirect, upstream forwarding (PCI Express 4.0, 6.12), as far as
 * it has them. This is what Linux puts into one group, but for the last line, where Linux 6.1 leaves out the ports beside.
 * Devices of the root complex in slots of their own are taken as apart, as there. Callers and calls: pci_group.h.
 */
#include "pci_group.h"

#define NODES_MAX 256u
#define NONE      0xffffu

#define CLASS_PCI_BRIDGE 0x0604u
#define CONFIG_BUSES     0x18u
#define CONFIG_CAPS      0x34u
#define CAP_EXPRESS      0x10u
#define CAPS_MAX         48u

/* PCI Express capability, device or port type. */
#define EXPRESS_ENDPOINT   0u
#define EXPRESS_LEGACY     1u
#define EXPRESS_ROOT_PORT  4u
#define EXPRESS_UPSTREAM   5u
#define EXPRESS_DOWNSTREAM 6u
#define EXPRESS_TO_PCI     7u
#define EXPRESS_IN_ROOT    9u
#define EXPRESS_COLLECTOR  10u
#define EXPRESS_NOT        16u

#define EXTENDED_FIRST 0x100u
#define EXTENDED_END   0x1000u
#define EXTENDED_MAX   ((EXTENDED_END - EXTENDED_FIRST) / 8)
#define EXTENDED_ACS   0x0du
#define ACS_CAPABLE    4u
#define ACS_CONTROL    6u
#define ACS_WANTED                                                                                 \
	0x1du /* source validation, request redirect, completion redirect, upstream forwarding */

static struct node {
	struct host_pci_function f;
	uint16_t group; /* index of one in it, which leads to the one that stands for all */
	uint8_t bus;    /* it hangs at; of a virtual function its physical one's */
	uint8_t behind; /* of a bridge: the bus behind it; 0: none */
	uint8_t kind;   /* EXPRESS_ */
	bool acs;       /* it has it on */
} nodes[NODES_MAX];
static unsigned n_nodes;

/* ---- what a function says of itself ------------------------------------------------------------------- */

static uint8_t kind_of(uint16_t bdf)
{
	unsigned at = host_pci_read(bdf, CONFIG_CAPS, 1);

	if (!(host_pci_read(bdf, 6, 2) & 0x10)) /* status: there is no list */
		return EXPRESS_NOT;
	for (unsigned n = 0; n < CAPS_MAX && at >= 0x40; n++, at = host_pci_read(bdf, at + 1, 1)) {
		at &= 0xfc;
		if (host_pci_read(bdf, at, 1) == CAP_EXPRESS)
			return host_pci_read(bdf, at + 2, 2) >> 4 & 15;
	}
	return EXPRESS_NOT;
}

static unsigned find_acs(uint16_t bdf)
{
	unsigned at = EXTENDED_FIRST;

	for (unsigned n = 0; n < EXTENDED_MAX && at >= EXTENDED_FIRST; n++) {
		uint32_t head = host_pci_read(bdf, at, 4);

		if (!head || head == ~0u)
			return 0;
		if ((head & 0xffff) == EXTENDED_ACS)
			return at;
		at = head >> 20 & 0xffc;
	}
	return 0;
}

/* What it does not have it needs not: a bit may be left out where there is nothing to control. */
static bool turn_acs_on(uint16_t bdf)
{
	unsigned at = find_acs(bdf), wanted, has;

	if (!at)
		return false;
	wanted = host_pci_read(bdf, at + ACS_CAPABLE, 2) & ACS_WANTED;
	has = host_pci_read(bdf, at + ACS_CONTROL, 2);
	if ((has & wanted) != wanted)
		host_pci_write(bdf, at + ACS_CONTROL, 2, has | wanted);
	return (host_pci_read(bdf, at + ACS_CONTROL, 2) & wanted) == wanted;
}

void pci_group_after_reset(uint16_t bdf)
{
	if (kind_of(bdf) != EXPRESS_NOT)
		(void)turn_acs_on(bdf);
}

static bool is_virtual(const struct node *n)
{
	return n->f.physical != n->f.bdf;
}

static void read_node(struct node *n, unsigned index)
{
	n->group = (uint16_t)index;
	n->bus = n->f.physical >> 8;
	n->kind = is_virtual(n) ? EXPRESS_ENDPOINT : kind_of(n->f.bdf);
	n->acs = n->kind != EXPRESS_NOT && !is_virtual(n) && turn_acs_on(n->f.bdf);
	n->behind = 0;
	if (n->f.class_code >> 8 == CLASS_PCI_BRIDGE)
		n->behind = host_pci_read(n->f.bdf, CONFIG_BUSES, 4) >> 8 & 0xff;
}

/* ---- groups ------------------------------------------------------------------------------------------- */

static unsigned stands_for(unsigned i)
{
	while (nodes[i].group != i)
		i = nodes[i].group;
	return i;
}

/* The lower one stands for both. */
static void join(unsigned a, unsigned b)
{
	a = stands_for(a);
	b = stands_for(b);
	nodes[MAX(a, b)].group = (uint16_t)MIN(a, b);
}

/* Functions of one device; a virtual one has its number by chance, and sends to nobody but by its port. */
static bool same_device(const struct node *a, const struct node *b)
{
	return a != b && a->f.bdf >> 3 == b->f.bdf >> 3 && !is_virtual(a) && !is_virtual(b);
}

static bool has_several(const struct node *n)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (same_device(n, &nodes[i]))
			return true;
	return false;
}

/* A switch's ports send to each other: one that does not keep to the way up is all of them. */
static bool ports_beside_are_isolated(unsigned bus)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (nodes[i].bus == bus && nodes[i].kind == EXPRESS_DOWNSTREAM && !nodes[i].acs)
			return false;
	return true;
}

/* Nothing goes from it, or through it, to a neighbour. */
static bool is_isolated(const struct node *n)
{
	switch (n->kind) {
	case EXPRESS_ROOT_PORT:
		return n->acs;
	case EXPRESS_DOWNSTREAM:
		return ports_beside_are_isolated(n->bus);
	case EXPRESS_ENDPOINT:
	case EXPRESS_LEGACY:
	case EXPRESS_UPSTREAM:
	case EXPRESS_IN_ROOT:
		return n->acs || !has_several(n);
	case EXPRESS_TO_PCI: /* its upper side has nobody to send to but up */
	case EXPRESS_COLLECTOR:
		return true;
	default:
		return false;
	}
}

/* The bridge that leads to this bus. */
static const struct node *above(unsigned bus)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (nodes[i].behind && nodes[i].behind == bus)
			return &nodes[i];
	return NULL;
}

/* So is all the way up; bridges that lead in circles do not. */
static bool way_is_isolated(const struct node *bridge)
{
	unsigned steps = 0;

	for (; bridge && steps < n_nodes; steps++) {
		if (!is_isolated(bridge))
			return false;
		bridge = above(bridge->bus);
	}
	return !bridge;
}

static void join_bus(unsigned i, unsigned bus)
{
	for (unsigned k = 0; k < n_nodes; k++)
		if (nodes[k].bus == bus)
			join(i, k);
}

static void join_neighbours(unsigned i)
{
	const struct node *n = &nodes[i];

	for (unsigned k = 0; k < i; k++)
		if (same_device(n, &nodes[k]) && !(is_isolated(n) && is_isolated(&nodes[k])))
			join(i, k);
	if (n->kind == EXPRESS_DOWNSTREAM && !is_isolated(n))
		join_bus(i, n->bus);
	if (n->behind && (n->kind == EXPRESS_TO_PCI || !way_is_isolated(n)))
		join_bus(i, n->behind);
}

/* A machine of more functions than there is room for: those beyond are in no group, and nobody gets them. */
void pci_group_read(void)
{
	for (n_nodes = 0; n_nodes < NODES_MAX && host_pci_nth(n_nodes, &nodes[n_nodes].f);
	     n_nodes++)
		read_node(&nodes[n_nodes], n_nodes);
	for (unsigned i = 0; i < n_nodes; i++)
		join_neighbours(i);
}

/* ---- questions ---------------------------------------------------------------------------------------- */

static unsigned index_of(uint16_t bdf)
{
	for (unsigned i = 0; i < n_nodes; i++)
		if (nodes[i].f.bdf == bdf)
			return i;
	return NONE;
}

bool pci_group_other(uint16_t bdf, unsigned n, struct host_pci_function *out)
{
	unsigned at = index_of(bdf);

	for (unsigned i = 0; at != NONE && i < n_nodes; i++) {
		if (i == at || nodes[i].f.bridge || stands_for(i) != stands_for(at) || n--)
			continue;
		*out = nodes[i].f;
		return true;
	}
	return false;
}

int pci_group_number(uint16_t bdf)
{
	unsigned at = index_of(bdf), number = 0;

	if (at == NONE)
		return -1;
	at = stands_for(at);
	for (unsigned i = 0; i < at; i++)
		number += nodes[i].group == i;
	return (int)number;
}
