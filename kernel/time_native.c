/* time_native.c: clock and timer of a bare machine: the TSC and the local APIC's timer.
 *
 * Caller: time.c, once, with interrupts off. Both rates are measured together against a clock whose rate
 * every PC agrees on: channel 0 of the 8254 timer, or ACPI's counter; without either the processor or the
 * hypervisor may tell (tsc_told.c). Not here: machines whose TSC stops or changes its rate; the processors
 * Amphi runs on have an invariant one.
 */
#include <amphi/pvops.h>
#include "boot.h"
#include "clock.h"
#include "clock_check.h"
#include "clock_shared.h"
#include "console.h"
#include "io.h"
#include "lapic.h"
#include "panic.h"
#include "smp.h"
#include "time.h"
#include "trap.h"
#include "tsc_told.h"

#define PIT_CHANNEL0    0x40
#define PIT_MODE        0x43
#define PIT_ONCE        0x30 /* channel 0, low byte then high, mode 0: counts down once */
#define PIT_LATCH       0x00 /* channel 0: the count as it is now, to be read */
#define ROUNDS          3u
#define ROUNDS_A_SECOND 667u  /* 1.5 ms each */
#define STILL_READS     1000u /* a read takes some 100 ns at the least, a tick 838 ns at most */
#define CHECK_NS        (20 * NS_PER_US)
#define GUESS_HZ        1000000000ull

static struct clock_scale tsc_scale;
static uint64_t tsc_start;
static uint64_t apic_hz;
static uint8_t timer_vector;

static uint64_t native_sched_clock(void)
{
	return clock_scale_ns(tsc_scale, time_tsc() - tsc_start);
}

/* Where the TSCs of two CPUs are not one: nobody reads less than somebody has read. */
static uint64_t guarded_sched_clock(void)
{
	static uint64_t all_ns, own_ns[CPUS_MAX];

	return clock_shared_forward(false, &all_ns, &own_ns[this_cpu()->cpu], native_sched_clock());
}

static void turn(void *check)
{
	clock_check_turn(check);
}

/* Firmware and hypervisors set the counters to the same value, as a rule. */
void clock_check_native(void)
{
	struct clock_check check = {.read = native_sched_clock, .length = CHECK_NS};

	smp_call_all(turn, &check);
	if (!check.back)
		return;
	klog(LOG_WARN, "the CPUs' TSCs differ by %llu ns: readings are kept from going back",
	     (unsigned long long)check.most_back);
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)guarded_sched_clock);
}

/* A moment that is further away than the register reaches is gone to in steps, since time_interrupt() asks
 * again for what is not due yet. */
static void native_set_next_event(uint64_t deadline_ns)
{
	uint64_t now_ns = time_ns();
	struct lapic_count c =
	    lapic_count_for(deadline_ns > now_ns ? deadline_ns - now_ns : 0, apic_hz);

	lapic_write(LAPIC_TIMER_DIV, c.divide);
	lapic_write(LAPIC_TIMER_INIT, c.count);
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

/* ---- clocks whose rate is known ------------------------------------------------------------ */

struct reference {
	const char *name;
	uint32_t hz;
	void (*start)(void);
	uint32_t (*elapsed)(void); /* ticks since start; right for 18 ms at least */
};

/* The count begins with the second write, so the time between both is not measured. */
static void pit_start(void)
{
	io_out8(PIT_MODE, PIT_ONCE);
	io_out8(PIT_CHANNEL0, 0); /* 65536, which is 55 ms */
	io_out8(PIT_CHANNEL0, 0);
}

/* Latched, or the two halves would be of different moments. */
static uint32_t pit_elapsed(void)
{
	uint8_t low;

	io_out8(PIT_MODE, PIT_LATCH);
	low = io_in8(PIT_CHANNEL0);
	return (uint16_t)(0u - (low | (unsigned)io_in8(PIT_CHANNEL0) << 8));
}

static uint32_t pm_first;

static void pm_start(void)
{
	pm_first = io_in32(boot.acpi.pm_timer);
}

/* Of 24 bits at least, which is more than a round whatever is above. */
static uint32_t pm_elapsed(void)
{
	return (io_in32(boot.acpi.pm_timer) - pm_first) & 0xffffff;
}

static const struct reference pit = {"PIT", 1193182, pit_start, pit_elapsed};
static const struct reference pm_timer = {"ACPI timer", 3579545, pm_start, pm_elapsed};

/* A port with nothing behind it reads as ones: then nothing moves. */
static bool is_there(const struct reference *ref)
{
	uint32_t first;

	ref->start();
	first = ref->elapsed();
	for (unsigned i = 0; i < STILL_READS; i++)
		if (ref->elapsed() != first)
			return true;
	return false;
}

static const struct reference *find_reference(void)
{
	if (is_there(&pit))
		return &pit;
	return boot.acpi.pm_timer && is_there(&pm_timer) ? &pm_timer : NULL;
}

/* ---- both rates ----------------------------------------------------------------------------- */

/* What the counters moved by in one round. */
struct round {
	uint64_t tsc;
	uint32_t apic, ticks;
};

static struct round measure(const struct reference *ref)
{
	struct round r = {0};
	uint64_t start = time_tsc();

	lapic_write(LAPIC_TIMER_INIT, 0xffffffffu);
	ref->start();
	do {
		r.ticks = ref->elapsed();
		r.apic = 0xffffffffu - lapic_read(LAPIC_TIMER_NOW);
		r.tsc = time_tsc() - start;
	} while (r.ticks < ref->hz / ROUNDS_A_SECOND);
	return r;
}

/* Returns the TSC's rate and sets apic_hz. Under an emulator the processor may stand still in the
 * middle of a round, which only ever makes a rate too high: so the lowest of the rounds counts. */
static uint64_t measure_rates(const struct reference *ref)
{
	uint64_t hz = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct round r = measure(ref);

		if (r.tsc * ref->hz / r.ticks >= hz)
			continue;
		hz = r.tsc * ref->hz / r.ticks;
		apic_hz = (uint64_t)r.apic * ref->hz / r.ticks;
	}
	return hz;
}

/* The APIC's rate by the TSC's, when that is told. */
static void apic_by_tsc(uint64_t hz)
{
	uint64_t start = time_tsc();

	lapic_write(LAPIC_TIMER_INIT, 0xffffffffu);
	while (time_tsc() - start < hz / ROUNDS_A_SECOND)
		;
	apic_hz = (0xffffffffull - lapic_read(LAPIC_TIMER_NOW)) * hz / (time_tsc() - start);
}

static uint64_t calibrate(void)
{
	const struct reference *ref = find_reference();
	uint64_t hz;

	lapic_write(LAPIC_TIMER_DIV, LAPIC_DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
	if (ref)
		return measure_rates(ref);
	hz = tsc_told_hz(pv_cpuid);
	if (!hz) {
		klog(LOG_WARN,
		     "no clock to measure by, and nobody tells: the TSC is taken for 1 GHz");
		hz = GUESS_HZ;
	}
	apic_by_tsc(hz);
	return hz;
}

/* The operations are provided when the scale is set, because readings use it at once. The vector
 * goes to the APIC last, with the count stopped, so no old count fires. */
uint64_t clock_init_native(void)
{
	uint64_t hz;

	KASSERT(lapic_present());
	hz = calibrate();
	tsc_scale = clock_scale_for(hz);
	tsc_start = time_tsc();
	pvops_provide(PV_time_sched_clock, PV_CALL, (void *)native_sched_clock);
	pvops_provide(PV_time_steal_clock, PV_CALL, (void *)native_steal_clock);
	pvops_provide(PV_time_set_next_event, PV_CALL, (void *)native_set_next_event);
	if (irq_vector_alloc(timer_irq, NULL, &timer_vector))
		panic("no vector for the timer");
	clock_cpu_native(true);
	return hz;
}

/* All timers run at the boot CPU's rate: they hang on one clock. */
void clock_cpu_native(bool online)
{
	lapic_write(LAPIC_TIMER_DIV, LAPIC_DIVIDE_BY_1);
	lapic_write(LAPIC_TIMER_INIT, 0);
	lapic_write(LAPIC_LVT_TIMER, online ? timer_vector : LAPIC_LVT_MASKED);
}
