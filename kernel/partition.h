/* partition.h: partitions of the disks there are, as disks of their own.
 *
 * Callers: main.c and service.c, once, when the drivers have found the machine's disks. Implemented by
 * partition.c; the tables are read by partition_table.c.
 */
#ifndef KERNEL_PARTITION_H
#define KERNEL_PARTITION_H

/* [waits] Thread context. Registers "vda2" (after a digit: "nvme0n1p2") for partition 2 of vda, with its uuid
 * and label, and for a table of the old kind the serial number "disk-XXXXXXXX-2", where X is the table's own
 * signature in hexadecimal: it goes with the disk into any machine. A disk that cannot be read, or has no
 * table, has none; partitions of two disks that have one signature are registered without a serial number. */
void partitions_find(void);

#endif
