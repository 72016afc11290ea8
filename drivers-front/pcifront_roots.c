/* pcifront_roots.c: the buses that a backend names, and what is found on them when it names no functions.
 *
 * root_num and root-N say "domain:bus" of each bus that no other lent function leads to: one where functions are renumbered (vpci), as many as there
 * are where they have the machine's own numbers. A backend that writes vdev-N has said all there is, and its buses are but told; one that does not is
 * looked at as a machine is: function by function, bus by bus behind bridges. Called by pcifront.c; calls its pf_add, and
 * pcifront_calls.c for configuration space.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "pcifront_private.h"

#define ROOTS_MAX             PCIFRONT_FUNCTIONS_MAX
#define BUSES_MAX             64u /* looked at, of one backend */
#define REG_HEADER            0x0eu
#define REG_SECONDARY         0x19u
#define HEADER_BRIDGE         1u
#define HEADER_MULTI_FUNCTION 0x80u

/* Buses of one domain that are to be looked at, each once: a bridge may claim any number, its own included. */
struct search {
	struct pf_device *dev;
	uint16_t domain;
	uint8_t seen[256 / 8], pending[BUSES_MAX];
	unsigned n_pending, room;
};

static void want(struct search *s, uint8_t bus)
{
	if (s->seen[bus / 8] & 1u << bus % 8 || s->n_pending == s->room)
		return;
	s->seen[bus / 8] |= (uint8_t)(1u << bus % 8);
	s->pending[s->n_pending++] = bus;
}

/* The header's type; -1: nobody is there. */
static int look_at(struct search *s, const struct pci_name *name)
{
	struct pf_function *f = pf_add(s->dev, name, PF_NOT_TOLD);
	uint32_t header;

	if (!f)
		return -1;
	f->unlisted = true;
	header = pcifront_read(f->bdf, REG_HEADER, 1);
	if ((header & ~HEADER_MULTI_FUNCTION) == HEADER_BRIDGE)
		want(s, (uint8_t)pcifront_read(f->bdf, REG_SECONDARY, 1));
	return (int)header;
}

/* Without the bit in function 0 the other seven are not asked: some devices answer for all eight. */
static void look_at_device(struct search *s, uint8_t bus, unsigned slot)
{
	struct pci_name name = {s->domain, bus, (uint8_t)(slot << 3)};
	int header = look_at(s, &name);

	if (header < 0 || !(header & (int)HEADER_MULTI_FUNCTION))
		return;
	while (++name.devfn & 7)
		(void)look_at(s, &name);
}

/* How many buses that were, of `room` at most. */
static unsigned look_at_root(struct pf_device *dev, const struct pci_name *root, unsigned room)
{
	struct search s = {.dev = dev, .domain = root->domain, .room = room};

	want(&s, root->bus);
	for (unsigned next = 0; next < s.n_pending; next++)
		for (unsigned slot = 0; slot < 32; slot++)
			look_at_device(&s, s.pending[next], slot);
	return s.n_pending;
}

static bool read_root(const struct pf_device *dev, unsigned n, struct pci_name *out)
{
	char key[16], text[32];

	fmt_text(key, sizeof(key), "root-%u", n);
	if (xenbus_read_text(HOST_TX_NONE, dev->bus.peer_path, key, text, sizeof(text) - 5) <= 0)
		return false;
	memcpy(text + strlen(text), ":00.0", 6);
	return pci_name_parse(text, out);
}

/* Numbers without a bus are passed over: a backend may take one back. */
void pf_roots_look(struct pf_device *dev, bool search)
{
	static const struct xenbus_number key = {"root_num", 0, UINT32_MAX, 0, false};
	unsigned room = BUSES_MAX;
	uint64_t n;

	if (xenbus_read_numbers(HOST_TX_NONE, dev->bus.peer_path, &key, 1, &n))
		return;
	for (unsigned i = 0; i < MIN(n, ROOTS_MAX); i++) {
		struct pci_name root;

		if (!read_root(dev, i, &root))
			continue;
		host_log(HOST_LOG_INFO, "%s: bus %04x:%02x%s", dev->bus.path, root.domain, root.bus,
			 search ? ", searched" : "");
		if (search)
			room -= look_at_root(dev, &root, room);
	}
}
