/* fake_percpu.h: CPUs for host tests of code that finds its own through gs.
 *
 * Linking fake_percpu.c is enough to be on CPU 0: a Linux program's gs base is free to use.
 */
#ifndef FAKE_PERCPU_H
#define FAKE_PERCPU_H

#include <amphi/percpu.h>

#define FAKE_CPUS 3u

extern struct percpu fake_cpus[FAKE_CPUS];

/* The test goes on as code of that CPU. */
void fake_cpu_run_on(unsigned cpu);

#endif
