/* time_native.c: clock and timer of a bare machine: the TSC and the local APIC's timer.
 *
 * Caller: time.c, once, with interrupts off. Both rates are measured together against
 * channel 0 of the 8254 timer, the one clock whose rate every PC agrees on. Not here: machines
 * whose TSC stops or changes its rate; the processors Amphi runs on have an invariant one.
 */
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "io.h"
#include "lapic.h"
#include "panic.h"
#include "time.h"
#include "trap.h"

#define PIT_HZ          1193182u
#define PIT_CHANNEL0    0x40
#define PIT_MODE        0x43
#define PIT_ONCE        0x30 /* channel 0, low byte then high, mode 0: counts down once */
#define PIT_LATCH       0x00 /* channel 0: the count as it is now, to be read */
#define ROUNDS          3u
#define ROUND_PIT_TICKS (PIT_HZ * 3 / 2000) /* 1.5 ms */
#define GIVE_UP_TICKS                                                                              \
	1000000000ull /* of the TSC: a machine without the chip must not wait for it */
#define GUESS_HZ 1000000000ull

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
	uint64_t now_ns = time_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	uint64_t count;

	left_ns = MIN(left_ns, 2 * NS_PER_S);
	count = left_ns * (apic_hz / 1000) / (NS_PER_S / 1000) + 1;
	lapic_write(LAPIC_TIMER_INIT, (uint32_t)MIN(count, 0xffffffffull));
}

/* Nobody to take any, or nobody who would tell. */
static uint64_t native_steal_clock(void)
{
	return 0;
}

static void timer_irq(void *ctx)
{
	time_interrupt();
}

/* The count begins with the second write, so the time between both is not measured. */
static void pit_start(void)
{
	io_out8(PIT_MODE, PIT_ONCE);
	io_out8(PIT_CHANNEL0, 0); /* 65536, which is 55 ms */
	io_out8(PIT_CHANNEL0, 0);
}

/* Latched, or the two halves would be of different moments. */
static uint16_t pit_elapsed(void)
{
	uint8_t low;

	io_out8(PIT_MODE, PIT_LATCH);
	low = io_in8(PIT_CHANNEL0);
	return (uint16_t)(0u - (low | (unsigned)io_in8(PIT_CHANNEL0) << 8));
}

/* What the counters moved by in one round; pit is 0 when that one does not move. */
struct round {
	uint64_t tsc;
	uint32_t apic, pit;
};

/* A port with nothing behind it reads as ones, that is, as one tick gone by. */
static struct round measure(void)
{
	struct round r = {0};
	uint64_t start = time_tsc();

	lapic_write(LAPIC_TIMER_INIT, 0xffffffffu);
	pit_start();
	do {
		r.pit = pit_elapsed();
		r.apic = 0xffffffffu - lapic_read(LAPIC_TIMER_NOW);
		r.tsc = time_tsc() - start;
	} while (r.pit < ROUND_PIT_TICKS && r.tsc < GIVE_UP_TICKS);
	if (r.pit < ROUND_PIT_TICKS)
		r.pit = 0;
	return r;
}

/* Returns the TSC's rate and sets apic_hz. Under an emulator the processor may stand still in the
 * middle of a round, which only ever makes a rate too high: so the lowest of the rounds counts. */
static uint64_t calibrate(void)
{
	uint64_t hz = UINT64_MAX;
	struct round r;
	unsigned i;

	lapic_write(LAPIC_TIMER_DIV, LAPIC_DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
	for (i = 0; i < ROUNDS; i++) {
		r = measure();
		if (!r.pit) {
			apic_hz = GUESS_HZ;
			return GUESS_HZ;
		}
		if (r.tsc * PIT_HZ / r.pit >= hz)
			continue;
		hz = r.tsc * PIT_HZ / r.pit;
		apic_hz = (uint64_t)r.apic * PIT_HZ / r.pit;
	}
	return hz;
}

/* The operations are provided when the scale is set, because readings use it at once. The vector
 * goes to the APIC last, with the count stopped, so no old count fires. */
uint64_t clock_init_native(void)
{
	uint64_t hz;
	uint8_t vector;

	KASSERT(lapic_present());
	hz = calibrate();
	tsc_scale = clock_scale_for(hz);
	tsc_start = time_tsc();
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)native_sched_clock);
	pvops_provide(PV_time_steal_clock, PV_CALL, (void *)native_steal_clock);
	pvops_provide(PV_time_set_next_event, PV_CALL, (void *)native_set_next_event);
	if (irq_vector_alloc(timer_irq, NULL, &vector))
		panic("no vector for the timer");
	lapic_write(LAPIC_TIMER_INIT, 0);
	lapic_write(LAPIC_LVT_TIMER, vector);
	return hz;
}
