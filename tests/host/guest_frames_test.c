/* guest_frames_test.c: numbers for frames of others lie above everything, one for each page of a window.
 *
 * Shows: with any memory map the numbers begin above 4 GiB and above the last range, memory or not, on a
 * table's boundary; where that is beyond what the processor can address, in the highest gap below; each page of the windows has its own; entering maps exactly that number with the right
 * asked for, leaving unmaps it; a page that is in no window is a bug. Why: a number that has memory behind
 * it would lose that memory to Xen without a word. map_frames() and grant.h are played here.
 *
 * links: kernel/guest_frames.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/grant.h>
#include <amphi/pvops.h>
#include "kernel/boot.h"
#include "kernel/guest_frames.h"
#include "kernel/mm.h"
#include "kernel/panic.h"

#define GIB (1ull << 30)

struct boot_info boot;
static const struct grant_places *places;
static void *mapped_at;
static uint64_t mapped_to;
static unsigned mapped_prot;
static jmp_buf panicked;
struct pv_ops pv_ops;
static uint32_t highest_leaf = 0x80000008, address_bits = 46;

static void cpuid(uint32_t *regs)
{
	if (regs[0] == 0x80000000)
		regs[0] = highest_leaf;
	else if (regs[0] == 0x80000008)
		regs[0] = address_bits | 0x3000;
	else
		fail_msg("leaf %x", regs[0]);
}

void grant_set_places(const struct grant_places *p)
{
	places = p;
}

int map_frames(void *va, const mfn_t *mfns, unsigned n, unsigned prot, domid_t owner)
{
	assert_int_equal(n, 1);
	assert_int_equal(owner, DOMID_SELF);
	mapped_at = va, mapped_to = mfns[0].v, mapped_prot = prot;
	return 0;
}

void unmap_frames(void *va, unsigned n)
{
	assert_int_equal(n, 1);
	assert_ptr_equal(va, mapped_at);
	mapped_at = NULL;
}

void panic(const char *fmt, ...)
{
	longjmp(panicked, 1);
}

static void *page(uint64_t n)
{
	return (void *)(VMAP_BASE + n * PAGE_SIZE);
}

static uint64_t first_with(uint64_t start, uint64_t size_bytes, uint32_t type)
{
	boot = (struct boot_info){.n_ranges = 2,
				  .ranges = {{0, 64 << 20, 1}, {start, size_bytes, type}}};
	guest_frames_init();
	return guest_frame_of(page(0)).v << PAGE_SHIFT;
}

static void not_before_there_are_numbers(void **state)
{
	if (setjmp(panicked))
		return;
	(void)guest_frame_of(page(0));
	fail();
}

static void above_everything(void **state)
{
	assert_int_equal(first_with(64 << 20, PAGE_SIZE, 1), 4 * GIB);
	assert_int_equal(first_with(0xfc000000, 0x4000000, 2), 4 * GIB);
	assert_int_equal(first_with(4 * GIB, GIB, 1), 5 * GIB);
	assert_int_equal(first_with(4 * GIB, GIB + 1, 2), 5 * GIB + (2 << 20));
	assert_int_equal(first_with(8 * GIB, 100, 5), 8 * GIB + (2 << 20));
}

/* What PVH dom0 is told on a machine of AMD's with 40 bits: the last 12 GiB below 1 TiB are reserved. */
static void below_the_end(void **state)
{
	const uint64_t windows = VMAP_PAGES * PAGE_SIZE, tib = 1ull << 40;

	address_bits = 40;
	assert_int_equal(first_with(0xfd00000000, 0x300000000, 2), 0xfd00000000 - windows);
	assert_int_equal(first_with(tib - windows, windows, 2), tib - 2 * windows);
	assert_int_equal(first_with(tib - 1, 1, 2), tib - (2 << 20) - windows);
	assert_int_equal(first_with(4 * GIB, tib - 4 * GIB - windows, 1), tib - windows);
	address_bits = 60; /* nonsense */
	assert_int_equal(first_with(1ull << 52, 1, 2), (1ull << 52) - windows);
	highest_leaf = 0x80000004;
	assert_int_equal(first_with(64 * GIB, 1, 2), 64 * GIB - windows);
	highest_leaf = 0x80000008;
	address_bits = 32;
	if (!setjmp(panicked)) {
		first_with(0, 1, 1);
		fail();
	}
	address_bits = 46;
}

static void each_page_its_own(void **state)
{
	uint64_t first;

	first_with(0, 1, 1);
	first = guest_frame_of(page(0)).v;
	for (unsigned i = 0; i < VMAP_PAGES; i += 7) {
		assert_int_equal(guest_frame_of(page(i)).v, first + i);
		assert_int_equal(places->address(page(i)), (first + i) << PAGE_SHIFT);
	}
}

static void enter_and_leave(void **state)
{
	first_with(0, 1, 1);
	places->enter(page(9), false);
	assert_ptr_equal(mapped_at, page(9));
	assert_int_equal(mapped_to, guest_frame_of(page(9)).v);
	assert_int_equal(mapped_prot, MM_WRITE);
	places->leave(page(9));
	assert_null(mapped_at);
	places->enter(page(9), true);
	assert_int_equal(mapped_prot, MM_READ);
}

static void outside_the_windows(void **state)
{
	static void *const wrong[] = {(void *)VMAP_END, (void *)(VMAP_BASE - 1), (void *)0x1000};
	volatile unsigned caught = 0;

	for (volatile unsigned i = 0; i < 3; i++) {
		if (setjmp(panicked))
			caught++;
		else
			(void)guest_frame_of(wrong[i]);
	}
	assert_int_equal(caught, 3);
}

int main(void)
{
	pv_ops.cpu.cpuid = cpuid;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(not_before_there_are_numbers), /* first */
	    cmocka_unit_test(above_everything),
	    cmocka_unit_test(below_the_end),
	    cmocka_unit_test(each_page_its_own),
	    cmocka_unit_test(enter_and_leave),
	    cmocka_unit_test(outside_the_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
