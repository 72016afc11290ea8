/* lwip_ip4.c: lwIP's IPv4 with ARP, ICMP and DHCP, as it is (tools/sources.sh).
 *
 * Called by lwIP's core, and by kernel/net for addresses and routes.
 */
#include "kernel/net/port/lwipopts.h"

#include <lwip/ip4_frag.h>

#include "kernel/net/port/hooks.h"

#include <lwip/core/ipv4/dhcp.c>
#include <lwip/core/ipv4/etharp.c>
#include <lwip/core/ipv4/icmp.c>
/* The one place from which it is called is ours to decide. */
#define ip4_frag net_ip4_frag
#include <lwip/core/ipv4/ip4.c>
#undef ip4_frag
#include <lwip/core/ipv4/ip4_addr.c>
#include <lwip/core/ipv4/ip4_frag.c>
