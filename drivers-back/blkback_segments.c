/* blkback_segments.c: the bounded memory in which requests in flight keep their lists of segments.
 *
 * One arena a disk, taken when a guest connects: with it what a guest can make a service domain hold is
 * known in advance, however many rings and slots it has. Called by blkback_request.c (take) and
 * blkback_ring.c (give); calls nobody but the host's work queue.
 *
 * A list lies in one word of 64 units, so that finding room is a few operations on words and never a
 * search through units. A queue whose next request finds no room waits, and while it does no other queue
 * of the disk is given any: else its large request would wait as long as others have small ones.
 */
#include "blkback_private.h"

void back_segments_reset(struct back_disk *disk)
{
	for (unsigned i = 0; i < BACK_SEGMENT_WORDS; i++)
		disk->segments_free[i] = ~0ull;
	disk->first_starved = NULL;
	disk->n_segments = 0;
}

/* What is in flight above a smaller share ends in its own time. A share is never less than one request, so who
 * waits for it has something in flight to wait for. */
void back_segments_share(struct back_root *root)
{
	unsigned share = BACK_IN_FLIGHT_MAX / MAX(root->n_connected, 1u);

	for (struct xenbus_device *bus = root->class.devices; bus; bus = bus->next)
		back_disk_of(bus)->share = MAX(share, BACK_IN_FLIGHT_MIN);
}

/* The bits from which n (1 .. 64) free ones run upwards: halving what is left to test, as in a sum by
 * doubling. */
static uint64_t runs_of(uint64_t free, unsigned n)
{
	for (unsigned have = 1; have < n && free;) {
		unsigned step = MIN(have, n - have);

		free &= free >> step;
		have += step;
	}
	return free;
}

static uint64_t mask_of(unsigned units, unsigned at)
{
	return (~0ull >> (64 - units)) << at;
}

static unsigned units_of(unsigned n_segments)
{
	return (n_segments + BACK_SEGMENTS_UNIT - 1) / BACK_SEGMENTS_UNIT;
}

static bool take(struct back_disk *disk, struct back_request *req, unsigned units)
{
	for (unsigned w = 0; w < BACK_SEGMENT_WORDS; w++) {
		uint64_t starts = runs_of(disk->segments_free[w], units);
		unsigned at, first;

		if (!starts)
			continue;
		at = (unsigned)__builtin_ctzll(starts);
		disk->segments_free[w] &= ~mask_of(units, at);
		first = (w * 64 + at) * BACK_SEGMENTS_UNIT;
		req->segs = &disk->segs[first];
		req->pieces = &disk->pieces[first];
		return true;
	}
	return false;
}

static void run_starved(struct back_disk *disk)
{
	for (unsigned i = 0; i < disk->n_queues; i++)
		if (disk->queues[i].starved)
			host_work_soon(&disk->queues[i].again);
}

bool back_segments_take_many(struct back_queue *q, struct back_request *req, unsigned n)
{
	struct back_disk *disk = q->disk;
	bool mine = !disk->first_starved || disk->first_starved == q;

	if (!mine || disk->n_segments + n > disk->share ||
	    (n > 1 && !take(disk, req, units_of(n)))) {
		disk->stats.starved += !q->starved;
		q->starved = true;
		if (mine)
			disk->first_starved = q;
		return false;
	}
	disk->n_segments += n;
	back_segments_leave(q);
	return true;
}

/* Also when the guest has put something else in its place meanwhile. Of those that waited behind it the one
 * that runs next is first. */
void back_segments_leave(struct back_queue *q)
{
	q->starved = false;
	if (q->disk->first_starved != q)
		return;
	q->disk->first_starved = NULL;
	run_starved(q->disk);
}

void back_segments_give_many(struct back_request *req)
{
	struct back_disk *disk = req->queue->disk;
	unsigned unit = (unsigned)(req->segs - disk->segs) / BACK_SEGMENTS_UNIT;

	disk->segments_free[unit / 64] |= mask_of(units_of(req->n_segments), unit % 64);
}

/* Who waits first does so for what was just given back, so there always is something to wait for. */
void back_segments_wake(struct back_disk *disk)
{
	if (disk->first_starved)
		host_work_soon(&disk->first_starved->again);
}
