/* dma_io_test.c: what drivers map and unmap in a space that a hypervisor keeps, call by call.
 *
 * Shows: a list is one call, all or none; the device reaches what is mapped, with the rights of its direction, and strict no more after the request's end; lazy, DMA_LAZY_MAX
 * pages go with one call; a granted page is put in once, stays while its grant is mapped, and is out, flushed, before that goes; a full window, a refusal in the middle
 * and a unit that does not answer are errors, and addresses that it may still know are not given again; reserved addresses are never used; a device that left reaches
 * nothing. Why: a real hypervisor (qemu/hv_iospace_test) shows that it works, and seldom that it is not undone too late.
 *
 * links: tests/host/io_world.c tests/host/dma_host.c iommu/dma_io.c iommu/dma_window.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/io_world.h"

static void a_list_is_one_call(void **state)
{
	struct dma_piece p[16];

	pieces_of(p, page, 16);
	p[0].va = page + 512;
	assert_int_equal(layer->map(&dev, p, 16, DMA_FROM_DEVICE), 0);
	assert_int_equal(calls, 1);
	for (unsigned i = 0; i < 16; i++)
		reaches(p[i].at, p[i].va, HOST_IOSPACE_WRITE);
	unmap(p, 16);
	assert_int_equal(calls, 2);
	for (unsigned i = 0; i < 16; i++)
		reaches_not(p[i].at);
	assert_string_equal(name, "io-strict");
}

static void rights_are_the_direction_s(void **state)
{
	static const unsigned rights[] = {
	    [DMA_TO_DEVICE] = HOST_IOSPACE_READ,
	    [DMA_FROM_DEVICE] = HOST_IOSPACE_WRITE,
	    [DMA_BOTH] = HOST_IOSPACE_READ | HOST_IOSPACE_WRITE,
	};
	struct dma_piece p = {.va = page, .len = 1};

	for (unsigned dir = DMA_TO_DEVICE; dir <= DMA_BOTH; dir++) {
		assert_int_equal(layer->map(&dev, &p, 1, dir), 0);
		reaches(p.at, page, rights[dir]);
		unmap(&p, 1);
	}
}

/* Mapped for that long, and then all of them gone at once; addresses are used again, and not before. */
static void lazy_goes_with_one_call(void **state)
{
	static struct dma_piece p[DMA_LAZY_MAX];

	for (unsigned i = 0; i < DMA_LAZY_MAX; i++) {
		p[i] = (struct dma_piece){.va = page, .len = 9};
		assert_int_equal(layer->map(&dev, &p[i], 1, DMA_BOTH), 0);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(p[k].at.v, p[i].at.v);
		assert_int_equal(calls, i + 1);
		unmap(&p[i], 1);
	}
	assert_int_equal(calls, DMA_LAZY_MAX + 1);
	for (unsigned i = 0; i < DMA_LAZY_MAX; i++)
		reaches_not(p[i].at);
	assert_string_equal(name, "io-lazy");
}

static void more_than_a_call_takes(void **state)
{
	static struct dma_piece p[600];

	pieces_of(p, page, 600);
	assert_int_equal(layer->map(&dev, p, 600, DMA_TO_DEVICE), 0);
	assert_int_equal(calls, 3);
	unmap(p, 600);
	for (unsigned i = 0; i < 600; i++)
		reaches_not(p[i].at);
}

static void all_or_none(void **state)
{
	static struct dma_piece p[600];
	struct dma_counts c = {0};

	room = 300; /* the second call is refused */
	pieces_of(p, page, 600);
	assert_int_equal(layer->map(&dev, p, 600, DMA_TO_DEVICE), -XEN_ENOMEM);
	for (unsigned i = 0; i < PAGES; i++)
		assert_null(at[i].va);
	layer->count(&dev, &c);
	assert_int_equal(c.maps, c.unmaps);
	/* A page that is granted for reading, in the middle of others. */
	room = 1000;
	pieces_of(p, granted, 8);
	assert_int_equal(layer->map(&dev, p, 8, DMA_FROM_DEVICE), -XEN_EPERM);
	assert_int_equal(layer->map(&dev, p, 4, DMA_FROM_DEVICE), 0);
	for (unsigned i = 0; i < 4; i++)
		reaches(p[i].at, p[i].va, HOST_IOSPACE_READ | HOST_IOSPACE_WRITE);
	ungrant(0, 8);
}

static void grants_are_put_in_once(void **state)
{
	struct dma_piece p[8], again[8];

	pieces_of(p, granted, 8);
	assert_int_equal(layer->map(&dev, p, 8, DMA_TO_DEVICE), 0);
	unmap(p, 8);
	assert_int_equal(calls, 1);
	pieces_of(again, granted, 8);
	assert_int_equal(layer->map(&dev, again, 8, DMA_TO_DEVICE), 0);
	assert_int_equal(calls, 1);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(p[i].at.v, again[i].at.v);
		reaches(p[i].at, p[i].va, HOST_IOSPACE_READ | (i < 4 ? HOST_IOSPACE_WRITE : 0));
	}
	ungrant(2, 3);
	assert_int_equal(calls, 2);
	for (unsigned i = 0; i < 8; i++)
		if (i >= 2 && i < 5)
			reaches_not(p[i].at);
		else
			reaches(p[i].at, p[i].va,
				HOST_IOSPACE_READ | (i < 4 ? HOST_IOSPACE_WRITE : 0));
	ungrant(2, 3); /* of what is not there: no call */
	assert_int_equal(calls, 2);
	ungrant(0, 8);
	assert_int_equal(calls, 3);
}

/* The same grant twice in one list, as a request may have it. */
static void a_grant_twice_in_a_list(void **state)
{
	struct dma_piece p[2] = {{.va = granted, .len = 512}, {.va = granted + 1024, .len = 512}};

	assert_int_equal(layer->map(&dev, p, 2, DMA_FROM_DEVICE), 0);
	assert_int_equal(p[0].at.v + 1024, p[1].at.v);
	unmap(p, 2);
	ungrant(0, 1);
	reaches_not(p[0].at);
}

static void a_full_window(void **state)
{
	static struct dma_piece p[65536];
	unsigned n = 0;

	for (; n < 65536; n++) {
		p[n] = (struct dma_piece){.va = page, .len = 1};
		if (layer->map(&dev, &p[n], 1, DMA_BOTH))
			break;
	}
	assert_int_equal(n, 65536 - 2);
	assert_int_equal(layer->map(&dev, &p[n], 1, DMA_BOTH), -XEN_ENOSPC);
	unmap(&p[5], 1);
	assert_int_equal(layer->map(&dev, &p[5], 1, DMA_BOTH), 0);
	for (unsigned i = 0; i < n; i++)
		unmap(&p[i], 1);
}

/* It may still lead to the page: nobody else's page is put there. */
static void no_answer_keeps_addresses(void **state)
{
	struct dma_piece p = {.va = page, .len = 1}, other = p;

	assert_int_equal(layer->map(&dev, &p, 1, DMA_BOTH), 0);
	silent = true;
	unmap(&p, 1);
	assert_non_null(strstr(said, "not unmapped"));
	silent = false;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(layer->map(&dev, &other, 1, DMA_BOTH), 0);
		assert_int_not_equal(p.at.v, other.at.v);
		unmap(&other, 1);
	}
}

static void unmapped_twice_is_said(void **state)
{
	struct dma_piece p = {.va = page, .len = 1};

	assert_int_equal(layer->map(&dev, &p, 1, DMA_BOTH), 0);
	unmap(&p, 1);
	assert_string_equal(said, "");
	unmap(&p, 1);
	assert_non_null(strstr(said, "was not mapped"));
}

static void shared_pages(void **state)
{
	dma_addr_t addr;
	char *five = layer->share(&dev, 5, 1, &addr);

	for (unsigned i = 0; i < 5; i++)
		reaches((dma_addr_t){addr.v + i * PAGE_SIZE}, five + i * PAGE_SIZE,
			HOST_IOSPACE_READ | HOST_IOSPACE_WRITE);
	layer->unshare(&dev, five, 5, addr);
	for (unsigned i = 0; i < 5; i++)
		reaches_not((dma_addr_t){addr.v + i * PAGE_SIZE});
	room = 3;
	assert_null(layer->share(&dev, 5, 1, &addr));
	assert_null(layer->share(&dev, HOST_IOSPACE_BATCH + 1, 1, &addr));
}

static void cut_off(void **state)
{
	struct dma_piece p = {.va = page, .len = 1};

	assert_int_equal(layer->map(&dev, &p, 1, DMA_BOTH), 0);
	assert_int_equal(layer->cut(&dev), 0);
	assert_false(inside);
	unmap(&p, 1); /* its driver does not know */
	assert_string_equal(said, "");
}

static void who_gets_a_space(void **state)
{
	struct dma_device other = {.bdf = BDF + 8, .mask = ~0ull};
	struct dma_device small = {.bdf = BDF, .mask = 0xfffff};
	struct dma_device own = {.bdf = BDF, .mask = 0xffffffff};
	struct dma_counts c = {0};

	dma_io_start(DMA_POLICY_DIRECT);
	assert_int_equal(layer->attach(&own, true, &name), -XEN_ENODEV);
	dma_io_start(DMA_POLICY_LAZY);
	assert_int_equal(layer->attach(&own, false, &name), -XEN_ENODEV);
	assert_int_equal(layer->attach(&other, true, &name), -XEN_ENODEV);
	assert_int_equal(layer->attach(&small, true, &name), -XEN_EFAULT);
	assert_int_equal(layer->attach(&own, true, &name), 0);
	layer->count(&own, &c);
	assert_int_equal(c.tables, 5);
	layer->detach(&own);
	assert_int_equal(blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_gets_a_space),
	    cmocka_unit_test_setup_teardown(a_list_is_one_call, strict, end_it),
	    cmocka_unit_test_setup_teardown(rights_are_the_direction_s, strict, end_it),
	    cmocka_unit_test_setup_teardown(lazy_goes_with_one_call, lazy, end_it),
	    cmocka_unit_test_setup_teardown(more_than_a_call_takes, strict, end_it),
	    cmocka_unit_test_setup_teardown(all_or_none, strict, end_it),
	    cmocka_unit_test_setup_teardown(grants_are_put_in_once, strict, end_it),
	    cmocka_unit_test_setup_teardown(grants_are_put_in_once, lazy, end_it),
	    cmocka_unit_test_setup_teardown(a_grant_twice_in_a_list, strict, end_it),
	    cmocka_unit_test_setup_teardown(a_full_window, strict, end_it),
	    cmocka_unit_test_setup_teardown(a_full_window, lazy, end_it),
	    cmocka_unit_test_setup_teardown(no_answer_keeps_addresses, strict, end_it),
	    cmocka_unit_test_setup_teardown(unmapped_twice_is_said, strict, end_it),
	    cmocka_unit_test_setup_teardown(shared_pages, strict, end_it),
	    cmocka_unit_test_setup_teardown(cut_off, strict, end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
