/* unpack.h: the kernel inside a bzImage, unpacked: gzip, xz, zstd or lz4, as distributions pack them.
 *
 * Callers: control/builder_unpack.c, and amphi-tool, which only looks. Implemented by unpack/: the decoders are
 * libraries (zlib, XZ Embedded, zstd, lz4), here is what leads to them. Header of a bzImage: Linux's
 * Documentation/arch/x86/boot.rst, protocol 2.08 and later; what is inside is an ELF image.
 *
 * The input is not trusted: nothing is read outside len, nothing written outside cap. One at a time: the decoders'
 * memory is the caller's, but which it is stands in one place. Any context that may take long.
 *
 * Error rule: 0 or -XEN_ENOEXEC; then *out_why is a constant text that says what is wrong, to follow the image's
 * name and "is ".
 */
#ifndef AMPHI_UNPACK_H
#define AMPHI_UNPACK_H

#include <amphi/types.h>

struct unpack_image {
	const uint8_t *packed; /* inside the caller's bytes, which stay */
	size_t packed_bytes;
	size_t bytes;       /* of the ELF image, as the packer wrote it down; 1..1 GiB */
	const char *method; /* "xz", ...: constant */
	const struct unpack_method *how;
};

/* True: it begins like a bzImage, and unpack_open() has to say whether it is a good one. */
bool unpack_is_bzimage(const void *bytes, size_t len);

/* Finds the packed kernel and how it is packed. */
int unpack_open(const void *bytes, size_t len, struct unpack_image *out, const char **out_why);

/* What the decoders need meanwhile, aligned as a page is; its content is lost. */
#define UNPACK_WORK_BYTES (256u * 1024u)

/* Writes exactly image->bytes to out, which has room for them. What was written before an error is undefined. */
int unpack_run(const struct unpack_image *image, void *out, void *work, const char **out_why);

#endif
