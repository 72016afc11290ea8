/* block.h: the kernel's list of block devices, and the layer between them and their users.
 *
 * Users: shell, jobs, benches. Drivers come in through block_register (portable ones through
 * <amphi/host_block.h>). The layer takes pieces of any length, cuts them at pages and at the
 * device's limits, joins neighbours that wait together, and keeps no more requests in flight
 * than the device wants. All but block_io and block_flush is worker context (amphi/host.h).
 * Error rule: each piece ends with exactly one done, 0 or -XEN_Exxx. Not a cache.
 */
#ifndef KERNEL_BLOCK_H
#define KERNEL_BLOCK_H

#include <amphi/block.h>

/* ---- registry ----------------------------------------------------------------------- */

/* -XEN_EEXIST when the name is taken, -XEN_ENOMEM. The device stays the driver's. */
int block_register(struct block_device *dev);
/* The driver has ended all requests before. */
void block_unregister(struct block_device *dev);
struct block_device *block_find(const char *name);
struct block_device *block_find_serial(const char *serial);
/* NULL begins; returns NULL at the end. */
struct block_device *block_next(struct block_device *prev);
/* dev may be one that has been freed: only its address counts. */
bool block_is_there(const struct block_device *dev);

/* ---- pieces ------------------------------------------------------------------------- */

/* A contiguous stretch of the disk and of (virtual) memory. */
struct block_piece {
	/* IN: unchanged until done. va aligned to the sector size; len_bytes a multiple of the
	 * sector size (0 for BLOCK_FLUSH); sector in units of 512 bytes. Of a discard len_bytes is
	 * what is discarded, and va is nothing. flags: BLOCK_FUA of a write, BLOCK_SECURE of a discard. */
	enum block_op op;
	uint32_t flags;
	uint64_t sector;
	void *va;
	uint32_t len_bytes;
	void (*done)(struct block_piece *piece, int status);
	void *ctx;
	/* the layer's */
	struct block_piece *next;
	uint32_t given_bytes; /* already put into requests */
	uint32_t parts;       /* requests not ended yet */
	int status;
};

/* Queues the piece; it reaches the device at block_kick, or when the worker is done with what was
 * queued for it before. Pieces that have not ended have no order among them: who needs one waits
 * for done. A piece beyond the disk's end or out of alignment ends at once with -XEN_EINVAL, a
 * write to a read-only disk with -XEN_EROFS, what the disk does not offer with -XEN_EOPNOTSUPP. */
void block_submit(struct block_device *dev, struct block_piece *piece);
/* Sends what is queued: makes requests of it, rings the doorbell once. */
void block_kick(struct block_device *dev);

/* ---- for threads -------------------------------------------------------------------- */

/* [waits] Reads or writes len_bytes. Any thread but the worker. -XEN_ENODEV: the disk has gone, before or meanwhile, as of all of these: dev may be one
 * that has been freed, or NULL (block_use.h). */
int block_io(struct block_device *dev, enum block_op op, uint64_t sector, void *va,
	     uint32_t len_bytes);
/* [waits] A write that is on the medium when this returns 0. */
int block_write_through(struct block_device *dev, uint64_t sector, void *va, uint32_t len_bytes);
/* [waits] What is in these bytes is not needed any more; secure: and nobody is to read it again. */
int block_discard(struct block_device *dev, uint64_t sector, uint32_t len_bytes, bool secure);
/* [waits] 0 when the device has no flush. */
int block_flush(struct block_device *dev);

/* Counters of the layer, beside the driver's own in dev->stats. */
struct block_layer_stats {
	uint64_t pieces, requests, merged, split;
};
const struct block_layer_stats *block_layer_stats(const struct block_device *dev);

/* A RAM disk of size_bytes named name, in sectors of sector_size, of which size_bytes is a multiple: completes each
 * request at the kick. A discard leaves what is there, a secure one leaves zeros. */
int ramdisk_create(const char *name, uint64_t size_bytes, uint32_t sector_size);

#endif
