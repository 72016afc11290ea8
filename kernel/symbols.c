/* symbols.c: from an address to the function it is in.
 *
 * Callers: panic.c, the shell. The table is made by tools/symbols.sh from the first link of the
 * kernel and comes with the second (see Makefile): sorted addresses as offsets from KERNEL_BASE,
 * offsets into the names, and the names. In a kernel of the first link it is empty.
 */
#include "mm.h"
#include "panic.h"

extern const uint32_t symbol_count;
extern const uint32_t symbol_addresses[], symbol_name_offsets[];
extern const char symbol_names[];
extern const char text_start[], text_end[];

/* The last symbol at or below the address; in the text alone, as an address elsewhere would get the
 * name of whatever function comes last. */
const char *symbol_find(uint64_t address, uint64_t *out_offset)
{
	uint32_t low = 0, high = symbol_count, middle;
	uint32_t wanted = (uint32_t)(address - KERNEL_BASE);

	if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
		return NULL;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (symbol_addresses[middle] <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*out_offset = wanted - symbol_addresses[low - 1];
	return symbol_names + symbol_name_offsets[low - 1];
}
