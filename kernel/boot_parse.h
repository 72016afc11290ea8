/* boot_parse.h: readers of what loaders leave in memory. Private to kernel/boot*.c and the fuzzers.
 *
 * Pure: they see memory only through boot_view_fn, check every length before they follow it, and write
 * only *out. A loader is trusted with the machine, but not to have made no mistakes.
 */
#ifndef KERNEL_BOOT_PARSE_H
#define KERNEL_BOOT_PARSE_H

#include "boot.h"

/* len bytes of memory at a physical address, or NULL when they cannot be seen. */
typedef const void *boot_view_fn(void *ctx, uint64_t phys, uint64_t len);

/* 0; -XEN_EINVAL: not such a structure; -XEN_EFAULT: it points where nothing can be seen; out->wrong says what.
 * What was read until then stays in *out. */
int boot_parse_pvh(boot_view_fn *view, void *ctx, uint64_t info, struct boot_info *out);
int boot_parse_multiboot2(boot_view_fn *view, void *ctx, uint64_t info, struct boot_info *out);

/* Whether what a native loader said fits together: there is memory, the ramdisk lies in it and not in
 * the image, whose pages are [image_first, image_end). 0, or -XEN_EINVAL and out->wrong. */
int boot_check(struct boot_info *out, uint64_t image_first, uint64_t image_end);

/* The same for a PV domain's builder, before anything is believed: sizes, and that the run of page tables, the
 * p2m list and the ramdisk are in the domain and not in the image. NULL, or what is wrong. */
const char *boot_check_xen(const struct start_info *info, uint64_t image_end);

/* Adds a range; empty ones, ones that wrap, and those beyond BOOT_RANGES are left out and counted. */
void boot_add_range(struct boot_info *out, uint64_t start, uint64_t size_bytes, uint32_t type);

/* Copies a text that ends with NUL or after max bytes, whichever is first. */
void boot_set_cmdline(struct boot_info *out, const char *text, size_t max);

/* The range of pages [*out_first, *out_end) that lie wholly in range; false: none. */
bool boot_range_pages(const struct boot_range *range, uint64_t *out_first, uint64_t *out_end);

#endif
