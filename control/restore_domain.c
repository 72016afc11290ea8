/* restore_domain.c: the first and the last steps of a domain that is made of a stream.
 *
 * First, when its configuration is known: a domain without memory, as the builder makes it. Last, when all has
 * been read: the pages that the guest looks at, its tables, its vCPUs. In between restore_stream.c fills
 * its memory. Not here: the disk, and the life (restore.c). Caller: restore.c, the fuzzer. Calls builder.h,
 * restore_memory.c, restore_vcpu.c.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>

#include "control_plan.h"
#include "restore.h"

/* As control_create's plan, but for the kernel: all that is in memory comes from the stream. */
static void make_plan(struct restore *r)
{
	r->plan = control_plan(r->config);
	r->build.plan = &r->plan;
	r->build.out = &r->built;
	r->build.why = r->why;
}

int restore_make_domain(struct restore *r)
{
	make_plan(r);
	return build_make_domain(&r->build);
}

/* In order: what stands in pages is written before tables are pinned, and vCPUs come last, since their
 * registers name tables. */
static const struct {
	int (*take)(struct restore *r);
	const char *what;
} steps[] = {
    {restore_finish_list, "write its page list"},
    {restore_write_start_info, "write its start info"},
    {restore_write_shared_info, "write its shared page"},
    {restore_set_tsc, "set its clock"},
    {restore_pin, "have its page tables checked"},
    {restore_set_vcpus, "set its registers"},
};

int restore_finish(struct restore *r)
{
	int err = 0;

	r->what = NULL; /* no record is at fault any more */
	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !err; i++) {
		err = steps[i].take(r);
		if (err && !r->why[0])
			restore_fail(r, err, "cannot %s: %s", steps[i].what, error_name(err));
	}
	if (!err) {
		err = build_grant_rings(&r->build);
		if (err)
			restore_fail(r, err, "cannot offer its rings: %s", error_name(err));
	}
	return err;
}
