/* xz.c: XZ Embedded, for kernels packed with xz, as Debian's are.
 *
 * Called through unpack_xz. The library's files are included as they are (tools/sources.sh). In its mode for one
 * call the output is the dictionary, so 30 KiB are enough however large the packer's dictionary was. BCJ: the
 * packer turned the targets of x86 calls into absolute ones, and the filter turns them back.
 */
#include <stdlib.h>

#include "method.h"

#define XZ_FUNC
#define XZ_EXTERN static __attribute__((unused))
#define NOINLINE  __attribute__((noinline))
#define XZ_DEC_SINGLE
#define XZ_DEC_X86
#define XZ_INTERNAL_CRC32 0
static uint32_t xz_crc32(const uint8_t *bytes, size_t len, uint32_t crc)
{
	return unpack_crc32(crc, bytes, len);
}
#define malloc(bytes) unpack_alloc(bytes)
#define free(p)       unpack_free(p)
#include <unxz/xz_dec_bcj.c>
#include <unxz/xz_dec_lzma2.c>
#include <unxz/xz_dec_stream.c>

static bool run(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
	struct xz_dec *decoder = xz_dec_init(XZ_SINGLE, 0);
	struct xz_buf buffers = {.in = in, .in_size = in_bytes, .out = out, .out_size = out_bytes};

	return decoder && xz_dec_run(decoder, &buffers) == XZ_STREAM_END &&
	       buffers.out_pos == out_bytes;
}

const struct unpack_method unpack_xz = {
    .name = "xz",
    .magic = {0xfd, '7', 'z', 'X', 'Z', 0},
    .magic_bytes = 6,
    .run = run,
};
