/* netfront.c: network interfaces that another domain serves come, connect, are dropped and go.
 *
 * Called by the kernel (netfront.h) and by the xenbus engine, whose steps it fills in; calls the other files of netfront for
 * the steps, and host_net.h. Worker context. A connection that ends takes with it what was on its way: frames are put with an
 * error, and pages that users still hold come back to nobody (their life is over).
 */
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "netfront_private.h"

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
	struct nf_device *dev = device_of(bus);

	if (dev->registered)
		host_net_unregister(&dev->net);
	nf_rx_frames_free(dev);
}

static const struct xenbus_ops nf_ops = {
    .open = nf_open,
    .connect = nf_connect,
    .disconnect = nf_disconnect,
    .gone = nf_gone,
};

struct xenbus_kind nf_kind = {
    .side = XENBUS_FRONT,
    .root = "device/vif",
    .device_bytes = sizeof(struct nf_device),
    .class_bytes = sizeof(struct xenbus_class),
    .ops = &nf_ops,
    .at_once = true,
};

/* ---- netfront.h's part --------------------------------------------------------------- */

int netfront_init(void)
{
	return xenbus_class_start(xenbus_class_new(&nf_kind));
}

void netfront_exit(void)
{
	xenbus_kind_stop(&nf_kind);
}

/* Two calls, because an old port's number may be a new one's, of another driver too. */
void netfront_drop(void)
{
	for (struct xenbus_class *class = nf_kind.classes; class; class = class->next)
		xenbus_class_drop(class);
}

void netfront_resume(void)
{
	for (struct xenbus_class *class = nf_kind.classes; class; class = class->next)
		xenbus_class_resume(class);
}

static struct nf_device *find(const char *name)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&nf_kind, bus));)
		if (device_of(bus)->registered && !strcmp(device_of(bus)->net.name, name))
			return device_of(bus);
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
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&nf_kind, bus));) {
		struct nf_device *dev = device_of(bus);

		fill_in_stats(dev);
		fn(&dev->net, &dev->stats, ctx);
	}
}
