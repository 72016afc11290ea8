/* host_pci_error.c: whose affair an error of a PCI function is, and one that was pulled out.
 *
 * A function that a driver here has is its driver's: reset, and what it was doing done again. One that is lent is its guest's: the
 * control of domains (amphi/control_pci.h) tells it, step by step. A free one's is told in the log and nowhere else. Called once
 * at start by main.c and service.c, then by root ports (amphi/pci_port.h) in the worker context.
 */
#include <amphi/control_pci.h>
#include <amphi/drivers.h>
#include <amphi/machine.h>
#include <amphi/pci_port.h>

#include "host_pci.h"
#include "host_pci_error.h"

static void on_error(const struct pci_error *e)
{
	domid_t guest;
	enum host_pci_state state = pci_owner(e->bdf, &guest);

	if (state == HOST_PCI_OURS)
		drivers_native_error(e->bdf, DRIVERS_ERROR_OVER);
	else if (state == HOST_PCI_LENT)
		control_pci_error(e->bdf, guest, e->kind == PCI_ERROR_FATAL);
}

static void on_gone(uint16_t bdf)
{
	domid_t guest;
	enum host_pci_state state = pci_owner(bdf, &guest);

	if (state == HOST_PCI_OURS)
		drivers_native_error(bdf, DRIVERS_ERROR_GONE);
	else if (state == HOST_PCI_LENT)
		control_pci_gone(bdf, guest);
}

static const struct pci_port_user user = {.error = on_error, .gone = on_gone};

int host_pci_errors_start(void)
{
	if (machine_has_devices())
		(void)pci_ports_start(&user);
	return 0;
}
