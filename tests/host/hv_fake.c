/* hv_fake.c: the fake machine's memory: RAM, frame table, guests' arena, and the CPU's registers.
 *
 * Stands in for guest.c, frame_boot.c and mm_hw.c. Every fault a guest's address can cause is one
 * range check here, so a test sees -XEN_EFAULT where the real machine would take a page fault.
 * Called by the hypervisor's files under test; uses the C library.
 */
#include "hv_fake.h"

#include <stdlib.h>
#include <string.h>

#include "hypervisor/domctl_parts.h"
#include "hypervisor/irq.h"
#include "hypervisor/mm_private.h"

uint64_t hv_test_direct, hv_test_frames, hv_test_m2p;
uint8_t fake_arena[FAKE_GUEST_SIZE] __attribute__((aligned(4096)));
static uint32_t tlb_clock = 1, flushed;

static uint8_t *ram
    __attribute__((used)); /* for the leak checker: hv_test_direct points before it */
static mfn_t root;
static uint8_t gdt_page[PAGE_SIZE] __attribute__((aligned(4096)));

#define FRAMES_END (FAKE_FIRST_FRAME + FAKE_FRAMES)

void fake_memory_start(void)
{
	ram = aligned_alloc(PAGE_SIZE, FAKE_FRAMES * PAGE_SIZE);
	memset(ram, 0xa5, FAKE_FRAMES * PAGE_SIZE);
	hv_test_direct = (uint64_t)(uintptr_t)ram - FAKE_FIRST_FRAME * PAGE_SIZE;
	hv_test_frames = (uint64_t)(uintptr_t)calloc(FRAMES_END, sizeof(struct page_info));
	hv_test_m2p = (uint64_t)(uintptr_t)calloc(FRAMES_END, sizeof(uint64_t));
	frames_add_ram(FAKE_FIRST_FRAME, FRAMES_END);
	frames_add_free(FAKE_FIRST_FRAME, FRAMES_END);
}

mfn_t virt_to_mfn(const void *va)
{
	return (mfn_t){((uint64_t)(uintptr_t)va - hv_test_direct) >> PAGE_SHIFT};
}

maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uint64_t)(uintptr_t)va - hv_test_direct};
}

const struct mm_range *mm_machine_map(unsigned *out_count)
{
	static const struct mm_range map[] = {
	    {0, 0xa0000, MM_RANGE_RAM},
	    {FAKE_FIRST_FRAME * PAGE_SIZE, FRAMES_END * PAGE_SIZE, MM_RANGE_RAM},
	    {0xfec00000, 0xfec01000, MM_RANGE_RESERVED},
	};

	*out_count = ARRAY_SIZE(map);
	return map;
}

mfn_t mm_hv_root(void)
{
	return (mfn_t){FAKE_FIRST_FRAME};
}

/* ---- the CPU --------------------------------------------------------------------------- */

static void forget(void)
{
	flushed = tlb_clock;
	if (fake.on_flush)
		fake.on_flush();
}

void hw_set_root(mfn_t l4)
{
	root = l4;
	forget();
}

mfn_t fake_root(void)
{
	return root;
}

void hw_flush(void)
{
	forget();
	fake.tlb_flushes++;
}

uint32_t tlb_stamp(void)
{
	return tlb_clock++;
}

void tlb_flush_stale(uint32_t stamp)
{
	if (flushed <= stamp)
		hw_flush();
}

void tlb_flush_vcpus(const struct domain *d, uint64_t vcpus)
{
	fake.flushed_vcpus = vcpus;
	hw_flush();
}

void tlb_invlpg_vcpus(const struct domain *d, uint64_t vcpus, uint64_t va)
{
	fake.flushed_vcpus = vcpus;
}

void hw_flush_cache(void) {}

void hw_load_gdt(uint64_t base) {}

void hw_load_ldt(uint64_t base, uint32_t entries) {}

void *hw_gdt_page(void)
{
	return gdt_page;
}

unsigned hw_phys_bits(void)
{
	return 40;
}

/* ---- IOMMUs: none, unless the test links iommu_device.c and a unit -------------------------- */

#define WEAK __attribute__((weak))

WEAK int iommu_own_join(struct page_info *page)
{
	return 0;
}

WEAK int iommu_own_leave(struct page_info *page)
{
	return 0;
}

WEAK int iommu_lend(struct domain *d, mfn_t mfn, bool readonly)
{
	return 0;
}

WEAK int iommu_unlend(struct domain *d, mfn_t mfn, bool readonly)
{
	return 0;
}

WEAK int io_devices_teardown(struct domain *d)
{
	return 0;
}

WEAK int domctl_device_group(struct domain *d, struct xen_domctl *op)
{
	return -XEN_ENODEV;
}

WEAK int domctl_device(struct xen_domctl *op)
{
	return -XEN_ENODEV;
}

WEAK bool iommu_is_on(void)
{
	return false;
}

WEAK uint32_t irq_vectors_used(void)
{
	return 5;
}

WEAK uint32_t io_pirqs_mapped(const struct domain *d)
{
	return 3;
}

WEAK uint32_t iommu_interrupts_used(void)
{
	return 7;
}

WEAK uint32_t iommu_pages_used(void)
{
	return 11;
}

WEAK bool iommu_is_off(void)
{
	return false;
}

WEAK void io_devices_dump(void) {}

/* ---- guests' memory -------------------------------------------------------------------- */

bool guest_range_ok(uint64_t va, uint64_t bytes)
{
	uint64_t end = va + bytes;

	if (bytes == 0)
		return true;
	if (end < va)
		return false;
	return end <= 0x0000800000000000 || va >= HV_HOLE_END;
}

static bool reachable(uint64_t va, size_t n)
{
	return va >= FAKE_GUEST_BASE && n <= FAKE_GUEST_SIZE &&
	       va - FAKE_GUEST_BASE <= FAKE_GUEST_SIZE - n;
}

int guest_copy_from(void *dst, uint64_t src, size_t n)
{
	if (n == 0)
		return 0;
	if (!reachable(src, n))
		return -XEN_EFAULT;
	memcpy(dst, fake_guest_ptr(src), n);
	return 0;
}

int guest_copy_to(uint64_t dst, const void *src, size_t n)
{
	if (n == 0)
		return 0;
	if (!reachable(dst, n))
		return -XEN_EFAULT;
	memcpy(fake_guest_ptr(dst), src, n);
	return 0;
}

int guest_clear(uint64_t dst, size_t n)
{
	if (n == 0)
		return 0;
	if (!reachable(dst, n))
		return -XEN_EFAULT;
	memset(fake_guest_ptr(dst), 0, n);
	return 0;
}

uint64_t fake_guest_va(const void *p)
{
	return FAKE_GUEST_BASE + (uint64_t)((const uint8_t *)p - fake_arena);
}

void *fake_guest_ptr(uint64_t va)
{
	return fake_arena + (va - FAKE_GUEST_BASE);
}

uint64_t fake_put(size_t offset, const void *object, size_t size)
{
	memcpy(fake_arena + offset, object, size);
	return FAKE_GUEST_BASE + offset;
}

uint64_t fake_free_pages(void)
{
	struct mm_stats stats;

	mm_stats(&stats);
	return stats.free_pages;
}
