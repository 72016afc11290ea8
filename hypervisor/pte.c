/* pte.c: one entry of a guest's page table: may it be, what does it hold, how is it changed.
 *
 * Decides which bits a guest may set and which are ours, turns an entry into references and back,
 * and writes entries of validated tables. It is not about whole tables: page_type.c calls it for
 * each entry of one and is called back for the table below. Other callers: mmu_update.c,
 * mm_grant.c, mm_space.c. Lock: mm's is held.
 */
#include "domain.h"
#include "mm_private.h"

/* Guest kernels run in ring 3 too, so every entry is a user entry. Global is dropped: entries of
 * one domain must not outlive a change of root. Bits 9-11 and 52-62 are the guest's. Caching may be
 * chosen only by who has device memory: for RAM it could make another's view of a shared page
 * incoherent. The bits above the machine's physical width are reserved and would fault at each
 * use. */
int entry_check(unsigned level, uint64_t *pte, struct domain *d)
{
	uint64_t bad = level > 1 ? PTE_PSE : 0;

	if (!d->privileged && !d->io.range_count)
		bad |= PTE_PWT | PTE_PCD | PTE_PAT;
	if ((*pte & bad) || pte_mfn(*pte).v >> (hw_phys_bits() - PAGE_SHIFT))
		return -XEN_EINVAL;
	*pte = (*pte | PTE_USER) & ~PTE_GLOBAL;
	return 0;
}

/* Readable is any frame of the owner's, tables and descriptor pages too: guests map those read-only
 * and look at them. A use as PT_WRITABLE is what excludes all others. */
int frame_get(mfn_t mfn, struct domain *owner, bool writable)
{
	struct page_info *page = mfn_to_page(mfn);
	int error;

	if (!mfn_valid(mfn) || !owner || !ref_get(page, owner))
		return -XEN_EINVAL;
	error = writable ? type_get(page, PT_WRITABLE) : 0;
	if (error)
		ref_put(page);
	return error;
}

/* A table below must be d's own, whoever asks: another's could be changed by that other under rules
 * for other frames. What is neither RAM nor named to d as device memory is refused. The
 * errors are real Xen's: whatever is wrong with RAM that is to be mapped, it is busy; a busy table is a wrong one. */
int entry_get(unsigned level, uint64_t pte, struct domain *d, struct domain *frame_owner)
{
	mfn_t mfn = pte_mfn(pte);
	struct page_info *unused;
	int error;

	if (level > 1)
		error = ref_type_get(mfn, d, (enum page_type)(level - 1), &unused);
	else if (mfn_valid(mfn))
		error = frame_get(mfn, frame_owner, pte & PTE_RW);
	else
		return io_mem_allowed(d, mfn) ? 0 : -XEN_EPERM;
	if (level > 1 && error == -XEN_EBUSY)
		error = -XEN_EINVAL;
	return level == 1 && error == -XEN_EINVAL ? -XEN_EBUSY : error;
}

/* Whatever an L1 entry names, it was checked when it was written, so only what kind of frame it is
 * and the entry's own bits are looked at. */
void entry_put(unsigned level, uint64_t pte)
{
	mfn_t mfn = pte_mfn(pte);
	struct page_info *page;

	if (!(pte & PTE_PRESENT) || (level == 1 && !mfn_valid(mfn)))
		return;
	page = mfn_to_page(mfn);
	if (level > 1 || (pte & PTE_RW))
		type_put(page);
	ref_put(page);
}

/* The CPU may set A and D in a live entry at any moment, hence the exchange. Returns what was
 * there; software bits of old cannot have changed, the lock is held. */
static uint64_t put_value(uint64_t *slot, uint64_t value, bool keep_ad)
{
	const uint64_t keep = keep_ad ? PTE_ACCESSED | PTE_DIRTY : 0;
	uint64_t old = __atomic_load_n(slot, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(slot, &old, value | (old & keep), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

/* Checks, takes what the new entry needs, writes it, and only then gives up what the old one held:
 * at no moment does the table name a frame without holding it. An entry that needs exactly the
 * references the old one has keeps them. */
int table_write(const struct table_write *w)
{
	struct domain *d = w->table->owner;
	uint64_t *slot = (uint64_t *)page_to_virt(w->table) + w->index;
	uint64_t old = *slot, value = w->value;
	unsigned level = w->table->type;
	uint64_t same = PTE_PRESENT | PTE_FRAME_MASK | (level == 1 ? PTE_RW : 0);
	int error = 0;

	if (table_in_hole(level, w->index))
		return -XEN_EINVAL;
	if (value & PTE_PRESENT)
		error = entry_check(level, &value, d);
	/* Also the only way to change flags of an entry whose frame came by a grant: the guest
	 * could not get a new reference to a frame that is not its own. */
	if (!error && (value & PTE_PRESENT) && !((old ^ value) & same)) {
		put_value(slot, value, w->keep_ad);
		return 0;
	}
	if (!error && (value & PTE_PRESENT))
		error = entry_get(level, value, d, w->frame_owner);
	if (!error)
		entry_put(level, put_value(slot, value, w->keep_ad));
	return error;
}

/* No entry on the way can be a superpage or lead out of the domain: the tables are validated. The
 * caller keeps va out of the hole, whose tables are not the guest's. */
uint64_t *walk_to_l1(mfn_t root, uint64_t va)
{
	mfn_t table = root;

	for (unsigned level = 4; table.v && level > 1; level--) {
		uint64_t pte = ((uint64_t *)mfn_to_virt(table))[pt_index(va, level)];

		table.v = pte & PTE_PRESENT ? pte_mfn(pte).v : 0;
	}
	return table.v ? (uint64_t *)mfn_to_virt(table) + pt_index(va, 1) : NULL;
}
