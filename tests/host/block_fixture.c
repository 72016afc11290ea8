/* block_fixture.c: the disk of block_fixture.h, and the rest of host.h that the block layer needs.
 *
 * It checks every request against what the device said it takes. Called by the tests of kernel/block*.c.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/nbd.h>

#include "block_fixture.h"

struct block_device *fixture_nbd;

struct block_device *nbd_find(const char *uri)
{
	assert_memory_equal(uri, "nbd://", 6);
	return fixture_nbd;
}

/* ---- the worker's list, and the rest of host.h that is needed ----------------------- */

static struct host_work *work_list;
unsigned allocations;

void host_work_soon(struct host_work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	work->next = work_list;
	work_list = work;
}

void host_work_cancel(struct host_work *work)
{
	struct host_work **link = &work_list;

	while (*link && *link != work)
		link = &(*link)->next;
	if (*link)
		*link = work->next;
	work->queued = false;
}

void run_work(void)
{
	struct host_work *work;

	while ((work = work_list)) {
		work_list = work->next;
		work->queued = false;
		work->fn(work->ctx);
	}
}

bool no_memory;

void *host_alloc(size_t size_bytes)
{
	if (no_memory)
		return NULL;
	allocations++;
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	allocations -= p != NULL;
	free(p);
}

void host_log(enum host_log_level level, const char *fmt, ...) {}

unsigned ramdisks_made;

int ramdisk_create(const char *name, uint64_t size_bytes, uint32_t sector_size)
{
	ramdisks_made++;
	return 0;
}

/* ---- a device that keeps what it is given until the test answers --------------------- */

uint8_t disk[DISK_SECTORS * SECTOR_SIZE];
struct block_request *held[BUFFER_PAGES];
unsigned n_held, kicks, most_held;
bool at_once;

static void check_request(const struct block_device *dev, const struct block_request *req)
{
	uint64_t bytes = 0;
	unsigned i;

	assert_true(req->n_segments <= dev->max_segments);
	for (i = 0; i < req->n_segments; i++) {
		uintptr_t va = (uintptr_t)req->segments[i].va;
		uint32_t len = req->segments[i].len_bytes;

		assert_true(len > 0 && len % dev->sector_size == 0 && va % dev->sector_size == 0);
		assert_int_equal(va / PAGE_SIZE, (va + len - 1) / PAGE_SIZE);
		bytes += len;
	}
	assert_true(req->op > BLOCK_WRITE ? bytes == 0 : bytes > 0);
	assert_true(req->sector * SECTOR_SIZE + bytes <= sizeof(disk));
}

void answer(unsigned i, int status)
{
	struct block_request *req = held[i];
	uint8_t *at = disk + req->sector * SECTOR_SIZE;
	unsigned s;

	held[i] = held[--n_held];
	for (s = 0; s < req->n_segments && !status; s++) {
		void *va = req->segments[s].va;
		uint32_t len = req->segments[s].len_bytes;

		memcpy(req->op == BLOCK_WRITE ? (void *)at : va,
		       req->op == BLOCK_WRITE ? va : (void *)at, len);
		at += len;
	}
	req->done(req, status);
}

static void fake_submit(struct block_device *dev, struct block_request *req)
{
	check_request(dev, req);
	assert_true(n_held < dev->queue_depth);
	held[n_held++] = req;
	most_held = n_held > most_held ? n_held : most_held;
}

static void fake_kick(struct block_device *dev)
{
	kicks++;
	while (at_once && n_held)
		answer(0, 0);
}

static const struct block_ops fake_ops = {fake_submit, fake_kick};
struct block_device fake;

unsigned ends;
int last_status;

static void piece_done(struct block_piece *piece, int status)
{
	ends++;
	last_status = status;
	*(unsigned *)piece->ctx += 1;
}

unsigned ended[BUFFER_PAGES];

struct block_piece piece_of(unsigned n, enum block_op op, uint64_t sector, void *va,
			    unsigned sectors)
{
	ended[n] = 0;
	return (struct block_piece){.op = op,
				    .sector = sector,
				    .va = va,
				    .len_bytes = sectors * SECTOR_SIZE,
				    .done = piece_done,
				    .ctx = &ended[n]};
}

uint8_t *buffer;

int setup(void **state)
{
	fake = (struct block_device){.ops = &fake_ops,
				     .name = "fake0",
				     .serial = "S1",
				     .sectors = DISK_SECTORS,
				     .sector_size = 512,
				     .has_flush = true,
				     .max_segments = 11,
				     .queue_depth = 4};
	n_held = kicks = most_held = ends = 0;
	at_once = false;
	buffer = aligned_alloc(PAGE_SIZE, BUFFER_PAGES * PAGE_SIZE);
	memset(buffer, 0, BUFFER_PAGES * PAGE_SIZE);
	return block_register(&fake);
}

int teardown(void **state)
{
	block_unregister(&fake);
	free(buffer);
	assert_null(work_list);
	assert_int_equal(allocations, 0);
	return 0;
}

void register_again(unsigned segments, unsigned depth)
{
	block_unregister(&fake);
	fake.max_segments = segments;
	fake.queue_depth = depth;
	assert_int_equal(block_register(&fake), 0);
}

void answer_all(void)
{
	while (n_held) {
		answer(n_held / 2, 0);
		run_work();
	}
}
