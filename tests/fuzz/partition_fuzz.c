/* partition_fuzz: no bytes of a disk make the readers of partition tables report what is not on the disk, read
 * beyond its end or go on for ever.
 *
 * Why: a disk's table is what a guest wrote. The input's first byte chooses sector size and disk size; the rest are
 * the disk's first sectors, and its last ones too. Checksums are repaired, or nothing behind them would be reached.
 * links: kernel/partition_table.c kernel/partition_gpt.c lib/printf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/partition_table.h"

#define HEAD 16384u

static uint8_t head[HEAD], page[4096];
static uint64_t n_bytes;
static unsigned n_reads, n_found;

/* The disk repeats its head: what lies at any offset is the input again. */
static int read_disk(void *ctx, uint64_t sector, void *buf, uint32_t len)
{
	if (!len || len > sizeof(page) || sector > n_bytes / 512 || len > n_bytes - sector * 512)
		abort();
	if (++n_reads > 4096)
		abort();
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = head[(sector * 512 + i) % HEAD];
	return 0;
}

static void found(void *ctx, const struct partition *part)
{
	n_found++;
	if (n_found > 1100 || !part->sectors || part->start >= n_bytes / 512 ||
	    part->sectors > n_bytes / 512 - part->start ||
	    strlen(part->uuid) >= sizeof(part->uuid) || strlen(part->label) >= sizeof(part->label))
		abort();
}

static void say(void *ctx, const char *text) {}

static uint32_t crc(const uint8_t *p, size_t len)
{
	uint32_t c = ~0u;

	while (len--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (0xedb88320 & (0 - (c & 1)));
	}
	return ~c;
}

/* Of a header whose entries are within the head. */
static void repair(uint32_t sector)
{
	uint8_t *h = head + sector;
	uint32_t len, n, each, sum;
	uint64_t at;

	memcpy(&len, h + 12, 4);
	memcpy(&at, h + 72, 8);
	memcpy(&n, h + 80, 4);
	memcpy(&each, h + 84, 4);
	if (memcmp(h, "EFI PART", 8) || len > sector || at > HEAD / sector ||
	    (uint64_t)n * each > HEAD - at * sector)
		return;
	sum = crc(head + at * sector, (size_t)n * each);
	memcpy(h + 88, &sum, 4);
	memset(h + 16, 0, 4);
	sum = crc(h, len);
	memcpy(h + 16, &sum, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct partition_disk disk = {.read = read_disk, .found = found, .say = say, .page = page};

	if (size < 2)
		return 0;
	disk.sector_size = data[0] & 1 ? 4096 : 512;
	n_bytes = (uint64_t)disk.sector_size * (1u + (data[0] >> 1) * 997u);
	disk.sectors = n_bytes / 512;
	memset(head, 0, sizeof(head));
	memcpy(head, data + 1, size - 1 < HEAD ? size - 1 : HEAD);
	repair(disk.sector_size);
	n_reads = n_found = 0;
	(void)partition_table_read(&disk);
	return 0;
}
