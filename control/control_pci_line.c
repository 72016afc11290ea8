/* control_pci_line.c: the line (INTx) of a function that has nothing else to interrupt by goes to a guest with it.
 *
 * A line is one domain's: who shares it would wait for the slowest, and for one that never ends an interrupt. Boards have few, and several functions on each;
 * but nothing of ours listens to any, so all others on it are kept from pulling it, by their command registers. Refused is what a guest already has for
 * another function that has only this line, and what cannot be kept from it (older than PCI 2.3). Callers: control_pci.c. Worker context. Calls
 * host_pci_control.h and the hypervisor.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/printf.h>

#include "control_pci.h"

#define REG_COMMAND 4u
#define NO_INTX     0x400u

static bool on_line(const struct host_pci_function *other, const struct host_pci_function *f)
{
	return other->bdf != f->bdf && !other->bridge && other->line == f->line;
}

/* One that a guest hears. */
static bool is_heard(const struct host_pci_function *f)
{
	return f->only_line && f->state == HOST_PCI_LENT;
}

static int refuse(const struct domain_record *r, const struct host_pci_function *f,
		  const struct host_pci_function *other, const char *why)
{
	char name[PCI_NAME_MAX], others[PCI_NAME_MAX];

	return control_fail(-XEN_EBUSY, "%s: pci %s: its interrupt line %u is also that of %s, %s",
			    r->pub.config->name, control_pci_name(f->bdf, name), f->line,
			    control_pci_name(other->bdf, others), why);
}

int control_pci_line_check(const struct domain_record *r, const struct host_pci_function *f)
{
	struct host_pci_function other;
	char why[32];

	if (!f->only_line || !f->line)
		return 0;
	for (unsigned n = 0; host_pci_nth(n, &other); n++) {
		if (!on_line(&other, f) || !is_heard(&other) || other.guest == r->pub.domid)
			continue;
		fmt_text(why, sizeof(why), "which domain %u has", other.guest);
		return refuse(r, f, &other, why);
	}
	return 0;
}

/* A bit that older functions do not have reads as 0. One that has gone reads as ones. */
static bool keep_from(const struct host_pci_function *other)
{
	uint32_t command = host_pci_read(other->bdf, REG_COMMAND, 2);

	if (!(command & NO_INTX))
		host_pci_write(other->bdf, REG_COMMAND, 2, command | NO_INTX);
	return host_pci_read(other->bdf, REG_COMMAND, 2) & NO_INTX;
}

static int quieten_others(const struct domain_record *r, const struct host_pci_function *f)
{
	struct host_pci_function other;

	for (unsigned n = 0; host_pci_nth(n, &other); n++)
		if (on_line(&other, f) && !is_heard(&other) && !keep_from(&other))
			return refuse(r, f, &other, "which cannot be kept from it");
	return 0;
}

static int permit(const struct domain_record *r, const struct host_pci_function *f, bool allow)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_irq_permission, .domain = r->pub.domid};

	op.u.irq_permission.pirq = f->line;
	op.u.irq_permission.allow_access = allow;
	return host_domctl(&op);
}

int control_pci_line_give(const struct domain_record *r, const struct host_pci_function *f)
{
	char name[PCI_NAME_MAX];
	int err;

	if (!f->only_line)
		return 0;
	control_pci_name(f->bdf, name);
	if (!f->line) {
		host_log(HOST_LOG_WARN, "%s: pci %s: nobody says which line it has: no interrupts",
			 r->pub.config->name, name);
		return 0;
	}
	err = control_pci_line_check(r, f);
	if (!err)
		err = quieten_others(r, f);
	if (err)
		return err;
	err = host_pci_line_on(f->bdf, r->pub.domid);
	if (!err)
		err = permit(r, f, true);
	return err ? control_fail(err,
				  "%s: pci %s: the domain cannot have its interrupt line %u: %s",
				  r->pub.config->name, name, f->line, error_name(err))
		   : 0;
}

void control_pci_line_take(const struct domain_record *r, const struct host_pci_function *f)
{
	struct host_pci_function other;
	bool last = true;

	if (!f->only_line || !f->line)
		return;
	for (unsigned n = 0; host_pci_nth(n, &other); n++)
		last &= !on_line(&other, f) || !is_heard(&other) || other.guest != r->pub.domid;
	host_pci_line_off(f->bdf, r->pub.domid, last);
	if (last)
		(void)permit(r, f, false); /* of a domain that is dead already it does not matter */
}
