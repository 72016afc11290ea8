/* machine_line_test.c: interrupt lines of functions that this kernel drives itself, as a first domain.
 *
 * Why: an input of the board that is wrong, or set up as an edge, is a device that is never heard, or heard once; one that was given back to
 * Xen is never had again. Expected: firmware's number leads where ACPI says; the hypervisor is told that it is a level before it is
 * mapped; two functions on one line share a port, each is called, and the end is told once after both; the port goes with the last, the map
 * stays. What is refused leaves nothing.
 *
 * links: kernel/machine_line.c kernel/machine_input.c kernel/machine_acpi.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/event.h>
#include <amphi/hypercall.h>
#include <amphi/machine.h>

#include "fake_hypercall.h"
#include "kernel/boot.h"
#include "kernel/machine_line.h"
#include "kernel/mm.h"
#include "kernel/worker.h"

#define USB  0x0018u
#define CARD 0x0020u

uint64_t mm_test_kernel_base, mm_test_direct_base;
struct boot_info boot;

static uint32_t line_reg, bound;
static int map_error, bind_error;
static unsigned n_out, n_views, n_mapped, n_reads, n_closed, n_eois, eoi_of;
static struct physdev_setup_gsi set_up;
static struct host_work *posted;
static event_fn *event;
static void *event_ctx;
static int heard[2];

/* ---- below the seam ---------------------------------------------------------------------------- */

void *kmalloc(size_t n)
{
	n_out++;
	return malloc(n);
}
void kfree(void *p, size_t n)
{
	n_out--;
	free(p);
}
void worker_post(struct host_work *work)
{
	posted = work;
}
void host_work_cancel(struct host_work *work)
{
	if (posted == work)
		posted = NULL;
}
bool machine_has_devices(void)
{
	return boot.privileged;
}
void *machine_mmio_map(maddr_t start, size_t len_bytes)
{
	n_views++;
	return &n_views;
}
void machine_mmio_unmap(void *regs, size_t len_bytes)
{
	n_views--;
}
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width_bytes)
{
	assert_int_equal(offset, 0x3c);
	assert_int_equal(width_bytes, 2);
	return line_reg;
}
void acpi_read(acpi_view_fn *view, void *ctx, uint64_t rsdp, struct acpi_info *out)
{
	n_reads++;
	assert_non_null(view(ctx, 0xe0000, 0x20000));
	*out = (struct acpi_info){0};
	for (unsigned i = 0; i < ACPI_ISA_IRQS; i++)
		out->isa[i].gsi = i;
	out->isa[9].gsi = 20;
	out->isa[11].level = true; /* and high */
}
int event_bind_pirq(uint32_t pirq, bool may_share, event_fn *fn, void *ctx, port_t *out_port)
{
	assert_false(may_share);
	bound = pirq, event = fn, event_ctx = ctx;
	*out_port = (port_t){9};
	return bind_error;
}
void event_close(port_t port)
{
	assert_int_equal(port.v, 9);
	n_closed++;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	void *arg = (void *)(uintptr_t)a2;
	const struct physdev_map_pirq *map = arg;

	assert_int_equal(nr, __HYPERVISOR_physdev_op);
	switch (a1) {
	case PHYSDEVOP_setup_gsi:
		memcpy(&set_up, arg, sizeof(set_up));
		return -XEN_EEXIST; /* somebody listens to it: no obstacle */
	case PHYSDEVOP_map_pirq:
		assert_true(map->type == MAP_PIRQ_TYPE_GSI && map->domid == DOMID_SELF);
		assert_true(map->index == set_up.gsi && map->pirq == set_up.gsi);
		n_mapped++;
		return map_error;
	case PHYSDEVOP_irq_status_query:
		((struct physdev_irq_status_query *)arg)->flags = XENIRQSTAT_needs_eoi;
		return 0;
	case PHYSDEVOP_eoi:
		n_eois++;
		eoi_of = ((struct physdev_eoi *)arg)->irq;
		return 0;
	}
	fail_msg("physdev_op %u is not expected", (unsigned)a1);
	return -XEN_ENOSYS;
}

static int fresh(void **state)
{
	boot.platform = BOOT_XEN_PV;
	boot.privileged = true;
	line_reg = 0x010b;
	map_error = bind_error = 0;
	n_mapped = n_closed = n_eois = 0;
	heard[0] = heard[1] = 0;
	posted = NULL;
	return 0;
}

/* Its end is told after all drivers were. */
static void hear(void *ctx)
{
	assert_int_equal(n_eois, 0);
	++*(int *)ctx;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void leads_to(uint32_t reg, uint32_t input, bool low)
{
	line_reg = reg;
	assert_int_equal(machine_line_bind(USB, hear, heard), 0);
	assert_int_equal(bound, input);
	assert_int_equal(set_up.gsi, input);
	assert_int_equal(set_up.triggering, 1);
	assert_int_equal(set_up.polarity, low);
	machine_line_unbind(USB);
	assert_int_equal(n_out, 0);
}

static void where_it_leads(void **state)
{
	static const uint32_t none[] = {0, 0x0b, 0x0100, 0x01ff, 0x0180, 0x050b};

	leads_to(0x010b, 11, false); /* as firmware says */
	leads_to(0x0109, 20, true);  /* where firmware says */
	leads_to(0x0416, 22, true);  /* nobody says anything: PCI's way */
	leads_to(0x020a, 10, true);
	assert_int_equal(n_mapped, 4);
	assert_int_equal(n_closed, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		line_reg = none[i];
		assert_int_equal(machine_line_bind(USB, hear, heard), -XEN_ENODEV);
	}
	assert_int_equal(n_out, 0);
	assert_int_equal(n_reads, 1); /* and each table given back */
	assert_int_equal(n_views, 0);
}

static void two_on_one_line(void **state)
{
	assert_int_equal(machine_line_bind(USB, hear, &heard[0]), 0);
	assert_int_equal(machine_line_bind(CARD, hear, &heard[1]), 0);
	assert_int_equal(n_mapped, 1);
	event(event_ctx);
	assert_int_equal(heard[0] + heard[1], 0); /* not in the upcall */
	posted->fn(posted->ctx);
	assert_true(heard[0] == 1 && heard[1] == 1);
	assert_int_equal(n_eois, 1);
	assert_int_equal(eoi_of, 11);
	machine_line_unbind(USB);
	assert_int_equal(n_closed, 0);
	n_eois = 0;
	posted->fn(posted->ctx);
	assert_true(heard[0] == 1 && heard[1] == 2);
	event(event_ctx);
	machine_line_unbind(CARD);
	assert_null(posted); /* what was to come does not */
	assert_int_equal(n_closed, 1);
	machine_line_unbind(CARD);
	assert_int_equal(n_closed, 1);
	assert_int_equal(n_out, 0);
}

static void refused(void **state)
{
	map_error = -XEN_EPERM;
	assert_int_equal(machine_line_bind(USB, hear, heard), -XEN_EPERM);
	map_error = 0;
	bind_error = -XEN_EBUSY; /* a guest's */
	assert_int_equal(machine_line_bind(USB, hear, heard), -XEN_EBUSY);
	boot.platform = BOOT_NATIVE;
	assert_int_equal(machine_line_bind(USB, hear, heard), -XEN_EOPNOTSUPP);
	assert_int_equal(n_closed, 0);
	assert_int_equal(n_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(where_it_leads, fresh),
	    cmocka_unit_test_setup(two_on_one_line, fresh),
	    cmocka_unit_test_setup(refused, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
