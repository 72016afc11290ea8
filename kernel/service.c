/* service.c: role=service: the first domain serves disks, store and consoles, and runs the others.
 *
 * Brings the parts up in order, makes the domains of the boot archive, and when the last of them
 * has gone ends the machine with the worst of their exit codes (not with `stay`, not when there
 * were none). The parts are elsewhere: store, backends, builder, life cycle. Caller: kmain's shell thread. Lines that begin with '@' are for the host tool.
 */
#include <amphi/blkback.h>
#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/netback.h>
#include <amphi/pciback.h>
#include <amphi/xs_server.h>
#include "cmdline.h"
#include "commands.h"
#include "console.h"
#include "host_pci_error.h"
#include "partition.h"
#include "power.h"
#include "roles.h"
#include "service.h"
#include "thread.h"
#include "worker.h"

/* What a domain that could not be made counts as. The code a shell gives for plain failure: the
 * domain had no chance to choose. */
#define EXIT_NOT_MADE 1

/* ended wakes the thread that waits for the last domain; the rest is written by the worker alone.
 */
static struct {
	bool any; /* the archive names domains */
	int worst;
	struct wait_queue ended;
} service;

/* ---- what control tells ------------------------------------------------------------------- */

static int introduce(void *ctx, domid_t domid, uint32_t port)
{
	(void)ctx;
	return xs_server_introduce(domid, port);
}

static void release(void *ctx, domid_t domid)
{
	(void)ctx;
	(void)xs_server_release(domid);
}

static void on_created(void *ctx, const struct control_domain *d)
{
	(void)ctx;
	console_printf("@domain %s id=%u memory_kib=%llu\n", d->config->name, d->domid,
		       (unsigned long long)d->memory_kib);
}

/* Its backends are still there, and their counters. In a moment they are gone with them, and the
 * figures of a guest's whole life with those. */
static void on_died(void *ctx, const struct control_domain *d)
{
	(void)ctx, (void)d;
	commands_print_stats();
}

/* By report line too, since the host tool takes a domain's exit code from there. */
static void count_end(const char *name, int code)
{
	console_printf("@domain %s exit %d\n", name, code);
	if (code > service.worst)
		service.worst = code;
	wait_wake(&service.ended);
}

static void on_ended(void *ctx, const char *name, int exit_code)
{
	(void)ctx;
	count_end(name, exit_code);
}

static const struct control_hooks hooks = {
    .file = archive_file,
    .disk = archive_disk,
    .introduce = introduce,
    .release = release,
    .console_attach = consoles_attach,
    .console_detach = consoles_detach,
    .created = on_created,
    .died = on_died,
    .ended = on_ended,
};

/* ---- start ----------------------------------------------------------------------------------- */

/* The store is in this domain, so its own requests are calls and not messages. */
static int start_store(void)
{
	return xs_server_init(host_own_domid(), NULL);
}

/* Without devices (a service domain of another's hypervisor has none unless it is the first) there
 * may still be RAM disks, so that is no error. */
static int start_disks(void)
{
	if (machine_has_devices())
		(void)drivers_native_init(cmdline.vfs);
	return 0;
}

int serve_disks(void)
{
	if (cmdline.persistent_set)
		blkback_persistent_limits(cmdline.persistent_queue, cmdline.persistent_all);
	return blkback_init();
}

static int start_control(void)
{
	return control_start(&hooks);
}

/* In order: each needs those above it. Backends watch the store and find disks; control writes
 * nodes that backends and the store must be ready for. */
static const struct {
	int (*start)(void);
	const char *what;
} parts[] = {
    {start_store, "the store"},
    {start_disks, "the disks"},
    {serve_disks, "the disk backends"},
    {netback_init, "the network backends"},
    {pciback_init, "the PCI backend"},
    {start_control, "the control of domains"},
    {host_pci_errors_start, "error reports"},
};

static int start_parts(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		int err = parts[i].start();

		if (err) {
			klog(LOG_ERROR, "service: cannot start %s (%d)", parts[i].what, err);
			return err;
		}
	}
	return 0;
}

/* One that cannot be made is counted as ended, or nobody would report it and the host tool would
 * wait. */
static void create_one(const char *name)
{
	service.any = true;
	if (archive_create(name) != 0)
		count_end(name, EXIT_NOT_MADE);
}

/* The terminal comes last, when there is a guest to give it to. */
static int create_all(void *ctx)
{
	(void)ctx;
	if (archive_open() == 0)
		archive_for_each_domain(create_one);
	if (cmdline.console == CONSOLE_INTERACTIVE)
		consoles_take_terminal();
	return 0;
}

/* ---- end ---------------------------------------------------------------------------------------
 */

/* Preserved domains have ended; they are kept for somebody to look at, who said `stay` if he is
 * there. */
static void count_live(void *ctx, const struct control_domain *d)
{
	*(unsigned *)ctx += d->state != CONTROL_PRESERVED;
}

static unsigned live(void)
{
	unsigned n = 0;

	control_for_each(count_live, &n);
	return n;
}

/* A thread of its own: the shell's must stay free for do= and for keys, the worker must not wait.
 */
static void end_when_all_are_gone(void *ctx)
{
	(void)ctx;
	WAIT_UNTIL(&service.ended, live() == 0);
	commands_print_stats();
	power_halt(service.worst);
}

static bool shall_end(void)
{
	return service.any && !cmdline.stay;
}

/* Somebody is there, or commands are, to look for the reason. Otherwise nobody would ever end the
 * machine, and whoever started it would wait. */
static bool may_stay_broken(void)
{
	return cmdline.stay || cmdline.commands[0] || cmdline.console == CONSOLE_INTERACTIVE;
}

/* In the shell's thread, before the prompt. */
void service_main(void)
{
	service_commands_add();
	if (worker_call(start_parts, NULL) != 0) {
		if (!may_stay_broken())
			power_halt(EXIT_NOT_MADE);
		return;
	}
	partitions_find();
	(void)worker_call(create_all, NULL);
	service_ctl_start();
	service_ctl_tcp_start();
	if (shall_end() && !thread_create("ender", end_when_all_are_gone, NULL))
		klog(LOG_ERROR, "service: no memory to wait for the end");
}
