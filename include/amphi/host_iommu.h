/* host_iommu.h: what the drivers of IOMMUs ask of the program they are linked into.
 *
 * Callers: iommu/, but for its dma files. Implemented by kernel/host_iommu.c and hypervisor/host_iommu.c, what is the processor's by lib/iommu_registers.c, and by the tests. Called in the
 * context of the call to iommu.h. Memory given here is a unit's to read: it stays where it is until it is given back.
 */
#ifndef AMPHI_HOST_IOMMU_H
#define AMPHI_HOST_IOMMU_H

#include <amphi/types.h>

/* Zeroed pages, count of them side by side in machine memory. NULL: none. */
void *host_iommu_pages(unsigned count, maddr_t *out_where);
void host_iommu_pages_free(void *pages, unsigned count);
/* A page given above, by its machine address. */
void *host_iommu_view(maddr_t where);

/* Small memory, zeroed. */
void *host_iommu_alloc(size_t bytes);
void host_iommu_free(void *p, size_t bytes);

/* A unit's registers, uncached, never unmapped. NULL: they cannot be had. Read and written only by the calls below, which
 * tests stand in for. */
volatile void *host_iommu_registers(maddr_t where, size_t len);
uint32_t host_iommu_read32(volatile void *regs, unsigned offset);
uint64_t host_iommu_read64(volatile void *regs, unsigned offset);
void host_iommu_write32(volatile void *regs, unsigned offset, uint32_t value);
void host_iommu_write64(volatile void *regs, unsigned offset, uint64_t value);

/* Writes len bytes at p back to memory: for units that do not look into the processors' caches. */
void host_iommu_clean(const void *p, size_t len);
/* The buses behind a bridge, as its registers say. false: there is no bridge. Its address is taken, which in a program that finds its
 * symbols relative to itself wants it to be the program's own. */
bool host_iommu_bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
    __attribute__((visibility("hidden")));

/* 32 bits of a function's configuration space: of a unit that is one. */
uint32_t host_iommu_config(uint16_t bdf, unsigned offset);
/* Has such a unit send this message-signalled interrupt. */
void host_iommu_msi(uint16_t bdf, uint64_t address, uint32_t data);

/* Lets about a microsecond pass. */
void host_iommu_pause(void);
/* A line for the log: what was found, and what firmware or a unit did wrong. */
void host_iommu_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
