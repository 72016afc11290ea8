/* commands_selftest.c: the shell's selftest: runs every check and says a line for each.
 *
 * Caller: shell.c. The checks are in selftest_*.c, a table in each; here is only the order and the counting. The
 * text is the same on every platform and with any number of CPUs, so that one row of the platform table can be
 * compared with another byte by byte: no figures, no names of platforms, no times.
 */
#include <amphi/string.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "selftest.h"
#include "shell.h"

static const struct selftest_room *const rooms[] = {
    &selftest_pvops,   &selftest_tables, &selftest_memory, &selftest_traps, &selftest_upcall,
    &selftest_threads, &selftest_cpus,   &selftest_xen,    &selftest_user,
};

static bool run_one(const struct selftest *test)
{
	const char *wrong = test->run();

	if (wrong)
		console_printf("%s: FAILED: not so: %s\n", test->name, wrong);
	else
		console_printf("%s: ok\n", test->name);
	return !wrong;
}

/* A check is left out by the last word of its name. */
static bool is_left_out(const struct selftest *test, int argc, char **argv)
{
	const char *last = test->name, *space;

	while ((space = strchr(last, ' ')))
		last = space + 1;
	for (int i = 1; i < argc; i++)
		if (!strcmp(last, argv[i]))
			return true;
	return false;
}

static void run_or_not(const struct selftest *test, bool leave_out, unsigned *counts)
{
	if (leave_out)
		console_printf("%s: left out\n", test->name);
	else
		counts[run_one(test)]++;
}

/* All of them, whatever fails: the second failure is often the one that explains the first. */
static int selftest(int argc, char **argv)
{
	unsigned counts[2] = {0}; /* failed, ok */

	console_printf("selftest: begins\n");
	for (unsigned r = 0; r < ARRAY_SIZE(rooms); r++)
		for (unsigned i = 0; i < rooms[r]->count; i++)
			run_or_not(&rooms[r]->tests[i],
				   is_left_out(&rooms[r]->tests[i], argc, argv), counts);
	console_printf("selftest: %u ok, %u failed\n", counts[1], counts[0]);
	return counts[0] ? -XEN_EIO : 0;
}

void commands_selftest_add(void)
{
	static const struct shell_command table[] = {
	    {"selftest", "[WORD...]",
	     "checks everything the platform gives us, a line each, but for what ends in WORD",
	     selftest},
	};

	shell_add(table, ARRAY_SIZE(table));
}
