/* partition.c: partitions as disks: their table is read, and each is a window onto the whole.
 *
 * A window adds its start to a request's sector and hands it on: the block layer in front of it has checked
 * the range, and the driver behind it counts and answers. Extended and GPT partitions are not read. Caller:
 * service.c. Calls the block layer, worker.h.
 */
#include "partition.h"

#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include "block.h"
#include "mm.h"
#include "worker.h"

#define DISKS_MAX      16u
#define TABLE_AT       446u
#define ENTRY_BYTES    16u
#define ENTRIES        4u
#define SIGNATURE_AT   440u
#define TYPE_EXTENDED  0x05
#define TYPE_EXTENDED2 0x0f
#define TYPE_GPT       0xee

struct window {
	struct block_device dev;
	struct block_device *whole;
	uint64_t start;
	struct window *next;
	bool twin; /* another has its serial number */
};

static struct window *windows; /* of the search under way */

/* ---- the table -------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_wanted(uint8_t type)
{
	return type && type != TYPE_EXTENDED && type != TYPE_EXTENDED2 && type != TYPE_GPT;
}

bool partition_entry(const uint8_t *sector, unsigned i, uint32_t sector_bytes,
		     uint64_t disk_sectors, uint64_t *out_start, uint64_t *out_sectors)
{
	const uint8_t *entry = sector + TABLE_AT + i * ENTRY_BYTES;
	uint64_t unit = sector_bytes / SECTOR_SIZE;

	if (sector[510] != 0x55 || sector[511] != 0xaa || !is_wanted(entry[4]))
		return false;
	*out_start = get32(entry + 8) * unit;
	*out_sectors = get32(entry + 12) * unit;
	return *out_start && *out_sectors && *out_start < disk_sectors &&
	       *out_sectors <= disk_sectors - *out_start;
}

/* ---- windows ---------------------------------------------------------------------------------- */

/* The request is the driver's from here on, its sector too: nobody in front looks at it again. */
static void submit(struct block_device *dev, struct block_request *req)
{
	struct window *w = dev->driver;

	if (req->op != BLOCK_FLUSH)
		req->sector += w->start;
	w->whole->ops->submit(w->whole, req);
}

static void kick(struct block_device *dev)
{
	struct window *w = dev->driver;

	w->whole->ops->kick(w->whole);
}

/* A guest that has a whole disk can write any table to it, also one with the signature of the disk that the
 * others' partitions are on. Then it is not known which is meant, and neither is found by its number. */
static void mark_twins(void)
{
	for (struct window *a = windows; a; a = a->next)
		for (struct window *b = a->next; b; b = b->next)
			if (!strcmp(a->dev.serial, b->dev.serial))
				a->twin = b->twin = true;
}

static int register_work(void *ctx)
{
	(void)ctx;
	for (struct window *w = windows; w; w = w->next) {
		if (w->twin)
			host_log(HOST_LOG_ERROR, "partition %s: another disk has its signature",
				 w->dev.name);
		if (w->twin)
			w->dev.serial[0] = 0;
		host_block_register(&w->dev);
	}
	windows = NULL;
	return 0;
}

static void add_window(struct block_device *whole, unsigned number, uint32_t signature,
		       uint64_t start, uint64_t sectors)
{
	static const struct block_ops ops = {submit, kick};
	struct window *w = kmalloc(sizeof(*w)), **end = &windows;
	size_t len = strlen(whole->name);
	bool digit = len && whole->name[len - 1] >= '0' && whole->name[len - 1] <= '9';

	if (!w)
		return;
	w->dev = *whole; /* its limits; the rest is our own */
	w->dev.ops = &ops;
	w->dev.driver = w;
	w->dev.sectors = sectors;
	w->dev.stats = (struct block_stats){0};
	fmt_text(w->dev.name, sizeof(w->dev.name), "%s%s%u", whole->name, digit ? "p" : "", number);
	fmt_text(w->dev.serial, sizeof(w->dev.serial), "disk-%08x-%u", signature, number);
	w->whole = whole;
	w->start = start;
	while (*end)
		end = &(*end)->next;
	*end = w;
}

/* ---- the search ------------------------------------------------------------------------------- */

static void look_at(struct block_device *dev, uint8_t *page)
{
	uint64_t start, sectors;

	if (block_io(dev, BLOCK_READ, 0, page, dev->sector_size))
		return;
	for (unsigned i = 0; i < ENTRIES; i++)
		if (partition_entry(page, i, dev->sector_size, dev->sectors, &start, &sectors))
			add_window(dev, i + 1, get32(page + SIGNATURE_AT), start, sectors);
}

/* The list grows while it is gone through: so those that are there now are noted first. */
void partitions_find(void)
{
	struct block_device *disks[DISKS_MAX], *dev = NULL;
	uint8_t *page = pages_alloc(1);
	unsigned n = 0;

	while (page && n < DISKS_MAX && (dev = block_next(dev)))
		disks[n++] = dev;
	for (unsigned i = 0; i < n; i++)
		look_at(disks[i], page);
	pages_free(page, 1);
	mark_twins();
	(void)worker_call(register_work, NULL);
}
