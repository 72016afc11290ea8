/* dmar.c: reads firmware's DMAR table.
 *
 * Caller: vtd.c; pure but for the bridges it asks for. Every length is checked against what holds it before what is in it is read.
 * A path that leads through bridges is followed by their bus numbers as they are now, as the manual says (8.3.1).
 */
#include "dmar.h"

#include <amphi/string.h>
#include <amphi/xen.h>

#include "firmware_table.h"

#define HEADER_BYTES   48u
#define UNIT_BYTES     16u
#define RESERVED_BYTES 24u
#define SCOPE_BYTES    6u

enum { DRHD, RMRR };
enum { SCOPE_ENDPOINT = 1, SCOPE_BRIDGE, SCOPE_IOAPIC };

static int wrong(struct dmar *d, const char *what)
{
	d->problem = what;
	return -XEN_EINVAL;
}

/* ---- scopes ---------------------------------------------------------------------------------------- */

struct scope {
	unsigned type;
	uint8_t id;
	uint16_t bdf;
};

/* From the first bus along the path: each step but the last is a bridge. */
static bool follow(const uint8_t *p, unsigned len, dmar_bridge_fn *bridge, struct scope *out)
{
	uint8_t bus = p[5], last;

	for (unsigned at = SCOPE_BYTES;; at += 2) {
		if (p[at] > 31 || p[at + 1] > 7)
			return false;
		out->bdf = (uint16_t)(bus << 8 | p[at] << 3 | p[at + 1]);
		if (at + 2 >= len)
			return true;
		if (!bridge(out->bdf, &bus, &last))
			return false;
	}
}

/* Calls back for each scope in [p, p+len). */
struct scopes {
	struct dmar *d;
	dmar_bridge_fn *bridge;
	int (*each)(struct scopes *s, const struct scope *scope);
	struct dmar_unit *unit;
	struct iommu_reserved reserved;
};

static int read_scopes(struct scopes *s, const uint8_t *p, size_t len)
{
	while (len) {
		struct scope scope;
		unsigned size;
		int err;

		if (len < SCOPE_BYTES || p[1] < SCOPE_BYTES + 2 || p[1] > len || p[1] % 2)
			return wrong(s->d, "a device scope of a wrong length");
		size = p[1];
		scope.type = p[0];
		scope.id = p[4];
		if (!follow(p, size, s->bridge, &scope))
			return wrong(s->d, "a device scope that leads to no bridge");
		err = s->each(s, &scope);
		if (err)
			return err;
		p += size;
		len -= size;
	}
	return 0;
}

/* Which functions a scope means: one, or all behind a bridge and itself. false: none. */
static bool functions_of(const struct scopes *s, const struct scope *scope,
			 struct iommu_scope *first, struct iommu_scope *behind)
{
	uint8_t from, to;

	if (scope->type != SCOPE_ENDPOINT && scope->type != SCOPE_BRIDGE)
		return false;
	*first = (struct iommu_scope){scope->bdf, scope->bdf};
	*behind = (struct iommu_scope){1, 0};
	if (scope->type == SCOPE_BRIDGE && s->bridge(scope->bdf, &from, &to) && from <= to)
		*behind = (struct iommu_scope){(uint16_t)(from << 8), (uint16_t)(to << 8 | 0xff)};
	return true;
}

static int add_scope(struct scopes *s, struct iommu_scope scope)
{
	if (scope.first_bdf > scope.last_bdf)
		return 0;
	if (s->unit->n_scopes == IOMMU_SCOPES)
		return wrong(s->d, "a unit with too many device scopes");
	s->unit->scopes[s->unit->n_scopes++] = scope;
	return 0;
}

static int scope_of_unit(struct scopes *s, const struct scope *scope)
{
	struct iommu_scope first, behind;
	int err;

	if (scope->type == SCOPE_IOAPIC) {
		if (s->unit->n_ioapics == DMAR_IOAPICS)
			return wrong(s->d, "a unit with too many I/O APICs");
		s->unit->ioapics[s->unit->n_ioapics].id = scope->id;
		s->unit->ioapics[s->unit->n_ioapics++].bdf = scope->bdf;
		return 0;
	}
	if (!functions_of(s, scope, &first, &behind))
		return 0;
	err = add_scope(s, first);
	return err ? err : add_scope(s, behind);
}

static int reserve(struct scopes *s, struct iommu_scope scope)
{
	struct iommu_reserved *r = &s->d->reserved[s->d->n_reserved];

	if (scope.first_bdf > scope.last_bdf)
		return 0;
	if (s->d->n_reserved == DMAR_RESERVED)
		return wrong(s->d, "too much reserved memory");
	*r = s->reserved;
	r->first_bdf = scope.first_bdf;
	r->last_bdf = scope.last_bdf;
	s->d->n_reserved++;
	return 0;
}

static int scope_of_reserved(struct scopes *s, const struct scope *scope)
{
	struct iommu_scope first, behind;
	int err;

	if (!functions_of(s, scope, &first, &behind))
		return 0;
	err = reserve(s, first);
	return err ? err : reserve(s, behind);
}

/* ---- structures ------------------------------------------------------------------------------------ */

static int read_unit(struct dmar *d, const uint8_t *p, size_t len, dmar_bridge_fn *bridge)
{
	struct dmar_unit *unit = &d->units[d->n_units];
	struct scopes s = {.d = d, .bridge = bridge, .each = scope_of_unit, .unit = unit};

	if (len < UNIT_BYTES)
		return wrong(d, "a unit that is cut off");
	if (table_get(p + 6, 2))
		return 0;
	if (d->n_units == DMAR_UNITS)
		return wrong(d, "too many units");
	unit->registers = table_get64(p + 8);
	unit->all_others = p[4] & 1;
	if (!unit->registers || (unit->registers & ~PAGE_MASK))
		return wrong(d, "a unit without registers");
	d->n_units++;
	return read_scopes(&s, p + UNIT_BYTES, len - UNIT_BYTES);
}

static int read_reserved(struct dmar *d, const uint8_t *p, size_t len, dmar_bridge_fn *bridge)
{
	struct scopes s = {.d = d, .bridge = bridge, .each = scope_of_reserved};

	if (len < RESERVED_BYTES)
		return wrong(d, "reserved memory that is cut off");
	if (table_get(p + 6, 2))
		return 0;
	s.reserved.start = table_get64(p + 8);
	s.reserved.end = table_get64(p + 16) + 1;
	s.reserved.rights = IOMMU_READ | IOMMU_WRITE;
	if (s.reserved.start >= s.reserved.end ||
	    ((s.reserved.start | s.reserved.end) & ~PAGE_MASK))
		return wrong(d, "reserved memory that is no range of pages");
	return read_scopes(&s, p + RESERVED_BYTES, len - RESERVED_BYTES);
}

int dmar_parse(const void *table, size_t len, dmar_bridge_fn *bridge, struct dmar *out)
{
	const uint8_t *p = table;

	memset(out, 0, sizeof(*out));
	len = table_length(p, len, "DMAR", HEADER_BYTES, &out->problem);
	if (!len)
		return -XEN_EINVAL;
	out->address_bits = (uint8_t)(p[36] + 1);
	out->interrupts = p[37] & 1;
	for (size_t at = HEADER_BYTES, size; at < len; at += size) {
		int err = 0;

		if (len - at < 4 || (size = table_get(p + at + 2, 2)) < 4 || size > len - at)
			return wrong(out, "a structure of a wrong length");
		if (table_get(p + at, 2) == DRHD)
			err = read_unit(out, p + at, size, bridge);
		else if (table_get(p + at, 2) == RMRR)
			err = read_reserved(out, p + at, size, bridge);
		if (err)
			return err;
	}
	return 0;
}
