/* partition.h: partitions of the disks there are, as disks of their own.
 *
 * Caller: service.c, once, when the drivers have found the machine's disks. Implemented by partition.c for tables
 * of the old kind (MBR), of which it takes the four that stand in sector 0.
 */
#ifndef KERNEL_PARTITION_H
#define KERNEL_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

/* [waits] Thread context. Registers "vda2" (after a digit: "nvme0n1p2") for partition 2 of vda, with the serial
 * number "disk-XXXXXXXX-2", where X is the table's own signature in hexadecimal: it goes with the disk
 * into any machine. A disk that cannot be read, or has no table, has none; partitions of two disks that have one
 * signature are registered without a serial number. */
void partitions_find(void);

/* Pure: entry i (0..3) of a table in the first 512 bytes of a disk of so many 512-byte sectors, whose own sectors
 * have sector_bytes. False: there is none, or it is not on the disk. Both results in units of 512 bytes. */
bool partition_entry(const uint8_t *sector, unsigned i, uint32_t sector_bytes,
		     uint64_t disk_sectors, uint64_t *out_start, uint64_t *out_sectors);

#endif
