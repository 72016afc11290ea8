/* msi.c: message-signalled interrupts: tells a device to write a vector to this CPU's APIC.
 *
 * Caller: pirq.c. The hypervisor writes address and data itself, so that a domain with a device
 * chooses no vector. MSI lives in the function's configuration space; MSI-X in a table in device memory, whose place the
 * domain names and we check. What a domain writes there itself means nothing where an IOMMU looks at messages: it takes the one that is
 * mapped for the function, and no other.
 */
#include <amphi/iommu.h>
#include <amphi/pci_cap.h>
#include <amphi/types.h>

#include "apic.h"
#include "domain.h"
#include "pci_config.h"
#include "pirq.h"

#define MSI_ENABLE       (1u << 16)
#define MSI_WIDE         (1u << 23)
#define MSI_MASKS        (1u << 24)
#define MSI_CAPABLE(c)   (1u << ((c) >> 17 & 7)) /* messages that it can have */
#define MSI_ENABLED(n)   ((uint32_t)__builtin_ctz(n) << 20)
#define MSIX_ENTRY_BYTES 16u
#define MSIX_ENTRIES_MAX 2048u
#define MSIX_PAGES       64u

/* Pages of MSI-X tables that were ever mapped; maps are for good, so they are kept. */
static struct {
	uint64_t address;
	volatile uint32_t *va;
} msix_pages[MSIX_PAGES];

uint64_t msix_table_offset(uint16_t bdf)
{
	unsigned cap = pci_config_cap(bdf, PCI_CAP_MSIX);

	return cap ? pci_config_read(bdf, cap + 4, 4) & ~7u : 0;
}

/* 0 also when nobody looks at messages. Goes on after an error: as many as can be are nobody's. */
static int unmap(const struct msi_source *s, unsigned vector, unsigned count)
{
	int error, first_error = 0;

	while (count-- != 0) {
		error = s->segment
			    ? 0
			    : iommu_interrupt_unmap(io_sender(s->bdf), (uint8_t)(vector + count));
		if (error && error != -XEN_ENOENT && !first_error)
			first_error = error;
	}
	return first_error;
}

/* What the device is to send; with several messages it puts a message's number into the lowest bits of the data, which are 0 in
 * the first vector's. */
static int message_of(const struct msi_source *s, unsigned vector, struct iommu_message *out)
{
	int error = s->segment != 0 ? -XEN_ENXIO : 0;
	struct iommu_message next;
	unsigned i = 0;

	while (i < s->messages && !error) {
		error = iommu_interrupt_map(io_sender(s->bdf), (uint8_t)(vector + i), apic_id(),
					    i == 0 ? out : &next);
		i += !error;
	}
	if (error == -XEN_ENXIO) {
		*out = (struct iommu_message){.address = APIC_VIRT_MSI_ADDRESS | apic_id() << 12,
					      .data = vector};
		return 0;
	}
	if (error && unmap(s, vector, i))
		error = -XEN_EIO;
	return error;
}

static int arm_msi(const struct msi_source *s, const struct iommu_message *m)
{
	unsigned cap = pci_config_cap(s->bdf, PCI_CAP_MSI);
	uint32_t control;

	if (cap == 0)
		return -XEN_ENODEV;
	control = pci_config_read(s->bdf, cap, 4);
	if (s->messages > MSI_CAPABLE(control))
		return -XEN_ENOSPC;
	pci_config_write(s->bdf, cap + 4, (uint32_t)m->address);
	if (control & MSI_WIDE)
		pci_config_write(s->bdf, cap + 8, 0);
	pci_config_write(s->bdf, cap + (control & MSI_WIDE ? 12 : 8), m->data);
	/* Who had it before may have held some back. */
	if (control & MSI_MASKS)
		pci_config_write(s->bdf, cap + (control & MSI_WIDE ? 16 : 12), 0);
	/* So many messages, whatever the device could. */
	pci_config_write(s->bdf, cap,
			 (control & ~(7u << 20)) | MSI_ENABLED(s->messages) | MSI_ENABLE);
	return 0;
}

/* Our mapping of the page that holds a table's entry. */
static volatile uint32_t *msix_entry(const struct msi_source *s)
{
	uint64_t address = s->table + s->entry * MSIX_ENTRY_BYTES;
	uint64_t page = address & PAGE_MASK;

	for (unsigned i = 0; i < MSIX_PAGES; i++) {
		if (msix_pages[i].va == NULL) {
			msix_pages[i].va = hv_map_io((maddr_t){page}, PAGE_SIZE);
			msix_pages[i].address = page;
		}
		if (msix_pages[i].va == NULL)
			return NULL;
		if (msix_pages[i].address == page)
			return msix_pages[i].va + (address - page) / sizeof(uint32_t);
	}
	return NULL;
}

static int arm_msix(struct domain *d, const struct msi_source *s, const struct iommu_message *m)
{
	mfn_t mfn = {(s->table + s->entry * MSIX_ENTRY_BYTES) >> PAGE_SHIFT};
	volatile uint32_t *entry;

	/* The table must be device memory that the domain could write by itself. */
	if (s->entry >= MSIX_ENTRIES_MAX || (s->table & 7) != 0 || s->table >= 1ull << 51 ||
	    mfn_valid(mfn) || !io_mem_allowed(d, mfn))
		return -XEN_EPERM;
	entry = msix_entry(s);
	if (entry == NULL)
		return -XEN_ENOSPC;
	entry[3] = 1; /* masked while it is half written */
	entry[0] = (uint32_t)m->address;
	entry[1] = 0;
	entry[2] = m->data;
	entry[3] = 0;
	return 0;
}

int msi_arm(struct domain *d, const struct msi_source *s, unsigned vector)
{
	struct iommu_message m;
	int error = s->segment != 0 && !s->msix ? -XEN_ENODEV : message_of(s, vector, &m);

	if (error)
		return error;
	error = s->msix ? arm_msix(d, s, &m) : arm_msi(s, &m);
	if (error && unmap(s, vector, s->messages))
		error = -XEN_EIO;
	return error;
}

/* A unit that knows the vector of this sender gives the same message for it. */
void msi_rearm(struct domain *d, const struct msi_source *s, unsigned vector)
{
	struct iommu_message m;

	if (message_of(s, vector, &m))
		return;
	if (s->msix)
		(void)arm_msix(d, s, &m);
	else
		(void)arm_msi(s, &m);
}

static void silence(const struct msi_source *s)
{
	unsigned cap;

	if (s->msix) {
		msix_entry(s)[3] = 1;
		return;
	}
	cap = pci_config_cap(s->bdf, PCI_CAP_MSI);
	if (cap != 0)
		pci_config_write(s->bdf, cap, pci_config_read(s->bdf, cap, 4) & ~MSI_ENABLE);
}

int msi_disarm(const struct msi_source *s, unsigned vector)
{
	silence(s);
	return unmap(s, vector, s->messages);
}
