/* clock.h: the board's clocks, from which the TSC's rate and the wall time are learnt.
 *
 * Private; time.c calls. A sample is one moment seen on both clocks. Not promised: a reference that
 * goes on for longer than its width (32 bits of HPET ticks: 40 s at the least).
 */
#ifndef HV_CLOCK_H
#define HV_CLOCK_H

#include <amphi/types.h>

struct clock_sample {
	uint64_t tsc, reference;
};

/* Finds and starts the reference (HPET, else the PIT) and takes the first sample. False: it counts
 * for 50 ms only, and a sample later than that means nothing. */
bool clock_start(struct clock_sample *out_first);
void clock_sample(struct clock_sample *out);

/* Hz of the TSC between two samples. */
uint64_t clock_tsc_hz(const struct clock_sample *from, const struct clock_sample *to);

/* Waits a millisecond after `first`, tells the TSC's rate, and the LAPIC timer's to apic.c. */
uint64_t clock_measure_tsc_hz(const struct clock_sample *first);

/* Seconds of Unix time, UTC as the board keeps it. */
uint64_t clock_read_rtc(void);

#endif
