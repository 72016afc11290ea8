/* dma_xen.c: gives the hypervisor scattered frames for as many that are side by side, or low, and back.
 *
 * Called by host_dma.c. XENMEM_exchange (<xen/memory.h>) wants frames that nothing refers to: the pages leave the direct map for that
 * moment, and come back with other frames in the p2m list. The hypervisor writes its own table (m2p) itself. What it
 * refuses leaves the pages as they were.
 */
#include "dma_xen.h"

#include <amphi/host_dma.h>
#include <amphi/hypercall.h>
#include <amphi/string.h>

#include "console.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"

#define ADDRESS_BITS_MAX 63u

static pfn_t pfn_at(const void *pages, unsigned i)
{
	return (pfn_t){virt_to_pfn(pages).v + i};
}

/* All, or none. */
static bool take_from_map(const void *pages, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!mm_direct_take(pfn_at(pages, i)))
			continue;
		while (i--)
			(void)mm_direct_give(pfn_at(pages, i));
		return false;
	}
	return true;
}

/* One extent of 2^order frames for as many single ones; or, with single, single ones for single ones. Either the p2m list has
 * new frames or nothing is changed; single ones may be changed in part. */
static bool exchange(const void *pages, unsigned order, bool single, unsigned bits)
{
	unsigned count = 1u << order, out_order = single ? 0 : order;
	uint64_t first = virt_to_pfn(pages).v;
	xen_pfn_t in[HOST_DMA_PAGES], out[HOST_DMA_PAGES];
	struct xen_memory_exchange x = {
	    .in = {.nr_extents = count, .domid = DOMID_SELF},
	    .out = {.nr_extents = count >> out_order,
		    .extent_order = out_order,
		    .mem_flags = XENMEMF_address_bits(bits),
		    .domid = DOMID_SELF},
	};
	unsigned done;

	for (unsigned i = 0; i < count; i++) {
		in[i] = mm_p2m_list[first + i];
		out[i] = first + i; /* IN: who they are to be, as the m2p has it */
	}
	set_xen_guest_handle(x.in.extent_start, in);
	set_xen_guest_handle(x.out.extent_start, out);
	(void)hypercall_memory_op(XENMEM_exchange, &x);
	done = (unsigned)x.nr_exchanged;
	for (unsigned i = 0; i < done; i++)
		mm_p2m_list[first + i] = single ? out[i] : out[0] + i;
	return done == count;
}

static bool swap(void *pages, unsigned order, bool single, unsigned bits)
{
	bool good, mapped = true;

	if (!take_from_map(pages, 1u << order))
		return false;
	good = exchange(pages, order, single, bits);
	for (unsigned i = 0; i < 1u << order; i++)
		mapped &= !mm_direct_give(pfn_at(pages, i));
	KASSERT(mapped); /* frames of ours, that nothing else refers to */
	return good;
}

static bool fits(const void *pages, unsigned count, unsigned align_pages, uint64_t mask)
{
	uint64_t first = virt_to_maddr(pages).v >> PAGE_SHIFT;

	for (unsigned i = 0; i < count; i++)
		if (pfn_to_mfn(pfn_at(pages, i)).v != first + i)
			return false;
	return !(first & (align_pages - 1)) && ((first + count) << PAGE_SHIFT) - 1 <= mask;
}

/* Bits of addresses all of which are within mask. */
static unsigned bits_of(uint64_t mask)
{
	unsigned bits = 0;

	while (bits < ADDRESS_BITS_MAX && (1ull << (bits + 1)) - 1 <= mask)
		bits++;
	return bits;
}

/* An extent lies at a multiple of its size. What is more than count goes back to the others. */
void *dma_xen_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	unsigned order = 0;
	char *pages;

	while (1u << order < MAX(count, align_pages))
		order++;
	pages = 1u << order <= HOST_DMA_PAGES ? pages_alloc(1u << order) : NULL;
	if (!pages)
		return NULL;
	if (!fits(pages, count, align_pages, mask) && !swap(pages, order, false, bits_of(mask))) {
		pages_free(pages, 1u << order);
		return NULL;
	}
	if (count < 1u << order)
		pages_free(pages + count * PAGE_SIZE, (1u << order) - count);
	memset(pages, 0, count * PAGE_SIZE);
	return pages;
}

/* Low frames are few in a machine: they go back for any. If there are none to be had these are kept, and serve as well. */
void dma_xen_pages_free(void *pages, unsigned count)
{
	char *at = pages;

	for (unsigned left = count, order; left; left -= 1u << order, at += PAGE_SIZE << order) {
		order = 31u - (unsigned)__builtin_clz(left);
		(void)swap(at, order, true, 0);
	}
	pages_free(pages, count);
}
