/* hv_grant_fuzz.c: three domains grant, map, copy and unmap anything; every pin is counted.
 *
 * The input is a list of changes to grant entries and of GNTTABOP_* by any of the domains, in
 * batches that may be cut anywhere, with deaths in between. Why: a grant is one domain's memory in
 * another's page tables. Expected: no sanitizer report, the recount of hv_world.c holds after each
 * call, and when all domains are gone so is every page.
 *
 * links: tests/fuzz/hv_world.c tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c
 * lib/text.c links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c hypervisor/event_2l.c hypervisor/event_fifo.c links:
 * hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c hypervisor/grant_entry.c links:
 * hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c links:
 * hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c links:
 * hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c links: hypervisor/frame.c
 * lib/heap.c hypervisor/page_type.c hypervisor/pte.c links: hypervisor/mm_domain.c
 * hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c links:
 * hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c links: hypervisor/memory_op.c
 * hypervisor/memory_exchange.c
 */
#include <string.h>

#include "hv_world.h"

static domid_t small_domid(struct world_input *in)
{
	uint8_t n = world_u8(in) % 5;

	return n == 4 ? DOMID_SELF : n;
}

static bool write_entry2(struct world_input *in, uint8_t flags)
{
	union grant_entry_v2 *e = current_domain()->grants.shared[0];

	e += world_u8(in) % 16;
	e->hdr.flags = (flags & 7) | (flags & 0x80 ? GTF_sub_page : 0);
	e->hdr.domid = world_u8(in) % 4;
	e->sub_page.page_off = (uint16_t)world_u32(in);
	e->sub_page.length = (uint16_t)world_u32(in);
	e->sub_page.frame = world_u64(in);
	if ((flags & GTF_type_mask) != GTF_transitive)
		return true;
	e->transitive.trans_domid = world_u8(in) % 5;
	e->transitive.gref = world_u8(in) % 17;
	return true;
}

/* An owner rewrites an entry, but leaves the hypervisor's flags: hv_world.c counts on them. */
static bool write_entry(struct world_input *in)
{
	struct grant_entry_v1 *e = current_domain()->grants.shared[0];
	uint8_t flags = world_u8(in);

	if (current_domain()->grants.version == 2)
		return write_entry2(in, flags);
	e += world_u8(in) % 16;
	e->flags = (e->flags & (GTF_reading | GTF_writing)) | (flags & 7);
	e->domid = world_u8(in) % 4;
	e->frame = (uint32_t)world_u64(in);
	return true;
}

/* Addresses in the table each domain has in its frame 0. */
static uint64_t host_addr(struct world_input *in)
{
	uint8_t n = world_u8(in);

	if (n > 240)
		return world_u64(in);
	return (world_frame(current_domain()->id, 0).v << PAGE_SHIFT) + n % 8 * 8;
}

static bool map(struct world_input *in)
{
	struct gnttab_map_grant_ref ops[4];
	unsigned i, n = world_u8(in) % 4 + 1;

	for (i = 0; i < n; i++) {
		ops[i].host_addr = host_addr(in);
		ops[i].flags = (world_u8(in) & 7) | GNTMAP_contains_pte;
		ops[i].ref = world_u8(in) % 17;
		ops[i].dom = small_domid(in);
	}
	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, FAKE_PUT(0, ops), n,
			  0);
}

static bool unmap(struct world_input *in)
{
	struct gnttab_unmap_grant_ref ops[4];
	unsigned i, n = world_u8(in) % 4 + 1;

	for (i = 0; i < n; i++) {
		ops[i].host_addr = host_addr(in);
		ops[i].dev_bus_addr = world_u8(in) & 1 ? world_u64(in) : 0;
		ops[i].handle = world_u8(in) % 16;
	}
	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, FAKE_PUT(0, ops),
			  n, 0);
}

static bool replace(struct world_input *in)
{
	struct gnttab_unmap_and_replace op = {
	    .host_addr = host_addr(in), .new_addr = world_u64(in), .handle = world_u8(in) % 16};

	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, FAKE_PUT(0, op),
			  1, 0);
}

static void copy_side(struct world_input *in, struct gnttab_copy_ptr *p, bool by_ref)
{
	p->domid = small_domid(in);
	p->offset = (uint16_t)world_u32(in);
	p->u.gmfn = by_ref ? world_u8(in) % 17 : world_u64(in);
}

static bool copy(struct world_input *in)
{
	struct gnttab_copy ops[3];
	unsigned i, n = world_u8(in) % 3 + 1;

	for (i = 0; i < n; i++) {
		ops[i].flags = world_u8(in) & 3;
		copy_side(in, &ops[i].source, ops[i].flags & GNTCOPY_source_gref);
		copy_side(in, &ops[i].dest, ops[i].flags & GNTCOPY_dest_gref);
		ops[i].len = (uint16_t)world_u32(in);
	}
	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, FAKE_PUT(0, ops), n, 0);
}

static bool version(struct world_input *in)
{
	struct gnttab_set_version op = {.version = world_u8(in) % 4};

	return world_call(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, FAKE_PUT(0, op), 1, 0);
}

/* The rest: any command, any argument. */
static bool other(struct world_input *in)
{
	uint64_t words[4];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = world_u64(in);
	return world_call(__HYPERVISOR_grant_table_op, world_u8(in) % 14, FAKE_PUT(0, words),
			  world_u8(in) % 3, 0);
}

/* An ordinary page-table write over whatever is there. */
static bool wipe(struct world_input *in)
{
	struct mmu_update u = {.ptr = host_addr(in), .val = 0};

	return world_call(__HYPERVISOR_mmu_update, FAKE_PUT(0, u), 1, 0, DOMID_SELF);
}

/* Its references stay with whoever mapped something; the domain does not run again. */
static bool die(struct world_input *in)
{
	struct domain *d = current_domain();

	if (d->privileged || world_u8(in) % 4)
		return true;
	fake_run(NULL);
	fake.preempt_after = world_u8(in) % 8;
	(void)domain_kill(d);
	return true;
}

static bool step(struct world_input *in)
{
	static bool (*const steps[])(struct world_input * in) = {
	    write_entry, write_entry, map,  map,   map,  unmap, unmap,
	    replace,     copy,        copy, other, wipe, die,   version,
	};
	uint8_t what = world_u8(in);

	fake.preempt_after = what >= 128 ? what % 3 : -1;
	return steps[what % ARRAY_SIZE(steps)](in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_begin();
	world_play(data, size, step, NULL);
	world_end();
	return 0;
}
