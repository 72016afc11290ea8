/* main.c: amphi-tool's command line, and the life of the machine it starts.
 *
 * Commands: run, check, ctl, image, verify-pattern. docs/amphi-tool.md is the manual. The exit status of run is the worst
 * of its domains'. QEMU is a child that never outlives us.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <amphi/pattern.h>
#include <amphi/string.h>

/* The short form of docs/amphi-tool.md. */
static const char usage_text[] =
    "usage: amphi-tool run [OPTION...] FILE.cfg...   run domains on amphi-hv in QEMU\n"
    "       amphi-tool check FILE.cfg...             say what is wrong with domain files\n"
    "       amphi-tool image -o DISK [OPTION...] FILE.cfg...  a disk to boot a machine from\n"
    "       amphi-tool ctl [--socket PATH] [--json] COMMAND  a command to a running machine\n"
    "       amphi-tool verify-pattern IMAGE SEED     compare an image with `fill`'s pattern\n"
    "options of run:\n"
    "  --mem-total MIB     the machine's memory            --timeout SECONDS  end it after that\n"
    "  --service-mem MIB   the service domain's (32)       --accel tcg|kvm    (what there is)\n"
    "  --cpus N            the machine's processors (1)\n"
    "  --disk-bus nvme|virtio  (nvme)                      --icount           count instructions\n"
    "  --net SPEC|none     the machine's network, as QEMU's -netdev (user, where it is used)\n"
    "  --hypervisor FILE   (amphi-hv beside this program)  --kernel FILE      the service "
    "domain's\n"
    "  --stats FILE        write what domains report       --service-args S   more boot words\n"
    "  --hypervisor-args S more words for amphi-hv         --qemu-args S      more words for QEMU\n"
    "  --disk TARGET=SERIAL  of image: the machine's disk that a disk= means\n"
    "  --part TARGET=MIB     of image: a partition of the disk that a disk= means\n"
    "  --later FILE.cfg    a domain for `ctl create`; not started\n"
    "  --ctl PATH          socket for `ctl` (one in your run-time folder)\n"
    "  --interactive       leave the terminal at the consoles; Ctrl-A steps through them\n";

/* On standard error, so that the consoles' text can be piped away from it. */
void warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("amphi-tool: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

void fail(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("amphi-tool: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

/* Bounded so that sums of MiB stay far from the end of an unsigned. */
static unsigned number(const char *option, const char *text)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || end == text || v > 1u << 24)
		fail(EXIT_USAGE, "--%s: '%s' is not a number", option, text);
	return (unsigned)v;
}

/* Checked here and not where they are used: a wrong word is a wrong option (2), before any file is
 * read. */
static const char *one_of(const char *option, const char *text, const char *a, const char *b)
{
	if (strcmp(text, a) && strcmp(text, b))
		fail(EXIT_USAGE, "--%s: '%s' is neither %s nor %s", option, text, a, b);
	return text;
}

/* FILE in the folder this program lives in: build/amphi-hv beside build/amphi-tool. By
 * /proc/self/exe and not argv[0], which need not be a path. */
static const char *beside_us(const char *file)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 64);
	char *slash;

	if (len < 0)
		return file;
	self[len] = '\0';
	slash = strrchr(self, '/');
	snprintf(slash + 1, 64, "%s", file);
	return strdup(self);
}

enum {
	OPT_MEM = 1,
	OPT_SERVICE_MEM,
	OPT_TIMEOUT,
	OPT_ACCEL,
	OPT_BUS,
	OPT_HV,
	OPT_KERNEL,
	OPT_STATS,
	OPT_ARGS,
	OPT_ICOUNT,
	OPT_INTERACTIVE,
	OPT_CTL,
	OPT_LATER,
	OPT_DISK,
	OPT_CPUS,
	OPT_PART,
	OPT_NET,
	OPT_HV_ARGS,
	OPT_QEMU_ARGS
};

/* Names as in usage_text; `check` takes them too and looks at none. */
static const struct option long_options[] = {
    {"mem-total", required_argument, NULL, OPT_MEM},
    {"service-mem", required_argument, NULL, OPT_SERVICE_MEM},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"accel", required_argument, NULL, OPT_ACCEL},
    {"disk-bus", required_argument, NULL, OPT_BUS},
    {"net", required_argument, NULL, OPT_NET},
    {"hypervisor", required_argument, NULL, OPT_HV},
    {"kernel", required_argument, NULL, OPT_KERNEL},
    {"stats", required_argument, NULL, OPT_STATS},
    {"service-args", required_argument, NULL, OPT_ARGS},
    {"hypervisor-args", required_argument, NULL, OPT_HV_ARGS},
    {"qemu-args", required_argument, NULL, OPT_QEMU_ARGS},
    {"icount", no_argument, NULL, OPT_ICOUNT},
    {"interactive", no_argument, NULL, OPT_INTERACTIVE},
    {"ctl", required_argument, NULL, OPT_CTL},
    {"later", required_argument, NULL, OPT_LATER},
    {"disk", required_argument, NULL, OPT_DISK},
    {"cpus", required_argument, NULL, OPT_CPUS},
    {"part", required_argument, NULL, OPT_PART},
    {"output", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0}};

/* Those that are a text and no more; NULL: another. */
static const char **text_option(struct options *o, int opt)
{
	switch (opt) {
	case OPT_NET:
		return &o->net;
	case OPT_HV:
		return &o->hypervisor;
	case OPT_KERNEL:
		return &o->kernel;
	case OPT_STATS:
		return &o->stats_file;
	case OPT_ARGS:
		return &o->service_args;
	case OPT_HV_ARGS:
		return &o->hypervisor_args;
	case OPT_QEMU_ARGS:
		return &o->qemu_args;
	case OPT_CTL:
		return &o->ctl;
	case 'o':
		return &o->output;
	default:
		return NULL;
	}
}

/* getopt_long has said what is wrong with an unknown option before it comes here as '?'. */
static void take_option(struct options *o, int opt, const char *name)
{
	const char **text = text_option(o, opt);

	if (text) {
		*text = optarg;
		return;
	}
	switch (opt) {
	case OPT_MEM:
		o->mem_total_mib = number(name, optarg);
		break;
	case OPT_SERVICE_MEM:
		o->service_mem_mib = number(name, optarg);
		break;
	case OPT_TIMEOUT:
		o->timeout_s = number(name, optarg);
		break;
	case OPT_ACCEL:
		o->accel = one_of(name, optarg, "tcg", "kvm");
		break;
	case OPT_BUS:
		o->disk_bus = one_of(name, optarg, "nvme", "virtio");
		break;
	case OPT_ICOUNT:
		o->icount = true;
		break;
	case OPT_PART:
		if (o->n_parts == MAX_PARTS)
			fail(EXIT_USAGE, "--part: %u are the most", MAX_PARTS);
		o->part_words[o->n_parts++] = optarg;
		break;
	case OPT_CPUS:
		o->cpus = number(name, optarg);
		if (!o->cpus || o->cpus > CONFIG_MAX_CPUS)
			fail(EXIT_USAGE, "--cpus: from 1 to %u", CONFIG_MAX_CPUS);
		break;
	case OPT_DISK:
		if (o->n_disk_words == MAX_DOMAINS)
			fail(EXIT_USAGE, "--disk: %u are the most", MAX_DOMAINS);
		o->disk_words[o->n_disk_words++] = optarg;
		break;
	case OPT_LATER:
		if (o->n_later == MAX_DOMAINS)
			fail(EXIT_USAGE, "--later: %u domain files are the most", MAX_DOMAINS);
		o->later[o->n_later++] = optarg;
		break;
	case OPT_INTERACTIVE:
		o->interactive = true;
		break;
	default:
		fputs(usage_text, stderr);
		exit(EXIT_USAGE);
	}
}

/* Paths are kept as given; whether files are there is for each command to ask. */
static void parse_options(struct options *o, int argc, char **argv)
{
	int opt, index = 0;

	*o = (struct options){.disk_bus = "nvme",
			      .service_args = "",
			      .hypervisor_args = "",
			      .qemu_args = "",
			      .cpus = 1};
	while ((opt = getopt_long(argc, argv, "o:", long_options, &index)) != -1)
		take_option(o, opt, long_options[index].name);
	/* getopt has moved the words that are no options to the end. */
	o->files = argv + optind;
	o->n_files = (unsigned)(argc - optind);
	if (!o->n_files && !o->n_later)
		fail(EXIT_USAGE, "no domain file given");
	/* The arrays of plan and of archive.c have this size. */
	if (o->n_files + o->n_later > MAX_DOMAINS)
		fail(EXIT_USAGE, "%u domain files; %u are the most", o->n_files + o->n_later,
		     MAX_DOMAINS);
	o->hypervisor = o->hypervisor ? o->hypervisor : beside_us("amphi-hv");
	o->kernel = o->kernel ? o->kernel : beside_us("amphi");
}

/* What is ours to end and to remove, however we end: by return, by fail() or by a signal. */
static pid_t qemu_pid;
/* At file scope for the handlers, which get no argument. */
static struct plan plan;

static void drop_files(void)
{
	if (plan.archive[0])
		unlink(plan.archive);
	if (plan.ctl[0])
		unlink(plan.ctl);
}

static void end_qemu(void)
{
	if (qemu_pid > 0)
		kill(qemu_pid, SIGTERM);
}

/* Only calls that a handler may make: kill, unlink, _exit (signal-safety(7)). */
static void on_signal(int sig)
{
	end_qemu();
	drop_files();
	_exit(128 + sig);
}

/* The child asks the kernel to end it with us, since we may be killed in a way no handler sees. */
static _Noreturn void exec_qemu(char **command)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(command[0], command);
	if (errno == ENOENT)
		fail(EXIT_NO_QEMU, "%s is not installed: it is in Debian's package qemu-system-x86",
		     command[0]);
	fail(EXIT_NO_QEMU, "cannot start %s: %s", command[0], strerror(errno));
}

/* Starts QEMU with its console on a pipe whose reading end is returned, or on our own terminal
 * (-1). The writing end is closed here, or the pipe would never end. */
static int start_qemu(char **command, bool on_terminal)
{
	int ends[2] = {-1, -1};

	if (!on_terminal && pipe(ends))
		fail(EXIT_LOST, "pipe: %s", strerror(errno));
	qemu_pid = fork();
	if (qemu_pid < 0)
		fail(EXIT_LOST, "fork: %s", strerror(errno));
	if (qemu_pid == 0) {
		if (!on_terminal)
			dup2(ends[1], STDOUT_FILENO);
		exec_qemu(command);
	}
	close(ends[1]);
	return ends[0];
}

/* The worst exit code of the domains; a domain that never told one was lost with the machine. Asked
 * of QEMU's status is only whether it was started: the hypervisor's own exit code says less than
 * the lines. */
static int worst(int qemu_status)
{
	unsigned code = 0;

	for (unsigned i = 0; i < plan.n_domains; i++) {
		const struct domain_file *d = &plan.domains[i];

		if (d->spare && !d->ended)
			continue;
		if (!d->ended) {
			if (WIFEXITED(qemu_status) && WEXITSTATUS(qemu_status) == EXIT_NO_QEMU)
				return EXIT_NO_QEMU;
			warn("domain %s: the machine stopped before it ended", d->config.name);
		}
		code = MAX(code, d->ended ? d->exit_code : EXIT_LOST);
	}
	return (int)MIN(code, 255u);
}

/* Before the domain files are read: without these two no domain file can help. */
static void need_file(const char *what, const char *path)
{
	if (access(path, R_OK))
		fail(EXIT_CONFIG, "%s: cannot read %s: %s", what, path, strerror(errno));
}

/* Everything that can be wrong is said before the archive is written and a machine is made.
 * drop_files is registered first: from the archive on, any fail() leaves through it. */
static int run(int argc, char **argv)
{
	static struct options options;
	bool in_time = true;
	int status = 0, console;

	plan.options = &options;
	parse_options(&options, argc, argv);
	/* The domains' own files are theirs to name in an error; these two are ours. */
	need_file("hypervisor", options.hypervisor);
	need_file("service domain's kernel", options.kernel);
	plan.domains = calloc(MAX_DOMAINS, sizeof(*plan.domains));
	if (domains_load(&plan) + disks_plan(&plan))
		return EXIT_CONFIG;
	options.ctl = ctl_socket_new(options.ctl);
	snprintf(plan.ctl, sizeof(plan.ctl), "%s", options.ctl);
	atexit(drop_files);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	archive_write(&plan);
	console = start_qemu(machine_command(&plan), options.interactive);
	/* With the terminal the consoles are QEMU's, so there are no lines to follow and no codes
	 * to tell. */
	if (!options.interactive)
		in_time = console_follow(&plan, console, options.timeout_s);
	if (!in_time)
		end_qemu();
	/* It has ended, or was told to: SIGTERM makes QEMU close its disks in order. */
	waitpid(qemu_pid, &status, 0);
	if (!in_time) {
		warn("not ended after %u s", options.timeout_s);
		return EXIT_TIMEOUT;
	}
	/* Past this point the machine has ended by itself. */
	return options.interactive ? 0 : worst(status);
}

static int check(int argc, char **argv)
{
	static struct options options;

	plan.options = &options;
	parse_options(&options, argc, argv);
	plan.domains = calloc(MAX_DOMAINS, sizeof(*plan.domains));
	if (domains_load(&plan) + disks_plan(&plan))
		return EXIT_CONFIG;
	for (unsigned i = 0; i < plan.n_domains; i++)
		printf("%s: domain %s: ok\n", plan.domains[i].path, plan.domains[i].config.name);
	return 0;
}

static int image(int argc, char **argv)
{
	static struct options options;

	plan.options = &options;
	parse_options(&options, argc, argv);
	if (!options.output)
		fail(EXIT_USAGE, "image: no -o DISK");
	need_file("hypervisor", options.hypervisor);
	need_file("service domain's kernel", options.kernel);
	plan.domains = calloc(MAX_DOMAINS, sizeof(*plan.domains));
	if (domains_load(&plan))
		return EXIT_CONFIG;
	image_make(&plan);
	return 0;
}

/* The other half of `fill`: reads on the host what a guest wrote through both drivers, with the
 * same function (lib/pattern.c) and no help of either. */
static int verify_pattern(int argc, char **argv)
{
	size_t len;
	char *bytes;
	uint64_t seed, bad;

	if (argc != 3)
		fail(EXIT_USAGE, "verify-pattern wants IMAGE and SEED");
	if (!str_to_u64(argv[2], &seed)) /* as the shell reads it: strtoull takes 010 for eight */
		fail(EXIT_USAGE, "verify-pattern: '%s' is not a seed", argv[2]);
	bytes = read_file(argv[1], &len);
	/* A rest behind the last sector would be compared with nothing. */
	if (!len || len % SECTOR_SIZE)
		fail(1, "%s: %zu bytes are not whole sectors", argv[1], len);
	if (!pattern_check(seed, 0, bytes, len / SECTOR_SIZE, &bad))
		fail(1, "%s: sector %llu is not what seed %s gives", argv[1],
		     (unsigned long long)bad, argv[2]);
	printf("%s: %zu bytes equal the pattern of seed %s\n", argv[1], len, argv[2]);
	return 0;
}

int main(int argc, char **argv)
{
	/* Each command gets its own name as argv[0], as getopt wants. */
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "run"))
		return run(argc - 1, argv + 1);
	if (!strcmp(command, "check"))
		return check(argc - 1, argv + 1);
	if (!strcmp(command, "image"))
		return image(argc - 1, argv + 1);
	if (!strcmp(command, "ctl"))
		return ctl_main(argc - 1, argv + 1);
	if (!strcmp(command, "verify-pattern"))
		return verify_pattern(argc - 1, argv + 1);
	if (!strcmp(command, "--help") || !strcmp(command, "help"))
		return fputs(usage_text, stdout) < 0;
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}
