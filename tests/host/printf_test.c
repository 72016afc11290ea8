/* printf_test: amphi/printf.h and amphi/string.h against the C library.
 *
 * Why: every message of the kernel and hypervisor, and every number written into the store, passes
 * here; a wrong width or a byte too far would show up as something else, far away. Expected: the
 * same text and length as snprintf, for each conversion, in buffers of every size.
 * links: lib/printf.c lib/text.c
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char want[256], got[256];                                                          \
		int len = snprintf(want, sizeof(want), __VA_ARGS__);                               \
		assert_int_equal(fmt_text(got, sizeof(got), __VA_ARGS__), len);                    \
		assert_string_equal(got, want);                                                    \
	} while (0)

static void numbers_print_as_the_c_library_prints_them(void **state)
{
	SAME("%d %i %u", -5, 7, 42u);
	SAME("%d %d", INT_MIN, INT_MAX);
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	SAME("%5d|%-5d|%05d|%.3d", 42, 42, -42, 7);
	SAME("%x %X %08x %16lx", 0xabcu, 0xDEFu, 0x1fu, 0x123456789aul);
	SAME("%*d|%-*d|", 7, 1, 7, 2);
	SAME("%hhu %hu %hd", 300, 70000, 40000);
	SAME("%zu %llu %%", (size_t)9, 1ull << 63);
	SAME("%d%u", 0, 0u);
}

static void strings_are_cut_padded_and_bounded(void **state)
{
	SAME("[%s] [%10s] [%-10s] [%.2s] [%c]", "abc", "def", "ghi", "jkl", 'm');
	SAME("[%.*s]", 3, "abcdef");
	const char *volatile none = NULL; /* not known to the compiler, which would warn */
	char got[32];

	fmt_text(got, sizeof(got), "%s", none);
	assert_string_equal(got, "(null)");
}

static void never_writes_beyond_the_buffer(void **state)
{
	for (size_t cap = 0; cap < 24; cap++) {
		char want[32], got[32];

		memset(want, 'x', sizeof(want));
		memset(got, 'x', sizeof(got));
		int len = snprintf(want, cap, "%s-%05d-%lx", "text", -42, 0xabcdeful);
		assert_int_equal(fmt_text(got, cap, "%s-%05d-%lx", "text", -42, 0xabcdeful), len);
		assert_memory_equal(got, want, sizeof(got));
	}
}

static void a_huge_width_or_precision_does_no_harm(void **state)
{
	char got[16];

	assert_int_equal(fmt_text(got, sizeof(got), "%9999d", 1), 9999);
	fmt_text(got, sizeof(got), "%.9999d", 1);
	fmt_text(got, sizeof(got), "%09999d", 1);
}

static void numbers_are_read_whole_or_refused(void **state)
{
	uint64_t v;

	assert_true(str_to_u64("18446744073709551615", &v) && v == UINT64_MAX);
	assert_false(str_to_u64("18446744073709551616", &v));
	assert_true(str_to_u64("0xFFffFFffFFffFFff", &v) && v == UINT64_MAX);
	assert_false(str_to_u64("0x10000000000000000", &v));
	assert_false(str_to_u64("", &v) || str_to_u64("0x", &v) || str_to_u64("12a", &v));
	assert_false(str_to_u64("-1", &v) || str_to_u64(" 1", &v));
}

static void a_copy_that_does_not_fit_is_cut_and_said(void **state)
{
	char to[4];

	assert_true(str_copy(to, sizeof(to), "abc"));
	assert_false(str_copy(to, sizeof(to), "abcd"));
	assert_string_equal(to, "abc");
	assert_true(str_starts("state/x", "state/") && !str_starts("st", "state"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_print_as_the_c_library_prints_them),
	    cmocka_unit_test(strings_are_cut_padded_and_bounded),
	    cmocka_unit_test(never_writes_beyond_the_buffer),
	    cmocka_unit_test(a_huge_width_or_precision_does_no_harm),
	    cmocka_unit_test(numbers_are_read_whole_or_refused),
	    cmocka_unit_test(a_copy_that_does_not_fit_is_cut_and_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
