/* cpio_test.c: what the archive writer writes the reader reads, cpio(1) agrees, and a broken
 * archive is refused without a step beyond its end.
 *
 * Why: the boot module carries kernels and domain files from the host tool to the service domain;
 * and the manifest in it names them. The reader's input is always a copy of exactly its size.
 * links: lib/cpio.c lib/manifest.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/cpio.h>
#include <amphi/manifest.h>
#include <amphi/xen.h>

static uint8_t archive[4096];
static size_t len;

static void add(const char *name, const char *data)
{
	size_t n = strlen(data);

	len += cpio_write_header(archive + len, name, n);
	memcpy(archive + len, data, n);
	len += n;
	memset(archive + len, 0, 3);
	len += cpio_padding(n);
}

static void make(void)
{
	len = 0;
	add("manifest", "domain g domains/g.cfg\n");
	add("files/0", "");
	add("files/1", "x");
	add("a/long name", "12345");
	len += cpio_write_trailer(archive + len);
}

/* Reads it all from a copy of exactly len bytes; the number of entries, or the error. */
static int count_entries(void)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct cpio_reader reader;
	struct cpio_entry entry;
	int n = 0, got;

	memcpy(copy, archive, len);
	cpio_open(&reader, copy, len);
	while ((got = cpio_next(&reader, &entry)) == 1)
		n++;
	free(copy);
	return got < 0 ? got : n;
}

static void test_round_trip(void **state)
{
	struct cpio_entry e;

	memset(archive, 0xff, sizeof(archive)); /* the writer's padding is its own */
	make();
	assert_int_equal(count_entries(), 4);
	assert_int_equal(archive[110 + sizeof("manifest")], 0);
	assert_memory_equal(archive, "07070100000000000081a4", 22); /* inode 0, mode 0100644 */
	assert_int_equal(cpio_find(archive, len, "a/long name", &e), 0);
	assert_int_equal(e.len, 5);
	assert_memory_equal(e.data, "12345", 5);
	assert_int_equal(e.mode, 0100644);
	assert_int_equal(cpio_find(archive, len, "files/0", &e), 0);
	assert_int_equal(e.len, 0);
	assert_int_equal(cpio_find(archive, len, "files", &e), -XEN_ENOENT);
	assert_int_equal(cpio_find(archive, len, "TRAILER!!!", &e), -XEN_ENOENT);
}

static void test_cpio_program_agrees(void **state)
{
	char dir[] = "/tmp/cpio-testXXXXXX", command[256], line[128];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	make();
	snprintf(command, sizeof(command), "%s/a.cpio", dir);
	f = fopen(command, "w");
	assert_non_null(f);
	fwrite(archive, 1, len, f);
	fclose(f);
	snprintf(command, sizeof(command),
		 "cd %s && cpio -i -d --quiet <a.cpio && cat manifest 'a/long name' && "
		 "printf 'b' >b && printf 'b\\nfiles/1\\n' | cpio -o -H newc --quiet >b.cpio",
		 dir);
	f = popen(command, "r");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "domain g domains/g.cfg\n");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "12345");
	assert_int_equal(pclose(f), 0);
	/* And the other way: we read what it wrote. */
	snprintf(command, sizeof(command), "%s/b.cpio", dir);
	f = fopen(command, "r");
	len = fread(archive, 1, sizeof(archive), f);
	fclose(f);
	assert_int_equal(count_entries(), 2);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void test_every_cut_is_refused(void **state)
{
	size_t whole, borders = 0;

	make();
	whole = len;
	for (len = 0; len < whole; len++)
		borders += count_entries() >= 0;
	/* Only between entries, in the last padding, and within the trailer's padding may it end.
	 */
	assert_in_range(borders, 5, 5 + 4 * 3);
	len = whole;
	assert_int_equal(count_entries(), 4);
}

static void expect_broken(size_t at, const char *bytes)
{
	make();
	memcpy(archive + at, bytes, strlen(bytes));
	assert_int_equal(count_entries(), -XEN_EINVAL);
}

static void test_bad_headers(void **state)
{
	expect_broken(0, "070707");           /* the old form */
	expect_broken(6 + 6 * 8, "ffffffff"); /* size */
	expect_broken(6 + 6 * 8, "0000000g");
	expect_broken(6 + 11 * 8, "00000000"); /* name size */
	expect_broken(6 + 11 * 8, "ffffffff");
	expect_broken(6 + 11 * 8, "00000101"); /* CPIO_NAME_MAX + 1 */
	expect_broken(6 + 11 * 8, "0000000a"); /* the NUL is not the last character */
	expect_broken(6 + 11 * 8, "00000008"); /* no NUL */
	make();
	archive[5] = '2'; /* with a checksum: taken */
	assert_int_equal(count_entries(), 4);
}

static void test_writer_refuses(void **state)
{
	uint8_t out[CPIO_HEADER_MAX];
	char name[CPIO_NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	name[CPIO_NAME_MAX] = 0;
	assert_int_equal(cpio_write_header(out, name, 1), 0);
	name[CPIO_NAME_MAX - 1] = 0;
	assert_in_range(cpio_write_header(out, name, 1), 110, CPIO_HEADER_MAX);
	assert_int_equal(cpio_write_header(out, "big", 1ull << 32), 0);
}

/* ---- manifest ----------------------------------------------------------------------- */

static void test_manifest_round_trip(void **state)
{
	char text[512], out[64];
	size_t n = 0;

	n += manifest_format(text + n, sizeof(text) - n, MANIFEST_DOMAIN, "g", "domains/g.cfg");
	n += manifest_format(text + n, sizeof(text) - n, MANIFEST_FILE, "/a b/100%\n", "files/0");
	n += manifest_format(text + n, sizeof(text) - n, MANIFEST_DISK, "/d.img", "amphi0");
	assert_string_equal(text, "domain g domains/g.cfg\nfile /a%20b/100%25%0a files/0\n"
				  "disk /d.img serial=amphi0\n");
	assert_int_equal(manifest_find(text, n, MANIFEST_FILE, "/a b/100%\n", out, sizeof(out)), 0);
	assert_string_equal(out, "files/0");
	assert_int_equal(manifest_find(text, n, MANIFEST_DISK, "/d.img", out, sizeof(out)), 0);
	assert_string_equal(out, "amphi0");
	assert_int_equal(manifest_find(text, n, MANIFEST_DISK, "g", out, sizeof(out)), -XEN_ENOENT);
	assert_int_equal(manifest_find(text, n, MANIFEST_SPARE, "g", out, sizeof(out)),
			 -XEN_ENOENT);
	n += manifest_format(text + n, sizeof(text) - n, MANIFEST_SPARE, "s", "domains/s.cfg");
	assert_int_equal(manifest_find(text, n, MANIFEST_SPARE, "s", out, sizeof(out)), 0);
	assert_string_equal(out, "domains/s.cfg");
	assert_int_equal(manifest_find(text, n, MANIFEST_FILE, "/a b/100%\n", out, 7), -XEN_ENOENT);
	/* The length is told even when it does not fit. */
	assert_int_equal(manifest_format(text, 4, MANIFEST_DOMAIN, "g", "c"), 11);
}

static void test_manifest_order_and_faults(void **state)
{
	static const char text[] = "# made by a test\n\ndomain b B\ndomain a A\nnonsense x y\n"
				   "domain a\ndisk t amphi0\nfile a%2 b\nfile a%00 b\nfile a b c\n"
				   "domain c %43%2f%2F";
	static const int expected[] = {
	    1,           1,           -XEN_EINVAL, -XEN_EINVAL, -XEN_EINVAL,
	    -XEN_EINVAL, -XEN_EINVAL, -XEN_EINVAL, 1,           0};
	struct manifest_reader reader;
	struct manifest_line line;

	manifest_open(&reader, text, sizeof(text) - 1);
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(manifest_next(&reader, &line), expected[i]);
		if (expected[i])
			assert_int_equal(line.line, i + 3);
	}
	assert_string_equal(line.key, "c");
	assert_string_equal(line.value, "C//");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_cpio_program_agrees),
	    cmocka_unit_test(test_every_cut_is_refused),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_writer_refuses),
	    cmocka_unit_test(test_manifest_round_trip),
	    cmocka_unit_test(test_manifest_order_and_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
