/* ahci_test: the AHCI driver against a port played by the test: what it is told, errors, silence, a pulled cable.
 *
 * Why: QEMU's disks answer at once, and a drive that fails one of 32 queued commands says only that one failed.
 * Expected: reads and writes are queued with their numbers, and never meet a flush or a discard; after an error the
 * commands that were in flight go one by one, the bad one ends with its error and the others with their data; a port
 * that falls silent is reset and gets its commands again, twice; a disk that is pulled out ends every request; a CD-ROM
 * drive that complains is asked why before anything else, and a new medium is told.
 *
 * links: tests/host/fake_dma.c drivers-native/disk_map.c drivers-native/ahci.c drivers-native/ahci_init.c drivers-native/ahci_command.c drivers-native/ahci_recover.c
 * links: drivers-native/ahci_cd.c
 * links: drivers-native/disk_watch.c drivers-native/disk_error.c lib/printf.c lib/text.c
 */
#include "drivers-native/ahci.h"
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

static uint8_t registers[0x1100] __attribute__((aligned(4096)));
static struct block_device *disk;
static struct ahci_port *port;
static void (*interrupt)(void *ctx);
static void *interrupt_ctx;
static struct host_work *timer;
static unsigned n_gone, n_comresets;
static uint32_t active, active_queued; /* what the device has */
static bool answers_identify, is_cd;
static unsigned n_changed;

static volatile uint32_t *port_reg(enum ahci_port_reg reg)
{
	return (volatile uint32_t *)(registers + 0x100 + reg);
}
static volatile uint32_t *hba_reg(enum ahci_reg reg)
{
	return (volatile uint32_t *)(registers + reg);
}

/* ---- the device, while it is waited for ------------------------------------------------------------ */

static void identify(void)
{
	struct ahci_header *list = (void *)*(volatile uint64_t *)port_reg(PORT_CLB);
	struct ahci_table *table = (void *)list[0].table;
	uint16_t *id = (void *)table->prds[0].at;

	if (table->fis[2] == ATA_PACKET) {
		assert_int_equal(table->packet[0], 0x25);
		memcpy(id, "\0\0\x03\xe7\0\0\x08\0", 8);
		return;
	}
	assert_int_equal(table->fis[2], is_cd ? ATA_IDENTIFY_PACKET : ATA_IDENTIFY);
	memset(id, 0, 512);
	for (unsigned i = 0; i < 10; i++)
		id[10 + i] = "  sirea-l3  1       "[2 * i] << 8 | "  sirea-l3  1       "[2 * i + 1];
	id[75] = 31;
	id[76] = 1u << 8;
	id[83] = 1u << 10 | 1u << 13;
	id[84] = 0x4000 | 1u << 6;
	id[100] = 0x8000;
	id[106] = 0x4000 | 1u << 13 | 3;
	id[169] = 1;
}

void machine_delay_us(unsigned us)
{
	*hba_reg(AHCI_GHC) &= ~GHC_RESET;
	if (*port_reg(PORT_SCTL) & 1) {
		n_comresets++;
		active = active_queued = 0;
		*port_reg(PORT_CI) = *port_reg(PORT_SACT) = *port_reg(PORT_TFD) = 0;
	}
	*port_reg(PORT_IS) = 0;
	if (answers_identify && *port_reg(PORT_CI)) {
		identify();
		*port_reg(PORT_CI) = 0;
	}
}

/* ---- what the driver asks of its surroundings ------------------------------------------------ */

void host_log(enum host_log_level level, const char *fmt, ...) {}
void *machine_mmio_map(maddr_t start, size_t len_bytes)
{
	/* Six ports: what is behind them may not be ours. */
	assert_true(len_bytes <= 0x100 + 6 * 0x80);
	return registers;
}
bool pci_bar(const struct pci_function *f, unsigned bar, maddr_t *out_start)
{
	return bar == 5;
}
void pci_enable(const struct pci_function *f) {}
int pci_msi_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx)
{
	interrupt = fn;
	interrupt_ctx = ctx;
	return 0;
}
void host_block_register(struct block_device *dev)
{
	disk = dev;
	port = dev->driver;
}
void host_block_unregister(struct block_device *dev)
{
	n_gone++;
}
void host_block_changed(struct block_device *dev)
{
	n_changed++;
}
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	timer = work;
	work->queued = true;
}
void host_work_cancel(struct host_work *work)
{
	work->queued = false;
}
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- the test's hands on the device ------------------------------------------------------------------ */

static int setup(void **state)
{
	static struct pci_function function = {.class_code = 0x010601};

	memset(registers, 0, sizeof(registers));
	*hba_reg(AHCI_CAP) = CAP_NCQ | CAP_64 | 31u << 8;
	*hba_reg(AHCI_PI) = 1;
	*port_reg(PORT_SSTS) = 3;
	*port_reg(PORT_SIG) = is_cd ? SIG_CD : SIG_DISK;
	n_gone = n_comresets = n_changed = 0;
	active = active_queued = 0;
	answers_identify = true;
	disk = NULL;
	assert_int_equal(ahci_probe(&function), 0);
	assert_non_null(disk);
	answers_identify = false;
	return 0;
}

/* The registers take ones for what is new, which memory does not. */
static void device_looks(void)
{
	active_queued |= *port_reg(PORT_SACT);
	active |= *port_reg(PORT_CI);
	*port_reg(PORT_SACT) = active_queued;
	*port_reg(PORT_CI) = active;
}

static void device_says(uint32_t is)
{
	device_looks();
	*port_reg(PORT_IS) = is;
	*hba_reg(AHCI_IS) = 1;
	interrupt(interrupt_ctx);
	device_looks();
}

static void device_does(uint32_t slots)
{
	device_looks();
	assert_int_equal(active & slots, slots);
	active &= ~slots;
	active_queued &= ~slots;
	*port_reg(PORT_SACT) = active_queued;
	*port_reg(PORT_CI) = active;
	device_says(1);
}

static void device_fails(void)
{
	*port_reg(PORT_TFD) = 0x40 << 8 | TFD_ERR;
	device_says(1u << 30);
}

static void pass_time(unsigned ticks)
{
	for (; ticks && timer->queued; ticks--) {
		timer->queued = false;
		timer->fn(timer->ctx);
		device_looks();
	}
}

static const uint8_t *fis(unsigned slot)
{
	return port->slots[slot].table->fis;
}

struct ending {
	unsigned times;
	int status;
};

static void done(struct block_request *req, int status)
{
	struct ending *e = req->ctx;

	assert_int_equal(e->times++, 0);
	e->status = status;
}

static struct block_segment two_pages[2] = {{(void *)0x1000, 4096}, {(void *)0x7000, 512}};

static struct block_request request(enum block_op op, uint64_t sector, struct ending *e)
{
	*e = (struct ending){0};
	return (struct block_request){.op = op,
				      .sector = sector,
				      .segments = two_pages,
				      .n_segments = op <= BLOCK_WRITE ? 2 : 0,
				      .n_sectors = op == BLOCK_DISCARD ? 100 : 0,
				      .done = done,
				      .ctx = e};
}

static void submit(struct block_request *req)
{
	disk->ops->submit(disk, req);
	disk->ops->kick(disk);
	device_looks();
}

/* ---- the tests ------------------------------------------------------------------------------------------ */

static void what_the_disk_says(void **state)
{
	assert_string_equal(disk->serial, "sirea-l3  1");
	assert_int_equal(disk->sectors, 0x8000);
	assert_int_equal(disk->sector_size, 512);
	assert_int_equal(disk->physical_sector_size, 4096);
	assert_true(disk->has_flush && disk->has_fua && disk->has_discard);
	assert_int_equal(disk->queue_depth, 32);
	assert_int_equal(*port_reg(PORT_IE) & IS_ERRORS, IS_ERRORS);
}

static void reads_and_writes_are_queued(void **state)
{
	struct ending a, b;
	struct block_request r = request(BLOCK_READ, 0x123456, &a), w = request(BLOCK_WRITE, 7, &b);

	w.flags = BLOCK_FUA;
	submit(&r);
	submit(&w);
	assert_int_equal(active_queued, 3);
	assert_int_equal(fis(0)[2], ATA_READ_QUEUED);
	assert_int_equal(fis(0)[3], 9);
	assert_int_equal(fis(0)[4], 0x56);
	assert_int_equal(fis(0)[6], 0x12);
	assert_int_equal(fis(0)[7], 0x40);
	assert_int_equal(fis(1)[2], ATA_WRITE_QUEUED);
	assert_int_equal(fis(1)[7], 0xc0);
	assert_int_equal(fis(1)[12], 1 << 3);
	assert_int_equal(port->list[1].flags, 5 | AHCI_WRITE);
	assert_int_equal(port->list[1].n_prds, 2);
	assert_int_equal(port->slots[1].table->prds[1].at, 0x7000);
	assert_int_equal(port->slots[1].table->prds[1].last_byte, 511);
	device_does(2);
	assert_int_equal(a.times, 0);
	assert_int_equal(b.times, 1);
	device_does(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
}

static void a_flush_meets_nothing(void **state)
{
	struct ending a, b, c;
	struct block_request w = request(BLOCK_WRITE, 7, &a), f = request(BLOCK_FLUSH, 0, &b),
			     r = request(BLOCK_READ, 7, &c);

	submit(&w);
	submit(&f);
	submit(&r);
	assert_int_equal(active, 1);
	device_does(1);
	assert_int_equal(active, 1);
	assert_int_equal(active_queued, 0);
	assert_int_equal(fis(0)[2], ATA_FLUSH);
	device_does(1);
	assert_int_equal(b.times, 1);
	assert_int_equal(active_queued, 1);
	device_does(1);
	assert_int_equal(c.times, 1);
}

/* 64 ranges of 65535 sectors a command. */
static void a_long_discard_goes_in_pieces(void **state)
{
	struct ending a;
	struct block_request d = request(BLOCK_DISCARD, 10, &a);
	const uint64_t *ranges;

	d.n_sectors = 64 * 65535 + 5;
	submit(&d);
	assert_int_equal(fis(0)[2], ATA_DSM);
	assert_int_equal(fis(0)[3], 1);
	ranges = (void *)port->slots[0].table->prds[0].at;
	assert_int_equal(ranges[0], 10 | 65535ull << 48);
	assert_int_equal(ranges[63], (10 + 63 * 65535) | 65535ull << 48);
	device_does(1);
	assert_int_equal(a.times, 0);
	assert_int_equal(ranges[0], (10 + 64 * 65535) | 5ull << 48);
	assert_int_equal(ranges[1], 0);
	device_does(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
}

/* Of three, the second is bad. The first was done before; a later one waits, and is queued again. */
static void after_an_error_they_go_one_by_one(void **state)
{
	struct ending a, b, c, d;
	struct block_request first = request(BLOCK_WRITE, 1, &a), bad = request(BLOCK_READ, 2, &b),
			     third = request(BLOCK_READ, 3, &c), late = request(BLOCK_READ, 4, &d);

	submit(&first);
	submit(&bad);
	submit(&third);
	active &= ~1u;
	active_queued &= ~1u;
	*port_reg(PORT_SACT) = active_queued;
	*port_reg(PORT_CI) = active;
	device_fails();
	assert_int_equal(a.times, 1);
	assert_int_equal(b.times, 0);
	submit(&late);
	pass_time(1);
	assert_int_equal(n_comresets, 2); /* the first is the start's */
	assert_int_equal(active, 2);
	assert_int_equal(active_queued, 0);
	assert_int_equal(fis(1)[2], ATA_READ_DMA);
	assert_int_equal(fis(1)[12], 9);
	device_fails();
	assert_int_equal(b.times, 1);
	assert_int_equal(b.status, -XEN_EIO);
	pass_time(1);
	assert_int_equal(active, 4);
	device_does(4);
	assert_int_equal(c.times, 1);
	assert_int_equal(c.status, 0);
	assert_int_equal(active_queued, 1);
	device_does(1);
	assert_int_equal(d.status, 0);
	assert_int_equal(n_gone, 0);
}

/* Errors of the link and not of the command: it is tried again, but not for ever. */
static void a_link_that_always_fails(void **state)
{
	struct ending a;
	struct block_request r = request(BLOCK_READ, 1, &a);

	submit(&r);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(a.times, 0);
		device_says(1u << 27);
		pass_time(1);
	}
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, -XEN_EIO);
}

static void silence_is_followed_by_a_reset_and_the_same_commands(void **state)
{
	struct ending a, b;
	struct block_request r = request(BLOCK_READ, 1, &a), w = request(BLOCK_WRITE, 2, &b);

	submit(&r);
	submit(&w);
	pass_time(300);
	assert_int_equal(n_comresets, 2);
	pass_time(1);
	assert_int_equal(active, 1);
	device_does(1);
	assert_int_equal(active, 2);
	device_does(2);
	assert_int_equal(a.times + b.times, 2);
	assert_int_equal(a.status | b.status, 0);
	pass_time(10);
	assert_false(timer->queued);
}

static int setup_cd(void **state)
{
	is_cd = true;
	setup(state);
	is_cd = false;
	return 0;
}

static void a_medium_is_changed(void **state)
{
	struct ending a, b;
	struct block_request bad = request(BLOCK_READ, 40, &a), next = request(BLOCK_READ, 4, &b);
	const struct ahci_table *table = port->slots[0].table;
	static struct block_segment page = {(void *)0x1000, 4096};

	assert_int_equal(disk->sectors, 4000);
	assert_int_equal(disk->sector_size, 2048);
	assert_true(disk->cdrom && disk->removable && disk->readonly);
	bad.segments = next.segments = &page;
	bad.n_segments = next.n_segments = 1;
	submit(&bad);
	submit(&next);
	assert_int_equal(table->fis[2], ATA_PACKET);
	assert_memory_equal(table->packet, "\x28\0\0\0\0\x0a\0\0\x02\0", 10);
	assert_int_equal(port->list[0].flags, 5 | AHCI_PACKET);
	device_fails();
	*port_reg(PORT_TFD) = 0;
	assert_int_equal(a.status, -XEN_EIO);
	assert_int_equal(n_comresets, 1); /* the start's */
	assert_int_equal(table->packet[0], 0x03);
	active = *port_reg(PORT_CI) = 1;
	device_does(1);
	assert_int_equal(b.times, 0);
	assert_int_equal(table->packet[0], 0x28); /* which waited before the next question */
	device_does(1);
	assert_int_equal(b.times, 1);
	assert_int_equal(table->packet[0], 0x25);
	memcpy((char *)table + AHCI_EXTRA_AT, "\0\0\x07\xcf\0\0\x08\0", 8);
	device_does(1);
	assert_int_equal(n_changed, 1);
	assert_int_equal(disk->sectors, 8000);
	assert_true(port->cd_poll.queued);
}

static void one_that_is_pulled_out_ends_everything(void **state)
{
	struct ending a, b;
	struct block_request r = request(BLOCK_READ, 1, &a), f = request(BLOCK_FLUSH, 2, &b);

	submit(&r);
	submit(&f);
	*port_reg(PORT_SSTS) = 0;
	device_says(1u << 22);
	assert_int_equal(a.status, -XEN_EIO);
	assert_int_equal(b.status, -XEN_EIO);
	assert_int_equal(n_gone, 1);
	assert_int_equal(*port_reg(PORT_IE), 0);
	assert_int_equal(*port_reg(PORT_CMD) & CMD_START, 0);
}

/* The second fits when the first is back. */
static void one_that_finds_no_room_for_its_maps_waits(void **state)
{
	struct ending a, b;
	struct block_request r = request(BLOCK_READ, 1, &a), w = request(BLOCK_WRITE, 2, &b);
	unsigned before = fake_maps;

	fake_maps_max = fake_maps + 3;
	submit(&r);
	submit(&w);
	assert_int_equal(active, 1);
	assert_int_equal(fake_maps, before + 2);
	device_does(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(active, 1);
	device_does(1);
	assert_int_equal(b.times, 1);
	assert_int_equal(a.status | b.status, 0);
	fake_maps_max = ~0u;
	assert_int_equal(fake_maps, before);
}

/* Filled by others, while the port has nothing: it waits for ten seconds, and fails, or for less, and is done. */
static void one_that_others_leave_no_room_waits_for_them(void **state)
{
	struct ending a, b;
	struct block_request r = request(BLOCK_READ, 1, &a), f = request(BLOCK_FLUSH, 0, &b);

	fake_maps_max = fake_maps;
	submit(&r);
	submit(&f);
	pass_time(DISK_ROOM_LOOKS_MAX / 2);
	assert_int_equal(a.times + b.times, 0);
	assert_int_equal(active, 0);
	fake_maps_max = ~0u;
	pass_time(1);
	device_does(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
	device_does(1);
	assert_int_equal(b.times, 1);
	pass_time(1);
	assert_false(timer->queued);

	fake_maps_max = fake_maps;
	r = request(BLOCK_READ, 1, &a);
	submit(&r);
	pass_time(DISK_ROOM_LOOKS_MAX - 1);
	assert_int_equal(a.times, 0);
	pass_time(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, -XEN_ENOSPC);
	assert_false(timer->queued);
	r = request(BLOCK_READ, 1, &a);
	submit(&r);
	assert_int_equal(a.status, -XEN_ENOSPC); /* from now on at once */
	fake_maps_max = ~0u;
	r = request(BLOCK_READ, 1, &a);
	submit(&r);
	device_does(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(what_the_disk_says),
	    TEST(reads_and_writes_are_queued),
	    TEST(a_flush_meets_nothing),
	    TEST(a_long_discard_goes_in_pieces),
	    TEST(after_an_error_they_go_one_by_one),
	    TEST(a_link_that_always_fails),
	    TEST(silence_is_followed_by_a_reset_and_the_same_commands),
	    cmocka_unit_test_setup(a_medium_is_changed, setup_cd),
	    TEST(one_that_is_pulled_out_ends_everything),
	    TEST(one_that_finds_no_room_for_its_maps_waits),
	    TEST(one_that_others_leave_no_room_waits_for_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
