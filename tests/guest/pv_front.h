/* pv_front.h: what test guests share that play a frontend, of whatever kind of device.
 *
 * The walk through the states, the one event channel, and back to the beginning from anywhere; rings and what is in
 * them are the guest's own. It stands on pv_peer.h. Not for guests that play a backend (pv_back.h).
 */
#ifndef GUEST_PV_FRONT_H
#define GUEST_PV_FRONT_H

#include "pv_peer.h"
#include <xen/io/xenbus.h>

static const char *front; /* our directory */
static char back[PEER_TEXT];
static domid_t back_id;
static uint32_t port;
static int connected;

/* Once, before all else: dir is our device's directory. */
static inline void front_find(const char *dir)
{
	front = dir;
	text_put(back, store_read(front, "backend"));
	back_id = (domid_t)text_value(store_read(front, "backend-id"));
}

static inline void state(unsigned s)
{
	store_number(front, "state", s);
}

static inline int backend_is_there(void)
{
	return text_value(store_read(back, "state")) == XenbusStateConnected;
}

/* Back to the beginning, whatever has been: every grant from `from` up to `to` that the backend has not let go of keeps
 * us waiting. */
static inline int front_begin(uint32_t from, uint32_t to)
{
	uint64_t end;

	state(XenbusStateClosing);
	store_wait(back, "state",
		   1u << XenbusStateClosing | 1u << XenbusStateClosed | 1u << XenbusStateInitWait);
	state(XenbusStateClosed);
	store_wait(back, "state", 1u << XenbusStateClosed | 1u << XenbusStateInitWait);
	if (port)
		port_close(port);
	port = 0;
	end = now_ns() + PEER_WAIT;
	for (uint32_t ref = from; ref < to; ref++)
		while (!grant_end(ref) && now_ns() < end)
			yield();
	connected = 0;
	state(XenbusStateInitialising);
	return store_wait(back, "state", 1u << XenbusStateInitWait) != 0;
}

/* All is offered: says so by this state, and whether the backend connects. */
static inline int front_finish(unsigned offered)
{
	state(offered);
	if (store_wait(back, "state",
		       1u << XenbusStateConnected | 1u << XenbusStateClosed |
			   1u << XenbusStateClosing) != XenbusStateConnected)
		return 0;
	state(XenbusStateConnected);
	connected = 1;
	return 1;
}

/* Nonsense of every kind, fast. */
static inline void states_in_any_order(void)
{
	uint32_t x = 12345;

	for (unsigned i = 0; i < 300; i++) {
		x = x * 1103515245 + 12345;
		state(x >> 16 & 15);
	}
	store_write(front, "state", "Connected");
	store_write(front, "state", "");
	connected = 0;
}

/* A key of our directory becomes value, or is taken away (NULL). */
static inline void set_key(const char *key, const char *value)
{
	if (value)
		store_write(front, key, value);
	else
		store_remove(front, key);
}

#endif
