/* user_image.c: reads a program's ELF image and says what is wrong with it.
 *
 * Called by user_load.c; pure, see user_image.h. Calls amphi/elf.h. A program's rights are per page, so
 * segments that share one are refused rather than guessed about; the linker's -z separate-code parts them.
 */
#include <amphi/xen.h>

#include "user_image.h"

/* vaddr first, so that the difference is no wrapped one. Heap and stack lie above USER_HEAP: no
 * image can cover them. */
static const char *check_segment(const struct elf_segment *s)
{
	if (s->vaddr < USER_LOW || s->vaddr >= USER_HEAP || s->memory_bytes > USER_HEAP - s->vaddr)
		return "a program that is not linked for this kernel's user addresses";
	if (s->flags & USER_SEGMENT_WRITE && s->flags & USER_SEGMENT_EXEC)
		return "a program with a segment that is writable and executable";
	return NULL;
}

/* Two runs of pages meet when each begins before the other's end. */
static bool share_a_page(const struct elf_segment *a, const struct elf_segment *b)
{
	return user_segment_first(a) < user_segment_end(b) &&
	       user_segment_first(b) < user_segment_end(a);
}

/* Against those before it only; each pair is seen once. The number of segments is bounded by
 * elf.h. */
static const char *check_overlap(const struct elf_image *image, unsigned at)
{
	for (unsigned i = 0; i < at; i++)
		if (share_a_page(&image->segments[i], &image->segments[at]))
			return "a program with two segments in one page";
	return NULL;
}

/* An entry elsewhere would fault at once; said here it has a reason with it. */
static bool is_code(const struct elf_image *image, uint64_t address)
{
	for (unsigned i = 0; i < image->n_segments; i++) {
		const struct elf_segment *s = &image->segments[i];

		if (s->flags & USER_SEGMENT_EXEC && address >= s->vaddr &&
		    address - s->vaddr < s->memory_bytes)
			return true;
	}
	return false;
}

/* A sum of at most a few segments below USER_HEAP each, so it cannot wrap. What is said is the
 * first thing wrong. */
static const char *check_image(const struct elf_image *image)
{
	const char *why = NULL;
	uint64_t n_pages = 0;

	for (unsigned i = 0; i < image->n_segments && !why; i++) {
		why = check_segment(&image->segments[i]);
		if (!why)
			why = check_overlap(image, i);
		n_pages +=
		    user_segment_end(&image->segments[i]) - user_segment_first(&image->segments[i]);
	}
	if (!why && n_pages > USER_IMAGE_PAGES)
		why = "a program that is too large";
	if (!why && !is_code(image, image->entry))
		why = "a program whose entry is not in its code";
	return why;
}

int user_image_open(const void *bytes, size_t len, struct elf_image *out, const char **out_why)
{
	int error = elf_open(bytes, len, out, out_why);

	if (error)
		return error;
	*out_why = check_image(out);
	return *out_why ? -XEN_ENOEXEC : 0;
}
