/* netif_extra_test: extra infos are read as they were written, and what is none is refused.
 *
 * Shows every type alone and all in one chain, both ways, and each way in which one can be wrong. Why: the bytes are a
 * peer's, and a chain without end is the oldest trick of this protocol. Expected: no chain longer than the types there are,
 * and flags that both halves understand alike.
 *
 * links: protocol/netif_extra.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/netif.h>

#define MORE XEN_NETIF_EXTRA_FLAG_MORE

static const uint8_t group[NET_MAC_BYTES] = {0x01, 0x00, 0x5e, 1, 2, 3};

static struct netif_extras some(uint8_t seen)
{
	struct netif_extras e = {.seen = seen,
				 .gso = NET_GSO_TCPV6,
				 .gso_size = 1440,
				 .hash_type = _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
				 .hash_algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
				 .hash = 0x12345678,
				 .xdp_headroom = 256};

	memcpy(e.mcast, group, sizeof(group));
	return e;
}

/* Each set of types that a packet may have, written and read. */
static void test_both_ways(void **state)
{
	for (uint8_t seen = 2; seen < 1u << NETIF_EXTRA_TYPES; seen += 2) {
		struct netif_extras in = some(seen), out = {0};
		struct netif_extra_info info[NETIF_EXTRAS_MAX];
		unsigned n = netif_extras_put(&in, info);

		if ((seen >> XEN_NETIF_EXTRA_TYPE_MCAST_ADD & 3) == 3)
			continue;
		assert_int_equal(n, __builtin_popcount(seen));
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(netif_extra_take(&out, &info[i]), i + 1 < n);
		assert_int_equal(out.seen, seen);
		assert_int_equal(out.gso_size, seen & 1u << XEN_NETIF_EXTRA_TYPE_GSO ? 1440 : 0);
		assert_int_equal(out.hash, seen & 1u << XEN_NETIF_EXTRA_TYPE_HASH ? 0x12345678 : 0);
		assert_int_equal(out.xdp_headroom, seen & 1u << NETIF_EXTRA_XDP ? 256 : 0);
		if (seen >> XEN_NETIF_EXTRA_TYPE_MCAST_ADD & 3)
			assert_memory_equal(out.mcast, group, sizeof(group));
	}
}

/* The bytes of xen/io/netif.h's pictures. */
static void test_layout(void **state)
{
	static const uint8_t gso[8] = {1, 1, 0xa0, 0x05, 2, 0, 0, 0};
	static const uint8_t mcast[8] = {3, 1, 0x01, 0x00, 0x5e, 1, 2, 3};
	static const uint8_t hash[8] = {4, 0, 1, 1, 0x78, 0x56, 0x34, 0x12};
	struct netif_extras e =
	    some(1u << XEN_NETIF_EXTRA_TYPE_GSO | 1u << XEN_NETIF_EXTRA_TYPE_MCAST_DEL |
		 1u << XEN_NETIF_EXTRA_TYPE_HASH);
	struct netif_extra_info info[NETIF_EXTRAS_MAX];

	memset(info, 0xff, sizeof(info));
	assert_int_equal(netif_extras_put(&e, info), 3);
	assert_memory_equal(&info[0], gso, 8);
	assert_memory_equal(&info[1], mcast, 8);
	assert_memory_equal(&info[2], hash, 8);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *why;
		uint8_t bytes[8];
	} wrong[] = {
	    {"no type", {0, 0}},
	    {"a type beyond the last", {6, 0}},
	    {"type 255", {255, 1}},
	    {"gso of nothing", {1, 0, 0, 0, 1}},
	    {"gso of no kind", {1, 0, 0xa0, 5, 0}},
	    {"gso of a kind to come", {1, 0, 0xa0, 5, 3}},
	    {"a station for a group", {2, 0, 0x00, 0x16, 0x3e, 1, 2, 3}},
	    {"a station taken out", {3, 0, 0x02, 0, 0, 0, 0, 0}},
	    {"a hash of no type", {4, 0, 4, 1, 1, 2, 3, 4}},
	    {"headroom beyond a page's", {5, 0, 0x00, 0x80}},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct netif_extras e = {0};
		struct netif_extra_info info;

		memcpy(&info, wrong[i].bytes, sizeof(info));
		if (netif_extra_take(&e, &info) != -XEN_EINVAL)
			fail_msg("%s was taken", wrong[i].why);
	}
}

/* A chain is bounded: no type comes twice, and a group is joined or left. */
static void test_no_end(void **state)
{
	for (uint8_t type = 1; type < NETIF_EXTRA_TYPES; type++) {
		struct netif_extras in = some((uint8_t)(1u << type)), e = {0};
		struct netif_extra_info info[NETIF_EXTRAS_MAX];

		netif_extras_put(&in, info);
		info[0].flags = MORE;
		assert_int_equal(netif_extra_take(&e, &info[0]), 1);
		assert_int_equal(netif_extra_take(&e, &info[0]), -XEN_EINVAL);
		info[0].type ^= 1;
		if (type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD)
			assert_int_equal(netif_extra_take(&e, &info[0]), -XEN_EINVAL);
	}
}

/* Both halves name the same two facts by other bits. */
static void test_checksum_flags(void **state)
{
	assert_int_equal(netif_tx_flags(NET_CSUM_BLANK | NET_CSUM_VALID), 3);
	assert_int_equal(netif_rx_flags(NET_CSUM_BLANK | NET_CSUM_VALID), 3);
	assert_int_equal(netif_tx_flags(NET_CSUM_VALID), 2);
	assert_int_equal(netif_rx_flags(NET_CSUM_VALID), 1);
	assert_int_equal(netif_tx_flags(0) | netif_rx_flags(0), 0);
	assert_int_equal(netif_tx_frame_flags(2), NET_CSUM_VALID);
	assert_int_equal(netif_rx_frame_flags(1), NET_CSUM_VALID);
	assert_int_equal(netif_tx_frame_flags(1), NET_CSUM_BLANK | NET_CSUM_VALID);
	assert_int_equal(netif_rx_frame_flags(2), NET_CSUM_BLANK | NET_CSUM_VALID);
	assert_int_equal(netif_tx_frame_flags(0xfffc) | netif_rx_frame_flags(0xfffc), 0);
}

static void test_ring_sizes(void **state)
{
	assert_int_equal(ring_slots(1, NETIF_TX_SLOT_BYTES), NETIF_RING_SLOTS);
	assert_int_equal(ring_slots(1, NETIF_RX_SLOT_BYTES), NETIF_RING_SLOTS);
	assert_int_equal(ring_slots(1, NETIF_CTRL_BYTES), NETIF_CTRL_SLOTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_ways),      cmocka_unit_test(test_layout),
	    cmocka_unit_test(test_wrong),          cmocka_unit_test(test_no_end),
	    cmocka_unit_test(test_checksum_flags), cmocka_unit_test(test_ring_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
