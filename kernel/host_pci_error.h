/* host_pci_error.h: starts listening to errors and removals of PCI functions; private to the kernel.
 *
 * Callers: main.c natively, service.c of its parts; once, in the worker, when the drivers have all there is. What is heard goes to the
 * drivers here and to control/ (host_pci_error.c).
 */
#ifndef KERNEL_HOST_PCI_ERROR_H
#define KERNEL_HOST_PCI_ERROR_H

/* 0. Where no device is this kernel's, there is nothing to listen to. */
int host_pci_errors_start(void);

#endif
