/* netback.h: the back half of network interfaces: what guests send and are sent.
 *
 * Callers: the service domain's start-up, commands and the control port. Implemented by drivers-back/netback*.c over host.h,
 * xenbus.h, host_net.h and net_offload.h. Each directory under backend/vif is a guest's interface; while its guest is
 * connected it is a net_device "vifDOMAIN.NUMBER" of the registry, whose `bridge` is the toolstack's word.
 * Context: the worker. Errors: negative XEN_Exxx. Not promised: delivery; that a guest which does not take its frames
 * is waited for (docs/decisions/0016).
 */
#ifndef AMPHI_NETBACK_H
#define AMPHI_NETBACK_H

#include <amphi/net.h>

#define NETBACK_QUEUES_MAX NET_QUEUES_MAX

/* Watches backend/vif and serves what is there, now and later. */
int netback_init(void);

/* Ends every connection and frees all. For host tests; a kernel never stops. */
void netback_exit(void);

struct netback_stats {
	uint64_t requests, responses; /* slots of the guest's tx rings */
	uint64_t refused;             /* packets answered with an error */
	uint64_t copied;              /* pieces moved by the hypervisor */
	uint64_t copy_calls;          /* in so many calls */
	uint64_t unmapped_copies;     /* pieces moved without it: both sides were mapped, or ours */
	uint64_t control;             /* messages of the control ring */
	uint64_t waited;              /* frames that found the guest's rx ring full */
	/* Frames whose checksum was left out, and those of them that are to be cut: from the guest, to the guest. */
	uint64_t blank_in, gso_in, blank_out, gso_out;
};

struct netback_info {
	domid_t guest;
	unsigned handle;
	bool connected, filters_multicast, hashes, guarded;
	unsigned n_queues, n_multicast, n_staged;
	const struct net_device *dev;
	struct netback_stats stats;
};

/* Each interface, connected or not. What info points to lives until fn returns. */
void netback_for_each(void (*fn)(const struct netback_info *info, void *ctx), void *ctx);

/* Pages of guests that are kept mapped (staging grants) by all interfaces together: 3072 unless said. At any time; what
 * is mapped stays. */
void netback_staging_limit(unsigned pages);

/* Who looks on at a vif (net.h); one to an interface; NULL takes it away. It ends with the interface's
 * connection. -XEN_ENODEV: no such interface is connected. -XEN_EBUSY. */
int netback_tap(const char *name, net_tap_fn *fn, void *ctx);

#endif
