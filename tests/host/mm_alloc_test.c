/* mm_alloc_test.c: the page allocator gives each page to one owner, and finds every run there is.
 *
 * Shows: the bitmap against a plain array of bools over a long random run of allocations and releases;
 * runs across words and up to the last page; what is freed twice or outside is refused and changes
 * nothing; low pages are used again first. Why: a page given twice is silent corruption of a guest's
 * disk.
 *
 * links: kernel/page_bitmap.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/page_bitmap.h"

#define PAGES 1000u /* not a multiple of 64 */

static uint64_t words[(PAGES + 63) / 64 + 1];
static struct page_bitmap b;
static bool model[PAGES];
static size_t model_free;

static int fresh(void **state)
{
	memset(words, 0, sizeof(words));
	memset(model, 0, sizeof(model));
	words[sizeof(words) / 8 - 1] = 0x5555;
	page_bitmap_init(&b, words, PAGES);
	model_free = 0;
	return 0;
}

static void model_set(size_t first, size_t n, bool is_free)
{
	for (size_t i = first; i < first + n; i++) {
		assert_int_equal(model[i], !is_free);
		model[i] = is_free;
	}
	model_free += is_free ? n : 0 - n;
}

static bool model_has_run(size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < PAGES; i++) {
		len = model[i] ? len + 1 : 0;
		if (len == n)
			return true;
	}
	return false;
}

static void check_same(void)
{
	assert_int_equal(b.n_free, model_free);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(words[i / 64] >> (i % 64) & 1, model[i]);
	assert_int_equal(words[sizeof(words) / 8 - 1], 0x5555);
}

static void nothing_is_free_at_first(void **state)
{
	assert_int_equal(page_bitmap_alloc(&b, 1), PAGE_BITMAP_NONE);
	assert_int_equal(b.n_free, 0);
}

static void the_whole_and_no_more(void **state)
{
	assert_true(page_bitmap_release(&b, 0, PAGES));
	assert_int_equal(page_bitmap_alloc(&b, PAGES + 1), PAGE_BITMAP_NONE);
	assert_int_equal(page_bitmap_alloc(&b, PAGES), 0);
	assert_int_equal(page_bitmap_alloc(&b, 1), PAGE_BITMAP_NONE);
	assert_true(page_bitmap_release(&b, PAGES - 1, 1));
	assert_int_equal(page_bitmap_alloc(&b, 1), PAGES - 1);
}

static void wrong_releases_change_nothing(void **state)
{
	assert_true(page_bitmap_release(&b, 10, 10));
	model_set(10, 10, true);
	assert_false(page_bitmap_release(&b, 10, 1));
	assert_false(page_bitmap_release(&b, 5, 6));
	assert_false(page_bitmap_release(&b, 19, 5));
	assert_false(page_bitmap_release(&b, PAGES, 1));
	assert_false(page_bitmap_release(&b, PAGES - 1, 2));
	assert_false(page_bitmap_release(&b, SIZE_MAX, 2));
	assert_false(page_bitmap_release(&b, 1, SIZE_MAX));
	check_same();
}

static void a_run_across_words(void **state)
{
	assert_true(page_bitmap_release(&b, 60, 10));
	assert_true(page_bitmap_release(&b, 200, 150));
	assert_int_equal(page_bitmap_alloc(&b, 11), 200);
	assert_int_equal(page_bitmap_alloc(&b, 139), 211);
	assert_int_equal(page_bitmap_alloc(&b, 10), 60);
	assert_int_equal(b.n_free, 0);
}

static void a_run_over_the_place_of_the_last_search(void **state)
{
	assert_true(page_bitmap_release(&b, 100, 20));
	assert_int_equal(page_bitmap_alloc(&b, 10), 100); /* the next search begins at 110 */
	b.hint = 115;
	assert_int_equal(page_bitmap_alloc(&b, 10), 110);
}

static void low_pages_are_used_again(void **state)
{
	assert_true(page_bitmap_release(&b, 0, PAGES));
	assert_int_equal(page_bitmap_alloc(&b, 100), 0);
	assert_true(page_bitmap_release(&b, 7, 3));
	assert_int_equal(page_bitmap_alloc(&b, 1), 7);
}

/* What devices of a small mask may need is there until nothing else is. */
static void low_pages_are_kept(void **state)
{
	b.low_end = b.hint = 500;
	assert_true(page_bitmap_release(&b, 0, PAGES));
	assert_int_equal(page_bitmap_alloc(&b, 400), 500);
	assert_true(page_bitmap_release(&b, 600, 10));
	assert_int_equal(page_bitmap_alloc(&b, 10), 600);
	assert_int_equal(page_bitmap_alloc(&b, 90), 900);
	assert_int_equal(page_bitmap_alloc(&b, 90), 0);
	assert_true(page_bitmap_release(&b, 3, 5));
	assert_true(page_bitmap_release(&b, 700, 5));
	assert_int_equal(page_bitmap_alloc(&b, 5), 700);
	assert_int_equal(page_bitmap_alloc(&b, 11), 90);
}

static void low_runs(void **state)
{
	assert_true(page_bitmap_release(&b, 3, 300));
	assert_int_equal(page_bitmap_alloc_low(&b, 32, 32, 1000), 32);
	assert_int_equal(page_bitmap_alloc_low(&b, 1, 1, 1000), 3);
	assert_int_equal(page_bitmap_alloc_low(&b, 32, 32, 95), PAGE_BITMAP_NONE);
	assert_int_equal(page_bitmap_alloc_low(&b, 32, 32, 96), 64);
	assert_int_equal(page_bitmap_alloc_low(&b, 20, 1, 96), 4);
	assert_int_equal(page_bitmap_alloc_low(&b, 9, 1, 32), PAGE_BITMAP_NONE);
	assert_int_equal(page_bitmap_alloc_low(&b, 8, 4, 32), 24);
	assert_int_equal(page_bitmap_alloc_low(&b, 200, 1, 2000), 96);
	assert_int_equal(page_bitmap_alloc_low(&b, 200, 1, 2000), PAGE_BITMAP_NONE);
}

struct held {
	size_t first, n;
};

static void try_alloc(struct held *held, unsigned *n_held)
{
	size_t n = (size_t)(rand() % 8 ? 1 + rand() % 5 : 1 + rand() % 80);
	size_t first = page_bitmap_alloc(&b, n);

	if (first == PAGE_BITMAP_NONE) {
		assert_false(model_has_run(n));
		return;
	}
	assert_true(first + n <= PAGES);
	model_set(first, n, false);
	held[(*n_held)++] = (struct held){first, n};
}

static void random_life(void **state)
{
	static struct held held[PAGES];
	unsigned n_held = 0;

	srand(1);
	assert_true(page_bitmap_release(&b, 3, PAGES - 3));
	model_set(3, PAGES - 3, true);
	for (unsigned step = 0; step < 20000; step++) {
		if (rand() % 100 < 53) {
			try_alloc(held, &n_held);
		} else if (n_held) {
			unsigned i = (unsigned)rand() % n_held;

			assert_true(page_bitmap_release(&b, held[i].first, held[i].n));
			model_set(held[i].first, held[i].n, true);
			held[i] = held[--n_held];
		}
		if (step % 64 == 0)
			check_same();
	}
	check_same();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(nothing_is_free_at_first, fresh),
	    cmocka_unit_test_setup(the_whole_and_no_more, fresh),
	    cmocka_unit_test_setup(wrong_releases_change_nothing, fresh),
	    cmocka_unit_test_setup(a_run_across_words, fresh),
	    cmocka_unit_test_setup(a_run_over_the_place_of_the_last_search, fresh),
	    cmocka_unit_test_setup(low_pages_are_used_again, fresh),
	    cmocka_unit_test_setup(low_pages_are_kept, fresh),
	    cmocka_unit_test_setup(low_runs, fresh),
	    cmocka_unit_test_setup(random_life, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
