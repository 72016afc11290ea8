/* machine.c: what drivers of real devices ask of the kernel (amphi/machine.h), on both platforms.
 *
 * Called by drivers-native in the worker context. Register windows come from vmap.c, configuration space
 * through ports 0xcf8 and 0xcfc (a hypervisor checks each access of its first domain), message-signalled
 * interrupts from the local APIC natively and from the hypervisor, as a pirq, in a PV domain. Handlers of
 * drivers run in the worker; the interrupt only queues them.
 */
#include <amphi/machine.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "io.h"
#include "lapic.h"
#include "mm.h"
#include "time.h"
#include "trap.h"
#include "worker.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA    0xcfcu
#define PCI_SPACE   256u /* what the ports reach */
#define MSI_ADDRESS 0xfee00000u

/* Bare metal is always privileged (boot_native.c); among domains it is the one Xen gave the
 * hardware. */
bool machine_has_devices(void)
{
	return boot.privileged;
}

void *machine_mmio_map(maddr_t start, size_t len_bytes)
{
	return map_io(start, len_bytes, MM_WRITE | MM_UNCACHED);
}

void machine_delay_us(unsigned us)
{
	time_delay_us(us);
}

/* ---- configuration space ---------------------------------------------------------------- */

/* The address port and the data port are one operation: interrupts off between them. */
static uint16_t pci_select(uint16_t bdf, unsigned offset)
{
	io_out32(PCI_ADDRESS, 1u << 31 | (uint32_t)bdf << 8 | (offset & 0xfc));
	return (uint16_t)(PCI_DATA + (offset & 3));
}

uint32_t machine_io_read(uint16_t port, unsigned width_bytes)
{
	if (width_bytes == 1)
		return io_in8(port);
	return width_bytes == 2 ? io_in16(port) : io_in32(port);
}

void machine_io_write(uint16_t port, unsigned width_bytes, uint32_t value)
{
	if (width_bytes == 1)
		io_out8(port, (uint8_t)value);
	else if (width_bytes == 2)
		io_out16(port, (uint16_t)value);
	else
		io_out32(port, value);
}

/* The page of a function's extended space; NULL: there is none. The one of the last function that was asked for is
 * kept: who asks asks several times. Mappings are never undone, and few functions are asked at all. */
static volatile uint8_t *extended(uint16_t bdf)
{
	const struct acpi_info *acpi = &boot.acpi;
	static volatile uint8_t *page;
	static uint16_t page_bdf;

	if (!acpi->ecam || bdf >> 8 < acpi->ecam_first_bus || bdf >> 8 > acpi->ecam_last_bus)
		return NULL;
	if (!page || page_bdf != bdf)
		page = machine_mmio_map((maddr_t){acpi->ecam + ((uint64_t)bdf << 12)}, PAGE_SIZE);
	page_bdf = bdf;
	return page;
}

static uint32_t read_extended(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	volatile uint8_t *page = extended(bdf);

	if (!page)
		return ~0u >> (32 - 8 * width_bytes);
	if (width_bytes == 1)
		return page[offset];
	if (width_bytes == 2)
		return *(volatile uint16_t *)(page + offset);
	return *(volatile uint32_t *)(page + offset);
}

static void write_extended(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	volatile uint8_t *page = extended(bdf);

	if (!page)
		return;
	if (width_bytes == 1)
		page[offset] = (uint8_t)value;
	else if (width_bytes == 2)
		*(volatile uint16_t *)(page + offset) = (uint16_t)value;
	else
		*(volatile uint32_t *)(page + offset) = value;
}

/* The width is kept at the data port: reading more than was asked may touch a register that
 * changes when it is read. */
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	uint64_t flags;
	uint32_t value;

	if (offset >= PCI_SPACE)
		return read_extended(bdf, offset, width_bytes);
	flags = irq_save();
	value = machine_io_read(pci_select(bdf, offset), width_bytes);
	irq_restore(flags);
	return value;
}

void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	uint64_t flags;

	if (offset >= PCI_SPACE) {
		write_extended(bdf, offset, width_bytes, value);
		return;
	}
	flags = irq_save();
	machine_io_write(pci_select(bdf, offset), width_bytes, value);
	irq_restore(flags);
}

/* ---- interrupts ------------------------------------------------------------------------- */

/* One bound interrupt; never unbound, as drivers are not. */
struct msi_source {
	struct host_work work;
	uint32_t pirq;
	bool wants_eoi;
};

/* Interrupt context. irq.c ends the interrupt at the local APIC when this returns. */
static void msi_native(void *ctx)
{
	struct msi_source *source = ctx;

	worker_post(&source->work);
}

/* Upcall. The end is told before the driver's handler has run in the worker: a message-signalled
 * interrupt is an edge, so it does not come again by itself. */
static void msi_pirq(void *ctx)
{
	struct msi_source *source = ctx;
	struct physdev_eoi eoi = {.irq = source->pirq};

	worker_post(&source->work);
	if (source->wants_eoi)
		(void)hypercall_physdev_op(PHYSDEVOP_eoi, &eoi);
}

/* The message's format is the SDM's ("Message Address Register Format", "Message Data Register
 * Format"): to this processor's APIC, fixed delivery, edge. The driver writes it into the
 * device's table. */
static int bind_native(struct machine_msi *msi, struct msi_source *source)
{
	uint8_t vector;
	int err;

	if (!lapic_present())
		return -XEN_ENODEV;
	err = irq_vector_alloc(msi_native, source, &vector);
	if (err)
		return err;
	msi->write_entry = true;
	msi->address = MSI_ADDRESS | (uint64_t)(lapic_read(LAPIC_ID) >> 24) << 12;
	msi->data = vector;
	return 0;
}

/* Tells the hypervisor of the function before its interrupt: it knows those its own scan found, and
 * answers that it does (-XEN_EEXIST or 0) or that it keeps no list (-XEN_ENOSYS). */
static void announce(uint16_t bdf)
{
	struct physdev_pci_device_add add = {.bus = (uint8_t)(bdf >> 8), .devfn = (uint8_t)bdf};

	(void)hypercall_physdev_op(PHYSDEVOP_pci_device_add, &add);
}

static bool pirq_wants_eoi(uint32_t pirq)
{
	struct physdev_irq_status_query query = {.irq = pirq};

	return hypercall_physdev_op(PHYSDEVOP_irq_status_query, &query) == 0 &&
	       query.flags & XENIRQSTAT_needs_eoi;
}

/* -1 leaves the choice of pirq to Xen. Xen also programs the device, table entry included, so
 * the driver must not (write_entry), and needs to be told where an MSI-X table lies; table_base
 * 0 means plain MSI. A pirq that cannot be bound stays mapped: the driver gives its device up,
 * and nobody asks again. */
static int bind_pirq(struct machine_msi *msi, struct msi_source *source)
{
	struct physdev_map_pirq map = {
	    .domid = DOMID_SELF,
	    .type = MAP_PIRQ_TYPE_MSI,
	    .index = -1,
	    .pirq = -1,
	    .bus = msi->bdf >> 8,
	    .devfn = msi->bdf & 0xff,
	    .entry_nr = (int)msi->entry,
	    .table_base = msi->table_bar.v,
	};
	port_t port;
	int err;

	announce(msi->bdf);
	err = (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
	if (err)
		return err;
	source->pirq = (uint32_t)map.pirq;
	source->wants_eoi = pirq_wants_eoi(source->pirq);
	msi->write_entry = false;
	return event_bind_pirq(source->pirq, false, msi_pirq, source, &port);
}

/* The source lives as long as the interrupt may come, which is for ever. A PVH domain that owns
 * the machine has an APIC of its own, and binds as natively. */
int machine_msi_bind(struct machine_msi *msi)
{
	struct msi_source *source = kmalloc(sizeof(*source));
	int err;

	if (!source)
		return -XEN_ENOMEM;
	source->work = (struct host_work){.fn = msi->fn, .ctx = msi->ctx};
	err = boot.platform == BOOT_XEN_PV ? bind_pirq(msi, source) : bind_native(msi, source);
	if (err)
		kfree(source, sizeof(*source));
	return err;
}
