/* pv_peer.h: what test guests share that speak to another domain: the store, ports, grants.
 *
 * Beside pv.h, and as simple: one request in the store at a time, and waiting is yielding, with a
 * clock. Frames are granted by entries of version 1. Included by guests that play one half of a
 * split driver; not by those that only ask the hypervisor.
 */
#ifndef GUEST_PV_PEER_H
#define GUEST_PV_PEER_H

#include "pv.h"
#include <xen/io/xs_wire.h>

#define PEER_PAGE  4096u
#define PEER_TEXT  1024u
#define PEER_WAIT  5000000000ull /* ns, for the other side to answer */
#define PEER_GRANT 8u            /* the first reference that is ours to use */

static struct start_info *peer_info;
static volatile uint8_t peer_table[PEER_PAGE] __attribute__((aligned(4096)));
static volatile struct grant_entry_v1 *const peer_grants = (volatile void *)peer_table;

static inline uint64_t peer_frame(const volatile void *p)
{
	return ((const uint64_t *)peer_info->mfn_list)[(uint64_t)p >> 12];
}

static inline void yield(void)
{
	hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
}

/* shared_info is not mapped: its frame is the hypervisor's own, so it is put where a page of ours was. */
static uint8_t peer_shared_page[PEER_PAGE] __attribute__((aligned(4096)));

static inline uint64_t now_ns(void)
{
	return clock_of(&((struct shared_info *)peer_shared_page)->vcpu_info[0].time);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static inline char *text_put(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = 0;
	return to;
}

static inline char *text_number(char *to, uint64_t v)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*to++ = digits[--n];
	*to = 0;
	return to;
}

static inline int text_is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static inline uint64_t text_value(const char *s)
{
	uint64_t v = 0;

	while (*s >= '0' && *s <= '9')
		v = v * 10 + (uint64_t)(*s++ - '0');
	return v;
}

static inline void copy_bytes(volatile void *to, const volatile void *from, uint64_t n)
{
	volatile uint8_t *d = to;
	const volatile uint8_t *s = from;

	while (n--)
		*d++ = *s++;
}

/* ---- the store ------------------------------------------------------------------------------- */

static inline struct xenstore_domain_interface *store_ring(void)
{
	const uint64_t *machine_to_phys = (const uint64_t *)HYPERVISOR_VIRT_START;

	return (void *)(machine_to_phys[peer_info->store_mfn] << 12);
}

static inline void notify(uint32_t port)
{
	struct evtchn_send send = {.port = port};

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0, 0);
}

static inline void store_put(const void *bytes, uint32_t n)
{
	volatile struct xenstore_domain_interface *ring = store_ring();
	const char *s = bytes;

	while (n) {
		if (ring->req_prod - ring->req_cons == XENSTORE_RING_SIZE) {
			notify(peer_info->store_evtchn); /* more than fits at once */
			yield();
			continue;
		}
		ring->req[MASK_XENSTORE_IDX(ring->req_prod)] = *s++;
		__atomic_thread_fence(__ATOMIC_RELEASE);
		ring->req_prod++;
		n--;
	}
}

static inline void store_get(void *bytes, uint32_t n)
{
	volatile struct xenstore_domain_interface *ring = store_ring();
	char *d = bytes;

	while (n) {
		if (ring->rsp_prod == ring->rsp_cons) {
			yield();
			continue;
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		*d++ = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons)];
		ring->rsp_cons++;
		n--;
	}
}

static char store_answer[4097];

/* Asks, and waits for the answer, which is in store_answer. -1: it is an error. */
static inline int store_ask(uint32_t type, const char *path, const char *value, uint32_t value_len)
{
	uint32_t path_len = (uint32_t)length(path) + 1;
	struct xsd_sockmsg msg = {.type = type, .len = path_len + value_len};

	store_put(&msg, sizeof(msg));
	store_put(path, path_len);
	store_put(value, value_len);
	notify(peer_info->store_evtchn);
	store_get(&msg, sizeof(msg));
	store_get(store_answer, msg.len);
	store_answer[msg.len] = 0;
	notify(peer_info->store_evtchn);
	return msg.type == XS_ERROR ? -1 : (int)msg.len;
}

static char store_path[PEER_TEXT];

static inline const char *path_of(const char *dir, const char *key)
{
	text_put(text_put(text_put(store_path, dir), "/"), key);
	return store_path;
}

static inline int store_write(const char *dir, const char *key, const char *value)
{
	return store_ask(XS_WRITE, path_of(dir, key), value, (uint32_t)length(value));
}

static inline int store_number(const char *dir, const char *key, uint64_t value)
{
	char text[24];

	text_number(text, value);
	return store_write(dir, key, text);
}

static inline void store_remove(const char *dir, const char *key)
{
	store_ask(XS_RM, path_of(dir, key), "", 0);
}

/* The text of a node, "" when there is none. */
static inline const char *store_read(const char *dir, const char *key)
{
	return store_ask(XS_READ, path_of(dir, key), "", 0) < 0 ? "" : store_answer;
}

/* Waits until the number at dir/key is one of the states (bits); 0: it never was. */
static inline unsigned store_wait(const char *dir, const char *key, unsigned states)
{
	uint64_t end = now_ns() + PEER_WAIT;

	do {
		uint64_t at = text_value(store_read(dir, key));

		if (at < 32 && (states >> at & 1))
			return (unsigned)at;
		yield();
	} while (now_ns() < end);
	return 0;
}

/* ---- grants, ports --------------------------------------------------------------------------- */

static inline void place_page(volatile void *at, uint64_t mfn)
{
	hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)at, mfn << 12 | 0x67, UVMF_INVLPG, 0);
}

static inline void peer_begin(struct start_info *si)
{
	static uint64_t frame;
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

	peer_info = si;
	pv_console_begin(si);
	setup.frame_list.p = (void *)&frame;
	hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uint64_t)&setup, 1, 0);
	place_page(peer_table, frame);
	place_page(peer_shared_page, si->shared_info >> 12);
}

static inline void grant(uint32_t ref, domid_t to, const volatile void *page, uint16_t flags)
{
	peer_grants[ref].domid = to;
	peer_grants[ref].frame = (uint32_t)peer_frame(page);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	peer_grants[ref].flags = (uint16_t)(GTF_permit_access | flags);
}

/* Whether it is over: not as long as the other side has it mapped. */
static inline int grant_end(uint32_t ref)
{
	uint16_t flags = peer_grants[ref].flags;

	return !(flags & (GTF_reading | GTF_writing)) &&
	       __atomic_compare_exchange_n(&peer_grants[ref].flags, &flags, 0, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static inline uint32_t port_for(domid_t other)
{
	struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = other};

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uint64_t)&a, 0, 0);
	return a.port;
}

static inline void port_close(uint32_t port)
{
	struct evtchn_close c = {.port = port};

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (uint64_t)&c, 0, 0);
}

#endif
