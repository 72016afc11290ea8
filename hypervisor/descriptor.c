/* descriptor.c: segment descriptors: what a guest may put into its GDT or LDT.
 *
 * A page in use as a GDT or LDT page has type PT_SEG: it was checked here when it became one, it is
 * not writable by the guest while it is one, and hc_update_descriptor checks each change. Call
 * gates and system descriptors are refused altogether: in 64-bit mode no guest needs one. Callers:
 * page_type.c, dispatch. Bits: Intel SDM volume 3A, section 3.4.5.
 */
#include "hypercall.h"
#include "domain.h"
#include "guest.h"
#include "mm_private.h"
#include "percpu.h"

#define DESC_PRESENT (1ull << 47)
#define DESC_SEGMENT (1ull << 44) /* code or data, not system */
#define DESC_TYPE    (15ull << 40)
#define DESC_DPL     (3ull << 45)

/* A not-present descriptor and one of system type 0 (reserved; also the upper half of a 16-byte
 * one) can only fault. The guest's most privileged ring is 3, so DPL becomes 3: what it asks
 * differently could only be a slot in which it could not load anything. */
bool descriptor_check(uint64_t *descriptor)
{
	if (!(*descriptor & DESC_PRESENT))
		return true;
	if (!(*descriptor & DESC_SEGMENT))
		return (*descriptor & DESC_TYPE) == 0;
	*descriptor |= DESC_DPL;
	return true;
}

/* The page is written to (privilege levels) even when a later entry is refused: it is the guest's
 * data in either case, and in nobody's use. Not cut into pieces: 512 words. */
int segment_page_validate(struct page_info *page)
{
	uint64_t *entry = page_to_virt(page);

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (!descriptor_check(&entry[i]))
			return -XEN_EINVAL;
	return 0;
}

/* How both calls end. What is busy is, to a guest, no page it may name so. */
static long finish(int error, uint64_t arg0, uint64_t arg1)
{
	if (error == -XEN_ERESTART)
		return hypercall_restart(arg0, arg1, 0, 0);
	return error == -XEN_EBUSY ? -XEN_EINVAL : error;
}

/* Into a page that is in use as descriptors it goes checked; into any other only when that page may
 * be written as data, and checked all the same. */
long hc_update_descriptor(uint64_t maddr, uint64_t descriptor)
{
	struct domain *d = current_domain();
	mfn_t mfn = maddr_to_mfn((maddr_t){maddr});
	struct page_info *page = mfn_to_page(mfn);
	uint64_t checked = descriptor;
	bool segments;
	int error;

	if (maddr % 8 || !descriptor_check(&checked) || !mfn_valid(mfn))
		return -XEN_EINVAL;
	error = mm_begin(d);
	if (error)
		return finish(error, maddr, descriptor);
	segments = page->type_count && page->type == PT_SEG;
	error = ref_type_get(mfn, d, segments ? PT_SEG : PT_WRITABLE, &page);
	if (!error) {
		__atomic_store_n((uint64_t *)maddr_to_virt((maddr_t){maddr}), checked,
				 __ATOMIC_SEQ_CST);
		ref_type_put(page);
	}
	mm_unlock();
	return finish(error, maddr, descriptor);
}

/* The list is copied whole before any frame is taken. A frame that is in the old GDT and in the new
 * one never loses its type in between: new ones are taken first. */
long hc_set_gdt(uint64_t frames_va, uint64_t entries)
{
	uint64_t frames[HV_GDT_GUEST_PAGES];
	uint32_t taken[HV_GDT_GUEST_PAGES] = {0};
	struct vcpu *v = current_vcpu();
	int error;

	if (entries > HV_GDT_FIRST)
		return -XEN_EINVAL;
	if (guest_copy_from(frames, frames_va, DIV_ROUND_UP(entries, 512) * 8))
		return -XEN_EFAULT;
	error = mm_begin(v->domain);
	if (error)
		return finish(error, frames_va, entries);
	error = space_get_gdt(v, frames, entries, taken);
	if (!error)
		space_install_gdt(v, taken, (uint32_t)entries);
	mm_unlock();
	return finish(error, frames_va, entries);
}
