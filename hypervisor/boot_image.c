/* boot_image.c: the protection of the hypervisor's own image.
 *
 * Called once by boot.c after cpu_init has turned NX on. boot.S maps the first GiB with large pages
 * and no protection; here the image gets pages of 4 KiB: text read-execute, constants read-only,
 * the rest no-execute; what is not the image is gone from its slot, and the direct map never
 * executes.
 */
#include <amphi/types.h>

#include "boot.h"
#include "io.h"
#include "layout.h"
#include "pte.h"

#define LARGE_BYTES  0x200000ull
#define IMAGE_TABLES 2u /* image_end is below 4 MiB: asserted below */

extern uint64_t hv_root_table[512], boot_l3_image[512], boot_l3_direct[512], boot_l2[512];
extern uint8_t image_start[], image_text_end[], image_rodata_end[], image_end[];

static uint64_t image_l2[512] __attribute__((aligned(4096)));
static uint64_t image_l1[IMAGE_TABLES][512] __attribute__((aligned(4096)));

static uint64_t image_phys(const void *p)
{
	return (uint64_t)p - HV_IMAGE_VIRT;
}

static uint64_t page_flags(const uint8_t *page)
{
	if (page < image_text_end)
		return PTE_PRESENT;
	if (page < image_rodata_end)
		return PTE_PRESENT | PTE_NX;
	return PTE_PRESENT | PTE_RW | PTE_NX;
}

/* Through the direct map, because the image's own mapping is what changes. */
#define WRITABLE(p) ((uint64_t *)(HV_DIRECT_VIRT + image_phys(p)))

void boot_protect_image(void)
{
	if (image_phys(image_end) > IMAGE_TABLES * LARGE_BYTES)
		hv_panic("the image does not fit its page tables");
	for (uint8_t *p = image_start; p < image_end; p += PAGE_SIZE) {
		uint64_t frame = image_phys(p) >> PAGE_SHIFT;

		image_l1[frame / 512][frame % 512] = image_phys(p) | page_flags(p);
	}
	for (unsigned i = 0; i < IMAGE_TABLES; i++)
		image_l2[i] = image_phys(image_l1[i]) | PTE_PRESENT | PTE_RW;
	for (unsigned i = 0; i < 512; i++)
		boot_l2[i] |= PTE_NX;
	WRITABLE(boot_l3_image)[0] = image_phys(image_l2) | PTE_PRESENT | PTE_RW;
	WRITABLE(hv_root_table)[0] = 0;
	__asm__ volatile("movq %0, %%cr3" ::"r"(image_phys(hv_root_table)) : "memory");
}

bool boot_is_mapped(const void *va, size_t bytes)
{
	uint64_t a = (uint64_t)va & PAGE_MASK, last = (uint64_t)va + bytes - 1;

	for (; a <= last; a += PAGE_SIZE) {
		uint64_t table = (uint64_t)hv_root_table, entry = 0;

		for (unsigned level = 4; level > 0 && (entry & PTE_PSE) == 0; level--) {
			entry = ((const uint64_t *)table)[pt_index(a, level)];
			if ((entry & PTE_PRESENT) == 0)
				return false;
			table = HV_DIRECT_VIRT + (entry & PTE_FRAME_MASK);
		}
	}
	return true;
}
