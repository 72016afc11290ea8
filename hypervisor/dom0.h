/* dom0.h: the first domain while it is being built.
 *
 * Private to dom0.c (plan, contents, start) and dom0_tables.c (page tables). All places are frame
 * numbers of the domain's own (pfn); pfn 0 is mapped at virt_base. The p2m list is written straight
 * into the domain's frames, and read there.
 */
#ifndef HV_DOM0_H
#define HV_DOM0_H

#include <amphi/elf.h>
#include <amphi/types.h>

#include "mm.h"

struct domain;

struct dom0_plan {
	struct domain *d;
	uint64_t nr_pages;
	uint64_t *list; /* frames of the p2m list, in the hypervisor's memory while building */
	uint64_t n_list;
	unsigned list_order;
	struct elf_image image;
	struct elf_xen_notes notes;
	const uint8_t *ramdisk; /* NULL: none */
	uint64_t ramdisk_bytes;
	/* the layout, in the order of xen.h */
	uint64_t ramdisk_pfn, list_pfn, start_info_pfn, tables_pfn, stack_pfn, end_pfn;
	uint64_t n_tables;
	uint64_t tables_used;
};

/* The entry of the p2m list for pfn. */
static inline uint64_t *dom0_entry(const struct dom0_plan *plan, uint64_t pfn)
{
	uint64_t *page = mfn_to_virt((mfn_t){plan->list[pfn / 512]});

	return &page[pfn % 512];
}

/* How many tables map end_pfn pages from virt_base on. */
uint64_t dom0_tables_needed(uint64_t virt_base, uint64_t end_pfn);

/* Builds them in the frames from tables_pfn on; returns the top one's frame. */
mfn_t dom0_tables_build(struct dom0_plan *plan);

#endif
