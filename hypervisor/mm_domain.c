/* mm_domain.c: the frames of a domain: getting them, giving them up, sharing ours, the end of all.
 *
 * A domain's allocated frames hang in a list; each carries PG_ALLOCATED, which is one reference.
 * Giving a frame up takes it from the list and drops that reference; the frame is free when
 * everything else that refers to it has gone too. What a frame may be used as is page_type.c's.
 * Callers: domain.c, dom0.c, memory_op.c, event.c and grant.c (shared pages), debug dumps.
 */
#include "domain.h"
#include "mm_private.h"
#include "percpu.h"

/* The tables of the per-domain area, which all of d's address spaces share:
 *
 *   any L4 of d, slot 257 --> perdomain_l3 --> perdomain_l2 --> perdomain_l1[i], 512 pages:
 *     vCPU 16 i:     GDT 0..15 | LDT 0..15
 *     vCPU 16 i + 1: GDT 0..15 | LDT 0..15   ...
 *
 * No entry on the way has the user bit, so only ring 0 reaches what is below. */
int mm_domain_init(struct domain *d, uint32_t max_pages)
{
	struct domain_mm *mm = &d->mm;

	mm->max_pages = max_pages;
	mm->perdomain_l3 = hv_page_alloc(0);
	mm->perdomain_l2 = hv_page_alloc(0);
	if (!mm->perdomain_l3 || !mm->perdomain_l2) {
		mm_domain_free(d);
		return -XEN_ENOMEM;
	}
	mm->perdomain_l3[pt_index(HV_PERDOMAIN_VIRT, 3)] =
	    pte_make(virt_to_mfn(mm->perdomain_l2), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
	return 0;
}

/* One table serves 16 vCPUs and stays until the domain is freed, so there is nothing to undo for a
 * vCPU whose making fails later. */
int mm_vcpu_init(struct vcpu *v)
{
	struct domain_mm *mm = &v->domain->mm;
	unsigned i = v->id / SPACE_VCPUS_PER_L1;

	if (mm->perdomain_l1[i])
		return 0;
	mm->perdomain_l1[i] = hv_page_alloc(0);
	if (!mm->perdomain_l1[i])
		return -XEN_ENOMEM;
	mm->perdomain_l2[pt_index(HV_PERDOMAIN_VIRT, 2) + i] =
	    pte_make(virt_to_mfn(mm->perdomain_l1[i]), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
	return 0;
}

/* Safe only when no L4 of d is left that names perdomain_l3; d's last frame, and with it the last
 * L4, is gone before mm's reference on d is. */
void mm_domain_free(struct domain *d)
{
	struct domain_mm *mm = &d->mm;
	uint64_t **const tables[] = {&mm->perdomain_l1[0], &mm->perdomain_l1[1], &mm->perdomain_l2,
				     &mm->perdomain_l3};

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		if (*tables[i])
			hv_page_free(*tables[i], 0);
		*tables[i] = NULL;
	}
}

/* ---- allocated frames ------------------------------------------------------------ */

/* Zeroed first: what the last owner left there is nobody's to read. */
void frames_give_domain(struct domain *d, struct page_info *page, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++) {
		page_zero(page_to_virt(page + i));
		frame_own(page + i, d);
		page[i].flags = PG_ALLOCATED;
		frame_link(&d->mm.pages, page + i);
		d->mm.nr_pages++;
	}
}

/* Dying is looked at under the lock that the teardown takes for each of its pieces: a frame given
 * later than its last look would never be given up. */
struct page_info *frames_alloc_domain(struct domain *d, unsigned order, uint64_t limit)
{
	struct page_info *page = NULL;

	mm_lock();
	if (!d->dying && order <= MM_MAX_ORDER &&
	    (uint64_t)d->mm.nr_pages + (1ull << order) <= d->mm.max_pages)
		page = frames_alloc(order, limit);
	if (page)
		frames_give_domain(d, page, order);
	mm_unlock();
	return page;
}

struct page_info *page_alloc_domain(struct domain *d, unsigned order)
{
	return frames_alloc_domain(d, order, ~0ull);
}

/* After this nobody can get a new reference, so a pin or a validation under way, which would never
 * be asked for again, ends here. */
void frame_release(struct page_info *page)
{
	if (page->flags & PG_PINNED)
		pin_drop(page);
	if (page->flags & PG_PARTIAL)
		table_abandon(page);
	page->flags &= (uint8_t)~PG_ALLOCATED;
	frame_unlink(&page->owner->mm.pages, page);
	page->owner->mm.nr_pages--;
	ref_put(page);
}

/* Only frames that are allocated: a shared page of ours is not the guest's to give up, and a frame
 * given up before has only its users left to wait for. */
int page_release_domain(struct domain *d, mfn_t mfn)
{
	struct page_info *page = mfn_to_page(mfn);
	int error = -XEN_EINVAL;

	mm_lock();
	if (mfn_valid(mfn) && page->owner == d && (page->flags & PG_ALLOCATED)) {
		frame_release(page);
		error = 0;
	}
	mm_unlock();
	return error;
}

/* Pages that are tables of the same domain hold each other; each pin that goes, and each
 * reference by the list, unties some, until the list and what hangs on it are gone. */
int mm_domain_teardown(struct domain *d)
{
	int error = mm_begin(d);

	if (error)
		return error;
	while (d->mm.pages && mm_budget > 0) {
		/* Next to nothing is looked at when a frame has no entries; it still takes time. */
		mm_budget -= 16;
		frame_release(frame_at(d->mm.pages));
	}
	error = undo_run(d);
	if (d->mm.pages)
		error = -XEN_ERESTART;
	mm_unlock();
	return error;
}

/* ---- our pages in their hands ---------------------------------------------------- */

/* The use that is counted from the start keeps the page from ever becoming a table. */
void mm_share_page(struct domain *d, void *va, bool readonly)
{
	struct page_info *page = mfn_to_page(virt_to_mfn(va));

	mm_lock();
	frame_own(page, d);
	page->flags = PG_SHARED;
	page->type = readonly ? PT_NONE : PT_WRITABLE;
	page->type_count = 1;
	m2p_set(page_to_mfn(page), M2P_SHARED);
	mm_unlock();
}

/* From here on no new mapping can be made, because ref_get wants a flag; those that are there keep
 * the page, and the last one frees it to the allocator. So our own use of it must have ended. */
void mm_unshare_page(void *va)
{
	struct page_info *page = mfn_to_page(virt_to_mfn(va));

	mm_lock();
	page->flags &= (uint8_t)~PG_SHARED;
	ref_type_put(page);
	mm_unlock();
}

/* ---- names and numbers ----------------------------------------------------------- */

/* A guest that names another domain learns nothing, not even whether there is one: -XEN_EPERM. */
struct domain *domain_named(uint64_t id, int *error)
{
	const struct domain *self = current_domain();
	bool own = id == DOMID_SELF || id == self->id;
	struct domain *d = NULL;

	if (own || (self->privileged && id <= 0xffff))
		d = domain_get(own ? DOMID_SELF : (domid_t)id);
	*error = d ? 0 : self->privileged ? -XEN_ESRCH : -XEN_EPERM;
	return d;
}

/* Saving a guest goes by this: tables have to be rewritten for new frames, pinned ones pinned again
 * by whoever restores it. XTAB says that there is no such page. */
uint64_t mm_frame_info(struct domain *d, mfn_t mfn)
{
	const struct page_info *page = mfn_to_page(mfn);
	uint64_t info = XEN_DOMCTL_PFINFO_NOTAB;

	if (!mfn_valid(mfn) || page->owner != d)
		return XEN_DOMCTL_PFINFO_XTAB;
	mm_lock();
	if (page->type_count && type_is_table(page->type))
		info = (uint64_t)page->type << XEN_DOMCTL_PFINFO_LTAB_SHIFT;
	if (page->flags & PG_PINNED)
		info |= XEN_DOMCTL_PFINFO_LPINTAB;
	mm_unlock();
	return info;
}

static void dump_domain(struct domain *d, void *unused)
{
	static const char *const names[] = {"none", "l1", "l2", "l3", "l4", "seg", "writable"};
	uint32_t by_type[ARRAY_SIZE(names)] = {0}, pinned = 0;

	mm_lock();
	for (uint32_t n = d->mm.pages; n; n = frame_at(n)->next) {
		const struct page_info *page = frame_at(n);

		by_type[page->type_count ? page->type : PT_NONE]++;
		pinned += (page->flags & PG_PINNED) != 0;
	}
	mm_unlock();
	hv_printk("d%u: %u of %u pages, %u frames, %u pinned", d->id, d->mm.nr_pages,
		  d->mm.max_pages, d->mm.nr_frames, pinned);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (by_type[i])
			hv_printk("  %s: %u", names[i], by_type[i]);
}

void mm_dump(void)
{
	struct mm_stats s;

	mm_stats(&s);
	hv_printk("memory: %lu pages, %lu free, %lu the hypervisor's", s.total_pages, s.free_pages,
		  s.hv_pages);
	domain_for_each(dump_domain, NULL);
}
