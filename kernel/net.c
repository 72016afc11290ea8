/* net.c: the kernel's list of network interfaces.
 *
 * Contract: amphi/host_net.h. Callers: drivers that have an interface (netfront, netback's vifs, virtio-net, e1000e, a
 * bridge's own), and who uses them: bridges, the TCP/IP stack, commands. Knows nothing of packets. Worker context, and
 * linked into host tests as it is.
 */
#include <amphi/host.h>
#include <amphi/host_net.h>
#include <amphi/string.h>

static struct net_device *devices;
static struct host_net_watch *watches;

struct net_device *host_net_next(struct net_device *prev)
{
	return prev ? prev->next : devices;
}

struct net_device *host_net_find(const char *name)
{
	struct net_device *dev;

	for (dev = devices; dev && strcmp(dev->name, name); dev = dev->next)
		;
	return dev;
}

/* A watcher may take watches of its own: the list is only ever added to at its head. */
static void tell_watchers(struct net_device *dev)
{
	struct host_net_watch *w;

	for (w = watches; w; w = w->next)
		w->fn(w->ctx, dev);
}

/* At the end: who walks the list, and `ip` that prints it, see them in the order in which they came. */
int host_net_register(struct net_device *dev)
{
	struct net_device **link = &devices;

	if (host_net_find(dev->name))
		return -XEN_EEXIST;
	while (*link)
		link = &(*link)->next;
	dev->next = NULL;
	dev->gone = false;
	dev->user = NULL;
	*link = dev;
	tell_watchers(dev);
	return 0;
}

void host_net_unregister(struct net_device *dev)
{
	struct net_device **link = &devices;

	dev->gone = true;
	host_net_changed(dev);
	dev->user = NULL;
	while (*link && *link != dev)
		link = &(*link)->next;
	HOST_ASSERT(*link == dev);
	*link = dev->next;
}

void host_net_changed(struct net_device *dev)
{
	if (dev->user)
		dev->user->changed(dev);
	tell_watchers(dev);
}

int host_net_attach(struct net_device *dev, const struct net_user_ops *ops, void *ctx)
{
	if (dev->user)
		return -XEN_EBUSY;
	dev->user = ops;
	dev->user_ctx = ctx;
	return 0;
}

void host_net_detach(struct net_device *dev)
{
	dev->user = NULL;
}

void host_net_watch(struct host_net_watch *watch)
{
	struct net_device *dev;

	watch->next = watches;
	watches = watch;
	for (dev = devices; dev; dev = dev->next)
		watch->fn(watch->ctx, dev);
}

void host_net_unwatch(struct host_net_watch *watch)
{
	struct host_net_watch **link = &watches;

	while (*link && *link != watch)
		link = &(*link)->next;
	if (*link)
		*link = watch->next;
}

void host_net_receive(struct net_device *dev, struct net_frame *frame)
{
	if (dev->user)
		dev->user->received(dev, frame);
	else
		net_frame_put(frame, -XEN_ENODEV);
}

void host_net_batch_end(struct net_device *dev)
{
	if (dev->user)
		dev->user->batch_end(dev);
}
