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

struct pf_root *pf_roots;

static struct pf_device *device_of(struct xenbus_device *bus)
{
	return container_of(bus, struct pf_device, bus);
}

struct pf_function *pf_find(uint16_t bdf)
{
	for (struct pf_root *r = pf_roots; r; r = r->next)
		for (struct pf_device *d = r->devices; d; d = d->next)
			for (struct pf_function *f = d->functions; f; f = f->next)
				if (f->bdf == bdf)
					return f;
	return NULL;
}

unsigned pcifront_count(void)
{
	unsigned n = 0;

	for (struct pf_root *r = pf_roots; r; r = r->next)
		for (struct pf_device *d = r->devices; d; d = d->next)
			for (struct pf_function *f = d->functions; f; f = f->next)
				n++;
	return n;
}

/* ---- names ------------------------------------------------------------------------------------------- */

struct name {
	uint32_t domain, bus, slot, fn;
};

/* Hexadecimal digits up to `end`, at most max. */
static bool take_hex(const char **at, char end, uint32_t max, uint32_t *out)
{
	const char *p = *at;
	uint32_t v = 0;

	for (; *p && *p != end; p++) {
		uint32_t d = *p >= '0' && *p <= '9'   ? (uint32_t)(*p - '0')
			     : *p >= 'a' && *p <= 'f' ? (uint32_t)(*p - 'a') + 10
			     : *p >= 'A' && *p <= 'F' ? (uint32_t)(*p - 'A') + 10
						      : 16;

		if (d > 15 || v * 16 + d > max)
			return false;
		v = v * 16 + d;
	}
	if (p == *at || *p != end)
		return false;
	*at = p + (end != '\0');
	*out = v;
	return true;
}

/* "0000:03:1f.07": backends write the function with two digits. */
static bool parse_name(const char *text, struct name *out)
{
	return take_hex(&text, ':', 0xffff, &out->domain) &&
	       take_hex(&text, ':', 0xff, &out->bus) && take_hex(&text, '.', 0x1f, &out->slot) &&
	       take_hex(&text, '\0', 7, &out->fn);
}

/* What the store says of function N; false when it says nothing that makes sense. */
static bool read_function(struct pf_device *dev, unsigned n, struct name *out_name,
			  uint64_t *out_state)
{
	char key[16], text[32];
	struct xenbus_number state = {key, 0, XenbusStateReconfigured, XenbusStateUnknown, false};

	fmt_text(key, sizeof(key), "vdev-%u", n);
	if (xenbus_read_text(HOST_TX_NONE, dev->bus.peer_path, key, text, sizeof(text)) <= 0)
		return false;
	if (!parse_name(text, out_name)) {
		host_log(HOST_LOG_WARN, "%s: %s is no function", dev->bus.peer_path, key);
		return false;
	}
	fmt_text(key, sizeof(key), "state-%u", n);
	return xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, &state, 1, out_state) == 0;
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
static uint8_t choose_bus(const struct pf_device *dev, const struct name *name)
{
	uint8_t bus = name->domain ? 0xff : (uint8_t)name->bus;

	for (const struct pf_function *f = dev->functions; f; f = f->next)
		if (f->domain == name->domain && f->bus == name->bus)
			return (uint8_t)(f->bdf >> 8);
	while (bus_in_use(bus))
		bus--;
	return bus;
}

static struct pf_function *find_named(struct pf_device *dev, const struct name *name)
{
	for (struct pf_function *f = dev->functions; f; f = f->next)
		if (f->domain == name->domain && f->bus == name->bus &&
		    f->devfn == (name->slot << 3 | name->fn))
			return f;
	return NULL;
}

/* One that does not tell who made it is not there. */
static void add_function(struct pf_device *dev, const struct name *name)
{
	struct pf_function *f;

	if (find_named(dev, name) || pcifront_count() == PCIFRONT_FUNCTIONS_MAX)
		return;
	f = host_alloc(sizeof(*f));
	if (!f) {
		host_log(HOST_LOG_ERROR, "%s: no memory for a function", dev->bus.path);
		return;
	}
	f->dev = dev;
	f->domain = name->domain;
	f->bus = (uint8_t)name->bus;
	f->devfn = (uint8_t)(name->slot << 3 | name->fn);
	f->bdf = (uint16_t)(choose_bus(dev, name) << 8 | f->devfn);
	f->next = dev->functions;
	dev->functions = f;
	if (pcifront_read(f->bdf, 0, 2) == 0xffff) {
		dev->functions = f->next;
		host_free(f, sizeof(*f));
		return;
	}
	host_log(HOST_LOG_INFO, "pci %02x:%02x.%x: from domain %u, %04x:%02x there", f->bdf >> 8,
		 f->bdf >> 3 & 31, f->bdf & 7, dev->bus.peer, f->domain, f->bus);
	dev->root->user->added(f->bdf);
}

/* The user has given its interrupts back, or forgotten them: what is left is the backend's part. */
static void remove_function(struct pf_device *dev, struct pf_function *f)
{
	struct pf_function **link = &dev->functions;

	dev->root->user->removing(f->bdf);
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

static void add_new(struct pf_device *dev)
{
	for (unsigned n = 0, count = read_count(dev); n < count; n++) {
		struct name name;
		uint64_t state;

		if (read_function(dev, n, &name, &state) && !is_leaving(state))
			add_function(dev, &name);
	}
}

static void remove_leaving(struct pf_device *dev)
{
	for (unsigned n = 0, count = read_count(dev); n < count; n++) {
		struct pf_function *f;
		struct name name;
		uint64_t state;

		if (!read_function(dev, n, &name, &state) || !is_leaving(state))
			continue;
		f = find_named(dev, &name);
		if (f)
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

static void pf_gone(struct xenbus_device *bus)
{
	struct pf_device *dev = device_of(bus), **link = &dev->root->devices;

	while (*link != dev)
		link = &(*link)->next;
	*link = dev->next;
	host_free(dev, sizeof(*dev));
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
					 .gone = pf_gone,
					 .reconfigure = pf_reconfigure,
					 .reconfigured = pf_reconfigured};

/* ---- the class -------------------------------------------------------------------------------------------- */

static struct xenbus_device *pf_create(struct xenbus_class *class,
				       const struct xenbus_device *found)
{
	struct pf_root *root = container_of(class, struct pf_root, class);
	struct pf_device *dev = host_alloc(sizeof(*dev));

	if (!dev) {
		host_log(HOST_LOG_ERROR, "%s: no memory", found->path);
		return NULL;
	}
	dev->bus = *found;
	dev->bus.ops = &pf_ops;
	dev->root = root;
	dev->next = root->devices;
	root->devices = dev;
	return &dev->bus;
}

static const struct xenbus_class_ops pf_class_ops = {.create = pf_create};

static bool root_stop(struct pf_root *root)
{
	struct pf_root **link = &pf_roots;

	xenbus_class_stop(&root->class);
	if (root->devices)
		return false;
	while (*link != root)
		link = &(*link)->next;
	*link = root->next;
	host_free(root, sizeof(*root));
	return true;
}

int pcifront_init(const struct pcifront_user *user)
{
	struct pf_root *root = host_alloc(sizeof(*root));
	int err;

	if (!root)
		return -XEN_ENOMEM;
	root->user = user;
	root->class.side = XENBUS_FRONT;
	root->class.root = "device/pci";
	root->class.ops = &pf_class_ops;
	root->next = pf_roots;
	pf_roots = root;
	err = xenbus_class_start(&root->class);
	if (err)
		root_stop(root);
	return err;
}

void pcifront_exit(void)
{
	while (pf_roots && root_stop(pf_roots))
		;
}
