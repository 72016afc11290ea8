/* blk_back_nodes_test: what blkback says of a disk, and what becomes of it when something changes.
 *
 * Shows the nodes; discards; guests that count in sectors of 4096; a disk that grows, shrinks, is pulled out,
 * a medium that is changed; and that nothing of a guest's is fetched twice. Why: frontends and toolstacks act on each of these nodes. Expected: the values of xen/io/blkif.h,
 * a guest that is told, nothing left. Rings and barriers: blk_back_test.
 *
 * links: tests/host/blk_world.c tests/host/blk_guest.c tests/host/mock_host.c
 * links: tests/host/mock_share.c tests/host/mock_store.c tests/host/mock_disk.c
 * links: tests/host/peer_recorder.c
 * links: protocol/xenbus.c protocol/xenbus_class.c protocol/xenbus_keys.c
 * links: protocol/grant_retire.c protocol/blkif_names.c
 * links: drivers-front/blkfront*.c drivers-back/blkback*.c
 * links: lib/printf.c lib/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blk_back_fixture.h"
#include "peer_recorder.h"

/* ---- discard ---- */

static void begin_discard(bool secure)
{
	begin();
	ram->dev.has_discard = true;
	ram->dev.discard_secure = secure;
	ram->dev.discard_granularity = 4096;
	ram->dev.discard_alignment = 512;
}

static int discard(uint64_t sector, uint64_t n, uint8_t flags)
{
	return ask(0,
		   (struct guest_request){
		       .op = BLKIF_OP_DISCARD, .sector = sector, .n_sectors = n, .flags = flags});
}

static void test_discard(void **state)
{
	static const uint8_t zero[8 * 512];

	for (int small = 0; small < 2; small++) {
		begin_discard(true);
		attach(&(struct guest_plan){.protocol = small ? "x86_32-abi" : "x86_64-abi"});
		assert_string_equal(world_back(1, XVDA, "feature-discard"), "1");
		assert_string_equal(world_back(1, XVDA, "discard-granularity"), "4096");
		assert_string_equal(world_back(1, XVDA, "discard-alignment"), "512");
		assert_string_equal(world_back(1, XVDA, "discard-secure"), "1");
		assert_int_equal(discard(16, 8, 0), BLKIF_RSP_OKAY);
		assert_memory_equal(ram->data + 16 * 512, zero, sizeof(zero));
		assert_memory_not_equal(ram->data + 24 * 512, zero, sizeof(zero));
		assert_int_equal(asked(0)->flags, 0);
		assert_int_equal(discard(0, WORLD_SECTORS, BLKIF_DISCARD_SECURE), BLKIF_RSP_OKAY);
		assert_int_equal(asked(1)->flags, BLOCK_SECURE);
		assert_int_equal(discard(0, 0, 0), BLKIF_RSP_ERROR);
		assert_int_equal(discard(1, WORLD_SECTORS, 0), BLKIF_RSP_ERROR);
		assert_int_equal(discard(~0ull, 2, 0), BLKIF_RSP_ERROR);
		assert_int_equal(discard(2, ~0ull, 0), BLKIF_RSP_ERROR);
		assert_int_equal(ram->discards, 2);
		assert_int_equal(world_back_stats().discards, 2);
		assert_int_equal(world_back_stats().secure, 1);
		end();
	}
}

/* Who asks for the secure kind where there is none is told so and not deceived. */
static void test_no_secure_discard(void **state)
{
	begin_discard(false);
	attach(&(struct guest_plan){0});
	assert_string_equal(world_back(1, XVDA, "discard-secure"), "0");
	assert_int_equal(discard(16, 8, BLKIF_DISCARD_SECURE), BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(discard(16, 8, 0x80), BLKIF_RSP_OKAY); /* a flag of another day */
	end();
}

static void test_discard_switched_off(void **state)
{
	begin_discard(false);
	world_put_back(1, XVDA, "discard-enable", "0");
	attach(&(struct guest_plan){0});
	assert_string_equal(world_back(1, XVDA, "feature-discard"), "0");
	assert_string_equal(world_back(1, XVDA, "discard-granularity"), "");
	assert_int_equal(discard(16, 8, 0), BLKIF_RSP_EOPNOTSUPP);
	assert_int_equal(ram->discards, 0);
	end();
}

/* ---- features that the toolstack keeps from a guest ---- */

/* A guest without flushes flushes by barriers, as they did before there were any. */
static void test_withheld(void **state)
{
	struct guest_request r = rw(BLKIF_OP_WRITE_BARRIER, 8, 0, 1);

	begin();
	world_put_back(1, XVDA, "flush-cache-enable", "0");
	world_put_back(1, XVDA, "persistent-enable", "0");
	attach(&(struct guest_plan){.persistent = true}); /* though not asked to */
	assert_string_equal(world_back(1, XVDA, "feature-flush-cache"), "0");
	assert_string_equal(world_back(1, XVDA, "feature-barrier"), "1");
	assert_string_equal(world_back(1, XVDA, "feature-persistent"), "0");
	assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_OKAY);
	assert_int_equal(world_back_stats().barriers, 1);
	assert_int_equal(world_back_stats().persistent_held, 0);
	end();
}

/* What we said of one disk is not the toolstack's word about the next. */
static void test_said_is_not_withheld(void **state)
{
	begin();
	ram->dev.has_flush = false;
	attach(&(struct guest_plan){0});
	assert_string_equal(world_back(1, XVDA, "feature-flush-cache"), "0");
	guest_disconnect(&guest);
	ram->dev.has_flush = true;
	world_put_front(1, XVDA, "state", "1");
	mock_run();
	guest_connect(&guest, &(struct guest_plan){0});
	assert_string_equal(world_back(1, XVDA, "feature-flush-cache"), "1");
	end();
}

/* ---- sectors of 4096 ---- */

/* A guest that says feature-large-sector-size counts in them; one that does not counts in 512. */
static void test_units(void **state)
{
	for (int large = 0; large < 2; large++) {
		struct guest_request r = rw(BLKIF_OP_WRITE, large ? 3 : 24, 0, 20);

		begin();
		ram->dev.sector_size = 4096;
		ram->dev.has_discard = true;
		attach(&(struct guest_plan){.large_sectors = large});
		assert_string_equal(world_back(1, XVDA, "sector-size"), "4096");
		assert_string_equal(world_back(1, XVDA, "sectors"), large ? "1024" : "8192");
		world_fill(page(0), 20 * 4096, 9);
		assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_OKAY);
		assert_memory_equal(ram->data + 24 * 512, page(0), 20 * 4096);
		assert_int_equal(discard(large ? 1 : 8, large ? 2 : 16, 0), BLKIF_RSP_OKAY);
		assert_int_equal(asked(1)->sector, 8);
		assert_int_equal(asked(1)->n_sectors, 16);
		r.last = 1; /* two sectors of a page, or a piece of one */
		assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_ERROR);
		r.last = 0x3f;
		assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_ERROR);
		r.last = 7; /* eight of 512 are a page, eight of 4096 are not */
		assert_int_equal(guest_ask(&guest, 0, &r),
				 large ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
		r = rw(BLKIF_OP_READ, 1ull << 61, 0, 1); /* nothing, if the units overflowed */
		assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_ERROR);
		end();
	}
}

/* ---- nodes and changes ---- */

/* All that is there before the frontend says a word. */
static void test_nodes(void **state)
{
	static const char *const nodes[][2] = {
	    {"max-ring-page-order", "4"},
	    {"max-ring-pages", "16"},
	    {"multi-queue-max-queues", "8"},
	    {"feature-persistent", "1"},
	    {"feature-max-indirect-segments", "256"},
	    {"feature-flush-cache", "1"},
	    {"feature-barrier", "1"},
	    {"feature-discard", "0"},
	    {"sectors", "8192"},
	    {"sector-size", "512"},
	    {"physical-sector-size", "4096"},
	    {"info", "0"},
	};

	begin();
	ram->dev.physical_sector_size = 4096;
	world_attach(1, XVDA, "ram0", "w");
	assert_string_equal(world_back(1, XVDA, "state"), "2");
	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
		assert_string_equal(world_back(1, XVDA, nodes[i][0]), nodes[i][1]);
	guest_connect(&guest, &(struct guest_plan){0});
	end();
}

static void test_info(void **state)
{
	static const struct {
		const char *type, *removable, *mode;
		bool dev_removable, dev_readonly;
		const char *info;
	} rows[] = {
	    {"disk", "0", "w", false, false, "0"},  {"disk", "0", "r", false, false, "4"},
	    {"cdrom", "1", "r", false, false, "7"}, {"disk", "0", "w", true, true, "6"},
	    {"disk", "1", "w!", false, false, "2"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		begin();
		ram->dev.removable = rows[i].dev_removable;
		ram->dev.readonly = rows[i].dev_readonly;
		world_put_back(1, XVDA, "state", "6"); /* not yet: the keys below come first */
		world_attach(1, XVDA, "ram0", rows[i].mode);
		world_put_back(1, XVDA, "device-type", rows[i].type);
		world_put_back(1, XVDA, "removable", rows[i].removable);
		guest_connect(&guest, &(struct guest_plan){0});
		guest_disconnect(&guest);
		world_put_front(1, XVDA, "state", "1");
		mock_run();
		assert_string_equal(world_back(1, XVDA, "state"), "2");
		assert_string_equal(world_back(1, XVDA, "info"), rows[i].info);
		guest_connect(&guest, &(struct guest_plan){0});
		end();
	}
}

/* A guest that closes and comes back with other rings, many times. */
static void test_reconnects(void **state)
{
	begin();
	world_attach(1, XVDA, "ram0", "w");
	for (unsigned i = 0; i < 12; i++) {
		guest_connect(&guest, &(struct guest_plan){.n_queues = 1 + i % 8,
							   .order = i % 5,
							   .persistent = i & 1});
		world_put_front(1, XVDA, "num-ring-pages", "");
		mock_store_remove("/local/domain/1/device/vbd/51712/num-ring-pages");
		assert_string_equal(world_back(1, XVDA, "state"), "4");
		assert_int_equal(ask(i % guest.n_queues, rw(BLKIF_OP_READ, i, 0, 30)),
				 BLKIF_RSP_OKAY);
		guest_disconnect(&guest);
		assert_string_equal(world_back(1, XVDA, "state"), "6");
		assert_int_equal(mock_left(0).maps + mock_left(0).ports, 0);
		mock_store_remove("/local/domain/1/device/vbd/51712/ring-page-order");
		mock_store_remove("/local/domain/1/device/vbd/51712/multi-queue-num-queues");
		world_put_front(1, XVDA, "state", "1");
		mock_run();
	}
	guest_connect(&guest, &(struct guest_plan){0});
	end();
}

/* Tells the driver's users of a change, as a driver does in its own domain. */
static void disk_changed(void)
{
	mock_enter(0);
	host_block_changed(&ram->dev);
	mock_run();
}

static void test_resize(void **state)
{
	begin();
	attach(&(struct guest_plan){.persistent = true});
	ram->dev.sectors = 4096;
	world_put_back(1, XVDA, "state", "9"); /* to see that it is written */
	disk_changed();
	assert_string_equal(world_back(1, XVDA, "sectors"), "4096");
	assert_string_equal(world_back(1, XVDA, "state"), "4");
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 4096, 0, 1)), BLKIF_RSP_ERROR);
	ram->dev.sectors = WORLD_SECTORS;
	disk_changed();
	assert_string_equal(world_back(1, XVDA, "sectors"), "8192");
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 4096, 0, 1)), BLKIF_RSP_OKAY);
	end();
}

static void test_resize_before_connecting(void **state)
{
	begin();
	world_attach(1, XVDA, "ram0", "w");
	ram->dev.sectors = 4096;
	disk_changed();
	assert_string_equal(world_back(1, XVDA, "sectors"), "4096");
	assert_string_equal(world_back(1, XVDA, "state"), "2");
	guest_connect(&guest, &(struct guest_plan){0});
	end();
}

/* A disk whose server has not told its size: the guest reads nothing of it before it has. */
static void test_a_disk_that_is_coming(void **state)
{
	begin();
	ram->dev.coming = true;
	world_attach(1, XVDA, "ram0", "w");
	assert_string_equal(world_back(1, XVDA, "state"), "1");
	assert_string_equal(world_back(1, XVDA, "sectors"), "");
	disk_changed(); /* another's change, perhaps */
	assert_string_equal(world_back(1, XVDA, "state"), "1");
	ram->dev.coming = false;
	ram->dev.sectors = 4096;
	disk_changed();
	assert_string_equal(world_back(1, XVDA, "state"), "2");
	assert_string_equal(world_back(1, XVDA, "sectors"), "4096");
	guest_connect(&guest, &(struct guest_plan){0});
	end();
}

/* And one that does not come goes with its guest. */
static void test_a_disk_that_never_comes(void **state)
{
	begin();
	ram->dev.coming = true;
	world_attach(1, XVDA, "ram0", "w");
	world_put_back(1, XVDA, "online", "0");
	world_put_back(1, XVDA, "state", "5");
	mock_run();
	mock_advance(6000000000ull);
	assert_string_equal(world_back(1, XVDA, "state"), "");
	assert_true(world_end());
}

/* The disk is pulled out: Closing, errors until the guest follows, and no word to the disk any more. */
static void test_surprise_unplug(void **state)
{
	begin();
	attach(&(struct guest_plan){.n_queues = 2, .persistent = true});
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 1)), BLKIF_RSP_OKAY);
	ram->dev.gone = true;
	disk_changed();
	assert_string_equal(world_back(1, XVDA, "state"), "5");
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 1)), BLKIF_RSP_ERROR);
	assert_int_equal(ask(1, rw(BLKIF_OP_WRITE_BARRIER, 0, 0, 1)), BLKIF_RSP_ERROR);
	assert_int_equal(ask(1, (struct guest_request){.op = BLKIF_OP_FLUSH_DISKCACHE}),
			 BLKIF_RSP_ERROR);
	assert_int_equal(ram->submits, 1);
	guest_disconnect(&guest);
	assert_string_equal(world_back(1, XVDA, "state"), "6");
	ram->dev.gone = false; /* and in again */
	world_put_front(1, XVDA, "state", "1");
	mock_run();
	assert_string_equal(world_back(1, XVDA, "state"), "2");
	guest_connect(&guest, &(struct guest_plan){0});
	end();
}

/* The toolstack writes another medium, none, one that is not there, and the first again. */
static void test_media_change(void **state)
{
	struct mock_disk *other;

	begin();
	other = mock_disk_new("ram1", 2048);
	other->dev.readonly = true;
	world_attach(1, XVDA, "ram0", "r");
	world_put_back(1, XVDA, "device-type", "cdrom");
	world_put_front(1, XVDA, "state", "6");
	mock_run();
	guest_connect(&guest, &(struct guest_plan){0});
	guest_disconnect(&guest);
	world_put_front(1, XVDA, "state", "1");
	mock_run();
	guest_connect(&guest, &(struct guest_plan){.persistent = true});
	assert_string_equal(world_back(1, XVDA, "state"), "4");
	assert_string_equal(world_back(1, XVDA, "info"), "5");
	world_put_back(1, XVDA, "params", "ram1");
	mock_run();
	assert_string_equal(world_back(1, XVDA, "sectors"), "2048");
	other->data[0] = 0x5a;
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 1)), BLKIF_RSP_OKAY);
	assert_int_equal(page(0)[0], 0x5a);
	for (unsigned i = 0; i < 2; i++) {
		world_put_back(1, XVDA, "params", i ? "nosuch" : "");
		mock_run();
		assert_string_equal(world_back(1, XVDA, "sectors"), "0");
		assert_string_equal(world_back(1, XVDA, "state"), "4");
		assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 1)), BLKIF_RSP_ERROR);
	}
	world_put_back(1, XVDA, "params", "ram0");
	mock_run();
	assert_string_equal(world_back(1, XVDA, "sectors"), "8192");
	assert_int_equal(ask(0, rw(BLKIF_OP_READ, 0, 0, 1)), BLKIF_RSP_OKAY);
	end();
}

/* A drive may come without a medium; a disk may not. */
static void test_begins_without_a_medium(void **state)
{
	begin();
	world_put_back(1, XVDA, "device-type", "cdrom");
	world_attach(1, XVDA, "", "r");
	assert_string_equal(world_back(1, XVDA, "state"),
			    "6"); /* the attach wrote device-type disk */
	assert_true(mock_logged("no disk ''"));
	assert_true(world_end());
}

/* ---- fetched once ---- */

static void test_nothing_is_fetched_twice(void **state)
{
	static const char *const protocols[] = {"x86_64-abi", "x86_32-abi"};

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *ring;

		begin_discard(false);
		attach(
		    &(struct guest_plan){.order = 1, .persistent = true, .protocol = protocols[i]});
		mock_enter(0);
		ring = mock_last_ring();
		peer_recorder_begin(ring + 64, 64 * guest.layout->slot_bytes, true);
		for (unsigned n = 0; n < 48; n++) {
			struct guest_request r = rw((uint8_t)(n % 8), n, n, n % 40);

			r.n_sectors = n;
			guest_put(&guest, 0, &r);
		}
		guest_push(&guest, 0);
		assert_int_equal(peer_recorder_doubles(), 0);
		assert_true(peer_recorder_fetched() > 48 * 20);
		peer_recorder_end();
		end();
	}
}

/* The same for the page of an indirect list. */
static void test_list_is_fetched_once(void **state)
{
	struct guest_request r = rw(BLKIF_OP_READ, 0, 0, 200);
	struct blkif_response rsp;
	void *list;

	begin();
	attach(&(struct guest_plan){.persistent = true});
	assert_int_equal(guest_ask(&guest, 0, &r), BLKIF_RSP_OKAY);
	mock_enter(0);
	list = mock_mapping(1, guest.list_refs[0]);
	assert_non_null(list);
	guest.next_list = 0;
	peer_recorder_begin(list, 4096, true);
	guest_put(&guest, 0, &r);
	guest_push(&guest, 0);
	assert_int_equal(peer_recorder_fetched(), 200 * 8);
	assert_int_equal(peer_recorder_doubles(), 0);
	peer_recorder_end();
	assert_true(guest_answer(&guest, 0, &rsp));
	end();
}

/* Whatever is lacking at whichever moment: served, or refused and nothing left. */
static void test_shortage(void **state)
{
	for (int n = 1; n < 60; n++) {
		struct guest_request r = rw(BLKIF_OP_READ, 0, 0, 200);

		begin();
		world_attach(1, XVDA, "ram0", "w");
		mock_enter(1);
		guest_connect(&guest,
			      &(struct guest_plan){.n_queues = 3, .order = 2, .persistent = n & 1});
		guest_disconnect(&guest);
		mock_fail_after(n);
		world_put_front(1, XVDA, "state", "1");
		mock_run();
		mock_fail_after(-1);
		guest_connect(&guest,
			      &(struct guest_plan){.n_queues = 3, .order = 2, .persistent = n & 1});
		mock_fail_after(n % 7);
		if (strcmp(world_back(1, XVDA, "state"), "4") == 0) {
			guest_put(&guest, 2, &r);
			guest_push(&guest, 2);
		}
		mock_fail_after(-1);
		end();
	}
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_discard),
	    cmocka_unit_test(test_no_secure_discard),
	    cmocka_unit_test(test_discard_switched_off),
	    cmocka_unit_test(test_withheld),
	    cmocka_unit_test(test_said_is_not_withheld),
	    cmocka_unit_test(test_units),
	    cmocka_unit_test(test_nodes),
	    cmocka_unit_test(test_info),
	    cmocka_unit_test(test_reconnects),
	    cmocka_unit_test(test_resize),
	    cmocka_unit_test(test_resize_before_connecting),
	    cmocka_unit_test(test_a_disk_that_is_coming),
	    cmocka_unit_test(test_a_disk_that_never_comes),
	    cmocka_unit_test(test_surprise_unplug),
	    cmocka_unit_test(test_media_change),
	    cmocka_unit_test(test_begins_without_a_medium),
	    cmocka_unit_test(test_nothing_is_fetched_twice),
	    cmocka_unit_test(test_list_is_fetched_once),
	    cmocka_unit_test(test_shortage),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
