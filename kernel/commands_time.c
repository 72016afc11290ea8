/* commands_time.c: the shell's commands about clocks.
 *
 * Caller: shell.c. Calls wall_clock.h, time.h, clock_check.h and smp.h.
 */
#include <amphi/calendar.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>
#include "clock_check.h"
#include "commands.h"
#include "console.h"
#include "shell.h"
#include "smp.h"
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

static void turn(void *check)
{
	clock_check_turn(check);
}

/* Nothing else runs meanwhile, so the answer is short of a minute. */
static int clock(int argc, char **argv)
{
	uint64_t ms = 1000;
	struct clock_check check = {.read = time_ns};

	if (argc > 2 || (argc == 2 && (!str_to_u64(argv[1], &ms) || ms == 0 || ms > 60000)))
		return -XEN_EINVAL;
	check.length = ms * NS_PER_MS;
	smp_call_all(turn, &check);
	console_printf(
	    "clock of %u CPUs for %llu ms: %llu readings, %llu steps back, the longest %llu ns\n",
	    smp_online(), (unsigned long long)ms, (unsigned long long)check.readings,
	    (unsigned long long)check.back, (unsigned long long)check.most_back);
	return check.back ? -XEN_EIO : 0;
}

void commands_time_add(void)
{
	static const struct shell_command table[] = {
	    {"clock", "[MS]", "reads the clock on all CPUs at once, and fails if it steps back",
	     clock},
	    {"date", "", "the date and time of the world, in UTC", date},
	};

	shell_add(table, ARRAY_SIZE(table));
}
