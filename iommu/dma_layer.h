/* dma_layer.h: what a layer of DMA does for the devices that go by it.
 *
 * Private to iommu/dma*.c: dma.c asks each layer in turn whether it wants a device, and calls the one that did. A layer knows nothing
 * of groups, of dma_debug or of the list of devices. All calls as dma.h says them; the context is the worker.
 */
#ifndef IOMMU_DMA_LAYER_H
#define IOMMU_DMA_LAYER_H

#include <amphi/dma.h>

/* One thing that is mapped. */
struct dma_extent {
	dma_addr_t at;
	uint32_t len;
	uint32_t dir; /* enum dma_direction */
};

struct dma_layer {
	/* 0: the device is this layer's, with dev->state what it wants; -XEN_ENODEV: another's. Any other error: the device may not
	 * be used. out_name: what the layer is called for this device. */
	int (*attach)(struct dma_device *dev, bool translated, const char **out_name);
	/* NULL: nothing to undo. Not 0: the device may still reach what is mapped. */
	int (*detach)(struct dma_device *dev);
	/* Sets pieces[].at of all n, or maps nothing. */
	int (*map)(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
		   enum dma_direction dir);
	/* NULL: nothing is to be undone, and groups need not remember. Not 0: the device may still reach some of it. */
	int (*unmap)(const struct dma_device *dev, const struct dma_extent *all, unsigned n);
	/* NULL: nothing is copied. */
	void (*sync)(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device);
	/* Zeroed pages that are side by side for the device, the first at a multiple of align_pages (a power of 2). */
	void *(*share)(const struct dma_device *dev, unsigned count, unsigned align_pages,
		       dma_addr_t *out_addr);
	void (*unshare)(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr);
	/* As dma_cut; the driver's unmaps still come. NULL: nothing holds the device. */
	int (*cut)(const struct dma_device *dev);
	/* maps, unmaps, flushes, tables. NULL: it does not count. */
	void (*count)(const struct dma_device *dev, struct dma_counts *out);
};

extern const struct dma_layer dma_space_layer, dma_io_layer, dma_bounce_layer, dma_direct_layer;

/* What a layer that holds devices counts of one, and tells: pages, calls. */
struct dma_tally {
	uint64_t maps, unmaps, flushes;
};
static inline void dma_tell(const struct dma_tally *t, unsigned tables, struct dma_counts *out)
{
	out->maps = t->maps;
	out->unmaps = t->unmaps;
	out->flushes = t->flushes;
	out->tables = tables;
}

/* dma_untrusted.c: map and unmap of a device that is to see whole pages only. */
int dma_untrusted_map(const struct dma_device *dev, struct dma_piece *pieces, unsigned n,
		      enum dma_direction dir);
void dma_untrusted_unmap(const struct dma_device *dev, const struct dma_extent *all, unsigned n);
void dma_untrusted_sync(const struct dma_device *dev, dma_addr_t addr, size_t len, bool for_device);
/* The device goes: what is mapped still is nobody's any more. */
void dma_untrusted_forget(const struct dma_device *dev);

#endif
