/* commands_time.c: the shell's commands about clocks.
 *
 * Caller: shell.c. Calls wall_clock.h and time.h.
 */
#include <amphi/calendar.h>
#include <amphi/types.h>
#include <amphi/xen.h>
#include "commands.h"
#include "console.h"
#include "shell.h"
#include "time.h"
#include "wall_clock.h"

/* ISO 8601, and who said so. */
static int date(int argc, char **argv)
{
	const char *source;
	uint64_t ns = wall_clock_ns(&source), seconds = ns / NS_PER_S;
	struct calendar d;

	if (argc != 1)
		return -XEN_EINVAL;
	if (!ns || seconds >= CALENDAR_END) {
		console_printf("nobody tells the date (%s was asked)\n", source);
		return -XEN_ENODEV;
	}
	calendar_from_seconds(seconds, &d);
	console_printf("%04u-%02u-%02uT%02u:%02u:%02uZ by %s\n", d.year, d.month, d.day, d.hour,
		       d.minute, d.second, source);
	return 0;
}

void commands_time_add(void)
{
	static const struct shell_command table[] = {
	    {"date", "", "the date and time of the world, in UTC", date},
	};

	shell_add(table, ARRAY_SIZE(table));
}
