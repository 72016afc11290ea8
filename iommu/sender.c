/* sender.c: by which numbers a unit may know a function's requests.
 *
 * What comes from a conventional bus bears the number of the bridge that it leaves by: an Express one has its secondary bus, device 0, function 0 (PCI
 * Express to PCI bridge specification 1.0, 2.3), any other its own. Firmware's table may say so too, and may say otherwise: it knows its board, and can be
 * wrong. So the number that it tells is the first one, and that of the bridge counts as well, with the function's own, which a bridge may let through (PCI-X).
 *
 * Callers: through iommu.h the hypervisor's registry, and dma_space.c. Calls host_iommu.h for configuration space, as it is now: buses are numbered by firmware.
 * Not here: functions that a unit tells apart and that reach each other without it (control/pci_group.c).
 */
#include <amphi/host_iommu.h>
#include <amphi/iommu.h>
#include <amphi/pci_cap.h>

#define HEADER_WORD       0x0cu
#define HEADER_SEVERAL(w) ((w) >> 23 & 1)
#define NOBODY            (~0u)
#define CAP_EXPRESS       0x10u
#define EXPRESS_TYPE(w)   ((w) >> 20 & 15)
#define EXPRESS_TO_PCI    7u
#define EXPRESS_FROM_PCI  8u
#define NONE              (-1)

static uint32_t read(uint16_t bdf, unsigned offset, unsigned width)
{
	return host_iommu_config(bdf, offset);
}

/* What all behind the bridge send as; NONE: each as itself. One that is not Express is conventional on both sides. */
static int name_behind(uint16_t bridge)
{
	unsigned cap = pci_cap_find(read, bridge, CAP_EXPRESS, 0);
	unsigned type = cap ? EXPRESS_TYPE(host_iommu_config(bridge, cap)) : EXPRESS_FROM_PCI;
	uint8_t first, last;

	if (type == EXPRESS_TO_PCI && host_iommu_bridge(bridge, &first, &last))
		return first << 8;
	return type == EXPRESS_FROM_PCI ? bridge : NONE;
}

/* The bridge on a bus that leads to another one, and the first bus behind it; NONE. Functions but the first are asked only where that says that there are some. */
static int bridge_to(unsigned bus, unsigned to, uint8_t *out_first)
{
	bool several = false;
	uint8_t last;

	for (unsigned n = 0; n < 256; n++) {
		uint16_t bdf = (uint16_t)(bus << 8 | n);

		if (n % 8 == 0) {
			uint32_t head = host_iommu_config(bdf, HEADER_WORD);

			several = head != NOBODY && HEADER_SEVERAL(head);
		} else if (!several) {
			continue;
		}
		if (host_iommu_bridge(bdf, out_first, &last) && *out_first > bus &&
		    *out_first <= to && to <= last)
			return bdf;
	}
	return NONE;
}

/* The name that the bridges above a bus give, the one nearest to the unit first. A bus that none leads to may be a root's own. Each step goes to a higher bus. */
static int name_above(unsigned bus)
{
	int name = NONE;

	for (unsigned at = 0; at < bus && name == NONE;) {
		uint8_t first;
		int bridge = bridge_to(at, bus, &first);

		if (bridge != NONE)
			name = name_behind((uint16_t)bridge);
		at = bridge == NONE ? at + 1 : first;
	}
	return name;
}

static void add(struct iommu_names *names, uint16_t name)
{
	if (!iommu_is_name(names, name))
		names->name[names->n++] = name;
}

void iommu_names(uint16_t bdf, struct iommu_names *out)
{
	const struct iommu_alias *alias;
	int above = name_above(bdf >> 8);

	out->n = 0;
	for (unsigned n = 0; !out->n && (alias = iommu_alias(n)); n++)
		if (bdf >= alias->first_bdf && bdf <= alias->last_bdf)
			add(out, alias->sender);
	if (above != NONE)
		add(out, (uint16_t)above);
	add(out, bdf);
}

uint16_t iommu_sender(uint16_t bdf)
{
	struct iommu_names names;

	iommu_names(bdf, &names);
	return names.name[0];
}

bool iommu_lends(uint16_t bridge)
{
	const struct iommu_alias *alias;

	for (unsigned n = 0; (alias = iommu_alias(n)); n++)
		if (alias->sender == bridge)
			return true;
	return name_behind(bridge) == bridge;
}
