/* host_block.h: the registry of disks, as the portable drivers see it.
 *
 * Callers: drivers-front (registers xvda and its like), drivers-back (finds what a domain's disk
 * is made of). Implemented by the kernel (kernel/block*.c) and by host tests. Worker context.
 * Ownership: a device stays the driver's; it lives from register to the return of unregister.
 */
#ifndef AMPHI_HOST_BLOCK_H
#define AMPHI_HOST_BLOCK_H

#include <amphi/block.h>

/* The device is ready for requests; its name is unique among those of the caller. */
void host_block_register(struct block_device *dev);

/* No request is in flight (the driver has ended them all). After the return nobody submits or
 * looks at dev any more. */
void host_block_unregister(struct block_device *dev);

/* The device that a disk's `params` names ("nvme0n1", "phy:/dev/vda", "serial=..."); NULL: none. */
struct block_device *host_block_find(const char *params);

#endif
