/* ioapic.c: the board's I/O APICs, by global interrupt numbers.
 *
 * Callers: pirq.c, serial.c. Every input is masked at the start; routes go to the boot CPU. Level
 * inputs are masked by pirq.c between delivery and the guest's end of interrupt. The registers are
 * reached by an index and a window, so a lock goes around each pair of accesses.
 */
#include <amphi/types.h>

#include "apic.h"
#include "boot.h"
#include "lock.h"
#include "mm.h"

#define REG_SELECT  0x00
#define REG_WINDOW  0x10
#define REG_VERSION 0x01
#define REG_ROUTES  0x10
#define ROUTE_LOW   0x2000u
#define ROUTE_LEVEL 0x8000u
#define ROUTE_MASK  0x10000u
#define INPUTS_MAX  240u

struct ioapic {
	volatile uint32_t *regs;
	uint64_t address;
	uint32_t first_gsi, inputs;
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static unsigned n_ioapics;
static spinlock_t lock;

static uint32_t reg_read(const struct ioapic *io, unsigned reg)
{
	io->regs[REG_SELECT / 4] = reg;
	return io->regs[REG_WINDOW / 4];
}

static void reg_write(const struct ioapic *io, unsigned reg, uint32_t value)
{
	io->regs[REG_SELECT / 4] = reg;
	io->regs[REG_WINDOW / 4] = value;
}

static const struct ioapic *find(uint32_t gsi)
{
	for (unsigned i = 0; i < n_ioapics; i++)
		if (gsi >= ioapics[i].first_gsi && gsi - ioapics[i].first_gsi < ioapics[i].inputs)
			return &ioapics[i];
	return NULL;
}

static unsigned route_reg(const struct ioapic *io, uint32_t gsi)
{
	return REG_ROUTES + 2 * (gsi - io->first_gsi);
}

/* Clears and sets bits of the lower half of a route. */
static void change(uint32_t gsi, uint32_t clear, uint32_t set)
{
	const struct ioapic *io = find(gsi);
	unsigned reg;

	if (io == NULL)
		return;
	reg = route_reg(io, gsi);
	spin_lock(&lock);
	reg_write(io, reg, (reg_read(io, reg) & ~clear) | set);
	spin_unlock(&lock);
}

bool ioapic_has_gsi(uint32_t gsi)
{
	return find(gsi) != NULL;
}

void ioapic_set_trigger(uint32_t gsi, bool level, bool active_low)
{
	change(gsi, ROUTE_LEVEL | ROUTE_LOW,
	       (level ? ROUTE_LEVEL : 0) | (active_low ? ROUTE_LOW : 0));
}

bool ioapic_is_level(uint32_t gsi)
{
	const struct ioapic *io = find(gsi);

	return io != NULL && (reg_read(io, route_reg(io, gsi)) & ROUTE_LEVEL) != 0;
}

void ioapic_mask(uint32_t gsi, bool masked)
{
	change(gsi, ROUTE_MASK, masked ? ROUTE_MASK : 0);
}

void ioapic_route(uint32_t gsi, unsigned vector)
{
	const struct ioapic *io = find(gsi);

	if (io == NULL)
		return;
	spin_lock(&lock);
	reg_write(io, route_reg(io, gsi) + 1, apic_id() << 24);
	spin_unlock(&lock);
	change(gsi, 0xff | ROUTE_MASK, vector | ROUTE_MASK);
}

bool ioapic_owns_frame(mfn_t mfn)
{
	for (unsigned i = 0; i < n_ioapics; i++)
		if (ioapics[i].address >> PAGE_SHIFT == mfn.v)
			return true;
	return false;
}

void ioapic_init(void)
{
	const struct acpi_info *acpi = acpi_info();

	for (unsigned i = 0; i < acpi->n_ioapics; i++) {
		struct ioapic *io = &ioapics[n_ioapics];

		io->address = acpi->ioapic[i].address;
		io->first_gsi = acpi->ioapic[i].first_gsi;
		io->regs = hv_map_io((maddr_t){io->address}, PAGE_SIZE);
		if (io->regs == NULL)
			continue;
		io->inputs = MIN((reg_read(io, REG_VERSION) >> 16 & 0xff) + 1, INPUTS_MAX);
		/* PCI's inputs (from 16 on) are level and low unless somebody knows better. */
		for (uint32_t n = 0; n < io->inputs; n++)
			reg_write(
			    io, REG_ROUTES + 2 * n,
			    ROUTE_MASK |
				(io->first_gsi + n >= ACPI_ISA_IRQS ? ROUTE_LEVEL | ROUTE_LOW : 0));
		n_ioapics++;
	}
	for (unsigned irq = 0; irq < ACPI_ISA_IRQS; irq++)
		ioapic_set_trigger(acpi->isa[irq].gsi, acpi->isa[irq].level,
				   acpi->isa[irq].active_low);
}
