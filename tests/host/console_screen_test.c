/* console_screen_test.c: text becomes cells, and cells become the right pixels.
 *
 * Shows: lines wrap and scroll, CR, BS and letters that are none do as a console's should; only cells that change
 * are drawn; in pixels of two, three and four bytes each letter is its own dots in the colours' bits, and not a
 * byte beside them is written; a screen above what is mapped waits for memory. Why: who looks at a screen has
 * no other console to say that this one is wrong.
 *
 * links: kernel/console_screen.c kernel/console_fb.c kernel/console_font.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/boot.h"
#include "kernel/console_screen.h"
#include "kernel/console_sinks.h"
#include "kernel/mm.h"

#define WIDTH  (10u * 8)
#define HEIGHT (4u * 16)
#define AT     0x2000u
#define SLACK  64u

struct boot_info boot;
uint64_t mm_test_kernel_base, mm_test_direct_base;
static uint8_t machine[AT + WIDTH * HEIGHT * 4 + 4 * HEIGHT + SLACK];
static size_t total_pages;

size_t pages_total_count(void)
{
	return total_pages;
}

void *map_io(maddr_t start, size_t len_bytes, unsigned prot)
{
	assert_int_equal(prot, MM_WRITE | MM_COMBINE);
	return machine + AT;
}

static bool no_text(unsigned *cols, unsigned *rows)
{
	return false;
}
const struct screen_display screen_text = {.start = no_text};

static void set_screen(unsigned bytes, uint64_t phys)
{
	memset(machine, 0x77, sizeof(machine));
	mm_test_direct_base = (uint64_t)(uintptr_t)machine;
	boot.screen = (struct boot_screen){
	    .kind = BOOT_SCREEN_PIXELS,
	    .phys = phys,
	    .pitch_bytes = WIDTH * bytes + 4,
	    .width = WIDTH,
	    .height = HEIGHT,
	    .pixel_bytes = (uint8_t)bytes,
	    .red = {bytes == 2 ? 11 : 16, bytes == 2 ? 5 : 8},
	    .green = {bytes == 2 ? 5 : 8, bytes == 2 ? 6 : 8},
	    .blue = {0, bytes == 2 ? 5 : 8},
	};
}

static uint32_t pixel(unsigned x, unsigned y)
{
	uint32_t value = 0;

	memcpy(&value, machine + AT + y * boot.screen.pitch_bytes + x * boot.screen.pixel_bytes,
	       boot.screen.pixel_bytes);
	return value;
}

/* Dot by dot, from the font by its own definition. */
static bool shows(unsigned column, unsigned row, char c, uint32_t ink)
{
	for (unsigned y = 0; y < 16; y++)
		for (unsigned x = 0; x < 8; x++) {
			bool dot = x >= 1 && x <= 5 && console_font[c - 32][y / 2] >> (5 - x) & 1;

			if (pixel(column * 8 + x, row * 16 + y) != (dot ? ink : 0))
				return false;
		}
	return true;
}

static void in_pixels(void **state)
{
	static const struct {
		unsigned bytes;
		uint32_t ink;
	} kinds[] = {{4, 0xd0d0d0}, {3, 0xd0d0d0}, {2, 26u << 11 | 52u << 5 | 26}};
	unsigned cols, rows;

	for (unsigned k = 0; k < 3; k++) {
		set_screen(kinds[k].bytes, AT);
		assert_true(screen_pixels.start(&cols, &rows));
		assert_int_equal(cols, 10);
		assert_int_equal(rows, 4);
		for (char c = 32; c < 127; c++) {
			screen_pixels.draw(9, 3, c);
			assert_true(shows(9, 3, c, kinds[k].ink));
		}
		/* Beside it, behind it, and in the gap at the end of a line. */
		assert_int_equal(machine[AT + WIDTH * kinds[k].bytes], 0x77);
		assert_int_equal(machine[AT - 1], 0x77);
		assert_int_equal(pixel(9 * 8 - 1, HEIGHT - 1) & 0xff, 0x77);
		assert_int_equal(machine[AT + HEIGHT * boot.screen.pitch_bytes], 0x77);
	}
}

static void above_what_is_mapped(void **state)
{
	unsigned cols, rows;

	set_screen(4, (4ull << 30) - 4096); /* its end is above */
	total_pages = 0;
	assert_false(screen_pixels.start(&cols, &rows));
	total_pages = 1;
	assert_true(screen_pixels.start(&cols, &rows));
	screen_pixels.settle();
	screen_pixels.draw(0, 0, 'A');
	assert_true(shows(0, 0, 'A', 0xd0d0d0));
	boot.screen.kind = BOOT_SCREEN_NONE;
	assert_false(screen_pixels.start(&cols, &rows));
}

static void say(const char *text)
{
	console_screen.sink.write(text, strlen(text));
}

/* The whole screen, as lines. */
static void expect(const char *line0, const char *line1, const char *line2, const char *line3)
{
	const char *want[4] = {line0, line1, line2, line3};

	for (unsigned row = 0; row < 4; row++)
		for (unsigned column = 0; column < 10; column++) {
			char c = column < strlen(want[row]) ? want[row][column] : ' ';

			if (!shows(column, row, c, 0xd0d0d0))
				fail_msg("no '%c' in cell %u of line %u", c, column, row);
		}
}

static void as_text(void **state)
{
	set_screen(4, AT);
	assert_true(console_screen.start());
	expect("", "", "", "");
	say("one\r\ntwo");
	expect("one", "two", "", "");
	say("\b\bo\r\n\xc3\x01~");
	expect("one", "too", "??~", "");
	say("\n0123456789");
	expect("one", "too", "??~", "0123456789");
	say("x");
	expect("too", "??~", "0123456789", "x");
	say("\b\b\b\by\rz");
	expect("too", "??~", "0123456789", "z");
	machine[AT] = 1; /* what does not change is not drawn again */
	say(" ");
	assert_int_equal(machine[AT], 1);
}

static void letters_differ(void **state)
{
	for (unsigned a = 0; a < CONSOLE_FONT_COUNT; a++)
		for (unsigned b = 0; b < a; b++)
			assert_memory_not_equal(console_font[a], console_font[b],
						CONSOLE_FONT_ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(above_what_is_mapped), /* first */
	    cmocka_unit_test(in_pixels),
	    cmocka_unit_test(as_text),
	    cmocka_unit_test(letters_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
