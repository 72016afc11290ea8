/* calendar.h: seconds since 1970 and the date and time that people write for them, in UTC.
 *
 * Both sides: the kernel's wall clock and the shell's `date` call; lib/calendar.c does the arithmetic. Pure, any
 * context, no memory taken. The proleptic Gregorian calendar, without leap seconds (POSIX, "Seconds Since
 * the Epoch"). Errors: dates that are none are told by false, and nothing is written.
 */
#ifndef AMPHI_CALENDAR_H
#define AMPHI_CALENDAR_H

#include <amphi/types.h>

struct calendar {
	unsigned year;                 /* 1970..9999 */
	unsigned month, day;           /* 1..12, 1..31 */
	unsigned hour, minute, second; /* 0..23, 0..59, 0..59 */
};

/* The seconds of a date; false: there is no such date (the 30th of February, hour 24, second 60). */
bool calendar_to_seconds(const struct calendar *date, uint64_t *out_seconds);

/* The date of seconds below CALENDAR_END. */
#define CALENDAR_END 253402300800ull /* the first second of the year 10000 */
void calendar_from_seconds(uint64_t seconds, struct calendar *out);

#endif
