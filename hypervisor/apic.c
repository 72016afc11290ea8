/* apic.c: the local APIC: end of interrupt and the one-shot timer.
 *
 * Callers: see apic.h. The timer counts at a rate of its own, measured in the same millisecond as
 * the TSC's; when the CPU says TSC deadline, that is used and needs no rate. It may fire a little
 * early, then timers_run sets it again. Not here: I/O APICs (ioapic.c), vectors (irq.c).
 */
#include <amphi/types.h>

#include "apic.h"
#include "cpu.h"
#include "irq.h"
#include "layout.h"
#include "mm.h"
#include "time.h"

#define APIC_BASE_MASK   0xffffff000ull
#define APIC_ENABLE      0x800ull
#define APIC_X2          0x400ull
#define REG_ID           0x20
#define REG_TPR          0x80
#define REG_EOI          0xb0
#define REG_SPURIOUS     0xf0
#define REG_LVT_TIMER    0x320
#define REG_LVT_LINT0    0x350
#define REG_LVT_LINT1    0x360
#define REG_LVT_ERROR    0x370
#define REG_TIMER_START  0x380
#define REG_TIMER_NOW    0x390
#define REG_TIMER_DIVIDE 0x3e0
#define LVT_MASKED       0x10000u
#define LVT_NMI          0x400u
#define LVT_DEADLINE     0x40000u
#define DIVIDE_BY_1      0xbu
#define PIC_DATA_1       0x21
#define PIC_DATA_2       0xa1
#define NS_PER_S         1000000000ull
#define LONGEST_NS       1000000000ull /* the 32-bit counter of a 1 GHz timer holds 4 s */

static volatile uint32_t *regs;
static uint64_t timer_hz;
static bool deadline;
static mfn_t own_frame;

static uint32_t reg_read(unsigned reg)
{
	return regs[reg / 4];
}

static void reg_write(unsigned reg, uint32_t value)
{
	regs[reg / 4] = value;
}

void apic_init(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	struct cpuid_regs r;

	/* Out of the way of exceptions, and silent. */
	port_out(PIC_DATA_1, 1, 0xff);
	port_out(PIC_DATA_2, 1, 0xff);
	/* Firmware may have left it in x2APIC mode, which is left by way of off. */
	if (base & APIC_X2)
		wrmsr(MSR_APIC_BASE, base & ~(APIC_X2 | APIC_ENABLE));
	wrmsr(MSR_APIC_BASE, (base & ~APIC_X2) | APIC_ENABLE);
	own_frame = maddr_to_mfn((maddr_t){base & APIC_BASE_MASK});
	regs = hv_map_io(mfn_to_maddr(own_frame), PAGE_SIZE);
	reg_write(REG_LVT_LINT0, LVT_MASKED);
	reg_write(REG_LVT_LINT1, LVT_NMI);
	reg_write(REG_LVT_ERROR, LVT_MASKED);
	reg_write(REG_TPR, 0);
	reg_write(REG_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	cpuid(1, 0, &r);
	deadline = (r.ecx & (1u << 24)) != 0;
	reg_write(REG_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_DEADLINE : 0));
}

uint32_t apic_id(void)
{
	return reg_read(REG_ID) >> 24;
}

void apic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

bool apic_owns_frame(mfn_t mfn)
{
	return mfn.v == own_frame.v;
}

void apic_timer_measure_begin(void)
{
	if (!deadline)
		reg_write(REG_TIMER_START, ~0u);
}

void apic_timer_measure_end(uint32_t ticks, uint64_t hz)
{
	if (deadline)
		return;
	timer_hz = (uint64_t)(~reg_read(REG_TIMER_NOW)) * hz / ticks;
	reg_write(REG_TIMER_START, 0);
}

static void set_counter(uint64_t due_ns, uint64_t now)
{
	uint64_t wait = due_ns > now ? MIN(due_ns - now, LONGEST_NS) : 0;

	reg_write(REG_TIMER_START, (uint32_t)(wait * (timer_hz / 1000) / 1000000) + 1);
}

void apic_timer_set(uint64_t due_ns)
{
	uint64_t now = time_now_ns();
	uint64_t wait = due_ns > now ? MIN(due_ns - now, LONGEST_NS) : 0;

	if (due_ns == ~0ull && deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else if (due_ns == ~0ull)
		reg_write(REG_TIMER_START, 0);
	else if (deadline)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + wait * time_tsc_khz() / 1000000 + 1);
	else
		set_counter(due_ns, now);
}
