/* blk_share_test.c: several guests' disks on one real disk: fair shares, bounded depth, limits.
 *
 * A simulated disk serves requests in the order it was given them, one after another, each for a time by its
 * length; guests keep so and so many requests out. Shown: the same load gets the same; a flood leaves the other its
 * half; cost and not count is shared; who has four disks has no more of it than who has one; who was away has saved nothing
 * up; rates hold and hold nobody else; a disk that answers at once is shared too, also by one that has little in flight;
 * one guest alone is never kept. Why: without it who asks most gets most.
 *
 * links: drivers-back/blkback_share.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../drivers-back/blkback_share.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

#define GUESTS_MAX 4u
#define DISK_MAX   1024u

struct guest {
	struct share_member m;
	struct share_guest g;
	unsigned outstanding, wanted; /* requests it has out, and wants to have */
	uint32_t bytes;               /* of each */
	uint64_t done, bytes_done;
	uint64_t worst_ns; /* from share_enter to done */
};

struct sim_request {
	struct share_item item;
	struct guest *guest;
	uint64_t when_ns;
	struct sim_request *next_free;
};

/* The disk: a queue in its own order. */
static struct {
	struct share_disk share;
	struct sim_request *queue[DISK_MAX];
	unsigned in, out, deepest;
	uint64_t now_ns, wake_ns;
	bool answers_at_once;
	struct guest guests[GUESTS_MAX];
	unsigned n_guests;
	struct sim_request all[GUESTS_MAX * DISK_MAX], *free;
} sim;

static void sim_start(unsigned depth, unsigned n_guests)
{
	memset(&sim, 0, sizeof(sim));
	share_disk_init(&sim.share, depth);
	sim.n_guests = n_guests;
	for (unsigned i = 0; i < n_guests; i++) {
		sim.guests[i].bytes = 4096;
		share_join(&sim.share, &sim.guests[i].g, &sim.guests[i].m);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sim.all); i++) {
		sim.all[i].next_free = sim.free;
		sim.free = &sim.all[i];
	}
}

static void give_disk(struct share_item *item)
{
	assert_true(sim.in - sim.out < DISK_MAX);
	sim.queue[sim.in++ % DISK_MAX] = container_of(item, struct sim_request, item);
	if (sim.in - sim.out > sim.deepest)
		sim.deepest = sim.in - sim.out;
}

/* As the caller does it: another turn as long as one is wanted. */
static void pump(void)
{
	struct share_member *m;
	struct share_item *item;

	do {
		share_turn(&sim.share);
		while ((item = share_next(&sim.share, sim.now_ns, &m, &sim.wake_ns)))
			give_disk(item);
	} while (share_wants_turn(&sim.share));
}

static bool ask(struct guest *g)
{
	struct sim_request *r = sim.free;

	assert_non_null(r);
	sim.free = r->next_free;
	*r = (struct sim_request){.guest = g, .when_ns = sim.now_ns, .item.bytes = g->bytes};
	g->outstanding++;
	if (!share_enter(&g->m, &r->item, sim.now_ns))
		return false;
	give_disk(&r->item);
	return true;
}

static void guests_ask(void)
{
	for (unsigned i = 0; i < sim.n_guests; i++)
		while (sim.guests[i].outstanding < sim.guests[i].wanted)
			(void)ask(&sim.guests[i]);
	pump();
}

/* 100 microseconds a request, and one for each KiB. */
static void serve_one(void)
{
	struct sim_request *r = sim.queue[sim.out++ % DISK_MAX];
	struct guest *g = r->guest;

	sim.now_ns += sim.answers_at_once ? 0 : 100000 + r->item.bytes;
	g->done++;
	g->bytes_done += r->item.bytes;
	g->outstanding--;
	if (sim.now_ns - r->when_ns > g->worst_ns)
		g->worst_ns = sim.now_ns - r->when_ns;
	r->next_free = sim.free;
	sim.free = r;
	(void)share_leave(&g->m);
}

static void run_until(uint64_t end_ns)
{
	while (sim.now_ns < end_ns) {
		guests_ask();
		if (sim.in != sim.out) {
			serve_one();
			continue;
		}
		assert_true(sim.wake_ns > sim.now_ns); /* or all stand still for ever */
		sim.now_ns = sim.wake_ns;
	}
}

/* a is b within per cent of b. */
static void assert_near(uint64_t a, uint64_t b, unsigned per_cent)
{
	uint64_t d = a > b ? a - b : b - a;

	if (d * 100 > b * per_cent)
		fail_msg("%llu is not %llu within %u %%", (unsigned long long)a,
			 (unsigned long long)b, per_cent);
}

/* ---- one alone -------------------------------------------------------------------------- */

/* Whatever it asks for goes at once, also more than the disk's depth: the driver has a queue. */
static void one_alone_is_never_kept(void **state)
{
	(void)state;
	sim_start(8, 1);
	assert_true(sim.guests[0].m.passes);
	for (unsigned i = 0; i < 500; i++)
		assert_true(ask(&sim.guests[0]));
	assert_int_equal(sim.guests[0].m.n_waited, 0);
}

/* A second that is connected and does nothing takes nothing from the first. */
static void an_idle_one_costs_the_other_nothing(void **state)
{
	(void)state;
	sim_start(128, 2);
	sim.guests[0].wanted = 128;
	run_until(NS_PER_S);
	assert_int_equal(sim.deepest, 128);
	assert_int_equal(sim.guests[0].m.n_waited, 0);
}

/* The one that comes to a disk full of another's requests is served before those that still wait. */
static void a_newcomer_has_a_place(void **state)
{
	(void)state;
	sim_start(64, 2);
	sim.guests[0].wanted = 500;
	run_until(NS_PER_S / 10);
	assert_true(ask(&sim.guests[1]));
	assert_true(sim.share.in_flight > SHARE_DEPTH);
	for (unsigned i = 0; i < 5; i++)
		(void)ask(&sim.guests[1]); /* and no more than that one, until there is room */
	assert_int_equal(sim.guests[1].m.in_flight, 1);
	assert_int_equal(sim.guests[1].m.n_waiting, 5);
}

/* ---- shares ----------------------------------------------------------------------------- */

static void same_load_gets_the_same(void **state)
{
	(void)state;
	sim_start(256, 3);
	for (unsigned i = 0; i < 3; i++)
		sim.guests[i].wanted = 40;
	run_until(NS_PER_S / 10);
	sim.deepest = 0; /* the first came while it was alone */
	run_until(2 * NS_PER_S);
	assert_near(sim.guests[0].done, sim.guests[1].done, 1);
	assert_near(sim.guests[2].done, sim.guests[1].done, 1);
	assert_true(sim.deepest <= SHARE_DEPTH + GUESTS_MAX);
}

/* Five hundred out against sixteen: half and half, and the smaller one's are not kept waiting for the others. */
static void a_flood_leaves_the_other_its_half(void **state)
{
	(void)state;
	sim_start(256, 2);
	sim.guests[0].wanted = 500;
	sim.guests[1].wanted = 16;
	run_until(NS_PER_S / 2); /* the flood's start, when all it had out was in the disk */
	sim.guests[0].done = sim.guests[1].done = sim.guests[1].worst_ns = 0;
	run_until(5 * NS_PER_S);
	assert_near(sim.guests[1].done, sim.guests[0].done, 8);
	/* A disk full of both, and what it waits for its turn. */
	assert_true(sim.guests[1].worst_ns < 3 * SHARE_DEPTH * 104096ull);
}

/* Long requests against short ones: what they cost is the same, so the short are many more. */
static void cost_is_shared_and_not_count(void **state)
{
	uint64_t cost[2];

	(void)state;
	sim_start(128, 2);
	sim.guests[0].wanted = sim.guests[1].wanted = 64;
	sim.guests[0].bytes = 1 << 20;
	run_until(20 * NS_PER_S);
	for (unsigned i = 0; i < 2; i++)
		cost[i] =
		    sim.guests[i].bytes_done + sim.guests[i].done * (uint64_t)SHARE_REQUEST_BYTES;
	assert_near(cost[0], cost[1], 5);
	assert_true(sim.guests[1].done > 40 * sim.guests[0].done);
}

/* Disks 1 to 3 are one guest's: they have together what the other one has, and each the same of that. */
static void a_guest_has_one_share_whatever_its_disks(void **state)
{
	uint64_t others = 0;

	(void)state;
	sim_start(64, 1);
	sim.n_guests = GUESTS_MAX;
	sim.guests[0].wanted = 40;
	for (unsigned i = 1; i < GUESTS_MAX; i++) {
		sim.guests[i].bytes = 4096;
		sim.guests[i].wanted = 40 * i;
		share_join(&sim.share, &sim.guests[1].g, &sim.guests[i].m);
	}
	assert_int_equal(sim.share.n_guests, 2);
	run_until(5 * NS_PER_S);
	for (unsigned i = 1; i < GUESTS_MAX; i++) {
		others += sim.guests[i].done;
		assert_near(sim.guests[i].done, sim.guests[1].done, 4);
	}
	assert_near(sim.guests[0].done, others, 4);
	for (unsigned i = 1; i < GUESTS_MAX; i++) {
		(void)share_take_waiting(&sim.guests[i].m);
		share_part(&sim.guests[i].m);
	}
	assert_int_equal(sim.share.n_guests, 1);
}

/* Who was away for long gets its half from then on, and not the whole to make up for it. */
static void nobody_saves_up(void **state)
{
	(void)state;
	sim_start(64, 2);
	sim.guests[0].wanted = 64;
	run_until(2 * NS_PER_S);
	sim.guests[0].done = 0;
	sim.guests[1].wanted = 64;
	run_until(3 * NS_PER_S);
	assert_near(sim.guests[0].done, sim.guests[1].done, 4);
}

/* A disk that has each request done when it is told of it never has any in flight; a turn bounds what one gets
 * before the others are asked. */
static void a_disk_that_answers_at_once_is_shared(void **state)
{
	struct share_member *m;
	struct share_item *item;
	uint64_t wake;
	unsigned served = 0;

	(void)state;
	sim_start(64, 2);
	(void)ask(&sim.guests[1]);
	serve_one();
	for (unsigned i = 0; i < 500; i++)
		if (ask(&sim.guests[0]))
			serve_one();
	assert_true(sim.guests[0].done <= SHARE_DEPTH);
	for (unsigned i = 0; i < 5; i++)
		assert_false(ask(&sim.guests[1])); /* behind those that wait, in their line */
	assert_true(share_wants_turn(&sim.share));
	share_turn(&sim.share);
	while ((item = share_next(&sim.share, 0, &m, &wake))) {
		give_disk(item);
		serve_one();
		served++;
	}
	assert_int_equal(served, DIV_ROUND_UP(SHARE_TURN_BYTES, 4096 + SHARE_REQUEST_BYTES));
	assert_int_equal(sim.guests[1].done, 6);
	assert_true(share_wants_turn(&sim.share));
}

/* ---- a disk that answers at once, and guests that ask when they have their answers ---------- */

/* What one turn of the line serves; the answers are there when it ends. */
static unsigned serve_turn(void)
{
	struct share_member *m;
	struct share_item *item;
	unsigned n = 0;

	share_turn(&sim.share);
	for (; (item = share_next(&sim.share, sim.now_ns, &m, &sim.wake_ns)); n++)
		give_disk(item);
	while (sim.in != sim.out)
		serve_one();
	return n;
}

static void ask_for_all(void)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned n = sim.guests[i].wanted - sim.guests[i].outstanding; n; n--)
			if (ask(&sim.guests[i]))
				serve_one();
}

/* Guests ask for all they want to have out; the backend works until it has nothing to do, or rests; then they run
 * again. Of 100 rounds. */
static void rounds(unsigned flood, unsigned other)
{
	sim_start(64, 2);
	sim.answers_at_once = true;
	sim.guests[0].wanted = flood;
	sim.guests[1].wanted = other;
	for (unsigned round = 0; round < 100; round++) {
		ask_for_all();
		while (serve_turn())
			;
	}
}

/* Time does not reach what would be too long to wait for the other. */
static void who_has_less_in_flight_has_its_half(void **state)
{
	static const unsigned others[] = {8, 16, 32};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		rounds(64, others[i]);
		assert_near(sim.guests[0].done, sim.guests[1].done, 8);
	}
	rounds(64, 2); /* for so few the disk does not rest */
	assert_true(sim.guests[0].done > 20 * sim.guests[1].done);
}

/* It is waited for, and the rest of the line is served when it took too long: once, and from then on without it. */
static void who_does_not_come_back_is_forgotten(void **state)
{
	uint64_t before;

	(void)state;
	rounds(64, 16);
	assert_int_equal(sim.share.n_awaited, 1);
	assert_true(sim.wake_ns > sim.now_ns && sim.wake_ns <= sim.now_ns + SHARE_AWAITED_NS);
	assert_false(share_wants_turn(&sim.share));
	assert_true(sim.guests[0].m.n_waiting > 0);
	before = sim.guests[0].done;
	sim.now_ns = sim.wake_ns - 1;
	assert_int_equal(serve_turn(), 0);
	sim.now_ns++;
	while (serve_turn())
		assert_false(sim.guests[1].g.awaited);
	assert_true(sim.guests[0].done > before);
	assert_int_equal(sim.guests[0].m.n_waiting, 0);
	share_part(&sim.guests[1].m);
	assert_true(sim.guests[0].m.passes);
}

/* It has its last answers when a turn ends: somebody has to look once more, to see how long it is waited for. */
static void waiting_begins_with_a_look(void **state)
{
	(void)state;
	rounds(64, 16);
	ask_for_all();
	while (!sim.share.n_awaited)
		assert_true(serve_turn() > 0);
	assert_true(sim.guests[0].m.n_waiting > 0);
	assert_true(share_wants_turn(&sim.share));
	sim.wake_ns = 0;
	assert_int_equal(serve_turn(), 0);
	assert_int_equal(sim.wake_ns, sim.now_ns + SHARE_AWAITED_NS);
	assert_false(share_wants_turn(&sim.share));
}

/* ---- limits ----------------------------------------------------------------------------- */

static void limit(unsigned guest, uint64_t iops, uint64_t bps, uint32_t burst_ms)
{
	const struct share_limit l = {iops, bps, burst_ms};

	share_set_limit(&sim.guests[guest].m, &l);
}

static void iops_hold(void **state)
{
	(void)state;
	sim_start(64, 1);
	sim.guests[0].wanted = 64;
	limit(0, 500, 0, 0);
	run_until(4 * NS_PER_S);
	assert_near(sim.guests[0].done, 2000, 1);
	limit(0, 1000, 0, 0); /* while it runs */
	run_until(6 * NS_PER_S);
	assert_near(sim.guests[0].done, 4000, 2);
}

static void bytes_hold(void **state)
{
	(void)state;
	sim_start(64, 1);
	sim.guests[0].wanted = 20;
	sim.guests[0].bytes = 65536;
	limit(0, 0, 10 << 20, 0);
	run_until(4 * NS_PER_S);
	assert_near(sim.guests[0].bytes_done, 40 << 20, 1);
}

/* Both: the one that is reached first. A flush has no bytes and counts as a request. */
static void both_hold(void **state)
{
	(void)state;
	sim_start(64, 1);
	sim.guests[0].wanted = 20;
	sim.guests[0].bytes = 0;
	limit(0, 100, 1 << 20, 0);
	run_until(4 * NS_PER_S);
	assert_near(sim.guests[0].done, 400, 2);
}

/* After a rest, as much as was saved up in burst_ms goes at once, and not more. */
static void a_burst_is_what_was_saved(void **state)
{
	unsigned at_once = 0;

	(void)state;
	sim_start(1024, 1);
	limit(0, 100, 0, 500);
	sim.now_ns = 100 * NS_PER_S;
	while (ask(&sim.guests[0]))
		at_once++;
	assert_int_equal(at_once, 51);
}

/* A limit is of one guest: the other has the rest of the disk, as if it were alone. */
static void a_limited_one_holds_nobody(void **state)
{
	uint64_t alone;

	(void)state;
	sim_start(64, 1);
	sim.guests[0].wanted = 64;
	run_until(2 * NS_PER_S);
	alone = sim.guests[0].done;
	sim_start(64, 2);
	sim.guests[0].wanted = sim.guests[1].wanted = 64;
	limit(1, 100, 0, 0);
	run_until(2 * NS_PER_S);
	assert_near(sim.guests[1].done, 200, 5);
	assert_near(sim.guests[0].done, alone - 200, 1);
	assert_true(sim.guests[1].m.n_held > 0);
}

/* ---- coming and going ------------------------------------------------------------------- */

static void what_waits_goes_with_its_guest(void **state)
{
	struct guest *g;
	unsigned n = 0;

	(void)state;
	sim_start(4, 2);
	g = &sim.guests[1];
	limit(1, 1, 0, 0);
	sim.guests[0].wanted = 32;
	g->wanted = 10;
	guests_ask();
	while (g->m.in_flight)
		serve_one();
	for (struct share_item *i = share_take_waiting(&g->m); i; i = i->next)
		n++;
	assert_int_equal(n, 9);
	assert_int_equal(g->m.n_waiting, 0);
	assert_false(g->m.passes || sim.guests[0].m.passes);
	share_part(&g->m);
	assert_false(sim.guests[0].m.passes); /* some of its own wait, and come first */
	sim.n_guests = 1;
	run_until(NS_PER_S);
	assert_true(sim.guests[0].done > 9000);
	assert_true(sim.guests[0].m.passes);
	limit(0, 1, 0, 0);
	assert_false(sim.guests[0].m.passes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_alone_is_never_kept),
	    cmocka_unit_test(an_idle_one_costs_the_other_nothing),
	    cmocka_unit_test(a_newcomer_has_a_place),
	    cmocka_unit_test(same_load_gets_the_same),
	    cmocka_unit_test(a_flood_leaves_the_other_its_half),
	    cmocka_unit_test(cost_is_shared_and_not_count),
	    cmocka_unit_test(a_guest_has_one_share_whatever_its_disks),
	    cmocka_unit_test(nobody_saves_up),
	    cmocka_unit_test(a_disk_that_answers_at_once_is_shared),
	    cmocka_unit_test(who_has_less_in_flight_has_its_half),
	    cmocka_unit_test(who_does_not_come_back_is_forgotten),
	    cmocka_unit_test(waiting_begins_with_a_look),
	    cmocka_unit_test(iops_hold),
	    cmocka_unit_test(bytes_hold),
	    cmocka_unit_test(both_hold),
	    cmocka_unit_test(a_burst_is_what_was_saved),
	    cmocka_unit_test(a_limited_one_holds_nobody),
	    cmocka_unit_test(what_waits_goes_with_its_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
