/* pv_back.h: what test guests share that play a backend, of whatever kind of device.
 *
 * The first device of a kind that another domain has of us, its pages, and the walk through the states; rings and what is in
 * them are the guest's own. It stands on pv_peer.h. Not for guests that play a frontend (pv_front.h).
 */
#ifndef GUEST_PV_BACK_H
#define GUEST_PV_BACK_H

#include "pv_peer.h"
#include <xen/io/xenbus.h>

static char back[PEER_TEXT], front[PEER_TEXT];
static domid_t front_id;

/* ---- pages of the other ---------------------------------------------------------------------- */

static inline int map(uint32_t ref, volatile void *at, uint32_t flags, uint32_t *handle)
{
	struct gnttab_map_grant_ref a = {.host_addr = (uint64_t)at,
					 .flags = GNTMAP_host_map | flags,
					 .ref = ref,
					 .dom = front_id};

	if (hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (uint64_t)&a, 1, 0))
		return -1;
	*handle = a.handle;
	return a.status;
}

static inline void unmap(volatile void *at, uint32_t handle)
{
	struct gnttab_unmap_grant_ref a = {.host_addr = (uint64_t)at, .handle = handle};

	hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (uint64_t)&a, 1, 0);
}

/* How many pages are to be had that nobody gave: the hypervisor's word is what counts, and the frontend never hears of it.
 * From 0 up to 7, which no frontend offers, and from 3900 to 4000. */
static inline int maps_of_nobody(volatile void *at)
{
	uint32_t handle;
	int n = 0;

	for (uint32_t ref = 0; ref < 4000; ref = ref == 7 ? 3900 : ref + 1)
		if (map(ref, at, 0, &handle) == GNTST_okay) {
			unmap(at, handle);
			n++;
		}
	return n;
}

static inline uint32_t bind_port(uint32_t remote)
{
	struct evtchn_bind_interdomain bind = {.remote_dom = front_id, .remote_port = remote};

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, (uint64_t)&bind, 0, 0);
	return bind.local_port;
}

/* ---- states ---------------------------------------------------------------------------------- */

static inline void state(unsigned s)
{
	store_number(back, "state", s);
}

static inline int closed(void)
{
	unsigned s = (unsigned)text_value(store_read(front, "state"));

	return s != XenbusStateConnected && s != XenbusStateInitialised;
}

static inline void states_in_any_order(void)
{
	uint32_t x = 4711;

	for (unsigned i = 0; i < 200; i++) {
		x = x * 1103515245 + 12345;
		state(x >> 16 & 15);
	}
}

/* The first directory below another: whose device, and which. */
static inline void back_find(const char *root)
{
	char *at;

	text_put(back, root);
	for (unsigned level = 0; level < 2; level++) {
		while (store_ask(XS_DIRECTORY, back, "", 0) <= 1)
			yield();
		at = text_put(back + length(back), "/");
		text_put(at, store_answer);
	}
	text_put(front, store_read(back, "frontend"));
	front_id = (domid_t)text_value(store_read(back, "frontend-id"));
}

#endif
