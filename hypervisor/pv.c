/* pv.c: hypercalls by which a guest's kernel says where its handlers and stacks are, and iret.
 *
 * They act on the current vCPU, in guest kernel mode (user mode makes no hypercalls). Not here:
 * the frames themselves (pv_bounce.c), the switch between vCPUs (pv_context.c). Addresses of
 * handlers must be the guest's own to name, so that a frame never continues in our part.
 */
#include <amphi/string.h>

#include "cpu.h"
#include "domain.h"
#include "guest.h"
#include "hypercall.h"
#include "layout.h"
#include "percpu.h"
#include "smp.h"

#define DR7_ALLOWED 0xffff03ffull
#define DR7_LENGTHS 16 /* first bit of the type and length fields */
#define DR_TYPE_IO  2u

/* Where a handler may be. */
#define IS_CODE(address) guest_range_ok(address, 1)

/* A table ends at an entry with address 0 or after 256 entries; no table at all clears all. */
long hc_set_trap_table(uint64_t traps_va)
{
	struct vcpu *v = current_vcpu();
	struct trap_info t;

	if (traps_va == 0) {
		memset(v->pv.traps, 0, sizeof(v->pv.traps));
		return 0;
	}
	for (unsigned i = 0; i < 256; i++) {
		if (guest_read(&t, traps_va + i * sizeof(t)) != 0)
			return -XEN_EFAULT;
		if (t.address == 0)
			return 0;
		if (!IS_CODE(t.address))
			return -XEN_EINVAL;
		v->pv.traps[t.vector] = t;
	}
	return 0;
}

/* The old form of callback_op, which cannot say whether events are to be masked: of failsafe and
 * syscall that stays as it was. */
long hc_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
	struct vcpu_pv *pv = &current_vcpu()->pv;

	if (!IS_CODE(event) || !IS_CODE(failsafe) || !IS_CODE(syscall))
		return -XEN_EINVAL;
	pv->callback[PV_CB_EVENT] = event;
	pv->callback_masks[PV_CB_EVENT] = true;
	pv->callback[PV_CB_FAILSAFE] = failsafe;
	pv->callback[PV_CB_SYSCALL] = syscall;
	return 0;
}

/* One more than the slot; types that are not here (sysenter) are not delivered by this machine. */
static const uint8_t callback_slots[] = {
    [CALLBACKTYPE_event] = PV_CB_EVENT + 1,
    [CALLBACKTYPE_failsafe] = PV_CB_FAILSAFE + 1,
    [CALLBACKTYPE_syscall] = PV_CB_SYSCALL + 1,
    [CALLBACKTYPE_syscall32] = PV_CB_SYSCALL32 + 1,
};

/* A handler of NMIs is that of their vector, whichever way it is set; these two have events masked.
 * Address 0: none. */
static long set_nmi_handler(struct vcpu *v, uint64_t address)
{
	struct trap_info t = {.vector = EXC_NMI, .cs = HV_GUEST_CS64, .address = address};

	if (!IS_CODE(address))
		return -XEN_EINVAL;
	TI_SET_IF(&t, 1);
	v->pv.traps[EXC_NMI] = t;
	return 0;
}

/* Both commands' arguments begin with the type. The three that every kernel needs stay. */
long hc_callback_op(uint64_t cmd, uint64_t arg_va)
{
	struct vcpu_pv *pv = &current_vcpu()->pv;
	bool set = cmd == CALLBACKOP_register;
	struct callback_register reg = {0};
	int slot;

	if (!set && cmd != CALLBACKOP_unregister)
		return -XEN_ENOSYS;
	if (guest_copy_from(&reg, arg_va, set ? sizeof(reg) : sizeof(struct callback_unregister)) !=
	    0)
		return -XEN_EFAULT;
	if (reg.type == CALLBACKTYPE_nmi)
		return set_nmi_handler(current_vcpu(), set ? reg.address : 0);
	slot = reg.type < ARRAY_SIZE(callback_slots) ? callback_slots[reg.type] - 1 : -1;
	if (slot < 0)
		return -XEN_ENOSYS;
	if (set ? !IS_CODE(reg.address) : slot <= PV_CB_SYSCALL)
		return -XEN_EINVAL;
	pv->callback[slot] = set ? reg.address : 0;
	pv->callback_masks[slot] = slot == PV_CB_EVENT || (reg.flags & CALLBACKF_mask_events) != 0;
	return 0;
}

long hc_nmi_op(uint64_t cmd, uint64_t arg_va)
{
	struct xennmi_callback c = {0};

	if (cmd != XENNMI_register_callback && cmd != XENNMI_unregister_callback)
		return -XEN_ENOSYS;
	if (cmd == XENNMI_register_callback && guest_read(&c, arg_va))
		return -XEN_EFAULT;
	return set_nmi_handler(current_vcpu(), c.handler_address);
}

/* A 64-bit kernel's stack segment is flat, whatever it names. */
long hc_stack_switch(uint64_t ss, uint64_t sp)
{
	current_vcpu()->pv.kernel_sp = sp;
	return 0;
}

/* The bit is set for real. We switch vector state eagerly and have no use for #NM ourselves, so
 * each one is due to this, and is the guest's (trap.c). */
long hc_fpu_taskswitch(uint64_t set)
{
	current_vcpu()->pv.ts = set != 0;
	if (set != 0)
		write_cr0(read_cr0() | CR0_TS);
	else
		clear_ts();
	return 0;
}

/* ---- iret ------------------------------------------------------------------------------ */

/* The frame is whatever the guest wrote; each field is made harmless by itself, and what the CPU
 * then still refuses comes back as a fault of our iretq (trap.c). */
long hc_iret(void)
{
	struct vcpu *v = current_vcpu();
	struct guest_regs *r = &v->pv.regs;
	struct iret_context c;

	if (guest_read(&c, r->rsp) != 0) {
		domain_crash(v->domain, "vcpu %u: iret with no frame at %lx", v->id, r->rsp);
		return -XEN_EFAULT;
	}
	/* Ring 3 in the frame means user mode: a kernel's own frames carry ring 0 (pv_bounce.c),
	 * though both run in the CPU's ring 3. */
	if ((c.cs & 3) == 3)
		pv_toggle_mode(v);
	if (c.flags & VGCF_in_syscall) {
		c.cs = HV_GUEST_CS64;
		c.ss = HV_GUEST_DS32;
		c.r11 = c.rflags;
		c.rcx = c.rip;
	}
	r->rip = c.rip;
	r->rflags = pv_fix_rflags(c.rflags);
	r->rsp = c.rsp;
	r->rax = c.rax;
	r->cs = pv_fix_selector((uint16_t)c.cs);
	r->ss = pv_fix_selector((uint16_t)c.ss);
	r->r11 = c.r11;
	r->rcx = c.rcx;
	event_set_mask(&v->events, (c.rflags & RFLAGS_IF) == 0);
	if (v->domain->vm_assist & PV_ARCHITECTURAL_IOPL)
		v->pv.iopl = (uint8_t)(c.rflags >> RFLAGS_IOPL_SHIFT & 3);
	/* The next may have come meanwhile, and is looked for under the lock. */
	if (v->pv.nmi_masked)
		hv_enter();
	v->pv.nmi_masked = false;
	return (long)r->rax;
}

/* ---- segment bases --------------------------------------------------------------------- */

long hc_set_segment_base(uint64_t which, uint64_t base)
{
	struct vcpu *v = current_vcpu();

	if (which != SEGBASE_GS_USER_SEL && !cpu_canonical(base))
		return -XEN_EINVAL;
	switch (which) {
	case SEGBASE_FS:
		wrmsr(MSR_FS_BASE, base);
		return 0;
	case SEGBASE_GS_USER:
		/* We are in kernel mode, so this is the one not in use. */
		v->pv.gs_base_user = base;
		return 0;
	case SEGBASE_GS_KERNEL:
		/* We run between two swapgs: the active base waits in KERNEL_GS_BASE. */
		wrmsr(MSR_KERNEL_GS_BASE, base);
		return 0;
	case SEGBASE_GS_USER_SEL:
		if (!cpu_load_gs(pv_fix_data_selector((uint16_t)base), &v->pv.gs_base_user))
			return -XEN_EINVAL;
		return 0;
	default:
		return -XEN_EINVAL;
	}
}

/* ---- debug registers ------------------------------------------------------------------- */

/* No break point may watch I/O ports (DR7 type 2), nor the debug registers themselves. */
long hc_set_debugreg(uint64_t reg, uint64_t value)
{
	struct vcpu *v = current_vcpu();

	if (reg <= 3) {
		if (value != 0 && !guest_range_ok(value, 8))
			return -XEN_EPERM;
	} else if (reg == 6) {
		value = (value & 0xe00f) | DR6_FIXED;
	} else if (reg == 7) {
		value = (value & DR7_ALLOWED) | DR7_FIXED;
		for (unsigned i = 0; i < 4; i++)
			if ((value >> (DR7_LENGTHS + 4 * i) & 3) == DR_TYPE_IO)
				return -XEN_EPERM;
	} else {
		return -XEN_ENODEV;
	}
	v->pv.dr[reg] = value;
	pv_sync_debug(v);
	return 0;
}

/* 4 and 5 are other names of 6 and 7, or nothing at all (Intel SDM 3B, 17.2.2). */
long hc_get_debugreg(uint64_t reg)
{
	if (reg > 7 || reg == 4 || reg == 5)
		return -XEN_ENODEV;
	return (long)current_vcpu()->pv.dr[reg];
}

/* To the ABI a guest's kernel is in ring 1, or in ring 0 if it likes, and its programs in ring 3. */
bool pv_iopl_ok(const struct vcpu *v)
{
	unsigned kernel = v->domain->vm_assist & PV_ARCHITECTURAL_IOPL ? 0 : 1;

	return v->pv.iopl >= (v->pv.kernel_mode ? kernel : 3);
}
