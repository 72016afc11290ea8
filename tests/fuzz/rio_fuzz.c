/* rio_fuzz.c: any bytes as the extended BIOS data area.
 *
 * Wanted: no read beyond the bytes, an end, and what comes out is in its bounds.
 *
 * links: iommu/rio.c
 */
#include <stdlib.h>
#include <string.h>

#include "iommu/rio.h"

#define FIRST_BLOCK 0x180u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rio r;
	uint8_t *area = calloc(1, FIRST_BLOCK + size);

	/* Nothing is read of what is before the first block. */
	memcpy(area + FIRST_BLOCK, data, size);
	if (rio_parse(area, FIRST_BLOCK + size, &r) && !r.problem)
		abort();
	if (r.n_calgaries > RIO_CALGARIES)
		abort();
	for (unsigned i = 0; i < r.n_calgaries; i++)
		if (!r.registers[i] || r.registers[i] % 4096)
			abort();
	free(area);
	return 0;
}
