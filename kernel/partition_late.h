/* partition_late.h: partitions of disks that come while the kernel runs.
 *
 * Callers: lent.c (functions lent to a guest, and who waits for those), host_pci_control.c (functions that a service domain has again).
 * Implemented by partition_late.c over partition.h.
 */
#ifndef KERNEL_PARTITION_LATE_H
#define KERNEL_PARTITION_LATE_H

/* From the worker, after a driver has taken a device: its disks' tables will be read, by a thread, and their partitions registered. Without memory for
 * that thread it is told, and the disks are whole ones. */
void partitions_find_soon(void);

/* [waits] Thread context: until everything asked for so far has been found. */
void partitions_wait(void);

#endif
