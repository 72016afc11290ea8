/* block_use.h: a disk that somebody uses for longer than a moment, and that may go meanwhile.
 *
 * Users: the shell's commands, which wait between two looks at a disk, and the HTTP server. Why: a driver frees its disk when the function is
 * taken away, or a backend ends, whoever waits for it; a pointer to it is good until the worker runs, and no longer. What is
 * needed of the disk afterwards, its name in an answer, is copied. Calls host_block.h's watches; worker context.
 */
#ifndef KERNEL_BLOCK_USE_H
#define KERNEL_BLOCK_USE_H

#include <amphi/host_block.h>

struct block_use {
	struct block_device *dev; /* NULL: it has gone; what was submitted has ended, or will */
	/* as they were at the beginning */
	char name[sizeof(((struct block_device *)0)->name)];
	uint64_t sectors;
	/* the file's */
	struct host_block_watch watch;
};

/* use does not move, and stays the caller's until the end. dev is registered. */
void block_use_begin(struct block_use *use, struct block_device *dev);
/* Also of one that has gone. */
void block_use_end(struct block_use *use);

/* The disk behind the one that is used is used now, and that one no more: false, and none is, when there is none. Of a use that is all zeros the
 * first; also of one whose disk has gone, so that some come twice and none is left out. */
bool block_use_next(struct block_use *use);

#endif
