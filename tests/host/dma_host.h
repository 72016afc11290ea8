/* dma_host.h: what iommu/dma*.c asks of a kernel, for tests of it: memory that is counted, and the last line that was said.
 *
 * Included by dma_test, dma_io_test, swiotlb_test; implemented by dma_host.c. An address of the machine is our own, unless the test has a machine
 * of its own: all but the log may be defined anew there.
 */
#ifndef TESTS_HOST_DMA_HOST_H
#define TESTS_HOST_DMA_HOST_H

#include <amphi/host.h>
#include <amphi/host_dma.h>

extern char said[200];  /* warnings and worse */
extern unsigned blocks; /* pieces of memory that are not given back */
extern bool is_short;   /* of pages */

struct dma_device;

/* For layers that are not there. */
int no_device(struct dma_device *dev, bool translated, const char **out_name);

#endif
