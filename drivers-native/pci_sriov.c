/* pci_sriov.c: turns on a PCI function's virtual functions; the contract is pci_sriov.h.
 *
 * What stands in their base registers is the physical function's: one base for the first BAR of all of them, one
 * after another. Called by nvme_virtual.c; calls machine.h and pci.c.
 */
#include "pci_sriov.h"

#include <amphi/host.h>
#include <amphi/machine.h>
#include <amphi/xen.h>

#define EXT_LAST     0xffcu
#define EXT_ID_SRIOV 0x0010u

enum {
	SRIOV_CONTROL = 0x08,
	SRIOV_TOTAL = 0x0e,
	SRIOV_NUMBER = 0x10,
	SRIOV_OFFSET = 0x14,
	SRIOV_STRIDE = 0x16,
	SRIOV_DEVICE = 0x1a,
	SRIOV_PAGE_SIZES = 0x20,
	SRIOV_BAR0 = 0x24
};
#define CONTROL_ENABLE 0x1u
#define CONTROL_MEMORY 0x8u
#define READY_US       100000u /* section 9.3.3.3.1 */

#define CLASS_BRIDGE 0x0604u
#define WINDOW_STEP  (1ull << 20)
#define BAR_PREFETCH 8u

enum {
	BRIDGE_BUSES = 0x18,
	BRIDGE_MEMORY = 0x20,
	BRIDGE_PREFETCH = 0x24,
	BRIDGE_PREFETCH_HIGH = 0x28
};

struct range {
	uint64_t start, end;
};

/* ---- addresses ------------------------------------------------------------------------------------ */

/* What the address bits do not keep when ones are written is the size of one function's. 0: no such BAR, or one that is
 * not of 64 bits. */
static uint64_t bar_size(uint16_t bdf, unsigned at)
{
	uint32_t low = machine_pci_read(bdf, at, 4), high = machine_pci_read(bdf, at + 4, 4);
	uint64_t mask;

	if ((low & 7) != 4)
		return 0;
	machine_pci_write(bdf, at, 4, ~0u);
	machine_pci_write(bdf, at + 4, 4, ~0u);
	mask = machine_pci_read(bdf, at, 4) & ~0xfu;
	mask |= (uint64_t)machine_pci_read(bdf, at + 4, 4) << 32;
	machine_pci_write(bdf, at, 4, low);
	machine_pci_write(bdf, at + 4, 4, high);
	return mask ? ~mask + 1 : 0;
}

static const struct pci_function *bridge_to(unsigned bus)
{
	const struct pci_function *f;

	for (unsigned n = 0; (f = pci_get(n)); n++)
		if (f->class_code >> 8 == CLASS_BRIDGE &&
		    (machine_pci_read(f->bdf, BRIDGE_BUSES, 4) >> 8 & 0xff) == bus)
			break;
	return f;
}

/* The memory that the bridge above hands down; the window for what may not be prefetched is within 32 bits. One that is
 * closed begins behind its end. */
static bool bridge_window(unsigned bus, bool prefetch, struct range *out)
{
	const struct pci_function *f = bridge_to(bus);
	uint32_t memory, high[2] = {0};

	if (!f)
		return false;
	memory = machine_pci_read(f->bdf, prefetch ? BRIDGE_PREFETCH : BRIDGE_MEMORY, 4);
	for (unsigned i = 0; prefetch && i < 2; i++)
		high[i] = machine_pci_read(f->bdf, BRIDGE_PREFETCH_HIGH + 4 * i, 4);
	out->start = (uint64_t)high[0] << 32 | (memory & 0xfff0) << 16;
	out->end = ((uint64_t)high[1] << 32 | (memory & 0xfff00000)) + WINDOW_STEP;
	return out->start && out->start < out->end;
}

/* The end of what the bus's functions have in the window, by an upper bound for each BAR's size: its own alignment. */
static uint64_t used_end(unsigned bus, const struct range *window)
{
	const struct pci_function *f;
	uint64_t end = window->start;

	for (unsigned n = 0; (f = pci_get(n)); n++) {
		for (unsigned bar = 0; f->bdf >> 8 == bus && bar < 6; bar++) {
			maddr_t at;

			if (pci_bar(f, bar, &at) && at.v >= window->start && at.v < window->end)
				end = MAX(end, at.v + MIN(at.v & (0 - at.v), WINDOW_STEP));
		}
	}
	return end;
}

static int place_bar(uint16_t bdf, unsigned at, uint64_t size, unsigned n, maddr_t *out)
{
	uint32_t low = machine_pci_read(bdf, at, 4);
	struct range window;

	out->v = (uint64_t)machine_pci_read(bdf, at + 4, 4) << 32 | (low & ~0xfu);
	if (out->v)
		return 0;
	if (!bridge_window(bdf >> 8, low & BAR_PREFETCH, &window))
		return -XEN_ENOSPC;
	out->v = (used_end(bdf >> 8, &window) + size - 1) & ~(size - 1);
	if (out->v + n * size > window.end)
		return -XEN_ENOSPC;
	machine_pci_write(bdf, at, 4, (uint32_t)out->v);
	machine_pci_write(bdf, at + 4, 4, (uint32_t)(out->v >> 32));
	return 0;
}

/* ---- the functions -------------------------------------------------------------------------------- */

static void add_functions(const struct pci_function *f, unsigned cap, unsigned n, maddr_t base,
			  uint64_t size)
{
	uint16_t offset = (uint16_t)machine_pci_read(f->bdf, cap + SRIOV_OFFSET, 2);
	uint16_t stride = (uint16_t)machine_pci_read(f->bdf, cap + SRIOV_STRIDE, 2);
	struct pci_function virtual = {
	    .vendor = f->vendor,
	    .device = (uint16_t)machine_pci_read(f->bdf, cap + SRIOV_DEVICE, 2),
	    .class_code = f->class_code,
	    .virtual_bytes = size,
	    .physical = f->bdf,
	};

	for (unsigned i = 0; i < n; i++) {
		virtual.bdf = (uint16_t)(f->bdf + offset + i * stride);
		virtual.virtual_bar = (maddr_t){base.v + i * size};
		pci_add(&virtual);
	}
}

void pci_sriov_ready(const struct pci_function *f)
{
	const struct pci_function *v;

	for (unsigned n = 0; (v = pci_get(n)) != NULL; n++)
		if (v->physical == f->bdf && v->bdf != f->bdf)
			machine_pci_appeared(v->bdf, f->bdf);
}

int pci_sriov_enable(const struct pci_function *f, unsigned wanted)
{
	unsigned cap = pci_find_extended(f->bdf, EXT_ID_SRIOV), n;
	uint64_t size;
	maddr_t base;
	int err;

	if (!cap || cap + SRIOV_BAR0 + 8 > EXT_LAST)
		return -XEN_ENODEV;
	n = MIN(wanted, machine_pci_read(f->bdf, cap + SRIOV_TOTAL, 2));
	size = bar_size(f->bdf, cap + SRIOV_BAR0);
	if (!n || !size)
		return -XEN_ENODEV;
	err = place_bar(f->bdf, cap + SRIOV_BAR0, size, n, &base);
	if (err)
		return err;
	machine_pci_write(f->bdf, cap + SRIOV_PAGE_SIZES, 4, 1); /* of 4 KiB */
	machine_pci_write(f->bdf, cap + SRIOV_NUMBER, 2, n);
	machine_pci_write(f->bdf, cap + SRIOV_CONTROL, 2, CONTROL_ENABLE | CONTROL_MEMORY);
	machine_delay_us(READY_US);
	add_functions(f, cap, n, base, size);
	return (int)n;
}
