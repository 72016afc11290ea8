/* dma_test.c: what drivers map and unmap, in a space of a unit that remembers until it is told to forget.
 *
 * Shows: the device reaches what is mapped, with the rights of its direction, and no more; strict, an unmap flushes before the address is given again; lazy, once for
 * DMA_LAZY_MAX; firmware's memory keeps its addresses; a full window, a lack of memory and a unit that does not answer are errors, and addresses that it may
 * still know are not given again; groups undo what they hold; a device that is cut off or gone reaches nothing; dma_debug names what a driver does wrong. Why: real units
 * (qemu/iommu_test) show that it works, and seldom that it is not undone too late.
 *
 * links: iommu/dma.c iommu/dma_space.c iommu/dma_debug.c iommu/iommu.c iommu/io_table.c tests/host/iommu_world.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/dma.h>
#include <amphi/host.h>
#include "iommu/iommu_ops.h"
#include "tests/host/iommu_world.h"

#define BDF 0x18

/* ---- host.h ---------------------------------------------------------------------------------------- */

static char said[200];

void *host_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	free(p);
}

void *host_pages_alloc(unsigned count)
{
	void *p = aligned_alloc(PAGE_SIZE, count * PAGE_SIZE);

	memset(p, 0, count * PAGE_SIZE);
	return p;
}

void host_pages_free(void *pages, unsigned count)
{
	free(pages);
}

maddr_t host_virt_to_maddr(const void *va)
{
	return (maddr_t){(uintptr_t)va};
}

void host_log(enum host_log_level level, const char *fmt, ...)
{
	va_list args;

	if (level < HOST_LOG_WARN)
		return;
	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

void host_bug(const char *what, const char *file, int line)
{
	fail_msg("%s:%d: %s", file, line, what);
	abort();
}

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

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct dma_device dev;
static char *page;

static void begin(enum dma_policy policy)
{
	dma_set_policy(policy, true);
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
}

static void of_32_bits(void **state)
{
	struct dma_device small = {.bdf = BDF + 8, .mask = 0xffffffff},
			  tiny = {.bdf = BDF + 16, .mask = 0xffffff};

	assert_int_equal(dma_attach(&small, true), 0);
	dma_detach(&small);
	assert_int_equal(dma_attach(&tiny, true), -XEN_EFAULT);
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
	    cmocka_unit_test_setup_teardown(groups, strict, end),
	    cmocka_unit_test_setup_teardown(side_by_side, strict, end),
	    cmocka_unit_test_setup_teardown(drivers_are_watched, strict, end),
	    cmocka_unit_test_setup_teardown(of_32_bits, strict, end),
	    cmocka_unit_test_setup(cut_off, strict),
	};

	return cmocka_run_group_tests(tests, find_unit, lose_unit);
}
