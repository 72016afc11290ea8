/* net_front_in_test: what a backend puts into netfront's pages, as the interface's user gets it.
 *
 * Shows packets of one slot and of many, cut in every way, with checksums, large, with extra infos and the old prefix; what is
 * dropped and under which name; a packet that comes in pieces; and users that keep frames, or are not there. Why: pages are lent,
 * taken back and lent again, and one that is lost is lost for good. Expected: every byte, headers always in memory that the
 * backend cannot change, and as many pages with it afterwards as before.
 *
 * links: tests/host/net_plain_*.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/netif_*.c
 * links: protocol/net_parse.c protocol/net_hash.c drivers-front/netfront*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net_plain_back.h"

static uint8_t data[NET_FRAME_MAX];

static struct netfront_stats stats_of_all;

static void take_stats(const struct net_device *dev, const struct netfront_stats *s, void *ctx)
{
	stats_of_all = *s;
}

static const struct netfront_stats *stats(void)
{
	netfront_for_each(take_stats, NULL);
	return &stats_of_all;
}

static void receive(uint32_t len, const struct nb_send *how)
{
	unsigned n = nb_user.n_frames;

	nb_fill(data, len, len);
	assert_true(nb_send(data, len, how));
	assert_int_equal(nb_user.n_frames, n + 1);
	assert_int_equal(nb_user.len, len);
	assert_memory_equal(nb_user.data, data, len);
}

static void test_in(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb_put_front("mtu", "65521");
	dev = nb_begin();
	receive(14, NULL);
	receive(256, NULL);
	assert_int_equal(stats()->copied_in, 2);
	receive(257, NULL);
	receive(4096, NULL);
	receive(4097, NULL);
	receive(65535, NULL);
	for (uint32_t first = 1; first < 600; first += 7) {
		receive(first + 14, &(struct nb_send){.first = first});
		receive(5000, &(struct nb_send){.first = first, .offset = 256});
		receive(14 + first, &(struct nb_send){.offset = (uint16_t)(4096 - first / 2 - 14)});
	}
	assert_int_equal(dev->stats[0].frames_in, nb_user.n_frames);
	assert_int_equal(stats()->posted, 64);
	assert_true(nb_end());
}

static void test_offloads_in(void **state)
{
	static const struct nb_send gso = {.flags = NETRXF_csum_blank | NETRXF_data_validated,
					   .extras = {.seen = 1u << XEN_NETIF_EXTRA_TYPE_GSO,
						      .gso = NET_GSO_TCPV4,
						      .gso_size = 1448}};
	struct nb_send all = gso;

	nb_reset();
	nb_begin();
	receive(100, &(struct nb_send){.flags = NETRXF_data_validated});
	assert_int_equal(nb_user.last.flags, NET_CSUM_VALID);
	receive(100, &(struct nb_send){.flags = NETRXF_csum_blank});
	assert_int_equal(nb_user.last.flags, NET_CSUM_VALID | NET_CSUM_BLANK);
	receive(60000, &gso);
	assert_int_equal(nb_user.last.gso, NET_GSO_TCPV4);
	assert_int_equal(nb_user.last.gso_size, 1448);
	/* Every extra info that a packet may have, and of them one that Linux's has for XDP. */
	all.extras.seen |= 1u << NETIF_EXTRA_XDP | 1u << XEN_NETIF_EXTRA_TYPE_HASH;
	all.extras.xdp_headroom = 256;
	all.offset = 256;
	receive(20000, &all);
	receive(100, NULL);
	assert_int_equal(nb_user.last.gso, NET_GSO_NONE);
	assert_int_equal(nb_user.last.flags, 0);
	assert_int_equal(stats()->gso_in, 2);
	assert_int_equal(stats()->posted, 64);
	assert_true(nb_end());
}

/* An old backend's way to say that a packet is large: a slot before it. */
static void test_gso_prefix(void **state)
{
	nb_reset();
	nb_begin();
	nb_fill(data, 5000, 1);
	data[12] = 0x86;
	data[13] = 0xdd;
	nb_raw(0, 0, 1400, NETRXF_gso_prefix | NETRXF_more_data, 0);
	assert_true(nb_send(data, 5000, &(struct nb_send){.flags = NETRXF_csum_blank}));
	assert_int_equal(nb_user.n_frames, 1);
	assert_memory_equal(nb_user.data, data, 5000);
	assert_int_equal(nb_user.last.gso, NET_GSO_TCPV6);
	assert_int_equal(nb_user.last.gso_size, 1400);
	assert_true(nb_end());
}

/* What a user does not want to know of: too short, too long, an error of the backend's. */
static void test_drops(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = nb_begin();
	nb_send(data, 13, NULL);
	nb_send(data, 1519, NULL);
	nb_send(data, 60000,
		&(struct nb_send){.extras = {.seen = 2, .gso = NET_GSO_TCPV4, .gso_size = 1448}});
	nb_raw(0, (uint16_t)(nb.q[0].rx.out % 256), 0, 0, NETIF_RSP_ERROR);
	nb_push(0);
	assert_int_equal(nb_user.n_frames, 0);
	assert_int_equal(dev->stats[0].drops[NET_DROP_malformed], 2);
	assert_int_equal(dev->stats[0].drops[NET_DROP_too_long], 1);
	assert_int_equal(dev->stats[0].drops[NET_DROP_device], 1);
	receive(1518, NULL); /* with a tag */
	assert_int_equal(stats()->posted, 64);
	assert_true(nb_end());
}

/* A packet whose slots come in two pushes is taken when it is whole. */
static void test_in_pieces(void **state)
{
	nb_reset();
	nb_put_front("mtu", "9000");
	nb_begin();
	nb_fill(data, 6000, 6000);
	assert_true(nb_send(data, 6000, &(struct nb_send){.first = 1000, .quiet = true}));
	nb.q[0].rx.out -= 1;
	nb_push(0);
	nb_notify(0);
	assert_int_equal(nb_user.n_frames, 0);
	nb.q[0].rx.out += 1;
	nb_push(0);
	assert_int_equal(nb_user.n_frames, 1);
	assert_memory_equal(nb_user.data, data, 6000);
	assert_true(nb_end());
}

/* A user who keeps frames: the backend is lent others, as many again, and then none until some come back. */
static void test_kept_frames(void **state)
{
	unsigned n = 0;

	nb_reset();
	nb_user.holds = true;
	nb_begin();
	nb_fill(data, 1000, 5);
	while (nb_send(data, 1000, NULL))
		n++;
	assert_true(n >= 120 && n <= 128);
	assert_int_equal(nb_user.n_frames, n);
	nb_user_release();
	mock_run();
	assert_int_equal(stats()->posted, 64);
	nb_user.holds = false;
	receive(1000, NULL);
	assert_true(nb_end());
}

/* Small ones are copied: a user may keep many, and no page is missing. */
static void test_kept_small_frames(void **state)
{
	nb_reset();
	nb_user.holds = true;
	nb_begin();
	for (unsigned i = 0; i < 300; i++)
		receive(60 + i % 100, NULL);
	assert_int_equal(stats()->posted, 64);
	assert_int_equal(stats()->grants_offered, 64);
	nb_user_release();
	assert_true(nb_end());
}

static void test_nobody_there(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb_user.away = true;
	dev = nb_begin();
	for (unsigned i = 0; i < 200; i++)
		assert_true(nb_send(data, 1000, NULL));
	assert_int_equal(dev->stats[0].frames_in, 200);
	assert_int_equal(nb_user.n_frames, 0);
	assert_true(nb_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in),
	    cmocka_unit_test(test_offloads_in),
	    cmocka_unit_test(test_gso_prefix),
	    cmocka_unit_test(test_drops),
	    cmocka_unit_test(test_in_pieces),
	    cmocka_unit_test(test_kept_frames),
	    cmocka_unit_test(test_kept_small_frames),
	    cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
