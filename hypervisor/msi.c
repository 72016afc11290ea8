/* msi.c: message-signalled interrupts: tells a device to write a vector to this CPU's APIC.
 *
 * Caller: pirq.c. The hypervisor writes address and data itself, so that a domain with a device
 * chooses no vector. MSI lives in the function's configuration space (reached by ports 0xcf8 and
 * 0xcfc, under a lock against nobody but ourselves: the first domain uses the same ports, but not
 * while we run); MSI-X in a table in device memory, whose place the domain names and we check.
 */
#include <amphi/pci_cap.h>
#include <amphi/types.h>

#include "apic.h"
#include "cpu.h"
#include "domain.h"
#include "pirq.h"

#define CONFIG_ADDRESS   0xcf8
#define CONFIG_DATA      0xcfc
#define MSI_ENABLE       (1u << 16)
#define MSI_WIDE         (1u << 23)
#define MSIX_ENTRY_BYTES 16u
#define MSIX_ENTRIES_MAX 2048u
#define MSIX_PAGES       64u

/* Pages of MSI-X tables that were ever mapped; maps are for good, so they are kept. */
static struct {
	uint64_t address;
	volatile uint32_t *va;
} msix_pages[MSIX_PAGES];

/* Four bytes at once. The address register is the guest's between its own two accesses, so it gets
 * it back. */
static uint32_t config_access(uint16_t bdf, unsigned offset, const uint32_t *write)
{
	uint32_t saved = port_in(CONFIG_ADDRESS, 4), value = 0;

	port_out(CONFIG_ADDRESS, 4, 1u << 31 | (uint32_t)bdf << 8 | (offset & 0xfc));
	if (write != NULL)
		port_out(CONFIG_DATA, 4, *write);
	else
		value = port_in(CONFIG_DATA, 4);
	port_out(CONFIG_ADDRESS, 4, saved);
	return value;
}

static uint32_t config_read(uint16_t bdf, unsigned offset, unsigned width)
{
	return config_access(bdf, offset, NULL);
}

static void config_write(uint16_t bdf, unsigned offset, uint32_t value)
{
	(void)config_access(bdf, offset, &value);
}

uint64_t msix_table_offset(uint16_t bdf)
{
	unsigned cap = pci_cap_find(config_read, bdf, PCI_CAP_MSIX, 0);

	return cap ? config_read(bdf, cap + 4, 4) & ~7u : 0;
}

static int arm_msi(const struct msi_source *s, unsigned vector)
{
	unsigned cap = pci_cap_find(config_read, s->bdf, PCI_CAP_MSI, 0);
	uint32_t control;

	if (cap == 0)
		return -XEN_ENODEV;
	control = config_read(s->bdf, cap, 4);
	config_write(s->bdf, cap + 4, APIC_VIRT_MSI_ADDRESS | apic_id() << 12);
	if (control & MSI_WIDE)
		config_write(s->bdf, cap + 8, 0);
	config_write(s->bdf, cap + (control & MSI_WIDE ? 12 : 8), vector);
	/* One message only, whatever the device could. */
	config_write(s->bdf, cap, (control & ~(7u << 20)) | MSI_ENABLE);
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

static int arm_msix(struct domain *d, const struct msi_source *s, unsigned vector)
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
	entry[0] = APIC_VIRT_MSI_ADDRESS | apic_id() << 12;
	entry[1] = 0;
	entry[2] = vector;
	entry[3] = 0;
	return 0;
}

int msi_arm(struct domain *d, const struct msi_source *s, unsigned vector)
{
	if (s->segment != 0 && !s->msix)
		return -XEN_ENODEV;
	return s->msix ? arm_msix(d, s, vector) : arm_msi(s, vector);
}

void msi_disarm(const struct msi_source *s)
{
	unsigned cap;

	if (s->msix) {
		msix_entry(s)[3] = 1;
		return;
	}
	cap = pci_cap_find(config_read, s->bdf, PCI_CAP_MSI, 0);
	if (cap != 0)
		config_write(s->bdf, cap, config_read(s->bdf, cap, 4) & ~MSI_ENABLE);
}
