/* lwip_ip6.c: lwIP's IPv6 with neighbour discovery, ICMPv6, MLD and stateless DHCPv6, as it is (tools/sources.sh).
 *
 * Called by lwIP's core, and by kernel/net for addresses and routes.
 */
#include "kernel/net/port/lwipopts.h"

#include <lwip/ip6_frag.h>

#include "kernel/net/port/hooks.h"

#include <lwip/core/ipv6/dhcp6.c>
#include <lwip/core/ipv6/ethip6.c>
#include <lwip/core/ipv6/icmp6.c>
#include <lwip/core/ipv6/inet6.c>
/* The one place from which it is called is ours to decide. */
#define ip6_frag net_ip6_frag
#include <lwip/core/ipv6/ip6.c>
#undef ip6_frag
#include <lwip/core/ipv6/ip6_addr.c>
#include <lwip/core/ipv6/ip6_frag.c>
#include <lwip/core/ipv6/mld6.c>
#include <lwip/core/ipv6/nd6.c>
