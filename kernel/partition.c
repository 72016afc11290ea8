/* partition.c: partitions as disks: the table of each disk is read, and each partition is a window onto the
 * whole (block_window.c).
 *
 * First all tables are read, by the calling thread, which waits for the disks, any of which may go meanwhile; then the windows are made and
 * registered, in the worker. Tables: partition_table.c. Callers: main.c, service.c, partition_late.c. Calls the block layer, worker.h.
 */
#include "partition.h"

#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "block.h"
#include "block_window.h"
#include "mm.h"
#include "partition_table.h"
#include "worker.h"

struct found {
	struct block_device *whole;
	struct partition part;
	bool twin; /* another disk has its signature */
	struct found *next;
};

/* The search under way: there is one at a time. dev: whose table is read; NULL: none, or it has gone meanwhile. */
static struct {
	struct block_device *dev;
	char name[sizeof(((struct block_device *)0)->name)];
	struct found *first;
} search;

/* ---- the search ------------------------------------------------------------------------------- */

/* In the worker. A disk that went away takes what was found on it along: its memory may be another's. */
static void on_change(void *ctx, struct block_device *dev)
{
	struct found **link = &search.first, *f;

	if (!dev->gone)
		return;
	if (search.dev == dev)
		search.dev = NULL;
	while ((f = *link)) {
		if (f->whole != dev) {
			link = &f->next;
			continue;
		}
		*link = f->next;
		kfree(f, sizeof(*f));
	}
}

static struct host_block_watch watch = {.fn = on_change};

static int begin_work(void *ctx)
{
	host_block_watch(&watch);
	return 0;
}

/* Tables of a CD-ROM count in sectors that it does not have. */
static bool is_wanted(const struct block_device *dev)
{
	return !dev->searched && !dev->whole && !dev->cdrom;
}

/* Once for each disk, also when it cannot be read. */
static int next_work(void *ctx)
{
	struct partition_disk *disk = ctx;
	struct block_device *dev = block_next(NULL);

	while (dev && !is_wanted(dev))
		dev = block_next(dev);
	search.dev = dev;
	if (!dev)
		return false;
	dev->searched = true;
	memcpy(search.name, dev->name, sizeof(search.name));
	disk->sectors = dev->sectors;
	disk->sector_size = dev->sector_size;
	return true;
}

static int read_disk(void *ctx, uint64_t sector, void *buf, uint32_t len_bytes)
{
	return search.dev ? block_io(search.dev, BLOCK_READ, sector, buf, len_bytes) : -XEN_ENODEV;
}

static void note(void *ctx, const struct partition *part)
{
	struct found **end = &search.first, *f = search.dev ? kmalloc(sizeof(*f)) : NULL;

	if (!f)
		return;
	f->whole = search.dev;
	f->part = *part;
	f->twin = false;
	f->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = f;
}

static void say(void *ctx, const char *text)
{
	host_log(HOST_LOG_WARN, "disk %s: %s", search.name, text);
}

/* ---- windows ---------------------------------------------------------------------------------- */

/* A guest that has a whole disk can write any table to it, also one with the signature of the disk that the
 * others' partitions are on. Then it is not known which is meant, and neither is found by its number. */
static void mark_twins(void)
{
	for (struct found *a = search.first; a; a = a->next)
		for (struct found *b = a->next; b; b = b->next)
			if (a->whole != b->whole && a->part.number == b->part.number &&
			    !strcmp(a->part.uuid, b->part.uuid))
				a->twin = b->twin = true;
}

static void make_window(const struct found *f)
{
	const struct partition *part = &f->part;
	size_t len = strlen(f->whole->name);
	bool digit = len && f->whole->name[len - 1] >= '0' && f->whole->name[len - 1] <= '9';
	struct block_device *dev = block_window_new(f->whole, part->start, part->sectors);

	if (!dev)
		return;
	fmt_text(dev->name, sizeof(dev->name), "%s%s%u", f->whole->name, digit ? "p" : "",
		 part->number);
	(void)str_copy(dev->partuuid, sizeof(dev->partuuid), part->uuid);
	(void)str_copy(dev->partlabel, sizeof(dev->partlabel), part->label);
	if (part->signature && !f->twin)
		fmt_text(dev->serial, sizeof(dev->serial), "disk-%08x-%u", part->signature,
			 part->number);
	if (f->twin || block_find_serial(dev->serial)) { /* the latter came before it */
		host_log(HOST_LOG_ERROR, "partition %s: another disk has its signature", dev->name);
		dev->serial[0] = '\0';
	}
	host_block_register(dev);
}

static int end_work(void *ctx)
{
	struct found *f;

	host_block_unwatch(&watch);
	mark_twins();
	while ((f = search.first)) {
		search.first = f->next;
		make_window(f);
		kfree(f, sizeof(*f));
	}
	return 0;
}

void partitions_find(void)
{
	struct partition_disk disk = {
	    .read = read_disk, .found = note, .say = say, .page = pages_alloc(1)};

	(void)worker_call(begin_work, NULL);
	while (disk.page && worker_call(next_work, &disk))
		(void)partition_table_read(&disk);
	pages_free(disk.page, 1);
	(void)worker_call(end_work, NULL);
}
