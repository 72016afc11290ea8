/* method.h: one way of packing; private to unpack/.
 *
 * Each file here makes one library speak this contract and does nothing else. A library's memory comes from
 * unpack_alloc(): it is handed out upwards and never taken back, which is enough for one image.
 */
#ifndef UNPACK_METHOD_H
#define UNPACK_METHOD_H

#include <amphi/types.h>

struct unpack_method {
	const char *name;
	uint8_t magic[6];
	unsigned magic_bytes;
	/* True: out_bytes were written, neither more nor fewer. in ends where the packed bytes do, or a little
	 * later. */
	bool (*run)(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes);
};

extern const struct unpack_method unpack_gzip, unpack_xz, unpack_zstd, unpack_lz4;

/* NULL: the work memory is used up. Aligned to 16. */
void *unpack_alloc(size_t bytes);
void unpack_free(void *p);

/* CRC-32 as zlib has it, for those whose library comes without. */
uint32_t unpack_crc32(uint32_t crc, const uint8_t *bytes, size_t len);

#endif
