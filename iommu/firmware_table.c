/* firmware_table.c: what the DMAR and the IVRS table have in common: header, sum, blocks one after another, bounds of what is told.
 *
 * Contract: firmware_table.h. Callers: dmar.c, ivrs.c; pure. Every length is checked against what holds it before what is in it is read.
 */
#include "firmware_table.h"

#include <amphi/string.h>
#include <amphi/xen.h>

int firmware_wrong(struct firmware *out, const char *what)
{
	out->problem = what;
	return -XEN_EINVAL;
}

int firmware_begin(const uint8_t *table, size_t *len, const char *signature, struct firmware *out)
{
	uint8_t sum = 0;

	memset(out, 0, sizeof(*out));
	out->name = signature;
	if (*len < FIRMWARE_HEADER || memcmp(table, signature, 4) ||
	    table_get(table + 4, 4) < FIRMWARE_HEADER || table_get(table + 4, 4) > *len)
		return firmware_wrong(out, "not a whole table");
	*len = table_get(table + 4, 4);
	for (size_t i = 0; i < *len; i++)
		sum += table[i];
	return sum ? firmware_wrong(out, "a wrong sum") : 0;
}

int firmware_blocks(struct firmware_reader *r, const uint8_t *table, size_t len)
{
	int err = 0;

	for (size_t at = FIRMWARE_HEADER, size; at < len && !err; at += size) {
		if (len - at < 4 || (size = table_get(table + at + 2, 2)) < 4 || size > len - at)
			return firmware_wrong(r->out, "a block of a wrong length");
		err = r->each(r, table + at, size);
	}
	return err;
}

struct firmware_unit *firmware_unit(struct firmware *out, uint64_t registers)
{
	struct firmware_unit *unit = &out->units[out->n_units];

	if (out->n_units == FIRMWARE_UNITS) {
		(void)firmware_wrong(out, "too many units");
		return NULL;
	}
	if (!registers || (registers & ~PAGE_MASK)) {
		(void)firmware_wrong(out, "a unit without registers");
		return NULL;
	}
	out->n_units++;
	unit->registers = registers;
	return unit;
}

int firmware_scope(struct firmware *out, struct firmware_unit *unit, struct iommu_scope scope)
{
	if (unit->n_scopes == IOMMU_SCOPES)
		return firmware_wrong(out, "a unit with too many ranges of functions");
	unit->scopes[unit->n_scopes++] = scope;
	return 0;
}

int firmware_alias(struct firmware *out, struct firmware_unit *unit, struct iommu_alias alias)
{
	if (unit->n_aliases == IOMMU_ALIASES)
		return firmware_wrong(out, "a unit with too many aliases");
	unit->aliases[unit->n_aliases++] = alias;
	return 0;
}

int firmware_ioapic(struct firmware *out, struct firmware_unit *unit, struct iommu_ioapic ioapic)
{
	if (unit->n_ioapics == IOMMU_IOAPICS)
		return firmware_wrong(out, "a unit with too many I/O APICs");
	unit->ioapics[unit->n_ioapics++] = ioapic;
	return 0;
}

int firmware_reserve(struct firmware *out, struct iommu_reserved kept)
{
	if (kept.start >= kept.end || ((kept.start | kept.end) & ~PAGE_MASK) ||
	    kept.first_bdf > kept.last_bdf)
		return firmware_wrong(out, "reserved memory that is no range of pages");
	if (out->n_reserved == FIRMWARE_RESERVED)
		return firmware_wrong(out, "too much reserved memory");
	out->reserved[out->n_reserved++] = kept;
	return 0;
}
