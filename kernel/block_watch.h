/* block_watch.h: the list of those who want to know when a disk changes or goes.
 *
 * Who keeps a registry of disks (kernel/block.c, and the mock of the host tests) has one such list, and implements
 * host_block.h's watches by these. Worker context; what fn may do is host_block.h's.
 */
#ifndef KERNEL_BLOCK_WATCH_H
#define KERNEL_BLOCK_WATCH_H

#include <amphi/host_block.h>

static inline void block_watch_add(struct host_block_watch **list, struct host_block_watch *watch)
{
	watch->next = *list;
	*list = watch;
}

/* It is on the list. */
static inline void block_watch_remove(struct host_block_watch **list,
				      struct host_block_watch *watch)
{
	while (*list != watch)
		list = &(*list)->next;
	*list = watch->next;
}

static inline void block_watch_tell(struct host_block_watch *first, struct block_device *dev)
{
	for (struct host_block_watch *w = first; w; w = w->next)
		w->fn(w->ctx, dev);
}

#endif
