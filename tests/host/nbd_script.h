/* nbd_script.h: an NBD server whose every word a test can choose, over fake_tcp.h.
 *
 * For nbd_test and nbd_hostile_test. Words are put one after another and sent by flush, in pieces of at most `piece`. The disk is
 * "nbd://server/export", NBD_SIZE bytes, which the server has in `medium`.
 */
#ifndef TESTS_NBD_SCRIPT_H
#define TESTS_NBD_SCRIPT_H

#include "fake_tcp.h"
#include "nbd_world.h"

#define NBD_SIZE (1u << 20)

extern struct block_device *disk;
extern size_t piece;
extern uint8_t medium[NBD_SIZE];

/* A request that was sent: its command and place. */
struct command {
	unsigned flags, type;
	uint64_t cookie, offset;
	uint32_t len;
};

/* Big-endian. */
void put(unsigned bytes, uint64_t v);
void put_bytes(const void *bytes, size_t len);
void flush(struct host_tcp *tcp);
uint64_t get(const uint8_t *at, unsigned bytes);
/* The server's first words. */
void greet(struct host_tcp *tcp);
void reply_option(uint32_t option, uint32_t type, uint32_t len);
/* Flags: 1 have, 2 read-only, 4 flush, 8 FUA, 32 trim, 256 several. */
void put_export(unsigned flags);
/* The whole handshake; structured replies or not. */
void shake(struct host_tcp *tcp, bool structured, unsigned flags);
/* Finds the disk and shakes hands: the stream. */
struct host_tcp *up(bool structured, unsigned flags);
/* For cmocka. */
int setup(void **state);
int teardown(void **state);
/* The next request that was sent; a write's data goes to the medium. False: there is none. */
bool next_command(struct host_tcp *tcp, struct command *c);
/* Replies, of either kind; error 0: done, with a read's data. */
void answer_simple(const struct command *c, uint32_t error);
void chunk(const struct command *c, unsigned flags, unsigned type, uint32_t len);
/* len bytes of what was asked for, from `at` of it. */
void data_chunk(const struct command *c, unsigned flags, uint32_t at, uint32_t len);
void expect_read(const struct world_request *r, uint64_t at, uint32_t len);

#endif
