/* lwip_tcp.c: lwIP's TCP, as it is (tools/sources.sh).
 *
 * Called by lwIP's IP and by kernel/net/tcp_stream.c.
 */
#include "kernel/net/port/lwipopts.h"

#include <lwip/core/tcp.c>
#include <lwip/core/tcp_in.c>
#include <lwip/core/tcp_out.c>
