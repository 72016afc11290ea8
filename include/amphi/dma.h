/* dma.h: what a driver of a real device asks before the device touches memory.
 *
 * Callers: drivers-native. Implemented by iommu/dma*.c, which choose for each device between two layers:
 *
 *	direct	the device's address is the machine's; nothing is set up, and nothing holds the device back
 *	space	a space of its own in an IOMMU (iommu.h): the device reaches what is mapped, and only while it is
 *
 * Worker context. Each map is undone by exactly one unmap with the same device address, length and direction. Not
 * promised: that the address equals anything the processor knows. x86 is coherent: nothing has to be synchronised.
 */
#ifndef AMPHI_DMA_H
#define AMPHI_DMA_H

#include <amphi/types.h>

/* An address as the device sees it. */
typedef struct {
	uint64_t v;
} dma_addr_t;

enum dma_direction { DMA_TO_DEVICE = 1, DMA_FROM_DEVICE = 2, DMA_BOTH = 3 };

struct dma_device {
	uint16_t bdf;
	uint64_t mask;           /* highest address the device can send, e.g. ~0ull or 0xffffffff */
	struct dma_space *space; /* dma_attach's; NULL: direct */
};

/* Before the device's first map, with bdf and mask set: gives it a space where there is an IOMMU to have one in. translated: what it sends goes by
 * the IOMMU, as it does for all but virtio devices that do not say so. -XEN_ENOMEM, -XEN_ENOSPC, or -XEN_EIO: it may not be used. */
int dma_attach(struct dma_device *dev, bool translated);
/* The device is given up, its bus mastering off: what was mapped is no more, and what it still sends reaches nothing. */
void dma_detach(struct dma_device *dev);

/* Gives the device len bytes at va (len >= 1, not crossing a page). 0; -XEN_EFAULT when the device
 * cannot reach the page: there is no bounce buffer below its mask yet; -XEN_ENOSPC, -XEN_ENOMEM: its space is full. */
int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr);
/* Strict: after the return the device does not reach it any more. Lazy: not after at most DMA_LAZY_MAX more. */
void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir);
#define DMA_LAZY_MAX 256u

/* What is mapped for one request, so that it can be undone with one call, whatever the device did to memory it shares. Zero: nothing. */
struct dma_group {
	struct dma_chunk *first;
};
/* dma_map, remembered in the group. Also -XEN_ENOMEM. What was mapped before an error stays mapped. */
int dma_group_map(const struct dma_device *dev, struct dma_group *group, void *va, size_t len,
		  enum dma_direction dir, dma_addr_t *out_addr);
/* Unmaps all that it holds, and leaves it empty. */
void dma_group_end(const struct dma_device *dev, struct dma_group *group);
static inline void dma_group_unmap(const struct dma_device *dev, struct dma_group *group)
{
	if (group->first)
		dma_group_end(dev, group);
}

/* One zeroed page that processor and device share (queues, lists of
 * addresses). NULL when there is none. */
void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr);
void dma_page_free(const struct dma_device *dev, void *page, dma_addr_t addr);

/* The same, for count pages side by side for the device too: NULL where memory is not laid out so (a PV domain's
 * seldom is). They stay for as long as the device does. */
void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr);

/* ---- for the kernel ------------------------------------------------------------------ */

enum dma_policy { DMA_POLICY_DIRECT, DMA_POLICY_STRICT, DMA_POLICY_LAZY };

/* Before the drivers start; not DIRECT only after iommu_start(). debug: every map is remembered, and an unmap of what is not mapped so is
 * said in the log, naming the device. */
void dma_set_policy(enum dma_policy policy, bool debug);

/* Takes all of memory from a device that has a space, for good, whatever its driver does: what it sends from now on is a fault. -XEN_ENODEV: there is no such
 * device; -XEN_EOPNOTSUPP: nothing holds it; -XEN_EIO. */
int dma_cut(uint16_t bdf);

struct dma_counts {
	uint16_t bdf;
	const char *layer;     /* "direct", "strict" or "lazy" */
	uint64_t maps, unmaps; /* pages; only of those with a space, or with debug */
	uint64_t flushes;
	unsigned tables; /* pages of its space's tables */
	uint64_t wrong;  /* that debug found */
};
/* Of the n-th device that attached; false: there are not so many. */
bool dma_count(unsigned n, struct dma_counts *out);

#endif
