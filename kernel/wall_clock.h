/* wall_clock.h: the date and time of the world outside, in UTC.
 *
 * Callers: the shell's `date`. Where it comes from: Xen's shared page, KVM's wall clock, else the machine's
 * battery-backed clock, to the second. Not monotonic: it is what the host believes, and the host may be
 * set. Thread context, after time_init.
 */
#ifndef KERNEL_WALL_CLOCK_H
#define KERNEL_WALL_CLOCK_H

#include <amphi/types.h>

/* Nanoseconds since 1970; 0: nobody tells. *out_source: who was asked, "xen", "kvm" or "rtc". */
uint64_t wall_clock_ns(const char **out_source);

#endif
