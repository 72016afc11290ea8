/* pci_reset.c: resets one PCI function by whichever of four ways it has.
 *
 * A reset forgets the base registers too, and nobody but us knows where they were: what firmware has set up in the header and
 * in the PCI Express capability is kept and written back, and nothing else. Not here: whose the function is (control_pci.c).
 * Calls host_pci.h, host_pci_control.h. PCI Express 4.0, sections 6.6.2 and 7.5; AF: PCI-SIG's "Advanced Capabilities for Conventional
 * PCI" of 2006; power: PCI Power Management 1.2, section 5.4.1.
 */
#include "pci_reset.h"

#include <amphi/host_pci_control.h>
#include <amphi/pci_cap.h>
#include <amphi/printf.h>

enum {
	REG_COMMAND = 0x04,
	REG_CACHE_LINE = 0x0c,
	REG_BAR0 = 0x10,
	REG_ROM = 0x30,
	REG_INTERRUPT = 0x3c,
	REG_BRIDGE_CONTROL = 0x3e
};
#define COMMAND_INTX_OFF 0x400u
#define BRIDGE_RESET     0x40u

#define MESSAGE_CONTROL  2u /* of MSI and of MSI-X */
#define MSI_ENABLE       1u
#define MSIX_ENABLE      0x8000u
#define MSIX_MASK_ALL    0x4000u
#define CAP_POWER        0x01u
#define POWER_CONTROL    4u
#define POWER_STATE      3u /* D0 is 0, D3hot 3 */
#define POWER_KEEPS      8u /* No_Soft_Reset: D3hot forgets nothing */
#define CAP_EXPRESS      0x10u
#define EXPRESS_CAN      4u
#define EXPRESS_CAN_FLR  (1u << 28)
#define EXPRESS_CONTROL  8u
#define EXPRESS_FLR      0x8000u
#define EXPRESS_STATUS   10u
#define EXPRESS_PENDING  0x20u
#define EXPRESS_LINK     0x10u
#define EXPRESS_CONTROL2 0x28u
#define CAP_ADVANCED     0x13u
#define ADVANCED_CAN     3u
#define ADVANCED_BOTH    3u /* tells what is pending, and can be reset */
#define ADVANCED_CONTROL 4u
#define ADVANCED_STATUS  5u

/* The specifications' waits: what a function may take before it is asked anything. */
#define RESET_US    100000u
#define POWER_US    10000u
#define BUS_HOLD_US 2000u
#define POLL_US     10000u
#define POLLS       100u /* a second, which software may wait for one that says "not yet" */

/* ---- what is kept ------------------------------------------------------------------------------------- */

static const uint8_t kept_header[] = {
    REG_CACHE_LINE, REG_BAR0,      REG_BAR0 + 4, REG_BAR0 + 8,  REG_BAR0 + 12,
    REG_BAR0 + 16,  REG_BAR0 + 20, REG_ROM,      REG_INTERRUPT,
};
static const uint8_t kept_express[] = {EXPRESS_CONTROL, EXPRESS_LINK, EXPRESS_CONTROL2};

struct kept {
	unsigned express; /* the capability; 0: none */
	unsigned n_express;
	uint32_t header[ARRAY_SIZE(kept_header)];
	uint16_t control[ARRAY_SIZE(kept_express)];
};

static unsigned find(uint16_t bdf, unsigned id, unsigned bytes)
{
	unsigned at = pci_cap_find(host_pci_read, bdf, id, 0);

	return at && at + bytes <= 0x100 ? at : 0;
}

/* The second control word is there from version 2 of the capability on (bits 3:0 of its flags). */
static void keep(uint16_t bdf, struct kept *k)
{
	k->express = find(bdf, CAP_EXPRESS, EXPRESS_CONTROL2 + 2);
	k->n_express = k->express && (host_pci_read(bdf, k->express + 2, 2) & 0xf) >= 2 ? 3 : 2;
	for (unsigned i = 0; i < ARRAY_SIZE(kept_header); i++)
		k->header[i] = host_pci_read(bdf, kept_header[i], 4);
	for (unsigned i = 0; k->express && i < k->n_express; i++)
		k->control[i] = (uint16_t)host_pci_read(bdf, k->express + kept_express[i], 2);
}

/* With decoding off, so that a base register is nowhere while only half of it is written. */
static void put_back(uint16_t bdf, const struct kept *k)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kept_header); i++)
		host_pci_write(bdf, kept_header[i], 4, k->header[i]);
	for (unsigned i = 0; k->express && i < k->n_express; i++)
		host_pci_write(bdf, k->express + kept_express[i], 2, k->control[i]);
}

/* ---- the ways ----------------------------------------------------------------------------------------- */

static bool can_function(uint16_t bdf, uint16_t bridge)
{
	unsigned cap = find(bdf, CAP_EXPRESS, EXPRESS_STATUS + 2);

	(void)bridge;
	return cap && host_pci_read(bdf, cap + EXPRESS_CAN, 4) & EXPRESS_CAN_FLR;
}

static void by_function(uint16_t bdf, uint16_t bridge)
{
	unsigned at = find(bdf, CAP_EXPRESS, EXPRESS_STATUS + 2) + EXPRESS_CONTROL;

	(void)bridge;
	host_pci_write(bdf, at, 2, host_pci_read(bdf, at, 2) | EXPRESS_FLR);
	host_pci_wait_us(RESET_US);
}

static bool can_advanced(uint16_t bdf, uint16_t bridge)
{
	unsigned cap = find(bdf, CAP_ADVANCED, ADVANCED_STATUS + 1);

	(void)bridge;
	return cap && (host_pci_read(bdf, cap + ADVANCED_CAN, 1) & ADVANCED_BOTH) == ADVANCED_BOTH;
}

static void by_advanced(uint16_t bdf, uint16_t bridge)
{
	unsigned cap = find(bdf, CAP_ADVANCED, ADVANCED_STATUS + 1);

	(void)bridge;
	host_pci_write(bdf, cap + ADVANCED_CONTROL, 1, 1);
	host_pci_wait_us(RESET_US);
}

static bool can_power(uint16_t bdf, uint16_t bridge)
{
	unsigned cap = find(bdf, CAP_POWER, POWER_CONTROL + 2);

	(void)bridge;
	return cap && !(host_pci_read(bdf, cap + POWER_CONTROL, 2) & POWER_KEEPS);
}

static void by_power(uint16_t bdf, uint16_t bridge)
{
	unsigned at = find(bdf, CAP_POWER, POWER_CONTROL + 2) + POWER_CONTROL;
	uint32_t control = host_pci_read(bdf, at, 2) & ~POWER_STATE;

	(void)bridge;
	host_pci_write(bdf, at, 2, control | POWER_STATE);
	host_pci_wait_us(POWER_US);
	host_pci_write(bdf, at, 2, control);
	host_pci_wait_us(POWER_US);
}

static bool can_bus(uint16_t bdf, uint16_t bridge)
{
	(void)bdf;
	return bridge != PCI_RESET_NO_BRIDGE;
}

static void by_bus(uint16_t bdf, uint16_t bridge)
{
	uint32_t control = host_pci_read(bridge, REG_BRIDGE_CONTROL, 2);

	(void)bdf;
	host_pci_write(bridge, REG_BRIDGE_CONTROL, 2, control | BRIDGE_RESET);
	host_pci_wait_us(BUS_HOLD_US);
	host_pci_write(bridge, REG_BRIDGE_CONTROL, 2, control & ~BRIDGE_RESET);
	host_pci_wait_us(RESET_US);
}

/* In the order in which they are tried. Of the bus and D3hot the bus: functions that say they forget in D3hot and keep all are
 * known, and one that still knew the rings of its last owner would write to those addresses of the next. */
static const struct way {
	unsigned bit;
	const char *name;
	bool (*can)(uint16_t bdf, uint16_t bridge);
	void (*reset)(uint16_t bdf, uint16_t bridge);
} ways[] = {
    {PCI_RESET_FUNCTION, "flr", can_function, by_function},
    {PCI_RESET_ADVANCED, "af", can_advanced, by_advanced},
    {PCI_RESET_BUS, "bus", can_bus, by_bus},
    {PCI_RESET_POWER, "d3", can_power, by_power},
};

unsigned pci_reset_ways(uint16_t bdf, uint16_t bridge)
{
	unsigned found = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		found |= ways[i].can(bdf, bridge) ? ways[i].bit : 0;
	return found;
}

const char *pci_reset_text(unsigned found, char out[PCI_RESET_TEXT])
{
	size_t n = 0;

	(void)fmt_text(out, PCI_RESET_TEXT, "no way");
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		if (found & ways[i].bit)
			n += fmt_text(out + n, PCI_RESET_TEXT - n, "%s%s", n ? ", " : "",
				      ways[i].name);
	return out;
}

/* ---- the reset ---------------------------------------------------------------------------------------- */

/* The control word is two bytes wide: Xen takes no other write of it from its first domain. */
static void messages_off(uint16_t bdf, unsigned id, uint32_t bits)
{
	unsigned cap = find(bdf, id, MESSAGE_CONTROL + 2), control;

	if (!cap)
		return;
	control = host_pci_read(bdf, cap + MESSAGE_CONTROL, 2);
	if (control & bits)
		host_pci_write(bdf, cap + MESSAGE_CONTROL, 2, control & ~bits);
}

/* As from power-on. Not every way of reset forgets messages, and Xen assigns no function that has all of them masked. */
void pci_quiet(uint16_t bdf)
{
	host_pci_write(bdf, REG_COMMAND, 2, COMMAND_INTX_OFF);
	messages_off(bdf, PCI_CAP_MSI, MSI_ENABLE);
	messages_off(bdf, PCI_CAP_MSIX, MSIX_ENABLE | MSIX_MASK_ALL);
}

/* What it has asked for is answered before it forgets that it did; an answer that comes later would be taken for one to its next
 * owner. One that still waits after the wait is reset all the same. */
static void wait_for_pending(uint16_t bdf)
{
	unsigned cap = find(bdf, CAP_EXPRESS, EXPRESS_STATUS + 2);

	for (unsigned i = 0; cap && i < POLLS; i++) {
		if (!(host_pci_read(bdf, cap + EXPRESS_STATUS, 2) & EXPRESS_PENDING))
			break;
		host_pci_wait_us(POLL_US);
	}
}

/* The command register: of a virtual function the identity reads as nobody's all the time. */
static bool answers(uint16_t bdf)
{
	for (unsigned i = 0; i < POLLS; i++) {
		if (host_pci_read(bdf, REG_COMMAND, 2) != 0xffff)
			return true;
		host_pci_wait_us(POLL_US);
	}
	return false;
}

int pci_reset(uint16_t bdf, uint16_t bridge)
{
	const struct way *way = NULL;
	struct kept kept;

	for (unsigned i = 0; i < ARRAY_SIZE(ways) && !way; i++)
		way = ways[i].can(bdf, bridge) ? &ways[i] : NULL;
	pci_quiet(bdf);
	if (!way)
		return -XEN_EOPNOTSUPP;
	wait_for_pending(bdf);
	keep(bdf, &kept);
	way->reset(bdf, bridge);
	if (!answers(bdf))
		return -XEN_ETIMEDOUT;
	pci_quiet(bdf);
	put_back(bdf, &kept);
	return 0;
}
