/* boot.c: what every start has in common, and the small duties that come with it.
 *
 * Holds struct boot_info and runs the last steps before kmain: the ramdisk's address, the patching. Called
 * by boot_native.c and boot_xen.c; does not know how the kernel was loaded.
 */
#include <amphi/pvops.h>

#include "boot_start.h"
#include "mm.h"
#include "mm_parts.h"
#include "panic.h"
#include "pv_site.h"

struct boot_info boot;

/* Text is mapped read-only where it runs. The patcher writes to the same page through the direct
 * map, which is writable on every platform: of the direct map only page tables are read-only in
 * a PV domain. */
static void *text_alias(const void *text)
{
	return (char *)pfn_to_virt(virt_to_pfn(text)) + ((uintptr_t)text & (PAGE_SIZE - 1));
}

static void *alloc_page(void)
{
	return pages_alloc(1);
}

/* Rooms meet only through include/amphi: pvops/ is handed what it must know of memory instead of
 * including mm.h, and its host tests hand it something else. */
const struct pvops_env boot_pvops_env = {
    .virt_to_maddr = virt_to_maddr,
    .pfn_to_mfn = pfn_to_mfn,
    .mfn_to_pfn = mfn_to_pfn,
    .text_alias = text_alias,
    .direct_entry = mm_direct_entry,
    .alloc_page = alloc_page,
};

/* The command line is read for this one word; kmain() reads it again, with a console to complain on. */
void boot_choose_platform(struct platform_found *found)
{
	static struct cmdline early;

	cmdline_parse(boot.cmdline, &early, NULL);
	platform_look(pv_cpuid, found);
	boot.kvm_features = found->kvm_features;
	boot.kvm_hints = found->kvm_hints;
	boot.platform = platform_choose(found, early.pvops, &boot.refused);
}

/* The last step before kmain(), when memory is in its final form: the ramdisk may lie beyond
 * what the first mapping covered, and the patcher needs the direct map. Until then every site is
 * an indirect call, which works, only slowly. */
void boot_finish(void)
{
	struct pv_bad_site bad;
	char text[PV_SITE_TEXT];

	if (boot.ramdisk_len_bytes)
		boot.ramdisk = (char *)pfn_to_virt((pfn_t){boot.ramdisk_start >> PAGE_SHIFT}) +
			       (boot.ramdisk_start & (PAGE_SIZE - 1));
	if (pvops_patch(&bad)) {
		pv_site_text(text, &bad);
		panic("a pv site is not what it was compiled to: %s", text);
	}
	kmain();
}

/* For operations that return nothing. A refused page table entry or register leaves a state that
 * nobody above knows of, so there is nothing to go on from. */
void pvops_refused(const char *op, int64_t error)
{
	panic("the hypervisor refused %s (%d)", op, (int)error);
}
