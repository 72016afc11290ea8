/* host_control.h: what control/ asks of its host beyond host.h: the calls of a privileged domain.
 *
 * Implemented by kernel/host_control.c (hypercalls) and by the fake of tests/host. The same calls
 * work on Xen 4.17 and on amphi-hv. Called from the worker context only. All wait for
 * nothing but the hypervisor.
 *
 * Errors: 0 or the hypervisor's negative XEN_Exxx. The argument structs are Xen's own and are
 * both read and written.
 */
#ifndef AMPHI_HOST_CONTROL_H
#define AMPHI_HOST_CONTROL_H

#include <amphi/host.h>

/* The interface version is filled in here. */
int host_domctl(struct xen_domctl *op);
int host_sysctl(struct xen_sysctl *op);

/* A memory_op with its argument; the result is the hypervisor's: for XENMEM_populate_physmap the
 * number of extents done, which can be fewer than asked for. */
long host_memory_op(unsigned cmd, void *arg);

/* count updates on behalf of domid. All done, or the error of the first that was refused. */
int host_mmu_update(struct mmu_update *updates, unsigned count, domid_t domid);
int host_mmuext(struct mmuext_op *ops, unsigned count, domid_t domid);

/* Maps count frames of another domain read-write at consecutive pages. All or nothing:
 * -XEN_ENOMEM (no address space), or the error of a frame that was refused. */
int host_foreign_map(domid_t domid, const mfn_t *frames, unsigned count, void **out_va);

/* The same, to be read only: so can be mapped what nobody may write, such as page tables. Undone by
 * host_foreign_unmap(). */
int host_foreign_view(domid_t domid, const mfn_t *frames, unsigned count, const void **out_va);
void host_foreign_unmap(const void *va, unsigned count);

/* The number that the machine's table (m2p) has for a frame of any domain; ~0: none. It is its owner's word, who
 * may have written any number there: who asks compares with that domain's own list. */
pfn_t host_frame_number(mfn_t frame);

/* A new port of domain `of` that domain `peer` may bind to. */
int host_event_alloc_for(domid_t of, domid_t peer, uint32_t *out_port);

/* fn(ctx) in the worker context after one or more of that VIRQ. */
int host_virq_bind(unsigned virq, host_event_fn *fn, void *ctx, port_t *out_port);

/* The first frame of another domain's grant table; makes it when there is none yet. */
int host_grant_table_frame(domid_t domid, mfn_t *out_frame);

/* This domain's own id. */
domid_t host_own_domid(void);

/* Which hypervisor this is, and which versions of its two unstable interfaces it takes; 0: not known. */
struct host_versions {
	unsigned major, minor;
	uint32_t domctl, sysctl;
};
void host_read_versions(struct host_versions *out);

/* One of the things that the hypervisor counts under a name of its own. */
struct host_held {
	char name[80];
	uint32_t n;
};
#define HOST_HELD_MAX 8u

/* What must come back to where it was after a domain was made and ended. */
struct host_counts {
	uint64_t free_pages;     /* of the hypervisor (0 when it cannot be asked) */
	uint64_t own_used_bytes; /* of this domain's memory, pages and small blocks */
	uint64_t grants_offered; /* entries of our own table in use */
	uint64_t grants_mapped;  /* pages of others mapped here */
	uint64_t ports;          /* bound here */
	/* What the hypervisor has in use for devices; the rest is zero. */
	struct host_held held[HOST_HELD_MAX];
};
void host_read_counts(struct host_counts *out);

/* What any domain holds, this one included. */
struct host_usage {
	uint64_t grants; /* entries of its grant table in use */
	uint64_t ports;  /* open event channels */
};

/* 0, or the error of the first thing that could not be asked; the others are then still counted. */
int host_domain_usage(domid_t domid, struct host_usage *out);

#endif
