/* pci_cap.c: walks the list of capabilities of a PCI function.
 *
 * Callers: drivers-native/pci.c, control/pci_reset.c, the hypervisor's pci_config.c and host_iommu.c. Calls the reader it is given. Offsets below
 * 0x40 are the header's own registers, the low two bits of a link are reserved (PCI 3.0, 6.7).
 */
#include <amphi/pci_cap.h>

#define REG_STATUS       0x04 /* upper half */
#define REG_CAPABILITIES 0x34
#define STATUS_HAS_CAPS  (0x10u << 16)
#define FIRST_CAP        0x40u
#define MAX_CAPS         ((PCI_CAP_LAST - FIRST_CAP) / 4 + 1) /* as many as fit: a longer list loops */

unsigned pci_cap_find(pci_read_fn *read, uint16_t bdf, unsigned id, unsigned after)
{
	unsigned at;

	if (!(read(bdf, REG_STATUS, 4) & STATUS_HAS_CAPS))
		return 0;
	at = after ? read(bdf, after, 4) >> 8 : read(bdf, REG_CAPABILITIES, 4);
	for (unsigned n = 0; n < MAX_CAPS && (at & PCI_CAP_LAST) >= FIRST_CAP; n++) {
		uint32_t head = read(bdf, at & PCI_CAP_LAST, 4);

		if ((head & 0xff) == id)
			return at & PCI_CAP_LAST;
		at = head >> 8;
	}
	return 0;
}
