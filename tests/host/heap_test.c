/* heap_test.c: small memory is zeroed, apart, aligned, and wholly given back.
 *
 * Shows: blocks of every size up to a few pages, held at once, do not overlap and are zero when given;
 * after all is freed no page is held; a wrong size or a second free ends the kernel instead of spoiling a
 * list. Why: "every counter where it was" after a domain is gone needs slabs that are given back.
 *
 * links: kernel/heap.c lib/heap.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/mm.h"
#include "kernel/panic.h"

static unsigned pages_out, pages_limit;
static jmp_buf on_panic;

void *pages_alloc(unsigned n)
{
	void *p = NULL;

	if (pages_out + n > pages_limit || posix_memalign(&p, PAGE_SIZE, n * PAGE_SIZE))
		return NULL;
	memset(p, 0, n * PAGE_SIZE);
	pages_out += n;
	return p;
}

void pages_free(void *va, unsigned n)
{
	free(va);
	pages_out -= n;
}

void panic(const char *fmt, ...)
{
	longjmp(on_panic, 1);
}

static int fresh(void **state)
{
	pages_out = 0;
	pages_limit = 100000;
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

#define SIZES 5000u

static void every_size(void **state)
{
	static uint8_t *p[SIZES];

	for (size_t n = 1; n < SIZES; n++) {
		p[n] = kmalloc(n);
		assert_non_null(p[n]);
		assert_int_equal((uintptr_t)p[n] % (n < 64 ? 16 : 64), 0);
		assert_true(is_zero(p[n], n));
		memset(p[n], (int)(n % 251 + 1), n);
	}
	for (size_t n = 1; n < SIZES; n++)
		for (size_t i = 0; i < n; i += n - 1 ? n - 1 : 1)
			assert_int_equal(p[n][i], n % 251 + 1);
	for (size_t n = 1; n < SIZES; n++)
		kfree(p[n], n);
	assert_int_equal(pages_out, 0);
}

static void memory_is_zero_when_used_again(void **state)
{
	uint8_t *keep = kmalloc(100), *p = kmalloc(100);

	memset(p, 0xff, 100);
	kfree(p, 100);
	p = kmalloc(100);
	assert_true(is_zero(p, 100));
	kfree(p, 100);
	kfree(keep, 100);
	assert_int_equal(pages_out, 0);
}

static void random_life(void **state)
{
	static struct {
		uint8_t *p;
		size_t n;
	} held[300];

	srand(2);
	for (unsigned step = 0; step < 30000; step++) {
		unsigned i = (unsigned)rand() % 300;

		if (held[i].p) {
			assert_int_equal(held[i].p[held[i].n - 1], i & 0xff);
			kfree(held[i].p, held[i].n);
			held[i].p = NULL;
			continue;
		}
		held[i].n = 1 + (size_t)rand() % 2500;
		held[i].p = kmalloc(held[i].n);
		assert_true(is_zero(held[i].p, held[i].n));
		memset(held[i].p, (int)i, held[i].n);
	}
	for (unsigned i = 0; i < 300; i++)
		kfree(held[i].p, held[i].n);
	assert_int_equal(pages_out, 0);
}

/* The count of what is in use does not see how it is spread over pages, and counts no whole pages. */
static void counts_what_is_used(void **state)
{
	size_t slabs;
	uint8_t *a = kmalloc(100), *b = kmalloc(1900), *c = kmalloc(5000);

	assert_int_equal(heap_used_bytes(&slabs), 128 + 1984);
	assert_int_equal(slabs, 2);
	kfree(a, 100);
	kfree(c, 5000);
	assert_int_equal(heap_used_bytes(&slabs), 1984);
	assert_int_equal(slabs, 1);
	kfree(b, 1900);
	assert_int_equal(heap_used_bytes(&slabs), 0);
	assert_int_equal(slabs, 0);
}

static void no_memory(void **state)
{
	pages_limit = 0;
	assert_null(kmalloc(1));
	assert_null(kmalloc(10000));
	kfree(NULL, 1);
}

/* Frees p with a size and tells whether that was taken. */
static bool free_panics(void *p, size_t size)
{
	if (setjmp(on_panic))
		return true;
	kfree(p, size);
	return false;
}

static void wrong_frees_end_the_kernel(void **state)
{
	uint8_t *keep = kmalloc(40), *p = kmalloc(40);

	assert_true(free_panics(p, 400));
	assert_false(free_panics(p, 40));
	kfree(keep, 40);
	assert_int_equal(pages_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(every_size, fresh),
	    cmocka_unit_test_setup(memory_is_zero_when_used_again, fresh),
	    cmocka_unit_test_setup(random_life, fresh),
	    cmocka_unit_test_setup(counts_what_is_used, fresh),
	    cmocka_unit_test_setup(no_memory, fresh),
	    cmocka_unit_test_setup(wrong_frees_end_the_kernel, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
