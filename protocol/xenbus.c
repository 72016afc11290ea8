/* xenbus.c: one half of a device moves through its states.
 *
 * A table says, for (our side, our state, the peer's state), what to do and what to become; the
 * engine reads the peer's state after each event and applies rules until none fits. Drivers fill
 * in the doing (struct xenbus_ops). Not here: finding devices (xenbus_class.c). Worker context.
 *
 *      front                         back
 *   Initialising                  Initialising
 *        |                             | open()
 *        |                          InitWait  ----------------.
 *        | <------- sees 2 ----------' ^                      |
 *        | open()                      | starts anew (1)      |
 *   Initialised                        |                      |
 *        '--------- sees 3 ----------> | connect()            |
 *        .--------- sees 4 ---------- Connected               |
 *        | connect()                   | sees 5: Closing      |
 *   Connected                          | sees 6 or nothing    |
 *        | sees 5, 6, less than 3      | disconnect()         |
 *        | disconnect()                v                      |
 *      Closed  -- sees 1, 2, 6: begin  Closed  -- sees 1 -----'
 *
 * A class that is `at_once` (network interfaces) has no Initialised in the store: a front half that has
 * opened says Connected there, and by that its back half connects. In here it is Initialised all the same.
 *
 * A front half in Closed begins again when a (new) backend is at its beginning: so a service domain
 * may be replaced under it. It begins too when both are Closed and the backend is not being removed: a driver that was
 * unbound from the backend, and bound again, waits so for us.
 */
#include <amphi/string.h>

#include "xenbus_private.h"

/* A bound, not a count: between two of our writes a peer may go on to its next state, and a hostile
 * one forever. The longest honest walk is Closed, Initialising, InitWait, Connected; what is left
 * after the bound comes with the next watch event. */
#define MAX_STEPS 6
#define FORCE_NS  5000000000ull /* of the 10 s that a toolstack waits for a removed backend */
/* A peer that is Closed again as soon as we begin is followed this often, so it costs nearly nothing. */
#define RETURN_NS 3000000000ull

enum action { KEEP, OPEN, CONNECT, DROP };
/* IF_ONLINE: not while the toolstack removes the device. IF_RETURNS: may_return() */
enum condition { ALWAYS, IF_ONLINE, IF_RETURNS };

/* Sets of peer states, one bit each, so that a rule names all that lead to it. */
#define S(state)  (1u << (state))
#define ANY       0x1ffu
#define S_NONE    0
#define S_INIT    XenbusStateInitialising
#define S_WAIT    XenbusStateInitWait
#define S_READY   XenbusStateInitialised
#define S_CONN    XenbusStateConnected
#define S_CLOSING XenbusStateClosing
#define S_CLOSED  XenbusStateClosed

/* Ours, any of the peer's: what to do, what to be then. A DROP enters its next state only when the
 * driver has let go of everything. The numbers in the diagram are the peer's: 1 Initialising, 2
 * InitWait, 3 Initialised, 4 Connected, 5 Closing, 6 Closed (xen/io/xenbus.h). What is not obvious
 * about the rows:
 *
 *   front Initialising  a backend that goes on to Initialised by itself has said what it can
 *                       as well.
 *   front Connected     a peer below Initialised is a backend that died and was made anew: it
 *                       does not know us, and we would wait for its Closed for ever.
 *   back InitWait       a peer that closes before it ever connected: Closing, so that it sees that
 *                       we have noticed, and from there as everyone.
 *   back Connected      Initialising again is a frontend that rebooted (kexec, a crash kernel)
 *                       without a word: its old rings are dropped first.
 *   front Closed        Linux's back, when it sees us Closed before we have seen it begin, is Closed as well, and
 *                       begins when we do. Its Closed is also the end of a removal: then it is not online.
 *   IF_ONLINE           no row that begins anything serves a device that is being removed. */
static const struct rule {
	uint8_t side, ours;
	uint16_t peers;
	uint8_t condition, action, next;
} rules[] = {
    {XENBUS_FRONT, S_INIT, S(S_WAIT) | S(S_READY), ALWAYS, OPEN, S_READY},
    {XENBUS_FRONT, S_READY, S(S_CONN), ALWAYS, CONNECT, S_CONN},
    {XENBUS_FRONT, S_READY, S(S_NONE) | S(S_CLOSING) | S(S_CLOSED), ALWAYS, DROP, S_CLOSED},
    {XENBUS_FRONT, S_CONN, S(S_NONE) | S(S_INIT) | S(S_WAIT) | S(S_CLOSING) | S(S_CLOSED), ALWAYS,
     DROP, S_CLOSED},
    {XENBUS_FRONT, S_CLOSED, S(S_INIT) | S(S_WAIT), ALWAYS, KEEP, S_INIT},
    {XENBUS_FRONT, S_CLOSED, S(S_CLOSED), IF_RETURNS, KEEP, S_INIT},

    {XENBUS_BACK, S_INIT, ANY, IF_ONLINE, OPEN, S_WAIT},
    {XENBUS_BACK, S_WAIT, S(S_READY), IF_ONLINE, CONNECT, S_CONN},
    {XENBUS_BACK, S_WAIT, S(S_CLOSING), ALWAYS, KEEP, S_CLOSING},
    {XENBUS_BACK, S_CONN, S(S_NONE) | S(S_CLOSED), ALWAYS, DROP, S_CLOSED},
    {XENBUS_BACK, S_CONN, S(S_INIT), IF_ONLINE, DROP, S_INIT},
    {XENBUS_BACK, S_CONN, S(S_CLOSING), ALWAYS, KEEP, S_CLOSING},
    {XENBUS_BACK, S_CLOSING, S(S_NONE) | S(S_CLOSED), ALWAYS, DROP, S_CLOSED},
    {XENBUS_BACK, S_CLOSING, S(S_INIT), IF_ONLINE, DROP, S_INIT},
    {XENBUS_BACK, S_CLOSED, S(S_INIT), IF_ONLINE, KEEP, S_INIT},
};

static const char *const state_names[] = {
    "Unknown", "Initialising", "InitWait",      "Initialised",  "Connected",
    "Closing", "Closed",       "Reconfiguring", "Reconfigured",
};

const char *xenbus_state_name(unsigned state)
{
	return state < ARRAY_SIZE(state_names) ? state_names[state] : "?";
}

/* The states that only one half has: a front half never waits for a peer to begin, and a back half
 * has no ring to offer. peer_state is ours too: read_peer_state has reduced what the peer wrote. */
static void check_invariants(const struct xenbus_device *dev)
{
	HOST_ASSERT(dev->state >= S_INIT && dev->state <= S_CLOSED);
	HOST_ASSERT(dev->peer_state < ARRAY_SIZE(state_names));
	HOST_ASSERT(dev->side == XENBUS_BACK || dev->state != S_WAIT);
	HOST_ASSERT(dev->side == XENBUS_FRONT || dev->state != S_READY);
}

/* The peer's state as the rows know it. At once, a front half that has offered its rings to a backend that is now
 * another one offers anew: it cannot say Initialised a second time. */
static uint8_t peer_state(const struct xenbus_device *dev)
{
	if (!dev->class->kind->at_once)
		return dev->peer_state;
	if (dev->side == XENBUS_BACK && dev->state == S_WAIT && dev->peer_state == S_CONN)
		return S_READY;
	if (dev->side == XENBUS_FRONT && dev->state == S_READY && dev->peer_state == S_INIT)
		return S_CLOSED;
	return dev->peer_state;
}

/* Both halves are Closed, by the peer's wish, and it is to be served: its toolstack says so. What we have ended ourselves
 * (xenbus_fail) we do not begin with the same peer. */
static bool waits_for_us(const struct xenbus_device *dev)
{
	static const struct xenbus_number online = {"online", 0, 1, 0, false};
	uint64_t is_online;

	return dev->side == XENBUS_FRONT && dev->state == S_CLOSED && dev->peer_state == S_CLOSED &&
	       dev->parted &&
	       xenbus_read_numbers(HOST_TX_NONE, dev->peer_path, &online, 1, &is_online) == 0 &&
	       is_online;
}

static bool holds(const struct xenbus_device *dev, enum condition condition)
{
	if (condition == IF_RETURNS)
		return host_time_ns() >= dev->return_ns && waits_for_us(dev);
	return condition == ALWAYS || dev->online;
}

/* The first row that fits; no two can, since the rows of one state have disjoint peers. */
static const struct rule *find_rule(const struct xenbus_device *dev)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rules) && !dev->stuck; i++) {
		const struct rule *r = &rules[i];

		if (r->side == dev->side && r->ours == dev->state &&
		    r->peers & S(peer_state(dev)) && holds(dev, r->condition))
			return r;
	}
	return NULL;
}

/* Only into a directory that is still there: a write to a path that the toolstack has just removed
 * would make it again. */
static int put_state(uint32_t tx, void *ctx)
{
	struct xenbus_device *dev = ctx;
	char old[8];
	int err = xenbus_read_text(tx, dev->path, "state", old, sizeof(old));

	if (err == -XEN_ENOENT)
		return err;
	if (dev->class->kind->at_once && dev->state == S_READY)
		return xenbus_write_number(tx, dev->path, "state", S_CONN);
	return xenbus_write_number(tx, dev->path, "state", dev->state);
}

static void enter(struct xenbus_device *dev, uint8_t state)
{
	int err;

	/* The field first, so that a callback or a log line that the write provokes sees where we
	 * are. In the store it is the last word: what the driver wrote in open() is there before
	 * the peer can read a state that sends it to look. */
	dev->state = state;
	check_invariants(dev);
	if (dev->removed ||
	    (dev->class->kind->at_once && dev->side == XENBUS_FRONT && state == S_CONN))
		return; /* the latter has been said */
	err = xenbus_transaction(put_state, dev);
	if (err && err != -XEN_ENOENT)
		host_log(HOST_LOG_WARN, "%s: state %s not written (%d)", dev->path,
			 xenbus_state_name(state), err);
}

/* The last step of a removal that the toolstack began: our directory is ours to delete. */
static void finish_removal(struct xenbus_device *dev)
{
	if (dev->side != XENBUS_BACK || dev->online || dev->removed || dev->state != S_CLOSED)
		return;
	host_store_rm(HOST_TX_NONE, dev->path);
	xenbus_remove(dev);
}

/* The next state is not written while a driver still has the peer's pages mapped or requests at a
 * device: a frontend that reads Closed ends its grants and reuses the pages. */
static void drop(struct xenbus_device *dev, uint8_t next)
{
	dev->after_drop = next;
	dev->reconfigured = false;
	dev->dropping = !dev->ops->disconnect(dev);
	if (!dev->dropping)
		enter(dev, next);
}

static void apply(struct xenbus_device *dev, const struct rule *r)
{
	int err = 0;

	if (r->condition == IF_RETURNS)
		dev->return_ns = host_time_ns() + RETURN_NS;
	if (r->action == DROP) {
		dev->parted = true;
		drop(dev, r->next);
		return;
	}
	/* What an op has done by the time it fails is undone by disconnect(), "from any point": so
	 * there is one way out of a connection and not two. */
	if (r->action == OPEN)
		err = dev->ops->open(dev);
	if (err == -XEN_EAGAIN && dev->online) {
		dev->later = true; /* until xenbus_again, or another reason to look */
		return;
	} else if (r->action == CONNECT)
		err = dev->ops->connect(dev);
	if (err) {
		host_log(HOST_LOG_ERROR, "%s: no connection with domain %u (%d)", dev->path,
			 dev->peer, err);
		dev->stuck = true;
		dev->parted = false;
		drop(dev, S_CLOSED);
		return;
	}
	enter(dev, r->next);
	/* What a peer said before it could have read ours is about another backend's rings. */
	if (dev->class->kind->at_once && r->next == S_WAIT && dev->peer_state == S_CONN)
		dev->stuck = true;
}

/* After a step that failed the same state of the peer does not lead to it again. */
static void read_peer_state(struct xenbus_device *dev)
{
	uint8_t old = dev->peer_state;
	char text[8];
	uint64_t state = S_NONE;
	int err = xenbus_read_text(HOST_TX_NONE, dev->peer_path, "state", text, sizeof(text));

	if (err > 0 && !xenbus_parse_number(text, ARRAY_SIZE(state_names) - 1, &state))
		state = S_NONE; /* nonsense is as good as nothing */
	dev->peer_state = (uint8_t)state;
	if (dev->peer_state != old)
		dev->stuck = false;
}

/* A removal that the peer does not follow in time goes on without it. */
static bool overdue(const struct xenbus_device *dev)
{
	return dev->force_ns && host_time_ns() >= dev->force_ns && dev->state != S_CLOSED;
}

static void step(struct xenbus_device *dev)
{
	/* Asked for by xenbus_fail from somewhere inside the driver; done here, where nobody is. */
	if (dev->failing && !dev->dropping && !dev->removed) {
		dev->failing = dev->parted = false;
		drop(dev, S_CLOSED);
	}
	dev->later = false;
	for (int i = 0; i < MAX_STEPS && !dev->dropping && !dev->removed && !dev->later; i++) {
		const struct rule *r;

		read_peer_state(dev);
		r = find_rule(dev);
		if (r)
			apply(dev, r);
		else if (overdue(dev))
			drop(dev, S_CLOSED);
		else
			break;
	}
	/* Offline, and the peer does not follow: the timer brings us back when the removal is
	 * overdue. */
	if (!dev->online && !dev->removed && dev->state != S_CLOSED && !dev->dropping)
		host_work_after(&dev->work, FORCE_NS);
	if (!dev->dropping && !dev->removed && waits_for_us(dev))
		host_work_after(&dev->work, dev->return_ns - MIN(dev->return_ns, host_time_ns()));
	if (!dev->dropping)
		finish_removal(dev);
}

static void on_work(void *ctx)
{
	step(ctx);
}

/* Said in the store alone: for us the device stays Connected, and so does the stock drivers' own. A toolstack writes there, too, and what it asks
 * for meanwhile stands. */
struct said {
	struct xenbus_device *dev;
	unsigned state;
	char after; /* only if that digit is there still; 0: in any case */
};

static int put_said(uint32_t tx, void *ctx)
{
	const struct said *said = ctx;
	const char *path = said->dev->path;
	char old[8];
	int err = xenbus_read_text(tx, path, "state", old, sizeof(old));

	if (err == -XEN_ENOENT)
		return err;
	if (said->after && (err < 0 || old[0] != said->after))
		return 0;
	return xenbus_write_number(tx, path, "state", said->state);
}

/* The peer, Connected as we are, has more to tell. */
static void reconfigure(struct xenbus_device *dev)
{
	bool front = dev->side == XENBUS_FRONT;
	struct said said = {dev, front ? XenbusStateReconfiguring : XenbusStateReconfigured};

	if (dev->state != S_CONN || dev->dropping || dev->removed)
		return;
	if (dev->peer_state == XenbusStateReconfiguring && dev->ops->reconfigure) {
		dev->ops->reconfigure(dev);
	} else if (front && dev->peer_state == XenbusStateReconfigured && dev->ops->reconfigured) {
		dev->ops->reconfigured(dev);
		said.state = S_CONN;
	} else if (!front && dev->reconfigured && dev->peer_state == S_CONN) {
		dev->ops->reconfigured(dev);
		said.state = S_CONN;
		said.after = '0' + XenbusStateReconfigured; /* else we are asked anew */
	} else {
		return;
	}
	dev->reconfigured = dev->ops->reconfigured && said.state == XenbusStateReconfigured;
	(void)xenbus_transaction(put_said, &said);
}

/* Connected before and after: the write that woke us was of a state that we had seen. */
static void on_peer(void *ctx, const char *changed_path)
{
	struct xenbus_device *dev = ctx;
	bool connected = dev->state == S_CONN && dev->peer_state == S_CONN;

	(void)changed_path;
	step(dev);
	reconfigure(dev);
	if (connected && dev->state == S_CONN && dev->peer_state == S_CONN && !dev->dropping &&
	    !dev->removed && dev->ops->peer_changed)
		dev->ops->peer_changed(dev);
}

/* Also when the work waits for the moment of force already. A work item that is queued is not moved
 * by queueing it again. */
static void step_soon(struct xenbus_device *dev)
{
	host_work_cancel(&dev->work);
	host_work_soon(&dev->work);
}

void xenbus_again(struct xenbus_device *dev)
{
	if (dev->later)
		step_soon(dev);
}

int xenbus_adopt(struct xenbus_device *dev)
{
	char path[STORE_PATH_MAX];
	int err;

	/* The watch fires once by itself (xenstore.txt), which is the first step; nothing here
	 * needs to know whether the peer came before us. */
	dev->work = (struct host_work){.fn = on_work, .ctx = dev};
	dev->online = true;
	enter(dev, S_INIT);
	if (!xenbus_join(path, dev->peer_path, "state"))
		return -XEN_E2BIG;
	err = host_store_watch(path, on_peer, dev, &dev->watch);
	if (!err)
		xenbus_own_changed(dev);
	return err;
}

void xenbus_let_go(struct xenbus_device *dev)
{
	host_work_cancel(&dev->work);
	HOST_ASSERT(dev->side == XENBUS_FRONT);
	/* A front half waits for its peer when asked once; in this world nobody will answer. */
	if (!dev->dropping && !dev->ops->disconnect(dev))
		dev->dropping = true;
	if (dev->dropping)
		(void)dev->ops->disconnect(dev);
	dev->dropping = false;
	if (dev->watch)
		host_store_unwatch(dev->watch);
	dev->watch = NULL;
	dev->failing = dev->stuck = dev->parted = dev->moving = false;
	dev->peer_state = S_NONE;
}

/* A missing key is no order: a directory made by hand for a test has none, and is online. */
static bool told_to_go(const struct xenbus_device *dev)
{
	static const struct xenbus_number online = {"online", 0, 1, 1, false};
	uint64_t is_online;

	return xenbus_read_numbers(HOST_TX_NONE, dev->path, &online, 1, &is_online) == 0 &&
	       !is_online;
}

/* A toolstack removes a backend by online = 0 and state = 5, at once or in this order, so each
 * is looked at by itself. */
void xenbus_own_changed(struct xenbus_device *dev)
{
	static const struct xenbus_number state = {"state", 0, S_CLOSED, 0, false};
	uint64_t now;

	if (dev->side != XENBUS_BACK || dev->removed)
		return;
	if (dev->online && told_to_go(dev)) {
		dev->online = false;
		dev->force_ns = host_time_ns() + FORCE_NS;
		host_work_after(&dev->work, FORCE_NS);
	}
	if (dev->online && dev->ops->changed)
		dev->ops->changed(dev);
	if (dev->online || dev->dropping || dev->state == S_CLOSED)
		return;
	/* The toolstack wrote Closing over our state; our field follows, or the next rule would
	 * start from a state that nobody else sees. */
	if (xenbus_read_numbers(HOST_TX_NONE, dev->path, &state, 1, &now) == 0 && now == S_CLOSING)
		dev->state = S_CLOSING;
	step(dev);
}

/* No state is written for the peer that was: the toolstack has written the one that the next begins with. */
void xenbus_move(struct xenbus_device *dev)
{
	if (dev->removed || dev->moving)
		return;
	if (dev->watch)
		host_store_unwatch(dev->watch);
	dev->watch = NULL;
	host_work_cancel(&dev->work);
	dev->moving = true;
	dev->after_drop = S_CLOSED; /* if it is removed before that */
	dev->stuck = dev->parted = dev->later = dev->reconfigured = false;
	if (!dev->dropping)
		dev->dropping = !dev->ops->disconnect(dev);
	if (!dev->dropping)
		xenbus_class_moved(dev);
}

void xenbus_remove(struct xenbus_device *dev)
{
	/* No state is written from here on (see enter): the directory is gone, or about to go. */
	dev->removed = true;
	if (!dev->dropping)
		drop(dev, S_CLOSED);
	xenbus_class_reap(dev->class);
}

void xenbus_close(struct xenbus_device *dev)
{
	if (dev->side != XENBUS_BACK || dev->dropping || dev->removed ||
	    (dev->state != S_WAIT && dev->state != S_CONN))
		return;
	enter(dev, S_CLOSING);
	step_soon(dev);
}

void xenbus_fail(struct xenbus_device *dev, const char *why)
{
	/* Only the first reason is logged: the rest are mostly its consequences, and a peer must
	 * not fill the log. */
	if (dev->failing)
		return;
	dev->failing = true;
	host_log(HOST_LOG_WARN, "%s: domain %u: %s; connection closed", dev->path, dev->peer, why);
	step_soon(dev);
}

void xenbus_disconnected(struct xenbus_device *dev)
{
	HOST_ASSERT(dev->dropping);
	dev->dropping = false;
	if (dev->moving && !dev->removed) {
		xenbus_class_moved(dev);
		return;
	}
	/* Though removed in the meantime: enter() then writes nothing, and the class frees the
	 * device. */
	enter(dev, dev->after_drop);
	if (dev->removed)
		xenbus_class_reap(dev->class);
	else
		step_soon(dev);
}
