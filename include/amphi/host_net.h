/* host_net.h: the registry of network interfaces, as drivers and their users see it.
 *
 * Callers: drivers-front and drivers-native (register what the domain itself may use), drivers-back (registers a
 * vif for each guest), bridges and the TCP/IP stack (watch, and take what is theirs). Implemented by
 * kernel/net.c, also linked into host tests. Worker context. Ownership: a device stays its driver's; it lives
 * from register to the return of unregister. Who uses which is said in kernel/net_start.c.
 */
#ifndef AMPHI_HOST_NET_H
#define AMPHI_HOST_NET_H

#include <amphi/net.h>

/* The device is ready; its name is unique. -XEN_EEXIST: it is not. Watchers are told, and may take it. */
int host_net_register(struct net_device *dev);

/* Sets gone and tells user and watchers; after the return nobody calls dev's ops any more, and every frame that it
 * gave has been put. Frames that it was given it puts itself, before or after. */
void host_net_unregister(struct net_device *dev);

/* The driver's word that carrier, mtu or can changed. */
void host_net_changed(struct net_device *dev);

/* NULL: none. */
struct net_device *host_net_find(const char *name);

/* NULL begins; returns NULL at the end. In the order of registration. */
struct net_device *host_net_next(struct net_device *prev);

/* Makes ops the device's user. -XEN_EBUSY: it has one. */
int host_net_attach(struct net_device *dev, const struct net_user_ops *ops, void *ctx);
/* The user has put every frame. */
void host_net_detach(struct net_device *dev);

/* fn(ctx, dev) after dev was registered (and for each that is, at once), changed, or is about to be gone. The
 * struct is the watcher's, from watch to unwatch; fn may attach, and may not unwatch. */
struct host_net_watch {
	void (*fn)(void *ctx, struct net_device *dev);
	void *ctx;
	/* the registry's */
	struct host_net_watch *next;
};
void host_net_watch(struct host_net_watch *watch);
void host_net_unwatch(struct host_net_watch *watch);

/* For drivers: gives a frame that came in to the user; without one it is dropped. */
void host_net_receive(struct net_device *dev, struct net_frame *frame);
/* For drivers, at the end of each batch of it. */
void host_net_batch_end(struct net_device *dev);

#endif
