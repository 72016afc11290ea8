/* host_iospace.h: what the layer of DMA over IO spaces asks of the kernel: spaces that the hypervisor keeps for us.
 *
 * Caller: iommu/dma_io.c. Implemented by kernel/host_iospace.c with the hypercall of iospace.h, and by the tests. Worker context; nothing waits. Errors: 0
 * or a negative XEN_Exxx. The hypervisor checks each request: a page is ours, or granted to us and mapped with that right, and stays so as long as it
 * is in a space. Not promised: that a page which could be mapped once can be again (our share of tables is bounded).
 */
#ifndef AMPHI_HOST_IOSPACE_H
#define AMPHI_HOST_IOSPACE_H

#include <amphi/types.h>

/* Pages of one call; more are several hypercalls. */
#define HOST_IOSPACE_BATCH 256u

/* A space of its own, empty, and the function in it; or, where no unit can tell it from another one of ours that has a space, that one's, as it is. -XEN_ENODEV: no unit has it, or it
 * is not ours, or such another one has no space (and both reach what the hypervisor has given us); -XEN_EBUSY: it was given up; -XEN_ENOSPC, -XEN_ENOMEM. */
int host_iospace_new(uint16_t bdf, uint32_t *out_space);
/* The n-th range of addresses that nothing of ours can be mapped at; false: there are not so many. */
bool host_iospace_reserved(uint16_t bdf, unsigned n, uint64_t *out_start, uint64_t *out_end);
/* The function leaves it, and reaches nothing from then on, while it is ours. What is mapped in it stays, and leads nobody there. -XEN_EBUSY: another one that no unit can tell from
 * it is in it as well: it stays, and reaches what is mapped there. */
int host_iospace_leave(uint16_t bdf);
/* Whoever had it by host_iospace_new is done with it. With the last it is no more, nor is what was mapped; but while a function that could not leave is in it. */
int host_iospace_free(uint32_t space);
/* Pages of the hypervisor's that hold the tables of all spaces of ours. */
unsigned host_iospace_tables(uint16_t bdf);

#define HOST_IOSPACE_READ  1u /* the device may */
#define HOST_IOSPACE_WRITE 2u

struct host_iospace_page {
	uint64_t dma;   /* where the device finds it: a multiple of PAGE_SIZE */
	const void *va; /* the page: memory of ours, or a mapped grant, as that grant */
	unsigned rights;
};
/* All of them or none, count <= HOST_IOSPACE_BATCH, by one hypercall. -XEN_EEXIST: something is mapped there; -XEN_EPERM, -XEN_ENOMEM. */
int host_iospace_map(uint32_t space, const struct host_iospace_page *pages, unsigned count);
/* After the return of 0 the device reaches none of them: unmapped and flushed by one hypercall. -XEN_ENOENT: one was not mapped; -XEN_EIO: the unit
 * does not answer. After an error it may reach any of them still. */
int host_iospace_unmap(uint32_t space, const uint64_t *dma, unsigned count);

/* ---- mapped grants ---- */

#define HOST_GRANT_WINDOWS  32768u
#define HOST_GRANTS_LEAVING 64u

/* Whether va lies in a page that host_grants_map has mapped: which of the windows it is (less than HOST_GRANT_WINDOWS, nobody else's while it is mapped), and
 * whether it may only be read. */
bool host_grant_window(const void *va, unsigned *out_window, bool *out_readonly);
/* From now on fn is called before host_grants_unmap takes pages away: these windows, at most HOST_GRANTS_LEAVING. */
void host_grants_leaving(void (*fn)(const uint16_t *windows, unsigned count));

#endif
