/* xs_server.h: the store server: one tree of nodes, served to every domain over its own ring.
 *
 * Callers: control/ and kernel/service.c (start, domains come and go), kernel/host_store.c (the
 * domain's own link), tests. Implemented by drivers-back/xs_server*.c on host.h alone. One
 * server in a program. All calls come from the worker context; none waits.
 *
 * It speaks all of xen/io/xs_wire.h. CONTROL is refused. A peer that breaks the ring or the wire
 * format is disconnected (its ring's error field says why) and nobody else notices. Error rule:
 * 0 or a negative XEN_Exxx. Over a quota a peer gets ENOSPC (nodes, bytes, transactions) or
 * E2BIG (watches), the names that stock guests know. Not promised: fairness between transactions
 * that conflict; the retry is the caller's. */
#ifndef AMPHI_XS_SERVER_H
#define AMPHI_XS_SERVER_H

#include <amphi/types.h>
#include <amphi/xen.h>

/* What one domain may hold, the server's own domain excepted. */
struct xs_quota {
	unsigned nodes; /* owned */
	unsigned bytes; /* of owned nodes: names, values and a fixed part each */
	unsigned watches;
	unsigned transactions; /* open at once */
	unsigned tx_bytes;     /* what its open transactions note: paths touched, changes made */
	unsigned value_bytes;  /* of one node */
	unsigned
	    event_bytes; /* watch events that wait for a slow reader; above it they are merged */
};

/* Makes the tree with its root. own is this domain: its link and its relative paths. quota NULL:
 * the defaults (1000 nodes, 128 KiB, 128 watches, 10 transactions with 32 KiB, 2048 bytes of a
 * value, 16 KiB of events). A transaction keeps what the tree was when it began, so a domain costs
 * at most (transactions + 1) times bytes. -XEN_ENOMEM, -XEN_EBUSY when it runs already. */
int xs_server_init(domid_t own, const struct xs_quota *quota);

/* Drops all connections and the tree; for tests and for a service domain that hands over. */
void xs_server_stop(void);
bool xs_server_running(void);

/* Begins to serve a domain: maps its page through grant entry GNTTAB_RESERVED_XENSTORE, binds
 * peer_port (the domain's port, start_info.store_evtchn), resets the ring's connection field,
 * fires @introduceDomain. A domain already known: -XEN_EEXIST. -XEN_EINVAL: page or port
 * refused; -XEN_ENOMEM. */
int xs_server_introduce(domid_t domid, uint32_t peer_port);

/* The domain is gone: its connection, watches, transactions, the nodes it owns and its entries
 * in others' permissions go, then @releaseDomain fires. -XEN_ENOENT when it is not known. */
int xs_server_release(domid_t domid);

/* The domain has shut down but is still there: fires @releaseDomain only, as Xen's store does. */
void xs_server_domain_died(domid_t domid);

bool xs_server_is_introduced(domid_t domid);

/* The domain's connection was ended for a ring or wire error. */
bool xs_server_is_broken(domid_t domid);

struct xs_counters {
	unsigned connections, nodes, watches, transactions, queued_bytes;
	size_t node_bytes;
	uint64_t requests, events, events_merged, conflicts, disconnects; /* ever */
};

/* Of the whole server; of what one domain holds (zeroes when it holds nothing or is not known). */
void xs_server_count(struct xs_counters *out);
void xs_server_count_domain(domid_t domid, struct xs_counters *out);

/* ---- the link of the server's own domain (privileged): a byte stream of messages ------ */

/* Takes request bytes and acts on each whole message at once. Returns len, or fewer when replies
 * must be taken first, or -XEN_EIO after a malformed message. */
int xs_local_send(const void *bytes, size_t len);

/* Gives up to cap bytes of replies and events; 0 when there are none. */
int xs_local_recv(void *bytes, size_t cap);

/* fn(ctx) is called, possibly within any call of the server, when xs_local_recv() has new bytes; it
 * only marks. NULL: nobody. */
void xs_local_on_output(void (*fn)(void *ctx), void *ctx);

#endif
