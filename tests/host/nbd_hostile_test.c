/* nbd_hostile_test: an NBD server that lies, in seventeen replies and eight handshakes.
 *
 * Why: the server is another machine, and may be broken or hostile; what it says must not reach memory it has no business in.
 * Expected: each lie ends its connection and nothing else; over the next one the request is asked again, and answered.
 * links: drivers-native/nbd.c drivers-native/nbd_conn.c drivers-native/nbd_io.c drivers-native/disk_error.c
 * links: tests/host/nbd_script.c tests/host/nbd_world.c tests/host/fake_tcp.c lib/text.c lib/printf.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host.h>

#include "nbd_script.h"

/* ---- lies --------------------------------------------------------------------------------------------- */

static struct command asked; /* a read of 4096 bytes at 8192 */

static void lie_cookie(void)
{
	asked.cookie ^= 1;
	answer_simple(&asked, 5);
}
static void lie_old_cookie(void)
{
	asked.cookie -= 1ull << 32;
	answer_simple(&asked, 5);
}
static void lie_far_cookie(void)
{
	asked.cookie |= 0xffff;
	answer_simple(&asked, 5);
}
static void lie_twice(void)
{
	answer_simple(&asked, 5);
	answer_simple(&asked, 5);
}
static void lie_magic(void)
{
	put(8, 0x1234567812345678), put(8, asked.cookie);
}
static void lie_simple_read(void)
{
	answer_simple(&asked, 0); /* when structured ones were agreed upon */
}
static void lie_before(void)
{
	chunk(&asked, 1, 1, 8 + 512);
	put(8, 8192 - 512);
	put_bytes(medium, 512);
}
static void lie_behind(void)
{
	chunk(&asked, 1, 1, 8 + 512);
	put(8, 8192 + 4096 - 256);
	put_bytes(medium, 512);
}
static void lie_long(void)
{
	chunk(&asked, 1, 1, 8 + 65536);
	put(8, 8192);
	put_bytes(medium, 65536);
}
static void lie_twice_the_data(void)
{
	data_chunk(&asked, 0, 0, 4096);
	data_chunk(&asked, 1, 0, 4096);
}
static void lie_huge_hole(void)
{
	chunk(&asked, 1, 2, 12);
	put(8, 8192), put(4, 0xffffffff);
}
static void lie_short_hole(void)
{
	chunk(&asked, 1, 2, 4);
	put(8, 8192);
}
static void lie_empty_data(void)
{
	chunk(&asked, 1, 1, 8);
	put(8, 8192);
}
static void lie_type(void)
{
	chunk(&asked, 1, 77, 0);
}
static void lie_none_with_bytes(void)
{
	chunk(&asked, 1, 0, 9);
	put_bytes(medium, 9);
}
static void lie_short_error(void)
{
	chunk(&asked, 1, 0x8001, 2);
	put(2, 0);
}
static void lie_chunk_size(void)
{
	chunk(&asked, 1, 1, 0xfffffff0);
}

static void test_lies(void **state)
{
	static const struct {
		const char *name;
		void (*say)(void);
	} lies[] = {
	    {"a cookie of nobody", lie_cookie},
	    {"an old cookie", lie_old_cookie},
	    {"a cookie far away", lie_far_cookie},
	    {"an answer twice", lie_twice},
	    {"no magic", lie_magic},
	    {"a simple reply to a read", lie_simple_read},
	    {"data before the place", lie_before},
	    {"data behind the place", lie_behind},
	    {"more data than asked for", lie_long},
	    {"the data twice", lie_twice_the_data},
	    {"a huge hole", lie_huge_hole},
	    {"a hole without a size", lie_short_hole},
	    {"data of no length", lie_empty_data},
	    {"an unknown chunk", lie_type},
	    {"bytes in an empty chunk", lie_none_with_bytes},
	    {"an error without a number", lie_short_error},
	    {"a chunk of 4 GiB", lie_chunk_size},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		struct world_request *r = world_request(BLOCK_READ, 16, 4096, 0);
		struct host_tcp *tcp;

		(void)setup(state);
		tcp = up(true, 1);
		world_submit(disk, r);
		assert_true(next_command(tcp, &asked));
		lies[i].say();
		flush(tcp);
		if (fake_stream(0) || !nbd_stats(disk)->reconnects)
			fail_msg("'%s' is believed", lies[i].name);
		world_advance(100);
		shake(fake_stream(0), true, 1); /* what it had is asked for again, and comes */
		if (!r->ended) {
			assert_true(next_command(fake_stream(0), &asked));
			data_chunk(&asked, 1, 0, 4096);
			flush(fake_stream(0));
		}
		assert_int_equal(r->ended, 1);
		world_free(r);
		(void)teardown(state);
	}
}

static void say_hello_wrong(void)
{
	put_bytes("NBDMAGICIHAVEOPX\0\3", 18);
}
static void say_oldstyle(void)
{
	put_bytes("NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53\0\0", 18);
}
static void say_other_option(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(9, 1, 0);
}
static void say_long_reply(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(8, 1, 1 << 30);
}
static void say_go_without_export(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(8, 1, 0);
	reply_option(7, 1, 0);
}
static void say_empty_disk(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(8, 1, 0);
	reply_option(7, 3, 12);
	put(2, 0), put(8, 0), put(2, 1);
}
static void say_short_export(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(8, 1, 0);
	reply_option(7, 3, 5);
	put(2, 0), put(3, 0);
}
static void say_no_such_export(void)
{
	put_bytes("NBDMAGICIHAVEOPT\0\3", 18);
	reply_option(8, 1, 0);
	reply_option(7, 0x80000006, 3);
	put_bytes("no!", 3);
}

static void test_handshakes_that_fail(void **state)
{
	static void (*const words[])(void) = {
	    say_hello_wrong,       say_oldstyle,   say_other_option, say_long_reply,
	    say_go_without_export, say_empty_disk, say_short_export, say_no_such_export};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		(void)setup(state);
		disk = nbd_find("nbd://server/export");
		world_run();
		fake_connect(fake_stream(0));
		words[i]();
		flush(fake_stream(0));
		assert_null(fake_stream(0));
		assert_true(disk->coming);
		assert_non_null(strstr(world_log, "nbd://server/export: "));
		world_advance(200); /* and it is tried again */
		shake(fake_stream(0), true, 1);
		assert_false(disk->coming);
		(void)teardown(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_lies),
	    TEST(test_handshakes_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
