/* dma_sender_test.c: devices that no unit can tell apart, in one space of it.
 *
 * Shows: all of them reach what any has mapped, at addresses of each one's own, and under every number that they may send by; one that goes takes along what it had mapped, and
 * the number only when it is the last; masks, memory that firmware keeps, devices without trust, one that is cut off, a unit that does not answer, too many of them. Why:
 * behind a bridge to conventional PCI the second device had no space, and did not work. (With real bridges: qemu/iommu_test.)
 *
 * links: tests/host/dma_host.c iommu/dma.c iommu/dma_space.c iommu/dma_share.c iommu/dma_window.c iommu/dma_bounce.c iommu/dma_untrusted.c iommu/dma_direct.c iommu/swiotlb.c iommu/dma_debug.c iommu/iommu.c iommu/io_table.c tests/host/iommu_world.c
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

#define BRIDGE   0x200u
#define A        0x208u
#define B        0x210u
#define ALONE    0x28u
#define KEPT     0x10003000ull /* for A; for B a page on, and nobody below */
#define KEPT_END 0x10005000ull

/* ---- the unit -------------------------------------------------------------------------------------- */

static const struct io_format format = {
    .read = 1, .write = 2, .present = 3, .table = 3, .kind = 128, .large = 128};
static const struct iommu_space *sees[0x10000]; /* by number; NULL: nothing */
static bool silent;
static unsigned refuses, n_flushes;

static void shape(struct iommu *unit, struct io_table *t)
{
	t->format = &format;
	t->levels = 3;
}

static int attach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	if (bdf == refuses)
		return -XEN_ENOMEM;
	sees[bdf] = space;
	return 0;
}

static int detach(struct iommu *unit, const struct iommu_space *space, uint16_t bdf)
{
	if (silent)
		return -XEN_EIO;
	sees[bdf] = NULL;
	return 0;
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
	static const struct iommu_reserved kept[] = {
	    {.first_bdf = A, .last_bdf = A, .start = KEPT, .end = KEPT_END, .rights = IOMMU_READ},
	    {.first_bdf = B,
	     .last_bdf = B,
	     .start = KEPT + PAGE_SIZE,
	     .end = KEPT_END + PAGE_SIZE,
	     .rights = IOMMU_READ}};

	return iommu_add(&unit) || iommu_add_reserved(&kept[0]) || iommu_add_reserved(&kept[1])
		   ? -XEN_ENOMEM
		   : 0;
}

int amdvi_start(const void *ivrs, size_t len)
{
	return -XEN_ENODEV;
}

const struct dma_layer dma_io_layer = {.attach = no_device};

/* Bus 2 sends as the bridge; firmware has 00:06.0 and 00:07.0 send as each other's neighbour. */
void iommu_names(uint16_t bdf, struct iommu_names *out)
{
	*out = (struct iommu_names){.n = 1, .name = {bdf}};
	if (bdf >> 8 == 2 && bdf != BRIDGE)
		*out = (struct iommu_names){.n = 2, .name = {BRIDGE, bdf}};
	if (bdf == 0x38)
		*out = (struct iommu_names){.n = 3, .name = {0x30, 0x40, 0x38}};
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static struct dma_device a, b;
static char *page;

static int begin(enum dma_policy policy)
{
	dma_set_policy(policy);
	dma_set_debug(DMA_DEBUG_OFF);
	silent = false;
	refuses = ~0u;
	a = (struct dma_device){.bdf = A, .mask = ~0ull};
	b = (struct dma_device){.bdf = B, .mask = ~0ull};
	assert_int_equal(dma_attach(&a, true), 0);
	page = host_pages_alloc(1);
	said[0] = '\0';
	return 0;
}

static int strict(void **state)
{
	return begin(DMA_POLICY_STRICT);
}

static int lazy(void **state)
{
	return begin(DMA_POLICY_LAZY);
}

/* Everything is undone by whoever made it. */
static int end(void **state)
{
	host_pages_free(page, 1);
	assert_int_equal(iommu_world_pages(), 0);
	for (unsigned n = 0; n < ARRAY_SIZE(sees); n++)
		assert_null(sees[n]);
	assert_int_equal(blocks, 0);
	return 0;
}

/* Where that number's requests to an address go; 0: nowhere. */
static uint64_t leads(uint16_t number, dma_addr_t at)
{
	maddr_t to = {0};
	unsigned rights;

	if (!sees[number] || iommu_lookup(sees[number], at.v, &to, &rights))
		return 0;
	return to.v;
}

static dma_addr_t mapped(const struct dma_device *dev)
{
	dma_addr_t at;

	assert_int_equal(dma_map(dev, page, 1, DMA_TO_DEVICE, &at), 0);
	return at;
}

static void one_space(void **state)
{
	dma_addr_t of_a = mapped(&a), of_b;

	assert_int_equal(leads(BRIDGE, of_a), (uintptr_t)page);
	assert_int_equal(leads(A, of_a), (uintptr_t)page);
	assert_int_equal(dma_attach(&b, true), 0);
	of_b = mapped(&b);
	assert_int_not_equal(of_a.v, of_b.v);
	assert_ptr_equal(sees[BRIDGE], sees[B]);
	assert_ptr_equal(sees[BRIDGE], sees[A]);
	assert_int_equal(leads(BRIDGE, of_b), (uintptr_t)page);
	dma_unmap(&b, of_b, 1, DMA_TO_DEVICE);
	assert_int_equal(leads(BRIDGE, of_b), 0);
	assert_int_equal(leads(BRIDGE, of_a), (uintptr_t)page);
	assert_int_equal(dma_detach(&b), 0);
	assert_int_equal(dma_detach(&a), 0);
}

/* What the first left mapped is gone with it, before it returns; the number, and what the second has, with that one. */
static void one_goes(void **state)
{
	dma_addr_t of_a = mapped(&a), waits = mapped(&a), of_b;
	unsigned flushes;

	assert_int_equal(dma_attach(&b, true), 0);
	of_b = mapped(&b);
	dma_unmap(&a, waits, 1, DMA_TO_DEVICE);
	flushes = n_flushes;
	assert_int_equal(dma_detach(&a), 0);
	assert_true(n_flushes > flushes);
	assert_null(sees[A]);
	assert_int_equal(leads(BRIDGE, of_a), 0);
	assert_int_equal(leads(BRIDGE, of_b), (uintptr_t)page);
	/* Back again, where nobody is. */
	assert_int_equal(dma_attach(&a, true), 0);
	assert_int_equal(mapped(&a).v, of_a.v);
	assert_int_equal(dma_detach(&b), 0);
	assert_int_equal(leads(BRIDGE, of_a), (uintptr_t)page);
	assert_int_equal(leads(BRIDGE, of_b), 0);
	assert_int_equal(dma_detach(&a), 0);
	assert_null(sees[BRIDGE]);
}

/* A's range is in A's window, and B has a page of it too: both are where firmware wants them, and no window gives them to anybody. */
static void firmware_keeps_for_both(void **state)
{
	dma_addr_t at[8];

	assert_int_equal(leads(BRIDGE, (dma_addr_t){KEPT}), KEPT);
	assert_int_equal(leads(BRIDGE, (dma_addr_t){KEPT_END}), 0);
	assert_int_equal(dma_attach(&b, true), 0);
	assert_int_equal(leads(A, (dma_addr_t){KEPT_END}), KEPT_END);
	for (unsigned i = 0; i < 8; i++) {
		at[i] = mapped(&a);
		assert_true(at[i].v < KEPT || at[i].v >= KEPT_END + PAGE_SIZE);
	}
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(leads(BRIDGE, at[7]), 0);
	assert_int_equal(leads(BRIDGE, (dma_addr_t){KEPT + PAGE_SIZE}), KEPT + PAGE_SIZE);
	/* The other way round: its place is A's old one, and that has holes for it. */
	assert_int_equal(dma_attach(&a, true), 0);
	assert_int_equal(dma_detach(&b), 0);
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(dma_attach(&b, true), 0);
	for (unsigned i = 0; i < 8; i++)
		at[i] = mapped(&b);
	assert_int_equal(at[3].v, KEPT);
	assert_int_equal(dma_attach(&a, true), -XEN_EEXIST);
	dma_unmap(&b, at[3], 1, DMA_TO_DEVICE);
	assert_int_equal(dma_attach(&a, true), 0);
	assert_int_equal(leads(BRIDGE, (dma_addr_t){KEPT}), KEPT);
	assert_int_not_equal(mapped(&b).v, KEPT);
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(dma_detach(&b), 0);
}

/* Six windows below 4 GiB, and one for a device that knows no more than 24 bits. */
static void as_many_as_there_are_places(void **state)
{
	struct dma_device more[8];
	dma_addr_t at;

	for (unsigned i = 0; i < 8; i++)
		more[i] = (struct dma_device){.bdf = (uint16_t)(B + 8 * i), .mask = 0xffffffff};
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(dma_attach(&more[i], true), 0);
	assert_int_equal(dma_attach(&more[5], true), 0); /* by its mask it may have the low one */
	assert_true(mapped(&more[5]).v < 0x10000000);
	assert_int_equal(dma_attach(&more[6], true), -XEN_ENOSPC);
	more[6].mask = 0xffffff;
	assert_int_equal(dma_attach(&more[6], true), -XEN_ENOSPC);
	assert_int_equal(dma_detach(&more[5]), 0);
	assert_int_equal(dma_attach(&more[6], true), 0);
	for (unsigned i = 0; i < 15 * 256; i++) {
		at = mapped(&more[6]);
		assert_true(at.v >= 0x100000 && at.v <= 0xffffff);
	}
	assert_int_equal(dma_map(&more[6], page, 1, DMA_TO_DEVICE, &at), -XEN_ENOSPC);
	assert_true(mapped(&more[4]).v < 0xa0000000);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(dma_detach(&more[i]), 0);
	assert_int_equal(dma_detach(&more[6]), 0);
	assert_int_equal(dma_detach(&a), 0);
}

/* Tables are counted for all of a space; each may fill its window. */
static void full_windows(void **state)
{
	unsigned n = 0;
	dma_addr_t at, last;

	assert_int_equal(dma_attach(&b, true), 0);
	while (!dma_map(&a, page, 1, DMA_TO_DEVICE, &at))
		n++;
	while (!dma_map(&b, page, 1, DMA_TO_DEVICE, &at)) {
		last = at;
		n++;
	}
	assert_int_equal(n, 2 * 65536 - 3); /* what firmware keeps lies in the first */
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(leads(BRIDGE, last), (uintptr_t)page);
	assert_int_equal(dma_detach(&b), 0);
}

static void without_trust(void **state)
{
	dma_addr_t at = mapped(&a);
	struct dma_counts c;
	unsigned flushes;

	dma_unmap(&a, at, 1, DMA_TO_DEVICE); /* and waits */
	assert_true(dma_count(0, &c));
	assert_string_equal(c.layer, "lazy");
	flushes = n_flushes;
	b.untrusted = true;
	assert_int_equal(dma_attach(&b, true), 0);
	assert_int_equal(n_flushes, flushes + 1);
	at = mapped(&a);
	dma_unmap(&a, at, 1, DMA_TO_DEVICE);
	assert_int_equal(n_flushes, flushes + 2);
	assert_true(dma_count(0, &c));
	assert_string_equal(c.layer, "strict");
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(dma_attach(&a, true), 0);
	assert_true(dma_count(0, &c));
	assert_string_equal(c.layer, "strict");
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(dma_detach(&b), 0);
}

static void cut_off(void **state)
{
	dma_addr_t at = mapped(&a);

	assert_int_equal(dma_attach(&b, true), 0);
	assert_int_equal(dma_cut(A), -XEN_EBUSY);
	assert_int_equal(leads(BRIDGE, at), (uintptr_t)page);
	assert_int_equal(dma_detach(&b), 0);
	assert_int_equal(dma_cut(A), 0);
	assert_int_equal(leads(BRIDGE, at), 0);
	assert_int_equal(leads(A, at), 0);
	assert_int_equal(dma_cut(A), -XEN_ENOENT);
	assert_int_equal(dma_attach(&b, true), -XEN_EBUSY); /* it would let the first in again */
	assert_null(sees[BRIDGE]);
	assert_int_equal(dma_detach(&a), 0);
	assert_int_equal(dma_attach(&b, true), 0);
	assert_int_equal(dma_detach(&b), 0);
}

/* Half of it in is none of it in. */
static void a_number_that_is_refused(void **state)
{
	assert_int_equal(dma_detach(&a), 0);
	refuses = A;
	assert_int_equal(dma_attach(&a, true), -XEN_ENOMEM);
	assert_null(sees[BRIDGE]);
	assert_int_equal(dma_attach(&b, true), 0);
	assert_int_equal(dma_attach(&a, true), -XEN_ENOMEM);
	assert_ptr_equal(sees[BRIDGE], sees[B]);
	assert_int_equal(dma_detach(&b), 0);
}

/* One whose numbers are of two spaces can be in neither. */
static void between_two(void **state)
{
	struct dma_device left = {.bdf = 0x30, .mask = ~0ull}, right = {.bdf = 0x40, .mask = ~0ull},
			  between = {.bdf = 0x38, .mask = ~0ull};

	assert_int_equal(dma_attach(&left, true), 0);
	assert_int_equal(dma_attach(&right, true), 0);
	assert_ptr_not_equal(sees[0x30], sees[0x40]);
	assert_int_equal(dma_attach(&between, true), -XEN_EBUSY);
	assert_null(sees[0x38]);
	assert_int_equal(dma_detach(&right), 0);
	assert_int_equal(dma_attach(&between, true), 0);
	assert_ptr_equal(sees[0x40], sees[0x30]);
	assert_ptr_equal(sees[0x38], sees[0x30]);
	assert_int_equal(dma_attach(&right, true), 0);
	assert_ptr_equal(sees[0x40], sees[0x30]);
	assert_int_equal(dma_detach(&between), 0);
	assert_int_equal(dma_detach(&left), 0);
	assert_ptr_not_equal(sees[0x40], NULL);
	assert_int_equal(dma_detach(&right), 0);
	assert_int_equal(dma_detach(&a), 0);
}

/* The one that goes is not known to be out, nor what it had: its place is nobody's, and nobody joins. The other goes on. Last, since nothing is had back. */
static void a_silent_unit(void **state)
{
	dma_addr_t of_a = mapped(&a), of_b;

	assert_int_equal(dma_attach(&b, true), 0);
	of_b = mapped(&b);
	silent = true;
	assert_int_equal(dma_detach(&a), -XEN_EIO);
	silent = false;
	assert_int_equal(dma_attach(&(struct dma_device){.bdf = A, .mask = ~0ull}, true),
			 -XEN_EBUSY);
	assert_int_equal(leads(BRIDGE, of_a), (uintptr_t)page);
	assert_int_equal(leads(BRIDGE, of_b), (uintptr_t)page);
	dma_unmap(&b, of_b, 1, DMA_TO_DEVICE);
	of_b = mapped(&b);
	assert_int_equal(leads(BRIDGE, of_b), (uintptr_t)page);
	assert_string_equal(said, "");
}

static int find_unit(void **state)
{
	return iommu_start("DMAR", 4) == 1 ? 0 : -1;
}

int main(void)
{
#define TEST(test, policy) cmocka_unit_test_setup_teardown(test, policy, end)
	const struct CMUnitTest tests[] = {
	    TEST(one_space, strict),
	    TEST(one_space, lazy),
	    TEST(one_goes, strict),
	    TEST(one_goes, lazy),
	    TEST(firmware_keeps_for_both, strict),
	    TEST(as_many_as_there_are_places, strict),
	    TEST(full_windows, lazy),
	    TEST(without_trust, lazy),
	    TEST(cut_off, strict),
	    TEST(a_number_that_is_refused, strict),
	    TEST(between_two, strict),
	    cmocka_unit_test_setup(a_silent_unit, strict),
	};

	return cmocka_run_group_tests(tests, find_unit, NULL);
}
