/* control_store_disk.c: what the store says of a disk: its two halves, written, changed, closed and taken back.
 *
 * The halves point at each other (xen/io/blkif.h) and begin as Initialising; what follows is xen/io/xenbus.h's state
 * machine, ours in protocol/. The backend's half lies with the domain that serves the disk, mostly the service domain.
 * Not here: when which of it is done (control.c, control_block.c). Callers: those. Calls control_store.h.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "control_store.h"

/* ---- written ------------------------------------------------------------------------------- */

static void put_limit(struct writer *w, const struct config_limit *limit)
{
	store_put(w, "limit-iops", "%llu", (unsigned long long)limit->iops);
	store_put(w, "limit-bps", "%llu", (unsigned long long)limit->bps);
	store_put(w, "limit-burst-ms", "%u", limit->burst_ms);
}

/* Our own addition, as the limits are: other backends pass over it. */
static void put_withheld(struct writer *w, const struct config_disk *disk)
{
	if (disk->no_flush_cache)
		store_put(w, "flush-cache-enable", "0");
	if (disk->no_persistent)
		store_put(w, "persistent-enable", "0");
}

/* params says what to open, so the guest may only read it. */
static void put_backend(struct writer *w, const struct config_disk *disk, const char *params)
{
	domid_t id = w->r->pub.domid;

	store_set_dir(w, "/local/domain/%u/backend/vbd/%u/%u", disk->backend_id, id, disk->devid);
	store_make_dir(w, "", disk->backend_id, id);
	store_put(w, "frontend", "/local/domain/%u/device/vbd/%u", id, disk->devid);
	store_put(w, "frontend-id", "%u", id);
	store_put(w, "online", "1");
	store_put(w, "removable", "%d", disk->cdrom);
	store_put(w, "bootable", "1");
	store_put(w, "params", "%s", params);
	store_put(w, "dev", "%s", disk->vdev);
	store_put(w, "type", "phy");
	store_put(w, "mode", "%s", disk->readonly ? "r" : "w");
	store_put(w, "device-type", "%s", disk->cdrom ? "cdrom" : "disk");
	store_put(w, "discard-enable", "%d", !disk->no_discard && !disk->readonly);
	put_withheld(w, disk);
	if (disk->limit.iops || disk->limit.bps)
		put_limit(w, &disk->limit);
	store_put(w, "state", "%d", XenbusStateInitialising);
}

/* The guest's half, which it writes its ring and port into: it owns it, and the backend may read.
 */
static void put_frontend(struct writer *w, const struct config_disk *disk)
{
	domid_t id = w->r->pub.domid;

	store_set_dir(w, "/local/domain/%u/device/vbd/%u", id, disk->devid);
	store_make_dir(w, "", id, disk->backend_id);
	store_put(w, "backend", "/local/domain/%u/backend/vbd/%u/%u", disk->backend_id, id,
		  disk->devid);
	store_put(w, "backend-id", "%u", disk->backend_id);
	store_put(w, "virtual-device", "%u", disk->devid);
	store_put(w, "device-type", "%s", disk->cdrom ? "cdrom" : "disk");
	store_put(w, "state", "%d", XenbusStateInitialising);
}

void store_put_disk(struct writer *w, const struct config_disk *disk, const char *params)
{
	put_backend(w, disk, params);
	put_frontend(w, disk);
}

struct one_disk {
	const struct config_disk *disk;
	const char *params;
};

static void put_one(struct writer *w, const void *ctx)
{
	const struct one_disk *one = ctx;

	store_put_disk(w, one->disk, one->params);
}

int control_store_add_disk(const struct domain_record *r, const struct config_disk *disk,
			   const char *params)
{
	const struct one_disk one = {disk, params};

	return store_transaction(r, put_one, &one);
}

/* ---- changed ------------------------------------------------------------------------------- */

static void backend_dir(domid_t id, const struct config_disk *disk, char out[STORE_PATH_MAX])
{
	fmt_text(out, STORE_PATH_MAX, "/local/domain/%u/backend/vbd/%u/%u", disk->backend_id, id,
		 disk->devid);
}

static void change_params(struct writer *w, const void *ctx)
{
	const struct one_disk *one = ctx;

	store_set_dir(w, "/local/domain/%u/backend/vbd/%u/%u", one->disk->backend_id,
		      w->r->pub.domid, one->disk->devid);
	store_put(w, "params", "%s", one->params);
}

int control_store_change_medium(const struct domain_record *r, const struct config_disk *disk,
				const char *params)
{
	const struct one_disk one = {disk, params};

	return store_transaction(r, change_params, &one);
}

static void change_limit(struct writer *w, const void *ctx)
{
	const struct config_disk *disk = ctx;

	store_set_dir(w, "/local/domain/%u/backend/vbd/%u/%u", disk->backend_id, w->r->pub.domid,
		      disk->devid);
	put_limit(w, &disk->limit);
}

int control_store_change_limit(const struct domain_record *r, const struct config_disk *disk)
{
	return store_transaction(r, change_limit, disk);
}

/* ---- closed -------------------------------------------------------------------------------- */

static void write_key(const char *dir, const char *key, const char *value)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "%s/%s", dir, key);
	(void)host_store_write(HOST_TX_NONE, path, value);
}

static unsigned state_at(const char *dir)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), "%s/state", dir);
	return store_number(path, XenbusStateReconfigured + 1, XenbusStateUnknown);
}

unsigned control_store_disk_state(domid_t id, const struct config_disk *disk)
{
	char backend[STORE_PATH_MAX];

	backend_dir(id, disk, backend);
	return state_at(backend);
}

unsigned control_store_front_state(domid_t id, const struct config_disk *disk)
{
	char front[STORE_PATH_MAX];

	fmt_text(front, sizeof(front), "/local/domain/%u/device/vbd/%u", id, disk->devid);
	return state_at(front);
}

void control_store_set_disk_state(domid_t id, const struct config_disk *disk, unsigned state)
{
	char backend[STORE_PATH_MAX], text[4];

	backend_dir(id, disk, backend);
	fmt_text(text, sizeof(text), "%u", state);
	write_key(backend, "state", text);
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
bool control_store_close_disk(domid_t id, const struct config_disk *disk)
{
	char backend[STORE_PATH_MAX], path[STORE_PATH_MAX];
	unsigned state;

	backend_dir(id, disk, backend);
	state = state_at(backend);
	if (state == XenbusStateUnknown || state == XenbusStateClosed ||
	    state == XenbusStateInitialising || state == XenbusStateInitWait)
		return true;
	fmt_text(path, sizeof(path), "%s/online", backend);
	if (store_number(path, 2, 0) == 0)
		return false; /* it has been told */
	write_key(backend, "online", "0");
	fmt_text(path, sizeof(path), "/local/domain/%u/device/vbd/%u", id, disk->devid);
	write_key(path, "state", "6");
	return false;
}

/* ---- taken back ---------------------------------------------------------------------------- */

/* As libxl does: the directories above devices go with the last of them. */
static void remove_if_empty(const char *path)
{
	char child[64];

	if (host_store_list(HOST_TX_NONE, path, child, sizeof(child)) == 0)
		(void)host_store_rm(HOST_TX_NONE, path);
}

void control_store_remove_disk(domid_t id, const struct config_disk *disk)
{
	char path[STORE_PATH_MAX];

	backend_dir(id, disk, path);
	(void)host_store_rm(HOST_TX_NONE, path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/vbd/%u", disk->backend_id, id);
	remove_if_empty(path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/vbd", disk->backend_id);
	remove_if_empty(path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend", disk->backend_id);
	remove_if_empty(path);
	store_remove("/local/domain/%u/device/vbd/%u", id, disk->devid);
}
