/* control_store_disk.c: what the store says of a disk: its two halves, written and changed.
 *
 * The halves point at each other and hold what xen/io/blkif.h says a toolstack writes. The backend's lies with the domain that
 * serves the disk, mostly the service domain. Not here: what is the same of every device (control_store_device.c), and
 * when which of it is done (control.c, control_block.c). Callers: those. Calls control_store.h.
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
	struct store_device dev = disk_device(disk);

	store_put_backend(w, &dev);
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
}

static void put_frontend(struct writer *w, const struct config_disk *disk)
{
	struct store_device dev = disk_device(disk);

	store_put_frontend(w, &dev);
	store_put(w, "virtual-device", "%u", disk->devid);
	store_put(w, "device-type", "%s", disk->cdrom ? "cdrom" : "disk");
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
