/* fuzz_input.h: a fuzzer's bytes, taken as numbers one after another.
 *
 * Included by fuzzers that make choices from their input. Beyond the end all numbers are 0.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdint.h>

struct input {
	const uint8_t *at, *end;
};

/* So many bytes, the first the highest. */
static inline uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;

	for (; bytes && in->at < in->end; bytes--)
		v = v << 8 | *in->at++;
	return v;
}

#endif
