/* netfront.h: network interfaces that another domain serves, as this domain's kernel starts and watches them.
 *
 * Caller: kernel (start, suspend, commands). Implemented by drivers-front/netfront*.c. Each interface found under
 * device/vif is registered by host_net_register once it is connected, as "ethN" with the number of its directory, or the
 * next that is free; it stays registered while its backend is away, without carrier. Worker context. Errors: negative XEN_Exxx.
 *
 * What was on its way when a backend went is not sent again: a network may lose packets, and must not bring one twice.
 */
#ifndef AMPHI_NETFRONT_H
#define AMPHI_NETFRONT_H

#include <amphi/host_net.h>

/* What the kernel can afford for each interface; backends may take less. Until it is said: what the smallest guest
 * can do with. */
struct netfront_limits {
	unsigned queues; /* 1 .. NET_QUEUES_MAX; one per vCPU is as many as make sense */
	/* Lent to the backend for what comes in, for each queue; 32 .. 256. Users may hold as many again. */
	unsigned rx_pages;
	/* Of each queue, for what is copied on its way out; besides at most 16 for small frames. */
	unsigned tx_pages;
	bool staging; /* a backend that maps such pages for good may do so */
};

/* For connections made after it. */
void netfront_limit(const struct netfront_limits *limits);

/* Begins to watch device/vif; interfaces appear as their backends answer. Needs the store. */
int netfront_init(void);

/* [waits] After a suspend, in a new world (kernel/suspend.h), no port or grant of before exists: first all connections are
 * dropped, before any driver makes a new one; then, when the store works, all are made anew. */
void netfront_drop(void);
void netfront_resume(void);

/* Changes a connection. -XEN_ENODEV: no such interface; -XEN_EOPNOTSUPP: its backend cannot; -XEN_EBUSY: a change is under
 * way. Staging goes until the next connection; the hash stays, and is told in net_frame.hash of what comes in. */
int netfront_hash(const char *name, bool on);
int netfront_staging(const char *name, bool on);

/* Beyond net_device.stats, of all queues together. */
struct netfront_stats {
	uint64_t copied_out,
	    granted_out; /* slots: copied into pages of ours, or lent as they were */
	uint64_t gso_out, gso_in, merged_in; /* frames; merged: in more slots than one */
	uint64_t copied_in;                  /* frames, out of pages that stayed with the backend */
	uint64_t grants_offered;
	uint64_t reconnects;
	/* of the connection */
	unsigned queues, waiting, in_flight, posted;
	bool untrusted, split, multicast_filter, control;
	unsigned staged; /* pages that the backend has mapped for good */
	bool hashed;     /* the backend spreads frames by a hash of ours, and tells it */
};

/* Calls fn for each interface, connected or not. */
void netfront_for_each(void (*fn)(const struct net_device *dev, const struct netfront_stats *stats,
				  void *ctx),
		       void *ctx);

/* Drops every connection and frees all; for host programs. */
void netfront_exit(void);

#endif
