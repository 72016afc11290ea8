/* pattern_test.c: the test pattern is the one its header defines, and a wrong byte is found.
 *
 * Shows: known words (SplitMix64 with seed 0 has published outputs), that a sector made alone
 * equals the same sector of a longer run, and that a check names the sector that is bad. Why: the
 * host recomputes the pattern by itself from the definition. Expected: all hold.
 *
 * links: lib/pattern.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/pattern.h>

static void known_words(void **state)
{
	assert_true(pattern_word(0, 0) == 0xe220a8397b1dcdafull);
	assert_true(pattern_word(0, 1) == 0x6e789e6aa1b965f4ull);
	assert_true(pattern_word(0, 2) == 0x06c45d188009454full);
	assert_true(pattern_word(0x9e3779b97f4a7c15ull, 0) == pattern_word(0, 1));
}

static void any_sector_alone(void **state)
{
	uint64_t run[8 * 64], one[64];
	unsigned s;

	pattern_fill(42, 1000, run, 8);
	for (s = 0; s < 8; s++) {
		pattern_fill(42, 1000 + s, one, 1);
		assert_memory_equal(one, run + 64 * s, sizeof(one));
	}
	assert_true(run[0] == pattern_word(42, 1000 * 64));
	assert_true(run[511] == pattern_word(42, 1000 * 64 + 511));
}

static void a_bad_byte_is_found(void **state)
{
	uint64_t run[8 * 64];
	uint64_t bad = 0;
	unsigned byte;

	pattern_fill(7, 5, run, 8);
	assert_true(pattern_check(7, 5, run, 8, &bad));
	assert_false(pattern_check(8, 5, run, 8, &bad));
	assert_int_equal(bad, 5);
	assert_false(pattern_check(7, 6, run, 8, &bad));
	for (byte = 0; byte < sizeof(run); byte += 509) {
		((uint8_t *)run)[byte] ^= 1;
		assert_false(pattern_check(7, 5, run, 8, &bad));
		assert_int_equal(bad, 5 + byte / 512);
		((uint8_t *)run)[byte] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_words),
	    cmocka_unit_test(any_sector_alone),
	    cmocka_unit_test(a_bad_byte_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
