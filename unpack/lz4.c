/* lz4.c: lz4's block decoder, for kernels packed with `lz4 -l`.
 *
 * Called through unpack_lz4. The library's file is included as it is (tools/sources.sh). The legacy frame around
 * the blocks is simple enough to be read here: a magic number, then blocks of up to 8 MiB unpacked, each behind its
 * packed length; the size that Linux adds takes the place of the next one.
 */
#include <stdlib.h>
#include <string.h>

#include "method.h"

#define LZ4_FREESTANDING     1
#define LZ4_memcpy(d, s, n)  __builtin_memcpy(d, s, n)
#define LZ4_memmove(d, s, n) __builtin_memmove(d, s, n)
#define LZ4_memset(d, c, n)  __builtin_memset(d, c, n)
#define LZ4LIB_VISIBILITY    static __attribute__((unused))
#pragma GCC diagnostic ignored "-Wunused-function"
#include <lz4/lz4.c>

#define BLOCK_MAX (8u << 20)

/* The length of the block at *at, which is moved behind it; 0: there is none. */
static size_t block(const uint8_t **at, const uint8_t *end, const uint8_t **out_block)
{
	uint32_t n;

	if ((size_t)(end - *at) <= sizeof(n) + sizeof(n))
		return 0;
	memcpy(&n, *at, sizeof(n));
	*out_block = *at + sizeof(n);
	if (n > (size_t)(end - *out_block))
		return 0;
	*at = *out_block + n;
	return n;
}

static bool run(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
	const uint8_t *at = in + 4, *end = in + in_bytes, *packed;
	size_t n, done = 0;

	if (in_bytes < 4)
		return false;
	while (done < out_bytes && (n = block(&at, end, &packed))) {
		size_t room = out_bytes - done < BLOCK_MAX ? out_bytes - done : BLOCK_MAX;
		int got = LZ4_decompress_safe((const char *)packed, (char *)out + done, (int)n,
					      (int)room);

		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return done == out_bytes;
}

const struct unpack_method unpack_lz4 = {
    .name = "lz4",
    .magic = {0x02, 0x21, 0x4c, 0x18},
    .magic_bytes = 4,
    .run = run,
};
