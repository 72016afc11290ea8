/* nbd_test: a disk of an NBD server, with a server that is a script.
 *
 * Why: a request that is lost, sent twice in the wrong order or answered with another's data is a file system's end. Expected: both
 * handshakes, both kinds of replies in any order and any pieces, requests replayed in order over a new connection, errors told.
 * What real servers say is in nbd_server_test, what wrong ones say in nbd_hostile_test.
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

/* ---- tests ---------------------------------------------------------------------------------------- */

static void test_handshake(void **state)
{
	(void)state;
	(void)up(true, 1 | 4 | 8 | 32);
	assert_false(disk->coming);
	assert_int_equal(world_registered, 1);
	assert_int_equal(world_changed, 1);
	assert_int_equal(disk->sectors, NBD_SIZE / 512);
	assert_true(disk->has_flush && disk->has_fua && disk->has_discard && !disk->readonly);
	assert_int_equal(disk->max_segments, BLOCK_MAX_SEGMENTS);
	assert_ptr_equal(nbd_find("nbd://server/export"), disk);
}

/* A server that knows neither structured replies nor GO, and sends the zeroes of old. */
static void test_old_server(void **state)
{
	struct world_request *r = world_request(BLOCK_READ, 8, 4096, 0);
	static const uint8_t zeroes[124];
	struct host_tcp *tcp;
	struct command c;

	(void)state;
	piece = 1;
	disk = nbd_find("nbd://server/export");
	world_run();
	tcp = fake_stream(0);
	fake_connect(tcp);
	put_bytes("NBDMAGICIHAVEOPT", 16);
	put(2, 1);
	flush(tcp);
	assert_memory_equal(fake_take(tcp, 20), "\0\0\0\1IHAVEOPT", 12);
	reply_option(8, 0x80000001, 5);
	put_bytes("sorry", 5);
	flush(tcp);
	assert_non_null(fake_take(tcp, 30));
	reply_option(7, 0x80000001, 0);
	flush(tcp);
	assert_memory_equal(fake_take(tcp, 22), "IHAVEOPT\0\0\0\1\0\0\0\6export", 22);
	put_export(1 | 2);
	put_bytes(zeroes, 124);
	flush(tcp);
	assert_false(disk->coming);
	assert_true(disk->readonly);
	world_submit(disk, r);
	assert_true(next_command(tcp, &c));
	answer_simple(&c, 0);
	flush(tcp);
	expect_read(r, 4096, 4096);
	world_free(r);
}

static void test_uris(void **state)
{
	static const char *const bad[] = {"nbd://",       "nbd:///e",        "nbd://h:/e",
					  "nbd://h:0/e",  "nbd://h:65536/e", "nbd://h:12x/e",
					  "nbd://[::1/e", "nbd://h:1"};
	unsigned i;

	(void)state;
	for (i = 0; i + 1 < ARRAY_SIZE(bad); i++)
		assert_null(nbd_find(bad[i]));
	assert_non_null(nbd_find("nbd://h:1"));
	assert_non_null(nbd_find("nbd://[fe80::1]:10/a/b,c"));
}

/* Reads and writes of odd shapes, replies in the other order, in pieces of every size. */
static void do_io(bool structured, size_t pieces)
{
	struct world_request *w = world_request(BLOCK_WRITE, 16, 9 * 512, 1024);
	struct world_request *a = world_request(BLOCK_READ, 2, 20480, 512);
	struct world_request *b = world_request(BLOCK_READ, 100, 512, 0);
	struct host_tcp *tcp = up(structured, 1);
	struct command cw, ca, cb;

	piece = pieces;
	memset(w->memory, 0xaa, 9 * 512);
	tcp->room = 5; /* and the rest when there is room */
	world_submit(disk, w);
	world_submit(disk, a);
	world_submit(disk, b);
	while (tcp->n_sent - tcp->n_read < 3 * 28 + 9 * 512) {
		tcp->room = 700;
		tcp->ops->writable(tcp->ctx);
	}
	assert_true(next_command(tcp, &cw) && next_command(tcp, &ca) && next_command(tcp, &cb));
	assert_int_equal(cw.type, 1);
	assert_int_equal(medium[16 * 512 + 9 * 512 - 1], 0xaa);
	if (structured) {
		data_chunk(&cb, 1, 0, 512);
		data_chunk(&ca, 0, 8192, 12288);
		memset(medium + 1024 + 1000, 0, 3000);
		chunk(&ca, 0, 2, 12);
		put(8, 1024 + 1000), put(4, 3000);
		data_chunk(&ca, 0, 0, 1000);
		data_chunk(&ca, 0, 4000, 4192);
		chunk(&ca, 1, 0, 0);
	} else {
		answer_simple(&cb, 0);
		answer_simple(&ca, 0);
	}
	answer_simple(&cw, 0);
	flush(tcp);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->status, 0);
	expect_read(a, 1024, 20480);
	expect_read(b, 51200, 512);
	world_free(w), world_free(a), world_free(b);
}

static void test_io(void **state)
{
	static const size_t pieces[] = {1 << 20, 1, 3, 17, 1460};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		(void)setup(state);
		do_io(false, pieces[i]);
		(void)teardown(state);
		(void)setup(state);
		do_io(true, pieces[i]);
		(void)teardown(state);
	}
}

static void test_flags_and_errors(void **state)
{
	struct world_request *w = world_request(BLOCK_WRITE, 0, 512, 0);
	struct world_request *f = world_request(BLOCK_FLUSH, 0, 0, 0);
	struct world_request *r = world_request(BLOCK_READ, 0, 512, 0);
	struct host_tcp *tcp = up(true, 1 | 4 | 8);
	struct command c;

	(void)state;
	w->req.flags = BLOCK_FUA;
	world_submit(disk, w);
	assert_true(next_command(tcp, &c));
	assert_int_equal(c.flags, 1);
	answer_simple(&c, 28);
	flush(tcp);
	assert_int_equal(w->status, -XEN_ENOSPC);
	world_submit(disk, f);
	assert_true(next_command(tcp, &c));
	assert_int_equal(c.type, 3);
	answer_simple(&c, 0);
	flush(tcp);
	assert_int_equal(f->ended, 1);
	world_submit(disk, r);
	assert_true(next_command(tcp, &c));
	chunk(&c, 1, 0x8001, 6 + 4);
	put(4, 5), put(2, 4), put_bytes("disk", 4);
	flush(tcp);
	assert_int_equal(r->status, -XEN_EIO);
	assert_int_equal(disk->stats.errors, 2);
	r->ended = 0;
	world_submit(disk, r); /* "done", it says, and has sent half of it */
	assert_true(next_command(tcp, &c));
	data_chunk(&c, 0, 0, 256);
	chunk(&c, 1, 0, 0);
	flush(tcp);
	assert_int_equal(r->ended, 1);
	assert_int_equal(r->status, -XEN_EIO);
	world_free(w), world_free(f), world_free(r);
}

/* More than a command's 32 bits of length. */
static void test_long_discard(void **state)
{
	struct world_request *r = world_request(BLOCK_DISCARD, 8, 0, 0);
	struct host_tcp *tcp = up(true, 1 | 32);
	uint64_t at = 4096;
	struct command c;

	(void)state;
	r->req.n_sectors = (5ull << 30) / 512;
	world_submit(disk, r);
	while (next_command(tcp, &c)) {
		assert_int_equal(r->ended, 0);
		assert_int_equal(c.type, 4);
		assert_int_equal(c.offset, at);
		at += c.len;
		answer_simple(&c, 0);
		flush(tcp);
	}
	assert_int_equal(at, 4096 + (5ull << 30));
	assert_int_equal(r->ended, 1);
	world_free(r);
}

/* The server goes away under load: what it had not answered is sent again, in the order in which it was submitted. */
static void test_replay(void **state)
{
	struct world_request *r[40];
	struct host_tcp *tcp = up(true, 1);
	struct command c;
	unsigned i;

	(void)state;
	for (i = 0; i < 40; i++) { /* more than a connection takes at once */
		r[i] = world_request(BLOCK_READ, i * 8, 4096, 0);
		world_submit(disk, r[i]);
	}
	for (i = 0; i < 32; i++) {
		assert_true(next_command(tcp, &c));
		if (i != 5)
			continue;
		data_chunk(&c, 1, 0, 4096);
		flush(tcp);
	}
	fake_end(tcp, -XEN_EIO);
	assert_int_equal(nbd_stats(disk)->connections, 0);
	world_advance(100);
	tcp = fake_stream(0);
	assert_non_null(tcp);
	shake(tcp, false, 1);
	for (i = 0; i < 40; i++) {
		if (i == 5)
			continue;
		assert_true(next_command(tcp, &c));
		assert_int_equal(c.offset, i * 4096);
		answer_simple(&c, 0);
		flush(tcp);
	}
	for (i = 0; i < 40; i++) {
		expect_read(r[i], i * 4096, 4096);
		world_free(r[i]);
	}
	assert_int_equal(nbd_stats(disk)->replayed, 32);
	assert_int_equal(world_registered, 1);
}

static void test_away_too_long(void **state)
{
	struct world_request *r = world_request(BLOCK_READ, 0, 512, 0);
	struct host_tcp *tcp = up(true, 1);

	(void)state;
	world_submit(disk, r);
	fake_refuse = -XEN_ECONNREFUSED;
	fake_end(tcp, 0);
	world_advance(NBD_AWAY_MS - 10000);
	assert_int_equal(r->ended, 0);
	world_advance(20000);
	assert_int_equal(r->ended, 1);
	assert_int_equal(r->status, -XEN_EIO);
	fake_refuse = 0;
	world_advance(6000);
	shake(fake_stream(0), true, 1); /* and later it is back */
	assert_int_equal(nbd_stats(disk)->connections, 1);
	world_free(r);
}

/* Connected, and nothing comes back. */
static void test_silence(void **state)
{
	struct world_request *r = world_request(BLOCK_READ, 0, 512, 0);
	struct command c;

	(void)state;
	(void)up(true, 1);
	world_submit(disk, r);
	world_advance(32000);
	assert_int_equal(nbd_stats(disk)->reconnects, 1);
	shake(fake_stream(0), true, 1);
	assert_true(next_command(fake_stream(0), &c));
	data_chunk(&c, 1, 0, 512);
	flush(fake_stream(0));
	expect_read(r, 0, 512);
	world_free(r);
}

static void test_several_connections(void **state)
{
	struct world_request *r[8];
	struct command c;
	unsigned i;

	(void)state;
	(void)up(true, 1 | 256);
	world_run();
	for (i = 1; i < NBD_CONNECTIONS; i++)
		shake(fake_stream(i), true, 1 | 256);
	assert_int_equal(nbd_stats(disk)->connections, NBD_CONNECTIONS);
	for (i = 0; i < 8; i++) {
		r[i] = world_request(BLOCK_READ, i * 8, 512, 0);
		world_submit(disk, r[i]);
	}
	fake_end(fake_stream(2), -XEN_EIO); /* its two go to the others */
	for (i = 0; i < NBD_CONNECTIONS; i++) {
		struct host_tcp *tcp = fake_stream(i);

		while (tcp && next_command(tcp, &c)) {
			data_chunk(&c, 1, 0, 512);
			flush(tcp);
		}
	}
	for (i = 0; i < 8; i++) {
		expect_read(r[i], i * 4096, 512);
		world_free(r[i]);
	}
}

/* The size is another when the server is back: users are told. */
static void test_resize(void **state)
{
	struct host_tcp *tcp = up(true, 1);

	(void)state;
	fake_end(tcp, 0);
	world_advance(100);
	shake(fake_stream(0), true, 1 | 2);
	assert_int_equal(world_changed, 2);
	assert_true(disk->readonly);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_handshake),
	    TEST(test_old_server),
	    TEST(test_uris),
	    TEST(test_io),
	    TEST(test_flags_and_errors),
	    TEST(test_long_discard),
	    TEST(test_replay),
	    TEST(test_away_too_long),
	    TEST(test_silence),
	    TEST(test_several_connections),
	    TEST(test_resize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
