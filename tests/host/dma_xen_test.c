/* dma_xen_test.c: pages of a PV domain become contiguous in the machine, and scattered again, under a hypervisor that checks.
 *
 * Shows: a frame is given only when nothing maps it; pages come out side by side, aligned, below the mask and zero, whatever their new
 * frames had in them; what lies right already is not exchanged; refused, as a whole or in part, every page is mapped with the frame it has,
 * and none is lost; freed, low frames go back. Why: real Xen refuses a frame in use with one number for all reasons, and a
 * page whose entry and p2m disagree is another domain's memory.
 *
 * links: kernel/dma_xen.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/host_dma.h>
#include <amphi/hypercall.h>

#include "fake_hypercall.h"
#include "kernel/dma_xen.h"
#include "kernel/mm.h"
#include "kernel/mm_parts.h"
#include "kernel/panic.h"

#define PAGES   512u
#define HIGH    0x200000u /* frames from here are above 8 GiB */
#define LOW     0x1000u   /* 16 MiB: what the hypervisor has of low ones */
#define LOW_END 0x1800u

uint64_t mm_test_kernel_base, mm_test_direct_base;
uint64_t *mm_p2m_list;

static uint64_t p2m[PAGES];
static bool is_free[PAGES], is_mapped[PAGES];
static uint64_t next_low, next_high;
static unsigned exchanges, refuse_take;
static bool refuse_all;
static unsigned stop_after; /* extents */

/* ---- the hypervisor ---------------------------------------------------------------------------- */

static uint64_t pfn_of(uint64_t va)
{
	uint64_t pfn = (va - mm_test_direct_base) / PAGE_SIZE;

	assert_true(pfn < PAGES);
	return pfn;
}

static void give(uint64_t mfn)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (p2m[i] == mfn) {
			assert_false(is_mapped[i]);
			return;
		}
	fail_msg("frame %llx is not the domain's", (unsigned long long)mfn);
}

/* New frames have somebody's bytes in them. */
static void fill(uint64_t pfn, unsigned n)
{
	memset((void *)(uintptr_t)(mm_test_direct_base + pfn * PAGE_SIZE), 0xee, n * PAGE_SIZE);
}

static int64_t exchange(struct xen_memory_exchange *x)
{
	unsigned order = x->out.extent_order, bits = XENMEMF_get_address_bits(x->out.mem_flags);
	unsigned n = (unsigned)x->out.nr_extents;
	bool low = bits && bits < 33;

	exchanges++;
	assert_int_equal(x->in.extent_order, 0);
	assert_int_equal(x->in.nr_extents, n << order);
	assert_int_equal(x->nr_exchanged, 0);
	assert_true(x->in.domid == DOMID_SELF && x->out.domid == DOMID_SELF);
	if (refuse_all || (low && (LOW_END << PAGE_SHIFT) > 1ull << bits))
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < n << order; i++)
		give(x->in.extent_start.p[i]);
	for (unsigned i = 0; i < n; i++) {
		uint64_t *next = low ? &next_low : &next_high;

		if (i == stop_after)
			return -XEN_ENOMEM;
		*next = ROUND_UP(*next, 1ull << order);
		fill(x->out.extent_start.p[i], 1u << order);
		x->out.extent_start.p[i] = *next;
		*next += 1ull << order;
		x->nr_exchanged += 1ull << order;
	}
	return 0;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	if (nr == __HYPERVISOR_memory_op) {
		assert_int_equal(a1, XENMEM_exchange);
		return exchange((struct xen_memory_exchange *)a2);
	}
	assert_int_equal(nr, __HYPERVISOR_update_va_mapping);
	if (!a2 && refuse_take && !--refuse_take)
		return -XEN_EINVAL;
	if (a2)
		assert_int_equal(a2 >> PAGE_SHIFT, p2m[pfn_of(a1)]);
	is_mapped[pfn_of(a1)] = a2 != 0;
	return 0;
}

/* ---- the kernel -------------------------------------------------------------------------------- */

void mm_direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry)
{
	*out_va = (uint64_t)(uintptr_t)pfn_to_virt(pfn);
	*out_entry = p2m[pfn.v] << PAGE_SHIFT | 3;
}

pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){pfn_of((uintptr_t)va)};
}

mfn_t pfn_to_mfn(pfn_t pfn)
{
	return (mfn_t){p2m[pfn.v]};
}

maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){p2m[pfn_of((uintptr_t)va)] << PAGE_SHIFT};
}

static unsigned drained;

void iospace_drain(void)
{
	drained++;
}

void *pages_alloc(unsigned n)
{
	unsigned len = 0, i = 0;

	for (; i < PAGES && len < n; i++)
		len = is_free[i] ? len + 1 : 0;
	if (len < n)
		return NULL;
	memset(&is_free[i - n], 0, n);
	return memset(pfn_to_virt((pfn_t){i - n}), 0, n * PAGE_SIZE);
}

void pages_free(void *va, unsigned n)
{
	uint64_t first = pfn_of((uintptr_t)va);

	for (uint64_t i = first; i < first + n; i++) {
		assert_true(is_mapped[i] && !is_free[i]);
		is_free[i] = true;
	}
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	abort();
}

/* ---- tests ------------------------------------------------------------------------------------- */

static int begin(void **state)
{
	next_low = LOW;
	next_high = HIGH + 0x10000;
	for (unsigned i = 0; i < PAGES; i++) {
		p2m[i] = HIGH + i * 37 % 4096;
		is_free[i] = is_mapped[i] = true;
	}
	exchanges = refuse_take = 0;
	refuse_all = false;
	stop_after = ~0u;
	return 0;
}

/* All that there was is free, and mapped with a frame that nobody else has. */
static int end(void **state)
{
	for (unsigned i = 0; i < PAGES; i++) {
		assert_true(is_free[i] && is_mapped[i]);
		for (unsigned k = 0; k < i; k++)
			assert_true(p2m[k] != p2m[i]);
	}
	return 0;
}

static void check(const char *pages, unsigned count, unsigned align, uint64_t mask)
{
	uint64_t pfn = pfn_of((uintptr_t)pages);

	assert_int_equal(p2m[pfn] % align, 0);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(p2m[pfn + i], p2m[pfn] + i);
		assert_true(is_mapped[pfn + i] && !is_free[pfn + i]);
	}
	assert_true(((p2m[pfn] + count) << PAGE_SHIFT) - 1 <= mask);
	for (unsigned i = 0; i < count * PAGE_SIZE; i++)
		assert_int_equal(pages[i], 0);
}

static void side_by_side(void **state)
{
	static const struct {
		unsigned count, align;
		uint64_t mask;
	} all[] = {{32, 32, 0xffffffff}, {3, 1, ~0ull},      {5, 16, 0x3fffffff},
		   {64, 1, 0xffffffff},  {1, 1, 0xffffffff}, {7, 8, 0xffffffff}};
	void *pages[ARRAY_SIZE(all)];

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		pages[i] = dma_xen_pages(all[i].count, all[i].align, all[i].mask);
		assert_non_null(pages[i]);
		check(pages[i], all[i].count, all[i].align, all[i].mask);
	}
	assert_int_equal(exchanges, 6);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		dma_xen_pages_free(pages[i], all[i].count);
}

static void low_frames_go_back(void **state)
{
	void *pages = dma_xen_pages(7, 1, 0xffffffff);
	uint64_t pfn = pfn_of((uintptr_t)pages);

	assert_true(p2m[pfn + 6] < LOW_END);
	assert_true(drained >= 8); /* before each left the direct map: no device has it any more */
	dma_xen_pages_free(pages, 7); /* as 4, 2 and 1 */
	assert_int_equal(exchanges, 4);
	for (unsigned i = 0; i < 7; i++)
		assert_true(p2m[pfn + i] >= HIGH);
}

static void what_lies_right_stays(void **state)
{
	void *pages;

	for (unsigned i = 0; i < 32; i++)
		p2m[i] = LOW_END + 32 + i;
	pages = dma_xen_pages(32, 32, 0xffffffff);
	check(pages, 32, 32, 0xffffffff);
	assert_int_equal(exchanges, 0);
	pages_free(pages, 32);
}

static void refused(void **state)
{
	void *pages;

	assert_null(dma_xen_pages(65, 1, ~0ull));
	assert_null(dma_xen_pages(1, 128, ~0ull));
	refuse_all = true;
	assert_null(dma_xen_pages(32, 32, 0xffffffff));
	refuse_all = false;
	assert_null(dma_xen_pages(32, 32, 0xffffff)); /* the hypervisor has none so low */
	refuse_take = 20;                             /* the hypervisor does not let one page go */
	assert_null(dma_xen_pages(32, 32, 0xffffffff));
	/* Three of four have gone back when it has no more. */
	pages = dma_xen_pages(4, 1, 0xffffffff);
	stop_after = 3;
	dma_xen_pages_free(pages, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true((p2m[pfn_of((uintptr_t)pages) + i] < LOW_END) == (i == 3));
}

static int make(void **state)
{
	mm_p2m_list = p2m;
	mm_test_direct_base = (uintptr_t)aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
	return 0;
}

static int unmake(void **state)
{
	free((void *)(uintptr_t)mm_test_direct_base);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(side_by_side, begin, end),
	    cmocka_unit_test_setup_teardown(low_frames_go_back, begin, end),
	    cmocka_unit_test_setup_teardown(what_lies_right_stays, begin, end),
	    cmocka_unit_test_setup_teardown(refused, begin, end),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
