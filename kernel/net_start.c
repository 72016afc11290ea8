/* net_start.c: who uses which network interface, and how the TCP/IP stack begins.
 *
 * Callers: kmain's shell thread, in the worker, before the role's drivers; `serve`. In a domain that serves others, the service domain or a driver domain, a
 * bridge has the cards and the guests' interfaces, and the stack the bridge's own one and what others serve to it; elsewhere the stack has
 * every interface. The stack is kernel/net's, bridges are drivers-back's. What ip= says was read by cmdline.c as text.
 */
#include <amphi/bridge.h>
#include <amphi/error_name.h>
#include <amphi/host_net.h>
#include <amphi/string.h>
#include "cmdline.h"
#include "console.h"
#include "mm.h"
#include "kernel/net/net_stack.h"
#include "net_start.h"

#define DEFAULT_BRIDGE "xenbr0"
/* Packets and connections may take an eighth of the memory, and no more than is of use. */
#define MEMORY_OF  8u
#define MEMORY_MAX (32u << 20)

static bool bridged;

/* For the host tool, and for people: in the worker, when an address has come. */
static void report(const char *line)
{
	console_break_line();
	console_printf("@net %s\n", line);
}

static bool is_ours(const struct net_device *dev)
{
	if (str_starts(dev->name, "vif"))
		return false;
	return !bridged || !dev->uplink;
}

static void look(void *ctx, struct net_device *dev)
{
	int error;

	if (dev->gone || dev->user || !is_ours(dev))
		return;
	error = net_stack_take(dev);
	if (error)
		klog(LOG_WARN, "%s: no addresses: %s", dev->name, error_name(error));
}

static void begin_stack(void)
{
	static struct host_net_watch watch = {.fn = look};
	struct net_stack_config config = {.mode = NET_STACK_DHCP};
	uint64_t bytes = pages_total_count() * PAGE_SIZE / MEMORY_OF;

	if (cmdline.ip[0] && net_stack_parse(cmdline.ip, &config)) {
		klog(LOG_WARN, "command line: ip=%s is not understood: DHCP", cmdline.ip);
		config.mode = NET_STACK_DHCP;
	}
	net_stack_start(&config, cmdline.name, (size_t)MIN(bytes, MEMORY_MAX), report);
	if (net_stack_started())
		host_net_watch(&watch);
}

/* The cards first: the bridge's interface comes with the bridge, and has the fixed address only when nobody else has it. */
int net_start_bridges(void)
{
	bridged = true;
	for (struct net_device *dev = host_net_next(NULL); dev; dev = host_net_next(dev))
		if (dev->uplink)
			(void)net_stack_drop(dev);
	return bridge_start(DEFAULT_BRIDGE);
}

int net_start(void *ctx)
{
	int error = cmdline.role == ROLE_SERVICE ? net_start_bridges() : 0;

	if (error)
		klog(LOG_WARN, "no bridges: %s", error_name(error));
	begin_stack();
	return 0;
}
