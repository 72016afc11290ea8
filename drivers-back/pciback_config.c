/* pciback_config.c: reads and writes of a guest to the configuration space of a function it has.
 *
 * Each is looked up in the function's rows (pciback_fields.c): masks first, then what the register is. The device itself is read
 * and written in the width that was asked for, and only where the row has something of it. Called by pciback_op.c with
 * checked offsets; calls host_pci.h. A write that is not allowed is lost without an error, as with registers that are
 * read-only: drivers write such bits all the time.
 *
 * What no row has: below 256 registers of the device's own, read as they are (and written by `permissive`); above, nothing.
 */
#include "pciback_private.h"

#define REG_COMMAND    4u
#define REG_BAR0       0x10u
#define CMD_IO         1u
#define CMD_MEMORY     2u
#define CMD_MASTER     4u
#define CMD_ERRORS     0x100u /* are told to the root port, which is not the guest's */
#define CMD_NO_INTX    0x400u
#define CMD_GUEST      (CMD_IO | CMD_MEMORY | CMD_MASTER | 0x40u | CMD_ERRORS | CMD_NO_INTX)
#define BAR_IS_IO      1u
#define BAR_TYPE       6u
#define BAR_64         4u
#define POWER_D3       3u
#define VPD_WRITES     (1u << 31)
#define WORD_MASK(w)   (~0u >> (32 - 8 * (w)))
#define WORD_SHIFT(at) (((at)&3) * 8)

/* One access as a part of its 32-bit word: the bytes in question, the value moved to its place. */
struct lane {
	unsigned offset, width;
	uint32_t mask, value;
};

struct lent_row *lent_row_at(struct lent *f, unsigned offset)
{
	for (unsigned i = 0; i < f->n_rows; i++)
		if (offset >= f->rows[i].at && offset < f->rows[i].end)
			return &f->rows[i];
	return NULL;
}

/* ---- command ------------------------------------------------------------------------------------------ */

/* Which of memory and ports the function has at all. */
static uint16_t decodable(const struct lent *f)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		bool io = f->info.bar[i] & BAR_IS_IO;

		if (f->info.probe[i])
			bits |= io ? CMD_IO : CMD_MEMORY;
		if (!io && (f->info.bar[i] & BAR_TYPE) == BAR_64)
			i++; /* the upper half of its address */
	}
	return bits;
}

/* Whether it may pull its line. One whose registers nobody has turned on has no driver, that would make it let go. */
static bool pulls(const struct lent *f)
{
	return f->info.line && f->power == 0 && !(f->command & CMD_NO_INTX) &&
	       f->command & (CMD_IO | CMD_MEMORY | CMD_MASTER);
}

/* What the guest wants, as far as it may be. Once on, decoding stays on in the device while it is lent: the guest has the
 * registers mapped, and on some machines an access that nobody answers is an error that stops them all. A virtual
 * function has no such bit (PCI Express 4.0, 9.3.4.1.3); QEMU's has, and wants it on. A sleeping device masters nothing. */
static void put_command(struct lent *f)
{
	uint16_t on = CMD_ERRORS | (pulls(f) ? 0 : CMD_NO_INTX);

	f->decodes |= f->command & decodable(f);
	on |= f->info.always_decodes ? CMD_MEMORY : f->decodes;
	if (f->power == 0)
		on |= f->command & CMD_MASTER;
	host_pci_write(f->bdf, REG_COMMAND, 2, on);
}

static void write_command(struct lent *f, const struct lane *lane)
{
	if (!(lane->mask & 0xffff))
		return;
	f->command = (uint16_t)((f->command & ~lane->mask) | (lane->value & CMD_GUEST));
	put_command(f);
}

void lent_no_mastering(struct lent *f)
{
	f->command &= (uint16_t)~CMD_MASTER;
	put_command(f);
}

void lent_config_reset(struct lent *f)
{
	f->command = f->decodes = 0;
	f->power = f->probing = 0;
	put_command(f);
}

void lent_config_again(struct lent *f)
{
	put_command(f);
}

/* ---- base registers, power, VPD ----------------------------------------------------------------------- */

/* They stay where they are. All ones asks for the size; what was there, written again, is put into the device if it has
 * forgotten it. Parts of one are no question and no answer. */
static void write_bar(struct lent *f, const struct lane *lane)
{
	unsigned n = (lane->offset - REG_BAR0) / 4;

	if (lane->width != 4 || !f->info.probe[n])
		return;
	f->probing &= (uint8_t) ~(1u << n);
	if (lane->value == ~0u)
		f->probing |= (uint8_t)(1u << n);
	else if (lane->value == f->info.bar[n] && !f->info.always_decodes &&
		 host_pci_read(f->bdf, lane->offset, 4) != lane->value)
		host_pci_write(f->bdf, lane->offset, 4, lane->value);
}

static uint32_t read_bar(const struct lent *f, unsigned offset)
{
	unsigned n = (offset - REG_BAR0) / 4;

	if (!f->info.probe[n])
		return 0;
	return f->probing >> n & 1 ? f->info.probe[n] : f->info.bar[n];
}

static void write_power(struct lent *f, const struct lane *lane)
{
	uint8_t to = lane->value & 3;

	if (!(lane->mask & 3) || (to != 0 && to != POWER_D3))
		return;
	f->power = to;
	put_command(f);
}

static void write_vpd(struct lent *f, const struct lane *lane)
{
	if ((lane->mask >> 16) == 0xffff && !(lane->value & VPD_WRITES))
		host_pci_write(f->bdf, (lane->offset & ~3u) + 2, 2, lane->value >> 16);
}

/* ---- masks ---------------------------------------------------------------------------------------------- */

/* Bits that the guest may not change keep what they have; those that a one would clear are written as 0. */
static void write_plain(struct lent *f, const struct lent_row *row, const struct lane *lane)
{
	unsigned shift = WORD_SHIFT(lane->offset);
	uint32_t write = row->write & lane->mask, clear = row->clear & lane->value, old = 0;

	if (!write && !clear)
		return;
	if (write != lane->mask)
		old = host_pci_read(f->bdf, lane->offset, lane->width) << shift;
	old &= lane->mask & ~write & ~row->clear;
	host_pci_write(f->bdf, lane->offset, lane->width,
		       (old | (lane->value & write) | clear) >> shift);
}

uint32_t lent_read(struct lent *f, unsigned offset, unsigned width)
{
	const struct lent_row *row = lent_row_at(f, offset);
	unsigned shift = WORD_SHIFT(offset);
	uint32_t word = 0;

	if (!row)
		return offset < LENT_LEGACY ? host_pci_read(f->bdf, offset, width) : 0;
	if (row->see & WORD_MASK(width) << shift)
		word = host_pci_read(f->bdf, offset, width) << shift & row->see;
	word |= row->fixed;
	if (row->action == LENT_COMMAND)
		word |= f->command;
	else if (row->action == LENT_BAR)
		word = read_bar(f, offset & ~3u);
	else if (row->action == LENT_POWER)
		word |= f->power;
	return word >> shift & WORD_MASK(width);
}

void lent_write(struct lent *f, unsigned offset, unsigned width, uint32_t value)
{
	const struct lent_row *row = lent_row_at(f, offset);
	uint32_t mask = WORD_MASK(width) << WORD_SHIFT(offset);
	struct lane lane = {offset, width, mask, value << WORD_SHIFT(offset) & mask};

	if (row ? f->permissive && !row->hard : f->permissive && offset < LENT_LEGACY) {
		host_pci_write(f->bdf, offset, width, value & WORD_MASK(width));
		return;
	}
	if (!row)
		return;
	write_plain(f, row, &lane);
	if (row->action == LENT_COMMAND)
		write_command(f, &lane);
	else if (row->action == LENT_BAR)
		write_bar(f, &lane);
	else if (row->action == LENT_POWER)
		write_power(f, &lane);
	else if (row->action == LENT_VPD)
		write_vpd(f, &lane);
}
