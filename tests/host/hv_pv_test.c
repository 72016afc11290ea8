/* hv_pv_test: what a guest's kernel finds on its stack, and that iret undoes it.
 *
 * Why: each frame is an ABI to the word, and each field a guest sets is one the CPU would trust.
 * Expected: exceptions, upcalls and system calls from kernel and user mode as Xen's headers lay
 * them out; iret brings every register back; nothing a guest writes gets it ring 0, IOPL, another's
 * address, or interrupts off.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/pv.c hypervisor/pv_bounce.c lib/printf.c
 * links: hypervisor/pv_context.c hypervisor/trap.c hypervisor/emulate.c hypervisor/cpuid.c
 * links: hypervisor/emulate_decode.c hypervisor/emulate_table.c hypervisor/msr.c lib/text.c
 * links: hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c hypervisor/irq.c
 * links: hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c hypervisor/timer.c hypervisor/console.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv_pv_fixture.h"

static int set_up(void **state)
{
	struct trap_info traps[] = {{3, 3, HV_GUEST_CS64, HANDLER + 3},
				    {6, 0, HV_GUEST_CS64, HANDLER + 6},
				    {7, 0, HV_GUEST_CS64, HANDLER + 7},
				    {13, 4, HV_GUEST_CS64, HANDLER + 13},
				    {14, 0, HV_GUEST_CS64, HANDLER + 14},
				    {0x80, 3, HV_GUEST_CS64, HANDLER + 0x80},
				    {0, 0, 0, 0}};

	(void)state;
	pv_begin(traps, sizeof(traps));
	r->rax = 1;
	r->rcx = 2;
	r->r11 = 3;
	return 0;
}

static void exception_from_kernel(void **state)
{
	uint64_t sp = r->rsp = WORLD_BASE + 0x4008, rip = r->rip;

	(void)state;
	event_set_mask(&v->events, true);
	fault(EXC_UD, 0);
	assert_int_equal(r->rip, HANDLER + 6);
	assert_int_equal(r->rsp, (sp & ~15ull) - 7 * 8);
	assert_int_equal(word(0), 2);
	assert_int_equal(word(1), 3);
	assert_int_equal(word(2), rip);
	assert_int_equal(word(3), (HV_GUEST_CS64 & ~3) | 1ull << 32);
	assert_int_equal(word(4), RFLAGS_FIXED);
	assert_int_equal(word(5), sp);
	assert_int_equal(word(6), HV_GUEST_DS32);
	assert_true(event_masked(&v->events));
}

static void page_fault_has_address_and_mode(void **state)
{
	(void)state;
	world.cr2 = 0xdead000;
	fault(EXC_PF, 7);
	assert_int_equal(r->rip, HANDLER + 14);
	assert_int_equal(word(2), 3);
	assert_int_equal(v->events.info->arch.cr2, 0xdead000);
	v->pv.kernel_mode = false;
	fault(EXC_PF, 6);
	assert_int_equal(word(2), 6);
	assert_true(v->pv.kernel_mode);
}

/* Bit 2 of a trap's flags masks events, and the frame tells what the mask was. */
static void gate_masks_events(void **state)
{
	(void)state;
	fault(EXC_GP, 0x50);
	assert_true(event_masked(&v->events));
	assert_int_equal(word(2), 0x50);
	assert_int_equal(word(4) >> 32, 0);
	assert_int_equal(word(5) & RFLAGS_IF, RFLAGS_IF);
}

static void syscall_from_user(void **state)
{
	(void)state;
	v->pv.kernel_mode = false;
	v->pv.gs_base_kernel = 0x1111;
	world.msr_kernel_gs = 0x2222;
	trap_syscall(r);
	assert_true(v->pv.kernel_mode);
	assert_int_equal(v->pv.gs_base_user, 0x2222);
	assert_int_equal(world.msr_kernel_gs, 0x1111);
	assert_int_equal(r->rip, HANDLER + 2);
	assert_int_equal(r->rsp, v->pv.kernel_sp - 7 * 8);
	assert_int_equal(word(3), HV_GUEST_CS64);
	v->pv.kernel_mode = true;
	trap_syscall(r);
	assert_int_equal(r->rax, 0x1234);
}

static void upcall_only_when_due(void **state)
{
	(void)state;
	pv_deliver_events(v);
	assert_int_equal(r->rip, WORLD_BASE);
	v->events.info->evtchn_upcall_pending = 1;
	event_set_mask(&v->events, true);
	pv_deliver_events(v);
	assert_int_equal(r->rip, WORLD_BASE);
	event_set_mask(&v->events, false);
	pv_deliver_events(v);
	assert_int_equal(r->rip, HANDLER);
	assert_true(event_masked(&v->events));
}

/* The frame of an exception, as the guest's stub hands it back: rax, r11, rcx, flags below it. */
static void iret_undoes_a_frame(void **state)
{
	struct guest_regs before;
	struct iret_context c;

	(void)state;
	v->pv.kernel_mode = false;
	r->rsp = WORLD_BASE + 0x123;
	before = *r;
	fault(EXC_UD, 0);
	memcpy(&c.rip, world_at(r->rsp + 16), 5 * 8);
	c.rax = before.rax;
	c.rcx = word(0);
	c.r11 = word(1);
	c.flags = 0;
	r->rsp -= 64;
	WORLD_PUT(r->rsp, c);
	assert_int_equal(hc_iret(), before.rax);
	before.vector = r->vector;
	assert_memory_equal(r, &before, sizeof(before));
	assert_false(v->pv.kernel_mode);
	assert_false(event_masked(&v->events));
}

/* Everything a guest could want of an iret and must not have. */
static void iret_is_made_harmless(void **state)
{
	struct iret_context c = {.rip = 0x1000, .cs = 0xe008, .ss = 0xe010, .rsp = 0x2000};

	(void)state;
	c.rflags = RFLAGS_IOPL | RFLAGS_VM | RFLAGS_NT | 1ull << 63;
	r->rsp = WORLD_BASE + 0x200;
	WORLD_PUT(r->rsp, c);
	hc_iret();
	assert_int_equal(r->cs & 3, 3);
	assert_int_equal(r->ss & 3, 3);
	assert_int_equal(r->rflags, RFLAGS_IF | RFLAGS_FIXED);
	assert_true(event_masked(&v->events));
	assert_true(v->pv.kernel_mode);
}

static void iret_of_a_syscall(void **state)
{
	struct iret_context c = {
	    .rip = 0x1000, .cs = 3, .rflags = RFLAGS_IF, .flags = VGCF_in_syscall};

	(void)state;
	r->rsp = WORLD_BASE + 0x200;
	WORLD_PUT(r->rsp, c);
	hc_iret();
	assert_int_equal(r->cs, HV_GUEST_CS64);
	assert_int_equal(r->rcx, 0x1000);
	assert_int_equal(r->r11, RFLAGS_IF);
	assert_false(v->pv.kernel_mode);
}

static void hopeless_guests_end(void **state)
{
	(void)state;
	r->rsp = 0x10;
	fault(EXC_UD, 0);
	assert_int_equal(world.crashes, 1);
	fault(EXC_DE, 0);
	assert_int_equal(world.crashes, 2);
	r->rsp = 0x10;
	hc_iret();
	assert_int_equal(world.crashes, 3);
	world.no_user_table = true;
	pv_toggle_mode(v);
	assert_int_equal(world.crashes, 4);
}

/* int 0x80 by its bytes, whatever QEMU says of the error code; int 6 is not the user's to raise. */
static void int_by_number(void **state)
{
	(void)state;
	memcpy(world_at(WORLD_BASE), "\xcd\x80\xcd\x06", 4);
	fault(EXC_GP, 0x80 * 16 + 2);
	assert_int_equal(r->rip, HANDLER + 0x80);
	assert_int_equal(word(2), WORLD_BASE + 2);
	r->rip = WORLD_BASE + 2;
	fault(EXC_GP, 6 * 8 + 2);
	assert_int_equal(r->rip, HANDLER + 13);
	assert_int_equal(word(3), WORLD_BASE + 2);
}

/* A descriptor that no page holds: the CPU faults on our address, the guest sees its selector. */
static void missing_descriptor(void **state)
{
	(void)state;
	world.cr2 = mm_gdt_base(v) + 0x1230 + 4;
	fault(EXC_PF, 0);
	assert_int_equal(r->rip, HANDLER + 13);
	assert_int_equal(word(2), 0x1230);
	world.cr2 = mm_gdt_base(v) + HV_LDT_OFFSET + 0x48;
	trap_bad_iret(EXC_PF, 0);
	assert_int_equal(word(2), 0x4c);
}

static void no_fpu_once(void **state)
{
	(void)state;
	hc_fpu_taskswitch(1);
	assert_int_equal(world.cr0 & CR0_TS, CR0_TS);
	fault(EXC_NM, 0);
	assert_int_equal(r->rip, HANDLER + 7);
	assert_int_equal(world.cr0 & CR0_TS, 0);
	assert_false(v->pv.ts);
}

static void handlers_are_the_guests(void **state)
{
	struct trap_info bad[] = {{6, 0, HV_GUEST_CS64, HV_HOLE_START}, {0, 0, 0, 0}};
	struct callback_register reg = {.type = CALLBACKTYPE_event, .address = HV_HOLE_START};

	(void)state;
	WORLD_PUT(WORLD_BASE + 0x100, bad);
	assert_int_equal(hc_set_trap_table(WORLD_BASE + 0x100), -XEN_EINVAL);
	assert_int_equal(hc_set_trap_table(0x10), -XEN_EFAULT);
	assert_int_equal(hc_set_callbacks(HANDLER, HV_HOLE_START, HANDLER), -XEN_EINVAL);
	WORLD_PUT(WORLD_BASE + 0x100, reg);
	assert_int_equal(hc_callback_op(CALLBACKOP_register, WORLD_BASE + 0x100), -XEN_EINVAL);
	reg.type = CALLBACKTYPE_sysenter;
	WORLD_PUT(WORLD_BASE + 0x100, reg);
	assert_int_equal(hc_callback_op(CALLBACKOP_register, WORLD_BASE + 0x100), -XEN_ENOSYS);
	assert_int_equal(v->pv.callback[PV_CB_EVENT], HANDLER);
	assert_int_equal(hc_set_trap_table(0), 0);
	assert_int_equal(v->pv.traps[6].address, 0);
}

static void callbacks_one_by_one(void **state)
{
	struct callback_register reg = {.type = CALLBACKTYPE_syscall32, .address = HANDLER + 9};
	struct callback_unregister un = {.type = CALLBACKTYPE_syscall32};

	(void)state;
	reg.flags = CALLBACKF_mask_events;
	WORLD_PUT(WORLD_BASE + 0x100, reg);
	assert_int_equal(hc_callback_op(CALLBACKOP_register, WORLD_BASE + 0x100), 0);
	v->pv.kernel_mode = false;
	trap_syscall32(r);
	assert_int_equal(r->rip, HANDLER + 9);
	assert_true(event_masked(&v->events));
	WORLD_PUT(WORLD_BASE + 0x100, un);
	assert_int_equal(hc_callback_op(CALLBACKOP_unregister, WORLD_BASE + 0x100), 0);
	v->pv.kernel_mode = false;
	trap_syscall32(r);
	assert_int_equal(r->rip, HANDLER + 6);
	assert_int_equal(hc_callback_op(77, 0), -XEN_ENOSYS);
}

static void debug_registers(void **state)
{
	(void)state;
	assert_int_equal(hc_set_debugreg(0, 0x1000), 0);
	assert_int_equal(hc_get_debugreg(0), 0x1000);
	assert_int_equal(hc_set_debugreg(1, HV_HOLE_START + 8), -XEN_EPERM);
	assert_int_equal(hc_set_debugreg(7, 0x20001), -XEN_EPERM);
	assert_int_equal(hc_set_debugreg(7, 1ull << 63 | 0x2003), 0);
	assert_int_equal(hc_get_debugreg(7), 0x403);
	assert_int_equal(world.dr[7], 0x403);
	assert_int_equal(world.dr[0], 0x1000);
	assert_int_equal(hc_set_debugreg(4, 0), -XEN_ENODEV);
	assert_int_equal(hc_get_debugreg(9), -XEN_ENODEV);
}

static void segment_bases(void **state)
{
	(void)state;
	assert_int_equal(hc_set_segment_base(SEGBASE_FS, 0x1000), 0);
	assert_int_equal(world.msr_fs_base, 0x1000);
	assert_int_equal(hc_set_segment_base(SEGBASE_GS_KERNEL, 0x2000), 0);
	assert_int_equal(world.msr_kernel_gs, 0x2000);
	assert_int_equal(hc_set_segment_base(SEGBASE_GS_USER, 0x3000), 0);
	assert_int_equal(v->pv.gs_base_user, 0x3000);
	assert_int_equal(hc_set_segment_base(SEGBASE_FS, 1ull << 50), -XEN_EINVAL);
	assert_int_equal(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0x1230), -XEN_EINVAL);
	assert_int_equal(hc_set_segment_base(9, 0), -XEN_EINVAL);
}

static void context_there_and_back(void **state)
{
	static struct vcpu_guest_context in, out;
	struct vcpu *other = world_domain->vcpu[1];

	(void)state;
	memset(&out, 0, sizeof(out));
	in.flags = VGCF_in_kernel | VGCF_syscall_disables_events;
	in.user_regs.rip = 0x1000;
	in.user_regs.cs = 0xe030;
	in.user_regs.r15 = 15;
	in.user_regs.rdi = 7;
	in.user_regs.rflags = RFLAGS_IOPL;
	in.kernel_sp = 0x5000;
	in.event_callback_eip = HANDLER;
	in.fs_base = 0x6000;
	assert_int_equal(pv_set_context(other, &in), 0);
	assert_int_equal(other->pv.regs.cs, 0xe033);
	assert_int_equal(other->pv.regs.rflags, RFLAGS_IF | RFLAGS_FIXED);
	pv_get_context(other, &out);
	assert_int_equal(out.user_regs.r15, 15);
	assert_int_equal(out.user_regs.rdi, 7);
	assert_int_equal(out.kernel_sp, 0x5000);
	assert_int_equal(out.fs_base, 0x6000);
	assert_int_equal(out.flags & VGCF_syscall_disables_events, VGCF_syscall_disables_events);
	in.user_regs.rip = 1ull << 60;
	assert_int_equal(pv_set_context(other, &in), -XEN_EINVAL);
	in.user_regs.rip = 0;
	in.gs_base_user = 1ull << 60;
	assert_int_equal(pv_set_context(other, &in), -XEN_EINVAL);
	in.gs_base_user = 0;
	assert_int_equal(pv_set_context(other, &in), 0);
	in.trap_ctxt[255].address = 1ull << 60;
	assert_int_equal(pv_set_context(other, &in), -XEN_EINVAL);
	in.trap_ctxt[255].address = HV_HOLE_START;
	assert_int_equal(pv_set_context(other, &in), -XEN_EINVAL);
}

/* Behind the back of a kernel that has not asked for it, a user's GS base must not change; one that was saved
 * has asked elsewhere. */
static void fsgsbase(void **state)
{
	static struct vcpu_guest_context c;
	struct vcpu *other = world_domain->vcpu[1];

	(void)state;
	memset(&c, 0, sizeof(c));
	c.user_regs.rip = 0x1000;
	world.fsgsbase = true;
	pv_load(other);
	assert_false(world.fsgsbase);
	c.ctrlreg[4] = CR4_FSGSBASE | CR4_SMEP;
	assert_int_equal(pv_set_context(other, &c), 0);
	pv_load(other);
	assert_true(world.fsgsbase);
	c.ctrlreg[4] |= CR4_OSXSAVE; /* it would find its vector registers changed */
	assert_int_equal(pv_set_context(other, &c), -XEN_EOPNOTSUPP);
	pv_get_context(other, &c);
	assert_int_equal(c.ctrlreg[4], CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE);
}

/* Of a domain's, not of each vCPU's: the first one's context has it. */
static void vm_assist_is_of_vcpu_0(void **state)
{
	static struct vcpu_guest_context c, out;

	(void)state;
	memset(&c, 0, sizeof(c));
	c.user_regs.rip = 0x1000;
	c.vm_assist = 1ull << VMASST_TYPE_m2p_strict | 1ull << 63;
	assert_int_equal(pv_set_context(world_domain->vcpu[1], &c), 0);
	assert_int_equal(world_domain->vm_assist, 0);
	assert_int_equal(pv_set_context(world_domain->vcpu[0], &c), 0);
	assert_int_equal(world_domain->vm_assist, 1ull << VMASST_TYPE_m2p_strict);
	pv_get_context(world_domain->vcpu[1], &out);
	assert_int_equal(out.vm_assist, 1ull << VMASST_TYPE_m2p_strict);
}

/* ---- emulation ------------------------------------------------------------------------- */

static void run(const char *code, size_t n)
{
	memset(world_at(WORLD_BASE), 0xcc, 32);
	memcpy(world_at(WORLD_BASE), code, n);
	r->rip = WORLD_BASE;
	fault(EXC_GP, 0);
}

static void ports_need_iopl_and_right(void **state)
{
	(void)state;
	world.port[0x71] = 0x59;
	run("\xe4\x71", 2);
	assert_int_equal(r->rip, HANDLER + 13);
	v->pv.iopl = 1;
	r->rsp = WORLD_BASE + 0x4000;
	r->rax = 0x1100;
	run("\xe4\x71", 2);
	assert_int_equal(r->rip, WORLD_BASE + 2);
	assert_int_equal(r->rax, 0x11ff); /* no right to the port: nothing there */
	assert_int_equal(io_port_permit(world_domain, 0x70, 0x71, true), 0);
	run("\xe4\x71", 2);
	assert_int_equal(r->rax, 0x1159);
	v->pv.kernel_mode = false; /* user mode would need IOPL 3 */
	run("\xe4\x71", 2);
	assert_int_equal(r->rip, HANDLER + 13);
}

static void control_registers(void **state)
{
	(void)state;
	run("\x0f\x20\xc0", 3);
	assert_int_equal(r->rax & 0x80000001, 0x80000001);
	r->rax |= CR0_TS;
	run("\x0f\x22\xc0", 3);
	assert_true(v->pv.ts);
	run("\x0f\x06", 2);
	assert_false(v->pv.ts);
	r->rax = 0;
	run("\x0f\x22\xc0", 3);
	assert_int_equal(r->rip, HANDLER + 13);
	r->rsp = WORLD_BASE + 0x4000;
	r->rax = 1ull << 20; /* SMEP is not a guest's */
	run("\x0f\x22\xe0", 3);
	assert_int_equal(r->rip, HANDLER + 13);
	r->rsp = WORLD_BASE + 0x4000;
	r->rax = CR4_PAE | CR4_FSGSBASE;
	run("\x0f\x22\xe0", 3);
	assert_true(world.fsgsbase);
	r->rax = CR4_PAE;
	run("\x0f\x22\xe0", 3);
	assert_false(world.fsgsbase);
}

static void model_specific_registers(void **state)
{
	(void)state;
	r->rcx = MSR_FS_BASE;
	r->rax = 0x5000;
	r->rdx = 0;
	run("\x0f\x30", 2);
	assert_int_equal(world.msr_fs_base, 0x5000);
	r->rdx = 1u << 20; /* not canonical */
	run("\x0f\x30", 2);
	assert_int_equal(r->rip, HANDLER + 13);
	r->rsp = WORLD_BASE + 0x4000;
	r->rcx = MSR_LSTAR;
	run("\x0f\x32", 2);
	assert_int_equal(r->rip, HANDLER + 13);
	r->rsp = WORLD_BASE + 0x4000;
	r->rcx = MSR_PAT; /* readable; writable with what it holds */
	run("\x0f\x32", 2);
	assert_int_equal(r->rax, MSR_PAT);
	run("\x0f\x30", 2);
	assert_int_equal(r->rip, WORLD_BASE + 2);
	r->rax++;
	run("\x0f\x30", 2);
	assert_int_equal(r->rip, HANDLER + 13);
}

static void forced_cpuid(void **state)
{
	(void)state;
	memcpy(world_at(WORLD_BASE), "\x0f\x0bxen\x0f\xa2", 7);
	r->rax = 0x40000000;
	fault(EXC_UD, 0);
	assert_int_equal(r->rip, WORLD_BASE + 7);
	assert_int_equal(r->rbx, 0x566e6558);
	r->rip = WORLD_BASE;
	r->rax = 0x40000005;
	fault(EXC_UD, 0);
	assert_int_equal(r->rbx, 29); /* of 512 MiB */
	r->rip = WORLD_BASE;
	r->rax = 1;
	fault(EXC_UD, 0);
	assert_int_equal(r->rdx & (1u << 3 | 1u << 13 | 1u << 1), 0);  /* PSE, PGE, VME */
	assert_int_equal(r->rcx & (1u << 5 | 1u << 26 | 1u << 28), 0); /* VMX, XSAVE, AVX */
}

/* A kernel clears a bit, exchanges, and compares in a page table of its own. */
static void table_writes(void **state)
{
	uint64_t at = WORLD_BASE + WORLD_BYTES - 64, entry = 0x1234067;

	(void)state;
	WORLD_PUT(at, entry);
	world.cr2 = r->rdi = at;
	memcpy(world_at(WORLD_BASE), "\xf0\x80\x27\xfd", 4); /* lock andb $~2, (%rdi) */
	fault(EXC_PF, 3);
	assert_int_equal(*(uint64_t *)world_at(at), 0x1234065);
	assert_int_equal(r->rip, WORLD_BASE + 4);
	r->rip = WORLD_BASE;
	r->rax = 0;
	memcpy(world_at(WORLD_BASE), "\x48\x87\x07", 3);
	fault(EXC_PF, 3);
	assert_int_equal(r->rax, 0x1234065);
	assert_int_equal(*(uint64_t *)world_at(at), 0);
	r->rip = WORLD_BASE;
	r->rax = 5; /* differs: RAX gets what is there */
	memcpy(world_at(WORLD_BASE), "\xf0\x48\x0f\xb1\x17", 5);
	fault(EXC_PF, 3);
	assert_int_equal(r->rax, 0);
	assert_int_equal(r->rflags & 0x40, 0);
	r->rip = WORLD_BASE;
	world.cr2 = WORLD_BASE + 0x2000; /* not a table: the guest's fault */
	fault(EXC_PF, 3);
	assert_int_equal(r->rip, HANDLER + 14);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(exception_from_kernel),
	    T(page_fault_has_address_and_mode),
	    T(gate_masks_events),
	    T(syscall_from_user),
	    T(upcall_only_when_due),
	    T(iret_undoes_a_frame),
	    T(iret_is_made_harmless),
	    T(iret_of_a_syscall),
	    T(hopeless_guests_end),
	    T(int_by_number),
	    T(missing_descriptor),
	    T(no_fpu_once),
	    T(handlers_are_the_guests),
	    T(callbacks_one_by_one),
	    T(debug_registers),
	    T(segment_bases),
	    T(context_there_and_back),
	    T(fsgsbase),
	    T(vm_assist_is_of_vcpu_0),
	    T(ports_need_iopl_and_right),
	    T(control_registers),
	    T(model_specific_registers),
	    T(forced_cpuid),
	    T(table_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
