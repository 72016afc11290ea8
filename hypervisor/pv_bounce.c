/* pv_bounce.c: frames a guest's kernel receives: exceptions, upcalls, system calls, failsafe.
 *
 * As the CPU would push an interrupt frame, the hypervisor writes one onto the guest kernel's stack
 * and continues the guest at the handler it registered. Called by trap.c and on the way out
 * (sched.c). The layout is the ABI's: RCX and R11 on top, because the guest's way back (hypercall
 * iret) clobbers them; the event mask from before travels in the CS word. A guest whose stack
 * cannot take the frame is ended: there is nobody left to tell.
 */
#include <amphi/types.h>

#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "layout.h"
#include "percpu.h"

#define FRAME_MAX     11
#define CS_MASK_SHIFT 32 /* saved_upcall_mask within the CS word */
#define FLAGS_CLEARED (RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC)

struct bounce {
	uint64_t to;      /* handler */
	bool mask_events; /* on the way in, as an interrupt gate would */
	bool has_error, has_selectors;
	uint32_t error;
};

uint64_t pv_fix_rflags(uint64_t rflags)
{
	rflags &= 0x3fffff & ~(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT | RFLAGS_RF);
	return rflags | RFLAGS_IF | RFLAGS_FIXED;
}

/* Words from the lowest address up. */
static unsigned fill_frame(struct vcpu *v, const struct bounce *b, uint64_t *words)
{
	const struct guest_regs *r = &v->pv.regs;
	bool masked = event_masked(&v->events);
	unsigned n = 0;

	words[n++] = r->rcx;
	words[n++] = r->r11;
	if (b->has_selectors) {
		words[n++] = v->pv.ds;
		words[n++] = v->pv.es;
		words[n++] = v->pv.fs;
		words[n++] = v->pv.gs;
	}
	if (b->has_error)
		words[n++] = b->error;
	words[n++] = r->rip;
	words[n++] = ((v->pv.kernel_mode ? r->cs & ~3ull : r->cs) & 0xffff) | (uint64_t)masked
										  << CS_MASK_SHIFT;
	words[n++] = (r->rflags & ~(RFLAGS_IF | RFLAGS_IOPL)) | (masked ? 0 : RFLAGS_IF);
	words[n++] = r->rsp;
	words[n++] = r->ss & 0xffff;
	return n;
}

static void bounce(struct vcpu *v, const struct bounce *b)
{
	struct guest_regs *r = &v->pv.regs;
	uint64_t words[FRAME_MAX];
	unsigned n = fill_frame(v, b, words);
	uint64_t sp = v->pv.kernel_mode ? r->rsp : v->pv.kernel_sp;

	if (!v->pv.kernel_mode)
		pv_toggle_mode(v);
	sp = (sp & ~15ull) - n * sizeof(words[0]);
	if (guest_copy_to(sp, words, n * sizeof(words[0])) != 0) {
		domain_crash(v->domain, "vcpu %u: no stack at %lx for a frame, from rip %lx", v->id,
			     sp, r->rip);
		return;
	}
	if (b->mask_events)
		event_set_mask(&v->events, true);
	r->rip = b->to;
	r->cs = HV_GUEST_CS64;
	r->ss = HV_GUEST_DS32;
	r->rsp = sp;
	r->rflags = pv_fix_rflags(r->rflags & ~FLAGS_CLEARED);
}

static bool has_error_code(unsigned vector)
{
	return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

void pv_inject(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	const struct trap_info *t = &v->pv.traps[vector];
	struct bounce b = {
	    .to = t->address,
	    .mask_events = TI_GET_IF(t) != 0,
	    .has_error = has_error_code(vector),
	    .error = error_code,
	};

	count(CNT_EXCEPTIONS);
	if (t->address == 0) {
		domain_crash(v->domain, "vcpu %u: exception %u (error %x) at rip %lx, no handler",
			     v->id, vector, error_code, v->pv.regs.rip);
		return;
	}
	bounce(v, &b);
}

/* As the CPU does it: no error code, whatever the vector. */
void pv_inject_software(struct vcpu *v, unsigned vector)
{
	const struct trap_info *t = &v->pv.traps[vector];
	struct bounce b = {.to = t->address, .mask_events = TI_GET_IF(t) != 0};

	bounce(v, &b);
}

/* The guest kernel runs in ring 3 too: the CPU's user bit says nothing, its mode does. */
void pv_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code)
{
	error_code = (error_code & ~4u) | (v->pv.kernel_mode ? 0 : 4);
	v->events.info->arch.cr2 = address;
	if (v->pv.traps[EXC_PF].address == 0) {
		domain_crash(v->domain,
			     "vcpu %u: page fault at %lx (error %x), rip %lx, no handler", v->id,
			     address, error_code, v->pv.regs.rip);
		return;
	}
	pv_inject(v, EXC_PF, error_code);
}

void pv_deliver_events(struct vcpu *v)
{
	struct bounce b = {.to = v->pv.callback[PV_CB_EVENT], .mask_events = true};

	if (b.to == 0 || !event_deliverable(&v->events))
		return;
	count(CNT_UPCALLS);
	bounce(v, &b);
}

void pv_failsafe(struct vcpu *v)
{
	struct bounce b = {
	    .to = v->pv.callback[PV_CB_FAILSAFE],
	    .mask_events = v->pv.callback_masks[PV_CB_FAILSAFE],
	    .has_selectors = true,
	};

	if (b.to == 0) {
		domain_crash(v->domain, "vcpu %u: selector fault at rip %lx, no failsafe",
			     v->id, v->pv.regs.rip);
		return;
	}
	bounce(v, &b);
}

void pv_guest_syscall(struct vcpu *v, bool compat)
{
	unsigned which = compat ? PV_CB_SYSCALL32 : PV_CB_SYSCALL;
	struct bounce b = {
	    .to = v->pv.callback[which],
	    .mask_events = v->pv.callback_masks[which],
	};

	if (b.to == 0) {
		v->pv.regs.rip -= 2;
		pv_inject(v, EXC_UD, 0);
		return;
	}
	bounce(v, &b);
}
