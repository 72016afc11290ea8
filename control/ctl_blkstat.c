/* ctl_blkstat.c: the commands that look at disks at work: counters and latencies.
 *
 * A row for each disk that this domain serves, and one for each of its rings; figures are blkback.h's. Worker context.
 * Caller: ctl_commands.c, and ctl_blktrace.c for names. Calls blkback.h, control.h, ctl_table.h.
 */
#include <amphi/blkback.h>
#include <amphi/blkif.h>
#include <amphi/control_disk.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "ctl_run.h"
#include "ctl_table.h"

struct name_of {
	domid_t domid;
	const char *name;
};

static void match(void *ctx, const struct control_domain *d)
{
	struct name_of *n = ctx;

	if (d->domid == n->domid)
		n->name = d->config->name;
}

const char *ctl_guest_name(domid_t domid)
{
	struct name_of n = {domid, "?"};

	control_for_each(match, &n);
	return n.name;
}

/* ---- blkstat -------------------------------------------------------------------------------- */

static const struct ctl_column stat_columns[] = {
    {"NAME", "name", -12, CTL_TEXT},
    {"ID", "id", 4, CTL_NUMBER},
    {"DISK", "disk", -5, CTL_TEXT},
    {"RING", "queue", 4, CTL_NUMBER}, /* null: all of the disk */
    {"REQUESTS", "requests", 9, CTL_NUMBER},
    {"BYTES READ", "bytes_read", 12, CTL_NUMBER},
    {"WRITTEN", "bytes_written", 12, CTL_NUMBER},
    {"SEGMENTS", "segments", 9, CTL_NUMBER},
    {"MERGED", "merged", 8, CTL_NUMBER},
    {"PARTS", "parts", 6, CTL_NUMBER},
    {"NOW", "in_flight", 4, CTL_NUMBER},
    {"WAIT", "waiting", 4, CTL_NUMBER},
    {"WAITED", "waited", 7, CTL_NUMBER},
    {"HELD", "held", 6, CTL_NUMBER},
    {"ERRORS", "errors", 6, CTL_NUMBER},
    {"REFUSED", "refused", 7, CTL_NUMBER},
    {"SENT", "notifications_sent", 8, CTL_NUMBER},
    {"HEARD", "notifications_received", 8, CTL_NUMBER},
    {"KEPT HITS", "persistent_hits", 9, CTL_NUMBER},
    {"HALF ns", "median_ns", 10, CTL_NUMBER},
    {"99% ns", "p99_ns", 10, CTL_NUMBER},
    {"LATENCIES", "latency", -1, CTL_TEXT},
};

#define LATENCY_TEXT 320u

/* What all kinds of requests took; of one ring, or of all. */
struct latencies {
	uint64_t of[BLKBACK_LATENCIES], all;
};

static void add_latencies(struct latencies *l, const struct blkback_queue_stats *q)
{
	for (unsigned kind = 0; kind < BLKBACK_KINDS; kind++)
		for (unsigned i = 0; i < BLKBACK_LATENCIES; i++) {
			l->of[i] += q->latency[kind][i];
			l->all += q->latency[kind][i];
		}
}

/* The upper bound of the step in which the per_cent-th of the requests is. */
static uint64_t below_which(const struct latencies *l, unsigned per_cent)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < BLKBACK_LATENCIES && l->all; i++) {
		sum += l->of[i];
		if (sum * 100 >= l->all * per_cent)
			return 2ull << i;
	}
	return CTL_NOTHING;
}

/* "13:5 14:20": 5 requests took 2^13 ns and less than twice that, 20 more. */
static void latency_text(const struct latencies *l, char out[LATENCY_TEXT])
{
	size_t len = 0;

	out[0] = 0;
	for (unsigned i = 0; i < BLKBACK_LATENCIES && len < LATENCY_TEXT; i++)
		if (l->of[i])
			len += fmt_text(out + len, LATENCY_TEXT - len, "%s%u:%llu", len ? " " : "",
					i, (unsigned long long)l->of[i]);
}

struct stat_listing {
	struct ctl_answer *out;
	const char *only; /* NULL: all */
};

static void add_disk_row(struct ctl_answer *out, const struct blkback_info *i, const char *name,
			 const struct latencies *l)
{
	const struct blkback_stats *s = &i->stats;
	char text[LATENCY_TEXT];

	latency_text(l, text);
	ctl_table_row(out, stat_columns, ARRAY_SIZE(stat_columns),
		      (const struct ctl_cell[]){
			  {.text = name},
			  {.number = i->guest},
			  {.text = i->name},
			  {.number = CTL_NOTHING},
			  {.number = s->requests},
			  {.number = s->bytes_read},
			  {.number = s->bytes_written},
			  {.number = s->segments},
			  {.number = s->merged},
			  {.number = s->parts},
			  {.number = s->in_flight},
			  {.number = s->waiting},
			  {.number = s->waited},
			  {.number = s->held},
			  {.number = s->errors},
			  {.number = s->refused},
			  {.number = s->notifications_sent},
			  {.number = s->notifications_received},
			  {.number = s->persistent_hits},
			  {.number = below_which(l, 50)},
			  {.number = below_which(l, 99)},
			  {.text = text},
		      });
}

/* What is counted of a disk only is nothing of a ring. */
static void add_queue_row(struct ctl_answer *out, const struct blkback_info *i, const char *name,
			  unsigned number, const struct blkback_queue_stats *q)
{
	struct latencies l = {0};
	char text[LATENCY_TEXT];
	struct ctl_cell cells[ARRAY_SIZE(stat_columns)];

	add_latencies(&l, q);
	latency_text(&l, text);
	for (unsigned c = 0; c < ARRAY_SIZE(cells); c++)
		cells[c].number = CTL_NOTHING;
	cells[0].text = name;
	cells[1].number = i->guest;
	cells[2].text = i->name;
	cells[3].number = number;
	cells[4].number = l.all;
	cells[5].number = q->bytes_read;
	cells[6].number = q->bytes_written;
	cells[7].number = q->segments;
	cells[8].number = q->merged;
	cells[10].number = q->in_flight;
	cells[16].number = q->notifications_sent;
	cells[17].number = q->notifications_received;
	cells[19].number = below_which(&l, 50);
	cells[20].number = below_which(&l, 99);
	cells[21].text = text;
	ctl_table_row(out, stat_columns, ARRAY_SIZE(stat_columns), cells);
}

static void add_stat(const struct blkback_info *i, void *ctx)
{
	const struct stat_listing *list = ctx;
	const struct blkback_queue_stats *q;
	const char *name = ctl_guest_name(i->guest);
	struct latencies l = {0};

	if (list->only && strcmp(list->only, name) != 0)
		return;
	for (unsigned n = 0; (q = blkback_queue(i, n)); n++)
		add_latencies(&l, q);
	add_disk_row(list->out, i, name, &l);
	for (unsigned n = 0; (q = blkback_queue(i, n)); n++)
		add_queue_row(list->out, i, name, n, q);
}

int ctl_blkstat(struct run *r)
{
	struct stat_listing list = {r->out, r->argv[1]};

	if (list.only && !control_find(list.only))
		return control_fail(-XEN_ENOENT, "%s: no such domain", list.only);
	ctl_table_begin(r->out, stat_columns, ARRAY_SIZE(stat_columns));
	blkback_for_each(add_stat, &list);
	ctl_table_end(r->out);
	return 0;
}
