/* pattern.c: the words of a test pattern.
 *
 * Callers: see amphi/pattern.h, which defines the words. Calls nothing. SplitMix64 was taken
 * because word i needs no word before it, so any sector can be made or checked alone, and because
 * every word of every sector differs: a sector in the wrong place or from the wrong disk shows.
 */
#include <amphi/pattern.h>

/* SplitMix64's constants: 2^64 divided by the golden ratio, and the two multipliers of its mixing.
 */
#define GOLDEN       0x9e3779b97f4a7c15ull
#define SECTOR_WORDS 64u

/* Every step can be undone, so different counters give different words for one seed. */
static inline uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t pattern_word(uint64_t seed, uint64_t i)
{
	return mix(seed + (i + 1) * GOLDEN);
}

/* Word i is mix(seed + (i + 1) * GOLDEN); the sum is carried along, an addition in place of a
 * multiplication. Whole disks are filled under an emulator. */
void pattern_fill(uint64_t seed, uint64_t sector, void *buf, size_t n_sectors)
{
	uint64_t z = seed + sector * SECTOR_WORDS * GOLDEN;
	uint64_t *word = buf;
	uint64_t *end = word + n_sectors * SECTOR_WORDS;

	while (word < end)
		*word++ = mix(z += GOLDEN);
}

/* The first bad sector and no count: it says where a lost or a misplaced write begins. */
bool pattern_check(uint64_t seed, uint64_t sector, const void *buf, size_t n_sectors,
		   uint64_t *out_bad_sector)
{
	uint64_t z = seed + sector * SECTOR_WORDS * GOLDEN;
	const uint64_t *first = buf;
	const uint64_t *end = first + n_sectors * SECTOR_WORDS;
	const uint64_t *word;

	for (word = first; word < end; word++) {
		if (*word == mix(z += GOLDEN))
			continue;
		*out_bad_sector = sector + (uint64_t)(word - first) / SECTOR_WORDS;
		return false;
	}
	return true;
}
