/* nvme_init.c: finds and identifies an NVMe controller, and registers its namespaces.
 *
 * A controller that does not answer is left alone and named. The data path is nvme.c, registers and commands are
 * nvme_admin.c. Called by drivers.c.
 */
#include "nvme.h"

#include <amphi/drivers.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/machine.h>
#include <amphi/peer.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#define CLASS_NVME    0x010802u
#define VENDOR_QEMU   0x1b36u
#define REGISTERS_LEN 0x2000u /* registers and the doorbells of the queues we use */

enum { IDENTIFY_NAMESPACE = 0, IDENTIFY_CONTROLLER = 1, IDENTIFY_LIST = 2 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static int ask(struct nvme *n, unsigned what, uint32_t nsid, dma_addr_t at)
{
	struct nvme_command cmd = {
	    .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = at.v, .cdw10 = what};
	int err = nvme_admin(n, &cmd, NULL);

	peer_rmb();
	return err;
}

/* The serial number is 20 characters filled up with blanks (figure "Identify Controller"). */
static void take_serial(struct nvme *n, const uint8_t *id)
{
	unsigned len = 20;

	while (len && (id[4 + len - 1] == ' ' || !id[4 + len - 1]))
		len--;
	memcpy(n->serial, id + 4, len);
	n->serial[len] = '\0';
}

/* The largest transfer is 2^MDTS (byte 77) of the controller's smallest pages (CAP.MPSMIN), which must be 4 KiB for
 * CC as we write it; 0: no limit. Then the optional commands (520) and whether there is a volatile cache (525):
 * without one every write is on the medium when it is done. */
static int identify_controller(struct nvme *n, const uint8_t *page, dma_addr_t at)
{
	int err = ask(n, IDENTIFY_CONTROLLER, 0, at);
	unsigned mdts;

	if (err)
		return err;
	take_serial(n, page);
	mdts = page[77];
	n->max_transfer_pages = mdts && mdts < 8 ? 1u << mdts : BLOCK_MAX_SEGMENTS;
	n->has_dsm = get16(page + 520) & 4;
	n->has_cache = page[525] & 1;
	return 0;
}

/* ---- namespaces --------------------------------------------------------------------------------- */

/* The page tells the size in blocks (bytes 0-7), which of the formats is in use (26) and the formats (from 128:
 * metadata bytes in the low half, log2 of the block size above), and, when a bit of its features (24) says so, what is
 * discarded well at once (64: granularity, 66: alignment, less one, in blocks). */
static int take_namespace(struct nvme_ns *ns, const uint8_t *page)
{
	/* & 0xf keeps the entry within the page: at most 128 + 4 * 15. */
	uint32_t format = get32(page + 128 + 4 * (page[26] & 0xf));
	uint64_t blocks = get64(page);

	ns->sector_shift = format >> 16 & 0xff;
	if (ns->sector_shift < 9 || ns->sector_shift > 12 || (format & 0xffff) || !blocks)
		return -XEN_EOPNOTSUPP; /* metadata or odd sizes */
	ns->disk.sector_size = 1u << ns->sector_shift;
	ns->disk.sectors = blocks << (ns->sector_shift - 9);
	ns->disk.readonly = page[99] & 1; /* namespace attributes: write protected */
	if (page[24] & 0x10) {
		ns->disk.discard_granularity = (get16(page + 66) + 1u) << ns->sector_shift;
		ns->disk.physical_sector_size =
		    MIN((get16(page + 64) + 1u) << ns->sector_shift, 1u << 16);
	}
	return 0;
}

/* A limit of the controller is a limit of its disks. The number of a controller's second and later disks is its own
 * with the namespace behind it. */
static void describe(struct nvme_ns *ns)
{
	struct nvme *n = ns->ctrl;
	struct block_device *d = &ns->disk;

	fmt_text(d->name, sizeof(d->name), "nvme%un%u", n->index, ns->nsid);
	(void)str_copy(d->serial, sizeof(d->serial), n->serial);
	if (n->n_ns && n->serial[0])
		fmt_text(d->serial, sizeof(d->serial), "%s-%u", n->serial, ns->nsid);
	d->ops = &nvme_block_ops;
	d->driver = ns;
	d->pci = n->pci->bdf;
	d->has_flush = n->has_cache;
	/* Every controller must know it; QEMU's (7.2) takes it and leaves the write in its cache, as a test that
	 * cuts the power has found. */
	d->has_fua = n->pci->vendor != VENDOR_QEMU;
	d->has_discard = n->has_dsm;
	/* What one command can carry when the segments are whole pages: users who stay within it
	 * pay for one command. */
	d->max_segments = n->max_transfer_pages;
	d->n_queues = n->n_io;
	d->queue_depth = NVME_SLOTS * n->n_io;
}

static int add_namespace(struct nvme *n, uint32_t nsid, const uint8_t *page, dma_addr_t at)
{
	struct nvme_ns *ns;
	int err = ask(n, IDENTIFY_NAMESPACE, nsid, at);

	if (err)
		return err;
	ns = host_alloc(sizeof(*ns));
	if (!ns)
		return -XEN_ENOMEM;
	ns->ctrl = n;
	ns->nsid = nsid;
	err = take_namespace(ns, page);
	if (err) {
		host_log(HOST_LOG_WARN, "nvme%u: namespace %u has no size or format of ours",
			 n->index, nsid);
		host_free(ns, sizeof(*ns));
		return 0;
	}
	describe(ns);
	n->ns[n->n_ns++] = ns;
	return 0;
}

/* The list of active ones, in rising order, ended by 0; a controller of before 1.1 has no such list, and
 * namespace 1. */
static int add_namespaces(struct nvme *n, const uint8_t *page, dma_addr_t at)
{
	uint32_t ids[NVME_NAMESPACES] = {0};
	int err = ask(n, IDENTIFY_LIST, 0, at);

	if (err == -XEN_EBUSY)
		return err;
	if (err)
		ids[0] = 1;
	else
		memcpy(ids, page, sizeof(ids));
	err = 0;
	for (unsigned i = 0; i < NVME_NAMESPACES && ids[i] && !err; i++)
		err = add_namespace(n, ids[i], page, at);
	return err;
}

static int with_page(struct nvme *n, int (*fn)(struct nvme *n, const uint8_t *page, dma_addr_t at))
{
	dma_addr_t at;
	uint8_t *page = dma_page_alloc(&n->dma, &at);
	int err = page ? fn(n, page, at) : -XEN_ENOMEM;

	/* A command without an answer may still write into the page: it is given up rather than
	 * given to somebody else. */
	if (page && err != -XEN_EBUSY)
		dma_page_free(&n->dma, page, at);
	return err;
}

/* ---- queues ------------------------------------------------------------------------------------- */

/* Once for all slots, so that no request can fail for want of a list. 256 bytes each: a whole
 * number of them fits a page and none lies across two. */
static int alloc_prps(struct nvme *n, struct nvme_io *io)
{
	unsigned per_page = PAGE_SIZE / (NVME_PRPS * sizeof(uint64_t));
	uint64_t *page = NULL;
	dma_addr_t at = {0};

	for (unsigned i = 0; i < NVME_SLOTS; i++) {
		uint64_t offset = (i % per_page) * NVME_PRPS * sizeof(uint64_t);

		if (i % per_page == 0)
			page = dma_page_alloc(&n->dma, &at);
		if (!page)
			return -XEN_ENOMEM;
		io->slots[i].prps = page + offset / sizeof(uint64_t);
		io->slots[i].prps_at = (dma_addr_t){at.v + offset};
	}
	return 0;
}

static int alloc_lists(struct nvme *n)
{
	unsigned per_page = PAGE_SIZE / (NVME_LIST_PRPS * sizeof(uint64_t));
	uint64_t *page = NULL;
	dma_addr_t at = {0};

	for (unsigned i = 0; i < NVME_LISTS; i++) {
		uint64_t offset = (i % per_page) * NVME_LIST_PRPS * sizeof(uint64_t);

		if (i % per_page == 0)
			page = dma_page_alloc(&n->dma, &at);
		if (!page)
			return -XEN_ENOMEM;
		n->lists[i] = (struct nvme_list){.prps = page + offset / sizeof(uint64_t),
						 .at = {at.v + offset},
						 .next = n->free_list};
		n->free_list = &n->lists[i];
	}
	return 0;
}

static int add_queue(struct nvme *n)
{
	struct nvme_io *io = host_alloc(sizeof(*io));
	int err;

	if (!io)
		return -XEN_ENOMEM;
	nvme_io_init(io, n, n->n_io);
	err = nvme_queue_alloc(n, &io->q, n->n_io + 1, NVME_DEPTH);
	if (!err)
		err = alloc_prps(n, io);
	/* The vector is bound before the completion queue that uses it exists: no interrupt can come
	 * to nobody. */
	if (!err)
		err = pci_msix_bind(n->pci, &n->msix, n->n_io, nvme_io_interrupt, io);
	if (!err)
		n->io[n->n_io++] = io;
	return err;
}

/* ---- and back --------------------------------------------------------------------------------- */

/* Every so many of them began a page. */
static void free_prps(struct nvme_io *io)
{
	unsigned per_page = PAGE_SIZE / (NVME_PRPS * sizeof(uint64_t));

	for (unsigned i = 0; i < NVME_SLOTS; i += per_page)
		host_pages_free(io->slots[i].prps, 1);
}

static void free_queue(struct nvme_queue *q)
{
	host_pages_free(q->sq, 1);
	host_pages_free((void *)q->cq, 1);
}

void nvme_free(struct nvme *n)
{
	unsigned per_page = PAGE_SIZE / (NVME_LIST_PRPS * sizeof(uint64_t));

	/* Which unmaps every page that is freed here, or they are not to be. */
	if (dma_detach(&n->dma))
		return;
	for (unsigned i = 0; i < n->n_ns; i++)
		host_free(n->ns[i], sizeof(*n->ns[i]));
	for (unsigned i = 0; i < NVME_QUEUES && n->io[i];
	     i++) { /* also those that it did not take */
		free_prps(n->io[i]);
		free_queue(&n->io[i]->q);
		host_free(n->io[i], sizeof(*n->io[i]));
	}
	for (unsigned i = 0; i < NVME_LISTS; i += per_page)
		host_pages_free(n->lists[i].prps, 1);
	free_queue(&n->admin);
	machine_mmio_unmap((void *)n->regs, REGISTERS_LEN);
	host_free(n, sizeof(*n));
}

/* ---- start -------------------------------------------------------------------------------------- */

/* As many as device and platform give; the memory of one that was prepared in vain is not had back, as it
 * is once a boot. */
static int add_queues(struct nvme *n)
{
	unsigned most = MIN(NVME_QUEUES, n->msix.entries), made;
	int err = add_queue(n);

	if (err)
		return err;
	while (n->n_io < most && !add_queue(n))
		;
	err = nvme_create_queues(n, &made);
	if (!err)
		n->n_io = made;
	return err ? err : alloc_lists(n);
}

static int bring_up(struct nvme *n)
{
	maddr_t bar;
	int err;

	if (!pci_bar(n->pci, 0, &bar))
		return -XEN_ENXIO;
	pci_enable(n->pci);
	n->regs = machine_mmio_map(bar, REGISTERS_LEN);
	if (!n->regs)
		return -XEN_ENOMEM;
	nvme_watch_init(n);
	n->doorbell_stride_bytes = nvme_stride_bytes(n);
	err = nvme_queue_alloc(n, &n->admin, 0, NVME_ADMINS);
	if (!err)
		err = nvme_reset(n);
	if (!err)
		err = with_page(n, identify_controller);
	if (!err && !n->pci->virtual_bar.v && drivers_wanted_vfs)
		nvme_virtual_enable(n, drivers_wanted_vfs);
	if (!err)
		err = pci_msix_find(n->pci, &n->msix);
	if (!err)
		err = add_queues(n);
	return err ? err : with_page(n, add_namespaces);
}

/* A bit for each index up to 63; those beyond are not given a second time. */
static uint64_t indices_used;

void nvme_forget_index(unsigned index)
{
	if (index < 64)
		indices_used &= ~(1ull << index);
}

static unsigned next_index(void)
{
	static unsigned beyond = 64;

	return ~indices_used ? (unsigned)__builtin_ctzll(~indices_used) : beyond++;
}

int nvme_probe(const struct pci_function *f)
{
	struct nvme *n;
	int err;

	if (f->class_code != CLASS_NVME)
		return -XEN_ENODEV;
	n = host_alloc(sizeof(*n));
	if (!n)
		return -XEN_ENOMEM;
	n->pci = f;
	/* A controller sends 64 address bits; the mask is there for devices that do not. */
	n->dma = (struct dma_device){.bdf = f->bdf, .mask = ~0ull};
	n->index = next_index();
	fmt_text(n->watch.name, sizeof(n->watch.name), "nvme%u", n->index);
	err = dma_attach(&n->dma, true);
	if (!err)
		err = bring_up(n);
	if (err) /* registers may still point at our pages: what was given is not taken back */
		return err;
	if (n->index < 64)
		indices_used |= 1ull << n->index;
	for (unsigned i = 0; i < n->n_ns; i++)
		host_block_register(&n->ns[i]->disk);
	disk_watch_started(&n->watch, f->bdf);
	return 0;
}
