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

#define PTE_PRESENT  0x1ull
#define PTE_WRITABLE 0x2ull
#define PTE_LARGE    0x80ull
#define PTE_NX       (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull
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
	return PTE_PRESENT | PTE_WRITABLE | PTE_NX;
}

/* Through the direct map, because the image's own mapping is what changes. */
static uint64_t *writable(void *p)
{
	return (uint64_t *)(HV_DIRECT_VIRT + image_phys(p));
}

void boot_protect_image(void)
{
	if (image_phys(image_end) > IMAGE_TABLES * LARGE_BYTES)
		hv_panic("the image does not fit its page tables");
	for (uint8_t *p = image_start; p < image_end; p += PAGE_SIZE) {
		uint64_t frame = image_phys(p) >> PAGE_SHIFT;

		image_l1[frame / 512][frame % 512] = image_phys(p) | page_flags(p);
	}
	for (unsigned i = 0; i < IMAGE_TABLES; i++)
		image_l2[i] = image_phys(image_l1[i]) | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned i = 0; i < 512; i++)
		boot_l2[i] |= PTE_NX;
	writable(boot_l3_image)[0] = image_phys(image_l2) | PTE_PRESENT | PTE_WRITABLE;
	writable(hv_root_table)[0] = 0;
	__asm__ volatile("movq %0, %%cr3" ::"r"(image_phys(hv_root_table)) : "memory");
}

static bool page_is_mapped(uint64_t va)
{
	const uint64_t *table = hv_root_table;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry = table[va >> shift & 511];

		if ((entry & PTE_PRESENT) == 0)
			return false;
		if (shift == 12 || entry & PTE_LARGE)
			return true;
		table = (const uint64_t *)(HV_DIRECT_VIRT + (entry & PTE_ADDRESS));
	}
}

bool boot_is_mapped(const void *va, size_t bytes)
{
	uint64_t from = (uint64_t)va & PAGE_MASK, last = (uint64_t)va + bytes - 1;

	for (uint64_t a = from; a <= last; a += PAGE_SIZE)
		if (!page_is_mapped(a))
			return false;
	return true;
}
