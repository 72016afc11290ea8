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

/* ---- lists ----------------------------------------------------------------------- */

/* The low half of `foreign` names the owner of the frames, the high half, when not 0, the owner of
 * the tables plus one. DOMID_IO means device memory, which is nobody's. */
static int batch_domains(struct mm_batch *b)
{
	uint64_t tables = b->foreign >> 16 & 0xffff, frames = b->foreign & 0xffff;
	int error = 0;

	b->tables = domain_named(tables ? tables - 1 : DOMID_SELF, &error);
	if (!b->tables || frames == DOMID_IO)
		return error;
	b->frames = domain_named(frames, &error);
	if (!b->frames)
		domain_put(b->tables);
	return error;
}

/* Runs operations until one fails, all are done, or it is time to stop. *done counts. */
static int batch_loop(struct mm_batch *b, uint32_t count, uint32_t *done)
{
	union mm_op op;
	int error = 0;

	/* Read one by one, under the guest's page tables as the last operation left them. */
	for (*done = 0; *done < count && !error; *done += !error) {
		if (*done && hypercall_preempt())
			return -XEN_ERESTART;
		if (guest_copy_from(&op, b->ops_va + *done * b->op_size, b->op_size))
			return -XEN_EFAULT;
		error = mm_begin(b->tables);
		if (error)
			return error;
		error = b->apply(b, &op);
		mm_unlock();
	}
	return error;
}

/* A restart is the same hypercall with less to do, kept in the guest's registers, so that nothing
 * of a list cut short is ours to remember or to clean up:
 *
 *   ops_va  the first operation not done        count   how many are left, | COUNT_RESTARTED
 *   done_va as before; the number stored there grows with each piece
 *
 * The guest may change any of it in between; then it has asked for something else. */
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
	domain_put(b->tables);
	if (b->frames)
		domain_put(b->frames);
	before += done;
	if (b->done_va && guest_write(b->done_va, &before) && (!error || error == -XEN_ERESTART))
		return -XEN_EFAULT;
	if (error != -XEN_ERESTART)
		return error;
	return hypercall_restart(b->ops_va + done * b->op_size,
				 (count - done) | (before ? COUNT_RESTARTED : 0), b->done_va,
				 b->foreign);
}

/* ---- mmu_update ------------------------------------------------------------------ */

/* A frame that is no table is just memory: guests fill tables before they are tables. */
static int update_entry(struct mm_batch *b, struct page_info *page, const struct mmu_update *u)
{
	bool table = page->type_count && type_is_table(page->type);
	struct table_write w = {
	    .table = page,
	    .index = (unsigned)(u->ptr / 8 % PT_ENTRIES),
	    .value = u->val,
	    .frame_owner = b->frames,
	    .keep_ad = (u->ptr & 3) == MMU_PT_UPDATE_PRESERVE_AD,
	};
	/* Held for the write: as a table, so that giving up the old entry cannot end it; as data,
	 * so that it is no table or descriptor page, and what is stale about it is flushed. */
	int error = type_get(page, table ? (enum page_type)page->type : PT_WRITABLE);

	if (error)
		return error == -XEN_EBUSY ? -XEN_EINVAL : error;
	if (table)
		error = table_write(&w);
	else
		__atomic_store_n((uint64_t *)page_to_virt(page) + w.index, u->val,
				 __ATOMIC_SEQ_CST);
	type_put(page);
	return error;
}

/* The low bits of ptr are the kind of update (Xen's xen.h, MMU_*); there are four. The m2p is for the owner's
 * use alone, nothing of ours believes it, so any value will do. */
static int apply_update(struct mm_batch *b, const union mm_op *op)
{
	const struct mmu_update *u = &op->update;
	mfn_t mfn = maddr_to_mfn((maddr_t){u->ptr});
	struct page_info *page = mfn_to_page(mfn);
	int error;

	if (u->ptr & 4)
		return -XEN_ENOSYS;
	if (!mfn_valid(mfn))
		return -XEN_EINVAL;
	if ((u->ptr & 3) == MMU_MACHPHYS_UPDATE) {
		if (!b->frames || page->owner != b->frames)
			return -XEN_EINVAL;
		m2p_set(mfn, u->val);
		return 0;
	}
	if (!ref_get(page, b->tables))
		return -XEN_EINVAL;
	error = update_entry(b, page, u);
	ref_put(page);
	return error;
}

long hc_mmu_update(uint64_t ops_va, uint64_t count, uint64_t done_va, uint64_t foreign)
{
	struct mm_batch b = {ops_va,      count, done_va, foreign, sizeof(struct mmu_update),
			     apply_update};

	return mm_batch_run(&b);
}

/* ---- by linear address ----------------------------------------------------------- */

/* A guest's mask of its vCPUs, as many bits of it as it has of them. */
int mm_read_vcpus(uint64_t mask_va, uint64_t *out_vcpus)
{
	*out_vcpus = 0;
	return guest_copy_from(out_vcpus, mask_va, DIV_ROUND_UP(current_domain()->max_vcpus, 8u));
}

/* What the flags of update_va_mapping ask to be flushed: kind in the low two bits, then "all", and
 * above that the address of a mask, 0 for the vCPU that calls. */
static int flush_by_flags(uint64_t va, uint64_t flags)
{
	uint64_t mask_va = flags & ~(uint64_t)(UVMF_FLUSHTYPE_MASK | UVMF_ALL);
	uint64_t vcpus = flags & UVMF_ALL ? TLB_ALL_VCPUS : 1ull << current_vcpu()->id;
	int error = 0;

	if (!(flags & UVMF_ALL) && mask_va)
		error = mm_read_vcpus(mask_va, &vcpus);
	if (!error && (flags & UVMF_FLUSHTYPE_MASK) == UVMF_TLB_FLUSH)
		tlb_flush_vcpus(current_domain(), vcpus);
	if (!error && (flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG)
		tlb_invlpg_vcpus(current_domain(), vcpus, va);
	return error;
}

/* The table is always the caller's own; only the frame may be another's. */
long hc_update_va_mapping_otherdomain(uint64_t va, uint64_t pte, uint64_t flags, uint64_t dom)
{
	struct table_write w = {.index = pt_index(va, 1), .value = pte};
	uint64_t *slot = NULL;
	int error = 0;

	if (!guest_range_ok(va, 1))
		return -XEN_EINVAL;
	if (dom != DOMID_IO)
		w.frame_owner = domain_named(dom, &error);
	if (error)
		return error;
	error = mm_begin(current_domain());
	if (!error) {
		slot = walk_to_l1(current_vcpu()->mm.root, va);
		if (slot)
			w.table = mfn_to_page(virt_to_mfn(slot));
		error = slot ? table_write(&w) : -XEN_EINVAL;
		mm_unlock();
	}
	if (w.frame_owner)
		domain_put(w.frame_owner);
	if (error == -XEN_ERESTART)
		return hypercall_restart(va, pte, flags, dom);
	return error ? error : flush_by_flags(va, flags);
}

/* Arguments a restart does not need it still gets: the fourth register is not this call's. */
long hc_update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags)
{
	return hc_update_va_mapping_otherdomain(va, pte, flags, DOMID_SELF);
}

/* ---- writes that trapped --------------------------------------------------------- */

/* By the kernel's root, since only kernel mode gets here (trap.c). The entry is compared under the
 * lock: other vCPUs change entries only through us, so between that and the write nothing but A and
 * D can move, which table_write's exchange covers. */
int mm_write_table(struct vcpu *v, uint64_t address, uint64_t value, bool compare,
		   uint64_t *expected)
{
	struct table_write w = {.index = (unsigned)(address / 8 % PT_ENTRIES),
				.value = value,
				.frame_owner = v->domain};
	uint64_t *slot, old;
	int error;

	if (address % 8 || !guest_range_ok(address, 8))
		return -XEN_EFAULT;
	error = mm_begin(v->domain);
	if (error)
		return error;
	error = -XEN_EFAULT;
	slot = walk_to_l1(v->mm.root, address);
	if (slot && (*slot & PTE_PRESENT) && mfn_valid(pte_mfn(*slot)))
		w.table = mfn_to_page(pte_mfn(*slot));
	if (w.table && w.table->owner == v->domain && (w.table->flags & PG_VALID)) {
		old = ((uint64_t *)page_to_virt(w.table))[w.index];
		error = compare && old != *expected ? -XEN_EAGAIN : table_write(&w);
		*expected = old;
	}
	mm_unlock();
	return error;
}
