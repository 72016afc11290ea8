/* rtc.c: reads the date from the battery-backed clock, in whatever form it is set to keep it.
 *
 * Callers: see amphi/rtc.h. Calls calendar.c. The clock moves while it is read: for a moment before each
 * second it warns (bit UIP), and a reading counts when a second one right after it is the same. Both are
 * tried a bounded number of times, since where there is no clock the ports read as ones for ever.
 */
#include <amphi/calendar.h>
#include <amphi/string.h>

#include <amphi/rtc.h>

#define STATUS_A     10u
#define STATUS_B     11u
#define A_UPDATING   0x80u
#define B_BINARY     0x04u
#define B_24_HOURS   0x02u
#define PM           0x80u
#define UPDATE_TRIES 100000u /* an update takes 2 ms, a read of a port about 1 us */
#define READ_TRIES   10u

enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, CENTURY, FIELDS };

static void read_fields(rtc_read_fn *read, unsigned century, uint8_t *field)
{
	static const uint8_t regs[] = {
	    [SECOND] = 0, [MINUTE] = 2, [HOUR] = 4, [DAY] = 7, [MONTH] = 8, [YEAR] = 9};

	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		field[i] = read(regs[i]);
	field[CENTURY] = century ? read(century) : 0;
}

static bool read_steady(rtc_read_fn *read, unsigned century, uint8_t *field)
{
	uint8_t again[FIELDS];
	unsigned waits = 0;

	for (unsigned i = 0; i < READ_TRIES; i++) {
		while (read(STATUS_A) & A_UPDATING)
			if (++waits == UPDATE_TRIES)
				return false;
		read_fields(read, century, field);
		read_fields(read, century, again);
		if (memcmp(field, again, sizeof(again)) == 0)
			return true;
	}
	return false;
}

static unsigned number(uint8_t value, uint8_t status)
{
	return status & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

/* Of twelve hours 12 is the first, and the afternoon is a bit on top. */
static unsigned hour_of(uint8_t value, uint8_t status)
{
	unsigned hour;

	if (status & B_24_HOURS)
		return number(value, status);
	hour = number(value & (uint8_t)~PM, status);
	if (hour < 1 || hour > 12)
		return 24; /* no hour */
	return hour % 12 + (value & PM ? 12 : 0);
}

/* A century that is none (firmware that names a register nobody fills) is as good as no register. */
static unsigned year_of(const uint8_t *field, unsigned century, uint8_t status)
{
	unsigned year = number(field[YEAR], status), hundreds = number(field[CENTURY], status);

	if (century && hundreds >= 19 && hundreds <= 99)
		return hundreds * 100 + year;
	return year + (year < 70 ? 2000 : 1900);
}

bool rtc_seconds(rtc_read_fn *read, unsigned century, uint64_t *out_seconds)
{
	uint8_t field[FIELDS], status = read(STATUS_B);
	struct calendar date;

	if (!read_steady(read, century, field))
		return false;
	date = (struct calendar){
	    .year = year_of(field, century, status),
	    .month = number(field[MONTH], status),
	    .day = number(field[DAY], status),
	    .hour = hour_of(field[HOUR], status),
	    .minute = number(field[MINUTE], status),
	    .second = number(field[SECOND], status),
	};
	return calendar_to_seconds(&date, out_seconds);
}
