/* firmware_table.h: the bytes of a table of firmware, that lie at any address and may be wrong.
 *
 * Private to iommu/. What every table begins with: ACPI specification 6.4, 5.2.6. Pure.
 */
#ifndef IOMMU_FIRMWARE_TABLE_H
#define IOMMU_FIRMWARE_TABLE_H

#include <amphi/string.h>
#include <amphi/types.h>

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

/* The table's own length, or 0 and what is wrong with it: there are len bytes, of which it takes at least `least`. */
static inline size_t table_length(const uint8_t *p, size_t len, const char *signature, size_t least,
				  const char **out_problem)
{
	uint8_t sum = 0;

	*out_problem = "not a whole table";
	if (len < least || memcmp(p, signature, 4) || table_get(p + 4, 4) < least ||
	    table_get(p + 4, 4) > len)
		return 0;
	len = table_get(p + 4, 4);
	for (size_t i = 0; i < len; i++)
		sum += p[i];
	*out_problem = sum ? "a wrong sum" : NULL;
	return sum ? 0 : len;
}

#endif
