/* unpack_fuzz.c: a bzImage of any bytes, and packed kernels of any bytes behind a good header.
 *
 * Shows: the header leads nowhere outside the file, and each decoder writes nothing outside its buffer. Why: the image
 * is a file of the user's, and the buffer is another domain's memory. The first byte chooses the method; 0 takes
 * the rest as the whole file.
 *
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/unpack.h>

#include "unpack/method.h"

#define OUT_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct unpack_method *const methods[] = {&unpack_gzip, &unpack_xz, &unpack_zstd,
						      &unpack_lz4};

static void run(const struct unpack_image *image)
{
	static uint8_t work[UNPACK_WORK_BYTES] __attribute__((aligned(4096)));
	uint8_t *out = malloc(image->bytes);
	const char *why;

	(void)unpack_run(image, out, work, &why);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack_image image = {0};
	const char *why;
	uint8_t *copy;

	if (size < 4)
		return 0;
	copy = malloc(size - 3);
	memcpy(copy, data + 3, size - 3);
	if (data[0] % 5) {
		image.how = methods[data[0] % 5 - 1];
		image.packed = copy;
		image.packed_bytes = size - 3;
		image.bytes = 1 + (data[1] | (size_t)data[2] << 8) % OUT_MAX;
		run(&image);
	} else if (!unpack_open(copy, size - 3, &image, &why) && image.bytes <= OUT_MAX) {
		run(&image);
	}
	free(copy);
	return 0;
}
