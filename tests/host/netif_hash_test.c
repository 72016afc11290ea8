/* netif_hash_test: Toeplitz's hash over the bytes that the control ring's types name, and which queue follows from it.
 *
 * Shows the published values of the hash's verification suite (RSS), for IPv4 and IPv6 with and without ports, that the
 * greatest type that fits is taken, and that what no type fits is not hashed. Why: a guest steers its flows by it, and checks
 * the value that comes with a packet. Expected: those values, bit for bit.
 *
 * links: protocol/netif_hash.c protocol/net_hash.c protocol/net_parse.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <amphi/netif.h>

#define ALL NETIF_HASH_TYPES

/* The key of the suite; the rows below are its own. */
static const uint8_t suite_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				      0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				      0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const struct {
	uint8_t source[16], dest[16];
	uint16_t sport, dport;
	uint32_t with_ports, without;
} v4[] =
    {
	{{66, 9, 149, 187}, {161, 142, 100, 80}, 2794, 1766, 0x51ccc178, 0x323e8fc2},
	{{199, 92, 111, 2}, {65, 69, 140, 83}, 14230, 4739, 0xc626b0ea, 0xd718262a},
	{{24, 19, 198, 95}, {12, 22, 207, 184}, 12898, 38024, 0x5c2b394a, 0xd2d0a5de},
},
  v6[] = {
      {{0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7},
       {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1},
       2794,
       1766,
       0x40207d3d,
       0x2cc18cd5},
};

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* TCP over either, of 80 bytes in all. */
static void make(uint8_t *f, bool six, const uint8_t *source, const uint8_t *dest, unsigned sport,
		 unsigned dport)
{
	unsigned l4 = six ? 54 : 34;

	memset(f, 0, 80);
	put16(f + 12, six ? 0x86dd : 0x0800);
	f[14] = six ? 0x60 : 0x45;
	put16(f + (six ? 18 : 16), six ? 80 - 54 : 80 - 14);
	f[six ? 20 : 23] = 6;
	memcpy(f + (six ? 22 : 26), source, six ? 16 : 4);
	memcpy(f + (six ? 38 : 30), dest, six ? 16 : 4);
	put16(f + l4, sport);
	put16(f + l4 + 2, dport);
	f[l4 + 12] = 0x50;
}

static struct netif_hash with(uint32_t types)
{
	struct netif_hash hash = {.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
				  .types = types,
				  .key_len = sizeof(suite_key)};

	memcpy(hash.key, suite_key, sizeof(suite_key));
	return hash;
}

static bool hash_of(const uint8_t *f, uint32_t types, uint32_t *value, uint8_t *type)
{
	struct netif_hash hash = with(types);
	struct net_headers h;

	assert_int_equal(net_parse(f, 80, 80, &h), 0);
	return netif_hash(&hash, f, &h, value, type);
}

static void test_published(void **state)
{
	uint8_t f[80], type;
	uint32_t value;

	for (unsigned i = 0; i < ARRAY_SIZE(v4); i++) {
		make(f, false, v4[i].source, v4[i].dest, v4[i].sport, v4[i].dport);
		assert_true(hash_of(f, ALL, &value, &type));
		assert_int_equal(value, v4[i].with_ports);
		assert_int_equal(type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
		assert_true(hash_of(f, XEN_NETIF_CTRL_HASH_TYPE_IPV4, &value, &type));
		assert_int_equal(value, v4[i].without);
		assert_int_equal(type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4);
	}
	make(f, true, v6[0].source, v6[0].dest, v6[0].sport, v6[0].dport);
	assert_true(hash_of(f, ALL, &value, &type));
	assert_int_equal(value, v6[0].with_ports);
	assert_int_equal(type, _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
	assert_true(hash_of(f, XEN_NETIF_CTRL_HASH_TYPE_IPV6, &value, &type));
	assert_int_equal(value, v6[0].without);
}

static void test_not_hashed(void **state)
{
	uint8_t f[80], type;
	uint32_t value;

	make(f, false, v4[0].source, v4[0].dest, 1, 2);
	assert_false(hash_of(f, XEN_NETIF_CTRL_HASH_TYPE_IPV6 | XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
			     &value, &type));
	assert_false(hash_of(f, 0, &value, &type));
	/* UDP, and a fragment: by addresses, or not at all. */
	f[23] = 17;
	assert_false(hash_of(f, XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP, &value, &type));
	assert_true(hash_of(f, ALL, &value, &type));
	assert_int_equal(value, v4[0].without);
	f[23] = 6;
	f[20] = 0x20;
	assert_true(hash_of(f, ALL, &value, &type));
	assert_int_equal(type, _XEN_NETIF_CTRL_HASH_TYPE_IPV4);
	put16(f + 12, 0x0806);
	assert_false(hash_of(f, ALL, &value, &type));
}

static void test_queues(void **state)
{
	struct netif_hash hash = with(ALL);

	assert_int_equal(netif_hash_queue(&hash, 10, 4), 2);
	hash.n_map = 3;
	hash.map[1] = 3;
	assert_int_equal(netif_hash_queue(&hash, 10, 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published),
	    cmocka_unit_test(test_not_hashed),
	    cmocka_unit_test(test_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
