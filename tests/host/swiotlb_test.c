/* swiotlb_test.c: devices that do not reach all memory get copies of it, by the kernel's own code, in a machine of three pieces of memory.
 *
 * Shows: what a device reaches is not copied; what it does not reach is, at an address below its mask with the same place in the page;
 * bytes go in and out by the directions, what a device leaves unwritten stays; a full pool is an error that passes, grows before
 * it is one, and takes nothing with it; coherent pages are below the mask, aligned and within boundaries; a wrong unmap is named;
 * any order of maps and unmaps, against a model; four processors at once stay in their areas. Why: a slot given twice is
 * one guest's bytes on another's disk, and only under load.
 *
 * links: tests/host/dma_host.c iommu/dma.c iommu/dma_bounce.c iommu/dma_untrusted.c iommu/dma_direct.c iommu/dma_debug.c iommu/swiotlb.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>

#include <amphi/dma.h>
#include "iommu/dma_layer.h"
#include "iommu/swiotlb.h"
#include "tests/host/dma_host.h"

#define KIB 1024u

/* ---- the machine's memory -------------------------------------------------------------------------- */

/* Highest first: so are pages given for DMA, to see that the mask is looked at. */
static struct piece {
	uint64_t at;
	size_t bytes, used;
	char *va;
} memory[] = {
    {.at = 0x180000000, .bytes = 4 << 20}, /* above 4 GiB: where drivers' buffers are */
    {.at = 0x50000000, .bytes = 8 << 20},
    {.at = 0x800000, .bytes = 4 << 20},
};
static __thread unsigned cpu;
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

static char *from_piece(struct piece *p, size_t bytes, size_t align)
{
	size_t at = ROUND_UP(p->used, align);

	if (at + bytes > p->bytes)
		return NULL;
	p->used = at + bytes;
	return memset(p->va + at, 0, bytes);
}

maddr_t host_virt_to_maddr(const void *va)
{
	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++)
		if ((const char *)va >= memory[i].va &&
		    (const char *)va < memory[i].va + memory[i].bytes)
			return (maddr_t){memory[i].at +
					 (uint64_t)((const char *)va - memory[i].va)};
	fail_msg("%p is no memory", va);
	return (maddr_t){0};
}

/* What is at an address of the machine, as a device finds it. */
static char *device_at(dma_addr_t at)
{
	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++)
		if (at.v >= memory[i].at && at.v < memory[i].at + memory[i].bytes)
			return memory[i].va + (at.v - memory[i].at);
	fail_msg("the device goes to %llx", (unsigned long long)at.v);
	return NULL;
}

void *host_dma_pages(unsigned count, unsigned align_pages, uint64_t mask)
{
	char *got = NULL;

	pthread_mutex_lock(&host_lock);
	for (unsigned i = 0; i < ARRAY_SIZE(memory) && !got; i++)
		if (memory[i].at + memory[i].bytes - 1 <= mask)
			got = from_piece(&memory[i], count * PAGE_SIZE, align_pages * PAGE_SIZE);
	pthread_mutex_unlock(&host_lock);
	return got;
}

static unsigned pages_given_back;

void host_dma_pages_free(void *pages, unsigned count)
{
	pages_given_back += count;
}

uint64_t host_dma_reach(void)
{
	return memory[0].at + memory[0].bytes - 1;
}

unsigned host_dma_cpu(void)
{
	return cpu;
}

void *host_pages_alloc(unsigned count)
{
	return from_piece(&memory[0], count * PAGE_SIZE, PAGE_SIZE);
}

void host_pages_free(void *pages, unsigned count) {}

/* No IOMMU. */
const struct dma_layer dma_space_layer = {.attach = no_device};
const struct dma_layer dma_io_layer = {.attach = no_device};

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct dma_device dev;
static char *own; /* 64 pages above 4 GiB */

static unsigned used_kib(void)
{
	struct dma_pool_counts c;

	dma_pool_count(&c);
	return (unsigned)(c.used_bytes / KIB);
}

static int begin(void **state)
{
	dma_set_debug(DMA_DEBUG_SAY);
	dev = (struct dma_device){.bdf = 0x18, .mask = 0xffffffff};
	assert_int_equal(dma_attach(&dev, true), 0);
	said[0] = '\0';
	for (unsigned i = 0; i < 64 * PAGE_SIZE; i++)
		own[i] = (char)(i * 7 + i / PAGE_SIZE);
	return 0;
}

/* Nothing stays mapped, and nothing was wrong. */
static int end(void **state)
{
	struct dma_counts c;

	assert_true(dma_count(0, &c));
	assert_string_equal(c.layer, "swiotlb");
	assert_int_equal(c.maps, c.unmaps);
	assert_string_equal(said, "");
	dma_detach(&dev);
	assert_int_equal(used_kib(), 0);
	return 0;
}

static void who_reaches_all_is_not_bounced(void **state)
{
	struct dma_device wide = {.bdf = 0x20, .mask = ~0ull};
	struct dma_counts c;
	dma_addr_t at;

	assert_int_equal(dma_attach(&wide, true), 0);
	assert_true(dma_count(1, &c));
	assert_string_equal(c.layer, "direct");
	assert_int_equal(dma_map(&wide, own + 5, 10, DMA_TO_DEVICE, &at), 0);
	assert_int_equal(at.v, memory[0].at + (uint64_t)(own + 5 - memory[0].va));
	dma_unmap(&wide, at, 10, DMA_TO_DEVICE);
	dma_detach(&wide);
}

static void what_is_reached_is_not_copied(void **state)
{
	char *low = host_dma_pages(1, 1, 0xffffffff);
	dma_addr_t at;

	assert_int_equal(dma_map(&dev, low + 100, 50, DMA_BOTH, &at), 0);
	assert_ptr_equal(device_at(at), low + 100);
	assert_int_equal(used_kib(), 0);
	dma_sync_for_cpu(&dev, at, 50);
	dma_unmap(&dev, at, 50, DMA_BOTH);
}

/* All bytes go in; the device writes the first half; they come out if it was to. */
static void one_way(enum dma_direction dir, unsigned offset, unsigned len)
{
	char before[PAGE_SIZE], device[PAGE_SIZE];
	dma_addr_t at;

	memcpy(before, own, PAGE_SIZE);
	memset(device, 0x5a, len / 2);
	memcpy(device + len / 2, own + offset + len / 2, len - len / 2);
	assert_int_equal(dma_map(&dev, own + offset, len, dir, &at), 0);
	assert_true(at.v + len - 1 <= dev.mask);
	assert_int_equal(at.v % PAGE_SIZE, offset);
	assert_memory_equal(device_at(at), own + offset, len);
	memset(device_at(at), 0x5a, len / 2);
	assert_memory_equal(own, before, PAGE_SIZE);
	dma_unmap(&dev, at, len, dir);
	if (dir & DMA_FROM_DEVICE)
		memcpy(before + offset, device, len);
	assert_memory_equal(own, before, PAGE_SIZE);
	memset(own, (char)(offset + len), PAGE_SIZE);
}

static void bytes_go_where_they_should(void **state)
{
	static const struct {
		unsigned offset, len;
	} all[] = {{0, 4096}, {0, 1},    {4095, 1},    {2047, 2},   {2048, 2048},
		   {0, 2048}, {0, 2049}, {1536, 1024}, {512, 3584}, {100, 60}};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		for (enum dma_direction dir = DMA_TO_DEVICE; dir <= DMA_BOTH; dir++)
			one_way(dir, all[i].offset, all[i].len);
}

static void parts_are_synchronised(void **state)
{
	dma_addr_t at, part;

	assert_int_equal(dma_map(&dev, own + 1000, 3000, DMA_BOTH, &at), 0);
	part.v = at.v + 1500; /* in the second slot */
	memset(device_at(part), 1, 100);
	memset(own + 1000, 2, 3000);
	dma_sync_for_cpu(&dev, part, 10);
	assert_int_equal(own[2499], 2);
	assert_int_equal(own[2500], 1);
	assert_int_equal(own[2509], 1);
	assert_int_equal(own[2510], 2);
	dma_sync_for_device(&dev, part, 20);
	assert_int_equal(device_at(part)[9], 1);
	assert_int_equal(device_at(part)[19], 2);
	assert_int_equal(device_at(part)[20], 1);
	dma_unmap(&dev, at, 3000, DMA_BOTH);
	assert_int_equal(own[2520], 1);
}

/* 64 pages fill two blocks, and there may be no third. */
static void full_is_an_error_that_passes(void **state)
{
	struct dma_group group = {0}, other = {0};
	struct dma_piece pieces[64], in_vain[30];
	struct dma_pool_counts c;
	dma_addr_t at;

	for (unsigned i = 0; i < 64; i++)
		pieces[i] = (struct dma_piece){.va = own + i * PAGE_SIZE, .len = PAGE_SIZE};
	assert_int_equal(dma_group_map_all(&dev, &group, pieces, 40, DMA_TO_DEVICE), 0);
	dma_pool_count(&c);
	assert_int_equal(c.bytes, 256 * KIB);
	/* All or nothing: 24 would fit. */
	memcpy(in_vain, pieces, sizeof(in_vain));
	assert_int_equal(dma_group_map_all(&dev, &other, in_vain, 30, DMA_BOTH), -XEN_ENOSPC);
	assert_int_equal(used_kib(), 160);
	assert_int_equal(dma_group_map_all(&dev, &other, pieces + 40, 24, DMA_BOTH), 0);
	assert_int_equal(dma_map(&dev, own, 1, DMA_TO_DEVICE, &at), -XEN_ENOSPC);
	dma_pool_count(&c);
	assert_int_equal(c.full, 2);
	for (unsigned i = 0; i < 64; i++)
		assert_memory_equal(device_at(pieces[i].at), pieces[i].va, PAGE_SIZE);
	dma_group_unmap(&dev, &other);
	assert_int_equal(dma_map(&dev, own, 1, DMA_TO_DEVICE, &at), 0);
	dma_unmap(&dev, at, 1, DMA_TO_DEVICE);
	dma_group_unmap(&dev, &group);
}

static void each_mask_has_its_memory(void **state)
{
	struct dma_device small = {.bdf = 0x28, .mask = 0xffffff};
	dma_addr_t at;
	char *page;

	assert_int_equal(dma_attach(&small, true), 0);
	assert_int_equal(dma_map(&small, own, 100, DMA_TO_DEVICE, &at), -XEN_ENOSPC);
	dma_set_pool(128 * KIB, 2048 * KIB);
	assert_int_equal(dma_map(&small, own, 100, DMA_TO_DEVICE, &at), 0);
	assert_true(at.v + 99 <= small.mask);
	dma_unmap(&small, at, 100, DMA_TO_DEVICE);
	page = dma_page_alloc(&small, &at);
	assert_ptr_equal(device_at(at), page);
	assert_true(at.v + PAGE_SIZE - 1 <= small.mask);
	dma_page_free(&small, page, at);
	dma_detach(&small);
	small = (struct dma_device){.bdf = 0x28, .mask = 0x3fffff};
	assert_int_equal(dma_attach(&small, true), 0); /* no memory there is so low */
	assert_int_equal(dma_map(&small, own, 100, DMA_TO_DEVICE, &at), -XEN_ENOSPC);
	assert_null(dma_page_alloc(&small, &at));
	dma_detach(&small);
}

static void pages_are_laid_out_as_wished(void **state)
{
	static const struct {
		unsigned count;
		struct dma_fit fit;
		uint64_t multiple;
	} all[] = {{3, {0}, 1},
		   {3, {.align = 64 * KIB}, 64 * KIB},
		   {3, {.boundary = 64 * KIB}, 16 * KIB},
		   {16, {.align = 4 * KIB, .boundary = 64 * KIB}, 64 * KIB}};
	dma_addr_t at;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		void *pages = dma_pages_alloc_fit(&dev, all[i].count, &all[i].fit, &at);
		uint64_t boundary = all[i].fit.boundary;
		uint64_t last = at.v + all[i].count * PAGE_SIZE - 1;

		assert_non_null(pages);
		assert_true(last <= dev.mask);
		assert_int_equal(at.v % all[i].multiple, 0);
		assert_true(!boundary || at.v / boundary == last / boundary);
		pages_given_back = 0;
		dma_pages_free(&dev, pages, all[i].count, at);
		assert_int_equal(pages_given_back, all[i].count);
	}
	assert_null(dma_pages_alloc_fit(&dev, 17, &(struct dma_fit){.boundary = 64 * KIB}, &at));
}

static void expect_said(const char *what)
{
	if (!strstr(said, what))
		fail_msg("'%s' is said, not '%s'", said, what);
	said[0] = '\0';
}

static void wrong_unmaps_are_named(void **state)
{
	dma_addr_t at;

	dma_set_debug(DMA_DEBUG_OFF); /* which would say it first */
	assert_int_equal(dma_map(&dev, own, 100, DMA_FROM_DEVICE, &at), 0);
	memset(device_at(at), 3, 100);
	dma_unmap(&dev, (dma_addr_t){at.v + 8}, 92, DMA_FROM_DEVICE);
	expect_said("is unmapped and was not mapped");
	assert_int_not_equal(own[50], 3);
	dma_unmap(&dev, at, 100, DMA_FROM_DEVICE);
	assert_int_equal(own[50], 3);
	dma_unmap(&dev, at, 100, DMA_FROM_DEVICE);
	expect_said("is unmapped and was not mapped");
	dma_set_debug(DMA_DEBUG_SAY);
}

/* ---- any order ------------------------------------------------------------------------------------- */

#define LIVE 200u

struct live {
	dma_addr_t at;
	unsigned offset, len; /* of own; len 0: none */
	char fill;
};

static bool overlap(const struct live *a, uint64_t at, unsigned len)
{
	return a->len && at < a->at.v + a->len && a->at.v < at + len;
}

static void try_map(struct live *all, struct live *l, unsigned i)
{
	unsigned in_page = (unsigned)rand() % 4096;

	l->offset = i % 64 * 4096 + in_page;
	l->len = rand() % 3 ? 1 + (unsigned)rand() % (4096 - in_page) : 4096 - in_page;
	l->fill = (char)rand();
	memset(own + l->offset, l->fill, l->len);
	if (dma_map(&dev, own + l->offset, l->len, DMA_TO_DEVICE, &l->at)) {
		l->len = 0;
		return;
	}
	for (unsigned k = 0; k < LIVE; k++)
		assert_true(&all[k] == l || !overlap(&all[k], l->at.v, l->len));
}

static void check_and_unmap(struct live *l)
{
	for (unsigned i = 0; i < l->len; i++)
		assert_int_equal(device_at(l->at)[i], l->fill);
	dma_unmap(&dev, l->at, l->len, DMA_TO_DEVICE);
	l->len = 0;
}

static void any_order(void **state)
{
	static struct live all[LIVE];
	unsigned refused = 0;

	srand(1);
	dma_set_pool(128 * KIB, 384 * KIB);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % LIVE;

		if (all[i].len) {
			check_and_unmap(&all[i]);
			continue;
		}
		try_map(all, &all[i], i);
		refused += !all[i].len;
	}
	assert_true(refused > 10); /* or nothing was seen of a full pool */
	for (unsigned i = 0; i < LIVE; i++)
		if (all[i].len)
			check_and_unmap(&all[i]);
}

/* ---- four processors ------------------------------------------------------------------------------- */

#define ROUNDS  30000u
#define AT_ONCE 16u

struct worker {
	pthread_t thread;
	unsigned cpu;
	char *page;
	bool bad;
	maddr_t last; /* mapped still, for the others */
};

/* At most 16 pages at once, which a block holds twice. */
static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct dma_piece piece = {.va = w->page, .len = PAGE_SIZE};
	maddr_t at[AT_ONCE];

	cpu = w->cpu;
	for (unsigned i = 0; i < ROUNDS && !w->bad; i++) {
		unsigned n = 1 + i % AT_ONCE;

		memset(w->page, (int)(i + w->cpu), 64);
		for (unsigned k = 0; k < n; k++)
			w->bad |= swiotlb_map(~0ull, false, &piece, DMA_TO_DEVICE, &at[k]) != 0;
		for (unsigned k = 0; k < n && !w->bad; k++) {
			w->bad |= memcmp(swiotlb_view(at[k]), w->page, 64) != 0;
			swiotlb_unmap(at[k], true);
		}
	}
	w->bad |= swiotlb_map(~0ull, false, &piece, DMA_TO_DEVICE, &w->last) != 0;
	return NULL;
}

/* New areas are four more blocks: the only times that anybody leaves his own. */
static void four_processors(void **state)
{
	struct worker workers[4];
	struct dma_pool_counts before, after;

	dma_set_pool(128 * KIB, 2048 * KIB);
	dma_pool_count(&before);
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){.cpu = 10 + i, .page = own + i * PAGE_SIZE};
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_false(workers[i].bad);
		swiotlb_unmap(workers[i].last, true); /* by another processor */
	}
	dma_pool_count(&after);
	assert_int_equal(after.areas - before.areas, 4);
	assert_int_equal(after.maps - before.maps, 4 * (ROUNDS / AT_ONCE * 136 + 1));
	assert_int_equal(after.shared - before.shared, 4);
	printf(
	    "bounce: swiotlb with 4 CPUs: %llu maps, no lock, %llu beyond the own area (its first "
	    "block)\n",
	    (unsigned long long)(after.maps - before.maps),
	    (unsigned long long)(after.shared - before.shared));
}

static int make_machine(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++)
		memory[i].va = aligned_alloc(1 << 20, memory[i].bytes);
	own = host_pages_alloc(64);
	dma_set_pool(128 * KIB, 256 * KIB);
	return 0;
}

/* Blocks stay for good, and are found from the pool: no leak to the sanitizer. */
static int end_machine(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++)
		free(memory[i].va);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_reaches_all_is_not_bounced, begin, end),
	    cmocka_unit_test_setup_teardown(what_is_reached_is_not_copied, begin, end),
	    cmocka_unit_test_setup_teardown(bytes_go_where_they_should, begin, end),
	    cmocka_unit_test_setup_teardown(parts_are_synchronised, begin, end),
	    cmocka_unit_test_setup_teardown(full_is_an_error_that_passes, begin, end),
	    cmocka_unit_test_setup_teardown(each_mask_has_its_memory, begin, end),
	    cmocka_unit_test_setup_teardown(pages_are_laid_out_as_wished, begin, end),
	    cmocka_unit_test_setup_teardown(wrong_unmaps_are_named, begin, end),
	    cmocka_unit_test_setup_teardown(any_order, begin, end),
	    cmocka_unit_test_setup_teardown(four_processors, begin, end),
	};

	return cmocka_run_group_tests(tests, make_machine, end_machine);
}
