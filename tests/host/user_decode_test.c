/* user_decode_test.c: what a program asks for is taken or refused, argument by argument.
 *
 * Shows: each call with arguments at both ends of what its row allows, and one step beyond; sums that would
 * wrap; numbers that are no call. Why: whatever passes is acted on without another look at its numbers.
 * Expected: the errors of amphi/user.h, and nothing written when one is returned.
 *
 * links: kernel/user_decode.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/xen.h>
#include "kernel/user_decode.h"

#define TOP (~0ull)

static const struct {
	enum user_call_nr nr;
	uint64_t args[3];
	int expected;
} cases[] = {
    {USER_CALL_exit, {255}, 0},
    {USER_CALL_exit, {256}, -XEN_EINVAL},
    {USER_CALL_exit, {TOP}, -XEN_EINVAL},
    {USER_CALL_write, {USER_LOW, 0}, 0},
    {USER_CALL_write, {USER_LOW, USER_BUFFER_MAX}, 0},
    {USER_CALL_write, {USER_LOW, USER_BUFFER_MAX + 1}, -XEN_EINVAL},
    {USER_CALL_write, {USER_LOW - 1, 1}, -XEN_EFAULT},
    {USER_CALL_write, {0, 0}, -XEN_EFAULT},
    {USER_CALL_write, {USER_END - 4, 4}, 0},
    {USER_CALL_write, {USER_END - 4, 5}, -XEN_EFAULT},
    {USER_CALL_write, {USER_END, 0}, 0},
    {USER_CALL_write, {USER_END + 1, 0}, -XEN_EFAULT},
    {USER_CALL_write, {TOP, 2}, -XEN_EFAULT},
    {USER_CALL_write, {0xffffffff80100000, 16}, -XEN_EFAULT},
    {USER_CALL_write, {USER_LOW, TOP}, -XEN_EINVAL},
    {USER_CALL_getpid, {TOP, TOP, TOP}, 0},
    {USER_CALL_pages, {1, USER_READ}, 0},
    {USER_CALL_pages, {USER_HEAP_PAGES, USER_READ | USER_WRITE}, 0},
    {USER_CALL_pages, {USER_HEAP_PAGES + 1, USER_READ}, -XEN_EINVAL},
    {USER_CALL_pages, {0, USER_READ}, -XEN_EINVAL},
    {USER_CALL_pages, {TOP, USER_READ}, -XEN_EINVAL},
    {USER_CALL_pages, {1, 0}, -XEN_EINVAL},
    {USER_CALL_pages, {1, USER_WRITE}, -XEN_EINVAL},
    {USER_CALL_pages, {1, 5}, -XEN_EINVAL},
    {USER_CALL_pages, {1, 7}, -XEN_EINVAL},
    {USER_CALL_pages, {1, TOP}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_HEAP, USER_HEAP_PAGES}, 0},
    {USER_CALL_unpages, {USER_HEAP + PAGE_SIZE, USER_HEAP_PAGES}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_HEAP_END - PAGE_SIZE, 1}, 0},
    {USER_CALL_unpages, {USER_HEAP_END, 1}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_HEAP - PAGE_SIZE, 2}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_HEAP + 1, 1}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_HEAP, 1ull << 52}, -XEN_EINVAL},
    {USER_CALL_unpages, {USER_STACK_LOW, 1}, -XEN_EINVAL},
    {USER_CALL_protect, {USER_HEAP, 1, USER_READ}, 0},
    {USER_CALL_protect, {USER_HEAP, 1, 7}, -XEN_EINVAL},
    {USER_CALL_protect, {USER_HEAP, 0, USER_READ}, -XEN_EINVAL},
    {USER_CALL_sleep, {USER_SLEEP_MAX_NS}, 0},
    {USER_CALL_sleep, {USER_SLEEP_MAX_NS + 1}, -XEN_EINVAL},
    {USER_CALL_set_fs_base, {USER_END - 1}, 0},
    {USER_CALL_set_fs_base, {USER_END}, -XEN_EINVAL},
    {USER_CALL_set_fs_base, {1ull << 63}, -XEN_EINVAL},
    {USER_CALL_set_tls, {0xffffffff}, 0},
    {USER_CALL_set_tls, {0x100000000}, -XEN_EINVAL},
    {USER_CALL_set_tls, {0, USER_TLS_SLOTS - 1}, 0},
    {USER_CALL_set_tls, {0, USER_TLS_SLOTS}, -XEN_EINVAL},
    {USER_CALL_set_ldt, {0, 0x00cff3000000ffff}, 0},
    {USER_CALL_set_ldt, {USER_LDT_ENTRIES - 1, 0}, 0},
    {USER_CALL_set_ldt, {USER_LDT_ENTRIES, 0}, -XEN_EINVAL},
    {USER_CALL_set_ldt, {TOP, 0}, -XEN_EINVAL},
    {USER_CALL_set_ldt, {0, 0xff5ff0ffffffffff}, 0},           /* read only, any base and limit */
    {USER_CALL_set_ldt, {0, 0x00cf93000000ffff}, -XEN_EINVAL}, /* ring 0 */
    {USER_CALL_set_ldt, {0, 0x00cfb3000000ffff}, -XEN_EINVAL}, /* ring 1 */
    {USER_CALL_set_ldt, {0, 0x00cf73000000ffff}, -XEN_EINVAL}, /* not present */
    {USER_CALL_set_ldt, {0, 0x00cfe3000000ffff}, -XEN_EINVAL}, /* a system descriptor */
    {USER_CALL_set_ldt, {0, 0x00cfec000000ffff}, -XEN_EINVAL}, /* a call gate */
    {USER_CALL_set_ldt, {0, 0x00cffb000000ffff}, -XEN_EINVAL}, /* code */
    {USER_CALL_set_ldt, {0, 0x00affb000000ffff}, -XEN_EINVAL}, /* 64-bit code */
    {USER_CALL_set_ldt, {0, 0x00eff3000000ffff}, -XEN_EINVAL}, /* the reserved bit */
    {USER_CALL_set_ldt, {0, 0x008ff3000000ffff}, -XEN_EINVAL}, /* 16 bits */
    {USER_CALL_set_ldt, {0, 0x00cff7000000ffff}, -XEN_EINVAL}, /* grows down */
    {USER_CALL_ports, {0, 65536, 1}, 0},
    {USER_CALL_ports, {65535, 1, 0}, 0},
    {USER_CALL_ports, {65535, 2, 1}, -XEN_EINVAL},
    {USER_CALL_ports, {65536, 1, 1}, -XEN_EINVAL},
    {USER_CALL_ports, {1, 0, 1}, -XEN_EINVAL},
    {USER_CALL_ports, {1, TOP, 1}, -XEN_EINVAL},
    {USER_CALL_ports, {1, 1, 2}, -XEN_EINVAL},
    {USER_CALL_watch, {USER_END - 8, 8, USER_WRITE}, 0},
    {USER_CALL_watch, {8, 0, 3}, 0},
    {USER_CALL_watch, {12, 8, 3}, -XEN_EINVAL},
    {USER_CALL_watch, {12, 3, 3}, -XEN_EINVAL},
    {USER_CALL_watch, {16, 16, 3}, -XEN_EINVAL},
    {USER_CALL_watch, {8, 8, USER_READ}, -XEN_EINVAL},
    {USER_CALL_watch, {8, 8, 6}, -XEN_EINVAL},
    {USER_CALL_watch, {0xffff880000000000, 8, 3}, -XEN_EINVAL},
    {USER_CALL_on_fault, {0, 0, 0}, 0},
    {USER_CALL_on_fault, {USER_END - 1, 1, USER_END - 1}, 0},
    {USER_CALL_on_fault, {USER_END - 1, 2, 0}, -XEN_EINVAL},
    {USER_CALL_on_fault, {1, TOP, 0}, -XEN_EINVAL},
    {USER_CALL_on_fault, {0, 1, USER_END}, -XEN_EINVAL},
    {USER_CALL_resume, {USER_END - sizeof(struct user_context)}, 0},
    {USER_CALL_resume, {USER_END - sizeof(struct user_context) + 1}, -XEN_EFAULT},
    {USER_CALL_resume, {TOP - 8}, -XEN_EFAULT},
    {USER_CALL_spawn, {USER_LOW, 5}, 0},
    {USER_CALL_spawn, {0, 5}, -XEN_EFAULT},
    {USER_CALL_wait, {TOP}, 0},
};

static void the_rows(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct user_call call, untouched;
		int got;

		memset(&call, 0x5a, sizeof(call));
		untouched = call;
		got = user_decode(cases[i].nr, cases[i].args, &call);
		if (got != cases[i].expected)
			fail_msg("case %u, %s: %d, not %d", i, user_call_name(cases[i].nr), got,
				 cases[i].expected);
		if (got) {
			assert_memory_equal(&call, &untouched, sizeof(call));
			continue;
		}
		assert_int_equal(call.nr, cases[i].nr);
		assert_memory_equal(call.args, cases[i].args, sizeof(call.args));
	}
}

static void every_row_is_tried(void **state)
{
	for (unsigned nr = 0; nr < USER_CALL_COUNT; nr++) {
		bool tried = nr == USER_CALL_yield || nr == USER_CALL_time; /* no arguments */

		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
			tried |= cases[i].nr == nr;
		if (!tried)
			fail_msg("%s has no case", user_call_name(nr));
	}
}

static void numbers_that_are_none(void **state)
{
	const uint64_t args[3] = {0};
	struct user_call call;

	assert_int_equal(user_decode(USER_CALL_COUNT, args, &call), -XEN_ENOSYS);
	assert_int_equal(user_decode(1ull << 32, args, &call), -XEN_ENOSYS);
	assert_int_equal(user_decode(TOP, args, &call), -XEN_ENOSYS);
	assert_string_equal(user_call_name(USER_CALL_write), "write");
	assert_string_equal(user_call_name(TOP), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_rows),
	    cmocka_unit_test(every_row_is_tried),
	    cmocka_unit_test(numbers_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
