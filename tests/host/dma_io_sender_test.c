/* dma_io_sender_test.c: two devices that no unit can tell apart, in one space of a hypervisor's.
 *
 * Shows: each has addresses of its own there, for its pages and for what is granted; one that goes takes out what it had, waiting and granted pages too, and
 * nothing of the other's; the last one's are out as well, though neither can leave. Why: in a domain the second of two devices behind a bridge to
 * conventional PCI was not usable. (On a real hypervisor: qemu/pciback_test.)
 *
 * links: tests/host/io_world.c tests/host/dma_host.c iommu/dma_io.c iommu/dma_window.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/io_world.h"

static struct dma_device other;

static void attach_other(uint64_t mask)
{
	other = (struct dma_device){.bdf = OTHER, .mask = mask};
	assert_int_equal(layer->attach(&other, true, &name), 0);
}

/* Neither leaves before the functions are somebody else's. */
static int both_gone(void **state)
{
	unsigned left = 0;

	free(page);
	for (unsigned i = 0; i < PAGES; i++)
		left += at[i].va != NULL;
	assert_int_equal(left, 0);
	assert_int_equal(blocks, 0);
	assert_string_equal(said, "");
	io_world_take_away();
	return 0;
}

static dma_addr_t mapped(const struct dma_device *d, void *va)
{
	struct dma_piece p = {.va = va, .len = PAGE_SIZE};

	assert_int_equal(layer->map(d, &p, 1, DMA_TO_DEVICE), 0);
	return p.at;
}

static void addresses_of_its_own(void **state)
{
	dma_addr_t a = mapped(&dev, page), b, granted_a = mapped(&dev, granted), granted_b;

	attach_other(~0ull);
	b = mapped(&other, page);
	granted_b = mapped(&other, granted);
	assert_int_not_equal(a.v, b.v);
	assert_int_not_equal(granted_a.v, granted_b.v);
	reaches(a, page, HOST_IOSPACE_READ);
	reaches(b, page, HOST_IOSPACE_READ);
	calls = 0;
	assert_int_equal(mapped(&other, granted).v, granted_b.v);
	assert_int_equal(mapped(&dev, granted).v, granted_a.v);
	assert_int_equal(calls, 0);
	ungrant(0, 1);
	reaches_not(granted_a);
	reaches_not(granted_b);
	assert_int_equal(layer->detach(&dev), 0);
	assert_int_equal(layer->detach(&other), 0);
}

static void one_goes(void **state)
{
	dma_addr_t a = mapped(&dev, page), waits = mapped(&dev, page), b;
	dma_addr_t granted_a = mapped(&dev, granted + PAGE_SIZE), granted_b;

	attach_other(~0ull);
	b = mapped(&other, page);
	granted_b = mapped(&other, granted + PAGE_SIZE);
	layer->unmap(&dev, &(struct dma_extent){.at = waits, .len = PAGE_SIZE}, 1);
	assert_int_equal(layer->detach(&dev), 0);
	reaches_not(a);
	reaches_not(waits);
	reaches_not(granted_a);
	reaches(b, page, HOST_IOSPACE_READ);
	reaches(granted_b, granted + PAGE_SIZE, HOST_IOSPACE_READ | HOST_IOSPACE_WRITE);
	/* Back again, at its old place. */
	assert_int_equal(layer->attach(&dev, true, &name), 0);
	assert_int_equal(mapped(&dev, page).v, a.v);
	assert_int_equal(layer->detach(&other), 0);
	reaches_not(b);
	reaches(a, page, HOST_IOSPACE_READ);
	assert_int_equal(layer->detach(&dev), 0);
}

/* A device that knows 24 bits has the low addresses, and grants among them. */
static void one_is_small(void **state)
{
	dma_addr_t low, granted_low;

	attach_other(0xffffff);
	low = mapped(&other, page);
	granted_low = mapped(&other, granted);
	assert_true(low.v < 0xffffff && granted_low.v < 0xffffff);
	reaches(granted_low, granted, HOST_IOSPACE_READ);
	assert_int_equal(layer->detach(&other), 0);
	reaches_not(low);
	reaches_not(granted_low);
	assert_int_equal(layer->detach(&dev), 0);
}

static void none_is_cut_off(void **state)
{
	dma_addr_t a = mapped(&dev, page);

	attach_other(~0ull);
	assert_int_equal(layer->cut(&dev), -XEN_EBUSY);
	reaches(a, page, HOST_IOSPACE_READ);
	assert_int_equal(layer->detach(&other), 0);
	assert_int_equal(layer->detach(&dev), 0);
}

/* What it had is not known to be out: the driver is told, and the place stays taken. */
static void no_answer(void **state)
{
	dma_addr_t a = mapped(&dev, page);

	attach_other(~0ull);
	silent = true;
	assert_int_equal(layer->detach(&dev), -XEN_EIO);
	silent = false;
	said[0] = '\0';
	assert_int_not_equal(mapped(&other, page).v, a.v);
	assert_int_equal(layer->detach(&other), 0);
	reaches(a, page, HOST_IOSPACE_READ);
}

int main(void)
{
#define TEST(test, policy) cmocka_unit_test_setup_teardown(test, policy, both_gone)
	const struct CMUnitTest tests[] = {
	    TEST(addresses_of_its_own, strict),
	    TEST(addresses_of_its_own, lazy),
	    TEST(one_goes, strict),
	    TEST(one_goes, lazy),
	    TEST(one_is_small, strict),
	    TEST(none_is_cut_off, strict),
	    cmocka_unit_test_setup(no_answer, strict), /* last: nothing is had back */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
