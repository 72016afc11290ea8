/* boot_parse_fuzz.c: no loader's structure makes the readers look where they were not let.
 *
 * Shows: with any bytes at any place, boot_parse_pvh and boot_parse_multiboot2 read only what the view
 * shows them, end, and leave a boot_info that holds together; a PV domain's start_info that boot_check_xen lets
 * pass names only memory of the domain. Why: a boot that dies in its first thousand instructions says nothing on
 * any console. The first byte of the input picks the reader.
 *
 * links: kernel/boot_parse.c kernel/boot_pvh.c kernel/boot_multiboot2.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/boot_parse.h"

#define BASE 0x1000ull

uint64_t mm_test_kernel_base = 0x700000000000, mm_test_direct_base;

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

/* What mm_xen.c computes from it must stay within the domain. */
static void check_start_info(const uint8_t *data, size_t size)
{
	const uint64_t base = mm_test_kernel_base, image_end = 0x200;
	struct start_info si = {.magic = "xen-3.0-x86_64"};
	uint64_t end;

	memcpy(&si.nr_pages, data, MIN(size, sizeof(si) - sizeof(si.magic)));
	if (boot_check_xen(&si, image_end))
		return;
	end = base + (si.nr_pages << PAGE_SHIFT);
	if (si.pt_base < base || si.pt_base + (si.nr_pt_frames << PAGE_SHIFT) > end ||
	    si.mfn_list < base || si.mfn_list + si.nr_pages * 8 > end || end < base)
		abort();
	if (si.mod_len && !(si.flags & SIF_MOD_START_PFN) &&
	    (si.mod_start < base + image_end * PAGE_SIZE || si.mod_start + si.mod_len > end))
		abort();
	if (si.mod_len && si.flags & SIF_MOD_START_PFN &&
	    (si.mod_start << PAGE_SHIFT) + si.mod_len > si.nr_pages << PAGE_SHIFT)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info out;
	struct memory m;
	uint8_t *copy;

	if (size < 9)
		return 0;
	if (data[0] & 2) {
		check_start_info(data + 1, size - 1);
		return 0;
	}
	copy =
	    malloc(size - 1); /* its own block, aligned, so that ASan sees every step beside it */
	memcpy(copy, data + 1, size - 1);
	m = (struct memory){copy, size - 1};
	memset(&out, 0, sizeof(out));
	if (data[0] & 1)
		(void)boot_parse_pvh(view, &m, BASE, &out);
	else
		(void)boot_parse_multiboot2(view, &m, BASE, &out);
	(void)boot_check(&out, 0x100, 0x200);
	check(&out);
	free(copy);
	return 0;
}
