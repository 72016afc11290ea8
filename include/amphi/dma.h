/* dma.h: what a driver of a real device asks before the device touches memory.
 *
 * Callers: drivers-native. Implemented by iommu/dma*.c, which choose for each device one of these layers, and say which:
 *
 *	direct	the device's address is the machine's; nothing is set up, and nothing holds the device back
 *	swiotlb	the same, but what lies above the device's mask is copied by way of a pool below it (swiotlb.h)
 *	strict, lazy	a space of its own in an IOMMU (iommu.h): the device reaches what is mapped, and only while it is. Of functions that no unit can
 *		tell apart all have one, and each reaches what is mapped for any
 *	io-strict, io-lazy	the same in a domain, whose hypervisor keeps the space: granted pages for as long as their grants are mapped
 *
 * Worker context. Each map is undone by exactly one unmap with the same device address, length and direction. Not
 * promised: that the address equals anything the processor knows; only its offset in its page does. x86 is coherent: what
 * is mapped for long has to be synchronised (dma_sync) only because it may have been copied.
 */
#ifndef AMPHI_DMA_H
#define AMPHI_DMA_H

#include <amphi/types.h>
#include <amphi/xen.h>

/* An address as the device sees it. */
typedef struct {
	uint64_t v;
} dma_addr_t;

enum dma_direction { DMA_TO_DEVICE = 1, DMA_FROM_DEVICE = 2, DMA_BOTH = 3 };

struct dma_layer;

struct dma_device {
	uint16_t bdf;
	uint64_t mask; /* highest address the device can send, e.g. ~0ull or 0xffffffff */
	/* In a space of its own it sees no byte more than was mapped: pieces of pages are copied to pages of their own. */
	bool untrusted;
	const struct dma_layer *layer; /* dma_attach's; NULL: direct */
	void *state;                   /* the layer's */
};

/* Before the device's first map, with bdf and mask set: gives it a space where there is an IOMMU to have one in. translated: what it sends goes by
 * the IOMMU, as it does for all but virtio devices that do not say so. -XEN_ENOMEM, -XEN_ENOSPC (also: too many send by its number), -XEN_EBUSY (one of
 * those was cut off), or -XEN_EIO: it may not be used. */
int dma_attach(struct dma_device *dev, bool translated);
/* The device is given up, its bus mastering off: what was mapped is no more, and what it still sends reaches nothing; where others send by its number, what those have. -XEN_EIO: who holds it does
 * not answer, and it may still reach what it did: that is not to be freed. */
int dma_detach(struct dma_device *dev);

/* Gives the device len bytes at va (len >= 1, not crossing a page). 0; -XEN_EFAULT: the device cannot reach the page; -XEN_ENOSPC, -XEN_ENOMEM:
 * its space, or the pool that its bytes are copied to, is full (dma_is_full). That passes when something is unmapped, of this device or of others: a driver
 * waits for that, but not without end. */
int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr);
static inline bool dma_is_full(int error)
{
	return error == -XEN_ENOSPC || error == -XEN_ENOMEM;
}

/* Strict: after the return the device does not reach it any more. Lazy: not after at most DMA_LAZY_MAX more. What the device wrote is at va
 * when this returns, not before. */
void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir);
/* Of a map that stays: what the device wrote can be read at va (for the processor), what was written at va can be read by the device. addr and len: any part
 * of what is mapped. */
void dma_sync_for_cpu(const struct dma_device *dev, dma_addr_t addr, size_t len);
void dma_sync_for_device(const struct dma_device *dev, dma_addr_t addr, size_t len);
#define DMA_LAZY_MAX 256u

/* What is mapped for one request, so that it can be undone with one call, whatever the device did to memory it shares. Zero: nothing. */
struct dma_group {
	struct dma_chunk *first;
};
/* dma_map, remembered in the group. Also -XEN_ENOMEM. What was mapped before an error stays mapped. */
int dma_group_map(const struct dma_device *dev, struct dma_group *group, void *va, size_t len,
		  enum dma_direction dir, dma_addr_t *out_addr);
/* Several pieces with one call, each as dma_map's: all of them, or none. Cheaper than one by one where a map is a call of somebody. */
struct dma_piece {
	void *va;      /* IN */
	uint32_t len;  /* IN */
	dma_addr_t at; /* OUT */
};
int dma_group_map_all(const struct dma_device *dev, struct dma_group *group,
		      struct dma_piece *pieces, unsigned n, enum dma_direction dir);
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

/* The same, for count pages side by side for the device too (on a PV domain they are made so): NULL where memory is not to be had so. */
void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr);
/* And laid out as a device wants it. Both in bytes, powers of 2, 0: as it comes. */
struct dma_fit {
	uint64_t align; /* the first byte's address is a multiple of it */
	uint64_t
	    boundary; /* no multiple of it lies within: none can be if they are more bytes than that (NULL) */
};
void *dma_pages_alloc_fit(const struct dma_device *dev, unsigned count, const struct dma_fit *fit,
			  dma_addr_t *out_addr);
void dma_pages_free(const struct dma_device *dev, void *pages, unsigned count, dma_addr_t addr);

/* ---- for the kernel ------------------------------------------------------------------ */

enum dma_policy { DMA_POLICY_DIRECT, DMA_POLICY_STRICT, DMA_POLICY_LAZY };

/* Before the drivers start; not DIRECT only after iommu_start(). */
void dma_set_policy(enum dma_policy policy);
/* Before the drivers start: every map is remembered. An unmap of what is not mapped so, and what of a request is still mapped when its device goes, is
 * said in the log, naming the device; STOP: and is a bug, which ends the kernel (for tests). */
enum dma_debug { DMA_DEBUG_OFF, DMA_DEBUG_SAY, DMA_DEBUG_STOP };
void dma_set_debug(enum dma_debug level);
/* In a domain whose hypervisor keeps IO spaces (host_iospace.h), before the drivers start: devices of ours that a unit has get one. DIRECT: none does. */
void dma_io_start(enum dma_policy policy);
/* What lazy has left within a device's reach is there no more. */
void dma_io_drain(void);

/* For devices that attach from now on: no mask is more than this (for tests of what small ones need); none is trusted. */
void dma_set_limits(uint64_t mask, bool untrusted);

/* The pool of bounce buffers: made of the first size when a device comes that does not reach all memory, and grown while it is full, up to the
 * second. In bytes, rounded up to 128 KiB; without this call 128 KiB and 16 MiB. */
void dma_set_pool(uint64_t first_bytes, uint64_t max_bytes);

struct dma_pool_counts {
	uint64_t bytes, used_bytes, max_bytes;
	unsigned areas; /* processors that have blocks of their own */
	uint64_t maps;
	uint64_t
	    shared; /* of them, and of those refused: had to look beyond their processor's area */
	uint64_t full; /* were refused */
};
void dma_pool_count(struct dma_pool_counts *out);

/* Takes all of memory from a device that has a space, for good, whatever its driver does: what it sends from now on is a fault. -XEN_ENODEV: there is no such
 * device; -XEN_EOPNOTSUPP: nothing holds it; -XEN_EBUSY: what it sends others send, too; -XEN_EIO. */
int dma_cut(uint16_t bdf);

struct dma_counts {
	uint16_t bdf;
	const char *layer;     /* its name */
	uint64_t maps, unmaps; /* pages; of those that are directly mapped only with debug */
	uint64_t flushes;
	unsigned tables; /* pages of its space's tables */
	uint64_t wrong;  /* that debug found */
};
/* Of the n-th device that attached; false: there are not so many. */
bool dma_count(unsigned n, struct dma_counts *out);

#endif
