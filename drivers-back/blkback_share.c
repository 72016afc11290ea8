/* blkback_share.c: fair shares of a disk, and limits: start-time fair queueing with a bounded depth.
 *
 * Each guest has a place in the disk's virtual time, `finish`: what it was given so far is paid for then. The
 * next to be served is who would begin earliest, and the disk's time is where that one began; who was away comes
 * back at the disk's time and not at its own, so nobody saves up. In the same way each member has a place in its guest's
 * time. Limits are told apart from shares: a member held by
 * its own limit is passed over and holds nobody. Pure. Caller: blkback_flow.c; contract: blkback_share.h.
 *
 * Alone on its disk a member passes without a question, and nothing is counted. That several
 * use it is seen by whom requests come from, and not by who is connected: a guest that does nothing costs the
 * others no depth.
 */
#include "blkback_share.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

void share_disk_init(struct share_disk *d, unsigned depth)
{
	*d = (struct share_disk){.depth = MAX(depth, 1u), .alone = SHARE_ALONE};
	share_turn(d);
}

/* After any change of who is there or of a limit. */
static void decide_who_passes(struct share_disk *d)
{
	for (struct share_member *m = d->members; m; m = m->next)
		m->passes = d->n_members == 1 && !m->limited && !m->first;
}

void share_join(struct share_disk *d, struct share_guest *g, struct share_member *m)
{
	if (g->n_members++ == 0) {
		g->next = d->guests;
		d->guests = g;
		d->n_guests++;
	}
	*m = (struct share_member){.disk = d, .guest = g, .next = d->members};
	m->last = &m->first;
	d->members = m;
	d->n_members++;
	decide_who_passes(d);
}

static void stop_awaiting(struct share_disk *d, struct share_guest *g)
{
	d->n_awaited -= g->awaited;
	g->awaited = false;
}

static void guest_parts(struct share_disk *d, struct share_guest *g)
{
	struct share_guest **link = &d->guests;

	while (*link != g)
		link = &(*link)->next;
	*link = g->next;
	d->n_guests--;
	stop_awaiting(d, g);
	*g = (struct share_guest){0};
}

void share_part(struct share_member *m)
{
	struct share_disk *d = m->disk;
	struct share_member **link = &d->members;

	while (*link != m)
		link = &(*link)->next;
	*link = m->next;
	d->n_members--;
	if (d->last_served == m)
		d->last_served = NULL;
	if (--m->guest->n_members == 0)
		guest_parts(d, m->guest);
	m->disk = NULL;
	decide_who_passes(d);
}

/* ---- limits ----------------------------------------------------------------------------- */

void share_set_limit(struct share_member *m, const struct share_limit *limit)
{
	m->limit = *limit;
	m->limit.burst_ms = MAX(limit->burst_ms, SHARE_BURST_LEAST_MS);
	m->limited = limit->iops || limit->bps;
	m->requests_due_ns = m->bytes_due_ns = 0; /* what the old rate made of it */
	decide_who_passes(m->disk);
}

/* When the member's next request may go: now or earlier, or a moment to come. */
static uint64_t may_go_ns(const struct share_member *m)
{
	uint64_t due =
	    MAX(m->limit.iops ? m->requests_due_ns : 0, m->limit.bps ? m->bytes_due_ns : 0);
	uint64_t burst = m->limit.burst_ms * NS_PER_MS;

	return due > burst ? due - burst : 0;
}

static bool held(const struct share_member *m, uint64_t now_ns)
{
	return m->limited && may_go_ns(m) > now_ns;
}

/* No overflow: bytes are below 2^32 and NS_PER_S below 2^30. */
static void use_rate(struct share_member *m, const struct share_item *item, uint64_t now_ns)
{
	if (m->limit.iops)
		m->requests_due_ns = MAX(m->requests_due_ns, now_ns) + NS_PER_S / m->limit.iops;
	if (m->limit.bps)
		m->bytes_due_ns =
		    MAX(m->bytes_due_ns, now_ns) + item->bytes * NS_PER_S / m->limit.bps;
}

/* ---- room ------------------------------------------------------------------------------- */

static bool is_contended(const struct share_disk *d)
{
	return d->alone < SHARE_ALONE;
}

/* Alone, a member may fill the disk, and if nobody else is connected to it, its driver's queue too. */
static unsigned depth_now(const struct share_disk *d)
{
	if (d->n_members == 1)
		return UINT32_MAX;
	return is_contended(d) ? MIN(d->depth, SHARE_DEPTH) : d->depth;
}

/* One that has nothing in the disk and is paid up may always give it one request: the disk may be full of another's,
 * given to it while that one was alone, and it would wait for all of them. */
static bool is_owed(const struct share_member *m)
{
	const struct share_guest *g = m->guest;

	return !m->in_flight && g->finish <= m->disk->virtual_time && m->finish <= g->virtual_time;
}

static bool has_room(const struct share_member *m)
{
	const struct share_disk *d = m->disk;

	if (!d->turn_left && is_contended(d) && d->n_members > 1)
		return false;
	return d->in_flight < depth_now(d) || is_owed(m);
}

static void give(struct share_member *m, const struct share_item *item, uint64_t now_ns)
{
	struct share_disk *d = m->disk;
	struct share_guest *g = m->guest;
	uint32_t cost = item->bytes + SHARE_REQUEST_BYTES;

	d->virtual_time = MAX(d->virtual_time, g->finish);
	g->finish = d->virtual_time + cost;
	g->virtual_time = MAX(g->virtual_time, m->finish);
	m->finish = g->virtual_time + cost;
	g->taken += cost;
	if (m->limited)
		use_rate(m, item, now_ns);
	d->in_flight++;
	g->in_flight++;
	m->in_flight++;
	if (d->last_served == m)
		d->alone += d->alone < SHARE_ALONE;
	d->last_served = m;
	d->turn_left -= MIN(d->turn_left, cost);
}

/* Another than the one served last: from here on several use the disk. */
static void note_asking(const struct share_member *m)
{
	struct share_disk *d = m->disk;

	if (d->last_served != m && d->last_served)
		d->alone = 0;
}

/* ---- who is waited for ------------------------------------------------------------------ */

/* Several guests use the disk, and this one has had enough of it lately to be about to come for more. */
static bool comes_back(const struct share_disk *d, const struct share_guest *g)
{
	return d->n_guests > 1 && is_contended(d) && g->taken >= SHARE_AWAITED_BYTES;
}

/* The last of its requests is back. */
static void has_nothing(struct share_disk *d, struct share_guest *g)
{
	if (comes_back(d, g) && !g->awaited) {
		g->awaited = true;
		d->n_awaited++;
		d->awaited_ns = 0;
	}
	g->taken = 0;
}

/* Nobody is given anything until those that are waited for are back, or it takes too long. A disk that has requests
 * in flight is not one that answers at once: there who comes back finds the others no further than that. */
static bool is_waiting_for_one(struct share_disk *d, uint64_t now_ns, uint64_t *out_wake_ns)
{
	if (!d->n_awaited)
		return false;
	if (!d->awaited_ns)
		d->awaited_ns = now_ns + SHARE_AWAITED_NS;
	if (!d->in_flight && now_ns < d->awaited_ns) {
		*out_wake_ns = *out_wake_ns ? MIN(*out_wake_ns, d->awaited_ns) : d->awaited_ns;
		return true;
	}
	for (struct share_guest *g = d->guests; g; g = g->next)
		stop_awaiting(d, g);
	return false;
}

/* ---- the three calls of a request's way ------------------------------------------------- */

static void wait_in_line(struct share_member *m, struct share_item *item)
{
	item->next = NULL;
	*m->last = item;
	m->last = &item->next;
	m->n_waiting++;
	m->guest->n_waiting++;
	m->n_waited++;
}

/* Past those that wait, or that are waited for, goes only who is owed it. */
static bool may_pass(const struct share_member *m)
{
	return !m->first && ((!m->disk->hungry && !m->disk->n_awaited) || is_owed(m)) &&
	       has_room(m);
}

bool share_enter(struct share_member *m, struct share_item *item, uint64_t now_ns)
{
	struct share_disk *d = m->disk;

	note_asking(m);
	stop_awaiting(d, m->guest);
	if (may_pass(m) && !held(m, now_ns)) {
		give(m, item, now_ns);
		return true;
	}
	/* Who waits for its own limit leaves the others their way; share_next finds out who does. */
	if (!held(m, now_ns))
		d->hungry = true;
	wait_in_line(m, item);
	return false;
}

bool share_leave(struct share_member *m)
{
	struct share_disk *d = m->disk;
	struct share_guest *g = m->guest;

	m->in_flight--;
	if (--g->in_flight == 0 && !g->n_waiting)
		has_nothing(d, g);
	return --d->in_flight < depth_now(d) && d->hungry;
}

bool share_wants_turn(const struct share_disk *d)
{
	bool is_timed = d->n_awaited && d->awaited_ns; /* share_next said when */

	return d->hungry && !is_timed && d->in_flight < depth_now(d);
}

void share_turn(struct share_disk *d)
{
	d->turn_left = SHARE_TURN_BYTES;
}

static struct share_item *take_first(struct share_member *m)
{
	struct share_item *item = m->first;

	m->first = item->next;
	m->n_waiting--;
	m->guest->n_waiting--;
	if (!m->first) {
		m->last = &m->first;
		decide_who_passes(m->disk);
	}
	return item;
}

/* Those of one guest go in the order of their own places. */
static bool is_before(const struct share_member *a, const struct share_member *b)
{
	return a->guest == b->guest ? a->finish < b->finish : a->guest->finish < b->guest->finish;
}

/* Whose turn it is, of those who wait and are not held by a limit: by where they would begin, and of the same those
 * who have waited for it longer, since each goes behind when it is served. */
static struct share_member *choose(const struct share_disk *d, uint64_t now_ns, uint64_t *out_wake)
{
	struct share_member *best = NULL;

	*out_wake = 0;
	for (struct share_member *m = d->members; m; m = m->next) {
		if (!m->first)
			continue;
		if (held(m, now_ns)) {
			uint64_t when = may_go_ns(m);

			m->n_held++;
			*out_wake = *out_wake ? MIN(*out_wake, when) : when;
		} else if (!best || is_before(m, best)) {
			best = m;
		}
	}
	return best;
}

struct share_item *share_next(struct share_disk *d, uint64_t now_ns, struct share_member **out_m,
			      uint64_t *out_wake_ns)
{
	struct share_member *m = choose(d, now_ns, out_wake_ns);
	struct share_item *item;

	d->hungry = m != NULL;
	if (!m || is_waiting_for_one(d, now_ns, out_wake_ns) || !has_room(m))
		return NULL;
	item = take_first(m);
	give(m, item, now_ns);
	/* It had what it wanted: what the others get is for when the disk has answered. */
	if (!m->guest->n_waiting && comes_back(d, m->guest))
		d->turn_left = 0;
	*out_m = m;
	return item;
}

/* hungry may stay set without need: the next look finds that. */
struct share_item *share_take_waiting(struct share_member *m)
{
	struct share_item *all = m->first;

	m->first = NULL;
	m->last = &m->first;
	m->guest->n_waiting -= m->n_waiting;
	m->n_waiting = 0;
	decide_who_passes(m->disk);
	return all;
}
