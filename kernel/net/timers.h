/* timers.h: whether lwIP's regular duties run.
 *
 * Between stack.c, which knows the interfaces, and timers.c. Private to kernel/net. Worker context.
 */
#ifndef KERNEL_NET_TIMERS_H
#define KERNEL_NET_TIMERS_H

#include <stdbool.h>

/* Whether there is any interface now. */
void net_timers_run(bool links);

#endif
