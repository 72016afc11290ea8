/* control_list.c: the domains that control has, by name and in order, and the text of its last error.
 *
 * What all of control's files share and none of them is about. It knows nothing of a domain but its name.
 * Worker context. Callers: control*.c, save*.c, restore*.c; control.h's readers.
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_private.h"

static struct domain_record *domains; /* in the order of their making */
static char last_why[BUILD_WHY_MAX];

/* ---- errors ------------------------------------------------------------------------------- */

/* Logged for whoever follows the console, kept for whoever gave the command. */
int control_fail(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fmt_vtext(last_why, sizeof(last_why), fmt, args);
	va_end(args);
	host_log(HOST_LOG_ERROR, "%s", last_why);
	return err;
}

const char *control_why(void)
{
	return last_why;
}

void control_forget_why(void)
{
	last_why[0] = 0;
}

/* ---- finding ------------------------------------------------------------------------------ */

struct domain_record *control_first(void)
{
	return domains;
}

struct domain_record *control_find_record(const char *name)
{
	struct domain_record *r = domains;

	while (r && strcmp(r->pub.config->name, name) != 0)
		r = r->next;
	return r;
}

const struct control_domain *control_find(const char *name)
{
	struct domain_record *r = control_find_record(name);

	return r ? &r->pub : NULL;
}

int control_record(const char *name, struct domain_record **out)
{
	*out = control_find_record(name);
	return *out ? 0 : control_fail(-XEN_ENOENT, "%s: no such domain", name);
}

/* next is read first: fn may end the domain it is shown, though not another. */
void control_for_each(void (*fn)(void *ctx, const struct control_domain *domain), void *ctx)
{
	struct domain_record *next;

	for (struct domain_record *r = domains; r; r = next) {
		next = r->next;
		fn(ctx, &r->pub);
	}
}

unsigned control_count(void)
{
	unsigned n = 0;

	for (struct domain_record *r = domains; r; r = r->next)
		n++;
	return n;
}

/* At the end, so that lists and consoles keep the order in which domains were made. */
void control_list_add(struct domain_record *r)
{
	struct domain_record **end = &domains;

	while (*end)
		end = &(*end)->next;
	*end = r;
}

void control_list_remove(struct domain_record *r)
{
	struct domain_record **at = &domains;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}
