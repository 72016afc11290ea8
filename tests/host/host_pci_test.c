/* host_pci_test.c: the kernel's books of who has a PCI function, and the interrupts that its back half asks for.
 *
 * Why: a function that is claimed while a driver of ours has it, or for another guest, is driven by two. Expected: the states of
 * host_pci_control.h and no others; ranges as base registers say; all vectors of a request or none, and each given back.
 *
 * links: kernel/host_pci.c kernel/host_pci_control.c kernel/machine_input.c drivers-native/pci_measure.c hypercall/count.c tests/host/fake_hypercall.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/drivers.h>
#include <amphi/hypercall.h>
#include <amphi/machine.h>
#include <amphi/pci.h>

#include "fake_hypercall.h"
#include "kernel/boot.h"
#include "kernel/host_pci.h"
#include "kernel/machine_acpi.h"
#include "kernel/partition_late.h"

#define NVME    0x0020u
#define VIRTUAL 0x0021u
#define CAP     0x40u

static struct pci_function functions[4];
static unsigned n_functions, searched, added, removed, mapped, unmapped, refuse_after;
static unsigned prepared, released;
static int prepare_err, restore_err;
static bool no_msix, no_messages;
static int line_err, last_unmapped, line_led_to;
static struct physdev_setup_gsi set_up;
static uint8_t space[256];
unsigned drivers_wanted_vfs;
struct boot_info boot;

/* ---- below the seam ---------------------------------------------------------------------------- */

const struct pci_function *pci_get(unsigned n)
{
	return n < n_functions ? &functions[n] : NULL;
}
void drivers_native_add(uint16_t bdf)
{
	added++;
	for (unsigned i = 0; i < drivers_wanted_vfs && i < 1; i++)
		functions[n_functions++] = (struct pci_function){.bdf = VIRTUAL,
								 .physical = NVME,
								 .virtual_bar = {0xfe100000},
								 .virtual_bytes = 0x4000};
}
void partitions_find_soon(void)
{
	searched++;
}
void drivers_native_remove(uint16_t bdf)
{
	removed++;
}
void pci_disable(const struct pci_function *f) {}
unsigned pci_find_capability(const struct pci_function *f, unsigned id, unsigned after)
{
	return (id == PCI_CAP_MSIX && no_msix) || no_messages ? 0 : CAP;
}
int pci_msix_find(const struct pci_function *f, struct pci_msix *out)
{
	*out = (struct pci_msix){.cap = CAP, .entries = 8, .bar = {0xfe000000}};
	return 0;
}
void machine_delay_us(unsigned us) {}
static struct acpi_info tables;
const struct acpi_info *machine_acpi(void)
{
	return &tables;
}

/* Base register 0 is one of 64 bits and 16 KiB, 2 one of 32 ports. */
uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	memcpy(&value, &space[offset], width);
	return value;
}
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	if (offset == 0x10)
		value = (value & 0xffffc000) | 4;
	else if (offset == 0x18)
		value = (value & 0xffffffe0) | 1;
	else if (offset > 0x18 && offset < 0x28)
		value = 0;
	memcpy(&space[offset], &value, width);
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	struct physdev_map_pirq *map = (void *)(uintptr_t)a2;
	struct physdev_unmap_pirq *unmap = (void *)(uintptr_t)a2;

	if (a1 == PHYSDEVOP_setup_gsi) {
		set_up = *(struct physdev_setup_gsi *)(uintptr_t)a2;
		return -XEN_EEXIST; /* somebody listens to it: no obstacle */
	}
	if (a1 == PHYSDEVOP_map_pirq && map->type == MAP_PIRQ_TYPE_GSI) {
		assert_int_equal(map->index, line_led_to);
		assert_int_equal(map->pirq, line_led_to);
		assert_int_equal(set_up.gsi, line_led_to); /* before it is anybody's */
		assert_int_equal(set_up.triggering, 1);
		mapped += map->domid == 7;
		return map->domid == 7 ? line_err : -XEN_EPERM; /* our own is no matter */
	}
	if (a1 == PHYSDEVOP_unmap_pirq) {
		assert_int_equal(unmap->domid, 7);
		last_unmapped = unmap->pirq;
		unmapped++;
		return 0;
	}
	if (a1 == PHYSDEVOP_prepare_msix || a1 == PHYSDEVOP_release_msix) {
		const struct physdev_pci_device *dev = (void *)(uintptr_t)a2;

		assert_int_equal(dev->seg << 16 | dev->bus << 8 | (dev->devfn & ~1), NVME);
		assert_int_equal(space[4] & 2, 2); /* it decodes */
		prepared += a1 == PHYSDEVOP_prepare_msix && !prepare_err;
		released += a1 == PHYSDEVOP_release_msix;
		return a1 == PHYSDEVOP_prepare_msix ? prepare_err : 0;
	}
	if (a1 == PHYSDEVOP_restore_msi_ext) {
		const struct physdev_pci_device *dev = (void *)(uintptr_t)a2;

		assert_int_equal(dev->seg << 16 | dev->bus << 8 | dev->devfn, NVME);
		return restore_err;
	}
	assert_int_equal(a1, PHYSDEVOP_map_pirq);
	assert_int_equal(map->domid, 7);
	assert_int_equal(map->devfn, NVME);
	if (mapped == refuse_after)
		return -XEN_ENOSPC;
	map->pirq = (int)(100 + mapped++);
	return 0;
}

static int fresh(void **state)
{
	n_functions = 1;
	functions[0] = (struct pci_function){.bdf = NVME,
					     .vendor = 0x1b36,
					     .device = 0x10,
					     .class_code = 0x010802,
					     .physical = NVME};
	memset(space, 0, sizeof(space));
	machine_pci_write(NVME, 0x10, 4, 0xfe000000);
	machine_pci_write(NVME, 0x18, 4, 0xc000);
	space[4] = 7;
	host_pci_back(NVME);
	host_pci_take(NVME);
	searched = added = removed = mapped = unmapped = prepared = released = 0;
	prepare_err = restore_err = 0;
	no_msix = no_messages = false;
	line_err = 0;
	line_led_to = 11;
	set_up = (struct physdev_setup_gsi){0};
	refuse_after = 100;
	for (unsigned i = 0; i < ACPI_ISA_IRQS; i++)
		tables.isa[i].gsi = i;
	tables.isa[11].level = true; /* and high */
	return 0;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_states(void **state)
{
	struct host_pci_function f;
	struct host_pci_info info;

	assert_int_equal(host_pci_claim(0x1234, 7, &info), -XEN_ENODEV);
	assert_int_equal(host_pci_claim(NVME, 7, &info), -XEN_EBUSY);
	host_pci_let_go(NVME);
	host_pci_let_go(NVME);
	assert_int_equal(removed, 1);
	assert_int_equal(host_pci_claim(NVME, 7, &info), -XEN_EPERM);
	assert_int_equal(host_pci_lend(NVME, 7), 0);
	assert_true(host_pci_nth(0, &f));
	assert_int_equal(f.state, HOST_PCI_LENT);
	assert_int_equal(f.guest, 7);
	assert_false(host_pci_nth(1, &f));
	assert_int_equal(host_pci_claim(NVME, 8, &info), -XEN_EPERM);
	assert_int_equal(host_pci_claim(NVME, 7, &info), 0);
	assert_int_equal(info.id, 0x00101b36);
	assert_int_equal(info.bar[0], 0xfe000004);
	assert_int_equal(info.probe[0], 0xffffc004);
	assert_false(info.always_decodes);
	assert_int_equal(host_pci_claim(NVME, 7, &info), -XEN_EBUSY);
	host_pci_take(NVME); /* not from a guest */
	assert_int_equal(added, 0);
	host_pci_release(NVME, 8);
	assert_int_equal(host_pci_claim(NVME, 7, &info), -XEN_EBUSY);
	host_pci_release(NVME, 7);
	assert_int_equal(host_pci_claim(NVME, 7, &info), 0);
	host_pci_back(NVME);
	host_pci_take(NVME);
	assert_int_equal(added, 1);
	assert_int_equal(searched, 1); /* its disks may have partitions */
}

/* The table of messages is the hypervisor's while the function is lent, once, whatever is asked twice. */
static void test_table(void **state)
{
	struct host_pci_function f;

	host_pci_let_go(NVME);
	space[4] = 0;
	prepare_err = -XEN_EBUSY;
	assert_int_equal(host_pci_lend(NVME, 7), -XEN_EBUSY);
	assert_true(host_pci_nth(0, &f));
	assert_int_equal(f.state, HOST_PCI_FREE);
	prepare_err = 0;
	assert_int_equal(host_pci_lend(NVME, 7), 0);
	assert_int_equal(space[4], 0);
	host_pci_back(NVME);
	host_pci_back(NVME);
	assert_int_equal(prepared, 1);
	assert_int_equal(released, 1);
	prepare_err = -XEN_ENOSYS; /* nobody asks for it */
	assert_int_equal(host_pci_lend(NVME, 7), 0);
	host_pci_back(NVME);
	no_msix = true;
	prepare_err = -XEN_ENODEV;
	assert_int_equal(host_pci_lend(NVME, 7), 0);
	host_pci_back(NVME);
	assert_int_equal(released, 2);
	assert_int_equal(host_pci_lend(0x1234, 7), -XEN_ENODEV);
}

static void test_why_not(void **state)
{
	assert_null(host_pci_why_not());
	boot.platform = BOOT_XEN_PVH;
	assert_non_null(host_pci_why_not());
	boot.platform = BOOT_XEN_PV;
	assert_null(host_pci_why_not());
}

static void test_ranges(void **state)
{
	struct host_pci_function f;
	struct pci_bars bars;

	assert_true(host_pci_nth(0, &f));
	assert_int_equal(f.ranges[0].start, 0xfe000000);
	assert_int_equal(f.ranges[0].bytes, 0x4000);
	assert_false(f.ranges[0].ports);
	assert_int_equal(f.ranges[1].bytes, 0);
	assert_int_equal(f.ranges[2].start, 0xc000);
	assert_int_equal(f.ranges[2].bytes, 32);
	assert_true(f.ranges[2].ports);
	pci_measure(&functions[0], &bars);
	assert_int_equal(bars.probe[0], 0xffffc004);
	assert_int_equal(space[4], 7); /* as it was */
	assert_int_equal(machine_pci_read(NVME, 0x10, 4), 0xfe000004);
}

static void test_virtual(void **state)
{
	struct host_pci_function f;
	struct host_pci_info info;

	assert_int_equal(host_pci_virtual(0x1234, 1), -XEN_ENODEV);
	assert_int_equal(host_pci_virtual(NVME, 1), 1);
	assert_int_equal(host_pci_virtual(NVME, 1), -XEN_EBUSY);
	assert_int_equal(drivers_wanted_vfs, 0);
	assert_true(host_pci_nth(1, &f));
	assert_int_equal(f.state, HOST_PCI_FREE);
	assert_int_equal(f.physical, NVME);
	assert_int_equal(f.ranges[0].start, 0xfe100000);
	assert_int_equal(f.ranges[0].bytes, 0x4000);
	assert_int_equal(host_pci_lend(VIRTUAL, 7), 0);
	assert_int_equal(host_pci_claim(VIRTUAL, 7, &info), 0);
	assert_true(info.always_decodes);
	assert_int_equal(info.bar[0], 0xfe100004);
	host_pci_back(VIRTUAL);
	added = 0;
	host_pci_take(VIRTUAL); /* a scan would not find it */
	assert_int_equal(added, 0);
}

static void test_msix(void **state)
{
	static const uint16_t entries[] = {0, 3, 5};
	uint32_t pirqs[3];

	assert_int_equal(host_pci_interrupts_on(NVME, 7, HOST_PCI_MSIX, entries, 3, pirqs), 0);
	assert_int_equal(pirqs[2], 102);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2) & 0xc000, 0x8000);
	/* A reset has turned it off. */
	machine_pci_write(NVME, CAP + 2, 2, 0x4000);
	assert_int_equal(host_pci_interrupts_again(NVME, HOST_PCI_MSIX, 3), 0);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2) & 0xc000, 0x8000);
	restore_err = -XEN_ENOSYS;
	machine_pci_write(NVME, CAP + 2, 2, 0);
	assert_int_equal(host_pci_interrupts_again(NVME, HOST_PCI_MSIX, 3), -XEN_ENOSYS);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2), 0);
	host_pci_interrupts_off(NVME, 7, HOST_PCI_MSIX, pirqs, 3);
	assert_int_equal(unmapped, 3);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2) & 0xc000, 0);
	/* Not enough for the third: none. */
	refuse_after = 5;
	assert_int_equal(host_pci_interrupts_on(NVME, 7, HOST_PCI_MSIX, entries, 3, pirqs),
			 -XEN_ENOSPC);
	assert_int_equal(unmapped, 5);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2) & 0x8000, 0);
}

static void test_msi(void **state)
{
	uint32_t pirqs[4];

	assert_int_equal(host_pci_interrupts_on(NVME, 7, HOST_PCI_MSI, NULL, 4, pirqs), 0);
	assert_int_equal(pirqs[3], 103);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2), 0x21);
	machine_pci_write(NVME, CAP + 2, 2, 0);
	assert_int_equal(host_pci_interrupts_again(NVME, HOST_PCI_MSI, 4), 0);
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2), 0x21);
	host_pci_interrupts_off(NVME, 7, HOST_PCI_MSI, pirqs, 4);
	assert_int_equal(unmapped, 1); /* by the first of them */
	assert_int_equal(machine_pci_read(NVME, CAP + 2, 2) & 1, 0);
	refuse_after = 0;
	mapped = 0;
	assert_int_equal(host_pci_interrupts_on(NVME, 7, HOST_PCI_MSI, NULL, 2, pirqs),
			 -XEN_ENOSPC);
}

/* Another place of the list, whose function is looked at anew. */
#define CARD 0x0028u

static void a_card(uint32_t line_and_pin)
{
	static uint16_t place = CARD;

	functions[0].bdf = functions[0].physical = place;
	place = place == CARD ? CARD + 8 : CARD;
	no_messages = true;
	machine_pci_write(CARD, 0x3c, 4, line_and_pin);
}

/* Of one with a pin and nothing else; as firmware has it, if that says something. */
static void test_line(void **state)
{
	static const uint32_t none[] = {0, 0x0b, 0x0100, 0x01ff, 0x0180, 0x050b};
	struct host_pci_function f;
	struct host_pci_info info;
	uint16_t bdf;

	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		a_card(none[i]);
		assert_true(host_pci_nth(0, &f));
		assert_int_equal(f.line, 0);
		assert_int_equal(host_pci_line_on(f.bdf, 7), -XEN_ENODEV);
	}
	a_card(0x010b);
	bdf = functions[0].bdf;
	assert_true(host_pci_nth(0, &f));
	assert_true(f.line == 11 && f.only_line);
	host_pci_let_go(bdf);
	assert_int_equal(host_pci_lend(bdf, 7), 0);
	line_err = -XEN_EBUSY;
	assert_int_equal(host_pci_line_on(bdf, 7), -XEN_EBUSY);
	assert_int_equal(host_pci_claim(bdf, 7, &info), 0);
	assert_int_equal(info.line, 0);
	host_pci_release(bdf, 7);
	line_err = 0;
	assert_int_equal(host_pci_line_on(bdf, 7), 0);
	assert_int_equal(host_pci_claim(bdf, 7, &info), 0);
	assert_int_equal(info.line, 11);
	host_pci_line_off(bdf, 7, false); /* another one has it too */
	assert_int_equal(unmapped, 0);
	assert_int_equal(host_pci_line_on(bdf, 7), 0);
	host_pci_line_off(bdf, 7, true);
	host_pci_line_off(bdf, 7, true);
	assert_int_equal(unmapped, 1);
	assert_int_equal(last_unmapped, 11);
	assert_int_equal(set_up.polarity, 0);
	host_pci_back(bdf);
	a_card(0x010b);
	no_messages = false;
	assert_true(host_pci_nth(0, &f));
	assert_true(f.line == 11 && !f.only_line); /* it has messages */
}

/* Firmware leads it elsewhere, or writes down an input that the old controllers do not have: the guest's pirq is the input. Low, as PCI has
 * it, where nobody says anything else. */
static void test_line_elsewhere(void **state)
{
	static const uint8_t lines[][2] = {{9, 20}, {22, 22}, {10, 10}};
	struct host_pci_info info;
	uint16_t bdf;

	tables.isa[9].gsi = 20;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		a_card(0x0400u | lines[i][0]);
		line_led_to = lines[i][1];
		bdf = functions[0].bdf;
		host_pci_let_go(bdf);
		assert_int_equal(host_pci_lend(bdf, 7), 0);
		assert_int_equal(host_pci_line_on(bdf, 7), 0);
		assert_int_equal(set_up.polarity, 1);
		assert_int_equal(host_pci_claim(bdf, 7, &info), 0);
		assert_int_equal(info.line, line_led_to);
		host_pci_line_off(bdf, 7, true);
		assert_int_equal(last_unmapped, line_led_to);
		host_pci_back(bdf);
	}
	/* None that a pirq could have. */
	tables.isa[9].gsi = 128;
	a_card(0x0109);
	assert_int_equal(host_pci_line_on(functions[0].bdf, 7), -XEN_ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_states, fresh),
	    cmocka_unit_test_setup(test_ranges, fresh),
	    cmocka_unit_test_setup(test_virtual, fresh),
	    cmocka_unit_test_setup(test_msix, fresh),
	    cmocka_unit_test_setup(test_msi, fresh),
	    cmocka_unit_test_setup(test_table, fresh),
	    cmocka_unit_test_setup(test_why_not, fresh),
	    cmocka_unit_test_setup(test_line, fresh),
	    cmocka_unit_test_setup(test_line_elsewhere, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
