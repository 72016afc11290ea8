/* virtio_blk.c: virtio block devices on PCI, modern interface (virtio 1.0 and later).
 *
 * Transitional devices have the modern interface too and are driven by it; legacy-only ones are
 * refused. One queue, one MSI-X vector. Specification 1.1: 4.1 (PCI), 3.1.1 (start-up), 5.2 (block).
 * All in the worker context. Probed by drivers.c, used through struct block_ops.
 */
#include "virtio_ring.h"

#include <amphi/block.h>
#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/pci.h>
#include <amphi/peer.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#define VENDOR_VIRTIO  0x1af4u
#define DEVICE_BLK_OLD 0x1001u
#define DEVICE_BLK     0x1042u

#define VENDOR_CAP_LEN 20u /* with the notify capability's multiplier */

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_DEVICE = 4 };
enum { STATUS_ACK = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };

/* Bit numbers of section 5.2.3 and, from 32 on, of section 6. What is not here is not accepted. The
 * last (ACCESS_PLATFORM) promises that the device is only given addresses that dma_map made, which
 * is so. */
#define FEATURE_RO        (1ull << 5)
#define FEATURE_BLK_SIZE  (1ull << 6)
#define FEATURE_FLUSH     (1ull << 9)
#define FEATURE_VERSION_1 (1ull << 32)
#define FEATURE_IOMMU     (1ull << 33)

enum { VBLK_IN = 0, VBLK_OUT = 1, VBLK_FLUSH = 4, VBLK_GET_ID = 8 };

/* Section 4.1.4.3. In the device's registers: each access is one of the field's own width. */
struct common_cfg {
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t msix_config, num_queues;
	uint8_t status, generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint64_t queue_desc, queue_driver, queue_device;
};

struct vblk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* One request in flight: header and status byte live in a shared page, 32 bytes each. */
#define VBLK_SLOTS       64u
#define VBLK_SEGMENTS    32u /* in one request */
#define STATUS_UNWRITTEN 0xffu
struct vblk_slot {
	struct vblk_header *header;
	uint8_t *status;
	dma_addr_t at;
	struct block_request *req;
	struct vblk_slot *next_free;
};

/* One disk. The way of a request:
 *
 *    vblk_submit -> waiting (a list) -> pump -> start -> virtq_add     the device's from here
 *                      ^                                    |
 *    no slot, no room  '---- stays the first                '-- vblk_kick: one notification
 *                                                             vblk_interrupt, finish, done() */
struct vblk {
	const struct pci_function *pci;
	struct dma_device dma;
	struct pci_msix msix;
	volatile struct common_cfg *common;
	volatile uint8_t *config;
	volatile uint16_t *notify;
	uint32_t notify_multiplier, notify_len;
	struct virtq queue;
	struct vblk_slot slots[VBLK_SLOTS], *free;
	struct block_request *waiting, **waiting_tail;
	bool added; /* since the last kick */
	struct block_device disk;
};

/* ---- data path ---------------------------------------------------------------------- */

static uint32_t request_type(const struct block_request *req)
{
	static const uint32_t type[] = {
	    [BLOCK_READ] = VBLK_IN, [BLOCK_WRITE] = VBLK_OUT, [BLOCK_FLUSH] = VBLK_FLUSH};

	return type[req->op];
}

/* Header, data, status: what the device gets of one request. Readable pieces before those that the
 * device writes, as section 2.6.4.2 demands. The sector is in units of 512 whatever blk_size says
 * (5.2.6). A status that no device may answer stands there until the device writes its own, so that
 * one that returns a request undone does not pass for good. */
static int make_pieces(struct vblk *v, struct vblk_slot *slot, const struct block_request *req,
		       struct virtq_piece *pieces, unsigned *out_n)
{
	unsigned n = 0;

	*slot->header = (struct vblk_header){.type = request_type(req),
					     .sector = req->op == BLOCK_FLUSH ? 0 : req->sector};
	*slot->status = STATUS_UNWRITTEN;
	pieces[n++] = (struct virtq_piece){slot->at, sizeof(*slot->header), false};
	for (unsigned i = 0; req->op != BLOCK_FLUSH && i < req->n_segments; i++) {
		const struct block_segment *s = &req->segments[i];
		enum dma_direction dir = req->op == BLOCK_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
		int err = dma_map(&v->dma, s->va, s->len_bytes, dir, &pieces[n].at);

		if (err)
			return err;
		pieces[n].len = s->len_bytes;
		pieces[n++].device_writes = req->op == BLOCK_READ;
	}
	pieces[n++] = (struct virtq_piece){{slot->at.v + sizeof(*slot->header)}, 1, true};
	*out_n = n;
	return 0;
}

static void end_request(struct vblk *v, struct block_request *req, int status)
{
	struct block_stats *stats = &v->disk.stats;

	stats->errors += status != 0;
	stats->flushes += req->op == BLOCK_FLUSH;
	for (unsigned i = 0; req->op != BLOCK_FLUSH && i < req->n_segments; i++)
		*(req->op == BLOCK_READ ? &stats->bytes_read : &stats->bytes_written) +=
		    req->segments[i].len_bytes;
	req->done(req, status);
}

/* Puts one request into the queue. -XEN_EBUSY: no room now; any other error is the request's. A
 * slot is taken only when the queue has taken the request: until then nothing has to be undone.
 * There may be slots without room in the queue, since a request of many segments needs many
 * descriptors. */
static int start(struct vblk *v, struct block_request *req)
{
	struct virtq_piece pieces[VBLK_SEGMENTS + 2];
	struct vblk_slot *slot = v->free;
	unsigned n;
	int err;

	if (!slot)
		return -XEN_EBUSY;
	err = make_pieces(v, slot, req, pieces, &n);
	if (err)
		return err;
	if (!virtq_add(&v->queue, pieces, n, slot))
		return -XEN_EBUSY;
	slot->req = req;
	v->free = slot->next_free;
	v->added = true;
	return 0;
}

static void pump(struct vblk *v)
{
	while (v->waiting) {
		struct block_request *req = v->waiting;
		int err = start(v, req);

		if (err == -XEN_EBUSY)
			return;
		/* Off the list before done() can come: it may submit again, which runs this loop
		 * again. */
		v->waiting = req->next;
		if (!v->waiting)
			v->waiting_tail = &v->waiting;
		if (err)
			end_request(v, req, err);
	}
}

static void vblk_submit(struct block_device *disk, struct block_request *req)
{
	struct vblk *v = disk->driver;

	req->next = NULL;
	*v->waiting_tail = req;
	v->waiting_tail = &req->next;
	disk->stats.requests++;
	pump(v);
}

/* Nothing added, nothing to tell; and a device that is busy with the queue says that it need not be
 * told (used.flags), which spares an exit. */
static void vblk_kick(struct block_device *disk)
{
	struct vblk *v = disk->driver;

	if (!v->added)
		return;
	v->added = false;
	if (!virtq_publish(&v->queue))
		return;
	disk->stats.notifications_out++;
	*v->notify = 0; /* the queue's number */
}

static const struct block_ops vblk_ops = {.submit = vblk_submit, .kick = vblk_kick};

/* The status is the device's word and is read once. A slot without a request is read_serial's,
 * which had stopped waiting. */
static void finish(struct vblk *v, struct vblk_slot *slot)
{
	struct block_request *req = slot->req;
	int status = *(volatile uint8_t *)slot->status ? -XEN_EIO : 0;

	slot->req = NULL;
	slot->next_free = v->free;
	v->free = slot;
	if (req)
		end_request(v, req, status);
}

static void vblk_interrupt(void *ctx)
{
	struct vblk *v = ctx;
	bool bad = false;

	v->disk.stats.notifications_in++;
	for (unsigned n = 0; n < 2 * VIRTQ_MAX; n++) { /* more cannot be in flight at once */
		struct vblk_slot *slot = virtq_take(&v->queue, &bad);

		/* The queue has refused it and stays whole; what the device still owes us may come
		 * yet. */
		if (bad)
			host_log(HOST_LOG_WARN,
				 "%s: the device returned a request it does not have",
				 v->disk.name);
		else if (!slot)
			break;
		else
			finish(v, slot);
	}
	pump(v);
	vblk_kick(&v->disk);
}

/* ---- start-up ----------------------------------------------------------------------- */

/* Maps the structure that a vendor capability of this type describes (section 4.1.4). The first of
 * its type that can be mapped is taken, as section 4.1.4.1 asks of drivers: a device offers them in
 * the order of its preference. One in an I/O BAR (for legacy use) is passed over. At most 16 are
 * looked at. */
static volatile void *map_structure(struct vblk *v, unsigned type, unsigned *out_cap)
{
	const struct pci_function *f = v->pci;

	for (unsigned cap = pci_find_capability(f, PCI_CAP_VENDOR, 0), n = 0; cap && n < 16;
	     cap = pci_find_capability(f, PCI_CAP_VENDOR, cap), n++) {
		uint32_t offset, len;
		maddr_t start;

		if (cap + VENDOR_CAP_LEN > 256 || machine_pci_read(f->bdf, cap + 3, 1) != type ||
		    !pci_bar(f, machine_pci_read(f->bdf, cap + 4, 1), &start))
			continue;
		offset = machine_pci_read(f->bdf, cap + 8, 4);
		len = machine_pci_read(f->bdf, cap + 12, 4);
		*out_cap = cap;
		return machine_mmio_map((maddr_t){start.v + offset}, MIN(len, 0x10000u));
	}
	return NULL;
}

/* 64 bits through a window of 32 (section 4.1.4.3). */
static uint64_t device_features(struct vblk *v)
{
	uint64_t features;

	v->common->device_feature_select = 0;
	features = v->common->device_feature;
	v->common->device_feature_select = 1;
	return features | (uint64_t)v->common->device_feature << 32;
}

static int negotiate(struct vblk *v, uint64_t *out_features)
{
	uint64_t known =
	    FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_VERSION_1 | FEATURE_IOMMU;
	uint64_t features;

	/* Section 3.1.1 in its order: reset, seen, driver, features, FEATURES_OK, and whether that
	 * bit stayed. A reset is over when the status reads 0. */
	v->common->status = 0;
	for (unsigned n = 0; v->common->status && n < 1000; n++)
		machine_delay_us(100);
	v->common->status = STATUS_ACK | STATUS_DRIVER;
	features = device_features(v) & known;
	/* Without it the rings would be those of the legacy interface, in its byte order. */
	if (!(features & FEATURE_VERSION_1))
		return -XEN_EOPNOTSUPP;
	for (unsigned half = 0; half < 2; half++) {
		v->common->driver_feature_select = half;
		v->common->driver_feature = (uint32_t)(features >> 32 * half);
	}
	v->common->status = STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK;
	if (!(v->common->status & STATUS_FEATURES_OK))
		return -XEN_EOPNOTSUPP;
	*out_features = features;
	return 0;
}

/* Two halves, which section 4.1.3.1 allows and every device takes. */
static void write_address(volatile uint64_t *reg, uint64_t value)
{
	((volatile uint32_t *)reg)[0] = (uint32_t)value;
	((volatile uint32_t *)reg)[1] = (uint32_t)(value >> 32);
}

static int start_queue(struct vblk *v)
{
	uint16_t size;
	int err;

	/* The window shows queue 0 from here on, and there is no other. Its size may be lowered by
	 * the driver; ours fits one page (virtio_ring.h). */
	v->common->queue_select = 0;
	size = (uint16_t)MIN(v->common->queue_size, VIRTQ_MAX);
	if (size < VBLK_SEGMENTS + 2 || (size & (size - 1)))
		return -XEN_EOPNOTSUPP;
	err = virtq_init(&v->queue, &v->dma, size);
	if (err)
		return err;
	v->common->queue_size = size;
	v->common->queue_msix_vector = 0;
	/* Read back because a device that has no vector left answers by 0xffff here and in no other
	 * way. The configuration's own vector stays unset after reset: we do not hear of a size
	 * that changes. */
	if (v->common->queue_msix_vector != 0)
		return -XEN_ENOSPC;
	write_address(&v->common->queue_desc, v->queue.at.v + offsetof(struct virtq_page, desc));
	write_address(&v->common->queue_driver, v->queue.at.v + offsetof(struct virtq_page, avail));
	write_address(&v->common->queue_device, v->queue.at.v + offsetof(struct virtq_page, used));
	/* Where this queue's notification is written (4.1.4.4). The device names both factors, so
	 * the place is checked against what it said it has and what was mapped. */
	if ((uint64_t)v->common->queue_notify_off * v->notify_multiplier + 2 > v->notify_len)
		return -XEN_EINVAL;
	v->notify += v->common->queue_notify_off * v->notify_multiplier / 2;
	/* Last: from here on the device may read the rings. */
	v->common->queue_enable = 1;
	return 0;
}

/* 32 bytes hold header (16) and status (1) and keep the next header aligned; 64 of them are half a
 * page. None is within the memory of a user: the device writes its status where only status is. */
static int alloc_slots(struct vblk *v)
{
	const unsigned each = 32;
	dma_addr_t at;
	uint8_t *page = dma_page_alloc(&v->dma, &at);

	if (!page)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < VBLK_SLOTS; i++) {
		struct vblk_slot *slot = &v->slots[i];

		slot->header = (struct vblk_header *)(page + i * each);
		slot->status = page + i * each + sizeof(*slot->header);
		slot->at = (dma_addr_t){at.v + i * each};
		slot->next_free = v->free;
		v->free = slot;
	}
	return 0;
}

/* Asks the device for its serial number, waiting for it without interrupts: at most a second. */
static void read_serial(struct vblk *v)
{
	struct vblk_slot *slot = v->free;
	dma_addr_t at;
	char *page = dma_page_alloc(&v->dma, &at);
	struct virtq_piece pieces[] = {{slot->at, sizeof(*slot->header), false},
				       {at, 20, true},
				       {{slot->at.v + sizeof(*slot->header)}, 1, true}};
	bool bad = false;
	void *back = NULL;

	if (!page)
		return;
	*slot->header = (struct vblk_header){.type = VBLK_GET_ID};
	*slot->status = STATUS_UNWRITTEN;
	v->free = slot->next_free;
	/* Not among the free ones from here on, as the device has it. When no answer comes both
	 * slot and page stay the device's: it may write into them at any time from now. */
	virtq_add(&v->queue, pieces, ARRAY_SIZE(pieces), slot);
	virtq_publish(&v->queue);
	*v->notify = 0;
	for (unsigned n = 0; n < 100000 && !(back = virtq_take(&v->queue, &bad)) && !bad; n++)
		machine_delay_us(10);
	if (!back) {
		host_log(HOST_LOG_WARN, "%s: the device does not tell its serial number",
			 v->disk.name);
		return;
	}
	slot->next_free = v->free;
	v->free = slot;
	if (*(volatile uint8_t *)slot->status == 0) {
		/* 20 bytes, and no NUL when all are used (5.2.6). */
		memcpy(v->disk.serial, page, 20);
		v->disk.serial[20] = '\0';
	}
	host_pages_free(page, 1);
}

/* The notify structure last: its capability's offset is used after the loop, for the multiplier
 * that follows it. */
static int map_device(struct vblk *v)
{
	unsigned cap = 0;

	v->common = map_structure(v, CFG_COMMON, &cap);
	v->config = map_structure(v, CFG_DEVICE, &cap);
	v->notify = map_structure(v, CFG_NOTIFY, &cap);
	if (!v->common || !v->config || !v->notify)
		return -XEN_EOPNOTSUPP; /* legacy only */
	v->notify_multiplier = machine_pci_read(v->pci->bdf, cap + 16, 4);
	v->notify_len = MIN(machine_pci_read(v->pci->bdf, cap + 12, 4), 0x10000u);
	return 0;
}

/* Read once at start-up, with the disk not yet registered; blk_size other than 512 and 4096 is
 * taken for a hint and served as 512, in which units the device counts anyway. */
static void describe(struct vblk *v, uint64_t features)
{
	volatile uint32_t *capacity = (volatile uint32_t *)v->config; /* in sectors of 512 bytes */
	uint32_t block =
	    features & FEATURE_BLK_SIZE ? *(volatile uint32_t *)(v->config + 20) : SECTOR_SIZE;

	v->disk.ops = &vblk_ops;
	v->disk.driver = v;
	v->disk.sectors = capacity[0] | (uint64_t)capacity[1] << 32;
	v->disk.sector_size = block == 4096 ? 4096 : SECTOR_SIZE;
	v->disk.readonly = features & FEATURE_RO;
	v->disk.has_flush = features & FEATURE_FLUSH;
	v->disk.max_segments = VBLK_SEGMENTS;
	v->disk.queue_depth = VBLK_SLOTS;
}

static int bring_up(struct vblk *v)
{
	uint64_t features = 0;
	int err = map_device(v);

	if (err)
		return err;
	pci_enable(v->pci);
	err = negotiate(v, &features);
	if (!err)
		err = alloc_slots(v);
	if (!err)
		err = pci_msix_find(v->pci, &v->msix);
	if (!err)
		err = pci_msix_bind(v->pci, &v->msix, 0, vblk_interrupt, v);
	if (!err)
		err = start_queue(v);
	if (err)
		return err;
	/* Before the first notification (3.1.1): a device does not look at its queues until
	 * then. */
	v->common->status = STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK;
	describe(v, features);
	read_serial(v);
	return 0;
}

int virtio_blk_probe(const struct pci_function *f)
{
	static unsigned count;
	struct vblk *v;
	int err;

	if (f->vendor != VENDOR_VIRTIO || (f->device != DEVICE_BLK && f->device != DEVICE_BLK_OLD))
		return -XEN_ENODEV;
	v = host_alloc(sizeof(*v));
	if (!v)
		return -XEN_ENOMEM;
	v->pci = f;
	v->dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	v->waiting_tail = &v->waiting;
	fmt_text(v->disk.name, sizeof(v->disk.name), "vd%c", (char)('a' + count % 26));
	err = bring_up(v);
	if (err)
		return err;
	count++;
	host_block_register(&v->disk);
	return 0;
}
