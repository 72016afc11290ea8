/* ivrs_fuzz.c: any bytes as an IVRS table, with a sum that is right.
 *
 * Wanted: no read beyond the bytes, and what comes out is in its bounds.
 *
 * links: iommu/ivrs.c
 */
#include <stdlib.h>
#include <string.h>

#include "iommu/ivrs.h"

static void check(const struct ivrs *t)
{
	if (t->n_units > IVRS_UNITS || t->n_reserved > IVRS_RESERVED)
		abort();
	for (unsigned i = 0; i < t->n_units; i++)
		if (t->units[i].n_scopes > IOMMU_SCOPES)
			abort();
	for (unsigned i = 0; i < t->n_reserved; i++)
		if (t->reserved[i].start >= t->reserved[i].end || !t->reserved[i].rights)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ivrs t;
	uint8_t *copy, sum = 0;

	if (size < 48 || size > 0xffff)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	memcpy(copy, "IVRS", 4);
	copy[4] = (uint8_t)size;
	copy[5] = (uint8_t)(size >> 8);
	copy[6] = copy[7] = copy[9] = 0;
	for (size_t i = 0; i < size; i++)
		sum += copy[i];
	copy[9] = (uint8_t)-sum;
	if (ivrs_parse(copy, size, &t) < 0 && !t.problem)
		abort();
	check(&t);
	free(copy);
	return 0;
}
