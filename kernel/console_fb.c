/* console_fb.c: letters drawn in pixels, into the framebuffer that the loader told of.
 *
 * Caller: console_screen.c. The letters are console_font.c's. At first the framebuffer is written through the
 * direct map, which a loader's tables reach below 4 GiB; once windows can be had it gets one of its own, write-
 * combining where the processor can, since each pixel written alone costs a turn on the bus. Not here: modes; the
 * one that the firmware has set stays.
 */
#include <amphi/xen.h>

#include "boot.h"
#include "console_screen.h"
#include "mm.h"

#define MAPPED_AT_START (4ull << 30) /* entry_native.S */
#define SHADE           0xd0u        /* of letters, of 255 in each colour */

static volatile uint8_t *pixels;
static uint32_t ink;

/* A colour's share of a pixel: its highest bits, where the framebuffer has them. */
static uint32_t shade_of(const struct boot_colour *c)
{
	return (c->bits < 8 ? SHADE >> (8 - c->bits) : SHADE << (c->bits - 8)) << c->position;
}

static uint64_t size_bytes(void)
{
	return (uint64_t)boot.screen.pitch_bytes * boot.screen.height;
}

static bool fb_start(unsigned *out_cols, unsigned *out_rows)
{
	const struct boot_screen *s = &boot.screen;

	if (s->kind != BOOT_SCREEN_PIXELS)
		return false;
	if (s->phys + size_bytes() <= MAPPED_AT_START)
		pixels = (uint8_t *)pfn_to_virt((pfn_t){0}) + s->phys;
	else if (pages_total_count())
		pixels = map_io((maddr_t){s->phys}, size_bytes(), MM_WRITE | MM_COMBINE);
	if (!pixels)
		return false;
	ink = shade_of(&s->red) | shade_of(&s->green) | shade_of(&s->blue);
	*out_cols = s->width / CONSOLE_CELL_WIDTH;
	*out_rows = s->height / CONSOLE_CELL_HEIGHT;
	return *out_cols && *out_rows;
}

/* By bytes, little-endian: three-byte pixels have no type, and nothing of a pixel that is not there may be
 * written at the end of the memory. */
static void pixel(volatile uint8_t *at, uint32_t value, unsigned bytes)
{
	if (bytes == 4) {
		*(volatile uint32_t *)at = value;
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void fb_draw(unsigned x, unsigned y, char c)
{
	const uint8_t *letter = console_font[c - CONSOLE_FONT_FIRST];
	unsigned bytes = boot.screen.pixel_bytes;
	volatile uint8_t *line = pixels +
				 (uint64_t)y * CONSOLE_CELL_HEIGHT * boot.screen.pitch_bytes +
				 (uint64_t)x * CONSOLE_CELL_WIDTH * bytes;

	for (unsigned row = 0; row < CONSOLE_CELL_HEIGHT; row++, line += boot.screen.pitch_bytes)
		for (unsigned i = 0; i < CONSOLE_CELL_WIDTH; i++)
			pixel(line + i * bytes, letter[row / 2] << i & 0x20 ? ink : 0, bytes);
}

/* The direct map's way to it is not used from here on, so its other caching does not matter. */
static void fb_settle(void)
{
	void *window = map_io((maddr_t){boot.screen.phys}, size_bytes(), MM_WRITE | MM_COMBINE);

	if (window)
		pixels = window;
}

const struct screen_display screen_pixels = {fb_start, fb_draw, fb_settle};
