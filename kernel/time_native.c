/* time_native.c: clock and timer of a bare machine: the TSC and the local APIC's timer.
 *
 * Caller: time.c, once, with interrupts off. Both rates are measured together against channel 2 of
 * the 8254 timer, the one clock whose rate every PC agrees on. Not here: machines whose TSC stops
 * or changes its rate; the processors Amphi runs on have an invariant one.
 */
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "io.h"
#include "lapic.h"
#include "panic.h"
#include "time.h"
#include "trap.h"

#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42
#define PIT_MODE     0x43
#define PIT_CH2_ONCE 0xb0 /* channel 2, low byte then high, mode 0: output rises at zero */
#define GATE_PORT    0x61
#define GATE_ENABLE  0x01
#define GATE_SPEAKER 0x02
#define GATE_OUTPUT  0x20
#define CALIBRATE_MS 4u
#define MASKED       (1u << 16)
#define DIVIDE_BY_1  0xbu
#define POLLS_MAX    50000000u /* when there is no such timer the loop must still end */
#define GUESS_HZ     1000000000ull

static struct clock_scale tsc_scale;
static uint64_t tsc_start;
static uint64_t apic_hz;

static uint64_t native_sched_clock(void)
{
	return clock_scale_ns(tsc_scale, time_tsc() - tsc_start);
}

/* A one-shot count of 32 bits: a moment that is further away is reached in steps, since
 * time_interrupt() asks again for what is not due yet. */
static void native_set_next_event(uint64_t deadline_ns)
{
	uint64_t now_ns = native_sched_clock();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	uint64_t count;

	left_ns = MIN(left_ns, 2 * NS_PER_S);
	count = left_ns * (apic_hz / 1000) / (NS_PER_S / 1000) + 1;
	lapic_write(LAPIC_TIMER_INIT, (uint32_t)MIN(count, 0xffffffffull));
}

static void timer_irq(void *ctx)
{
	time_interrupt();
}

static void pit_start(unsigned ticks)
{
	uint8_t gate = io_in8(GATE_PORT) & (uint8_t) ~(GATE_SPEAKER | GATE_ENABLE);

	io_out8(GATE_PORT, gate);
	io_out8(PIT_MODE, PIT_CH2_ONCE);
	io_out8(PIT_CHANNEL2, ticks & 0xff);
	io_out8(PIT_CHANNEL2, (uint8_t)(ticks >> 8));
	io_out8(GATE_PORT, gate | GATE_ENABLE);
}

static bool pit_wait(void)
{
	unsigned polls;

	for (polls = 0; polls < POLLS_MAX; polls++)
		if (io_in8(GATE_PORT) & GATE_OUTPUT)
			return true;
	return false;
}

/* Returns the TSC's rate and sets apic_hz. */
static uint64_t calibrate(void)
{
	uint64_t tsc;
	uint32_t apic;

	lapic_write(LAPIC_TIMER_DIV, DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, MASKED);
	pit_start(PIT_HZ * CALIBRATE_MS / 1000);
	lapic_write(LAPIC_TIMER_INIT, 0xffffffffu);
	tsc = time_tsc();
	if (!pit_wait()) {
		apic_hz = GUESS_HZ;
		return GUESS_HZ;
	}
	tsc = time_tsc() - tsc;
	apic = 0xffffffffu - lapic_read(LAPIC_TIMER_NOW);
	apic_hz = apic * (1000ull / CALIBRATE_MS);
	return tsc * (1000ull / CALIBRATE_MS);
}

uint64_t clock_init_native(void)
{
	uint64_t hz;
	uint8_t vector;

	KASSERT(lapic_present());
	hz = calibrate();
	tsc_scale = clock_scale_for(hz);
	tsc_start = time_tsc();
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)native_sched_clock);
	pvops_provide(PV_time_set_next_event, PV_CALL, (void *)native_set_next_event);
	if (irq_vector_alloc(timer_irq, NULL, &vector))
		panic("no vector for the timer");
	lapic_write(LAPIC_TIMER_INIT, 0);
	lapic_write(LAPIC_LVT_TIMER, vector);
	return hz;
}
