/* commands_user.c: the shell's command that runs programs in ring 3.
 *
 * Caller: shell.c. Calls user.h. The shell waits for the programs it has started; a program that does not
 * end cannot be ended from here.
 */
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "shell.h"
#include "user.h"
#include <amphi/user.h>

static int say_end(const char *name, int pid, int status)
{
	if (status >= 0 && status < (int)USER_ENDED_BY)
		console_printf("@program %s %d exit %d\n", name, pid, status);
	else
		console_printf("@program %s %d ended %s\n", name, pid,
			       trap_name((unsigned)status - USER_ENDED_BY));
	return status ? -XEN_EIO : 0;
}

/* -COUNT before the program's name: so many copies of it, at the same time. */
static bool parse_count(const char *word, uint64_t *out)
{
	return word[0] == '-' && str_to_u64(word + 1, out) && *out >= 1 && *out <= USER_PROGRAMS;
}

static int run(int argc, char **argv)
{
	int pids[USER_PROGRAMS], first = 1, error = 0;
	uint64_t count = 1, n = 0;

	if (argc > 1 && parse_count(argv[1], &count))
		first = 2;
	if (argc <= first)
		return -XEN_EINVAL;
	for (; n < count && !error; n++) {
		pids[n] = user_start(argc - first, argv + first, USER_SHELL);
		error = pids[n] < 0 ? pids[n] : 0;
	}
	for (uint64_t i = 0; i < n; i++) {
		int ended = pids[i] > 0 ? say_end(argv[first], pids[i], user_wait(pids[i], USER_SHELL)) : 0;

		error = error ? error : ended;
	}
	return error;
}

void commands_user_add(void)
{
	static const struct shell_command table[] = {
	    {"run", "[-COUNT] PROGRAM [WORD...]", "runs a program of the boot module in ring 3", run},
	};

	shell_add(table, ARRAY_SIZE(table));
}
