/* pv_modes.c: a PV kernel that looks at the switches of its hypervisor: assists, I/O level, NMIs.
 *
 * Shows: which vm_assist types there are and what two of them do; NMIs by VCPUOP_send_nmi to a handler
 * set in each of three ways, masked until iret; and that a program cannot read the m2p. Run as the
 * first domain, on amphi-hv or on Xen: both must print the same.
 */
#include "pv_traps.h"

static struct start_info *info;
static uint8_t page_for_shared[4096] __attribute__((aligned(4096)));
static uint8_t kernel_stack[8192] __attribute__((aligned(16)));
static uint8_t user_stack[4096] __attribute__((aligned(16)));
static uint64_t user_root[512] __attribute__((aligned(4096)));

static uint64_t frame(const volatile void *p)
{
	return ((const uint64_t *)info->mfn_list)[(uint64_t)p >> 12];
}

static long assist(unsigned cmd, unsigned type)
{
	return hypercall(__HYPERVISOR_vm_assist, cmd, type, 0, 0);
}

/* ---- vm_assist ------------------------------------------------------------------------- */

static void check_assists(void)
{
	static const uint8_t types[] = {0, 1, 2, 3, 5};
	unsigned i, wrong = 0;

	for (i = 0; i < sizeof(types); i++)
		wrong += assist(VMASST_CMD_enable, types[i]) != 0;
	check("types that are accepted", wrong == 0);
	for (i = 0; i < sizeof(types); i++)
		wrong += types[i] != 5 && assist(VMASST_CMD_disable, types[i]) != 0;
	check("and taken back", wrong == 0);
	for (i = 6; i < 70; i++)
		wrong += i != 32 && assist(VMASST_CMD_enable, i) != -XEN_EINVAL;
	check("types that are not", wrong == 0);
	check("a third command", assist(2, 2) == -XEN_ENOSYS);
}

static void set_iopl(uint32_t level)
{
	struct physdev_set_iopl s = {.iopl = level};

	hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (uint64_t)&s, 0, 0);
}

static int may_read_port(void)
{
	FAULT("movw $0x70, %%dx\n\tinb %%dx, %%al");
	return trap_vector == 0xfff;
}

static uint64_t level_in_frame(void)
{
	FAULT("int3");
	return trap_vector == 3 ? trap_flags >> 12 & 3 : 99;
}

/* An iret to the next line with these flags. */
static void iret_with(uint64_t flags)
{
	__asm__ volatile("movq %%rsp, %%rbx\n\tpushq $0xe02b\n\tpushq %%rbx\n\tpushq %0\n\t"
			 "pushq $0xe030\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tpushq $0\n\t"
			 "jmp hypercall_page + 23 * 32\n1:"
			 :
			 : "r"(flags)
			 : "rax", "rbx", "rcx", "r11", "memory");
}

static void check_iopl(void)
{
	set_iopl(0);
	check("the kernel is in ring 1", !may_read_port());
	set_iopl(1);
	check("and level 1 is enough", may_read_port());
	set_iopl(3);
	check("no frame shows it", level_in_frame() == 0);
	iret_with(0x1202);
	check("and iret does not change it", may_read_port());
	check("architectural_iopl", assist(VMASST_CMD_enable, VMASST_TYPE_architectural_iopl) == 0);
	set_iopl(0);
	check("the kernel is in ring 0", may_read_port());
	set_iopl(3);
	check("the frame shows the level", level_in_frame() == 3);
	iret_with(0x2202);
	check("iret sets it", level_in_frame() == 2);
	check("taken back", assist(VMASST_CMD_disable, VMASST_TYPE_architectural_iopl) == 0 &&
				level_in_frame() == 0);
	set_iopl(0);
	check("as before", !may_read_port());
}

/* ---- NMIs ------------------------------------------------------------------------------ */

static long send_nmi_to(uint64_t vcpu, void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, VCPUOP_send_nmi, vcpu, (uint64_t)arg, 0);
}

static void send_nmi(void)
{
	send_nmi_to(0, 0);
}

static long nmi_op(unsigned command, uint64_t address)
{
	struct xennmi_callback c = {.handler_address = address};

	return hypercall(__HYPERVISOR_nmi_op, command, (uint64_t)&c, 0, 0);
}

/* How many came of one. */
static uint64_t nmis_now(void)
{
	uint64_t before = nmis;

	send_nmi();
	return nmis - before;
}

static void check_nmi(void)
{
	static struct trap_info table[] = {{2, 0, 0xe033, (uint64_t)on_nmi}, {0, 0, 0, 0}};
	struct callback_register r = {.type = CALLBACKTYPE_nmi, .address = (uint64_t)on_nmi};
	struct callback_unregister u = {.type = CALLBACKTYPE_nmi};

	shared->vcpu_info[0].evtchn_upcall_mask = 0;
	check("to nobody", send_nmi_to(99, 0) == -XEN_ENOENT);
	check("with an argument", send_nmi_to(0, &r) == -XEN_EINVAL);
	check("without a handler", send_nmi_to(0, 0) == 0 && nmis == 0);
	check("a handler nowhere", nmi_op(XENNMI_register_callback, 1ull << 63) == -XEN_EINVAL);
	check("a third command", nmi_op(7, 0) == -XEN_ENOSYS);
	check("nmi_op", nmi_op(XENNMI_register_callback, (uint64_t)on_nmi) == 0);
	check("the lost one does not come", nmis == 0);
	check("an NMI, events masked", nmis_now() == 1 && nmi_masked_events == 1);
	check("and not any more", shared->vcpu_info[0].evtchn_upcall_mask == 0);
	in_nmi = send_nmi;
	check("one within it comes after it", nmis_now() == 2);
	check("nmi_op takes it back",
	      nmi_op(XENNMI_unregister_callback, 0) == 0 && nmis_now() == 0);
	check("callback_op",
	      hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, (uint64_t)&r, 0, 0) == 0 &&
		  nmis_now() == 1 && nmi_masked_events == 1);
	check("takes it back",
	      hypercall(__HYPERVISOR_callback_op, CALLBACKOP_unregister, (uint64_t)&u, 0, 0) == 0 &&
		  nmis_now() == 0);
	hypercall(__HYPERVISOR_set_trap_table, (uint64_t)table, 0, 0, 0);
	check("the trap table, events as they are", nmis_now() == 1 && nmi_masked_events == 0);
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
}

/* ---- the m2p --------------------------------------------------------------------------- */

static long root(uint64_t mfn)
{
	struct mmuext_op op = {.cmd = MMUEXT_NEW_USER_BASEPTR};

	op.arg1.mfn = mfn;
	return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, DOMID_SELF);
}

/* Reads the m2p's start in user mode; whichever way it comes back it ends here, in the kernel. */
static void user_reads_m2p(void)
{
	trap_vector = 0xfff;
	__asm__ volatile("movq %%rsp, %%rbx\n\tleaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\t"
			 "pushq $0xe02b\n\tpushq %1\n\tpushq $0x202\n\tpushq $0xe033\n\t"
			 "leaq 2f(%%rip), %%rax\n\tpushq %%rax\n\tpushq $0\n\t"
			 "jmp hypercall_page + 23 * 32\n"
			 "2:\tmovabsq 0xffff800000000000, %%rax\n\tsyscall\n\tud2\n"
			 "1:\tmovq %%rbx, %%rsp\n\t"
			 : "+m"(resume_at)
			 : "r"(user_stack + 4096)
			 : "rax", "rbx", "rcx", "r11", "memory");
}

static int kernel_reads_m2p(void)
{
	FAULT("movabsq 0xffff800000000000, %%rax");
	return trap_vector == 0xfff;
}

static void check_m2p(void)
{
	const uint64_t *kernel_root = (const uint64_t *)info->pt_base;

	hypercall(__HYPERVISOR_stack_switch, 0xe02b, (uint64_t)(kernel_stack + 8192), 0, 0);
	user_root[0] = kernel_root[0];
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)user_root,
		  frame(user_root) << 12 | 0x65, UVMF_INVLPG, 0);
	check("a root for programs", root(frame(user_root)) == 0);
	user_reads_m2p();
	check("they do not see the m2p", trap_vector == 14 && trap_error == 4);
	check("the kernel does", kernel_reads_m2p());
	check("m2p_strict", root(0) == 0 &&
				assist(VMASST_CMD_enable, VMASST_TYPE_m2p_strict) == 0 &&
				root(frame(user_root)) == 0);
	user_reads_m2p();
	check("they do not see it either", trap_vector == 14 && trap_error == 4);
	check("and the kernel does", kernel_reads_m2p());
}

/* How wide addresses of RAM are: Linux chooses its grant table's version by it. */
static void check_width(void)
{
	uint32_t a = 0x40000005, b, c, d;
	long most = hypercall(__HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0, 0, 0);

	__asm__ volatile("ud2a; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	check("machine addresses are as wide as RAM is",
	      (b & 0xff) <= 44 && 1ull << (b & 0xff) >= (uint64_t)most << 12);
}

void guest_main(struct start_info *si)
{
	info = si;
	print("pv_modes: a guest begins\n");
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)page_for_shared,
		  info->shared_info | 0x67, UVMF_INVLPG, 0);
	shared = (struct shared_info *)page_for_shared;
	set_up_traps();
	check_assists();
	check_iopl();
	check_nmi();
	check_m2p();
	check_width();
	print("pv_modes: done\n");
	end(SHUTDOWN_reboot); /* where Xen would stay after a power-off */
}
