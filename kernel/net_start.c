/* net_start.c: who uses which network interface, and how the TCP/IP stack begins.
 *
 * Caller: kmain's shell thread, in the worker, before the role's drivers. In a service domain a bridge has the uplinks and the guests' interfaces,
 * and the stack the bridge's own one; elsewhere the stack has every interface that is no guest's. The stack is kernel/net's, bridges are
 * drivers-back's. What ip= says was read by cmdline.c as text.
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
	return cmdline.role != ROLE_SERVICE || !dev->uplink;
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

int net_start(void *ctx)
{
	int error = cmdline.role == ROLE_SERVICE ? bridge_start(DEFAULT_BRIDGE) : 0;

	if (error)
		klog(LOG_WARN, "no bridges: %s", error_name(error));
	begin_stack();
	return 0;
}
