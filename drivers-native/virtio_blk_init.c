/* virtio_blk_init.c: finds a virtio block device, starts it, and describes it as a disk.
 *
 * Modern and transitional devices and, where memory allows, legacy ones (virtio_pci.h). As many queues as the device
 * and its vectors give, up to four; a vector more tells of a change of size. The data path is virtio_blk.c. Probed by
 * drivers.c.
 */
#include "virtio_blk.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#define DEVICE_BLK_OLD 0x1001u
#define DEVICE_BLK     0x1042u

/* Bit numbers of section 5.2.3. What is not here is not accepted. */
#define FEATURE_SEG_MAX  (1ull << 2)
#define FEATURE_RO       (1ull << 5)
#define FEATURE_BLK_SIZE (1ull << 6)
#define FEATURE_FLUSH    (1ull << 9)
#define FEATURE_TOPOLOGY (1ull << 10)
#define FEATURE_MQ       (1ull << 12)
#define FEATURE_DISCARD  (1ull << 13)
#define FEATURES                                                                                   \
	(FEATURE_SEG_MAX | FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_TOPOLOGY |      \
	 FEATURE_MQ | FEATURE_DISCARD | VIRTIO_FEATURE_INDIRECT)

/* Section 5.2.4. */
enum {
	CFG_CAPACITY = 0,
	CFG_SEG_MAX = 12,
	CFG_BLK_SIZE = 20,
	CFG_PHYSICAL_EXP = 24,
	CFG_NUM_QUEUES = 34,
	CFG_MAX_DISCARD = 36,
	CFG_DISCARD_ALIGN = 44
};

#define SERIAL_LEN 20u

/* ---- start ------------------------------------------------------------------------------------------ */

/* The device is reset. After the first start the features are those of the first. */
int vblk_start(struct vblk *v)
{
	uint64_t features;
	int err = virtio_pci_negotiate(&v->pci, v->features ? v->features : FEATURES, &features);
	uint16_t config =
	    (uint16_t)(v->pci.msix.entries > v->n_queues ? v->n_queues : VIRTIO_NO_VECTOR);

	if (!err && v->features && features != v->features)
		err = -XEN_EOPNOTSUPP;
	v->features = features;
	for (unsigned i = 0; i < v->n_queues && !err; i++)
		err = virtio_pci_queue(&v->pci, &v->queues[i]->vq, VBLK_DIRECT + 2, (uint16_t)i);
	if (err)
		return err;
	if (config != VIRTIO_NO_VECTOR)
		virtio_pci_config_vector(&v->pci, config);
	/* Before the first notification (3.1.1): a device does not look at its queues until
	 * then. */
	virtio_pci_ready(&v->pci);
	return 0;
}

static int alloc_slots(struct vblk *v, struct vblk_queue *queue)
{
	dma_addr_t at;
	struct vblk_shared *page = dma_page_alloc(&v->pci.dma, &at);

	if (!page)
		return -XEN_ENOMEM;
	for (unsigned i = 0; i < VBLK_SLOTS; i++) {
		struct vblk_slot *slot = &queue->slots[i];

		slot->shared = &page[i];
		slot->at = (dma_addr_t){at.v + i * sizeof(*page)};
		slot->next_free = queue->free;
		queue->free = slot;
	}
	return 0;
}

static int add_queue(struct vblk *v)
{
	struct vblk_queue *queue = host_alloc(sizeof(*queue));
	int err;

	if (!queue)
		return -XEN_ENOMEM;
	queue->disk = v;
	queue->vq.index = (uint16_t)v->n_queues;
	disk_waiting_init(&queue->waiting);
	err = alloc_slots(v, queue);
	if (!err)
		err = pci_msix_bind(v->pci.pci, &v->pci.msix, v->n_queues, vblk_interrupt, queue);
	if (!err)
		v->queues[v->n_queues++] = queue;
	return err;
}

static void alloc_tables(struct vblk *v)
{
	for (unsigned i = 0; i < VBLK_TABLES; i++) {
		struct vblk_table *table = &v->tables[i];

		table->desc = dma_page_alloc(&v->pci.dma, &table->at);
		if (!table->desc)
			return;
		table->next = v->free_table;
		v->free_table = table;
	}
}

static void config_changed(void *ctx)
{
	struct vblk *v = ctx;
	uint64_t before = v->disk.sectors;

	if (v->watch.phase != DISK_RUNNING)
		return;
	vblk_read_size(v);
	if (v->disk.sectors == before)
		return;
	host_log(HOST_LOG_INFO, "%s: %llu KiB now", v->disk.name,
		 (unsigned long long)v->disk.sectors / 2);
	host_block_changed(&v->disk);
}

/* How many there may be is in the configuration, which can be read before the start. One vector is left for a change
 * of it, when there are two. */
static int add_queues(struct vblk *v)
{
	unsigned most = 1, vectors = v->pci.msix.entries;
	uint64_t features;
	int err = virtio_pci_negotiate(&v->pci, FEATURES, &features);

	/* The first queue after it: by then is known how the device reaches memory. */
	if (!err)
		err = add_queue(v);
	if (err)
		return err;
	if (features & FEATURE_MQ)
		most = MIN(VBLK_QUEUES, virtio_pci_config(&v->pci, CFG_NUM_QUEUES, 2));
	while (v->n_queues < MIN(most, vectors - 1) && !add_queue(v))
		;
	if (vectors > v->n_queues)
		(void)pci_msix_bind(v->pci.pci, &v->pci.msix, v->n_queues, config_changed, v);
	if (features & VIRTIO_FEATURE_INDIRECT)
		alloc_tables(v);
	return 0;
}

/* ---- what the disk is ----------------------------------------------------------------------------------- */

void vblk_read_size(struct vblk *v)
{
	v->disk.sectors = virtio_pci_config64(&v->pci, CFG_CAPACITY);
}

/* A chain without a table lies in the queue, with header and status. */
static unsigned max_segments(const struct vblk *v)
{
	unsigned most = v->free_table ? VBLK_SEGMENTS : v->queues[0]->vq.q.size - 2u;

	if (v->features & FEATURE_SEG_MAX)
		most = MIN(most, virtio_pci_config(&v->pci, CFG_SEG_MAX, 4));
	else
		most = MIN(most, 126u); /* what devices of the time before that word take */
	return MAX(most, 1u);
}

static void describe_discard(struct vblk *v)
{
	v->max_discard = virtio_pci_config(&v->pci, CFG_MAX_DISCARD, 4);
	v->disk.has_discard = v->max_discard != 0;
	v->disk.discard_granularity =
	    MIN(virtio_pci_config(&v->pci, CFG_DISCARD_ALIGN, 4), 1u << 16) * SECTOR_SIZE;
}

/* blk_size other than 512 and 4096 is taken for a hint and served as 512, in which units the device counts
 * anyway. */
static void describe(struct vblk *v)
{
	uint32_t block = v->features & FEATURE_BLK_SIZE
			     ? virtio_pci_config(&v->pci, CFG_BLK_SIZE, 4)
			     : SECTOR_SIZE;

	vblk_read_size(v);
	v->disk.ops = &vblk_ops;
	v->disk.driver = v;
	v->disk.pci = v->pci.pci->bdf;
	v->disk.sector_size = block == 4096 ? 4096 : SECTOR_SIZE;
	if (v->features & FEATURE_TOPOLOGY)
		v->disk.physical_sector_size =
		    v->disk.sector_size << MIN(virtio_pci_config(&v->pci, CFG_PHYSICAL_EXP, 1), 7u);
	v->disk.readonly = v->features & FEATURE_RO;
	v->disk.has_flush = v->features & FEATURE_FLUSH;
	if (v->features & FEATURE_DISCARD)
		describe_discard(v);
	v->disk.max_segments = max_segments(v);
	v->disk.n_queues = v->n_queues;
	v->disk.queue_depth = VBLK_SLOTS * v->n_queues;
}

/* Asks the device for its serial number, waiting for it without interrupts: at most a second. */
static void read_serial(struct vblk *v)
{
	struct vblk_queue *queue = v->queues[0];
	struct vblk_slot *slot = queue->free;
	dma_addr_t at;
	char *page = dma_page_alloc(&v->pci.dma, &at);
	struct virtq_piece pieces[] = {
	    {slot->at, 16, false},
	    {at, SERIAL_LEN, true},
	    {{slot->at.v + offsetof(struct vblk_shared, status)}, 1, true}};
	bool bad = false;
	void *back = NULL;

	if (!page)
		return;
	*slot->shared = (struct vblk_shared){.type = VBLK_GET_ID, .status = VBLK_UNWRITTEN};
	queue->free = slot->next_free;
	/* Not among the free ones from here on, as the device has it. When no answer comes both
	 * slot and page stay the device's: it may write into them at any time from now. */
	virtq_add(&queue->vq.q, pieces, ARRAY_SIZE(pieces), slot);
	virtq_publish(&queue->vq.q);
	virtio_pci_notify(&v->pci, &queue->vq);
	for (unsigned n = 0; n < 100000 && !(back = virtq_take(&queue->vq.q, &bad)) && !bad; n++)
		machine_delay_us(10);
	if (!back) {
		host_log(HOST_LOG_WARN, "%s: the device does not tell its serial number",
			 v->disk.name);
		return;
	}
	slot->next_free = queue->free;
	queue->free = slot;
	if (*(volatile uint8_t *)&slot->shared->status == VBLK_OK) {
		/* 20 bytes, and no NUL when all are used (5.2.6). */
		memcpy(v->disk.serial, page, SERIAL_LEN);
		v->disk.serial[SERIAL_LEN] = '\0';
	}
	dma_page_free(&v->pci.dma, page, at);
}

static int bring_up(struct vblk *v)
{
	int err = virtio_pci_begin(&v->pci);

	if (!err)
		err = add_queues(v);
	/* Anew, as the features were only looked at. */
	if (!err)
		err = virtio_pci_reset_now(&v->pci);
	if (!err)
		err = vblk_start(v);
	if (err)
		return err;
	describe(v);
	read_serial(v);
	return 0;
}

int virtio_blk_probe(const struct pci_function *f)
{
	static unsigned count;
	struct vblk *v;
	int err;

	if (f->vendor != VIRTIO_VENDOR || (f->device != DEVICE_BLK && f->device != DEVICE_BLK_OLD))
		return -XEN_ENODEV;
	v = host_alloc(sizeof(*v));
	if (!v)
		return -XEN_ENOMEM;
	v->pci.pci = f;
	v->pci.dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	fmt_text(v->disk.name, sizeof(v->disk.name), "vd%c", (char)('a' + count % 26));
	(void)str_copy(v->watch.name, sizeof(v->watch.name), v->disk.name);
	vblk_watch_init(v);
	err = bring_up(v);
	if (err)
		return err;
	count++;
	host_block_register(&v->disk);
	disk_watch_started(&v->watch, f->bdf);
	return 0;
}
