/* calendar.c: days counted from a date, and a date from days.
 *
 * Callers: see amphi/calendar.h. Calls nothing. Years are counted from March here, so that the day that
 * comes and goes is a year's last and months before it need no case: 153 days are five months from
 * March on, whatever the year.
 */
#include <amphi/calendar.h>

#define DAY_SECONDS    86400u
#define YEARS_400_DAYS 146097u
#define EPOCH_DAYS     719468u /* from the 1st of March of the year 0 to the 1st of January 1970 */

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

static bool is_date(const struct calendar *d)
{
	return d->year >= 1970 && d->year <= 9999 && d->month >= 1 && d->month <= 12 &&
	       d->day >= 1 && d->day <= month_days(d->year, d->month) && d->hour < 24 &&
	       d->minute < 60 && d->second < 60;
}

/* January and February belong to the year before. */
bool calendar_to_seconds(const struct calendar *date, uint64_t *out_seconds)
{
	uint64_t year, days;
	unsigned month;

	if (!is_date(date))
		return false;
	year = date->month > 2 ? date->year : date->year - 1;
	month = (date->month + 9) % 12;
	days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->day -
	       1 - EPOCH_DAYS;
	*out_seconds = days * DAY_SECONDS + date->hour * 3600u + date->minute * 60 + date->second;
	return true;
}

/* The year is found by taking away the leap days that lie before that day of its 400 years. */
void calendar_from_seconds(uint64_t seconds, struct calendar *out)
{
	uint64_t days = seconds / DAY_SECONDS + EPOCH_DAYS;
	unsigned rest = (unsigned)(seconds % DAY_SECONDS), of_400 = days % YEARS_400_DAYS;
	unsigned year = (of_400 - of_400 / 1460 + of_400 / 36524 - of_400 / 146096) / 365;
	unsigned of_year = of_400 - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	*out = (struct calendar){
	    .month = month < 10 ? month + 3 : month - 9,
	    .day = of_year - (153 * month + 2) / 5 + 1,
	    .hour = rest / 3600,
	    .minute = rest / 60 % 60,
	    .second = rest % 60,
	};
	out->year = (unsigned)(days / YEARS_400_DAYS) * 400 + year + (out->month <= 2 ? 1 : 0);
}
