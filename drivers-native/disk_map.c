/* disk_map.c: a request's segments as one list for the DMA layer.
 *
 * Contract: disk_map.h. Where a map is a call of a hypervisor, or a flush of a unit, one for a request and not for each page is what matters. Called by
 * the drivers of disks; calls dma.h.
 */
#include "disk_map.h"

int disk_map(const struct dma_device *dma, struct dma_group *maps, const struct block_request *req,
	     unsigned first, unsigned n, const struct dma_piece **out_pieces)
{
	static struct dma_piece pieces[BLOCK_MAX_SEGMENTS]; /* the worker's */
	const struct block_segment *s = &req->segments[first];

	for (unsigned i = 0; i < n; i++)
		pieces[i] = (struct dma_piece){.va = s[i].va, .len = s[i].len_bytes};
	*out_pieces = pieces;
	return dma_group_map_all(dma, maps, pieces, n,
				 req->op == BLOCK_WRITE ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
}
