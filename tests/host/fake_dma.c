/* fake_dma.c: the memory of fake_dma.h: single pages for the device, and what host.h gives.
 *
 * Called by drivers under test. Nothing is short, and what a driver keeps is the test's end to find.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_dma.h"

unsigned fake_pages_freed, fake_held;
uint8_t fake_unreachable[512] __attribute__((aligned(512)));

int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr)
{
	*out_addr = (dma_addr_t){(uintptr_t)va};
	return va == fake_unreachable ? -XEN_EFAULT : 0;
}

unsigned fake_maps, fake_maps_max = ~0u;

int dma_attach(struct dma_device *dev, bool translated)
{
	return 0;
}

/* One for each map; a group that is lost with its maps is a leak, which the sanitizer sees. */
struct dma_chunk {
	struct dma_chunk *next;
};

int dma_group_map(const struct dma_device *dev, struct dma_group *group, void *va, size_t len,
		  enum dma_direction dir, dma_addr_t *out_addr)
{
	struct dma_chunk *c;
	int err = dma_map(dev, va, len, dir, out_addr);

	if (err)
		return err;
	if (fake_maps == fake_maps_max)
		return -XEN_ENOSPC;
	c = calloc(1, sizeof(*c));
	c->next = group->first;
	group->first = c;
	fake_maps++;
	return 0;
}

/* What of it was mapped before an error goes with the group. */
int dma_group_map_all(const struct dma_device *dev, struct dma_group *group,
		      struct dma_piece *pieces, unsigned n, enum dma_direction dir)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = dma_group_map(dev, group, pieces[i].va, pieces[i].len, dir, &pieces[i].at);
	return err;
}

void dma_group_end(const struct dma_device *dev, struct dma_group *group)
{
	while (group->first) {
		struct dma_chunk *c = group->first;

		group->first = c->next;
		free(c);
		fake_maps--;
	}
}

int dma_detach(struct dma_device *dev)
{
	return 0;
}

void dma_page_free(const struct dma_device *dev, void *page, dma_addr_t addr)
{
	host_pages_free(page, 1);
}

void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	memset(page, 0, PAGE_SIZE);
	fake_held++;
	*out_addr = (dma_addr_t){(uintptr_t)page};
	return page;
}

void *host_alloc(size_t size_bytes)
{
	fake_held++;
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	fake_held -= p != NULL;
	free(p);
}

void host_pages_free(void *pages, unsigned count)
{
	fake_pages_freed++;
	fake_held -= pages != NULL;
	free(pages);
}
