/* partition_table.c: the partitions of an MBR, with the logical ones of its extended partition; says whether the
 * disk has a GPT instead.
 *
 * Contract: partition_table.h. An extended partition is a chain of sectors like the first, each with one partition
 * and a link to the next: the chain is walked with a bound and never twice through one sector.
 * Calls: partition_gpt.c, and its caller's read().
 */
#include "partition_table.h"

#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/types.h>

#define TABLE_AT       446u
#define ENTRY_BYTES    16u
#define ENTRIES        4u
#define SIGNATURE_AT   440u
#define FIRST_LOGICAL  5u
#define TYPE_EXTENDED  0x05
#define TYPE_EXTENDED2 0x0f
#define TYPE_EXTENDED3 0x85
#define TYPE_GPT       0xee

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static const uint8_t *entry_at(const uint8_t *sector, unsigned i)
{
	return sector + TABLE_AT + i * ENTRY_BYTES;
}

static bool is_table(const uint8_t *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

static bool is_extended(uint8_t type)
{
	return type == TYPE_EXTENDED || type == TYPE_EXTENDED2 || type == TYPE_EXTENDED3;
}

/* Where an entry's numbers lead, counted from base: inside the disk or not at all. */
static bool decode(const uint8_t *entry, uint64_t base, uint32_t sector_bytes,
		   uint64_t disk_sectors, struct partition *out)
{
	uint64_t unit = sector_bytes / SECTOR_SIZE;

	out->start = base + get32(entry + 8) * unit;
	out->sectors = get32(entry + 12) * unit;
	return out->start > base && out->sectors && out->start < disk_sectors &&
	       out->sectors <= disk_sectors - out->start;
}

bool partition_entry(const uint8_t *sector, unsigned i, uint32_t sector_bytes,
		     uint64_t disk_sectors, uint64_t *out_start, uint64_t *out_sectors)
{
	const uint8_t *entry = entry_at(sector, i);
	struct partition part = {0};

	if (!is_table(sector) || !entry[4] || is_extended(entry[4]) || entry[4] == TYPE_GPT ||
	    !decode(entry, 0, sector_bytes, disk_sectors, &part))
		return false;
	*out_start = part.start;
	*out_sectors = part.sectors;
	return true;
}

static void report(const struct partition_disk *disk, struct partition *part, unsigned number,
		   uint32_t signature)
{
	part->number = number;
	part->signature = signature;
	fmt_text(part->uuid, sizeof(part->uuid), "%08x-%02x", signature, number);
	disk->found(disk->ctx, part);
}

/* ---- the chain -------------------------------------------------------------------------------- */

struct chain {
	const struct partition_disk *disk;
	struct partition whole; /* the extended partition: links count from its start */
	uint32_t signature;
	uint64_t at, seen[PARTITION_LOGICALS];
	unsigned n;
};

static bool was_here(const struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->seen[i] == c->at)
			return true;
	return false;
}

/* Entry 0 is the partition, counted from this very sector; entry 1 the next sector of the chain, counted
 * from the extended partition. An empty entry 0 still has its number: so Linux counts. */
static bool step(struct chain *c)
{
	const struct partition_disk *d = c->disk;
	const uint8_t *entry = entry_at(d->page, 0), *link = entry_at(d->page, 1);
	struct partition part = {0}, next = {0};

	if (d->read(d->ctx, c->at, d->page, d->sector_size) || !is_table(d->page))
		return false;
	if (entry[4] && !is_extended(entry[4]) &&
	    decode(entry, c->at, d->sector_size, d->sectors, &part))
		report(d, &part, FIRST_LOGICAL + c->n, c->signature);
	c->seen[c->n++] = c->at;
	if (!is_extended(link[4]) ||
	    !decode(link, c->whole.start, d->sector_size, d->sectors, &next) ||
	    next.start - c->whole.start >= c->whole.sectors)
		return false;
	c->at = next.start;
	return c->n < PARTITION_LOGICALS && !was_here(c);
}

/* Only the first extended partition of a table: there is to be one. */
static void read_logicals(const struct partition_disk *disk, const struct partition *whole,
			  uint32_t signature)
{
	struct chain c = {
	    .disk = disk, .whole = *whole, .signature = signature, .at = whole->start};

	while (step(&c))
		;
}

/* ---- the first sector ---------------------------------------------------------------------------- */

static bool says_gpt(const uint8_t *sector)
{
	for (unsigned i = 0; is_table(sector) && i < ENTRIES; i++)
		if (entry_at(sector, i)[4] == TYPE_GPT)
			return true;
	return false;
}

static void read_primaries(const struct partition_disk *disk)
{
	uint32_t signature = get32(disk->page + SIGNATURE_AT);
	struct partition extended = {0};
	bool has_extended = false;

	for (unsigned i = 0; is_table(disk->page) && i < ENTRIES; i++) {
		const uint8_t *entry = entry_at(disk->page, i);
		struct partition part = {0};

		if (partition_entry(disk->page, i, disk->sector_size, disk->sectors, &part.start,
				    &part.sectors))
			report(disk, &part, i + 1, signature);
		else if (is_extended(entry[4]) && !has_extended)
			has_extended =
			    decode(entry, 0, disk->sector_size, disk->sectors, &extended);
	}
	if (has_extended) /* last, as the page is needed for it */
		read_logicals(disk, &extended, signature);
}

/* The entry that says GPT is there so that old programs leave the disk alone: beside it nothing counts, not
 * even when both GPTs are damaged, or a stale entry would be taken for a disk. */
int partition_table_read(const struct partition_disk *disk)
{
	int err = disk->sectors * SECTOR_SIZE < disk->sector_size
		      ? 0
		      : disk->read(disk->ctx, 0, disk->page, disk->sector_size);

	if (err || disk->sectors * SECTOR_SIZE < disk->sector_size)
		return err;
	if (!says_gpt(disk->page))
		read_primaries(disk);
	else if (!partition_gpt_read(disk))
		disk->say(disk->ctx, "both GPTs are damaged: no partitions");
	return 0;
}
