/* wall_clock_test.c: dates are the calendar's, and the battery-backed clock is read whatever its form.
 *
 * Shows: every day of eight centuries against the C library, both ways; dates that are none; the clock in
 * BCD and binary, of 12 and 24 hours, with and without a century, caught in the middle of an update, standing
 * in one for ever, absent. Why: a date that is wrong once in four years is found by nobody before.
 *
 * links: lib/calendar.c lib/rtc.c
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <amphi/calendar.h>
#include <amphi/rtc.h>

/* ---- the calendar ------------------------------------------------------------------------- */

static void check_second(uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct calendar date;
	struct tm tm;
	uint64_t back;

	gmtime_r(&t, &tm);
	calendar_from_seconds(seconds, &date);
	assert_int_equal(date.year, tm.tm_year + 1900);
	assert_int_equal(date.month, tm.tm_mon + 1);
	assert_int_equal(date.day, tm.tm_mday);
	assert_int_equal(date.hour, tm.tm_hour);
	assert_int_equal(date.minute, tm.tm_min);
	assert_int_equal(date.second, tm.tm_sec);
	assert_true(calendar_to_seconds(&date, &back));
	assert_int_equal(back, seconds);
}

static void every_day_of_eight_centuries(void **state)
{
	for (uint64_t day = 0; day < 800 * 366; day++)
		check_second(day * 86400 + day * 7919 % 86400);
	check_second(0);
	check_second(CALENDAR_END - 1);
}

static void dates_that_are_none(void **state)
{
	static const struct calendar none[] = {
	    {1969, 12, 31, 0, 0, 0}, {10000, 1, 1, 0, 0, 0}, {2023, 2, 29, 0, 0, 0},
	    {2100, 2, 29, 0, 0, 0},  {2024, 2, 30, 0, 0, 0}, {2024, 4, 31, 0, 0, 0},
	    {2024, 0, 1, 0, 0, 0},   {2024, 13, 1, 0, 0, 0}, {2024, 1, 0, 0, 0, 0},
	    {2024, 1, 32, 0, 0, 0},  {2024, 1, 1, 24, 0, 0}, {2024, 1, 1, 0, 60, 0},
	    {2024, 1, 1, 0, 0, 60},
	};
	static const struct calendar some[] = {{2000, 2, 29, 23, 59, 59}, {2024, 2, 29, 0, 0, 0}};
	uint64_t seconds = 77;

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(calendar_to_seconds(&none[i], &seconds));
	assert_int_equal(seconds, 77);
	assert_true(calendar_to_seconds(&some[0], &seconds));
	assert_true(calendar_to_seconds(&some[1], &seconds));
}

/* ---- the battery-backed clock --------------------------------------------------------------- */

/* One second ticks after `ticks_after` reads of registers; for `updating` reads of status A before that an
 * update is announced. */
static struct {
	uint8_t regs[128];
	unsigned reads, ticks_after, updating;
	bool stuck, absent;
} clock_chip;

static uint8_t chip_read(unsigned reg)
{
	if (clock_chip.absent)
		return 0xff;
	clock_chip.reads++;
	if (reg == 10) {
		if (clock_chip.updating)
			clock_chip.updating--;
		return clock_chip.stuck || clock_chip.updating ? 0x80 : 0;
	}
	if (clock_chip.ticks_after && clock_chip.reads == clock_chip.ticks_after) {
		clock_chip.regs[0] = 0; /* 23:59:59 on the last day of a year */
		clock_chip.regs[2] = clock_chip.regs[4] = 0;
		clock_chip.regs[7] = clock_chip.regs[8] = 1;
		clock_chip.regs[9]++;
	}
	return clock_chip.regs[reg];
}

static void set_chip(uint8_t status, const uint8_t *date, unsigned century)
{
	memset(&clock_chip, 0, sizeof(clock_chip));
	clock_chip.regs[11] = status;
	clock_chip.regs[0] = date[5];
	clock_chip.regs[2] = date[4];
	clock_chip.regs[4] = date[3];
	clock_chip.regs[7] = date[2];
	clock_chip.regs[8] = date[1];
	clock_chip.regs[9] = date[0];
	clock_chip.regs[0x32] = (uint8_t)century;
}

static uint64_t seconds_of(const struct calendar *date)
{
	uint64_t seconds = 0;

	assert_true(calendar_to_seconds(date, &seconds));
	return seconds;
}

static void every_form(void **state)
{
	static const struct {
		uint8_t status, date[6], century_reg, century;
		struct calendar is;
	} rows[] = {
	    {0x02, {0x26, 0x11, 0x21, 0x13, 0x45, 0x59}, 0x32, 0x20, {2026, 11, 21, 13, 45, 59}},
	    {0x06, {26, 11, 21, 13, 45, 59}, 0x32, 20, {2026, 11, 21, 13, 45, 59}},
	    {0x00, {0x26, 0x11, 0x21, 0x12, 0x00, 0x00}, 0x32, 0x20, {2026, 11, 21, 0, 0, 0}},
	    {0x00, {0x26, 0x11, 0x21, 0x92, 0x00, 0x00}, 0x32, 0x20, {2026, 11, 21, 12, 0, 0}},
	    {0x00, {0x26, 0x11, 0x21, 0x81, 0x30, 0x00}, 0x32, 0x20, {2026, 11, 21, 13, 30, 0}},
	    {0x04, {26, 11, 21, 0x8b, 30, 0}, 0x32, 20, {2026, 11, 21, 23, 30, 0}},
	    {0x02, {0x26, 0x11, 0x21, 0x13, 0x45, 0x59}, 0, 0x99, {2026, 11, 21, 13, 45, 59}},
	    {0x02, {0x99, 0x12, 0x31, 0x13, 0x45, 0x59}, 0, 0, {1999, 12, 31, 13, 45, 59}},
	    {0x02, {0x26, 0x11, 0x21, 0x13, 0x45, 0x59}, 0x32, 0, {2026, 11, 21, 13, 45, 59}},
	    {0x02, {0x04, 0x02, 0x29, 0x13, 0x45, 0x59}, 0x32, 0x21, {2104, 2, 29, 13, 45, 59}},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t seconds = 0;

		set_chip(rows[i].status, rows[i].date, rows[i].century);
		assert_true(rtc_seconds(chip_read, rows[i].century_reg, &seconds));
		assert_int_equal(seconds, seconds_of(&rows[i].is));
	}
}

/* Wherever the tick falls, the answer is the second before or the one after, and nothing between. */
static void caught_in_a_tick(void **state)
{
	static const uint8_t date[] = {0x26, 0x12, 0x31, 0x23, 0x59, 0x59};
	const struct calendar before = {2026, 12, 31, 23, 59, 59}, after = {2027, 1, 1, 0, 0, 0};

	for (unsigned at = 1; at < 40; at++) {
		uint64_t seconds = 0;

		set_chip(0x02, date, 0x20);
		clock_chip.ticks_after = at;
		clock_chip.updating = at % 5;
		assert_true(rtc_seconds(chip_read, 0x32, &seconds));
		assert_true(seconds == seconds_of(&before) || seconds == seconds_of(&after));
	}
}

static void no_clock(void **state)
{
	static const uint8_t date[] = {0x26, 0x12, 0x31, 0x23, 0x59, 0x59};
	static const uint8_t nonsense[] = {0x26, 0x13, 0x31, 0x23, 0x59, 0x59};
	static const uint8_t no_hour[] = {0x26, 0x12, 0x31, 0x13, 0x59, 0x59};
	uint64_t seconds;

	set_chip(0x02, date, 0x20);
	clock_chip.absent = true;
	assert_false(rtc_seconds(chip_read, 0x32, &seconds));
	clock_chip.absent = false;
	clock_chip.stuck = true;
	assert_false(rtc_seconds(chip_read, 0x32, &seconds));
	set_chip(0x02, nonsense, 0x20);
	assert_false(rtc_seconds(chip_read, 0x32, &seconds));
	set_chip(0x00, no_hour, 0x20);
	assert_false(rtc_seconds(chip_read, 0x32, &seconds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_day_of_eight_centuries),
	    cmocka_unit_test(dates_that_are_none),
	    cmocka_unit_test(every_form),
	    cmocka_unit_test(caught_in_a_tick),
	    cmocka_unit_test(no_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
