/* ioapic.c: the board's I/O APICs, by global interrupt numbers.
 *
 * Callers: pirq.c, serial.c. Every input is masked at the start; routes go to the boot CPU. Level
 * inputs are masked by pirq.c between delivery and the guest's end of interrupt. Where IOMMUs look at interrupts a route names
 * what is mapped for it there; the vector stands in it all the same. The registers are
 * reached by an index and a window, so a lock goes around each pair of accesses.
 */
#include <amphi/iommu.h>
#include <amphi/types.h>

#include "apic.h"
#include "boot.h"
#include "io.h"
#include "lock.h"
#include "mm.h"

#define REG_SELECT  0x00
#define REG_WINDOW  0x10
#define REG_VERSION 0x01
#define REG_ROUTES  0x10
#define ROUTE_LOW   0x2000u
#define ROUTE_LEVEL 0x8000u
#define ROUTE_MASK  0x10000u
#define ROUTE_SENDS                                                                                \
	0xfffu /* vector, delivery, destination's kind: a unit's, where it looks at it */
#define ROUTE_CPU  56
#define INPUTS_MAX 240u

struct ioapic {
	volatile uint32_t *regs;
	uint64_t address;
	uint32_t first_gsi, inputs;
	uint8_t id;
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

static unsigned vector_of(const struct ioapic *io, uint32_t gsi)
{
	return reg_read(io, route_reg(io, gsi)) & 0xff;
}

void ioapic_set_trigger(uint32_t gsi, bool level, bool active_low)
{
	const struct ioapic *io = find(gsi);
	struct iommu_message m;

	change(gsi, ROUTE_LEVEL | ROUTE_LOW,
	       (level ? ROUTE_LEVEL : 0) | (active_low ? ROUTE_LOW : 0));
	/* The unit's entry has to say the same. */
	if (io != NULL && iommu_interrupts_on() && vector_of(io, gsi) != 0)
		(void)iommu_ioapic_map(io->id, (uint8_t)vector_of(io, gsi), apic_id(), level, &m);
}

bool ioapic_is_level(uint32_t gsi)
{
	const struct ioapic *io = find(gsi);

	return io != NULL && (reg_read(io, route_reg(io, gsi)) & ROUTE_LEVEL) != 0;
}

/* A level that a unit passed on may have come to its processor as an edge (AMD-Vi in QEMU 7.2), so that its end is not told here, and no other
 * comes. Being an edge for a moment, while masked, makes the input forget that it waits for one. */
void ioapic_mask(uint32_t gsi, bool masked)
{
	if (!masked && iommu_interrupts_on() && ioapic_is_level(gsi)) {
		change(gsi, ROUTE_LEVEL, ROUTE_MASK);
		change(gsi, 0, ROUTE_LEVEL | ROUTE_MASK);
	}
	change(gsi, ROUTE_MASK, masked ? ROUTE_MASK : 0);
}

int ioapic_route(uint32_t gsi, unsigned vector)
{
	const struct ioapic *io = find(gsi);
	struct iommu_message m;
	int error;

	if (io == NULL)
		return -XEN_ENODEV;
	error = iommu_ioapic_map(io->id, (uint8_t)vector, apic_id(), ioapic_is_level(gsi), &m);
	if (error == -XEN_ENXIO)
		m.route = vector | (uint64_t)apic_id() << ROUTE_CPU;
	else if (error)
		return error;
	spin_lock(&lock);
	reg_write(io, route_reg(io, gsi) + 1, (uint32_t)(m.route >> 32));
	spin_unlock(&lock);
	change(gsi, ROUTE_SENDS | ROUTE_MASK, ((uint32_t)m.route & ROUTE_SENDS) | ROUTE_MASK);
	return 0;
}

int ioapic_unroute(uint32_t gsi)
{
	const struct ioapic *io = find(gsi);
	unsigned vector;
	int error;

	if (io == NULL)
		return 0;
	vector = vector_of(io, gsi);
	change(gsi, ROUTE_SENDS, ROUTE_MASK);
	error = iommu_ioapic_unmap(io->id, (uint8_t)vector);
	return error == -XEN_ENOENT ? 0 : error;
}

static void reroute(const struct ioapic *io, uint32_t gsi)
{
	uint32_t route = reg_read(io, route_reg(io, gsi));

	if ((route & 0xff) == 0)
		return;
	if (ioapic_route(gsi, route & 0xff))
		hv_printk("iommu: input %u of the board is lost", gsi);
	else if (!(route & ROUTE_MASK))
		ioapic_mask(gsi, false);
}

void ioapic_reroute(void)
{
	for (unsigned i = 0; i < n_ioapics; i++)
		for (uint32_t n = 0; n < ioapics[i].inputs; n++)
			reroute(&ioapics[i], ioapics[i].first_gsi + n);
}

unsigned ioapic_ids(uint8_t *out, unsigned max)
{
	unsigned n = 0;

	for (; n < n_ioapics && n < max; n++)
		out[n] = ioapics[n].id;
	return n;
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
		io->id = acpi->ioapic[i].id;
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
