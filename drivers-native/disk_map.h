/* disk_map.h: a request's memory for its device, by one call.
 *
 * Callers: the drivers of disks in drivers-native. Worker context.
 */
#ifndef DRIVERS_NATIVE_DISK_MAP_H
#define DRIVERS_NATIVE_DISK_MAP_H

#include <amphi/block.h>
#include <amphi/dma.h>

/* Maps n segments of a read or a write from the first-th on, one piece each, and puts them into *maps: 0, or dma_group_map_all's errors. *out_pieces
 * is good until the next call. */
int disk_map(const struct dma_device *dma, struct dma_group *maps, const struct block_request *req,
	     unsigned first, unsigned n, const struct dma_piece **out_pieces);

#endif
