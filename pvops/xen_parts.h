/* xen_parts.h: what the files of a PV domain's operations tell each other. Private to pvops/.
 *
 * xen_pv.c has the table and most operations, xen_mmu.c those on page tables, xen_queue.c holds back what
 * may wait. The operations have the C types of their rows in amphi/pvops.def, where their contracts are.
 */
#ifndef PVOPS_XEN_PARTS_H
#define PVOPS_XEN_PARTS_H

#include <amphi/hypercall.h>
#include <amphi/pvops.h>

/* ---- xen_queue.c ---- */

/* For operations that cannot fail unless we or the hypervisor are wrong. */
void xen_must(const char *op, int64_t result);

/* What is being put off on a CPU: changes of page tables, of the CPU's state. */
enum xen_mode { XEN_MMU = 1, XEN_CPU = 2 };
struct xen_queue;

/* This CPU's queue, when it is in that mode; NULL: make the call now. */
struct xen_queue *xen_queue(enum xen_mode mode);

/* Its batch, with room for one call more. */
struct hypercall_batch *xen_queue_room(struct xen_queue *queue);

/* Copies; joined with the update or operation before it, if that was the last call queued. */
void xen_queue_update(struct xen_queue *queue, const struct mmu_update *req);
void xen_ext_op(enum xen_mode mode, const char *name, const struct mmuext_op *op);

/* A hypercall by its name, now or later. */
#define XEN_CALL(mode, op, name, ...)                                                              \
	do {                                                                                       \
		struct xen_queue *queue_ = xen_queue(mode);                                        \
		if (queue_)                                                                        \
			batch_##name(xen_queue_room(queue_), __VA_ARGS__);                         \
		else                                                                               \
			xen_must(op, hypercall_##name(__VA_ARGS__));                               \
	} while (0)

void xen_lazy_enter(void);
void xen_lazy_leave(void);
void xen_lazy_flush(void);
void xen_start_context_switch(void);
void xen_end_context_switch(void);

/* ---- xen_pv.c ---- */
void xen_load_sp0(uint64_t *tss_sp0, uint64_t sp);
void xen_write_descriptor(uint64_t *entry, uint64_t descriptor);

/* ---- xen_mmu.c ---- */
void xen_make_readonly(pfn_t pfn, bool readonly);
uint64_t xen_read_cr3(void);
void xen_write_cr3(uint64_t maddr);
void xen_activate_mm(uint64_t maddr, uint64_t user_maddr);
void xen_flush_tlb(void);
void xen_flush_tlb_one(uint64_t va);
void xen_set_entry(uint64_t *entry, uint64_t value);
void xen_modify_prot_commit(uint64_t *entry, uint64_t value);
int xen_set_ptes(uint64_t *entries, const uint64_t *values, unsigned n, unsigned owner);
uint64_t xen_pte_val(uint64_t entry, uint64_t mask);
uint64_t xen_make_pte(uint64_t address, uint64_t flags);
void xen_alloc_pt(uint64_t pfn, unsigned level);
void xen_release_pt(uint64_t pfn, unsigned level);
void xen_enter_mmap(uint64_t pfn);
void xen_exit_mmap(uint64_t pfn);
int xen_set_fixmap(void *page, uint64_t entry);

/* ---- thin.S: the functions above, keeping all registers, or all but rax ---- */
void thin_read_cr3(void);
void bare_lazy_enter(void);
void bare_lazy_leave(void);
void bare_lazy_flush(void);
void bare_start_context_switch(void);
void bare_end_context_switch(void);
/* With arguments on the stack, as classes STORE, AND, OR and INVLPG have them (amphi/pvops_sites.h). */
void entry_set(void);
void entry_modify_prot_commit(void);
void entry_load_sp0(void);
void entry_write_descriptor(void);
void entry_flush(void);
void entry_pte_val(void);
void entry_make_pte(void);

#endif
