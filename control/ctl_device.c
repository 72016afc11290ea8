/* ctl_device.c: what the commands on domains' disks, interfaces and functions have in common: their words and their lists.
 *
 * Attaching and detaching take a backend's and a guest's time: they are begun here, and the answer comes when they
 * have ended. Worker context. Callers: ctl_block.c, ctl_net.c, ctl_pci.c, ctl_commands.c. Calls what they hand over.
 */
#include <amphi/string.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

/* A spec with blanks comes as several words, as it would of a shell that quotes: they are one again. */
static bool join_words(char **words, char *out, size_t cap)
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

int ctl_attach(struct run *r, ctl_attach_fn *attach)
{
	char spec[CTL_LINE_MAX];
	int err;

	if (!join_words(r->argv + 2, spec, sizeof(spec)))
		return -XEN_E2BIG;
	err = attach(r->argv[1], spec, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
}

int ctl_detach(struct run *r, const char *device, ctl_detach_fn *detach)
{
	const char *words[2] = {0};
	unsigned n = 0;
	bool force = false;
	int err;

	for (int i = 1; i < r->argc; i++)
		if (!strcmp(r->argv[i], "--force"))
			force = true;
		else if (n < 2)
			words[n++] = r->argv[i];
	if (n != 2 || r->argc - 1 != 2 + force)
		return control_fail(-XEN_EINVAL, "usage: %s NAME %s [--force]", r->argv[0], device);
	err = detach(words[0], words[1], force, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	return err;
}

struct listing {
	struct ctl_answer *out;
	const char *only; /* NULL: all */
	ctl_add_fn *add;
};

static void add_domain(void *ctx, const struct control_domain *d)
{
	const struct listing *l = ctx;

	if (!l->only || strcmp(l->only, d->config->name) == 0)
		l->add(l->out, d);
}

int ctl_list(struct run *r, const struct ctl_column *columns, unsigned n, ctl_add_fn *add)
{
	struct listing l = {r->out, r->argv[1], add};

	if (l.only && !control_find(l.only))
		return control_fail(-XEN_ENOENT, "%s: no such domain", l.only);
	ctl_table_begin(r->out, columns, n);
	control_for_each(add_domain, &l);
	ctl_table_end(r->out);
	return 0;
}
