/* control_pci_group.c: functions that no IOMMU keeps apart (pci_group.h) are one domain's, or idle.
 *
 *	begin	nobody else has, or drives, another of the group --> let go by us, nobody's to the hypervisor --> the first may be given
 *	end	the last is taken --> all of them are ours again to the hypervisor
 *
 * Idle is one that no domain has and that does not master the bus. `group_policy=relaxed` of a function in a domain's file gives it all
 * the same, with a warning; a hypervisor to which two are one by their number still refuses them to different domains. Worker context. Callers: control_pci.c,
 * control_pci_hot.c. Calls pci_group.h, host_pci_control.h, host_control.h.
 */
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_pci.h"
#include "pci_group.h"

#define COMMAND        4u
#define COMMAND_MASTER 4u

/* ---- who stands in the way --------------------------------------------------------------------------- */

static bool is_its_own(const struct domain_record *r, const struct host_pci_function *f)
{
	return config_find_pci(r->pub.config, 0, f->bdf) ||
	       (f->state == HOST_PCI_LENT && f->guest == r->pub.domid);
}

static bool is_idle(const struct host_pci_function *f)
{
	return f->state != HOST_PCI_LENT && !(host_pci_read(f->bdf, COMMAND, 2) & COMMAND_MASTER);
}

/* "00:04.1 (domain 3), 00:04.2 (this machine's)": how many; what does not fit is left out. */
static unsigned name_others(const struct domain_record *r, uint16_t bdf, char *out, size_t cap)
{
	struct host_pci_function f;
	char name[PCI_NAME_MAX], whose[16];
	unsigned count = 0;
	size_t len = 0;

	out[0] = 0;
	for (unsigned n = 0; pci_group_other(bdf, n, &f); n++) {
		if (is_its_own(r, &f) || is_idle(&f))
			continue;
		(void)str_copy(whose, sizeof(whose), "the machine's");
		if (f.state == HOST_PCI_LENT)
			fmt_text(whose, sizeof(whose), "domain %u", f.guest);
		fmt_text(out + len, cap - len, "%s%s (%s)", count++ ? ", " : "",
			 control_pci_name(f.bdf, name), whose);
		len = strlen(out);
	}
	return count;
}

bool control_pci_is_grouped(uint16_t bdf)
{
	struct host_pci_function f;

	return pci_group_other(bdf, 0, &f);
}

int control_pci_group_check(const struct domain_record *r, const struct config_pci *pci)
{
	char others[120], name[PCI_NAME_MAX];

	pci_group_read();
	if (!name_others(r, pci->bdf, others, sizeof(others)))
		return 0;
	control_pci_name(pci->bdf, name);
	if (!(pci->flags & CONFIG_PCI_APART))
		return control_fail(
		    -XEN_EBUSY, "%s: pci %s: in one group with %s: give it all of them, or none",
		    r->pub.config->name, name, others);
	host_log(HOST_LOG_WARN,
		 "%s: pci %s: group_policy=relaxed: it may reach, or be reached by, %s",
		 r->pub.config->name, name, others);
	return 0;
}

/* ---- to nobody, and back ------------------------------------------------------------------------------ */

static bool is_lent_in_part(uint16_t bdf)
{
	struct host_pci_function f;

	for (unsigned n = 0; pci_group_other(bdf, n, &f); n++)
		if (f.state == HOST_PCI_LENT)
			return true;
	return false;
}

/* Real Xen, to which they are one by their number too, would take it from the first when the second is made nobody's: so only while all are here. */
bool control_pci_group_begin(const struct domain_record *r, uint16_t bdf)
{
	struct host_pci_function f;
	unsigned n;

	pci_group_read();
	if (is_lent_in_part(bdf))
		return false;
	for (n = 0; pci_group_other(bdf, n, &f); n++) {
		if (is_its_own(r, &f))
			host_pci_let_go(f.bdf);
		else if (!is_idle(&f))
			continue;
		(void)control_pci_assign(DOMID_IO, f.bdf, XEN_DOMCTL_assign_device, 0);
	}
	return n > 0;
}

void control_pci_group_end(uint16_t bdf)
{
	struct host_pci_function f;

	pci_group_read();
	if (is_lent_in_part(bdf))
		return;
	for (unsigned n = 0; pci_group_other(bdf, n, &f); n++)
		if (host_pci_read(f.bdf, 0, 2) != 0xffff)
			(void)control_pci_assign(DOMID_IO, f.bdf, XEN_DOMCTL_deassign_device, 0);
	(void)control_pci_assign(DOMID_IO, bdf, XEN_DOMCTL_deassign_device, 0);
}

/* ---- a driver of ours for one of it -------------------------------------------------------------------- */

/* Whether its owner was told that it is not alone. */
static bool is_relaxed(const struct host_pci_function *f)
{
	const struct config_pci *pci = NULL;

	for (const struct domain_record *r = control_first(); r && !pci; r = r->next)
		if (r->pub.domid == f->guest)
			pci = config_find_pci(r->pub.config, 0, f->bdf);
	return pci && pci->flags & CONFIG_PCI_APART;
}

int control_pci_group_keep(uint16_t bdf)
{
	struct host_pci_function f;
	char name[PCI_NAME_MAX], other[PCI_NAME_MAX];
	unsigned n;

	pci_group_read();
	for (n = 0; pci_group_other(bdf, n, &f); n++)
		if (f.state == HOST_PCI_LENT && !is_relaxed(&f))
			return control_fail(
			    -XEN_EBUSY, "pci %s: in one group with %s, which domain %u has",
			    control_pci_name(bdf, name), control_pci_name(f.bdf, other), f.guest);
	if (n && control_pci_assign(DOMID_IO, bdf, XEN_DOMCTL_deassign_device, 0) == -XEN_EBUSY)
		return control_fail(-XEN_EBUSY, "pci %s: to the IOMMU it is one with a domain's",
				    control_pci_name(bdf, name));
	return 0;
}
