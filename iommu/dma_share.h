/* dma_share.h: which devices are in which space of a unit, and where in it each has its window of addresses.
 *
 * Private to iommu/dma_space.c. Functions that no unit can tell apart (sender.c) are in one space, each with a window at a place of its own: each of them reaches
 * what any has mapped. Any other function has a space alone. Worker context. Errors: 0 or a negative XEN_Exxx.
 */
#ifndef IOMMU_DMA_SHARE_H
#define IOMMU_DMA_SHARE_H

#include <amphi/dma.h>
#include <amphi/iommu.h>

#include "dma_window.h"

/* A device in a space; zero before it joins. */
struct dma_share {
	struct dma_share *next;   /* all there are */
	struct iommu_space *io;   /* others may have it as well */
	struct iommu_names names; /* by which the device is in it */
	bool out; /* it was cut off, or did not come out whole: nobody joins it any more */
	struct dma_window window;
};

/* Into the space of those that send by a number of dev's, or into a new one. -XEN_EBUSY: those are in several, or were cut off; -XEN_ENOSPC: they are too many. */
int dma_share_join(struct dma_share *s, const struct dma_device *dev, struct iommu *unit);
/* Out of it: nothing that the device had mapped in its window is reached any more, by anyone. What it sends reaches nothing, unless others send by the same number.
 * -XEN_EIO: the unit does not answer, and what it knows is given to nobody: nor is s to be freed. */
int dma_share_leave(struct dma_share *s);
/* It is reached by nothing that it sends, whatever its driver does. -XEN_EBUSY: others send by its number. */
int dma_share_cut(struct dma_share *s);
/* The others in the same space, one by one: the one after `after` (NULL: the first); NULL: no more. */
struct dma_share *dma_share_beside(const struct dma_share *s, const struct dma_share *after);

#endif
