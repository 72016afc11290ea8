/* machine_test.c: a device's interrupt is asked for rightly on either platform, and reaches its driver in
 * the worker.
 *
 * Shows: natively an address and a vector for the MSI-X entry, on PV a pirq mapped for the right function
 * and entry and bound as an event; the interrupt queues the driver's work and does nothing else, and tells
 * the hypervisor when it wants to be told; what is refused leaves nothing allocated. Why: an interrupt of
 * the wrong entry is a disk that hangs at the first request. A function that another domain lends is asked for and
 * given back through pcifront, configuration space too; after an unbind no handler is called. Where an IOMMU looks at messages, the
 * driver gets the one that it takes, and it is told of the end. Several messages are a row, mapped and given back as one; a line's end is told after its
 * driver.
 *
 * links: kernel/machine.c kernel/machine_pci.c kernel/machine_acpi.c kernel/machine_input.c kernel/machine_line.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/iommu.h>
#include <amphi/machine.h>
#include <amphi/pcifront.h>
#include <amphi/pvops.h>
#include "fake_hypercall.h"
#include "kernel/boot.h"
#include "kernel/io.h"
#include "kernel/lapic.h"
#include "kernel/mm.h"
#include "kernel/time.h"
#include "kernel/trap.h"
#include "kernel/worker.h"

uint64_t mm_test_kernel_base, mm_test_direct_base;
struct boot_info boot;
struct pv_ops pv_ops;

static int out_blocks; /* kmalloc less kfree */
static bool has_lapic = true;
static int vector_error, pirq_error, bind_error;
static irq_fn *native_fn;
static event_fn *pirq_fn;
static void *handler_ctx;
static struct host_work *posted;
static struct physdev_map_pirq mapped;
static struct physdev_pci_device_add added;
static unsigned n_eois, last_eoi;
static bool wants_eoi, is_line;
static unsigned n_bound, bind_most; /* events; how many there are */
static unsigned unmapped_at;        /* how many of them were closed by then */
static uint32_t line_reg;
static unsigned closed, unmapped, n_off;
static struct {
	bool is_msix;
	uint16_t bdf;
	unsigned entry, entries, offset, width;
	uint32_t value;
	int error;
} lent;
static uint64_t io_start, io_len;
static unsigned io_prot;

/* Sources live as long as the machine does, so they come from where nobody looks for leaks. */
void *kmalloc(size_t n)
{
	static uint64_t pool[100][16];
	static unsigned used;

	assert_true(n <= sizeof(pool[0]) && used < 100);
	out_blocks++;
	return pool[used++];
}
void kfree(void *p, size_t n)
{
	out_blocks--;
}
bool lapic_present(void)
{
	return has_lapic;
}
uint32_t lapic_read(unsigned reg)
{
	return reg == LAPIC_ID ? 5u << 24 : 0;
}
int irq_vectors_alloc(irq_fn *fn, void *const *ctx, unsigned count, uint8_t *out_first)
{
	native_fn = fn, handler_ctx = ctx[count - 1], *out_first = count > 1 ? 0x40 : 0x41;
	return vector_error;
}
static struct {
	int error;
	uint16_t bdf;
	uint8_t vector, unmapped;
	uint32_t cpu;
	int n; /* mapped less unmapped */
} remapped = {.error = -XEN_ENXIO};

uint16_t iommu_sender(uint16_t bdf)
{
	return bdf | 0x4000;
}
int iommu_interrupt_map(uint16_t bdf, uint8_t vector, uint32_t cpu, struct iommu_message *out)
{
	if (remapped.error)
		return remapped.error;
	remapped.bdf = bdf, remapped.vector = vector, remapped.cpu = cpu;
	remapped.n++;
	*out = (struct iommu_message){.address = 0xfee00830, .data = 7};
	return 0;
}
int iommu_interrupt_unmap(uint16_t bdf, uint8_t vector)
{
	assert_int_equal(bdf, remapped.bdf);
	remapped.unmapped = vector;
	remapped.n--;
	return 0;
}

int event_bind_pirq(uint32_t pirq, bool may_share, event_fn *fn, void *ctx, port_t *out_port)
{
	if (pirq != 77) /* one function after another, or a row */
		assert_int_equal(pirq, is_line ? 11 : 77 + n_bound);
	assert_int_equal(may_share, is_line); /* who lends may listen too */
	n_bound++;
	if (n_bound > bind_most)
		return -XEN_ENOSPC;
	pirq_fn = fn, handler_ctx = ctx, *out_port = (port_t){9};
	return bind_error;
}
void event_close(port_t port)
{
	assert_int_equal(port.v, 9);
	closed++;
}
void unmap_frames(void *va, unsigned n)
{
	unmapped = n;
}
void vmap_release(void *va, unsigned n)
{
	assert_int_equal((uintptr_t)va % PAGE_SIZE, 0);
	unmapped = 100 * unmapped + n;
}
void host_work_cancel(struct host_work *work)
{
	if (posted == work)
		posted = NULL;
}
int pcifront_msix(uint16_t bdf, unsigned entry, unsigned n_entries, uint32_t *out_pirq)
{
	lent.is_msix = true, lent.bdf = bdf, lent.entry = entry, lent.entries = n_entries;
	*out_pirq = 77;
	return lent.error;
}
int pcifront_msi(uint16_t bdf, unsigned count, uint32_t *out_pirq)
{
	lent.is_msix = false, lent.bdf = bdf, lent.entries = count;
	*out_pirq = 77;
	return lent.error;
}
void pcifront_interrupts_off(uint16_t bdf)
{
	lent.bdf = bdf;
	n_off++;
}
uint32_t pcifront_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	lent.bdf = bdf, lent.offset = offset, lent.width = width_bytes;
	return is_line ? line_reg : 0x12345678;
}
bool pcifront_write(uint16_t bdf, unsigned offset, unsigned width_bytes, uint32_t value)
{
	lent.bdf = bdf, lent.offset = offset, lent.width = width_bytes, lent.value = value;
	return true;
}
void worker_post(struct host_work *work)
{
	posted = work;
}
void time_delay_us(unsigned us) {}
void *map_io(maddr_t start, size_t len_bytes, unsigned prot)
{
	io_start = start.v, io_len = len_bytes, io_prot = prot;
	return &io_start;
}

static unsigned n_unmapped;

/* What a first domain finds in memory; each table that was looked at is given back. */
static unsigned n_reads;

void acpi_read(acpi_view_fn *view, void *ctx, uint64_t rsdp, struct acpi_info *out)
{
	n_reads++;
	assert_int_equal(rsdp, 0);
	assert_non_null(view(ctx, 0xe0000, 0x20000));
	*out = (struct acpi_info){.ecam = 0xb0000000, .ecam_first_bus = 1, .ecam_last_bus = 2};
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	void *arg = (void *)(uintptr_t)a2;

	assert_int_equal(nr, __HYPERVISOR_physdev_op);
	switch (a1) {
	case PHYSDEVOP_pci_device_add:
		memcpy(&added, arg, sizeof(added));
		return -XEN_EEXIST; /* known already: no obstacle */
	case PHYSDEVOP_map_pirq:
		memcpy(&mapped, arg, sizeof(mapped));
		if (mapped.type != MAP_PIRQ_TYPE_GSI)
			((struct physdev_map_pirq *)arg)->pirq = 77;
		return pirq_error;
	case PHYSDEVOP_irq_status_query:
		((struct physdev_irq_status_query *)arg)->flags =
		    wants_eoi ? XENIRQSTAT_needs_eoi : 0;
		return 0;
	case PHYSDEVOP_unmap_pirq:
		assert_int_equal(((struct physdev_unmap_pirq *)arg)->domid, DOMID_SELF);
		assert_int_equal(((struct physdev_unmap_pirq *)arg)->pirq, 77);
		n_unmapped++;
		unmapped_at = closed;
		return 0;
	case PHYSDEVOP_eoi:
		n_eois++;
		last_eoi = ((struct physdev_eoi *)arg)->irq;
		return 0;
	}
	fail_msg("physdev_op %u is not expected", (unsigned)a1);
	return -XEN_ENOSYS;
}

static int n_handled;
static void handle(void *ctx)
{
	n_handled++;
}

static struct machine_msi msi;

static int fresh(void **state)
{
	msi = (struct machine_msi){.bdf = 0x0312,
				   .entry = 4,
				   .table = {0xfe003000},
				   .table_bar = {0xfe001000},
				   .fn = handle,
				   .ctx = &msi};
	machine_msi_unbind(0x0312); /* what the test before has left */
	machine_msi_unbind(0x0410);
	boot.privileged = true;
	closed = unmapped = n_off = n_unmapped = 0;
	memset(&lent, 0, sizeof(lent));
	out_blocks = 0;
	has_lapic = true;
	vector_error = pirq_error = bind_error = 0;
	posted = NULL;
	n_eois = 0;
	wants_eoi = is_line = false;
	n_bound = 0;
	bind_most = 100;
	return 0;
}

static void runs_the_handler_later(void)
{
	int before = n_handled;

	assert_non_null(posted);
	assert_int_equal(n_handled, before); /* not in the interrupt */
	posted->fn(posted->ctx);
	assert_int_equal(n_handled, before + 1);
	assert_ptr_equal(posted->ctx, &msi);
}

static void natively(void **state)
{
	boot.platform = BOOT_NATIVE;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_true(msi.write_entry);
	assert_int_equal(msi.address, 0xfee05000); /* to the CPU we run on */
	assert_int_equal(msi.data, 0x41);
	native_fn(handler_ctx);
	runs_the_handler_later();
	assert_int_equal(out_blocks, 1);
}

static void natively_refused(void **state)
{
	boot.platform = BOOT_NATIVE;
	vector_error = -XEN_ENOSPC;
	assert_int_equal(machine_msi_bind(&msi), -XEN_ENOSPC);
	has_lapic = false;
	assert_int_equal(machine_msi_bind(&msi), -XEN_ENODEV);
	assert_int_equal(out_blocks, 0);
}

static void behind_an_iommu(void **state)
{
	boot.platform = BOOT_NATIVE;
	remapped.error = 0;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_int_equal(msi.address, 0xfee00830);
	assert_int_equal(remapped.bdf, msi.bdf | 0x4000);
	assert_int_equal(remapped.vector, 0x41);
	assert_int_equal(remapped.cpu, 5);
	machine_msi_unbind(msi.bdf);
	assert_int_equal(remapped.unmapped, 0x41);
	remapped.unmapped = 0;
	machine_msi_unbind(msi.bdf); /* once */
	assert_int_equal(remapped.unmapped, 0);
	/* Its own faults it sends as they are. */
	msi.of_iommu = true;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_int_equal(msi.address, 0xfee05000);
	msi.of_iommu = false;
	remapped.error = -XEN_EIO;
	assert_int_equal(machine_msi_bind(&msi), -XEN_EIO);
	remapped.error = -XEN_ENXIO;
}

static void on_a_hypervisor(void **state)
{
	boot.platform = BOOT_XEN_PV;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_false(msi.write_entry);
	assert_int_equal(mapped.domid, DOMID_SELF);
	assert_int_equal(mapped.bus, 3);
	assert_int_equal(mapped.devfn, 0x12);
	assert_int_equal(mapped.entry_nr, 4);
	assert_int_equal(mapped.table_base,
			 0xfe001000);      /* of the BAR: Xen adds the offset itself */
	assert_int_equal(mapped.pirq, -1); /* any */
	pirq_fn(handler_ctx);
	runs_the_handler_later();
	assert_int_equal(n_eois, 0);
}

static void an_interrupt_that_wants_its_end(void **state)
{
	boot.platform = BOOT_XEN_PV;
	wants_eoi = true;
	assert_int_equal(machine_msi_bind(&msi), 0);
	pirq_fn(handler_ctx);
	assert_int_equal(n_eois, 1);
	assert_int_equal(last_eoi, 77);
}

static void a_hypervisor_refuses(void **state)
{
	boot.platform = BOOT_XEN_PV;
	pirq_error = -XEN_EPERM;
	assert_int_equal(machine_msi_bind(&msi), -XEN_EPERM);
	pirq_error = 0;
	bind_error = -XEN_ENOSPC;
	assert_int_equal(machine_msi_bind(&msi), -XEN_ENOSPC);
	assert_int_equal(out_blocks, 0);
}

/* Of another domain: no hypercall but those for the event, and no extended space but through it. */
static void of_another_domain(void **state)
{
	boot.platform = BOOT_XEN_PV;
	boot.privileged = false;
	msi.entries = 65;
	mapped.domid = 0;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_false(msi.write_entry);
	assert_int_equal(mapped.domid, 0);
	assert_true(lent.is_msix && lent.bdf == 0x0312 && lent.entry == 4 && lent.entries == 65);
	pirq_fn(handler_ctx);
	runs_the_handler_later();
	msi.entries = 0;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_false(lent.is_msix);
	lent.error = -XEN_ENOSPC;
	assert_int_equal(machine_msi_bind(&msi), -XEN_ENOSPC);
	assert_int_equal(out_blocks, 2);
	assert_int_equal(machine_pci_read(0x0410, 0x100, 4), 0x12345678);
	assert_true(lent.bdf == 0x0410 && lent.offset == 0x100 && lent.width == 4);
	machine_pci_write(0x0411, 6, 2, 99);
	assert_true(lent.bdf == 0x0411 && lent.offset == 6 && lent.width == 2 && lent.value == 99);
}

/* A function's, and no other's; what was queued is not called any more, natively neither. */
static void unbound(void **state)
{
	int before;

	boot.platform = BOOT_XEN_PV;
	boot.privileged = false;
	msi.entries = 8;
	for (unsigned i = 0; i < 3; i++) {
		msi.bdf = i == 1 ? 0x0410 : 0x0312;
		assert_int_equal(machine_msi_bind(&msi), 0);
	}
	pirq_fn(handler_ctx);
	machine_msi_unbind(0x0312);
	assert_null(posted);
	assert_int_equal(closed, 2);
	assert_int_equal(n_off, 1);
	assert_int_equal(out_blocks, 1);
	machine_msi_unbind(0x0410);
	machine_msi_unbind(0x0410);
	assert_int_equal(out_blocks, 0);
	assert_int_equal(n_unmapped, 0); /* that is the backend's */
	boot.privileged = true;
	assert_int_equal(machine_msi_bind(&msi), 0);
	machine_msi_unbind(msi.bdf);
	assert_int_equal(n_unmapped, 1);
	boot.platform = BOOT_NATIVE;
	boot.privileged = true;
	assert_int_equal(machine_msi_bind(&msi), 0);
	machine_msi_unbind(msi.bdf);
	before = n_handled;
	native_fn(handler_ctx);
	posted->fn(posted->ctx);
	assert_int_equal(n_handled, before);
}

/* A first domain asks firmware where extended configuration space is, once, and gives back what it has looked at. */
static void the_window_of_a_first_domain(void **state)
{
	boot.platform = BOOT_XEN_PV;
	io_start = 0;
	(void)machine_pci_read(0x0110, 0x100, 4);
	assert_int_equal(n_reads, 1);
	assert_int_not_equal(unmapped, 0);
	assert_int_equal(io_start, 0xb0000000 + (0x0110 << 12));
	assert_int_equal(machine_pci_read(0x0010, 0x100, 2), 0xffff); /* bus 0 is not in it */
	assert_int_equal(n_reads, 1);
}

static int n_of[8];
static void count(void *ctx)
{
	++*(int *)ctx;
}

static void of_several(void)
{
	memset(n_of, 0, sizeof(n_of));
	msi.messages = 8;
	msi.fn = count;
	msi.ctx = n_of;
	msi.stride = sizeof(n_of[0]);
	msi.table_bar.v = 0;
}

/* The first vector is one for all: the function counts from there. */
static void several_natively(void **state)
{
	of_several();
	boot.platform = BOOT_NATIVE;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_true(msi.write_entry);
	assert_int_equal(msi.data, 0x40);
	native_fn(handler_ctx);
	posted->fn(posted->ctx);
	assert_int_equal(n_of[7], 1);
	assert_int_equal(n_of[0], 0);
	remapped.error = 0;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_int_equal(remapped.n, 8);
	assert_int_equal(remapped.vector, 0x47);
	machine_msi_unbind(msi.bdf);
	assert_int_equal(remapped.n, 0);
	remapped.error = -XEN_ENXIO;
	msi.messages = 3;
	assert_int_equal(machine_msi_bind(&msi), -XEN_EINVAL);
}

/* Mapped with one call; given back with one, when nobody listens any more. */
static void several_on_a_hypervisor(void **state)
{
	of_several();
	boot.platform = BOOT_XEN_PV;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_int_equal(mapped.type, MAP_PIRQ_TYPE_MULTI_MSI);
	assert_int_equal(mapped.entry_nr, 8);
	assert_int_equal(n_bound, 8);
	pirq_fn(handler_ctx);
	posted->fn(posted->ctx);
	assert_int_equal(n_of[7], 1);
	n_unmapped = 0;
	machine_msi_unbind(msi.bdf);
	assert_int_equal(n_unmapped, 1);
	assert_int_equal(unmapped_at, 8);
	assert_int_equal(out_blocks, 0);
	/* All or none. */
	n_bound = closed = 0;
	bind_most = 5;
	assert_int_equal(machine_msi_bind(&msi), -XEN_ENOSPC);
	assert_int_equal(closed, 5);
	assert_int_equal(out_blocks, 0);
}

static void several_of_another_domain(void **state)
{
	of_several();
	boot.platform = BOOT_XEN_PV;
	boot.privileged = false;
	assert_int_equal(machine_msi_bind(&msi), 0);
	assert_true(!lent.is_msix && lent.entries == 8);
	assert_int_equal(n_bound, 8);
	machine_msi_unbind(msi.bdf);
	assert_int_equal(n_off, 1);
	assert_int_equal(out_blocks, 0);
}

/* The end of a level is told when the driver has had the device let go, not before. */
static void a_line(void **state)
{
	boot.platform = BOOT_XEN_PV;
	boot.privileged = false;
	is_line = wants_eoi = true;
	line_reg = 0x010b;
	assert_int_equal(machine_line_bind(0x0312, handle, &msi), 0);
	assert_int_equal(lent.offset, 0x3c);
	pirq_fn(handler_ctx);
	assert_int_equal(n_eois, 0);
	n_handled = 0;
	posted->fn(posted->ctx);
	assert_int_equal(n_handled, 1);
	assert_int_equal(n_eois, 1);
	assert_int_equal(last_eoi, 11);
	machine_msi_unbind(0x0312);
	assert_int_equal(closed, 1);
	line_reg = 0x000b; /* no pin */
	assert_int_equal(machine_line_bind(0x0312, handle, &msi), -XEN_ENODEV);
	line_reg = 0x010b;
	bind_error = -XEN_EPERM;
	assert_int_equal(machine_line_bind(0x0312, handle, &msi), -XEN_EPERM);
	boot.platform = BOOT_NATIVE;
	assert_int_equal(machine_line_bind(0x0312, handle, &msi), -XEN_EOPNOTSUPP);
	assert_int_equal(out_blocks, 0);
}

static void registers_and_rights(void **state)
{
	assert_ptr_equal(machine_mmio_map((maddr_t){0xfe000123}, 64), &io_start);
	assert_true(io_start == 0xfe000123 && io_len == 64 && io_prot == (MM_WRITE | MM_UNCACHED));
	machine_mmio_unmap((void *)0x7000ff0, 0x20);
	assert_int_equal(unmapped, 202);
	unmapped = 0;
	machine_mmio_unmap(NULL, 64);
	assert_int_equal(unmapped, 0);
	boot.privileged = false;
	assert_false(machine_has_devices());
	boot.privileged = true;
	assert_true(machine_has_devices());
}

/* The hypervisor hears of functions from the domain that has the machine, and of virtual ones whose they are. */
static void functions_that_appear(void **state)
{
	boot.platform = BOOT_XEN_PV;
	memset(&added, 0, sizeof(added));
	machine_pci_appeared(0x0312, 0x0312);
	assert_true(added.bus == 3 && added.devfn == 0x12 && !added.flags);
	machine_pci_appeared(0x0313, 0x0312);
	assert_true(added.devfn == 0x13 && added.flags == XEN_PCI_DEV_VIRTFN);
	assert_true(added.physfn.bus == 3 && added.physfn.devfn == 0x12);
	memset(&added, 0, sizeof(added));
	boot.privileged = false;
	machine_pci_appeared(0x0312, 0x0312);
	boot.privileged = true;
	boot.platform = BOOT_NATIVE;
	machine_pci_appeared(0x0312, 0x0312);
	assert_int_equal(added.devfn, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(natively, fresh),
	    cmocka_unit_test_setup(natively_refused, fresh),
	    cmocka_unit_test_setup(behind_an_iommu, fresh),
	    cmocka_unit_test_setup(on_a_hypervisor, fresh),
	    cmocka_unit_test_setup(an_interrupt_that_wants_its_end, fresh),
	    cmocka_unit_test_setup(a_hypervisor_refuses, fresh),
	    cmocka_unit_test_setup(of_another_domain, fresh),
	    cmocka_unit_test_setup(unbound, fresh),
	    cmocka_unit_test_setup(the_window_of_a_first_domain, fresh),
	    cmocka_unit_test_setup(several_natively, fresh),
	    cmocka_unit_test_setup(several_on_a_hypervisor, fresh),
	    cmocka_unit_test_setup(several_of_another_domain, fresh),
	    cmocka_unit_test_setup(a_line, fresh),
	    cmocka_unit_test_setup(registers_and_rights, fresh),
	    cmocka_unit_test_setup(functions_that_appear, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
