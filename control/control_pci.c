/* control_pci.c: PCI functions become a domain's, and are taken from it again.
 *
 *	given	our driver lets it go -> lent -> reset -> assigned -> its memory and ports permitted
 *	taken	made quiet -> no rights -> deassigned -> reset -> free
 *
 * Checked first is all that can be wrong: a function that is not there, is a bridge, has virtual functions, is another
 * domain's or under a disk of one, or has registers where memory or another function's are. What the guest's half and
 * pciback say to each other is not here, nor functions that come to a domain that runs (control_pci_hot.c). The same calls on Xen
 * and on amphi-hv. Worker context. Callers: control.c, control_pci_hot.c, ctl_pci.c. Calls host_pci_control.h, pci_reset.h,
 * pciback.h.
 */
#include <amphi/error_name.h>
#include <amphi/host.h>
#include <amphi/host_block.h>
#include <amphi/pciback.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_pci.h"
#include "pci_group.h"
#include "pci_reset.h"

#define CLASS_PCI_BRIDGE 0x0604u
#define REG_COMMAND      0x04u
#define BRIDGE_BUSES     0x18u
#define PORTS            0x10000u

const char *control_pci_name(uint16_t bdf, char out[PCI_NAME_MAX])
{
	(void)fmt_text(out, PCI_NAME_MAX, "%02x:%02x.%x", bdf >> 8, bdf >> 3 & 31, bdf & 7);
	return out;
}

bool control_pci_find(uint16_t bdf, struct host_pci_function *out)
{
	for (unsigned n = 0; host_pci_nth(n, out); n++)
		if (out->bdf == bdf)
			return true;
	return false;
}

/* Its command register: a virtual function's identity reads as nobody's all the time. */
bool control_pci_lost(uint16_t bdf)
{
	return host_pci_read(bdf, REG_COMMAND, 2) == 0xffff;
}

/* ---- what may be wrong with it ---------------------------------------------------------------------- */

/* Told with the domain's and the function's name. */
static int refuse(const struct domain_record *r, uint16_t bdf, int err, const char *why)
{
	char name[PCI_NAME_MAX];

	return control_fail(err, "%s: pci %s: %s", r->pub.config->name, control_pci_name(bdf, name),
			    why);
}

/* A domain that has a disk on it. */
static const struct domain_record *disk_user(uint16_t bdf)
{
	for (const struct domain_record *r = control_first(); r; r = r->next) {
		const struct domain_config *c = r->pub.config;

		for (unsigned i = 0; i < c->n_disks; i++) {
			const struct block_device *dev =
			    c->disks[i].backend[0] ? NULL : control_find_disk(c->disks[i].target);

			while (dev && dev->whole)
				dev = dev->whole;
			if (dev && dev->pci == bdf)
				return r;
		}
	}
	return NULL;
}

int control_pci_check_idle(uint16_t bdf)
{
	const struct domain_record *user = disk_user(bdf);
	struct host_pci_function other;
	char name[PCI_NAME_MAX];

	for (unsigned n = 0; host_pci_nth(n, &other); n++)
		if (other.physical == bdf && other.bdf != bdf)
			return control_fail(-XEN_EBUSY, "pci %s: it has virtual functions",
					    control_pci_name(bdf, name));
	return user ? control_fail(-XEN_EBUSY, "pci %s: %s has a disk on it",
				   control_pci_name(bdf, name), user->pub.config->name)
		    : 0;
}

static int check_user(const struct domain_record *r, const struct config_pci *pci,
		      const struct host_pci_function *f)
{
	char why[32];

	if (f->state == HOST_PCI_OURS && pci->flags & CONFIG_PCI_ASK)
		return refuse(r, f->bdf, -XEN_EBUSY,
			      "is the machine's own, and seize=0: pci-assignable-add it");
	if (f->state != HOST_PCI_LENT)
		return f->state == HOST_PCI_OURS ? control_pci_check_idle(f->bdf) : 0;
	fmt_text(why, sizeof(why), "domain %u has it", f->guest);
	return refuse(r, f->bdf, -XEN_EBUSY, why);
}

/* Rights to memory are of whole pages: what shares a page is shared. */
static void widen(const struct host_pci_range *in, uint64_t *first, uint64_t *last)
{
	*first = in->ports ? in->start : in->start >> PAGE_SHIFT;
	*last = in->start + in->bytes - 1;
	if (!in->ports)
		*last >>= PAGE_SHIFT;
}

static bool overlap(const struct host_pci_range *a, const struct host_pci_range *b)
{
	uint64_t first_a, last_a, first_b, last_b;

	if (!a->bytes || !b->bytes || a->ports != b->ports)
		return false;
	widen(a, &first_a, &last_a);
	widen(b, &first_b, &last_b);
	return first_a <= last_b && first_b <= last_a;
}

/* One of a function's registers, and where it is. */
struct bar {
	const struct host_pci_function *f;
	unsigned n;
};

static const struct host_pci_range *range_of(const struct bar *bar)
{
	return &bar->f->ranges[bar->n];
}

/* What is wrong with it: "BAR 0 (fe000000-fe003fff) ...". */
static int refuse_bar(const struct domain_record *r, const struct bar *bar, const char *what)
{
	const struct host_pci_range *range = range_of(bar);
	char why[112];

	fmt_text(why, sizeof(why), "BAR %u (%s%llx-%llx) %s", bar->n, range->ports ? "ports " : "",
		 (unsigned long long)range->start,
		 (unsigned long long)(range->start + range->bytes - 1), what);
	return refuse(r, bar->f->bdf, -XEN_EINVAL, why);
}

static int check_others(const struct domain_record *r, const struct bar *bar)
{
	struct host_pci_function other;
	char what[48], name[PCI_NAME_MAX];

	for (unsigned n = 0; host_pci_nth(n, &other); n++) {
		for (unsigned i = 0; other.bdf != bar->f->bdf && i < HOST_PCI_BARS; i++) {
			if (!overlap(range_of(bar), &other.ranges[i]))
				continue;
			fmt_text(what, sizeof(what), "is among BAR %u of %s (%llx)", i,
				 control_pci_name(other.bdf, name),
				 (unsigned long long)other.ranges[i].start);
			return refuse_bar(r, bar, what);
		}
	}
	return 0;
}

/* As XENMEM_machine_memory_map gives the firmware's map; all but what firmware keeps for itself or knows nothing of is memory. */
struct map_entry {
	uint64_t start, bytes;
	uint32_t type;
} __attribute__((packed));
#define MAP_ENTRIES  128u
#define MAP_RESERVED 2u

/* A map that cannot be had counts as memory everywhere. */
static bool find_memory(const struct host_pci_range *range, struct map_entry *entries,
			struct host_pci_range *out)
{
	struct xen_memory_map map = {.nr_entries = MAP_ENTRIES};

	*out = (struct host_pci_range){.bytes = ~0ull};
	set_xen_guest_handle(map.buffer, (void *)entries);
	if (host_memory_op(XENMEM_machine_memory_map, &map))
		return true;
	for (unsigned i = 0; i < map.nr_entries && i < MAP_ENTRIES; i++) {
		*out = (struct host_pci_range){entries[i].start, entries[i].bytes, false};
		if (entries[i].type != MAP_RESERVED && overlap(range, out))
			return true;
	}
	return false;
}

static int check_memory(const struct domain_record *r, const struct bar *bar)
{
	struct map_entry *entries = host_alloc(MAP_ENTRIES * sizeof(*entries));
	struct host_pci_range memory;
	char what[64];
	bool bad;

	if (!entries)
		return -XEN_ENOMEM;
	bad = find_memory(range_of(bar), entries, &memory);
	host_free(entries, MAP_ENTRIES * sizeof(*entries));
	fmt_text(what, sizeof(what), "is where memory is (%llx-%llx)",
		 (unsigned long long)memory.start,
		 (unsigned long long)(memory.start + memory.bytes - 1));
	return bad ? refuse_bar(r, bar, what) : 0;
}

static int check_bar(const struct domain_record *r, const struct bar *bar)
{
	const struct host_pci_range *range = range_of(bar);
	int err;

	if (!range->bytes)
		return 0;
	if (!range->start || range->start + range->bytes < range->start ||
	    (range->ports && range->start + range->bytes > PORTS))
		return refuse_bar(r, bar, "has no address");
	err = check_others(r, bar);
	return err || range->ports ? err : check_memory(r, bar);
}

static int check_bars(const struct domain_record *r, const struct host_pci_function *f)
{
	int err = 0;

	for (unsigned i = 0; i < HOST_PCI_BARS && !err; i++)
		err = check_bar(r, &(struct bar){f, i});
	return err;
}

/* ---- what the hypervisor says ----------------------------------------------------------------------- */

int control_pci_assign(domid_t domid, uint16_t bdf, uint32_t cmd, uint32_t flags)
{
	struct xen_domctl op = {.cmd = cmd, .domain = domid};

	op.u.assign_device.dev = XEN_DOMCTL_DEV_PCI;
	op.u.assign_device.flags = flags;
	op.u.assign_device.u.pci.machine_sbdf = bdf;
	return host_domctl(&op);
}

/* The usual reasons, in words. Before there is a domain it is asked what it would say to any. */
static int tell_assign(const struct domain_record *r, uint16_t bdf, int err)
{
	bool no_unit = err == -XEN_ENODEV || err == -XEN_ENOSYS ||
		       (err == -XEN_EOPNOTSUPP && r->pub.domid == DOMID_INVALID);
	char why[112];

	fmt_text(why, sizeof(why), "the hypervisor does not assign it: %s%s", error_name(err),
		 err == -XEN_EXDEV            ? ": to the IOMMU it is one with another's"
		 : no_unit                    ? ": there is no IOMMU for it"
		 : r->pub.config->passthrough ? ""
					      : "; Xen wants passthrough=\"enabled\" in the "
						"domain's file");
	return refuse(r, bdf, err, why);
}

static uint32_t flags_of(const struct config_pci *pci)
{
	return pci->flags & CONFIG_PCI_RELAXED ? XEN_DOMCTL_DEV_RDM_RELAXED : 0;
}

static int check_assign(const struct domain_record *r, const struct config_pci *pci)
{
	int err = control_pci_assign(r->pub.domid, pci->bdf, XEN_DOMCTL_test_assign_device,
				     flags_of(pci));

	return err ? tell_assign(r, pci->bdf, err) : 0;
}

int control_pci_check(const struct domain_record *r, const struct config_pci *pci)
{
	struct host_pci_function f;
	int err;

	if (host_pci_why_not())
		return refuse(r, pci->bdf, -XEN_EOPNOTSUPP, host_pci_why_not());
	if (pci->segment || !control_pci_find(pci->bdf, &f))
		return refuse(r, pci->bdf, -XEN_ENODEV,
			      pci->segment ? "there is one segment, 0" : "is not there");
	if (f.bridge)
		return refuse(r, pci->bdf, -XEN_EINVAL, "is a bridge");
	if (control_pci_lost(pci->bdf))
		return refuse(r, pci->bdf, -XEN_ENODEV, "is not there any more");
	err = check_user(r, pci, &f);
	if (!err)
		err = check_bars(r, &f);
	if (!err)
		err = control_pci_line_check(r, &f);
	if (!err)
		err = control_pci_group_check(r, pci);
	/* In a group the answer is true only when the others are nobody's. */
	return err || control_pci_is_grouped(pci->bdf) ? err : check_assign(r, pci);
}

/* ---- the hypervisor's part -------------------------------------------------------------------------- */

static int permit_range(domid_t domid, const struct host_pci_range *range, bool allow)
{
	struct xen_domctl op = {.domain = domid};
	uint64_t first, last;

	widen(range, &first, &last);
	if (range->ports) {
		op.cmd = XEN_DOMCTL_ioport_permission;
		op.u.ioport_permission.first_port = (uint32_t)first;
		op.u.ioport_permission.nr_ports = (uint32_t)(last - first + 1);
		op.u.ioport_permission.allow_access = allow;
	} else {
		op.cmd = XEN_DOMCTL_iomem_permission;
		op.u.iomem_permission.first_mfn = first;
		op.u.iomem_permission.nr_mfns = last - first + 1;
		op.u.iomem_permission.allow_access = allow;
	}
	return host_domctl(&op);
}

static int permit(domid_t domid, const struct host_pci_function *f, bool allow)
{
	int err = 0, first_err = 0;

	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		if (f->ranges[i].bytes)
			err = permit_range(domid, &f->ranges[i], allow);
		if (err && !first_err)
			first_err = err;
		if (err && allow)
			break;
	}
	return first_err;
}

/* ---- resets ----------------------------------------------------------------------------------------- */

uint16_t control_pci_bridge(uint16_t bdf)
{
	uint16_t bridge = PCI_RESET_NO_BRIDGE;
	struct host_pci_function f;

	for (unsigned n = 0; host_pci_nth(n, &f); n++) {
		if (f.bdf >> 8 == bdf >> 8 && f.bdf != bdf)
			return PCI_RESET_NO_BRIDGE;
		if (f.class_code >> 8 == CLASS_PCI_BRIDGE &&
		    (host_pci_read(f.bdf, BRIDGE_BUSES, 4) >> 8 & 0xff) == bdf >> 8)
			bridge = f.bdf;
	}
	return bridge;
}

const char *control_pci_reset_ways(uint16_t bdf, char *out)
{
	return pci_reset_text(pci_reset_ways(bdf, control_pci_bridge(bdf)), out);
}

/* One that cannot be reset is given all the same, as elsewhere, and it is said: its last owner may have left something in
 * it. One that does not come back is of no use to anybody. */
static int reset(const struct domain_record *r, uint16_t bdf, const char *when)
{
	uint16_t bridge = control_pci_bridge(bdf);
	unsigned ways = pci_reset_ways(bdf, bridge);
	char text[PCI_RESET_TEXT], name[PCI_NAME_MAX];
	int err = control_pci_lost(bdf) ? -XEN_ENODEV : pci_reset(bdf, bridge);

	control_pci_name(bdf, name);
	if (err == -XEN_EOPNOTSUPP)
		host_log(HOST_LOG_WARN, "%s: pci %s: %s: there is no way to reset it",
			 r->pub.config->name, name, when);
	else if (err)
		return control_fail(err, "%s: pci %s: %s: %s", r->pub.config->name, name, when,
				    err == -XEN_ENODEV ? "is not there any more"
						       : "does not come back from a reset");
	else
		host_log(HOST_LOG_INFO, "%s: pci %s: %s: reset (possible: %s)", r->pub.config->name,
			 name, when, pci_reset_text(ways, text));
	return 0;
}

/* ---- given and taken -------------------------------------------------------------------------------- */

static void take(const struct domain_record *r, uint16_t bdf, const struct host_pci_function *f)
{
	int err;

	(void)pciback_take(bdf); /* that has let it go, or had its time */
	pci_quiet(bdf);
	control_pci_line_take(r, f);
	(void)permit(r->pub.domid, f,
		     false); /* of a domain that is dead already it does not matter */
	err = control_pci_assign(r->pub.domid, bdf, XEN_DOMCTL_deassign_device, 0);
	if (err && err != -XEN_ESRCH)
		(void)refuse(r, bdf, err, "the hypervisor does not take it back");
	/* amphi-hv makes it nobody's, who reaches nothing, until it is asked for; real Xen has given it back already. */
	if (!reset(r, bdf, "taken"))
		control_pci_group_end(bdf);
	host_pci_back(bdf);
}

static int give(struct domain_record *r, const struct config_pci *pci)
{
	struct host_pci_function f;
	int err;

	host_pci_let_go(pci->bdf);
	if (!control_pci_find(pci->bdf, &f))
		return refuse(r, pci->bdf, -XEN_ENODEV, "is not there any more");
	err = check_bars(r, &f); /* as they are now that it is free */
	if (!err)
		err = reset(r, pci->bdf, "given");
	if (err)
		return err;
	pci_group_after_reset(pci->bdf);
	err = host_pci_lend(pci->bdf, r->pub.domid);
	if (err)
		return refuse(r, pci->bdf, err, "the hypervisor does not take its MSI-X table");
	err = control_pci_assign(r->pub.domid, pci->bdf, XEN_DOMCTL_assign_device, flags_of(pci));
	if (err) {
		host_pci_back(pci->bdf);
		return tell_assign(r, pci->bdf, err);
	}
	err = permit(r->pub.domid, &f, true);
	if (err) {
		take(r, pci->bdf, &f);
		return refuse(r, pci->bdf, err, "the domain cannot have its registers");
	}
	err = control_pci_line_give(r, &f);
	if (err) {
		take(r, pci->bdf, &f);
		return err;
	}
	return 0;
}

int control_pci_give(struct domain_record *r, unsigned i)
{
	const struct config_pci *pci = &r->pub.config->pci[i];
	int err = control_pci_check(r, pci);
	bool begun;

	if (err)
		return err;
	begun = control_pci_group_begin(r, pci->bdf);
	err = give(r, pci);
	if (!err)
		r->pci_given |= 1u << i;
	else if (begun)
		control_pci_group_end(pci->bdf);
	return err;
}

void control_pci_take(struct domain_record *r, unsigned i)
{
	uint16_t bdf = r->pub.config->pci[i].bdf;
	struct host_pci_function f = {.bdf = bdf};

	if (!(r->pci_given & 1u << i))
		return;
	r->pci_given &= ~(1u << i);
	control_pci_calm(bdf);
	(void)control_pci_find(bdf, &f); /* one that has vanished has nothing to be taken */
	take(r, bdf, &f);
}

int control_pci_check_all(const struct domain_record *r)
{
	int err = 0;

	for (unsigned i = 0; i < r->pub.config->n_pci && !err; i++)
		err = control_pci_check(r, &r->pub.config->pci[i]);
	return err;
}

/* Nobody can write down what is in them. */
int control_pci_check_none(const struct domain_record *r)
{
	const struct domain_config *c = r->pub.config;
	char names[CONFIG_MAX_PCI * (PCI_NAME_MAX + 1)], name[PCI_NAME_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < c->n_pci; i++, len = strlen(names))
		fmt_text(names + len, sizeof(names) - len, " %s",
			 control_pci_name(c->pci[i].bdf, name));
	return c->n_pci ? control_fail(-XEN_EOPNOTSUPP,
				       "%s: cannot be saved with PCI functions: pci-detach%s",
				       c->name, names)
			: 0;
}

int control_pci_give_all(struct domain_record *r)
{
	int err = 0;

	for (unsigned i = 0; i < r->pub.config->n_pci && !err; i++)
		err = control_pci_give(r, i);
	return err;
}

/* In reverse order of their giving. */
void control_pci_take_all(struct domain_record *r)
{
	for (unsigned i = r->pub.config->n_pci; i-- > 0;)
		control_pci_take(r, i);
}
