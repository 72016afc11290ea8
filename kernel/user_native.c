/* user_native.c: ring 3 on a processor that is ours: descriptors, the syscall instruction, SSE, SMEP and SMAP.
 *
 * Called by user.c before the first program, and by user_cpu.c on each CPU before its first. The GDT is trap_native.c's; the order of the two user
 * descriptors is what sysret wants (SDM vol. 2, SYSRET): data, then code, 8 and 16 above STAR's base.
 * The kernel never touches a program's addresses, so SMEP and SMAP cost nothing where they are.
 */
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/x86_tables.h>

#include "mm.h"
#include "smp.h"
#include "user_parts.h"

#define MSR_EFER  0xc0000080u
#define MSR_STAR  0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define EFER_SCE  1u

#define SEL_KERNEL_CODE 0x08ull
#define SEL_TSS         0x18u
/* What SYSRET adds 8 and 16 to. */
#define SEL_SYSRET    0x20ull
#define SEL_USER_DATA 0x28u
#define SEL_USER_CODE 0x30u
#define SEL_TLS       0x38u
/* Flat, ring 3; code has the long-mode bit. */
#define USER_DATA 0x00cff3000000ffffull
#define USER_CODE 0x00affb000000ffffull

/* The first two let programs use SSE and get its exceptions; UMIP keeps the addresses of the
 * kernel's tables from them (SGDT and its kin). */
#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP       (1u << 11)
#define CR4_SMEP       (1u << 20)
#define CR4_SMAP       (1u << 21)

#define FLAGS_OFF                                                                                  \
	0x47700u /* TF IF DF IOPL NT AC: as a gate would, and what a program may have left on */

/* Bits of CPUID leaf 7 (ebx SMEP 7, SMAP 20; ecx UMIP 2). */
static uint64_t protections(void)
{
	uint32_t regs[4] = {0};
	uint64_t cr4 = 0;

	pv_cpuid(regs);
	if (regs[0] < 7)
		return 0;
	regs[0] = 7;
	regs[2] = 0;
	pv_cpuid(regs);
	cr4 |= regs[1] & 1u << 7 ? CR4_SMEP : 0;
	cr4 |= regs[1] & 1u << 20 ? CR4_SMAP : 0;
	cr4 |= regs[2] & 1u << 2 ? CR4_UMIP : 0;
	return cr4;
}

/* EFER's bit comes last: from then on a program may enter, and all that the entry reads is in
 * place. A program gets no kernel stack by this instruction; the entry code takes it from the
 * per-CPU data. */
static void begin_cpu(struct user_tables *out)
{
	uint64_t *gdt = trap_native_gdt();

	*out = (struct user_tables){.gdt = gdt, .sp0 = trap_native_sp0()};
	pv_write_gdt_entry(&gdt[SEL_USER_DATA / 8], USER_DATA);
	pv_write_gdt_entry(&gdt[SEL_USER_CODE / 8], USER_CODE);
	pv_load_gdt(gdt, PV_GDT_LDT + 2);
	pv_write_cr4(pv_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | protections());
	pv_write_msr(MSR_STAR, SEL_SYSRET << 48 | SEL_KERNEL_CODE << 32);
	pv_write_msr(MSR_LSTAR, (uint64_t)(uintptr_t)syscall_entry_native);
	pv_write_msr(MSR_FMASK, FLAGS_OFF);
	pv_write_msr(MSR_EFER, pv_read_msr(MSR_EFER) | EFER_SCE);
}

/* ---- ports -------------------------------------------------------------------------------- */

/* By CPU: a TSS with a bitmap behind it, which few kernels ever need. */
static struct x86_tss_ports *tss_ports[CPUS_MAX];
#define TSS_PAGES ((unsigned)PAGES_FOR(sizeof(struct x86_tss_ports)))

/* For all CPUs at once, while there may be an error: a program may go on at any. */
static int make_port_tables(void)
{
	for (unsigned i = 0; i < smp_count(); i++) {
		if (!tss_ports[i])
			tss_ports[i] = pages_alloc(TSS_PAGES);
		if (!tss_ports[i])
			return -XEN_ENOMEM;
	}
	return 0;
}

/* It takes the place of the one without, and has its stacks. The task register is loaded anew, for the limit. */
static void begin_ports(struct user_tables *tables)
{
	struct x86_tss_ports *tss = tss_ports[this_cpu()->cpu];
	uint64_t base = (uint64_t)(uintptr_t)tss, *descriptor = &tables->gdt[SEL_TSS / 8];

	memcpy(&tss->tss, (char *)tables->sp0 - offsetof(struct x86_tss, rsp), sizeof(tss->tss));
	tss->tss.iomap = X86_TSS_NO_PORTS;
	tss->end = 0xff;
	pv_write_gdt_entry(descriptor,
			   (x86_tss_descriptor(base) & ~0xffffull) | X86_TSS_PORTS_LIMIT);
	pv_write_gdt_entry(descriptor + 1, base >> 32);
	pv_load_tr(SEL_TSS);
	tables->sp0 = (uint64_t *)(void *)((char *)tss + offsetof(struct x86_tss, rsp));
	tables->tss = tss;
}

int user_init_native(void)
{
	user_platform = (struct user_platform){
	    .n_roots = 1,
	    .cs = SEL_USER_CODE | 3,
	    .ss = SEL_USER_DATA | 3,
	    .tls = SEL_TLS,
	    .begin_cpu = begin_cpu,
	    .make_port_tables = make_port_tables,
	    .begin_ports = begin_ports,
	};
	return 0;
}
