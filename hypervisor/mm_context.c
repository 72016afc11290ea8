/* mm_context.c: giving a vCPU that does not run its whole address space, and taking it away.
 *
 * For the domain builder (setvcpucontext), VCPUOP_initialise, the first domain's builder and the
 * end of a vCPU. The running vCPU's changes are mm_space.c's, which this file is built on. Callers:
 * domain.c, domctl, dom0.c. Registers of a context are pv.c's.
 */
#include "domain.h"
#include "mm_private.h"

struct context_refs {
	struct page_info *root, *root_user;
	uint32_t gdt[HV_GDT_GUEST_PAGES];
};

static int get_root(struct vcpu *v, uint64_t cr3, struct page_info **out)
{
	return ref_type_get((mfn_t){xen_cr3_to_pfn(cr3)}, v->domain, PT_L4, out);
}

/* What a context names, all or nothing. */
static int get_context(struct vcpu *v, const struct vcpu_guest_context *ctx,
		       struct context_refs *out)
{
	unsigned gdt_pages = (unsigned)DIV_ROUND_UP(ctx->gdt_ents, 512);
	int error;

	error = get_root(v, ctx->ctrlreg[3], &out->root);
	if (error)
		return error;
	if (ctx->ctrlreg[1])
		error = get_root(v, ctx->ctrlreg[1], &out->root_user);
	if (error)
		goto put_root;
	error = space_get_gdt(v, ctx->gdt_frames, gdt_pages, out->gdt);
	if (error)
		goto put_user_root;
	return 0;

put_user_root:
	if (out->root_user)
		ref_type_put(out->root_user);
put_root:
	ref_type_put(out->root);
	return error;
}

int mm_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx)
{
	struct context_refs refs = {0};
	int error;

	if (ctx->gdt_ents > HV_GDT_FIRST || !space_ldt_ok(ctx->ldt_base, ctx->ldt_ents))
		return -XEN_EINVAL;
	error = mm_begin(v->domain);
	if (error)
		return error;
	error = get_context(v, ctx, &refs);
	if (!error) {
		space_leave(v);
		space_drop_root(&v->mm.root);
		space_drop_root(&v->mm.root_user);
		v->mm.root = page_to_mfn(refs.root);
		if (refs.root_user)
			v->mm.root_user = page_to_mfn(refs.root_user);
		space_install_gdt(v, refs.gdt, (uint32_t)ctx->gdt_ents);
		space_set_ldt(v, ctx->ldt_base, ctx->ldt_ents);
	}
	mm_unlock();
	return error == -XEN_EBUSY ? -XEN_EINVAL : error;
}

void mm_get_context(const struct vcpu *v, struct vcpu_guest_context *out_ctx)
{
	out_ctx->ctrlreg[3] = xen_pfn_to_cr3(v->mm.root.v);
	out_ctx->ctrlreg[1] = xen_pfn_to_cr3(v->mm.root_user.v);
	for (unsigned i = 0; i < HV_GDT_GUEST_PAGES; i++)
		out_ctx->gdt_frames[i] = v->mm.gdt[i];
	out_ctx->gdt_ents = v->mm.gdt_entries;
	out_ctx->ldt_base = v->mm.ldt_base;
	out_ctx->ldt_ents = v->mm.ldt_entries;
}

int mm_set_boot_root(struct vcpu *v, mfn_t l4)
{
	int error;

	do {
		mm_lock();
		error = pin_table(l4, v->domain, PT_L4);
		if (!error)
			error = space_new_root(v, l4);
		mm_unlock();
	} while (error == -XEN_ERESTART);
	return error;
}

void mm_vcpu_teardown(struct vcpu *v)
{
	static const uint32_t none[HV_GDT_GUEST_PAGES];

	mm_lock();
	space_leave(v);
	v->mm.ldt_entries = 0;
	if (v->domain->mm.perdomain_l1[v->id / SPACE_VCPUS_PER_L1]) {
		space_drop_ldt(v);
		space_install_gdt(v, none, 0);
	}
	space_drop_root(&v->mm.root_user);
	space_drop_root(&v->mm.root);
	mm_unlock();
}
