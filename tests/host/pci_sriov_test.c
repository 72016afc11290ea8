/* pci_sriov_test: virtual functions get addresses that nobody else has, and are found by the drivers.
 *
 * Why: nothing answers for a wrong address but whatever else is there. Expected: the firmware's base is kept; without one
 * the functions come behind the others in the window of the bridge above, aligned to their size, or not at all when
 * there is no room, no bridge or no such capability; a list of capabilities that bites its tail ends.
 *
 * links: tests/host/no_lines.c drivers-native/pci_sriov.c drivers-native/pci.c lib/pci_cap.c
 */
#include "drivers-native/pci_sriov.h"

#include <amphi/machine.h>
#include <amphi/xen.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define BRIDGE  0x0008u /* 00:01.0 */
#define PF      0x0100u /* 01:00.0 */
#define CAP     0x140u
#define VF_SIZE 0x4000u

static uint8_t bridge[4096], pf[4096];
static uint64_t size_mask;
static unsigned enabled, delayed_us;

static uint8_t *space(uint16_t bdf)
{
	return bdf == BRIDGE ? bridge : bdf == PF ? pf : NULL;
}
static uint32_t get(const uint8_t *p, unsigned width)
{
	uint32_t value = 0;

	memcpy(&value, p, width);
	return value;
}
static void put(uint8_t *p, unsigned width, uint32_t value)
{
	memcpy(p, &value, width);
}

uint32_t machine_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	assert_true(offset + width <= 4096);
	return space(bdf) ? get(space(bdf) + offset, width) : ~0u >> (32 - 8 * width);
}
/* The bits of the virtual BAR below its size cannot be written. */
void machine_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	assert_true(bdf == PF);
	if (offset == CAP + 0x24)
		value = (value & (uint32_t)size_mask) | 4;
	if (offset == CAP + 0x28)
		value &= (uint32_t)(size_mask >> 32);
	if (offset == CAP + 0x08)
		enabled = value;
	put(pf + offset, width, value);
}
/* Who watches over memory hears of each before its registers are used. */
static unsigned appeared;
static uint16_t appeared_last;

void machine_pci_appeared(uint16_t bdf, uint16_t physical)
{
	assert_true(physical < bdf);
	appeared++;
	appeared_last = bdf;
}

void machine_delay_us(unsigned us)
{
	delayed_us += us;
}
void *machine_mmio_map(maddr_t start, size_t len)
{
	return NULL;
}
int machine_msi_bind(struct machine_msi *msi)
{
	return -XEN_ENODEV;
}

/* A bridge with a window of 2 MiB for plain memory, and behind it a function with a BAR in its first page. */
static int setup(void **state)
{
	memset(bridge, 0, sizeof(bridge));
	memset(pf, 0, sizeof(pf));
	put(bridge, 4, 0x00011b36);
	put(bridge + 0x08, 4, 0x06040000);
	put(bridge + 0x0e, 1, 1);
	put(bridge + 0x18, 4, 0x00010100);
	put(bridge + 0x20, 4, 0xfe90fe80);
	put(bridge + 0x24, 4, 0x0000fff0);
	put(pf, 4, 0x00101b36);
	put(pf + 0x08, 4, 0x01080200);
	put(pf + 0x10, 4, 0xfe800000);
	put(pf + 0x100, 4, CAP << 20 | 1u << 16 | 0x0001);
	put(pf + CAP, 4, 1u << 16 | 0x0010);
	put(pf + CAP + 0x0e, 2, 4);
	put(pf + CAP + 0x14, 2, 1);
	put(pf + CAP + 0x16, 2, 2);
	put(pf + CAP + 0x1a, 2, 0x0011);
	put(pf + CAP + 0x24, 4, 4);
	size_mask = ~(uint64_t)(VF_SIZE - 1);
	enabled = delayed_us = 0;
	assert_int_equal(pci_scan(), 2);
	return 0;
}

static void they_come_behind_the_others_in_the_window(void **state)
{
	maddr_t bar;

	appeared = 0;
	assert_int_equal(pci_sriov_enable(pci_get(1), 3), 3);
	assert_int_equal(appeared, 0); /* they have no vectors yet */
	pci_sriov_ready(pci_get(1));
	assert_int_equal(appeared, 3);
	assert_int_equal(appeared_last, pci_get(4)->bdf);
	assert_int_equal(enabled, 9);
	assert_int_equal(get(pf + CAP + 0x10, 2), 3);
	assert_int_equal(get(pf + CAP + 0x24, 4), 0xfe900004);
	assert_in_range(delayed_us, 100000, 200000);
	assert_null(pci_get(5));
	for (unsigned i = 0; i < 3; i++) {
		const struct pci_function *vf = pci_get(2 + i);

		assert_int_equal(vf->bdf, PF + 1 + 2 * i);
		assert_int_equal(vf->vendor << 16 | vf->device, 0x1b360011);
		assert_int_equal(vf->class_code, 0x010802);
		assert_true(pci_bar(vf, 0, &bar));
		assert_int_equal(bar.v, 0xfe900000 + i * VF_SIZE);
		assert_false(pci_bar(vf, 4, &bar));
	}
}

static void no_more_than_there_are(void **state)
{
	assert_int_equal(pci_sriov_enable(pci_get(1), 100), 4);
}

static void the_firmwares_base_is_kept(void **state)
{
	put(pf + CAP + 0x24, 4, 0xd0000004);
	put(pf + CAP + 0x28, 4, 0x8);
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), 1);
	assert_int_equal(pci_get(2)->virtual_bar.v, 0x8d0000000);
	assert_int_equal(get(pf + CAP + 0x28, 4), 0x8);
}

static void no_room_no_functions(void **state)
{
	size_mask = ~(uint64_t)0xfffff; /* 1 MiB each, and 1 MiB is left */
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), 1);
	setup(state);
	size_mask = ~(uint64_t)0xfffff;
	assert_int_equal(pci_sriov_enable(pci_get(1), 2), -XEN_ENOSPC);
	assert_int_equal(enabled, 0);
	put(bridge + 0x20, 4, 0x0000fff0); /* closed */
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), -XEN_ENOSPC);
	put(bridge + 0x20, 4, 0); /* never set */
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), -XEN_ENOSPC);
}

static void no_capability(void **state)
{
	put(pf + CAP, 4, 0x100u << 20 | 1u << 16 | 0x0002); /* back to the first */
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), -XEN_ENODEV);
	put(pf + 0x100, 4, ~0u); /* no extended space at all */
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), -XEN_ENODEV);
	setup(state);
	put(pf + CAP + 0x0e, 2, 0);
	assert_int_equal(pci_sriov_enable(pci_get(1), 1), -XEN_ENODEV);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    TEST(they_come_behind_the_others_in_the_window),
	    TEST(no_more_than_there_are),
	    TEST(the_firmwares_base_is_kept),
	    TEST(no_room_no_functions),
	    TEST(no_capability),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
