/* control_store_pci.c: what the store says of a domain's PCI functions: one device with a list, as libxl writes it.
 *
 * Function i of the domain's configuration has the number i in the list, from dev-i on; when one leaves, those behind it get a
 * number less. A list that changes is announced by the backend's state: Reconfiguring. What both halves do then is in
 * pciback.h. Callers: control_store.c, control_pci_hot.c. Calls control_store.h.
 */
#include <amphi/printf.h>
#include <xen/io/xenbus.h>

#include "control_store.h"

#define BACK_DIR "/local/domain/%u/backend/pci/%u/0"

/* Of one function, in the order of libxl; those behind dev are optional. */
static const char *const keys[] = {"key", "dev", "state", "opts", "vdevfn", "vdev"};

__attribute__((format(printf, 4, 5))) static void put_numbered(struct writer *w, const char *key,
							       unsigned i, const char *fmt, ...)
{
	char name[16], value[96];
	va_list args;

	fmt_text(name, sizeof(name), "%s-%u", key, i);
	va_start(args, fmt);
	fmt_vtext(value, sizeof(value), fmt, args);
	va_end(args);
	store_put(w, name, "%s", value);
}

static void put_function(struct writer *w, unsigned i)
{
	const struct config_pci *p = &w->r->pub.config->pci[i];
	unsigned bus = p->bdf >> 8, device = p->bdf >> 3 & 31, function = p->bdf & 7;

	put_numbered(w, "key", i, "%04x:%02x:%02x.%x", p->segment, bus, device, function);
	put_numbered(w, "dev", i, "%04x:%02x:%02x.%x", p->segment, bus, device, function);
	if (p->slot != CONFIG_PCI_ANY_SLOT)
		put_numbered(w, "vdevfn", i, "%x", p->slot << 3);
	put_numbered(w, "opts", i, "msitranslate=0,power_mgmt=%d,permissive=%d,rdm_policy=%s",
		     !!(p->flags & CONFIG_PCI_POWER), !!(p->flags & CONFIG_PCI_PERMISSIVE),
		     p->flags & CONFIG_PCI_RELAXED ? "relaxed" : "strict");
	put_numbered(w, "state", i, "%d", XenbusStateInitialising);
}

void store_put_pci(struct writer *w)
{
	struct store_device dev = pci_device();
	const struct domain_config *c = w->r->pub.config;

	store_put_backend(w, &dev);
	store_put(w, "domain", "%s", c->name);
	if (c->pci_as_is)
		store_put(w, "topology", "passthrough");
	for (unsigned i = 0; i < c->n_pci; i++)
		put_function(w, i);
	store_put(w, "num_devs", "%u", c->n_pci);
	store_put_frontend(w, &dev);
}

static void put_one(struct writer *w, const void *ctx)
{
	(void)ctx;
	store_put_pci(w);
}

int control_store_add_pci(const struct domain_record *r)
{
	return store_transaction(r, put_one, NULL);
}

/* ---- changed ------------------------------------------------------------------------------- */

static void to_backend(struct writer *w)
{
	store_set_dir(w, BACK_DIR, host_own_domid(), w->r->pub.domid);
}

static void join(struct writer *w, const void *ctx)
{
	const unsigned *i = ctx;

	to_backend(w);
	put_function(w, *i);
	store_put(w, "num_devs", "%u", *i + 1);
	store_put(w, "state", "%d", XenbusStateReconfiguring);
}

int control_store_pci_join(const struct domain_record *r, unsigned i)
{
	return store_transaction(r, join, &i);
}

static void leave(struct writer *w, const void *ctx)
{
	const unsigned *i = ctx;

	to_backend(w);
	put_numbered(w, "state", *i, "%d", XenbusStateClosing);
	store_put(w, "state", "%d", XenbusStateReconfiguring);
}

int control_store_pci_leave(const struct domain_record *r, unsigned i)
{
	return store_transaction(r, leave, &i);
}

static void stay(struct writer *w, const void *ctx)
{
	const unsigned *i = ctx;

	to_backend(w);
	put_numbered(w, "state", *i, "%d", XenbusStateInitialised);
	store_put(w, "state", "%d", XenbusStateConnected);
}

/* The store is ours, and so is the worker: nobody writes between the look and the change. */
bool control_store_pci_stay(const struct domain_record *r, unsigned i)
{
	struct store_device dev = pci_device();
	domid_t id = r->pub.domid;

	return control_store_device_state(id, &dev) == XenbusStateReconfiguring &&
	       control_store_front_state(id, &dev) == XenbusStateConnected &&
	       !store_transaction(r, stay, &i);
}

/* Node KEY-FROM becomes KEY-TO; without one there is none. */
static void move_key(struct writer *w, const char *key, unsigned from, unsigned to)
{
	char name[16], value[96];
	bool is_there;

	fmt_text(name, sizeof(name), "%s-%u", key, from);
	if (!store_join(w, name))
		return;
	is_there = host_store_read(w->tx, w->path, value, sizeof(value)) >= 0;
	(void)host_store_rm(w->tx, w->path);
	if (is_there && to != from)
		put_numbered(w, key, to, "%s", value);
}

/* The configuration has them all still. The node of the one that leaves is the first to be removed: the next overwrites it. */
static void drop(struct writer *w, const void *ctx)
{
	const unsigned *gone = ctx;
	unsigned n = w->r->pub.config->n_pci;

	to_backend(w);
	for (unsigned i = *gone; i < n; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(keys); k++)
			move_key(w, keys[k], i, i == *gone ? i : i - 1);
	store_put(w, "num_devs", "%u", n - 1);
}

int control_store_pci_drop(const struct domain_record *r, unsigned i)
{
	return store_transaction(r, drop, &i);
}

unsigned control_store_pci_state(const struct domain_record *r, unsigned i)
{
	char path[STORE_PATH_MAX];

	fmt_text(path, sizeof(path), BACK_DIR "/state-%u", host_own_domid(), r->pub.domid, i);
	return store_number(path, XenbusStateReconfigured + 1, XenbusStateUnknown);
}
