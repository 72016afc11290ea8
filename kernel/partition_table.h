/* partition_table.h: reads the tables by which disks are divided: GPT, and the old kind (MBR) with its chain
 * of logical partitions.
 *
 * Caller: partition.c, and the fuzzer. Implemented by partition_table.c (MBR, and which of the two it is) and
 * partition_gpt.c. A table is what any user of the disk may have written: what is reported lies on the disk,
 * every walk has a bound, and a table that does not agree with its checksums is not used. Pure but for read().
 * Not done: repair; a GPT without the protective entry that UEFI wants in sector 0.
 */
#ifndef KERNEL_PARTITION_TABLE_H
#define KERNEL_PARTITION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARTITION_UUID_CHARS  37u /* with the NUL */
#define PARTITION_LABEL_CHARS 37u
#define PARTITION_LOGICALS    60u /* further ones are not looked for */

struct partition {
	unsigned number;         /* 1 .. 4 of an MBR, from 5 its logical ones; the entry of a GPT */
	uint64_t start, sectors; /* of 512 bytes */
	/* As PARTUUID is written elsewhere: a GPT's GUID, or an MBR's signature and the number. */
	char uuid[PARTITION_UUID_CHARS];
	char label[PARTITION_LABEL_CHARS]; /* of a GPT; what is not ASCII is '?' */
	uint32_t signature;                /* of an MBR; 0 of a GPT */
};

struct partition_disk {
	/* Reads len_bytes (whole sectors of the disk, at most 4096) from sector (of 512) into buf: 0 or an
	 * error. Never called for what is beyond the end. */
	int (*read)(void *ctx, uint64_t sector, void *buf, uint32_t len_bytes);
	/* Called for each partition, in the table's order. */
	void (*found)(void *ctx, const struct partition *part);
	/* One line about a table that is damaged. */
	void (*say)(void *ctx, const char *text);
	void *ctx;
	uint64_t sectors;     /* of 512 bytes */
	uint32_t sector_size; /* 512 .. 4096 */
	uint8_t *page;        /* 4096 bytes to work in */
};

/* 0 also when there is no table; the disk's error when it cannot be read. */
int partition_table_read(const struct partition_disk *disk);

/* Entry i (0..3) of a table in a sector, whose disk has so many 512-byte sectors and own ones of
 * sector_bytes. False: there is none, or it is not on the disk, or no data of its own. Results in units of 512. */
bool partition_entry(const uint8_t *sector, unsigned i, uint32_t sector_bytes,
		     uint64_t disk_sectors, uint64_t *out_start, uint64_t *out_sectors);

/* partition_gpt.c: false when neither of the two tables is whole. */
bool partition_gpt_read(const struct partition_disk *disk);

#endif
