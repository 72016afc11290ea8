/* ivrs_fuzz.c: any bytes as an IVRS table, with a sum that is right.
 *
 * Wanted: no read beyond the bytes, and what comes out is in its bounds.
 *
 * links: iommu/ivrs.c iommu/firmware_table.c
 */
#include "fuzz_firmware.h"

#include "iommu/ivrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct firmware f;
	uint8_t *table;

	if (size < FIRMWARE_HEADER || size > 0xffff)
		return 0;
	table = fuzz_table(data, size, "IVRS");
	fuzz_check(&f, ivrs_parse(table, size, &f));
	free(table);
	return 0;
}
