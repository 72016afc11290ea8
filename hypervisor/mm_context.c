/* mm_context.c: giving a vCPU that does not run its whole address space, and taking it away.
 *
 * For the domain builder (setvcpucontext), VCPUOP_initialise, the first domain's builder and the
 * end of a vCPU. The running vCPU's changes are mm_space.c's, which this file is built on. Callers:
 * vcpu_op.c, domain_end.c, domctl_vcpu.c, dom0.c. Registers of a context are pv.c's.
 */
#include "domain.h"
#include "mm_private.h"

/* Takes all that the context names, or nothing, before the old gets lost. */
int mm_set_context(struct vcpu *v, const struct vcpu_guest_context *ctx)
{
	struct page_info *root = NULL, *user = NULL;
	uint32_t gdt[HV_GDT_GUEST_PAGES] = {0};
	int error;

	if (ctx->gdt_ents > HV_GDT_FIRST || !space_ldt_ok(ctx->ldt_base, ctx->ldt_ents))
		return -XEN_EINVAL;
	error = mm_begin(v->domain);
	if (error)
		return error;
	/* In a context CR1, which no CPU has, is the user's root (Xen's xen-x86_64.h); 0: none. */
	error = ref_type_get((mfn_t){xen_cr3_to_pfn(ctx->ctrlreg[3])}, v->domain, PT_L4, &root);
	if (!error && ctx->ctrlreg[1])
		error =
		    ref_type_get((mfn_t){xen_cr3_to_pfn(ctx->ctrlreg[1])}, v->domain, PT_L4, &user);
	if (!error)
		error = space_get_gdt(v, ctx->gdt_frames, ctx->gdt_ents, gdt);
	if (!error) {
		space_leave(v);
		space_drop_root(&v->mm.root);
		space_drop_root(&v->mm.root_user);
		v->mm.root = page_to_mfn(root);
		if (user)
			v->mm.root_user = page_to_mfn(user);
		space_show_m2p(v->domain, v->mm.root, false);
		if (user)
			space_show_m2p(v->domain, v->mm.root_user, true);
		space_install_gdt(v, gdt, (uint32_t)ctx->gdt_ents);
		space_set_ldt(v, ctx->ldt_base, ctx->ldt_ents);
		root = user = NULL;
	}
	if (user)
		ref_type_put(user);
	if (root)
		ref_type_put(root);
	mm_unlock();
	return error == -XEN_EBUSY ? -XEN_EINVAL : error;
}

/* The reverse. The vCPU is paused, so nothing of it moves; frames are machine frames, which whoever
 * saves the guest translates. */
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

/* Both steps are done again by each turn: pinning goes on where it stopped, and once it is done the
 * root is valid at once. Pinned, because Linux unpins the tables it was started with. */
int mm_set_boot_root(struct vcpu *v, mfn_t l4)
{
	int error;

	do {
		mm_lock();
		error = pin_table(l4, v->domain, PT_L4);
		if (!error)
			error = space_new_root(v, l4, false);
		mm_unlock();
	} while (error == -XEN_ERESTART);
	return error;
}

/* Everything it drops is gone at the second call, so that a kill which was stopped may begin again.
 * The user's root may be the same table as the kernel's; each holds its own use. */
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
