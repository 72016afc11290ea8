/* pv_bounce.c: frames a guest's kernel receives: exceptions, upcalls, system calls, failsafe.
 *
 * As the CPU would push an interrupt frame, the hypervisor writes one onto the guest kernel's stack
 * and continues the guest at the handler it registered. Called by trap.c and on the way out
 * (sched_choose.c). The layout is the ABI's: RCX and R11 on top, because the guest's way back (hypercall
 * iret) clobbers them; the event mask from before travels in the CS word. A guest whose stack
 * cannot take the frame is ended: there is nobody left to tell.
 */

#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "layout.h"
#include "percpu.h"

#define EXTRA_MAX     4
#define FRAME_WORDS   5
#define CS_MASK_SHIFT 32 /* saved_upcall_mask within the CS word */
#define FLAGS_CLEARED (RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC)

/* Interrupts are always on while a guest runs: what it may switch off is its event mask. IOPL 0
 * makes in, out, cli and sti trap to us; NT would make iretq fail. */
uint64_t pv_fix_rflags(uint64_t rflags)
{
	rflags &= 0x3fffff & ~(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT | RFLAGS_RF);
	return rflags | RFLAGS_IF | RFLAGS_FIXED;
}

/* Words lie from the lowest address up; extra ones between RCX, R11 and the processor's five.
 * events are masked on the way in, as by an interrupt gate, when mask_events says so.
 *
 *   old stack, cut to 16 bytes (of the kernel, when it comes from user mode)
 *     ss, rsp, rflags
 *     cs                     ring 0 when from kernel mode; event mask from before in bit 32
 *     rip
 *     extra                  nothing; an error code; or ds, es, fs, gs from the lowest up
 *     r11
 *   rsp -> rcx
 *
 * Nothing in the vCPU changes before the frame is written, but for the mode. */
static void bounce(struct vcpu *v, uint64_t to, bool mask_events, const uint64_t *extra,
		   unsigned n_extra)
{
	struct guest_regs *r = &v->pv.regs;
	bool masked = event_masked(&v->events);
	uint64_t iopl = v->domain->vm_assist & PV_ARCHITECTURAL_IOPL ? v->pv.iopl : 0;
	uint64_t cs = (v->pv.kernel_mode ? r->cs & ~3ull : r->cs) & 0xffff;
	uint64_t words[2 + EXTRA_MAX + FRAME_WORDS], *at = words;
	uint64_t bytes = (2 + n_extra + FRAME_WORDS) * sizeof(words[0]), sp;

	*at++ = r->rcx;
	*at++ = r->r11;
	for (unsigned i = 0; i < n_extra; i++)
		*at++ = extra[i];
	*at++ = r->rip;
	*at++ = cs | (uint64_t)masked << CS_MASK_SHIFT;
	*at++ = (r->rflags & ~(RFLAGS_IF | RFLAGS_IOPL)) | (masked ? 0 : RFLAGS_IF) |
		iopl << RFLAGS_IOPL_SHIFT;
	*at++ = r->rsp;
	*at++ = r->ss & 0xffff;
	sp = ((v->pv.kernel_mode ? r->rsp : v->pv.kernel_sp) & ~15ull) - bytes;
	if (!v->pv.kernel_mode)
		pv_toggle_mode(v);
	if (guest_copy_to(sp, words, bytes) != 0) {
		domain_crash(v->domain, "vcpu %u: no stack at %lx for a frame, from rip %lx", v->id,
			     sp, r->rip);
		return;
	}
	if (mask_events)
		event_set_mask(&v->events, true);
	r->rip = to;
	r->cs = HV_GUEST_CS64;
	r->ss = HV_GUEST_DS32;
	r->rsp = sp;
	r->rflags = pv_fix_rflags(r->rflags & ~FLAGS_CLEARED);
}

/* Which vectors have an error code is the CPU's rule (Intel SDM 3A, table 6-1): guests' handlers
 * expect the same layout as on the machine. */
void pv_inject(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	const struct trap_info *t = &v->pv.traps[vector];
	bool pushes_error =
	    vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
	uint64_t error = error_code;

	count(CNT_EXCEPTIONS);
	if (t->address == 0) {
		domain_crash(v->domain,
			     "vcpu %u: %s at %lx (vector %u, error %x), rip %lx, no handler", v->id,
			     vector == EXC_PF ? "page fault" : "exception",
			     v->events.info->arch.cr2, vector, error_code, v->pv.regs.rip);
		return;
	}
	bounce(v, t->address, TI_GET_IF(t) != 0, &error, pushes_error);
}

/* As the CPU does it: no error code, whatever the vector. */
void pv_inject_software(struct vcpu *v, unsigned vector)
{
	const struct trap_info *t = &v->pv.traps[vector];

	bounce(v, t->address, TI_GET_IF(t) != 0, NULL, 0);
}

/* The guest kernel runs in ring 3 too: the CPU's user bit says nothing, its mode does. */
void pv_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code)
{
	v->events.info->arch.cr2 = address;
	pv_inject(v, EXC_PF, (error_code & ~4u) | (v->pv.kernel_mode ? 0 : 4));
}

void pv_send_nmi(struct vcpu *v)
{
	if (!__atomic_exchange_n(&v->pv.nmi_pending, true, __ATOMIC_SEQ_CST))
		vcpu_wake(v);
}

/* One that nobody handles is lost. */
static void deliver_nmi(struct vcpu *v)
{
	const struct trap_info *t = &v->pv.traps[EXC_NMI];

	__atomic_store_n(&v->pv.nmi_pending, false, __ATOMIC_SEQ_CST);
	if (t->address == 0)
		return;
	v->pv.nmi_masked = true;
	bounce(v, t->address, TI_GET_IF(t) != 0, NULL, 0);
}

/* Once per way out: the frame masks events, so they are not deliverable a second time. */
void pv_deliver_events(struct vcpu *v)
{
	uint64_t to = v->pv.callback[PV_CB_EVENT];

	if (pv_nmi_due(&v->pv))
		deliver_nmi(v);
	if (to == 0 || !event_deliverable(&v->events))
		return;
	count(CNT_UPCALLS);
	bounce(v, to, true, NULL, 0);
}

/* The selectors as they should have been: the guest's handler loads them again or gives up. */
void pv_failsafe(struct vcpu *v)
{
	const uint64_t selectors[EXTRA_MAX] = {v->pv.ds, v->pv.es, v->pv.fs, v->pv.gs};
	uint64_t to = v->pv.callback[PV_CB_FAILSAFE];

	if (to == 0)
		domain_crash(v->domain, "vcpu %u: selector fault at rip %lx, no failsafe", v->id,
			     v->pv.regs.rip);
	else
		bounce(v, to, v->pv.callback_masks[PV_CB_FAILSAFE], selectors, EXTRA_MAX);
}

/* Without a handler it is as on a CPU that has no such instruction: #UD, and at the instruction,
 * which the CPU has passed already; syscall is two bytes long. */
void pv_guest_syscall(struct vcpu *v, bool compat)
{
	unsigned which = compat ? PV_CB_SYSCALL32 : PV_CB_SYSCALL;

	if (v->pv.callback[which] != 0) {
		bounce(v, v->pv.callback[which], v->pv.callback_masks[which], NULL, 0);
		return;
	}
	v->pv.regs.rip -= 2;
	pv_inject(v, EXC_UD, 0);
}
