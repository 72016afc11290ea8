/* vtd_fault.c: what a VT-d unit refused (VT-d 7.2).
 *
 * Caller: iommu.c, by vtd.c's ops. The unit keeps a few records in a ring of registers; each is taken once and then freed for the next.
 */
#include <amphi/host_iommu.h>

#include "vtd.h"

#define RECORD_BYTES        16u
#define RECORD_VALID        (1ull << 63)
#define RECORD_READ         (1ull << 62)
#define FIRST_OF_INTERRUPTS 0x20u

/* Table 7-1, in the order of their numbers; those of interrupts begin at 0x20. */
static const char *reason(unsigned n)
{
	static const char *const pages[] = {
	    [0x01] = "its bus is in no space",
	    [0x02] = "it is in no space",
	    [0x03] = "a wrong entry of the function",
	    [0x04] = "an address beyond the space's",
	    [0x05] = "no right to write",
	    [0x06] = "no right to read",
	    [0x07] = "a table that cannot be read",
	    [0x08] = "a root that cannot be read",
	    [0x09] = "a bus's table that cannot be read",
	    [0x0a] = "reserved bits in the root",
	    [0x0b] = "reserved bits in a bus's table",
	    [0x0c] = "reserved bits in a page's entry",
	    [0x0d] = "a translated request that is not allowed",
	};
	static const char *const interrupts[] = {
	    "reserved bits in the interrupt",
	    "an index beyond the table",
	    "no such entry",
	    "a table that cannot be read",
	    "reserved bits in the entry",
	    "an interrupt of the old form",
	    "an entry of another function",
	};

	if (n < ARRAY_SIZE(pages) && pages[n])
		return pages[n];
	if (n >= FIRST_OF_INTERRUPTS && n - FIRST_OF_INTERRUPTS < ARRAY_SIZE(interrupts))
		return interrupts[n - FIRST_OF_INTERRUPTS];
	return "a reason of another number";
}

/* Offset of a record that is taken; 0: none is. The unit fills them in turn, and so are they taken, but for what was lost. */
static unsigned next_record(struct vtd *v)
{
	for (unsigned i = 0; i < v->n_faults; i++) {
		unsigned n = (v->fault_next + i) % v->n_faults,
			 at = v->fault_offset + n * RECORD_BYTES;

		if (!(host_iommu_read64(v->regs, at + 8) & RECORD_VALID))
			continue;
		v->fault_next = (n + 1) % v->n_faults;
		return at;
	}
	return 0;
}

bool vtd_fault(struct iommu *unit, struct iommu_fault *out_fault, bool *out_lost)
{
	struct vtd *v = container_of(unit, struct vtd, unit);
	unsigned at = next_record(v);
	uint64_t low, high;

	if (!at) {
		if (!(host_iommu_read32(v->regs, VTD_FSTS) & VTD_FAULTS_LOST))
			return false;
		*out_lost = true;
		host_iommu_write32(v->regs, VTD_FSTS, VTD_FAULTS_LOST);
		return false;
	}
	low = host_iommu_read64(v->regs, at);
	high = host_iommu_read64(v->regs, at + 8);
	*out_fault = (struct iommu_fault){
	    .bdf = (uint16_t)high,
	    .interrupt = (uint8_t)(high >> 32) >= FIRST_OF_INTERRUPTS,
	    .write = !(high & RECORD_READ),
	    .why = reason((uint8_t)(high >> 32)),
	};
	out_fault->address = out_fault->interrupt ? low >> 48 : low & PAGE_MASK;
	host_iommu_write64(v->regs, at + 8, RECORD_VALID);
	return true;
}

/* The mask is bit 31 of FECTL, the only one that can be written. */
void vtd_fault_interrupt(struct iommu *unit, uint64_t address, uint32_t data)
{
	struct vtd *v = container_of(unit, struct vtd, unit);

	host_iommu_write32(v->regs, VTD_FEDATA, data);
	host_iommu_write32(v->regs, VTD_FEADDR, (uint32_t)address);
	host_iommu_write32(v->regs, VTD_FEUADDR, (uint32_t)(address >> 32));
	host_iommu_write32(v->regs, VTD_FECTL, 0);
}
