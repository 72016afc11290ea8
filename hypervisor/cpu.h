/* cpu.h: x86-64 instructions as functions, and the start of a CPU.
 *
 * Private to the hypervisor. cpu.c fills descriptor tables and control registers of a CPU; the rest
 * are single instructions. Not here: APICs (apic.h), vCPU state (pv.h). *_safe return false when
 * the instruction faulted.
 */
#ifndef HV_CPU_H
#define HV_CPU_H

#include <amphi/types.h>

#define MSR_APIC_BASE      0x1bu
#define MSR_SYSENTER_CS    0x174u
#define MSR_MISC_ENABLE    0x1a0u
#define MSR_PAT            0x277u
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_FMASK          0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define EFER_SCE 0x1u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NX  0x800u

#define RFLAGS_TF         0x100ull
#define RFLAGS_IF         0x200ull
#define RFLAGS_DF         0x400ull
#define RFLAGS_NT         0x4000ull
#define RFLAGS_RF         0x10000ull
#define RFLAGS_VM         0x20000ull
#define RFLAGS_AC         0x40000ull
#define RFLAGS_IOPL_SHIFT 12
#define RFLAGS_IOPL       0x3000ull
#define RFLAGS_FIXED      0x2ull

#define CR0_TS         0x8ull
#define CR4_TSD        0x4ull
#define CR4_DE         0x8ull
#define CR4_PAE        0x20ull
#define CR4_MCE        0x40ull
#define CR4_OSFXSR     0x200ull
#define CR4_OSXMMEXCPT 0x400ull
#define CR4_FSGSBASE   0x10000ull
#define CR4_OSXSAVE    0x40000ull
#define CR4_SMEP       0x100000ull
#define CR4_PKE        0x400000ull
#define CR4_CET        0x800000ull

enum exception {
	EXC_DE = 0,
	EXC_DB = 1,
	EXC_NMI = 2,
	EXC_BP = 3,
	EXC_OF = 4,
	EXC_BR = 5,
	EXC_UD = 6,
	EXC_NM = 7,
	EXC_DF = 8,
	EXC_TS = 10,
	EXC_NP = 11,
	EXC_SS = 12,
	EXC_GP = 13,
	EXC_PF = 14,
	EXC_MF = 16,
	EXC_AC = 17,
	EXC_MC = 18,
	EXC_XM = 19,
};

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* Values of DR6 and DR7 in which nothing is asked for. */
#define DR6_FIXED 0xffff0ff0ull
#define DR7_FIXED 0x400ull

#ifdef AMPHI_HOST_TEST
/* What no program may execute: a test's world has them (tests/host/hv_vcpu_world.c). */
void cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
uint64_t rdtsc(void);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
uint64_t read_cr0(void);
void write_cr0(uint64_t v);
uint64_t read_cr2(void);
void clear_ts(void);
uint32_t port_in(uint16_t port, unsigned bytes);
void port_out(uint16_t port, unsigned bytes, uint32_t v);
void debug_load(const uint64_t *dr);
void debug_off(void);
uint64_t debug_status(void);
#else
static inline void cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	__asm__ volatile("cpuid"
			 : "=a"(out->eax), "=b"(out->ebx), "=c"(out->ecx), "=d"(out->edx)
			 : "a"(leaf), "c"(subleaf));
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

#define CONTROL_REGISTER(n)                                                                        \
	static inline uint64_t read_cr##n(void)                                                    \
	{                                                                                          \
		uint64_t v;                                                                        \
                                                                                                   \
		__asm__ volatile("movq %%cr" #n ", %0" : "=r"(v));                                 \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_cr##n(uint64_t v)                                                 \
	{                                                                                          \
		__asm__ volatile("movq %0, %%cr" #n ::"r"(v) : "memory");                          \
	}
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(4)

static inline void clear_ts(void)
{
	__asm__ volatile("clts" ::: "memory");
}

static inline uint32_t port_in(uint16_t port, unsigned bytes)
{
	uint32_t v = 0;

	if (bytes == 1)
		__asm__ volatile("inb %1, %b0" : "+a"(v) : "Nd"(port));
	else if (bytes == 2)
		__asm__ volatile("inw %1, %w0" : "+a"(v) : "Nd"(port));
	else
		__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void port_out(uint16_t port, unsigned bytes, uint32_t v)
{
	if (bytes == 1)
		__asm__ volatile("outb %b0, %1" ::"a"(v), "Nd"(port));
	else if (bytes == 2)
		__asm__ volatile("outw %w0, %1" ::"a"(v), "Nd"(port));
	else
		__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

/* DR0 to DR3 and DR7; DR7 alone, nothing asked for; DR6, which is then clear. */
static inline void debug_load(const uint64_t *dr)
{
	__asm__ volatile("movq %0, %%dr0" ::"r"(dr[0]));
	__asm__ volatile("movq %0, %%dr1" ::"r"(dr[1]));
	__asm__ volatile("movq %0, %%dr2" ::"r"(dr[2]));
	__asm__ volatile("movq %0, %%dr3" ::"r"(dr[3]));
	__asm__ volatile("movq %0, %%dr7" ::"r"(dr[7]));
}
static inline void debug_off(void)
{
	__asm__ volatile("movq %0, %%dr7" ::"r"(DR7_FIXED));
}
static inline uint64_t debug_status(void)
{
	uint64_t v;

	__asm__ volatile("movq %%dr6, %0" : "=r"(v));
	__asm__ volatile("movq %0, %%dr6" ::"r"(DR6_FIXED));
	return v;
}
#endif

static inline bool cpu_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* Interrupts off, for good. */
void cpu_halt(void) __attribute__((noreturn));

/* Waits for an interrupt and takes it; interrupts are off again on return. */
void cpu_wait(void);

/* The stacks and tables of CPU id; 0's are in the image. False: no memory. */
bool cpu_prepare(uint32_t id);

/* Tables and registers of the CPU this runs on, which becomes number id, prepared. From then on
 * exceptions reach trap.c. */
void cpu_init(uint32_t id);

/* Whether there is CR4.FSGSBASE, and this CPU's: the instructions that set the bases of FS and GS. */
bool cpu_has_fsgsbase(void);
void cpu_set_fsgsbase(bool on);

/* Where this CPU goes from ring 3: the end of the current vCPU's registers. */
void cpu_set_regs_top(uint64_t regs_top);

/* The machine address of this CPU's page of reserved GDT entries; the page itself. */
void *cpu_gdt_page(void);

/* Loads a GDT that has our reserved page as its 15th: base 0 is the CPU's own, without a guest's.
 */
void cpu_load_gdt(uint64_t base);

/* Loads a segment register with a guest's selector; false when the CPU refuses it (then it is 0).
 */
enum segment_register { SEG_DS, SEG_ES, SEG_FS };
bool cpu_load_segment(enum segment_register which, uint16_t sel);

/* GS, whose base is ours: loads the selector, tells the base it stands for, keeps ours. */
bool cpu_load_gs(uint16_t sel, uint64_t *out_base);

/* As rdmsr for a register that may not be there. */
bool rdmsr_safe(uint32_t msr, uint64_t *out);

/* Where to go on after a fault at rip in one of the functions above; 0: none of them. */
uint64_t cpu_fixup(uint64_t rip);

#endif
