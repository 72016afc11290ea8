/* partition_gpt.c: the partitions of a GPT: the one behind sector 0, or the other at the disk's end when that one
 * is damaged.
 *
 * Contract: partition_table.h. Layout and checks: UEFI 2.10, section 5.3. A header counts when its own checksum
 * and that of all entries are right and it stands where it says. Called by partition_table.c. Calls its caller's
 * read().
 */
#include "partition_table.h"

#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/types.h>

#define HEADER_MIN  92u
#define ENTRY_MIN   128u
#define ENTRIES_MAX 1024u /* 128 is usual */
#define NAME_AT     56u
#define NAME_UNITS  36u
#define PAGE_BYTES  4096u

struct gpt {
	uint64_t entries_lba, first,
	    last; /* in the disk's sectors; first and last that partitions may use */
	uint32_t n, entry_bytes, entries_crc;
};

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* CRC-32 as Ethernet has it, four bits at a time: a table of 64 bytes is enough for some 16 KiB. */
static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t len)
{
	static const uint32_t of_nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
					       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
					       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
					       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ of_nibble[crc & 15];
		crc = crc >> 4 ^ of_nibble[crc & 15];
	}
	return ~crc;
}

static uint64_t disk_blocks(const struct partition_disk *disk)
{
	return disk->sectors / (disk->sector_size / SECTOR_SIZE);
}

static int read_blocks(const struct partition_disk *disk, uint64_t lba, uint32_t len_bytes)
{
	return disk->read(disk->ctx, lba * (disk->sector_size / SECTOR_SIZE), disk->page,
			  len_bytes);
}

/* The checksum is made with zeros in its own place. */
static bool header_crc_is_right(uint8_t *header, uint32_t len)
{
	uint32_t want = get32(header + 16);

	memset(header + 16, 0, 4);
	return crc32(0, header, len) == want;
}

/* Where the entries are has to be on the disk; an entry's size is a power of two that divides a page, so none
 * lies across two reads. */
static bool entries_are_possible(const struct partition_disk *disk, const struct gpt *gpt)
{
	uint64_t blocks = disk_blocks(disk), bytes = (uint64_t)gpt->n * gpt->entry_bytes;
	uint64_t need = (bytes + disk->sector_size - 1) / disk->sector_size;

	return gpt->n && gpt->n <= ENTRIES_MAX && gpt->entry_bytes >= ENTRY_MIN &&
	       gpt->entry_bytes <= PAGE_BYTES && !(gpt->entry_bytes & (gpt->entry_bytes - 1)) &&
	       need <= blocks && gpt->entries_lba <= blocks - need && gpt->first <= gpt->last &&
	       gpt->last < blocks;
}

static bool read_header(const struct partition_disk *disk, uint64_t lba, struct gpt *out)
{
	uint8_t *h = disk->page;
	uint32_t len;

	if (lba >= disk_blocks(disk) || read_blocks(disk, lba, disk->sector_size))
		return false;
	len = get32(h + 12);
	if (memcmp(h, "EFI PART", 8) || len < HEADER_MIN || len > disk->sector_size ||
	    !header_crc_is_right(h, len) || get64(h + 24) != lba)
		return false;
	*out = (struct gpt){.entries_lba = get64(h + 72),
			    .first = get64(h + 40),
			    .last = get64(h + 48),
			    .n = get32(h + 80),
			    .entry_bytes = get32(h + 84),
			    .entries_crc = get32(h + 88)};
	return entries_are_possible(disk, out);
}

/* A GUID's first three fields are little-endian numbers, the rest are bytes. */
static void guid_text(char *out, size_t cap, const uint8_t *g)
{
	fmt_text(out, cap, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", get32(g),
		 (unsigned)(g[4] | g[5] << 8), (unsigned)(g[6] | g[7] << 8), g[8], g[9], g[10],
		 g[11], g[12], g[13], g[14], g[15]);
}

static void name_text(char *out, const uint8_t *name)
{
	unsigned i;

	for (i = 0; i < NAME_UNITS; i++) {
		unsigned unit = name[2 * i] | (unsigned)name[2 * i + 1] << 8;

		if (!unit)
			break;
		out[i] = (char)(unit >= ' ' && unit <= '~' ? unit : '?');
	}
	out[i] = '\0';
}

/* A type of all zeros is an entry that is not used. */
static void take_entry(const struct partition_disk *disk, const struct gpt *gpt, unsigned i,
		       const uint8_t *entry)
{
	static const uint8_t unused[16];
	uint64_t unit = disk->sector_size / SECTOR_SIZE;
	uint64_t first = get64(entry + 32), last = get64(entry + 40);
	struct partition part = {.number = i + 1};

	if (!memcmp(entry, unused, sizeof(unused)) || first < gpt->first || last > gpt->last ||
	    first > last || !first)
		return;
	part.start = first * unit;
	part.sectors = (last - first + 1) * unit;
	guid_text(part.uuid, sizeof(part.uuid), entry + 16);
	name_text(part.label, entry + NAME_AT);
	disk->found(disk->ctx, &part);
}

/* Goes over all entries, a page at a time: for their checksum, and, when take is set, for what they say.
 * They are read twice for that; what a disk answers the second time is checked as if it were the first. */
static bool walk(const struct partition_disk *disk, const struct gpt *gpt, bool take)
{
	uint32_t left = gpt->n * gpt->entry_bytes, crc = 0, done = 0, mask = disk->sector_size - 1;

	while (left) {
		uint32_t len = MIN(left, PAGE_BYTES);

		if (read_blocks(disk, gpt->entries_lba + done / disk->sector_size,
				(len + mask) & ~mask))
			return false;
		crc = crc32(crc, disk->page, len);
		for (uint32_t at = 0; take && at < len; at += gpt->entry_bytes)
			take_entry(disk, gpt, (done + at) / gpt->entry_bytes, disk->page + at);
		done += len;
		left -= len;
	}
	return crc == gpt->entries_crc;
}

bool partition_gpt_read(const struct partition_disk *disk)
{
	uint64_t last = disk_blocks(disk) - 1;
	struct gpt gpt;

	if (read_header(disk, 1, &gpt) && walk(disk, &gpt, false))
		return (void)walk(disk, &gpt, true), true;
	if (!read_header(disk, last, &gpt) || !walk(disk, &gpt, false))
		return false;
	disk->say(disk->ctx, "the first GPT is damaged: the second is used");
	(void)walk(disk, &gpt, true);
	return true;
}
