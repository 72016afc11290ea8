/* console_vga.c: letters in the text mode that a PC's firmware starts in: 80 by 25 cells of two bytes.
 *
 * Caller: console_screen.c, when the loader told of no framebuffer. The cells are at 0xb8000, in the direct map;
 * they are the screen only while the graphics controller says so. Port and register numbers are those of IBM's
 * VGA, as every data sheet of a compatible controller has them. Natively only: a domain's first megabyte is
 * memory.
 */
#include "boot.h"
#include "console_screen.h"
#include "io.h"
#include "mm.h"

#define TEXT_PHYS     0xb8000u
#define TEXT_COLS     80u
#define TEXT_ROWS     25u
#define ATTRIBUTE     0x0700u /* light grey on black */
#define PORT_MISC     0x3ccu  /* read: all ones where nobody is */
#define PORT_GC_INDEX 0x3ceu
#define PORT_GC_DATA  0x3cfu
#define GC_MISC       6u
#define GC_MISC_MASK  0x0du /* graphics; and where the memory is: 3 << 2 is 0xb8000 */
#define GC_MISC_TEXT  0x0cu

static volatile uint16_t *text_cells(void)
{
	return (uint16_t *)((char *)pfn_to_virt((pfn_t){0}) + TEXT_PHYS);
}

static bool in_text_mode(void)
{
	if (io_in8(PORT_MISC) == 0xff)
		return false;
	io_out8(PORT_GC_INDEX, GC_MISC);
	return (io_in8(PORT_GC_DATA) & GC_MISC_MASK) == GC_MISC_TEXT;
}

/* What is written must be there: a controller may answer at its ports and have its memory switched off. */
static bool holds(uint16_t value)
{
	*text_cells() = value;
	return *text_cells() == value;
}

static bool vga_start(unsigned *out_cols, unsigned *out_rows)
{
	if (boot_on_xen() || !in_text_mode() || !holds(0x0741) || !holds(0x0720))
		return false;
	*out_cols = TEXT_COLS;
	*out_rows = TEXT_ROWS;
	return true;
}

static void vga_draw(unsigned x, unsigned y, char c)
{
	text_cells()[y * TEXT_COLS + x] = (uint16_t)(ATTRIBUTE | (uint8_t)c);
}

const struct screen_display screen_text = {vga_start, vga_draw, NULL};
