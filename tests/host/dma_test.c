/* dma_test.c: what drivers map and unmap, in a space of a unit that remembers until it is told to forget.
 *
 * Shows: the device reaches what is mapped, with the rights of its direction, and no more; strict, an unmap flushes before the address is given again; lazy, once for
 * DMA_LAZY_MAX; firmware's memory keeps its addresses; a full window, a lack of memory and a unit that does not answer are errors, and addresses that it may
 * still know are not given again; groups undo what they hold; a device that is cut off or gone reaches nothing; dma_debug names what a driver does wrong. Why: real units
 * (qemu/iommu_test) show that it works, and seldom that it is not undone too late.
 *
 * links: tests/host/dma_host.c iommu/dma.c iommu/dma_space.c iommu/dma_share.c iommu/sender.c lib/pci_cap.c iommu/dma_window.c iommu/dma_bounce.c iommu/dma_untrusted.c iommu/dma_direct.c iommu/swiotlb.c iommu/dma_debug.c iommu/iommu.c iommu/io_table.c tests/host/iommu_world.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/dma.h>
#include "iommu/dma_layer.h"
#include "iommu/iommu_ops.h"
#include "tests/host/dma_host.h"
#include "tests/host/iommu_world.h"

#define BDF 0x18

/* ---- the unit -------------------------------------------------------------------------------------- */

static const struct io_format format = {
    .read = 1, .write = 2, .present = 3, .table = 3, .kind = 128, .large = 128};
static const struct iommu_space *sees[256]; /* by function; NULL: nothing */
static bool silent;
static unsigned n_flushes;

static void shape(struct iommu *unit, struct io_table *t)
{
	t->format = &format;
	t->levels = 3;
}

static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	sees[bdf] = space;
	return 0;
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	sees[bdf] = NULL;
	return silent ? -XEN_EIO : 0;
}

static int flush(struct iommu *unit, const struct iommu_space *space, uint64_t dma, uint64_t len,
		 bool tables)
{
	n_flushes++;
	return silent ? -XEN_EIO : 0;
}

static void stop(struct iommu *unit) {}

static const struct iommu_ops ops = {
    .shape = shape, .attach = attach, .detach = detach, .flush = flush, .stop = stop};
static struct iommu unit = {
    .ops = &ops, .traits = {.address_bits = 39, .spaces = 64}, .all_others = true};

int vtd_start(const void *dmar, size_t len)
{
	static const struct iommu_reserved kept = {.first_bdf = BDF,
						   .last_bdf = BDF,
						   .start = 0x10003000,
						   .end = 0x10005000,
						   .rights = IOMMU_READ};

	return iommu_add(&unit) || iommu_add_reserved(&kept) ? -XEN_ENOMEM : 0;
}

int amdvi_start(const void *ivrs, size_t len)
{
	return -XEN_ENODEV;
}

/* A machine of our own: no hypervisor keeps spaces. */
const struct dma_layer dma_io_layer = {.attach = no_device};

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct dma_device dev;
static char *page;

static void begin(enum dma_policy policy)
{
	dma_set_policy(policy);
	dma_set_debug(DMA_DEBUG_SAY);
	dev = (struct dma_device){.bdf = BDF, .mask = ~0ull};
	assert_int_equal(dma_attach(&dev, true), 0);
	page = host_pages_alloc(1);
	n_flushes = 0;
	silent = false;
	said[0] = '\0';
}

static int end(void **state)
{
	silent = false;
	free(page);
	dma_detach(&dev);
	assert_int_equal(iommu_world_pages(), 0);
	return 0;
}

static int strict(void **state)
{
	begin(DMA_POLICY_STRICT);
	return 0;
}

static int lazy(void **state)
{
	begin(DMA_POLICY_LAZY);
	return 0;
}

/* What the device finds at an address, by the unit's tables. */
static int device_sees(dma_addr_t at, uint64_t *out_where, unsigned *out_rights)
{
	maddr_t to = {0};
	int err = sees[BDF] ? iommu_lookup(sees[BDF], at.v, &to, out_rights) : -XEN_ENOENT;

	*out_where = to.v;
	return err;
}

static void reaches(dma_addr_t at, const void *va, unsigned rights)
{
	uint64_t where;
	unsigned got;

	assert_int_equal(device_sees(at, &where, &got), 0);
	assert_int_equal(where, (uintptr_t)va);
	assert_int_equal(got, rights);
}

static void reaches_not(dma_addr_t at)
{
	uint64_t where;
	unsigned got;

	assert_int_equal(device_sees(at, &where, &got), -XEN_ENOENT);
}

static void only_while_mapped(void **state)
{
	static const struct {
		enum dma_direction dir;
		unsigned rights;
	} all[] = {{DMA_TO_DEVICE, IOMMU_READ},
		   {DMA_FROM_DEVICE, IOMMU_WRITE},
		   {DMA_BOTH, IOMMU_READ | IOMMU_WRITE}};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		dma_addr_t at;

		assert_int_equal(dma_map(&dev, page + 100, 200, all[i].dir, &at), 0);
		assert_int_equal(at.v % PAGE_SIZE, 100);
		reaches(at, page + 100, all[i].rights);
		dma_unmap(&dev, at, 200, all[i].dir);
		reaches_not(at);
		assert_int_equal(n_flushes, i + 1);
	}
	assert_string_equal(said, "");
}

static void lazy_flushes_once_for_many(void **state)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < 4 * DMA_LAZY_MAX; i++) {
		dma_addr_t at;

		assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), 0);
		dma_unmap(&dev, at, 1, DMA_TO_DEVICE);
		highest = MAX(highest, at.v);
	}
	assert_int_equal(n_flushes, 4);
	/* Addresses are used again, and not before a flush. */
	assert_true(highest < 0x10000000 + 2 * DMA_LAZY_MAX * PAGE_SIZE);
}

static void firmware_keeps_its_addresses(void **state)
{
	dma_addr_t at[8];

	reaches((dma_addr_t){0x10003000}, (void *)0x10003000, IOMMU_READ);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at[i]), 0);
		assert_true(at[i].v < 0x10003000 || at[i].v >= 0x10005000);
	}
	for (unsigned i = 0; i < 8; i++)
		dma_unmap(&dev, at[i], 1, DMA_TO_DEVICE);
}

static void a_full_window(void **state)
{
	static dma_addr_t at[65536];
	unsigned n = 0;

	while (n < 65536 && !dma_map(&dev, page, 1, DMA_TO_DEVICE, &at[n]))
		n++;
	assert_int_equal(n, 65536 - 2);
	dma_unmap(&dev, at[5], 1, DMA_TO_DEVICE);
	assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at[5]), 0);
	while (n--)
		dma_unmap(&dev, at[n], 1, DMA_TO_DEVICE);
}

static void no_memory_for_tables(void **state)
{
	struct dma_device other = {.bdf = BDF + 8, .mask = ~0ull};
	dma_addr_t at;

	iommu_world_memory(0);
	assert_int_equal(dma_attach(&other, true), -XEN_ENOMEM);
	iommu_world_memory(2);
	assert_int_equal(dma_attach(&other, true), 0);
	assert_int_equal(dma_map(&other, page, 1, DMA_TO_DEVICE, &at), -XEN_ENOMEM);
	iommu_world_memory(~0u);
	assert_int_equal(dma_map(&other, page, 1, DMA_TO_DEVICE, &at), 0);
	dma_unmap(&other, at, 1, DMA_TO_DEVICE);
	dma_detach(&other);
}

/* It may still lead to the page: nobody else's page is put there. */
static void a_silent_unit_keeps_addresses(void **state)
{
	dma_addr_t at, other;

	assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), 0);
	silent = true;
	dma_unmap(&dev, at, 1, DMA_TO_DEVICE);
	silent = false;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &other), 0);
		assert_int_not_equal(at.v, other.v);
		dma_unmap(&dev, other, 1, DMA_TO_DEVICE);
	}
}

/* Of a unit that remembers what is not mapped: told in vain, the address is out of the table, and nobody else's. */
static void a_map_that_is_told_in_vain(void **state)
{
	dma_addr_t at;

	unit.flush_after_map = true;
	silent = true;
	assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), -XEN_EIO);
	silent = false;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), 0);
		dma_unmap(&dev, at, 1, DMA_TO_DEVICE);
	}
	unit.flush_after_map = false;
}

static void groups(void **state)
{
	struct dma_group group = {0};
	dma_addr_t at[50];

	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(dma_group_map(&dev, &group, page + i, 10, DMA_FROM_DEVICE, &at[i]),
				 0);
		reaches(at[i], page + i, IOMMU_WRITE);
	}
	dma_group_unmap(&dev, &group);
	assert_null(group.first);
	for (unsigned i = 0; i < 50; i++)
		reaches_not(at[i]);
	dma_group_unmap(&dev, &group); /* of nothing */
	assert_int_equal(n_flushes, 50);
}

/* A list that cannot be remembered is not mapped, wherever its memory ended. */
static void no_memory_to_remember(void **state)
{
	struct dma_group group = {0};
	struct dma_piece p[40];
	struct dma_counts c;
	unsigned n = 0;

	for (unsigned i = 0; i < 40; i++)
		p[i] = (struct dma_piece){.va = page + i, .len = 1};
	is_short = true;
	while (n < 100 && !dma_group_map_all(&dev, &group, p, 40, DMA_TO_DEVICE))
		n++;
	is_short = false;
	assert_in_range(n, 1, 99);
	for (unsigned i = 0; i < 40; i++)
		reaches_not(p[i].at);
	assert_true(dma_count(0, &c));
	assert_int_equal(c.maps - c.unmaps, 40 * n);
	assert_int_equal(dma_group_map_all(&dev, &group, p, 40, DMA_TO_DEVICE), 0);
	dma_group_unmap(&dev, &group);
	assert_true(dma_count(0, &c));
	assert_int_equal(c.maps, c.unmaps);
	assert_string_equal(said, "");
}

static void side_by_side(void **state)
{
	dma_addr_t at;
	char *pages = dma_pages_alloc(&dev, 5, &at);

	for (unsigned i = 0; i < 5; i++)
		reaches((dma_addr_t){at.v + i * PAGE_SIZE}, pages + i * PAGE_SIZE,
			IOMMU_READ | IOMMU_WRITE);
	free(pages);
}

static void cut_off(void **state)
{
	dma_addr_t at;

	assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), 0);
	assert_int_equal(dma_cut(BDF + 1), -XEN_ENODEV);
	assert_int_equal(dma_cut(BDF), 0);
	reaches_not(at);
	dma_unmap(&dev, at, 1, DMA_TO_DEVICE); /* its driver does not know */
	assert_string_equal(said, "");
	assert_int_equal(dma_detach(&dev), 0);
	assert_int_equal(iommu_world_pages(), 0);
	free(page);
}

static void small_masks(void **state)
{
	static const uint64_t masks[] = {0xffffffff, 0x1fffffff, 0x1ffffffe, 0xffffff, 0x100fff};

	dma_set_debug(DMA_DEBUG_OFF); /* most maps are left to the detach */
	for (unsigned i = 0; i < ARRAY_SIZE(masks); i++) {
		struct dma_device small = {.bdf = BDF + 8, .mask = masks[i]};
		dma_addr_t first, at;
		unsigned n = 0;

		assert_int_equal(dma_attach(&small, true), 0);
		while (n < 70000 && !dma_map(&small, page + 8, 1, DMA_TO_DEVICE, &at)) {
			first = n++ ? first : at;
			assert_true(at.v >= 0x100000 && at.v <= small.mask);
		}
		assert_int_equal(n, i < 2 ? 65536 : i == 2 ? 65536 - 256 : i == 3 ? 15 * 256 : 1);
		dma_unmap(&small, first, 1, DMA_TO_DEVICE);
		assert_int_equal(dma_map(&small, page + 8, 1, DMA_TO_DEVICE, &at), 0);
		assert_int_equal(at.v, first.v);
		dma_detach(&small);
	}
	assert_int_equal(dma_attach(&(struct dma_device){.bdf = BDF + 16, .mask = 0xfffff}, true),
			 -XEN_EFAULT);
}

/* Its old driver gave nothing back: the space is no more, and is not another one besides. */
static void comes_again(void **state)
{
	unsigned before = blocks, pages = iommu_world_pages();
	struct dma_device again = {.bdf = BDF, .mask = ~0ull};
	struct dma_counts c;
	dma_addr_t at;

	dma_set_debug(DMA_DEBUG_OFF);
	assert_int_equal(dma_map(&dev, page, 1, DMA_TO_DEVICE, &at), 0);
	assert_int_equal(dma_attach(&again, true), 0);
	reaches_not(at);
	assert_int_equal(blocks, before);
	assert_int_equal(iommu_world_pages(), pages);
	assert_false(dma_count(1, &c));
	/* What it may still reach is not to be freed, and it gets nothing new. */
	silent = true;
	dev = again;
	assert_int_equal(dma_attach(&again, true), -XEN_EIO);
	silent = false;
	assert_int_equal(dma_space_layer.detach(&dev), 0);
	free(page);
}

/* The page that the device sees has the bytes, and nothing else that was in the page. */
static void whole_pages(void **state)
{
	struct dma_device no_trust = {.bdf = BDF + 8, .mask = ~0ull, .untrusted = true};
	struct dma_pool_counts c;
	dma_addr_t at, all;
	maddr_t where;
	unsigned rights;
	const char *seen;

	memset(page, 0x77, PAGE_SIZE);
	assert_int_equal(dma_attach(&no_trust, true), 0);
	assert_int_equal(dma_map(&no_trust, page + 3000, 200, DMA_BOTH, &at), 0);
	assert_int_equal(dma_map(&no_trust, page, PAGE_SIZE, DMA_BOTH, &all), 0);
	assert_int_equal(at.v % PAGE_SIZE, 3000);
	assert_int_equal(iommu_lookup(sees[BDF + 8], all.v, &where, &rights), 0);
	assert_int_equal(where.v, (uintptr_t)page);
	assert_int_equal(iommu_lookup(sees[BDF + 8], at.v, &where, &rights), 0);
	seen = (char *)(where.v & PAGE_MASK);
	assert_ptr_not_equal(seen, page);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(seen[i], i >= 3000 && i < 3200 ? 0x77 : 0);
	memset((char *)where.v, 0x11, 100);
	dma_sync_for_cpu(&no_trust, (dma_addr_t){at.v + 50}, 10);
	assert_int_equal(page[3049], 0x77);
	assert_int_equal(page[3050], 0x11);
	dma_unmap(&no_trust, all, PAGE_SIZE, DMA_BOTH);
	dma_unmap(&no_trust, at, 200, DMA_BOTH);
	assert_int_equal(page[3099], 0x11);
	assert_int_equal(page[3100], 0x77);
	dma_pool_count(&c);
	assert_int_equal(c.used_bytes, 0);
	/* One that it may still reach is given to nobody. */
	assert_int_equal(dma_map(&no_trust, page, 10, DMA_TO_DEVICE, &at), 0);
	silent = true;
	dma_unmap(&no_trust, at, 10, DMA_TO_DEVICE);
	silent = false;
	dma_pool_count(&c);
	assert_int_equal(c.used_bytes, PAGE_SIZE);
	dma_detach(&no_trust);
	assert_string_equal(said, "");
}

/* Memory ends in the middle of the third call, when a table for the next 2 MiB is wanted. */
static void all_or_none(void **state)
{
	struct dma_group groups[3] = {{0}};
	static struct dma_piece pieces[200];
	dma_addr_t at;

	for (unsigned i = 0; i < 200; i++)
		pieces[i] = (struct dma_piece){.va = page + i, .len = 1};
	assert_int_equal(dma_group_map_all(&dev, &groups[0], pieces, 200, DMA_FROM_DEVICE), 0);
	for (unsigned i = 0; i < 200; i++)
		reaches(pieces[i].at, page + i, IOMMU_WRITE);
	iommu_world_memory(0);
	assert_int_equal(dma_group_map_all(&dev, &groups[1], pieces, 200, DMA_FROM_DEVICE), 0);
	at = pieces[199].at;
	assert_int_equal(dma_group_map_all(&dev, &groups[2], pieces, 200, DMA_FROM_DEVICE),
			 -XEN_ENOMEM);
	iommu_world_memory(~0u);
	reaches(at, page + 199, IOMMU_WRITE);
	for (unsigned i = 1; i < 200; i++)
		reaches_not((dma_addr_t){(at.v & PAGE_MASK) + i * PAGE_SIZE});
	for (unsigned i = 0; i < 3; i++)
		dma_group_unmap(&dev, &groups[i]);
	reaches_not(at);
	assert_string_equal(said, "");
}

static void expect_wrong(const char *what)
{
	if (!strstr(said, what))
		fail_msg("'%s' is said, not '%s'", said, what);
	said[0] = '\0';
}

static void drivers_are_watched(void **state)
{
	struct dma_counts c;
	dma_addr_t at;
	void *shared;

	assert_int_equal(dma_map(&dev, page, 64, DMA_TO_DEVICE, &at), 0);
	dma_unmap(&dev, at, 32, DMA_TO_DEVICE);
	expect_wrong("00:03.0 unmaps 10000000+20, which was mapped with another length");
	assert_int_equal(dma_map(&dev, page, 64, DMA_TO_DEVICE, &at), 0);
	dma_unmap(&dev, at, 64, DMA_BOTH);
	expect_wrong("the other way");
	dma_unmap(&dev, at, 64, DMA_TO_DEVICE);
	expect_wrong("is unmapped and was not mapped"); /* the space says so, too, and last */
	assert_true(dma_count(0, &c));
	assert_int_equal(c.wrong, 3);
	assert_string_equal(c.layer, "strict");
	assert_non_null(shared = dma_page_alloc(&dev, &at));
	assert_int_equal(dma_map(&dev, page + 8, 64, DMA_TO_DEVICE, &at), 0);
	dma_detach(&dev);
	expect_wrong("goes and leaves 1000");
	host_pages_free(shared, 1);
	dma_set_debug(DMA_DEBUG_OFF);
	assert_int_equal(dma_attach(&dev, true), 0); /* for the end of the test */
}

static int find_unit(void **state)
{
	return iommu_start("DMAR", 4) == 1 ? 0 : -1;
}

static int lose_unit(void **state)
{
	free(unit.taken);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(only_while_mapped, strict, end),
	    cmocka_unit_test_setup_teardown(lazy_flushes_once_for_many, lazy, end),
	    cmocka_unit_test_setup_teardown(firmware_keeps_its_addresses, strict, end),
	    cmocka_unit_test_setup_teardown(a_full_window, strict, end),
	    cmocka_unit_test_setup_teardown(a_full_window, lazy, end),
	    cmocka_unit_test_setup_teardown(no_memory_for_tables, strict, end),
	    cmocka_unit_test_setup_teardown(a_silent_unit_keeps_addresses, strict, end),
	    cmocka_unit_test_setup_teardown(a_map_that_is_told_in_vain, strict, end),
	    cmocka_unit_test_setup_teardown(groups, strict, end),
	    cmocka_unit_test_setup_teardown(no_memory_to_remember, strict, end),
	    cmocka_unit_test_setup_teardown(side_by_side, strict, end),
	    cmocka_unit_test_setup_teardown(whole_pages, strict, end),
	    cmocka_unit_test_setup_teardown(all_or_none, strict, end),
	    cmocka_unit_test_setup_teardown(drivers_are_watched, strict, end),
	    cmocka_unit_test_setup_teardown(small_masks, strict, end),
	    cmocka_unit_test_setup(cut_off, strict),
	    cmocka_unit_test_setup(comes_again, strict),
	};

	return cmocka_run_group_tests(tests, find_unit, lose_unit);
}
