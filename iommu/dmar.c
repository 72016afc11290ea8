/* dmar.c: reads firmware's DMAR table.
 *
 * Caller: vtd.c; pure but for the bridges it asks for. Every length is checked against what holds it before what is in it is read.
 * A path that leads through bridges is followed by their bus numbers as they are now, as the manual says (8.3.1).
 */
#include "dmar.h"

#include <amphi/xen.h>

#define UNIT_BYTES     16u
#define RESERVED_BYTES 24u
#define SCOPE_BYTES    6u

enum { DRHD, RMRR };
enum { SCOPE_ENDPOINT = 1, SCOPE_BRIDGE, SCOPE_IOAPIC };

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
	struct firmware *d;
	dmar_bridge_fn *bridge;
	int (*each)(struct scopes *s, const struct scope *scope);
	struct firmware_unit *unit;
	struct iommu_reserved reserved;
};

static int read_scopes(struct scopes *s, const uint8_t *p, size_t len)
{
	while (len) {
		struct scope scope;
		unsigned size;
		int err;

		if (len < SCOPE_BYTES || p[1] < SCOPE_BYTES + 2 || p[1] > len || p[1] % 2)
			return firmware_wrong(s->d, "a device scope of a wrong length");
		size = p[1];
		scope.type = p[0];
		scope.id = p[4];
		if (!follow(p, size, s->bridge, &scope))
			return firmware_wrong(s->d, "a device scope that leads to no bridge");
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
	return scope.first_bdf > scope.last_bdf ? 0 : firmware_scope(s->d, s->unit, scope);
}

static int scope_of_unit(struct scopes *s, const struct scope *scope)
{
	struct iommu_scope first, behind;
	int err;

	if (scope->type == SCOPE_IOAPIC)
		return firmware_ioapic(s->d, s->unit, (struct iommu_ioapic){scope->id, scope->bdf});
	if (!functions_of(s, scope, &first, &behind))
		return 0;
	err = add_scope(s, first);
	return err ? err : add_scope(s, behind);
}

static int reserve(struct scopes *s, struct iommu_scope scope)
{
	struct iommu_reserved kept = s->reserved;

	if (scope.first_bdf > scope.last_bdf)
		return 0;
	kept.first_bdf = scope.first_bdf;
	kept.last_bdf = scope.last_bdf;
	return firmware_reserve(s->d, kept);
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

static int read_unit(struct firmware_reader *r, const uint8_t *p, size_t len)
{
	struct scopes s = {.d = r->out, .bridge = r->bridge, .each = scope_of_unit};

	if (len < UNIT_BYTES)
		return firmware_wrong(r->out, "a unit that is cut off");
	if (table_get(p + 6, 2))
		return 0;
	s.unit = firmware_unit(r->out, table_get64(p + 8));
	if (!s.unit)
		return -XEN_EINVAL;
	s.unit->all_others = p[4] & 1;
	return read_scopes(&s, p + UNIT_BYTES, len - UNIT_BYTES);
}

static int read_reserved(struct firmware_reader *r, const uint8_t *p, size_t len)
{
	struct scopes s = {.d = r->out, .bridge = r->bridge, .each = scope_of_reserved};

	if (len < RESERVED_BYTES)
		return firmware_wrong(r->out, "reserved memory that is cut off");
	if (table_get(p + 6, 2))
		return 0;
	s.reserved.start = table_get64(p + 8);
	s.reserved.end = table_get64(p + 16) + 1;
	s.reserved.rights = IOMMU_READ | IOMMU_WRITE;
	return read_scopes(&s, p + RESERVED_BYTES, len - RESERVED_BYTES);
}

static int read_structure(struct firmware_reader *r, const uint8_t *p, size_t len)
{
	switch (table_get(p, 2)) {
	case DRHD:
		return read_unit(r, p, len);
	case RMRR:
		return read_reserved(r, p, len);
	default:
		return 0;
	}
}

int dmar_parse(const void *table, size_t len, dmar_bridge_fn *bridge, struct firmware *out)
{
	struct firmware_reader r = {.out = out, .each = read_structure, .bridge = bridge};
	const uint8_t *p = table;
	int err = firmware_begin(p, &len, "DMAR", out);

	if (err)
		return err;
	out->address_bits = (uint8_t)(p[36] + 1);
	out->interrupts = p[37] & 1;
	return firmware_blocks(&r, p, len);
}
