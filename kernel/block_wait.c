/* block_wait.c: block I/O for threads that wait for it.
 *
 * Callers: the shell's thread and its like; not the worker, which would wait for itself. The piece
 * lies on the caller's stack; a piece of work carries it to the worker and its end wakes the
 * caller.
 */
#include <amphi/host.h>
#include "block.h"
#include "panic.h"
#include "thread.h"
#include "worker.h"

/* The disk is looked at by the worker alone: to the thread dev is an address, of one that may have gone.
 *
 *   thread                      worker
 *   post work, wait  ------->   submit: block_submit, block_kick
 *                               ... the device answers ...
 *   go on            <-------   piece_done: ended = true, wake
 */
struct wait {
	struct block_device *dev;
	struct block_piece piece;
	struct host_work work;
	struct wait_queue queue;
	bool through; /* of a write: to the medium, if the disk has a word for it */
	bool ended;
	int status;
};

/* status before ended: the thread may run, and its stack with w be gone, as soon as it sees ended.
 */
static void piece_done(struct block_piece *piece, int status)
{
	struct wait *w = piece->ctx;

	w->status = status;
	w->ended = true;
	wait_wake(&w->queue);
}

/* A disk may go between two requests of a thread, which does not see it. */
static void submit(void *ctx)
{
	struct wait *w = ctx;

	if (!block_is_there(w->dev)) {
		piece_done(&w->piece, -XEN_ENODEV);
		return;
	}
	if (w->piece.op == BLOCK_FLUSH && !w->dev->has_flush) {
		piece_done(&w->piece, 0); /* it writes through, by its driver's word */
		return;
	}
	if (w->through && w->dev->has_fua)
		w->piece.flags = BLOCK_FUA;
	block_submit(w->dev, &w->piece);
	block_kick(w->dev);
}

/* ended may be true before the thread waits at all: WAIT_UNTIL looks first. */
static int run(struct wait *w)
{
	KASSERT(!worker_is_current());
	w->piece.done = piece_done;
	w->piece.ctx = w;
	w->work.fn = submit;
	w->work.ctx = w;
	worker_post(&w->work);
	WAIT_UNTIL(&w->queue, w->ended);
	return w->status;
}

int block_io(struct block_device *dev, enum block_op op, uint64_t sector, void *va,
	     uint32_t len_bytes)
{
	struct wait w = {.dev = dev,
			 .piece = {.op = op, .sector = sector, .va = va, .len_bytes = len_bytes}};

	return run(&w);
}

/* By the device's own word for it where it has one, else by a flush behind it. */
int block_write_through(struct block_device *dev, uint64_t sector, void *va, uint32_t len_bytes)
{
	struct wait w = {
	    .dev = dev,
	    .piece = {.op = BLOCK_WRITE, .sector = sector, .va = va, .len_bytes = len_bytes},
	    .through = true};
	int error = run(&w);

	return error || w.piece.flags ? error : block_flush(dev);
}

int block_discard(struct block_device *dev, uint64_t sector, uint32_t len_bytes, bool secure)
{
	struct wait w = {.dev = dev,
			 .piece = {.op = BLOCK_DISCARD,
				   .flags = secure ? BLOCK_SECURE : 0,
				   .sector = sector,
				   .len_bytes = len_bytes}};

	return run(&w);
}

int block_flush(struct block_device *dev)
{
	struct wait w = {.dev = dev, .piece = {.op = BLOCK_FLUSH}};

	return run(&w);
}
