/* fuzz_script.h: a fuzzer's bytes as a script, which many small functions read on in without being given it.
 *
 * Included by fuzzers whose steps are functions of nothing; fuzz_input.h is for those that hand their input round.
 * Beyond the end all numbers are 0. Numbers have their lowest byte first, so that a seed may be written as they lie in rings.
 */
#ifndef TESTS_FUZZ_SCRIPT_H
#define TESTS_FUZZ_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

static const uint8_t *at, *stop;

static inline void script_begin(const uint8_t *data, size_t size)
{
	at = data;
	stop = data + size;
}

static inline uint8_t byte(void)
{
	return at < stop ? *at++ : 0;
}

static inline uint32_t half(void)
{
	uint32_t low = byte();

	return low | (uint32_t)byte() << 8;
}

static inline uint32_t word(void)
{
	uint32_t low = half();

	return low | half() << 16;
}

#define SCRIPT_TEXT 24u

/* A value for the store: any bytes, or a number that some key may have. */
static inline void script_text(char out[SCRIPT_TEXT])
{
	unsigned n = byte() % SCRIPT_TEXT;

	for (unsigned i = 0; i < n; i++)
		out[i] = (char)byte();
	out[n] = '\0';
	if (n < 3)
		out[0] = (char)('0' + byte() % 10);
}

#endif
