/* nvme_try.c: has an NVMe controller write to any DMA address it is told, or send any message as its interrupt, so that what holds devices
 * back can be seen to.
 *
 * Called by the shell's commands for that, through drivers.h. Calls nvme_admin.c. An Identify is what does it: it changes nothing in the
 * controller, and where its address is refused the command fails, and no more. Its end is told by the message in the first entry of the
 * controller's table, which is device memory of ours: that it means nothing to write there is what is tried. Worker context, as all that
 * asks the admin queue.
 */
#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/string.h>

#include "nvme.h"

#define IDENTIFY_CONTROLLER 1u
#define ENTRY_WORDS         4u
#define SENDS_BY            0u /* the entry whose message tells of the admin queue */
#define ARRIVES_US          20000u

const struct dma_device *nvme_dma_device(uint16_t bdf)
{
	const struct nvme *n = nvme_find(bdf);

	return n ? &n->dma : NULL;
}

static int identify(struct nvme *n, uint64_t dma)
{
	struct nvme_command cmd = {
	    .opcode = NVME_ADMIN_IDENTIFY, .prp1 = dma, .cdw10 = IDENTIFY_CONTROLLER};

	return nvme_admin(n, &cmd, NULL);
}

int nvme_tell_at(uint16_t bdf, uint64_t dma)
{
	struct nvme *n = nvme_find(bdf);

	return n ? identify(n, dma) : -XEN_ENODEV;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void arrived(void *ctx)
{
	unsigned *count = ctx;

	++*count;
}

static volatile uint32_t *map_table(const struct nvme *n)
{
	return machine_mmio_map(n->msix.table, n->msix.entries * ENTRY_WORDS * sizeof(uint32_t));
}

static void unmap_table(const struct nvme *n, volatile uint32_t *table)
{
	machine_mmio_unmap((void *)(uintptr_t)table,
			   n->msix.entries * ENTRY_WORDS * sizeof(uint32_t));
}

/* The entry behind those that the queues have is bound for this, once: it stays. */
int nvme_listen(uint16_t bdf, unsigned *count, struct nvme_message *out)
{
	struct nvme *n = nvme_find(bdf);
	volatile uint32_t *table, *entry;
	int err = n ? pci_msix_bind(n->pci, &n->msix, n->n_io, arrived, count) : -XEN_ENODEV;

	if (err)
		return err;
	table = map_table(n);
	if (!table)
		return -XEN_ENOMEM;
	entry = table + n->n_io * ENTRY_WORDS;
	*out = (struct nvme_message){.address = entry[0], .data = entry[2]};
	unmap_table(n, table);
	return 0;
}

/* The page is the controller's to write, and what it writes there is not looked at. */
static int send_now(struct nvme *n, volatile uint32_t *entry, const struct nvme_message *message)
{
	const struct nvme_message was = {.address = entry[0], .data = entry[2]};
	dma_addr_t at;
	void *page = dma_page_alloc(&n->dma, &at);
	int err;

	if (!page)
		return -XEN_ENOMEM;
	entry[0] = message->address;
	entry[2] = message->data;
	err = identify(n, at.v);
	machine_delay_us(ARRIVES_US);
	entry[0] = was.address;
	entry[2] = was.data;
	dma_page_free(&n->dma, page, at);
	return err;
}

int nvme_send_message(uint16_t bdf, const struct nvme_message *message)
{
	struct nvme *n = nvme_find(bdf);
	volatile uint32_t *table = n ? map_table(n) : NULL;
	int err;

	if (!table)
		return n ? -XEN_ENOMEM : -XEN_ENODEV;
	err = send_now(n, table + SENDS_BY * ENTRY_WORDS, message);
	unmap_table(n, table);
	return err;
}
