/* pci.c: PCI functions, their BARs and capabilities, through type-1 configuration access.
 *
 * Buses are reached through bridges, as the firmware numbered them: nothing is renumbered or resized.
 * What a device says of itself is not believed further than configuration space reaches: capability
 * lists are walked with a bound. Callers: drivers.c and the drivers. Calls machine.h.
 */
#include <amphi/machine.h>
#include <amphi/pci.h>
#include <amphi/xen.h>

enum {
	REG_ID = 0x00,
	REG_COMMAND = 0x04,
	REG_CLASS = 0x08,
	REG_HEADER = 0x0e,
	REG_BAR0 = 0x10,
	REG_BUSES = 0x18
};

#define EXT_FIRST 0x100u
#define EXT_LAST  0xffcu

#define COMMAND_PORTS         0x1u
#define COMMAND_MEMORY        0x2u
#define COMMAND_MASTER        0x4u
#define COMMAND_INTX_OFF      0x400u
#define HEADER_BRIDGE         1u
#define HEADER_MULTI_FUNCTION 0x80u

#define MSIX_CONTROL_ENABLE   (1u << 15) /* in the word after the capability's id and link */
#define MSIX_CONTROL_MASK_ALL (1u << 14)
#define MSIX_ENTRY_WORDS      4u

#define MSI_CONTROL_ENABLE      1u
#define MSI_CONTROL_MESSAGES    (7u << 4)
#define MSI_CONTROL_MESSAGES_AT 4u
#define MSI_CONTROL_64          (1u << 7)
#define MSI_CONTROL_MASKS       (1u << 8)
#define MSI_LOG2_MAX            5u

/* A fixed table, so that a scan needs no memory. What is beyond is not found. */
static struct pci_function found[PCI_FUNCTIONS_MAX];
static unsigned n_found;
/* One bit a bus. A bridge may claim any number, its own included: without this the scan of a
 * function that lies would not end. */
static uint8_t bus_seen[256 / 8];

void pci_add(const struct pci_function *f)
{
	if (n_found < PCI_FUNCTIONS_MAX)
		found[n_found++] = *f;
}

static struct pci_function describe(uint16_t bdf, uint32_t id)
{
	return (struct pci_function){
	    .bdf = bdf,
	    .vendor = (uint16_t)id,
	    .device = (uint16_t)(id >> 16),
	    .class_code = machine_pci_read(bdf, REG_CLASS, 4) >> 8,
	    .physical = bdf,
	};
}

static void add_function(uint16_t bdf, uint32_t id)
{
	struct pci_function f = describe(bdf, id);

	pci_add(&f);
}

/* One that was here before has its place again: nobody uses that any more. */
const struct pci_function *pci_look(uint16_t bdf)
{
	uint32_t id = machine_pci_read(bdf, REG_ID, 4);
	unsigned n = 0;

	if ((uint16_t)id == 0xffff)
		return NULL;
	while (n < n_found && found[n].bdf != bdf)
		n++;
	if (n == PCI_FUNCTIONS_MAX)
		return NULL;
	found[n] = describe(bdf, id);
	n_found = MAX(n_found, n + 1);
	return &found[n];
}

/* Looks at one function; *pending collects the buses behind bridges. False when it is not there. */
static bool look_at(uint16_t bdf, uint8_t *pending, unsigned *n_pending)
{
	/* All ones is what a read of nobody gives; no vendor has that number (PCI 3.0, 6.2.1). */
	uint32_t id = machine_pci_read(bdf, REG_ID, 4);

	if ((uint16_t)id == 0xffff)
		return false;
	add_function(bdf, id);
	if ((machine_pci_read(bdf, REG_HEADER, 1) & ~HEADER_MULTI_FUNCTION) == HEADER_BRIDGE) {
		uint8_t bus = (uint8_t)(machine_pci_read(bdf, REG_BUSES, 4) >> 8);

		if (!(bus_seen[bus / 8] & 1u << bus % 8)) {
			bus_seen[bus / 8] |= (uint8_t)(1u << bus % 8);
			pending[(*n_pending)++] = bus; /* each bus once: at most 256 */
		}
	}
	return true;
}

/* Without the bit in function 0 the other seven are not asked: some devices answer for all eight.
 * With it they need not be consecutive, so each is asked. */
static void scan_device(uint16_t bdf, uint8_t *pending, unsigned *n_pending)
{
	if (!look_at(bdf, pending, n_pending) ||
	    !(machine_pci_read(bdf, REG_HEADER, 1) & HEADER_MULTI_FUNCTION))
		return;
	for (uint16_t fn = 1; fn < 8; fn++)
		look_at((uint16_t)(bdf | fn), pending, n_pending);
}

/* A work list instead of recursion: a device that claims strange bus numbers costs no stack. */
static void scan_bus(unsigned first_bus)
{
	static uint8_t pending[256];
	unsigned n_pending = 0;

	bus_seen[first_bus / 8] |= (uint8_t)(1u << first_bus % 8);
	pending[n_pending++] = (uint8_t)first_bus;
	for (unsigned next = 0; next < n_pending; next++)
		for (unsigned dev = 0; dev < 32; dev++)
			scan_device((uint16_t)(pending[next] << 8 | dev << 3), pending, &n_pending);
}

unsigned pci_scan(void)
{
	n_found = 0;
	for (unsigned i = 0; i < sizeof(bus_seen); i++)
		bus_seen[i] = 0;
	scan_bus(0);
	return n_found;
}

const struct pci_function *pci_get(unsigned n)
{
	return n < n_found ? &found[n] : NULL;
}

unsigned pci_find_capability(const struct pci_function *f, unsigned id, unsigned after)
{
	return pci_cap_find(machine_pci_read, f->bdf, id, after);
}

/* Each header has the next one's offset in its upper 12 bits; the walk is bounded by how many there is room for. */
unsigned pci_find_extended(uint16_t bdf, uint32_t id)
{
	unsigned at = EXT_FIRST;

	for (unsigned n = 0; n < EXT_LAST / 8 && at >= EXT_FIRST && at <= EXT_LAST; n++) {
		uint32_t header = machine_pci_read(bdf, at, 4);

		if (header == ~0u || !header)
			return 0;
		if ((header & 0xffff) == id)
			return at;
		at = header >> 20 & ~3u;
	}
	return 0;
}

bool pci_bar(const struct pci_function *f, unsigned n, maddr_t *out_start)
{
	uint32_t low, high = 0;

	if (n > 5 || (f->virtual_bar.v && n))
		return false;
	*out_start = f->virtual_bar;
	if (out_start->v)
		return true;
	low = machine_pci_read(f->bdf, REG_BAR0 + 4 * n, 4);
	if (low & 1) /* I/O ports */
		return false;
	/* Bits 2:1 = 10b: the next register is the upper half (PCI 3.0, 6.2.5.1). The last one has
	 * no next. */
	if ((low & 6) == 4 && n < 5)
		high = machine_pci_read(f->bdf, REG_BAR0 + 4 * n + 4, 4);
	out_start->v = (uint64_t)high << 32 | (low & ~0xfu);
	return out_start->v != 0;
}

bool pci_io_bar(const struct pci_function *f, unsigned n, uint16_t *out_port)
{
	uint32_t low = n > 5 ? 0 : machine_pci_read(f->bdf, REG_BAR0 + 4 * n, 4);

	*out_port = (uint16_t)(low & ~3u);
	return low & 1 && *out_port;
}

/* Bus mastering here and not by the firmware's grace: a device may have been left without. INTx
 * goes off, as all our interrupts are MSI-X and nobody would ever acknowledge the line. */
void pci_enable(const struct pci_function *f)
{
	uint32_t command = machine_pci_read(f->bdf, REG_COMMAND, 2);

	machine_pci_write(f->bdf, REG_COMMAND, 2,
			  command | COMMAND_PORTS | COMMAND_MEMORY | COMMAND_MASTER |
			      COMMAND_INTX_OFF);
}

/* Its registers go on to answer: whoever has set its MSI-X table up masks the entries there when it takes them back, and Xen
 * would mask the whole function for good where it cannot. */
void pci_disable(const struct pci_function *f)
{
	uint32_t command = machine_pci_read(f->bdf, REG_COMMAND, 2);

	machine_pci_write(f->bdf, REG_COMMAND, 2, command & ~COMMAND_MASTER);
}

int pci_msix_find(const struct pci_function *f, struct pci_msix *out)
{
	maddr_t bar;
	uint32_t where;

	*out = (struct pci_msix){.cap = pci_find_capability(f, PCI_CAP_MSIX, 0)};
	if (!out->cap || out->cap + 8 > PCI_CAP_LAST)
		return -XEN_ENODEV;
	/* Message control: size of the table less one. Then the table's offset, with the number of
	 * its BAR in the low three bits (PCI 3.0, 6.8.2). */
	out->entries = (machine_pci_read(f->bdf, out->cap, 4) >> 16 & 0x7ff) + 1;
	where = machine_pci_read(f->bdf, out->cap + 4, 4);
	if (!pci_bar(f, where & 7, &bar))
		return -XEN_ENODEV;
	out->bar = bar;
	out->table = (maddr_t){bar.v + (where & ~7u)};
	return 0;
}

/* The table is mapped only when we are the one who writes it: under a hypervisor it is not ours. */
static int write_entry(struct pci_msix *msix, const struct machine_msi *msi)
{
	volatile uint32_t *entry;

	if (!msix->regs)
		msix->regs = machine_mmio_map(msix->table,
					      msix->entries * MSIX_ENTRY_WORDS * sizeof(uint32_t));
	if (!msix->regs)
		return -XEN_ENOMEM;
	/* The entry is masked from reset, and the function's MSI-X is off: no message goes out with
	 * half an address. The mask bit is written last. */
	entry = msix->regs + msi->entry * MSIX_ENTRY_WORDS;
	entry[0] = (uint32_t)msi->address;
	entry[1] = (uint32_t)(msi->address >> 32);
	entry[2] = msi->data;
	entry[3] = 0; /* not masked */
	return 0;
}

/* The control word is written two bytes wide: Xen lets its first domain write it in no other way. It is
 * turned on last: Xen corrects a function that it finds on. */
int pci_msix_bind(const struct pci_function *f, struct pci_msix *msix, unsigned entry,
		  void (*fn)(void *ctx), void *ctx)
{
	struct machine_msi msi = {.bdf = f->bdf,
				  .entry = entry,
				  .entries = msix->entries,
				  .table = msix->table,
				  .table_bar = msix->bar,
				  .fn = fn,
				  .ctx = ctx};
	uint32_t control;
	int err;

	if (entry >= msix->entries)
		return -XEN_EINVAL;
	err = machine_msi_bind(&msi);
	if (!err && msi.write_entry)
		err = write_entry(msix, &msi);
	if (err)
		return err;
	control = machine_pci_read(f->bdf, msix->cap + 2, 2);
	machine_pci_write(f->bdf, msix->cap + 2, 2,
			  (control | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK_ALL);
	return 0;
}

/* The lowest bits of the data stay 0: the function puts a message's number there. */
static void write_message(const struct pci_function *f, unsigned cap, uint32_t control,
			  const struct machine_msi *msi)
{
	unsigned wide = control & MSI_CONTROL_64 ? 4 : 0;

	machine_pci_write(f->bdf, cap + 4, 4, (uint32_t)msi->address);
	if (wide)
		machine_pci_write(f->bdf, cap + 8, 4, (uint32_t)(msi->address >> 32));
	machine_pci_write(f->bdf, cap + 8 + wide, 2, msi->data);
	if (control & MSI_CONTROL_MASKS && cap + 16 + wide <= 256)
		machine_pci_write(f->bdf, cap + 12 + wide, 4, 0);
}

/* Message control, then the address in one or two words (bit 7 of it), then the data, then masks (PCI 3.0, 6.8.1). So many messages
 * are enabled, whatever the function could have. */
int pci_msis_bind(const struct pci_function *f, unsigned wanted, void (*fn)(void *ctx), void *ctx,
		  size_t stride_bytes)
{
	struct machine_msi msi = {.bdf = f->bdf, .fn = fn, .ctx = ctx, .stride = stride_bytes};
	unsigned cap = pci_find_capability(f, PCI_CAP_MSI, 0), log2;
	uint32_t control;
	int err = -XEN_EINVAL;

	if (!cap || cap + 14 > PCI_CAP_LAST)
		return -XEN_ENODEV;
	control = machine_pci_read(f->bdf, cap + 2, 2);
	log2 = MIN(control >> 1 & 7, MSI_LOG2_MAX) + 1;
	while (err && log2-- > 0) {
		msi.messages = 1u << log2;
		if (msi.messages <= wanted)
			err = machine_msi_bind(&msi);
	}
	if (err)
		return err;
	if (msi.write_entry)
		write_message(f, cap, control, &msi);
	control = (control & ~MSI_CONTROL_MESSAGES) | log2 << MSI_CONTROL_MESSAGES_AT;
	machine_pci_write(f->bdf, cap + 2, 2, control | MSI_CONTROL_ENABLE);
	return (int)msi.messages;
}

int pci_msi_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx)
{
	return MIN(pci_msis_bind(f, 1, fn, ctx, 0), 0);
}

/* The line is let through last: somebody hears it. */
int pci_line_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx)
{
	int err = machine_line_bind(f->bdf, fn, ctx);

	if (!err)
		machine_pci_write(f->bdf, REG_COMMAND, 2,
				  machine_pci_read(f->bdf, REG_COMMAND, 2) & ~COMMAND_INTX_OFF);
	return err;
}
