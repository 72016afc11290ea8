/* pciback_nodes.c: what the toolstack says of the functions a guest has, and what the guest is told.
 *
 * The nodes are those of pciback.h. They are read as a whole each time, and each number compared with what is lent: the toolstack
 * may have given its numbers anew. Called by pciback.c; calls xenbus.h for the keys. Also here: what a guest calls a
 * function. As it is (`passthrough`), that is the machine's own number. Else (`vpci`) all are on one bus, functions of
 * one device in one slot under their own numbers, so that a driver which looks for a sister finds it; a virtual function
 * has a slot of its own.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "pciback_private.h"

#define KEY_MAX  16u
#define SLOTS    32u
#define NO_SLOT  SLOTS
#define OPTS_MAX 256u

/* ---- names ---------------------------------------------------------------------------------------------- */

/* Alone in its slot, also as number 0, whatever its own number is. */
static bool stands_alone(const struct lent *f)
{
	return f->info.always_decodes;
}

static bool slot_taken(const struct lender *l, const struct lent *but, unsigned slot)
{
	for (const struct lent *f = l->functions; f; f = f->next)
		if (f != but && f->name.devfn >> 3 == slot)
			return true;
	return false;
}

/* The slot of another function of its device. */
static unsigned sisters_slot(const struct lender *l, const struct lent *of)
{
	for (const struct lent *f = l->functions; f; f = f->next)
		if (f != of && f->bdf >> 3 == of->bdf >> 3 && !stands_alone(f))
			return f->name.devfn >> 3;
	return NO_SLOT;
}

/* There is always one: PCIBACK_FUNCTIONS_MAX is as many. */
static unsigned choose_slot(const struct lender *l, const struct lent *f, unsigned wanted)
{
	unsigned slot = stands_alone(f) ? NO_SLOT : sisters_slot(l, f);

	_Static_assert(PCIBACK_FUNCTIONS_MAX <= SLOTS, "a slot for each");
	if (slot != NO_SLOT)
		return slot;
	if (wanted < SLOTS && !slot_taken(l, f, wanted))
		return wanted;
	for (slot = 0; slot_taken(l, f, slot);)
		slot++;
	return slot;
}

static void name_function(struct lent *f, unsigned wanted_slot)
{
	const struct lender *l = f->lender;
	unsigned slot;

	if (l->as_is) {
		f->name = (struct pci_name){0, (uint8_t)(f->bdf >> 8), (uint8_t)f->bdf};
		return;
	}
	slot = choose_slot(l, f, wanted_slot);
	f->name = (struct pci_name){
	    0, 0, (uint8_t)(slot << 3 | (stands_alone(f) ? 0 : (unsigned)f->bdf & 7))};
}

/* ---- the toolstack's nodes -------------------------------------------------------------------------------- */

/* Text of KEY-N; empty when there is none. */
static void read_at(const struct lender *l, const char *key, unsigned n, char *out, size_t cap)
{
	char name[KEY_MAX];

	fmt_text(name, sizeof(name), "%s-%u", key, n);
	if (xenbus_read_text(HOST_TX_NONE, l->bus.path, name, out, cap) < 0)
		out[0] = '\0';
}

static unsigned read_count(const struct lender *l)
{
	static const struct xenbus_number key = {"num_devs", 0, UINT32_MAX, 0, false};
	uint64_t n;

	if (xenbus_read_numbers(HOST_TX_NONE, l->bus.path, &key, 1, &n))
		return 0;
	return (unsigned)MIN(n, PCIBACK_FUNCTIONS_MAX);
}

static unsigned read_state(const struct lender *l, unsigned n)
{
	char text[8];
	uint64_t state;

	read_at(l, "state", n, text, sizeof(text));
	if (!xenbus_parse_number(text, XenbusStateReconfigured, &state))
		return XenbusStateUnknown;
	return (unsigned)state;
}

/* Which function of the machine dev-N is; of segment 0 alone. */
static bool read_function(const struct lender *l, unsigned n, uint16_t *out_bdf)
{
	struct pci_name name;
	char text[32];

	read_at(l, "dev", n, text, sizeof(text));
	if (!pci_name_parse(text, &name) || name.domain) {
		host_log(HOST_LOG_ERROR, "%s: dev-%u is no function of this machine", l->bus.path,
			 n);
		return false;
	}
	*out_bdf = (uint16_t)(name.bus << 8 | name.devfn);
	return true;
}

/* "msitranslate=0,power_mgmt=0,permissive=1" */
static bool read_permissive(const struct lender *l, unsigned n)
{
	char text[OPTS_MAX];

	read_at(l, "opts", n, text, sizeof(text));
	for (const char *p = text; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (str_starts(p, "permissive=1"))
			return true;
	}
	return false;
}

static unsigned read_slot(const struct lender *l, unsigned n)
{
	char text[16];
	uint32_t devfn;

	read_at(l, "vdevfn", n, text, sizeof(text));
	if (str_starts(text, "0x"))
		return pci_name_hex(text + 2, 0xff, &devfn) ? devfn >> 3 : NO_SLOT;
	return pci_name_hex(text, 0xff, &devfn) ? devfn >> 3 : NO_SLOT;
}

void lend_read_topology(struct lender *l)
{
	char text[16];

	/* While functions have their names, these stay. */
	if (!l->functions)
		l->as_is = xenbus_read_text(HOST_TX_NONE, l->bus.path, "topology", text,
					    sizeof(text)) > 0 &&
			   !strcmp(text, "passthrough");
}

/* ---- one reading ------------------------------------------------------------------------------------------- */

static struct lent *lent_here(struct lender *l, uint16_t bdf)
{
	struct lent *f = lent_find(bdf);

	return f && f->lender == l ? f : NULL;
}

static int put_state(const struct lender *l, uint32_t tx, unsigned n, unsigned state)
{
	char key[KEY_MAX];

	fmt_text(key, sizeof(key), "state-%u", n);
	return xenbus_write_number(tx, l->bus.path, key, state);
}

/* The front has let go of it, or never had it. */
static void scan_closing(struct lender *l, unsigned n)
{
	uint16_t bdf;
	struct lent *f = read_function(l, n, &bdf) ? lent_here(l, bdf) : NULL;

	if (f)
		lent_remove(f);
	(void)put_state(l, HOST_TX_NONE, n, XenbusStateClosed);
}

static void scan_new(struct lender *l, unsigned n, bool is_new)
{
	uint16_t bdf;
	struct lent *f;

	if (!read_function(l, n, &bdf))
		return;
	f = lent_here(l, bdf);
	if (f) {
		f->number = (int)n;
		f->publish |= is_new;
		return;
	}
	f = lent_add(l, bdf, read_permissive(l, n));
	if (!f) {
		(void)put_state(l, HOST_TX_NONE, n, XenbusStateClosed);
		return;
	}
	f->number = (int)n;
	f->publish = true;
	name_function(f, read_slot(l, n));
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: lent to domain %u as %02x:%02x.%x%s", bdf >> 8,
		 bdf >> 3 & 31, bdf & 7, l->bus.peer, f->name.bus, f->name.devfn >> 3,
		 f->name.devfn & 7, f->permissive ? ", permissive" : "");
}

/* ---- what the guest is told --------------------------------------------------------------------------------- */

static int put_function(const struct lent *f, uint32_t tx)
{
	const struct lender *l = f->lender;
	char key[KEY_MAX], text[32];
	int err;

	fmt_text(key, sizeof(key), "vdev-%d", f->number);
	/* Two digits for the function: the protocol's way, which fronts know. */
	fmt_text(text, sizeof(text), "%04x:%02x:%02x.%02x", f->name.domain, f->name.bus,
		 f->name.devfn >> 3, f->name.devfn & 7);
	err = xenbus_write_text(tx, l->bus.path, key, text);
	return err ? err : put_state(l, tx, (unsigned)f->number, XenbusStateInitialised);
}

static int put_root(const struct lender *l, uint32_t tx, unsigned m, unsigned bus)
{
	char key[KEY_MAX], text[16];

	fmt_text(key, sizeof(key), "root-%u", m);
	fmt_text(text, sizeof(text), "0000:%02x", bus);
	return xenbus_write_text(tx, l->bus.path, key, text);
}

static bool on_bus(const struct lender *l, unsigned bus)
{
	for (const struct lent *f = l->functions; f; f = f->next)
		if (f->name.bus == bus)
			return true;
	return false;
}

/* Each bus once. Renumbered there is one, also while nothing is on it: a front that finds none takes that one anyway. */
static int put_roots(const struct lender *l, uint32_t tx)
{
	unsigned n = 0;
	int err = 0;

	for (unsigned bus = 0; bus < 256 && !err; bus++)
		if (on_bus(l, bus) || (!l->as_is && bus == 0))
			err = put_root(l, tx, n++, bus);
	return err ? err : xenbus_write_number(tx, l->bus.path, "root_num", n);
}

static int put_all(uint32_t tx, void *ctx)
{
	struct lender *l = ctx;
	int err = 0;

	for (struct lent *f = l->functions; f && !err; f = f->next)
		if (f->publish && f->number >= 0)
			err = put_function(f, tx);
	return err ? err : put_roots(l, tx);
}

int lend_scan(struct lender *l)
{
	unsigned count = read_count(l);
	int err;

	for (struct lent *f = l->functions; f; f = f->next)
		f->number = -1;
	/* What closes first: its name may be the next one's. */
	for (unsigned n = 0; n < count; n++)
		if (read_state(l, n) == XenbusStateClosing)
			scan_closing(l, n);
	for (unsigned n = 0; n < count; n++) {
		unsigned state = read_state(l, n);

		if (state == XenbusStateInitialising || state == XenbusStateInitialised)
			scan_new(l, n, state == XenbusStateInitialising);
	}
	err = xenbus_transaction(put_all, l);
	for (struct lent *f = l->functions; f && !err; f = f->next)
		f->publish = false;
	return err;
}

void lend_unpublish(const struct lent *f)
{
	const struct lender *l = f->lender;
	char path[STORE_PATH_MAX];
	uint16_t bdf;

	for (unsigned n = 0, count = read_count(l); n < count; n++) {
		if (!read_function(l, n, &bdf) || bdf != f->bdf)
			continue;
		fmt_text(path, sizeof(path), "%s/vdev-%u", l->bus.path, n);
		(void)host_store_rm(HOST_TX_NONE, path);
		(void)put_state(l, HOST_TX_NONE, n, XenbusStateClosed);
	}
}
