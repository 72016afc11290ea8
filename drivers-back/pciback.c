/* pciback.c: connections by which functions are lent to guests, and the functions themselves.
 *
 * The xenbus engine takes a connection through its states; here is what happens at each. Functions belong to the directory, not
 * to the connection in it: a guest whose kernel starts anew finds them as they were given, quiet. Contract: pciback.h.
 * Called by the xenbus engine and the control domain; calls the other files of pciback.
 *
 *    open          functions claimed as the nodes say, named, published          -> InitWait
 *    connect       the front's page mapped, its port bound                       -> Connected
 *    Reconfiguring (the toolstack's word; the front has let go, and says so too)
 *                  functions that close released, new ones published             -> Reconfigured
 *    the front is Connected again                                                -> Connected
 *    disconnect    interrupts taken back, bus mastering off, the page given back -> Closed
 *    gone          functions released
 */
#include <amphi/string.h>
#include <xen/io/xenbus.h>

#include "pciback_private.h"

static struct lender *lender_of(struct xenbus_device *bus)
{
	return container_of(bus, struct lender, bus);
}

/* ---- functions ---------------------------------------------------------------------------------------- */

struct lent *lent_find(uint16_t bdf)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&lend_kind, bus));)
		for (struct lent *f = lender_of(bus)->functions; f; f = f->next)
			if (f->bdf == bdf)
				return f;
	return NULL;
}

static unsigned count_functions(const struct lender *l)
{
	unsigned n = 0;

	for (const struct lent *f = l->functions; f; f = f->next)
		n++;
	return n;
}

struct lent *lent_add(struct lender *l, uint16_t bdf, bool permissive)
{
	struct lent *f = NULL;
	int err = count_functions(l) < PCIBACK_FUNCTIONS_MAX ? 0 : -XEN_ENOSPC;

	if (lent_find(bdf))
		err = -XEN_EBUSY;
	if (!err)
		f = host_alloc(sizeof(*f));
	if (!err && !f)
		err = -XEN_ENOMEM;
	if (!err)
		err = host_pci_claim(bdf, l->bus.peer, &f->info);
	if (err) {
		host_log(HOST_LOG_ERROR, "%s: pci %02x:%02x.%x cannot be lent (%d)", l->bus.path,
			 bdf >> 8, bdf >> 3 & 31, bdf & 7, err);
		if (f)
			host_free(f, sizeof(*f));
		return NULL;
	}
	f->lender = l;
	f->bdf = bdf;
	f->permissive = permissive;
	lent_make_rows(f);
	lent_config_reset(f);
	f->next = l->functions;
	l->functions = f;
	return f;
}

/* A device that may no longer master its bus sends no message, and one that is under way comes before the vector goes. Registers
 * answer until then: Xen masks entries of an MSI-X table in them, and where it cannot, the function, for as long as it is lent. */
static void quieten(struct lent *f)
{
	lent_no_mastering(f);
	lent_interrupts_off(f);
	lent_config_reset(f);
}

void lent_remove(struct lent *f)
{
	struct lent **link = &f->lender->functions;

	quieten(f);
	lend_aer_forget(f);
	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
	host_pci_release(f->bdf, f->lender->bus.peer);
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: back from domain %u", f->bdf >> 8,
		 f->bdf >> 3 & 31, f->bdf & 7, f->lender->bus.peer);
	host_free(f, sizeof(*f));
}

int pciback_take(uint16_t bdf)
{
	struct lent *f = lent_find(bdf);

	if (!f)
		return -XEN_ENODEV;
	lend_unpublish(f);
	lent_remove(f);
	return 0;
}

/* Bus mastering first: the first message of an interrupt needs it. */
int pciback_restore(uint16_t bdf)
{
	struct lent *f = lent_find(bdf);

	if (!f)
		return 0;
	lent_config_again(f);
	return lent_interrupts_again(f);
}

void pciback_tell_failed(uint16_t bdf)
{
	struct lent *f = lent_find(bdf);

	if (f)
		(void)xenbus_write_text(HOST_TX_NONE, f->lender->bus.path, "aerState", "aerfail");
}

static struct pciback_info info_of(const struct lent *f)
{
	const struct lender *l = f->lender;

	return (struct pciback_info){
	    .guest = l->bus.peer,
	    .bdf = f->bdf,
	    .guest_bus = (uint32_t)f->name.domain << 8 | f->name.bus,
	    .guest_devfn = f->name.devfn,
	    .connected = l->page != NULL,
	    .permissive = f->permissive,
	    .masters = f->command & 4 && f->power == 0,
	    .vectors = f->n_pirqs,
	    .ops = l->ops,
	    .refused = l->refused,
	};
}

void pciback_for_each(void (*fn)(const struct pciback_info *info, void *ctx), void *ctx)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&lend_kind, bus));)
		for (struct lent *f = lender_of(bus)->functions; f; f = f->next) {
			struct pciback_info info = info_of(f);

			fn(&info, ctx);
		}
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static int lend_open(struct xenbus_device *bus)
{
	struct lender *l = lender_of(bus);

	lend_read_topology(l);
	for (struct lent *f = l->functions; f; f = f->next)
		f->publish = true;
	return lend_scan(l);
}

static int lend_connect(struct xenbus_device *bus)
{
	static const struct xenbus_number keys[] = {
	    {"pci-op-ref", 0, UINT32_MAX, 0, true},
	    {"event-channel", 1, UINT32_MAX, 0, true},
	};
	struct lender *l = lender_of(bus);
	uint64_t value[ARRAY_SIZE(keys)];
	char magic[16];
	int err = xenbus_read_numbers(HOST_TX_NONE, bus->peer_path, keys, ARRAY_SIZE(keys), value);

	if (err)
		return err;
	err = xenbus_read_text(HOST_TX_NONE, bus->peer_path, "magic", magic, sizeof(magic));
	if (err < 0 || strcmp(magic, XEN_PCI_MAGIC) != 0) {
		host_log(HOST_LOG_ERROR, "%s: no magic of ours", bus->peer_path);
		return -XEN_EINVAL;
	}
	/* What the toolstack added while the front was starting. */
	err = lend_scan(l);
	return err ? err : lend_op_begin(l, (gref_t){(uint32_t)value[0]}, (uint32_t)value[1]);
}

static bool lend_disconnect(struct xenbus_device *bus)
{
	struct lender *l = lender_of(bus);

	lend_op_end(l);
	for (struct lent *f = l->functions; f; f = f->next)
		quieten(f);
	return true;
}

static void lend_gone(struct xenbus_device *bus)
{
	struct lender *l = lender_of(bus);

	while (l->functions)
		lent_remove(l->functions);
}

/* The toolstack has changed the list, and there is no front that would have to let go first. */
static void lend_changed(struct xenbus_device *bus)
{
	static const struct xenbus_number state = {"state", 0, XenbusStateReconfigured, 0, false};
	uint64_t now;

	if (bus->state == XenbusStateConnected || bus->state == XenbusStateClosing ||
	    xenbus_read_numbers(HOST_TX_NONE, bus->path, &state, 1, &now) ||
	    now != XenbusStateReconfiguring)
		return;
	if (!lend_scan(lender_of(bus)))
		(void)xenbus_write_number(HOST_TX_NONE, bus->path, "state", bus->state);
}

static void lend_reconfigure(struct xenbus_device *bus)
{
	(void)lend_scan(lender_of(bus));
}

/* Nothing is left to do: that there is such a step makes the engine say Connected again. */
static void lend_reconfigured(struct xenbus_device *bus) {}

static const struct xenbus_ops lend_ops = {.open = lend_open,
					   .connect = lend_connect,
					   .disconnect = lend_disconnect,
					   .changed = lend_changed,
					   .gone = lend_gone,
					   .reconfigure = lend_reconfigure,
					   .reconfigured = lend_reconfigured};

struct xenbus_kind lend_kind = {.side = XENBUS_BACK,
				.root = "backend/pci",
				.device_bytes = sizeof(struct lender),
				.class_bytes = sizeof(struct xenbus_class),
				.ops = &lend_ops};

int pciback_init(void)
{
	return xenbus_class_start(xenbus_class_new(&lend_kind));
}

void pciback_exit(void)
{
	xenbus_kind_stop(&lend_kind);
}
