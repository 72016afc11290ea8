/* boot_parse.c: what the readers of all loaders' structures share.
 *
 * Pure helpers over struct boot_info, linked into the kernel, the host tests and the fuzzers. Called by
 * boot_pvh.c, boot_multiboot2.c, boot_xen.c and mm_native.c; calls nobody.
 */
#include <amphi/string.h>

#include "boot_parse.h"
#include "mm.h"

void boot_add_range(struct boot_info *out, uint64_t start, uint64_t size_bytes, uint32_t type)
{
	if (!size_bytes || start + size_bytes < start || out->n_ranges == BOOT_RANGES) {
		out->n_dropped++;
		return;
	}
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

/* One range of memory that holds all of it: a loader takes a module's place from one. */
static bool in_memory(const struct boot_info *info, uint64_t start, uint64_t size_bytes)
{
	for (unsigned i = 0; i < info->n_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];

		if (r->type == 1 && start >= r->start && start - r->start <= r->size_bytes &&
		    size_bytes <= r->size_bytes - (start - r->start))
			return true;
	}
	return false;
}

static bool has_memory(const struct boot_info *info)
{
	for (unsigned i = 0; i < info->n_ranges; i++)
		if (info->ranges[i].type == 1)
			return true;
	return false;
}

int boot_check(struct boot_info *out, uint64_t image_first, uint64_t image_end)
{
	uint64_t start = out->ramdisk_start, len = out->ramdisk_len_bytes;

	if (!has_memory(out))
		out->wrong = "it told of no memory";
	else if (len && !in_memory(out, start, len))
		out->wrong = "the boot module is not in what it says is memory";
	else if (len && start >> PAGE_SHIFT < image_end && PAGES_FOR(start + len) > image_first)
		out->wrong = "the boot module lies over the kernel";
	return out->wrong ? -XEN_EINVAL : 0;
}

/* ---- a PV domain's start_info -------------------------------------------------------------- */

#define PV_PAGES_MAX  (1ull << 28) /* 1 TiB: a number beyond it is no domain's size */
#define PV_TABLES_MIN 4u           /* one of each level */

/* Whether those bytes lie at KERNEL_BASE, in the domain's memory and behind the image. */
static bool pv_inside(const struct start_info *si, uint64_t va, uint64_t size_bytes,
		      uint64_t image_end)
{
	uint64_t offset = va - KERNEL_BASE, limit = si->nr_pages << PAGE_SHIFT;

	return va >= KERNEL_BASE && offset >= image_end << PAGE_SHIFT && offset <= limit &&
	       size_bytes <= limit - offset;
}

static bool pv_module(const struct start_info *si, uint64_t image_end)
{
	uint64_t pages = si->mod_len / PAGE_SIZE + !!(si->mod_len % PAGE_SIZE);

	if (!(si->flags & SIF_MOD_START_PFN))
		return pv_inside(si, si->mod_start, si->mod_len, image_end);
	return si->mod_start >= image_end && pages <= si->nr_pages &&
	       si->mod_start <= si->nr_pages - pages;
}

static bool pv_tables(const struct start_info *si, uint64_t image_end)
{
	return si->nr_pt_frames >= PV_TABLES_MIN && si->nr_pt_frames < si->nr_pages &&
	       si->pt_base % PAGE_SIZE == 0 &&
	       pv_inside(si, si->pt_base, si->nr_pt_frames << PAGE_SHIFT, image_end);
}

/* A builder may put the list elsewhere in the address space, if we ask for it: we do not. */
static bool pv_list(const struct start_info *si, uint64_t image_end)
{
	return si->mfn_list % 8 == 0 && pv_inside(si, si->mfn_list, si->nr_pages * 8, image_end);
}

const char *boot_check_xen(const struct start_info *si, uint64_t image_end)
{
	if (strncmp(si->magic, "xen-", 4))
		return "its magic is not Xen's";
	if (si->nr_pages <= image_end || si->nr_pages > PV_PAGES_MAX)
		return "the number of pages (nr_pages) cannot be";
	if (!pv_tables(si, image_end))
		return "the page tables (pt_base) are not in the domain's memory";
	if (!pv_list(si, image_end))
		return "the list of frames (mfn_list) is not in the domain's memory";
	if (!si->shared_info || si->shared_info % PAGE_SIZE)
		return "the shared page (shared_info) is not a page";
	if (si->mod_len && !pv_module(si, image_end))
		return "the ramdisk (mod_start, mod_len) is not in the domain's memory";
	return NULL;
}
