/* commands_bridge.c: the shell's command `bridge`: the ports of the bridges, and where addresses were last heard.
 *
 * Caller: shell.c. Calls bridge.h, in the worker; says nothing where no bridge is, which is in any domain but a service domain.
 */
#include <amphi/bridge.h>
#include "commands.h"
#include "console.h"
#include "shell.h"
#include "worker.h"

#define ULL(x) ((unsigned long long)(x))

static void print_port(const struct bridge_port_info *info, void *ctx)
{
	(void)ctx;
	console_printf(
	    "@bridge %s port=%s addresses=%u flooded=%llu elsewhere=%llu too_many=%llu\n",
	    info->bridge, info->dev->name, info->addresses, ULL(info->flooded), ULL(info->moved),
	    ULL(info->too_many));
}

static void print_address(const struct bridge_address_info *info, void *ctx)
{
	const uint8_t *m = info->mac;

	(void)ctx;
	console_printf("%02x:%02x:%02x:%02x:%02x:%02x vlan %u at %s of %s, %u ms ago\n", m[0], m[1],
		       m[2], m[3], m[4], m[5], info->vlan, info->port, info->bridge, info->age_ms);
}

static int print_all(void *ctx)
{
	bridge_for_each_port(print_port, ctx);
	bridge_for_each_address(print_address, ctx);
	return 0;
}

static int bridge(int argc, char **argv)
{
	(void)argc, (void)argv;
	return worker_call(print_all, NULL);
}

void commands_bridge_add(void)
{
	static const struct shell_command table[] = {
	    {"bridge", "", "ports of the bridges, and where addresses were heard", bridge},
	};

	shell_add(table, sizeof(table) / sizeof(table[0]));
}
