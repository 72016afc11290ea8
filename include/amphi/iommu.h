/* iommu.h: units that stand between devices and memory, whoever made them.
 *
 * Both sides: the hypervisor, or the kernel on a bare machine, calls; iommu/ drives VT-d, AMD-Vi and Calgary beneath the
 * one `struct iommu_ops`. A *space* is what a device sees as memory: DMA addresses that lead to machine pages, or nowhere.
 * A function that is in no space reaches nothing, and what it tries is a fault.
 *
 * Context: the caller lets in one call at a time, for all units. Nothing waits but for a unit's own answer, at most
 * IOMMU_ANSWER_US. Errors: 0 or a negative XEN_Exxx; -XEN_EIO always means that the unit did not answer, and then what it
 * still remembers of its tables is unknown: no page that was unmapped may be given to anybody else.
 * Not promised: that a change is seen before the flush that follows it.
 */
#ifndef AMPHI_IOMMU_H
#define AMPHI_IOMMU_H

#include <amphi/types.h>

#define IOMMU_ANSWER_US 1000000u

/* What a device may do. */
#define IOMMU_READ  1u
#define IOMMU_WRITE 2u

struct iommu;
struct iommu_space;

/* What a unit can. Set when it is found, never changed. */
struct iommu_traits {
	uint8_t address_bits; /* DMA addresses are below 1 << this */
	bool large_2m, large_1g;
	bool interrupts; /* it can check and translate them too */
	uint16_t spaces; /* at most so many at a time */
};

struct iommu_fault {
	uint16_t bdf;
	uint64_t address; /* as the device sent it; of an interrupt its index */
	bool write, interrupt;
	const char *why; /* static: the reason as the manual words it, shortened */
};

/* One unit of a machine: which functions are behind it. */
#define IOMMU_SCOPES 16u
struct iommu_scope {
	uint16_t first_bdf, last_bdf;
};

/* What firmware keeps for a device, and the device may use before anybody asks (RMRR; unity map of IVRS). Every space that
 * the functions join has to have it at the same addresses. */
struct iommu_reserved {
	uint16_t first_bdf, last_bdf;
	uint64_t start, end; /* whole pages; end is not in it */
	unsigned rights;
};

/* Finds the units of a table of firmware and turns them on: from the return on, no function reaches memory unless it is
 * attached or passed. table: len bytes of a DMAR or an IVRS, untrusted; read only during the call. Returns the number of units, -XEN_EINVAL:
 * not such a table, -XEN_ENODEV: none that can be driven, -XEN_EIO, -XEN_ENOMEM; on an error all is as before. */
int iommu_start(const void *table, size_t len);
/* The n-th unit; NULL beyond the last. */
struct iommu *iommu_get(unsigned n);
/* The unit that a function is behind. NULL: none. */
struct iommu *iommu_of(uint16_t bdf);
const struct iommu_traits *iommu_traits(const struct iommu *unit);
const char *iommu_name(const struct iommu *unit);
/* The n-th thing that is reserved, in all units; NULL beyond the last. */
const struct iommu_reserved *iommu_reserved(unsigned n);

/* An empty space of this unit, whose tables take at most max_tables pages (its root is one). -XEN_ENOMEM, or
 * -XEN_ENOSPC: the unit has no more. Freed with all that is mapped; -XEN_EBUSY while a function is in it. */
int iommu_space_new(struct iommu *unit, unsigned max_tables, struct iommu_space **out_space);
int iommu_space_free(struct iommu_space *space);
unsigned iommu_space_tables(const struct iommu_space *space);

/* A function joins a space; from the return on it sees that and nothing else. -XEN_EXDEV: it is behind another unit;
 * -XEN_EBUSY: it is in a space already, or passed. */
int iommu_attach(struct iommu_space *space, uint16_t bdf);
/* It leaves: from the return on it reaches nothing, and nothing of it is on its way. */
int iommu_detach(struct iommu_space *space, uint16_t bdf);
/* It reaches all memory at machine addresses (it is its owner's to trust), or nothing again. -XEN_EBUSY: it is in a space;
 * -XEN_ENXIO: no unit has it. */
int iommu_pass(uint16_t bdf, bool open);

/* DMA addresses [dma, dma+len) lead to [to, to+len), with rights. All three are multiples of 4 KiB, len > 0. All or nothing.
 * -XEN_EEXIST: something is mapped there already; -XEN_ENOMEM: no memory, or max_tables; -XEN_EINVAL. Where the sizes fit,
 * the unit's large pages are used. No flush is needed after it. */
int iommu_map(struct iommu_space *space, uint64_t dma, maddr_t to, uint64_t len, unsigned rights);
/* Undoes maps, whole ones: -XEN_ENOENT, with nothing changed, when a page of it is not mapped; -XEN_EINVAL when it would cut a large one.
 * Devices may reach the pages until the flush. */
int iommu_unmap(struct iommu_space *space, uint64_t dma, uint64_t len);
/* Where dma leads: -XEN_ENOENT: nowhere. */
int iommu_lookup(const struct iommu_space *space, uint64_t dma, maddr_t *out_to,
		 unsigned *out_rights);

/* After the return devices see the tables as they are: of one page, of a range, of the whole space. -XEN_EIO. */
int iommu_flush_entry(struct iommu_space *space, uint64_t dma);
int iommu_flush_range(struct iommu_space *space, uint64_t dma, uint64_t len);
int iommu_flush_all(struct iommu_space *space);
/* Takes empty tables out of the space, flushes, and gives their memory back. Returns how many they were, or -XEN_EIO. */
int iommu_space_prune(struct iommu_space *space);

/* The next fault of any unit that nobody was told yet; false: there is none. May be called from an interrupt's handler's
 * worker, as often as wished. When a unit lost some since, *out_lost is set. */
bool iommu_fault(struct iommu_fault *out_fault, bool *out_lost);
/* From now on each unit sends this message-signalled interrupt when it has a fault to tell. */
void iommu_fault_interrupt(uint64_t address, uint32_t data);

#endif
