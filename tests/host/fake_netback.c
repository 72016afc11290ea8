/* fake_netback.c: one interface of a guest, by the function of amphi/netback.h that tells of them.
 *
 * Callers: ctl_test.c and ctl_netstat_test.c, by way of control/ctl_netstat.c.
 */
#include <amphi/netback.h>

#include "fake_netback.h"

struct net_device fake_vif = {.name = "vif1.0", .n_queues = 2};

void netback_for_each(void (*fn)(const struct netback_info *info, void *ctx), void *ctx)
{
	const struct netback_info info = {
	    .guest = 1, .connected = true, .dev = &fake_vif, .stats = {.copy_calls = 33}};

	fn(&info, ctx);
}
