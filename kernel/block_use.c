/* block_use.c: holds on to a disk for as long as it is there.
 *
 * Contract: block_use.h. Called by the shell's commands (through the worker), the HTTP server and the end of the domain; calls
 * host_block.h and block.h.
 */
#include <amphi/string.h>

#include "block.h"
#include "block_use.h"

/* Before the registry ends what waits: who is called back by that finds no disk any more. */
static void on_change(void *ctx, struct block_device *dev)
{
	struct block_use *use = ctx;

	if (dev == use->dev && dev->gone)
		use->dev = NULL;
}

void block_use_begin(struct block_use *use, struct block_device *dev)
{
	use->dev = dev;
	use->sectors = dev->sectors;
	memcpy(use->name, dev->name, sizeof(use->name));
	use->watch = (struct host_block_watch){.fn = on_change, .ctx = use};
	host_block_watch(&use->watch);
}

void block_use_end(struct block_use *use)
{
	host_block_unwatch(&use->watch);
	*use = (struct block_use){0};
}

bool block_use_next(struct block_use *use)
{
	struct block_device *next = block_next(use->dev);

	if (use->watch.fn)
		block_use_end(use);
	if (next)
		block_use_begin(use, next);
	return next;
}
