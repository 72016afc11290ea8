/* user_native.c: ring 3 on a processor that is ours: descriptors, the syscall instruction, SSE, SMEP and SMAP.
 *
 * Called by user.c before the first program, and by user_cpu.c on each CPU before its first. The GDT is trap_native.c's; the order of the two user
 * descriptors is what sysret wants (SDM vol. 2, SYSRET): data, then code, 8 and 16 above STAR's base.
 * The kernel never touches a program's addresses, so SMEP and SMAP cost nothing where they are.
 */
#include <amphi/pvops.h>

#include "user_parts.h"

#define MSR_EFER  0xc0000080u
#define MSR_STAR  0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define EFER_SCE  1u

#define SEL_KERNEL_CODE 0x08ull
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
	pv_load_gdt(gdt, SEL_TLS / 8 + 1);
	pv_write_cr4(pv_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | protections());
	pv_write_msr(MSR_STAR, SEL_SYSRET << 48 | SEL_KERNEL_CODE << 32);
	pv_write_msr(MSR_LSTAR, (uint64_t)(uintptr_t)syscall_entry_native);
	pv_write_msr(MSR_FMASK, FLAGS_OFF);
	pv_write_msr(MSR_EFER, pv_read_msr(MSR_EFER) | EFER_SCE);
}

int user_init_native(void)
{
	user_platform = (struct user_platform){
	    .n_roots = 1,
	    .cs = SEL_USER_CODE | 3,
	    .ss = SEL_USER_DATA | 3,
	    .tls = SEL_TLS,
	    .begin_cpu = begin_cpu,
	};
	return 0;
}
