/* xs_wire_test.c: the store's paths, permissions, numbers, names and byte ring.
 *
 * Shows the edges of what both ends of the store share: which texts are paths and which lie below
 * which, that permissions survive the way to text and back, that the ring carries any stream in any
 * pieces and refuses indices that cannot be. Why: the server judges what hostile guests send by
 * these functions alone. Expected: all pass.
 *
 * links: protocol/xs_wire.c protocol/xs_path.c protocol/xs_perms.c protocol/xs_ring.c lib/printf.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/xs_wire.h>

void peer_on_fetch(const volatile void *from, size_t len) {}

static void test_valid_paths(void **state)
{
	static const char *const good[] = {"/", "/a", "a", "/a/b-c_D9@x", "local/domain/0", "0"};
	static const char *const bad[] = {"",       "//",  "/a/", "a//b",           "a b",  "a\n",
					  "/a\x80", "a.b", "a/",  "@releaseDomain", "/a/b/"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(xs_path_valid(good[i], false));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(xs_path_valid(bad[i], false));
	assert_true(xs_path_valid("@releaseDomain", true));
	assert_false(xs_path_valid("@release/Domain", true));
	assert_true(xs_path_valid("/a/b", true));
}

static void test_path_lengths(void **state)
{
	static char path[XENSTORE_ABS_PATH_MAX + 8];

	memset(path, 'a', XENSTORE_ABS_PATH_MAX + 1);
	path[0] = '/';
	assert_false(xs_path_valid(path, false));
	path[XENSTORE_ABS_PATH_MAX] = 0;
	assert_true(xs_path_valid(path, false));
	path[0] = 'a';
	path[XENSTORE_REL_PATH_MAX + 1] = 0;
	assert_false(xs_path_valid(path, false));
	path[XENSTORE_REL_PATH_MAX] = 0;
	assert_true(xs_path_valid(path, false));
}

static void test_path_depth(void **state)
{
	char path[2 * XS_DEPTH_MAX + 8] = "";

	for (unsigned i = 0; i < XS_DEPTH_MAX; i++)
		strcat(path, "/d");
	assert_true(xs_path_valid(path, false));
	assert_false(xs_path_valid(path + 1, false)); /* three names are put before it */
	assert_true(xs_path_valid(path + 7, false));
	strcat(path, "/d");
	assert_false(xs_path_valid(path, false));
}

static void test_absolute(void **state)
{
	char out[32];

	assert_int_equal(xs_path_absolute("data/x", 12, out, sizeof(out)), 0);
	assert_string_equal(out, "/local/domain/12/data/x");
	assert_int_equal(xs_path_absolute("/x", 12, out, sizeof(out)), 0);
	assert_string_equal(out, "/x");
	assert_int_equal(xs_path_absolute("@x", 12, out, sizeof(out)), 0);
	assert_string_equal(out, "@x");
	assert_int_equal(xs_path_absolute("data/x", 12, out, 24), 0);
	assert_int_equal(xs_path_absolute("data/x", 12, out, 23), -XEN_EINVAL);
}

static void test_covers(void **state)
{
	assert_true(xs_path_covers("/a", "/a"));
	assert_true(xs_path_covers("/a", "/a/b"));
	assert_false(xs_path_covers("/a", "/ab"));
	assert_false(xs_path_covers("/a/b", "/a"));
	assert_true(xs_path_covers("/", "/a"));
	assert_true(xs_path_covers("/", "/"));
	assert_false(xs_path_covers("/", "@releaseDomain"));
	assert_true(xs_path_covers("@releaseDomain", "@releaseDomain"));
}

static void test_perms_text(void **state)
{
	static const char text[] = "n0\0r5\0w6\0b32751";
	struct xs_perms perms;
	char out[XS_PERMS_MAX * 8];

	assert_int_equal(xs_perms_parse(text, sizeof(text), &perms), 0);
	assert_int_equal(perms.count, 4);
	assert_int_equal(xs_perms_of(&perms, 0), XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER);
	assert_int_equal(xs_perms_of(&perms, 5), XS_PERM_READ);
	assert_int_equal(xs_perms_of(&perms, 6), XS_PERM_WRITE);
	assert_int_equal(xs_perms_of(&perms, 32751), XS_PERM_READ | XS_PERM_WRITE);
	assert_int_equal(xs_perms_of(&perms, 7), XS_PERM_NONE);
	assert_int_equal(xs_perms_format(&perms, out, sizeof(out)), sizeof(text));
	assert_memory_equal(out, text, sizeof(text));
	for (size_t cap = 0; cap < sizeof(text); cap++) {
		char *exact = malloc(cap); /* ASan sees a byte too many */

		assert_int_equal(xs_perms_format(&perms, exact, cap), -XEN_E2BIG);
		free(exact);
	}
}

static void test_bad_perms(void **state)
{
	struct xs_perms perms = {.count = 42};

	assert_int_equal(xs_perms_parse("", 0, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("n0", 2, &perms), -XEN_EINVAL); /* without NUL */
	assert_int_equal(xs_perms_parse("", 1, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("q0", 3, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("n", 2, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("n-1", 4, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("n32752", 7, &perms), -XEN_EINVAL);
	assert_int_equal(xs_perms_parse("n0\0\0", 4, &perms), -XEN_EINVAL);
	assert_int_equal(perms.count, 42); /* nothing is written on error */
}

static void test_numbers(void **state)
{
	uint64_t n;

	assert_true(xs_text_to_number("0", 9, &n) && n == 0);
	assert_true(xs_text_to_number("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
	assert_false(xs_text_to_number("18446744073709551616", UINT64_MAX, &n));
	assert_true(xs_text_to_number("4294967295", UINT32_MAX, &n));
	assert_false(xs_text_to_number("4294967296", UINT32_MAX, &n));
	assert_false(xs_text_to_number("7", 5, &n));
	assert_false(xs_text_to_number("", 5, &n));
	assert_false(xs_text_to_number("1x", 5, &n));
	assert_false(xs_text_to_number("-1", 5, &n));
}

static void test_names(void **state)
{
	assert_string_equal(xs_error_name(-XEN_ENOENT), "ENOENT");
	assert_string_equal(xs_error_name(XEN_EAGAIN), "EAGAIN");
	assert_string_equal(xs_error_name(-9999), "EINVAL");
	assert_int_equal(xs_error_number("EACCES", 7), -XEN_EACCES);
	assert_int_equal(xs_error_number("EACCES", 6), -XEN_EACCES);
	assert_int_equal(xs_error_number("EACCE", 5), -XEN_EINVAL);
	assert_int_equal(xs_error_number("EQUOTA", 7), -XEN_EINVAL);
	assert_string_equal(xs_type_name(XS_DIRECTORY_PART), "DIRECTORY_PART");
	assert_string_equal(xs_type_name(20), "?");
	assert_string_equal(xs_type_name(XS_INVALID), "?");
}

static void test_texts(void **state)
{
	struct xs_reader r = {"one\0\0rest", 9};

	assert_string_equal(xs_next_text(&r), "one");
	assert_string_equal(xs_next_text(&r), "");
	assert_null(xs_next_text(&r));
	assert_int_equal(r.left, 4);
}

/* A long stream in random pieces, both ways, with indices that wrap around 2^32. */
static void test_ring_carries_a_stream(void **state)
{
	static struct xenstore_domain_interface ring;
	uint8_t in[700], out[700], next_in = 0, next_out = 0;
	enum xs_side to = XS_SIDE_SERVER, from = XS_SIDE_CLIENT;

	ring.req_prod = ring.req_cons = ring.rsp_prod = ring.rsp_cons = 0xffffff00u;
	srand(2);
	for (unsigned i = 0; i < 4000; i++) {
		int len = rand() % (int)sizeof(in), put, got;

		for (int k = 0; k < len; k++)
			in[k] = (uint8_t)(next_in + k);
		put = xs_ring_put(&ring, from, in, (size_t)len);
		assert_in_range(put, 0, len);
		next_in = (uint8_t)(next_in + put);
		got = xs_ring_take(&ring, to, out, (size_t)(rand() % (int)sizeof(out)));
		for (int k = 0; k < got; k++)
			assert_int_equal(out[k], next_out++);
		if (i == 2000) {
			while (xs_ring_take(&ring, to, out, sizeof(out)) > 0)
				;
			next_in = next_out = 0;
			to = XS_SIDE_CLIENT;
			from = XS_SIDE_SERVER;
		}
	}
}

static void test_ring_refuses_lies(void **state)
{
	struct xenstore_domain_interface ring = {.req_prod = 1024};
	static char bytes[2048];

	assert_int_equal(xs_ring_take(&ring, XS_SIDE_SERVER, bytes, 2048), 1024);
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_SERVER, bytes, 2048), 1024);
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_SERVER, bytes, 1), 0);
	ring.req_prod = ring.req_cons - 1;
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_SERVER, bytes, 1), -XEN_EIO);
	ring.rsp_cons = ring.rsp_prod + 1;
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_SERVER, bytes, 1), -XEN_EIO);
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_CLIENT, bytes, 1), -XEN_EIO);
}

/* What a server has said that is no more: its half message too. The other direction is not touched. */
static void test_ring_drop(void **state)
{
	static struct xenstore_domain_interface ring;
	char byte;

	memset(&ring, 0, sizeof(ring));
	ring.rsp_prod = ring.rsp_cons = UINT32_MAX - 2;
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_SERVER, "abcdefgh", 8), 8);
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_CLIENT, "q", 1), 1);
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_CLIENT, &byte, 1), 1);
	xs_ring_drop(&ring, XS_SIDE_CLIENT);
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_CLIENT, &byte, 1), 0);
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_SERVER, &byte, 1), 1);
	assert_int_equal(byte, 'q');
	assert_int_equal(xs_ring_put(&ring, XS_SIDE_SERVER, "z", 1), 1);
	assert_int_equal(xs_ring_take(&ring, XS_SIDE_CLIENT, &byte, 1), 1);
	assert_int_equal(byte, 'z');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid_paths),
	    cmocka_unit_test(test_path_lengths),
	    cmocka_unit_test(test_path_depth),
	    cmocka_unit_test(test_absolute),
	    cmocka_unit_test(test_covers),
	    cmocka_unit_test(test_perms_text),
	    cmocka_unit_test(test_bad_perms),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_ring_carries_a_stream),
	    cmocka_unit_test(test_ring_refuses_lies),
	    cmocka_unit_test(test_ring_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
