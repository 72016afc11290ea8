/* netback.c: guests' network interfaces come, connect, are dropped and go.
 *
 * Called by the service domain (netback.h) and by the xenbus engine, whose steps it fills in; calls netback_nodes.c for
 * the store, netback_queues.c for the rings, and host_net.h, where a connected interface is a device that a bridge
 * takes. Worker context.
 *
 * A connection ends when the last frame that its guest gave is back: most are at once, when the device is unregistered
 * (host_net.h); those that a network card has come when they have been sent.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "netback_private.h"

/* ---- open, connect ------------------------------------------------------------------------- */

static int vif_open(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);
	int err = vif_read_nodes(vif);

	return err ? err : vif_write_nodes(vif);
}

static void log_connected(const struct vif *vif)
{
	host_log(HOST_LOG_INFO, "%s: %s for domain %u, bridge '%s', %u queue%s%s%s%s",
		 vif->bus.path, vif->dev.name, vif->bus.peer, vif->dev.bridge, vif->n_queues,
		 vif->n_queues == 1 ? "" : "s", vif->sg ? ", sg" : "",
		 vif->dev.can & NET_CAN_GSO4 ? ", gso4" : "",
		 vif->dev.can & NET_CAN_GSO6 ? ", gso6" : "");
}

static int join(struct vif *vif)
{
	int err;

	memset(vif->dev.stats, 0, sizeof(vif->dev.stats));
	vif->connected = vif->dev.carrier = true;
	err = host_net_register(&vif->dev);
	if (err)
		vif->connected = false;
	vif->registered = err == 0;
	vif->counted = true;
	vif_root_of(vif)->n_connected++;
	return err;
}

/* What is done when a later step fails is undone by vif_disconnect. Requests and room may be there already. */
static int vif_connect(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);
	int err = vif_read_features(vif);

	if (!err)
		err = vif_queues_connect(vif);
	if (!err)
		err = vif_multicast_connect(vif);
	if (!err)
		err = vif_ctrl_connect(vif);
	if (!err)
		err = join(vif);
	if (err)
		return err;
	vif_rate_read(vif);
	vif_write_carrier(vif);
	log_connected(vif);
	for (unsigned i = 0; i < vif->n_queues; i++)
		vif_turn_ask(&vif->queues[i]);
	return 0;
}

/* ---- disconnect, gone ---------------------------------------------------------------------- */

/* Nobody has a frame of the guest's any more. */
static void take_down(struct vif *vif)
{
	host_work_cancel(&vif->finish);
	vif_queues_drop(vif);
}

static void end_tap(struct vif *vif)
{
	net_tap_fn *fn = vif->tap;

	vif->tap = NULL;
	if (fn)
		fn(vif->tap_ctx, NULL, false);
}

/* A connection that ends under load:
 *
 *    guest            engine                  netback                      another's queue, a network card
 *    Closing  --->    drop()  ------------>   vif_disconnect
 *                                             frames that wait in other guests' queues are taken out of them
 *                                             some are out still? false        |
 *                     (waits, dropping)       vif_frame_done <-----------------'
 *                                             the last one: finish
 *                     Closed  <------------   xenbus_disconnected
 *
 * What a card reads by DMA cannot be taken from it, and a frame's head is memory of ours that goes with the queue.
 * Nothing is answered meanwhile: the guest may have begun anew, and its ring be no ring any longer. */
static bool vif_disconnect(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);

	vif->connected = vif->dev.carrier = false;
	for (unsigned i = 0; i < vif->n_queues; i++)
		vif_rx_drop(&vif->queues[i], -XEN_ENOTCONN);
	if (vif->registered)
		host_net_unregister(&vif->dev);
	vif->registered = false;
	for (struct xenbus_device *other = bus->class->devices; other; other = other->next)
		vif_rx_forget(vif_of_bus(other), vif);
	end_tap(vif);
	if (vif->counted)
		vif_root_of(vif)->n_connected--;
	vif->counted = false;
	host_work_cancel(&vif->look);
	vif_ctrl_drop(vif);
	vif_multicast_drop(vif);
	if (vif_frames_out(vif))
		return false;
	take_down(vif);
	return true;
}

static void finish(void *ctx)
{
	struct vif *vif = ctx;

	if (!vif->bus.dropping || vif_frames_out(vif))
		return;
	take_down(vif);
	xenbus_disconnected(&vif->bus);
}

/* The toolstack's keys that count while a guest is connected. */
static void vif_changed(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);

	if (vif->connected)
		vif_rate_read(vif);
}

/* How many slots a waiting frame takes was counted by the old headroom. */
static void vif_reconfigure(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);

	for (unsigned i = 0; i < vif->n_queues; i++)
		vif_rx_drop(&vif->queues[i], -XEN_EBUSY);
	vif_read_headroom(vif);
}

static void look_for_user(void *ctx)
{
	struct vif *vif = ctx;

	if (vif->connected)
		vif_write_carrier(vif);
}

/* Nothing of the guest's is looked at before open(): a domain that has only a directory costs this struct and a
 * watch. */
static void vif_created(struct xenbus_device *bus)
{
	struct vif *vif = vif_of_bus(bus);

	vif->carrier = -1;
	vif->look = (struct host_work){.fn = look_for_user, .ctx = vif};
	vif->finish = (struct host_work){.fn = finish, .ctx = vif};
	vif->dev.ops = &vif_net_ops;
	vif->dev.driver = vif;
	fmt_text(vif->dev.name, sizeof(vif->dev.name), "vif%u.%u", bus->peer, bus->id);
}

static const struct xenbus_ops vif_ops = {
    .created = vif_created,
    .open = vif_open,
    .connect = vif_connect,
    .disconnect = vif_disconnect,
    .changed = vif_changed,
    .reconfigure = vif_reconfigure,
};

/* ---- what is refused ------------------------------------------------------------------------ */

void vif_refused(struct vif *vif, const char *why)
{
	vif->stats.refused++;
	if (!told_already(&vif->told, why))
		host_log(HOST_LOG_WARN, "%s: domain %u: packet refused: %s", vif->bus.path,
			 vif->bus.peer, why);
}

void vif_broken(struct vif *vif, const char *why)
{
	vif->connected = vif->dev.carrier = false;
	xenbus_fail(&vif->bus, why);
}

/* ---- the kind ------------------------------------------------------------------------------- */

/* A bridge came or went, and took its ports or left them: who is told before the bridge is does not know yet. */
static void on_net(void *ctx, struct net_device *dev)
{
	const struct xenbus_class *class = ctx;

	(void)dev;
	for (struct xenbus_device *bus = class->devices; bus; bus = bus->next)
		if (vif_of_bus(bus)->connected)
			host_work_soon(&vif_of_bus(bus)->look);
}

static void vif_stopped(struct xenbus_class *class)
{
	host_net_unwatch(&container_of(class, struct vif_root, class)->watch);
}

static struct xenbus_kind vif_kind = {
    .side = XENBUS_BACK,
    .root = "backend/vif",
    .device_bytes = sizeof(struct vif),
    .class_bytes = sizeof(struct vif_root),
    .ops = &vif_ops,
    .stopped = vif_stopped,
    .at_once = true,
};

int netback_init(void)
{
	struct xenbus_class *class = xenbus_class_new(&vif_kind);
	struct vif_root *root = container_of(class, struct vif_root, class);

	if (!class)
		return -XEN_ENOMEM;
	root->watch = (struct host_net_watch){.fn = on_net, .ctx = class};
	host_net_watch(&root->watch);
	return xenbus_class_start(class);
}

void netback_exit(void)
{
	xenbus_kind_stop(&vif_kind);
}

/* ---- looking ---------------------------------------------------------------------------------- */

void netback_for_each(void (*fn)(const struct netback_info *info, void *ctx), void *ctx)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&vif_kind, bus));) {
		struct vif *vif = vif_of_bus(bus);
		struct netback_info info = {
		    .guest = bus->peer,
		    .handle = bus->id,
		    .connected = vif->connected,
		    .filters_multicast = vif->filters,
		    .guarded = vif->guard.on,
		    .hashes = vif->hash.types != 0,
		    .n_queues = vif->n_queues,
		    .n_multicast = vif->n_multicast,
		    .dev = &vif->dev,
		    .stats = vif->stats,
		};

		for (unsigned i = 0; i < vif->n_queues; i++)
			info.n_staged += vif->queues[i].n_staged;
		fn(&info, ctx);
	}
}

static struct vif *find(const char *name)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&vif_kind, bus));) {
		struct vif *vif = vif_of_bus(bus);

		if (vif->connected && strcmp(vif->dev.name, name) == 0)
			return vif;
	}
	return NULL;
}

int netback_tap(const char *name, net_tap_fn *fn, void *ctx)
{
	struct vif *vif = find(name);

	if (!vif)
		return -XEN_ENODEV;
	if (fn && vif->tap)
		return -XEN_EBUSY;
	vif->tap = fn;
	vif->tap_ctx = ctx;
	return 0;
}
