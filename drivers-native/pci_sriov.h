/* pci_sriov.h: virtual functions of a PCI function that has them (SR-IOV).
 *
 * Private to drivers-native. Caller: nvme_virtual.c. Specification: PCI Express 4.0, section 9. Needs the extended
 * configuration space (machine.h: offsets from 256 on), and addresses for the virtual functions' registers: the
 * firmware's, or else free ones in the window of the bridge above; a function on the root bus without the firmware's help
 * has none, as nobody here knows what reaches that bus. Start-up only.
 */
#ifndef DRIVERS_NATIVE_PCI_SRIOV_H
#define DRIVERS_NATIVE_PCI_SRIOV_H

#include <amphi/pci.h>

/* Turns on up to wanted virtual functions, and appends them to the list of pci_get. Returns how many, or
 * -XEN_ENODEV: it has none; -XEN_ENOSPC: no addresses. */
int pci_sriov_enable(const struct pci_function *f, unsigned wanted);

/* They have what they will ever have: whoever watches over memory is told of them. Xen keeps the size of an MSI-X table as it is
 * then, and an NVMe's virtual function gets its vectors from the physical one. */
void pci_sriov_ready(const struct pci_function *f);

#endif
