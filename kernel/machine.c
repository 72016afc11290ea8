/* machine.c: what drivers of real devices ask of the kernel (amphi/machine.h), on all platforms.
 *
 * Called by drivers-native in the worker context. Register windows come from vmap.c, configuration space is
 * machine_pci.c, message-signalled interrupts come from the local APIC natively, and in a PV domain as a pirq: from
 * the hypervisor where the domain owns the machine, else from whoever lent it the function (pcifront). Lines are
 * machine_line.c. Handlers of drivers run in the worker; the interrupt only queues them.
 */
#include <amphi/machine.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/iommu.h>
#include <amphi/pcifront.h>
#include <amphi/pvops.h>

#include "boot.h"
#include "lapic.h"
#include "machine_line.h"
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
	uint16_t bdf, sender; /* sender: to an IOMMU */
	uint32_t pirq;
	port_t port; /* none natively */
	bool wants_eoi;
	bool follows;   /* another one of a row, whose first one is mapped for all */
	uint8_t mapped; /* the vector, where an IOMMU knows it; else 0 */
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

/* What the function has to send: what an IOMMU takes for the vector, or the vector itself in the SDM's format ("Message Address
 * Register Format", "Message Data Register Format"): to this processor's APIC, fixed delivery, edge. */
static int message_of(const struct machine_msi *msi, struct msi_source *source, uint8_t vector,
		      struct iommu_message *out)
{
	uint32_t cpu = lapic_read(LAPIC_ID) >> 24;
	int err;

	*out = (struct iommu_message){.address = MSI_ADDRESS | (uint64_t)cpu << 12, .data = vector};
	source->sender = iommu_sender(msi->bdf);
	err = msi->of_iommu ? -XEN_ENXIO : iommu_interrupt_map(source->sender, vector, cpu, out);
	if (err && err != -XEN_ENXIO)
		return err;
	source->mapped = err ? 0 : vector;
	return 0;
}

/* The driver writes the message into the device's table. A vector that no message is made for stays taken, and nobody sends it. */
static int bind_native(struct machine_msi *msi, struct msi_source **row, unsigned n)
{
	struct iommu_message first, m;
	uint8_t vector;
	int err;

	if (!lapic_present())
		return -XEN_ENODEV;
	err = irq_vectors_alloc(msi_native, (void *const *)row, n, &vector);
	for (unsigned i = 0; i < n && !err; i++)
		err = message_of(msi, row[i], (uint8_t)(vector + i), i ? &m : &first);
	if (err)
		return err;
	msi->write_entry = true;
	msi->address = first.address;
	msi->data = first.data;
	return 0;
}

/* Natively nobody else has to be told. A hypervisor knows those that its own scan found, and answers that it does (-XEN_EEXIST or 0),
 * or that it keeps no list (-XEN_ENOSYS). */
void machine_pci_appeared(uint16_t bdf, uint16_t physical)
{
	struct physdev_pci_device_add add = {
	    .bus = (uint8_t)(bdf >> 8),
	    .devfn = (uint8_t)bdf,
	    .flags = physical != bdf ? XEN_PCI_DEV_VIRTFN : 0,
	    .physfn = {.bus = (uint8_t)(physical >> 8), .devfn = (uint8_t)physical},
	};

	if (boot_on_xen() && boot.privileged)
		(void)hypercall_physdev_op(PHYSDEVOP_pci_device_add, &add);
}

static int bind_event(struct msi_source *source, event_fn *fn)
{
	source->wants_eoi = machine_pirq_wants_eoi(source->pirq);
	return event_bind_pirq(source->pirq, false, fn, source, &source->port);
}

static int bind_events(struct machine_msi *msi, struct msi_source **row, unsigned n, uint32_t pirq)
{
	int err = 0;

	msi->write_entry = false;
	for (unsigned i = 0; i < n && !err; i++) {
		row[i]->pirq = pirq + i;
		row[i]->follows = i;
		err = bind_event(row[i], msi_pirq);
	}
	return err;
}

/* -1 leaves the choice of pirq to Xen. Xen also programs the device, table entry included, so
 * the driver must not (write_entry), and needs to be told where an MSI-X table lies; table_base
 * 0 means plain MSI. A pirq that cannot be bound stays mapped: the driver gives its device up,
 * and nobody asks again. */
static int bind_pirq(struct machine_msi *msi, struct msi_source **row, unsigned n)
{
	struct physdev_map_pirq map = {
	    .domid = DOMID_SELF,
	    .type = n > 1 ? MAP_PIRQ_TYPE_MULTI_MSI : MAP_PIRQ_TYPE_MSI,
	    .index = -1,
	    .pirq = -1,
	    .bus = msi->bdf >> 8,
	    .devfn = msi->bdf & 0xff,
	    .entry_nr = n > 1 ? (int)n : (int)msi->entry,
	    .table_base = msi->table_bar.v,
	};
	int err;

	err = (int)hypercall_physdev_op(PHYSDEVOP_map_pirq, &map);
	return err ? err : bind_events(msi, row, n, (uint32_t)map.pirq);
}

/* The backend has the pirqs mapped to this domain, and the device set up. */
static int bind_lent(struct machine_msi *msi, struct msi_source **row, unsigned n)
{
	uint32_t pirq;
	int err = msi->entries ? pcifront_msix(msi->bdf, msi->entry, msi->entries, &pirq)
			       : pcifront_msi(msi->bdf, n, &pirq);

	return err ? err : bind_events(msi, row, n, pirq);
}

/* A PVH domain that owns the machine has an APIC of its own, and binds as natively. */
static int bind(struct machine_msi *msi, struct msi_source **row, unsigned n)
{
	if (boot.platform != BOOT_XEN_PV)
		return bind_native(msi, row, n);
	return boot.privileged ? bind_pirq(msi, row, n) : bind_lent(msi, row, n);
}

static struct msi_source *source_new(uint16_t bdf, void (*fn)(void *ctx), void *ctx)
{
	struct msi_source *source = kmalloc(sizeof(*source));

	if (source)
		*source = (struct msi_source){
		    .work = {.fn = fn, .ctx = ctx}, .bdf = bdf, .port = PORT_NONE};
	return source;
}

static void nobody(void *ctx) {}

/* Heard no more. A row's first one can be unmapped when all of it are. */
static void quieten(struct msi_source *source)
{
	host_work_cancel(&source->work);
	source->work.fn = nobody;
	if (source->mapped)
		(void)iommu_interrupt_unmap(source->sender, source->mapped);
	source->mapped = 0;
	if (source->port.v)
		event_close(source->port);
}

/* One that was not bound, or is one of a row that was not bound whole. */
static void source_free(struct msi_source *source)
{
	quieten(source);
	kfree(source, sizeof(*source));
}

static void keep(struct msi_source *source)
{
	source->next = sources;
	sources = source;
}

int machine_msi_bind(struct machine_msi *msi)
{
	unsigned n = MAX(msi->messages, 1u), made = 0;
	struct msi_source *row[MACHINE_MSI_MAX];
	int err = n <= MACHINE_MSI_MAX && !(n & (n - 1)) ? 0 : -XEN_EINVAL;

	for (; made < n && !err; made += !err) {
		row[made] = source_new(msi->bdf, msi->fn,
				       (void *)((uintptr_t)msi->ctx + made * msi->stride));
		err = row[made] ? 0 : -XEN_ENOMEM;
	}
	if (!err)
		err = bind(msi, row, n);
	while (made-- > 0) {
		if (err)
			source_free(row[made]);
		else
			keep(row[made]);
	}
	return err;
}

/* ---- undone ------------------------------------------------------------------------------ */

/* A vector stays bound natively, and its source with it: the interrupt that comes all the same reaches nobody. What the
 * hypervisor has mapped for us goes back to it: the function's next owner needs the entry, and it the vector. */
static bool unbind(struct msi_source *source)
{
	struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF, .pirq = (int)source->pirq};

	if (!source->port.v)
		return false;
	if (boot.privileged && !source->follows)
		(void)hypercall_physdev_op(PHYSDEVOP_unmap_pirq, &unmap);
	kfree(source, sizeof(*source));
	return true;
}

void machine_msi_unbind(uint16_t bdf)
{
	struct msi_source **link = &sources;

	for (struct msi_source *source = sources; source; source = source->next)
		if (source->bdf == bdf)
			quieten(source);
	while (*link) {
		struct msi_source *source = *link, *next = source->next;

		if (source->bdf == bdf && unbind(source))
			*link = next;
		else
			link = &source->next;
	}
	machine_line_unbind(bdf);
	if (boot_on_xen() && !boot.privileged)
		pcifront_interrupts_off(bdf);
}
