/* netif_hash.c: the hash by which a guest wants its packets spread over its queues.
 *
 * Contract: amphi/netif.h. Caller: netback, for each packet to a guest that has set one by its control ring. The input is
 * built as xen/io/netif.h says ("Hash types"), the sum is protocol/net_hash.c's. Pure.
 */
#include <amphi/netif.h>
#include <amphi/string.h>

#define ADDRESSES4 8u
#define ADDRESSES6 32u
#define PORTS      4u

/* Addresses stand next to each other in both headers, source first, and so do the ports. */
bool netif_hash(const struct netif_hash *hash, const uint8_t *head, const struct net_headers *h,
		uint32_t *out_value, uint8_t *out_type)
{
	bool v4 = h->proto == NET_PROTO_IPV4, tcp = h->l4 == NET_L4_TCP;
	uint8_t input[ADDRESSES6 + PORTS];
	uint8_t plain = v4 ? _XEN_NETIF_CTRL_HASH_TYPE_IPV4 : _XEN_NETIF_CTRL_HASH_TYPE_IPV6;
	size_t len = v4 ? ADDRESSES4 : ADDRESSES6;

	if (hash->algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ ||
	    (!v4 && h->proto != NET_PROTO_IPV6))
		return false;
	tcp &= (hash->types & 2u << plain) != 0; /* each type with ports follows that without */
	if (!tcp && !(hash->types & 1u << plain))
		return false;
	memcpy(input, head + h->l3_at + (v4 ? 12 : 8), len);
	if (tcp)
		memcpy(input + len, head + h->l4_at, PORTS);
	*out_type = (uint8_t)(plain + tcp);
	*out_value = net_toeplitz(hash->key, hash->key_len, input, len + (tcp ? PORTS : 0));
	return true;
}
