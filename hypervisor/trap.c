/* trap.c: what the entry code found, sorted out: system calls, exceptions, interrupts.
 *
 * Callers: entry.S. Calls hypercall_from_guest, emulate, mm_page_fault, irq_handle, and injects
 * into the guest what is the guest's. On the way out entry.S calls sched_leave, so nothing here
 * decides who runs. What is the vCPU's own affair (its system calls, its programs' faults) is done
 * without the hypervisor's lock; everything else takes it first. Faults in our own code are fixups (guest memory, selectors, MSRs) or the end.
 */
#include <amphi/types.h>

#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "guest.h"
#include "irq.h"
#include "layout.h"
#include "percpu.h"
#include "smp.h"
#include "trap.h"

#define ERROR_IDT        2u /* of #GP: the index is of the IDT */
#define PF_PRESENT_WRITE 3u
#define DR6_NEW_BITS     0xe00fu

/* One instruction, two meanings: from the kernel a hypercall, from a program a system call, for the
 * kernel to answer. The CPU cannot tell, both are in ring 3. */
void trap_syscall(struct guest_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (v->pv.kernel_mode)
		hypercall_from_guest(regs);
	else
		pv_guest_syscall(v, false);
}

/* Hypercalls come from 64-bit kernels only. */
void trap_syscall32(struct guest_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (v->pv.kernel_mode)
		pv_inject(v, EXC_UD, 0);
	else
		pv_guest_syscall(v, true);
}

/* ---- exceptions of guests -------------------------------------------------------------- */

/* A page fault of the CPU's own look at a descriptor of v's that no page holds: then the selector
 * is out of range, and that is the fault the guest gets. */
static bool no_descriptor(struct vcpu *v, uint64_t address)
{
	uint64_t offset = address - mm_gdt_base(v);

	if (offset >= HV_VCPU_AREA_SIZE)
		return false;
	/* The CPU reads either half of a descriptor first; bit 2 of a selector means the LDT. */
	pv_inject(v, EXC_GP, (offset & 0xfff8) | (offset >= HV_LDT_OFFSET ? 4 : 0));
	return true;
}

/* First what is ours: descriptors that the CPU did not find. Then a kernel's write to its own page
 * table, mapped read-only, which is a bargain it has with us. The rest is the guest's. */
static void guest_page_fault(struct vcpu *v, struct guest_regs *r)
{
	uint64_t address = read_cr2();

	count(CNT_PAGE_FAULTS);
	/* Most faults are of programs, and nobody else's. */
	if (v->pv.kernel_mode || address >= HV_HOLE_START)
		hv_enter();
	if (mm_page_fault(v, address, r->error_code) || no_descriptor(v, address))
		return;
	if (v->pv.kernel_mode && (r->error_code & PF_PRESENT_WRITE) == PF_PRESENT_WRITE &&
	    emulate_table_write(v, address))
		return;
	pv_inject_page_fault(v, address, r->error_code);
}

/* `int n` by a guest arrives as #GP, since our gates are closed to ring 3. QEMU 7.2 computes the
 * error code wrongly (16 n + 2), so the number is read from the instruction. */
static bool guest_int(struct vcpu *v, struct guest_regs *r)
{
	unsigned ring = v->pv.kernel_mode ? 1 : 3;
	const struct trap_info *t;
	uint8_t code[2];

	if ((r->error_code & ERROR_IDT) == 0 || guest_copy_from(code, r->rip, 2) != 0 ||
	    code[0] != 0xcd)
		return false;
	t = &v->pv.traps[code[1]];
	if (t->address == 0 || TI_GET_DPL(t) < ring)
		return false;
	r->rip += 2;
	pv_inject_software(v, code[1]);
	return true;
}

/* What is left of a fault after the cases here is the guest's. Of #NM it hears once for each
 * fpu_taskswitch; what the machine itself has to say (NMI, double fault, machine check) is ours. */
void trap_from_guest(struct guest_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (regs->vector >= 32) {
		hv_enter();
		irq_handle(regs->vector);
		return;
	}
	switch (regs->vector) {
	case EXC_NMI:
	case EXC_DF:
	case EXC_MC:
		trap_anywhere(regs);
		return;
	case EXC_PF:
		guest_page_fault(v, regs);
		return;
	case EXC_GP:
		hv_enter();
		if (guest_int(v, regs) ||
		    ((regs->error_code & ~ERROR_IDT) == 0 && emulate_privileged(v)))
			return;
		break;
	case EXC_UD:
		hv_enter();
		if (emulate_forced(v))
			return;
		break;
	case EXC_NM:
		v->pv.ts = false;
		clear_ts();
		break;
	case EXC_DB:
		v->pv.dr[6] = DR6_FIXED | (debug_status() & DR6_NEW_BITS);
		break;
	default:
		break;
	}
	pv_inject(v, regs->vector, regs->error_code);
}

/* The frame, still in the vCPU, cannot be loaded. Xen shows the guest the fault as if the target of
 * its iret had raised it, and so do we. A page fault is its descriptor table being mapped late. */
void trap_bad_iret(unsigned vector, uint32_t error_code)
{
	struct vcpu *v = current_vcpu();

	hv_enter();
	if (vector >= 32)
		irq_handle(vector);
	else if (vector != EXC_PF)
		pv_inject(v, vector, error_code);
	else if (!mm_page_fault(v, read_cr2(), error_code) && !no_descriptor(v, read_cr2()))
		pv_inject_page_fault(v, read_cr2(), error_code);
}

/* ---- our own code ---------------------------------------------------------------------- */

/* No guest may bring us here. */
static void die(const struct guest_regs *r, const char *what)
{
	hv_panic("%s: vector %u error %x rip %lx rsp %lx cr2 %lx", what, r->vector, r->error_code,
		 r->rip, r->rsp, read_cr2());
}

/* A copy from or to a guest may want an LDT that is not there only in loading a selector; otherwise
 * a fault is expected at a few instructions, each with its fixup, and nowhere else. */
void trap_from_hypervisor(struct guest_regs *regs)
{
	uint64_t to;

	if (regs->vector >= 32) {
		/* While it waited for one; it goes on with the lock. */
		hv_enter();
		irq_handle(regs->vector);
		return;
	}
	if (regs->vector == EXC_PF && this_cpu()->current != NULL && read_cr2() >= HV_HOLE_START) {
		hv_enter();
		if (mm_page_fault(current_vcpu(), read_cr2(), regs->error_code))
			return;
	}
	to = guest_fixup(regs->rip);
	if (to == 0)
		to = cpu_fixup(regs->rip);
	if (to == 0)
		die(regs, "fault in the hypervisor");
	regs->rip = to;
}

void trap_anywhere(struct guest_regs *regs)
{
	/* Counted and no more: whoever was interrupted may hold the console's lock. */
	if (regs->vector == EXC_NMI) {
		count(CNT_IRQS);
		return;
	}
	if (regs->vector == EXC_DB) {
		/* A break point of a guest's, delayed into our entry code by MOV SS. */
		(void)debug_status();
		return;
	}
	die(regs, regs->vector == EXC_DF ? "double fault" : "machine check");
}
