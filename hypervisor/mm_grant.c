/* mm_grant.c: writing and removing the page-table entries through which grants are mapped.
 *
 * An entry made here is like any other: it holds one reference to the frame, and one use as
 * writable unless it is read-only, whoever owns the frame. So a guest that overwrites such an entry
 * by other means loses the mapping and nothing else. Who may map what, and that the granter is not
 * told too early, is the grant tables' business (grant_map.c), the only caller.
 */
#include "domain.h"
#include "guest.h"
#include "mm_private.h"
#include "percpu.h"

#define PTE_SOFT 0xe00ull

/* The L1 entry a guest means, in a validated table of its own; NULL when there is none. */
static uint64_t *slot_of(const struct mm_grant_map *map)
{
	mfn_t mfn = maddr_to_mfn((maddr_t){map->host_addr});
	const struct page_info *page;

	if (!map->contains_pte)
		return guest_range_ok(map->host_addr, 1)
			   ? walk_to_l1(current_vcpu()->mm.root, map->host_addr)
			   : NULL;
	if (map->host_addr % 8 || !mfn_valid(mfn))
		return NULL;
	page = mfn_to_page(mfn);
	if (page->owner != current_domain() || page->type != PT_L1 || !(page->flags & PG_VALID))
		return NULL;
	return maddr_to_virt((maddr_t){map->host_addr});
}

/* The new entry holds what it needs before it gets here; the CPU may still write A or D to the old
 * one, hence the exchange. What was there is given up after it can no longer be walked. */
static void replace_entry(uint64_t *slot, uint64_t value)
{
	entry_put(1, __atomic_exchange_n(slot, value, __ATOMIC_SEQ_CST));
}

/* Without entry_check: of the bits only the software ones are the guest's. A and D are set, so that
 * the CPU need not. No mm_begin: an L1 entry never starts or ends a table. */
int mm_grant_map_pte(const struct mm_grant_map *map)
{
	uint64_t flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED | (map->pte_bits & PTE_SOFT);
	uint64_t *slot;
	int error = -XEN_EINVAL;

	if (!map->readonly)
		flags |= PTE_RW | PTE_DIRTY;
	mm_lock();
	slot = slot_of(map);
	if (slot) {
		error = frame_get(map->frame, map->owner, !map->readonly);
		if (error)
			error = error == -XEN_EINVAL ? -XEN_EPERM : -XEN_EBUSY;
		else
			replace_entry(slot, pte_make(map->frame, flags));
	}
	mm_unlock();
	return error;
}

int mm_grant_unmap_pte(const struct mm_grant_map *map)
{
	return mm_grant_replace_pte(map, 0);
}

/* The entry of new_addr moves with the references it holds, so only the grant's are given up. */
int mm_grant_replace_pte(const struct mm_grant_map *map, uint64_t new_addr)
{
	const struct mm_grant_map from = {.host_addr = new_addr};
	uint64_t *slot, *other = NULL;
	int error = -XEN_EINVAL;

	mm_lock();
	slot = slot_of(map);
	if (new_addr)
		other = slot_of(&from);
	/* Any entry that maps the frame with these rights will do: each handle takes one out, and
	 * entries on others' frames are made with handles only, so the last takes the last. */
	if (slot && (*slot & PTE_PRESENT) && pte_mfn(*slot).v == map->frame.v &&
	    !(*slot & PTE_RW) == map->readonly && other != slot && (other || !new_addr)) {
		replace_entry(slot, other ? __atomic_exchange_n(other, 0, __ATOMIC_SEQ_CST) : 0);
		error = 0;
	}
	mm_unlock();
	return error;
}
