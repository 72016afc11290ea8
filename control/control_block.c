/* control_block.c: the disks of domains that run: attached, detached, given another medium or another limit.
 *
 * Contract: amphi/control_disk.h. What is the same of every device is in control_device.c. Callers: ctl_block.c,
 * control.c. Calls control_store_disk.c, config_disk.c. Worker context.
 */
#include <amphi/control_disk.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_device.h"

/* ---- finding ------------------------------------------------------------------------------ */

static struct config_disk *disk_at(const struct domain_record *r, uint32_t devid)
{
	struct domain_config *c = (struct domain_config *)r->pub.config; /* control's own copy */

	for (unsigned i = 0; i < c->n_disks; i++)
		if (c->disks[i].devid == devid)
			return &c->disks[i];
	return NULL;
}

static int find_disk(const struct domain_record *r, const char *word, struct config_disk **out)
{
	uint32_t devid = 0;
	uint64_t number;

	if (str_to_u64(word, &number) && number <= UINT32_MAX)
		devid = (uint32_t)number;
	else
		(void)config_vdev_number(word, &devid);
	*out = disk_at(r, devid);
	return *out ? 0
		    : control_fail(-XEN_ENOENT, "%s: has no disk '%s'", r->pub.config->name, word);
}

const struct config_disk *control_disk_find(const char *name, const char *word)
{
	struct domain_record *r;
	struct config_disk *disk;

	return control_record(name, &r) || find_disk(r, word, &disk) ? NULL : disk;
}

/* The last disk takes the place of the one that goes: nothing depends on their order. */
static void forget_disk(const struct domain_record *r, uint32_t devid)
{
	struct domain_config *c = (struct domain_config *)r->pub.config;
	struct config_disk *disk = disk_at(r, devid);

	*disk = c->disks[--c->n_disks];
}

static void target_of(const struct config_disk *disk, struct device_target *out)
{
	out->dev = disk_device(disk);
	out->forget = forget_disk;
	fmt_text(out->what, sizeof(out->what), "disk %s", disk->vdev);
}

/* A running domain's disk that nothing is being done with. */
static int find_idle(const char *name, const char *word, struct domain_record **out_r,
		     struct config_disk **out)
{
	struct device_target target;
	int err = control_find_running(name, out_r);

	if (!err)
		err = find_disk(*out_r, word, out);
	if (!err) {
		target_of(*out, &target);
		err = device_idle(*out_r, &target.dev, target.what);
	}
	return err;
}

/* A disk of another domain is that one's to find; what it calls it is passed on. */
int control_resolve_disk(const struct domain_record *r, struct config_disk *disk,
			 char params[CONFIG_PATH_MAX])
{
	struct device_target target;
	int err;

	target_of(disk, &target);
	params[0] = 0;
	err = control_find_backend(r, disk->backend, target.what, &disk->backend_id);
	if (err)
		return err;
	if (disk->backend[0])
		(void)str_copy(params, CONFIG_PATH_MAX, disk->target);
	else if (disk->target[0])
		err = control_disk_params(disk->target, params, CONFIG_PATH_MAX);
	return err ? control_fail(err, "%s: disk %s '%s': %s", r->pub.config->name, disk->vdev,
				  disk->target, error_name(err))
		   : 0;
}

/* ---- attach and detach ---------------------------------------------------------------------- */

int control_add_disk(const struct domain_record *r, struct config_disk *disk)
{
	char *params = host_alloc(CONFIG_PATH_MAX);
	int err;

	if (!params)
		return -XEN_ENOMEM;
	err = control_resolve_disk(r, disk, params);
	if (!err) {
		err = control_store_add_disk(r, disk, params);
		if (err)
			(void)control_fail(err, "%s: disk %s: %s", r->pub.config->name, disk->vdev,
					   error_name(err));
	}
	host_free(params, CONFIG_PATH_MAX);
	return err;
}

int control_disk_attach(const char *name, const char *spec, control_done_fn *done, void *ctx)
{
	struct device_target target;
	struct domain_record *r;
	struct config_disk *disk;
	int err = control_find_running(name, &r);

	if (!err)
		err = device_read_spec(r, spec, config_add_disk);
	if (err)
		return err;
	disk = (struct config_disk *)&r->pub.config->disks[r->pub.config->n_disks - 1];
	target_of(disk, &target);
	err = control_add_disk(r, disk);
	if (err) {
		forget_disk(r, target.dev.devid);
		return err;
	}
	target.dev = disk_device(disk); /* its backend's number is known now */
	err = device_begin(r, &target, DEVICE_ATTACH, done, ctx);
	if (err) {
		control_store_remove_device(r->pub.domid, &target.dev);
		forget_disk(r, target.dev.devid);
	}
	return err;
}

int control_disk_detach(const char *name, const char *word, bool force, control_done_fn *done,
			void *ctx)
{
	struct device_target target;
	struct domain_record *r;
	struct config_disk *disk;
	int err = find_idle(name, word, &r, &disk);

	if (err)
		return err;
	target_of(disk, &target);
	return device_detach(r, &target, force, done, ctx);
}

/* ---- medium and limit ---------------------------------------------------------------------- */

static int insert(const struct domain_record *r, struct config_disk *disk, const char *target,
		  char params[CONFIG_PATH_MAX])
{
	struct config_disk next = *disk;
	int err;

	if (!str_copy(next.target, sizeof(next.target), target))
		return control_fail(-XEN_E2BIG, "%s: disk %s: the name is too long",
				    r->pub.config->name, disk->vdev);
	err = control_resolve_disk(r, &next, params);
	if (!err)
		err = control_store_change_medium(r, disk, params);
	if (!err)
		*disk = next;
	return err;
}

int control_disk_insert(const char *name, const char *word, const char *target)
{
	struct domain_record *r;
	struct config_disk *disk;
	char *params;
	int err = find_idle(name, word, &r, &disk);

	if (err)
		return err;
	if (!disk->cdrom)
		return control_fail(-XEN_EINVAL, "%s: disk %s is no CD-ROM", name, disk->vdev);
	params = host_alloc(CONFIG_PATH_MAX);
	if (!params)
		return -XEN_ENOMEM;
	err = insert(r, disk, target, params);
	host_free(params, CONFIG_PATH_MAX);
	return err;
}

int control_disk_limit(const char *name, const char *word, const struct config_limit *limit)
{
	struct domain_record *r;
	struct config_disk *disk, next;
	int err = find_idle(name, word, &r, &disk);

	if (err)
		return err;
	next = *disk;
	next.limit = *limit;
	err = control_store_change_limit(r, &next);
	if (!err)
		*disk = next;
	return err;
}
