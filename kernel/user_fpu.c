/* user_fpu.c: x87, SSE and AVX registers of programs: enabled, saved, loaded, with the program or when it uses them.
 *
 * Called by user_cpu.c at a switch, by user_fault.c for "device not available". Each CPU remembers whose registers
 * it holds (owner): eagerly that is the program loaded there, lazily the last that used any, and CR0.TS is set while
 * another runs. A program leaves a CPU only after its registers were saved there, so no other CPU has newer ones.
 * What the processor lets a program use decides the form: with CR4.OSXSAVE it is everything in XCR0, without
 * it what FXSAVE knows. Lazy switching needs XSAVE to respect CR0.TS; where it does not (QEMU's TCG) a program could
 * read another's registers, and eager switching is forced. References: Intel SDM vol. 1, chapter 13.
 */
#include <amphi/percpu.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "cmdline.h"
#include "console.h"
#include "mm.h"
#include "trap.h"
#include "user_parts.h"

#define CPUID_XSAVE    (1u << 26) /* leaf 1, ecx */
#define CPUID_OSXSAVE  (1u << 27)
#define CPUID_XSAVEOPT (1u << 0) /* leaf 13, subleaf 1, eax */
#define CPUID_XSAVEC   (1u << 1)
#define CPUID_PKU      (1u << 3) /* leaf 7, ecx */
#define CR0_TS         8u
#define CR4_OSXSAVE    (1u << 18)
#define CR4_PKE        (1u << 22)
#define XCR0_SSE       3ull /* and x87 */
#define XCR0_AVX       4ull
#define XCR0_AVX512    0xe0ull
#define XCR0_PKRU      0x200ull
#define FCW_START      0x37fu
#define MXCSR_START    0x1f80u
#define MXCSR_AT       24u
#define FXSAVE_BYTES   512u

enum form { FXSAVE, XSAVE, XSAVEOPT, XSAVEC };
static const char *const form_names[] = {"FXSAVE", "XSAVE", "XSAVEOPT", "XSAVEC"};

/* Decided once, on the first CPU. xcr0: what is written to it; 0: it is not ours to write. */
static struct {
	enum form form;
	bool lazy;
	unsigned pages;
	uint64_t xcr0, cr4;
} fpu;

static struct cpu {
	struct user_cpu *owner;
	bool ts;
} cpus[CPUS_MAX];

static struct cpu *this(void)
{
	return &cpus[this_cpu()->cpu];
}

/* ---- what there is ---------------------------------------------------------------------- */

/* What we may use: a hypervisor may show less than there is. */
static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	regs[0] = leaf;
	regs[2] = subleaf;
	pv_cpuid(regs);
}

/* What instructions really do. */
static void bare_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(subleaf));
}

/* A component whose parts are not all there cannot be enabled. Protection keys are of use only while the
 * register is the running program's, so they go with eager switching. */
static uint64_t wanted_xcr0(void)
{
	uint64_t wanted = XCR0_SSE, offered;
	uint32_t regs[4];

	cpuid(13, 0, regs);
	offered = regs[0] | (uint64_t)regs[3] << 32;
	wanted |= offered & XCR0_AVX;
	if (offered & XCR0_AVX && (offered & XCR0_AVX512) == XCR0_AVX512)
		wanted |= XCR0_AVX512;
	cpuid(7, 0, regs);
	if (regs[2] & CPUID_PKU && !fpu.lazy)
		wanted |= offered & XCR0_PKRU;
	return wanted;
}

/* With XSAVEC an area is packed and may be shorter; its size is another leaf's, and says it for what is on. */
static void choose_form(void)
{
	uint32_t form[4], whole[4];

	bare_cpuid(13, 1, form);
	bare_cpuid(13, 0, whole);
	fpu.form = form[0] & CPUID_XSAVEC ? XSAVEC : form[0] & CPUID_XSAVEOPT ? XSAVEOPT : XSAVE;
	fpu.pages = (unsigned)PAGES_FOR(MAX(form[1], MAX(whole[1], FXSAVE_BYTES)));
}

/* ---- one area ------------------------------------------------------------------------------- */

/* All components: the mask is cut to XCR0 by the instruction. Each writes a header that XRSTOR reads; the area
 * was zeroed, as it must be before the first XRSTOR. */
static void save(void *area)
{
	switch (fpu.form) {
	case FXSAVE:
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
		break;
	case XSAVE:
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
		break;
	case XSAVEOPT: /* only what changed since this CPU's XRSTOR of the same area */
		__asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
		break;
	case XSAVEC:
		__asm__ volatile("xsavec64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
		break;
	}
}

static void load(const void *area)
{
	if (fpu.form == FXSAVE)
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
	else
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

/* The image a program begins with: as after FNINIT, all exceptions masked. With XSAVE a header
 * of zeros means initial values for everything else; MXCSR is read from the area all the same. */
int user_fpu_alloc(struct user_cpu *cpu)
{
	uint16_t fcw = FCW_START;
	uint32_t mxcsr = MXCSR_START;

	cpu->fpu = pages_alloc(fpu.pages);
	if (!cpu->fpu)
		return -XEN_ENOMEM;
	memcpy(cpu->fpu, &fcw, sizeof(fcw));
	memcpy((char *)cpu->fpu + MXCSR_AT, &mxcsr, sizeof(mxcsr));
	return 0;
}

void user_fpu_free(struct user_cpu *cpu)
{
	pages_free(cpu->fpu, fpu.pages);
}

/* ---- the switch ----------------------------------------------------------------------------- */

/* On PV each is a hypercall. */
static void set_ts(bool ts)
{
	if (this()->ts == ts)
		return;
	this()->ts = ts;
	if (ts)
		pv_write_cr0(pv_read_cr0() | CR0_TS);
	else
		pv_clts();
}

static void own(struct user_cpu *to)
{
	struct cpu *cpu = this();

	if (cpu->owner == to)
		return;
	if (cpu->owner)
		save(cpu->owner->fpu);
	load(to->fpu);
	cpu->owner = to;
}

void user_fpu_switch(struct user_cpu *to)
{
	if (fpu.lazy)
		set_ts(this()->owner != to);
	else
		own(to);
}

/* Eagerly CR0.TS is never set, and nobody is asked. */
bool user_fpu_trap(struct user_cpu *cpu)
{
	if (!fpu.lazy)
		return false;
	set_ts(false);
	own(cpu);
	return true;
}

void user_fpu_leave(struct user_cpu *cpu)
{
	struct user_cpu *owner = this()->owner;

	if (!owner || (cpu && owner != cpu))
		return;
	set_ts(false);
	save(owner->fpu);
	this()->owner = NULL;
}

void user_fpu_drop(struct user_cpu *cpu)
{
	if (this()->owner == cpu)
		this()->owner = NULL;
}

/* ---- a CPU, and the first --------------------------------------------------------------------- */

/* Left by whoever had the CPU before us: TS may be set. */
void user_fpu_begin_cpu(void)
{
	*this() = (struct cpu){0};
	if (fpu.xcr0) {
		pv_write_cr4(pv_read_cr4() | fpu.cr4);
		pv_write_xcr0(fpu.xcr0);
	}
	pv_clts();
}

/* Whether XSAVE takes the exception that lazy switching lives on. */
static bool xsave_respects_ts(void)
{
	static uint8_t area[2 * PAGE_SIZE] __attribute__((aligned(64)));
	bool saved = false;

	set_ts(true);
	__asm__ volatile("1: xsave64 (%1)\n movb $1, %0\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "+q"(saved)
			 : "r"(area), "a"((uint32_t)XCR0_SSE), "d"(0)
			 : "memory");
	this()->ts = true; /* a hypervisor has cleared it with the exception, or not */
	set_ts(false);
	return !saved;
}

/* In an area made for what the instruction could write: x87 and SSE alone are asked for. */
static void check_lazy(void)
{
	if (!fpu.lazy || fpu.form == FXSAVE || xsave_respects_ts())
		return;
	klog(LOG_WARN, "fpu=lazy is not followed: XSAVE does not respect CR0.TS here");
	fpu.lazy = false;
}

/* Where the hypervisor has XSAVE on for itself and does not show it, programs can use what XCR0 has, and that is
 * what is saved. */
void user_fpu_init(void)
{
	uint32_t regs[4];

	fpu.lazy = cmdline.fpu_lazy;
	fpu.pages = 1;
	cpuid(1, 0, regs);
	if (regs[2] & CPUID_XSAVE) {
		fpu.xcr0 = wanted_xcr0();
		fpu.cr4 = CR4_OSXSAVE | (fpu.xcr0 & XCR0_PKRU ? CR4_PKE : 0);
	}
	user_fpu_begin_cpu();
	bare_cpuid(1, 0, regs);
	if (regs[2] & CPUID_OSXSAVE)
		choose_form();
	check_lazy();
	klog(LOG_DEBUG, "programs' FPU state: %s, XCR0 %llx, %u pages, %s", form_names[fpu.form],
	     (unsigned long long)fpu.xcr0, fpu.pages, fpu.lazy ? "lazily" : "eagerly");
}
