/* hv_io_test: rights to ports and device memory, and the life of a device interrupt.
 *
 * Why: these are what keeps a domain's hands off other hardware, and a lost end of interrupt stops
 * a disk. Expected: rights are exactly what was given, split and joined in any order; our own ports
 * and controllers stay ours; level interrupts wait for their end, edges do not; messages are
 * written where the function says, into device memory that is the domain's only; all goes back at
 * the end.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c lib/pci_cap.c
 * links: hypervisor/irq.c hypervisor/physdev.c hypervisor/sched.c hypervisor/sched_choose.c hypervisor/sched_share.c hypervisor/timer.c
 * links: hypervisor/pv_context.c hypervisor/pv_bounce.c hypervisor/console.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv_vcpu_world.h"
#include "hypervisor/irq.h"
#include "hypervisor/pirq.h"

static struct domain *d;

static int set_up(void **state)
{
	(void)state;
	world_start(true);
	d = world_domain;
	for (uint32_t i = 0; i < IO_PIRQS; i++)
		assert_int_equal(io_irq_permit(d, i, true), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_end();
	return 0;
}

static void ports_as_given(void **state)
{
	(void)state;
	assert_false(io_port_allowed(d, 0x60, 1));
	assert_int_equal(io_port_permit(d, 0x64, 0x60, true), -XEN_EINVAL);
	assert_int_equal(io_port_permit(d, 0, 0x10000, true), -XEN_EINVAL);
	assert_int_equal(io_port_permit(d, 0x61, 0x71, true), 0);
	assert_false(io_port_allowed(d, 0x60, 1));
	assert_true(io_port_allowed(d, 0x61, 1));
	assert_true(io_port_allowed(d, 0x70, 2));
	assert_false(io_port_allowed(d, 0x71, 2));
	assert_int_equal(io_port_permit(d, 0x68, 0x68, false), 0);
	assert_true(io_port_allowed(d, 0x67, 1));
	assert_false(io_port_allowed(d, 0x66, 4));
	assert_true(io_port_allowed(d, 0x69, 4));
	assert_false(io_port_allowed(d, 0xffff, 2));
}

static void ours_stays_ours(void **state)
{
	static const uint16_t ours[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x3f8, 0x3ff};

	(void)state;
	assert_int_equal(io_port_permit(d, 0, 0xffff, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		assert_false(io_port_allowed(d, ours[i], 1));
	assert_true(io_port_allowed(d, 0xcf8, 4));
	assert_true(io_port_allowed(d, 0x400, 1));
	assert_int_equal(io_mem_permit(d, (mfn_t){0}, (mfn_t){1ull << 36}, true), 0);
	assert_false(io_mem_allowed(d, (mfn_t){0xfee00}));
	assert_false(io_mem_allowed(d, (mfn_t){0xfec00}));
	assert_true(io_mem_allowed(d, (mfn_t){0xfed00}));
}

/* Against a plain array of what should be allowed, in random steps. */
static void memory_rights_against_a_model(void **state)
{
	bool model[64] = {false};

	(void)state;
	srand(1);
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t first = (unsigned)rand() % 64,
			 last = first + (unsigned)rand() % (64 - first);
		bool allow = rand() & 1;
		int rc = io_mem_permit(d, (mfn_t){first}, (mfn_t){last}, allow);

		for (uint64_t i = first; rc == 0 && i <= last; i++)
			model[i] = allow;
		for (uint64_t i = 0; i < 64; i++)
			assert_int_equal(io_mem_allowed(d, (mfn_t){i}), model[i]);
		assert_true(d->io.range_count <= IO_MEM_RANGES);
	}
	assert_int_equal(io_mem_permit(d, (mfn_t){5}, (mfn_t){4}, true), -XEN_EINVAL);
}

/* So many holes that the list is full: refused, and nothing changed. */
static void memory_rights_have_an_end(void **state)
{
	int rc = 0;
	uint64_t i;

	(void)state;
	for (i = 0; rc == 0; i += 2)
		rc = io_mem_permit(d, (mfn_t){i}, (mfn_t){i}, true);
	assert_int_equal(rc, -XEN_ENOSPC);
	assert_true(io_mem_allowed(d, (mfn_t){0}));
	assert_false(io_mem_allowed(d, (mfn_t){i - 2}));
}

/* ---- interrupts ------------------------------------------------------------------------ */

static void level_waits_for_its_end(void **state)
{
	(void)state;
	world.gsi[9].level = true;
	assert_int_equal(pirq_map_gsi(d, 9, -1), 9);
	assert_int_equal(pirq_map_gsi(d, 9, 9), 9);
	assert_true(world.gsi[9].masked);
	assert_int_equal(io_pirq_bind(d, 9), 0);
	assert_int_equal(io_pirq_bind(d, 9), -XEN_EBUSY);
	assert_false(world.gsi[9].masked);
	irq_handle(world.gsi[9].vector);
	assert_int_equal(world.pirqs[9], 1);
	assert_true(world.gsi[9].masked);
	assert_true(pirq_needs_eoi(d, 9));
	assert_int_equal(pirq_eoi(d, 9), 0);
	assert_false(world.gsi[9].masked);
	assert_int_equal(pirq_unmap(d, 9), -XEN_EBUSY);
	io_pirq_unbind(d, 9);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_eoi(d, 9), 0);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_unmap(d, 9), 0);
	assert_int_equal(pirq_unmap(d, 9), -XEN_EINVAL);
}

/* The end of an interrupt that came while bound must not unmask one that was unbound meanwhile. */
static void late_end_unmasks_nothing(void **state)
{
	(void)state;
	world.gsi[9].level = true;
	assert_int_equal(pirq_map_gsi(d, 9, -1), 9);
	assert_int_equal(io_pirq_bind(d, 9), 0);
	irq_handle(world.gsi[9].vector);
	io_pirq_unbind(d, 9);
	assert_int_equal(pirq_eoi(d, 9), 0);
	assert_true(world.gsi[9].masked);
	assert_int_equal(io_pirq_bind(d, 9), 0);
	assert_false(world.gsi[9].masked);
}

static void edge_does_not_wait(void **state)
{
	(void)state;
	assert_int_equal(pirq_map_gsi(d, 4, 4), 4);
	assert_int_equal(io_pirq_bind(d, 4), 0);
	irq_handle(world.gsi[4].vector);
	irq_handle(world.gsi[4].vector);
	assert_int_equal(world.pirqs[4], 2);
	assert_false(world.gsi[4].masked);
	assert_false(pirq_needs_eoi(d, 4));
}

static void only_with_permission(void **state)
{
	(void)state;
	assert_int_equal(io_irq_permit(d, 4, false), 0);
	assert_int_equal(pirq_map_gsi(d, 4, -1), -XEN_EPERM);
	assert_int_equal(io_irq_permit(d, IO_PIRQS, true), -XEN_EINVAL);
	assert_int_equal(pirq_map_gsi(d, WORLD_GSIS, -1), -XEN_EINVAL);
	assert_int_equal(pirq_map_gsi(d, 4, 5), -XEN_EINVAL);
	assert_int_equal(io_pirq_bind(d, 4), -XEN_EPERM);
	assert_int_equal(io_pirq_bind(d, ~0u), -XEN_EPERM);
}

static void msi_is_written_for_the_guest(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF};
	int pirq = pirq_map_msi(d, &s, -1);

	(void)state;
	assert_in_range(pirq, WORLD_GSIS, IO_PIRQS - 1);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 1);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1], 0xfee00000);
	irq_handle(world.config[WORLD_MSI / 4 + 3]);
	assert_int_equal(world.pirqs[pirq], 1);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq), 0);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 0);
	s.bdf++;
	assert_int_equal(pirq_map_msi(d, &s, -1), -XEN_ENODEV);
}

static long map_by_hypercall(struct physdev_map_pirq *m)
{
	long rc;

	WORLD_PUT(WORLD_BASE, *m);
	rc = hc_physdev_op(PHYSDEVOP_map_pirq, WORLD_BASE);
	memcpy(m, world_at(WORLD_BASE), sizeof(*m));
	return rc;
}

static void msix_goes_where_the_function_says(void **state)
{
	struct physdev_map_pirq m = {
	    .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI_SEG, .pirq = -1};
	const uint32_t *entry = &world.device[(0x100 + 2 * 16) / 4];

	(void)state;
	m.bus = WORLD_BDF >> 8;
	m.devfn = WORLD_BDF & 0xff;
	m.table_base = WORLD_DEVICE;
	m.entry_nr = 2;
	assert_int_equal(map_by_hypercall(&m), -XEN_EPERM); /* not its memory */
	assert_int_equal(
	    io_mem_permit(d, (mfn_t){WORLD_DEVICE >> 12}, (mfn_t){WORLD_DEVICE >> 12}, true), 0);
	m.pirq = -1;
	assert_int_equal(map_by_hypercall(&m), 0);
	assert_int_equal(entry[0], 0xfee00000);
	assert_int_equal(entry[3], 0);
	irq_handle(entry[2]);
	assert_int_equal(world.pirqs[m.pirq], 1);
	io_domain_teardown(d);
	assert_int_equal(entry[3], 1);
	m.table_base = 0x5000; /* RAM */
	m.pirq = -1;
	assert_int_equal(map_by_hypercall(&m), -XEN_EPERM);
	m.table_base = WORLD_DEVICE;
	m.entry_nr = 5000;
	assert_int_equal(map_by_hypercall(&m), -XEN_EPERM);
	m.entry_nr = -1;
	assert_int_equal(map_by_hypercall(&m), -XEN_EINVAL);
	m.domid = 99;
	assert_int_equal(map_by_hypercall(&m), -XEN_ESRCH);
}

/* Vectors and numbers run out, and all come back. */
static void mapped_until_nothing_is_left(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF};

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		unsigned n = 0;

		while (pirq_map_msi(d, &s, -1) >= 0)
			n++;
		assert_int_equal(n, IO_PIRQS - WORLD_GSIS);
		pirq_domain_teardown(d);
	}
}

static void the_small_calls(void **state)
{
	struct physdev_set_iopl iopl = {.iopl = 4};
	struct physdev_irq_status_query q = {.irq = 500};
	struct physdev_setup_gsi gsi = {.gsi = 11, .triggering = 1, .polarity = 1};

	(void)state;
	WORLD_PUT(WORLD_BASE, iopl);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_set_iopl, WORLD_BASE), -XEN_EINVAL);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_set_iopl, 0), -XEN_EFAULT);
	WORLD_PUT(WORLD_BASE, q);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_irq_status_query, WORLD_BASE), -XEN_EINVAL);
	WORLD_PUT(WORLD_BASE, gsi);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_setup_gsi, WORLD_BASE), 0);
	assert_true(world.gsi[11].level && world.gsi[11].low);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_apic_read, WORLD_BASE), -XEN_ENOSYS);
	d->privileged = false;
	assert_int_equal(hc_physdev_op(PHYSDEVOP_setup_gsi, WORLD_BASE), -XEN_EPERM);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_map_pirq, WORLD_BASE), -XEN_EPERM);
}

static void the_console_is_the_first_domains(void **state)
{
	(void)state;
	memcpy(world_at(WORLD_BASE), "hello\nwor", 9);
	assert_int_equal(hc_console_io(CONSOLEIO_write, 9, WORLD_BASE), 0);
	hv_printk("a line of ours");
	assert_string_equal(world.console, "hello\nwor\n[hv] a line of ours\n");
	assert_int_equal(hc_console_io(CONSOLEIO_write, ~0ull, WORLD_BASE), -XEN_EINVAL);
	assert_int_equal(hc_console_io(CONSOLEIO_write, 1u << 20, WORLD_BASE), -XEN_E2BIG);
	assert_int_equal(hc_console_io(CONSOLEIO_write, 4, 0x10), -XEN_EFAULT);
	assert_int_equal(hc_console_io(CONSOLEIO_read, 4, WORLD_BASE), 0);
	d->privileged = false;
	assert_int_equal(hc_console_io(CONSOLEIO_write, 1, WORLD_BASE), -XEN_EPERM);
	assert_int_equal(hc_console_io(CONSOLEIO_read, 1, WORLD_BASE), -XEN_EPERM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(ports_as_given),
	    T(ours_stays_ours),
	    T(memory_rights_against_a_model),
	    T(memory_rights_have_an_end),
	    T(level_waits_for_its_end),
	    T(late_end_unmasks_nothing),
	    T(edge_does_not_wait),
	    T(only_with_permission),
	    T(msi_is_written_for_the_guest),
	    T(msix_goes_where_the_function_says),
	    T(mapped_until_nothing_is_left),
	    T(the_small_calls),
	    T(the_console_is_the_first_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
