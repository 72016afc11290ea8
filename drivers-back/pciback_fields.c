/* pciback_fields.c: the table of fields: what a guest sees of a function's configuration space, and what it may change.
 *
 * Rows for the header and for each capability that guests may see; the lists are walked once, when the function is claimed,
 * and linked anew over what is left. A capability that is not in the tables here is not in the guest's list either. What a device
 * says of itself is not believed further than its space reaches: no loop, no overlap, no length beyond the end. Called by
 * pciback.c; calls host_pci.h. Layouts: PCI Local Bus 3.0 section 6 and appendix I, PCI Power Management 1.2, PCI Express
 * Base 4.0 section 7. How the rows are used: pciback_config.c.
 */
#include <amphi/string.h>

#include "pciback_private.h"

#define ALL         0xffffffffu
#define UPPER       0xffff0000u
#define REG_STATUS  0x04u
#define REG_CAPS    0x34u
#define STATUS_CAPS (0x10u << 16)
#define STATUS_INTX (0x08u << 16)
#define REG_LINE    0x3cu
#define LINE_PIN    0xff00u
#define FIRST_CAP   0x40u
#define FIRST_EXT   0x100u
/* As many as fit; a longer list is none. */
#define CAPS_MAX ((LENT_LEGACY - FIRST_CAP) / 4)
#define EXTS_MAX ((LENT_SPACE - FIRST_EXT) / 8)

/* ---- the header -------------------------------------------------------------------------------------- */

/* INTx (pin and line, its status bit) is not there unless it is lent: lend_line(). BIST would stop the device for all who wait for it, an expansion ROM
 * shares its decoder with the base registers: both are not there. The cache line size is a hint about the guest's own
 * transfers. */
static const struct lent_row header[] = {
    {0x00, 0x04, LENT_PLAIN, true, .see = ALL},
    {0x04, 0x08, LENT_COMMAND, true, .see = 0xffe00000, .clear = 0xf9000000},
    {0x08, 0x0c, LENT_PLAIN, true, .see = ALL},
    {0x0c, 0x10, LENT_PLAIN, true, .see = 0x00ffffff, .write = 0xff},
    {0x10, 0x28, LENT_BAR, true},
    {0x28, 0x2c, LENT_PLAIN, true},
    {0x2c, 0x30, LENT_PLAIN, true, .see = ALL},
    {0x30, 0x34, LENT_PLAIN, true},
    {0x34, 0x38, LENT_PLAIN, true},
    {0x38, 0x3c, LENT_PLAIN, true},
    {0x3c, 0x40, LENT_PLAIN, true, .see = UPPER},
};

/* ---- capabilities ------------------------------------------------------------------------------------- */

/* Offsets from the capability's start; the first row's lower half, id and link, is made when the list is. */
#define CAP_ROWS 8u
struct capability {
	uint8_t id;
	bool hidden;
	/* Bytes of it, from what its first word says; NULL: those of the rows. */
	unsigned (*size)(uint32_t head);
	struct lent_row rows[CAP_ROWS];
};

/* Control bits: 7 64-bit address, 8 masks for each message. */
static unsigned msi_size(uint32_t head)
{
	bool wide = head >> 23 & 1, masks = head >> 24 & 1;

	return masks ? (wide ? 24 : 20) : wide ? 16 : 12;
}

static unsigned vendor_size(uint32_t head)
{
	return ROUND_UP(MAX(head >> 16 & 0xff, 4u), 4u);
}

/* Version 1 of an endpoint ends with its link's registers. */
static unsigned pcie_size(uint32_t head)
{
	return (head >> 16 & 15) < 2 ? 20 : 60;
}

/* Why these bits:
 *   power    D0 and D3hot, kept for the guest alone: a device that really slept would forget what the hypervisor has written
 *            into it. So there is nothing to restore either (no soft reset). No PME: its line is shared.
 *   VPD      read; its write is a write to the device's own store, which outlives its owner.
 *   MSI(-X)  shape and state are seen; addresses are the hypervisor's.
 *   PCIe     relaxed ordering is a matter of the guest's own transfers. No-snoop is not: by it a device reads what was in
 *            memory before it was last cleaned. A function-level reset would take from the device what the hypervisor
 *            wrote, so the guest is not told that there is one. Sizes of payload must fit the path, which is not its own.
 *   AF, EA   another way to reset, another kind of base registers. */
static const struct capability capabilities[] = {
    {0x01,
     false,
     NULL,
     {{0, 4, LENT_PLAIN, true, .see = 0x00270000}, {4, 8, LENT_POWER, true, .fixed = 8}}},
    {0x03,
     false,
     NULL,
     {{0, 4, LENT_VPD, true, .see = UPPER}, {4, 8, LENT_PLAIN, true, .see = ALL}}},
    {0x05, false, msi_size, {{0, 4, LENT_PLAIN, true, .see = UPPER}, {4, 24, LENT_PLAIN, true}}},
    {0x09,
     false,
     vendor_size,
     {{0, 4, LENT_PLAIN, false, .see = UPPER}, {4, 256, LENT_PLAIN, false, .see = ALL}}},
    {0x0d,
     false,
     NULL,
     {{0, 4, LENT_PLAIN, true, .see = UPPER}, {4, 8, LENT_PLAIN, true, .see = ALL}}},
    {0x10,
     false,
     pcie_size,
     {{0, 4, LENT_PLAIN, true, .see = UPPER},
      {4, 8, LENT_PLAIN, true, .see = ~(1u << 28)},
      {8, 12, LENT_PLAIN, true, .see = ~(1u << 15), .write = 0x10, .clear = 0x000f0000},
      {12, 60, LENT_PLAIN, false, .see = ALL}}},
    {0x11,
     false,
     NULL,
     {{0, 4, LENT_PLAIN, true, .see = UPPER}, {4, 12, LENT_PLAIN, true, .see = ALL}}},
    {0x12,
     false,
     NULL,
     {{0, 4, LENT_PLAIN, true, .see = UPPER}, {4, 8, LENT_PLAIN, true, .see = ALL}}},
    {0x13, true, NULL, {{0, 8, LENT_PLAIN, true}}},
};

/* Any other: its first word, which is all that is known of it. */
static const struct capability unknown = {0, true, NULL, {{0, 4, LENT_PLAIN, true}}};

static const struct capability *capability_of(uint8_t id)
{
	for (unsigned i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].id == id)
			return &capabilities[i];
	return &unknown;
}

/* ---- extended capabilities ---------------------------------------------------------------------------- */

/* A serial number, what vendors say of their own, and the function's errors, which are read and no more: who clears them is
 * who has to look at them, the control domain. Not there for guests, among others: ATS, PRI and PASID (with which a device goes
 * past the IOMMU's checks), SR-IOV. */
#define EXT_ERRORS 0x0001u
#define EXT_SERIAL 0x0003u
#define EXT_VENDOR 0x000bu
/* To the end of the header log: what lies behind it is a root port's (PCI Express 4.0, 7.8.4). */
#define ERRORS_SIZE 44u

/* 0: hidden. */
static unsigned extended_size(uint16_t bdf, unsigned at, uint32_t head)
{
	if ((head & 0xffff) == EXT_ERRORS)
		return ERRORS_SIZE;
	if ((head & 0xffff) == EXT_SERIAL)
		return 12;
	if ((head & 0xffff) == EXT_VENDOR && at + 8 <= LENT_SPACE)
		return ROUND_UP(MAX(host_pci_read(bdf, at + 4, 4) >> 20, 8u), 4u);
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Whether a row of [at, end) may be added: inside, apart from all others, and there is room. */
static bool is_free(const struct lent *f, unsigned at, unsigned end, unsigned limit)
{
	if (at >= end || end > limit || f->n_rows + CAP_ROWS > LENT_ROWS)
		return false;
	for (unsigned i = 0; i < f->n_rows; i++)
		if (at < f->rows[i].end && f->rows[i].at < end)
			return false;
	return true;
}

/* The row in the table, moved to its place and cut to its capability's size. */
static struct lent_row *add_row(struct lent *f, const struct lent_row *row, unsigned at,
				unsigned size)
{
	struct lent_row *new = &f->rows[f->n_rows];

	if (row->at >= MIN(row->end, size))
		return NULL;
	*new = *row;
	new->at = (uint16_t)(at + row->at);
	new->end = (uint16_t)(at + MIN(row->end, size));
	f->n_rows++;
	return new;
}

static unsigned table_size(const struct capability *cap)
{
	unsigned n = CAP_ROWS;

	while (!cap->rows[n - 1].end)
		n--;
	return cap->rows[n - 1].end;
}

/* Adds the rows of one capability. False: it has no place, and the list ends before it. */
static bool add_capability(struct lent *f, const struct capability *cap, unsigned at, uint32_t head)
{
	unsigned size = cap->size ? cap->size(head) : table_size(cap);

	if (!is_free(f, at, at + size, LENT_LEGACY))
		return false;
	for (unsigned i = 0; i < CAP_ROWS && cap->rows[i].end; i++)
		add_row(f, &cap->rows[i], at, size);
	if (cap->id == 0x05)
		f->msi = (uint16_t)at;
	if (cap->id == 0x11)
		f->msix = (uint16_t)at;
	return true;
}

/* Rows are made in the list's order; `last` is the one that shall point to the next, so that what is hidden is skipped. The
 * first is the header's own pointer. A second one of a kind is hidden: what is kept of MSI is one place. */
static void walk_list(struct lent *f)
{
	unsigned at = 0, last = REG_CAPS;

	if (host_pci_read(f->bdf, REG_STATUS, 4) & STATUS_CAPS)
		at = host_pci_read(f->bdf, REG_CAPS, 1) & 0xfc;
	for (unsigned n = 0; n < CAPS_MAX && at >= FIRST_CAP; n++) {
		uint32_t head = host_pci_read(f->bdf, at, 4);
		const struct capability *cap = capability_of((uint8_t)head);

		if ((cap->id == 0x05 && f->msi) || (cap->id == 0x11 && f->msix))
			cap = &unknown;
		if (!add_capability(f, cap, at, head)) {
			host_log(HOST_LOG_WARN, "pci %04x: the list of capabilities ends at %x",
				 f->bdf, at);
			break;
		}
		if (!cap->hidden) {
			lent_row_at(f, last)->fixed |= last == REG_CAPS ? at : at << 8;
			lent_row_at(f, at)->fixed |= cap->id;
			lent_row_at(f, REG_STATUS)->fixed |= STATUS_CAPS;
			last = at;
		}
		at = head >> 8 & 0xfc;
	}
}

/* The list begins at 0x100 whatever is there: where that one is hidden its place has id 0, which is nobody's, and the link. */
static void walk_extended(struct lent *f)
{
	static const struct lent_row body = {0, LENT_SPACE - 4, LENT_PLAIN, true, .see = ALL};
	static const struct lent_row first = {0, 4, LENT_PLAIN, true};
	unsigned at = FIRST_EXT, last = 0;

	for (unsigned n = 0; n < EXTS_MAX && at >= FIRST_EXT; n++) {
		uint32_t head = host_pci_read(f->bdf, at, 4);
		unsigned size = extended_size(f->bdf, at, head);

		if (!head || head == ALL || !is_free(f, at, at + MAX(size, 4u), LENT_SPACE))
			break;
		add_row(f, &first, at, 4);
		if (size) {
			if (at != FIRST_EXT)
				lent_row_at(f, last)->fixed |= at << 20;
			lent_row_at(f, at)->fixed |= head & 0x000fffff;
			last = at;
			add_row(f, &body, at + 4, size - 4);
		} else if (at == FIRST_EXT) {
			last = at;
		}
		at = head >> 20 & 0xffc;
	}
}

/* Linux's pcifront takes the line register for the pirq, as its xen-pciback writes it. */
static void lend_line(struct lent *f)
{
	lent_row_at(f, REG_STATUS)->see |= STATUS_INTX;
	lent_row_at(f, REG_LINE)->see |= LINE_PIN;
	lent_row_at(f, REG_LINE)->fixed = f->info.line;
}

void lent_make_rows(struct lent *f)
{
	f->n_rows = 0;
	f->msi = f->msix = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(header); i++)
		f->rows[f->n_rows++] = header[i];
	/* Its registers say that it is not there, so as not to be found by who does not know. */
	if ((host_pci_read(f->bdf, 0, 4) & 0xffff) == 0xffff) {
		f->rows[0].see = 0;
		f->rows[0].fixed = f->info.id;
	}
	if (f->info.line)
		lend_line(f);
	walk_list(f);
	walk_extended(f);
}
