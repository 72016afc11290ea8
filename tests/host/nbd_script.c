/* nbd_script.c: an NBD server whose every word a test can choose; see nbd_script.h. */
#include "nbd_script.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct block_device *disk;
size_t piece = 1 << 20;
uint8_t medium[NBD_SIZE];

/* ---- the server's words ------------------------------------------------------------------------ */

static uint8_t out[NBD_SIZE + 64];
static size_t n_out;

void put(unsigned bytes, uint64_t v)
{
	while (bytes--)
		out[n_out++] = (uint8_t)(v >> (8 * bytes));
}

void put_bytes(const void *bytes, size_t len)
{
	memcpy(out + n_out, bytes, len);
	n_out += len;
}

void flush(struct host_tcp *tcp)
{
	size_t n = n_out;

	n_out = 0;
	fake_give(tcp, out, n, piece);
}

uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *at++;
	return v;
}

void greet(struct host_tcp *tcp)
{
	fake_connect(tcp);
	put_bytes("NBDMAGICIHAVEOPT", 16);
	put(2, 3);
	flush(tcp);
}

void reply_option(uint32_t option, uint32_t type, uint32_t len)
{
	put(8, 0x3e889045565a9);
	put(4, option);
	put(4, type);
	put(4, len);
}

/* Flags: 1 have, 4 flush, 8 FUA, 32 trim, 256 several. */
void put_export(unsigned flags)
{
	put(8, NBD_SIZE);
	put(2, flags);
}

/* The whole handshake; structured or not. */
void shake(struct host_tcp *tcp, bool structured, unsigned flags)
{
	greet(tcp);
	assert_non_null(fake_take(tcp, 4 + 16));
	reply_option(8, structured ? 1 : 0x80000001, 0);
	flush(tcp);
	assert_memory_equal(fake_take(tcp, 16 + 4 + 6 + 4) + 20, "export", 6);
	reply_option(7, 3, 12);
	put(2, 0);
	put_export(flags);
	reply_option(7, 3, 14);
	put(2, 3), put(4, 1), put(4, 4096), put(4, 64 << 20);
	reply_option(7, 1, 0);
	flush(tcp);
}

struct host_tcp *up(bool structured, unsigned flags)
{
	disk = nbd_find("nbd://server/export");
	assert_non_null(disk);
	world_run();
	assert_non_null(fake_stream(0));
	shake(fake_stream(0), structured, flags);
	return fake_stream(0);
}

int setup(void **state)
{
	unsigned i;

	(void)state;
	world_reset();
	fake_tcp_reset();
	n_out = 0;
	piece = 1 << 20;
	for (i = 0; i < NBD_SIZE; i++)
		medium[i] = (uint8_t)(i * 13 + (i >> 9));
	return 0;
}

int teardown(void **state)
{
	(void)state;
	nbd_exit();
	fake_tcp_reset();
	assert_int_equal(world_registered, 0);
	return 0;
}

bool next_command(struct host_tcp *tcp, struct command *c)
{
	const uint8_t *head = fake_take(tcp, 28);

	if (!head)
		return false;
	assert_int_equal(get(head, 4), 0x25609513);
	*c = (struct command){(unsigned)get(head + 4, 2), (unsigned)get(head + 6, 2),
			      get(head + 8, 8), get(head + 16, 8), (uint32_t)get(head + 24, 4)};
	if (c->type == 1)
		memcpy(medium + c->offset, fake_take(tcp, c->len), c->len);
	return true;
}

void answer_simple(const struct command *c, uint32_t error)
{
	put(4, 0x67446698);
	put(4, error);
	put(8, c->cookie);
	if (!error && c->type == 0)
		put_bytes(medium + c->offset, c->len);
}

void chunk(const struct command *c, unsigned flags, unsigned type, uint32_t len)
{
	put(4, 0x668e33ef);
	put(2, flags);
	put(2, type);
	put(8, c->cookie);
	put(4, len);
}

void data_chunk(const struct command *c, unsigned flags, uint32_t at, uint32_t len)
{
	chunk(c, flags, 1, len + 8);
	put(8, c->offset + at);
	put_bytes(medium + c->offset + at, len);
}

void expect_read(const struct world_request *r, uint64_t at, uint32_t len)
{
	assert_int_equal(r->ended, 1);
	assert_int_equal(r->status, 0);
	assert_memory_equal(r->memory, medium + at, len);
}
