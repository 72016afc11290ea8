/* iommu_registers.c: the part of host_iommu.h that is the processor's: a unit's registers, and its caches.
 *
 * Called by iommu/, in the kernel and in the hypervisor, which implement the rest. Tests have registers of their own in its place.
 */
#include <amphi/host_iommu.h>

#define LINE_BYTES 64u

uint32_t host_iommu_read32(volatile void *regs, unsigned offset)
{
	return *(volatile uint32_t *)((volatile char *)regs + offset);
}

uint64_t host_iommu_read64(volatile void *regs, unsigned offset)
{
	return *(volatile uint64_t *)((volatile char *)regs + offset);
}

void host_iommu_write32(volatile void *regs, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)regs + offset) = value;
}

void host_iommu_write64(volatile void *regs, unsigned offset, uint64_t value)
{
	*(volatile uint64_t *)((volatile char *)regs + offset) = value;
}

void host_iommu_clean(const void *p, size_t len)
{
	const char *line = (const char *)((uintptr_t)p & ~(uintptr_t)(LINE_BYTES - 1));

	for (; line < (const char *)p + len; line += LINE_BYTES)
		__asm__ volatile("clflush %0" : "+m"(*(volatile char *)line));
	__asm__ volatile("mfence" ::: "memory");
}
