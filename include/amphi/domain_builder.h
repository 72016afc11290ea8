/* domain_builder.h: makes a paused PV domain that is ready to run, or nothing at all.
 *
 * Callers: control/control.c. Implemented by control/domain_builder.c over host_control.h. The
 * result is what xen/xen.h ("start of day") and every PV kernel expect: the kernel's segments, the
 * ramdisk, the p2m list, start_info, store ring, console ring, pinned page tables, a stack,
 * 512 KiB of mapped memory after it.
 *
 * Worker context. Errors: negative XEN_Exxx and a text in `why` that names the thing; nothing of
 * the new domain is then left. Not promised: more than one vCPU with a context (others stay down).
 */
#ifndef AMPHI_DOMAIN_BUILDER_H
#define AMPHI_DOMAIN_BUILDER_H

#include <amphi/types.h>
#include <amphi/xen.h>

struct domain_plan {
	/* IN: the caller's, needed only during the call */
	const char *name, *kernel_name; /* for messages */
	const void *kernel;
	size_t kernel_bytes;
	const void *ramdisk; /* NULL: none */
	size_t ramdisk_bytes;
	const char *cmdline;
	uint64_t memory_kib; /* a multiple of 4 */
	uint64_t max_memory_kib;
	unsigned max_vcpus;
	const uint64_t
	    *cpus; /* of each vCPU: bits of the CPUs it may run on, 0: any; NULL: all any */
	uint32_t cpu_weight, cpu_cap; /* 0: what the scheduler has by itself; no cap */
	domid_t service;              /* who serves its store and console */
	bool passthrough;             /* its devices see its memory from the start */
};

struct built_domain {
	/* OUT */
	domid_t domid;
	uint64_t pages;
	mfn_t store_frame, console_frame;
	uint32_t store_port, console_port; /* the domain's own, for the service to bind to */
	bool is_linux;                     /* by its kernel's own word */
};

#define BUILD_WHY_MAX 160u

/* libxl's slack: a domain's limit is so much above what it was given or told to have. */
#define BUILD_MEMORY_SLACK_KIB 1024u

/* why holds BUILD_WHY_MAX bytes. */
int domain_build(const struct domain_plan *plan, struct built_domain *out, char *why);

int domain_unpause(domid_t domid);

/* Ends a domain in whatever state; all it has goes back, what others have mapped when they let go. */
int domain_destroy(domid_t domid);

#endif
