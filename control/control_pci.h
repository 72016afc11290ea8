/* control_pci.h: PCI functions of domains; private to control/.
 *
 * control_pci.c gives and takes one, control_pci_hot.c does so to a domain that runs, ctl_pci.c has the commands. Errors are
 * negative XEN_Exxx and have been told. Worker context.
 */
#ifndef CONTROL_CONTROL_PCI_H
#define CONTROL_CONTROL_PCI_H

#include <amphi/host_pci_control.h>

#include "control_private.h"

#define PCI_NAME_MAX 8u /* "00:04.0" */
_Static_assert(CONFIG_MAX_PCI <= 32, "pci_given has a bit for each");

const char *control_pci_name(uint16_t bdf, char out[PCI_NAME_MAX]);

/* False: there is no such function. */
bool control_pci_find(uint16_t bdf, struct host_pci_function *out);

/* Nobody answers for it. */
bool control_pci_lost(uint16_t bdf);

/* Whether it can be given to the domain. Changes nothing. */
int control_pci_check(const struct domain_record *r, const struct config_pci *pci);

/* The bridge above it, when nothing else is behind that; else PCI_RESET_NO_BRIDGE (pci_reset.h). */
uint16_t control_pci_bridge(uint16_t bdf);

/* It is taken from its guest: what was done about an error of it ends. */
void control_pci_calm(uint16_t bdf);

/* "flr, bus": how it can be reset; out has PCI_RESET_TEXT bytes (pci_reset.h). */
const char *control_pci_reset_ways(uint16_t bdf, char *out);

/* control_pci_line.c: the line of a function that has nothing else to interrupt by; nothing of others. Whether it can be the domain's; the domain has it, and nobody else pulls
 * it; it is taken back, when the function is quiet. Errors have been told. */
int control_pci_line_check(const struct domain_record *r, const struct host_pci_function *f);
int control_pci_line_give(const struct domain_record *r, const struct host_pci_function *f);
void control_pci_line_take(const struct domain_record *r, const struct host_pci_function *f);

/* It has no virtual functions, and no domain has a disk on it; else -XEN_EBUSY. */
int control_pci_check_idle(uint16_t bdf);

/* pci[i] of the domain's configuration, which is built and does not see it yet; and back, when its back half has let go or
 * had its time: not if it was not given. */
int control_pci_give(struct domain_record *r, unsigned i);
void control_pci_take(struct domain_record *r, unsigned i);

/* ---- control_pci_group.c: those that no IOMMU keeps apart ---------------------------------------------- */

/* -XEN_EBUSY: somebody else has, or drives, another of its group, and its group_policy is not relaxed. Changes nothing. */
int control_pci_group_check(const struct domain_record *r, const struct config_pci *pci);
/* Before the function is given, which check has allowed: the idle ones of its group, and those that the domain gets too, are nobody's to the hypervisor.
 * False: there was nothing to do. */
bool control_pci_group_begin(const struct domain_record *r, uint16_t bdf);
/* It has been taken, or was not given: with the last of its group that was, all are this domain's again to the hypervisor. */
void control_pci_group_end(uint16_t bdf);
/* A driver of ours is to have the function, and it is this domain's to the hypervisor: -XEN_EBUSY. */
int control_pci_group_keep(uint16_t bdf);
/* More than it is in its group, of what was last read. */
bool control_pci_is_grouped(uint16_t bdf);

/* control_pci.c: assign_device and its like. */
int control_pci_assign(domid_t domid, uint16_t bdf, uint32_t cmd, uint32_t flags);

#endif
