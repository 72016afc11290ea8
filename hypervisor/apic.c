/* apic.c: the local APIC: end of interrupt and the one-shot timer.
 *
 * Callers: see apic.h. The timer counts at a rate of its own, measured in the same millisecond as
 * the TSC's; when the CPU says TSC deadline, that is used and needs no rate. It may fire a little
 * early, then timers_run sets it again. Not here: I/O APICs (ioapic.c), vectors (irq.c).
 */
#include <amphi/lapic.h>
#include <amphi/types.h>

#include "apic.h"
#include "cpu.h"
#include "irq.h"
#include "layout.h"
#include "mm.h"
#include "percpu.h"
#include "time.h"

#define PIC_DATA_1 0x21
#define PIC_DATA_2 0xa1

#define ALL_BUT_SELF 0xc0000u /* in the command register, in place of an id */

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

/* Firmware may have left it in x2APIC mode, which is left by way of off. */
void apic_start(void)
{
	uint64_t base = rdmsr(LAPIC_BASE_MSR);

	if (base & LAPIC_BASE_X2APIC)
		wrmsr(LAPIC_BASE_MSR, base & ~(LAPIC_BASE_X2APIC | LAPIC_BASE_ENABLE));
	wrmsr(LAPIC_BASE_MSR, (base & ~LAPIC_BASE_X2APIC) | LAPIC_BASE_ENABLE);
	if (regs == NULL) {
		own_frame = maddr_to_mfn((maddr_t){base & LAPIC_BASE_ADDRESS});
		regs = hv_map_io(mfn_to_maddr(own_frame), PAGE_SIZE);
	}
	reg_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
	reg_write(LAPIC_LVT_LINT1, this_cpu()->id == 0 ? LAPIC_LVT_NMI : LAPIC_LVT_MASKED);
	reg_write(LAPIC_LVT_ERROR, LAPIC_LVT_MASKED);
	reg_write(LAPIC_TPR, 0);
	reg_write(LAPIC_SVR, LAPIC_SVR_ENABLE | VECTOR_SPURIOUS);
	reg_write(LAPIC_TIMER_DIV, LAPIC_DIVIDE_BY_1);
	reg_write(LAPIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LAPIC_LVT_DEADLINE : 0));
	this_cpu()->apic_id = apic_id();
}

void apic_init(void)
{
	struct cpuid_regs r;

	/* Out of the way of exceptions, and silent. */
	port_out(PIC_DATA_1, 1, 0xff);
	port_out(PIC_DATA_2, 1, 0xff);
	cpuid(1, 0, &r);
	deadline = (r.ecx & (1u << 24)) != 0;
	apic_start();
}

/* ---- to other CPUs --------------------------------------------------------------------- */

static void command(uint32_t id, uint32_t what)
{
	while (reg_read(LAPIC_ICR_LOW) & LAPIC_ICR_BUSY)
		spin_relax();
	reg_write(LAPIC_ICR_HIGH, id << 24);
	reg_write(LAPIC_ICR_LOW, what);
}

void apic_send(uint32_t id, unsigned vector)
{
	command(id, LAPIC_ICR_FIXED | vector);
}

void apic_send_start(uint32_t id, unsigned page)
{
	command(id, page == 0 ? LAPIC_ICR_INIT : LAPIC_ICR_STARTUP | page);
}

void apic_stop_others(void)
{
	if (regs != NULL)
		command(0, LAPIC_ICR_INIT | ALL_BUT_SELF);
}

uint32_t apic_id(void)
{
	return reg_read(LAPIC_ID) >> 24;
}

void apic_eoi(void)
{
	reg_write(LAPIC_EOI, 0);
}

bool apic_owns_frame(mfn_t mfn)
{
	return mfn.v == own_frame.v;
}

void apic_timer_measure_begin(void)
{
	if (!deadline)
		reg_write(LAPIC_TIMER_INIT, ~0u);
}

void apic_timer_measure_end(uint32_t ticks, uint64_t hz)
{
	if (deadline)
		return;
	timer_hz = (uint64_t)(~reg_read(LAPIC_TIMER_NOW)) * hz / ticks;
	reg_write(LAPIC_TIMER_INIT, 0);
}

void apic_timer_set(uint64_t due_ns)
{
	uint64_t now = time_now_ns();
	uint64_t wait = due_ns > now ? MIN(due_ns - now, LAPIC_FAR_NS) : 0;
	struct lapic_count c = lapic_count_for(wait, timer_hz);
	bool none = due_ns == ~0ull;

	if (deadline) {
		wrmsr(MSR_TSC_DEADLINE, none ? 0 : rdtsc() + wait * time_tsc_khz() / 1000000 + 1);
		return;
	}
	reg_write(LAPIC_TIMER_DIV, c.divide);
	reg_write(LAPIC_TIMER_INIT, none ? 0 : c.count);
}
