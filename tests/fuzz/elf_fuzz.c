/* elf_fuzz.c: no bytes make the ELF reader touch what is outside them, and what it takes holds what
 * elf.h promises. The input is the image.
 *
 * Why: kernels come from users and from guests' owners. Called by libFuzzer; calls lib/elf.c.
 * links: lib/elf.c lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include <amphi/elf.h>
#include <amphi/xen.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(const struct elf_image *image, const struct elf_segment *s)
{
	if (s->file_bytes > s->memory_bytes || s->data < image->bytes ||
	    s->data + s->file_bytes > image->bytes + image->len ||
	    s->paddr + s->memory_bytes > image->paddr_end || s->paddr < image->paddr_start)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image;
	struct elf_xen_notes notes;
	const char *why = NULL;

	if (elf_open(data, size, &image, &why) != 0) {
		if (!why)
			abort();
		return 0;
	}
	for (unsigned i = 0; i < image.n_segments; i++)
		check_segment(&image, &image.segments[i]);
	if (elf_read_xen_notes(&image, &notes, &why) == 0 &&
	    (notes.virt_start < notes.virt_base || notes.virt_end <= notes.virt_start ||
	     strnlen(notes.features, sizeof(notes.features)) == sizeof(notes.features)))
		abort();
	return 0;
}
