/* pv_context.c: what of a vCPU is in the CPU and not in its frame, and the switch of it.
 *
 * Selectors, segment bases, FPU, debug registers; and the vCPU's first state and its exchange with
 * domain builders (struct vcpu_guest_context). Vector state is switched eagerly: lazy switching
 * leaks it where XSAVE ignores CR0.TS. CR4.OSXSAVE stays off, so guests have x87 and SSE, no AVX,
 * and FXSAVE is the whole of it. Page tables, GDT and LDT are mm's (mm_activate).
 */
#include <amphi/string.h>

#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "percpu.h"

#define FXSAVE_BYTES  512u
#define FCW_DEFAULT   0x37fu
#define MXCSR_DEFAULT 0x1f80u
#define GPR_OFFSET    offsetof(struct guest_regs, r15)
#define GPR_BYTES     offsetof(struct cpu_user_regs, error_code)

/* r15 to rdi have the ABI's order in both. */
_Static_assert(offsetof(struct guest_regs, rdi) - GPR_OFFSET == offsetof(struct cpu_user_regs, rdi),
	       "order of registers");

/* As FNINIT and a reset of MXCSR leave it; the two words lie at 0 and 24 (Intel SDM 1, 10.5.1). */
static void fpu_reset(void *image)
{
	memset(image, 0, FXSAVE_BYTES);
	((uint16_t *)image)[0] = FCW_DEFAULT;
	((uint32_t *)image)[6] = MXCSR_DEFAULT;
}

int pv_vcpu_init(struct vcpu *v)
{
	v->pv.fpu = hv_alloc(FXSAVE_BYTES);
	if (v->pv.fpu == NULL)
		return -XEN_ENOMEM;
	fpu_reset(v->pv.fpu);
	v->pv.kernel_mode = true;
	v->pv.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	v->pv.dr[6] = DR6_FIXED;
	v->pv.dr[7] = DR7_FIXED;
	return 0;
}

void pv_vcpu_teardown(struct vcpu *v)
{
	hv_free(v->pv.fpu, FXSAVE_BYTES);
	v->pv.fpu = NULL;
}

/* ---- the switch ------------------------------------------------------------------------ */

#define READ_SELECTOR(reg, to)                                                                     \
	do {                                                                                       \
		uint32_t selector;                                                                 \
		__asm__ volatile("movl %%" reg ", %0" : "=r"(selector));                           \
		(to) = (uint16_t)selector;                                                         \
	} while (0)

/* entry.S swaps on the way in, so while we run the guest's base of GS in use waits in
 * KERNEL_GS_BASE; the other one is only here. */
static uint64_t *active_gs_base(struct vcpu_pv *pv)
{
	return pv->kernel_mode ? &pv->gs_base_kernel : &pv->gs_base_user;
}

void pv_sync_debug(struct vcpu *v)
{
	if (this_cpu()->loaded == v)
		debug_load(v->pv.dr);
}

/* The bases are read from the MSRs, since a guest's kernel may have loaded selectors, and with them
 * bases, without us. TS is cleared before fxsave: we must not take a #NM. */
void pv_unload(struct vcpu *v)
{
	struct vcpu_pv *pv = &v->pv;

	READ_SELECTOR("ds", pv->ds);
	READ_SELECTOR("es", pv->es);
	READ_SELECTOR("fs", pv->fs);
	READ_SELECTOR("gs", pv->gs);
	pv->fs_base = rdmsr(MSR_FS_BASE);
	*active_gs_base(pv) = rdmsr(MSR_KERNEL_GS_BASE);
	clear_ts();
	__asm__ volatile("fxsaveq (%0)" ::"r"(pv->fpu) : "memory");
	if (pv->dr[7] != DR7_FIXED)
		debug_off();
}

/* A selector that the CPU refuses (its descriptor changed meanwhile) becomes 0, and the guest
 * hears of it by its failsafe callback, as the ABI says. */
void pv_load(struct vcpu *v)
{
	struct vcpu_pv *pv = &v->pv;
	uint64_t ignored_base;
	bool ok = cpu_load_segment(SEG_DS, pv->ds);

	ok &= cpu_load_segment(SEG_ES, pv->es);
	ok &= cpu_load_segment(SEG_FS, pv->fs);
	ok &= cpu_load_gs(pv->gs, &ignored_base);
	/* After the selectors: to load one sets the base from its descriptor. */
	wrmsr(MSR_FS_BASE, pv->fs_base);
	wrmsr(MSR_KERNEL_GS_BASE, *active_gs_base(pv));
	cpu_set_fsgsbase(pv->cr4 & CR4_FSGSBASE);
	clear_ts();
	__asm__ volatile("fxrstorq (%0)" ::"r"(pv->fpu) : "memory");
	if (pv->ts)
		write_cr0(read_cr0() | CR0_TS);
	if (pv->dr[7] != DR7_FIXED)
		debug_load(pv->dr);
	cpu_set_regs_top((uint64_t)(&pv->regs + 1));
	if (!ok)
		pv_failsafe(v);
}

/* What swapgs and a load of CR3 would be to a kernel of its own machine. The vCPU is loaded here.
 */
void pv_toggle_mode(struct vcpu *v)
{
	*active_gs_base(&v->pv) = rdmsr(MSR_KERNEL_GS_BASE);
	v->pv.kernel_mode = !v->pv.kernel_mode;
	wrmsr(MSR_KERNEL_GS_BASE, *active_gs_base(&v->pv));
	if (!mm_toggle_user(v))
		domain_crash(v->domain, "vcpu %u enters user mode without a user page table",
			     v->id);
}

/* ---- contexts from and to domain builders ---------------------------------------------- */

/* What iretq or a load into MSRs would otherwise refuse. Handlers above all: a fault of iretq is
 * answered with a frame on the guest's stack and another iretq to the guest's handler, so one that
 * iretq refuses as well would keep us here for as long as there is stack. */
static bool context_ok(const struct vcpu_guest_context *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
		if (!guest_range_ok(c->trap_ctxt[i].address, 1) ||
		    (i < 4 && !guest_range_ok(c->debugreg[i], 8)))
			return false;
	return cpu_canonical(c->user_regs.rip) && cpu_canonical(c->fs_base) &&
	       cpu_canonical(c->gs_base_kernel) && cpu_canonical(c->gs_base_user) &&
	       guest_range_ok(c->event_callback_eip, 1) &&
	       guest_range_ok(c->failsafe_callback_eip, 1) &&
	       guest_range_ok(c->syscall_callback_eip, 1);
}

/* A guest that was saved elsewhere uses what it has switched on there: it would not run long without. */
static bool has_what_it_needs(const struct vcpu_guest_context *c)
{
	uint64_t lacks = CR4_OSXSAVE | CR4_PKE | CR4_CET | (cpu_has_fsgsbase() ? 0 : CR4_FSGSBASE);

	return !(c->ctrlreg[4] & lacks);
}

/* Of a vCPU that does not run and is not loaded. Nothing is changed unless all is in order, and
 * what is taken over is made harmless as hc_iret and the other hypercalls would: no interrupt flag
 * off, no ring but 3, and no break points, which only set_debugreg can check. */
int pv_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	const struct cpu_user_regs *u = &c->user_regs;
	struct vcpu_pv *pv = &v->pv;

	if (!context_ok(c))
		return -XEN_EINVAL;
	if (!has_what_it_needs(c))
		return -XEN_EOPNOTSUPP;
	if (v->id == 0)
		v->domain->vm_assist = c->vm_assist & PV_ASSISTS;
	memcpy((char *)&pv->regs + GPR_OFFSET, u, GPR_BYTES);
	pv->regs.rip = u->rip;
	pv->regs.cs = pv_fix_selector(u->cs);
	pv->regs.ss = pv_fix_selector(u->ss);
	pv->regs.rsp = u->rsp;
	pv->regs.rflags = pv_fix_rflags(u->rflags);
	pv->ds = pv_fix_data_selector(u->ds);
	pv->es = pv_fix_data_selector(u->es);
	pv->fs = pv_fix_data_selector(u->fs);
	pv->gs = pv_fix_data_selector(u->gs);
	memcpy(pv->traps, c->trap_ctxt, sizeof(pv->traps));
	if (c->flags & VGCF_I387_VALID)
		memcpy(pv->fpu, &c->fpu_ctxt, FXSAVE_BYTES);
	else
		fpu_reset(pv->fpu);
	/* MXCSR bits above 15 would make fxrstor fault. */
	((uint32_t *)pv->fpu)[6] &= 0xffff;
	/* Linux asks so for its further vCPUs; for the first it makes the hypercall. */
	pv->iopl = (uint8_t)(u->rflags >> RFLAGS_IOPL_SHIFT & 3);
	pv->kernel_mode = (c->flags & VGCF_in_kernel) != 0;
	pv->kernel_sp = c->kernel_sp;
	pv->callback[PV_CB_EVENT] = c->event_callback_eip;
	pv->callback[PV_CB_FAILSAFE] = c->failsafe_callback_eip;
	pv->callback[PV_CB_SYSCALL] = c->syscall_callback_eip;
	pv->callback_masks[PV_CB_EVENT] = true;
	pv->callback_masks[PV_CB_FAILSAFE] = (c->flags & VGCF_failsafe_disables_events) != 0;
	pv->callback_masks[PV_CB_SYSCALL] = (c->flags & VGCF_syscall_disables_events) != 0;
	pv->fs_base = c->fs_base;
	pv->gs_base_kernel = c->gs_base_kernel;
	pv->gs_base_user = c->gs_base_user;
	pv->ts = (c->ctrlreg[0] & CR0_TS) != 0;
	/* What a saved guest found on its CPU; a new one asks for it by itself. */
	pv->cr4 |= c->ctrlreg[4] & CR4_FSGSBASE;
	memcpy(pv->dr, c->debugreg, sizeof(pv->dr));
	pv->dr[6] = DR6_FIXED;
	pv->dr[7] = DR7_FIXED;
	return 0;
}

/* Of a vCPU that is paused: all of it is in memory (vcpu_pause). What is mm's mm_get_context adds.
 */
void pv_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	const struct vcpu_pv *pv = &v->pv;
	struct cpu_user_regs *u = &c->user_regs;

	memcpy(u, (const char *)&pv->regs + GPR_OFFSET, GPR_BYTES);
	u->rip = pv->regs.rip;
	u->cs = (uint16_t)pv->regs.cs;
	u->ss = (uint16_t)pv->regs.ss;
	u->rsp = pv->regs.rsp;
	u->rflags = pv->regs.rflags | (uint64_t)pv->iopl << RFLAGS_IOPL_SHIFT;
	u->saved_upcall_mask = event_masked(&v->events);
	u->ds = pv->ds;
	u->es = pv->es;
	u->fs = pv->fs;
	u->gs = pv->gs;
	memcpy(&c->fpu_ctxt, pv->fpu, FXSAVE_BYTES);
	memcpy(c->trap_ctxt, pv->traps, sizeof(pv->traps));
	c->flags = VGCF_I387_VALID | (pv->kernel_mode ? VGCF_in_kernel : 0) |
		   (vcpu_is_up(v) ? VGCF_online : 0) |
		   (pv->callback_masks[PV_CB_FAILSAFE] ? VGCF_failsafe_disables_events : 0) |
		   (pv->callback_masks[PV_CB_SYSCALL] ? VGCF_syscall_disables_events : 0);
	c->vm_assist = v->domain->vm_assist;
	c->kernel_ss = HV_GUEST_DS32;
	c->kernel_sp = pv->kernel_sp;
	c->ctrlreg[0] = 0x80050033 | (pv->ts ? CR0_TS : 0);
	c->ctrlreg[2] = v->events.info->arch.cr2;
	c->ctrlreg[4] = pv->cr4;
	memcpy(c->debugreg, pv->dr, sizeof(pv->dr));
	c->event_callback_eip = pv->callback[PV_CB_EVENT];
	c->failsafe_callback_eip = pv->callback[PV_CB_FAILSAFE];
	c->syscall_callback_eip = pv->callback[PV_CB_SYSCALL];
	c->fs_base = pv->fs_base;
	c->gs_base_kernel = pv->gs_base_kernel;
	c->gs_base_user = pv->gs_base_user;
}
