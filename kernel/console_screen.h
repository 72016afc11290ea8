/* console_screen.h: the parts of the console on a screen. Private to kernel/console*.c.
 *
 * console_screen.c keeps the cells and the cursor and is the sink that console.c writes to; a *display* draws one
 * cell: console_fb.c in pixels, console_vga.c in the text mode of old. Displays are called with interrupts off, before there
 * is memory to allocate, in panics too.
 */
#ifndef KERNEL_CONSOLE_SCREEN_H
#define KERNEL_CONSOLE_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_FONT_FIRST  32
#define CONSOLE_FONT_COUNT  95
#define CONSOLE_FONT_ROWS   8 /* each drawn twice */
#define CONSOLE_CELL_WIDTH  8u
#define CONSOLE_CELL_HEIGHT (2u * CONSOLE_FONT_ROWS)

/* Most that is used of a larger screen. */
#define SCREEN_COLS 128u
#define SCREEN_ROWS 48u

extern const uint8_t console_font[CONSOLE_FONT_COUNT][CONSOLE_FONT_ROWS];

struct screen_display {
	/* False: there is no such screen. Else its size in cells. */
	bool (*start)(unsigned *out_cols, unsigned *out_rows);
	/* Shows c, which is printable ASCII, in that cell. */
	void (*draw)(unsigned x, unsigned y, char c);
	/* Memory and page tables are final; NULL: nothing to be done. */
	void (*settle)(void);
};
extern const struct screen_display screen_pixels; /* what the loader told of; boot.screen */
extern const struct screen_display screen_text;   /* VGA's 80 by 25 at 0xb8000 */

#endif
