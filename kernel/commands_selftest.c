/* commands_selftest.c: the shell's selftest: runs every check and says a line for each.
 *
 * Caller: shell.c. The checks are in selftest_*.c, a table in each; here is only the order and the counting. The
 * text is the same on every platform and with any number of CPUs, so that one row of the platform table can be
 * compared with another byte by byte: no figures, no names of platforms, no times.
 */
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "selftest.h"
#include "shell.h"

static const struct selftest_room *const rooms[] = {
    &selftest_pvops,   &selftest_tables, &selftest_memory, &selftest_traps,
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

/* All of them, whatever fails: the second failure is often the one that explains the first. */
static int selftest(int argc, char **argv)
{
	unsigned ok = 0, failed = 0;

	console_printf("selftest: begins\n");
	for (unsigned r = 0; r < ARRAY_SIZE(rooms); r++)
		for (unsigned i = 0; i < rooms[r]->count; i++)
			run_one(&rooms[r]->tests[i]) ? ok++ : failed++;
	console_printf("selftest: %u ok, %u failed\n", ok, failed);
	return failed ? -XEN_EIO : 0;
}

void commands_selftest_add(void)
{
	static const struct shell_command table[] = {
	    {"selftest", "", "checks everything the platform gives us, a line each", selftest},
	};

	shell_add(table, ARRAY_SIZE(table));
}
