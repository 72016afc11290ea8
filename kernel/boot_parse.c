/* boot_parse.c: what the readers of all loaders' structures share.
 *
 * Pure helpers over struct boot_info, linked into the kernel, the host tests and the fuzzers. Called by
 * boot_pvh.c, boot_multiboot2.c, boot_xen.c and mm_native.c; calls nobody.
 */
#include <amphi/string.h>

#include "boot_parse.h"

void boot_add_range(struct boot_info *out, uint64_t start, uint64_t size_bytes, uint32_t type)
{
	if (!size_bytes || start + size_bytes < start || out->n_ranges == BOOT_RANGES)
		return;
	out->ranges[out->n_ranges++] = (struct boot_range){start, size_bytes, type};
}

void boot_set_cmdline(struct boot_info *out, const char *text, size_t max)
{
	size_t len = strnlen(text, MIN(max, (size_t)BOOT_CMDLINE - 1));

	memcpy(out->cmdline, text, len);
	out->cmdline[len] = '\0';
}

bool boot_range_pages(const struct boot_range *range, uint64_t *out_first, uint64_t *out_end)
{
	*out_first = (range->start >> PAGE_SHIFT) + !!(range->start & (PAGE_SIZE - 1));
	*out_end = (range->start + range->size_bytes) >> PAGE_SHIFT;
	return *out_first < *out_end;
}
