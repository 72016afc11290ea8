/* host.h: all that a portable room asks of the program it is linked into.
 *
 * Two sides. The portable rooms (protocol, drivers-front, drivers-back, control, iommu) call;
 * the kernel (kernel/host_*.c), the host test programs and the fuzzers (tests/host/mock_host.c)
 * implement. Nothing else of the outside world is visible to a portable room.
 *
 * Context. Every function is called from the one worker context of the domain, and every callback
 * below is made from it, never from an interrupt: so the portable rooms take no lock. A call marked
 * [waits] may let time pass (a round trip to the store); no callback runs in the meantime.
 *
 * Errors. int results are 0 (or a length where said) or a negative XEN_Exxx of <xen/errno.h>.
 * What is not promised: order between different event ports; that a notification is not
 * coalesced with the next.
 */
#ifndef AMPHI_HOST_H
#define AMPHI_HOST_H

#include <amphi/types.h>
#include <amphi/xen.h>

/* ---- memory ------------------------------------------------------------------------- */

/* Small memory: zeroed, aligned to 16. NULL when there is none. The caller owns it. */
void *host_alloc(size_t size_bytes);
void host_free(void *p, size_t size_bytes);

/* count zeroed pages, contiguous in virtual address, each of which may be granted. NULL: none. */
void *host_pages_alloc(unsigned count);
void host_pages_free(void *pages, unsigned count);

/* Machine address of a byte in any memory a device or a peer may be told of: memory of ours, or a
 * mapped grant. Valid as long as the mapping is. */
maddr_t host_virt_to_maddr(const void *va);

/* ---- grants we offer (xen/grant_table.h) -------------------------------------------- */

/* Lets peer map the whole page. -XEN_ENOSPC when the table is full. */
int host_grant_offer(domid_t peer, void *page, bool readonly, gref_t *out_ref);

/* Takes the right back. -XEN_EBUSY while the peer still has it mapped: the page stays shared and
 * must not be reused; call again later. */
int host_grant_end(gref_t ref);

/* ---- grants we take ----------------------------------------------------------------- */

#define HOST_GRANT_BATCH 64u
#define HOST_COPY_BATCH  288u

struct host_grant_map {
	/* IN */
	domid_t owner;
	gref_t ref;
	bool readonly;
	/* OUT */
	int16_t status; /* GNTST_* */
	uint32_t handle;
	void *page; /* where it is mapped; NULL when status is not GNTST_okay */
};

/* Maps count (<= HOST_GRANT_BATCH) grants with one hypercall; each has its own status. Returns
 * 0, or -XEN_ENOMEM before anything was mapped. Pages of one batch need not be contiguous. */
int host_grants_map(struct host_grant_map *maps, unsigned count);

/* Undoes it, for those with status GNTST_okay; others are skipped. One hypercall. */
void host_grants_unmap(struct host_grant_map *maps, unsigned count);

/* Maps count grants read-write to consecutive virtual pages (for rings of several pages).
 * All or nothing: -XEN_EINVAL when one of them is refused. */
int host_ring_map(domid_t owner, const gref_t *refs, unsigned count, void **out_va);
void host_ring_unmap(void *va, unsigned count);

/* Copies up to HOST_COPY_BATCH pieces with one hypercall; ops are Xen's own, addresses in
 * u.gmfn pieces being frames of ours. Each op has its status afterwards. */
int host_grants_copy(struct gnttab_copy *ops, unsigned count);

/* ---- events (xen/event_channel.h) --------------------------------------------------- */

typedef void host_event_fn(void *ctx);

/* A new unbound port that peer may bind to / the other end of peer's port. fn(ctx) is called
 * after one or more notifications, until the port is closed. */
int host_event_offer(domid_t peer, host_event_fn *fn, void *ctx, port_t *out_port);
int host_event_bind(domid_t peer, uint32_t peer_port, host_event_fn *fn, void *ctx,
		    port_t *out_port);
/* Tells the other end, once this context has come to the end of its work or waits: what is written to shared memory until then
 * may be told by the same notification. */
void host_event_notify(port_t port);
/* From fn: there was no cause for this event. A few of them in a row are the way of rings; a peer that goes on
 * is not listened to for a while, longer each time (1/16 ms to 64 ms), until an event has a cause. What it sends
 * meanwhile is one event at the end of that time. */
void host_event_spurious(port_t port);
/* [waits] Until the other end has notified since the last such wait that returned 0 (or since the port is there), or for
 * timeout_ns: 0, or -XEN_ETIMEDOUT. What came is told to fn as well, later. */
int host_event_wait(port_t port, uint64_t timeout_ns);
void host_event_close(port_t port);

/* ---- the store (xen/io/xs_wire.h) --------------------------------------------------- */

#define HOST_TX_NONE    0u
#define STORE_PATH_MAX  256u /* with the NUL; absolute, or relative to the domain's own directory */
#define STORE_VALUE_MAX 1024u

/* [waits] Length of the value (a NUL is put after it; cap counts it), or -XEN_ENOENT, -XEN_EACCES,
 * -XEN_E2BIG when it does not fit. */
int host_store_read(uint32_t tx, const char *path, char *out, size_t cap);
/* [waits] */
int host_store_write(uint32_t tx, const char *path, const char *value);
int host_store_mkdir(uint32_t tx, const char *path);
int host_store_rm(uint32_t tx, const char *path); /* with everything below */
/* [waits] Names of children, each ended by NUL, one after another. Returns their number. */
int host_store_list(uint32_t tx, const char *path, char *out, size_t cap);
/* [waits] owner has all rights; reader (DOMID_INVALID: nobody) may read; others nothing. */
int host_store_set_perms(uint32_t tx, const char *path, domid_t owner, domid_t reader);
/* [waits] end: -XEN_EAGAIN when another changed what was read; begin again. */
int host_store_begin(uint32_t *out_tx);
int host_store_end(uint32_t tx, bool commit);

struct host_watch;
typedef void host_watch_fn(void *ctx, const char *changed_path);

/* [waits] Calls fn once at first and after each change at or below path. */
int host_store_watch(const char *path, host_watch_fn *fn, void *ctx, struct host_watch **out_watch);
void host_store_unwatch(struct host_watch *watch);

/* ---- time and deferred work --------------------------------------------------------- */

/* Nanoseconds since some moment before start; never steps back. */
uint64_t host_time_ns(void);

struct host_work {
	void (*fn)(void *ctx);
	void *ctx;
	/* the host's: */
	struct host_work *next;
	uint64_t due_ns;
	bool queued;
};

/* Runs work->fn(ctx) once, later, from the worker context; nothing when it is queued already. */
void host_work_soon(struct host_work *work);
void host_work_after(struct host_work *work, uint64_t delay_ns);
void host_work_cancel(struct host_work *work);

/* ---- words -------------------------------------------------------------------------- */

enum host_log_level { HOST_LOG_DEBUG, HOST_LOG_INFO, HOST_LOG_WARN, HOST_LOG_ERROR };

/* One line, without a newline. */
void host_log(enum host_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Our own bug: never returns. For a peer's bug close the peer's connection instead. */
void host_bug(const char *what, const char *file, int line) __attribute__((noreturn));
#define HOST_ASSERT(cond) ((cond) ? (void)0 : host_bug(#cond, __FILE__, __LINE__))

#endif
