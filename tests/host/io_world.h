/* io_world.h: a hypervisor that keeps one IO space and looks at each call, grants that are mapped here, and a device that goes by iommu/dma_io.c.
 *
 * Included by dma_io_test and dma_io_trust_test, implemented by io_world.c. What `at` says is what the device finds: the tests ask it, and never the layer.
 */
#ifndef TESTS_HOST_IO_WORLD_H
#define TESTS_HOST_IO_WORLD_H

#include <amphi/host_iospace.h>
#include "iommu/dma_layer.h"
#include "tests/host/dma_host.h"

#define BDF    0x18
#define LOWEST 0x100000ull
#define OTHER  0x48    /* in the same space, when it has one: no unit can tell it from BDF */
#define PAGES  262144u /* from address 0 to the end of the second one's grants */

/* ---- the hypervisor's ---- */

struct io_page {
	const void *va; /* NULL: nothing is mapped there */
	unsigned rights;
};
extern struct io_page at[PAGES]; /* by address */
extern bool inside;              /* a function is in the space */
extern bool silent;              /* the unit does not answer */
extern unsigned calls;           /* maps and unmaps */
extern unsigned room;            /* pages that may be mapped still */
unsigned page_of(uint64_t dma);  /* in `at` */
void io_world_take_away(void);   /* both functions are another's, whoever has a space for them */

/* Pages that others granted, the second half of which may only be read; ungrant: n of them from the first-th on go. */
extern char granted[8 * PAGE_SIZE];
void ungrant(unsigned first, unsigned n);

/* ---- the device's ---- */

extern const struct dma_layer *const layer;
extern struct dma_device dev;
extern const char *name; /* of its layer */
extern char *page;       /* of ours */

void begin(enum dma_policy policy);
/* The same as a test's setup; and its end, which wants all memory back. */
int strict(void **state);
int lazy(void **state);
int end_it(void **state);

void pieces_of(struct dma_piece *pieces, char *from, unsigned n);
void unmap(const struct dma_piece *pieces, unsigned n);
void reaches(dma_addr_t addr, const void *va, unsigned rights);
void reaches_not(dma_addr_t addr);

#endif
