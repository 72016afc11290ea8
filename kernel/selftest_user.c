/* selftest_user.c: the self-test's part that runs in ring 3: the program self_test of the boot module.
 *
 * Caller: commands_selftest.c. The program says a line for each of its own checks. A boot module without it, or no
 * boot module, is as well: nothing is said then and nothing counted, so rows that are compared are all given the
 * same module.
 */
#include <amphi/xen.h>

#include "selftest.h"
#include "user.h"

static const char *program(void)
{
	char name[] = "self_test", *argv[] = {name, NULL};
	int pid = user_start(1, argv, USER_SHELL);

	if (pid == -XEN_ENOENT)
		return NULL;
	WANT(pid > 0);
	WANT(user_wait(pid, USER_SHELL) == 0);
	return NULL;
}

static const struct selftest tests[] = {
    {"ring 3", program},
};
const struct selftest_room selftest_user = {tests, ARRAY_SIZE(tests)};
