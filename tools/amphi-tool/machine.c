/* machine.c: the QEMU machine the domains run on, as a command line.
 *
 * TCG unless the processor really virtualises: a /dev/kvm without vmx or svm behind it cannot run a
 * kernel in usable time. The environment variable AMPHI_QEMU names another QEMU.
 */
#include "tool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sizes with room to spare; `[hv] ready` of any run shows what is used. */
#define MIB              (1ull << 20)
#define HYPERVISOR_MIB   16u /* its own memory, and the holes below 1 MiB */
#define SERVICE_MIB      32u
#define ARCHIVE_FREE_MIB 8u /* an archive up to this fits into the service domain's usual memory */
#define MORE_WORDS       64u

/* Each word is an allocation that lives as long as the program, which exec replaces or which ends
 * soon. */
struct command {
	char *word[64 + MORE_WORDS + 4 * MAX_DISKS];
	unsigned n;
};

/* No word is optional and none is cut: half a path would be another file. */
static void add(struct command *c, const char *fmt, ...)
{
	char text[8192];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) >= (int)sizeof(text))
		fail(EXIT_CONFIG, "a file name is too long for QEMU's command line");
	va_end(args);
	c->word[c->n++] = strdup(text);
}

/* Of --qemu-args, which stand before the devices of ours: QEMU wants an IOMMU before what is behind it. */
static void add_words(struct command *c, const char *text)
{
	unsigned n = 0;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t len = strcspn(text, " ");

		if (n++ == MORE_WORDS)
			fail(EXIT_USAGE, "--qemu-args: %u words are the most", MORE_WORDS);
		add(c, "%.*s", (int)len, text);
		text += len;
	}
}

/* QEMU takes a comma for the end of a value unless it is doubled. */
static const char *escaped(const char *path)
{
	char *out = malloc(2 * strlen(path) + 1), *o = out;

	for (; *path; path++) {
		*o++ = *path;
		if (*path == ',')
			*o++ = ',';
	}
	*o = '\0';
	return out;
}

/* See the file's first comment for why /dev/kvm alone does not count. */
static bool cpu_virtualises(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[8192];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found =
		    !strncmp(line, "flags", 5) && (strstr(line, " vmx") || strstr(line, " svm"));
	if (f)
		fclose(f);
	return found;
}

/* What was asked for and is not there is an error; what was not asked for is taken where it works.
 * -icount is TCG's own. */
static bool use_kvm(const struct options *o)
{
	bool possible = cpu_virtualises() && !access("/dev/kvm", R_OK | W_OK);

	if (o->accel && !strcmp(o->accel, "kvm") && !possible)
		fail(EXIT_CONFIG,
		     "--accel kvm: this machine has no vmx or svm, or /dev/kvm cannot be opened");
	return !o->icount && possible && !(o->accel && !strcmp(o->accel, "tcg"));
}

/* The archive lies in the service domain's memory, which it is part of from the beginning. */
unsigned machine_service_mib(const struct plan *plan)
{
	unsigned archive_mib = (unsigned)(plan->archive_bytes / MIB) + 1;

	if (plan->options->service_mem_mib)
		return plan->options->service_mem_mib;
	return SERVICE_MIB + (archive_mib > ARCHIVE_FREE_MIB ? archive_mib - ARCHIVE_FREE_MIB : 0);
}

/* The archive counts twice: where the loader puts it, and in the service domain. A MiB more a
 * domain is for what the hypervisor keeps for it. */
static unsigned total_mib(const struct plan *plan)
{
	unsigned need =
	    HYPERVISOR_MIB + machine_service_mib(plan) + (unsigned)(plan->archive_bytes / MIB) + 1;

	for (unsigned i = 0; i < plan->n_domains; i++)
		need += plan->domains[i].config.max_memory_mib + 1;
	if (!plan->options->mem_total_mib)
		return MAX(need, 64u);
	if (plan->options->mem_total_mib < need)
		fail(EXIT_CONFIG, "--mem-total %u: the domains need %u MiB",
		     plan->options->mem_total_mib, need);
	return plan->options->mem_total_mib;
}

/* cache=writeback is QEMU's default, said because a guest's flush depends on it: with it, flush is
 * fsync. */
static void add_disks(struct command *c, const struct plan *plan)
{
	bool nvme = !strcmp(plan->options->disk_bus, "nvme");

	for (unsigned i = 0; i < plan->n_disks; i++) {
		const struct disk *d = &plan->disks[i];

		add(c, "-drive");
		add(c, "if=none,id=d%u,format=raw,cache=writeback,readonly=%s,file=%s", i,
		    d->readonly ? "on" : "off", escaped(d->target));
		add(c, "-device");
		if (nvme)
			add(c, "nvme,drive=d%u,serial=%s", i, d->serial);
		else
			add(c, "virtio-blk-pci,drive=d%u,serial=%s,disable-legacy=on", i,
			    d->serial);
	}
}

/* An interface to serve, or a disk to fetch. */
static bool wants_net(const struct domain_config *c)
{
	for (unsigned i = 0; i < c->n_disks; i++)
		if (!strncmp(c->disks[i].target, "nbd://", 6))
			return true;
	return c->n_vifs;
}

/* QEMU's own user network needs no rights and reaches what the host reaches. */
static void add_net(struct command *c, const struct plan *plan)
{
	const char *net = plan->options->net;

	for (unsigned i = 0; !net && i < plan->n_domains; i++)
		if (wants_net(&plan->domains[i].config))
			net = "user";
	if (!net || !strcmp(net, "none"))
		return;
	add(c, "-netdev");
	add(c, "%s,id=net0", net);
	add(c, "-device");
	add(c, "virtio-net-pci,netdev=net0,disable-legacy=on");
}

/* With -icount, nothing of the outside may come in: the clock is the virtual one, begins on a fixed
 * date, and QEMU's own random numbers have a seed. Without sleep=off an idle machine waits in real
 * time. */
static void add_cpu(struct command *c, const struct options *o)
{
	bool kvm = use_kvm(o);

	add(c, "-accel");
	add(c, kvm ? "kvm" : "tcg");
	add(c, "-cpu");
	add(c, kvm ? "host" : "max");
	if (!o->icount)
		return;
	add(c, "-icount");
	add(c, "shift=0,sleep=off");
	add(c, "-rtc");
	add(c, "base=2026-01-01T00:00:00,clock=vm");
	add(c, "-seed");
	add(c, "1");
}

/* -nodefaults and -no-user-config, or a user's settings would add devices. -no-reboot: a guest's
 * reboot is the toolstack's affair, the machine's is its end. isa-debug-exit is how the hypervisor
 * ends QEMU with a status. By multiboot, the -initrd list is the modules: FILE WORDS is the first
 * domain's kernel with its command line, the other the archive; a comma parts them, hence
 * `escaped`. */
char **machine_command(const struct plan *plan)
{
	struct command *c = calloc(1, sizeof(*c));
	const struct options *o = plan->options;
	const char *qemu = getenv("AMPHI_QEMU");

	add(c, "%s", qemu ? qemu : "qemu-system-x86_64");
	for (const char *const *w =
		 (const char *const[]){"-M", "q35", "-nodefaults", "-no-user-config", "-display",
				       "none", "-no-reboot", "-monitor", "none", NULL};
	     *w; w++)
		add(c, "%s", *w);
	add_cpu(c, o);
	add(c, "-smp");
	add(c, "%u", o->cpus);
	add(c, "-m");
	add(c, "%u", total_mib(plan));
	add(c, "-chardev");
	add(c, "stdio,id=console,signal=%s", o->interactive ? "off" : "on");
	add(c, "-serial");
	add(c, "chardev:console");
	/* The second port, for `ctl`: whoever connects; nobody need be there. */
	add(c, "-chardev");
	add(c, "socket,id=ctl,path=%s,server=on,wait=off", escaped(o->ctl));
	add(c, "-serial");
	add(c, "chardev:ctl");
	add(c, "-device");
	add(c, "isa-debug-exit,iobase=0xf4,iosize=4");
	add_words(c, o->qemu_args);
	add_disks(c, plan);
	add_net(c, plan);
	add(c, "-kernel");
	add(c, "%s", o->hypervisor);
	add(c, "-append");
	add(c, "dom0_mem=%uM%s%s", machine_service_mib(plan), o->hypervisor_args[0] ? " " : "",
	    o->hypervisor_args);
	add(c, "-initrd");
	add(c, "%s role=service%s %s,%s", escaped(o->kernel),
	    o->interactive ? " console=interactive" : "", escaped(o->service_args), plan->archive);
	return c->word;
}
