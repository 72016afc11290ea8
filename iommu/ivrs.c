/* ivrs.c: reads firmware's IVRS table.
 *
 * Caller: amdvi.c; pure. Every length is checked against what holds it before what is in it is read. Aliases are not followed: a function that
 * sends under another's number is in nobody's space, and reaches nothing.
 */
#include "ivrs.h"

#include <amphi/string.h>
#include <amphi/xen.h>

#include "firmware_table.h"

#define HEADER_BYTES   48u
#define UNIT_BYTES     24u
#define UNIT_LONG      40u
#define RESERVED_BYTES 32u

/* Blocks, and entries of a unit's (5.2.2.5 to 5.2.2.7). */
enum { UNIT = 0x10, UNIT_11 = 0x11, UNIT_40 = 0x40, FOR_ALL = 0x20, FOR_ONE, FOR_RANGE };
enum { PAD, ALL, ONE, RANGE_START, RANGE_END, ONE_EXTENDED = 70, RANGE_EXTENDED, NAMED = 240 };
#define NAMED_BYTES 22u

#define IS_READ      2u
#define IS_WRITE     4u
#define IS_EXCLUSION 8u

static int wrong(struct ivrs *t, const char *what)
{
	t->problem = what;
	return -XEN_EINVAL;
}

/* ---- units ----------------------------------------------------------------------------------------- */

static int add_scope(struct ivrs *t, struct ivrs_unit *unit, uint16_t first, uint16_t last)
{
	if (first > last)
		return wrong(t, "a range of functions that ends before it begins");
	if (unit->n_scopes == IOMMU_SCOPES)
		return wrong(t, "a unit with too many ranges of functions");
	unit->scopes[unit->n_scopes++] = (struct iommu_scope){first, last};
	return 0;
}

/* Of the kind's number follows how long an entry is (5.2.2.5), but for that of a device without a PCI function, which tells the length of its name. */
static unsigned entry_bytes(const uint8_t *p, size_t len)
{
	if (p[0] == NAMED)
		return len < NAMED_BYTES ? NAMED_BYTES : NAMED_BYTES + p[NAMED_BYTES - 1];
	return 4u << (p[0] >> 6);
}

/* start: where a range began, or -1. */
static int read_entry(struct ivrs *t, struct ivrs_unit *unit, const uint8_t *p, int *start)
{
	uint16_t bdf = (uint16_t)table_get(p + 1, 2);

	switch (p[0]) {
	case ALL:
		unit->all_others = true;
		return 0;
	case ONE:
	case ONE_EXTENDED:
		return add_scope(t, unit, bdf, bdf);
	case RANGE_START:
	case RANGE_EXTENDED:
		if (*start >= 0)
			return wrong(t, "a range within a range");
		*start = bdf;
		return 0;
	case RANGE_END: {
		int first = *start;

		*start = -1;
		if (first < 0)
			return wrong(t, "a range that did not begin");
		return add_scope(t, unit, (uint16_t)first, bdf);
	}
	default:
		return 0;
	}
}

static int read_entries(struct ivrs *t, struct ivrs_unit *unit, const uint8_t *p, size_t len)
{
	int start = -1, err = 0;

	while (len && !err) {
		unsigned size = entry_bytes(p, len);

		if (size > len)
			return wrong(t, "an entry that is cut off");
		err = read_entry(t, unit, p, &start);
		p += size;
		len -= size;
	}
	return !err && start >= 0 ? wrong(t, "a range that does not end") : err;
}

/* Firmware tells of the same unit in a form for each age of kernels: the first is taken, as all name the same functions. */
static bool is_known(const struct ivrs *t, uint64_t registers)
{
	for (unsigned i = 0; i < t->n_units; i++)
		if (t->units[i].registers == registers)
			return true;
	return false;
}

static int read_unit(struct ivrs *t, const uint8_t *p, size_t len)
{
	struct ivrs_unit *unit = &t->units[t->n_units];
	size_t head = p[0] == UNIT ? UNIT_BYTES : UNIT_LONG;

	if (len < head)
		return wrong(t, "a unit that is cut off");
	if (table_get(p + 16, 2) || is_known(t, table_get64(p + 8)))
		return 0;
	if (t->n_units == IVRS_UNITS)
		return wrong(t, "too many units");
	unit->registers = table_get64(p + 8);
	unit->bdf = (uint16_t)table_get(p + 4, 2);
	unit->capability = (uint16_t)table_get(p + 6, 2);
	if (!unit->registers || (unit->registers & ~PAGE_MASK) || unit->capability > 0xf0 ||
	    unit->capability % 4)
		return wrong(t, "a unit without registers");
	t->n_units++;
	return read_entries(t, unit, p + head, len - head);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static int read_reserved(struct ivrs *t, const uint8_t *p, size_t len)
{
	struct iommu_reserved *r = &t->reserved[t->n_reserved];

	if (len < RESERVED_BYTES)
		return wrong(t, "reserved memory that is cut off");
	if (t->n_reserved == IVRS_RESERVED)
		return wrong(t, "too much reserved memory");
	*r = (struct iommu_reserved){.first_bdf = (uint16_t)table_get(p + 4, 2),
				     .last_bdf =
					 (uint16_t)table_get(p + (p[0] == FOR_RANGE ? 6 : 4), 2),
				     .start = table_get64(p + 16)};
	if (p[0] == FOR_ALL)
		r->first_bdf = 0, r->last_bdf = 0xffff;
	r->end = r->start + table_get64(p + 24);
	/* What is not to be translated is as good as what leads to itself with all rights. */
	if (p[1] & (IS_READ | IS_EXCLUSION))
		r->rights |= IOMMU_READ;
	if (p[1] & (IS_WRITE | IS_EXCLUSION))
		r->rights |= IOMMU_WRITE;
	if (r->start >= r->end || ((r->start | r->end) & ~PAGE_MASK) || r->first_bdf > r->last_bdf)
		return wrong(t, "reserved memory that is no range of pages");
	t->n_reserved += r->rights != 0;
	return 0;
}

int ivrs_parse(const void *table, size_t len, struct ivrs *out)
{
	const uint8_t *p = table;

	memset(out, 0, sizeof(*out));
	len = table_length(p, len, "IVRS", HEADER_BYTES, &out->problem);
	if (!len)
		return -XEN_EINVAL;
	out->address_bits = (uint8_t)(table_get(p + 36, 4) >> 15 & 0x7f);
	for (size_t at = HEADER_BYTES, size; at < len; at += size) {
		int err = 0;

		if (len - at < 4 || (size = table_get(p + at + 2, 2)) < 4 || size > len - at)
			return wrong(out, "a block of a wrong length");
		if (p[at] == UNIT || p[at] == UNIT_11 || p[at] == UNIT_40)
			err = read_unit(out, p + at, size);
		else if (p[at] >= FOR_ALL && p[at] <= FOR_RANGE)
			err = read_reserved(out, p + at, size);
		if (err)
			return err;
	}
	return 0;
}
