/* pcifront.c: connections to a PCI backend, and the functions that come and go by them.
 *
 * Which functions there are is in the backend's directory: num_devs, and for each N below it vdev-N, what the backend calls
 * the function here, and state-N. The list is read when the connection begins and each time the toolstack changes it:
 *
 *    toolstack        backend          front
 *    state-N = 5, Reconfiguring -----> the functions that close go; Reconfiguring
 *                     Reconfigured --> new functions are added; Connected
 *                     Connected
 *
 * A function keeps what the backend calls it, not the number N, which the toolstack gives to another. Called by the kernel
 * (pcifront.h) and by the xenbus engine; calls pcifront_op.c.
 */
#include "pcifront_private.h"

#include <amphi/printf.h>
#include <amphi/string.h>
#include <xen/io/xenbus.h>

static struct pf_device *device_of(struct xenbus_device *bus)
{
	return container_of(bus, struct pf_device, bus);
}

struct pf_function *pf_find(uint16_t bdf)
{
	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&pf_kind, bus));)
		for (struct pf_function *f = device_of(bus)->functions; f; f = f->next)
			if (f->bdf == bdf)
				return f;
	return NULL;
}

bool pcifront_machine(uint16_t bdf, uint32_t *out_sbdf)
{
	const struct pf_function *f = pf_find(bdf);

	if (!f || f->machine == PF_NOT_TOLD)
		return false;
	*out_sbdf = f->machine;
	return true;
}

unsigned pcifront_count(void)
{
	unsigned n = 0;

	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&pf_kind, bus));)
		for (struct pf_function *f = device_of(bus)->functions; f; f = f->next)
			n++;
	return n;
}

unsigned pcifront_settled(void)
{
	unsigned n = 0;

	for (struct xenbus_device *bus = NULL; (bus = xenbus_next(&pf_kind, bus));)
		n += bus->state == XenbusStateConnected || bus->state == XenbusStateClosed;
	return n;
}

/* ---- names ------------------------------------------------------------------------------------------- */

/* What the store says of function N; false when it says nothing that makes sense. */
static bool read_function(struct pf_device *dev, unsigned n, struct pci_name *out_name,
			  uint64_t *out_state)
{
	char key[16], text[32];
	struct xenbus_number state = {key, 0, XenbusStateReconfigured, XenbusStateUnknown, false};

	fmt_text(key, sizeof(key), "vdev-%u", n);
	if (xenbus_read_text(HOST_TX_NONE, dev->bus.peer_path, key, text, sizeof(text)) <= 0)
		return false;
	if (!pci_name_parse(text, out_name)) {
		host_log(HOST_LOG_WARN, "%s: %s is no function", dev->bus.peer_path, key);
		return false;
	}
	fmt_text(key, sizeof(key), "state-%u", n);
	return xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, &state, 1, out_state) == 0;
}

/* dev-N is the toolstack's, by which the backend finds the function: its number in the machine, where the backend has it by no pcifront of its own. */
static uint32_t read_machine(struct pf_device *dev, unsigned n)
{
	struct pci_name name;
	char key[16], text[32];

	fmt_text(key, sizeof(key), "dev-%u", n);
	if (xenbus_read_text(HOST_TX_NONE, dev->bus.peer_path, key, text, sizeof(text)) <= 0 ||
	    !pci_name_parse(text, &name))
		return PF_NOT_TOLD;
	return (uint32_t)name.domain << 16 | (uint32_t)name.bus << 8 | name.devfn;
}

/* How many numbers to look at: a number beyond the bound is a function that is not seen. */
static unsigned read_count(struct pf_device *dev)
{
	static const struct xenbus_number key = {"num_devs", 0, UINT32_MAX, 0, false};
	uint64_t n;

	if (xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, &key, 1, &n))
		return 0;
	return (unsigned)MIN(n, PCIFRONT_FUNCTIONS_MAX);
}

/* ---- functions ---------------------------------------------------------------------------------------- */

static bool bus_in_use(uint8_t bus)
{
	for (unsigned devfn = 0; devfn < 256; devfn++)
		if (pf_find((uint16_t)(bus << 8 | devfn)))
			return true;
	return false;
}

/* All of one bus of one backend are on one bus here. At most 32 functions are on as many buses, so there is a free one. */
static uint8_t choose_bus(const struct pf_device *dev, const struct pci_name *name)
{
	uint8_t bus = name->domain ? 0xff : name->bus;

	for (const struct pf_function *f = dev->functions; f; f = f->next)
		if (f->domain == name->domain && f->bus == name->bus)
			return (uint8_t)(f->bdf >> 8);
	while (bus_in_use(bus))
		bus--;
	return bus;
}

static struct pf_function *find_named(struct pf_device *dev, const struct pci_name *name)
{
	for (struct pf_function *f = dev->functions; f; f = f->next)
		if (f->domain == name->domain && f->bus == name->bus && f->devfn == name->devfn)
			return f;
	return NULL;
}

/* One that does not tell who made it is not there. */
struct pf_function *pf_add(struct pf_device *dev, const struct pci_name *name, uint32_t machine)
{
	struct pf_function *f;

	if (find_named(dev, name) || pcifront_count() == PCIFRONT_FUNCTIONS_MAX)
		return NULL;
	f = host_alloc(sizeof(*f));
	if (!f) {
		host_log(HOST_LOG_ERROR, "%s: no memory for a function", dev->bus.path);
		return NULL;
	}
	f->dev = dev;
	f->domain = name->domain;
	f->bus = name->bus;
	f->devfn = name->devfn;
	f->machine = machine;
	f->bdf = (uint16_t)(choose_bus(dev, name) << 8 | f->devfn);
	f->next = dev->functions;
	dev->functions = f;
	if (pcifront_read(f->bdf, 0, 2) == 0xffff) {
		dev->functions = f->next;
		host_free(f, sizeof(*f));
		return NULL;
	}
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: from domain %u, %04x:%02x there", f->bdf >> 8,
		 f->bdf >> 3 & 31, f->bdf & 7, dev->bus.peer, f->domain, f->bus);
	pf_root_of(dev->bus.class)->user->added(f->bdf);
	return f;
}

/* The user has given its interrupts back, or forgotten them: what is left is the backend's part. */
static void remove_function(struct pf_device *dev, struct pf_function *f)
{
	struct pf_function **link = &dev->functions;

	pf_root_of(dev->bus.class)->user->removing(f->bdf);
	pcifront_interrupts_off(f->bdf);
	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: gone", f->bdf >> 8, f->bdf >> 3 & 31,
		 f->bdf & 7);
	host_free(f, sizeof(*f));
}

static bool is_leaving(uint64_t state)
{
	return state == XenbusStateClosing || state == XenbusStateClosed;
}

/* A number without a name is a backend's that names buses alone; and so is no list at all. */
static void add_new(struct pf_device *dev)
{
	unsigned count = read_count(dev), named = 0;

	for (unsigned n = 0; n < count; n++) {
		struct pci_name name;
		uint64_t state;

		if (!read_function(dev, n, &name, &state))
			continue;
		named++;
		if (!is_leaving(state))
			(void)pf_add(dev, &name, read_machine(dev, n));
	}
	pf_roots_look(dev, !named);
}

/* What closes, and what is listed no more: a toolstack that takes a function by force does not wait for us, and may have listed it anew since, for
 * which it has no name yet. A list that cannot be read says nothing. */
static void remove_leaving(struct pf_device *dev)
{
	unsigned count = read_count(dev);
	struct pf_function *f, *next;

	for (f = dev->functions; f; f = f->next)
		f->stays = f->unlisted || !count;
	for (unsigned n = 0; n < count; n++) {
		struct pci_name name;
		uint64_t state;

		f = read_function(dev, n, &name, &state) ? find_named(dev, &name) : NULL;
		if (f)
			f->stays = !is_leaving(state);
	}
	for (f = dev->functions; f; f = next) {
		next = f->next;
		if (!f->stays)
			remove_function(dev, f);
	}
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static int put_keys(uint32_t tx, void *ctx)
{
	struct pf_device *dev = ctx;
	const char *dir = dev->bus.path;
	int err = xenbus_write_number(tx, dir, "pci-op-ref", dev->ref.v);

	if (!err)
		err = xenbus_write_number(tx, dir, "event-channel", dev->port.v);
	return err ? err : xenbus_write_text(tx, dir, "magic", XEN_PCI_MAGIC);
}

static int pf_open(struct xenbus_device *bus)
{
	struct pf_device *dev = device_of(bus);
	int err = pf_op_begin(dev);

	return err ? err : xenbus_transaction(put_keys, dev);
}

static int pf_connect(struct xenbus_device *bus)
{
	add_new(device_of(bus));
	return 0;
}

/* A backend in these states still answers; of another nobody waits for an answer. */
static bool may_answer(const struct pf_device *dev)
{
	unsigned state = dev->bus.peer_state;

	return state == XenbusStateConnected || state == XenbusStateClosing ||
	       state == XenbusStateReconfiguring || state == XenbusStateReconfigured;
}

static bool pf_disconnect(struct xenbus_device *bus)
{
	struct pf_device *dev = device_of(bus);

	if (!may_answer(dev))
		dev->silent = true;
	while (dev->functions)
		remove_function(dev, dev->functions);
	pf_op_end(dev);
	return true;
}

static void pf_reconfigure(struct xenbus_device *bus)
{
	remove_leaving(device_of(bus));
}

static void pf_reconfigured(struct xenbus_device *bus)
{
	add_new(device_of(bus));
}

static const struct xenbus_ops pf_ops = {.open = pf_open,
					 .connect = pf_connect,
					 .disconnect = pf_disconnect,
					 .reconfigure = pf_reconfigure,
					 .reconfigured = pf_reconfigured};

struct xenbus_kind pf_kind = {.side = XENBUS_FRONT,
			      .root = "device/pci",
			      .device_bytes = sizeof(struct pf_device),
			      .class_bytes = sizeof(struct pf_root),
			      .ops = &pf_ops};

int pcifront_init(const struct pcifront_user *user)
{
	struct xenbus_class *class = xenbus_class_new(&pf_kind);

	if (class)
		pf_root_of(class)->user = user;
	return xenbus_class_start(class);
}

void pcifront_exit(void)
{
	xenbus_kind_stop(&pf_kind);
}
