/* ctl_pci.c: the commands on PCI functions: their words, and what they do by control_pci.h.
 *
 * As ctl_net.c, for functions of the machine. Worker context. Caller: ctl_commands.c. Calls control_pci.h, pciback.h for what
 * guests do with theirs, pci_reset.h, ctl_table.h.
 */
#include <amphi/control_pci.h>
#include <amphi/pciback.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "control_pci.h"
#include "ctl_run.h"
#include "ctl_table.h"
#include "pci_group.h"
#include "pci_reset.h"

int ctl_pci_attach(struct run *r)
{
	return ctl_attach(r, control_pci_attach);
}

int ctl_pci_detach(struct run *r)
{
	return ctl_detach(r, "FUNCTION", control_pci_detach);
}

int ctl_pci_free(struct run *r)
{
	return control_pci_free(r->argv[1]);
}

int ctl_pci_keep(struct run *r)
{
	return control_pci_keep(r->argv[1]);
}

int ctl_sriov(struct run *r)
{
	uint64_t n;
	int got;

	if (!str_to_u64(r->argv[1], &n) || !n || n > 64)
		return control_fail(-XEN_EINVAL, "'%s' is no number from 1 to 64", r->argv[1]);
	got = control_pci_virtual(r->argv[2], (unsigned)n);
	if (got > 0 && !r->out->json)
		ctl_line(r->out, "%d virtual functions", got);
	return got < 0 ? got : 0;
}

/* ---- the functions of domains ---------------------------------------------------------------- */

static const struct ctl_column list_columns[] = {
    {"NAME", "name", -16, CTL_TEXT},       {"FUNCTION", "function", -8, CTL_TEXT},
    {"AS", "as", -12, CTL_TEXT},           {"STATE", "state", 5, CTL_NUMBER},
    {"VECTORS", "vectors", 7, CTL_NUMBER}, {"OPS", "operations", 8, CTL_NUMBER},
    {"REFUSED", "refused", 7, CTL_NUMBER}, {"GROUP", "group", 5, CTL_NUMBER},
};

/* What the back half knows of one function. */
struct search {
	domid_t guest;
	uint16_t bdf;
	bool found;
	struct pciback_info info;
};

static void look_at(const struct pciback_info *info, void *ctx)
{
	struct search *s = ctx;

	if (info->guest != s->guest || info->bdf != s->bdf)
		return;
	s->found = true;
	s->info = *info;
}

static uint64_t group_of(uint16_t bdf)
{
	int number = pci_group_number(bdf);

	return number < 0 ? CTL_NOTHING : (uint64_t)number;
}

static void add_function(struct ctl_answer *out, const struct control_domain *d, unsigned i)
{
	struct search s = {.guest = d->domid, .bdf = d->config->pci[i].bdf};
	struct store_device dev = pci_device();
	char name[PCI_NAME_MAX], as[16] = "-";

	pciback_for_each(look_at, &s);
	if (s.found)
		fmt_text(as, sizeof(as), "%04x:%02x:%02x.%x", s.info.guest_bus >> 8,
			 s.info.guest_bus & 0xff, s.info.guest_devfn >> 3, s.info.guest_devfn & 7);
	ctl_table_row(out, list_columns, ARRAY_SIZE(list_columns),
		      (const struct ctl_cell[]){
			  {.text = d->config->name},
			  {.text = control_pci_name(s.bdf, name)},
			  {.text = as},
			  {.number = control_store_device_state(d->domid, &dev)},
			  {.number = s.found ? s.info.vectors : CTL_NOTHING},
			  {.number = s.found ? s.info.ops : CTL_NOTHING},
			  {.number = s.found ? s.info.refused : CTL_NOTHING},
			  {.number = group_of(s.bdf)},
		      });
}

static void add_functions(struct ctl_answer *out, const struct control_domain *d)
{
	for (unsigned i = 0; i < d->config->n_pci; i++)
		add_function(out, d, i);
}

int ctl_pci_list(struct run *r)
{
	pci_group_read();
	return ctl_list(r, list_columns, ARRAY_SIZE(list_columns), add_functions);
}

/* ---- the functions of the machine ------------------------------------------------------------ */

static const struct ctl_column machine_columns[] = {
    {"FUNCTION", "function", -8, CTL_TEXT}, {"ID", "id", -9, CTL_TEXT},
    {"CLASS", "class", -6, CTL_TEXT},       {"STATE", "state", -6, CTL_TEXT},
    {"DOMAIN", "domain", 6, CTL_NUMBER},    {"OF", "of", -8, CTL_TEXT},
    {"GROUP", "group", 5, CTL_NUMBER},      {"RESET", "reset", -12, CTL_TEXT},
};

static void add_machine_function(struct ctl_answer *out, const struct host_pci_function *f)
{
	static const char *const states[] = {
	    [HOST_PCI_OURS] = "ours", [HOST_PCI_FREE] = "free", [HOST_PCI_LENT] = "lent"};
	char name[PCI_NAME_MAX], of[PCI_NAME_MAX] = "-", id[12], class[8], reset[PCI_RESET_TEXT];

	fmt_text(id, sizeof(id), "%04x:%04x", f->vendor, f->device);
	fmt_text(class, sizeof(class), "%06x", f->class_code);
	if (f->physical != f->bdf)
		control_pci_name(f->physical, of);
	ctl_table_row(out, machine_columns, ARRAY_SIZE(machine_columns),
		      (const struct ctl_cell[]){
			  {.text = control_pci_name(f->bdf, name)},
			  {.text = id},
			  {.text = class},
			  {.text = control_pci_lost(f->bdf) ? "gone" : states[f->state]},
			  {.number = f->state == HOST_PCI_LENT ? f->guest : CTL_NOTHING},
			  {.text = of},
			  {.number = group_of(f->bdf)},
			  {.text = control_pci_reset_ways(f->bdf, reset)},
		      });
}

int ctl_pci_assignable(struct run *r)
{
	struct host_pci_function f;

	pci_group_read();
	ctl_table_begin(r->out, machine_columns, ARRAY_SIZE(machine_columns));
	for (unsigned n = 0; host_pci_nth(n, &f); n++)
		if (!f.bridge)
			add_machine_function(r->out, &f);
	ctl_table_end(r->out);
	return 0;
}
