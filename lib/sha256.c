/* sha256.c: SHA-256, written so that a compiler without vector registers does well.
 *
 * Callers: see amphi/sha256.h. Calls memcpy and memset only. A whole disk goes through this under
 * an emulator, so instructions are what counts: all 64 rounds are written out, the eight working
 * variables change names instead of places, and the message schedule is a ring of 16 words that is
 * computed where it is used. Section numbers are those of FIPS 180-4.
 */
#include <amphi/sha256.h>
#include <amphi/string.h>
#include <amphi/types.h>

/* Compilers know this shape and make one rol or ror of it. */
static inline uint32_t ror(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* 4.1.2, with the three rotations nested: each then needs one register and no copy. */
#define SUM0(a)   ror(ror(ror((a), 9) ^ (a), 11) ^ (a), 2)
#define SUM1(e)   ror(ror(ror((e), 14) ^ (e), 5) ^ (e), 6)
#define SIGMA0(x) (ror(ror((x), 11) ^ (x), 7) ^ ((x) >> 3))
#define SIGMA1(x) (ror(ror((x), 2) ^ (x), 17) ^ ((x) >> 10))

/* 4.1.2's Ch and Maj with an operation less each; Maj's first half is the next round's second,
 * which compilers see. */
#define CHOOSE(e, f, g)   ((((f) ^ (g)) & (e)) ^ (g))
#define MAJORITY(a, b, c) ((((a) ^ (b)) & ((b) ^ (c))) ^ (b))

/* 6.2.2 step 3 for one round; k is a constant, so it costs no load. */
#define ROUND(a, b, c, d, e, f, g, h, k, word)                                                     \
	do {                                                                                       \
		h += (word) + (uint32_t)(k) + SUM1(e) + CHOOSE(e, f, g);                           \
		d += h;                                                                            \
		h += SUM0(a) + MAJORITY(a, b, c);                                                  \
	} while (0)

/* 6.2.2 step 1: the first sixteen words come from the text, later ones from the ring. */
#define FIRST(i) (w[i] = load_be32(text + 4 * (i)))
#define LATER(i)                                                                                   \
	(w[i] += SIGMA1(w[((i) + 14) & 15]) + w[((i) + 9) & 15] + SIGMA0(w[((i) + 1) & 15]))

/* Eight rounds bring each name back to its place. */
#define ROUNDS8(WORD, i, k0, k1, k2, k3, k4, k5, k6, k7)                                           \
	do {                                                                                       \
		ROUND(a, b, c, d, e, f, g, h, k0, WORD((i) + 0));                                  \
		ROUND(h, a, b, c, d, e, f, g, k1, WORD((i) + 1));                                  \
		ROUND(g, h, a, b, c, d, e, f, k2, WORD((i) + 2));                                  \
		ROUND(f, g, h, a, b, c, d, e, k3, WORD((i) + 3));                                  \
		ROUND(e, f, g, h, a, b, c, d, k4, WORD((i) + 4));                                  \
		ROUND(d, e, f, g, h, a, b, c, k5, WORD((i) + 5));                                  \
		ROUND(c, d, e, f, g, h, a, b, k6, WORD((i) + 6));                                  \
		ROUND(b, c, d, e, f, g, h, a, k7, WORD((i) + 7));                                  \
	} while (0)

static inline uint32_t load_be32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v)); /* one load, also in freestanding code */
	return __builtin_bswap32(v);
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

/* The digits are 4.2.2's K, a round each. state is read once and added to once (6.2.2, steps 2 and
 * 4); in between everything stays in registers, but for the ring. */
static void compress(uint32_t state[8], const uint8_t *text)
{
	uint32_t w[16];
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

	ROUNDS8(FIRST, 0, 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
		0x923f82a4, 0xab1c5ed5);
	ROUNDS8(FIRST, 8, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
		0x9bdc06a7, 0xc19bf174);
	ROUNDS8(LATER, 0, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
		0x5cb0a9dc, 0x76f988da);
	ROUNDS8(LATER, 8, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
		0x06ca6351, 0x14292967);
	ROUNDS8(LATER, 0, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb,
		0x81c2c92e, 0x92722c85);
	ROUNDS8(LATER, 8, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624,
		0xf40e3585, 0x106aa070);
	ROUNDS8(LATER, 0, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
		0x5b9cca4f, 0x682e6ff3);
	ROUNDS8(LATER, 8, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb,
		0xbef9a3f7, 0xc67178f2);

	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
	state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* The first words are 5.3.3. A digest may be begun anew in the same struct at any time. */
void sha256_init(struct sha256 *h)
{
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(h->state, start, sizeof(start));
	h->len_bytes = 0;
}

/* Whole blocks are taken where they lie; only a beginning and a rest go through h->block. Whoever
 * passes whole sectors copies nothing. */
void sha256_update(struct sha256 *h, const void *data, size_t len_bytes)
{
	const uint8_t *p = data;
	size_t used = h->len_bytes % sizeof(h->block);
	size_t take;

	h->len_bytes += len_bytes;
	if (used) {
		take = MIN(len_bytes, sizeof(h->block) - used);
		memcpy(h->block + used, p, take);
		p += take, len_bytes -= take;
		if (used + take < sizeof(h->block))
			return;
		compress(h->state, h->block);
	}
	for (; len_bytes >= sizeof(h->block); len_bytes -= sizeof(h->block)) {
		compress(h->state, p);
		p += sizeof(h->block);
	}
	if (len_bytes)
		memcpy(h->block, p, len_bytes);
}

/* 5.1.1: a one bit, zeros, and the length in bits as the last eight bytes of a block. */
void sha256_final(struct sha256 *h, uint8_t out[SHA256_BYTES])
{
	size_t used = h->len_bytes % sizeof(h->block);
	uint64_t bits = h->len_bytes * 8;
	unsigned i;

	h->block[used++] = 0x80;
	/* No room for the length behind the one bit: it goes into a block of its own. */
	if (used > sizeof(h->block) - 8) {
		memset(h->block + used, 0, sizeof(h->block) - used);
		compress(h->state, h->block);
		used = 0;
	}
	memset(h->block + used, 0, sizeof(h->block) - used);
	store_be32(h->block + 56, (uint32_t)(bits >> 32));
	store_be32(h->block + 60, (uint32_t)bits);
	compress(h->state, h->block);
	for (i = 0; i < 8; i++)
		store_be32(out + 4 * i, h->state[i]);
}

void sha256_hex(const uint8_t digest[SHA256_BYTES], char out[SHA256_HEX_CHARS])
{
	static const char digits[] = "0123456789abcdef";
	unsigned i;

	for (i = 0; i < SHA256_BYTES; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * SHA256_BYTES] = '\0';
}
