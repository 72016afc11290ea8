/* dmar_fuzz.c: any bytes as a DMAR table, with a sum that is right, and bridges as the first bytes say.
 *
 * Wanted: no read beyond the bytes, and what comes out is in its bounds.
 *
 * links: iommu/dmar.c iommu/firmware_table.c
 */
#include "fuzz_firmware.h"

#include "iommu/dmar.h"

static const uint8_t *bridges;

static bool bridge(uint16_t bdf, uint8_t *out_first_bus, uint8_t *out_last_bus)
{
	*out_first_bus = bridges[bdf % 8];
	*out_last_bus = bridges[(bdf + 1) % 8];
	return bridges[bdf % 8] % 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct firmware f;
	uint8_t *table;

	if (size < 8 + FIRMWARE_HEADER || size > 0xffff)
		return 0;
	bridges = data;
	size -= 8;
	table = fuzz_table(data + 8, size, "DMAR");
	fuzz_check(&f, dmar_parse(table, size, bridge, &f));
	free(table);
	return 0;
}
