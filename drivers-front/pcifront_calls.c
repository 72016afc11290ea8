/* pcifront_calls.c: what the kernel asks of a function: its configuration space and its interrupts.
 *
 * Contract: pcifront.h. Each call is an operation of pcifront_op.c. Interrupts are turned on once for a function, since a
 * backend (Linux's among them) refuses a second time, and handed out one by one.
 */
#include "pcifront_private.h"

#define CONFIG_BYTES 4096u
#define PIRQ_MAX     0xffffu /* what a msix_entry can say */

static struct xen_pci_op op_for(const struct pf_function *f, uint32_t cmd)
{
	return (struct xen_pci_op){
	    .cmd = cmd, .domain = f->domain, .bus = f->bus, .devfn = f->devfn};
}

/* Sends it, and makes one error of the two kinds. A backend's errors are XEN_PCI_ERR_*, or Linux's own numbers. */
static int ask(struct pf_function *f, struct xen_pci_op *op, unsigned n_entries)
{
	int err = pf_op(f->dev, op, n_entries);

	return err ? err : op->err ? -XEN_EIO : 0;
}

/* ---- configuration space --------------------------------------------------------------------------- */

static bool in_space(unsigned offset, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && offset < CONFIG_BYTES &&
	       offset % width == 0;
}

uint32_t pcifront_read(uint16_t bdf, unsigned offset, unsigned width)
{
	struct pf_function *f = pf_find(bdf);
	uint32_t none = ~0u >> (32 - 8 * MIN(MAX(width, 1u), 4u));
	struct xen_pci_op op;

	if (!f || !in_space(offset, width))
		return none;
	op = op_for(f, XEN_PCI_OP_conf_read);
	op.offset = (int32_t)offset;
	op.size = (int32_t)width;
	return ask(f, &op, 0) ? none : op.value & none;
}

bool pcifront_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	struct pf_function *f = pf_find(bdf);
	struct xen_pci_op op;

	if (!f || !in_space(offset, width))
		return false;
	op = op_for(f, XEN_PCI_OP_conf_write);
	op.offset = (int32_t)offset;
	op.size = (int32_t)width;
	op.value = value;
	return ask(f, &op, 0) == 0;
}

/* ---- interrupts -------------------------------------------------------------------------------------- */

/* The value of an answer without an error is 0, or why there is none. All vectors or none: an entry without one would be
 * an interrupt that never comes. */
static int enable_msix(struct pf_function *f, unsigned n)
{
	struct xen_pci_op op = op_for(f, XEN_PCI_OP_enable_msix);
	int err;

	op.value = n;
	for (unsigned i = 0; i < n; i++)
		op.msix_entries[i] = (struct xen_msix_entry){.vector = 0, .entry = (uint16_t)i};
	err = ask(f, &op, n);
	if (err || op.value)
		return err ? err : -XEN_EIO;
	f->interrupts = PF_MSIX;
	for (unsigned i = 0; i < n; i++) {
		if (!op.msix_entries[i].vector) {
			pcifront_interrupts_off(f->bdf);
			return -XEN_EIO;
		}
		f->pirqs[i] = op.msix_entries[i].vector;
	}
	f->n_pirqs = n;
	return 0;
}

/* Fewer, when the backend has not so many: it gives all that it is asked for, or none. */
static int some_msix(struct pf_function *f, unsigned n_entries)
{
	int err = -XEN_ENOSPC;

	for (unsigned n = MIN(n_entries, PCIFRONT_VECTORS); n && err; n /= 2) {
		err = enable_msix(f, n);
		if (err == -XEN_ENOTCONN)
			break;
	}
	return err;
}

int pcifront_msix(uint16_t bdf, unsigned entry, unsigned n_entries, uint32_t *out_pirq)
{
	struct pf_function *f = pf_find(bdf);
	int err = 0;

	if (!f)
		return -XEN_ENODEV;
	if (f->interrupts == PF_MSI)
		return -XEN_EBUSY;
	if (f->interrupts == PF_NONE)
		err = some_msix(f, n_entries);
	if (!err && entry >= f->n_pirqs)
		err = -XEN_ENOSPC;
	if (!err)
		*out_pirq = f->pirqs[entry];
	return err;
}

int pcifront_msi(uint16_t bdf, unsigned count, uint32_t *out_pirq)
{
	struct pf_function *f = pf_find(bdf);
	struct xen_pci_op op;
	int err;

	if (!f)
		return -XEN_ENODEV;
	if (f->interrupts != PF_NONE)
		return -XEN_EBUSY;
	op = op_for(f, count > 1 ? XEN_PCI_OP_enable_multi_msi : XEN_PCI_OP_enable_msi);
	op.info =
	    count; /* in the value the first pirq comes back, or with an error how many may do */
	err = ask(f, &op, 0);
	if (err)
		return err;
	f->interrupts = PF_MSI;
	if (!op.value || op.value > PIRQ_MAX - (count - 1)) {
		pcifront_interrupts_off(bdf);
		return -XEN_EIO;
	}
	*out_pirq = op.value;
	return 0;
}

void pcifront_interrupts_off(uint16_t bdf)
{
	struct pf_function *f = pf_find(bdf);
	struct xen_pci_op op;

	if (!f || f->interrupts == PF_NONE)
		return;
	op = op_for(f, f->interrupts == PF_MSI ? XEN_PCI_OP_disable_msi : XEN_PCI_OP_disable_msix);
	f->interrupts = PF_NONE;
	f->n_pirqs = 0;
	if (ask(f, &op, 0))
		host_log(HOST_LOG_WARN, "pci %02x:%02x.%x: its interrupts are not taken back",
			 bdf >> 8, bdf >> 3 & 31, bdf & 7);
}
