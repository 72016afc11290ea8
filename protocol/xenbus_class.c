/* xenbus_class.c: finds the devices of one kind and lets go of those that are gone.
 *
 * One watch on the kind's root ("device/vbd", "backend/vbd") reports everything below it, the
 * halves' own writes included; the changed path says which device to look at. The root need not
 * exist yet, and a toolstack removes emptied parents: each event about them means to look at all
 * again. Called by drivers' init; calls xenbus.c. Worker context.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "xenbus_private.h"

#define LIST_BYTES                                                                                 \
	4096u /* one page of names under one node; what does not fit is found by its events */

/* Not the removed: a directory may come back under the same path before the old device has let go
 * of everything, and is then a new device beside it. */
static struct xenbus_device *find_device(struct xenbus_class *class, const char *path)
{
	for (struct xenbus_device *d = class->devices; d; d = d->next)
		if (!d->removed && strcmp(d->path, path) == 0)
			return d;
	return NULL;
}

/* Who the peer is: written by the toolstack, so trusted, but it may not all be there yet. */
static bool read_peer(struct xenbus_device *found)
{
	bool front = found->side == XENBUS_FRONT;
	struct xenbus_number id = {front ? "backend-id" : "frontend-id", 0,
				   DOMID_FIRST_RESERVED - 1, 0, true};
	char text[STORE_PATH_MAX];
	uint64_t peer;
	int len = xenbus_read_text(HOST_TX_NONE, found->path, front ? "backend" : "frontend", text,
				   sizeof(text));

	if (len <= 0)
		return false;
	/* Cut short it would be another path, perhaps of another domain. */
	if ((size_t)len >= sizeof(found->peer_path)) {
		host_log(HOST_LOG_WARN, "%s: path of the peer is too long", found->path);
		return false;
	}
	memcpy(found->peer_path, text, (size_t)len + 1);
	if (xenbus_read_numbers(HOST_TX_NONE, found->path, &id, 1, &peer))
		return false;
	found->peer = (domid_t)peer;
	return true;
}

/* The number in the last part of a path; directories that are not numbers are no devices. */
static bool device_number(const char *path, unsigned *out)
{
	const char *last = path;
	uint64_t id;

	for (const char *s = path; *s; s++)
		if (*s == '/')
			last = s + 1;
	if (!xenbus_parse_number(last, UINT32_MAX, &id))
		return false;
	*out = (unsigned)id;
	return true;
}

static void create_device(struct xenbus_class *class, const char *path)
{
	const struct xenbus_kind *kind = class->kind;
	struct xenbus_device found = {.class = class, .side = kind->side, .ops = kind->ops}, *dev;

	/* On the stack: what is no device, or not yet, costs no memory. */
	if (fmt_text(found.path, sizeof(found.path), "%s", path) >= sizeof(found.path) ||
	    !device_number(path, &found.id) || !read_peer(&found))
		return;
	dev = host_alloc(kind->device_bytes);
	if (!dev) {
		host_log(HOST_LOG_ERROR, "%s: no memory", path);
		return;
	}
	*dev = found;
	if (kind->ops->created)
		kind->ops->created(dev);
	dev->next = class->devices;
	/* In the list before it steps: the watch that adopt registers may report at once. */
	class->devices = dev;
	if (xenbus_adopt(dev))
		xenbus_remove(dev);
}

/* Whether the toolstack's own key is still there, and not whether the directory is: an error other
 * than ENOENT (a full channel, a store that is away) must not look like a removal. out_peer: what it says; "": nothing. */
static bool directory_there(struct xenbus_class *class, const char *path,
			    char out_peer[STORE_PATH_MAX])
{
	int len = xenbus_read_text(HOST_TX_NONE, path,
				   class->kind->side == XENBUS_FRONT ? "backend" : "frontend",
				   out_peer, STORE_PATH_MAX);

	if (len <= 0)
		out_peer[0] = '\0';
	return len != -XEN_ENOENT;
}

/* Looks at one device's directory: is it new, gone, or told to go? */
static void look_at(struct xenbus_class *class, const char *path)
{
	struct xenbus_device *dev = find_device(class, path);
	char peer[STORE_PATH_MAX];

	if (!dev)
		create_device(class, path);
	else if (!directory_there(class, path, peer))
		xenbus_remove(dev);
	else if (class->kind->side == XENBUS_FRONT && peer[0] && strcmp(peer, dev->peer_path) != 0)
		xenbus_move(dev);
	else
		xenbus_own_changed(dev);
}

/* The state it was in is the last peer's. */
void xenbus_class_moved(struct xenbus_device *dev)
{
	dev->moving = dev->failing = false;
	dev->peer_state = XenbusStateUnknown;
	if (!read_peer(dev) || xenbus_adopt(dev))
		xenbus_remove(dev);
}

/* Calls look_at for each child of dir, or of each child of dir when depth is 2. Recursion is two
 * deep at most, root and domain, and each level holds one page for the names. */
static void look_below(struct xenbus_class *class, const char *dir, int depth)
{
	char path[STORE_PATH_MAX], *names = host_pages_alloc(1);
	int n = names ? host_store_list(HOST_TX_NONE, dir, names, LIST_BYTES) : 0;
	const char *name = names;

	for (int i = 0; i < n; i++, name += strlen(name) + 1) {
		if (!xenbus_join(path, dir, name))
			continue;
		if (depth > 1)
			look_below(class, path, depth - 1);
		else
			look_at(class, path);
	}
	if (names)
		host_pages_free(names, 1);
}

static int class_depth(const struct xenbus_class *class)
{
	return class->kind->side == XENBUS_FRONT ? 1 : 2; /* root/DEV or root/DOMID/DEV */
}

static void look_at_all(struct xenbus_class *class)
{
	char peer[STORE_PATH_MAX];

	/* First what is gone, then what is new: a device that was replaced under the same number is
	 * dropped before its successor is made. */
	for (struct xenbus_device *d = class->devices; d; d = d->next)
		if (!d->removed && !directory_there(class, d->path, peer))
			xenbus_remove(d);
	look_below(class, class->kind->root, class_depth(class));
}

/* The part of a changed path that is a device's directory, into out. False: it is above one.
 *
 *    class of front halves, root "device/vbd"        class of back halves, root "backend/vbd"
 *    device/vbd/51712/state                          backend/vbd/7/51712/state
 *    '--- the device ---'                            '---- the device -----' */
static bool device_part(const struct xenbus_class *class, const char *changed, char *out)
{
	size_t root_len = strlen(class->kind->root), len;
	int parts = class_depth(class);

	/* The watch was registered with a relative root and reports in the same form (xenstore.txt,
	 * WATCH), so comparing texts is enough. */
	if (strncmp(changed, class->kind->root, root_len) != 0 || changed[root_len] != '/')
		return false;
	/* Also above a device: the root itself, a parent, or "backend/vbd/7", which may be a
	 * domain's whole set of backends coming or going. */
	for (len = root_len + 1; changed[len]; len++)
		if (changed[len] == '/' && --parts == 0)
			break;
	if (changed[len] == '\0' && --parts != 0)
		return false;
	if (len >= STORE_PATH_MAX)
		return false;
	memcpy(out, changed, len);
	out[len] = '\0';
	return true;
}

static void on_change(void *ctx, const char *changed)
{
	struct xenbus_class *class = ctx;
	char path[STORE_PATH_MAX];

	if (device_part(class, changed, path))
		look_at(class, path);
	else
		look_at_all(class);
}

/* The state in the store is not written: the toolstack has put the right one there. */
void xenbus_class_drop(struct xenbus_class *class)
{
	for (struct xenbus_device *d = class->devices; d; d = d->next)
		if (!d->removed)
			xenbus_let_go(d);
}

/* Nothing is freed before the reaper runs, so the list may be walked while devices are removed. */
void xenbus_class_resume(struct xenbus_class *class)
{
	for (struct xenbus_device *d = class->devices; d; d = d->next) {
		if (d->removed)
			continue;
		if (!read_peer(d) || xenbus_adopt(d))
			xenbus_remove(d);
	}
}

static void free_device(struct xenbus_device *dev)
{
	struct xenbus_device **link = &dev->class->devices;

	/* Order: no work and no watch can call in after this, then the driver lets go of the rest. It is in the list until
	 * then, for whoever is told meanwhile. */
	host_work_cancel(&dev->work);
	if (dev->watch)
		host_store_unwatch(dev->watch);
	if (dev->ops->gone)
		dev->ops->gone(dev);
	while (*link != dev)
		link = &(*link)->next;
	*link = dev->next;
	host_free(dev, dev->class->kind->device_bytes);
}

/* From its own work item, so that nobody is in the middle of a device that is freed here. */
static void reap(void *ctx)
{
	struct xenbus_class *class = ctx;

	for (struct xenbus_device *dev = class->devices, *next; dev; dev = next) {
		next = dev->next;
		if (dev->removed && !dev->dropping)
			free_device(dev);
	}
}

void xenbus_class_reap(struct xenbus_class *class)
{
	host_work_soon(&class->reap);
}

/* ---- classes ------------------------------------------------------------------------- */

struct xenbus_class *xenbus_class_new(struct xenbus_kind *kind)
{
	struct xenbus_class *class = host_alloc(kind->class_bytes);

	if (!class)
		return NULL;
	class->kind = kind;
	class->reap = (struct host_work){.fn = reap, .ctx = class};
	class->next = kind->classes;
	kind->classes = class;
	return class;
}

int xenbus_class_start(struct xenbus_class *class)
{
	int err = class ? host_store_watch(class->kind->root, on_change, class, &class->watch)
			: -XEN_ENOMEM;

	if (err && class)
		(void)xenbus_class_stop(class);
	return err;
}

static void free_class(struct xenbus_class *class)
{
	struct xenbus_kind *kind = class->kind;
	struct xenbus_class **link = &kind->classes;

	host_work_cancel(&class->reap);
	if (kind->stopped)
		kind->stopped(class);
	while (*link != class)
		link = &(*link)->next;
	*link = class->next;
	host_free(class, kind->class_bytes);
}

bool xenbus_class_stop(struct xenbus_class *class)
{
	if (class->watch)
		host_store_unwatch(class->watch);
	class->watch = NULL;
	/* As in reap: xenbus_remove frees nothing by itself, so the list may be walked. */
	for (struct xenbus_device *d = class->devices; d; d = d->next)
		if (!d->removed)
			xenbus_remove(d);
	reap(class);
	/* The work item of one that still waits must live to free it. */
	if (class->devices)
		return false;
	free_class(class);
	return true;
}

void xenbus_kind_stop(struct xenbus_kind *kind)
{
	for (struct xenbus_class *class = kind->classes, *next; class; class = next) {
		next = class->next;
		(void)xenbus_class_stop(class);
	}
}

struct xenbus_device *xenbus_next(const struct xenbus_kind *kind, const struct xenbus_device *prev)
{
	const struct xenbus_class *class = prev ? prev->class->next : kind->classes;
	struct xenbus_device *dev = prev ? prev->next : NULL;

	for (; !dev && class; class = class->next)
		dev = class->devices;
	return dev;
}
