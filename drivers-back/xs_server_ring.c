/* xs_server_ring.c: carries bytes between a domain's shared page and its connection.
 *
 * Called from the domain's event and from the connection's own work. One turn is bounded: a domain
 * that sends without end is served in turn with the others, through the worker's queue. It is
 * told once a turn, whatever was taken or given. Calls xs_server_conn.c, host.h.
 */
#include "xs_server_impl.h"

/* A piece is at most a message's head or PIECE_MAX of its payload; 64 are 20 or 30 small requests.
 */
#define PIECES_PER_TURN 64u
#define PIECE_MAX       512u

/* How much of what is to be sent has room. Negative: the ring is not usable. */
static int push(struct xs_conn *conn)
{
	const void *bytes;
	size_t len;
	int put, all = 0;

	/* Ends with the ring's room at the latest: what the guest gives back meanwhile adds at most
	 * what is queued for it, which the quotas bound. */
	while ((len = xs_conn_output(conn, &bytes))) {
		put = xs_ring_put(conn->ring, XS_SIDE_SERVER, bytes, len);
		if (put <= 0)
			return put < 0 ? put : all;
		xs_conn_sent(conn, (size_t)put);
		all += put;
	}
	return all;
}

/* The piece goes through private memory: the connection checks what cannot change any more. */
static int pull(struct xs_conn *conn)
{
	char piece[PIECE_MAX];
	size_t want = MIN(xs_conn_wants(conn), sizeof(piece));
	int got = want ? xs_ring_take(conn->ring, XS_SIDE_SERVER, piece, want) : 0;

	if (got > 0)
		xs_conn_input(conn, piece, (size_t)got);
	return got;
}

/* The domain asks to begin anew (it was restarted with the same page): all it had is dropped. */
static void reconnect(struct xs_conn *conn)
{
	struct xenstore_domain_interface *ring = conn->ring;

	/* Its watches, transactions and half a request belonged to a client that is no more
	 * (xs_wire.h, XENSTORE_RECONNECT). Its nodes stay: they are the domain's. */
	xs_conn_reset(conn);
	peer_store32(&ring->req_cons, 0);
	peer_store32(&ring->req_prod, 0);
	peer_store32(&ring->rsp_cons, 0);
	peer_store32(&ring->rsp_prod, 0);
	peer_wmb(); /* it looks at the indices once it sees the state */
	peer_store32(&ring->connection, XENSTORE_CONNECTED);
	host_event_notify(conn->port);
}

/* Output goes first: what waits to be sent keeps requests from being taken. The loop ends when
 * there is nothing to take, or no room to answer; either way the domain's next notification brings
 * us back, because it comes after its index and we look at the index after we were told. */
static void turn(void *ctx)
{
	struct xs_conn *conn = ctx;
	unsigned pieces = 0;
	bool moved = false;
	int out = 0, in = 1;

	if (conn->broken)
		return;
	if (peer_fetch32(&conn->ring->connection) == XENSTORE_RECONNECT)
		reconnect(conn);
	conn->pumping = true;
	while (in > 0 && out >= 0 && !conn->broken && pieces++ < PIECES_PER_TURN) {
		out = push(conn);
		in = pull(conn);
		moved |= out > 0 || in > 0;
	}
	conn->pumping = false;
	if ((out < 0 || in < 0) && !conn->broken)
		xs_conn_fail(conn, XENSTORE_ERROR_RINGIDX, "its ring's indices are impossible");
	if (moved || conn->broken)
		host_event_notify(conn->port);
	else
		host_event_spurious(conn->port);
	if (in > 0 && !conn->broken)
		host_work_soon(&conn->work);
}

/* The indices are left as they are: a domain may have put requests there before it was introduced.
 * Our own index is in the page too, where the domain can change it: that harms its own stream only.
 */
int xs_ring_attach(struct xs_conn *conn, uint32_t peer_port)
{
	gref_t ref = {GNTTAB_RESERVED_XENSTORE};
	void *page;
	int status = host_ring_map(conn->domid, &ref, 1, &page);

	if (status)
		return status;
	conn->work = (struct host_work){.fn = turn, .ctx = conn};
	status = host_event_bind(conn->domid, peer_port, turn, conn, &conn->port);
	if (status) {
		host_ring_unmap(page, 1);
		return status;
	}
	conn->ring = page;
	peer_store32(&conn->ring->server_features,
		     XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	peer_store32(&conn->ring->error, XENSTORE_ERROR_NONE);
	peer_store32(&conn->ring->connection, XENSTORE_CONNECTED);
	host_work_soon(&conn->work); /* it may have asked before anybody listened */
	return 0;
}

void xs_ring_detach(struct xs_conn *conn)
{
	host_work_cancel(&conn->work);
	host_event_close(conn->port);
	host_ring_unmap(conn->ring, 1);
	conn->ring = NULL;
}
