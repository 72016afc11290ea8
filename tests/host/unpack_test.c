/* unpack_test.c: kernels as distributions pack them, packed here by the programs they use.
 *
 * Shows: what gzip, xz (with the x86 filter, as Linux's build calls it), zstd and lz4 packed comes out as it went in;
 * each header field that leads to the packed kernel is checked, cut and damaged images are refused with a word, and nothing is
 * written outside the buffer (the sanitizer looks). Why: the image is a user's file, and its numbers are addresses.
 *
 * links: unpack/unpack.c unpack/gzip.c unpack/gzip_fast.c unpack/gzip_trees.c unpack/xz.c unpack/zstd.c unpack/lz4.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <amphi/unpack.h>

#define KERNEL_BYTES (9u << 20) /* more than one block of lz4 */
#define SETUP_SECTS  3u
#define PAYLOAD_AT   0x123u /* from the end of the setup part */

static uint8_t *kernel;
static char folder[] = "/tmp/unpack_test.XXXXXX";

/* An image made by a packer, in a block of exactly its size. */
struct image {
	uint8_t *bytes;
	size_t len;
};

static void put_le(uint8_t *at, uint64_t n, unsigned bytes)
{
	memcpy(at, &n, bytes);
}

static size_t packed_at(void)
{
	return (SETUP_SECTS + 1) * 512 + PAYLOAD_AT;
}

/* with_size: Linux's build adds the size to all but gzip, which ends in it. */
static struct image pack(const char *program, bool with_size)
{
	char command[256], path[64];
	struct image image;
	long packed;
	FILE *f;

	snprintf(path, sizeof(path), "%s/packed", folder);
	snprintf(command, sizeof(command), "%s <%s/kernel >%s 2>/dev/null", program, folder, path);
	assert_int_equal(system(command), 0);
	f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	packed = ftell(f);
	rewind(f);
	image.len = packed_at() + (size_t)packed + (with_size ? 4 : 0);
	image.bytes = calloc(1, image.len);
	assert_int_equal(fread(image.bytes + packed_at(), 1, (size_t)packed, f), packed);
	fclose(f);
	image.bytes[0x1f1] = SETUP_SECTS;
	put_le(image.bytes + 0x1fe, 0xaa55, 2);
	memcpy(image.bytes + 0x202, "HdrS", 4);
	put_le(image.bytes + 0x206, 0x020f, 2);
	put_le(image.bytes + 0x248, PAYLOAD_AT, 4);
	put_le(image.bytes + 0x24c, image.len - packed_at(), 4);
	if (with_size)
		put_le(image.bytes + image.len - 4, KERNEL_BYTES, 4);
	return image;
}

/* NULL: it came out whole; or what was said. */
static const char *unpack(struct image image)
{
	static uint8_t work[UNPACK_WORK_BYTES] __attribute__((aligned(4096)));
	struct unpack_image found;
	const char *why = NULL;
	uint8_t *out;

	if (unpack_open(image.bytes, image.len, &found, &why))
		return why;
	out = malloc(found.bytes);
	if (!unpack_run(&found, out, work, &why)) {
		assert_int_equal(found.bytes, KERNEL_BYTES);
		assert_memory_equal(out, kernel, KERNEL_BYTES);
	}
	free(out);
	return why;
}

static void all_four_come_out_as_they_went_in(void **state)
{
	static const struct {
		const char *program;
		bool with_size;
	} programs[] = {
	    {"gzip -n -9", false},
	    {"xz --check=crc32 --x86 --lzma2=,dict=32MiB", true},
	    {"zstd -22 --ultra", true},
	    {"lz4 -l -9", true},
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		struct image image = pack(programs[i].program, programs[i].with_size);

		assert_true(unpack_is_bzimage(image.bytes, image.len));
		assert_null(unpack(image));
		free(image.bytes);
	}
}

static void fields_that_lead_astray_are_refused(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		const char *word;
	} fields[] = {
	    {0x1fe, 2, 0, "no bzImage"},         {0x202, 4, 0, "no bzImage"},
	    {0x206, 2, 0x207, "too old"},        {0x1f1, 1, 0, "cut short"}, /* stands for 4 */
	    {0x1f1, 1, 2, "not known"},          {0x248, 4, 0xffffffff, "cut short"},
	    {0x24c, 4, 0xffffffff, "cut short"}, {0x24c, 4, 7, "cut short"},
	};
	struct image image = pack("gzip -n -1", false);
	uint8_t header[0x250];

	memcpy(header, image.bytes, sizeof(header));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *why;

		put_le(image.bytes + fields[i].at, fields[i].value, fields[i].bytes);
		why = unpack(image);
		assert_non_null(why);
		if (!strstr(why, fields[i].word))
			fail_msg("field %#x: '%s'", fields[i].at, why);
		memcpy(image.bytes, header, sizeof(header));
	}
	assert_null(unpack(image));
	free(image.bytes);
}

static void a_size_that_is_not_the_kernels_is_refused(void **state)
{
	static const uint64_t sizes[] = {0, 1, KERNEL_BYTES - 1, KERNEL_BYTES + 1, 1u << 31};
	static const char *const programs[] = {"xz --check=crc32", "zstd -1", "lz4 -l -1"};

	for (size_t p = 0; p < sizeof(programs) / sizeof(programs[0]); p++) {
		struct image image = pack(programs[p], true);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			put_le(image.bytes + image.len - 4, sizes[i], 4);
			assert_non_null(unpack(image));
		}
		free(image.bytes);
	}
}

/* Each by a byte in the middle, and by its second half. lz4 has no checksum: a wrong byte may pass there, as it
 * would on any machine, so only its end is cut. */
static void damaged_kernels_are_refused(void **state)
{
	static const char *const programs[] = {"xz --check=crc32", "zstd -1", "gzip -n", "lz4 -l"};

	for (size_t p = 0; p < sizeof(programs) / sizeof(programs[0]); p++) {
		struct image image = pack(programs[p], p != 2);
		size_t middle = packed_at() + (image.len - packed_at()) / 2;

		if (p != 3) {
			image.bytes[middle] ^= 0x40;
			assert_non_null(unpack(image));
			image.bytes[middle] ^= 0x40;
		}
		memset(image.bytes + middle, 0, image.len - 4 - middle);
		assert_non_null(unpack(image));
		free(image.bytes);
	}
}

static void short_files_are_no_bzimages(void **state)
{
	struct image image = pack("gzip -n -1", false);

	for (size_t len = 0; len < 0x250; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, image.bytes, len);
		assert_false(unpack_is_bzimage(cut, len));
		free(cut);
	}
	free(image.bytes);
}

/* Half of it repeats, half does not, and there are calls for the filter. */
static int make_kernel(void **state)
{
	char path[64];
	uint32_t x = 1;
	FILE *f;

	kernel = malloc(KERNEL_BYTES);
	for (size_t i = 0; i < KERNEL_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		kernel[i] = i & 1024 ? (uint8_t)(x >> 24) : i % 16 == 3 ? 0xe8 : (uint8_t)(i >> 7);
	}
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/kernel", folder);
	f = fopen(path, "wb");
	return !f || fwrite(kernel, 1, KERNEL_BYTES, f) != KERNEL_BYTES || fclose(f) ? -1 : 0;
}

static int remove_all(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	free(kernel);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_four_come_out_as_they_went_in),
	    cmocka_unit_test(fields_that_lead_astray_are_refused),
	    cmocka_unit_test(a_size_that_is_not_the_kernels_is_refused),
	    cmocka_unit_test(damaged_kernels_are_refused),
	    cmocka_unit_test(short_files_are_no_bzimages),
	};

	return cmocka_run_group_tests(tests, make_kernel, remove_all);
}
