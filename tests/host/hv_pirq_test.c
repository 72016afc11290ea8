/* hv_pirq_test: the life of a device interrupt: mapped for a domain, bound, heard, ended, given back.
 *
 * Why: a lost end of interrupt stops a disk, and one that comes to another domain is a leak. Expected: level interrupts wait
 * for their end, edges do not; messages are written where the function says, into device memory that is the domain's only,
 * as a unit wants them that looks at them; several are a row; all goes back at the end, but a vector that the unit does not
 * give up.
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
#include <string.h>

#include <cmocka.h>

#include "hv_vcpu_world.h"
#include "hypervisor/iommu_device.h"
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
	assert_int_equal(pirq_unmap(d, 9, false), -XEN_EBUSY);
	io_pirq_unbind(d, 9);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_eoi(d, 9), 0);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_unmap(d, 9, false), 0);
	assert_int_equal(pirq_unmap(d, 9, false), -XEN_EINVAL);
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
	assert_int_equal(pirq_map_gsi(d, 4, -1), 4);
	assert_int_equal(io_irq_permit(d, IO_PIRQS, true), -XEN_EINVAL);
	assert_int_equal(pirq_map_gsi(d, WORLD_GSIS, -1), -XEN_EINVAL);
	assert_int_equal(pirq_map_gsi(d, 4, 5), -XEN_EINVAL);
	assert_int_equal(io_pirq_bind(d, 4), -XEN_EPERM);
	assert_int_equal(io_irq_permit(d, 4, true), 0);
	assert_int_equal(io_pirq_bind(d, 4), 0);
	assert_int_equal(io_pirq_bind(d, 5), -XEN_EPERM); /* not mapped */
	assert_int_equal(io_pirq_bind(d, ~0u), -XEN_EPERM);
}

static void msi_is_written_for_the_guest(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF, .messages = 1};
	int pirq = pirq_map_msi(d, &s, -1);

	(void)state;
	assert_in_range(pirq, WORLD_GSIS, IO_PIRQS - 1);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 1);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1], 0xfee00000);
	irq_handle(world.config[WORLD_MSI / 4 + 3]);
	assert_int_equal(world.pirqs[pirq], 1);
	world.config[WORLD_MSI / 4 + 1] = 0;
	pirq_restore_function(d, WORLD_BDF + 1);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1], 0);
	pirq_restore_function(d, WORLD_BDF);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1], 0xfee00000);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, false), 0);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 0);
	s.bdf++;
	assert_int_equal(pirq_map_msi(d, &s, -1), -XEN_ENODEV);
}

/* Whoever takes a device back does not ask its guest: a bound interrupt goes too, and its channel hears no more. */
static void a_lost_function_is_silent(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF, .messages = 1};
	int pirq = pirq_map_msi(d, &s, -1);
	uint8_t vector = (uint8_t)world.config[WORLD_MSI / 4 + 3];

	(void)state;
	assert_int_equal(io_pirq_bind(d, (uint32_t)pirq), 0);
	io_lose_function(d, WORLD_BDF + 1);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 1);
	io_lose_function(d, WORLD_BDF);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 0);
	irq_handle(vector);
	assert_int_equal(world.pirqs[pirq], 0);
	io_pirq_unbind(d, (uint32_t)pirq);
	assert_int_equal(pirq_map_msi(d, &s, pirq), pirq);
	assert_int_equal(io_pirq_bind(d, (uint32_t)pirq), 0);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, false), -XEN_EBUSY);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, true), 0);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, true), -XEN_EINVAL);
}

/* The message is the unit's, for a vector that comes back with it. */
static void messages_that_are_looked_at(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF, .messages = 1};
	uint8_t vector;
	int pirq;

	(void)state;
	world.remaps = true;
	pirq = pirq_map_msi(d, &s, -1);
	vector = (uint8_t)(world.config[WORLD_MSI / 4 + 1] >> 5);
	assert_in_range(pirq, WORLD_GSIS, IO_PIRQS - 1);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1], 0xfee00010 | (uint32_t)vector << 5);
	assert_int_equal(world.config[WORLD_MSI / 4 + 3], 0);
	assert_int_equal(world.n_remapped, 1);
	irq_handle(vector);
	assert_int_equal(world.pirqs[pirq], 1);
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, false), 0);
	assert_int_equal(world.n_remapped, 0);
	s.bdf++; /* which is not there */
	assert_int_equal(pirq_map_msi(d, &s, -1), -XEN_ENODEV);
	assert_int_equal(world.n_remapped, 0);
	world.remapping = -XEN_ENOMEM;
	s.bdf--;
	assert_int_equal(pirq_map_msi(d, &s, -1), -XEN_ENOMEM);
	/* What it does not give up is nobody's from then on, and heard by nobody. */
	world.remapping = 0;
	pirq = pirq_map_msi(d, &s, -1);
	assert_int_equal((uint8_t)(world.config[WORLD_MSI / 4 + 1] >> 5), vector);
	world.remapping = -XEN_EIO;
	assert_int_equal(pirq_unmap(d, (uint32_t)pirq, false), 0);
	irq_handle(vector);
	assert_int_equal(world.pirqs[pirq], 1);
	world.remapping = 0;
	assert_true(pirq_map_msi(d, &s, -1) > 0);
	assert_int_not_equal((uint8_t)(world.config[WORLD_MSI / 4 + 1] >> 5), vector);
	/* Lines, too. */
	world.remapping = -XEN_EIO;
	assert_int_equal(pirq_map_gsi(d, 9, -1), -XEN_EIO);
	world.remapping = 0;
	assert_int_equal(pirq_map_gsi(d, 9, -1), 9);
}

static long map_by_hypercall(struct physdev_map_pirq *m)
{
	long rc;

	WORLD_PUT(WORLD_BASE, *m);
	rc = hc_physdev_op(PHYSDEVOP_map_pirq, WORLD_BASE);
	memcpy(m, world_at(WORLD_BASE), sizeof(*m));
	return rc;
}

/* A reset took it from the device; of another function, or of another segment, nothing is written. */
static void table_is_written_again(unsigned bus, unsigned devfn, const uint32_t *entry)
{
	struct physdev_pci_device where = {.bus = (uint8_t)bus, .devfn = (uint8_t)(devfn + 1)};
	uint32_t before[4];

	memcpy(before, entry, sizeof(before));
	memset(world.device, 0, sizeof(world.device));
	WORLD_PUT(WORLD_BASE, where);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_restore_msi_ext, WORLD_BASE), 0);
	where.devfn--;
	where.seg = 1;
	WORLD_PUT(WORLD_BASE, where);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_restore_msi_ext, WORLD_BASE), 0);
	assert_int_equal(entry[0], 0);
	where.seg = 0;
	WORLD_PUT(WORLD_BASE, where);
	assert_int_equal(hc_physdev_op(PHYSDEVOP_restore_msi_ext, WORLD_BASE), 0);
	assert_memory_equal(entry, before, sizeof(before));
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
	table_is_written_again(m.bus, m.devfn, entry);
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

/* ---- several messages ------------------------------------------------------------------ */

static struct physdev_map_pirq several(int count)
{
	return (struct physdev_map_pirq){.domid = DOMID_SELF,
					 .type = MAP_PIRQ_TYPE_MULTI_MSI,
					 .pirq = -1,
					 .bus = WORLD_BDF >> 8,
					 .devfn = WORLD_BDF & 0xff,
					 .entry_nr = count};
}

/* A function that can have so many. */
static void messages_of_world(unsigned log2)
{
	world.config[WORLD_MSI / 4] |= log2 << 17;
}

/* The device adds a message's number to its data; whatever is asked for is rounded up to what it can be told. */
static void several_messages_in_a_row(void **state)
{
	struct physdev_map_pirq m = several(5);
	uint32_t data;

	(void)state;
	messages_of_world(4);
	assert_int_equal(map_by_hypercall(&m), 0);
	assert_int_equal(m.entry_nr, 8);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 20 & 7, 3);
	data = world.config[WORLD_MSI / 4 + 3];
	assert_int_equal(data % 8, 0);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(io_pirq_bind(d, (uint32_t)m.pirq + i), 0);
		irq_handle(data | i);
		assert_int_equal(world.pirqs[(uint32_t)m.pirq + i], 1);
	}
	assert_int_equal(pirq_unmap(d, (uint32_t)m.pirq, false), -XEN_EBUSY);
	assert_int_equal(pirq_unmap(d, (uint32_t)m.pirq + 1, true),
			 -XEN_EINVAL); /* not the first */
	for (uint32_t i = 0; i < 8; i++)
		io_pirq_unbind(d, (uint32_t)m.pirq + i);
	assert_int_equal(pirq_unmap(d, (uint32_t)m.pirq, false), 0);
	assert_int_equal(world.config[WORLD_MSI / 4] >> 16 & 1, 0);
	assert_int_equal(io_pirq_bind(d, (uint32_t)m.pirq + 7), -XEN_EPERM);
	irq_handle(data | 7);
	assert_int_equal(world.pirqs[(uint32_t)m.pirq + 7], 1);
}

/* Each vector is known to the unit, and none stays; of those that it does not give up nobody else hears. */
static void several_that_are_looked_at(void **state)
{
	struct physdev_map_pirq m = several(32);
	uint32_t first;

	(void)state;
	messages_of_world(5);
	world.remaps = true;
	assert_int_equal(map_by_hypercall(&m), 0);
	assert_int_equal(world.n_remapped, 32);
	first = world.config[WORLD_MSI / 4 + 1] >> 5 & 0xff;
	assert_int_equal(first % 32, 0);
	irq_handle(first + 31);
	assert_int_equal(world.pirqs[m.pirq + 31], 1);
	assert_int_equal(pirq_unmap(d, (uint32_t)m.pirq, false), 0);
	assert_int_equal(world.n_remapped, 0);
	world.refused_vector = (uint8_t)(first + 20);
	m = several(32);
	assert_int_equal(map_by_hypercall(&m), -XEN_ENOMEM);
	assert_int_equal(world.n_remapped, 0);
	world.refused_vector = 0;
	m = several(32);
	assert_int_equal(map_by_hypercall(&m), 0);
	assert_int_equal(world.config[WORLD_MSI / 4 + 1] >> 5 & 0xff, first);
	world.remapping = -XEN_EIO;
	io_lose_function(d, WORLD_BDF);
	world.remapping = 0;
	world.n_remapped = 0;
	m = several(32);
	assert_int_equal(map_by_hypercall(&m), 0);
	assert_int_not_equal(world.config[WORLD_MSI / 4 + 1] >> 5 & 0xff, first);
}

static void several_nonsense(void **state)
{
	static const int counts[] = {0, -1, 33, INT32_MAX, INT32_MIN};
	struct io_device function = {.bdf = WORLD_BDF};
	struct physdev_map_pirq m;

	(void)state;
	messages_of_world(2);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		m = several(counts[i]);
		assert_int_equal(map_by_hypercall(&m), -XEN_EDOM);
	}
	m = several(8); /* more than it has */
	assert_int_equal(map_by_hypercall(&m), -XEN_ENOSPC);
	m = several(2);
	m.table_base = WORLD_DEVICE;
	assert_int_equal(map_by_hypercall(&m), -XEN_EINVAL);
	m = several(2);
	m.bus |= 1 << 16;
	assert_int_equal(map_by_hypercall(&m), -XEN_ENODEV);
	m = several(2);
	m.pirq = IO_PIRQS - 1;
	assert_int_equal(map_by_hypercall(&m), -XEN_ENOSPC);
	m.pirq = INT32_MAX;
	assert_int_equal(map_by_hypercall(&m), -XEN_ENOSPC);
	world.function = &function; /* nobody's */
	m = several(2);
	assert_int_equal(map_by_hypercall(&m), -XEN_EPERM);
	function.owner = d;
	m = several(2);
	assert_int_equal(map_by_hypercall(&m), 0);
}

/* ---- a line and two domains -------------------------------------------------------------- */

/* It is one domain's while that listens; what is only mapped gives way. */
static void a_line_is_one_domains(void **state)
{
	static struct domain guest = {.id = 5};

	(void)state;
	world.gsi[9].level = true;
	assert_int_equal(pirq_map_gsi(d, 9, -1), 9);
	assert_int_equal(io_irq_permit(&guest, 9, true), 0);
	assert_int_equal(pirq_map_gsi(&guest, 9, 9), 9);
	assert_int_equal(io_pirq_bind(d, 9), -XEN_EPERM);
	assert_int_equal(io_pirq_bind(&guest, 9), 0);
	assert_int_equal(pirq_map_gsi(d, 9, -1), -XEN_EBUSY);
	irq_handle(world.gsi[9].vector);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_eoi(d, 9), -XEN_EINVAL); /* not this one's to end */
	assert_int_equal(pirq_eoi(&guest, 9), 0);
	assert_false(world.gsi[9].masked);
	pirq_domain_teardown(&guest);
	assert_true(world.gsi[9].masked);
	assert_int_equal(pirq_map_gsi(d, 9, -1), 9);
}

/* Vectors and numbers run out, and all come back. */
static void mapped_until_nothing_is_left(void **state)
{
	struct msi_source s = {.bdf = WORLD_BDF, .messages = 1};

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		unsigned n = 0;

		while (pirq_map_msi(d, &s, -1) >= 0)
			n++;
		assert_int_equal(n, IO_PIRQS - WORLD_GSIS);
		pirq_domain_teardown(d);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(level_waits_for_its_end),
	    T(late_end_unmasks_nothing),
	    T(edge_does_not_wait),
	    T(only_with_permission),
	    T(msi_is_written_for_the_guest),
	    T(a_lost_function_is_silent),
	    T(messages_that_are_looked_at),
	    T(msix_goes_where_the_function_says),
	    T(several_messages_in_a_row),
	    T(several_that_are_looked_at),
	    T(several_nonsense),
	    T(a_line_is_one_domains),
	    T(mapped_until_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
