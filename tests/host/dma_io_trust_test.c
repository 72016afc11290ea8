/* dma_io_trust_test.c: devices that reach little, or are not trusted, in a space that a hypervisor keeps.
 *
 * Shows: a device with a small mask has low addresses, none above its mask, also for granted pages, which are mapped for a request each and out before their grants go;
 * one without trust sees a copy with zeros around instead of a piece of a page, and whole pages as they are; lists are few calls, all or none; copies come back with what the
 * device wrote, and are nobody else's while it may still reach them. Why: a byte beside the buffer, or a page after its request, is what such a device is not to have.
 *
 * links: tests/host/io_world.c tests/host/dma_host.c iommu/dma.c iommu/dma_io.c iommu/dma_window.c iommu/dma_untrusted.c iommu/swiotlb.c iommu/dma_bounce.c iommu/dma_direct.c iommu/dma_debug.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/io_world.h"

/* A machine without units of our own. */
const struct dma_layer dma_space_layer = {.attach = no_device};

/* ---- small masks ----------------------------------------------------------------------------------- */

/* Up to where the grants' places end, there are others for them. */
static void begin_small(enum dma_policy policy, uint64_t mask)
{
	begin(policy);
	layer->detach(&dev);
	dev.mask = mask;
	assert_int_equal(layer->attach(&dev, true, &name), 0);
}

static void low_addresses(void **state)
{
	static const struct {
		uint64_t mask;
		unsigned pages;
	} all[] = {{0x27fffffe, 65536 - 2},
		   {0x1fffffff, 65536 - 2},
		   {0x1ffffffe, 65536 - 256},
		   {0xffffff, 15 * 256},
		   {0x100fff, 1}};
	struct dma_piece p = {.len = 8}, first;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		unsigned n = 0;

		begin_small(DMA_POLICY_STRICT, all[i].mask);
		for (p.va = page; !layer->map(&dev, &p, 1, DMA_TO_DEVICE); n++) {
			assert_true(p.at.v + 7 <= all[i].mask);
			first = n ? first : p;
		}
		assert_int_equal(n, all[i].pages);
		unmap(&first, 1);
		assert_int_equal(layer->map(&dev, &p, 1, DMA_TO_DEVICE), 0);
		assert_int_equal(p.at.v, first.at.v);
		(void)end_it(NULL);
	}
}

/* Mapped for each request, and lazy for a while after it; but never longer than the grant. */
static void grants_at_low_addresses(void **state)
{
	struct dma_piece p[8];

	begin_small(DMA_POLICY_STRICT, 0xffffff);
	pieces_of(p, granted, 8);
	assert_int_equal(layer->map(&dev, p, 8, DMA_FROM_DEVICE), -XEN_EPERM);
	assert_int_equal(layer->map(&dev, p, 8, DMA_TO_DEVICE), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_in_range(p[i].at.v, LOWEST, 0xffffff);
		reaches(p[i].at, p[i].va, HOST_IOSPACE_READ);
	}
	unmap(p, 8);
	reaches_not(p[0].at);
	(void)end_it(NULL);

	begin_small(DMA_POLICY_LAZY, 0xffffff);
	assert_int_equal(layer->map(&dev, p, 8, DMA_TO_DEVICE), 0);
	unmap(p, 8);
	reaches(p[5].at, p[5].va, HOST_IOSPACE_READ);
	ungrant(5, 1);
	reaches_not(p[5].at);
	assert_string_equal(said, "");
	(void)end_it(NULL);
}

/* ---- no trust -------------------------------------------------------------------------------------- */

static struct dma_device strange;

/* Lazy is asked for, and is not for it. */
static int no_trust(void **state)
{
	begin(DMA_POLICY_LAZY);
	layer->detach(&dev);
	strange = (struct dma_device){.bdf = BDF, .mask = ~0ull, .untrusted = true};
	assert_int_equal(dma_attach(&strange, true), 0);
	memset(page, 0x77, PAGE_SIZE);
	calls = 0;
	return 0;
}

static int trust_again(void **state)
{
	struct dma_pool_counts c;

	dma_pool_count(&c);
	assert_int_equal(c.used_bytes, 0);
	dma_detach(&strange);
	assert_false(inside);
	free(page);
	return 0;
}

static char *seen_at(dma_addr_t addr)
{
	return (char *)(uintptr_t)at[page_of(addr.v & PAGE_MASK)].va;
}

/* A list of pieces and whole pages, more than are planned at once, is few calls, out as in. */
static void pieces_are_copies(void **state)
{
	static struct dma_piece p[100];
	struct dma_group group = {0};
	char *whole = host_pages_alloc(1);

	for (unsigned i = 0; i < 100; i++)
		p[i] = (struct dma_piece){.va = i % 2 ? whole : page + 8 * i,
					  .len = i % 2 ? PAGE_SIZE : 8};
	assert_int_equal(dma_group_map_all(&strange, &group, p, 100, DMA_BOTH), 0);
	assert_int_equal(calls, 2);
	for (unsigned i = 0; i < 100; i++) {
		const char *seen = seen_at(p[i].at);

		assert_int_equal(p[i].at.v % PAGE_SIZE, i % 2 ? 0 : 8 * i);
		assert_true((seen == whole) == (i % 2 == 1) && seen != page);
		for (unsigned k = 0; k < PAGE_SIZE && i % 2 == 0; k++)
			assert_int_equal(seen[k], k / 8 == i ? 0x77 : 0);
		if (i % 2 == 0)
			memset((char *)(uintptr_t)seen + 8 * i, (int)i, 8);
	}
	dma_group_unmap(&strange, &group);
	assert_int_equal(calls, 4);
	for (unsigned i = 0; i < 100; i++) {
		reaches_not(p[i].at);
		assert_int_equal(page[8 * i], i % 2 ? 0x77 : i);
	}
	host_pages_free(whole, 1);
}

static void parts_are_synchronised(void **state)
{
	dma_addr_t addr, all;

	assert_int_equal(dma_map(&strange, page + 3000, 200, DMA_BOTH, &addr), 0);
	memset(seen_at(addr) + 3000, 0x11, 200);
	dma_sync_for_cpu(&strange, (dma_addr_t){addr.v + 50}, 10);
	assert_int_equal(page[3049], 0x77);
	assert_int_equal(page[3050], 0x11);
	page[3100] = 0x22;
	dma_sync_for_device(&strange, (dma_addr_t){addr.v + 100}, 1);
	assert_int_equal(seen_at(addr)[3100], 0x22);
	dma_unmap(&strange, addr, 200, DMA_BOTH);
	/* At the same address, once more, a whole page: of that there is no copy. */
	assert_int_equal(dma_map(&strange, page, PAGE_SIZE, DMA_BOTH, &all), 0);
	assert_int_equal(all.v, addr.v & PAGE_MASK);
	assert_ptr_equal(seen_at(all), page);
	dma_sync_for_cpu(&strange, all, PAGE_SIZE);
	dma_unmap(&strange, all, PAGE_SIZE, DMA_BOTH);
}

/* The hypervisor has no room for the second call of a list: what the first did is undone, copies too. */
static void copies_all_or_none(void **state)
{
	static struct dma_piece p[100];

	for (unsigned i = 0; i < 100; i++)
		p[i] = (struct dma_piece){.va = page + i, .len = 1};
	room = 70;
	assert_int_equal(dma_untrusted_map(&strange, p, 100, DMA_TO_DEVICE), -XEN_ENOMEM);
	for (unsigned i = 0; i < PAGES; i++)
		assert_null(at[i].va);
}

/* Granted pages too: no longer than their request. */
static void grants_go_with_the_request(void **state)
{
	dma_addr_t part, all;

	assert_int_equal(dma_map(&strange, granted, 512, DMA_FROM_DEVICE, &part), 0);
	assert_int_equal(dma_map(&strange, granted, PAGE_SIZE, DMA_FROM_DEVICE, &all), 0);
	reaches(all, granted, HOST_IOSPACE_WRITE);
	memset(seen_at(part), 0x33, 512);
	dma_unmap(&strange, all, PAGE_SIZE, DMA_FROM_DEVICE);
	dma_unmap(&strange, part, 512, DMA_FROM_DEVICE);
	reaches_not(all);
	reaches_not(part);
	assert_int_equal(granted[511], 0x33);
	ungrant(0, 1);
}

/* A unit that does not answer keeps the copy, and so does a driver that goes without a word; nobody else gets its slots, or its bytes. */
static void copies_that_stay(void **state)
{
	struct dma_pool_counts c;
	dma_addr_t addr, first, left;

	assert_int_equal(dma_map(&strange, page, 8, DMA_FROM_DEVICE, &addr), 0);
	memset(seen_at(addr), 0x44, 8);
	silent = true;
	dma_unmap(&strange, addr, 8, DMA_FROM_DEVICE);
	silent = false;
	assert_int_equal(page[7], 0x44);
	assert_int_equal(dma_map(&strange, page, 8, DMA_TO_DEVICE, &left), 0);
	dma_detach(&strange);
	dma_pool_count(&c);
	assert_int_equal(c.used_bytes, 2 * PAGE_SIZE);
	assert_int_equal(dma_attach(&strange, true), 0);
	assert_int_equal(dma_map(&strange, page, PAGE_SIZE, DMA_BOTH, &first), 0);
	assert_int_equal(dma_map(&strange, page, PAGE_SIZE, DMA_BOTH, &addr), 0);
	assert_int_equal(addr.v, left.v & PAGE_MASK);
	dma_sync_for_cpu(&strange, addr, PAGE_SIZE); /* of nothing that was before */
	dma_unmap(&strange, addr, PAGE_SIZE, DMA_BOTH);
	dma_unmap(&strange, first, PAGE_SIZE, DMA_BOTH);
	dma_detach(&strange);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(low_addresses),
	    cmocka_unit_test(grants_at_low_addresses),
	    cmocka_unit_test_setup_teardown(pieces_are_copies, no_trust, trust_again),
	    cmocka_unit_test_setup_teardown(parts_are_synchronised, no_trust, trust_again),
	    cmocka_unit_test_setup_teardown(copies_all_or_none, no_trust, trust_again),
	    cmocka_unit_test_setup_teardown(grants_go_with_the_request, no_trust, trust_again),
	    cmocka_unit_test_setup(copies_that_stay, no_trust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
