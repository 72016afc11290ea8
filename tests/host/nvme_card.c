/* nvme_card.c: the controller of nvme_card.h, and the machine around it.
 *
 * Called by tests. Its admin queue is played while time passes; of its I/O queues a test reads the commands and writes the completions.
 */
#include "nvme_card.h"
#include "drivers-native/pci_sriov.h"

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

uint8_t registers[0x2000] __attribute__((aligned(4096)));
unsigned lines_logged, n_registered, n_unregistered, masters_off, creations;
bool completes_for_ever, is_silent;
struct nvme *n;
struct nvme_io *io;
struct block_device *disks[8];

static uint64_t get64(unsigned at)
{
	uint64_t v;

	memcpy(&v, registers + at, sizeof(v));
	return v;
}
uint32_t get32(unsigned at)
{
	return (uint32_t)get64(at);
}
void put32(unsigned at, uint32_t v)
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

void play_admin(void)
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
unsigned unmapped;
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

unsigned told; /* completions put into the first round of io's queue: enough for a test */

int nvme_card_setup(void **state)
{
	static struct pci_function function = {.class_code = 0x010802};

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

void complete(uint16_t id, unsigned code)
{
	io->q.cq[told].id = id;
	io->q.cq[told++].status = (uint16_t)(code << 1 | 1);
}

void complete_two(void)
{
	complete(io->q.sq[0].id, 0);
	complete(io->q.sq[1].id, 0);
}

unsigned ended;
int ended_with;

void done(struct block_request *req, int status)
{
	ended++;
	ended_with = status;
}

/* Pages 1, 2, ... of the address space: never touched, as the controller is played. */
struct block_segment segment(unsigned page, unsigned offset, unsigned len)
{
	return (struct block_segment){(void *)(uintptr_t)(page * PAGE_SIZE + offset), len};
}

struct block_request five_segments(void)
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

void submit(struct block_request *req)
{
	disks[0]->ops->submit(disks[0], req);
	disks[0]->ops->kick(disks[0]);
}

/* The worker's timer, as often as it takes, or a hundred thousand times. */
void pass_time(bool (*until)(void))
{
	for (unsigned i = 0; i < 100000 && !until() && n->watch.work.queued; i++) {
		n->watch.work.queued = false;
		play_admin();
		n->watch.work.fn(n->watch.work.ctx);
	}
	assert_true(until());
}
