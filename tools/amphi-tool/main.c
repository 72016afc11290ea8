/* main.c: amphi-tool's command line, and the life of the machine it starts.
 *
 * Commands: run, check, verify-pattern. docs/amphi-tool.md is the manual. The exit status of run is the worst
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

static const char usage_text[] =
    "usage: amphi-tool run [OPTION...] FILE.cfg...   run domains on amphi-hv in QEMU\n"
    "       amphi-tool check FILE.cfg...             say what is wrong with domain files\n"
    "       amphi-tool verify-pattern IMAGE SEED     compare an image with `fill`'s pattern\n"
    "options of run:\n"
    "  --mem-total MIB     the machine's memory            --timeout SECONDS  end it after that\n"
    "  --service-mem MIB   the service domain's (32)       --accel tcg|kvm    (what there is)\n"
    "  --disk-bus nvme|virtio  (nvme)                      --icount           count instructions\n"
    "  --hypervisor FILE   (amphi-hv beside this program)  --kernel FILE      the service domain's\n"
    "  --stats FILE        write what domains report       --service-args S   more boot words\n"
    "  --interactive       leave the terminal at the consoles; Ctrl-A steps through them\n";

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

static const char *one_of(const char *option, const char *text, const char *a, const char *b)
{
	if (strcmp(text, a) && strcmp(text, b))
		fail(EXIT_USAGE, "--%s: '%s' is neither %s nor %s", option, text, a, b);
	return text;
}

/* FILE in the folder this program lives in: build/amphi-hv beside build/amphi-tool. */
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

enum { OPT_MEM = 1, OPT_SERVICE_MEM, OPT_TIMEOUT, OPT_ACCEL, OPT_BUS, OPT_HV, OPT_KERNEL, OPT_STATS, OPT_ARGS, OPT_ICOUNT,
       OPT_INTERACTIVE };

static const struct option long_options[] = {
    {"mem-total", required_argument, NULL, OPT_MEM},	{"service-mem", required_argument, NULL, OPT_SERVICE_MEM},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},	{"accel", required_argument, NULL, OPT_ACCEL},
    {"disk-bus", required_argument, NULL, OPT_BUS},	{"hypervisor", required_argument, NULL, OPT_HV},
    {"kernel", required_argument, NULL, OPT_KERNEL},	{"stats", required_argument, NULL, OPT_STATS},
    {"service-args", required_argument, NULL, OPT_ARGS}, {"icount", no_argument, NULL, OPT_ICOUNT},
    {"interactive", no_argument, NULL, OPT_INTERACTIVE}, {NULL, 0, NULL, 0}};

static void take_option(struct options *o, int opt, const char *name)
{
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
	case OPT_HV:
		o->hypervisor = optarg;
		break;
	case OPT_KERNEL:
		o->kernel = optarg;
		break;
	case OPT_STATS:
		o->stats_file = optarg;
		break;
	case OPT_ARGS:
		o->service_args = optarg;
		break;
	case OPT_ICOUNT:
		o->icount = true;
		break;
	case OPT_INTERACTIVE:
		o->interactive = true;
		break;
	default:
		fputs(usage_text, stderr);
		exit(EXIT_USAGE);
	}
}

static void parse_options(struct options *o, int argc, char **argv)
{
	int opt, index = 0;

	*o = (struct options){.disk_bus = "nvme", .service_args = ""};
	while ((opt = getopt_long(argc, argv, "", long_options, &index)) != -1)
		take_option(o, opt, long_options[index].name);
	o->files = argv + optind;
	o->n_files = (unsigned)(argc - optind);
	if (!o->n_files)
		fail(EXIT_USAGE, "no domain file given");
	if (o->n_files > MAX_DOMAINS)
		fail(EXIT_USAGE, "%u domain files; %u are the most", o->n_files, MAX_DOMAINS);
	o->hypervisor = o->hypervisor ? o->hypervisor : beside_us("amphi-hv");
	o->kernel = o->kernel ? o->kernel : beside_us("amphi");
}

/* Only the part of the machine's life that is ours to end. */
static pid_t qemu_pid;

static void end_qemu(int sig)
{
	if (qemu_pid > 0)
		kill(qemu_pid, SIGTERM);
	if (sig)
		_exit(128 + sig);
}

static _Noreturn void exec_qemu(char **command)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execvp(command[0], command);
	if (errno == ENOENT)
		fail(EXIT_NO_QEMU, "%s is not installed: it is in Debian's package qemu-system-x86", command[0]);
	fail(EXIT_NO_QEMU, "cannot start %s: %s", command[0], strerror(errno));
}

/* Starts QEMU with its console on a pipe whose reading end is returned, or on our own terminal (-1). */
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

/* The worst exit code of the domains; a domain that never told one was lost with the machine. */
static int worst(const struct plan *plan, int qemu_status)
{
	unsigned code = 0;

	for (unsigned i = 0; i < plan->n_domains; i++) {
		const struct domain_file *d = &plan->domains[i];

		if (!d->ended) {
			if (WIFEXITED(qemu_status) && WEXITSTATUS(qemu_status) == EXIT_NO_QEMU)
				return EXIT_NO_QEMU;
			warn("domain %s: the machine stopped before it ended", d->config.name);
		}
		code = MAX(code, d->ended ? d->exit_code : EXIT_LOST);
	}
	return (int)MIN(code, 255u);
}

static void need_file(const char *what, const char *path)
{
	if (access(path, R_OK))
		fail(EXIT_CONFIG, "%s: cannot read %s: %s", what, path, strerror(errno));
}

static int run(int argc, char **argv)
{
	struct options options;
	struct plan plan = {.options = &options};
	bool in_time = true;
	int status = 0, console;

	parse_options(&options, argc, argv);
	need_file("hypervisor", options.hypervisor);
	need_file("service domain's kernel", options.kernel);
	plan.domains = calloc(options.n_files, sizeof(*plan.domains));
	if (domains_load(&plan) + disks_plan(&plan))
		return EXIT_CONFIG;
	archive_write(&plan);
	signal(SIGINT, end_qemu);
	signal(SIGTERM, end_qemu);
	console = start_qemu(machine_command(&plan), options.interactive);
	if (!options.interactive)
		in_time = console_follow(&plan, console, options.timeout_s);
	if (!in_time)
		end_qemu(0);
	waitpid(qemu_pid, &status, 0);
	unlink(plan.archive);
	if (!in_time) {
		warn("not ended after %u s", options.timeout_s);
		return EXIT_TIMEOUT;
	}
	return options.interactive ? 0 : worst(&plan, status);
}

static int check(int argc, char **argv)
{
	struct options options;
	struct plan plan = {.options = &options};

	parse_options(&options, argc, argv);
	plan.domains = calloc(options.n_files, sizeof(*plan.domains));
	if (domains_load(&plan) + disks_plan(&plan))
		return EXIT_CONFIG;
	for (unsigned i = 0; i < plan.n_domains; i++)
		printf("%s: domain %s: ok\n", plan.domains[i].path, plan.domains[i].config.name);
	return 0;
}

static int verify_pattern(int argc, char **argv)
{
	size_t len;
	char *bytes;
	char *end;
	uint64_t seed, bad;

	if (argc != 3)
		fail(EXIT_USAGE, "verify-pattern wants IMAGE and SEED");
	seed = strtoull(argv[2], &end, 0);
	if (*end || end == argv[2])
		fail(EXIT_USAGE, "verify-pattern: '%s' is not a seed", argv[2]);
	bytes = read_file(argv[1], &len);
	if (!len || len % SECTOR_SIZE)
		fail(1, "%s: %zu bytes are not whole sectors", argv[1], len);
	if (!pattern_check(seed, 0, bytes, len / SECTOR_SIZE, &bad))
		fail(1, "%s: sector %llu is not what seed %s gives", argv[1], (unsigned long long)bad, argv[2]);
	printf("%s: %zu bytes equal the pattern of seed %s\n", argv[1], len, argv[2]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "run"))
		return run(argc - 1, argv + 1);
	if (!strcmp(command, "check"))
		return check(argc - 1, argv + 1);
	if (!strcmp(command, "verify-pattern"))
		return verify_pattern(argc - 1, argv + 1);
	if (!strcmp(command, "--help") || !strcmp(command, "help"))
		return fputs(usage_text, stdout) < 0;
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}
