/* virtio_blk_test: the virtio-blk driver against a device played by the test.
 *
 * Why: well-behaved devices are in tests/qemu, but none of them is late, silent or lies on demand, and
 * each of these once cost memory or a request. Expected: every request ends once, with its own data
 * or an error: when it cannot be mapped and done() submits the next; when the device returns it
 * without a status; when the answer to the question for the serial number comes after nobody waits; when the device
 * falls silent and is reset, in vain, or is pulled out. A long request goes by a table, a long discard in pieces.
 * The device's registers are plain memory: it takes every feature that it offers.
 *
 * links: tests/host/no_lines.c tests/host/fake_dma.c drivers-native/disk_map.c drivers-native/virtio_blk.c drivers-native/virtio_start.c drivers-native/virtio_blk_init.c drivers-native/virtio_blk_recover.c
 * links: drivers-native/virtio_pci.c drivers-native/virtio_legacy.c drivers-native/virtio_ring.c drivers-native/pci.c
 * links: drivers-native/disk_watch.c drivers-native/disk_error.c lib/pci_cap.c lib/printf.c lib/text.c
 */
#include "drivers-native/disk_watch.h"
#include "drivers-native/virtio_ring.h"
#include "fake_dma.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/pci.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- the device ------------------------------------------------------------------------- */

#define BAR        0xfe000000u
#define SECTORS    64u
#define SERIAL     "twenty-bytes-serial!"
#define QUEUE_SIZE 64u
enum { AT_COMMON = 0x000, AT_CONFIG = 0x100, AT_NOTIFY = 0x200, AT_MSIX = 0x300 };

static struct {
	uint8_t config[256] __attribute__((aligned(16)));
	uint8_t bar[0x1000] __attribute__((aligned(4096)));
	uint8_t disk[SECTORS * SECTOR_SIZE];
	uint16_t taken; /* of the available ring */
	bool silent;    /* answers nothing */
	bool no_status; /* returns requests with no status written */
	unsigned requests;
	uint64_t discarded;
	void (*interrupt)(void *ctx), (*changed)(void *ctx);
	void *ctx;
} device;

static void put(unsigned at, uint32_t value, unsigned width)
{
	memcpy(device.config + at, &value, width);
}

/* A virtio structure's capability: type, BAR 0, offset, length, the notify multiplier. */
static void put_virtio_cap(unsigned at, unsigned next, unsigned type, uint32_t offset)
{
	put(at, PCI_CAP_VENDOR | next << 8 | 20u << 16 | type << 24, 4);
	put(at + 4, 0, 4);
	put(at + 8, offset, 4);
	put(at + 12, 0x100, 4);
	put(at + 16, 0, 4);
}

static void device_reset(void)
{
	/* In both halves: VERSION_1, FLUSH, INDIRECT, DISCARD, and what is not known. */
	uint32_t features = 1u | 1u << 9 | 1u << 13 | 1u << 28, max_discard = 1000;
	uint64_t sectors = SECTORS;
	uint16_t size = QUEUE_SIZE;

	memset(&device, 0, sizeof(device));
	put(0x00, 0x10421af4, 4);
	put(0x04, 0x10u << 16, 4);
	put(0x10, BAR, 4);
	put(0x34, 0x40, 1);
	put_virtio_cap(0x40, 0x60, 1, AT_COMMON);
	put_virtio_cap(0x60, 0x80, 2, AT_NOTIFY);
	put_virtio_cap(0x80, 0xa0, 4, AT_CONFIG);
	put(0xa0, PCI_CAP_MSIX | 1u << 16, 4); /* two vectors */
	memcpy(device.bar + AT_CONFIG + 36, &max_discard, sizeof(max_discard));
	put(0xa4, AT_MSIX, 4);
	memcpy(device.bar + AT_COMMON + 4, &features, sizeof(features));
	memcpy(device.bar + AT_COMMON + 24, &size, sizeof(size));
	memcpy(device.bar + AT_CONFIG, &sectors, sizeof(sectors));
}

static void *register_at(unsigned offset)
{
	uint64_t at;

	memcpy(&at, device.bar + offset, sizeof(at));
	return (void *)at;
}

/* Does what a chain asks for, as one that is not silent would. */
static void device_serve(const struct virtq_desc *desc, uint16_t head)
{
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	uint16_t at = head;
	uint8_t *disk;

	if (desc[head].flags & VIRTQ_DESC_INDIRECT) {
		desc = (void *)desc[head].addr;
		at = 0;
	}
	device.requests++;
	memcpy(&header, (void *)desc[at].addr, sizeof(header));
	disk = device.disk + header.sector * SECTOR_SIZE;
	for (at = desc[at].next; desc[at].flags & VIRTQ_DESC_NEXT; at = desc[at].next) {
		void *data = (void *)desc[at].addr;

		if (header.type == 8)
			memcpy(data, SERIAL, 20);
		else if (header.type == 0)
			memcpy(data, disk, desc[at].len);
		else if (header.type == 1)
			memcpy(disk, data, desc[at].len);
		else if (header.type == 11)
			device.discarded += ((uint32_t *)data)[2];
		disk += desc[at].len;
	}
	if (!device.no_status)
		*(uint8_t *)desc[at].addr = 0;
}

static void device_work(void)
{
	struct virtq_desc *desc = register_at(AT_COMMON + 32);
	struct virtq_avail *avail = register_at(AT_COMMON + 40);
	struct virtq_used *used = register_at(AT_COMMON + 48);

	while (!device.silent && device.taken != avail->idx) {
		uint16_t head = avail->ring[device.taken++ % QUEUE_SIZE];

		device_serve(desc, head);
		used->ring[used->idx % QUEUE_SIZE].id = head;
		used->idx++;
	}
}

static void device_interrupts(void)
{
	device_work();
	device.interrupt(device.ctx);
}

/* ---- what the driver asks of its surroundings ------------------------------------------------ */

static struct block_device *disk;

void *machine_mmio_map(maddr_t start, size_t len_bytes)
{
	return device.bar + (start.v - BAR);
}
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	uint32_t value = 0;

	memcpy(&value, device.config + offset, width_bytes);
	return value;
}
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	put(offset, value, width_bytes);
}
int machine_msi_bind(struct machine_msi *msi)
{
	if (msi->entry) {
		device.changed = msi->fn;
		return 0;
	}
	device.interrupt = msi->fn;
	device.ctx = msi->ctx;
	return 0;
}
void machine_delay_us(unsigned us)
{
	device_work();
}
void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr)
{
	return NULL;
}
uint32_t machine_io_read(uint16_t port, unsigned width_bytes)
{
	return 0;
}
void machine_io_write(uint16_t port, unsigned width_bytes, uint32_t value) {}
static struct host_work *timer;
void host_work_cancel(struct host_work *work)
{
	work->queued = false;
}
static unsigned n_gone, n_changed;
void host_work_after(struct host_work *work, uint64_t delay_ns)
{
	work->queued = true;
	timer = work;
}
void host_block_unregister(struct block_device *dev)
{
	n_gone++;
}
void host_block_changed(struct block_device *dev)
{
	n_changed++;
}
void host_log(enum host_log_level level, const char *fmt, ...) {}
void host_block_register(struct block_device *dev)
{
	disk = dev;
}
void peer_on_fetch(const volatile void *from, size_t len);
void peer_on_fetch(const volatile void *from, size_t len) {}
/* The driver never gives back what a device was told of: that is no leak of the test's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- the tests --------------------------------------------------------------------------- */

static void probe(bool silent)
{
	static struct pci_function function = {.vendor = 0x1af4, .device = 0x1042};

	device_reset();
	device.silent = silent;
	fake_pages_freed = 0;
	disk = NULL;
	assert_int_equal(virtio_blk_probe(&function), 0);
	assert_non_null(disk);
}

struct ending {
	unsigned times;
	int status;
	struct block_request *then; /* submitted from within done() */
};

static void done(struct block_request *req, int status)
{
	struct ending *ending = req->ctx;

	assert_int_equal(ending->times++, 0);
	ending->status = status;
	if (ending->then)
		disk->ops->submit(disk, ending->then);
}

static struct block_request request(enum block_op op, void *va, struct ending *ending)
{
	static struct block_segment segments[16]; /* each request its own, in turn */
	static unsigned next;
	struct block_segment *segment = &segments[next++ % 16];

	*segment = (struct block_segment){va, SECTOR_SIZE};
	return (struct block_request){.op = op,
				      .sector = 3,
				      .n_segments = 1,
				      .segments = segment,
				      .done = done,
				      .ctx = ending};
}

static int run(struct block_request *req, struct ending *ending)
{
	*ending = (struct ending){0};
	disk->ops->submit(disk, req);
	disk->ops->kick(disk);
	device_interrupts();
	assert_int_equal(ending->times, 1);
	return ending->status;
}

static uint8_t data[SECTOR_SIZE] __attribute__((aligned(SECTOR_SIZE)));

static void what_is_written_is_read(void **state)
{
	struct ending ending;
	struct block_request w = request(BLOCK_WRITE, data, &ending),
			     r = request(BLOCK_READ, data, &ending);
	struct block_request f = {.op = BLOCK_FLUSH, .done = done, .ctx = &ending};

	probe(false);
	assert_string_equal(disk->serial, SERIAL);
	assert_int_equal(fake_pages_freed, 1);
	assert_int_equal(disk->sectors, SECTORS);
	assert_true(disk->has_flush);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(run(&w, &ending), 0);
	assert_int_equal(device.disk[3 * SECTOR_SIZE], 0x5a);
	memset(data, 0, sizeof(data));
	assert_int_equal(run(&r, &ending), 0);
	assert_int_equal(data[SECTOR_SIZE - 1], 0x5a);
	assert_int_equal(run(&f, &ending), 0);
}

/* The slot served a good request before, so its status byte says "good" from then. */
static void a_request_returned_without_a_status_has_failed(void **state)
{
	struct ending ending;
	struct block_request r = request(BLOCK_READ, data, &ending);

	probe(false);
	assert_int_equal(run(&r, &ending), 0);
	device.no_status = true;
	assert_int_equal(run(&r, &ending), -XEN_EIO);
}

/* The failed one is off the list before its done() is called, or it would be failed again and again. */
static void one_that_cannot_be_mapped_ends_once_though_done_submits(void **state)
{
	struct ending bad_end = {0}, good_end = {0};
	struct block_request bad = request(BLOCK_READ, fake_unreachable, &bad_end);
	struct block_request good = request(BLOCK_READ, data, &good_end);

	probe(false);
	bad_end.then = &good;
	disk->ops->submit(disk, &bad);
	disk->ops->kick(disk);
	device_interrupts();
	assert_int_equal(bad_end.times, 1);
	assert_int_equal(bad_end.status, -XEN_EFAULT);
	assert_int_equal(good_end.times, 1);
	assert_int_equal(good_end.status, 0);
}

static void one_that_finds_no_room_for_its_maps_waits(void **state)
{
	struct ending ends[2] = {{0}};
	struct block_request a = request(BLOCK_READ, data, &ends[0]),
			     b = request(BLOCK_READ, data, &ends[1]);

	probe(false);
	fake_maps_max = fake_maps + 1;
	disk->ops->submit(disk, &a);
	disk->ops->submit(disk, &b);
	for (unsigned i = 0; i < 2; i++) {
		disk->ops->kick(disk);
		device_interrupts();
		assert_int_equal(ends[i].times, 1);
		assert_int_equal(ends[i].status, 0);
	}
	fake_maps_max = ~0u;
}

/* The page and the slot of the question stay the device's; its answer then ends no request. */
static void a_serial_number_that_comes_late_harms_nobody(void **state)
{
	struct ending ending;
	struct block_request r = request(BLOCK_READ, data, &ending);

	probe(true);
	assert_string_equal(disk->serial, "");
	assert_int_equal(fake_pages_freed, 0);
	device.silent = false;
	assert_int_equal(run(&r, &ending), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(run(&r, &ending), 0);
}

/* As many segments as the disk says: one request of the device's, by a table, which it gives back. */
static void a_long_request_is_one_chain(void **state)
{
	static struct block_segment segments[BLOCK_MAX_SEGMENTS];
	static uint8_t sink[SECTOR_SIZE] __attribute__((aligned(SECTOR_SIZE)));
	struct ending ending;
	struct block_request r = request(BLOCK_READ, data, &ending);

	probe(false);
	assert_in_range(disk->max_segments, 100, 254);
	for (unsigned i = 0; i < disk->max_segments; i++)
		segments[i] = (struct block_segment){sink, SECTOR_SIZE};
	r.segments = segments;
	r.n_segments = 60;
	for (unsigned i = 0; i < 40; i++) {
		device.requests = 0;
		assert_int_equal(run(&r, &ending), 0);
		assert_int_equal(device.requests, 1);
	}
}

static void a_long_discard_goes_in_pieces(void **state)
{
	struct ending ending;
	struct block_request r = {
	    .op = BLOCK_DISCARD, .n_sectors = 2500, .done = done, .ctx = &ending};

	probe(false);
	assert_true(disk->has_discard);
	ending = (struct ending){0};
	disk->ops->submit(disk, &r);
	disk->ops->kick(disk);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ending.times, 0);
		device_interrupts();
	}
	assert_int_equal(ending.times, 1);
	assert_int_equal(ending.status, 0);
	assert_int_equal(device.discarded, 2500);
}

static void a_disk_that_grows(void **state)
{
	uint64_t sectors = 2 * SECTORS;

	probe(false);
	n_changed = 0;
	device.changed(disk->driver);
	assert_int_equal(n_changed, 0);
	memcpy(device.bar + AT_CONFIG, &sectors, sizeof(sectors));
	device.changed(disk->driver);
	assert_int_equal(n_changed, 1);
	assert_int_equal(disk->sectors, sectors);
}

/* ---- silence ---------------------------------------------------------------------------------- */

static void pass_time(unsigned ticks)
{
	for (; ticks && timer->queued; ticks--) {
		timer->queued = false;
		timer->fn(timer->ctx);
		if (!device.bar[AT_COMMON + 20]) /* it was reset: its queue is new */
			device.taken = 0;
	}
}

/* Filled by another, while the device has nothing: the request waits for ten seconds, and fails, or for less, and is done. */
static void one_that_others_leave_no_room_waits_for_them(void **state)
{
	struct ending end = {0};
	struct block_request r = request(BLOCK_READ, data, &end);

	probe(false);
	fake_maps_max = fake_maps;
	for (unsigned i = 0; i < 2; i++) {
		end = (struct ending){0};
		disk->ops->submit(disk, &r);
		disk->ops->kick(disk);
		pass_time(DISK_ROOM_LOOKS_MAX / 2);
		assert_int_equal(end.times, 0);
		fake_maps_max = ~0u;
		pass_time(1);
		device_interrupts();
		assert_int_equal(end.times, 1);
		assert_int_equal(end.status, 0);
		fake_maps_max = fake_maps;
	}
	end = (struct ending){0};
	disk->ops->submit(disk, &r);
	pass_time(DISK_ROOM_LOOKS_MAX - 1);
	assert_int_equal(end.times, 0);
	pass_time(1);
	assert_int_equal(end.times, 1);
	assert_int_equal(end.status, -XEN_ENOSPC);
	assert_false(timer->queued);
	end = (struct ending){0};
	disk->ops->submit(disk, &r);
	assert_int_equal(end.status, -XEN_ENOSPC); /* from now on at once */
	fake_maps_max = ~0u;
	assert_int_equal(run(&r, &end), 0);
}

static void silence_is_followed_by_a_reset_and_the_same_requests(void **state)
{
	struct ending a = {0}, b = {0};
	struct block_request r = request(BLOCK_READ, data, &a),
			     held = request(BLOCK_READ, data, &b);

	probe(false);
	device.silent = true;
	disk->ops->submit(disk, &r);
	disk->ops->kick(disk);
	pass_time(300);
	assert_int_equal(device.bar[AT_COMMON + 20], 0);
	disk->ops->submit(disk, &held);
	disk->ops->kick(disk);
	pass_time(1);
	assert_int_equal(device.bar[AT_COMMON + 20], 15);
	device.silent = false;
	device_interrupts();
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, 0);
	assert_int_equal(b.times, 1);
	assert_int_equal(b.status, 0);
	pass_time(10);
	assert_false(timer->queued);
}

static void the_third_time_it_fails(void **state)
{
	struct ending a = {0};
	struct block_request r = request(BLOCK_READ, data, &a);

	probe(false);
	n_gone = 0;
	device.silent = true;
	disk->ops->submit(disk, &r);
	disk->ops->kick(disk);
	pass_time(700);
	assert_int_equal(a.times, 0);
	pass_time(300);
	assert_int_equal(a.times, 1);
	assert_int_equal(a.status, -XEN_EIO);
	assert_int_equal(n_gone, 0);
	device.silent = false;
	assert_int_equal(run(&r, &a), 0);
}

static void one_that_is_pulled_out_ends_everything(void **state)
{
	struct ending a = {0}, b = {0};
	struct block_request r = request(BLOCK_READ, data, &a),
			     late = request(BLOCK_READ, data, &b);

	probe(false);
	n_gone = 0;
	a.then = &late;
	device.silent = true;
	disk->ops->submit(disk, &r);
	disk->ops->kick(disk);
	device.bar[AT_COMMON + 20] = 0xff;
	pass_time(1);
	assert_int_equal(n_gone, 1);
	assert_int_equal(a.status, -XEN_EIO);
	assert_int_equal(b.times, 1);
	assert_int_equal(b.status, -XEN_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(a_request_returned_without_a_status_has_failed),
	    cmocka_unit_test(one_that_cannot_be_mapped_ends_once_though_done_submits),
	    cmocka_unit_test(one_that_finds_no_room_for_its_maps_waits),
	    cmocka_unit_test(one_that_others_leave_no_room_waits_for_them),
	    cmocka_unit_test(a_serial_number_that_comes_late_harms_nobody),
	    cmocka_unit_test(a_long_request_is_one_chain),
	    cmocka_unit_test(a_long_discard_goes_in_pieces),
	    cmocka_unit_test(a_disk_that_grows),
	    cmocka_unit_test(silence_is_followed_by_a_reset_and_the_same_requests),
	    cmocka_unit_test(the_third_time_it_fails),
	    cmocka_unit_test(one_that_is_pulled_out_ends_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
