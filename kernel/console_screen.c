/* console_screen.c: the console on a screen: cells, a cursor, and scrolling.
 *
 * Caller: console.c, as a sink. Calls a display to draw cells. What is on the screen is kept here, for a screen's
 * memory is slow to read: scrolling draws those cells again that differ from what they showed. Not a terminal: of
 * control characters it knows LF, CR and BS.
 */
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "console_screen.h"
#include "console_sinks.h"

static const struct screen_display *display;
static char cells[SCREEN_ROWS][SCREEN_COLS];
static unsigned cols, rows, x, y;

static void show(unsigned column, unsigned row, char c)
{
	if (cells[row][column] == c)
		return;
	cells[row][column] = c;
	display->draw(column, row, c);
}

static void scroll(void)
{
	for (unsigned row = 0; row + 1 < rows; row++)
		for (unsigned column = 0; column < cols; column++)
			show(column, row, cells[row + 1][column]);
	for (unsigned column = 0; column < cols; column++)
		show(column, rows - 1, ' ');
}

static void new_line(void)
{
	x = 0;
	if (y + 1 < rows)
		y++;
	else
		scroll();
}

static void put(char c)
{
	if (x == cols)
		new_line();
	show(x++, y, c);
}

static void put_any(char c)
{
	if (c == '\n')
		new_line();
	else if (c == '\r')
		x = 0;
	else if (c == '\b')
		x -= x > 0;
	else
		put(c >= ' ' && c <= '~' ? c : '?');
}

static void screen_write(const char *text, size_t len)
{
	while (len--)
		put_any(*text++);
}

static bool try(const struct screen_display *d)
{
	if (!d->start(&cols, &rows))
		return false;
	cols = MIN(cols, SCREEN_COLS);
	rows = MIN(rows, SCREEN_ROWS);
	display = d;
	return true;
}

/* Everything is drawn once, over what the firmware left: 0 is a cell that shows nobody knows what. */
static bool screen_start(void)
{
	if (display)
		return true;
	if (!try(&screen_pixels) && !try(&screen_text))
		return false;
	memset(cells, 0, sizeof(cells));
	for (unsigned row = 0; row < rows; row++)
		for (unsigned column = 0; column < cols; column++)
			show(column, row, ' ');
	return true;
}

static size_t screen_read(uint8_t *out, size_t cap)
{
	return 0;
}

static int screen_listen(void)
{
	if (display->settle)
		display->settle();
	return 0;
}

const struct console_port console_screen = {
    .sink = {"screen", screen_write, screen_read, true},
    .start = screen_start,
    .listen = screen_listen,
};
