/* builder_start.c: what a PV domain's first vCPU finds: start info, rings, grants, registers.
 *
 * The facts are xen/xen.h's ("start of day") and xen/arch-x86/xen-x86_64.h's. Not here: the
 * memory behind it (builder_memory.c). Caller: domain_builder.c's table of steps. Calls:
 * host_control.h, builder_memory.c.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "builder.h"

/* DR6 and DR7 as after reset (SDM vol. 3, "Debug Registers"): their fixed bits read as one. */

static mfn_t frame_of(const struct build *b, uint64_t pfn)
{
	return b->frames[pfn];
}

/* ---- rings ---------------------------------------------------------------------------- */

/* A version 1 entry has 32 bits for the frame (xen/grant_table.h): 16 TiB, more than we build on.
 */
static struct grant_entry_v1 ring_entry(const struct build *b, mfn_t frame)
{
	return (struct grant_entry_v1){
	    .flags = GTF_permit_access,
	    .domid = b->plan->service,
	    .frame = (uint32_t)frame.v,
	};
}

/* The rings are granted to the service domain by the two entries that are reserved for it, so that
 * it need not have the right to map what it likes. */
int build_grant_rings(struct build *b)
{
	struct grant_entry_v1 *table;
	mfn_t frame;
	void *va;
	int err = host_grant_table_frame(b->out->domid, &frame);

	if (!err)
		err = host_foreign_map(b->out->domid, &frame, 1, &va);
	if (err)
		return err;
	/* Written in the new domain's own table. There is no order to keep: nobody can use the
	 * entries before the domain is introduced to the store and the consoles. */
	table = va;
	table[GNTTAB_RESERVED_CONSOLE] = ring_entry(b, b->out->console_frame);
	table[GNTTAB_RESERVED_XENSTORE] = ring_entry(b, b->out->store_frame);
	host_foreign_unmap(va, 1);
	return 0;
}

int build_offer_rings(struct build *b)
{
	int err = build_write(b, b->layout.store_pfn << PAGE_SHIFT, NULL, 2 * PAGE_SIZE);

	b->out->store_frame = frame_of(b, b->layout.store_pfn);
	b->out->console_frame = frame_of(b, b->layout.console_pfn);
	return err ? err : build_grant_rings(b);
}

/* A PV vCPU starts with its events masked: it has no callback yet. For every vCPU of the page, as
 * the kernel brings up the others later and expects them to begin in the same way. */
int build_mask_events(struct build *b)
{
	struct shared_info *shared;
	void *va;
	int err = host_foreign_map(b->out->domid, &b->shared_info, 1, &va);

	if (err)
		return err;
	shared = va;
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		shared->vcpu_info[i].evtchn_upcall_mask = 1;
	host_foreign_unmap(va, 1);
	return 0;
}

/* ---- start info ------------------------------------------------------------------------ */

/* What is not set here is zero, and that has a meaning: no flags, so neither privileged nor the
 * initial domain; first_p2m_pfn unused, since the list lies inside the mapping. cmd_line is as long
 * as a domain file's command line may be (CONFIG_CMDLINE_MAX), so nothing is cut. */
static void fill_start_info(struct build *b, struct start_info *si)
{
	const struct start_layout *l = &b->layout;

	layout_start_info(l, b->plan->cmdline, si);
	si->shared_info = mfn_to_maddr(b->shared_info).v;
	si->store_mfn = frame_of(b, l->store_pfn).v;
	si->store_evtchn = b->out->store_port;
	si->console.domU.mfn = frame_of(b, l->console_pfn).v;
	si->console.domU.evtchn = b->out->console_port;
}

/* Made in a page of ours and copied: the magic must not be seen beside half of the fields, and the
 * whole page is written, so nothing old stays behind the structure. */
int build_write_start_info(struct build *b)
{
	struct start_info *si = host_pages_alloc(1);
	int err;

	_Static_assert(sizeof(*si) <= PAGE_SIZE, "start info is within its page");
	if (!si)
		return -XEN_ENOMEM;
	fill_start_info(b, si);
	err = build_write(b, b->layout.start_info_pfn << PAGE_SHIFT, si, PAGE_SIZE);
	host_pages_free(si, 1);
	return err;
}

/* ---- the vCPU -------------------------------------------------------------------------- */

/* The one moment at which the hypervisor looks at all the tables: it walks from the L4, gives each
 * frame its type, and refuses the domain if an entry maps a table writable or a frame that is not
 * its own. */
int build_pin_tables(struct build *b)
{
	struct mmuext_op op = {.cmd = MMUEXT_PIN_L4_TABLE};

	op.arg1.mfn = frame_of(b, b->layout.tables_pfn).v;
	return host_mmuext(&op, 1, b->out->domid);
}

/* On the heap: the structure is some 5 KiB with its FPU area, and worker stacks are small. */
int build_set_context(struct build *b)
{
	struct vcpu_guest_context *c = host_alloc(sizeof(*c));
	struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpucontext, .domain = b->out->domid};
	int err;

	if (!c)
		return -XEN_ENOMEM;
	layout_context(&b->layout, b->notes.entry, c);
	c->ctrlreg[3] = xen_pfn_to_cr3(frame_of(b, b->layout.tables_pfn).v);
	set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
	err = host_domctl(&op);
	host_free(c, sizeof(*c));
	return err;
}
