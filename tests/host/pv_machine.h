/* pv_machine.h: a machine and a hypervisor in user space, as far as page tables go.
 *
 * A domain's pages are a memory file; its page tables are real x86-64 tables in those pages, with
 * scattered frame numbers. update_va_mapping and mmu_update are judged by the rules of direct paging (a
 * page table is nowhere writable) and then take effect: the two regions the kernel lives in are mapped,
 * page by page, as the tables say. A write to a read-only page is a fault of the test.
 * Used by mm_xen_test.c; fake_hypercall() is in pv_machine.c.
 */
#ifndef PV_MACHINE_H
#define PV_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PV_SHARED_MFN 0x77u /* the page shared with the hypervisor: not one of the domain's */
#define PV_KERNEL     0x300000000000ull /* where KERNEL_BASE is for the test */
#define PV_DIRECT     0x200000000000ull

/* A domain of n pages without tables; each page begins as zeros. */
void pv_machine_init(unsigned n);
void pv_machine_done(void);

uint64_t pv_mfn(unsigned pfn);
uint64_t pv_pfn(uint64_t mfn); /* ~0: not the domain's */

/* The hypervisor's own view of a page. */
void *pv_page(unsigned pfn);

/* Builder: tables at pfns [first, ...) that map pages [0, n_mapped) at PV_KERNEL, those tables
 * read-only; loads them. Returns the number of tables. */
unsigned pv_build_tables(unsigned first, unsigned n_mapped);

/* The leaf entry that the tables hold for va, 0: none. */
uint64_t pv_leaf(uint64_t va);

/* Whether pfn is a table that hangs from the top one. */
bool pv_is_table(unsigned pfn);

unsigned pv_refused(void); /* updates turned down so far */

#endif
