/* control_pci.h: PCI functions of domains that run: attached and detached; and virtual ones.
 *
 * Callers: control/ctl_pci.c, by it the shell and the control port. Implemented by control/control_pci_hot.c. Errors are control.h's,
 * told as there; done as control_done_fn says. One operation at a time in the machine: -XEN_EBUSY. Worker context.
 */
#ifndef AMPHI_CONTROL_PCI_H
#define AMPHI_CONTROL_PCI_H

#include <amphi/control.h>

/* Begins to give a running domain a function more, written as in its file's pci=[...]: it is reset, assigned and shown to the
 * guest. What the guest makes of it is its own affair: done is told 0 when its half has taken it. -XEN_ENODEV: it is not
 * there; -XEN_EBUSY: somebody has it, or the guest does not use those it has yet; -XEN_EINVAL. By done: -XEN_ETIMEDOUT,
 * -XEN_EIO (refused by the back half); it is taken back then. */
int control_pci_attach(const char *name, const char *spec, control_done_fn *done, void *ctx);

/* Begins to take the function ("03:00.0") from it. The guest is asked, by force it has CONTROL_FORCE_WAIT_MS and is then not waited for. -XEN_ENOENT:
 * it has it not. By done: -XEN_EBUSY: the guest does not let go in CONTROL_DEVICE_WAIT_MS, and keeps it: nothing has changed, and it may be asked again. */
int control_pci_detach(const char *name, const char *bdf, bool force, control_done_fn *done,
		       void *ctx);

/* A function that a driver of this domain has is free to be given away; or a free one is this domain's again. */
int control_pci_free(const char *bdf);
int control_pci_keep(const char *bdf);

/* A function that guest has was told to have an error (fatal: its link cannot be relied on before a reset), or is not there any more.
 * The guest is told, and has time to heal it; else it is taken away by force. Said in the log. Callers: the kernel. */
void control_pci_error(uint16_t bdf, domid_t guest, bool fatal);
void control_pci_gone(uint16_t bdf, domid_t guest);

/* Turns count virtual functions of it on, which are free then. How many there are. */
int control_pci_virtual(const char *bdf, unsigned count);

#endif
