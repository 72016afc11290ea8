/* pv_bad_back.c: a PV kernel that plays blkback for one disk of another domain,
 * and is bad at it in each way that has a name here.
 *
 * Each row of `attacks` is one connection: it offers the disk (or does that
 * wrongly), answers the first request or all of them wrongly, and begins anew.
 * After the last it serves the disk as it should be: a disk of zeros, SECTORS
 * long. Printed: "ok NAME" or "FAILED NAME", by what the frontend did: closed
 * the connection, or went on. Run as a domain that another's disk names as its
 * backend, by tests/qemu/bad_back_test.sh, which looks whether that other has
 * come to harm.
 */
#include "pv_back.h"
#include <xen/io/blkif.h>

#define SECTORS 256u
#define SLOTS   32u
#define ENOUGH  2u /* requests answered rightly after a wrong one */

/* What the frontend is to do of it: end the connection; go on with it; or not
 * even begin one. EITHER: what it likes. */
enum outcome { CLOSES, GOES_ON, REFUSES, EITHER };

struct ring {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
	uint8_t slot[SLOTS][sizeof(struct blkif_request)];
};
static uint8_t ring_page[PEER_PAGE] __attribute__((aligned(4096)));
static uint8_t window[PEER_PAGE] __attribute__((aligned(4096)));
static volatile struct ring *const r = (volatile void *)ring_page;

static uint32_t ring_handle, port, taken;
static int mapped;

/* ---- a backend as it should be --------------------------------------------------------------- */

static void describe(void)
{
	store_number(back, "sectors", SECTORS);
	store_number(back, "sector-size", 512);
	store_number(back, "info", 0);
	store_number(back, "feature-flush-cache", 1);
	store_number(back, "feature-persistent", 0);
	store_remove(back, "max-ring-page-order");
	store_remove(back, "multi-queue-max-queues");
	store_remove(back, "feature-max-indirect-segments");
}

/* The frontend's ring, once it has offered one. */
static int take_ring(void)
{
	if (!store_wait(front, "state", 1u << XenbusStateInitialised))
		return 0;
	if (map((uint32_t)text_value(store_read(front, "ring-ref")), ring_page, 0, &ring_handle))
		return 0;
	mapped = 1;
	port = bind_port((uint32_t)text_value(store_read(front, "event-channel")));
	taken = 0;
	return 1;
}

/* Lets go of everything, and is at its beginning, as a backend is that has died
 * and come again. */
static void leave(void)
{
	state(XenbusStateClosed);
	store_wait(front, "state", 1u << XenbusStateClosed | 1u << XenbusStateInitialising);
	if (mapped)
		unmap(ring_page, ring_handle);
	if (port)
		port_close(port);
	mapped = 0;
	port = 0;
	describe();
	state(XenbusStateInitialising);
}

static int request(struct blkif_request *out)
{
	uint64_t end = now_ns() + PEER_WAIT / 2;

	while (r->req_prod == taken) {
		r->req_event = taken + 1;
		if (now_ns() > end || closed())
			return 0;
		yield();
	}
	copy_bytes(out, r->slot[taken++ % SLOTS], sizeof(*out));
	return 1;
}

static void put(uint64_t id, uint8_t op, int16_t status)
{
	struct blkif_response rsp = {.id = id, .operation = op, .status = status};

	copy_bytes(r->slot[r->rsp_prod % SLOTS], &rsp, sizeof(rsp));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r->rsp_prod++;
}

static void respond(uint64_t id, uint8_t op, int16_t status)
{
	put(id, op, status);
	notify(port);
}

/* Zeros into every segment. */
static void fill(const struct blkif_request *q)
{
	uint32_t handle;

	for (unsigned i = 0; i < q->nr_segments && q->operation == BLKIF_OP_READ; i++) {
		if (map(q->seg[i].gref, window, 0, &handle))
			continue;
		for (unsigned at = q->seg[i].first_sect * 512u;
		     at < (q->seg[i].last_sect + 1u) * 512u; at++)
			((volatile uint8_t *)window)[at] = 0;
		unmap(window, handle);
	}
}

/* ---- wrong answers ----------------------------------------------------------------------------- */

static void id_of_nobody(struct blkif_request *q)
{
	respond(31, q->operation, 0);
}
static void id_beyond(struct blkif_request *q)
{
	respond(q->id + 0x100000000ull, q->operation, 0);
}
static void another_operation(struct blkif_request *q)
{
	respond(q->id, BLKIF_OP_DISCARD, 0);
}

static void answered_twice(struct blkif_request *q)
{
	fill(q);
	put(q->id, q->operation, 0);
	respond(q->id, q->operation, 0);
}

static void producer_overruns(struct blkif_request *q)
{
	r->rsp_prod += SLOTS + 1;
	notify(port);
}

static void producer_jumps(struct blkif_request *q)
{
	r->rsp_prod += 0x80000000u;
	notify(port);
}

static void producer_steps_back(struct blkif_request *q)
{
	r->rsp_prod -= 1;
	notify(port);
}

/* It says done, and could still write there. */
static void keeps_the_page(struct blkif_request *q)
{
	uint32_t handle = 0;
	int status = map(q->seg[0].gref, window, 0, &handle);

	respond(q->id, q->operation, 0);
	for (uint64_t end = now_ns() + PEER_WAIT / 10; now_ns() < end && !closed();)
		yield();
	if (!status)
		unmap(window, handle);
}

static void status_of_77(struct blkif_request *q)
{
	respond(q->id, q->operation, 77);
}
static void not_supported(struct blkif_request *q)
{
	respond(q->id, q->operation, BLKIF_RSP_EOPNOTSUPP);
}
static void an_error(struct blkif_request *q)
{
	respond(q->id, q->operation, BLKIF_RSP_ERROR);
}

static void storm_of_events(struct blkif_request *q)
{
	for (unsigned i = 0; i < 20000; i++)
		notify(port);
	fill(q);
	respond(q->id, q->operation, 0);
}

/* The frontend must know what it asked without looking at the ring again. */
static void scribbles_on_requests(struct blkif_request *q)
{
	fill(q);
	for (unsigned i = 0; i < sizeof(r->slot); i++)
		((volatile uint8_t *)r->slot)[i] = 0xff;
	respond(q->id, q->operation, 0);
}

/* And how far it has come. Put right afterwards, or we would take what is not there for requests. */
static void scribbles_on_producer(struct blkif_request *q)
{
	uint32_t was = r->req_prod;

	fill(q);
	r->req_prod = was + 1000;
	respond(q->id, q->operation, 0);
	for (unsigned i = 0; i < 50; i++)
		yield();
	if (r->req_prod == was + 1000)
		r->req_prod = was;
}

static int maps_got;
static void maps_what_was_not_granted(struct blkif_request *q)
{
	maps_got += maps_of_nobody(window);
	fill(q);
	respond(q->id, q->operation, 0);
}

static void leaves_without_a_word(struct blkif_request *q)
{
	store_remove(back, "state");
}

/* ---- wrong offers ------------------------------------------------------------------------------ */

static void no_sectors(void)
{
	store_number(back, "sectors", 0);
}
static void sectors_missing(void)
{
	store_remove(back, "sectors");
}
static void sectors_a_word(void)
{
	store_write(back, "sectors", "plenty");
}
static void sectors_beyond_64_bits(void)
{
	store_write(back, "sectors", "99999999999999999999999");
}
static void sectors_wrap_in_bytes(void)
{
	store_write(back, "sectors", "18446744073709551615");
}
static void shrunk(void)
{
	store_number(back, "sectors", SECTORS / 2);
}
static void sector_of_3(void)
{
	store_number(back, "sector-size", 3);
}
static void sector_of_1536(void)
{
	store_number(back, "sector-size", 1536);
}
static void sector_of_64k(void)
{
	store_number(back, "sector-size", 65536);
}
static void persistent_a_word(void)
{
	store_write(back, "feature-persistent", "yes");
}
static void indirect_of_4_billion(void)
{
	store_write(back, "feature-max-indirect-segments", "4294967295");
}
static void order_of_99(void)
{
	store_number(back, "max-ring-page-order", 99);
}
static void million_queues(void)
{
	store_number(back, "multi-queue-max-queues", 1000000);
}

static void states_at_random(void)
{
	states_in_any_order();
	state(XenbusStateInitWait);
}

/* ---- all of them ------------------------------------------------------------------------------- */

static const struct attack {
	const char *name;
	void (*offer)(void);
	void (*answer)(struct blkif_request *q);
	enum outcome wanted;
} attacks[] = {
#define ANSWER(name, wanted)                                                                       \
	{                                                                                          \
#name, NULL, name, wanted                                                          \
	}
#define OFFER(name, wanted)                                                                        \
	{                                                                                          \
#name, name, NULL, wanted                                                          \
	}
    ANSWER(id_of_nobody, CLOSES),
    ANSWER(id_beyond, CLOSES),
    ANSWER(another_operation, CLOSES),
    ANSWER(answered_twice, CLOSES),
    ANSWER(producer_overruns, CLOSES),
    ANSWER(producer_jumps, CLOSES),
    ANSWER(producer_steps_back, CLOSES),
    ANSWER(keeps_the_page, CLOSES),
    ANSWER(status_of_77, GOES_ON),
    ANSWER(not_supported, GOES_ON),
    ANSWER(an_error, GOES_ON),
    ANSWER(storm_of_events, GOES_ON),
    ANSWER(scribbles_on_requests, GOES_ON),
    ANSWER(scribbles_on_producer, GOES_ON),
    ANSWER(maps_what_was_not_granted, GOES_ON),
    ANSWER(leaves_without_a_word, CLOSES),
    OFFER(no_sectors, REFUSES),
    OFFER(sectors_missing, REFUSES),
    OFFER(sectors_a_word, REFUSES),
    OFFER(sectors_beyond_64_bits, REFUSES),
    OFFER(sectors_wrap_in_bytes, REFUSES),
    OFFER(shrunk, REFUSES),
    OFFER(sector_of_3, REFUSES),
    OFFER(sector_of_1536, REFUSES),
    OFFER(sector_of_64k, REFUSES),
    OFFER(persistent_a_word, REFUSES),
    OFFER(indirect_of_4_billion, EITHER),
    OFFER(order_of_99, EITHER),
    OFFER(million_queues, EITHER),
    OFFER(states_at_random, EITHER),
};

/* Whether the frontend is in this connection. */
static int begin(const struct attack *a)
{
	describe();
	if (a && a->offer)
		a->offer();
	state(XenbusStateInitWait);
	if (!take_ring())
		return 0;
	state(XenbusStateConnected);
	return store_wait(front, "state",
			  1u << XenbusStateConnected | 1u << XenbusStateClosed |
			      1u << XenbusStateClosing) == XenbusStateConnected;
}

/* It closes, or asks on: then a few requests are answered rightly. */
static int goes_on(void)
{
	struct blkif_request q;
	unsigned answered = 0;

	for (uint64_t end = now_ns() + PEER_WAIT / 20; now_ns() < end && !closed();) {
		if (answered == ENOUGH || r->req_prod == taken || !request(&q)) {
			yield();
			continue;
		}
		fill(&q);
		respond(q.id, q.operation, BLKIF_RSP_OKAY);
		answered++;
	}
	return !closed();
}

static int attack(const struct attack *a)
{
	struct blkif_request q;
	int in = begin(a);

	if (!in || a->wanted == REFUSES)
		return a->wanted == REFUSES ? !in : a->wanted == EITHER;
	if (a->answer) {
		if (!request(&q))
			return 0;
		a->answer(&q);
	}
	in = goes_on();
	return a->wanted == EITHER || in == (a->wanted == GOES_ON);
}

/* Until the frontend leaves for good. */
static void serve(void)
{
	struct blkif_request q;

	while (!begin(NULL))
		leave();
	while (!closed()) {
		if (!request(&q))
			continue;
		fill(&q);
		respond(q.id, q.operation, BLKIF_RSP_OKAY);
	}
	leave();
}

void guest_main(struct start_info *si)
{
	peer_begin(si);
	back_find("backend/vbd");
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		check(attacks[i].name, attack(&attacks[i]));
		leave();
	}
	check("nothing but what was granted was mapped", maps_got == 0);
	print_number("attacks ", sizeof(attacks) / sizeof(attacks[0]));
	serve();
	end(SHUTDOWN_poweroff);
}
