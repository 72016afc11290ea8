/* pv_iospace.c: a domain fills IO spaces of its own, and has devices write where they may and where they may not.
 *
 * Shows on a real unit that what a device reaches is what its owner mapped for it, by hypercall 43: QEMU's `edu` copies a page to any address it
 * is told. Tried in vain: another domain's page, the hypervisor, an own page after unmapping, a granted page after the grant ended, one granted
 * for reading, another function's space, a table. Each time the page is looked at. With the word "faults" on the command line the unit tells
 * of faults, and each has to be told to us. Runs as the first domain on amphi-hv only.
 */
#include <amphi/iospace.h>

#include "pv.h"
#include "pv_edu.h"

#define PAGES 4u
#define DMA   0x1000000ull
#define DMA2  0x2000000ull
#define RW    (IOSPACE_READ | IOSPACE_WRITE)
#define REF   9u

static volatile uint8_t window[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t source[FRAME] __attribute__((aligned(4096)));
static volatile uint8_t mine[FRAME] __attribute__((aligned(4096)));
static volatile struct grant_entry_v1 grants[FRAME / 8] __attribute__((aligned(4096)));
static struct iospace_op ops[IOSPACE_BATCH];
static struct edu a, b;
static uint32_t context;
static int tells_faults;
static evtchn_port_t port;

static struct domain {
	domid_t id;
	uint64_t mfn[PAGES];
} other;

/* ---- the hypercall ------------------------------------------------------------------------ */

static int one(struct iospace_op op)
{
	ops[0] = op;
	ops[0].status = 1;
	return hypercall(__HYPERVISOR_iospace_op, (uint64_t)ops, 1, 0, 0) ? -999 : ops[0].status;
}

static struct iospace_op map_op(uint64_t dma, uint64_t mfn, unsigned flags)
{
	return (struct iospace_op){
	    .cmd = IOSPACE_map,
	    .flags = (uint16_t)flags,
	    .u.map = {.context = context, .count = 1, .dma = dma, .frame = mfn}};
}

static int map(uint64_t dma, uint64_t mfn, unsigned flags)
{
	return one(map_op(dma, mfn, flags));
}

static int map_ref(uint64_t dma, unsigned flags)
{
	struct iospace_op op = map_op(dma, 0, flags | IOSPACE_GREF);

	op.u.map.grant.ref = REF;
	op.u.map.grant.domain = other.id;
	return one(op);
}

static struct iospace_op unmap_op(uint64_t dma, unsigned flags)
{
	return (struct iospace_op){.cmd = IOSPACE_unmap,
				   .flags = (uint16_t)flags,
				   .u.unmap = {.context = context, .count = 1, .dma = dma}};
}

static int unmap(uint64_t dma)
{
	return one(unmap_op(dma, 0));
}

static int attach(const struct edu *e, uint32_t to)
{
	return one((struct iospace_op){.cmd = IOSPACE_attach, .u.attach = {e->bdf, to}});
}

static int alloc(const struct edu *e, uint32_t *out)
{
	int error = one((struct iospace_op){.cmd = IOSPACE_alloc, .u.alloc.sbdf = e->bdf});

	*out = ops[0].u.alloc.context;
	return error;
}

static int release(uint32_t which)
{
	return one((struct iospace_op){.cmd = IOSPACE_free, .u.free = {which}});
}

/* ---- what a device does ------------------------------------------------------------------- */

/* Whether the device's page got to `page` by this address: 1 yes, 0 the page is as it was, -1 neither. */
static int reaches(const struct edu *e, uint64_t dma, volatile uint8_t *page)
{
	edu_fill(page, 1);
	edu_copy(e, dma, 1);
	return edu_all(page, PATTERN) ? 1 : edu_all(page, 1) ? 0 : -1;
}

/* Whether VIRQ_IOSPACE came; it is taken. */
static int event_came(void)
{
	volatile xen_ulong_t *word = ((struct shared_info *)edu_shared_page)->evtchn_pending;

	return (__atomic_fetch_and(&word[port / 64], ~(1ull << port % 64), __ATOMIC_SEQ_CST) >>
		port % 64) &
	       1;
}

/* The fault of what was just tried, if the unit tells: with an event, this function's, there, and no other after it. */
static int told(const struct edu *e, uint64_t dma, unsigned flags)
{
	struct iospace_op ask = {.cmd = IOSPACE_next_fault};
	int right = 0;

	if (!tells_faults)
		return 1;
	if (!event_came())
		return 0;
	while (one(ask) == 0)
		right = ops[0].u.fault.sbdf == e->bdf && ops[0].flags == flags &&
			ops[0].u.fault.address >= dma && ops[0].u.fault.address < dma + FRAME;
	return right;
}

/* ---- the other domain --------------------------------------------------------------------- */

static long domctl(struct xen_domctl *op, uint32_t cmd, domid_t id)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = id;
	return hypercall(__HYPERVISOR_domctl, (uint64_t)op, 0, 0, 0);
}

static long see(volatile void *at, uint64_t mfn, domid_t whose)
{
	return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, (uint64_t)at, mfn << 12 | 0x67,
			 UVMF_INVLPG, whose);
}

static void see_nothing(volatile void *at)
{
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)at, 0, UVMF_INVLPG, 0);
}

/* With pages, and its grant table where we can write it. */
static long make_other(void)
{
	struct xen_domctl op = {0};
	struct xen_memory_reservation r = {.nr_extents = PAGES};
	uint64_t table = 0;
	struct xen_mem_acquire_resource get = {.type = XENMEM_resource_grant_table, .nr_frames = 1};

	op.u.createdomain.max_vcpus = 1;
	op.u.createdomain.max_grant_frames = 4;
	op.u.createdomain.max_evtchn_port = -1;
	if (domctl(&op, XEN_DOMCTL_createdomain, 0))
		return -1;
	other.id = op.domain;
	op = (struct xen_domctl){0};
	op.u.max_mem.max_memkb = PAGES * 4;
	if (domctl(&op, XEN_DOMCTL_max_mem, other.id))
		return -2;
	for (unsigned i = 0; i < PAGES; i++)
		other.mfn[i] = i;
	r.domid = other.id;
	r.extent_start.p = (void *)other.mfn;
	if (hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uint64_t)&r, 0, 0) != PAGES)
		return -3;
	get.domid = other.id;
	get.frame_list.p = (void *)&table;
	if (hypercall(__HYPERVISOR_memory_op, XENMEM_acquire_resource, (uint64_t)&get, 0, 0))
		return -4;
	return see((volatile void *)grants, table, other.id) || see(window, other.mfn[0], other.id);
}

static void grant(unsigned flags)
{
	grants[REF].domid = 0;
	grants[REF].frame = (uint32_t)other.mfn[0];
	__atomic_store_n(&grants[REF].flags, (uint16_t)flags, __ATOMIC_SEQ_CST);
}

static uint64_t free_pages(void)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo,
				.interface_version = XEN_SYSCTL_INTERFACE_VERSION};

	return hypercall(__HYPERVISOR_sysctl, (uint64_t)&op, 0, 0, 0) ? 0
								      : op.u.physinfo.free_pages;
}

/* ---- what is asked ------------------------------------------------------------------------ */

static void own_pages(void)
{
	uint64_t mfn = edu_frame(mine);

	check("a function in an empty context reaches nothing",
	      reaches(&a, mfn << 12, mine) == 0 && told(&a, mfn << 12, IOSPACE_WRITE));
	check("an own page", map(DMA, mfn, RW) == 0);
	check("is reached", reaches(&a, DMA, mine) == 1);
	check("another function does not see it",
	      reaches(&b, DMA, mine) == 0 && told(&b, DMA, IOSPACE_WRITE));
	check("it is unmapped", unmap(DMA) == 0);
	check("and not reached", reaches(&a, DMA, mine) == 0 && told(&a, DMA, IOSPACE_WRITE));
	check("a page for reading", map(DMA, mfn, IOSPACE_READ) == 0);
	edu_fill(mine, 0x77);
	edu_copy(&a, DMA, 0);
	check("another for writing", map(DMA2, mfn, IOSPACE_WRITE) == 0);
	edu_fill(mine, 1);
	edu_copy(&a, DMA2, 1);
	check("is read and written", edu_all(mine, 0x77));
	edu_fill(source, PATTERN);
	check("the pattern again",
	      unmap(DMA2) == 0 && map(DMA2, edu_frame(source), IOSPACE_READ) == 0);
	edu_copy(&a, DMA2, 0);
	check("for reading is not for writing",
	      reaches(&a, DMA, mine) == 0 && told(&a, DMA, IOSPACE_WRITE));
	check("both are unmapped", unmap(DMA) == 0 && unmap(DMA2) == 0);
}

static void others_pages(const struct start_info *si)
{
	uint64_t root = edu_frame((const void *)si->pt_base);

	check("another's page is not mapped", map(DMA, other.mfn[0], IOSPACE_READ) == -XEN_EPERM);
	check("nor reached", reaches(&a, other.mfn[0] << 12, window) == 0 &&
				 told(&a, other.mfn[0] << 12, IOSPACE_WRITE));
	edu_copy(&a, 0x100000, 1);
	check("the hypervisor is not reached", told(&a, 0x100000, IOSPACE_WRITE));
	check("a table is not mapped for writing", map(DMA, root, RW) == -XEN_EBUSY);
	check("interrupts are not mapped", map(0xfee00000, edu_frame(mine), RW) == -XEN_EINVAL);
}

static void granted_pages(void)
{
	check("nothing is granted", map_ref(DMA, RW) == -XEN_EACCES);
	grant(GTF_permit_access);
	check("a granted page", map_ref(DMA, RW) == 0);
	check("is reached", reaches(&a, DMA, window) == 1);
	check("its granter sees that", grants[REF].flags & GTF_writing);
	check("unmapped, not flushed", one(unmap_op(DMA, IOSPACE_NO_FLUSH)) == 0);
	check("it is in use", grants[REF].flags & GTF_writing);
	check("flushed", one((struct iospace_op){.cmd = IOSPACE_flush_entry,
						 .u.flush = {context, 0, DMA}}) == 0);
	check("it is not", grants[REF].flags == GTF_permit_access);
	grant(0);
	check("the grant has ended", map_ref(DMA, RW) == -XEN_EACCES);
	check("and the page is not reached",
	      reaches(&a, DMA, window) == 0 && told(&a, DMA, IOSPACE_WRITE));
	grant(GTF_permit_access | GTF_readonly);
	check("granted for reading", map_ref(DMA, RW) == -XEN_EACCES);
	check("it is mapped for that", map_ref(DMA, IOSPACE_READ) == 0);
	check("and not written",
	      reaches(&a, DMA, window) == 0 && told(&a, DMA, IOSPACE_WRITE | IOSPACE_GREF));
	check("and let go", unmap(DMA) == 0);
}

static void many_at_once(void)
{
	int ok = 1;

	for (unsigned i = 0; i < IOSPACE_BATCH; i++)
		ops[i] = map_op(DMA + i * FRAME, edu_frame(mine), RW);
	ok = hypercall(__HYPERVISOR_iospace_op, (uint64_t)ops, IOSPACE_BATCH, 0, 0) == 0;
	for (unsigned i = 0; i < IOSPACE_BATCH; i++) {
		ok &= ops[i].status == 0;
		ops[i] = unmap_op(DMA + i * FRAME, 0);
	}
	check("32 pages are mapped by one call", ok);
	check("the last is reached", reaches(&a, DMA + 31 * FRAME, mine) == 1);
	for (unsigned i = 0; i < IOSPACE_BATCH; i++)
		ops[i] = unmap_op(DMA + i * FRAME, 0);
	ok = hypercall(__HYPERVISOR_iospace_op, (uint64_t)ops, IOSPACE_BATCH, 0, 0) == 0;
	check("and unmapped", ok && ops[31].status == 0);
	check("and not reached", reaches(&a, DMA + 31 * FRAME, mine) == 0 &&
				     told(&a, DMA + 31 * FRAME, IOSPACE_WRITE));
}

/* Its page stays what it is while a device reaches it. */
static void granter_ends(uint64_t before)
{
	struct xen_domctl op = {0};

	grant(GTF_permit_access);
	check("a grant once more", map_ref(DMA, RW) == 0);
	see_nothing(window);
	see_nothing((volatile void *)grants);
	check("its granter ends", domctl(&op, XEN_DOMCTL_destroydomain, other.id) == 0);
	edu_copy(&a, DMA, 1);
	check("it is let go", unmap(DMA) == 0);
	check("the context is in use", release(context) == -XEN_EBUSY);
	check("the functions leave it", attach(&a, 0) == 0 && attach(&b, 0) == 0);
	check("it is freed", release(context) == 0 && release(context + 1) == 0);
	check("all pages are back", free_pages() == before);
	check("passed again, all is reached", reaches(&a, edu_frame(mine) << 12, mine) == 1);
}

void guest_main(struct start_info *si)
{
	struct iospace_op query = {.cmd = IOSPACE_query};
	struct evtchn_bind_virq virq = {.virq = VIRQ_IOSPACE};
	uint32_t second;
	uint64_t before;

	tells_faults = si->cmd_line[0] == 'f';
	check("two devices", edu_begin(si) && edu_find(&a, 0) && edu_find(&b, a.bdf + 1));
	check("an event for faults", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq,
					       (uint64_t)&virq, 0, 0) == 0);
	port = virq.port;
	before = free_pages();
	check("another domain", make_other() == 0);
	query.u.query.sbdf = a.bdf;
	check("what there is", one(query) == 0 && ops[0].u.query.address_bits >= 39 &&
				   ops[0].u.query.contexts_left == 31);
	query.u.query.sbdf = 0xff00;
	check("of own functions only", one(query) == -XEN_EPERM);
	edu_fill(source, PATTERN);
	edu_copy(&a, edu_frame(source) << 12, 0);
	edu_copy(&b, edu_frame(source) << 12, 0);
	check("passed, all is reached", reaches(&a, edu_frame(mine) << 12, mine) == 1);
	check("two contexts", alloc(&a, &context) == 0 && alloc(&b, &second) == 0);
	check("a function each", attach(&a, context) == 0 && attach(&b, second) == 0);
	own_pages();
	others_pages(si);
	granted_pages();
	many_at_once();
	granter_ends(before);
	print("pv_iospace: done\n");
	end(SHUTDOWN_poweroff);
}
