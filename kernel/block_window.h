/* block_window.h: a stretch of a disk as a disk of its own: a partition, or a slice that somebody names.
 *
 * Callers: partition.c, block_find.c. Worker context. A window ends with its disk: when that is gone, the
 * window is unregistered and freed.
 */
#ifndef KERNEL_BLOCK_WINDOW_H
#define KERNEL_BLOCK_WINDOW_H

#include <amphi/block.h>

/* A device for n_sectors from start (of 512; both multiples of the disk's own), which lie on whole; not
 * registered yet, with the disk's limits and without name, serial number, uuid and label. NULL: no memory. */
struct block_device *block_window_new(struct block_device *whole, uint64_t start,
				      uint64_t n_sectors);

/* The registered window that is exactly this stretch; NULL: none. */
struct block_device *block_window_find(const struct block_device *whole, uint64_t start,
				       uint64_t n_sectors);

#endif
