/* guest_control_words_test.c: the words of control/shutdown and control/sysrq are those of the toolstack.
 *
 * Shows: what xl writes is understood, in this spelling only; an emptied node asks for nothing; a key of sysrq is
 * one letter that is in the table; each feature that is announced belongs to a request that is understood.
 * Why: an unknown word must not end a domain, and a known one must not be passed over.
 *
 * links: kernel/guest_control_words.c lib/text.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/guest_control_words.h"

static void what_xl_writes(void **state)
{
	assert_int_equal(control_shutdown_word("poweroff"), CONTROL_POWEROFF);
	assert_int_equal(control_shutdown_word("halt"), CONTROL_POWEROFF);
	assert_int_equal(control_shutdown_word("reboot"), CONTROL_REBOOT);
	assert_int_equal(control_shutdown_word("suspend"), CONTROL_SUSPEND);
	assert_int_equal(control_shutdown_word(""), CONTROL_NOTHING);
}

static void nothing_else(void **state)
{
	static const char *const others[] = {"Suspend", "suspend ", " reboot", "poweroff\n",
					     "power",   "s",        "crash",   "suspendsuspend"};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(control_shutdown_word(others[i]), CONTROL_UNKNOWN);
}

static void keys_of_sysrq(void **state)
{
	assert_string_equal(control_sysrq_line("t"), "threads");
	assert_string_equal(control_sysrq_line("b"), "reboot");
	assert_null(control_sysrq_line(""));
	assert_null(control_sysrq_line("tt"));
	assert_null(control_sysrq_line("T"));
	assert_null(control_sysrq_line("\xff"));
}

static void features(void **state)
{
	enum control_request request;
	const char *node;
	unsigned n = 0;

	for (; (node = control_feature(n, &request)); n++) {
		assert_memory_equal(node, "control/feature-", 16);
		assert_int_equal(control_shutdown_word(node + 16), request);
	}
	assert_int_equal(n, 3);
	assert_null(control_feature(UINT32_MAX, &request));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_xl_writes),
	    cmocka_unit_test(nothing_else),
	    cmocka_unit_test(keys_of_sysrq),
	    cmocka_unit_test(features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
