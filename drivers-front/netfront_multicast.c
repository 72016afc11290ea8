/* netfront_multicast.c: which groups the backend is to let through.
 *
 * A backend with multicast control floods all groups until the key request-multicast-control asks it to filter by the list that
 * extra infos make (xen/io/netif.h). The key is written when a user has named a group, at once where the backend looks at it at any
 * time (dynamic), else with the next connection; and not while somebody wants all. Called by users (net_ops) and around a
 * connection; calls netfront_tx_put.c for requests without data.
 */
#include <amphi/string.h>

#include "netfront_private.h"

static bool filter_wanted(const struct nf_device *dev)
{
	return dev->has_multicast && dev->n_groups && !dev->promiscuous && !dev->groups_lost;
}

/* The list as the backend shall have it: one word for each group that it has to learn or to forget. What there is no slot for
 * goes with the next answers. */
void nf_multicast_run(struct nf_device *dev)
{
	struct nf_queue *q = &dev->queues[0];
	unsigned i = 0;

	dev->groups_wait = false;
	while (dev->has_multicast && i < dev->n_groups) {
		struct nf_group *g = &dev->groups[i];
		struct netif_extras extras = {
		    .seen = (uint8_t)(1u << (g->wanted ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD
						       : XEN_NETIF_EXTRA_TYPE_MCAST_DEL))};

		if (g->wanted != g->told) {
			memcpy(extras.mcast, g->mac, NET_MAC_BYTES);
			dev->groups_wait = !nf_tx_put_word(q, &extras);
			if (dev->groups_wait)
				break;
			g->told = g->wanted;
		}
		if (g->wanted)
			i++;
		else
			*g = dev->groups[--dev->n_groups];
	}
	nf_tx_push(q);
}

static int write_request(struct nf_device *dev, uint32_t tx)
{
	dev->filtered = filter_wanted(dev);
	dev->stats.multicast_filter = dev->filtered;
	return xenbus_write_number(tx, dev->bus.path, "request-multicast-control", dev->filtered);
}

int nf_multicast_offer(struct nf_device *dev, uint32_t tx)
{
	return dev->has_multicast ? write_request(dev, tx) : 0;
}

void nf_multicast_begin(struct nf_device *dev)
{
	for (unsigned i = 0; i < dev->n_groups; i++)
		dev->groups[i].told = false;
	nf_multicast_run(dev);
}

/* The groups first, then the filter, so that none of them is missed in between. */
static void changed(struct nf_device *dev)
{
	if (!dev->connected)
		return;
	nf_multicast_run(dev);
	if (dev->dynamic_multicast && filter_wanted(dev) != dev->filtered)
		(void)write_request(
		    dev, HOST_TX_NONE); /* not written: it floods, or filters, as before */
}

static struct nf_group *find(struct nf_device *dev, const uint8_t *mac)
{
	for (unsigned i = 0; i < dev->n_groups; i++)
		if (!memcmp(dev->groups[i].mac, mac, NET_MAC_BYTES))
			return &dev->groups[i];
	return NULL;
}

/* More groups than a backend keeps: all of them come in from then on, and the user looks for himself. */
static struct nf_group *add(struct nf_device *dev, const uint8_t *mac)
{
	struct nf_group *g = &dev->groups[dev->n_groups];

	if (dev->n_groups == NETIF_MULTICAST_MAX) {
		dev->groups_lost = true;
		return NULL;
	}
	dev->n_groups++;
	memcpy(g->mac, mac, NET_MAC_BYTES);
	g->told = false;
	return g;
}

/* Counted by nobody: who joins twice leaves once. */
void nf_multicast(struct net_device *net, const uint8_t *mac, bool on)
{
	struct nf_device *dev = net->driver;
	struct nf_group *g = find(dev, mac);

	if (!g && on)
		g = add(dev, mac);
	if (g)
		g->wanted = on;
	if (g && !on && !g->told)
		*g = dev->groups[--dev->n_groups];
	changed(dev);
}

void nf_promiscuous(struct net_device *net, bool on)
{
	struct nf_device *dev = net->driver;

	dev->promiscuous = on;
	changed(dev);
}
