/* net_front_control_test: what netfront asks of its backend beside the data: staged pages, a hash, groups.
 *
 * Shows that with staged pages no grant is made, ended or mapped for a packet, that they come and go while traffic runs, and that
 * a backend with none of it, or one that refuses any of the questions, loses nothing else; the hash's key, types and
 * table at the backend, and the value with each packet; the list of groups and the key that makes it count, static and dynamic.
 * Expected: every byte, and nothing left.
 *
 * links: tests/host/net_plain_*.c tests/host/mock_host.c tests/host/mock_share.c tests/host/mock_store.c
 * links: tests/host/mock_disk.c tests/host/peer_recorder.c protocol/xenbus*.c protocol/grant_retire.c protocol/netif_*.c
 * links: protocol/net_parse.c protocol/net_hash.c drivers-front/netfront*.c kernel/net.c lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static struct net_device *begin(unsigned staging)
{
	static const struct netfront_limits limits = {
	    .queues = 4, .rx_pages = 64, .tx_pages = 40, .staging = true};

	netfront_limit(&limits);
	nb.control = true;
	nb.staging = staging;
	return nb_begin();
}

static void both_ways(struct net_device *dev, uint32_t len)
{
	struct nb_frame f;
	unsigned n = nb.n_seen, m = nb_user.n_frames;

	nb_frame_make(&f, len, 54, 1, 100);
	nb_frame_send(dev, &f);
	assert_int_equal(nb.n_seen, n + 1);
	assert_true(nb_same(&f, nb_last()->data, nb_last()->len));
	assert_int_equal(f.n_done, 1);
	nb_frame_free(&f);
	nb_fill(data, len, len + n);
	assert_true(nb_send(data, len, NULL));
	assert_int_equal(nb_user.n_frames, m + 1);
	assert_memory_equal(nb_user.data, data, len);
}

/* ---- staging ------------------------------------------------------------------------------------ */

static void test_staged(void **state)
{
	struct net_device *dev;
	uint64_t grants, mapped;

	nb_reset();
	dev = begin(512);
	assert_int_equal(stats()->staged, 16 + 40 + 64 + 16);
	assert_int_equal(nb.n_kept, stats()->staged);
	grants = stats()->grants_offered;
	mapped = mock_calls.mapped;
	for (unsigned i = 0; i < 300; i++)
		both_ways(dev, 60 + i * 4);
	assert_int_equal(stats()->grants_offered, grants);
	assert_int_equal(mock_calls.mapped, mapped);
	assert_int_equal(stats()->granted_out, 0);
	/* What is longer than a page is lent as ever, and comes in staged pages. */
	for (unsigned i = 0; i < 20; i++) {
		struct nb_frame f;

		nb_frame_make(&f, 9000 + i, 54, 1, 100);
		nb_frame_send(dev, &f);
		assert_true(nb_same(&f, nb_last()->data, nb_last()->len));
		nb_frame_free(&f);
	}
	assert_int_not_equal(stats()->granted_out, 0);
	assert_true(nb_end());
}

/* Pages that a user has are the backend's still: the headers alone are his. */
static void test_staged_and_kept(void **state)
{
	nb_reset();
	nb_user.holds = true;
	begin(512);
	nb_fill(data, 1000, 1);
	for (unsigned i = 0; i < 60; i++)
		assert_true(nb_send(data, 1000, NULL));
	assert_int_equal(nb_user.held[0]->n_segments, 2);
	memset(nb.kept[nb.n_kept - 1].page, 0x55, PAGE_SIZE);
	for (unsigned i = 0; i < 60; i++)
		assert_memory_equal(nb_user.held[i]->segments[0].va, data, NET_PARSE_BYTES);
	/* The connection goes while he has them. */
	nb_drop();
	nb_put_back("state", "6");
	mock_run();
	assert_memory_equal(nb_user.held[3]->segments[0].va, data, NET_PARSE_BYTES);
	nb_user_release();
	assert_true(nb_end());
}

static void test_staging_off_and_on(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = begin(512);
	assert_int_equal(netfront_staging("eth9", false), -XEN_ENODEV);
	mock_enter(1);
	assert_int_equal(netfront_staging("eth0", false), 0);
	assert_int_equal(netfront_staging("eth0", true), -XEN_EBUSY);
	mock_run();
	assert_int_equal(nb.asked[XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING], 1);
	assert_int_equal(nb.n_kept, 0);
	assert_int_equal(stats()->staged, 0);
	for (unsigned i = 0; i < 100; i++)
		both_ways(dev, 60 + i * 14);
	assert_int_not_equal(stats()->granted_out, 0);
	assert_int_equal(nb_user.last.n_segments, 1); /* the page is his alone */
	mock_enter(1);
	assert_int_equal(netfront_staging("eth0", true), 0);
	mock_run();
	assert_int_not_equal(nb.n_kept, 0);
	assert_int_equal(stats()->staged, nb.n_kept);
	for (unsigned i = 0; i < 100; i++)
		both_ways(dev, 60 + i * 14);
	assert_true(nb_end());
}

/* A page that comes back from a user after the backend was told to forget the others is one it has still. */
static void test_staging_off_and_kept(void **state)
{
	struct net_device *dev;

	nb_reset();
	dev = begin(512);
	nb_user.holds = true;
	nb_fill(data, 1000, 1);
	for (unsigned i = 0; i < 30; i++)
		assert_true(nb_send(data, 1000, NULL));
	mock_enter(1);
	assert_int_equal(netfront_staging("eth0", false), 0);
	mock_run();
	assert_int_equal(nb.n_kept, 30);
	nb_user_release();
	nb_user.holds = false;
	for (unsigned i = 0; i < 200; i++)
		both_ways(dev, 60 + i * 7);
	assert_string_equal(nb_front("state"), "4");
	assert_true(nb_end());
}

/* Too few, none, a refusal, no answer: all goes as without. */
static void test_no_staging(void **state)
{
	static const struct {
		unsigned staging, refuses;
		bool mute;
	} rows[] = {{40, 0, false},
		    {0, 0, false},
		    {512, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, false},
		    {512, 0, true}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_device *dev;

		nb_reset();
		nb.hash_fail = rows[i].refuses;
		nb.mute = rows[i].mute;
		dev = begin(rows[i].staging);
		assert_int_equal(stats()->staged, 0);
		assert_true(stats()->control);
		for (unsigned k = 0; k < 100; k++)
			both_ways(dev, 60 + k * 14);
		assert_true(nb_end());
	}
}

/* Of a backend that is not trusted nothing is read in place. */
static void test_staged_not_trusted(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb_put_front("trusted", "0");
	dev = begin(512);
	assert_int_equal(stats()->staged, 16 + 40);
	for (unsigned i = 0; i < 100; i++)
		both_ways(dev, 60 + i * 14);
	assert_true(nb_end());
}

/* ---- the hash ------------------------------------------------------------------------------------ */

static void test_hash(void **state)
{
	struct nb_send how = {
	    .extras = {.seen = 1u << XEN_NETIF_EXTRA_TYPE_HASH, .hash_algorithm = 1, .hash = 77}};

	nb_reset();
	nb.queues = 4;
	nb.hash_map = 64;
	begin(0);
	nb_fill(data, 100, 1);
	assert_true(nb_send(data, 100, &how));
	assert_int_equal(nb_user.last.hash, 0); /* not asked for */
	mock_enter(1);
	assert_int_equal(netfront_hash("eth0", true), 0);
	assert_int_equal(netfront_hash("eth0", true), -XEN_EBUSY);
	mock_run();
	assert_true(stats()->hashed);
	assert_int_equal(nb.hash.algorithm, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
	assert_int_equal(nb.hash.types, NETIF_HASH_TYPES);
	assert_int_equal(nb.hash.key_len, 40);
	assert_int_equal(nb.hash.n_map, 64);
	assert_int_equal(nb.hash.map[63], 3);
	assert_true(nb_send(data, 100, &how));
	assert_int_equal(nb_user.last.hash, 77);
	/* It is asked for again by the next connection. */
	nb_drop();
	memset(&nb.hash, 0, sizeof(nb.hash));
	nb_put_back("state", "6");
	mock_run();
	nb_offer();
	nb_connect();
	assert_int_equal(nb.hash.n_map, 64);
	assert_true(stats()->hashed);
	mock_enter(1);
	assert_int_equal(netfront_hash("eth0", false), 0);
	mock_run();
	assert_int_equal(nb.hash.algorithm, 0);
	assert_false(stats()->hashed);
	assert_true(nb_end());
}

/* Each question refused in turn; and a backend without a table. */
static void test_hash_refused(void **state)
{
	for (unsigned type = XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS;
	     type <= XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM; type++) {
		nb_reset();
		nb.queues = 2;
		nb.hash_map = 1000;
		nb.hash_fail = type;
		begin(0);
		mock_enter(1);
		assert_int_equal(netfront_hash("eth0", true), 0);
		mock_run();
		assert_false(stats()->hashed);
		assert_int_equal(nb.asked[type], 1);
		assert_true(nb_end());
	}
	nb_reset();
	begin(0);
	mock_enter(1);
	assert_int_equal(netfront_hash("eth0", true), 0);
	mock_run();
	assert_true(stats()->hashed);
	assert_int_equal(nb.asked[XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING], 0);
	assert_true(nb_end());
	nb_reset();
	nb_begin();
	assert_int_equal(netfront_hash("eth0", true), -XEN_EOPNOTSUPP);
	assert_int_equal(netfront_staging("eth0", true), -XEN_EOPNOTSUPP);
	assert_true(nb_end());
}

/* ---- groups --------------------------------------------------------------------------------------- */

static void group(struct net_device *dev, unsigned n, bool on)
{
	uint8_t mac[NET_MAC_BYTES] = {0x33, 0x33, 0, 0, (uint8_t)(n >> 8), (uint8_t)n};

	mock_enter(1);
	dev->ops->multicast(dev, mac, on);
	mock_run();
}

static void test_groups(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.multicast = nb.dynamic = true;
	dev = nb_begin();
	assert_string_equal(nb_front("request-multicast-control"), "0");
	group(dev, 1, true);
	assert_int_equal(nb.n_groups, 1);
	assert_string_equal(nb_front("request-multicast-control"), "1");
	group(dev, 1, true);
	group(dev, 2, true);
	assert_int_equal(nb.n_groups, 2);
	group(dev, 1, false);
	group(dev, 9, false);
	assert_int_equal(nb.n_groups, 1);
	mock_enter(1);
	dev->ops->promiscuous(dev, true);
	mock_run();
	assert_string_equal(nb_front("request-multicast-control"), "0");
	dev->ops->promiscuous(dev, false);
	mock_run();
	assert_string_equal(nb_front("request-multicast-control"), "1");
	/* The next backend learns all of them. */
	nb_drop();
	nb_put_back("state", "6");
	mock_run();
	group(dev, 3, true);
	group(dev, 4, true);
	group(dev, 4, false);
	nb_offer();
	nb_connect();
	assert_int_equal(nb.n_groups, 2);
	assert_true(stats()->multicast_filter);
	group(dev, 2, false);
	group(dev, 3, false);
	assert_int_equal(nb.n_groups, 0);
	assert_string_equal(nb_front("request-multicast-control"), "0");
	assert_true(nb_end());
}

/* A backend that looks once: the filter is as it was when it connected. */
static void test_static_groups(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.multicast = true;
	dev = nb_begin();
	group(dev, 1, true);
	assert_int_equal(nb.n_groups, 1);
	assert_string_equal(nb_front("request-multicast-control"), "0");
	nb_drop();
	nb_put_back("state", "6");
	mock_run();
	nb_offer();
	assert_string_equal(nb_front("request-multicast-control"), "1");
	nb_connect();
	assert_int_equal(nb.n_groups, 1);
	assert_true(nb_end());
}

static void test_many_groups(void **state)
{
	struct net_device *dev;

	nb_reset();
	nb.multicast = nb.dynamic = true;
	nb.hold = true;
	dev = nb_begin();
	for (unsigned i = 0; i < NETIF_MULTICAST_MAX; i++)
		group(dev, i, true);
	assert_int_equal(nb.n_groups, NETIF_MULTICAST_MAX);
	assert_string_equal(nb_front("request-multicast-control"), "1");
	group(dev, 1000, true);
	assert_int_equal(nb.n_groups, NETIF_MULTICAST_MAX);
	assert_string_equal(nb_front("request-multicast-control"), "0");
	assert_true(nb_end());
}

/* There is no slot for a word: it goes when there is one. */
static void test_groups_wait(void **state)
{
	static struct nb_frame f[256];
	struct net_device *dev;

	nb_reset();
	nb.multicast = nb.dynamic = nb.hold = true;
	dev = nb_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++) {
		nb_frame_make(&f[i], 60, 0, 1, 0);
		mock_enter(1);
		dev->ops->send(dev, &f[i].frame);
	}
	group(dev, 1, true);
	group(dev, 2, true);
	assert_int_equal(nb.n_groups, 0);
	nb.hold = false;
	mock_enter(1);
	dev->ops->kick(dev);
	mock_run();
	nb_answer(nb.n_unanswered);
	mock_run();
	group(dev, 3, true);
	assert_int_equal(nb.n_groups, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		nb_frame_free(&f[i]);
	assert_true(nb_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_staged),
	    cmocka_unit_test(test_staged_and_kept),
	    cmocka_unit_test(test_staging_off_and_on),
	    cmocka_unit_test(test_staging_off_and_kept),
	    cmocka_unit_test(test_no_staging),
	    cmocka_unit_test(test_staged_not_trusted),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_hash_refused),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_static_groups),
	    cmocka_unit_test(test_many_groups),
	    cmocka_unit_test(test_groups_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
