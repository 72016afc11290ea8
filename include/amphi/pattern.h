/* pattern.h: the bytes a test disk is filled with, computable for any sector from a seed.
 *
 * Callers: the shell's fill and verify, the host tool that checks the image afterwards, tests.
 * The definition, so that others can compute it too: a disk is a row of little-endian 64-bit
 * words; word i (from the disk's first byte) is mix(seed + (i + 1) * 0x9e3779b97f4a7c15), where
 * mix is the output function of SplitMix64: z ^= z >> 30; z *= 0xbf58476d1ce4e5b9; z ^= z >> 27;
 * z *= 0x94d049bb133111eb; z ^= z >> 31. All arithmetic is modulo 2^64. Any context; no state.
 */
#ifndef AMPHI_PATTERN_H
#define AMPHI_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Word number i of the disk. */
uint64_t pattern_word(uint64_t seed, uint64_t i);

/* Writes n_sectors of 512 bytes, the first being number sector of the disk. buf: aligned to 8. */
void pattern_fill(uint64_t seed, uint64_t sector, void *buf, size_t n_sectors);

/* Compares; on a difference returns false and the number of the first bad sector. */
bool pattern_check(uint64_t seed, uint64_t sector, const void *buf, size_t n_sectors,
		   uint64_t *out_bad_sector);

#endif
