/* hv_iospace_fuzz.c: three domains fill IO spaces with anything, while devices use them, pages are given up, and a unit falls silent.
 *
 * The input is a list of operations by any of the domains: contexts, maps of frames and grants, unmaps, flushes, in batches cut anywhere; accesses
 * by devices; grants rewritten, frames released, tables made, deaths. Why: whatever a domain says, a device may reach only what is held for it.
 * Expected: no sanitizer report; each frame that a device reaches is owned, and of writable type when it writes (io_unit.c asserts that, with all
 * that the unit remembers); pins are as a recount says; when all domains are gone so is every page, and every page of tables.
 *
 * links: tests/fuzz/hv_world.c tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c hypervisor/grant_entry.c hypervisor/grant_device.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/iospace.c hypervisor/iommu_quota.c hypervisor/iospace_map.c hypervisor/iospace_op.c hypervisor/iospace_fault.c
 * links: iommu/iommu.c iommu/io_table.c tests/host/iommu_world.c tests/host/io_unit.c
 */
#include <stdlib.h>
#include <string.h>

#include "hv_world.h"
#include "hypervisor/iospace_private.h"
#include "tests/host/io_unit.h"
#include "tests/host/iommu_world.h"

/* One function each behind the first unit, one of domain 0's behind the second. */
static uint16_t bdf_of(unsigned n)
{
	return n % 4 == 3 ? 0x110 : (uint16_t)(0x10 + n % 4 * 8);
}

/* Few places, so that they meet; and some that nobody may have. */
static uint64_t dma_of(struct world_input *in)
{
	uint8_t n = world_u8(in);

	if (n < 200)
		return 0x40000000ull + n % 16 * PAGE_SIZE + n / 64 * 0x40000000ull;
	if (n < 230)
		return 0xfedff000ull + n % 4 * PAGE_SIZE;
	return world_u64(in);
}

static void mapping(struct world_input *in, struct iospace_map *m, uint16_t flags)
{
	m->count = world_u8(in) % 8 ? 1 : world_u32(in);
	m->dma = dma_of(in);
	if (flags & IOSPACE_GREF) {
		m->grant.ref = world_u8(in) % 17;
		m->grant.domain = world_u8(in) % 4;
		m->grant.zero = 0;
	} else if (flags & IOSPACE_HANDLE) {
		m->frame = 0;
		m->handle = world_u8(in) % 8;
	} else {
		m->frame = world_u8(in) % 4 ? world_frame(current_domain()->id, world_u8(in)).v
					    : world_u64(in);
	}
}

static void operation(struct world_input *in, struct iospace_op *op)
{
	static const uint16_t often[] = {
	    IOSPACE_alloc,       IOSPACE_attach,    IOSPACE_map,   IOSPACE_map,
	    IOSPACE_map,         IOSPACE_unmap,     IOSPACE_unmap, IOSPACE_flush_entry,
	    IOSPACE_flush_range, IOSPACE_flush_all, IOSPACE_free,  IOSPACE_lookup};
	uint8_t what = world_u8(in);

	memset(op, 0, sizeof(*op));
	op->cmd = what < 240 ? often[what % ARRAY_SIZE(often)] : world_u8(in) % 24;
	op->flags = world_u8(in) & (what % 16 ? 0x1f : 0xff);
	if (op->cmd == IOSPACE_unmap)
		op->flags &= IOSPACE_NO_FLUSH;
	else if (op->cmd != IOSPACE_map && what % 16)
		op->flags = 0;
	op->u.map.context = world_u8(in) % 5;
	if (op->cmd == IOSPACE_alloc || op->cmd == IOSPACE_attach || op->cmd == IOSPACE_query ||
	    op->cmd == IOSPACE_reserved) {
		op->u.attach.sbdf = world_u8(in) % 8 ? bdf_of(world_u8(in)) : world_u32(in);
		op->u.attach.context = world_u8(in) % 5;
		return;
	}
	mapping(in, &op->u.map, op->flags);
}

static bool batch(struct world_input *in)
{
	struct iospace_op ops[40];
	unsigned n = world_u8(in) % 8 ? world_u8(in) % 4 + 1 : world_u8(in) % 40 + 1;

	for (unsigned i = 0; i < n; i++)
		operation(in, &ops[i]);
	return world_call(__HYPERVISOR_iospace_op, fake_put(0, ops, n * sizeof(ops[0])), n, 0, 0);
}

static bool nonsense(struct world_input *in)
{
	return world_call(__HYPERVISOR_iospace_op, world_u64(in), world_u32(in) % 100, 0, 0);
}

static bool device(struct world_input *in)
{
	uint64_t dma = dma_of(in);

	(void)io_unit_reach(bdf_of(world_u8(in)), dma, world_u8(in) & 1);
	return true;
}

/* The hypervisor's flags are left: hv_world.c counts on them. */
static bool entry(struct world_input *in)
{
	struct grant_entry_v1 *e = current_domain()->grants.shared[0];
	uint8_t flags = world_u8(in);

	e += world_u8(in) % 16;
	e->flags = (e->flags & (GTF_reading | GTF_writing)) | (flags & 7);
	e->domid = world_u8(in) % 4;
	e->frame =
	    (uint32_t)(flags & 8 ? world_u64(in) : world_frame(current_domain()->id, flags).v);
	return true;
}

static bool handle(struct world_input *in)
{
	struct gnttab_map_grant_ref op = {.flags =
					      GNTMAP_device_map | (world_u8(in) & GNTMAP_readonly),
					  .ref = world_u8(in) % 17,
					  .dom = world_u8(in) % 4};

	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, FAKE_PUT(0, op), 1,
			  0);
}

static bool unhandle(struct world_input *in)
{
	struct gnttab_unmap_grant_ref op = {.handle = world_u8(in) % 8,
					    .dev_bus_addr = world_u64(in)};

	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, FAKE_PUT(0, op), 1,
			  0);
}

static bool release(struct world_input *in)
{
	mfn_t mfn = world_frame(current_domain()->id, world_u8(in));

	if (mfn.v != world_frame(current_domain()->id, 0).v)
		(void)page_release_domain(current_domain(), mfn);
	return true;
}

static bool table(struct world_input *in)
{
	struct mmuext_op op = {.cmd = world_u8(in) % 2 ? MMUEXT_PIN_L1_TABLE : MMUEXT_UNPIN_TABLE,
			       .arg1.mfn = world_frame(current_domain()->id, world_u8(in)).v};

	return world_call(__HYPERVISOR_mmuext_op, FAKE_PUT(0, op), 1, 0, DOMID_SELF);
}

static bool weather(struct world_input *in)
{
	uint8_t n = world_u8(in);

	io_unit.silent = n % 4 == 1;
	io_unit.remembers_nothing = n & 64;
	iospace_limit((n & 128 ? 8u : 1024u) << PAGE_SHIFT);
	return true;
}

static bool trouble(struct world_input *in)
{
	iospace_fault(current_domain(),
		      &(struct iommu_fault){.bdf = bdf_of(world_u8(in)), .address = dma_of(in)});
	return true;
}

static void unhand(struct domain *d, void *unused)
{
	io_unit_take(d);
	while (iospace_teardown(d) == -XEN_ERESTART)
		;
}

static bool die(struct world_input *in)
{
	struct domain *d = current_domain();

	if (d->privileged || world_u8(in) % 4)
		return true;
	fake_run(NULL);
	io_unit.silent = false;
	unhand(d, NULL);
	(void)domain_kill(d);
	return true;
}

static bool step(struct world_input *in)
{
	static bool (*const steps[])(struct world_input * in) = {
	    batch, batch,  batch,    batch,   batch, batch,   device,  device,   entry,
	    entry, handle, unhandle, release, table, weather, trouble, nonsense, die,
	};
	uint8_t what = world_u8(in);

	fake.preempt_after = what >= 128 ? what % 3 : -1;
	return steps[what % ARRAY_SIZE(steps)](in);
}

/* ---- recount --------------------------------------------------------------------------------------- */

static void count_pins(struct domain *d)
{
	uint32_t grants = 0;

	for (unsigned n = 1; n < IOSPACE_CONTEXTS; n++) {
		const struct iospace_context *c = d->iospace.context[n];
		const struct iospace_grant *g;

		for (unsigned i = 0; c && i < IOSPACE_HASH; i++)
			for (g = c->grants[i]; g; g = g->next, grants++)
				world_pin(g->use.owner->id, g->use.ref, g->use.readonly);
		for (unsigned i = 0; c && i < c->n_waiting; i++) {
			g = c->waiting[i].grant;
			if (!g)
				continue;
			world_pin(g->use.owner->id, g->use.ref, g->use.readonly);
			grants++;
		}
	}
	if (grants != d->iospace.n_grants)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	unsigned pages;

	if (!started)
		io_unit_start();
	started = true;
	pages = iommu_world_pages();
	world_more_pins = count_pins;
	world_begin();
	for (unsigned n = 0; n < 4; n++) {
		struct domain *d = domain_find((domid_t)(n % 3));

		io_unit_give(bdf_of(n), d);
		domain_put(d);
	}
	world_play(data, size, step, NULL);
	io_unit.silent = io_unit.remembers_nothing = false;
	fake_run(NULL);
	domain_for_each(unhand, NULL);
	world_end();
	if (iommu_world_pages() != pages)
		abort();
	return 0;
}
