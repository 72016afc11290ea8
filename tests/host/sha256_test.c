/* sha256_test.c: the digest is SHA-256, however the text is cut.
 *
 * Shows: the published vectors of FIPS 180-4 and the lengths around a block's end, where the
 * padding changes from one block to two. Why: `make run` compares our digest of a disk with the
 * host's; a wrong digest and a wrong disk must not be confused. Expected: all equal.
 *
 * links: lib/sha256.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <amphi/sha256.h>

static void digest_of(const void *text, size_t len, char out[SHA256_HEX_CHARS])
{
	uint8_t digest[SHA256_BYTES];
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, text, len);
	sha256_final(&h, digest);
	sha256_hex(digest, out);
}

struct vector {
	const char *text, *hex;
};

static void published_vectors(void **state)
{
	static const struct vector vectors[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	char hex[SHA256_HEX_CHARS];
	size_t i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		digest_of(vectors[i].text, strlen(vectors[i].text), hex);
		assert_string_equal(hex, vectors[i].hex);
	}
}

static void a_million_a(void **state)
{
	char *text = malloc(1000000);
	char hex[SHA256_HEX_CHARS];

	memset(text, 'a', 1000000);
	digest_of(text, 1000000, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

/* For every length up to three blocks: one call, byte by byte, and an odd cut from an odd address.
 */
static void cuts_make_no_difference(void **state)
{
	uint8_t text[200], whole[SHA256_BYTES], cut[SHA256_BYTES];
	struct sha256 h;
	size_t len, at;

	for (len = 0; len < sizeof(text); len++)
		text[len] = (uint8_t)(len * 7 + 1);
	for (len = 0; len < sizeof(text) - 1; len++) {
		sha256_init(&h);
		sha256_update(&h, text + 1, len);
		sha256_final(&h, whole);
		sha256_init(&h);
		for (at = 0; at < len; at++)
			sha256_update(&h, text + 1 + at, 1);
		sha256_final(&h, cut);
		assert_memory_equal(whole, cut, sizeof(whole));
		sha256_init(&h);
		sha256_update(&h, text + 1, len / 3);
		sha256_update(&h, text + 1 + len / 3, len - len / 3);
		sha256_final(&h, cut);
		assert_memory_equal(whole, cut, sizeof(whole));
	}
}

/* Lengths where the padding just fits and just does not: from another implementation. */
static void padding_at_a_blocks_end(void **state)
{
	static const struct {
		size_t len;
		const char *hex;
	} z[] = {
	    {55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
	    {56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
	    {63, "c7723fa1e0127975e49e62e753db53924c1bd84b8ac1ac08df78d09270f3d971"},
	    {64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
	};
	static const uint8_t zeros[64];
	char hex[SHA256_HEX_CHARS];
	size_t i;

	for (i = 0; i < sizeof(z) / sizeof(z[0]); i++) {
		digest_of(zeros, z[i].len, hex);
		assert_string_equal(hex, z[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_vectors),
	    cmocka_unit_test(a_million_a),
	    cmocka_unit_test(cuts_make_no_difference),
	    cmocka_unit_test(padding_at_a_blocks_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
