/* partition.c: partitions as disks: the table of each disk is read, and each partition is a window onto the
 * whole (block_window.c).
 *
 * First all tables are read, by the calling thread, which waits for the disks; then the windows are made and
 * registered, in the worker. Tables: partition_table.c. Callers: main.c, service.c. Calls the block layer, worker.h.
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

#define DISKS_MAX 16u

struct found {
	struct block_device *whole;
	struct partition part;
	bool twin; /* another disk has its signature */
	struct found *next;
};

static struct found *all_found, **found_end; /* of the search under way */

/* ---- the search ------------------------------------------------------------------------------- */

static int read_disk(void *ctx, uint64_t sector, void *buf, uint32_t len_bytes)
{
	return block_io(ctx, BLOCK_READ, sector, buf, len_bytes);
}

static void note(void *ctx, const struct partition *part)
{
	struct found *f = kmalloc(sizeof(*f));

	if (!f)
		return;
	f->whole = ctx;
	f->part = *part;
	f->twin = false;
	f->next = NULL;
	*found_end = f;
	found_end = &f->next;
}

static void say(void *ctx, const char *text)
{
	struct block_device *dev = ctx;

	host_log(HOST_LOG_WARN, "disk %s: %s", dev->name, text);
}

static void look_at(struct block_device *dev, uint8_t *page)
{
	struct partition_disk disk = {.read = read_disk,
				      .found = note,
				      .say = say,
				      .ctx = dev,
				      .sectors = dev->sectors,
				      .sector_size = dev->sector_size,
				      .page = page};

	(void)partition_table_read(&disk);
}

/* ---- windows ---------------------------------------------------------------------------------- */

/* A guest that has a whole disk can write any table to it, also one with the signature of the disk that the
 * others' partitions are on. Then it is not known which is meant, and neither is found by its number. */
static void mark_twins(void)
{
	for (struct found *a = all_found; a; a = a->next)
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
	if (f->twin)
		host_log(HOST_LOG_ERROR, "partition %s: another disk has its signature", dev->name);
	else if (part->signature)
		fmt_text(dev->serial, sizeof(dev->serial), "disk-%08x-%u", part->signature,
			 part->number);
	host_block_register(dev);
}

/* A disk that went away while the others were read takes its partitions with it. */
static bool is_there(const struct block_device *whole)
{
	struct block_device *dev = block_next(NULL);

	while (dev && dev != whole)
		dev = block_next(dev);
	return dev;
}

static int register_work(void *ctx)
{
	struct found *f;

	(void)ctx;
	mark_twins();
	while ((f = all_found)) {
		all_found = f->next;
		if (is_there(f->whole))
			make_window(f);
		kfree(f, sizeof(*f));
	}
	return 0;
}

/* The list grows while it is gone through: so those that are there now are noted first. */
void partitions_find(void)
{
	struct block_device *disks[DISKS_MAX], *dev = NULL;
	uint8_t *page = pages_alloc(1);
	unsigned n = 0;

	found_end = &all_found;
	while (page && n < DISKS_MAX && (dev = block_next(dev)))
		if (!dev->cdrom) /* whose tables count in sectors that it does not have */
			disks[n++] = dev;
	for (unsigned i = 0; i < n; i++)
		look_at(disks[i], page);
	pages_free(page, 1);
	(void)worker_call(register_work, NULL);
}
