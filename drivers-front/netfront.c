/* netfront.c: network interfaces that another domain serves come, connect, are dropped and go.
 *
 * Called by the kernel (netfront.h) and by the xenbus engine, whose steps it fills in; calls the other files of netfront for
 * the steps, and host_net.h. Worker context. A connection that ends takes with it what was on its way: frames are put with an
 * error, and pages that users still hold come back to nobody (their life is over).
 */
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "netfront_private.h"

/* A list only because host tests run several frontends in one program. */
struct nf_root *nf_roots;

struct netfront_limits nf_limits = {.queues = 1, .rx_pages = 64, .tx_pages = 32};

static struct nf_device *device_of(struct xenbus_device *bus)
{
	return container_of(bus, struct nf_device, bus);
}

void netfront_limit(const struct netfront_limits *limits)
{
	nf_limits.staging = limits->staging;
	nf_limits.queues = MIN(MAX(limits->queues, 1u), NETIF_QUEUES_MAX);
	nf_limits.rx_pages = MIN(MAX(limits->rx_pages, NF_RX_PAGES_MIN), NETIF_RING_SLOTS);
	/* A frame of 64 KiB that has to be copied needs 16 at once. */
	nf_limits.tx_pages = MIN(MAX(limits->tx_pages, NETIF_SLOTS_MAX), NETIF_RING_SLOTS);
}

/* ---- open, disconnect, gone ---------------------------------------------------------- */

static int nf_open(struct xenbus_device *bus)
{
	static const struct xenbus_number key = {"trusted", 0, 1, 1, false};
	struct nf_device *dev = device_of(bus);
	uint64_t trusted;
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->path, &key, 1, &trusted);

	if (err)
		return err;
	dev->untrusted = !trusted;
	/* What is done when a later step fails is undone by nf_disconnect. */
	return nf_offer(dev);
}

/* Users learn first, so that nothing new comes while the rest is put back. The old backend may still have any of the
 * pages mapped: grant_retire keeps those out of use. */
static bool nf_disconnect(struct xenbus_device *bus)
{
	struct nf_device *dev = device_of(bus);

	dev->connected = false;
	nf_connect_end(dev);
	dev->life++;
	for (unsigned i = 0; i < dev->n_queues; i++) {
		nf_tx_end(&dev->queues[i]);
		nf_rx_end(&dev->queues[i]);
	}
	nf_offer_end(dev);
	return true;
}

static void nf_gone(struct xenbus_device *bus)
{
	struct nf_device *dev = device_of(bus), **link = &dev->root->devices;

	if (dev->registered)
		host_net_unregister(&dev->net);
	nf_rx_frames_free(dev);
	while (*link != dev)
		link = &(*link)->next;
	*link = dev->next;
	host_free(dev, sizeof(*dev));
}

static const struct xenbus_ops nf_ops = {
    .open = nf_open,
    .connect = nf_connect,
    .disconnect = nf_disconnect,
    .gone = nf_gone,
};

/* ---- the class ----------------------------------------------------------------------- */

static struct xenbus_device *nf_create(struct xenbus_class *class,
				       const struct xenbus_device *found)
{
	struct nf_root *root = container_of(class, struct nf_root, class);
	struct nf_device *dev = host_alloc(sizeof(*dev));

	if (!dev) {
		host_log(HOST_LOG_ERROR, "%s: no memory", found->path);
		return NULL;
	}
	dev->bus = *found;
	dev->bus.ops = &nf_ops;
	dev->root = root;
	dev->next = root->devices;
	root->devices = dev;
	return &dev->bus;
}

static const struct xenbus_class_ops nf_class_ops = {.create = nf_create};

bool nf_root_stop(struct nf_root *root)
{
	struct nf_root **link = &nf_roots;

	xenbus_class_stop(&root->class);
	if (root->devices)
		return false;
	while (*link != root)
		link = &(*link)->next;
	*link = root->next;
	host_free(root, sizeof(*root));
	return true;
}

int netfront_init(void)
{
	struct nf_root *root = host_alloc(sizeof(*root));
	int err;

	if (!root)
		return -XEN_ENOMEM;
	root->class.side = XENBUS_FRONT;
	root->class.root = "device/vif";
	root->class.at_once = true;
	root->class.ops = &nf_class_ops;
	root->next = nf_roots;
	nf_roots = root;
	/* On the list before this, since nf_root_stop, the way back, takes it off. */
	err = xenbus_class_start(&root->class);
	if (err)
		nf_root_stop(root);
	return err;
}

void netfront_exit(void)
{
	while (nf_roots && nf_root_stop(nf_roots))
		;
}

/* Two calls, because an old port's number may be a new one's, of another driver too. */
void netfront_drop(void)
{
	for (struct nf_root *root = nf_roots; root; root = root->next)
		xenbus_class_drop(&root->class);
}

void netfront_resume(void)
{
	for (struct nf_root *root = nf_roots; root; root = root->next)
		xenbus_class_resume(&root->class);
}

static struct nf_device *find(const char *name)
{
	for (struct nf_root *root = nf_roots; root; root = root->next)
		for (struct nf_device *d = root->devices; d; d = d->next)
			if (d->registered && !strcmp(d->net.name, name))
				return d;
	return NULL;
}

int netfront_hash(const char *name, bool on)
{
	struct nf_device *dev = find(name);

	return dev ? nf_hash_set(dev, on) : -XEN_ENODEV;
}

int netfront_staging(const char *name, bool on)
{
	struct nf_device *dev = find(name);

	if (!dev)
		return -XEN_ENODEV;
	if (!dev->connected || !dev->control.ring.shared)
		return -XEN_EOPNOTSUPP;
	if (dev->control.first)
		return -XEN_EBUSY;
	if (on && !dev->stats.staged)
		nf_staging_begin(dev);
	else if (!on)
		nf_staging_stop(dev);
	return 0;
}

static void fill_in_stats(struct nf_device *dev)
{
	struct netfront_stats *s = &dev->stats;

	s->queues = dev->n_queues;
	s->waiting = s->in_flight = s->posted = 0;
	for (unsigned i = 0; i < dev->n_queues; i++) {
		const struct nf_queue *q = &dev->queues[i];

		s->waiting += q->w_in - q->w_out;
		s->in_flight += NETIF_RING_SLOTS - q->n_free;
		s->posted += ring_front_in_flight(&q->rx);
	}
	s->untrusted = dev->untrusted;
	s->split = dev->split;
	s->control = dev->control.port.v != 0;
}

void netfront_for_each(void (*fn)(const struct net_device *dev, const struct netfront_stats *stats,
				  void *ctx),
		       void *ctx)
{
	for (struct nf_root *root = nf_roots; root; root = root->next)
		for (struct nf_device *d = root->devices; d; d = d->next) {
			fill_in_stats(d);
			fn(&d->net, &d->stats, ctx);
		}
}
