/* rtc.h: the battery-backed clock of a PC.
 *
 * Callers: the kernel (wall_clock.c) and the hypervisor (clock.c); host tests, which are the registers.
 * Implemented by lib/rtc.c. Pure but for the function it is given; any context; takes up to some ms.
 * Registers: Motorola MC146818A data sheet; the century's place is the firmware's to tell (ACPI
 * specification, FADT, CENTURY).
 */
#ifndef AMPHI_RTC_H
#define AMPHI_RTC_H

#include <amphi/types.h>

typedef uint8_t rtc_read_fn(unsigned reg);

/* century: the register that holds it; 0: none, and a year below 70 is of this century. False: there is no
 * clock, or what it says is no date, or it never stands still. */
bool rtc_seconds(rtc_read_fn *read, unsigned century, uint64_t *out_seconds);

#endif
