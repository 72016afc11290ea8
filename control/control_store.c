/* control_store.c: what the store says of a domain: the nodes libxl writes, and their removal.
 *
 * A domain's directory, its console's and store's keys, and for each disk a frontend and a backend
 * directory that point at each other (Xen's docs: xenstore-paths, blkif.h). All appear in one
 * transaction, so that a backend never sees half a device. Not the store itself. Caller: control.c.
 * Calls: host.h's store, printf.h.
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "control_private.h"

/* A transaction fails with EAGAIN when another's commit came between; guests write often while they
 * boot, but eight in a row means that something else is wrong. */
#define TX_TRIES 8u

/* One transaction while it is being filled; the first error stays and ends it. It has the texts
 * too, to keep them off the worker's stack. */
struct writer {
	uint32_t tx;
	int err;
	const struct domain_record *r;
	char dir[STORE_PATH_MAX]; /* of the keys that follow */
	char path[STORE_PATH_MAX];
	char value[STORE_VALUE_MAX];
};

/* ---- writing ---------------------------------------------------------------------------- */

static bool join(struct writer *w, const char *key)
{
	size_t n = fmt_text(w->path, sizeof(w->path), "%s%s%s", w->dir, key[0] ? "/" : "", key);

	if (n >= sizeof(w->path) && !w->err)
		w->err = -XEN_E2BIG;
	return !w->err;
}

/* Does nothing after an error: what is written reads as a list, without a test behind each line. */
__attribute__((format(printf, 3, 4))) static void put(struct writer *w, const char *key,
						      const char *fmt, ...)
{
	va_list args;
	size_t n;

	if (!join(w, key))
		return;
	va_start(args, fmt);
	n = fmt_vtext(w->value, sizeof(w->value), fmt, args);
	va_end(args);
	w->err = n < sizeof(w->value) ? host_store_write(w->tx, w->path, w->value) : -XEN_E2BIG;
}

/* A directory and who may do what in it; keys written below take that over. owner may do anything
 * and decides for others; reader (DOMID_INVALID: nobody) may read. What nobody is given here nobody
 * but the owner and the service domain can see. */
static void make_dir(struct writer *w, const char *key, domid_t owner, domid_t reader)
{
	if (!join(w, key))
		return;
	w->err = host_store_mkdir(w->tx, w->path);
	if (!w->err)
		w->err = host_store_set_perms(w->tx, w->path, owner, reader);
}

__attribute__((format(printf, 2, 3))) static void set_dir(struct writer *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (fmt_vtext(w->dir, sizeof(w->dir), fmt, args) >= sizeof(w->dir) && !w->err)
		w->err = -XEN_E2BIG;
	va_end(args);
}

/* ---- what is written -------------------------------------------------------------------- */

/* The numbers the guest reads about itself, and the places it may write to. The directory itself is
 * the service domain's, or a guest could rename itself in everybody's lists. own_dirs are what
 * guests of all kinds write to, as xenstore-paths lists them. */
static void put_home(struct writer *w)
{
	static const char *const own_dirs[] = {"data",
					       "drivers",
					       "feature",
					       "attr",
					       "error",
					       "control/shutdown",
					       "control/feature-poweroff",
					       "control/feature-suspend",
					       "control/feature-reboot"};
	const struct domain_record *r = w->r;
	domid_t id = r->pub.domid, own = host_own_domid();

	set_dir(w, "/local/domain/%u", id);
	make_dir(w, "", own, id);
	put(w, "name", "%s", r->pub.config->name);
	put(w, "domid", "%u", id);
	put(w, "vm", "/vm/%u", id);
	put(w, "memory/static-max", "%u", r->pub.config->max_memory_mib * 1024);
	put(w, "memory/target", "%u", r->pub.config->memory_mib * 1024);
	for (unsigned cpu = 0; cpu < r->pub.config->max_vcpus; cpu++) {
		set_dir(w, "/local/domain/%u/cpu/%u", id, cpu);
		put(w, "availability", cpu < r->pub.config->vcpus ? "online" : "offline");
	}
	set_dir(w, "/local/domain/%u", id);
	make_dir(w, "device", own, id);
	make_dir(w, "control", own, id);
	for (unsigned i = 0; i < ARRAY_SIZE(own_dirs); i++)
		make_dir(w, own_dirs[i], id, DOMID_INVALID);
	set_dir(w, "/vm/%u", id);
	make_dir(w, "", own, id);
	put(w, "name", "%s", r->pub.config->name);
}

/* Read by people and by other tools; our store and consoles are told by introduction, guests by
 * their start info. */
static void put_rings(struct writer *w)
{
	const struct built_domain *b = &w->r->built;

	set_dir(w, "/local/domain/%u", b->domid);
	put(w, "store/port", "%u", b->store_port);
	put(w, "store/ring-ref", "%llu", (unsigned long long)b->store_frame.v);
	put(w, "console/port", "%u", b->console_port);
	put(w, "console/ring-ref", "%llu", (unsigned long long)b->console_frame.v);
	put(w, "console/type", "xenconsoled");
	put(w, "console/limit", "65536");
}

/* The backend's half, the service domain's own: params says what to open, so the guest may only
 * read it. Both halves begin as Initialising; that and what follows is xen/io/xenbus.h's state
 * machine, ours in protocol/. */
static void put_backend(struct writer *w, const struct config_disk *disk, const char *params)
{
	domid_t id = w->r->pub.domid, own = host_own_domid();

	set_dir(w, "/local/domain/%u/backend/vbd/%u/%u", own, id, disk->devid);
	make_dir(w, "", own, id);
	put(w, "frontend", "/local/domain/%u/device/vbd/%u", id, disk->devid);
	put(w, "frontend-id", "%u", id);
	put(w, "online", "1");
	put(w, "removable", "0");
	put(w, "bootable", "1");
	put(w, "params", "%s", params);
	put(w, "dev", "%s", disk->vdev);
	put(w, "type", "phy");
	put(w, "mode", "%s", disk->readonly ? "r" : "w");
	put(w, "device-type", "disk");
	put(w, "discard-enable", "0");
	put(w, "state", "%d", XenbusStateInitialising);
}

/* The guest's half, which it writes its ring and port into: it owns it, and the backend may read.
 */
static void put_frontend(struct writer *w, const struct config_disk *disk)
{
	domid_t id = w->r->pub.domid, own = host_own_domid();

	set_dir(w, "/local/domain/%u/device/vbd/%u", id, disk->devid);
	make_dir(w, "", id, own);
	put(w, "backend", "/local/domain/%u/backend/vbd/%u/%u", own, id, disk->devid);
	put(w, "backend-id", "%u", own);
	put(w, "virtual-device", "%u", disk->devid);
	put(w, "device-type", "disk");
	put(w, "state", "%d", XenbusStateInitialising);
}

static int write_all(struct writer *w, const control_params *params)
{
	const struct domain_config *c = w->r->pub.config;

	put_home(w);
	put_rings(w);
	for (unsigned i = 0; i < c->n_disks; i++) {
		put_backend(w, &c->disks[i], params[i]);
		put_frontend(w, &c->disks[i]);
	}
	return w->err;
}

/* Begun anew, from the first node, when the store asks for it: what was written in a failed
 * transaction is gone. */
int control_store_add(const struct domain_record *r, const control_params *params)
{
	struct writer *w = host_alloc(sizeof(*w));
	int err = -XEN_EAGAIN;

	if (!w)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < TX_TRIES && err == -XEN_EAGAIN; i++) {
		*w = (struct writer){.r = r};
		err = host_store_begin(&w->tx);
		if (err)
			break;
		err = write_all(w, params);
		if (err)
			(void)host_store_end(w->tx, false);
		else
			err = host_store_end(w->tx, true);
	}
	host_free(w, sizeof(*w));
	return err;
}

/* /vm stays empty between domains but is there, or its coming and going would count as a leaked
 * node. */
int control_store_prepare(void)
{
	char path[STORE_PATH_MAX], id[8];
	int err;

	fmt_text(path, sizeof(path), "/local/domain/%u/domid", host_own_domid());
	fmt_text(id, sizeof(id), "%u", host_own_domid());
	err = host_store_write(HOST_TX_NONE, path, id);
	return err ? err : host_store_mkdir(HOST_TX_NONE, "/vm");
}

/* ---- changing ------------------------------------------------------------------------------ */

int control_store_ask(domid_t domid, const char *node, const char *value)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "/local/domain/%u/%s", domid, node);
	return host_store_write(HOST_TX_NONE, path, value);
}

/* For people and tools that list the store; nothing of ours reads names from there. */
void control_store_rename(domid_t domid, const char *name)
{
	char path[STORE_PATH_MAX];

	(void)control_store_ask(domid, "name", name);
	fmt_text(path, sizeof(path), "/vm/%u/name", domid);
	(void)host_store_write(HOST_TX_NONE, path, name);
}

/* ---- taking back -------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void remove_path(const char *fmt, ...)
{
	char path[STORE_PATH_MAX];
	va_list args;

	va_start(args, fmt);
	fmt_vtext(path, sizeof(path), fmt, args);
	va_end(args);
	(void)host_store_rm(HOST_TX_NONE, path); /* it may be gone already */
}

/* As libxl does: the directories above devices go with the last of them. */
static void remove_if_empty(const char *name)
{
	char path[STORE_PATH_MAX], child[64];

	fmt_text(path, sizeof(path), "/local/domain/%u/%s", host_own_domid(), name);
	if (host_store_list(HOST_TX_NONE, path, child, sizeof(child)) == 0)
		(void)host_store_rm(HOST_TX_NONE, path);
}

/* Children go with their directory. By now the backends have closed, or had their time. */
void control_store_remove(const struct domain_record *r)
{
	domid_t id = r->pub.domid;

	remove_path("/local/domain/%u/backend/vbd/%u", host_own_domid(), id);
	remove_if_empty("backend/vbd");
	remove_if_empty("backend");
	remove_path("/local/domain/%u", id);
	remove_path("/vm/%u", id);
}

/* ---- backends --------------------------------------------------------------------------- */

/* A number below limit at path; otherwise when there is none. Guests write some of these nodes, so
 * anything may stand there. */
static unsigned read_number(const char *path, unsigned limit, unsigned otherwise)
{
	char text[16];
	uint64_t value;

	if (host_store_read(HOST_TX_NONE, path, text, sizeof(text)) < 0 ||
	    !str_to_u64(text, &value) || value >= limit)
		return otherwise;
	return (unsigned)value;
}

static void write_key(const char *dir, const char *key, const char *value)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "%s/%s", dir, key);
	(void)host_store_write(HOST_TX_NONE, path, value);
}

/* The frontend will not speak again, so we speak for it: Closed. Then the backend unmaps what it
 * has of the domain, and is Closed or has removed its directory. One that never connected has
 * nothing.
 *
 *   control                    backend                 store node
 *   online = 0   ------------>                         backend/.../online
 *   state = 6 (for the guest)  sees its peer closed    device/vbd/N/state
 *                              unmaps ring and pages
 *                <------------ state = 6, or no node   backend/.../state
 */
static bool close_backend(domid_t id, uint32_t devid)
{
	char backend[STORE_PATH_MAX], path[STORE_PATH_MAX];
	unsigned state;

	fmt_text(backend, sizeof(backend), "/local/domain/%u/backend/vbd/%u/%u", host_own_domid(),
		 id, devid);
	fmt_text(path, sizeof(path), "%s/state", backend);
	state = read_number(path, XenbusStateReconfigured + 1, XenbusStateUnknown);
	if (state == XenbusStateUnknown || state == XenbusStateClosed ||
	    state == XenbusStateInitialising || state == XenbusStateInitWait)
		return true;
	fmt_text(path, sizeof(path), "%s/online", backend);
	if (read_number(path, 2, 0) == 0)
		return false; /* it has been told */
	write_key(backend, "online", "0");
	fmt_text(path, sizeof(path), "/local/domain/%u/device/vbd/%u", id, devid);
	write_key(path, "state", "6");
	return false;
}

/* Called again with each change, so it tells each backend once (online says whether) and else only
 * looks. */
unsigned control_store_close_backends(const struct domain_record *r)
{
	const struct domain_config *c = r->pub.config;
	unsigned busy = 0;

	for (unsigned i = 0; i < c->n_disks; i++)
		busy += !close_backend(r->pub.domid, c->disks[i].devid);
	return busy;
}

/* A guest that leaves nothing, or nonsense, has ended well as far as anybody can know. */
int control_store_exit_code(domid_t domid)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "/local/domain/%u/data/exit-code", domid);
	return (int)read_number(path, 256, 0);
}
