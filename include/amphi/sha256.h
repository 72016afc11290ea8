/* sha256.h: SHA-256 (FIPS 180-4) for freestanding code.
 *
 * Callers: the shell's disk commands, tests, the host tool. Plain C, no tables beyond the round
 * constants, any context. Not a defence against timing attacks: what is hashed is no secret.
 */
#ifndef AMPHI_SHA256_H
#define AMPHI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES     32u
#define SHA256_HEX_CHARS 65u /* with the NUL */

struct sha256 {
	uint32_t state[8];
	uint64_t len_bytes;
	uint8_t block[64]; /* the part of the text that does not fill a block yet */
};

void sha256_init(struct sha256 *h);
/* data may have any alignment and length; the digest does not depend on how the text is cut. */
void sha256_update(struct sha256 *h, const void *data, size_t len_bytes);
/* Ends the text; h must be initialised again before another. */
void sha256_final(struct sha256 *h, uint8_t out[SHA256_BYTES]);
/* Lower-case hexadecimal, ended by NUL. */
void sha256_hex(const uint8_t digest[SHA256_BYTES], char out[SHA256_HEX_CHARS]);

#endif
