/* disk_walk.h: a whole disk, from its first sector to its last, for a thread.
 *
 * Caller: the shell's disk commands. Several chunks are in flight while the caller works on one, so
 * that the disk and the processor are busy together. The memory is taken once and kept: a backend
 * that keeps grants then maps it once (amphi/blkfront.h).
 */
#ifndef KERNEL_DISK_WALK_H
#define KERNEL_DISK_WALK_H

#include "block.h"
#include "block_use.h"

/* Called in the caller's thread for each chunk, in order. For writes it fills buf, for reads it
 * looks at it. A negative result ends the walk and is its result. */
typedef int disk_walk_fn(void *ctx, uint64_t sector, void *buf, unsigned n_sectors);

/* [waits] op: BLOCK_READ or BLOCK_WRITE (not flushed). 0, fn's error, the disk's, -XEN_ENODEV when it goes meanwhile, or
 * -XEN_ENOMEM. The disk has as many sectors as when its use began. Not the worker, and one walk at a time. */
int disk_walk(const struct block_use *disk, enum block_op op, disk_walk_fn *fn, void *ctx);

#endif
