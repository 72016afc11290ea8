/* nvme_full_test: the NVMe driver when there is no room for what its requests would have mapped.
 *
 * Above the kernel's own bounce buffers (iommu/swiotlb.c), which another device fills. Why: that happens under load only, and a request that is
 * lost, or waits for ever, is a guest that hangs; one that fails is a file system that goes read-only. Expected: a request waits while any of its
 * controller's is in flight, also in another queue, and goes when that is back; when nothing is, it goes as soon as others have given
 * room, also after a reset, and with its bytes; after ten seconds it fails, by name, and once; a request of which a part was sent
 * goes on with the rest; a controller that is taken away ends those that wait.
 *
 * links: tests/host/nvme_card.c tests/host/low_memory.c iommu/dma.c iommu/dma_bounce.c iommu/dma_untrusted.c iommu/dma_direct.c iommu/dma_debug.c iommu/swiotlb.c
 * links: drivers-native/disk_map.c drivers-native/nvme.c drivers-native/nvme_init.c drivers-native/nvme_admin.c drivers-native/nvme_recover.c
 * links: drivers-native/disk_error.c drivers-native/disk_watch.c drivers-native/nvme_virtual.c lib/printf.c lib/text.c
 */
#include "low_memory.h"
#include "nvme_card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PAGES 8u
#define ALL   0xffffffffu

static char *memory; /* the requests' */

struct asked {
	struct block_request req;
	struct block_segment segments[PAGES];
	unsigned times;
	int status;
};

static void asked_done(struct block_request *req, int status)
{
	struct asked *a = req->ctx;

	assert_int_equal(a->times++, 0);
	a->status = status;
}

/* Of so many pages, to this queue. */
static void ask(struct asked *a, enum block_op op, unsigned n_pages, unsigned queue)
{
	*a = (struct asked){.req = {.op = op,
				    .queue = queue,
				    .n_segments = n_pages,
				    .segments = a->segments,
				    .done = asked_done,
				    .ctx = a}};
	for (unsigned i = 0; i < n_pages; i++)
		a->segments[i] =
		    (struct block_segment){memory + i * PAGE_SIZE, (uint32_t)PAGE_SIZE};
	submit(&a->req);
}

/* What is in queue q so far, and what the controller was told of. */
static unsigned sent(unsigned q)
{
	assert_int_equal(*n->io[q]->q.sq_doorbell, n->io[q]->q.sq_tail);
	return n->io[q]->q.sq_tail;
}

static void answer(unsigned q, unsigned first, unsigned count)
{
	struct nvme_queue *queue = &n->io[q]->q;

	for (unsigned i = first; i < first + count; i++) {
		queue->cq[i].id = queue->sq[i].id;
		queue->cq[i].status = 1;
	}
	nvme_io_interrupt(n->io[q]);
}

static void looks(unsigned count)
{
	for (; count && n->watch.work.queued; count--) {
		n->watch.work.queued = false;
		play_admin();
		n->watch.work.fn(n->watch.work.ctx);
	}
	assert_int_equal(count, 0);
}

static int setup(void **state)
{
	low_leave(ALL);
	assert_int_equal(low_used(), 0);
	return nvme_card_setup(state);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void its_own_come_back(void **state)
{
	struct asked a, b, c;

	low_leave(3);
	ask(&a, BLOCK_READ, 2, 0);
	ask(&b, BLOCK_READ, 2, 1);
	ask(&c, BLOCK_READ, 1, 1); /* there is room for it, but it is behind the other */
	assert_int_equal(sent(0), 1);
	assert_int_equal(sent(1), 0);
	answer(0, 0, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(sent(1), 2);
	answer(1, 0, 2);
	assert_int_equal(b.times + c.times, 2);
	assert_int_equal(a.status | b.status | c.status, 0);
	low_leave(ALL);
	assert_int_equal(low_used(), 0);
}

static void others_give_some(void **state)
{
	struct asked a, b;

	low_leave(0);
	memset(memory, 1, PAGES * PAGE_SIZE);
	ask(&a, BLOCK_READ, 2, 0);
	ask(&b, BLOCK_WRITE, 3, 1);
	looks(DISK_ROOM_LOOKS_MAX / 2);
	assert_int_equal(a.times + b.times + sent(0) + sent(1), 0);
	low_leave(2);
	looks(1);
	assert_int_equal(sent(0), 1);
	memset((void *)io->q.sq[0].prp1, 0x5a, PAGE_SIZE);
	memset((void *)io->q.sq[0].prp2, 0x5b, PAGE_SIZE);
	low_leave(5); /* all are the other's but the two; five of these come back */
	answer(0, 0, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
	assert_int_equal(memory[0], 0x5a);
	assert_int_equal(memory[2 * PAGE_SIZE - 1], 0x5b);
	assert_int_equal(sent(1), 1);
	assert_int_equal(*(char *)n->io[1]->q.sq[0].prp1, 0x5a);
	answer(1, 0, 1);
	assert_int_equal(b.times, 1);
	assert_int_equal(b.status, 0);
	looks(1);
	assert_false(n->watch.work.queued);
}

/* Nobody gives any, or the pool is too small for it. */
static void it_is_full_for_ever(void **state)
{
	struct asked a, b, c, f;

	low_leave(1);
	ask(&a, BLOCK_READ, 2, 0);
	ask(&b, BLOCK_READ, 2, 1);
	looks(DISK_ROOM_LOOKS_MAX - 1);
	assert_int_equal(a.times + b.times, 0);
	looks(1);
	assert_int_equal(a.status, -XEN_ENOSPC);
	assert_int_equal(b.status, -XEN_ENOSPC);
	assert_false(n->watch.work.queued);
	ask(&c, BLOCK_READ, 2, 0);
	assert_int_equal(c.status, -XEN_ENOSPC); /* at once */
	ask(&c, BLOCK_READ, 1, 0);
	ask(&f, BLOCK_FLUSH, 0, 1); /* what needs no room, or finds it, goes */
	assert_int_equal(sent(0) + sent(1), 2);
	looks(1);
	answer(0, 0, 1);
	answer(1, 0, 1);
	assert_int_equal(c.times + f.times, 2);
	assert_int_equal(c.status | f.status, 0);
	ask(&a, BLOCK_READ, 2, 0); /* something went meanwhile: patience is back */
	assert_int_equal(a.times, 0);
	low_leave(2);
	looks(1);
	answer(0, 1, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
}

/* Two commands, as the first segment ends within a page; there is room for one at a time. */
static void a_part_of_it_is_sent(void **state)
{
	struct asked a;

	low_leave(1);
	a = (struct asked){
	    .req = {.op = BLOCK_WRITE,
		    .n_segments = 2,
		    .segments = a.segments,
		    .done = asked_done,
		    .ctx = &a},
	    .segments = {{memory, 512}, {memory + 2 * PAGE_SIZE, (uint32_t)PAGE_SIZE}}};
	submit(&a.req);
	assert_int_equal(sent(0), 1);
	answer(0, 0, 1);
	assert_int_equal(a.times, 0);
	assert_int_equal(sent(0), 2);
	assert_int_equal(io->q.sq[1].cdw10, 1);
	answer(0, 1, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
	/* And when what the first gave back is another's before the rest can have it. */
	a.times = 0;
	a.status = -1;
	submit(&a.req);
	low_leave(0);
	assert_int_equal(sent(0), 3);
	assert_int_equal(a.times, 0);
	low_leave(ALL);
	answer(0, 2, 1);
	answer(0, 3, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
}

static bool is_running(void)
{
	return n->watch.phase == DISK_RUNNING;
}

/* What was in flight has its room anew, though there is no other; what waited goes on waiting. */
static void a_reset_comes_between(void **state)
{
	struct asked a, b;

	low_leave(1);
	ask(&a, BLOCK_READ, 1, 0);
	ask(&b, BLOCK_READ, 2, 0);
	assert_int_equal(sent(0), 1);
	disk_watch_reset(&n->watch, "the test wants it");
	pass_time(is_running);
	assert_int_equal(a.times + b.times, 0);
	assert_int_equal(sent(0), 1);
	answer(0, 0, 1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
	looks(3);
	assert_int_equal(sent(0), 1);
	low_leave(2);
	looks(1);
	assert_int_equal(sent(0), 2);
	answer(0, 1, 1);
	assert_int_equal(b.times, 1);
	assert_int_equal(b.status, 0);
}

static void it_is_taken_away(void **state)
{
	struct asked a, b;

	low_leave(1);
	ask(&a, BLOCK_READ, 1, 0);
	ask(&b, BLOCK_READ, 1, 1);
	disk_watch_remove(n->pci->bdf);
	assert_int_equal(a.times + b.times, 2);
	assert_int_equal(a.status, -XEN_EIO);
	assert_int_equal(b.status, -XEN_EIO);
	low_leave(ALL);
	assert_int_equal(low_used(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(its_own_come_back),    TEST(others_give_some),      TEST(it_is_full_for_ever),
	    TEST(a_part_of_it_is_sent), TEST(a_reset_comes_between), TEST(it_is_taken_away),
	};

	low_begin();
	memory = aligned_alloc(PAGE_SIZE, PAGES * PAGE_SIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
