/* control_store_device.c: what the store says of any device: its two halves, begun, closed and taken back.
 *
 * The halves point at each other and begin as Initialising; what follows is xen/io/xenbus.h's state machine, ours in
 * protocol/. What is a disk's, an interface's or a PCI function's own is in control_store_disk.c, _vif.c and _pci.c. Callers: those, and
 * who moves devices (control_device.c, control_pci_hot.c). Calls control_store.h.
 */
#include <amphi/printf.h>
#include <xen/io/xenbus.h>

#include "control_store.h"

/* ---- begun --------------------------------------------------------------------------------- */

/* What it serves is for the guest to read and not to change. */
void store_put_backend(struct writer *w, const struct store_device *dev)
{
	domid_t id = w->r->pub.domid;

	store_set_dir(w, "/local/domain/%u/backend/%s/%u/%u", dev->backend_id, dev->kind, id,
		      dev->devid);
	store_make_dir(w, "", dev->backend_id, id);
	store_put(w, "frontend", "/local/domain/%u/device/%s/%u", id, dev->kind, dev->devid);
	store_put(w, "frontend-id", "%u", id);
	store_put(w, "online", "1");
	store_put(w, "state", "%d", XenbusStateInitialising);
}

/* The guest's half, which it writes its rings and ports into: it owns it, and the backend may read. What is there of a connection with a backend
 * that is no more goes: it is that one's to read, and no other's. */
void store_put_frontend(struct writer *w, const struct store_device *dev)
{
	domid_t id = w->r->pub.domid;

	store_set_dir(w, "/local/domain/%u/device/%s/%u", id, dev->kind, dev->devid);
	if (store_join(w, ""))
		(void)host_store_rm(w->tx, w->path);
	store_make_dir(w, "", id, dev->backend_id);
	store_put(w, "backend", "/local/domain/%u/backend/%s/%u/%u", dev->backend_id, dev->kind, id,
		  dev->devid);
	store_put(w, "backend-id", "%u", dev->backend_id);
	store_put(w, "state", "%d", XenbusStateInitialising);
}

static void backend_dir(domid_t id, const struct store_device *dev, char out[STORE_PATH_MAX])
{
	fmt_text(out, STORE_PATH_MAX, "/local/domain/%u/backend/%s/%u/%u", dev->backend_id,
		 dev->kind, id, dev->devid);
}

static void front_dir(domid_t id, const struct store_device *dev, char out[STORE_PATH_MAX])
{
	fmt_text(out, STORE_PATH_MAX, "/local/domain/%u/device/%s/%u", id, dev->kind, dev->devid);
}

bool control_device(const struct domain_config *c, unsigned i, struct store_device *out)
{
	if (i < c->n_disks)
		*out = disk_device(&c->disks[i]);
	else if (i - c->n_disks < c->n_vifs)
		*out = vif_device(&c->vifs[i - c->n_disks]);
	else if (i - c->n_disks == c->n_vifs && c->n_pci)
		*out = pci_device();
	else
		return false;
	return true;
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

unsigned control_store_device_state(domid_t id, const struct store_device *dev)
{
	char backend[STORE_PATH_MAX];

	backend_dir(id, dev, backend);
	return state_at(backend);
}

unsigned control_store_front_state(domid_t id, const struct store_device *dev)
{
	char front[STORE_PATH_MAX];

	front_dir(id, dev, front);
	return state_at(front);
}

void control_store_set_device_state(domid_t id, const struct store_device *dev, unsigned state)
{
	char backend[STORE_PATH_MAX], text[4];

	backend_dir(id, dev, backend);
	fmt_text(text, sizeof(text), "%u", state);
	write_key(backend, "state", text);
}

/* The frontend will not speak again, so we speak for it: Closed. Then the backend unmaps what it
 * has of the domain, and is Closed or has removed its directory. One that never connected has
 * nothing.
 *
 *   control                    backend                 store node
 *   online = 0   ------------>                         backend/.../online
 *   state = 6 (for the guest)  sees its peer closed    device/.../N/state
 *                              unmaps ring and pages
 *                <------------ state = 6, or no node   backend/.../state
 */
bool control_store_close_device(domid_t id, const struct store_device *dev)
{
	char backend[STORE_PATH_MAX], path[STORE_PATH_MAX];
	unsigned state;

	backend_dir(id, dev, backend);
	state = state_at(backend);
	if (state == XenbusStateUnknown || state == XenbusStateClosed ||
	    state == XenbusStateInitialising || state == XenbusStateInitWait)
		return true;
	fmt_text(path, sizeof(path), "%s/online", backend);
	if (store_number(path, 2, 0) == 0)
		return false; /* it has been told */
	write_key(backend, "online", "0");
	front_dir(id, dev, path);
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

void control_store_remove_device(domid_t id, const struct store_device *dev)
{
	char path[STORE_PATH_MAX];

	backend_dir(id, dev, path);
	(void)host_store_rm(HOST_TX_NONE, path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/%s/%u", dev->backend_id, dev->kind,
		 id);
	remove_if_empty(path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend/%s", dev->backend_id, dev->kind);
	remove_if_empty(path);
	fmt_text(path, sizeof(path), "/local/domain/%u/backend", dev->backend_id);
	remove_if_empty(path);
	front_dir(id, dev, path);
	(void)host_store_rm(HOST_TX_NONE, path);
}
