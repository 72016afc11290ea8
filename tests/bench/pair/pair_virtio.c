/* pair_virtio.c: a virtio ring with blk's three descriptors a request, driven as pair_blkif.c drives blkif's.
 *
 * The driver's end is that of drivers-native (virtio_ring.c); the device's is written here, as the specification has it (Virtual I/O
 * Device 1.1, 2.6): it takes what is available, copies the page, and tells the driver once for all that it found. While it works it
 * asks not to be told. Called by pair.c.
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/peer.h>

#include "drivers-native/virtio_ring.h"
#include "pair.h"

#define NO_NOTIFY 1u /* in used->flags: the device looks by itself */

/* What the guest shares for each request, a page of data behind it. */
struct flight {
	uint64_t header[2]; /* kind, sector */
	uint8_t status;
	uint8_t pad[47];
};

static struct virtq queue;
static struct flight *flights;
static uint8_t *data, *disk;
static uint16_t seen; /* the device's: of avail */

void *dma_page_alloc(const struct dma_device *dev, dma_addr_t *out_addr)
{
	void *page = pair_memory(1);

	*out_addr = (dma_addr_t){(uintptr_t)page};
	return page;
}

void dma_page_free(const struct dma_device *dev, void *page, dma_addr_t addr)
{
	(void)dev, (void)page, (void)addr; /* none fails */
}

void *dma_pages_alloc(const struct dma_device *dev, unsigned count, dma_addr_t *out_addr)
{
	return NULL;
}

static void add(unsigned i)
{
	struct virtq_piece pieces[] = {
	    {{(uintptr_t)flights[i].header}, sizeof(flights[i].header), false},
	    {{(uintptr_t)(data + i * PAIR_BYTES)}, PAIR_BYTES, true},
	    {{(uintptr_t)&flights[i].status}, 1, true},
	};

	flights[i].header[1] = pair_next_slot();
	if (!virtq_add(&queue, pieces, 3, &flights[i]))
		abort();
}

static void add_all(void)
{
	for (unsigned i = 0; i < PAIR_DEPTH; i++)
		add(i);
	if (virtq_publish(&queue))
		pair_ring(PAIR_SERVER);
}

static void guest_step(void)
{
	struct flight *f;
	bool bad = false;

	while ((f = virtq_take(&queue, &bad))) {
		if (f->status)
			abort();
		pair_done(1);
		add((unsigned)(f - flights));
	}
	if (bad)
		abort();
	if (virtq_publish(&queue))
		pair_ring(PAIR_SERVER);
}

static void serve_one(uint16_t head)
{
	volatile struct virtq_desc *d = &queue.desc[head % queue.size];
	const uint64_t *header = (const uint64_t *)(uintptr_t)d->addr;
	uint16_t at = queue.used->idx % queue.size;

	d = &queue.desc[d->next % queue.size];
	memcpy((void *)(uintptr_t)d->addr, disk + header[1] % PAIR_SLOTS * PAIR_BYTES, PAIR_BYTES);
	d = &queue.desc[d->next % queue.size];
	*(volatile uint8_t *)(uintptr_t)d->addr = 0;
	queue.used->ring[at].id = head;
	queue.used->ring[at].len = PAIR_BYTES + 1;
	peer_wmb();
	*(volatile uint16_t *)&queue.used->idx = (uint16_t)(queue.used->idx + 1);
}

static void server_step(void)
{
	volatile struct virtq_avail *avail = queue.avail;
	bool any = false;

	do {
		queue.used->flags = NO_NOTIFY;
		for (; seen != avail->idx; seen++, any = true) {
			peer_rmb();
			serve_one(avail->ring[seen % queue.size]);
		}
		queue.used->flags = 0;
		peer_mb();
	} while (seen != avail->idx);
	if (any)
		pair_ring(PAIR_GUEST);
}

void pair_virtio(void)
{
	static const struct dma_device dma = {.mask = ~0ull};

	flights = pair_memory(1);
	data = pair_memory(PAIR_DEPTH);
	disk = malloc(PAIR_SLOTS * PAIR_BYTES);
	if (!disk || virtq_init(&queue, &dma, VIRTQ_PAGE_MAX))
		abort();
	memset(disk, 1, PAIR_SLOTS * PAIR_BYTES);
	pair_run("virtio", add_all, (void (*[2])(void)){guest_step, server_step});
	free(disk);
}
