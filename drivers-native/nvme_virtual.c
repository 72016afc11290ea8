/* nvme_virtual.c: an NVMe controller's virtual functions: gives them queues and vectors, and brings them online.
 *
 * Each is a controller of its own (a secondary one), which is probed as any other when this is done: pci_sriov.c appends it to
 * the list that is being gone through. The namespaces that it shows are those that are attached to it. NVM Express 1.4,
 * section 8.5 (virtualization enhancements), 5.22 (the command). Called by nvme_init.c, before the controller's own queues
 * are made; the admin queue is polled.
 */
#include "nvme.h"

#include <amphi/peer.h>

#include "pci_sriov.h"

enum { VIRT_PRIMARY_ALLOCATE = 1, VIRT_ASSIGN = 8, VIRT_ONLINE = 9 };
enum { VIRT_QUEUES = 0, VIRT_VECTORS = 1 };

#define ADMIN_VIRT         0x1cu
#define IDENTIFY_PRIMARY   0x14u
#define IDENTIFY_SECONDARY 0x15u
#define SECONDARY_BYTES    32u
#define SECONDARY_MAX      127u
/* Of the primary controller's page: what is flexible of each kind, and (12 further) the most for one secondary. */
#define PRIMARY_QUEUES_AT  32u
#define PRIMARY_VECTORS_AT 64u
#define MOST_AT            12u

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static int virt(struct nvme *n, unsigned id, unsigned resource, unsigned action, unsigned count)
{
	struct nvme_command cmd = {
	    .opcode = ADMIN_VIRT, .cdw10 = id << 16 | resource << 8 | action, .cdw11 = count};

	return nvme_admin(n, &cmd, NULL);
}

/* What each of n_vfs gets: an even share of the flexible resources, as much of it as one may have. */
static unsigned share(const uint8_t *caps, unsigned n_vfs)
{
	unsigned total = get16(caps) | (unsigned)get16(caps + 2) << 16,
		 most = get16(caps + MOST_AT);

	total /= n_vfs;
	return most ? MIN(total, most) : total;
}

static int ask(struct nvme *n, unsigned what, uint8_t *page, dma_addr_t at)
{
	struct nvme_command cmd = {.opcode = NVME_ADMIN_IDENTIFY, .prp1 = at.v, .cdw10 = what};
	int err = nvme_admin(n, &cmd, NULL);

	peer_rmb();
	return err;
}

/* The primary gives up all that is flexible, which holds from its next reset on. */
static int release(struct nvme *n)
{
	int err = virt(n, 0, VIRT_QUEUES, VIRT_PRIMARY_ALLOCATE, 0);

	if (!err)
		err = virt(n, 0, VIRT_VECTORS, VIRT_PRIMARY_ALLOCATE, 0);
	return err ? err : nvme_reset(n);
}

static int bring_online(struct nvme *n, unsigned id, unsigned queues, unsigned vectors)
{
	int err = virt(n, id, VIRT_VECTORS, VIRT_ASSIGN, vectors);

	if (!err)
		err = virt(n, id, VIRT_QUEUES, VIRT_ASSIGN, queues);
	return err ? err : virt(n, id, 0, VIRT_ONLINE, 0);
}

/* Of the list of secondary controllers those that belong to functions that are on: byte 0 how many; of each the
 * controller's number (0) and the function's (8). */
static int bring_all_online(struct nvme *n, uint8_t *page, dma_addr_t at)
{
	unsigned queues, vectors, count;
	int err = ask(n, IDENTIFY_PRIMARY, page, at);

	if (err)
		return err;
	queues = share(page + PRIMARY_QUEUES_AT, n->n_virtual);
	vectors = share(page + PRIMARY_VECTORS_AT, n->n_virtual);
	err = ask(n, IDENTIFY_SECONDARY, page, at);
	if (err)
		return err;
	count = MIN(page[0], SECONDARY_MAX);
	for (unsigned i = 0; i < count && !err; i++) {
		const uint8_t *entry = page + SECONDARY_BYTES * (i + 1);
		unsigned function = get16(entry + 8);

		if (function && function <= n->n_virtual)
			err = bring_online(n, get16(entry), queues, vectors);
	}
	return err;
}

/* By the primary's own page, whose byte 4 says which resources are flexible: a bit of identify's says so too, but not
 * QEMU's. */
static int is_primary(struct nvme *n, uint8_t *page, dma_addr_t at)
{
	int err = ask(n, IDENTIFY_PRIMARY, page, at);

	if (err)
		return err;
	return (page[4] & 3) == 3 ? 0 : -XEN_ENODEV;
}

static int with_page(struct nvme *n, int (*fn)(struct nvme *n, uint8_t *page, dma_addr_t at))
{
	dma_addr_t at;
	uint8_t *page = dma_page_alloc(&n->dma, &at);
	int err = page ? fn(n, page, at) : -XEN_ENOMEM;

	if (page && err != -XEN_EBUSY) /* without an answer the page is still the controller's */
		dma_page_free(&n->dma, page, at);
	return err;
}

void nvme_virtual_enable(struct nvme *n, unsigned wanted)
{
	int err = with_page(n, is_primary), got;

	if (err) /* as nearly all */
		return;
	err = release(n);
	got = err ? err : pci_sriov_enable(n->pci, wanted);
	n->n_virtual = (unsigned)MAX(got, 0);
	err = got < 0 ? got : with_page(n, bring_all_online);
	pci_sriov_ready(n->pci);
	if (err)
		host_log(HOST_LOG_WARN, "nvme%u: no virtual functions: error %d", n->index, -err);
	else
		host_log(HOST_LOG_INFO, "nvme%u: %d virtual functions", n->index, got);
}

/* They went offline with it. Their own watches find them silent, and reset them. */
void nvme_virtual_resume(struct nvme *n)
{
	int err = n->n_virtual ? with_page(n, bring_all_online) : 0;

	if (err)
		host_log(HOST_LOG_WARN, "nvme%u: virtual functions stay offline: error %d",
			 n->index, -err);
}
