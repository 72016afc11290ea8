/* gzip.c: zlib's inflate, for kernels packed with gzip.
 *
 * Called through unpack_gzip. The library's files are included as they are (tools/sources.sh); two of them
 * bear no company and have files of their own (gzip_fast.c, gzip_trees.c). All of the output is there at once, so it is its own window.
 */
#include <amphi/string.h>

#define Z_SOLO
#include <zlib/zutil.h>
#include <zlib/adler32.c>
#include <zlib/crc32.c>
#include <zlib/inflate.c>

#include "method.h"

#define GZIP_WINDOW (16 + MAX_WBITS) /* inflateInit2: a gzip header is expected */

static void *allocate(void *ctx, unsigned n, unsigned size)
{
	return unpack_alloc((size_t)n * size);
}

static void release(void *ctx, void *p)
{
	unpack_free(p);
}

/* Instead of string.h, which a library alone in the world does not count on. */
void zmemcpy(uint8_t *to, const uint8_t *from, unsigned n)
{
	memcpy(to, from, n);
}

static bool run(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
	z_stream z = {
	    .next_in = (uint8_t *)(uintptr_t)in,
	    .avail_in = (unsigned)in_bytes,
	    .next_out = out,
	    .avail_out = (unsigned)out_bytes,
	    .zalloc = allocate,
	    .zfree = release,
	};

	return inflateInit2(&z, GZIP_WINDOW) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END &&
	       z.avail_out == 0;
}

uint32_t unpack_crc32(uint32_t crc, const uint8_t *bytes, size_t len)
{
	return (uint32_t)crc32(crc, bytes, (unsigned)len);
}

const struct unpack_method unpack_gzip = {
    .name = "gzip",
    .magic = {0x1f, 0x8b},
    .magic_bytes = 2,
    .run = run,
};
