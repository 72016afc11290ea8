/* pci_fuzz: PCI scanning and capability walking over configuration space made of the input.
 *
 * Why: a device, real or emulated by somebody else, answers what it likes: loops, offsets out of
 * range, bridges that lead to themselves. Expected: the scan ends, within its bounds, whatever is read.
 * Every function of buses 0-255 reads from the same 4 * 256 bytes, by the low bits of its address.
 * links: drivers-native/pci.c lib/pci_cap.c
 */
#include <amphi/machine.h>
#include <amphi/pci.h>

#include <stdlib.h>
#include <string.h>

static uint8_t space[4][256];

uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	if (offset + width > 256 || offset % width)
		abort();
	memcpy(&value, &space[(bdf ^ bdf >> 3 ^ bdf >> 8) & 3][offset], width);
	return value;
}
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	if (offset + width > 256 || offset % width)
		abort();
}
void *machine_mmio_map(maddr_t start, size_t len)
{
	return NULL;
}
int machine_msi_bind(struct machine_msi *msi)
{
	msi->write_entry = true;
	return 0;
}

int machine_line_bind(uint16_t bdf, void (*fn)(void *ctx), void *ctx)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(space, 0xff, sizeof(space));
	memcpy(space, data, MIN(size, sizeof(space)));
	pci_scan();
	for (unsigned n = 0; n < 4 && pci_get(n); n++) {
		struct pci_msix msix;
		maddr_t bar;

		for (unsigned cap = 0, i = 0; i < 64; i++)
			if (!(cap = pci_find_capability(pci_get(n), PCI_CAP_VENDOR, cap)))
				break;
		for (unsigned i = 0; i < 8; i++)
			pci_bar(pci_get(n), i, &bar);
		if (!pci_msix_find(pci_get(n), &msix))
			pci_msix_bind(pci_get(n), &msix, 0, NULL, NULL);
		if (pci_msis_bind(pci_get(n), 32, NULL, NULL, 0) > 32)
			abort();
		(void)pci_line_bind(pci_get(n), NULL, NULL);
	}
	return 0;
}
