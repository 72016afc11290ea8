/* mmuext.c: the other memory operations of a PV guest: pins, roots, flushes, LDT, whole pages.
 *
 * One function an operation or two, found by the table at the end, which also says whether it may
 * be asked for a foreign domain's frames (pins, by a domain builder). Each runs under mm's lock.
 * Not here: entries of tables (mmu_update.c), GDTs (descriptor.c). Caller: dispatch.
 */
#include <amphi/string.h>

#include "domain.h"
#include "guest.h"
#include "mm_private.h"
#include "percpu.h"

/* -XEN_ERESTART leaves the table PARTIAL, and the same operation, asked again, goes on there. */
static int pin(struct mm_batch *b, const struct mmuext_op *op)
{
	return pin_table((mfn_t){op->arg1.mfn}, b->frames,
			 (enum page_type)(PT_L1 + op->cmd - MMUEXT_PIN_L1_TABLE));
}

/* Not by ref_get, which refuses a dying domain's frames: a pin may go at any time. */
static int unpin(struct mm_batch *b, const struct mmuext_op *op)
{
	mfn_t mfn = {op->arg1.mfn};
	struct page_info *page = mfn_to_page(mfn);

	if (!mfn_valid(mfn) || page->owner != b->frames || !(page->flags & PG_PINNED))
		return -XEN_EINVAL;
	pin_drop(page);
	return 0;
}

/* Of the vCPU that calls, and of no other: a root is changed where it is loaded. */
static int new_root(struct mm_batch *b, const struct mmuext_op *op)
{
	return space_new_root(current_vcpu(), (mfn_t){op->arg1.mfn},
			      op->cmd == MMUEXT_NEW_USER_BASEPTR);
}

/* The vCPUs that an operation is for: this one, those of a mask in the guest's memory, or all. */
static int scope(const struct mmuext_op *op, uint64_t *out_vcpus)
{
	switch (op->cmd) {
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
		*out_vcpus = 1ull << current_vcpu()->id;
		return 0;
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		return mm_read_vcpus((uint64_t)op->arg2.vcpumask.p, out_vcpus);
	default:
		*out_vcpus = TLB_ALL_VCPUS;
		return 0;
	}
}

static int flush(struct mm_batch *b, const struct mmuext_op *op)
{
	uint64_t vcpus;
	int error = scope(op, &vcpus);

	if (!error)
		tlb_flush_vcpus(current_domain(), vcpus);
	return error;
}

/* For an address that can have no translation of the guest's there is nothing to do, which is not
 * an error: kernels flush ranges without looking at each. */
static int invlpg(struct mm_batch *b, const struct mmuext_op *op)
{
	uint64_t vcpus;
	int error = scope(op, &vcpus);

	if (!error && guest_range_ok(op->arg1.linear_addr, 1))
		tlb_invlpg_vcpus(current_domain(), vcpus, op->arg1.linear_addr);
	return error;
}

/* Writing back and dropping the caches slows everybody down, so it is for who drives devices. */
static int flush_cache(struct mm_batch *b, const struct mmuext_op *op)
{
	if (!current_domain()->privileged && !current_domain()->io.range_count)
		return -XEN_EACCES;
	hw_flush_cache();
	return 0;
}

static int set_ldt(struct mm_batch *b, const struct mmuext_op *op)
{
	return space_set_ldt(current_vcpu(), op->arg1.linear_addr, op->arg2.nr_ents);
}

/* Clear or copy, through the direct map, so that a guest need not map the frame. The destination
 * must be plain data, for one moment at least; the source may be anything of the owner's, because
 * the owner may map it and read it. One frame may be both, hence memmove. */
static int fill_page(struct mm_batch *b, const struct mmuext_op *op)
{
	bool copy = op->cmd == MMUEXT_COPY_PAGE;
	mfn_t from = {op->arg2.src_mfn};
	struct page_info *page;
	int error;

	if (copy && (!mfn_valid(from) || mfn_to_page(from)->owner != b->frames))
		return -XEN_EINVAL;
	error = ref_type_get((mfn_t){op->arg1.mfn}, b->frames, PT_WRITABLE, &page);
	if (error)
		return error;
	if (copy)
		memmove(page_to_virt(page), mfn_to_virt(from), PAGE_SIZE);
	else
		page_zero(page_to_virt(page));
	ref_type_put(page);
	return 0;
}

/* By number, as Xen's xen.h has them; numbers without a row are refused. Rows with `foreign` are
 * what a domain builder needs before the new domain runs. What acts on the CPU or the vCPU that
 * calls cannot be asked for another domain. */
static const struct {
	int (*run)(struct mm_batch *b, const struct mmuext_op *op);
	bool foreign;
} ops[] = {
    [MMUEXT_PIN_L1_TABLE... MMUEXT_PIN_L4_TABLE] = {pin, true},
    [MMUEXT_UNPIN_TABLE] = {unpin, true},
    [MMUEXT_NEW_BASEPTR] = {new_root, false},
    [MMUEXT_TLB_FLUSH_LOCAL] = {flush, false},
    [MMUEXT_INVLPG_LOCAL] = {invlpg, false},
    [MMUEXT_TLB_FLUSH_MULTI] = {flush, false},
    [MMUEXT_INVLPG_MULTI] = {invlpg, false},
    [MMUEXT_TLB_FLUSH_ALL] = {flush, false},
    [MMUEXT_INVLPG_ALL] = {invlpg, false},
    [MMUEXT_FLUSH_CACHE] = {flush_cache, false},
    [MMUEXT_SET_LDT] = {set_ldt, false},
    [MMUEXT_NEW_USER_BASEPTR] = {new_root, false},
    [MMUEXT_CLEAR_PAGE] = {fill_page, true},
    [MMUEXT_COPY_PAGE] = {fill_page, true},
    [MMUEXT_FLUSH_CACHE_GLOBAL] = {flush_cache, false},
};

/* What is busy is, to a guest, no frame it may name so. */
static int apply_ext(struct mm_batch *b, const union mm_op *op)
{
	unsigned cmd = op->ext.cmd;
	int error;

	if (cmd >= ARRAY_SIZE(ops) || !ops[cmd].run)
		return -XEN_ENOSYS;
	if (!b->frames || (b->frames != current_domain() && !ops[cmd].foreign))
		return -XEN_EPERM;
	error = ops[cmd].run(b, &op->ext);
	return error == -XEN_EBUSY ? -XEN_EINVAL : error;
}

/* The domain named is the owner of tables and frames alike; the loop takes the two apart again. */
long hc_mmuext_op(uint64_t ops_va, uint64_t count, uint64_t done_va, uint64_t foreign)
{
	uint64_t dom = foreign & 0xffff, both = (dom + 1) << 16 | dom;
	struct mm_batch b = {ops_va, count, done_va, both, sizeof(struct mmuext_op), apply_ext};

	return mm_batch_run(&b);
}
