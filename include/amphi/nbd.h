/* nbd.h: disks served by an NBD server, as devices of block.h.
 *
 * Caller: the kernel's word for disks (kernel/block_find.c), which asks for one by its URI. Implemented by drivers-native/nbd*.c
 * over host_tcp.h, also linked into host tests. Protocol: the NBD project's doc/proto.md: fixed newstyle handshake,
 * structured replies, flush, FUA, trim, several connections where the server says that they are one disk. No TLS: the way to
 * the server is to be trusted, or a tunnel's.
 *
 * Error rule: a server that goes away holds its requests: they are sent again, in order, when it is back, and fail with
 * -XEN_EIO when it has been away for NBD_AWAY_MS. Worker context.
 */
#ifndef AMPHI_NBD_H
#define AMPHI_NBD_H

#include <amphi/block.h>

#define NBD_PORT        10809u
#define NBD_CONNECTIONS 4u /* at most, with a server that takes several */
#define NBD_AWAY_MS     120000u
#define NBD_URI_MAX     256u

/* The disk of "nbd://HOST[:PORT]/EXPORT" (HOST: a name, an IPv4 address, or an IPv6 one in brackets), connected to when it is first
 * asked for. coming is set, and it is not registered, until the server has told its size; then host_block_changed says so.
 * NULL: no such URI, or no memory; the log says which. */
struct block_device *nbd_find(const char *uri);

struct nbd_stats {
	uint64_t replayed, reconnects;
	unsigned connections; /* that carry requests now */
};
/* Of a disk that nbd_find gave; NULL: of any other. */
const struct nbd_stats *nbd_stats(const struct block_device *dev);

/* Drops every connection and all disks; requests end with -XEN_EIO. For host programs. */
void nbd_exit(void);

#endif
