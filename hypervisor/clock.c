/* clock.c: HPET, PIT and RTC, read a few times when the machine starts and then left alone.
 *
 * Callers: time.c. A sample of two clocks is as good as the time between the reads around it, so
 * each is the best of a few. The PIT is the reference only where there is no HPET: its 16 bits and
 * 1.19 MHz are enough for the first measurement, and not used for a second.
 */
#include <amphi/rtc.h>

#include "apic.h"
#include "boot.h"
#include "clock.h"
#include "cpu.h"
#include "mm.h"

#define MEASURE_US   1000u
#define SAMPLE_TRIES 4
#define HPET_PERIOD  0x04 /* upper half of the capabilities: femtoseconds per tick */
#define HPET_CONFIG  0x10
#define HPET_COUNTER 0xf0
#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define SPEAKER_GATE 0x61
#define FS_PER_S     1000000000000000ull

static volatile uint32_t *hpet;
static uint64_t reference_hz = PIT_HZ;

static uint32_t reference_read(void)
{
	uint32_t lo;

	if (hpet != NULL)
		return hpet[HPET_COUNTER / 4];
	port_out(PIT_COMMAND, 1, 0x80);
	lo = port_in(PIT_CHANNEL2, 1);
	return 0xffff - (lo | port_in(PIT_CHANNEL2, 1) << 8);
}

void clock_sample(struct clock_sample *out)
{
	uint64_t best = ~0ull;

	for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = rdtsc();
		uint32_t reference = reference_read();
		uint64_t after = rdtsc();

		if (after - before >= best)
			continue;
		best = after - before;
		out->tsc = before + best / 2;
		out->reference = reference;
	}
}

bool clock_start(struct clock_sample *out_first)
{
	uint64_t base = acpi_info()->hpet;
	uint32_t period;

	if (base != 0)
		hpet = hv_map_io((maddr_t){base}, 0x400);
	period = hpet != NULL ? hpet[HPET_PERIOD / 4] : 0;
	if (period != 0 && period <= 100000000) {
		hpet[HPET_CONFIG / 4] |= 1;
		reference_hz = FS_PER_S / period;
	} else {
		hpet = NULL;
		port_out(SPEAKER_GATE, 1, (port_in(SPEAKER_GATE, 1) & ~2u) | 1);
		port_out(PIT_COMMAND, 1, 0xb0); /* channel 2, both bytes, count down once */
		port_out(PIT_CHANNEL2, 1, 0xff);
		port_out(PIT_CHANNEL2, 1, 0xff);
	}
	clock_sample(out_first);
	return hpet != NULL;
}

uint64_t clock_tsc_hz(const struct clock_sample *from, const struct clock_sample *to)
{
	uint64_t ticks = (uint32_t)(to->reference - from->reference);

	/* 10 s of a 10 GHz TSC by a reference of 100 MHz fit 64 bits; more is refused by time.c. */
	return (to->tsc - from->tsc) * reference_hz / MAX(ticks, 1);
}

uint64_t clock_measure_tsc_hz(const struct clock_sample *first)
{
	uint64_t ticks = reference_hz * MEASURE_US / 1000000;
	struct clock_sample now;
	uint32_t begin = reference_read();

	apic_timer_measure_begin();
	while (reference_read() - begin < ticks)
		spin_relax();
	apic_timer_measure_end(reference_read() - begin, reference_hz);
	clock_sample(&now);
	return clock_tsc_hz(first, &now);
}

/* ---- wall time ------------------------------------------------------------------------- */

static uint8_t rtc_register(unsigned reg)
{
	port_out(0x70, 1, reg);
	return (uint8_t)port_in(0x71, 1);
}

/* A board without such a clock is in 1970 until the first domain sets the time. */
uint64_t clock_read_rtc(void)
{
	uint64_t seconds;

	return rtc_seconds(rtc_register, acpi_info()->rtc_century, &seconds) ? seconds : 0;
}
