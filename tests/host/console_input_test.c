/* console_input_test.c: keys reach the shell, or whoever took them, and too many are dropped.
 *
 * Shows: bytes in order, a reader that waits is woken, a taker gets the bytes in the worker and the
 * shell does not, what is fed comes out, and a full ring keeps its first 256. Why: the console
 * switch of the service domain hands the terminal round by this. Expected: all hold.
 *
 * links: kernel/console_input.c kernel/worker.c kernel/thread.c kernel/thread_home.c kernel/timers.c
 * links: tests/host/fake_processor.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "fake_processor.h"
#include "kernel/console_input.h"
#include "kernel/thread.h"
#include "kernel/worker.h"

static char typed[512];
static size_t typed_len, typed_at;

static size_t fake_read(uint8_t *out, size_t cap)
{
	size_t n = typed_len - typed_at < cap ? typed_len - typed_at : cap;

	assert_int_equal(fake_irqs_on, 0);
	memcpy(out, typed + typed_at, n);
	typed_at += n;
	return n;
}

static const struct console_sink sink = {.name = "fake", .read = fake_read};

static void type(const char *text, size_t len)
{
	memcpy(typed, text, len);
	typed_len = len;
	typed_at = 0;
	console_input_ready();
	assert_int_equal(typed_at, len);
}

static void bytes_in_order(void **state)
{
	type("hi!", 3);
	console_feed_shell('x');
	assert_int_equal(console_read_byte(), 'h');
	assert_int_equal(console_read_byte(), 'i');
	assert_int_equal(console_read_byte(), '!');
	assert_int_equal(console_read_byte(), 'x');
}

static void type_later(void *ctx)
{
	type("z", 1);
}

static void a_waiting_reader_is_woken(void **state)
{
	assert_non_null(thread_create("typist", type_later, NULL));
	assert_int_equal(console_read_byte(), 'z');
}

static char taken[64];

static void take(void *ctx, uint8_t byte)
{
	size_t len = strlen(taken);

	assert_true(worker_is_current());
	assert_ptr_equal(ctx, taken);
	taken[len] = (char)byte;
}

static void a_taker_gets_all(void **state)
{
	console_take_input(take, taken);
	type("abc", 3);
	assert_string_equal(taken, "");
	thread_yield();
	assert_string_equal(taken, "abc");
	console_feed_shell('s');
	console_take_input(NULL, NULL);
	type("t", 1);
	assert_int_equal(console_read_byte(), 's');
	assert_int_equal(console_read_byte(), 't');
}

static void too_many_are_dropped(void **state)
{
	char many[300];
	unsigned i;

	for (i = 0; i < sizeof(many); i++)
		many[i] = (char)(i % 200 + 1);
	type(many, sizeof(many));
	for (i = 0; i < 256; i++)
		assert_int_equal(console_read_byte(), i % 200 + 1);
	type("e", 1);
	assert_int_equal(console_read_byte(), 'e');
}

static unsigned ctrl_cs;

static void count_ctrl_c(void)
{
	assert_int_equal(fake_irqs_on, 0);
	ctrl_cs++;
}

/* By the sink or fed; before and afterwards it is a key like others, and a taker's is the taker's. */
static void ctrl_c_is_a_call(void **state)
{
	console_on_ctrl_c(count_ctrl_c);
	type("a\003b", 3);
	console_feed_shell(3);
	assert_int_equal(ctrl_cs, 2);
	assert_int_equal(console_read_byte(), 'a');
	assert_int_equal(console_read_byte(), 'b');
	console_take_input(take, taken);
	type("\003", 1);
	thread_yield();
	console_take_input(NULL, NULL);
	assert_int_equal(ctrl_cs, 2);
	console_on_ctrl_c(NULL);
	type("\003", 1);
	assert_int_equal(console_read_byte(), 3);
	assert_int_equal(ctrl_cs, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_in_order),   cmocka_unit_test(a_waiting_reader_is_woken),
	    cmocka_unit_test(a_taker_gets_all), cmocka_unit_test(too_many_are_dropped),
	    cmocka_unit_test(ctrl_c_is_a_call),
	};

	thread_init();
	worker_init();
	thread_yield();
	console_input_init(&sink);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
