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

	if (!map->contains_pte) {
		if (!guest_range_ok(map->host_addr, 1))
			return NULL;
		return walk_to_l1(current_vcpu()->mm.root, map->host_addr);
	}
	if (map->host_addr % 8 || !mfn_valid(mfn))
		return NULL;
	page = mfn_to_page(mfn);
	if (page->owner != current_domain() || page->type != PT_L1 || !(page->flags & PG_VALID))
		return NULL;
	return maddr_to_virt((maddr_t){map->host_addr});
}

static int take_frame(const struct mm_grant_map *map)
{
	struct page_info *page = mfn_to_page(map->frame);
	int error = 0;

	if (!mfn_valid(map->frame) || !ref_get(page, map->owner))
		return -XEN_EPERM;
	if (!map->readonly)
		error = type_get(page, PT_WRITABLE);
	if (error)
		ref_put(page);
	return error ? -XEN_EBUSY : 0;
}

static uint64_t entry_of(const struct mm_grant_map *map)
{
	uint64_t flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED | (map->pte_bits & PTE_SOFT);

	return pte_make(map->frame, flags | (map->readonly ? 0 : PTE_RW | PTE_DIRTY));
}

static void replace_entry(uint64_t *slot, uint64_t value)
{
	entry_put(1, __atomic_exchange_n(slot, value, __ATOMIC_SEQ_CST));
}

int mm_grant_map_pte(const struct mm_grant_map *map)
{
	uint64_t *slot;
	int error = -XEN_EINVAL;

	mm_lock();
	mm_budget = mm_budget_full;
	slot = slot_of(map);
	if (slot)
		error = take_frame(map);
	if (!error)
		replace_entry(slot, entry_of(map));
	mm_unlock();
	return error;
}

static bool maps_it(const uint64_t *slot, const struct mm_grant_map *map)
{
	return slot && (*slot & PTE_PRESENT) && pte_mfn(*slot).v == map->frame.v &&
	       !(*slot & PTE_RW) == map->readonly;
}

int mm_grant_unmap_pte(const struct mm_grant_map *map)
{
	uint64_t *slot;
	int error = -XEN_EINVAL;

	mm_lock();
	mm_budget = mm_budget_full;
	slot = slot_of(map);
	if (maps_it(slot, map)) {
		replace_entry(slot, 0);
		error = 0;
	}
	mm_unlock();
	return error;
}

/* The entry of new_addr moves with the references it holds, so only the grant's are given up. */
int mm_grant_replace_pte(const struct mm_grant_map *map, uint64_t new_addr)
{
	struct mm_grant_map from = {.host_addr = new_addr};
	uint64_t *slot, *other = NULL;
	int error = -XEN_EINVAL;

	mm_lock();
	mm_budget = mm_budget_full;
	slot = slot_of(map);
	if (new_addr)
		other = slot_of(&from);
	if (maps_it(slot, map) && other != slot && (other || !new_addr)) {
		uint64_t moved = other ? __atomic_exchange_n(other, 0, __ATOMIC_SEQ_CST) : 0;

		replace_entry(slot, moved);
		error = 0;
	}
	mm_unlock();
	return error;
}
