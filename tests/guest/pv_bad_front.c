/* pv_bad_front.c: a PV kernel that plays blkfront, and is bad at it in each way that has a name here.
 *
 * Each row of `attacks` connects to the backend of xvda (if it is not connected), does one wrong thing,
 * prints what came of it, and must then be able to read a sector rightly, over a new connection if the
 * backend has closed the old one. Printed: "ok NAME" or "FAILED NAME"; the last word of the command line,
 * if there is one, is the way the guest ends: `crash` under load, or `gone` with its directory removed.
 * tests/qemu/bad_front_test.sh runs it beside guests that must not notice.
 */
#include "pv_front.h"
#include <xen/io/blkif.h>

#define RING_REF 8u
#define DATA_REF 16u /* and one for each page of data */
#define DATA     12u
#define NO_REF   400u /* never granted */
#define SLOTS    32u

/* What came of a request: a status of blkif.h, or one of these. */
enum { GONE = 1, SILENT = 2 };
/* What an attack is answered with: an error, EOPNOTSUPP, the end of the connection, or not at all (what it does is
 * foolish and no fault). EITHER: an error or EOPNOTSUPP, which depends on what the backend offers. */
enum outcome { ERROR, UNKNOWN, CLOSED, NOTHING, EITHER };

static struct ring {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
	uint8_t slot[SLOTS][sizeof(struct blkif_request)];
} __attribute__((aligned(4096))) ring; /* the page is its own: a backend may write all of it */
static uint8_t data[DATA][PEER_PAGE] __attribute__((aligned(4096)));

static volatile struct ring *const r = &ring;
static uint32_t seen, next_id;
static uint64_t sectors;

/* ---- a frontend as it should be -------------------------------------------------------------- */

static void offer(void)
{
	for (unsigned i = 0; i < sizeof(ring); i++)
		((volatile uint8_t *)&ring)[i] = 0;
	r->req_event = r->rsp_event = 1;
	seen = 0;
	grant(RING_REF, back_id, &ring, 0);
	for (unsigned i = 0; i < DATA; i++)
		grant(DATA_REF + i, back_id, data[i], 0);
	port = port_for(back_id);
	store_number(front, "ring-ref", RING_REF);
	store_number(front, "event-channel", port);
	store_write(front, "protocol", "x86_64-abi");
	store_number(front, "feature-persistent", 0);
	store_remove(front, "ring-page-order");
	store_remove(front, "num-ring-pages");
	store_remove(front, "multi-queue-num-queues");
}

static int begin(void)
{
	return front_begin(RING_REF, DATA_REF + DATA);
}

static int finish(void)
{
	if (!front_finish(XenbusStateInitialised))
		return 0;
	sectors = text_value(store_read(back, "sectors"));
	return 1;
}

static int connect(void)
{
	if (connected)
		return 1;
	if (!begin())
		return 0;
	offer();
	return finish();
}

static struct blkif_request good(uint8_t op, unsigned page)
{
	struct blkif_request req;

	for (unsigned i = 0; i < sizeof(req); i++)
		((volatile uint8_t *)&req)[i] = 0;
	req.operation = op;
	req.nr_segments = 1;
	req.handle = 51712 & 0xffff;
	req.id = 1000 + next_id++;
	req.sector_number = page * 8;
	req.seg[0] = (struct blkif_request_segment){DATA_REF + page, 0, 7};
	return req;
}

static void put(const void *req)
{
	copy_bytes(r->slot[r->req_prod % SLOTS], req, sizeof(struct blkif_request));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r->req_prod++;
}

/* The next answer's status. Asks the store, which is slow, only now and then. */
static int answer(uint64_t wait_ns)
{
	uint64_t end = now_ns() + wait_ns;

	for (unsigned round = 0; r->rsp_prod == seen; round++) {
		if (round % 64 == 63 && !backend_is_there()) {
			connected = 0;
			return GONE;
		}
		if (now_ns() > end)
			return SILENT;
		yield();
	}
	r->rsp_event = ++seen + 1;
	return ((volatile struct blkif_response *)r->slot[(seen - 1) % SLOTS])->status;
}

static int ask(const void *req)
{
	put(req);
	notify(port);
	return answer(PEER_WAIT);
}

/* Sector s of the disk begins with the number s (the test wrote it so). */
static int reads_rightly(void)
{
	for (unsigned try = 0; try < 2; try++) {
		struct blkif_request req = good(BLKIF_OP_READ, 3);

		data[3][0] = data[3][1] = 0xee;
		if (connect() && ask(&req) == BLKIF_RSP_OKAY)
			return *(volatile uint32_t *)data[3] == 24 &&
			       *(volatile uint32_t *)(data[3] + 512) == 25;
		connected = 0;
	}
	return 0;
}

#include "bad_requests.inc"

/* ---- wrong rings ----------------------------------------------------------------------------- */

static int told(void)
{
	notify(port);
	return answer(PEER_WAIT / 2);
}

static int too_many_requests(void)
{
	r->req_prod += SLOTS + 1;
	return told();
}

static int producer_jumps(void)
{
	r->req_prod += 0x80000000u;
	return told();
}

static int producer_steps_back(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1);

	(void)ask(&req);
	r->req_prod -= 1;
	return told();
}

/* The backend's own numbers, in our page: it must not read them back. */
static int scribbles_on_responses(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1);
	int status;

	r->rsp_prod += 1000;
	put(&req);
	notify(port);
	for (uint64_t end = now_ns() + PEER_WAIT / 4; now_ns() < end && r->rsp_prod > seen + 500;)
		yield();
	status = r->rsp_prod == seen + 1 ? BLKIF_RSP_OKAY : GONE;
	seen = r->rsp_prod;
	return status;
}

static int wild_rsp_event(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1);

	r->rsp_event = seen + 0x7fffffff;
	return ask(&req);
}

static int storm_of_events(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1);

	for (unsigned i = 0; i < 20000; i++)
		notify(port);
	return ask(&req);
}

static int the_same_id_32_times(void)
{
	int status = BLKIF_RSP_OKAY;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct blkif_request req = good(BLKIF_OP_READ, i % 8);

		req.id = 7;
		put(&req);
	}
	notify(port);
	for (unsigned i = 0; i < SLOTS && status == BLKIF_RSP_OKAY; i++)
		status = answer(PEER_WAIT);
	return status;
}

/* While the backend works on it each word of the slot changes: it has its own copy. */
static int changes_in_flight(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1), bad = req;
	uint32_t at = r->req_prod;

	bad.seg[0] = (struct blkif_request_segment){NO_REF, 9, 200};
	bad.nr_segments = 255;
	bad.sector_number = ~0ull;
	put(&req);
	notify(port);
	for (unsigned i = 0; i < 200 && r->rsp_prod == seen; i++) {
		copy_bytes((volatile uint8_t *)r->slot[at % SLOTS] + 1, (uint8_t *)&bad + 1,
			   sizeof(bad) - 1);
		copy_bytes(r->slot[at % SLOTS], i % 2 ? &req : &bad, sizeof(bad));
	}
	answer(PEER_WAIT);
	return BLKIF_RSP_OKAY; /* either answer is right; the read that follows says whether all is well */
}

static int grants_end_in_flight(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct blkif_request req = good(BLKIF_OP_READ, i % 8);

		put(&req);
	}
	notify(port);
	for (unsigned i = 0; i < 8; i++)
		peer_grants[DATA_REF + i].flags &= (uint16_t)~GTF_permit_access;
	for (unsigned i = 0; i < SLOTS; i++)
		answer(PEER_WAIT / 4);
	connected = 0; /* what is granted is not what it was */
	return BLKIF_RSP_OKAY;
}

static int port_closed_in_flight(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct blkif_request req = good(BLKIF_OP_WRITE, 9);

		put(&req);
	}
	notify(port);
	port_close(port);
	port = 0;
	connected = 0;
	return BLKIF_RSP_OKAY;
}

/* The ring's own page as the place to read to: the backend's words are overwritten by the disk. */
static int ring_as_data(void)
{
	struct blkif_request req = good(BLKIF_OP_READ, 1);

	req.seg[0].gref = RING_REF;
	put(&req);
	notify(port);
	for (uint64_t end = now_ns() + PEER_WAIT / 10; now_ns() < end;)
		yield();
	connected = 0;
	return BLKIF_RSP_OKAY;
}

/* ---- wrong keys and states ------------------------------------------------------------------- */

/* A connection with one key as it should not be. Whether there was one. */
static int with_key(const char *key, const char *value)
{
	int ok;

	begin();
	offer();
	set_key(key, value);
	ok = finish();
	connected = 0;
	return ok ? BLKIF_RSP_OKAY : GONE;
}

static int ring_is_a_word(void)
{
	return with_key("ring-ref", "seven");
}
static int ring_is_missing(void)
{
	return with_key("ring-ref", NULL);
}
static int ring_not_granted(void)
{
	return with_key("ring-ref", "401");
}
static int ring_beyond_table(void)
{
	return with_key("ring-ref", "4294967295");
}
static int port_is_zero(void)
{
	return with_key("event-channel", "0");
}
static int port_is_the_consoles(void)
{
	char text[24];

	text_number(text, peer_info->console.domU.evtchn);
	return with_key("event-channel", text);
}
static int port_beyond(void)
{
	return with_key("event-channel", "99999999999999999999");
}
static int protocol_of_another(void)
{
	return with_key("protocol", "sparc-abi");
}
static int order_of_20(void)
{
	return with_key("ring-page-order", "20");
}
static int order_without_pages(void)
{
	return with_key("ring-page-order", "3");
}
static int thousand_queues(void)
{
	return with_key("multi-queue-num-queues", "1000");
}
static int no_queues(void)
{
	return with_key("multi-queue-num-queues", "0");
}
static int queues_without_rings(void)
{
	return with_key("multi-queue-num-queues", "2");
}

static int ring_is_a_kilobyte(void)
{
	static char text[1001];

	for (unsigned i = 0; i < 1000; i++)
		text[i] = '9';
	return with_key("ring-ref", text);
}

static int connected_at_once(void)
{
	begin();
	state(XenbusStateConnected);
	state(XenbusStateInitialised);
	return GONE;
}

static int states_at_random(void)
{
	begin();
	offer();
	states_in_any_order();
	return GONE;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct attack {
	const char *name;
	void (*request)(struct blkif_request *q);
	int (*other)(void);
	enum outcome wanted;
} attacks[] = {
#define REQUEST(name, wanted)                                                                      \
	{                                                                                          \
#name, name, NULL, wanted                                                          \
	}
#define OTHER(name, wanted)                                                                        \
	{                                                                                          \
#name, NULL, name, wanted                                                          \
	}
    REQUEST(no_operation, UNKNOWN),
    REQUEST(no_segments, ERROR),
    REQUEST(twelve_segments, ERROR),
    REQUEST(all_segments, ERROR),
    REQUEST(past_the_page, ERROR),
    REQUEST(far_past_the_page, ERROR),
    REQUEST(backwards, ERROR),
    REQUEST(past_the_end, ERROR),
    REQUEST(half_past_the_end, ERROR),
    REQUEST(sector_wraps, ERROR),
    REQUEST(sector_has_top_bits, ERROR),
    REQUEST(never_granted, ERROR),
    REQUEST(no_such_reference, ERROR),
    REQUEST(second_is_bad, ERROR),
    REQUEST(granted_readonly, ERROR),
    REQUEST(granted_to_another, ERROR),
    REQUEST(granted_not_mine, ERROR),
    REQUEST(flush_with_data, ERROR),
    REQUEST(discard_past_the_end, EITHER),
    REQUEST(indirect_of_indirect, EITHER),
    REQUEST(indirect_of_none, EITHER),
    REQUEST(indirect_of_60000, EITHER),
    REQUEST(indirect_page_not_granted, EITHER),
    REQUEST(indirect_segment_not_granted, EITHER),
    REQUEST(indirect_past_the_page, EITHER),
    REQUEST(indirect_past_the_end, EITHER),
    OTHER(too_many_requests, CLOSED),
    OTHER(producer_jumps, CLOSED),
    OTHER(producer_steps_back, CLOSED),
    OTHER(scribbles_on_responses, NOTHING),
    OTHER(wild_rsp_event, NOTHING),
    OTHER(storm_of_events, NOTHING),
    OTHER(the_same_id_32_times, NOTHING),
    OTHER(changes_in_flight, NOTHING),
    OTHER(grants_end_in_flight, NOTHING),
    OTHER(port_closed_in_flight, NOTHING),
    OTHER(ring_as_data, NOTHING),
    OTHER(ring_is_a_word, CLOSED),
    OTHER(ring_is_missing, CLOSED),
    OTHER(ring_not_granted, CLOSED),
    OTHER(ring_beyond_table, CLOSED),
    OTHER(ring_is_a_kilobyte, CLOSED),
    OTHER(port_is_zero, CLOSED),
    OTHER(port_is_the_consoles, CLOSED),
    OTHER(port_beyond, CLOSED),
    OTHER(protocol_of_another, CLOSED),
    OTHER(order_of_20, CLOSED),
    OTHER(order_without_pages, CLOSED),
    OTHER(thousand_queues, CLOSED),
    OTHER(no_queues, CLOSED),
    OTHER(queues_without_rings, CLOSED),
    OTHER(connected_at_once, CLOSED),
    OTHER(states_at_random, CLOSED),
};

static int as_wanted(enum outcome wanted, int came)
{
	switch (wanted) {
	case ERROR:
		return came == BLKIF_RSP_ERROR;
	case UNKNOWN:
		return came == BLKIF_RSP_EOPNOTSUPP;
	case EITHER:
		return came == BLKIF_RSP_ERROR || came == BLKIF_RSP_EOPNOTSUPP;
	case CLOSED:
		return came == GONE;
	default:
		return came == BLKIF_RSP_OKAY;
	}
}

static void attack(const struct attack *a)
{
	struct blkif_request req;
	int came;

	connect();
	req = good(BLKIF_OP_READ, 2);
	if (a->request)
		a->request(&req);
	came = a->request ? ask(&req) : a->other();
	if (!as_wanted(a->wanted, came))
		print_number("it came to ", (uint64_t)(came + 2));
	check(a->name, as_wanted(a->wanted, came) && reads_rightly());
}

/* With the backend in the middle of as many writes as the ring takes. */
static void end_under_load(void)
{
	connect();
	for (unsigned i = 0; i < SLOTS; i++) {
		struct blkif_request req = good(BLKIF_OP_WRITE, 10);

		put(&req);
	}
	notify(port);
}

void guest_main(struct start_info *si)
{
	peer_begin(si);
	front_find("device/vbd/51712");
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attack(&attacks[i]);
	print_number("attacks ", sizeof(attacks) / sizeof(attacks[0]));
	end_under_load();
	end(text_is((const char *)si->cmd_line, "crash") ? SHUTDOWN_crash : SHUTDOWN_poweroff);
}
