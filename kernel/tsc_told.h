/* tsc_told.h: the TSC's rate, where somebody tells it.
 *
 * Caller: time_native.c, when there is no clock to measure by; host tests. Pure but for the function given.
 */
#ifndef KERNEL_TSC_TOLD_H
#define KERNEL_TSC_TOLD_H

#include "platform.h"

/* Hz; 0: nobody tells, or what is told cannot be. */
uint64_t tsc_told_hz(platform_cpuid_fn *cpuid);

#endif
