/* stack.c: which interfaces the stack has, and what addresses they begin with.
 *
 * Contract: net_stack.h. Called by kernel/net_start.c, the shell's commands and link.c. One list of links; what their addresses are is
 * lwIP's to know, and asked of it.
 */
#include <amphi/host_net.h>
#include <amphi/string.h>

#include <lwip/dhcp.h>
#include <lwip/dhcp6.h>
#include <lwip/dns.h>
#include <lwip/init.h>

#include "net_stack.h"
#include "port.h"
#include "stack.h"
#include "timers.h"

#define HOSTNAME_MAX 64u

static void report_work(void *ctx);
static void loop_work(void *ctx);

static struct {
	bool started;
	struct net_stack_config config;
	const struct net_link *fixed; /* has the fixed address; NULL: the next that comes */
	char hostname[HOSTNAME_MAX];
	void (*report)(const char *line);
	struct net_link *links;
	struct host_work report_work, loop_work;
} stack = {.report_work = {.fn = report_work}, .loop_work = {.fn = loop_work}};

struct net_link *net_link_next(struct net_link *prev)
{
	return prev ? prev->next : stack.links;
}

struct net_link *net_link_find(const char *name)
{
	struct net_link *link;

	for (link = stack.links; link && strcmp(link->dev->name, name); link = link->next)
		;
	return link;
}

/* ---- telling ------------------------------------------------------------------------------ */

/* Only what can be used is worth a line, and each state of things once. */
static void report_work(void *ctx)
{
	char text[sizeof(((struct net_link *)0)->reported)];
	struct net_link *link;

	for (link = stack.links; link; link = link->next) {
		net_link_text(link, text, sizeof(text));
		if (!strcmp(text, link->reported) || !strchr(text, '/'))
			continue;
		memcpy(link->reported, text, sizeof(text));
		if (stack.report)
			stack.report(text);
	}
}

/* Servers of names are learnt with an address, but some after it: so all is looked at when lwIP is done. */
void net_report_soon(void)
{
	host_work_soon(&stack.report_work);
}

static void status_changed(struct netif *netif)
{
	net_report_soon();
}

/* ---- to itself ----------------------------------------------------------------------------- */

static void loop_work(void *ctx)
{
	struct net_link *link;

	for (link = stack.links; link; link = link->next)
		net_link_loops(link);
	netif_poll_all();
	net_loop_soon();
}

/* netif_list holds the loop's own interface beside our links; an interface's own addresses loop, too. */
void net_loop_soon(void)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		if (netif->loop_first) {
			host_work_soon(&stack.loop_work);
			return;
		}
	}
}

/* ---- interfaces ----------------------------------------------------------------------------- */

void net_stack_start(const struct net_stack_config *config, const char *hostname,
		     size_t memory_bytes, void (*report)(const char *line))
{
	static bool initialised;

	stack.config = *config;
	stack.fixed = NULL;
	stack.report = report;
	stack.started = config->mode != NET_STACK_OFF;
	(void)str_copy(stack.hostname, sizeof(stack.hostname), hostname);
	net_mem_limit(memory_bytes);
	if (stack.started && !initialised)
		lwip_init();
	initialised |= stack.started;
}

bool net_stack_started(void)
{
	return stack.started;
}

static void set_fixed(struct net_link *link)
{
	const struct net_stack_config *c = &stack.config;
	ip4_addr_t address = {c->address}, mask = {c->mask}, gateway = {c->gateway};
	ip_addr_t dns;

	netif_set_addr(&link->netif, &address, &mask, &gateway);
	for (u8_t i = 0; i < NET_DNS_SERVERS; i++) {
		ip_addr_set_ip4_u32_val(dns, c->dns[i]);
		if (c->dns[i])
			dns_setserver(i, &dns);
	}
	stack.fixed = link;
}

/* IPv6 is the network's to say: routers tell the prefix and the servers of names, or where to ask for them. */
static void set_addresses(struct net_link *link)
{
	struct netif *netif = &link->netif;

	netif->hostname = stack.hostname[0] ? stack.hostname : NULL;
	netif_set_status_callback(netif, status_changed);
	netif_create_ip6_linklocal_address(netif, 1);
	netif_set_ip6_autoconfig_enabled(netif, 1);
	(void)dhcp6_enable_stateless(netif);
	if (stack.config.mode == NET_STACK_STATIC && !stack.fixed)
		set_fixed(link);
	else
		(void)dhcp_start(netif);
}

int net_stack_take(struct net_device *dev)
{
	struct net_link *link, **end = &stack.links;
	int error;

	if (!stack.started)
		return -XEN_ENODEV;
	error = net_link_open(dev, &link);
	if (error)
		return error;
	while (*end)
		end = &(*end)->next;
	*end = link;
	if (!netif_default || netif_default->name[0] == 'l')
		netif_set_default(&link->netif);
	set_addresses(link);
	net_stack_carriers();
	return 0;
}

/* Without a carrier nobody is heard or asked, and time is not counted: a domain whose bridge has no port sleeps. */
void net_stack_carriers(void)
{
	struct net_link *link = stack.links;

	while (link && !link->dev->carrier)
		link = link->next;
	net_timers_run(link != NULL);
}

/* The books that DHCP keeps of an interface are freed before lwIP forgets it; leases end by themselves. */
static void lose(struct net_link *link)
{
	struct net_link **at = &stack.links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	if (stack.fixed == link)
		stack.fixed = NULL;
	net_routes_lost(link);
	dhcp_stop(&link->netif);
	dhcp_cleanup(&link->netif);
	dhcp6_disable(&link->netif);
	dhcp6_cleanup(&link->netif);
	if (netif_default == &link->netif)
		netif_set_default(stack.links ? &stack.links->netif : NULL);
	net_link_close(link);
	net_stack_carriers();
}

void net_stack_lost(struct net_link *link)
{
	lose(link);
}

bool net_stack_drop(struct net_device *dev)
{
	struct net_link *link = net_link_find(dev->name);

	if (link)
		lose(link);
	return link != NULL;
}

bool net_stack_ready(void)
{
	struct net_link *link;

	for (link = stack.links; link; link = link->next)
		if (netif_is_link_up(&link->netif) &&
		    !ip4_addr_isany_val(*netif_ip4_addr(&link->netif)))
			return true;
	return false;
}
