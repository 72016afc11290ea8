/* console_test.c: both ends of the console ring, against each other and against liars.
 *
 * Shows that text and input pass whole in any pieces and around the ring's end, that last words
 * survive a detach, that a guest that floods or lies in its indices costs a bounded amount of work
 * and only its own console, and that the guest's end survives a lying backend. Why: the console is
 * what is left when all else failed. Expected: all pass, no memory held at the end.
 *
 * links: tests/host/store_host.c drivers-back/consback.c drivers-front/consfront.c
 * links: protocol/xs_wire.c protocol/xs_ring.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/consback.h>
#include <amphi/consfront.h>

#include "store_host.h"

static char lines[1 << 16], raw[1 << 22];
static size_t raw_len;
static unsigned line_count;
static struct consback *back;
static struct consfront front;

static void on_line(void *ctx, const char *text, size_t len)
{
	size_t used = strlen(lines);

	assert_int_equal(text[len], 0);
	line_count++;
	if (used + len + 2 < sizeof(lines))
		snprintf(lines + used, sizeof(lines) - used, "%s|", text);
}

static void on_raw(void *ctx, const char *bytes, size_t len)
{
	if (raw_len + len <= sizeof(raw))
		memcpy(raw + raw_len, bytes, len);
	raw_len += len;
}

static void front_notify(void *ctx)
{
	guest_kick(1, CONSOLE_PORT);
}

static void front_relax(void *ctx)
{
	host_run();
	host_advance_ns(20000000);
}

static const struct consback_sink sink = {.line = on_line, .raw = on_raw};

static int setup(void **state)
{
	host_reset();
	lines[0] = 0;
	raw_len = line_count = 0;
	consfront_init(&front, guest_console_page(1), front_notify, NULL);
	assert_int_equal(consback_attach(1, CONSOLE_PORT, &sink, &back), 0);
	return 0;
}

static int teardown(void **state)
{
	if (back)
		consback_detach(back);
	back = NULL;
	assert_int_equal(host_bytes_held(), 0);
	return 0;
}

static void say(const char *text)
{
	consfront_write(&front, text, strlen(text));
	host_run();
}

static void test_lines(void **state)
{
	struct consback_stats stats;

	say("one\r\ntwo\n\nthr");
	assert_string_equal(lines, "one|two||");
	say("ee\n");
	assert_string_equal(lines, "one|two||three|");
	assert_memory_equal(raw, "one\r\ntwo\n\nthree\n", raw_len);
	consback_count(back, &stats);
	assert_int_equal(stats.bytes_out, 16);
	assert_int_equal(stats.lines, 4);
}

static void test_long_line_comes_in_pieces(void **state)
{
	char text[3 * CONSBACK_LINE_MAX];

	memset(text, 'x', sizeof(text) - 2);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = 0;
	say(text);
	assert_int_equal(line_count, 3);
	assert_int_equal(strlen(lines), sizeof(text) - 2 + 3);
}

/* What was written before anybody listened, and at the very end, is not lost. */
static void test_first_and_last_words(void **state)
{
	consback_detach(back);
	consfront_write(&front, "early\n", 6);
	assert_int_equal(consback_attach(1, CONSOLE_PORT, &sink, &back), 0);
	host_run();
	assert_string_equal(lines, "early|");
	front.notify = front_relax; /* it dies before its event arrives */
	consfront_write(&front, "last", 4);
	consback_detach(back);
	back = NULL;
	assert_string_equal(lines, "early|last|");
}

static void test_text_around_the_ring(void **state)
{
	static char text[100000];
	size_t cr = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 23);
	assert_int_equal(consfront_write_text(&front, text, sizeof(text), front_relax, 1000),
			 sizeof(text));
	host_run();
	for (size_t i = 0; i < sizeof(text); i++) {
		if (text[i] == '\n')
			assert_int_equal(raw[i + cr++], '\r');
		assert_int_equal(raw[i + cr], text[i]);
	}
	assert_int_equal(raw_len, sizeof(text) + cr);
	assert_true(consfront_drained(&front));
}

/* Nobody reads: the writer gives up after its tries and the early part stays. */
static void test_full_ring(void **state)
{
	static char text[3000];

	consback_detach(back);
	memset(text, 'y', sizeof(text));
	assert_int_equal(consfront_write(&front, text, sizeof(text)), 2048);
	assert_int_equal(consfront_write(&front, text, sizeof(text)), 0);
	assert_int_equal(consfront_write_text(&front, text, 10, front_relax, 5), 0);
	assert_false(consfront_drained(&front));
	assert_int_equal(consback_attach(1, CONSOLE_PORT, &sink, &back), 0);
	host_run();
	assert_int_equal(raw_len, 2048);
	assert_true(consfront_drained(&front));
}

static void test_input(void **state)
{
	static char typed[4000], got[4000];
	size_t taken, read;

	for (size_t i = 0; i < sizeof(typed); i++)
		typed[i] = (char)('A' + i % 19);
	assert_int_equal(consback_input(back, "ls\n", 3), 3);
	assert_int_equal(consfront_read(&front, got, sizeof(got)), 3);
	assert_memory_equal(got, "ls\n", 3);
	/* Typing ahead fills the ring and the waiting buffer, no more. */
	taken = consback_input(back, typed, sizeof(typed));
	assert_int_equal(taken, 1024 + CONSBACK_INPUT_MAX);
	assert_int_equal(consback_input(back, "x", 1), 0);
	read = 0;
	for (unsigned i = 0; i < 100; i++) {
		read += consfront_read(&front, got + read, 37);
		host_run();
	}
	assert_int_equal(read, taken);
	assert_memory_equal(got, typed, taken);
	assert_true(guest_notified(1, CONSOLE_PORT) > 0);
}

/* A guest that never stops: one turn is bounded, and so is what is taken in a second. */
static void test_flood_is_slowed(void **state)
{
	struct xencons_interface *ring = guest_console_page(1);
	struct consback_stats stats;

	for (unsigned ms = 0; ms < 1000; ms++) {
		for (unsigned i = 0; i < 10; i++) {
			ring->out_prod = ring->out_cons + 2048;
			guest_kick(1, CONSOLE_PORT);
			host_run();
		}
		host_advance_ns(1000000);
	}
	consback_count(back, &stats);
	assert_in_range(stats.bytes_out, CONSBACK_BYTES_PER_S * 8 / 10, CONSBACK_BYTES_PER_S);
	assert_true(stats.delays > 5);
	assert_false(stats.broken);
	/* When it is quiet again all goes on. */
	host_advance_ns(1000000000);
	host_run();
	assert_int_equal(ring->out_prod, ring->out_cons);
}

static void test_lying_guest(void **state)
{
	struct xencons_interface *ring = guest_console_page(1);
	struct consback_stats stats;

	ring->out_prod = ring->out_cons + 2049;
	guest_kick(1, CONSOLE_PORT);
	host_run();
	consback_count(back, &stats);
	assert_true(stats.broken);
	assert_int_equal(raw_len, 0);
	assert_int_equal(host_warnings(), 1);
	assert_non_null(strstr(host_last_warning(), "domain 1"));
	for (unsigned i = 0; i < 10; i++)
		guest_kick(1, CONSOLE_PORT);
	assert_int_equal(host_warnings(), 1);
	assert_int_equal(consback_input(back, "x", 1), 0);
}

static void test_lying_guest_input(void **state)
{
	struct consback_stats stats;
	static char typed[1500];

	assert_int_equal(consback_input(back, typed, sizeof(typed)), sizeof(typed));
	guest_console_page(1)->in_cons = 5000;
	consback_input(back, "x", 1);
	assert_int_equal(host_warnings(), 1);
	consback_count(back, &stats);
	assert_true(stats.broken);
}

/* The guest writes over our own indices: they are kept privately, so nothing is read twice. */
static void test_our_indices_are_ours(void **state)
{
	struct xencons_interface *ring = guest_console_page(1);

	say("a\n");
	ring->out_cons = 0x1234;
	ring->in_prod = 0x4321;
	memcpy(ring->out + 2, "b\n", 2);
	ring->out_prod = 4;
	guest_kick(1, CONSOLE_PORT);
	host_run();
	assert_string_equal(lines, "a|b|");
	assert_int_equal(consback_input(back, "k", 1), 1);
	assert_int_equal(ring->in_prod, 1);
}

static void test_lying_backend(void **state)
{
	struct xencons_interface *ring = guest_console_page(1);
	char byte;

	ring->in_prod = 1025;
	assert_int_equal(consfront_read(&front, &byte, 1), 0);
	assert_true(front.broken);
	assert_int_equal(consfront_write(&front, "abc", 3), 3); /* swallowed */
	assert_true(consfront_drained(&front));
	consfront_init(&front, ring, front_notify, NULL);
	ring->out_cons = ring->out_prod + 1;
	assert_int_equal(consfront_write_text(&front, "a\nb", 3, front_relax, 3), 3);
	assert_true(front.broken);
}

static unsigned fetched[2048];

static void count_fetches(const volatile void *from, size_t len)
{
	size_t at = (size_t)((const volatile char *)from - guest_console_page(1)->out);

	for (size_t i = 0; i < len && at + i < ARRAY_SIZE(fetched); i++)
		fetched[at + i]++;
}

static void test_output_is_fetched_once(void **state)
{
	memset(fetched, 0, sizeof(fetched));
	test_on_fetch = count_fetches;
	say("some words\n");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(fetched[i], i < 11);
}

static void test_attach_fails_whole(void **state)
{
	struct consback *other;

	assert_int_equal(consback_attach(2, 99, &sink, &other), -XEN_EINVAL);
	assert_int_equal(consback_attach(77, CONSOLE_PORT, &sink, &other), -XEN_EINVAL);
	host_fail_alloc(1, false);
	assert_int_equal(consback_attach(2, CONSOLE_PORT, &sink, &other), -XEN_ENOMEM);
	assert_int_equal(consback_attach(2, CONSOLE_PORT, &sink, &other), 0);
	consback_set_sink(other, &(struct consback_sink){0}); /* nobody wants it */
	consfront_init(&front, guest_console_page(2), front_relax, NULL);
	consfront_write(&front, "x\ny\n", 4);
	guest_kick(2, CONSOLE_PORT);
	consback_detach(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_lines),
	    T(test_long_line_comes_in_pieces),
	    T(test_first_and_last_words),
	    T(test_text_around_the_ring),
	    T(test_full_ring),
	    T(test_input),
	    T(test_flood_is_slowed),
	    T(test_lying_guest),
	    T(test_lying_guest_input),
	    T(test_our_indices_are_ours),
	    T(test_lying_backend),
	    T(test_output_is_fetched_once),
	    T(test_attach_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
