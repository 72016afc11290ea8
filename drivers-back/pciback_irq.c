/* pciback_irq.c: message-signalled interrupts of functions that are lent.
 *
 * The hypervisor sets them up and maps each to a pirq of the guest (host_pci.h); here is what may be asked of it: interrupts of
 * one kind, once, of a function that has them, entries inside its table and each named once. Called by pciback_op.c, whose
 * operation is a private copy, and when a function or its connection goes. Several plain MSIs are asked for as pciif.h's
 * authors meant it: how many in `info`, the first pirq in `value`, and on an error there how many may do.
 */
#include "pciback_private.h"

#define MSI_MAX 32u

/* Upper half of a capability's first word. */
static uint32_t control(struct lent *f, unsigned cap)
{
	return host_pci_read(f->bdf, cap + 2, 2);
}

static int on(struct lent *f, enum lent_interrupts kind, const uint16_t *entries, unsigned count)
{
	int err = host_pci_interrupts_on(f->bdf, f->lender->bus.peer,
					 kind == LENT_MSI ? HOST_PCI_MSI : HOST_PCI_MSIX, entries,
					 count, f->pirqs);

	if (err)
		return err;
	f->interrupts = kind;
	f->n_pirqs = count;
	return 0;
}

void lent_interrupts_off(struct lent *f)
{
	if (f->interrupts == LENT_NONE)
		return;
	host_pci_interrupts_off(f->bdf, f->lender->bus.peer,
				f->interrupts == LENT_MSI ? HOST_PCI_MSI : HOST_PCI_MSIX, f->pirqs,
				f->n_pirqs);
	f->interrupts = LENT_NONE;
	f->n_pirqs = 0;
}

int lent_interrupts_again(struct lent *f)
{
	if (f->interrupts == LENT_NONE)
		return 0;
	return host_pci_interrupts_again(
	    f->bdf, f->interrupts == LENT_MSI ? HOST_PCI_MSI : HOST_PCI_MSIX, f->n_pirqs);
}

int32_t lent_enable_msi(struct lent *f, struct xen_pci_op *op)
{
	op->value = 0;
	if (!f->msi || f->interrupts != LENT_NONE || on(f, LENT_MSI, NULL, 1))
		return XEN_PCI_ERR_op_failed;
	op->value = f->pirqs[0];
	return 0;
}

int32_t lent_enable_multi_msi(struct lent *f, struct xen_pci_op *op)
{
	unsigned n = op->info, most;
	int err;

	op->value = 0;
	if (!f->msi || f->interrupts != LENT_NONE || !n || n & (n - 1))
		return XEN_PCI_ERR_op_failed;
	most = MIN(1u << (control(f, f->msi) >> 1 & 7), MSI_MAX);
	if (n > most) {
		op->value = most;
		return XEN_PCI_ERR_op_failed;
	}
	err = on(f, LENT_MSI, NULL, n);
	op->value = err ? n / 2 : f->pirqs[0];
	return err ? XEN_PCI_ERR_op_failed : 0;
}

/* At most HOST_PCI_VECTORS entries, so the two loops are short. */
static bool entries_valid(const struct xen_msix_entry *entries, unsigned n, unsigned size)
{
	for (unsigned i = 0; i < n; i++) {
		if (entries[i].entry >= size)
			return false;
		for (unsigned j = 0; j < i; j++)
			if (entries[j].entry == entries[i].entry)
				return false;
	}
	return true;
}

int32_t lent_enable_msix(struct lent *f, struct xen_pci_op *op)
{
	uint16_t entries[HOST_PCI_VECTORS];
	unsigned n = op->value;

	op->value = 0;
	if (!f->msix || f->interrupts != LENT_NONE || !n || n > HOST_PCI_VECTORS ||
	    !entries_valid(op->msix_entries, n, (control(f, f->msix) & 0x7ff) + 1))
		return XEN_PCI_ERR_op_failed;
	for (unsigned i = 0; i < n; i++)
		entries[i] = op->msix_entries[i].entry;
	if (on(f, LENT_MSIX, entries, n))
		return XEN_PCI_ERR_op_failed;
	for (unsigned i = 0; i < n; i++)
		op->msix_entries[i].vector = (uint16_t)f->pirqs[i];
	return 0;
}
