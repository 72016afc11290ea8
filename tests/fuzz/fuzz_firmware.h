/* fuzz_firmware.h: any bytes as a table of firmware that tells of IOMMUs, with a length and a sum that are right.
 *
 * Included by dmar_fuzz and ivrs_fuzz, which read the copy and let it go.
 */
#ifndef TESTS_FUZZ_FUZZ_FIRMWARE_H
#define TESTS_FUZZ_FUZZ_FIRMWARE_H

#include <stdlib.h>
#include <string.h>

#include "iommu/firmware_table.h"
#include "tests/host/firmware_bytes.h"

/* A copy of its own, so that a read beyond it is seen. size is 48 to 0xffff. */
static inline uint8_t *fuzz_table(const uint8_t *data, size_t size, const char *signature)
{
	uint8_t *copy = malloc(size);

	memcpy(copy, data, size);
	memcpy(copy, signature, 4);
	copy[6] = copy[7] = 0;
	firmware_seal(copy, size);
	return copy;
}

/* What came out is in its bounds, and what is refused has a reason. */
static inline void fuzz_check(const struct firmware *f, int err)
{
	if (err < 0 && !f->problem)
		abort();
	if (f->n_units > FIRMWARE_UNITS || f->n_reserved > FIRMWARE_RESERVED)
		abort();
	for (unsigned i = 0; i < f->n_units; i++) {
		const struct firmware_unit *u = &f->units[i];

		if (u->n_scopes > IOMMU_SCOPES || u->n_ioapics > IOMMU_IOAPICS ||
		    u->n_aliases > IOMMU_ALIASES)
			abort();
		for (unsigned k = 0; k < u->n_aliases; k++)
			if (u->aliases[k].first_bdf > u->aliases[k].last_bdf)
				abort();
	}
	for (unsigned i = 0; i < f->n_reserved; i++)
		if (f->reserved[i].start >= f->reserved[i].end || !f->reserved[i].rights)
			abort();
}

#endif
