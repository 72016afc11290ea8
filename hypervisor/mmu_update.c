/* mmu_update.c: a guest changes single entries of its page tables, by machine or linear address.
 *
 * mmu_update with its list, update_va_mapping, and the loop over a list of operations that
 * mmuext.c uses too. What an entry may be is pte.c's. Each operation of a list takes mm's lock and
 * a fresh budget; between two the list may be cut and continued by a restart of the hypercall,
 * whose arguments then say how far it has come. Caller: dispatch; for mm_write_table trap.c.
 */
#include "hypercall.h"
#include "domain.h"
#include "guest.h"
#include "mm_private.h"
#include "percpu.h"

/* In a restarted call's count: done_va already holds the number done before. Xen's ABI has the
 * same convention, so the top bit of a count is not a guest's to use. */
#define COUNT_RESTARTED 0x80000000u

/* ---- whose tables, whose frames -------------------------------------------------- */

/* The low half names the owner of the frames, the high half, when not 0, the owner of the tables
 * plus one. DOMID_IO means device memory, which is nobody's. */
static int batch_domains(struct mm_batch *b)
{
	uint64_t tables = b->foreign >> 16 & 0xffff, frames = b->foreign & 0xffff;
	int error = 0;

	b->tables = domain_named(tables ? tables - 1 : DOMID_SELF, &error);
	if (!b->tables)
		return error;
	if (frames == DOMID_IO)
		return 0;
	b->frames = domain_named(frames, &error);
	if (!b->frames)
		domain_put(b->tables);
	return error;
}

static void batch_put_domains(struct mm_batch *b)
{
	domain_put(b->tables);
	if (b->frames)
		domain_put(b->frames);
}

/* ---- lists ----------------------------------------------------------------------- */

/* Runs operations until one fails, all are done, or it is time to stop. *done counts. */
static int batch_loop(struct mm_batch *b, uint32_t count, uint32_t *done)
{
	union mm_op op;
	int error;

	for (*done = 0; *done < count; ++*done) {
		if (*done && hypercall_preempt())
			return -XEN_ERESTART;
		if (guest_copy_from(&op, b->ops_va + *done * b->op_size, b->op_size))
			return -XEN_EFAULT;
		error = mm_begin(b->tables);
		if (error)
			return error;
		error = b->apply(b, &op);
		mm_unlock();
		if (error)
			return error;
	}
	return 0;
}

static long batch_restart(const struct mm_batch *b, uint32_t done, uint32_t total)
{
	uint64_t left = ((uint32_t)b->count & ~COUNT_RESTARTED) - done;

	if (total)
		left |= COUNT_RESTARTED;
	return hypercall_restart(b->ops_va + done * b->op_size, left, b->done_va, b->foreign);
}

long mm_batch_run(struct mm_batch *b)
{
	uint32_t count = (uint32_t)b->count & ~COUNT_RESTARTED, before = 0, done = 0;
	int error;

	if ((b->count & COUNT_RESTARTED) && b->done_va && guest_read(&before, b->done_va))
		return -XEN_EFAULT;
	error = batch_domains(b);
	if (error)
		return error;
	error = batch_loop(b, count, &done);
	batch_put_domains(b);
	before += done;
	if (b->done_va && guest_write(b->done_va, &before) && (!error || error == -XEN_ERESTART))
		return -XEN_EFAULT;
	return error == -XEN_ERESTART ? batch_restart(b, done, before) : error;
}

/* ---- mmu_update ------------------------------------------------------------------ */

static int write_as_table(struct mm_batch *b, struct page_info *page, uint64_t maddr,
			  const struct mmu_update *u)
{
	struct table_write w = {
	    .table = page,
	    .index = (unsigned)(maddr / 8 % PT_ENTRIES),
	    .value = u->val,
	    .frame_owner = b->frames,
	    .keep_ad = (u->ptr & 3) == MMU_PT_UPDATE_PRESERVE_AD,
	};
	int error = type_get(page, (enum page_type)page->type);

	if (error)
		return error;
	error = table_write(&w);
	type_put(page);
	return error;
}

/* A frame that is no table is just memory: guests fill tables before they are tables. */
static int write_as_data(struct page_info *page, uint64_t maddr, uint64_t value)
{
	int error = type_get(page, PT_WRITABLE);

	if (error)
		return error == -XEN_ERESTART ? error : -XEN_EINVAL;
	__atomic_store_n((uint64_t *)maddr_to_virt((maddr_t){maddr}), value, __ATOMIC_SEQ_CST);
	type_put(page);
	return 0;
}

static int update_entry(struct mm_batch *b, const struct mmu_update *u)
{
	uint64_t maddr = u->ptr & ~3ull;
	mfn_t mfn = maddr_to_mfn((maddr_t){maddr});
	struct page_info *page = mfn_to_page(mfn);
	int error;

	if (maddr % 8 || !mfn_valid(mfn) || !ref_get(page, b->tables))
		return -XEN_EINVAL;
	if (page->type_count && type_is_table(page->type))
		error = write_as_table(b, page, maddr, u);
	else
		error = write_as_data(page, maddr, u->val);
	ref_put(page);
	return error;
}

static int update_m2p(struct mm_batch *b, const struct mmu_update *u)
{
	mfn_t mfn = maddr_to_mfn((maddr_t){u->ptr});

	if (!b->frames || !mfn_valid(mfn) || mfn_to_page(mfn)->owner != b->frames)
		return -XEN_EINVAL;
	m2p_set(mfn, u->val);
	return 0;
}

static int apply_update(struct mm_batch *b, const union mm_op *op)
{
	if ((op->update.ptr & 3) == MMU_MACHPHYS_UPDATE)
		return update_m2p(b, &op->update);
	return update_entry(b, &op->update);
}

long hc_mmu_update(uint64_t reqs_va, uint64_t count, uint64_t done_va, uint64_t foreign)
{
	struct mm_batch b = {.ops_va = reqs_va,
			     .count = count,
			     .done_va = done_va,
			     .foreign = foreign,
			     .op_size = sizeof(struct mmu_update),
			     .apply = apply_update};

	return mm_batch_run(&b);
}

/* ---- by linear address ----------------------------------------------------------- */

static struct page_info *page_of_slot(const uint64_t *slot)
{
	return mfn_to_page(virt_to_mfn(slot));
}

static int update_va(uint64_t va, uint64_t pte, struct domain *frame_owner)
{
	struct table_write w = {
	    .index = pt_index(va, 1), .value = pte, .frame_owner = frame_owner};
	uint64_t *slot;
	int error = mm_begin(current_domain());

	if (error)
		return error;
	slot = walk_to_l1(current_vcpu()->mm.root, va);
	error = -XEN_EINVAL;
	if (slot) {
		w.table = page_of_slot(slot);
		error = table_write(&w);
	}
	mm_unlock();
	return error;
}

static void flush_after(uint64_t va, uint64_t flags)
{
	switch (flags & UVMF_FLUSHTYPE_MASK) {
	case UVMF_TLB_FLUSH:
		tlb_flush_all();
		break;
	case UVMF_INVLPG:
		hw_invlpg_all(va);
		break;
	default:
		break;
	}
}

long hc_update_va_mapping_otherdomain(uint64_t va, uint64_t pte, uint64_t flags, uint64_t dom)
{
	struct domain *owner = NULL;
	int error = 0;

	if (!guest_range_ok(va, 1))
		return -XEN_EINVAL;
	if (dom != DOMID_IO)
		owner = domain_named(dom, &error);
	if (error)
		return error;
	error = update_va(va, pte, owner);
	if (owner)
		domain_put(owner);
	if (error == -XEN_ERESTART)
		return hypercall_restart(va, pte, flags, dom);
	if (!error)
		flush_after(va, flags);
	return error;
}

/* Arguments a restart does not need it still gets: the fourth register is not this call's. */
long hc_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
	return hc_update_va_mapping_otherdomain(va, pte, flags, DOMID_SELF);
}

/* ---- writes that trapped --------------------------------------------------------- */

int mm_write_table(struct vcpu *v, uint64_t address, uint64_t value, bool compare,
		   uint64_t *expected)
{
	struct table_write w = {.value = value, .frame_owner = v->domain};
	uint64_t *slot, old;
	int error = mm_begin(v->domain);

	if (error)
		return error;
	error = -XEN_EFAULT;
	slot = address % 8 || !guest_range_ok(address, 8) ? NULL
							  : walk_to_l1(v->mm.root, address);
	if (!slot || !(*slot & PTE_PRESENT) || !mfn_valid(pte_mfn(*slot)))
		goto out;
	w.table = mfn_to_page(pte_mfn(*slot));
	w.index = (unsigned)(address / 8 % PT_ENTRIES);
	if (w.table->owner != v->domain || !(w.table->flags & PG_VALID))
		goto out;
	old = ((uint64_t *)page_to_virt(w.table))[w.index];
	error = compare && old != *expected ? -XEN_EAGAIN : table_write(&w);
	*expected = old;
out:
	mm_unlock();
	return error;
}
