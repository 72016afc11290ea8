/* hv_mm_check.h: counts all references of the fake machine anew and compares.
 *
 * For tests and fuzzers of memory management. mm_check walks every frame, every table, pin, root,
 * GDT and LDT, adds up what each frame's counts should be, and ends the program when one differs, or
 * when a frame that is a table or holds descriptors is writable by anybody. tables_* build the
 * smallest address space a guest can have. Implemented in hv_mm_check.c.
 */
#ifndef HV_MM_CHECK_H
#define HV_MM_CHECK_H

#include "hv_fake.h"
#include "hypervisor/pte.h"

/* A CPU with the worst TLB there could be: it has always cached all it can reach, tables of all levels
 * too, and forgets nothing until it is told to. mm_tlb_start begins with an empty one; mm_tlb_look
 * lets it look again, through what it has cached as well, and ends the program when it could then
 * write a page table or descriptors, walk through a frame that is no table, or reach a frame that
 * has a new owner. Between the two the fake CPU's flushes count. */
void mm_tlb_start(void);
void mm_tlb_look(void);

/* All domains that exist; extra: a frame to which the test itself holds a reference (NULL: none). */
void mm_check(struct domain *const *domains, unsigned count, const struct page_info *extra);

/* Frames of d in a fixed pattern: frame[0] is an L4, [1] its L3, [2] its L2, [3] its L1, which maps
 * TABLES_VA on: page i is frame[i], read-only for 0 to 3, writable for the others. The frames are
 * filled but nobody has validated them yet. */
#define TABLES_FRAMES 12u
#define TABLES_VA     0x8000000000ull /* entry 1 of the L4, 0 of the others */

struct tables {
	struct domain *d;
	mfn_t frame[TABLES_FRAMES];
};
void tables_build(struct tables *t, struct domain *d);
void tables_fill(struct tables *t);

/* Entry `index` of frame i as memory. */
uint64_t *tables_entry(const struct tables *t, unsigned i, unsigned index);

uint64_t tables_maddr(const struct tables *t, unsigned i, unsigned index);
unsigned tables_uses(const struct tables *t, unsigned i); /* type_count of frame i */

/* Two domains, the first one privileged, each in its address space of the above; the guest is
 * current. pair_setup and pair_teardown are for cmocka; teardown fails when a frame is missing. */
#define RW (PTE_PRESENT | PTE_RW | PTE_USER)
#define RO (PTE_PRESENT | PTE_USER)

struct pair {
	struct domain *first, *guest, *both[2];
	struct tables own, other; /* first's, guest's */
};
extern struct pair pair;
int pair_setup(void **state);
int pair_teardown(void **state);
void pair_run_as(struct domain *d);
uint64_t pair_va(unsigned i); /* where page i of TABLES_VA is */

/* update_va_mapping by the current domain; its page i empty and mapped read-only. */
long pair_map(uint64_t va, uint64_t pte, uint64_t flags);
void pair_make_read_only(struct tables *t, unsigned i);

/* Runs a hypercall to its end, through all its restarts; mm_check after each piece. */
long mm_call(unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
unsigned mm_call_restarts(void); /* how often the last one restarted */

#endif
