/* dmar_fuzz.c: any bytes as a DMAR table, with a sum that is right, and bridges as the first bytes say.
 *
 * Wanted: no read beyond the bytes, and what comes out is in its bounds.
 *
 * links: iommu/dmar.c
 */
#include <stdlib.h>
#include <string.h>

#include "iommu/dmar.h"

static const uint8_t *bridges;

static bool bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	*out_first_bus = bridges[bdf % 8];
	*out_last_bus = bridges[(bdf + 1) % 8];
	return bridges[bdf % 8] % 3;
}

static void check(const struct dmar *d)
{
	if (d->n_units > DMAR_UNITS || d->n_reserved > DMAR_RESERVED)
		abort();
	for (unsigned i = 0; i < d->n_units; i++)
		if (d->units[i].n_scopes > IOMMU_SCOPES || d->units[i].n_ioapics > DMAR_IOAPICS)
			abort();
	for (unsigned i = 0; i < d->n_reserved; i++)
		if (d->reserved[i].start >= d->reserved[i].end)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmar d;
	uint8_t *copy, sum = 0;

	if (size < 8 + 48)
		return 0;
	bridges = data;
	size -= 8;
	copy = malloc(size);
	memcpy(copy, data + 8, size);
	memcpy(copy, "DMAR", 4);
	copy[4] = (uint8_t)size;
	copy[5] = (uint8_t)(size >> 8);
	copy[6] = copy[7] = copy[9] = 0;
	size &= 0xffff;
	for (size_t i = 0; i < size; i++)
		sum += copy[i];
	copy[9] = (uint8_t)-sum;
	if (dmar_parse(copy, size, bridge, &d) < 0 && !d.problem)
		abort();
	check(&d);
	free(copy);
	return 0;
}
