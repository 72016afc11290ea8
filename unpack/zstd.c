/* zstd.c: the decoder of zstd, for kernels packed with it.
 *
 * Called through unpack_zstd. The library's list of files for a decoder alone is included as it is
 * (tools/sources.sh). Only code for every x86-64 processor is taken: it runs where floating point and vector registers
 * are a program's. The whole output is there, so it is its own window.
 */
#include <stdlib.h>

#include "method.h"

static void *zeroed(size_t bytes)
{
	void *p = unpack_alloc(bytes);

	return p ? __builtin_memset(p, 0, bytes) : p;
}

#define NDEBUG
#define DYNAMIC_BMI2 0
/* One decoder of each kind instead of a choice of two: half the size for a few per cent of the time. */
#define HUF_FORCE_DECOMPRESS_X1
#define ZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT
#define malloc(bytes)    unpack_alloc(bytes)
#define calloc(n, bytes) zeroed((n) * (bytes))
#define free(p)          unpack_free(p)
#include <zstd/zstddeclib-in.c>

/* Behind the frame stand the four bytes of the size. */
static bool run(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
	size_t frame = ZSTD_findFrameCompressedSize(in, in_bytes);
	ZSTD_DCtx *decoder = ZSTD_createDCtx();

	return decoder && !ZSTD_isError(frame) &&
	       ZSTD_decompressDCtx(decoder, out, out_bytes, in, frame) == out_bytes;
}

const struct unpack_method unpack_zstd = {
    .name = "zstd",
    .magic = {0x28, 0xb5, 0x2f, 0xfd},
    .magic_bytes = 4,
    .run = run,
};
