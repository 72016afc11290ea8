/* fake_dma.h: memory as a device driver of a host test asks for it: addresses for the device are our own.
 *
 * Included by the tests of drivers-native, implemented by fake_dma.c.
 */
#ifndef TESTS_HOST_FAKE_DMA_H
#define TESTS_HOST_FAKE_DMA_H

#include <amphi/dma.h>
#include <amphi/host.h>

extern unsigned fake_pages_freed;
extern unsigned fake_held;            /* pieces of memory that are not freed */
extern uint8_t fake_unreachable[512]; /* memory that the device cannot be told of */

/* Maps of groups that are not undone, and how many there may be. */
extern unsigned fake_maps, fake_maps_max;

#endif
