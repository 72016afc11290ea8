/* restore_vcpu.c: what a restored guest wakes up with: registers, start info, shared page, clock.
 *
 * Records of vCPUs are kept until all memory is there; then numbers in them (CR3, the frames of the GDT, the
 * start info) become frames. What a register may hold the hypervisor checks; here only what names
 * pages. The start info gets the rings' frames and ports of the new domain, and the shared page what
 * belongs to the guest and not to the hypervisor that it was under. Callers: restore_stream.c, restore_domain.c. Calls
 * restore_memory.c, host_control.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/string.h>

#include "restore.h"

#define GDT_ENTRIES_MAX 7168u /* xen/arch-x86/xen.h: FIRST_RESERVED_GDT_ENTRY */
#define CR1_VALID       1ull  /* libxc's mark that there is a table of the user's */
#define XCR0_FXSAVE     3ull  /* x87 and SSE (Intel SDM 1, 13.1) */
#define LEVEL_TOP       4u

/* ---- records ---------------------------------------------------------------------------------- */

static const uint8_t kind_of[] = {
    [STREAM_VCPU_BASIC] = RESTORE_BASIC,
    [STREAM_VCPU_EXTENDED] = RESTORE_EXTENDED,
    [STREAM_VCPU_XSAVE] = RESTORE_XSAVE,
    [STREAM_VCPU_MSRS] = RESTORE_MSRS,
};

static bool length_fits(unsigned kind, uint32_t len)
{
	switch (kind) {
	case RESTORE_BASIC:
		return len == sizeof(struct vcpu_guest_context);
	case RESTORE_XSAVE:
		return len >= sizeof(struct stream_xsave);
	case RESTORE_MSRS:
		return len % sizeof(struct xen_domctl_vcpu_msr) == 0;
	default:
		return true; /* not above STREAM_EXTENDED_MAX */
	}
}

/* Empty records come from older writers and say nothing. */
int restore_take_vcpu(struct restore *r, const uint8_t *body)
{
	const struct stream_vcpu *v = (const void *)body;
	uint32_t len = r->record.body_bytes - sizeof(*v);
	unsigned kind = kind_of[r->record.type];
	struct restore_blob *blob;

	if (v->vcpu >= r->config->max_vcpus)
		return restore_fail(r, -XEN_EINVAL, "of vCPU %u of %u", v->vcpu,
				    r->config->max_vcpus);
	if (!len)
		return 0;
	if (!length_fits(kind, len))
		return restore_fail(r, -XEN_EINVAL, "it is of %u bytes", r->record.body_bytes);
	blob = &r->vcpus[v->vcpu][kind];
	if (blob->bytes)
		return restore_fail(r, -XEN_EINVAL, "a second of vCPU %u", v->vcpu);
	blob->bytes = host_alloc(len);
	if (!blob->bytes)
		return restore_fail(r, -XEN_ENOMEM, "no memory to keep it");
	blob->len = len;
	memcpy(blob->bytes, body + sizeof(*v), len);
	return 0;
}

void restore_free_vcpus(struct restore *r)
{
	for (unsigned v = 0; v < CONFIG_MAX_VCPUS; v++)
		for (unsigned k = 0; k < RESTORE_BLOBS; k++) {
			host_free(r->vcpus[v][k].bytes, r->vcpus[v][k].len);
			r->vcpus[v][k] = (struct restore_blob){0};
		}
}

int restore_take_shared_info(struct restore *r, const uint8_t *body)
{
	memcpy(r->shared, body, PAGE_SIZE);
	return 0;
}

int restore_take_tsc(struct restore *r, const uint8_t *body)
{
	memcpy(&r->tsc, body, sizeof(r->tsc));
	return 0;
}

/* ---- what the guest finds --------------------------------------------------------------------- */

static struct vcpu_guest_context *context(struct restore *r, unsigned vcpu)
{
	return (void *)r->vcpus[vcpu][RESTORE_BASIC].bytes;
}

/* Whose number vCPU 0 gave with its last call; it turned those of its rings itself. Events, grants and the
 * connection to the store it makes anew, from what stands here. */
static int fill_start_info(struct restore *r, struct start_info *si)
{
	int err = restore_frame(r, si->store_mfn, STREAM_PAGE_PLAIN, "the store's ring",
				&r->built.store_frame);

	if (!err)
		err = restore_frame(r, si->console.domU.mfn, STREAM_PAGE_PLAIN,
				    "the console's ring", &r->built.console_frame);
	if (err)
		return err;
	si->store_mfn = r->built.store_frame.v;
	si->store_evtchn = r->built.store_port;
	si->console.domU.mfn = r->built.console_frame.v;
	si->console.domU.evtchn = r->built.console_port;
	si->nr_pages = r->n_pfns;
	si->shared_info = mfn_to_maddr(r->build.shared_info).v;
	si->flags = 0;
	return 0;
}

int restore_write_start_info(struct restore *r)
{
	struct vcpu_guest_context *c = context(r, 0);
	mfn_t frame;
	void *va;
	int err;

	if (!c)
		return restore_fail(r, -XEN_EINVAL, "no VCPU_BASIC of vCPU 0");
	err = restore_frame(r, c->user_regs.rdx, STREAM_PAGE_PLAIN, "its start info", &frame);
	if (!err)
		err = host_foreign_map(r->built.domid, &frame, 1, &va);
	if (err)
		return err;
	err = fill_start_info(r, va);
	host_foreign_unmap(va, 1);
	c->user_regs.rdx = frame.v;
	return err;
}

/* Its vCPUs' part and the architecture's; no event is pending and all are masked, since there are none yet.
 * Frames of the world before are not kept for anybody to look at. */
static void fill_shared_info(struct shared_info *to, const struct shared_info *from)
{
	memcpy(to->vcpu_info, from->vcpu_info, sizeof(to->vcpu_info));
	to->arch = from->arch;
	to->arch.pfn_to_mfn_frame_list_list = 0;
	to->arch.p2m_cr3 = 0;
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		to->vcpu_info[i].evtchn_pending_sel = 0;
	memset(to->evtchn_pending, 0, sizeof(to->evtchn_pending));
	memset(to->evtchn_mask, 0xff, sizeof(to->evtchn_mask));
}

int restore_write_shared_info(struct restore *r)
{
	void *va;
	int err;

	if (!(r->seen & 1u << STREAM_SHARED_INFO))
		return restore_fail(r, -XEN_EINVAL, "no SHARED_INFO");
	err = host_foreign_map(r->built.domid, &r->build.shared_info, 1, &va);
	if (err)
		return err;
	fill_shared_info(va, r->shared);
	host_foreign_unmap(va, 1);
	return 0;
}

/* A guest that reads the counter itself gets this machine's; a hypervisor need not know another way. One
 * that was told of an emulated counter must have it again. */
int restore_set_tsc(struct restore *r)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_settscinfo, .domain = r->built.domid};
	int err;

	if (!(r->seen & 1u << STREAM_TSC_INFO))
		return 0;
	op.u.tsc_info.tsc_mode = r->tsc.mode;
	op.u.tsc_info.gtsc_khz = r->tsc.khz;
	op.u.tsc_info.elapsed_nsec = r->tsc.elapsed_ns;
	op.u.tsc_info.incarnation = r->tsc.incarnation;
	err = host_domctl(&op);
	if (!err || err == -XEN_ENOSYS)
		return 0;
	return restore_fail(r, err, "its clock (mode %u, %u kHz) is refused: %s", r->tsc.mode,
			    r->tsc.khz, error_name(err));
}

/* ---- vCPUs ------------------------------------------------------------------------------------ */

static int turn_root(struct restore *r, unsigned vcpu, uint64_t *cr, const char *what)
{
	mfn_t frame;
	int err = restore_frame(r, xen_cr3_to_pfn(*cr & ~CR1_VALID), LEVEL_TOP, what, &frame);

	(void)vcpu;
	if (!err)
		*cr = xen_pfn_to_cr3(frame.v);
	return err;
}

static int turn_context(struct restore *r, struct vcpu_guest_context *c)
{
	int err = 0;

	if (c->gdt_ents > GDT_ENTRIES_MAX)
		return restore_fail(r, -XEN_EINVAL, "a GDT of %llu entries",
				    (unsigned long long)c->gdt_ents);
	for (unsigned i = 0; i < (c->gdt_ents + 511) / 512 && !err; i++) {
		mfn_t frame;

		err = restore_frame(r, c->gdt_frames[i], STREAM_PAGE_PLAIN, "its GDT", &frame);
		if (!err)
			c->gdt_frames[i] = frame.v;
	}
	if (!err)
		err = turn_root(r, 0, &c->ctrlreg[3], "its page table");
	if (!err && c->ctrlreg[1] & CR1_VALID)
		err = turn_root(r, 0, &c->ctrlreg[1], "its user's page table");
	else
		c->ctrlreg[1] = 0;
	c->flags |= VGCF_online; /* those that are not have no record */
	return err;
}

static int set_basic(struct restore *r, unsigned vcpu)
{
	struct vcpu_guest_context *c = context(r, vcpu);
	struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpucontext, .domain = r->built.domid};
	int err = turn_context(r, c);

	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
	return err ? err : host_domctl(&op);
}

static int set_extended(struct restore *r, unsigned vcpu)
{
	const struct restore_blob *b = &r->vcpus[vcpu][RESTORE_EXTENDED];
	struct xen_domctl op = {.cmd = XEN_DOMCTL_set_ext_vcpucontext, .domain = r->built.domid};

	_Static_assert(STREAM_EXTENDED_MAX <= sizeof(op.u), "it has room");
	memcpy(&op.u, b->bytes, b->len);
	op.u.ext_vcpucontext.vcpu = vcpu;
	return host_domctl(&op);
}

static int set_xsave(struct restore *r, unsigned vcpu)
{
	const struct restore_blob *b = &r->vcpus[vcpu][RESTORE_XSAVE];
	const struct stream_xsave *x = (const void *)b->bytes;
	int err;
	struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpuextstate, .domain = r->built.domid};

	op.u.vcpuextstate.vcpu = vcpu;
	op.u.vcpuextstate.size = b->len;
	set_xen_guest_handle(op.u.vcpuextstate.buffer, (void *)b->bytes);
	err = host_domctl(&op);
	/* Nothing in it that is not in the other record: x87 and SSE. */
	if (err == -XEN_ENOSYS && !(x->xcr0_accum & ~XCR0_FXSAVE))
		err = 0;
	return err;
}

static int set_msrs(struct restore *r, unsigned vcpu)
{
	const struct restore_blob *b = &r->vcpus[vcpu][RESTORE_MSRS];
	struct xen_domctl op = {.cmd = XEN_DOMCTL_set_vcpu_msrs, .domain = r->built.domid};

	op.u.vcpu_msrs.vcpu = vcpu;
	op.u.vcpu_msrs.msr_count = b->len / sizeof(struct xen_domctl_vcpu_msr);
	set_xen_guest_handle(op.u.vcpu_msrs.msrs, (void *)b->bytes);
	return host_domctl(&op);
}

/* In this order, as libxc: XSAVE's area holds the FPU's state too, and knows more of it. */
static int (*const set[RESTORE_BLOBS])(struct restore *r, unsigned vcpu) = {
    [RESTORE_BASIC] = set_basic,
    [RESTORE_EXTENDED] = set_extended,
    [RESTORE_XSAVE] = set_xsave,
    [RESTORE_MSRS] = set_msrs,
};

static const char *const names[RESTORE_BLOBS] = {"registers", "callbacks", "vector state", "MSRs"};

/* What the hypervisor does not take the guest cannot be given; it is better not to run. */
int restore_set_vcpus(struct restore *r)
{
	for (unsigned v = 0; v < r->config->max_vcpus; v++)
		for (unsigned k = 0; k < RESTORE_BLOBS; k++) {
			int err = r->vcpus[v][k].bytes ? set[k](r, v) : 0;

			if (err && !r->why[0])
				restore_fail(r, err, "vCPU %u's %s are refused: %s", v, names[k],
					     error_name(err));
			if (err)
				return err;
		}
	return 0;
}
