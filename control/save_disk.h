/* save_disk.h: a stream of bytes on its way to a disk; private to control/.
 *
 * User: control_save.c, save_stream.c. Implemented by save_disk.c over block.h. Whoever has bytes asks how many
 * are taken now, puts no more, and is told when there is room again; so nothing waits. The first
 * page of the stream is kept back and written last, behind a flush: until then the disk begins with zeros, so
 * that half a stream can never be taken for a whole one. Worker context.
 */
#ifndef CONTROL_SAVE_DISK_H
#define CONTROL_SAVE_DISK_H

#include <amphi/host_block.h>

#define SAVE_RING_PAGES  128u /* a power of two; memory between the stream and the disk */
#define SAVE_CHUNK_PAGES 32u  /* at most: what goes into one request */

/* What is done for the disk besides writing the body, in this order. */
enum save_disk_step {
	SAVE_DISK_CLEAR, /* zeros on the first page */
	SAVE_DISK_CLEARED,
	SAVE_DISK_BODY,  /* room for bytes */
	SAVE_DISK_DRAIN, /* there are no more, and chunks are under way */
	SAVE_DISK_WRITTEN,
	SAVE_DISK_HEAD, /* the first page */
	SAVE_DISK_SEALED,
	SAVE_DISK_DONE,
};

struct save_disk {
	struct block_device *dev; /* NULL: it has gone */
	void (*moved)(void *ctx); /* there is more room, or it is done or has failed */
	void *ctx;
	int err; /* the first one; then what is put is thrown away */
	enum save_disk_step step;
	uint8_t *ring;
	uint8_t *head;         /* the first page */
	uint64_t put_bytes;    /* into the ring, since the beginning */
	uint64_t given, freed; /* pages given to the disk, and those whose memory is free again */
	unsigned chunk_pages, in_flight;
	bool busy[SAVE_RING_PAGES]; /* of each chunk */
	struct block_request chunk[SAVE_RING_PAGES], single;
	struct block_segment segments[SAVE_RING_PAGES], single_segment;
	struct host_block_watch watch;
};

/* Allocates, and begins by clearing the first page. -XEN_ENOMEM, -XEN_ENOSPC with nothing begun. The struct is
 * large: the caller's, zeroed; ended by save_disk_close(). */
int save_disk_open(struct save_disk *o, struct block_device *dev, void (*moved)(void *ctx),
		   void *ctx);

/* How many bytes may be put now. */
size_t save_disk_room(const struct save_disk *o);

void save_disk_put(struct save_disk *o, const void *bytes, size_t len);

/* No more is put: what is there is written, flushed, and sealed by the first page. step is then DONE, or err
 * is set. */
void save_disk_finish(struct save_disk *o);

/* No request is under way: it may be closed. */
bool save_disk_idle(const struct save_disk *o);
void save_disk_close(struct save_disk *o);

#endif
