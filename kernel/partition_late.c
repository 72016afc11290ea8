/* partition_late.c: the thread that looks for partitions of disks that come late.
 *
 * Contract: partition_late.h. It is made when first asked for, as most domains get no disk of their own while they run. The
 * search of the disks that were there at the start (main.c, service.c) has ended by then, so that two never search at once.
 */
#include "partition_late.h"

#include "console.h"
#include "partition.h"
#include "thread.h"

static struct {
	bool exists, wanted, searching;
	struct wait_queue changed;
} late;

static void search(void *ctx)
{
	for (;;) {
		WAIT_UNTIL(&late.changed, late.wanted);
		late.searching = true;
		late.wanted = false;
		partitions_find();
		late.searching = false;
		wait_wake(&late.changed);
	}
}

void partitions_find_soon(void)
{
	if (!late.exists && !thread_create("partitions", search, NULL)) {
		klog(LOG_WARN, "no memory to look for partitions");
		return;
	}
	late.exists = late.wanted = true;
	wait_wake(&late.changed);
}

void partitions_wait(void)
{
	WAIT_UNTIL(&late.changed, !late.wanted && !late.searching);
}
