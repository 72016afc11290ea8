/* commands_user.c: the shell's command that runs programs in ring 3.
 *
 * Caller: shell.c. Calls user.h. The shell waits for the programs it has started; while it does, Ctrl-C ends
 * them all.
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
	else if (status == (int)USER_ENDED_BY_KEY)
		console_printf("@program %s %d ended Ctrl-C\n", name, pid);
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

/* Waits for all of them; 0 when each ended with 0. */
static int wait_for(const int *pids, unsigned n, const char *name)
{
	int error = 0;

	for (unsigned i = 0; i < n; i++) {
		int ended = say_end(name, pids[i], user_wait(pids[i], USER_SHELL));

		error = error ? error : ended;
	}
	return error;
}

/* Those that nobody has waited for yet; a name may be gone by then. */
static struct {
	int pids[USER_PROGRAMS];
	unsigned n;
} beside;

/* With & behind it: the shell goes on. There are never more programs than pids: each waits for its place in the
 * kernel's table to be free. */
static int run(int argc, char **argv)
{
	int pids[USER_PROGRAMS], first = 1, pid = 0, error = 0;
	bool wait = strcmp(argv[argc - 1], "&") != 0;
	uint64_t count = 1;
	unsigned n = 0;

	argc -= !wait;
	if (argc > 1 && parse_count(argv[1], &count))
		first = 2;
	if (argc <= first)
		return -XEN_EINVAL;
	while (n < count && (pid = user_start(argc - first, argv + first, USER_SHELL)) > 0)
		pids[n++] = pid;
	for (unsigned i = 0; i < n && !wait; i++)
		beside.pids[beside.n++] = pids[i];
	console_on_ctrl_c(user_end_all);
	if (wait)
		error = wait_for(pids, n, argv[first]);
	console_on_ctrl_c(NULL);
	return pid < 0 ? pid : error;
}

static int wait_for_all(int argc, char **argv)
{
	int error;

	if (argc != 1)
		return -XEN_EINVAL;
	console_on_ctrl_c(user_end_all);
	error = wait_for(beside.pids, beside.n, "beside");
	console_on_ctrl_c(NULL);
	beside.n = 0;
	return error;
}

void commands_user_add(void)
{
	static const struct shell_command table[] = {
	    {"run", "[-COUNT] PROGRAM [WORD...] [&]", "runs a program of the boot module in ring 3",
	     run},
	    {"wait", "", "for the programs that were run with &", wait_for_all},
	};

	shell_add(table, ARRAY_SIZE(table));
}
