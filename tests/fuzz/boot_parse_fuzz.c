/* boot_parse_fuzz.c: no loader's structure makes the readers look where they were not let.
 *
 * Shows: with any bytes at any place, boot_parse_pvh and boot_parse_multiboot2 read only what the view
 * shows them, end, and leave a boot_info that holds together. Why: a boot that dies in its first thousand
 * instructions says nothing on any console. The first byte of the input picks the reader.
 *
 * links: kernel/boot_parse.c kernel/boot_pvh.c kernel/boot_multiboot2.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/boot_parse.h"

#define BASE 0x1000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	const uint8_t *bytes;
	size_t size;
};

static const void *view(void *ctx, uint64_t phys, uint64_t len)
{
	const struct memory *m = ctx;

	if (phys < BASE || phys - BASE > m->size || len > m->size - (phys - BASE))
		return NULL;
	return m->bytes + (phys - BASE);
}

/* Who draws multiplies these, and adds. */
static void check_screen(const struct boot_screen *s)
{
	uint64_t size = (uint64_t)s->pitch_bytes * s->height;

	if (s->kind == BOOT_SCREEN_NONE)
		return;
	if (s->pixel_bytes < 2 || s->pixel_bytes > 4 || !s->width || !s->height ||
	    s->pitch_bytes < s->width * s->pixel_bytes || s->phys + size < s->phys)
		abort();
	if (s->red.position + s->red.bits > 32 || s->green.position + s->green.bits > 32 ||
	    s->blue.position + s->blue.bits > 32)
		abort();
}

static void check(const struct boot_info *out)
{
	uint64_t first, end;

	check_screen(&out->screen);
	if (out->n_ranges > BOOT_RANGES || strnlen(out->cmdline, BOOT_CMDLINE) == BOOT_CMDLINE)
		abort();
	for (unsigned i = 0; i < out->n_ranges; i++)
		if (boot_range_pages(&out->ranges[i], &first, &end) &&
		    (first << PAGE_SHIFT < out->ranges[i].start || end < first))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info out;
	struct memory m;
	uint8_t *copy;

	if (size < 9)
		return 0;
	copy =
	    malloc(size - 1); /* its own block, aligned, so that ASan sees every step beside it */
	memcpy(copy, data + 1, size - 1);
	m = (struct memory){copy, size - 1};
	memset(&out, 0, sizeof(out));
	if (data[0] & 1)
		(void)boot_parse_pvh(view, &m, BASE, &out);
	else
		(void)boot_parse_multiboot2(view, &m, BASE, &out);
	check(&out);
	free(copy);
	return 0;
}
