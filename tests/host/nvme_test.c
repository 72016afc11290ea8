/* nvme_test: the NVMe driver's data path, and its start-up, against a controller played by the test.
 *
 * Why: QEMU's controller answers at once and never lies. Expected: a request is cut where a PRP list
 * must be (section 4.3 of the specification) and ends once, with its first error, when its last
 * command does; an id that is not in flight ends nothing; a controller that completes for ever does
 * not keep the worker; one that does not answer at start-up keeps the page that it was told of.
 *
 * links: drivers-native/nvme.c drivers-native/nvme_init.c lib/printf.c
 */
#include "drivers-native/nvme.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint8_t registers[0x2000] __attribute__((aligned(4096)));
static unsigned pages_freed, lines_logged;
static bool completes_for_ever;
static struct nvme n;
static struct nvme_command sq[NVME_DEPTH];
static struct nvme_completion cq[NVME_DEPTH];
static uint32_t sq_doorbell, cq_doorbell;
static uint64_t lists[NVME_SLOTS][NVME_PRPS];

/* ---- what the driver asks of its surroundings ------------------------------------------------ */

void host_log(enum host_log_level level, const char *fmt, ...)
{
	lines_logged++;
	if (completes_for_ever) { /* the next entry of the queue is made new again */
		assert_true(lines_logged < 100000);
		cq[n.io.cq_head].status = n.io.phase;
	}
}
void machine_delay_us(unsigned us)
{
	registers[NVME_CSTS] =
	    registers[NVME_CC] & 1; /* ready when enabled; nothing else is answered */
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
int pci_msix_find(const struct pci_function *f, struct pci_msix *out)
{
	return -XEN_ENODEV;
}
int pci_msix_bind(const struct pci_function *f, struct pci_msix *msix, unsigned entry,
		  void (*fn)(void *ctx), void *ctx)
{
	return -XEN_ENODEV;
}
int dma_map(const struct dma_device *dev, void *va, size_t len, enum dma_direction dir,
	    dma_addr_t *out_addr)
{
	*out_addr = (dma_addr_t){(uintptr_t)va};
	return 0;
}
void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	memset(page, 0, PAGE_SIZE);
	*out_addr = (dma_addr_t){(uintptr_t)page};
	return page;
}
void *host_alloc(size_t size_bytes)
{
	return calloc(1, size_bytes);
}
void host_pages_free(void *pages, unsigned count)
{
	pages_freed++;
	free(pages);
}
void host_block_register(struct block_device *dev) {}
void peer_on_fetch(const volatile void *from, size_t len);
void peer_on_fetch(const volatile void *from, size_t len) {}
/* What a controller was told of is not taken back: no leak of the test's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- a controller whose queues the test reads and writes ---------------------------------------- */

static int setup(void **state)
{
	memset(&n, 0, sizeof(n));
	memset(cq, 0, sizeof(cq));
	n.dma.mask = ~0ull;
	n.max_transfer_pages = NVME_PRPS;
	n.sector_shift = 9;
	n.rung = true;
	n.io = (struct nvme_queue){.sq = sq,
				   .cq = cq,
				   .sq_doorbell = &sq_doorbell,
				   .cq_doorbell = &cq_doorbell,
				   .depth = NVME_DEPTH,
				   .phase = 1};
	nvme_io_init(&n);
	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		n.slots[i].prps = lists[i];
		n.slots[i].prps_at = (dma_addr_t){(uintptr_t)lists[i]};
	}
	n.disk.ops = &nvme_block_ops;
	n.disk.driver = &n;
	lines_logged = 0;
	completes_for_ever = false;
	return 0;
}

/* Completes commands in the queue's first round only: enough for a test. */
static void complete(uint16_t id, unsigned code)
{
	static struct nvme_completion *at;

	at = &cq[n.io.cq_head];
	while (at->status & 1)
		at++;
	*at = (struct nvme_completion){.id = id, .status = (uint16_t)(code << 1 | 1)};
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
	return (struct block_request){
	    .op = BLOCK_WRITE, .sector = 100, .n_segments = 5, .done = done, .segments = segments};
}

static void a_request_is_cut_where_a_list_must_be(void **state)
{
	struct block_request req = five_segments();

	n.disk.ops->submit(&n.disk, &req);
	n.disk.ops->kick(&n.disk);
	assert_int_equal(n.io.sq_tail, 2);
	assert_int_equal(sq_doorbell, 2);
	assert_int_equal(sq[0].cdw10, 100);
	assert_int_equal(sq[0].cdw12, 13 - 1);
	assert_int_equal(sq[0].prp1, 1 * PAGE_SIZE + 2048);
	assert_int_equal(sq[0].prp2, (uintptr_t)lists[sq[0].id]);
	assert_int_equal(lists[sq[0].id][0], 5 * PAGE_SIZE);
	assert_int_equal(lists[sq[0].id][1], 9 * PAGE_SIZE);
	assert_int_equal(sq[1].cdw10, 113);
	assert_int_equal(sq[1].cdw12, 15 - 1);
	assert_int_equal(sq[1].prp1, 3 * PAGE_SIZE + 512);
	assert_int_equal(sq[1].prp2, 4 * PAGE_SIZE);
}

static void a_request_ends_once_with_its_first_error(void **state)
{
	struct block_request req = five_segments();

	ended = 0;
	n.disk.ops->submit(&n.disk, &req);
	complete(sq[1].id, 0x80);
	nvme_io_interrupt(&n);
	assert_int_equal(ended, 0);
	complete(sq[0].id, 0);
	nvme_io_interrupt(&n);
	assert_int_equal(ended, 1);
	assert_int_equal(ended_with, -XEN_EIO);
	assert_int_equal(cq_doorbell, 2);
}

static void an_id_that_is_not_in_flight_ends_nothing(void **state)
{
	struct block_request req = five_segments();

	ended = 0;
	n.disk.ops->submit(&n.disk, &req);
	complete(NVME_SLOTS, 0);
	complete(0xffff, 0);
	complete(40, 0);
	nvme_io_interrupt(&n);
	assert_int_equal(lines_logged, 3);
	assert_int_equal(ended, 0);
}

static void one_that_completes_for_ever_does_not_keep_the_worker(void **state)
{
	completes_for_ever = true;
	complete(50, 0);
	nvme_io_interrupt(&n);
	assert_in_range(lines_logged, 1, 2 * NVME_DEPTH);
}

static void one_that_does_not_answer_keeps_its_page(void **state)
{
	static struct pci_function function = {.class_code = 0x010802};

	memset(registers, 0, sizeof(registers));
	pages_freed = 0;
	assert_int_equal(nvme_probe(&function), -XEN_EBUSY);
	assert_int_equal(pages_freed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_request_is_cut_where_a_list_must_be, setup),
	    cmocka_unit_test_setup(a_request_ends_once_with_its_first_error, setup),
	    cmocka_unit_test_setup(an_id_that_is_not_in_flight_ends_nothing, setup),
	    cmocka_unit_test_setup(one_that_completes_for_ever_does_not_keep_the_worker, setup),
	    cmocka_unit_test_setup(one_that_does_not_answer_keeps_its_page, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
