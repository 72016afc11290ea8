/* user_image_fuzz.c: no bytes pass for a program that the loader could not bear.
 *
 * Why: the boot module is whatever somebody put there. What passes is checked again page by page: each lies
 * in the program's addresses, none is in two segments, none is writable and executable. The input is the
 * image. Called by libFuzzer; calls kernel/user_image.c.
 * links: kernel/user_image.c lib/elf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/user_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Copies as the loader does, into pages counted from 0. */
static uint64_t check_segment(const struct elf_image *image, const struct elf_segment *s,
			      uint8_t *used)
{
	uint64_t first = user_segment_first(s), end = user_segment_end(s);
	uint8_t copy[64];

	must(first >= USER_LOW / PAGE_SIZE && end <= USER_HEAP / PAGE_SIZE && first < end);
	must((s->flags & 3) != 3 && s->file_bytes <= s->memory_bytes);
	must(s->data >= image->bytes && s->data + s->file_bytes <= image->bytes + image->len);
	for (uint64_t i = 0; i < s->file_bytes; i += sizeof(copy))
		memcpy(copy, s->data + i, MIN(sizeof(copy), s->file_bytes - i));
	must(end - first <= USER_IMAGE_PAGES);
	for (uint64_t page = first; page < end; page++)
		must(!used[page]++);
	return end - first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t used[USER_HEAP / PAGE_SIZE];
	struct elf_image image;
	const char *why = NULL;
	uint64_t pages = 0;

	if (user_image_open(data, size, &image, &why) != 0) {
		must(why != NULL);
		return 0;
	}
	memset(used, 0, sizeof(used));
	for (unsigned i = 0; i < image.n_segments; i++)
		pages += check_segment(&image, &image.segments[i], used);
	must(pages <= USER_IMAGE_PAGES && image.entry >= USER_LOW && image.entry < USER_HEAP);
	return 0;
}
