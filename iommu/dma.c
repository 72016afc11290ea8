/* dma.c: DMA for drivers: chooses a device's layer, and keeps count of what is mapped.
 *
 * Callers: drivers-native through dma.h; the kernel sets the policy before they start. The direct layer is here, as it is nothing but
 * an address: right where there is no IOMMU, or one that the hypervisor has left open. The other is dma_space.c; dma_debug.c remembers every map when asked to.
 */
#include <amphi/dma.h>
#include <amphi/host.h>

#include "dma_debug.h"
#include "dma_space.h"

#define DEVICES_MAX 64u

static enum dma_policy policy;
static bool debug;
/* Where they are, in the order in which they came; a device that went leaves a gap. */
static struct {
	bool here;
	uint16_t bdf;
	struct dma_space *space;
} devices[DEVICES_MAX];
static unsigned n_devices;

void dma_set_policy(enum dma_policy wanted, bool with_debug)
{
	policy = wanted;
	debug = with_debug;
}

static const char *layer_name(const struct dma_space *space)
{
	if (!space)
		return "direct";
	return policy == DMA_POLICY_LAZY ? "lazy" : "strict";
}

int dma_attach(struct dma_device *dev, bool translated)
{
	unsigned at = 0;
	int err = 0;

	/* A function that was pulled out and is in again has its old place. */
	while (at < n_devices && devices[at].here && devices[at].bdf != dev->bdf)
		at++;
	if (at == DEVICES_MAX)
		return -XEN_ENOSPC;
	if (translated && policy != DMA_POLICY_DIRECT)
		err = dma_space_new(dev->bdf, dev->mask, policy == DMA_POLICY_LAZY, &dev->space);
	if (err)
		return err;
	n_devices = MAX(n_devices, at + 1);
	devices[at].here = true;
	devices[at].bdf = dev->bdf;
	devices[at].space = dev->space;
	host_log(HOST_LOG_DEBUG, "dma: %02x:%02x.%x %s", dev->bdf >> 8, dev->bdf >> 3 & 31,
		 dev->bdf & 7, layer_name(dev->space));
	return 0;
}

void dma_detach(struct dma_device *dev)
{
	for (unsigned i = 0; i < n_devices; i++)
		if (devices[i].here && devices[i].bdf == dev->bdf)
			devices[i].here = false;
	if (debug)
		dma_debug_forget(dev->bdf);
	if (dev->space)
		dma_space_free(dev->space, dev->bdf);
	dev->space = NULL;
}

int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr)
{
	int err = 0;

	HOST_ASSERT(len && ((uintptr_t)va & ~PAGE_MASK) + len <= PAGE_SIZE);
	if (dev->space) {
		err = dma_space_map(dev->space, va, 1, dir, out_addr);
	} else {
		out_addr->v = host_virt_to_maddr(va).v;
		if (out_addr->v + len - 1 > dev->mask)
			return -XEN_EFAULT;
	}
	if (debug && !err)
		dma_debug_map(dev->bdf, *out_addr, len, dir);
	return err;
}

void dma_unmap(const struct dma_device *dev, dma_addr_t addr, size_t len, enum dma_direction dir)
{
	if (debug)
		dma_debug_unmap(dev->bdf, addr, len, dir);
	if (dev->space)
		dma_space_unmap(dev->space, addr, 1);
}

/* ---- groups ---------------------------------------------------------------------------------------- */

/* Chunks are taken from the host a page at a time and never given back: as many as requests were in flight at most. */
struct dma_chunk {
	struct dma_chunk *next;
	unsigned n;
	struct {
		dma_addr_t at;
		uint32_t len;
		uint32_t dir;
	} maps[15];
};
_Static_assert(sizeof(struct dma_chunk) == 256, "16 to a page");

static struct dma_chunk *free_chunks;

static struct dma_chunk *take_chunk(void)
{
	struct dma_chunk *c = free_chunks;

	if (!c) {
		c = host_pages_alloc(1);
		for (unsigned i = 1; c && i < PAGE_SIZE / sizeof(*c); i++) {
			c[i].next = free_chunks;
			free_chunks = &c[i];
		}
		return c;
	}
	free_chunks = c->next;
	return c;
}

int dma_group_map(const struct dma_device *dev, struct dma_group *group, void *va, size_t len,
		  enum dma_direction dir, dma_addr_t *out_addr)
{
	struct dma_chunk *c = group->first;
	int err;

	if (!dev->space && !debug)
		return dma_map(dev, va, len, dir, out_addr);
	if (!c || c->n == ARRAY_SIZE(c->maps)) {
		c = take_chunk();
		if (!c)
			return -XEN_ENOMEM;
		c->next = group->first;
		c->n = 0;
		group->first = c;
	}
	err = dma_map(dev, va, len, dir, out_addr);
	if (err)
		return err;
	c->maps[c->n].at = *out_addr;
	c->maps[c->n].len = (uint32_t)len;
	c->maps[c->n++].dir = dir;
	return 0;
}

void dma_group_end(const struct dma_device *dev, struct dma_group *group)
{
	while (group->first) {
		struct dma_chunk *c = group->first;

		for (unsigned i = 0; i < c->n; i++)
			dma_unmap(dev, c->maps[i].at, c->maps[i].len, c->maps[i].dir);
		group->first = c->next;
		c->next = free_chunks;
		free_chunks = c;
	}
}

/* ---- pages that are shared ------------------------------------------------------------------------- */

void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	void *page = host_pages_alloc(1);

	if (page && dma_map(dev, page, PAGE_SIZE, DMA_BOTH, out_addr)) {
		host_pages_free(page, 1);
		return NULL;
	}
	return page;
}

void dma_page_free(const struct dma_device *dev, void *page, dma_addr_t addr)
{
	dma_unmap(dev, addr, PAGE_SIZE, DMA_BOTH);
	host_pages_free(page, 1);
}

/* Side by side for the machine as they are, or not at all. */
static bool direct_pages(const struct dma_device *dev, char *pages, unsigned count,
			 dma_addr_t *out_addr)
{
	for (unsigned i = 0; i < count; i++) {
		maddr_t at = host_virt_to_maddr(pages + i * PAGE_SIZE);

		if (!i)
			out_addr->v = at.v;
		if (at.v != out_addr->v + i * PAGE_SIZE || at.v + PAGE_SIZE - 1 > dev->mask)
			return false;
	}
	return true;
}

void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr)
{
	char *pages = host_pages_alloc(count);

	if (!pages)
		return NULL;
	if (dev->space ? !dma_space_map(dev->space, pages, count, DMA_BOTH, out_addr)
		       : direct_pages(dev, pages, count, out_addr))
		return pages;
	host_pages_free(pages, count);
	return NULL;
}

int dma_cut(uint16_t bdf)
{
	for (unsigned i = 0; i < n_devices; i++)
		if (devices[i].here && devices[i].bdf == bdf)
			return devices[i].space ? dma_space_cut(devices[i].space, bdf)
						: -XEN_EOPNOTSUPP;
	return -XEN_ENODEV;
}

bool dma_count(unsigned n, struct dma_counts *out)
{
	for (unsigned i = 0; i < n_devices; i++) {
		if (!devices[i].here || n--)
			continue;
		*out = (struct dma_counts){.bdf = devices[i].bdf,
					   .layer = layer_name(devices[i].space)};
		if (debug)
			dma_debug_count(devices[i].bdf, out);
		if (devices[i].space)
			dma_space_count(devices[i].space, out);
		return true;
	}
	return false;
}
