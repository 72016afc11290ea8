/* net_stack.h: the TCP/IP stack, as the rest of the kernel sees it.
 *
 * Two sides: kernel/net implements it over lwIP; kernel/net_start.c begins it and says which interfaces are its own, the shell's commands
 * (commands_ip*.c) ask. Streams are amphi/host_tcp.h's. Worker context, callbacks too. Errors: negative XEN_Exxx. Addresses
 * are text here, of at most NET_ADDR_CHARS with the NUL, as RFC 5952 and dotted quads write them.
 */
#ifndef KERNEL_NET_STACK_H
#define KERNEL_NET_STACK_H

#include <amphi/net.h>

#define NET_ADDR_CHARS  64u
#define NET_DNS_SERVERS 3u

enum net_stack_mode { NET_STACK_DHCP, NET_STACK_STATIC, NET_STACK_OFF };

/* What ip= says. IPv4 in network order, 0: none. */
struct net_stack_config {
	enum net_stack_mode mode;
	uint32_t address, mask, gateway;
	uint32_t dns[NET_DNS_SERVERS];
};

/* "dhcp", "off" or "A.B.C.D/N[,gw=A.B.C.D][,dns=A.B.C.D]...": -XEN_EINVAL, and out as it was, for anything else. Pure. */
int net_stack_parse(const char *text, struct net_stack_config *out);

/* Once, before all others. At most memory_bytes are used for packets and connections. hostname ("": none) is what DHCP is told; it and
 * config are copied. report(line) is called with "IF ADDR/N gw ADDR dns ADDR ..." whenever that has changed for the better. */
void net_stack_start(const struct net_stack_config *config, const char *hostname,
		     size_t memory_bytes, void (*report)(const char *line));
bool net_stack_started(void);

/* Makes it the stack's; the address is what the configuration says (the fixed one is the first device's, others have DHCP).
 * -XEN_EBUSY: it has another user; -XEN_ENOMEM; -XEN_ENODEV: ip=off. The stack lets go by itself when dev goes. */
int net_stack_take(struct net_device *dev);
/* Lets go of dev, which stays. False: the stack did not have it. */
bool net_stack_drop(struct net_device *dev);

/* ---- looking, and changing by hand -------------------------------------------------------- */

/* Each calls line(text) for each line it has to say. */
void net_show_addresses(void (*line)(const char *text));
void net_show_routes(void (*line)(const char *text));
void net_show_neighbours(void (*line)(const char *text));

/* address: A.B.C.D/N, or an IPv6 address (/64). IPv4 takes DHCP's place. -XEN_EINVAL, -XEN_ENODEV (no such interface), -XEN_ENOSPC. */
int net_address_add(const char *dev, const char *address);
int net_address_del(const char *dev, const char *address);
/* The way to everywhere else; dev NULL: the interface whose network it is in. -XEN_EINVAL, -XEN_EADDRNOTAVAIL (no network of ours holds it). */
int net_gateway_set(const char *gateway, const char *dev);
/* The way to everywhere else is none any more. */
void net_gateway_clear(void);
/* The way to network (ADDRESS/BITS, IPv4 or IPv6): by gateway, which an interface's network holds (or by its own link, fe80::), or NULL: every
 * address is on dev's wire. dev NULL: the interface that reaches the gateway. The longest network that holds an address counts; those
 * of the interfaces come before. -XEN_EINVAL, -XEN_ENODEV, -XEN_EADDRNOTAVAIL (the gateway is not near), -XEN_EEXIST, -XEN_ENOSPC (16). */
int net_route_add(const char *network, const char *gateway, const char *dev);
/* -XEN_EINVAL, -XEN_ENOENT. */
int net_route_del(const char *network);
int net_dns_add(const char *address);
/* Whether some interface has an address that others can reach. */
bool net_stack_ready(void);

/* ---- names --------------------------------------------------------------------------------- */

/* fn is called once, later: with 0 and the address; or -XEN_ENOENT: no server that was asked knows such a name, or none answers. An address
 * is its own answer. -XEN_EINVAL (longer than a name can be), -XEN_ENOMEM: fn is not called. want_ip6: else IPv4, and IPv6 if there is
 * none. asker is the caller's until fn was called, or cancel. */
struct net_resolve {
	void (*fn)(void *ctx, int status, const char *address);
	void *ctx;
	struct net_question *question; /* resolve.c's */
};
int net_resolve(const char *name, bool want_ip6, struct net_resolve *asker);
/* Nothing, when it was answered. */
void net_resolve_cancel(struct net_resolve *asker);

/* ---- ping ---------------------------------------------------------------------------------- */

#define NET_PING_BYTES_MAX 65507u

/* answer(ctx, seq, ns) for each echo that came back whole; ended(ctx, status) once: 0 when all that were sent have been answered or had
 * their time, else why one could not be sent. The caller's until ended was called, or cancel. */
struct net_ping {
	/* IN */
	const char *address;
	unsigned count, bytes; /* of data: 0 .. NET_PING_BYTES_MAX */
	/* Between two; 0: the next goes when the last was answered. How long each may take. */
	uint32_t interval_ms, wait_ms;
	void (*answer)(void *ctx, unsigned seq, uint64_t ns);
	void (*ended)(void *ctx, int status);
	void *ctx;
	/* OUT */
	unsigned sent, received, duplicates;
	unsigned wrong; /* came back with other bytes than were sent, or another length */
	/* ping.c's */
	struct ping_state *state;
};
/* -XEN_EINVAL: no address, too many bytes; -XEN_ENOMEM. */
int net_ping_begin(struct net_ping *ping);
/* Before its end: nothing is called any more. */
void net_ping_cancel(struct net_ping *ping);

#endif
