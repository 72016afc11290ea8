/* iospace.h: the contexts of a domain: spaces of DMA addresses that the domain fills itself.
 *
 * include/amphi/iospace.h is the contract with guests; this is for the other parts of the hypervisor. iospace_op.c decodes,
 * iospace.c has the contexts and what they may take of our memory, iospace_map.c what is mapped in them and what that holds,
 * iospace_fault.c what a domain is told of its functions' faults. Which function is whose and in which space is iommu_device.h's,
 * which also names what it calls here: iospace_lose, iospace_teardown, iospace_fault.
 *
 * Everything under the lock around the hypervisor, which is also what lets one call at a time into iommu/.
 */
#ifndef HV_IOSPACE_H
#define HV_IOSPACE_H

#include <amphi/iospace.h>
#include <amphi/types.h>

struct domain;
struct iospace_context;

/* In struct domain; all zeros is none. */
struct domain_iospace {
	struct iospace_context *context[IOSPACE_CONTEXTS]; /* [0] is never used */
	uint32_t n_tables;                                 /* pages of all contexts' tables */
	uint32_t n_own;                                    /* of context 0's, those that count */
	uint32_t n_contexts, n_grants;
	uint32_t n_faults, first_fault; /* a ring */
	bool faults_lost;
	struct {
		struct iospace_fault what;
		uint16_t flags;
	} fault[IOSPACE_FAULTS];
};

/* iommu_quota.c: what one domain's contexts may take of our memory from now on: `iospace_tables=`. Whole pages of it. */
void iospace_limit(uint64_t bytes);

/* hypercall */
long hc_iospace_op(uint64_t list_va, uint64_t count);

#endif
