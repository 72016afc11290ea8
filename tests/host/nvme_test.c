/* nvme_test: the NVMe driver against a controller played by the test: start-up, data path, and what happens when no
 * answer comes.
 *
 * Why: QEMU's controller answers at once and never lies. Expected: a request is cut where a PRP list must be (section
 * 4.3 of the specification) and ends once, with its first error, when its last command does; an id that is not in
 * flight ends nothing; a controller that completes for ever does not keep the worker; one that does not answer at
 * start-up keeps the page that it was told of; one that falls silent later is reset and gets its commands again, twice;
 * one that is pulled out takes its disks with it, each request ended.
 *
 * links: tests/host/nvme_card.c tests/host/fake_dma.c drivers-native/disk_map.c drivers-native/nvme.c drivers-native/nvme_init.c drivers-native/nvme_admin.c drivers-native/nvme_recover.c
 * links: drivers-native/disk_error.c drivers-native/disk_watch.c drivers-native/nvme_virtual.c lib/printf.c lib/text.c
 */
#include "nvme_card.h"
#include "fake_dma.h"

#include <amphi/host_block.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static unsigned held_before;

static int setup(void **state)
{
	held_before = fake_held;
	return nvme_card_setup(state);
}

static void what_the_controller_says(void **state)
{
	assert_int_equal(n_registered, 2);
	assert_string_equal(disks[0]->serial, "number-7");
	assert_string_equal(disks[1]->serial, "number-7-5");
	assert_int_equal(disks[0]->sectors, 2048);
	assert_int_equal(disks[1]->sectors, 2048 * 8);
	assert_int_equal(disks[1]->sector_size, 4096);
	assert_int_equal(disks[1]->discard_granularity, 4 * 4096);
	assert_true(disks[0]->has_flush && disks[0]->has_fua && disks[0]->has_discard);
	assert_int_equal(disks[0]->max_segments, BLOCK_MAX_SEGMENTS);
	assert_int_equal(strcmp(disks[1]->name + 5, "n5"), 0);
}

static void a_request_is_cut_where_a_list_must_be(void **state)
{
	struct block_request req = five_segments();
	struct nvme_command *sq = io->q.sq;
	uint64_t *list = io->slots[0].prps;

	submit(&req);
	assert_int_equal(io->q.sq_tail, 2);
	assert_int_equal(*io->q.sq_doorbell, 2);
	assert_int_equal(sq[0].nsid, 1);
	assert_int_equal(sq[0].cdw10, 100);
	assert_int_equal(sq[0].cdw12, 13 - 1);
	assert_int_equal(sq[0].prp1, 1 * PAGE_SIZE + 2048);
	assert_int_equal(sq[0].prp2, (uintptr_t)list);
	assert_int_equal(list[0], 5 * PAGE_SIZE);
	assert_int_equal(list[1], 9 * PAGE_SIZE);
	assert_int_equal(sq[1].cdw10, 113);
	assert_int_equal(sq[1].cdw12, 15 - 1);
	assert_int_equal(sq[1].prp1, 3 * PAGE_SIZE + 512);
	assert_int_equal(sq[1].prp2, 4 * PAGE_SIZE);
}

/* As long as there are long lists; then in pieces that a short one can express. */
static void a_long_request_is_one_command(void **state)
{
	static struct block_segment segments[BLOCK_MAX_SEGMENTS];
	struct block_request reqs[NVME_LISTS + 1];

	for (unsigned i = 0; i < BLOCK_MAX_SEGMENTS; i++)
		segments[i] = segment(i + 1, 0, PAGE_SIZE);
	for (unsigned i = 0; i < NVME_LISTS; i++) {
		reqs[i] = (struct block_request){
		    .n_segments = BLOCK_MAX_SEGMENTS, .done = done, .segments = segments};
		submit(&reqs[i]);
		assert_int_equal(io->q.sq_tail, i + 1);
		assert_int_equal(io->q.sq[i].cdw12, BLOCK_MAX_SEGMENTS * 8 - 1);
		assert_int_equal(((uint64_t *)io->q.sq[i].prp2)[254], 256 * PAGE_SIZE);
	}
	reqs[NVME_LISTS] = reqs[0];
	submit(&reqs[NVME_LISTS]);
	assert_int_equal(io->q.sq[NVME_LISTS].cdw12, (NVME_PRPS + 1) * 8 - 1);
	assert_int_equal(io->q.sq_tail, NVME_LISTS + 8);
	for (unsigned i = 0; i < NVME_LISTS; i++)
		complete(io->q.sq[i].id, 0);
	nvme_io_interrupt(io);
	assert_int_equal(io->q.sq_tail, NVME_LISTS + 8);
	submit(&reqs[0]);
	assert_int_equal(io->q.sq_tail, NVME_LISTS + 9);
}

static void discards_flushes_and_fua(void **state)
{
	struct block_request d = {
	    .op = BLOCK_DISCARD, .sector = 80, .n_sectors = (1ull << 27) + 16, .done = done};
	struct block_request f = {.op = BLOCK_FLUSH, .done = done}, w = five_segments();
	struct nvme_command *sq = io->q.sq;
	struct nvme_range *range;

	disks[1]->ops->submit(disks[1], &d);
	range = (void *)sq[0].prp1;
	assert_int_equal(sq[0].opcode, NVME_CMD_DSM);
	assert_int_equal(sq[0].nsid, 5);
	assert_int_equal(sq[0].cdw11, NVME_DSM_DEALLOCATE);
	assert_int_equal(range->lba, 10);
	assert_int_equal(range->n_blocks, 1 << 24);
	range = (void *)sq[1].prp1;
	assert_int_equal(range->lba, 10 + (1 << 24));
	assert_int_equal(range->n_blocks, 2);
	complete(sq[0].id, 0);
	complete(sq[1].id, 2); /* "invalid field": it cannot */
	nvme_io_interrupt(io);
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, -XEN_EOPNOTSUPP);
	submit(&f);
	assert_int_equal(sq[2].opcode, NVME_CMD_FLUSH);
	w.flags = BLOCK_FUA;
	submit(&w);
	assert_int_equal(sq[3].cdw12, NVME_WRITE_FUA | (13 - 1));
}

static void a_hint_chooses_the_queue(void **state)
{
	struct block_request a = five_segments(), b = a;

	b.queue = 3; /* modulo two */
	submit(&a);
	submit(&b);
	assert_int_equal(n->io[0]->q.sq_tail, 2);
	assert_int_equal(n->io[1]->q.sq_tail, 2);
	assert_int_equal(*n->io[1]->q.sq_doorbell, 2);
	assert_int_equal(n->untold, 0);
}

static void a_request_ends_once_with_its_first_error(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	complete(io->q.sq[1].id, 0x80);
	nvme_io_interrupt(io);
	assert_int_equal(ended, 0);
	complete(io->q.sq[0].id, 0);
	nvme_io_interrupt(io);
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, -XEN_EIO);
	assert_int_equal(disks[0]->stats.errors, 1);
	assert_int_equal(*io->q.cq_doorbell, 2);
}

static void an_id_that_is_not_in_flight_ends_nothing(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	complete(NVME_SLOTS, 0);
	complete(0xffff, 0);
	complete(40, 0);
	nvme_io_interrupt(io);
	assert_int_equal(lines_logged, 3);
	assert_int_equal(ended, 0);
}

static void one_that_completes_for_ever_does_not_keep_the_worker(void **state)
{
	completes_for_ever = true;
	complete(50, 0);
	nvme_io_interrupt(io);
	assert_in_range(lines_logged, 1, 2 * NVME_DEPTH);
}

static void one_that_does_not_answer_keeps_its_page(void **state)
{
	static struct pci_function function = {.class_code = 0x010802};

	memset(registers, 0, sizeof(registers));
	fake_pages_freed = 0;
	is_silent = true;
	assert_int_equal(nvme_probe(&function), -XEN_EBUSY);
	assert_int_equal(fake_pages_freed, 0);
}

/* ---- silence ---------------------------------------------------------------------------------------- */

#define PHASE_IS(name, wanted)                                                                     \
	static bool name(void)                                                                     \
	{                                                                                          \
		return n->watch.phase == wanted;                                                   \
	}
PHASE_IS(is_resetting, DISK_RESETTING)
PHASE_IS(is_running, DISK_RUNNING)
PHASE_IS(is_gone, DISK_GONE)
static bool is_idle(void)
{
	return !n->watch.work.queued;
}

static void silence_is_followed_by_a_reset_and_the_same_commands(void **state)
{
	struct block_request req = five_segments(), late = req;

	submit(&req);
	pass_time(is_resetting);
	submit(&late); /* waits, without a doorbell */
	assert_int_equal(io->q.sq_tail, 2);
	creations = told = 0;
	pass_time(is_running);
	assert_int_equal(creations, 2);
	assert_int_equal(io->q.sq_tail, 4);
	assert_int_equal(*io->q.sq_doorbell, 4);
	assert_int_equal(io->q.sq[0].cdw10, 100);
	assert_int_equal(io->q.sq[0].prp1, 1 * PAGE_SIZE + 2048);
	assert_int_equal(io->q.sq[1].cdw10, 113);
	for (unsigned i = 0; i < 4; i++)
		complete(io->q.sq[i].id, 0);
	nvme_io_interrupt(io);
	assert_int_equal(ended, 2);
	assert_int_equal(ended_with, 0);
	pass_time(is_idle);
	assert_int_equal(n->watch.resets, 1);
}

static void the_third_time_it_fails(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ended, 0);
		pass_time(is_resetting);
		pass_time(is_running);
	}
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, -XEN_EIO);
	assert_int_equal(n_unregistered, 0);
	told = 0;
	submit(&req);
	complete_two();
	nvme_io_interrupt(io);
	assert_int_equal(ended, 2);
	assert_int_equal(ended_with, 0);
}

/* A lost interrupt is not a lost request. */
static void the_watchdog_takes_completions(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	complete_two();
	pass_time(is_idle);
	assert_int_equal(ended + n->watch.resets, 1);
}

/* Status "fatal", three times with the same request: it is the request. */
static void a_controller_that_fails_is_reset(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	for (unsigned i = 0; i < 3; i++) {
		put32(NVME_CSTS, NVME_CSTS_READY | NVME_CSTS_FATAL);
		pass_time(is_resetting);
		put32(NVME_CSTS, 0);
		pass_time(is_running);
	}
	assert_int_equal(n->watch.resets, 3);
	assert_int_equal(ended_with, -XEN_EIO);
}

/* By a reset of its primary controller: it is not waited for. */
static void one_that_was_turned_off_is_turned_on(void **state)
{
	struct block_request req = five_segments();

	submit(&req);
	put32(NVME_CSTS, 0);
	n->watch.work.queued = false;
	n->watch.work.fn(n->watch.work.ctx);
	assert_true(is_resetting());
	pass_time(is_running);
	told = 0;
	complete_two();
	nvme_io_interrupt(io);
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, 0);
}

static struct block_request again;

/* A user that tries again at once must not keep the driver. */
static void done_tries_again(struct block_request *req, int status)
{
	done(req, status);
	again.done = done;
	submit(&again);
}

static void one_that_is_pulled_out_takes_its_disks_along(void **state)
{
	struct block_request req = five_segments();

	again = req;
	req.done = done_tries_again;
	submit(&req);
	put32(NVME_CSTS, 0xffffffff);
	pass_time(is_gone);
	assert_int_equal(masters_off, 1);
	assert_int_equal(ended, 2);
	assert_int_equal(n_unregistered, 2);
}

static void one_that_does_not_come_back_is_gone(void **state)
{
	struct block_request req = five_segments(), held = req;

	submit(&req);
	pass_time(is_resetting);
	submit(&held);
	put32(NVME_CSTS, 0xffffffff);
	pass_time(is_gone);
	assert_int_equal(ended, 2);
	assert_int_equal(n_unregistered, 2);
}

/* It is turned off before its memory goes back to its owners, and nothing comes after it. */
static void one_that_is_taken_away_ends_all(void **state)
{
	struct block_request req = five_segments();
	uint16_t bdf = n->pci->bdf;

	submit(&req);
	disk_watch_remove(bdf + 1);
	assert_int_equal(ended, 0);
	assert_int_equal(get32(NVME_CC) & 1, 1);
	disk_watch_remove(bdf);
	assert_int_equal(get32(NVME_CC) & 1, 0);
	assert_int_equal(masters_off, 1);
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, -XEN_EIO);
	assert_int_equal(n_unregistered, 2);
	disk_watch_remove(bdf);
	assert_int_equal(n_unregistered, 2);
	assert_int_equal(unmapped, 1);
	assert_int_equal(fake_held, held_before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(what_the_controller_says),
	    TEST(a_request_is_cut_where_a_list_must_be),
	    TEST(a_long_request_is_one_command),
	    TEST(discards_flushes_and_fua),
	    TEST(a_hint_chooses_the_queue),
	    TEST(a_request_ends_once_with_its_first_error),
	    TEST(an_id_that_is_not_in_flight_ends_nothing),
	    TEST(one_that_completes_for_ever_does_not_keep_the_worker),
	    TEST(one_that_does_not_answer_keeps_its_page),
	    TEST(silence_is_followed_by_a_reset_and_the_same_commands),
	    TEST(the_third_time_it_fails),
	    TEST(the_watchdog_takes_completions),
	    TEST(a_controller_that_fails_is_reset),
	    TEST(one_that_was_turned_off_is_turned_on),
	    TEST(one_that_is_pulled_out_takes_its_disks_along),
	    TEST(one_that_does_not_come_back_is_gone),
	    TEST(one_that_is_taken_away_ends_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
