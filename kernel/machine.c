/* machine.c: what drivers of real devices ask of the kernel (amphi/machine.h), on all platforms.
 *
 * Called by drivers-native in the worker context. Register windows come from vmap.c, configuration space is
 * machine_pci.c, message-signalled interrupts come from the local APIC natively, and in a PV domain as a pirq: from
 * the hypervisor where the domain owns the machine, else from whoever lent it the function (pcifront). Handlers of
 * drivers run in the worker; the interrupt only queues them.
 */
#include <amphi/machine.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/pcifront.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "lapic.h"
#include "mm.h"
#include "time.h"
#include "trap.h"
#include "worker.h"

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

void machine_mmio_unmap(void *regs, size_t len_bytes)
{
	uint64_t offset = (uintptr_t)regs & ~PAGE_MASK;
	unsigned n = (unsigned)PAGES_FOR(offset + len_bytes);
	char *va = (char *)regs - offset;

	if (!regs)
		return;
	unmap_frames(va, n);
	vmap_release(va, n);
}

void machine_delay_us(unsigned us)
{
	time_delay_us(us);
}

/* ---- interrupts ------------------------------------------------------------------------- */

/* One bound interrupt. */
struct msi_source {
	struct host_work work;
	struct msi_source *next;
	uint16_t bdf;
	uint32_t pirq;
	port_t port; /* none natively */
	bool wants_eoi;
};

static struct msi_source *sources;

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

static int bind_event(struct machine_msi *msi, struct msi_source *source)
{
	source->wants_eoi = pirq_wants_eoi(source->pirq);
	msi->write_entry = false;
	return event_bind_pirq(source->pirq, false, msi_pirq, source, &source->port);
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
	int err;

	announce(msi->bdf);
	err = (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
	if (err)
		return err;
	source->pirq = (uint32_t)map.pirq;
	return bind_event(msi, source);
}

/* The backend has the pirq mapped to this domain, and the device set up. */
static int bind_lent(struct machine_msi *msi, struct msi_source *source)
{
	int err = msi->entries ? pcifront_msix(msi->bdf, msi->entry, msi->entries, &source->pirq)
			       : pcifront_msi(msi->bdf, &source->pirq);

	return err ? err : bind_event(msi, source);
}

/* A PVH domain that owns the machine has an APIC of its own, and binds as natively. */
static int bind(struct machine_msi *msi, struct msi_source *source)
{
	if (boot.platform != BOOT_XEN_PV)
		return bind_native(msi, source);
	return boot.privileged ? bind_pirq(msi, source) : bind_lent(msi, source);
}

int machine_msi_bind(struct machine_msi *msi)
{
	struct msi_source *source = kmalloc(sizeof(*source));
	int err;

	if (!source)
		return -XEN_ENOMEM;
	source->work = (struct host_work){.fn = msi->fn, .ctx = msi->ctx};
	source->bdf = msi->bdf;
	source->port = PORT_NONE;
	err = bind(msi, source);
	if (err) {
		kfree(source, sizeof(*source));
		return err;
	}
	source->next = sources;
	sources = source;
	return 0;
}

static void nobody(void *ctx) {}

/* A vector stays bound natively, and its source with it: the interrupt that comes all the same reaches nobody. */
static bool unbind(struct msi_source *source)
{
	host_work_cancel(&source->work);
	source->work.fn = nobody;
	if (!source->port.v)
		return false;
	event_close(source->port);
	kfree(source, sizeof(*source));
	return true;
}

void machine_msi_unbind(uint16_t bdf)
{
	struct msi_source **link = &sources;

	while (*link) {
		struct msi_source *source = *link, *next = source->next;

		if (source->bdf == bdf && unbind(source))
			*link = next;
		else
			link = &source->next;
	}
	if (boot_on_xen() && !boot.privileged)
		pcifront_interrupts_off(bdf);
}
