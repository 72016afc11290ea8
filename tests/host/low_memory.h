/* low_memory.h: a machine whose drivers' memory lies where a device of 32 bits does not reach: real layers of DMA, and a small pool.
 *
 * For tests of drivers that find the pool full: iommu/dma*.c and swiotlb.c are the kernel's. Addresses of the machine are our own; what is
 * allocated lies above 4 GiB, and the pool and shared pages below. Another device fills the pool, and gives of it back.
 */
#ifndef TESTS_HOST_LOW_MEMORY_H
#define TESTS_HOST_LOW_MEMORY_H

#define LOW_POOL_PAGES 32u /* 128 KiB, and it does not grow */

/* Devices that attach from now on reach 4 GiB. Once. */
void low_begin(void);
/* The other device has all of the pool but so many pages, as far as they are free; 0xffffffff of them: gives all back. */
void low_leave(unsigned pages);
/* Pages of the pool that are in use, whoever's. */
unsigned low_used(void);

#endif
