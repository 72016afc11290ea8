/* net_hash.c: which flow a frame belongs to.
 *
 * Contract: net_offload.h. Pure. Two hashes: ours, cheap, with which a frame's queue is chosen; and Toeplitz's, which a guest can
 * ask of its backend with a key of its own (xen/io/netif.h), and which other systems compute too.
 */
#include <amphi/net_offload.h>
#include <amphi/string.h>

/* A multiplication that carries each bit into the upper half; the constant is 2^64 divided by the golden ratio. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

static uint64_t mix_bytes(uint64_t hash, const uint8_t *bytes, size_t len)
{
	uint64_t word;

	for (; len >= 8; len -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	return len ? mix(hash, word) : hash;
}

/* Fragments of a datagram are one flow and have no ports but in the first: so none of them counts its own. */
uint32_t net_flow_hash(const uint8_t *head, const struct net_headers *h)
{
	uint64_t hash;

	if (h->proto == NET_PROTO_IPV4)
		hash = mix_bytes(0, head + h->l3_at + 12, 8);
	else if (h->proto == NET_PROTO_IPV6)
		hash = mix_bytes(0, head + h->l3_at + 8, 32);
	else
		hash = mix_bytes(0, head, 2 * NET_MAC_BYTES);
	if (h->l4 != NET_L4_OTHER)
		hash = mix_bytes(hash, head + h->l4_at, 4);
	return (uint32_t)hash ? (uint32_t)hash : 1;
}

/* The window's upper 32 bits are those of the key that the next bit of the bytes stands before. */
uint32_t net_toeplitz(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len)
{
	uint64_t window = 0;
	uint32_t hash = 0;
	size_t i, at;
	unsigned bit;

	for (at = 0; at < 8; at++)
		window = window << 8 | (at < key_len ? key[at] : 0);
	for (i = 0; i < len; i++, at++) {
		for (bit = 0; bit < 8; bit++, window <<= 1)
			hash ^= bytes[i] & 0x80u >> bit ? (uint32_t)(window >> 32) : 0;
		window |= at < key_len ? key[at] : 0;
	}
	return hash;
}
