/* firmware_table.h: a table of firmware that tells of IOMMUs, as bytes that lie at any address and may be wrong, and as numbers.
 *
 * Private to iommu/: dmar.c and ivrs.c fill struct firmware from their tables, vtd.c and amdvi.c make units of it; rio.c reads bytes. What
 * every table begins with: ACPI specification 6.4, 5.2.6. Pure. The tables are meant well, and not always right.
 */
#ifndef IOMMU_FIRMWARE_TABLE_H
#define IOMMU_FIRMWARE_TABLE_H

#include "iommu_ops.h"

/* ---- bytes ---- */

static inline uint32_t table_get(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	for (unsigned i = bytes; i--;)
		v = v << 8 | p[i];
	return v;
}

static inline uint64_t table_get64(const uint8_t *p)
{
	return table_get(p, 4) | (uint64_t)table_get(p + 4, 4) << 32;
}

/* ---- numbers ---- */

#define FIRMWARE_UNITS    8u
#define FIRMWARE_RESERVED 32u

struct firmware_unit {
	uint64_t registers;
	uint16_t bdf;        /* AMD-Vi: it is a function itself */
	uint16_t capability; /* AMD-Vi: where in its configuration space */
	bool all_others;     /* it has what no other unit names */
	unsigned n_scopes;
	struct iommu_scope scopes[IOMMU_SCOPES];
	unsigned n_ioapics;
	struct iommu_ioapic ioapics[IOMMU_IOAPICS];
	unsigned n_aliases;
	struct iommu_alias aliases[IOMMU_ALIASES];
};

struct firmware {
	bool interrupts; /* VT-d: firmware allows remapping of them */
	uint8_t
	    address_bits; /* of the machine, or (AMD-Vi) of what devices send; 0: it does not say */
	unsigned n_units, n_reserved;
	struct firmware_unit units[FIRMWARE_UNITS];
	struct iommu_reserved reserved[FIRMWARE_RESERVED];
	const char *name;    /* the table's, of four letters */
	const char *problem; /* of the last -XEN_EINVAL: what is wrong, static */
};

/* ---- reading: firmware_table.c ---- */

/* Both tables have it: the common header, and what is each one's own of the whole. */
#define FIRMWARE_HEADER 48u

/* An empty *out, and *len the table's own length, of which FIRMWARE_HEADER bytes are there. -XEN_EINVAL: it is not that table, is cut off, or its sum is wrong. */
int firmware_begin(const uint8_t *table, size_t *len, const char *signature, struct firmware *out);

/* Calls each with every block [p, p + len) behind the header, len >= 4, until it fails. -XEN_EINVAL: their lengths do not add up. */
struct firmware_reader {
	struct firmware *out;
	int (*each)(struct firmware_reader *r, const uint8_t *p, size_t len);
	bool (*bridge)(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus); /* each's */
};
int firmware_blocks(struct firmware_reader *r, const uint8_t *table, size_t len);

/* -XEN_EINVAL, and why. */
int firmware_wrong(struct firmware *out, const char *what);
/* The next unit, with its registers. NULL: there are too many, or it has none. */
struct firmware_unit *firmware_unit(struct firmware *out, uint64_t registers);
/* Functions of a unit; an I/O APIC; what some of the functions send as. -XEN_EINVAL: too many. */
int firmware_scope(struct firmware *out, struct firmware_unit *unit, struct iommu_scope scope);
int firmware_alias(struct firmware *out, struct firmware_unit *unit, struct iommu_alias alias);
int firmware_ioapic(struct firmware *out, struct firmware_unit *unit, struct iommu_ioapic ioapic);
/* Memory that firmware keeps. -XEN_EINVAL: too much, or no range of pages of some function. */
int firmware_reserve(struct firmware *out, struct iommu_reserved kept);

/* ---- using: iommu.c ---- */

/* What both kinds' ways in are: f (NULL: there is no memory) was read with that result; starts each of its units, takes what is reserved, lets f go. */
int iommu_start_units(struct firmware *f, int err,
		      int (*start)(const struct firmware *f, unsigned n));
/* What is behind a unit. */
void iommu_take_scopes(struct iommu *unit, const struct firmware_unit *u);

#endif
