/* hv_io_test: rights to ports and device memory, and the calls that a domain with devices makes for itself.
 *
 * Why: rights are what keeps a domain's hands off other hardware. Expected: they are exactly what was given, split and joined
 * in any order; our own ports and controllers stay ours; functions that come and go are told on; the console is the first
 * domain's alone. Interrupts: hv_pirq_test.
 *
 * links: tests/host/hv_vcpu_world.c hypervisor/io.c hypervisor/pirq.c hypervisor/msi.c hypervisor/pci_config.c lib/pci_cap.c
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

static struct domain *d;

static int set_up(void **state)
{
	(void)state;
	world_start(true);
	d = world_domain;
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
	assert_false(io_mem_allowed(d, (mfn_t){WORLD_UNIT_FRAME}));
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

/* Each of the ABI's words for it; other segments are nobody's business. */
static void functions_are_told(void **state)
{
	struct physdev_manage_pci old = {.bus = 1, .devfn = 2};
	struct physdev_pci_device_add add = {.bus = 3, .devfn = 4};
	struct physdev_pci_device gone = {.bus = 5, .devfn = 6};

	(void)state;
	WORLD_PUT(WORLD_BASE, old);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_manage_pci_add, WORLD_BASE), 0);
	assert_int_equal(world.added, 0x0102);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_manage_pci_remove, WORLD_BASE), 0);
	assert_int_equal(world.removed, 0x0102);
	WORLD_PUT(WORLD_BASE, add);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_pci_device_add, WORLD_BASE), 0);
	assert_int_equal(world.added, 0x0304);
	WORLD_PUT(WORLD_BASE, gone);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_pci_device_remove, WORLD_BASE), 0);
	assert_int_equal(world.removed, 0x0506);
	gone.seg = 1;
	gone.bus = 7;
	WORLD_PUT(WORLD_BASE, gone);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_pci_device_remove, WORLD_BASE), 0);
	assert_int_equal(world.removed, 0x0506);
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
	    T(functions_are_told),
	    T(the_small_calls),
	    T(the_console_is_the_first_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
