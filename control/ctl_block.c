/* ctl_block.c: the commands on domains' disks: their words, and what they do by control_disk.h.
 *
 * Worker context. Caller: ctl_commands.c. Calls control_disk.h, ctl_device.c, ctl_table.h.
 */
#include <amphi/control_disk.h>
#include <amphi/host.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

int ctl_block_attach(struct run *r)
{
	return ctl_attach(r, control_disk_attach);
}

int ctl_block_detach(struct run *r)
{
	return ctl_detach(r, "DISK", control_disk_detach);
}

/* What is not said stays as it is. */
int ctl_block_limit(struct run *r)
{
	const struct config_disk *disk = control_disk_find(r->argv[1], r->argv[2]);
	struct config_limit limit;

	if (!disk)
		return -XEN_ENOENT;
	limit = disk->limit;
	for (char **word = r->argv + 3; *word; word++) {
		const char *why = config_limit_word(*word, &limit);

		if (why)
			return control_fail(-XEN_EINVAL, "%s: %s", *word, why);
	}
	return control_disk_limit(r->argv[1], r->argv[2], &limit);
}

int ctl_cd_insert(struct run *r)
{
	return control_disk_insert(r->argv[1], r->argv[2], r->argv[3]);
}

int ctl_cd_eject(struct run *r)
{
	return control_disk_insert(r->argv[1], r->argv[2], "");
}

/* ---- the disks of domains -------------------------------------------------------------------- */

static const struct ctl_column list_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},         {"DISK", "disk", -6, CTL_TEXT},
    {"DEVID", "devid", 6, CTL_NUMBER},       {"STATE", "state", 5, CTL_NUMBER},
    {"IOPS", "iops", 8, CTL_NUMBER},         {"BPS", "bps", 11, CTL_NUMBER},
    {"BURST ms", "burst_ms", 8, CTL_NUMBER}, {"KIND", "kind", -5, CTL_TEXT},
    {"MODE", "mode", -4, CTL_TEXT},          {"TARGET", "target", -1, CTL_TEXT},
};

static uint64_t or_nothing(uint64_t limit)
{
	return limit ? limit : CTL_NOTHING;
}

static void add_disk(struct ctl_answer *out, const struct control_domain *d,
		     const struct config_disk *disk)
{
	struct store_device dev = disk_device(disk);

	ctl_table_row(out, list_columns, ARRAY_SIZE(list_columns),
		      (const struct ctl_cell[]){
			  {.text = d->config->name},
			  {.text = disk->vdev},
			  {.number = disk->devid},
			  {.number = control_store_device_state(d->domid, &dev)},
			  {.number = or_nothing(disk->limit.iops)},
			  {.number = or_nothing(disk->limit.bps)},
			  {.number = disk->limit.iops || disk->limit.bps ? disk->limit.burst_ms
									 : CTL_NOTHING},
			  {.text = disk->cdrom ? "cdrom" : "disk"},
			  {.text = disk->readonly ? "r" : "w"},
			  {.text = disk->target},
		      });
}

static void add_disks(struct ctl_answer *out, const struct control_domain *d)
{
	for (unsigned i = 0; i < d->config->n_disks; i++)
		add_disk(out, d, &d->config->disks[i]);
}

int ctl_block_list(struct run *r)
{
	return ctl_list(r, list_columns, ARRAY_SIZE(list_columns), add_disks);
}
