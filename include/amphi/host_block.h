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

/* The driver's word that sectors, readonly, gone or another field of dev changed. */
void host_block_changed(struct block_device *dev);

/* Who wants to know: fn(ctx, dev) after dev changed, and from host_block_unregister with dev->gone set: no
 * request is in flight then, and when fn has returned the watcher has forgotten dev. The struct is the
 * watcher's, from watch to unwatch; fn may not unwatch. */
struct host_block_watch {
	void (*fn)(void *ctx, struct block_device *dev);
	void *ctx;
	/* the host's */
	struct host_block_watch *next;
};
void host_block_watch(struct host_block_watch *watch);
void host_block_unwatch(struct host_block_watch *watch);

/* The device that a disk's `params` names: "nvme0n1", "nvme0n1p2", "phy:/dev/vda", "serial=...", "PARTUUID=...",
 * "PARTLABEL=...", "nbd://HOST[:PORT]/EXPORT", and a slice of any, "vda@1M+64M"; the last two are made (and stay) when first asked for.
 * NULL: none, more than one, or a slice that is not on its disk. One that is `coming` can be waited for, and nothing else. */
struct block_device *host_block_find(const char *params);

/* Whether writing to one could change what the other has: they are the same, or stretches of one disk that
 * share a sector. */
bool host_block_overlap(const struct block_device *a, const struct block_device *b);

/* A partition or slice of dev that is a disk of its own; NULL: there is none. */
const struct block_device *host_block_part_of(const struct block_device *dev);

#endif
