/* commands_ip_wait.h: what the shell's commands for the network have in common: to wait for the worker, until Ctrl-C, and names.
 *
 * Between commands_ip_wait.c and commands_ip*.c. All are called in the shell's thread, but for net_wait_end.
 */
#ifndef KERNEL_COMMANDS_IP_WAIT_H
#define KERNEL_COMMANDS_IP_WAIT_H

#include <stdbool.h>
#include "kernel/net/net_stack.h"

/* One thing that the worker does for a command; zero begins it. */
struct net_wait {
	bool ended;
	int status;
};
/* Any context; the struct may be gone when it returns. */
void net_wait_end(struct net_wait *wait, int status);
/* [waits] The status; -XEN_EAGAIN when Ctrl-C was faster: then what was begun is to be ended by the caller. timeout_ms, 0: for ever;
 * -XEN_ETIMEDOUT. */
int net_wait(struct net_wait *wait, unsigned timeout_ms);

/* [waits] For an address, at most 15 s, since commands from do= are faster than DHCP. -XEN_ENODEV: none has come; told. */
int net_wait_ready(void);

/* [waits] As net_resolve. Told when it fails. */
int net_lookup(const char *name, bool want_ip6, char address[NET_ADDR_CHARS]);

#endif
