/* disk_walk.c: reads or writes a whole disk with several chunks in flight.
 *
 * Caller: the shell's disk commands, in one thread. Calls the block layer through the worker. Chunk
 * i uses slot i modulo the number of slots. Two counters carry everything: the thread raises
 * wanted, the worker's pump submits up to it:
 *
 *   read:  thread wants the first N; waits for chunk i, looks at it, wants chunk i + N
 *   write: thread waits for chunk i - N to be gone, fills chunk i, wants it
 */
#include <amphi/blkfront.h>
#include <amphi/error_name.h>
#include <amphi/host.h>
#include "console.h"
#include "disk_walk.h"
#include "mm.h"
#include "thread.h"
#include "worker.h"

/* 64 KiB, which the layer joins with its neighbours to what the device takes; 4 MiB in flight at most, since half
 * of it is wanted at a time (let_pump_run) and a request may be of a MiB. */
#define CHUNK_SECTORS 128u
#define CHUNK_BYTES   (CHUNK_SECTORS * SECTOR_SIZE)
#define CHUNK_PAGES   (CHUNK_BYTES / (unsigned)PAGE_SIZE)
#define SLOTS_MAX     64u
#define SLOTS_MIN     2u

/* busy is set by the thread when it wants the chunk and cleared by the worker when it has ended. */
struct slot {
	struct block_piece piece;
	bool busy;
	int status;
};

/* One at a time: there is one shell. chunks, op and disk are fixed while it lasts; wanted belongs to
 * the thread, submitted to the pump. The disk itself is the pump's to look at: it may go between two turns. */
static struct walk {
	const struct block_use *disk;
	enum block_op op;
	uint64_t chunks, wanted, submitted;
	bool told; /* an error */
	struct slot slots[SLOTS_MAX];
	struct host_work pump;
	struct wait_queue wait;
} walk;

static char *memory;
static unsigned n_slots;

/* As much as a quarter of what is free, once. Lent to the backends; where there are none nothing
 * comes of it. */
static int lend(void *ctx)
{
	return blkfront_lend(memory, n_slots * CHUNK_PAGES);
}

/* Kept for good once taken: what was lent to a backend may stay mapped there as long as it is
 * connected. */
static bool take_memory(void)
{
	if (memory)
		return true;
	n_slots = (unsigned)MIN(pages_free_count() / 4 / CHUNK_PAGES, SLOTS_MAX);
	n_slots = MAX(n_slots, SLOTS_MIN);
	memory = pages_alloc(n_slots * CHUNK_PAGES);
	if (memory)
		(void)worker_call(lend, NULL);
	return memory != NULL;
}

static void *slot_memory(uint64_t chunk)
{
	return memory + chunk % n_slots * CHUNK_BYTES;
}

/* The last chunk may be short. */
static unsigned chunk_sectors(uint64_t chunk)
{
	return (unsigned)MIN(walk.disk->sectors - chunk * CHUNK_SECTORS, CHUNK_SECTORS);
}

/* Worker. The status is there before busy goes: the thread reads it as soon as it sees the slot
 * free. */
static void slot_done(struct block_piece *piece, int status)
{
	struct slot *slot = piece->ctx;

	slot->status = status;
	slot->busy = false;
	wait_wake(&walk.wait);
}

/* Worker. Each piece's slot was freed before it was wanted anew, so nothing is overwritten. One
 * kick at the end: one doorbell or notification for all that came together. Of a disk that has gone, also between
 * two of them, all that is wanted ends at once. */
static void pump(void *ctx)
{
	struct block_device *dev = walk.disk->dev;
	struct slot *slot;

	while (walk.submitted < walk.wanted) {
		slot = &walk.slots[walk.submitted % n_slots];
		slot->piece.op = walk.op;
		slot->piece.sector = walk.submitted * CHUNK_SECTORS;
		slot->piece.va = slot_memory(walk.submitted);
		slot->piece.len_bytes = chunk_sectors(walk.submitted) * SECTOR_SIZE;
		slot->piece.done = slot_done;
		slot->piece.ctx = slot;
		walk.submitted++;
		if (dev)
			block_submit(dev, &slot->piece);
		else
			slot_done(&slot->piece, -XEN_ENODEV);
		dev = walk.disk->dev;
	}
	if (dev)
		block_kick(dev);
}

/* Marks chunks busy up to, not including, the given one; the worker does the rest. Busy is set here
 * and not by the pump, or wait_for would look at the slot before the pump has. */
static void want(uint64_t until)
{
	for (; walk.wanted < until; walk.wanted++)
		walk.slots[walk.wanted % n_slots].busy = true;
	worker_post(&walk.pump);
}

/* The first error of the disk is told with its place; what fn finds, fn tells. A request may carry
 * the end of one chunk and the start of the next, so the place may be in the next one. */
static void tell(const struct slot *slot)
{
	if (walk.told)
		return;
	walk.told = true;
	console_printf("%s: %s error at sector %llu or soon after: %s\n", walk.disk->name,
		       walk.op == BLOCK_WRITE ? "write" : "read",
		       (unsigned long long)slot->piece.sector, error_name(slot->status));
}

static int wait_for(uint64_t chunk)
{
	struct slot *slot = &walk.slots[chunk % n_slots];

	WAIT_UNTIL(&walk.wait, !slot->busy);
	if (slot->status)
		tell(slot);
	return slot->status;
}

/* The pump runs when this thread waits. Half the slots wanted anew are worth a turn of its own. */
static void let_pump_run(uint64_t chunk)
{
	if (chunk % (n_slots / 2) == 0)
		thread_yield();
}

/* Chunk i's memory may be read into again as soon as fn is done with it, which is when i + N is
 * wanted. */
static int walk_reading(disk_walk_fn *fn, void *ctx)
{
	uint64_t chunk;
	int error = 0;

	want(MIN(walk.chunks, (uint64_t)n_slots));
	for (chunk = 0; chunk < walk.chunks && !error; chunk++) {
		error = wait_for(chunk);
		if (!error)
			error = fn(ctx, chunk * CHUNK_SECTORS, slot_memory(chunk),
				   chunk_sectors(chunk));
		if (!error && walk.wanted < walk.chunks)
			want(walk.wanted + 1);
		let_pump_run(chunk);
	}
	return error;
}

/* A slot that was never wanted is not busy and has status 0, so the first round waits for nothing.
 */
static int walk_writing(disk_walk_fn *fn, void *ctx)
{
	uint64_t chunk;
	int error = 0;

	for (chunk = 0; chunk < walk.chunks && !error; chunk++) {
		error = wait_for(chunk);
		if (!error)
			error = fn(ctx, chunk * CHUNK_SECTORS, slot_memory(chunk),
				   chunk_sectors(chunk));
		if (!error)
			want(chunk + 1);
		let_pump_run(chunk);
	}
	return error;
}

/* What is in flight must end before we return, error or not: it points into walk and memory. */
int disk_walk(const struct block_use *disk, enum block_op op, disk_walk_fn *fn, void *ctx)
{
	uint64_t chunk;
	int error, late;

	if (!take_memory())
		return -XEN_ENOMEM;
	walk = (struct walk){.disk = disk,
			     .op = op,
			     .chunks = DIV_ROUND_UP(disk->sectors, CHUNK_SECTORS),
			     .pump = {.fn = pump}};
	error = op == BLOCK_READ ? walk_reading(fn, ctx) : walk_writing(fn, ctx);
	for (chunk = 0; chunk < n_slots; chunk++) {
		late = wait_for(chunk);
		error = error ? error : late;
	}
	return error;
}
