/* ctl_block.c: the commands on domains' disks: their words, and what they do by control_disk.h.
 *
 * Attaching and detaching take a backend's and a guest's time: they are begun here, and the answer comes when they
 * have ended. Worker context. Caller: ctl_commands.c. Calls control_disk.h, ctl_table.h.
 */
#include <amphi/control_disk.h>
#include <amphi/host.h>
#include <amphi/string.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

/* A spec with blanks comes as several words, as it would of a shell that quotes: they are one again. */
bool ctl_join_words(char **words, char *out, size_t cap)
{
	size_t len = 0;
	bool fits = true;

	out[0] = 0;
	for (; *words; words++) {
		fits = fits && str_copy(out + len, cap - len, *words);
		len = strlen(out);
	}
	return fits;
}

int ctl_block_attach(struct run *r)
{
	char spec[CTL_LINE_MAX];
	int err;

	if (!ctl_join_words(r->argv + 2, spec, sizeof(spec)))
		return -XEN_E2BIG;
	err = control_disk_attach(r->argv[1], spec, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
}

bool ctl_detach_words(const struct run *r, const char *words[2], bool *out_force)
{
	unsigned n = 0;

	*out_force = false;
	for (int i = 1; i < r->argc; i++)
		if (!strcmp(r->argv[i], "--force"))
			*out_force = true;
		else if (n < 2)
			words[n++] = r->argv[i];
	return n == 2 && r->argc - 1 == 2 + *out_force;
}

int ctl_block_detach(struct run *r)
{
	const char *words[2] = {0};
	bool force;
	int err;

	if (!ctl_detach_words(r, words, &force))
		return control_fail(-XEN_EINVAL, "usage: block-detach NAME DISK [--force]");
	err = control_disk_detach(words[0], words[1], force, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
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

struct listing {
	struct ctl_answer *out;
	const char *only; /* NULL: all */
};

static uint64_t or_nothing(uint64_t limit)
{
	return limit ? limit : CTL_NOTHING;
}

static void add_disk(const struct listing *l, const struct control_domain *d,
		     const struct config_disk *disk)
{
	struct store_device dev = disk_device(disk);

	ctl_table_row(l->out, list_columns, ARRAY_SIZE(list_columns),
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

static void add_disks(void *ctx, const struct control_domain *d)
{
	const struct listing *l = ctx;

	if (l->only && strcmp(l->only, d->config->name) != 0)
		return;
	for (unsigned i = 0; i < d->config->n_disks; i++)
		add_disk(l, d, &d->config->disks[i]);
}

int ctl_block_list(struct run *r)
{
	struct listing l = {r->out, r->argv[1]};

	if (l.only && !control_find(l.only))
		return control_fail(-XEN_ENOENT, "%s: no such domain", l.only);
	ctl_table_begin(r->out, list_columns, ARRAY_SIZE(list_columns));
	control_for_each(add_disks, &l);
	ctl_table_end(r->out);
	return 0;
}
