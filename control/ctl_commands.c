/* ctl_commands.c: the commands on domains, a row each: their words, and what they do by control.h.
 *
 * A command checks its words and then calls control; what that finds wrong is the answer's reason.
 * Nothing waits: what takes time (a destroyed domain whose backends let go) is named in the answer.
 * Worker context. Caller: kernel/service_commands.c. Calls control.h, the other ctl_*.c,
 * ctl_table.h.
 */
#include <amphi/control.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "ctl_run.h"
#include "ctl_table.h"

__attribute__((format(printf, 3, 4))) static int refuse(struct run *r, int err, const char *fmt,
							...)
{
	va_list args;

	va_start(args, fmt);
	fmt_vtext(r->out->why, sizeof(r->out->why), fmt, args);
	va_end(args);
	return err;
}

/* ---- tables of domains ----------------------------------------------------------------------- */

/* The keys are what scripts read: they may become more, and none may change. */
static const struct ctl_column list_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},         {"ID", "id", 5, CTL_NUMBER},
    {"STATE", "state", -8, CTL_TEXT},        {"VCPUS", "vcpus", 5, CTL_NUMBER},
    {"OF", "max_vcpus", 3, CTL_NUMBER},      {"CPU s", "cpu_time_ns", 8, CTL_TIME},
    {"KIB", "memory_kib", 8, CTL_NUMBER},    {"GRANTS", "grants", 6, CTL_NUMBER},
    {"EVENTS", "events", 6, CTL_NUMBER},     {"RESTARTS", "restarts", 8, CTL_NUMBER},
    {"CPU %", "cpu_percent", 6, CTL_TENTHS}, /* of `top` only */
};
#define TOP_COLUMNS  ARRAY_SIZE(list_columns)
#define LIST_COLUMNS (TOP_COLUMNS - 1)

/* What a domain had had when `top` was last asked, by its number; of two domains that share a place, one
 * has no share the next time. */
#define SAMPLES 64u
static struct {
	bool taken;
	domid_t domid;
	uint64_t when_ns, cpu_ns;
} samples[SAMPLES];

/* Tenths of a per cent of one CPU since the last look. */
static uint64_t share_since(domid_t domid, uint64_t cpu_ns)
{
	__typeof__(samples[0]) *s = &samples[domid % SAMPLES];
	uint64_t now = host_time_ns(), share = CTL_NOTHING;

	if (s->taken && s->domid == domid && now > s->when_ns && cpu_ns >= s->cpu_ns)
		share = (cpu_ns - s->cpu_ns) * 1000 / (now - s->when_ns);
	s->taken = true;
	s->domid = domid;
	s->when_ns = now;
	s->cpu_ns = cpu_ns;
	return share;
}

struct listing {
	struct ctl_answer *out;
	unsigned columns;
	const char *only; /* NULL: all */
};

static void add_row(const struct listing *l, const char *name, domid_t domid, const char *state,
		    unsigned restarts)
{
	struct control_figures f = {.state = "gone"};

	(void)control_look(domid, &f);
	ctl_table_row(l->out, list_columns, l->columns,
		      (const struct ctl_cell[]){
			  {.text = name},
			  {.number = domid},
			  {.text = state ? state : f.state},
			  {.number = f.vcpus},
			  {.number = f.max_vcpus},
			  {.number = f.cpu_time_ns},
			  {.number = f.memory_kib},
			  {.number = f.grants},
			  {.number = f.ports},
			  {.number = restarts},
			  {.number = l->columns == TOP_COLUMNS ? share_since(domid, f.cpu_time_ns)
							       : CTL_NOTHING},
		      });
}

/* A domain that lets its backends go is paused to the hypervisor, and one that is saved has ended, which is not what
 * they are to a user. */
static void add_domain(void *ctx, const struct control_domain *d)
{
	const struct listing *l = ctx;

	if (!l->only || !strcmp(l->only, d->config->name))
		add_row(l, d->config->name, d->domid,
			d->state == CONTROL_ENDING   ? "ending"
			: d->state == CONTROL_SAVING ? "saving"
						     : NULL,
			d->restarts);
}

static int list_domains(struct run *r, unsigned columns)
{
	struct listing l = {r->out, columns, r->argv[1]};

	if (l.only && !control_find(l.only))
		return refuse(r, -XEN_ENOENT, "%s: no such domain", l.only);
	ctl_table_begin(r->out, list_columns, columns);
	if (!l.only)
		add_row(&l, "Domain-0", host_own_domid(), NULL, 0);
	control_for_each(add_domain, &l);
	ctl_table_end(r->out);
	return 0;
}

static int list(struct run *r)
{
	return list_domains(r, LIST_COLUMNS);
}

static int top(struct run *r)
{
	return list_domains(r, TOP_COLUMNS);
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

static const struct ctl_column vcpu_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},          {"ID", "id", 5, CTL_NUMBER},
    {"VCPU", "vcpu", 4, CTL_NUMBER},          {"CPU", "cpu", 4, CTL_NUMBER},
    {"STATE", "state", -7, CTL_TEXT},         {"CPU s", "cpu_time_ns", 8, CTL_TIME},
    {"MAY RUN ON", "affinity", 10, CTL_TEXT},
};

/* Processors as a hexadecimal mask, of 64 at most. */
static uint64_t read_affinity(domid_t domid, unsigned vcpu)
{
	uint64_t cpus = 0;
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuaffinity, .domain = domid};

	op.u.vcpuaffinity.vcpu = vcpu;
	op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, (uint8_t *)&cpus);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = 64;
	return host_domctl(&op) ? 0 : cpus;
}

static void add_vcpu(struct ctl_answer *a, const struct control_domain *d, unsigned vcpu)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuinfo, .domain = d->domid};
	const struct xen_domctl_getvcpuinfo *i = &op.u.getvcpuinfo;
	char affinity[24];

	op.u.getvcpuinfo.vcpu = vcpu;
	if (host_domctl(&op))
		return;
	fmt_text(affinity, sizeof(affinity), "0x%llx",
		 (unsigned long long)read_affinity(d->domid, vcpu));
	ctl_table_row(a, vcpu_columns, ARRAY_SIZE(vcpu_columns),
		      (const struct ctl_cell[]){
			  {.text = d->config->name},
			  {.number = d->domid},
			  {.number = vcpu},
			  {.number = i->online ? i->cpu : CTL_NOTHING},
			  {.text = !i->online   ? "offline"
				   : i->running ? "running"
				   : i->blocked ? "blocked"
						: "waiting"},
			  {.number = i->cpu_time},
			  {.text = affinity},
		      });
}

static void add_vcpus(struct ctl_answer *out, const struct control_domain *d)
{
	for (unsigned i = 0; i < d->config->max_vcpus; i++)
		add_vcpu(out, d, i);
}

static int vcpu_list(struct run *r)
{
	return ctl_list(r, vcpu_columns, ARRAY_SIZE(vcpu_columns), add_vcpus);
}

/* ---- what changes something ------------------------------------------------------------------ */

/* "guest" and "some/where/guest.cfg" are the same: the boot modules know domains by their names. */
static int create(struct run *r)
{
	const char *name = r->argv[1], *slash;
	char bare[CONFIG_NAME_MAX];
	size_t len;

	while ((slash = strchr(name, '/')) != NULL)
		name = slash + 1;
	len = strlen(name);
	if (len > 4 && !strcmp(name + len - 4, ".cfg"))
		len -= 4;
	if (!len || len >= sizeof(bare))
		return refuse(r, -XEN_ENOENT, "'%s' cannot be a domain's name", r->argv[1]);
	memcpy(bare, name, len);
	bare[len] = 0;
	return r->hooks->create(r->hooks->ctx, bare);
}

static int destroy(struct run *r)
{
	int err = control_destroy(r->argv[1]);

	if (!err)
		(void)str_copy(r->out->ending, sizeof(r->out->ending), r->argv[1]);
	return err;
}

static int poweroff(struct run *r)
{
	return control_ask_poweroff(r->argv[1]);
}

static int reboot(struct run *r)
{
	return control_ask_reboot(r->argv[1]);
}

/* -c: a checkpoint; wherever it stands. The name is free when the domain that was saved has gone. */
static int save(struct run *r)
{
	const char *words[2] = {0};
	unsigned n = 0;
	bool keep = false;
	int err;

	for (int i = 1; i < r->argc; i++)
		if (!strcmp(r->argv[i], "-c"))
			keep = true;
		else if (n < ARRAY_SIZE(words))
			words[n++] = r->argv[i];
	if (n < ARRAY_SIZE(words) || r->argc - 1 > (int)n + keep)
		return refuse(r, -XEN_EINVAL, "usage: save [-c] NAME DISK");
	err = control_save(words[0], words[1], keep, r->hooks->done, r->hooks->ctx);
	r->out->begun = !err;
	if (!err && !keep)
		(void)str_copy(r->out->ending, sizeof(r->out->ending), words[0]);
	return err;
}

static int pause(struct run *r)
{
	return control_pause(r->argv[1]);
}

static int unpause(struct run *r)
{
	return control_unpause(r->argv[1]);
}

static int console(struct run *r)
{
	int err = r->hooks->console(r->hooks->ctx, r->argv[1]);

	return err == -XEN_ENOENT ? refuse(r, err, "%s: no such domain", r->argv[1]) : err;
}

/* The second word of those commands that set a number. */
static int number(struct run *r, int (*set)(const char *name, uint64_t n))
{
	uint64_t n;

	if (!str_to_u64(r->argv[2], &n))
		return refuse(r, -XEN_EINVAL, "'%s' is not a number", r->argv[2]);
	return set(r->argv[1], n);
}

static int mem_set(struct run *r)
{
	return number(r, control_set_memory);
}

static int vcpu_set(struct run *r)
{
	return number(r, control_set_vcpus);
}

/* With a name, that domain's file says what it shall be, and not what was saved with it. */
static int restore(struct run *r)
{
	struct domain_config *config = NULL;
	int err = 0;

	if (r->argv[2]) {
		config = host_alloc(sizeof(*config));
		err = config ? r->hooks->config(r->hooks->ctx, r->argv[2], config) : -XEN_ENOMEM;
	}
	if (!err)
		err = control_restore(r->argv[1], config, r->hooks->done, r->hooks->ctx);
	if (config)
		host_free(config, sizeof(*config));
	r->out->begun = !err;
	return err;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int help(struct run *r);

static const struct {
	struct ctl_command says;
	int (*run)(struct run *r);
	int least, most; /* words behind the name */
} commands[] = {
    {{"list", "[NAME]", "the domains and what they hold"}, list, 0, 1},
    {{"top", "[NAME]", "the same, and their share of a CPU since the last top"}, top, 0, 1},
    {{"vcpu-list", "[NAME]", "their vCPUs"}, vcpu_list, 0, 1},
    {{"create", "NAME", "makes a domain of the boot modules"}, create, 1, 1},
    {{"destroy", "NAME", "ends a domain without asking it"}, destroy, 1, 1},
    {{"shutdown", "NAME", "asks a domain to power off"}, poweroff, 1, 1},
    {{"reboot", "NAME", "asks a domain to start anew"}, reboot, 1, 1},
    {{"save", "[-c] NAME DISK", "writes a domain to a disk and ends it; -c: it goes on"},
     save,
     2,
     3},
    {{"pause", "NAME", "stops it where it is"}, pause, 1, 1},
    {{"unpause", "NAME", "lets it go on"}, unpause, 1, 1},
    {{"restore", "DISK [NAME]", "makes a domain of what was saved on a disk"}, restore, 1, 2},
    {{"mem-set", "NAME MIB", "how much memory it shall have"}, mem_set, 2, 2},
    {{"vcpu-set", "NAME N", "how many vCPUs it shall use"}, vcpu_set, 2, 2},
    {{"block-attach", "NAME SPEC", "gives a domain a disk more, written as in its file"},
     ctl_block_attach,
     2,
     6},
    {{"block-detach", "NAME DISK [--force]", "takes it away; --force: without asking the guest"},
     ctl_block_detach,
     2,
     3},
    {{"block-limit", "NAME DISK [iops=N] [bps=N] [burst=T]", "what a disk may take; 0: all"},
     ctl_block_limit,
     3,
     5},
    {{"block-list", "[NAME]", "the disks of the domains"}, ctl_block_list, 0, 1},
    {{"network-attach", "NAME SPEC", "gives a domain an interface more, written as in its file"},
     ctl_net_attach,
     1,
     6},
    {{"network-detach", "NAME VIF [--force]", "takes it away; --force: without asking the guest"},
     ctl_net_detach,
     2,
     3},
    {{"network-list", "[NAME]", "the network interfaces of the domains"}, ctl_net_list, 0, 1},
    {{"netstat", "[NAME]", "what the interfaces have carried, by queue, and dropped"},
     ctl_netstat,
     0,
     1},
    {{"pcap", "NAME [count N] [snap BYTES] [in|out]", "frames as they pass, as a pcap file"},
     ctl_pcap,
     1,
     6},
    {{"pci-attach", "NAME SPEC", "gives a domain a PCI function, written as in its file"},
     ctl_pci_attach,
     2,
     6},
    {{"pci-detach", "NAME FUNCTION [--force]", "takes it away; --force: without asking the guest"},
     ctl_pci_detach,
     2,
     3},
    {{"pci-list", "[NAME]", "the PCI functions of the domains"}, ctl_pci_list, 0, 1},
    {{"pci-assignable", "", "what functions there are, whose, and how they can be reset"},
     ctl_pci_assignable,
     0,
     0},
    {{"pci-assignable-add", "FUNCTION", "our driver lets it go"}, ctl_pci_free, 1, 1},
    {{"pci-assignable-remove", "FUNCTION", "our driver may have it again"}, ctl_pci_keep, 1, 1},
    {{"sriov", "N FUNCTION", "turns N virtual functions of it on"}, ctl_sriov, 2, 2},
    {{"blkstat", "[NAME]", "what the disks of the domains have done"}, ctl_blkstat, 0, 1},
    {{"blktrace", "[off | EVERY [NAME DISK]]", "requests step by step; alone: those that were"},
     ctl_blktrace,
     0,
     3},
    {{"cd-insert", "NAME DISK TARGET", "puts a medium into a CD-ROM"}, ctl_cd_insert, 3, 3},
    {{"cd-eject", "NAME DISK", "takes it out"}, ctl_cd_eject, 2, 2},
    {{"console", "NAME", "gives a guest the terminal; Ctrl-A steps on"}, console, 1, 1},
    {{"help", "", "this list"}, help, 0, 0},
};

const struct ctl_command *ctl_command(unsigned i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i].says : NULL;
}

static int help(struct run *r)
{
	static const struct ctl_column columns[] = {{"COMMAND", "command", -10, CTL_TEXT},
						    {"WORDS", "words", -9, CTL_TEXT},
						    {"DOES", "does", -1, CTL_TEXT}};

	ctl_table_begin(r->out, columns, ARRAY_SIZE(columns));
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		ctl_table_row(r->out, columns, ARRAY_SIZE(columns),
			      (const struct ctl_cell[]){{.text = commands[i].says.name},
							{.text = commands[i].says.usage},
							{.text = commands[i].says.help}});
	ctl_table_end(r->out);
	return 0;
}

static int dispatch(struct run *r)
{
	unsigned i = 0;

	while (i < ARRAY_SIZE(commands) && strcmp(commands[i].says.name, r->argv[0]) != 0)
		i++;
	if (i == ARRAY_SIZE(commands))
		return refuse(r, -XEN_ENOENT, "%s: no such command; try help", r->argv[0]);
	if (r->argc - 1 < commands[i].least || r->argc - 1 > commands[i].most)
		return refuse(r, -XEN_EINVAL, "usage: %s %s", commands[i].says.name,
			      commands[i].says.usage);
	return commands[i].run(r);
}

/* Takes --json out of the words, wherever it stands. */
static int take_json(int argc, char **argv, char **words, struct ctl_answer *out)
{
	int n = 0;

	for (int i = 0; i < argc && n < (int)CTL_WORDS_MAX; i++) {
		if (!strcmp(argv[i], "--json"))
			out->json = true;
		else
			words[n++] = argv[i];
	}
	words[n] = NULL;
	return n;
}

void ctl_run(const struct ctl_hooks *hooks, int argc, char **argv, struct ctl_answer *out)
{
	char *words[CTL_WORDS_MAX + 1];
	struct run r = {hooks, 0, words, out};

	out->len = 0;
	out->err = 0;
	out->why[0] = out->ending[0] = 0;
	out->json = out->cut = out->logged = out->begun = false;
	r.argc = take_json(argc, argv, words, out);
	control_forget_why();
	out->err = r.argc ? dispatch(&r) : refuse(&r, -XEN_EINVAL, "no command; try help");
	if (!out->err && out->json && !out->len)
		ctl_line(out, "{\"ok\":true}");
	if (!out->err && out->cut)
		out->err = refuse(&r, -XEN_EMSGSIZE, "%s: the answer is too long", words[0]);
	if (!out->err || out->why[0])
		return;
	out->logged = control_why()[0] != 0;
	(void)str_copy(out->why, sizeof(out->why),
		       out->logged ? control_why() : error_name(out->err));
}
