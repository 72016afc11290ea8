/* nvme_test: the NVMe driver against a controller played by the test: start-up, data path, and what happens when no
 * answer comes.
 *
 * Why: QEMU's controller answers at once and never lies. Expected: a request is cut where a PRP list must be (section
 * 4.3 of the specification) and ends once, with its first error, when its last command does; an id that is not in
 * flight ends nothing; a controller that completes for ever does not keep the worker; one that does not answer at
 * start-up keeps the page that it was told of; one that falls silent later is reset and gets its commands again, twice;
 * one that is pulled out takes its disks with it, each request ended.
 *
 * links: tests/host/fake_dma.c drivers-native/disk_map.c drivers-native/nvme.c drivers-native/nvme_init.c drivers-native/nvme_admin.c drivers-native/nvme_recover.c
 * links: drivers-native/disk_error.c drivers-native/disk_watch.c drivers-native/nvme_virtual.c lib/printf.c lib/text.c
 */
#include "drivers-native/nvme.h"
#include "drivers-native/pci_sriov.h"
#include "fake_dma.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VECTORS 3u

static uint8_t registers[0x2000] __attribute__((aligned(4096)));
static unsigned lines_logged, n_registered, n_unregistered, masters_off, creations;
static bool completes_for_ever, is_silent;
static struct nvme *n;
static struct nvme_io *io;
static struct block_device *disks[8];

static uint64_t get64(unsigned at)
{
	uint64_t v;

	memcpy(&v, registers + at, sizeof(v));
	return v;
}
static uint32_t get32(unsigned at)
{
	return (uint32_t)get64(at);
}
static void put32(unsigned at, uint32_t v)
{
	memcpy(registers + at, &v, sizeof(v));
}

/* ---- a controller's admin queue ------------------------------------------------------------------ */

/* Two namespaces, 1 and 5: of 512-byte blocks, and of 4096 with a granularity for discards. */
static void identify(const struct nvme_command *cmd)
{
	uint8_t *page = (uint8_t *)cmd->prp1;

	memset(page, 0, PAGE_SIZE);
	if (cmd->cdw10 == 1) {
		memcpy(page + 4, "number-7            ", 20);
		page[77] = 9;
		page[520] = 4;
		page[525] = 1;
	} else if (cmd->cdw10 == 2) {
		page[0] = 1;
		page[4] = 5;
	} else {
		page[1] = 8; /* blocks: 2048 */
		page[128 + 2] = cmd->nsid == 5 ? 12 : 9;
		page[24] = cmd->nsid == 5 ? 0x10 : 0;
		page[64] = page[66] = 3;
	}
}

static void play_admin(void)
{
	static unsigned head, phase;
	struct nvme_command *sq = (void *)get64(NVME_ASQ);
	volatile struct nvme_completion *cq = (void *)get64(NVME_ACQ);
	uint32_t status = get32(NVME_CSTS);

	if (!(get32(NVME_CC) & 1)) {
		head = 0;
		phase = 1;
		put32(NVME_DOORBELLS, 0);
	}
	if (status != 0xffffffff && !(status & NVME_CSTS_FATAL))
		put32(NVME_CSTS, get32(NVME_CC) & 1);
	while (!is_silent && get32(NVME_CC) & 1 && head != get32(NVME_DOORBELLS)) {
		const struct nvme_command *cmd = &sq[head];

		if (cmd->opcode == NVME_ADMIN_IDENTIFY)
			identify(cmd);
		creations += cmd->opcode == NVME_ADMIN_CREATE_SQ;
		cq[head].id = cmd->id;
		cq[head].result = 0x00010001; /* two queues, zero-based */
		cq[head].status = (uint16_t)phase;
		head = (head + 1) % NVME_ADMINS;
		phase ^= head == 0;
	}
}

/* ---- what the driver asks of its surroundings ------------------------------------------------ */

void host_log(enum host_log_level level, const char *fmt, ...)
{
	lines_logged++;
	if (completes_for_ever) { /* the next entry of the queue is made new again */
		assert_true(lines_logged < 100000);
		io->q.cq[io->q.cq_head].status = io->q.phase;
	}
}
void machine_delay_us(unsigned us)
{
	play_admin();
}
static unsigned unmapped, held_before;
void machine_mmio_unmap(void *regs, size_t len_bytes)
{
	unmapped++;
}
void *machine_mmio_map(maddr_t start, size_t len_bytes)
{
	return registers;
}
bool pci_bar(const struct pci_function *f, unsigned bar, maddr_t *out_start)
{
	return true;
}
void pci_enable(const struct pci_function *f) {}
unsigned drivers_wanted_vfs;
void pci_sriov_ready(const struct pci_function *f) {}
int pci_sriov_enable(const struct pci_function *f, unsigned wanted)
{
	return -XEN_ENODEV;
}
void pci_disable(const struct pci_function *f)
{
	masters_off++;
}
int pci_msix_find(const struct pci_function *f, struct pci_msix *out)
{
	out->entries = VECTORS;
	return 0;
}
int pci_msix_bind(const struct pci_function *f, struct pci_msix *msix, unsigned entry,
		  void (*fn)(void *ctx), void *ctx)
{
	return 0;
}
void host_block_register(struct block_device *dev)
{
	disks[n_registered++] = dev;
	n = ((struct nvme_ns *)dev->driver)->ctrl;
}
void host_block_unregister(struct block_device *dev)
{
	n_unregistered++;
}
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	work->queued = true;
}
void host_work_cancel(struct host_work *work)
{
	work->queued = false;
}
void peer_on_fetch(const volatile void *from, size_t len);
void peer_on_fetch(const volatile void *from, size_t len) {}
/* What a controller was told of is not taken back: no leak of the test's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- a controller whose queues the test reads and writes ---------------------------------------- */

static unsigned told; /* completions put into the first round of io's queue: enough for a test */

static int setup(void **state)
{
	static struct pci_function function = {.class_code = 0x010802};

	held_before = fake_held;
	memset(registers, 0, sizeof(registers));
	play_admin();
	function.bdf++; /* those of tests before are still there */
	n_registered = n_unregistered = masters_off = creations = told = 0;
	completes_for_ever = is_silent = false;
	assert_int_equal(nvme_probe(&function), 0);
	io = n->io[0];
	lines_logged = 0;
	return 0;
}

static void complete(uint16_t id, unsigned code)
{
	io->q.cq[told].id = id;
	io->q.cq[told++].status = (uint16_t)(code << 1 | 1);
}

static void complete_two(void)
{
	complete(io->q.sq[0].id, 0);
	complete(io->q.sq[1].id, 0);
}

static unsigned ended;
static int ended_with;

static void done(struct block_request *req, int status)
{
	ended++;
	ended_with = status;
}

/* Pages 1, 2, ... of the address space: never touched, as the controller is played. */
static struct block_segment segment(unsigned page, unsigned offset, unsigned len)
{
	return (struct block_segment){(void *)(uintptr_t)(page * PAGE_SIZE + offset), len};
}

static struct block_request five_segments(void)
{
	static struct block_segment segments[5];

	segments[0] = segment(1, 2048, 2048);
	segments[1] = segment(5, 0, 4096);
	segments[2] = segment(9, 0, 512); /* ends within */
	segments[3] = segment(3, 512, 3584);
	segments[4] = segment(4, 0, 4096);
	ended = 0;
	return (struct block_request){
	    .op = BLOCK_WRITE, .sector = 100, .n_segments = 5, .done = done, .segments = segments};
}

static void submit(struct block_request *req)
{
	disks[0]->ops->submit(disks[0], req);
	disks[0]->ops->kick(disks[0]);
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

/* The worker's timer, as often as it takes, or a hundred thousand times. */
static void pass_time(bool (*until)(void))
{
	for (unsigned i = 0; i < 100000 && !until() && n->watch.work.queued; i++) {
		n->watch.work.queued = false;
		play_admin();
		n->watch.work.fn(n->watch.work.ctx);
	}
	assert_true(until());
}

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
