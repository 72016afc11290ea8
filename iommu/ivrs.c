/* ivrs.c: reads firmware's IVRS table.
 *
 * Caller: amdvi.c; pure. Every length is checked against what holds it before what is in it is read. Functions that send under another's number
 * are behind the unit, and so is that number: it may be of a bridge that has no entry of its own, or of no function at all.
 */
#include "ivrs.h"

#include <amphi/xen.h>

#define UNIT_BYTES     24u
#define UNIT_LONG      40u
#define RESERVED_BYTES 32u

/* Blocks, and entries of a unit's (5.2.2.5 to 5.2.2.7). */
enum { UNIT = 0x10, UNIT_11 = 0x11, UNIT_40 = 0x40, FOR_ALL = 0x20, FOR_ONE, FOR_RANGE };
enum {
	PAD,
	ALL,
	ONE,
	RANGE_START,
	RANGE_END,
	ONE_ALIASED = 66,
	RANGE_ALIASED,
	ONE_EXTENDED = 70,
	RANGE_EXTENDED,
	SPECIAL,
	NAMED = 240
};
#define NAMED_BYTES    22u
#define SPECIAL_IOAPIC 1u

#define IS_READ      2u
#define IS_WRITE     4u
#define IS_EXCLUSION 8u

/* ---- units ----------------------------------------------------------------------------------------- */

static int add_scope(struct firmware *t, struct firmware_unit *unit, uint16_t first, uint16_t last)
{
	if (first > last)
		return firmware_wrong(t, "a range of functions that ends before it begins");
	return firmware_scope(t, unit, (struct iommu_scope){first, last});
}

/* A range that began, and did not end yet. */
struct range {
	bool open, aliased;
	uint16_t first, sender;
};

static int end_range(struct firmware *t, struct firmware_unit *unit, struct range *r, uint16_t last)
{
	int err;

	if (!r->open)
		return firmware_wrong(t, "a range that did not begin");
	r->open = false;
	err = add_scope(t, unit, r->first, last);
	if (err || !r->aliased)
		return err;
	if (r->sender < r->first || r->sender > last)
		err = add_scope(t, unit, r->sender, r->sender);
	return err ? err : firmware_alias(t, unit, (struct iommu_alias){r->first, last, r->sender});
}

/* Of the kind's number follows how long an entry is (5.2.2.5), but for that of a device without a PCI function, which tells the length of its name. */
static unsigned entry_bytes(const uint8_t *p, size_t len)
{
	if (p[0] == NAMED)
		return len < NAMED_BYTES ? NAMED_BYTES : NAMED_BYTES + p[NAMED_BYTES - 1];
	return 4u << (p[0] >> 6);
}

/* 5.2.2.5, of a device that is no function: what it is, which, and what its messages come as. */
static int add_special(struct firmware *t, struct firmware_unit *unit, const uint8_t *p)
{
	if (p[7] != SPECIAL_IOAPIC)
		return 0;
	return firmware_ioapic(
	    t, unit, (struct iommu_ioapic){.id = p[4], .bdf = (uint16_t)table_get(p + 5, 2)});
}

/* An alias has the number that it sends as in its second half. */
static struct range range_of(const uint8_t *p)
{
	struct range r = {.open = true,
			  .aliased = p[0] == ONE_ALIASED || p[0] == RANGE_ALIASED,
			  .first = (uint16_t)table_get(p + 1, 2)};

	if (r.aliased)
		r.sender = (uint16_t)table_get(p + 5, 2);
	return r;
}

static int read_entry(struct firmware *t, struct firmware_unit *unit, const uint8_t *p,
		      struct range *range)
{
	struct range one = range_of(p);

	switch (p[0]) {
	case ALL:
		unit->all_others = true;
		return 0;
	case ONE_ALIASED:
		if (range->open)
			return firmware_wrong(t, "an alias within a range");
		return end_range(t, unit, &one, one.first);
	case ONE:
	case ONE_EXTENDED:
		return end_range(t, unit, &one, one.first);
	case RANGE_START:
	case RANGE_ALIASED:
	case RANGE_EXTENDED:
		if (range->open)
			return firmware_wrong(t, "a range within a range");
		*range = one;
		return 0;
	case RANGE_END:
		return end_range(t, unit, range, one.first);
	case SPECIAL:
		return add_special(t, unit, p);
	default:
		return 0;
	}
}

static int read_entries(struct firmware *t, struct firmware_unit *unit, const uint8_t *p,
			size_t len)
{
	struct range range = {.open = false};
	int err = 0;

	while (len && !err) {
		unsigned size = entry_bytes(p, len);

		if (size > len)
			return firmware_wrong(t, "an entry that is cut off");
		err = read_entry(t, unit, p, &range);
		p += size;
		len -= size;
	}
	return !err && range.open ? firmware_wrong(t, "a range that does not end") : err;
}

/* Firmware tells of the same unit in a form for each age of kernels: the first is taken, as all name the same functions. */
static bool is_known(const struct firmware *t, uint64_t registers)
{
	for (unsigned i = 0; i < t->n_units; i++)
		if (t->units[i].registers == registers)
			return true;
	return false;
}

static int read_unit(struct firmware *t, const uint8_t *p, size_t len)
{
	struct firmware_unit *unit;
	size_t head = p[0] == UNIT ? UNIT_BYTES : UNIT_LONG;

	if (len < head)
		return firmware_wrong(t, "a unit that is cut off");
	if (table_get(p + 16, 2) || is_known(t, table_get64(p + 8)))
		return 0;
	unit = firmware_unit(t, table_get64(p + 8));
	if (!unit)
		return -XEN_EINVAL;
	unit->bdf = (uint16_t)table_get(p + 4, 2);
	unit->capability = (uint16_t)table_get(p + 6, 2);
	if (unit->capability > 0xf0 || unit->capability % 4)
		return firmware_wrong(t, "a unit without a capability");
	return read_entries(t, unit, p + head, len - head);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

/* What is not to be translated is as good as what leads to itself with all rights. */
static unsigned rights_of(uint8_t flags)
{
	return (flags & (IS_READ | IS_EXCLUSION) ? IOMMU_READ : 0) |
	       (flags & (IS_WRITE | IS_EXCLUSION) ? IOMMU_WRITE : 0);
}

static int read_reserved(struct firmware *t, const uint8_t *p, size_t len)
{
	struct iommu_reserved r = {.last_bdf = 0xffff};

	if (len < RESERVED_BYTES)
		return firmware_wrong(t, "reserved memory that is cut off");
	if (p[0] != FOR_ALL) {
		r.first_bdf = (uint16_t)table_get(p + 4, 2);
		r.last_bdf = (uint16_t)table_get(p + (p[0] == FOR_RANGE ? 6 : 4), 2);
	}
	r.start = table_get64(p + 16);
	r.end = r.start + table_get64(p + 24);
	r.rights = rights_of(p[1]);
	return r.rights ? firmware_reserve(t, r) : 0;
}

static int read_block(struct firmware_reader *r, const uint8_t *p, size_t len)
{
	if (p[0] == UNIT || p[0] == UNIT_11 || p[0] == UNIT_40)
		return read_unit(r->out, p, len);
	return p[0] >= FOR_ALL && p[0] <= FOR_RANGE ? read_reserved(r->out, p, len) : 0;
}

int ivrs_parse(const void *table, size_t len, struct firmware *out)
{
	struct firmware_reader r = {.out = out, .each = read_block};
	const uint8_t *p = table;
	int err = firmware_begin(p, &len, "IVRS", out);

	if (err)
		return err;
	out->address_bits = (uint8_t)(table_get(p + 36, 4) >> 15 & 0x7f);
	return firmware_blocks(&r, p, len);
}
