/* blkfront_want.c: requests that have nothing to go out with, and what is let go for them.
 *
 * A request needs grants, and one that is copied needs pages. Both come back with answers; but when nothing of the
 * disk is in flight they are with others: other disks' standing grants above all, which fill the table of a guest with
 * many disks. So every idle disk gives back what its backend has let go of, now and again until the request can
 * go; and once for a disk that comes, before it takes shorter rings. Called by blkfront_ring.c, blkfront_offer.c and
 * the worker's timer; calls blkfront_data.c and blkfront_lent.c.
 */
#include "blkfront_private.h"

/* Longer than a backend that keeps pages mapped keeps those that nobody uses: a minute in Linux's and in ours, and a
 * sweep of its own before it looks. */
#define WANT_TRIES    1200u
#define WANT_FIRST_NS 1000000ull
#define WANT_AGAIN_NS 100000000ull

bool front_want(struct front_disk *disk)
{
	if (disk->want_tries >= WANT_TRIES)
		return false;
	host_work_after(&disk->want, disk->want_tries ? WANT_AGAIN_NS : WANT_FIRST_NS);
	return true;
}

/* Disks with requests in flight keep theirs: see front_data_sweep. */
void front_relieve(const struct xenbus_class *class)
{
	for (struct xenbus_device *bus = class->devices; bus; bus = bus->next) {
		struct front_disk *disk = front_disk_of(bus);

		if (disk->connected && front_in_flight(disk) == 0)
			front_data_let_go(disk);
	}
}

/* At the last try what still cannot go fails (front_start_queued); the next request is waited for anew. */
void front_want_work(void *ctx)
{
	struct front_disk *disk = ctx;

	if (!disk->connected)
		return;
	disk->want_tries++;
	disk->stats.wanted++;
	front_relieve(disk->bus.class);
	front_feed(disk);
	if (front_in_flight(disk) || disk->want_tries >= WANT_TRIES)
		disk->want_tries = 0;
}
