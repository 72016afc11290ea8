/* consfront.c: the guest's end of its console ring: bytes out, bytes in, nothing else.
 *
 * It must work before there is memory and after everything has failed, so all state is in the
 * caller's struct and nothing is called but its notify. Our own indices are kept privately, so
 * that a backend cannot move them; the backend's are fetched once and checked. Callers:
 * kernel/console*.c. Calls only peer.h.
 */
#include <amphi/consfront.h>
#include <amphi/peer.h>
#include <amphi/string.h>

_Static_assert(offsetof(struct xencons_interface, in_cons) == 3072, "as Xen lays it out");

/* out_prod and in_cons are kept in struct consfront: the page's copies are only written. So a
 * backend can hold up our output or invent input, and that is all it can do. */
#define OUT_SIZE ((uint32_t)sizeof(((struct xencons_interface *)0)->out))
#define IN_SIZE  ((uint32_t)sizeof(((struct xencons_interface *)0)->in))

void consfront_init(struct consfront *front, struct xencons_interface *ring,
		    void (*notify)(void *ctx), void *ctx)
{
	*front = (struct consfront){.ring = ring, .notify = notify, .ctx = ctx};
	/* The one time that our own indices are read from the page: a loader or an earlier stage
	 * has written with them, and we go on where it stood. */
	front->out_prod = peer_fetch32(&ring->out_prod);
	front->in_cons = peer_fetch32(&ring->in_cons);
}

/* Room in the output ring; marks it broken when the backend's index cannot be. */
static uint32_t out_room(struct consfront *front)
{
	uint32_t waiting = front->out_prod - peer_fetch32(&front->ring->out_cons);

	if (waiting > OUT_SIZE)
		front->broken = true;
	return front->broken ? 0 : OUT_SIZE - waiting;
}

/* A ring that lies is a ring without a reader: pretending that it took the bytes lets the kernel go
 * on without its console. */
size_t consfront_write(struct consfront *front, const char *bytes, size_t len)
{
	struct xencons_interface *ring = front->ring;
	uint32_t room = front->broken ? 0 : out_room(front);
	uint32_t at = MASK_XENCONS_IDX(front->out_prod, ring->out);
	uint32_t put = (uint32_t)MIN(len, room), first = MIN(put, OUT_SIZE - at);

	if (front->broken)
		return len;
	if (!put)
		return 0;
	peer_mb(); /* the backend was done with the room before it gave it back */
	peer_copy_out(ring->out + at, bytes, first);
	peer_copy_out(ring->out, bytes + first, put - first);
	peer_wmb(); /* the bytes before the index that shows them */
	front->out_prod += put;
	peer_store32(&ring->out_prod, front->out_prod);
	front->notify(front->ctx);
	return put;
}

/* One piece of text, waiting for room as long as the caller allows; false when that ran out. tries
 * bounds the wait without progress, not the whole: a slow reader of a long text is no dead one, and
 * a dead one must not hold a panic. */
static bool write_all(struct consfront *front, const char *bytes, size_t len,
		      void (*relax)(void *ctx), unsigned tries)
{
	unsigned waited = 0;

	while (len) {
		size_t put = consfront_write(front, bytes, len);

		bytes += put;
		len -= put;
		if (put) {
			waited = 0;
			continue;
		}
		if (waited++ >= tries)
			return false;
		relax(front->ctx);
	}
	return true;
}

/* Lines are written whole where they fit, so that two writers in turn do not mix within one. */
size_t consfront_write_text(struct consfront *front, const char *text, size_t len,
			    void (*relax)(void *ctx), unsigned tries)
{
	size_t done = 0;

	while (done < len) {
		size_t line = 0;

		while (done + line < len && text[done + line] != '\n')
			line++;
		if (!write_all(front, text + done, line, relax, tries))
			return done;
		done += line;
		if (done == len)
			break;
		/* The ring is a terminal's line, not a file: a bare newline would leave the cursor
		 * where it is. */
		if (!write_all(front, "\r\n", 2, relax, tries))
			return done;
		done++;
	}
	return done;
}

/* Notifies only when it took something: the backend may be waiting for the room. */
size_t consfront_read(struct consfront *front, char *bytes, size_t cap)
{
	struct xencons_interface *ring = front->ring;
	uint32_t there, at = MASK_XENCONS_IDX(front->in_cons, ring->in), take, first;

	if (front->broken)
		return 0;
	there = peer_fetch32(&ring->in_prod) - front->in_cons;
	if (there > IN_SIZE) {
		front->broken = true;
		return 0;
	}
	peer_rmb(); /* the bytes were there before the index */
	take = (uint32_t)MIN(cap, there);
	first = MIN(take, IN_SIZE - at);
	peer_copy_in(bytes, ring->in + at, first);
	peer_copy_in(bytes + first, ring->in, take - first);
	if (!take)
		return 0;
	peer_mb(); /* they are read before their room is given back */
	front->in_cons += take;
	peer_store32(&ring->in_cons, front->in_cons);
	front->notify(front->ctx);
	return take;
}

bool consfront_drained(const struct consfront *front)
{
	return front->broken || peer_fetch32(&front->ring->out_cons) == front->out_prod;
}
