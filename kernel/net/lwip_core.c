/* lwip_core.c: the part of lwIP that all its protocols stand on, as it is (tools/sources.sh).
 *
 * Called by lwIP's other parts and by kernel/net. The library's files are included unchanged; what of them is built is in
 * port/lwipopts.h.
 */
#include "kernel/net/port/lwipopts.h"

#include <lwip/core/def.c>
#include <lwip/core/inet_chksum.c>
#include <lwip/core/init.c>
#include <lwip/core/ip.c>
#include <lwip/core/mem.c>
#include <lwip/core/memp.c>
#include <lwip/core/netif.c>
#include <lwip/core/pbuf.c>
#include <lwip/netif/ethernet.c>
