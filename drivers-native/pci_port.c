/* pci_port.c: root ports: which there are, their interrupts, and what is pulled out of their slots.
 *
 * Contract: amphi/pci_port.h. A port has one or two messages, for errors and for its slot; whichever comes, both are looked at: on some
 * machines they are one. Slots are only listened to: nothing is powered on or off here. Called by kernel/host_pci_error.c and by
 * interrupts; calls pci_aer.c, pci.c, machine.h.
 */
#include "pci_port.h"

#include <amphi/machine.h>
#include <amphi/xen.h>

#define PORTS_MAX 16u
#define ALL_ONES  0xffffu

#define CLASS_PCI_BRIDGE 0x0604u
#define REG_COMMAND      0x04u
#define REG_BUSES        0x18u

/* Section 7.5.3: flags (type in 7:4, slot in 8, message number in 13:9), then the slot's three registers. */
#define FLAGS        2u
#define TYPE_ROOT    4u
#define HAS_SLOT     0x100u
#define SLOT_CAN     0x14u
#define CAN_HOTPLUG  0x40u
#define SLOT_CONTROL 0x18u
#define TELL_SLOT    0x1028u /* presence, the interrupt itself, state of the link */
#define SLOT_STATUS  0x1au
#define SLOT_CHANGED 0x108u /* presence, state of the link */
#define SLOT_EVENTS  0x11fu /* all that ones clear */

static struct pci_port ports[PORTS_MAX];
static unsigned n_ports;

bool pci_port_lost(const struct pci_function *f)
{
	return machine_pci_read(f->bdf, REG_COMMAND, 2) == ALL_ONES;
}

/* A bridge's buses: its secondary one in bits 15:8, the last behind it in 23:16. */
void pci_port_each(const struct pci_function *bridge,
		   void (*fn)(const struct pci_function *f, void *ctx), void *ctx)
{
	uint32_t buses = machine_pci_read(bridge->bdf, REG_BUSES, 4);
	unsigned first = buses >> 8 & 0xff, last = buses >> 16 & 0xff;
	const struct pci_function *f;

	for (unsigned n = 0; first && (f = pci_get(n)) != NULL; n++)
		if (f->bdf >> 8 >= first && f->bdf >> 8 <= last)
			fn(f, ctx);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static void tell_lost(const struct pci_function *f, void *ctx)
{
	struct pci_port *port = ctx;

	if (f->class_code >> 8 != CLASS_PCI_BRIDGE && pci_port_lost(f))
		port->user->gone(f->bdf);
}

/* Cleared first: what changes while we look is an interrupt again. */
static void look_at_slot(struct pci_port *port)
{
	uint32_t status =
	    port->slot ? machine_pci_read(port->f->bdf, port->express + SLOT_STATUS, 2) : 0;

	if (!(status & SLOT_CHANGED) || status == ALL_ONES)
		return;
	machine_pci_write(port->f->bdf, port->express + SLOT_STATUS, 2, status & SLOT_EVENTS);
	pci_port_each(port->f, tell_lost, port);
}

static void start_slot(struct pci_port *port)
{
	unsigned at = port->express + SLOT_CONTROL;

	port->slot = machine_pci_read(port->f->bdf, port->express + FLAGS, 2) & HAS_SLOT &&
		     machine_pci_read(port->f->bdf, port->express + SLOT_CAN, 4) & CAN_HOTPLUG;
	if (!port->slot)
		return;
	machine_pci_write(port->f->bdf, port->express + SLOT_STATUS, 2, SLOT_EVENTS);
	machine_pci_write(port->f->bdf, at, 2, machine_pci_read(port->f->bdf, at, 2) | TELL_SLOT);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

/* What was pulled out first: errors that its going made are then of nobody. */
static void on_interrupt(void *ctx)
{
	look_at_slot(ctx);
	pci_aer_look(ctx);
}

/* Plain MSI has one message here, whatever number the port would use; of an MSI-X table each that it names. */
static int bind(struct pci_port *port, int aer_message)
{
	unsigned slot_message =
	    machine_pci_read(port->f->bdf, port->express + FLAGS, 2) >> 9 & 0x1f;
	struct pci_msix msix;
	int err;

	/* its message is a write to memory like any other */
	pci_enable(port->f);
	if (pci_msix_find(port->f, &msix))
		return pci_msi_bind(port->f, on_interrupt, port);
	err = pci_msix_bind(port->f, &msix, slot_message, on_interrupt, port);
	if (!err && aer_message >= 0 && (unsigned)aer_message != slot_message)
		err = pci_msix_bind(port->f, &msix, (unsigned)aer_message, on_interrupt, port);
	return err;
}

/* Once at the end: what came before the interrupt was bound is told all the same. */
static bool start(const struct pci_function *f, unsigned express, const struct pci_port_user *user)
{
	struct pci_port *port = &ports[n_ports];
	int message, err;

	*port = (struct pci_port){.f = f, .user = user, .express = express};
	message = pci_aer_start(port);
	err = bind(port, message);
	if (err) {
		host_log(HOST_LOG_WARN,
			 "pci %02x:%02x.%x: a root port without an interrupt (%d): errors behind "
			 "it are not seen",
			 f->bdf >> 8, f->bdf >> 3 & 31, f->bdf & 7, err);
		return false;
	}
	n_ports++;
	start_slot(port);
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: root port, tells of%s%s", f->bdf >> 8,
		 f->bdf >> 3 & 31, f->bdf & 7, port->aer ? " errors" : "",
		 port->slot ? " its slot" : "");
	on_interrupt(port);
	return true;
}

unsigned pci_ports_start(const struct pci_port_user *user)
{
	const struct pci_function *f;

	n_ports = 0;
	for (unsigned n = 0; (f = pci_get(n)) != NULL && n_ports < PORTS_MAX; n++) {
		unsigned express = f->class_code >> 8 == CLASS_PCI_BRIDGE
				       ? pci_find_capability(f, PCI_CAP_EXPRESS, 0)
				       : 0;

		if (express &&
		    (machine_pci_read(f->bdf, express + FLAGS, 2) >> 4 & 15) == TYPE_ROOT)
			(void)start(f, express, user);
	}
	return n_ports;
}
