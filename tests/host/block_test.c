/* block_test.c: pieces become requests that the device can take, and each piece ends once.
 *
 * Shows: cutting at pages and at the device's segment limit, joining of neighbours in any order of
 * arrival, the doorbell once per batch, the limit of requests in flight, errors, and by a thousand
 * random mixtures against a model that no byte goes elsewhere. Why: a request that a driver does
 * not expect, or a lost end, shows only as a hang under load. Expected: all hold.
 *
 * links: kernel/block.c kernel/block_find.c kernel/block_window.c lib/printf.c lib/text.c lib/error_name.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/string.h>
#include "kernel/block.h"

/* ---- the worker's list, and the rest of host.h that is needed ----------------------- */

static struct host_work *work_list;
static unsigned allocations;

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

static void run_work(void)
{
	struct host_work *work;

	while ((work = work_list)) {
		work_list = work->next;
		work->queued = false;
		work->fn(work->ctx);
	}
}

void *host_alloc(size_t size_bytes)
{
	allocations++;
	return calloc(1, size_bytes);
}

void host_free(void *p, size_t size_bytes)
{
	allocations -= p != NULL;
	free(p);
}

void host_log(enum host_log_level level, const char *fmt, ...) {}

static unsigned ramdisks_made;

int ramdisk_create(const char *name, uint64_t size_bytes)
{
	ramdisks_made++;
	return 0;
}

/* ---- a device that keeps what it is given until the test answers --------------------- */

#define DISK_SECTORS 4096u

static uint8_t disk[DISK_SECTORS * SECTOR_SIZE];
static struct block_request *held[64];
static unsigned n_held, kicks, most_held;
static bool at_once;

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

static void answer(unsigned i, int status)
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
static struct block_device dev;

static unsigned ends;
static int last_status;

static void piece_done(struct block_piece *piece, int status)
{
	ends++;
	last_status = status;
	*(unsigned *)piece->ctx += 1;
}

static unsigned ended[64];

static struct block_piece piece_of(unsigned n, enum block_op op, uint64_t sector, void *va,
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

static uint8_t *buffer;

static int setup(void **state)
{
	dev = (struct block_device){.ops = &fake_ops,
				    .name = "fake0",
				    .serial = "S1",
				    .sectors = DISK_SECTORS,
				    .sector_size = 512,
				    .has_flush = true,
				    .max_segments = 11,
				    .queue_depth = 4};
	n_held = kicks = most_held = ends = 0;
	at_once = false;
	buffer = aligned_alloc(PAGE_SIZE, 64 * PAGE_SIZE);
	memset(buffer, 0, 64 * PAGE_SIZE);
	return block_register(&dev);
}

static int teardown(void **state)
{
	block_unregister(&dev);
	free(buffer);
	assert_null(work_list);
	assert_int_equal(allocations, 0);
	return 0;
}

/* ---- tests -------------------------------------------------------------------------- */

static void registry(void **state)
{
	struct block_device odd = dev;

	assert_int_equal(block_register(&dev), -XEN_EEXIST);
	odd.name[0] = 'o';
	odd.sector_size = 520;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	odd.sector_size = 0;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	odd.sector_size = 512;
	odd.max_segments = BLOCK_MAX_SEGMENTS + 1;
	assert_int_equal(block_register(&odd), -XEN_EINVAL);
	assert_ptr_equal(block_find("fake0"), &dev);
	assert_null(block_find("fake"));
	assert_ptr_equal(block_find_serial("S1"), &dev);
	assert_null(block_find_serial(""));
	assert_ptr_equal(host_block_find("phy:/dev/fake0"), &dev);
	assert_ptr_equal(host_block_find("serial=S1"), &dev);
	assert_null(host_block_find("serial="));
	assert_ptr_equal(block_next(NULL), &dev);
	assert_null(block_next(&dev));
	assert_null(host_block_find("ram10"));
	assert_null(host_block_find("rambo"));
	assert_int_equal(ramdisks_made, 0);
	(void)host_block_find("ram3");
	assert_int_equal(ramdisks_made, 1);
}

/* A slice is made when it is asked for, the same one the next time; a name of two disks is none's. */
static void names(void **state)
{
	static struct block_device second;
	struct block_device *slice;
	static const char *const bad[] = {"fake0@0+",
					  "fake0@+512",
					  "fake0@1M",
					  "fake0@0+0",
					  "fake0@100+512",
					  "fake0@0+100",
					  "fake0@2M+1",
					  "fake0@2M+512",
					  "fake0@1M+1025K",
					  "fake0@0+3M",
					  "none@0+512",
					  "fake0@0x+512",
					  "fake0@99999999999G+512"};

	second = dev;
	strcpy(second.name, "fake1");
	strcpy(dev.partuuid, "abcdef01-02");
	strcpy(dev.partlabel, "data");
	strcpy(second.partlabel, "data");
	assert_ptr_equal(host_block_find("PARTUUID=ABCDEF01-02"), &dev);
	assert_null(host_block_find("PARTUUID=abcdef01-0"));
	assert_null(host_block_find("PARTUUID="));
	assert_ptr_equal(host_block_find("LABEL=data"), &dev);
	assert_int_equal(block_register(&second), 0);
	assert_null(host_block_find("PARTLABEL=data"));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(host_block_find(bad[i]));
	slice = host_block_find("phy:/dev/fake0@4K+1M");
	assert_non_null(slice);
	assert_int_equal(slice->sectors, 2048);
	assert_ptr_equal(host_block_find("PARTUUID=abcdef01-02@4096+1024K"), slice);
	assert_ptr_equal(host_block_find(slice->name), slice);
	assert_ptr_not_equal(host_block_find("fake0@4K+2K"), slice);
	assert_non_null(host_block_part_of(&dev));
	assert_null(host_block_part_of(&second));
	assert_null(host_block_part_of(slice));
	assert_true(host_block_overlap(&dev, &dev) && host_block_overlap(slice, &dev) &&
		    host_block_overlap(&dev, slice));
	assert_true(host_block_overlap(host_block_find("fake0@0+8K"), slice));
	assert_true(host_block_overlap(host_block_find("fake0@8K+4K"), slice));
	assert_false(host_block_overlap(host_block_find("fake0@0+4K"), slice)); /* side by side */
	assert_false(host_block_overlap(slice, host_block_find("fake0@1028K+4K")));
	assert_false(host_block_overlap(&second, slice));
	block_unregister(&second);
	dev.partuuid[0] = dev.partlabel[0] = 0;
}

static void a_long_piece_is_cut(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 8, buffer + 512, 25 * 8);

	block_submit(&dev, &p);
	assert_int_equal(n_held, 0);
	block_kick(&dev);
	run_work();
	assert_int_equal(n_held, 3);
	assert_int_equal(kicks, 1);
	assert_int_equal(held[0]->n_segments, 11);
	assert_int_equal(held[0]->segments[0].len_bytes, PAGE_SIZE - 512);
	assert_int_equal(held[1]->sector, 8 + 11 * 8 - 1);
	answer(1, 0);
	answer(0, 0);
	assert_int_equal(ended[0], 0);
	answer(0, 0);
	assert_int_equal(ended[0], 1);
	assert_int_equal(last_status, 0);
}

static void neighbours_are_joined(void **state)
{
	static const unsigned order[] = {0, 3, 1, 4, 2};
	struct block_piece p[6];
	unsigned i, n;

	for (i = 0; i < 5; i++) {
		n = order[i];
		p[n] = piece_of(n, BLOCK_WRITE, 16 + 8 * n, buffer + n * PAGE_SIZE, 8);
		block_submit(&dev, &p[n]);
	}
	p[5] = piece_of(5, BLOCK_READ, 16 + 8 * 5, buffer + 5 * PAGE_SIZE, 8);
	block_submit(&dev, &p[5]);
	block_kick(&dev);
	run_work();
	assert_int_equal(kicks, 1);
	assert_true(n_held <= 4);
	assert_int_equal(block_layer_stats(&dev)->pieces, 6);
	assert_true(block_layer_stats(&dev)->merged >= 2);
	while (n_held)
		answer(0, 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(ended[i], 1);
}

/* 512-byte pieces side by side in memory and on disk: one segment. */
static void small_pieces_share_a_segment(void **state)
{
	struct block_piece p[8];
	unsigned i;

	for (i = 0; i < 8; i++) {
		p[i] = piece_of(i, BLOCK_READ, 40 + i, buffer + i * 512, 1);
		block_submit(&dev, &p[i]);
	}
	run_work(); /* nobody kicked: the worker does */
	assert_int_equal(n_held, 1);
	assert_int_equal(held[0]->n_segments, 1);
	assert_int_equal(held[0]->segments[0].len_bytes, PAGE_SIZE);
	answer(0, -XEN_EIO);
	assert_int_equal(ends, 8);
	assert_int_equal(last_status, -XEN_EIO);
}

static void no_more_in_flight_than_wanted(void **state)
{
	struct block_piece p[12];
	unsigned i, kicks_before;

	for (i = 0; i < 12; i++) {
		p[i] = piece_of(i, BLOCK_READ, i * 100, buffer, 8);
		block_submit(&dev, &p[i]);
	}
	block_kick(&dev);
	run_work();
	assert_int_equal(n_held, 4);
	kicks_before = kicks;
	answer(0, 0);
	answer(0, 0);
	assert_int_equal(n_held, 2);
	run_work();
	assert_int_equal(n_held, 4);
	assert_int_equal(kicks, kicks_before + 1); /* two answers, one doorbell */
	while (n_held) {
		answer(0, 0);
		run_work();
	}
	assert_int_equal(ends, 12);
	assert_int_equal(most_held, 4);
}

static void one_bad_part_is_the_pieces_error(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_WRITE, 0, buffer, 20 * 8);

	block_submit(&dev, &p);
	block_kick(&dev);
	run_work();
	assert_int_equal(n_held, 2);
	answer(0, -XEN_EIO);
	answer(0, 0);
	assert_int_equal(ended[0], 1);
	assert_int_equal(last_status, -XEN_EIO);
}

static void wrong_pieces_are_refused(void **state)
{
	struct block_piece p;
	unsigned i;
	const struct {
		enum block_op op;
		uint64_t sector;
		unsigned va_offset, len_bytes;
		int status;
	} wrong[] = {
	    {BLOCK_READ, DISK_SECTORS, 0, 512, -XEN_EINVAL},
	    {BLOCK_READ, DISK_SECTORS - 1, 0, 1024, -XEN_EINVAL},
	    {BLOCK_READ, ~0ull, 0, 512, -XEN_EINVAL},
	    {BLOCK_READ, ~0ull - 1, 0, 4096, -XEN_EINVAL},
	    {BLOCK_READ, 0, 256, 512, -XEN_EINVAL},
	    {BLOCK_READ, 0, 0, 511, -XEN_EINVAL},
	    {BLOCK_READ, 0, 0, 0, -XEN_EINVAL},
	    {BLOCK_FLUSH, 0, 0, 512, -XEN_EINVAL},
	    {BLOCK_WRITE, 0, 0, 512, -XEN_EROFS},
	    {BLOCK_DISCARD, 0, 0, 512, -XEN_EOPNOTSUPP},
	};

	dev.readonly = true;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		p = piece_of(0, wrong[i].op, wrong[i].sector, buffer + wrong[i].va_offset, 0);
		p.len_bytes = wrong[i].len_bytes;
		block_submit(&dev, &p);
		assert_int_equal(ended[0], 1);
		assert_int_equal(last_status, wrong[i].status);
	}
	assert_int_equal(n_held, 0);
}

static void whole_sectors_of_4096(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 8, buffer, 200);

	dev.sector_size = 4096;
	dev.max_segments = 3;
	block_submit(&dev, &p);
	run_work();
	assert_int_equal(n_held, 4);
	while (n_held) {
		answer(0, 0);
		run_work();
	}
	assert_int_equal(ended[0], 1);
	p = piece_of(0, BLOCK_READ, 1, buffer, 8);
	block_submit(&dev, &p);
	assert_int_equal(last_status, -XEN_EINVAL);
}

static void a_device_that_goes_ends_what_waits(void **state)
{
	struct block_piece p[6];
	unsigned i;

	for (i = 0; i < 6; i++) {
		p[i] = piece_of(i, BLOCK_READ, i * 100, buffer, 8);
		block_submit(&dev, &p[i]);
	}
	block_unregister(&dev);
	assert_int_equal(ends, 6);
	assert_int_equal(last_status, -XEN_EIO);
	block_submit(&dev, &p[0]);
	assert_int_equal(last_status, -XEN_ENODEV);
}

/* Flushes go alone, between the pieces around them. */
static void flushes_go_alone(void **state)
{
	struct block_piece p[3];

	p[0] = piece_of(0, BLOCK_WRITE, 0, buffer, 8);
	p[1] = piece_of(1, BLOCK_FLUSH, 0, NULL, 0);
	p[2] = piece_of(2, BLOCK_FLUSH, 0, NULL, 0);
	block_submit(&dev, &p[0]);
	block_submit(&dev, &p[1]);
	block_submit(&dev, &p[2]);
	run_work();
	assert_int_equal(n_held, 3);
	while (n_held)
		answer(0, 0);
	assert_int_equal(ends, 3);
}

static unsigned submits_left, nested, nested_most;

static void submit_again(struct block_piece *piece, int status)
{
	nested++;
	nested_most = nested > nested_most ? nested : nested_most;
	ends++;
	if (submits_left) {
		submits_left--;
		block_submit(&dev, piece);
		block_kick(&dev);
	}
	nested--;
}

/* A device that ends requests inside the kick, and a user who submits and kicks inside done: the
 * stack must not grow with each. */
/* A discard is one request however long; a write through the cache is not joined, and takes its flag along. */
static void discards_and_writes_through_go_alone(void **state)
{
	struct block_piece p[4];

	dev.has_discard = dev.has_fua = true;
	p[0] = piece_of(0, BLOCK_WRITE, 0, buffer, 8);
	p[1] = piece_of(1, BLOCK_WRITE, 8, buffer + PAGE_SIZE, 8);
	p[1].flags = BLOCK_FUA;
	p[2] = piece_of(2, BLOCK_WRITE, 16, buffer + 2 * PAGE_SIZE, 8);
	p[3] = piece_of(3, BLOCK_DISCARD, 24, NULL, 2000);
	for (unsigned i = 0; i < 4; i++)
		block_submit(&dev, &p[i]);
	block_kick(&dev);
	assert_int_equal(n_held, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(held[i]->flags, held[i]->sector == 8 ? BLOCK_FUA : 0);
	assert_int_equal(held[3]->op, BLOCK_DISCARD);
	assert_int_equal(held[3]->n_sectors, 2000);
	assert_int_equal(held[3]->n_segments, 0);
	while (n_held)
		answer(0, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ended[i], 1);
	p[0] = piece_of(0, BLOCK_READ, 0, buffer, 8);
	p[0].flags = BLOCK_FUA;
	block_submit(&dev, &p[0]);
	assert_int_equal(last_status, -XEN_EOPNOTSUPP);
	dev.has_discard = dev.has_fua = false;
}

static void ends_inside_the_kick(void **state)
{
	struct block_piece p = piece_of(0, BLOCK_READ, 0, buffer, 8);

	p.done = submit_again;
	at_once = true;
	submits_left = 1000;
	nested_most = 0;
	block_submit(&dev, &p);
	block_kick(&dev);
	run_work();
	assert_int_equal(ends, 1001);
	assert_int_equal(nested_most, 1);
}

/* Random writes, each to a stretch of its own, some side by side: the disk must hold what was
 * written and nothing else, whenever and in whatever order the device answers. */
static void random_mixture(bool immediate, unsigned seed)
{
	static uint8_t expected[sizeof(disk)];
	struct block_piece p[40];
	unsigned round, i, n, at, sectors;

	srand(seed);
	at_once = immediate;
	memcpy(expected, disk, sizeof(disk));
	for (round = 0; round < 200; round++) {
		n = 1 + (unsigned)rand() % 40;
		for (i = 0; i < 64 * PAGE_SIZE; i++)
			buffer[i] = (uint8_t)rand();
		for (i = 0, at = (unsigned)rand() % 64; i < n; i++, at += sectors) {
			at += rand() % 2 ? 1 + (unsigned)rand() % 8 : 0;
			sectors = 1 + (unsigned)rand() % 80;
			p[i] = piece_of(i, BLOCK_WRITE, at, buffer + rand() % 200 * 512, sectors);
			memcpy(expected + at * 512, p[i].va, p[i].len_bytes);
		}
		for (i = 0; i < n; i += 2)
			block_submit(&dev, &p[i]);
		for (i = 1; i < n; i += 2)
			block_submit(&dev, &p[i]);
		run_work();
		while (n_held) {
			answer((unsigned)rand() % n_held, 0);
			run_work();
		}
		for (i = 0; i < n; i++)
			assert_int_equal(ended[i], 1);
	}
	assert_memory_equal(expected, disk, sizeof(disk));
}

static void random_mixtures(void **state)
{
	random_mixture(false, 1);
	random_mixture(true, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(registry, setup, teardown),
	    cmocka_unit_test_setup_teardown(names, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_long_piece_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(neighbours_are_joined, setup, teardown),
	    cmocka_unit_test_setup_teardown(small_pieces_share_a_segment, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_more_in_flight_than_wanted, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_bad_part_is_the_pieces_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_pieces_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(whole_sectors_of_4096, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_device_that_goes_ends_what_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(flushes_go_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(discards_and_writes_through_go_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_inside_the_kick, setup, teardown),
	    cmocka_unit_test_setup_teardown(random_mixtures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
