/* host_pci.c: what pciback may do with a PCI function that is lent to a guest: configuration space, and interrupts.
 *
 * Contract: amphi/host_pci.h. Caller: drivers-back/pciback*.c, in the worker context. Messages go to the guest as pirqs of its own,
 * which the hypervisor maps and writes into the device; it is told where an MSI-X table is, and finds MSI by itself. Whose a function
 * is: host_pci_control.c. Calls machine.h, hypercall.h.
 */
#include <amphi/hypercall.h>
#include <amphi/machine.h>

#include "host_pci.h"
#include "machine_input.h"

#define MSIX_ENABLE   0x8000u
#define MSIX_MASK_ALL 0x4000u
#define MSI_ENABLE    1u
#define MSI_COUNT     0x70u /* log2 of the messages that are on */
#define MSI_COUNT_AT  4u

int host_pci_claim(uint16_t bdf, domid_t guest, struct host_pci_info *out)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);

	if (!s)
		return -XEN_ENODEV;
	if (s->state == HOST_PCI_OURS || s->claimed)
		return -XEN_EBUSY;
	if (s->state != HOST_PCI_LENT || s->guest != guest)
		return -XEN_EPERM;
	s->claimed = true;
	*out = (struct host_pci_info){
	    .id = (uint32_t)f->device << 16 | f->vendor,
	    .always_decodes = f->physical != bdf,
	    .line = s->line_on ? s->line : 0,
	};
	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		out->bar[i] = s->bars.bar[i];
		out->probe[i] = s->bars.probe[i];
	}
	return 0;
}

/* It may be another's by now, if it was waited for in vain. */
void host_pci_release(uint16_t bdf, domid_t guest)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);

	if (s && s->state == HOST_PCI_LENT && s->guest == guest)
		s->claimed = false;
}

uint32_t host_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	return machine_pci_read(bdf, offset, width_bytes);
}

void host_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	machine_pci_write(bdf, offset, width_bytes, value);
}

/* ---- interrupts -------------------------------------------------------------------------- */

static int map_pirq(struct physdev_map_pirq *map, uint16_t bdf, domid_t guest)
{
	int err;

	map->domid = guest;
	map->index = map->pirq = -1; /* any number */
	map->bus = bdf >> 8;
	map->devfn = bdf & 0xff;
	err = (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, map);
	return err ? err : map->pirq;
}

static void unmap(domid_t guest, const uint32_t *pirqs, unsigned count)
{
	while (count-- > 0) {
		struct physdev_unmap_pirq op = {.domid = guest, .pirq = (int)pirqs[count]};

		(void)hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &op);
	}
}

/* Both control words are written two bytes wide and last: pci_msix_bind says why. */
static void msix_enable(uint16_t bdf, unsigned cap)
{
	unsigned control = machine_pci_read(bdf, cap + 2, 2);

	machine_pci_write(bdf, cap + 2, 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
}

static void msi_enable(uint16_t bdf, unsigned cap, unsigned count)
{
	unsigned control = machine_pci_read(bdf, cap + 2, 2) & ~MSI_COUNT;

	control |= (unsigned)__builtin_ctz(count) << MSI_COUNT_AT;
	machine_pci_write(bdf, cap + 2, 2, control | MSI_ENABLE);
}

static int msix_on(const struct pci_function *f, domid_t guest, const uint16_t *entries,
		   unsigned count, uint32_t *out_pirqs)
{
	struct pci_msix msix;
	int err = pci_msix_find(f, &msix);

	for (unsigned i = 0; i < count && !err; i++) {
		struct physdev_map_pirq map = {
		    .type = MAP_PIRQ_TYPE_MSI,
		    .entry_nr = entries[i],
		    .table_base = msix.bar.v,
		};
		int pirq = map_pirq(&map, f->bdf, guest);

		if (pirq < 0) {
			unmap(guest, out_pirqs, i);
			err = pirq;
		} else {
			out_pirqs[i] = (uint32_t)pirq;
		}
	}
	if (!err)
		msix_enable(f->bdf, msix.cap);
	return err;
}

/* Several in a row: Xen wants interrupts remapped for that, and there may be no such row; the hypervisor rounds up, a power of two it leaves. */
static int msi_on(const struct pci_function *f, domid_t guest, unsigned count, uint32_t *out_pirqs)
{
	unsigned cap = pci_find_capability(f, PCI_CAP_MSI, 0);
	struct physdev_map_pirq map = {.type = MAP_PIRQ_TYPE_MSI};
	int pirq;

	if (!cap)
		return -XEN_ENODEV;
	if (count > 1) {
		map.type = MAP_PIRQ_TYPE_MULTI_MSI;
		map.entry_nr = (int)count;
	}
	pirq = map_pirq(&map, f->bdf, guest);
	if (pirq < 0)
		return count > 1 ? -XEN_ENOSPC : pirq;
	for (unsigned i = 0; i < count; i++)
		out_pirqs[i] = (uint32_t)pirq + i;
	msi_enable(f->bdf, cap, count);
	return 0;
}

int host_pci_interrupts_on(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			   const uint16_t *entries, unsigned count, uint32_t *out_pirqs)
{
	const struct pci_function *f;

	if (!pci_seat(bdf, &f))
		return -XEN_ENODEV;
	return kind == HOST_PCI_MSIX ? msix_on(f, guest, entries, count, out_pirqs)
				     : msi_on(f, guest, count, out_pirqs);
}

/* The hypervisor knows whose each message is, and what it wrote for it. */
int host_pci_interrupts_again(uint16_t bdf, enum host_pci_kind kind, unsigned count)
{
	struct physdev_pci_device where = {.bus = (uint8_t)(bdf >> 8), .devfn = (uint8_t)bdf};
	int err = (int)hypercall_physdev_op(PHYSDEVOP_restore_msi_ext, &where);
	const struct pci_function *f;
	unsigned cap = 0;

	if (pci_seat(bdf, &f))
		cap = pci_find_capability(f, kind == HOST_PCI_MSIX ? PCI_CAP_MSIX : PCI_CAP_MSI, 0);
	if (err || !cap)
		return err ? err : -XEN_ENODEV;
	if (kind == HOST_PCI_MSIX)
		msix_enable(bdf, cap);
	else
		msi_enable(bdf, cap, count);
	return 0;
}

/* Off in the device first: what came between would be a vector of nobody. */
void host_pci_interrupts_off(uint16_t bdf, domid_t guest, enum host_pci_kind kind,
			     const uint32_t *pirqs, unsigned count)
{
	bool msix = kind == HOST_PCI_MSIX;
	const struct pci_function *f;
	unsigned cap = 0;

	if (pci_seat(bdf, &f))
		cap = pci_find_capability(f, msix ? PCI_CAP_MSIX : PCI_CAP_MSI, 0);
	if (cap)
		machine_pci_write(bdf, cap + 2, 2,
				  machine_pci_read(bdf, cap + 2, 2) &
				      ~(msix ? MSIX_ENABLE : MSI_ENABLE));
	unmap(guest, pirqs, msix ? count : 1); /* the first of a row is all of it */
}

/* ---- lines ------------------------------------------------------------------------------- */

int host_pci_line_on(uint16_t bdf, domid_t guest)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);
	int err;

	if (!s || !s->line)
		return -XEN_ENODEV;
	err = machine_input_map(s->line, guest);
	s->line_on = !err;
	return err;
}

void host_pci_line_off(uint16_t bdf, domid_t guest, bool last)
{
	const struct pci_function *f;
	struct pci_seat *s = pci_seat(bdf, &f);
	uint32_t pirq = s ? s->line : 0;

	if (!s || !s->line_on)
		return;
	s->line_on = false;
	if (last)
		unmap(guest, &pirq, 1);
}
