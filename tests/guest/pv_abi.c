/* pv_abi.c: a PV kernel that looks at its hypervisor from the inside, one check after another.
 *
 * Shows: start of day, page tables, exceptions and the way back, user mode and system calls, events
 * and timers, the emulated instructions, I/O rights, errors for nonsense; and measures the null
 * hypercall. Each check prints "ok NAME" or "FAILED NAME"; the test counts them. Run as the first
 * domain, on amphi-hv or on Xen: what is checked is the ABI, not us.
 */
#include "pv_traps.h"

static struct start_info *info;

/* ---- checks ------------------------------------------------------------------------------------
 */

static void check_start(void)
{
	static const char magic[] = "xen-3.0-x86_64";
	const uint64_t *list = (const uint64_t *)info->mfn_list;
	const uint64_t *m2p = (const uint64_t *)HYPERVISOR_VIRT_START;
	unsigned wrong = 0;

	/* Xen puts a "p" behind it for a kernel whose notes name PAE. */
	for (unsigned i = 0; i < sizeof(magic) - 1; i++)
		wrong += info->magic[i] != magic[i];
	check("start_info magic", wrong == 0);
	wrong = 0;
	check("first domain's flags", (info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) ==
					  (SIF_PRIVILEGED | SIF_INITDOMAIN));
	for (uint64_t pfn = 0; pfn < info->nr_pages; pfn++)
		wrong += m2p[list[pfn]] != pfn;
	check("m2p undoes p2m for every page", wrong == 0);
	print_number("pages ", info->nr_pages);
	print("cmdline ");
	print((const char *)info->cmd_line);
	print("\n");
}

static uint64_t machine(const void *p)
{
	uint64_t a = (uint64_t)p;

	return ((const uint64_t *)info->mfn_list)[a >> 12] << 12 | (a & 4095);
}

static uint8_t page_for_shared[4096] __attribute__((aligned(4096)));
static uint8_t scratch[4096] __attribute__((aligned(4096)));

static void check_page_tables(void)
{
	uint64_t tables = machine((const void *)info->pt_base);
	long rc;

	rc = hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)page_for_shared,
		       info->shared_info | 0x67, UVMF_INVLPG, 0);
	check("shared_info can be mapped", rc == 0);
	shared = (struct shared_info *)page_for_shared;
	rc = hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)scratch, tables | 0x67,
		       UVMF_INVLPG, 0);
	check("a page table cannot be mapped writable", rc < 0);
	rc = hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)scratch, tables | 0x65,
		       UVMF_INVLPG, 0);
	check("but read-only", rc == 0);
	rc = hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)scratch, 0x100000 | 0x67,
		       UVMF_INVLPG, 0);
	check("the hypervisor's own memory cannot be mapped", rc < 0);
}

static void check_exceptions(void)
{
	FAULT("ud2");
	check("#UD", trap_vector == 6);
	FAULT("xorl %%eax, %%eax\n\txorl %%edx, %%edx\n\tdivl %%eax");
	check("#DE", trap_vector == 0);
	FAULT("movl %%eax, 0xffffffffdead0000");
	check("#PF with address and error code",
	      trap_vector == 14 && shared->vcpu_info[0].arch.cr2 == 0xffffffffdead0000 &&
		  trap_error == 2);
	FAULT("int3");
	check("#BP", trap_vector == 3);
	FAULT("int $0x80");
	check("int 0x80", trap_vector == 0x80);
	FAULT("int $0x81");
	check("an int without a handler is #GP", trap_vector == 13);
	FAULT("movw $0x1234, %%ax\n\tmovw %%ax, %%ds");
	check("a bad selector is #GP", trap_vector == 13);
	FAULT("movl $0x10, %%ecx\n\twrmsr");
	check("a foreign MSR is #GP", trap_vector == 13);
	hypercall(__HYPERVISOR_fpu_taskswitch, 1, 0, 0, 0);
	FAULT("fninit");
	check("#NM after fpu_taskswitch", trap_vector == 7);
	FAULT("fninit");
	check("and only once", trap_vector == 0xfff);
}

static void check_emulation(void)
{
	uint32_t a = 0x40000000, b, c, d;
	uint64_t r;

	__asm__ volatile("ud2a; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	check("forced cpuid says Xen", b == 0x566e6558 && c == 0x65584d4d && d == 0x4d4d566e);
	a = 1;
	__asm__ volatile("ud2a; .ascii \"xen\"; cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	check("and hides PSE, PGE, VMX", (d & (1u << 3 | 1u << 13)) == 0 && (c & 1u << 5) == 0);
	check("and shows machine checks", (d & (1u << 7 | 1u << 14)) == (1u << 7 | 1u << 14));
	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0x179));
	check("of two banks", (a & 0xff) == 2);
	__asm__ volatile("wrmsr" : : "a"(~0u), "d"(~0u), "c"(0x404));
	__asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0x405));
	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(0x405));
	check("that can be switched on and report nothing", a == 0 && d == 0);
	__asm__ volatile("movq %%cr0, %0" : "=r"(r));
	check("mov from CR0", (r & 0x80000001) == 0x80000001);
	__asm__ volatile("movq %%cr4, %0" : "=r"(r));
	check("mov from CR4", (r & 0x20) != 0);
}

static void check_io(void)
{
	struct physdev_set_iopl s = {.iopl = 1};
	uint8_t v = 0;

	FAULT("movw $0x70, %%dx\n\tinb %%dx, %%al");
	check("port without IOPL is #GP", trap_vector == 13);
	check("set_iopl",
	      hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (uint64_t)&s, 0, 0) == 0);
	__asm__ volatile("outb %0, $0x70\n\tinb $0x71, %0" : "+a"(v));
	check("clock's seconds by port", v < 0x60);
	__asm__ volatile("inb $0x21, %0" : "=a"(v));
	check("the interrupt controller is not ours", v == 0xff);
}

static uint8_t user_stack[4096] __attribute__((aligned(16)));
static uint8_t kernel_stack[8192] __attribute__((aligned(16)));

/* Sets the user's page table, goes to user mode by iret, and comes back by a system call. */
static void check_user_mode(void)
{
	struct mmuext_op op = {.cmd = MMUEXT_NEW_USER_BASEPTR};
	uint64_t user_cs = 0xe033;

	op.arg1.mfn = machine((const void *)info->pt_base) >> 12;
	check("new_user_baseptr",
	      hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, DOMID_SELF) == 0);
	hypercall(__HYPERVISOR_stack_switch, 0xe02b, (uint64_t)(kernel_stack + 8192), 0, 0);
	syscalls = 0;
	__asm__ volatile("movq %%rsp, %%rbx\n\tleaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\t"
			 "pushq $0xe02b\n\tpushq %1\n\tpushq $0x202\n\tpushq %2\n\t"
			 "leaq 2f(%%rip), %%rax\n\tpushq %%rax\n\tpushq $0\n\t"
			 "jmp hypercall_page + 23 * 32\n"
			 "2:\tmovl $0x4711, %%eax\n\tsyscall\n\tud2\n"
			 "1:\tmovq %%rbx, %%rsp\n\t"
			 : "+m"(resume_at)
			 : "r"(user_stack + 4096), "r"(user_cs)
			 : "rax", "rbx", "rcx", "r11", "memory");
	check("user mode and back by a system call", syscalls == 0x4711 && trap_vector == 0x100);
}

static void check_time(void)
{
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER};
	volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
	uint64_t now, before = upcalls;

	check("bind VIRQ_TIMER", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq,
					   (uint64_t)&bind, 0, 0) == 0);
	check("time info is there",
	      t->version != 0 && (t->version & 1) == 0 && t->tsc_to_system_mul != 0);
	now = tsc() - t->tsc_timestamp;
	now = t->tsc_shift < 0 ? now >> -t->tsc_shift : now << t->tsc_shift;
	now = t->system_time + (uint64_t)((unsigned __int128)now * t->tsc_to_system_mul >> 32);
	/* Masked, so that a timer that is due early waits for the block, which unmasks. */
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	check("set_timer_op", hypercall(__HYPERVISOR_set_timer_op, now + 2000000, 0, 0, 0) == 0);
	hypercall(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
	check("block ends with the timer's upcall", upcalls == before + 1);
	hypercall(__HYPERVISOR_set_timer_op, now + 4000000, 0, 0, 0);
	for (uint64_t from = tsc(); upcalls == before + 1 && tsc() - from < 10000000000ull;)
		;
	check("a running guest is interrupted", upcalls == before + 2);
}

static void check_nonsense(void)
{
	check("an unknown hypercall", hypercall(63, 0, 0, 0, 0) == -XEN_ENOSYS);
	check("a pointer into the hypervisor", hypercall(__HYPERVISOR_console_io, CONSOLEIO_write,
							 16, HYPERVISOR_VIRT_START + 64, 0) < 0);
	check("a pointer to nothing",
	      hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, 0x123456789000, 0, 0) == -XEN_EFAULT);
	check("an unknown command", hypercall(__HYPERVISOR_console_io, 77, 0, 0, 0) == -XEN_ENOSYS);
}

/* An iret to a selector that cannot be loaded. */
static void check_bad_iret(void)
{
	trap_vector = 0xfff;
	__asm__ volatile("movq %%rsp, %%rbx\n\tleaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\t"
			 "pushq $0xe02b\n\tpushq %%rbx\n\tpushq $0x202\n\tpushq $0x1230\n\t"
			 "pushq %%rax\n\tpushq $0\n\tjmp hypercall_page + 23 * 32\n"
			 "1:\tmovq %%rbx, %%rsp\n\t"
			 : "+m"(resume_at)
			 :
			 : "rax", "rbx", "rcx", "r11", "memory");
	check("a bad iret is #GP with the selector", trap_vector == 13 && trap_error == 0x1230);
}

#define ROUNDS 1000u

static void measure(void)
{
	uint64_t from = tsc();

	for (unsigned i = 0; i < ROUNDS; i++)
		hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);
	print_number("null hypercall, ns: ", (tsc() - from) / ROUNDS);
	print_number("since power-on, ns: ", from);
}

void guest_main(struct start_info *si)
{
	info = si;
	print("pv_abi: a guest begins\n");
	measure();
	check_start();
	set_up_traps();
	check_page_tables();
	check_exceptions();
	check_emulation();
	check_io();
	check_bad_iret();
	check_user_mode();
	check_time();
	check_nonsense();
	print("pv_abi: done\n");
	end(SHUTDOWN_reboot); /* where Xen would stay after a power-off */
}
