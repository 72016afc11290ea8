/* iommu_boot.c: finds the machine's IOMMUs and its functions, and gives all of them to the first domain.
 *
 * Caller: boot.c, before the first domain is made and after. Calls iommu.h, iommu_device.c. From the moment the units are on nothing that
 * firmware left going reaches memory; the first domain is trusted with all of it, so its functions are passed. What it finds
 * later (virtual functions, hot-plugged ones) it tells by PHYSDEVOP_pci_device_add.
 */
#include <amphi/iommu.h>
#include <amphi/string.h>

#include "apic.h"
#include "boot.h"
#include "domain.h"
#include "iommu_device.h"
#include "pci_config.h"

#define BUSES        256u
#define SLOTS        32u
#define FUNCTIONS    8u
#define NOTHING      0xffffu
#define SEVERAL      0x80u
#define BDF(b, s, f) ((uint16_t)((b) << 8 | (s) << 3 | (f)))

static bool on, off;

bool iommu_is_on(void)
{
	return on;
}

bool iommu_is_off(void)
{
	return off;
}

/* ---- units ------------------------------------------------------------------------------- */

static const void *view(uint64_t address, uint32_t len)
{
	const void *va = maddr_to_virt((maddr_t){address});

	return boot_is_mapped(va, len) ? va : NULL;
}

/* How many there are, or why there is none. */
static int start(void)
{
	const struct acpi_info *acpi = acpi_info();
	bool intel = acpi->dmar.address != 0;
	uint64_t at = intel ? acpi->dmar.address : acpi->ivrs.address;
	uint32_t len = intel ? acpi->dmar.len : acpi->ivrs.len;
	const void *table = at ? view(at, len) : NULL;

	if (!table)
		return -XEN_ENODEV;
	return iommu_start(table, len);
}

/* Whether `iommu=` has ",nointremap" behind it, which is cut off. */
static bool cut_nointremap(char *word)
{
	static const char tail[] = ",nointremap";
	size_t n = strlen(word);

	if (n < sizeof(tail) - 1 || strcmp(word + n - (sizeof(tail) - 1), tail))
		return false;
	word[n - (sizeof(tail) - 1)] = '\0';
	return true;
}

/* No function has an interrupt yet; the console's is routed again. */
static void remap_interrupts(bool wanted)
{
	uint8_t ids[ACPI_MAX_IOAPICS];
	int error = -XEN_EOPNOTSUPP;

	if (wanted)
		error = iommu_interrupts_start(ids, ioapic_ids(ids, ARRAY_SIZE(ids)));
	if (error) {
		hv_printk(
		    "iommu: interrupts are not remapped (error %d): who has a device may raise any",
		    error);
		return;
	}
	ioapic_reroute();
	hv_printk("iommu: interrupts remapped");
}

void iommu_boot(void)
{
	char word[32] = "on";
	bool plain;
	int n;

	(void)boot_option("iommu", word, sizeof(word));
	plain = cut_nointremap(word);
	off = !strcmp(word, "off") || !strcmp(word, "no");
	if (off) {
		hv_printk("iommu: off: a device reaches all memory, whoever has it");
		return;
	}
	n = start();
	if (n < 0 && !strcmp(word, "required"))
		hv_panic("iommu=required, but there is none (error %d)", n);
	if (n < 0 && n != -XEN_ENODEV)
		hv_printk("iommu: not used (error %d)", n);
	on = n > 0;
	for (int i = 0; i < n; i++) {
		const struct iommu *unit = iommu_get((unsigned)i);
		const struct iommu_traits *t = iommu_traits(unit);

		hv_printk("iommu: %s: %u bits, %u spaces%s%s", iommu_name(unit), t->address_bits,
			  t->spaces, t->large_2m ? ", 2 MiB pages" : "",
			  t->large_1g ? ", 1 GiB pages" : "");
	}
	if (!on)
		return;
	remap_interrupts(!plain);
	iommu_fault_listen();
}

/* ---- functions --------------------------------------------------------------------------- */

static unsigned add(uint16_t bdf)
{
	int error;

	if (pci_config_read(bdf, 0, 2) == NOTHING)
		return 0;
	error = io_device_add(bdf);
	if (error)
		hv_printk("iommu: %02x:%02x.%x is nobody's (error %d)", bdf >> 8, bdf >> 3 & 31,
			  bdf & 7, error);
	return error == 0;
}

/* The others are asked for only where the first says that there are some. */
static unsigned add_slot(unsigned bus, unsigned slot)
{
	unsigned n = add(BDF(bus, slot, 0));
	bool several = n && (pci_config_read(BDF(bus, slot, 0), PCI_CONFIG_HEADER, 1) & SEVERAL);

	for (unsigned f = 1; several && f < FUNCTIONS; f++)
		n += add(BDF(bus, slot, f));
	return n;
}

/* Every bus, because not each one hangs beneath the first: 8192 questions, asked only where the answers matter. Without a unit
 * the first bus and what bridges lead to is told by the first domain itself. */
void iommu_boot_devices(struct domain *first)
{
	unsigned n = 0;

	for (unsigned bus = 0; on && bus < BUSES; bus++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			n += add_slot(bus, slot);
	if (on)
		hv_printk("iommu: %u functions are domain %u's", n, first->id);
}
