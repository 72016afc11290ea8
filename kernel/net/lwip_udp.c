/* lwip_udp.c: lwIP's UDP, raw IP and the resolver of names, as they are (tools/sources.sh).
 *
 * Called by lwIP's IP, and by kernel/net (ping, host, iperf).
 */
#include "kernel/net/port/lwipopts.h"

#include <lwip/core/dns.c>
#include <lwip/core/raw.c>
#include <lwip/core/udp.c>
