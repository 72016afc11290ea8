/* unpack.c: finds the packed kernel in a bzImage and has it unpacked by the right library.
 *
 * Not a decoder: those are in the libraries that gzip.c, xz.c, zstd.c and lz4.c speak to. Callers: control/ when a
 * domain's kernel is not an ELF image. A bzImage's setup part is code for another way of starting; all that
 * matters here is where in the file the packed kernel lies.
 */
#include <amphi/unpack.h>

#include <amphi/string.h>
#include <amphi/xen.h>

#include "method.h"

/* Offsets into the file: boot.rst, "The real-mode kernel header". */
#define AT_SETUP_SECTS    0x1f1u
#define AT_BOOT_FLAG      0x1feu
#define AT_MAGIC          0x202u
#define AT_VERSION        0x206u
#define AT_PAYLOAD_OFFSET 0x248u
#define AT_PAYLOAD_LENGTH 0x24cu
#define HEADER_BYTES      0x250u

#define BOOT_FLAG       0xaa55u
#define VERSION_PAYLOAD 0x0208u
#define SECTOR          512u
#define SETUP_SECTS_OLD 4u /* what 0 stands for */
#define UNPACKED_MAX    (1ull << 30)

static const struct unpack_method *const methods[] = {&unpack_gzip, &unpack_xz, &unpack_zstd,
						      &unpack_lz4};

static struct {
	uint8_t *next, *end;
} work;

void *unpack_alloc(size_t bytes)
{
	uint8_t *p = work.next;
	size_t rounded = (bytes + 15) & ~(size_t)15;

	if (rounded < bytes || rounded > (size_t)(work.end - p))
		return NULL;
	work.next += rounded;
	return p;
}

void unpack_free(void *p) {}

static uint32_t read_le(const uint8_t *at, unsigned bytes)
{
	uint32_t n = 0;

	memcpy(&n, at, bytes);
	return n;
}

bool unpack_is_bzimage(const void *bytes, size_t len)
{
	const uint8_t *file = bytes;

	return len >= HEADER_BYTES && read_le(file + AT_BOOT_FLAG, 2) == BOOT_FLAG &&
	       memcmp(file + AT_MAGIC, "HdrS", 4) == 0;
}

static int bad(const char **out_why, const char *why)
{
	*out_why = why;
	return -XEN_ENOEXEC;
}

static const struct unpack_method *method_of(const uint8_t *packed, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
		if (len >= methods[i]->magic_bytes &&
		    memcmp(packed, methods[i]->magic, methods[i]->magic_bytes) == 0)
			return methods[i];
	return NULL;
}

/* The last four bytes of the packed kernel are its size unpacked: gzip ends so, and Linux's build adds them to
 * the others. */
int unpack_open(const void *bytes, size_t len, struct unpack_image *out, const char **out_why)
{
	const uint8_t *file = bytes;
	uint64_t sectors, start, length;

	if (!unpack_is_bzimage(bytes, len))
		return bad(out_why, "no bzImage");
	if (read_le(file + AT_VERSION, 2) < VERSION_PAYLOAD)
		return bad(out_why, "a bzImage too old to say where its kernel lies");
	sectors = file[AT_SETUP_SECTS] ? file[AT_SETUP_SECTS] : SETUP_SECTS_OLD;
	start = (sectors + 1) * SECTOR + read_le(file + AT_PAYLOAD_OFFSET, 4);
	length = read_le(file + AT_PAYLOAD_LENGTH, 4);
	if (length < 8 || start > len || length > len - start)
		return bad(out_why, "a bzImage cut short");
	*out = (struct unpack_image){.packed = file + start, .packed_bytes = length};
	out->how = method_of(out->packed, length);
	if (!out->how)
		return bad(
		    out_why,
		    "a bzImage packed in a way that is not known (gzip, xz, zstd and lz4 are)");
	out->method = out->how->name;
	out->bytes = read_le(out->packed + length - 4, 4);
	if (!out->bytes || out->bytes > UNPACKED_MAX)
		return bad(out_why, "a bzImage of an impossible size");
	return 0;
}

int unpack_run(const struct unpack_image *image, void *out, void *memory, const char **out_why)
{
	work.next = memory;
	work.end = work.next + UNPACK_WORK_BYTES;
	if (image->how->run(image->packed, image->packed_bytes, out, image->bytes))
		return 0;
	return bad(out_why, "a bzImage whose packed kernel is damaged");
}
