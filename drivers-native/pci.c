/* pci.c: PCI functions, their BARs and capabilities, through type-1 configuration access.
 *
 * Buses are reached through bridges, as the firmware numbered them: nothing is renumbered or resized.
 * What a device says of itself is not believed further than configuration space reaches: capability
 * lists are walked with a bound. Callers: drivers.c and the drivers. Calls machine.h.
 */
#include <amphi/machine.h>
#include <amphi/pci.h>
#include <amphi/xen.h>

/* A fixed table, so that a scan needs no memory. What is beyond is not found. */
#define MAX_FUNCTIONS 64u

enum {
	REG_ID = 0x00,
	REG_COMMAND = 0x04,
	REG_CLASS = 0x08,
	REG_HEADER = 0x0e,
	REG_BAR0 = 0x10,
	REG_BUSES = 0x18
};

#define COMMAND_PORTS         0x1u
#define COMMAND_MEMORY        0x2u
#define COMMAND_MASTER        0x4u
#define COMMAND_INTX_OFF      0x400u
#define HEADER_BRIDGE         1u
#define HEADER_MULTI_FUNCTION 0x80u

#define MSIX_CONTROL_ENABLE   (1u << 15) /* in the word after the capability's id and link */
#define MSIX_CONTROL_MASK_ALL (1u << 14)
#define MSIX_ENTRY_WORDS      4u

#define MSI_CONTROL_ENABLE   1u
#define MSI_CONTROL_MESSAGES (7u << 4)
#define MSI_CONTROL_64       (1u << 7)

static struct pci_function found[MAX_FUNCTIONS];
static unsigned n_found;
/* One bit a bus. A bridge may claim any number, its own included: without this the scan of a
 * function that lies would not end. */
static uint8_t bus_seen[256 / 8];

void pci_add(const struct pci_function *f)
{
	if (n_found < MAX_FUNCTIONS)
		found[n_found++] = *f;
}

static struct pci_function describe(uint16_t bdf, uint32_t id)
{
	return (struct pci_function){
	    .bdf = bdf,
	    .vendor = (uint16_t)id,
	    .device = (uint16_t)(id >> 16),
	    .class_code = machine_pci_read(bdf, REG_CLASS, 4) >> 8,
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
	if (n == MAX_FUNCTIONS)
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

void pci_disable(const struct pci_function *f)
{
	uint32_t command = machine_pci_read(f->bdf, REG_COMMAND, 2);

	machine_pci_write(f->bdf, REG_COMMAND, 2,
			  command & ~(COMMAND_PORTS | COMMAND_MEMORY | COMMAND_MASTER));
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

/* Message control, then the address in one or two words (bit 7 of it), then the data (PCI 3.0, 6.8.1). One message
 * is enabled, whatever the function could have. */
int pci_msi_bind(const struct pci_function *f, void (*fn)(void *ctx), void *ctx)
{
	struct machine_msi msi = {.bdf = f->bdf, .fn = fn, .ctx = ctx};
	unsigned cap = pci_find_capability(f, PCI_CAP_MSI, 0);
	uint32_t control;
	bool is_64;
	int err;

	if (!cap || cap + 14 > PCI_CAP_LAST)
		return -XEN_ENODEV;
	control = machine_pci_read(f->bdf, cap + 2, 2);
	is_64 = control & MSI_CONTROL_64;
	err = machine_msi_bind(&msi);
	if (err)
		return err;
	if (msi.write_entry) {
		machine_pci_write(f->bdf, cap + 4, 4, (uint32_t)msi.address);
		if (is_64)
			machine_pci_write(f->bdf, cap + 8, 4, (uint32_t)(msi.address >> 32));
		machine_pci_write(f->bdf, cap + (is_64 ? 12 : 8), 2, msi.data);
	}
	machine_pci_write(f->bdf, cap + 2, 2,
			  (control & ~MSI_CONTROL_MESSAGES) | MSI_CONTROL_ENABLE);
	return 0;
}
