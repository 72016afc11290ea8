/* pci_reset_test.c: a PCI function is reset by the way it has, and is afterwards where it was.
 *
 * Why: a function that keeps what its last owner told it may reach that one's pages; one that forgets its base registers is lost.
 * Expected: the best way there is, quiet before and after, base registers and PCI Express control as before, an error for one
 * that does not come back.
 *
 * links: control/pci_reset.c lib/pci_cap.c lib/printf.c lib/text.c
 * links: tests/host/fake_pci.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "control/pci_reset.h"
#include "fake_control.h"
#include "fake_pci.h"

#define BRIDGE 0x0008u
#define NVME   0x0010u
#define CARD   0x0018u
#define ALONE  0x0100u
#define NO_WAY 0x0020u

int (*fake_device_domctl)(struct xen_domctl *op);
int (*fake_machine_map)(struct xen_memory_map *map);

static int setup(void **state)
{
	fake_pci_reset();
	return 0;
}

static void expect_ways(uint16_t bdf, uint16_t bridge, unsigned ways, const char *text)
{
	char out[PCI_RESET_TEXT];

	assert_int_equal(pci_reset_ways(bdf, bridge), ways);
	assert_string_equal(pci_reset_text(ways, out), text);
}

static void test_ways(void **state)
{
	expect_ways(NVME, PCI_RESET_NO_BRIDGE, PCI_RESET_FUNCTION, "flr");
	expect_ways(CARD, PCI_RESET_NO_BRIDGE, PCI_RESET_POWER, "d3");
	expect_ways(ALONE, BRIDGE, PCI_RESET_BUS, "bus");
	expect_ways(NVME, BRIDGE, PCI_RESET_FUNCTION | PCI_RESET_BUS, "flr, bus");
	expect_ways(NO_WAY, PCI_RESET_NO_BRIDGE, 0, "no way");
	/* One that keeps all in D3hot; one that is not there. */
	fake_pci_at(CARD)->config[FAKE_PCI_POWER + 4] = 8;
	expect_ways(CARD, PCI_RESET_NO_BRIDGE, 0, "no way");
	expect_ways(0x7777, PCI_RESET_NO_BRIDGE, 0, "no way");
}

static void test_advanced(void **state)
{
	struct fake_pci *f = fake_pci_at(NO_WAY);

	f->config[0x34] = 0x50;
	memcpy(&f->config[0x50], "\x13\x00\x06\x03", 4);
	expect_ways(NO_WAY, PCI_RESET_NO_BRIDGE, PCI_RESET_ADVANCED, "af");
	assert_int_equal(pci_reset(NO_WAY, PCI_RESET_NO_BRIDGE), 0);
	assert_int_equal(f->config[0x54], 1);
	f->config[0x53] = 1; /* it could not say what is pending */
	expect_ways(NO_WAY, PCI_RESET_NO_BRIDGE, 0, "no way");
}

static void expect_reset(uint16_t bdf, uint16_t bridge, const char *events)
{
	struct fake_pci *f = fake_pci_at(bdf);
	uint8_t before[256];

	memcpy(before, f->config, sizeof(before));
	assert_int_equal(pci_reset(bdf, bridge), 0);
	assert_string_equal(fake_pci_events, events);
	assert_int_equal(f->resets, 1);
	assert_memory_equal(&f->config[0x10], &before[0x10], 24);
	assert_int_equal(f->config[4] & 7, 0);
	assert_int_equal(f->config[5] & 4, 4); /* no INTx */
	assert_memory_equal(&f->config[FAKE_PCI_EXPRESS + 8], &before[FAKE_PCI_EXPRESS + 8], 2);
}

static void test_function(void **state)
{
	expect_reset(NVME, PCI_RESET_NO_BRIDGE, "quiet 10\nflr 10\nquiet 10\n");
}

static void test_power(void **state)
{
	expect_reset(CARD, PCI_RESET_NO_BRIDGE, "quiet 18\nd3 18\nquiet 18\n");
}

static void test_bus(void **state)
{
	expect_reset(ALONE, BRIDGE, "quiet 100\nbus 100\nquiet 100\n");
	assert_int_equal(fake_pci_at(BRIDGE)->config[0x3e], 0);
}

/* Not every one that says that it forgets in D3hot does. */
static void test_bus_before_power(void **state)
{
	expect_ways(CARD, BRIDGE, PCI_RESET_BUS | PCI_RESET_POWER, "bus, d3");
	assert_int_equal(pci_reset(CARD, BRIDGE), 0);
	assert_string_equal(fake_pci_events, "quiet 18\nbus 100\nquiet 18\n");
}

static void test_none(void **state)
{
	assert_int_equal(pci_reset(NO_WAY, PCI_RESET_NO_BRIDGE), -XEN_EOPNOTSUPP);
	assert_string_equal(fake_pci_events, "quiet 20\n");
}

static void test_does_not_come_back(void **state)
{
	fake_pci_at(NVME)->dies = true;
	assert_int_equal(pci_reset(NVME, PCI_RESET_NO_BRIDGE), -XEN_ETIMEDOUT);
}

/* A request that is never answered delays the reset and does not prevent it. */
static void test_pending(void **state)
{
	fake_pci_at(NVME)->config[FAKE_PCI_EXPRESS + 10] = 0x20;
	expect_reset(NVME, PCI_RESET_NO_BRIDGE, "quiet 10\nflr 10\nquiet 10\n");
}

/* Messages that a way of reset leaves on, or masked, are as from power-on; control words are written whole. */
static void test_messages(void **state)
{
	struct fake_pci *f = fake_pci_at(NO_WAY);

	f->config[0x34] = 0x50;
	memcpy(&f->config[0x50], "\x05\x60\x81\x01", 4);
	memcpy(&f->config[0x60], "\x11\x00\x07\xc0", 4);
	pci_quiet(NO_WAY);
	assert_memory_equal(&f->config[0x50], "\x05\x60\x80\x01", 4);
	assert_memory_equal(&f->config[0x60], "\x11\x00\x07\x00", 4);
	memcpy(&f->config[0x60], "\x11\x00\x07\x40", 4);
	pci_quiet(NO_WAY);
	assert_int_equal(f->config[0x63], 0);
}

/* Lists that loop or leave configuration space. */
static void test_bad_lists(void **state)
{
	struct fake_pci *f = fake_pci_at(NVME);

	f->config[FAKE_PCI_EXPRESS] = 0x55;
	f->config[FAKE_PCI_EXPRESS + 1] = FAKE_PCI_EXPRESS;
	expect_ways(NVME, PCI_RESET_NO_BRIDGE, 0, "no way");
	f->config[0x34] = 0xfc;
	f->config[0xfc] = 0x10; /* a capability that would end beyond the space */
	expect_ways(NVME, PCI_RESET_NO_BRIDGE, 0, "no way");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_ways, setup),
	    cmocka_unit_test_setup(test_advanced, setup),
	    cmocka_unit_test_setup(test_function, setup),
	    cmocka_unit_test_setup(test_power, setup),
	    cmocka_unit_test_setup(test_bus, setup),
	    cmocka_unit_test_setup(test_bus_before_power, setup),
	    cmocka_unit_test_setup(test_none, setup),
	    cmocka_unit_test_setup(test_does_not_come_back, setup),
	    cmocka_unit_test_setup(test_pending, setup),
	    cmocka_unit_test_setup(test_messages, setup),
	    cmocka_unit_test_setup(test_bad_lists, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
