/* fake_pci.c: the machine of fake_pci.h.
 *
 * Callers: the tests that have control_pci.c. Calls the C library.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <amphi/pciback.h>

#include "fake_control.h"
#include "fake_pci.h"

struct fake_pci fake_pci[FAKE_PCI_FUNCTIONS];
char fake_pci_events[2048];
int fake_pci_assign_err, fake_pci_permit_err, fake_pci_lend_err, fake_pci_test_err,
    fake_pci_virtual_result, fake_pci_line_err;
int fake_pci_aer_err, fake_pci_restore_err;
uint64_t fake_pci_memory_end;
const char *fake_pci_why_not;

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
	size_t n = strlen(fake_pci_events);
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake_pci_events + n, sizeof(fake_pci_events) - n, fmt, args);
	va_end(args);
}

struct fake_pci *fake_pci_at(uint16_t bdf)
{
	for (unsigned i = 0; i < FAKE_PCI_FUNCTIONS; i++)
		if (fake_pci[i].is.vendor && fake_pci[i].is.bdf == bdf)
			return &fake_pci[i];
	return NULL;
}

static void put32(struct fake_pci *f, unsigned at, uint32_t value)
{
	memcpy(&f->config[at], &value, sizeof(value));
}

/* ---- configuration space -------------------------------------------------------------------- */

uint32_t host_pci_read(uint16_t bdf, unsigned offset, unsigned width)
{
	struct fake_pci *f = fake_pci_at(bdf);
	uint32_t value = ~0u;

	if (f && !f->gone && offset + width <= sizeof(f->config)) {
		value = 0;
		memcpy(&value, &f->config[offset], width);
	}
	return value & (~0u >> (32 - 8 * width));
}

static void do_reset(struct fake_pci *f, const char *how)
{
	note("%s %x\n", how, f->is.bdf);
	f->resets++;
	f->gone = f->dies;
	memset(&f->config[4], 0, 2);
	memset(&f->config[0x10], 0, 24);
}

static void reset_bus(unsigned bus)
{
	for (unsigned i = 0; i < FAKE_PCI_FUNCTIONS; i++)
		if (fake_pci[i].is.vendor && fake_pci[i].is.bdf >> 8 == bus)
			do_reset(&fake_pci[i], "bus");
}

void host_pci_write(uint16_t bdf, unsigned offset, unsigned width, uint32_t value)
{
	struct fake_pci *f = fake_pci_at(bdf);
	uint32_t old = host_pci_read(bdf, offset, width);

	if (!f || f->gone || offset + width > sizeof(f->config))
		return;
	if (offset == 4 && width == 2 && !(value & 7))
		note("quiet %x\n", bdf);
	if (offset == 4 && f->pulls)
		value &= ~0x400u;
	if (offset == FAKE_PCI_EXPRESS + 8 && value & 0x8000) {
		do_reset(f, "flr");
		value &= ~0x8000u;
	}
	if (offset == FAKE_PCI_POWER + 4 && (old & 3) == 3 && !(value & 3))
		do_reset(f, "d3");
	if (f->is.bridge && offset == 0x3e && old & 0x40 && !(value & 0x40))
		reset_bus(f->config[0x19]);
	memcpy(&f->config[offset], &value, width);
}

/* ---- whose they are -------------------------------------------------------------------------- */

bool host_pci_nth(unsigned n, struct host_pci_function *out)
{
	for (unsigned i = 0; i < FAKE_PCI_FUNCTIONS; i++) {
		if (!fake_pci[i].is.vendor || n--)
			continue;
		*out = fake_pci[i].is;
		return true;
	}
	return false;
}

const char *host_pci_why_not(void)
{
	return fake_pci_why_not;
}

void host_pci_let_go(uint16_t bdf)
{
	if (fake_pci_at(bdf)->is.state == HOST_PCI_OURS)
		note("let go %x\n", bdf);
	fake_pci_at(bdf)->is.state = HOST_PCI_FREE;
}

void host_pci_take(uint16_t bdf)
{
	note("take %x\n", bdf);
	fake_pci_at(bdf)->is.state = HOST_PCI_OURS;
}

int host_pci_lend(uint16_t bdf, domid_t guest)
{
	if (fake_pci_lend_err)
		return fake_pci_lend_err;
	fake_pci_at(bdf)->is.state = HOST_PCI_LENT;
	fake_pci_at(bdf)->is.guest = guest;
	return 0;
}

void host_pci_back(uint16_t bdf)
{
	note("back %x\n", bdf);
	fake_pci_at(bdf)->is.state = HOST_PCI_FREE;
}

int host_pci_line_on(uint16_t bdf, domid_t guest)
{
	note("line %x\n", bdf);
	return fake_pci_line_err;
}

void host_pci_line_off(uint16_t bdf, domid_t guest, bool last)
{
	note("line %x off%s\n", bdf, last ? ", last" : "");
}

int host_pci_virtual(uint16_t bdf, unsigned count)
{
	note("%u virtual of %x\n", count, bdf);
	return fake_pci_virtual_result ? fake_pci_virtual_result : (int)count;
}

void host_pci_wait_us(unsigned us)
{
	(void)us;
}

/* ---- pciback ---------------------------------------------------------------------------------- */

int pciback_take(uint16_t bdf)
{
	note("release %x\n", bdf);
	return 0;
}

static struct {
	void (*fn)(void *ctx, int result);
	void *ctx;
} word;

int pciback_aer(uint16_t bdf, uint32_t cmd, int32_t state, void (*fn)(void *ctx, int result),
		void *ctx)
{
	if (fake_pci_aer_err)
		return fake_pci_aer_err;
	if (word.fn)
		return -XEN_EBUSY;
	note("word %u of %x, state %d\n", cmd, bdf, state);
	word.fn = fn;
	word.ctx = ctx;
	return 0;
}

bool fake_pci_answer(int result)
{
	void (*fn)(void *ctx, int result) = word.fn;

	word.fn = NULL;
	if (fn)
		fn(word.ctx, result);
	return fn;
}

int pciback_restore(uint16_t bdf)
{
	note("restore %x\n", bdf);
	return fake_pci_restore_err;
}

void pciback_tell_failed(uint16_t bdf)
{
	note("failed %x\n", bdf);
}

void pciback_for_each(void (*fn)(const struct pciback_info *info, void *ctx), void *ctx)
{
	for (unsigned i = 0; i < FAKE_PCI_FUNCTIONS; i++) {
		struct pciback_info info = {.guest = fake_pci[i].is.guest,
					    .bdf = fake_pci[i].is.bdf,
					    .guest_devfn = (uint8_t)(i << 3),
					    .vectors = 3,
					    .ops = 100};

		if (fake_pci[i].is.state == HOST_PCI_LENT)
			fn(&info, ctx);
	}
}

/* ---- the hypervisor's part -------------------------------------------------------------------- */

static int domctl(struct xen_domctl *op)
{
	switch (op->cmd) {
	case XEN_DOMCTL_test_assign_device:
		return fake_pci_test_err;
	case XEN_DOMCTL_assign_device:
		note("%s %x%s\n", op->domain == DOMID_IO ? "park" : "assign",
		     op->u.assign_device.u.pci.machine_sbdf,
		     op->u.assign_device.flags == XEN_DOMCTL_DEV_RDM_RELAXED ? " relaxed" : "");
		return fake_pci_assign_err;
	case XEN_DOMCTL_deassign_device:
		note("%s %x\n", op->domain == DOMID_IO ? "reclaim" : "deassign",
		     op->u.assign_device.u.pci.machine_sbdf);
		return 0;
	case XEN_DOMCTL_iomem_permission:
		note("memory %llx+%llu %d\n", (unsigned long long)op->u.iomem_permission.first_mfn,
		     (unsigned long long)op->u.iomem_permission.nr_mfns,
		     op->u.iomem_permission.allow_access);
		return op->u.iomem_permission.allow_access ? fake_pci_permit_err : 0;
	case XEN_DOMCTL_irq_permission:
		note("irq %u %d\n", op->u.irq_permission.pirq, op->u.irq_permission.allow_access);
		return 0;
	case XEN_DOMCTL_ioport_permission:
		note("ports %x+%u %d\n", op->u.ioport_permission.first_port,
		     op->u.ioport_permission.nr_ports, op->u.ioport_permission.allow_access);
		return 0;
	default:
		return 1;
	}
}

/* Memory, and behind it what firmware keeps. */
static int machine_map(struct xen_memory_map *map)
{
	struct {
		uint64_t start, bytes;
		uint32_t type;
	} __attribute__((packed))
	entries[2] = {{0, fake_pci_memory_end, 1}, {fake_pci_memory_end, 1ull << 40, 2}};

	memcpy(map->buffer.p, entries, sizeof(entries));
	map->nr_entries = 2;
	return 0;
}

/* ---- the machine ------------------------------------------------------------------------------ */

struct fake_pci *fake_pci_add(unsigned i, uint16_t bdf, uint32_t class_code)
{
	struct fake_pci *f = &fake_pci[i];

	f->is = (struct host_pci_function){.bdf = bdf,
					   .vendor = 0x1234,
					   .device = (uint16_t)i,
					   .class_code = class_code,
					   .physical = bdf};
	put32(f, 0, 0x1234 | i << 16);
	put32(f, 4, 7 | 0x10u << 16); /* it masters the bus; there are capabilities */
	return f;
}

void fake_pci_reset(void)
{
	struct fake_pci *f;

	memset(fake_pci, 0, sizeof(fake_pci));
	fake_pci_events[0] = 0;
	fake_pci_aer_err = fake_pci_restore_err = 0;
	word.fn = NULL;
	fake_pci_assign_err = fake_pci_permit_err = fake_pci_lend_err = fake_pci_test_err =
	    fake_pci_virtual_result = fake_pci_line_err = 0;
	fake_pci_memory_end = 1ull << 31;
	fake_pci_why_not = NULL;
	f = fake_pci_add(0, 0x0008, 0x060400);
	f->is.bridge = true;
	f->config[0x19] = 1;
	f = fake_pci_add(1, 0x0010, 0x010802);
	f->is.ranges[0] = (struct host_pci_range){0xfe000000, 0x4000, false};
	put32(f, 0x10, 0xfe000004);
	f->config[0x34] = FAKE_PCI_EXPRESS;
	put32(f, FAKE_PCI_EXPRESS, 0x00020010);
	put32(f, FAKE_PCI_EXPRESS + 4, 1u << 28);
	put32(f, FAKE_PCI_EXPRESS + 8, 0x2810);
	f = fake_pci_add(2, 0x0100, 0x020000);
	f->is.ranges[0] = (struct host_pci_range){0xfe100000, 0x1000, false};
	f->is.ranges[2] = (struct host_pci_range){0xc000, 32, true};
	put32(f, 0x10, 0xfe100000);
	put32(f, 0x18, 0xc001);
	f = fake_pci_add(3, 0x0018, 0x020000);
	f->is.ranges[0] = (struct host_pci_range){0xfe200000, 0x1000, false};
	put32(f, 0x10, 0xfe200000);
	f->config[0x34] = FAKE_PCI_POWER;
	put32(f, FAKE_PCI_POWER, 0x00030001);
	f = fake_pci_add(4, 0x0020, 0x0c0330);
	f->is.ranges[0] = (struct host_pci_range){0xfe300000, 0x10000, false};
	fake_device_domctl = domctl;
	fake_machine_map = machine_map;
}
