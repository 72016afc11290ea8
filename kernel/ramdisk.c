/* ramdisk.c: a disk in memory, for measurements, and for what no device at hand offers.
 *
 * Caller: the shell, and block_find.c for a domain file that names one. It does nothing but copy, and ends each
 * request at the kick, so that what is measured above it is the block layer and the split driver. Its contents
 * begin as zeros. A discard is a hint, and it keeps its pages whatever is in them; a secure one makes zeros of them.
 */
#include <amphi/host.h>
#include <amphi/string.h>
#include "block.h"
#include "mm.h"

/* Requests are kept from submit to kick, in order, as a real driver's ring would keep them. */
struct ramdisk {
	struct block_device dev;
	char *memory;
	struct block_request *head, *tail;
};

/* A list has no end: nothing is refused, whatever queue_depth says. */
static void ramdisk_submit(struct block_device *dev, struct block_request *req)
{
	struct ramdisk *disk = dev->driver;

	req->next = NULL;
	if (disk->tail)
		disk->tail->next = req;
	else
		disk->head = req;
	disk->tail = req;
}

/* The block layer has checked the range against sectors. A flush has no segments: nothing to
 * copy, and nothing to make durable. */
static void copy(struct ramdisk *disk, const struct block_request *req)
{
	char *start = disk->memory + req->sector * SECTOR_SIZE, *at = start;
	const struct block_segment *s = req->segments, *end = s + req->n_segments;

	if (req->op == BLOCK_WRITE) {
		for (; s < end; at += s++->len_bytes)
			memcpy(at, s->va, s->len_bytes);
		disk->dev.stats.bytes_written += (uint64_t)(at - start);
	} else {
		for (; s < end; at += s++->len_bytes)
			memcpy(s->va, at, s->len_bytes);
		disk->dev.stats.bytes_read += (uint64_t)(at - start);
	}
}

/* The block layer has checked that there are so many. */
static void discard(struct ramdisk *disk, const struct block_request *req)
{
	if (req->flags & BLOCK_SECURE)
		memset(disk->memory + req->sector * SECTOR_SIZE, 0, req->n_sectors * SECTOR_SIZE);
}

/* Popped before it ends: done() may submit the next one to this very list, and it is then served
 * by the same loop. */
static void ramdisk_kick(struct block_device *dev)
{
	struct ramdisk *disk = dev->driver;
	struct block_request *req;

	while ((req = disk->head)) {
		disk->head = req->next;
		if (!disk->head)
			disk->tail = NULL;
		if (req->op == BLOCK_DISCARD)
			discard(disk, req);
		else
			copy(disk, req);
		dev->stats.requests++;
		dev->stats.flushes += req->op == BLOCK_FLUSH;
		req->done(req, 0);
	}
}

/* Cannot be removed again, as no block device can; its pages are one run, so that a request's
 * bytes are found by a sum. */
int ramdisk_create(const char *name, uint64_t size_bytes, uint32_t sector_size)
{
	static const struct block_ops ops = {ramdisk_submit, ramdisk_kick};
	unsigned pages = (unsigned)PAGES_FOR(size_bytes);
	struct ramdisk *disk = kmalloc(sizeof(*disk));
	int error;

	if (!disk)
		return -XEN_ENOMEM;
	disk->memory = pages_alloc(pages);
	if (!disk->memory) {
		kfree(disk, sizeof(*disk));
		return -XEN_ENOMEM;
	}
	disk->dev = (struct block_device){.ops = &ops,
					  .sectors = size_bytes / SECTOR_SIZE,
					  .sector_size = sector_size,
					  .has_flush = true,
					  .has_discard = true,
					  .discard_secure = true,
					  .max_segments = BLOCK_MAX_SEGMENTS,
					  .queue_depth = 64,
					  .driver = disk};
	str_copy(disk->dev.name, sizeof(disk->dev.name), name);
	error = block_register(&disk->dev);
	if (error) {
		pages_free(disk->memory, pages);
		kfree(disk, sizeof(*disk));
	}
	return error;
}
