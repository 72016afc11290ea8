/* grant.h: grant tables, both versions: what a domain offers, and what it has mapped of others'.
 *
 * Callers: domain.c (init and teardown), mm (frames of the table for add_to_physmap). Implemented
 * in grant*.c. The table of entries is in pages shared with the granting domain, which changes them
 * at will: each entry is fetched once, and only its flags are written, by compare and exchange.
 * Beside each shared entry stands an active entry of ours that says who pins it how often;
 * each mapping has a handle in the mapper's own track table.
 *
 * Locks: a domain's grant lock covers its active entries, its maptrack lock its handles. Neither
 * is held while calling mm, except to make and end the table's own pages, and never two of a kind. A mapping's frame reference belongs to the
 * page table entry (mm drops it when the entry goes), the pin to the handle.
 */
#ifndef HV_GRANT_H
#define HV_GRANT_H

#include <amphi/types.h>
#include <amphi/xen.h>

#include "lock.h"

struct domain;

#define GRANT_MAX_FRAMES    32u
#define GRANT_STATUS_FRAMES 4u /* what version 2 needs beside so many */
/* Of version 1, and of active entries: version 2 has half as many. */
#define GRANTS_PER_FRAME   ((uint32_t)(PAGE_SIZE / sizeof(struct grant_entry_v1)))
#define GRANT_TRACK_CHUNK  128u /* handles allocated at a time */
#define GRANT_TRACK_CHUNKS 64u

/* What an entry gives: a page, bytes [start, end) of one, or the grant of_ref of domain `of`. */
enum grant_kind { GRANT_PAGE, GRANT_PART, GRANT_TRANSITIVE };

struct grant_seen {
	union {
		uint32_t mfn; /* as the owner wrote it: not checked */
		uint32_t of_ref;
	};
	union {
		uint16_t start;
		domid_t of;
	};
	uint16_t end : 13, kind : 2; /* at most PAGE_SIZE; enum grant_kind */
};

/* Beside a shared entry; means something while a count is not 0. Counts are of mappings and of
 * copies under way. */
struct grant_active {
	struct grant_seen seen; /* when it was pinned first */
	uint16_t readers, writers;
	domid_t domid; /* who pins it */
};

/* A handle: what a domain has mapped. It keeps the owner in being, so that its id cannot come to
 * mean another domain while pins on it are to be released. */
struct grant_track {
	struct domain *owner; /* referenced */
	uint32_t mfn;
	uint32_t ref;
	uint8_t maps; /* GNTMAP_host_map, GNTMAP_device_map while there; 0: free */
	bool readonly, contains_pte;
	bool busy;          /* an unmap is under way */
	bool lent;          /* the mapper's devices see it too (iommu_lent.c) */
	uint32_t next_free; /* handle + 1; 0: end */
};

/* In struct domain. */
struct domain_grants {
	spinlock_t lock; /* shared[], status[], active[], and what counts them */
	uint32_t n_frames, max_frames, n_status;
	uint8_t version, max_version; /* 1 or 2; the second as the builder said */
	bool closed;                  /* teardown has begun: nothing new is mapped or added */
	void *shared[GRANT_MAX_FRAMES];
	grant_status_t *status[GRANT_STATUS_FRAMES]; /* version 2 */
	struct grant_active *active[GRANT_MAX_FRAMES];

	spinlock_t track_lock;
	uint32_t n_chunks;   /* of track[] */
	uint32_t free_track; /* handle + 1; 0: none */
	uint32_t n_mapped;   /* handles in use */
	struct grant_track *track[GRANT_TRACK_CHUNKS];
};

/* 0 or -XEN_ENOMEM, having kept nothing. One frame is there from the start. max_frames is what
 * createdomain asked, cut to GRANT_MAX_FRAMES; 0 means the most. */
int grant_domain_init(struct domain *d, uint32_t max_frames);

/* Releases every pin the dying domain has on others' grants, then takes its own table away from
 * everybody. Its page tables still hold the frames; mm gives them up next. -XEN_ERESTART while
 * there is more. */
int grant_domain_teardown(struct domain *d);

/* Last step, when nothing refers to the domain: frees what is left. */
void grant_domain_free(struct domain *d);

/* d's devices are going to see its memory: the grants that it has mapped too. -XEN_ENOMEM, -XEN_EIO: not all of them. */
int grant_lend_all(struct domain *d);

/* Frame index of d's table as a machine frame, growing the table when index is beyond its end but
 * within the limit. -XEN_EINVAL, -XEN_ENOMEM. */
int grant_frame(struct domain *d, uint32_t index, mfn_t *out);

/* The same of its status frames; -XEN_EINVAL also with version 1. */
int grant_status_frame(struct domain *d, uint32_t index, mfn_t *out);

/* ---- grants in IO spaces: grant_device.c ------------------------------------------------ */

/* A page that user's device reaches: its granter, which is referenced, sees the entry in use. */
struct grant_use {
	struct domain *owner;
	uint32_t ref, mfn;
	bool readonly;
};

/* Takes entry ref of domain `of`, or what user's handle is a device map of. 0, -XEN_ESRCH: no such domain; -XEN_EPERM: no such
 * handle; -XEN_EACCES: it is no page of the granter's, not given to user, or not with that right. */
int grant_use_entry(struct domain *user, domid_t of, uint32_t ref, bool readonly,
		    struct grant_use *out);
int grant_use_handle(struct domain *user, uint32_t handle, bool readonly, struct grant_use *out);
/* When nothing can reach the page any more through it. */
void grant_use_put(const struct grant_use *use);

/* hypercall */
long hc_grant_table_op(uint64_t cmd, uint64_t list_va, uint64_t count);
/* XENMEM_acquire_resource, of which grant tables are the only kind here. */
long grant_acquire_resource(uint64_t cmd, uint64_t arg_va);

/* Prints d's active grants and handles through hv_printk. */
void grant_dump(struct domain *d, void *unused);

#endif
