/* ctl_blktrace.c: the command that shows requests step by step, from a guest's frontend to the disk and back.
 *
 * blkback keeps its own steps; a guest of ours keeps the frontend's, is asked for them through the store and tells them
 * once tracing is over (amphi/blktrace.h). Both look at the same requests, by their numbers on the ring, and read
 * the same clock, so a row has both. What a guest tells is shown as its word: a row of it that cannot be so
 * beside the backend's own is left out. Worker context. Caller: ctl_commands.c.
 */
#include <amphi/blkback.h>
#include <amphi/blkif.h>
#include <amphi/blktrace.h>
#include <amphi/control_disk.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "ctl_run.h"
#include "ctl_table.h"

/* The steps as what each took since the one before; of each half the whole stands at its end. Instructions, where time
 * is counted in them. */
static const struct ctl_column columns[] = {
    {"NAME", "name", -12, CTL_TEXT},          {"ID", "id", 4, CTL_NUMBER},
    {"DEVID", "devid", 6, CTL_NUMBER},        {"RING", "queue", 4, CTL_NUMBER},
    {"NUMBER", "number", 8, CTL_NUMBER},      {"DOES", "op", -8, CTL_TEXT},
    {"SECTOR", "sector", 10, CTL_NUMBER},     {"BYTES", "bytes", 8, CTL_NUMBER},
    {"STATUS", "status", -6, CTL_TEXT},       {"SUBMITTED", "submitted_ns", 14, CTL_NUMBER},
    {"PUT", "put_ns", 8, CTL_NUMBER},         {"TOLD", "told_ns", 8, CTL_NUMBER},
    {"REACHED", "reached_ns", 8, CTL_NUMBER}, {"TAKEN", "taken_ns", 14, CTL_NUMBER},
    {"MAPPED", "mapped_ns", 8, CTL_NUMBER},   {"TURN", "turn_ns", 8, CTL_NUMBER},
    {"DISK", "disk_ns", 9, CTL_NUMBER},       {"ANSWER", "answered_ns", 8, CTL_NUMBER},
    {"ALL", "all_ns", 9, CTL_NUMBER},         {"SEEN", "seen_ns", 8, CTL_NUMBER},
    {"DONE", "done_ns", 8, CTL_NUMBER},       {"WHOLE", "whole_ns", 9, CTL_NUMBER},
};

/* ---- what guests told ----------------------------------------------------------------------- */

/* Of one guest; rows of others take its place when they are asked for. */
struct told {
	struct ctl_answer *out; /* where the rows go */
	domid_t guest;
	unsigned n;
	struct blkfront_trace rows[BLKFRONT_TRACES];
};

static void guest_path(char path[STORE_PATH_MAX], domid_t guest, const char *node)
{
	fmt_text(path, STORE_PATH_MAX, "/local/domain/%u/%s", guest, node);
}

static void load(struct told *told, domid_t guest)
{
	char node[sizeof(BLKTRACE_TOLD) + 8], path[STORE_PATH_MAX], text[BLKTRACE_TEXT_MAX];

	told->guest = guest;
	told->n = 0;
	for (unsigned i = 0; i < BLKFRONT_TRACES; i++) {
		fmt_text(node, sizeof(node), BLKTRACE_TOLD "/%u", i);
		guest_path(path, guest, node);
		if (host_store_read(HOST_TX_NONE, path, text, sizeof(text)) < 0)
			return;
		told->n += blktrace_parse(text, &told->rows[told->n]);
	}
}

/* The same request, and the halves' times in one order; NULL: the guest told none. */
static const struct blkfront_trace *front_of(struct told *told, const struct blkback_trace *t)
{
	if (told->guest != t->guest)
		load(told, t->guest);
	for (unsigned i = 0; i < told->n; i++) {
		const struct blkfront_trace *f = &told->rows[i];

		if (f->vdev == t->vdev && f->queue == t->queue && f->number == t->number &&
		    f->op == t->op && f->sector == t->sector &&
		    f->at_ns[BLKFRONT_TOLD] <= t->at_ns[BLKBACK_TAKEN] &&
		    f->at_ns[BLKFRONT_SEEN] >= t->at_ns[BLKBACK_ANSWERED])
			return f;
	}
	return NULL;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static const char *op_name(uint8_t op)
{
	static const char *const names[] = {
	    [BLKIF_OP_READ] = "read",
	    [BLKIF_OP_WRITE] = "write",
	    [BLKIF_OP_WRITE_BARRIER] = "barrier",
	    [BLKIF_OP_FLUSH_DISKCACHE] = "flush",
	    [BLKIF_OP_DISCARD] = "discard",
	};

	return op < ARRAY_SIZE(names) && names[op] ? names[op] : "?";
}

/* A step that was not made (of a request that was refused) has no time. */
static uint64_t took(const struct blkback_trace *t, enum blkback_step step)
{
	if (!t->at_ns[step] || !t->at_ns[step - 1])
		return CTL_NOTHING;
	return t->at_ns[step] - t->at_ns[step - 1];
}

/* From one time to another, when there is a frontend's row. */
static uint64_t between(const struct blkfront_trace *f, uint64_t from_ns, uint64_t to_ns)
{
	return f ? to_ns - from_ns : CTL_NOTHING;
}

static void add_trace(const struct blkback_trace *t, void *ctx)
{
	static const struct blkfront_trace none;
	struct told *told = ctx;
	const struct blkfront_trace *f = front_of(told, t);
	const uint64_t *at = f ? f->at_ns : none.at_ns;

	ctl_table_row(told->out, columns, ARRAY_SIZE(columns),
		      (const struct ctl_cell[]){
			  {.text = ctl_guest_name(t->guest)},
			  {.number = t->guest},
			  {.number = t->vdev},
			  {.number = t->queue},
			  {.number = t->number},
			  {.text = op_name(t->op)},
			  {.number = t->sector},
			  {.number = t->bytes},
			  {.text = t->status == BLKIF_RSP_OKAY ? "ok" : "error"},
			  {.number = between(f, 0, at[BLKFRONT_SUBMITTED])},
			  {.number = between(f, at[BLKFRONT_SUBMITTED], at[BLKFRONT_PUT])},
			  {.number = between(f, at[BLKFRONT_PUT], at[BLKFRONT_TOLD])},
			  {.number = between(f, at[BLKFRONT_TOLD], t->at_ns[BLKBACK_TAKEN])},
			  {.number = t->at_ns[BLKBACK_TAKEN]},
			  {.number = took(t, BLKBACK_MAPPED)},
			  {.number = took(t, BLKBACK_GIVEN)},
			  {.number = took(t, BLKBACK_DONE)},
			  {.number = took(t, BLKBACK_ANSWERED)},
			  {.number = t->at_ns[BLKBACK_ANSWERED] - t->at_ns[BLKBACK_TAKEN]},
			  {.number = between(f, t->at_ns[BLKBACK_ANSWERED], at[BLKFRONT_SEEN])},
			  {.number = between(f, at[BLKFRONT_SEEN], at[BLKFRONT_DONE])},
			  {.number = between(f, at[BLKFRONT_SUBMITTED], at[BLKFRONT_DONE])},
		      });
}

static int show(struct run *r)
{
	struct told *told = host_alloc(sizeof(*told));

	if (!told)
		return -XEN_ENOMEM;
	told->out = r->out;
	told->guest = DOMID_INVALID;
	ctl_table_begin(r->out, columns, ARRAY_SIZE(columns));
	blkback_trace_for_each(add_trace, told);
	ctl_table_end(r->out);
	host_free(told, sizeof(*told));
	return 0;
}

/* ---- begin and end -------------------------------------------------------------------------- */

/* A guest that is not ours passes over it. */
static void ask(domid_t guest, const char *what)
{
	char path[STORE_PATH_MAX];

	guest_path(path, guest, BLKTRACE_ASK);
	(void)host_store_write(HOST_TX_NONE, path, what);
}

static void ask_one(void *ctx, const struct control_domain *d)
{
	ask(d->domid, ctx);
}

/* The guests first: a frontend that looks already when the backend begins misses nothing. */
static int begin(unsigned every, const struct control_domain *guest, const struct config_disk *disk)
{
	char what[32];

	if (guest)
		fmt_text(what, sizeof(what), "%u %u", every, disk->devid);
	else
		fmt_text(what, sizeof(what), "%u", every);
	if (guest)
		ask(guest->domid, what);
	else
		control_for_each(ask_one, what);
	blkback_trace(guest ? guest->domid : DOMID_INVALID, guest ? disk->devid : 0, every);
	return 0;
}

/* blktrace: what was traced. blktrace off; blktrace EVERY [NAME DISK]: from now on. */
int ctl_blktrace(struct run *r)
{
	const struct config_disk *disk = NULL;
	uint64_t every = 0;

	if (r->argc == 1)
		return show(r);
	if (strcmp(r->argv[1], "off") != 0 &&
	    (!str_to_u64(r->argv[1], &every) || !every || every > UINT32_MAX))
		return control_fail(-XEN_EINVAL, "'%s' is neither off nor a number", r->argv[1]);
	if (r->argc == 3)
		return control_fail(-XEN_EINVAL, "usage: blktrace [off | EVERY [NAME DISK]]");
	if (r->argc == 4) {
		disk = control_disk_find(r->argv[2], r->argv[3]);
		if (!disk)
			return -XEN_ENOENT;
	}
	return begin((unsigned)every, disk ? control_find(r->argv[2]) : NULL, disk);
}
