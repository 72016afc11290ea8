/* blk_hostile_front_test: blkback against a guest that means ill.
 *
 * Shows that each wrong request is answered with an error and touches neither the disk nor another
 * page; that a wrong ring costs that guest its connection and no one else's; that no byte of a
 * request is fetched twice. Why: this is where a guest would break into the service domain.
 * Expected: answers as the stock backend gives them, the disk unchanged, nothing left at the end.
 *
 * links: tests/host/blk_world.c tests/host/blk_rogue.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c
 * links: protocol/grant_retire.c protocol/blkif_names.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk_rogue.h"
#include "peer_recorder.h"

static struct rogue rogue;

static struct mock_disk *begin(const char *mode, bool persistent)
{
	struct mock_disk *ram = world_begin(WORLD_SECTORS);

	rogue_front_begin(&rogue, mode, persistent);
	assert_string_equal(world_back(1, XVDA, "state"), "4");
	return ram;
}

static void end(void)
{
	rogue_front_end(&rogue);
	assert_true(world_end());
}

/* ---- wrong requests ---- */

static void wild_op(struct blkif_request *req)
{
	req->operation = 77;
}
/* Made of the direct one, whose second byte and handle lie where an indirect one has its kind and count. */
static void indirect(struct blkif_request *req, uint8_t op, uint16_t n_segments, uint32_t list)
{
	struct blkif_request_indirect *ind = (struct blkif_request_indirect *)req;

	ind->operation = BLKIF_OP_INDIRECT;
	ind->indirect_op = op;
	ind->nr_segments = n_segments;
	ind->indirect_grefs[0] = list;
}
static void indirect_flush(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_FLUSH_DISKCACHE, 1, rogue.grants[4].v);
}
static void indirect_indirect(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_INDIRECT, 1, rogue.grants[4].v);
}
static void indirect_nothing(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_WRITE, 0, rogue.grants[4].v);
}
static void indirect_too_many(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_WRITE, BLKIF_INDIRECT_SEGMENTS + 1, rogue.grants[4].v);
}
static void indirect_all_of_them(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_WRITE, 0xffff, rogue.grants[4].v);
}
static void indirect_no_list(struct blkif_request *req)
{
	indirect(req, BLKIF_OP_WRITE, 20, 999);
}
/* A list of zeroes: references that were never given. */
static void indirect_zero_list(struct blkif_request *req)
{
	memset(rogue.data[4], 0, 4096);
	indirect(req, BLKIF_OP_WRITE, 20, rogue.grants[4].v);
}
static void indirect_wild_list(struct blkif_request *req)
{
	memset(rogue.data[4], 0xff, 4096);
	indirect(req, BLKIF_OP_WRITE, 256, rogue.grants[4].v);
}
static void discard(struct blkif_request *req)
{
	req->operation = BLKIF_OP_DISCARD;
}
static void no_segments(struct blkif_request *req)
{
	req->nr_segments = 0;
}
static void too_many(struct blkif_request *req)
{
	req->nr_segments = 12;
}
static void all_of_them(struct blkif_request *req)
{
	req->nr_segments = 255;
}
static void beyond_page(struct blkif_request *req)
{
	req->seg[0].last_sect = 8;
}
static void far_beyond(struct blkif_request *req)
{
	req->seg[0].last_sect = 255;
}
static void backwards(struct blkif_request *req)
{
	req->seg[0].first_sect = 1;
}
static void behind_end(struct blkif_request *req)
{
	req->sector_number = WORLD_SECTORS;
}
static void wraps(struct blkif_request *req)
{
	req->sector_number = ~0ull;
}
static void no_such_ref(struct blkif_request *req)
{
	req->seg[0].gref = 999;
}
static void ring_as_data_not_granted(struct blkif_request *req)
{
	req->seg[0].gref = 0xffffffff;
}
static void flush_with_data(struct blkif_request *req)
{
	req->operation = BLKIF_OP_FLUSH_DISKCACHE;
}
static void half_over_end(struct blkif_request *req)
{
	req->sector_number = WORLD_SECTORS - 1;
	req->seg[0].last_sect = 1;
}
static void second_is_bad(struct blkif_request *req)
{
	req->nr_segments = 2;
	req->seg[1].gref = 998;
}

static const struct {
	void (*spoil)(struct blkif_request *req);
	int16_t answer;
} wrongs[] = {
    {wild_op, BLKIF_RSP_EOPNOTSUPP},
    {indirect_flush, BLKIF_RSP_EOPNOTSUPP},
    {indirect_indirect, BLKIF_RSP_EOPNOTSUPP},
    {indirect_nothing, BLKIF_RSP_ERROR},
    {indirect_too_many, BLKIF_RSP_ERROR},
    {indirect_all_of_them, BLKIF_RSP_ERROR},
    {indirect_no_list, BLKIF_RSP_ERROR},
    {indirect_zero_list, BLKIF_RSP_ERROR},
    {indirect_wild_list, BLKIF_RSP_ERROR},
    {discard, BLKIF_RSP_EOPNOTSUPP},
    {no_segments, BLKIF_RSP_ERROR},
    {too_many, BLKIF_RSP_ERROR},
    {all_of_them, BLKIF_RSP_ERROR},
    {beyond_page, BLKIF_RSP_ERROR},
    {far_beyond, BLKIF_RSP_ERROR},
    {backwards, BLKIF_RSP_ERROR},
    {behind_end, BLKIF_RSP_ERROR},
    {wraps, BLKIF_RSP_ERROR},
    {no_such_ref, BLKIF_RSP_ERROR},
    {flush_with_data, BLKIF_RSP_ERROR},
    {half_over_end, BLKIF_RSP_ERROR},
    {second_is_bad, BLKIF_RSP_ERROR},
    {ring_as_data_not_granted, BLKIF_RSP_ERROR},
};

/* An indirect request is answered as what it is. */
static uint8_t answered_op(const struct blkif_request *req)
{
	const struct blkif_request_indirect *ind = (const void *)req;

	return req->operation == BLKIF_OP_INDIRECT ? ind->indirect_op : req->operation;
}

/* Each of them between good ones, with and without persistence. */
static void test_wrong_requests(void **state)
{
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(wrongs); i++) {
		struct mock_disk *ram = begin("w", i & 1);
		struct blkif_request req = rogue_good(&rogue, BLKIF_OP_WRITE, 2, 0), good = req;
		struct blkif_response rsp;

		memset(rogue.data[2], 0xab, 4096);
		good.sector_number = 100;
		wrongs[i / 2].spoil(&req);
		rogue_request(&rogue, 0, &req);
		rogue_request(&rogue, 1, &good);
		rogue_publish(&rogue, 2);
		assert_int_equal(rogue.page->rsp_prod, 2);
		for (unsigned n = 0; n < 2; n++) {
			rsp = rogue_response(&rogue, n);
			assert_int_equal(rsp.id, req.id);
			if (rsp.status != BLKIF_RSP_OKAY)
				break;
		}
		assert_int_equal(rsp.status, wrongs[i / 2].answer);
		assert_int_equal(rsp.operation, answered_op(&req));
		assert_int_equal(ram->data[0], 0);
		assert_int_equal(ram->data[100 * 512], 0xab);
		assert_int_equal(world_back_stats().refused, 1);
		end();
	}
}

static void test_write_to_readonly(void **state)
{
	struct mock_disk *ram = begin("r", true);
	struct blkif_request req = rogue_good(&rogue, BLKIF_OP_WRITE, 0, 0);

	rogue_request(&rogue, 0, &req);
	rogue_publish(&rogue, 1);
	assert_int_equal(rogue_response(&rogue, 0).status, BLKIF_RSP_ERROR);
	assert_int_equal(ram->submits, 0);
	end();
}

/* A page granted read-only cannot be read into; without persistence it can be written from. */
static void test_readonly_page(void **state)
{
	struct blkif_request req;

	begin("w", false);
	req = rogue_good(&rogue, BLKIF_OP_READ, 1, 0);
	rogue_request(&rogue, 0, &req);
	rogue_publish(&rogue, 1);
	assert_int_equal(rogue_response(&rogue, 0).status, BLKIF_RSP_ERROR);
	req.operation = BLKIF_OP_WRITE;
	rogue_request(&rogue, 1, &req);
	rogue_publish(&rogue, 2);
	assert_int_equal(rogue_response(&rogue, 1).status, BLKIF_RSP_OKAY);
	end();
}

/* A disk of 4096-byte sectors takes nothing smaller. */
static void test_large_sectors(void **state)
{
	struct mock_disk *ram = world_begin(WORLD_SECTORS);
	struct blkif_request req;

	ram->dev.sector_size = 4096;
	rogue_front_begin(&rogue, "w", false);
	assert_string_equal(world_back(1, XVDA, "sector-size"), "4096");
	req = rogue_good(&rogue, BLKIF_OP_WRITE, 0, 8);
	rogue_request(&rogue, 0, &req);
	req.seg[0].last_sect = 7;
	rogue_request(&rogue, 1, &req);
	req.sector_number = 9;
	rogue_request(&rogue, 2, &req);
	rogue_publish(&rogue, 3);
	assert_int_equal(rogue_response(&rogue, 0).status, BLKIF_RSP_ERROR);
	assert_int_equal(rogue_response(&rogue, 1).status, BLKIF_RSP_ERROR);
	assert_int_equal(rogue_response(&rogue, 2).status, BLKIF_RSP_OKAY); /* answered last */
	assert_int_equal(ram->submits, 1);
	end();
}

/* ---- wrong rings ---- */

static void test_ring_overrun(void **state)
{
	static const uint32_t prods[] = {33, 1000, 0x80000000u, 0xffffffffu};

	for (unsigned i = 0; i < ARRAY_SIZE(prods); i++) {
		begin("w", true);
		rogue_publish(&rogue, prods[i]);
		assert_string_equal(world_back(1, XVDA, "state"), "6");
		assert_true(mock_logged("domain 1: more requests than its ring holds"));
		assert_int_equal(mock_left(0).maps + mock_left(0).ports, 0);
		end();
	}
}

/* Requests beyond those that were answered: in the disk's hands, all slots taken, one more. */
static void test_overrun_in_flight(void **state)
{
	struct mock_disk *ram = begin("w", true);
	struct blkif_request req = rogue_good(&rogue, BLKIF_OP_READ, 0, 0);

	ram->hold = true;
	for (unsigned i = 0; i < 32; i++)
		rogue_request(&rogue, i, &req);
	rogue_publish(&rogue, 32);
	assert_int_equal(world_back_stats().in_flight, 32);
	rogue_publish(&rogue, 33);
	assert_true(mock_logged("more requests than its ring holds"));
	assert_true(mock_left(0).maps > 0); /* the disk still writes there */
	mock_disk_release(ram, 32);
	mock_run();
	assert_int_equal(mock_left(0).maps, 0);
	assert_string_equal(world_back(1, XVDA, "state"), "6");
	end();
}

/* The other guest's disk does not notice. */
static void test_neighbour_unharmed(void **state)
{
	uint8_t data[512];

	begin("w", true);
	world_start_front(2);
	world_attach(2, XVDB, "ram0", "w");
	rogue_publish(&rogue, 500);
	assert_string_equal(world_back(1, XVDA, "state"), "6");
	assert_string_equal(world_back(2, XVDB, "state"), "4");
	assert_int_equal(world_io(2, mock_find_registered(2, "xvdb"), BLOCK_READ, 0, data, 512), 0);
	end();
}

/* After a bad end the guest may begin anew. */
static void test_second_chance(void **state)
{
	begin("w", true);
	rogue_publish(&rogue, 500);
	assert_string_equal(world_back(1, XVDA, "state"), "6");
	world_put_front(1, XVDA, "state", "1");
	mock_run();
	assert_string_equal(world_back(1, XVDA, "state"), "2");
	end();
}

/* Events without a request behind them are told to the kernel, which does not listen to them for ever
 * (host_event_test); one with a request is none of them. */
static void test_storm_of_events(void **state)
{
	struct blkif_request req;
	uint64_t before;

	begin("w", false);
	before = mock_calls.spurious;
	for (unsigned i = 0; i < 5; i++)
		rogue_publish(&rogue, 0);
	assert_int_equal(mock_calls.spurious, before + 5);
	req = rogue_good(&rogue, BLKIF_OP_READ, 0, 0);
	rogue_request(&rogue, 0, &req);
	rogue_publish(&rogue, 1);
	assert_int_equal(mock_calls.spurious, before + 5);
	end();
}

/* ---- fetched once ---- */

static void test_nothing_is_fetched_twice(void **state)
{
	for (int flip = 0; flip < 2; flip++) {
		uint8_t *ring;

		begin("w", true);
		mock_enter(0);
		ring = mock_last_ring();
		peer_recorder_begin(ring + 64, 32 * 112, flip);
		for (unsigned i = 0; i < 32; i++) {
			struct blkif_request req =
			    rogue_good(&rogue, i & 1 ? BLKIF_OP_WRITE : BLKIF_OP_READ, 0, i);

			req.nr_segments = (uint8_t)(i % 14); /* wrong ones too */
			for (unsigned s = 1; s < 11; s++)
				req.seg[s].gref = rogue.grants[2 * (s % 8)].v;
			rogue_request(&rogue, i, &req);
		}
		rogue_publish(&rogue, 32);
		assert_int_equal(rogue.page->rsp_prod, 32);
		assert_true(peer_recorder_fetched() >= 32 * 24);
		assert_int_equal(peer_recorder_doubles(), 0);
		peer_recorder_end();
		end();
	}
}

/* ---- wrong keys ---- */

static void test_wrong_keys(void **state)
{
	static const struct {
		const char *key, *value, *said;
	} wrong[] = {
	    {"ring-ref", "-1", "ring-ref: not a number"},
	    {"ring-ref", "4294967296", "ring-ref: not a number"},
	    {"ring-ref", "", "ring-ref: not a number"},
	    {"ring-ref", "77", "no connection with domain 1"},
	    {"event-channel", "0", "event-channel: not a number"},
	    {"event-channel", "63", "no connection with domain 1"},
	    {"event-channel", "1 ", "event-channel: not a number"},
	    {"event-channel", "999999999999999999999999999999", "event-channel: not a number"},
	    {"protocol", "arm-abi", "wants a ring that is neither"},
	    {"protocol", "", "wants a ring that is neither"},
	    {"protocol", "x86_64-abi-of-another-world-altogether", "wants a ring that is neither"},
	    {"protocol", "\n\x1b[2J", "wants a ring that is neither"},
	    {"ring-page-order", "5", "ring-page-order: not a number"},
	    {"ring-page-order", "1", "ring-ref0: not a number"},
	    {"num-ring-pages", "3", "no connection with domain 1"},
	    {"num-ring-pages", "32", "num-ring-pages: not a number"},
	    {"multi-queue-num-queues", "0", "multi-queue-num-queues: not a number"},
	    {"multi-queue-num-queues", "9", "multi-queue-num-queues: not a number"},
	    {"multi-queue-num-queues", "2", "queue-0/event-channel: missing"},
	    {"feature-large-sector-size", "2", "feature-large-sector-size: not a number"},
	    {"feature-persistent", "yes", "feature-persistent: not a number"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin("w", true);
		world_put_front(1, XVDA, "state", "6");
		mock_run();
		world_put_front(1, XVDA, "state", "1");
		mock_run();
		assert_string_equal(world_back(1, XVDA, "state"), "2");
		world_put_front(1, XVDA, wrong[i].key, wrong[i].value);
		world_put_front(1, XVDA, "state", "3");
		mock_run();
		assert_string_equal(world_back(1, XVDA, "state"), "6");
		assert_true(mock_logged(wrong[i].said));
		assert_int_equal(mock_left(0).maps + mock_left(0).ports, 0);
		end();
	}
}

/* ---- the pool ---- */

/* More references than the pool keeps: the oldest are let go, every request is served. */
static void test_pool_is_bounded(void **state)
{
	struct mock_disk *ram;
	static gref_t refs[600];
	struct blkif_request req;
	uint8_t *page;

	blkback_persistent_limits(384, 8192);
	ram = begin("w", true);
	req = rogue_good(&rogue, BLKIF_OP_WRITE, 0, 0);

	mock_enter(1);
	page = host_pages_alloc(1);
	for (unsigned i = 0; i < 600; i++) {
		mock_enter(1);
		assert_int_equal(host_grant_offer(0, page, false, &refs[i]), 0);
		req.sector_number = i;
		req.seg[0].gref = refs[i].v;
		page[0] = (uint8_t)i;
		rogue_request(&rogue, i, &req);
		rogue_publish(&rogue, i + 1);
		assert_int_equal(rogue_response(&rogue, i).status, BLKIF_RSP_OKAY);
		assert_int_equal(ram->data[i * 512], (uint8_t)i);
	}
	assert_true(world_back_stats().persistent_held <= 384);
	assert_true(world_back_stats().persistent_held > 300);
	assert_int_equal(world_back_stats().grants_mapped, 600);
	assert_int_equal(world_back_stats().persistent_evicted,
			 600 - world_back_stats().persistent_held);
	req.seg[0].gref = refs[599].v; /* the newest is among them */
	rogue_request(&rogue, 600, &req);
	rogue_publish(&rogue, 601);
	assert_int_equal(world_back_stats().persistent_hits, 1);
	world_detach_begin(1, XVDA);
	mock_advance(6000000000ull);
	mock_enter(1);
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(host_grant_end(refs[i]), 0);
	host_pages_free(page, 1);
	end();
	blkback_persistent_limits(1056, 12288);
}

/* One page, one reference, many requests at once: mapped once, or for the first batch only. */
static void test_same_page_in_flight(void **state)
{
	for (uint32_t first = 1; first <= 32; first += 31) {
		struct mock_disk *ram = begin("w", true);
		struct blkif_request req = rogue_good(&rogue, BLKIF_OP_READ, 0, 0);

		ram->hold = true;
		for (unsigned i = 0; i < 32; i++)
			rogue_request(&rogue, i, &req);
		rogue_publish(&rogue, first);
		rogue_publish(&rogue, 32);
		assert_int_equal(world_back_stats().grants_mapped, first);
		assert_int_equal(world_back_stats().persistent_hits, 32 - first);
		assert_int_equal(world_back_stats().persistent_held, 1);
		mock_disk_release(ram, 32);
		mock_run();
		assert_int_equal(rogue.page->rsp_prod, 32);
		assert_int_equal(mock_left(0).maps, 2); /* that page and the ring */
		end();
	}
}

/* A reference that was refused once may be good the next time. */
static void test_refused_then_granted(void **state)
{
	struct blkif_request req;
	gref_t ref;

	begin("w", true);
	req = rogue_good(&rogue, BLKIF_OP_WRITE, 0, 0);
	mock_enter(1);
	host_grant_offer(0, rogue.data[0], false, &ref);
	assert_int_equal(host_grant_end(ref), 0);
	req.seg[0].gref = ref.v;
	rogue_request(&rogue, 0, &req);
	rogue_publish(&rogue, 1);
	assert_int_equal(rogue_response(&rogue, 0).status, BLKIF_RSP_ERROR);
	assert_int_equal(world_back_stats().persistent_held, 0);
	mock_grant_again(1, ref, 0, rogue.data[0]);
	rogue_request(&rogue, 1, &req);
	rogue_publish(&rogue, 2);
	assert_int_equal(rogue_response(&rogue, 1).status, BLKIF_RSP_OKAY);
	assert_int_equal(world_back_stats().persistent_held, 1);
	world_detach_begin(1, XVDA);
	mock_advance(6000000000ull);
	mock_enter(1);
	assert_int_equal(host_grant_end(ref), 0);
	end();
}

/* A page that the disk works on is not let go of to make room. */
static void test_busy_page_stays(void **state)
{
	struct mock_disk *ram = begin("w", true);
	struct blkif_request req = rogue_good(&rogue, BLKIF_OP_READ, 0, 7);
	static gref_t refs[900];
	uint8_t *page;

	mock_enter(1);
	page = host_pages_alloc(1);
	memset(ram->data + 7 * 512, 0x77, 512);
	ram->hold = true;
	rogue_request(&rogue, 0, &req);
	rogue_publish(&rogue, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(refs); i++) { /* 31 at a time behind the first */
		mock_enter(1);
		assert_int_equal(host_grant_offer(0, page, false, &refs[i]), 0);
		req.seg[0].gref = refs[i].v;
		rogue_request(&rogue, 1 + i, &req);
		rogue_publish(&rogue, 2 + i);
		mock_disk_release_last(ram);
		mock_run();
	}
	mock_disk_release(ram, 1);
	mock_run();
	assert_int_equal(rogue.data[0][0], 0x77);
	world_detach_begin(1, XVDA);
	mock_advance(6000000000ull);
	mock_enter(1);
	for (unsigned i = 0; i < ARRAY_SIZE(refs); i++)
		assert_int_equal(host_grant_end(refs[i]), 0);
	host_pages_free(page, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrong_requests),
	    cmocka_unit_test(test_write_to_readonly),
	    cmocka_unit_test(test_readonly_page),
	    cmocka_unit_test(test_large_sectors),
	    cmocka_unit_test(test_ring_overrun),
	    cmocka_unit_test(test_overrun_in_flight),
	    cmocka_unit_test(test_neighbour_unharmed),
	    cmocka_unit_test(test_second_chance),
	    cmocka_unit_test(test_storm_of_events),
	    cmocka_unit_test(test_nothing_is_fetched_twice),
	    cmocka_unit_test(test_wrong_keys),
	    cmocka_unit_test(test_pool_is_bounded),
	    cmocka_unit_test(test_same_page_in_flight),
	    cmocka_unit_test(test_refused_then_granted),
	    cmocka_unit_test(test_busy_page_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
