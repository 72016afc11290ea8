/* main.c: the kernel proper: brings the parts up in order and takes its role.
 *
 * Called by the boot code (kernel/boot*.c) with memory, traps and pv operations in place and
 * interrupts off. Calls everything else. The roles: native (real disks, shell), guest (disks that
 * another domain serves, shell), service (kernel/service.c: store, backends, builder, shell).
 */
#include <amphi/blkfront.h>
#include <amphi/blktrace.h>
#include <amphi/netfront.h>
#include <amphi/drivers.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/machine.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include "balloon_xen.h"
#include "boot.h"
#include "cmdline.h"
#include "commands.h"
#include "console.h"
#include "dma_options.h"
#include "iommu_native.h"
#include "disk_trace.h"
#include "guest_control.h"
#include "host_iospace.h"
#include "host_pci_error.h"
#include "hotplug_xen.h"
#include "kernel_lock.h"
#include "lent.h"
#include "mm.h"
#include "net_start.h"
#include "partition.h"
#include "panic.h"
#include "power.h"
#include "roles.h"
#include "shell.h"
#include "smp.h"
#include "thread.h"
#include "time.h"
#include "worker.h"

/* As parsed by kmain(), not changed afterwards. Everybody in kernel/ may read it. */
struct cmdline cmdline;

/* A word nobody knows is said and passed over: the command line may be written for a newer
 * kernel, and a machine that does not start has no way to tell why. */
static void complain(const char *why, const char *word, size_t len)
{
	klog(LOG_WARN, "command line: %s: %.*s", why, (int)len, word);
}

/* What the domain is suggests what it is for. role= overrides it: a first domain can be a plain
 * guest. */
static enum role default_role(void)
{
	if (!boot_on_xen())
		return ROLE_NATIVE;
	return boot.privileged ? ROLE_SERVICE : ROLE_GUEST;
}

static void say_hello(void)
{
	klog(LOG_INFO, "amphi on %s (by %s), %llu KiB, TSC %llu MHz",
	     boot_platform_name(boot.platform), boot.loader ? boot.loader : "?",
	     (unsigned long long)pages_total_count() * 4,
	     (unsigned long long)time_tsc_hz() / 1000000);
}

/* ---- roles: each in the worker context ---------------------------------------------- */

/* A machine whose devices cannot be driven still gets its shell: the shell is how one finds out. */
static int start_native(void *ctx)
{
	if (!boot_on_xen())
		iommu_native_start();
	if (machine_has_devices())
		(void)drivers_native_init(cmdline.vfs);
	return host_pci_errors_start();
}

/* What a disk may take of this domain's memory, in the worst case an eighth: a queue of 16 pages has 512 slots
 * of 220 bytes, a request of 256 segments in flight two pages here and two in the block layer, of which either has
 * at most 64. And of the store: a node for each page of a ring, where a domain may have a thousand, hence 32 in
 * all. */
static struct blkfront_limits disk_limits(void)
{
	uint64_t mib = pages_total_count() * PAGE_SIZE >> 20;
	unsigned queues = smp_count();

	if (mib < 32)
		return (struct blkfront_limits){
		    .queues = 1, .segments = 64, .copy_pages = 128, .depth = 32};
	return (struct blkfront_limits){.queues = queues,
					.ring_order = mib < 96 || queues > 4 ? 2
						      : queues > 2           ? 3
									     : 4,
					.segments = BLOCK_MAX_SEGMENTS,
					.copy_pages = (unsigned)MIN(mib * 4, 1024u),
					.depth = mib < 96 ? 128 : 512};
}

/* A queue lends its backend so many pages, and may have as many again with users: in the worst case a sixteenth of memory
 * in all. */
static struct netfront_limits net_limits(void)
{
	uint64_t mib = pages_total_count() * PAGE_SIZE >> 20;

	if (mib < 32)
		return (struct netfront_limits){
		    .queues = 1, .rx_pages = 64, .tx_pages = 32, .staging = true};
	return (struct netfront_limits){.queues = MIN(smp_count(), mib < 96 ? 1u : NET_QUEUES_MAX),
					.rx_pages = mib < 96 ? 128 : 256,
					.tx_pages = mib < 96 ? 64 : 128,
					.staging = true};
}

/* Before any driver: what it asks memory for is decided there. */
static int start_spaces(void *ctx)
{
	iospace_start(cmdline.iommu);
	return 0;
}

/* Without a store there is nobody to ask for disks, nor to say which CPUs to use; the same goes on with
 * none. */
static int start_guest(void *ctx)
{
	struct blkfront_limits limits = disk_limits();
	struct netfront_limits networks = net_limits();
	int error;

	limits.old_keys = cmdline.disk_old_keys;
	limits.large_sectors = cmdline.disk_large_sectors;
	blkfront_limit(&limits);
	error = boot.store_page ? blkfront_init() : -XEN_ENODEV;
	if (error)
		klog(LOG_WARN, "no disks from other domains: %s", error_name(error));
	error = boot.store_page ? disk_trace_start() : 0;
	if (error)
		klog(LOG_WARN, BLKTRACE_ASK " is not watched: %s", error_name(error));
	netfront_limit(&networks);
	error = boot.store_page ? netfront_init() : -XEN_ENODEV;
	if (error)
		klog(LOG_WARN, "no networks from other domains: %s", error_name(error));
	error = boot.store_page && !machine_has_devices() && boot.platform == BOOT_XEN_PV
		    ? lent_start()
		    : 0;
	if (error)
		klog(LOG_WARN, "no devices from other domains: %s", error_name(error));
	error = boot.store_page && smp_count() > 1 ? hotplug_xen_start() : 0;
	if (error)
		klog(LOG_WARN, "CPUs stay as they are: %s", error_name(error));
	error = boot.store_page && boot.platform == BOOT_XEN_PV ? balloon_xen_start() : 0;
	if (error)
		klog(LOG_WARN, "memory stays as it is: %s", error_name(error));
	return 0;
}

/* What another domain's toolstack may ask of us. Without it the domain runs, and is only killed. */
static int start_control(void *ctx)
{
	int error = guest_control_start();

	if (error)
		klog(LOG_WARN, "control/ cannot be watched: %s", error_name(error));
	return 0;
}

/* ---- the shell's thread ------------------------------------------------------------- */

/* In the worker: the store's client belongs to it. */
static int read_name(void *ctx)
{
	return host_store_read(HOST_TX_NONE, "name", ctx, CMDLINE_NAME_MAX);
}

/* name=, or the role, or what the toolstack calls this domain. */
static const char *prompt(void)
{
	static char name[CMDLINE_NAME_MAX];

	if (cmdline.name[0])
		return cmdline.name;
	if (name[0])
		return name;
	if (cmdline.role == ROLE_SERVICE)
		return "service";
	if (boot.store_page && worker_call(read_name, name) > 0)
		return name;
	return "amphi";
}

/* Commands are in the table before the role starts, because do= may name any of them. The
 * drivers' starts are called in the worker, which is the context host.h promises to them. */
static void shell_thread(void *ctx)
{
	commands_disk_add();
	commands_ledger_add();
	commands_copy_add();
	commands_net_add();
	commands_blast_add();
	commands_info_add();
	commands_system_add();
	commands_bench_add();
	commands_price_add();
	commands_irq_try_add();
	commands_user_add();
	commands_line_add();
	commands_time_add();
	commands_selftest_add();
	commands_cpu_add();
	commands_ip_add();
	commands_send_add();
	commands_wire_add();
	commands_bridge_add();
	commands_dma_add();
	commands_dma_page_add();
	commands_dma_try_add();
	commands_dma_message_add();
	commands_ip_nc_add();
	commands_ip_http_add();
	commands_ip_iperf_add();
	smp_init();
	(void)worker_call(net_start, NULL);
	dma_options();
	if (boot_on_xen())
		(void)worker_call(start_spaces, NULL);
	switch (cmdline.role) {
	case ROLE_SERVICE:
		service_main();
		break;
	case ROLE_GUEST:
		(void)worker_call(start_guest, NULL);
		break;
	default:
		(void)worker_call(start_native, NULL);
		partitions_find();
	}
	if (boot.store_page)
		(void)worker_call(start_control, NULL);
	shell_run(prompt);
}

static void read_command_line(void)
{
	cmdline_parse(boot.cmdline, &cmdline, complain);
	if (cmdline.role == ROLE_UNSET)
		cmdline.role = default_role();
	klog_set_level((enum log_level)cmdline.loglevel);
	if (boot.n_dropped)
		klog(LOG_WARN, "%u ranges of the %s loader's memory map make no sense: left out",
		     boot.n_dropped, boot.loader);
	if (boot.refused)
		klog(LOG_ERROR, "pvops= is not followed: %s", boot.refused);
}

/* From the first line on the kernel lock is held, as everywhere. The console comes first, so that whatever fails can be read; the command line next, since it
 * chooses the console and what is worth saying. Threads before time, because a timer wakes
 * threads; interrupts only when the clock can serve the first. What called us becomes the thread
 * "main" on the boot stack, has nothing more to do and sleeps: its stack cannot be given back. */
void kmain(void)
{
	struct wait_queue never = {0};

	kernel_lock();
	console_early_init();
	read_command_line();
	thread_init();
	time_init();
	console_init();
	say_hello();
	pv_irq_enable();
	worker_init();
	if (!thread_create("shell", shell_thread, NULL))
		panic("no memory for the shell");
	for (;;)
		WAIT_UNTIL(&never, false);
}
