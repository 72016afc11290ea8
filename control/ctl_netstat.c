/* ctl_netstat.c: the commands that look at networks at work: counters of interfaces, and the frames themselves.
 *
 * A row for each interface of the registry (guests', wires, bridges), and one for each queue that something went through; figures are
 * net.h's and netback.h's. The frames are capture.h's, for whoever has the port; here are only the words. Worker
 * context. Caller: ctl_commands.c. Calls host_net.h, netback.h, ctl_table.h.
 */
#include <amphi/host_net.h>
#include <amphi/netback.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_private.h"
#include "ctl_run.h"
#include "ctl_table.h"

/* ---- netstat -------------------------------------------------------------------------------- */

static const struct ctl_column columns[] = {
    {"NAME", "name", -12, CTL_TEXT}, /* of the domain; "-": the service domain's */
    {"IF", "interface", -10, CTL_TEXT},
    {"QUEUE", "queue", 5, CTL_NUMBER}, /* null: all of it */
    {"FRAMES IN", "frames_in", 10, CTL_NUMBER},
    {"BYTES IN", "bytes_in", 12, CTL_NUMBER},
    {"BATCHES", "batches_in", 9, CTL_NUMBER},
    {"FRAMES OUT", "frames_out", 10, CTL_NUMBER},
    {"BYTES OUT", "bytes_out", 12, CTL_NUMBER},
    {"BATCHES", "batches_out", 9, CTL_NUMBER},
    {"SENT", "notifications_sent", 8, CTL_NUMBER},
    {"HEARD", "notifications_received", 8, CTL_NUMBER},
    {"COPY CALLS", "copy_calls", 10, CTL_NUMBER}, /* of a guest's interface: hypercalls */
    {"DROPPED", "dropped", 8, CTL_NUMBER},
    {"WHY", "drops", -1, CTL_TEXT}, /* REASON:COUNT parted by blanks */
};

#define WHY_TEXT 160u

struct listing {
	struct ctl_answer *out;
	const char *only; /* a domain or an interface; NULL: all */
	unsigned n;
};

static void add_stats(struct net_stats *sum, const struct net_stats *s)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)s;

	for (unsigned i = 0; i < sizeof(*s) / sizeof(*from); i++)
		to[i] += from[i];
}
_Static_assert(sizeof(struct net_stats) % sizeof(uint64_t) == 0, "counters and nothing else");

static uint64_t why_text(const struct net_stats *s, char out[WHY_TEXT])
{
	static const char *const reasons[] = {
#define REASON(name, text) #name,
	    NET_DROPS(REASON)
#undef REASON
	};
	uint64_t all = 0;
	size_t len = 0;

	out[0] = 0;
	for (unsigned i = 0; i < NET_DROP_REASONS; i++) {
		all += s->drops[i];
		if (s->drops[i] && len < WHY_TEXT)
			len += fmt_text(out + len, WHY_TEXT - len, "%s%s:%llu", len ? " " : "",
					reasons[i], (unsigned long long)s->drops[i]);
	}
	return all;
}

static void add_row(const struct listing *l, const char *name, const struct net_device *dev,
		    uint64_t queue, const struct net_stats *s, uint64_t copy_calls)
{
	char why[WHY_TEXT];
	uint64_t dropped = why_text(s, why);

	ctl_table_row(l->out, columns, ARRAY_SIZE(columns),
		      (const struct ctl_cell[]){
			  {.text = name},
			  {.text = dev->name},
			  {.number = queue},
			  {.number = s->frames_in},
			  {.number = s->bytes_in},
			  {.number = s->batches_in},
			  {.number = s->frames_out},
			  {.number = s->bytes_out},
			  {.number = s->batches_out},
			  {.number = s->notifications_out},
			  {.number = s->notifications_in},
			  {.number = copy_calls},
			  {.number = dropped},
			  {.text = why},
		      });
}

struct of_guest {
	const struct net_device *dev;
	const char *name;
	uint64_t copy_calls;
};

static void match(const struct netback_info *info, void *ctx)
{
	struct of_guest *g = ctx;

	if (!info->connected || info->dev != g->dev)
		return;
	g->name = ctl_guest_name(info->guest);
	g->copy_calls = info->stats.copy_calls;
}

static void add_device(struct listing *l, const struct net_device *dev)
{
	struct of_guest g = {dev, "-", CTL_NOTHING};
	struct net_stats sum = {0};

	netback_for_each(match, &g);
	if (l->only && strcmp(l->only, g.name) != 0 && strcmp(l->only, dev->name) != 0)
		return;
	for (unsigned i = 0; i < dev->n_queues; i++)
		add_stats(&sum, &dev->stats[i]);
	add_row(l, g.name, dev, CTL_NOTHING, &sum, g.copy_calls);
	for (unsigned i = 0; i < dev->n_queues && dev->n_queues > 1; i++)
		add_row(l, g.name, dev, i, &dev->stats[i], CTL_NOTHING);
	l->n++;
}

int ctl_netstat(struct run *r)
{
	struct listing l = {r->out, r->argv[1], 0};

	ctl_table_begin(r->out, columns, ARRAY_SIZE(columns));
	for (struct net_device *dev = host_net_next(NULL); dev; dev = host_net_next(dev))
		add_device(&l, dev);
	ctl_table_end(r->out);
	if (l.only && !l.n && !control_find(l.only))
		return control_fail(-XEN_ENOENT, "%s: no such domain or interface", l.only);
	return 0;
}

/* ---- pcap ----------------------------------------------------------------------------------- */

static bool take_number(const char *text, uint64_t most, uint64_t *out)
{
	return text && str_to_u64(text, out) && *out && *out <= most;
}

/* One word of the command, or two. How many; 0: it is not understood. */
static int take_word(char **words, struct capture_want *want)
{
	uint64_t n;

	if (!strcmp(words[0], "count") && take_number(words[1], UINT64_MAX, &n)) {
		want->count = n;
		return 2;
	}
	if (!strcmp(words[0], "snap") && take_number(words[1], CAPTURE_SNAP_MAX, &n)) {
		want->snap_bytes = (uint32_t)n;
		return 2;
	}
	if (!strcmp(words[0], "in")) {
		want->out = false;
		return 1;
	}
	if (!strcmp(words[0], "out")) {
		want->in = false;
		return 1;
	}
	return 0;
}

/* A domain's name means its first interface. */
static void find_interface(const char *word, struct capture_want *want)
{
	const struct control_domain *d = control_find(word);
	unsigned vif = d && d->config->n_vifs ? d->config->vifs[0].devid : 0;

	if (d)
		fmt_text(want->name, sizeof(want->name), "vif%u.%u", d->domid, vif);
	else if (!str_copy(want->name, sizeof(want->name), word))
		want->name[0] = 0;
}

int ctl_pcap(struct run *r)
{
	struct capture_want want = {.snap_bytes = CAPTURE_SNAP_MAX, .in = true, .out = true};
	int taken, err;

	for (int i = 2; i < r->argc; i += taken) {
		taken = take_word(r->argv + i, &want);
		if (!taken || !(want.in || want.out))
			return control_fail(-XEN_EINVAL,
					    "usage: pcap NAME [count N] [snap BYTES] [in|out]");
	}
	if (!r->hooks->capture)
		return control_fail(-XEN_EOPNOTSUPP, "pcap: only by amphi-tool ctl");
	find_interface(r->argv[1], &want);
	err = r->hooks->capture(r->hooks->ctx, &want);
	if (err == -XEN_ENODEV)
		return control_fail(err, "%s: no interface that is connected", r->argv[1]);
	return err == -XEN_EBUSY
		   ? control_fail(err, "%s: somebody looks on there already", r->argv[1])
		   : err;
}
