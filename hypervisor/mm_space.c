/* mm_space.c: the address space of a vCPU: its two roots, its GDT and LDT, and loading them.
 *
 * Each domain has one L3 for the per-domain area, put into slot 257 of all its top-level tables;
 * in it each vCPU has 16 pages of GDT and 16 of LDT, which only ring 0 can touch. GDT pages are
 * there from set_gdt on; LDT pages come with the first use (a fault), because the guest names the
 * LDT by an address of its own that may mean something else under another root.
 * Callers: the scheduler, pv_context.c, trap.c, mmuext.c, domain builder. Locks as in mm_private.h.
 */
#include <amphi/string.h>

#include "domain.h"
#include "guest.h"
#include "mm_private.h"
#include "percpu.h"

#define AREA_PAGES      (HV_VCPU_AREA_SIZE / PAGE_SIZE)
#define LDT_ENTRIES_MAX 8192u
#define AREA_FLAGS      (PTE_PRESENT | PTE_RW | PTE_ACCESSED | PTE_DIRTY | PTE_NX)

uint64_t mm_gdt_base(const struct vcpu *v)
{
	return HV_PERDOMAIN_VIRT + (uint64_t)v->id * HV_VCPU_AREA_SIZE;
}

/* The L1 entries of v's area: 0 to 15 the GDT's, 16 to 31 the LDT's. */
static uint64_t *area_slots(const struct vcpu *v)
{
	return v->domain->mm.perdomain_l1[v->id / SPACE_VCPUS_PER_L1] +
	       (v->id % SPACE_VCPUS_PER_L1) * AREA_PAGES;
}

static bool m2p_strict(const struct domain *d)
{
	return d->vm_assist >> VMASST_TYPE_m2p_strict & 1;
}

/* Slots 256 to 271 of a guest's top-level table: ours, with the domain's own area. The m2p is for
 * kernels: without m2p_strict a table gets it when it is used as a kernel's root; with that, it has
 * it from the start, and loses it when used as a program's. */
void space_fill_hole(uint64_t *l4, struct domain *d)
{
	const uint64_t *ours = mfn_to_virt(mm_hv_root());

	for (unsigned i = HV_HOLE_FIRST_SLOT; i <= HV_HOLE_LAST_SLOT; i++)
		l4[i] = ours[i];
	if (!m2p_strict(d))
		l4[HV_M2P_SLOT] = 0;
	l4[HV_PERDOMAIN_SLOT] =
	    pte_make(virt_to_mfn(d->mm.perdomain_l3), PTE_PRESENT | PTE_RW | PTE_ACCESSED);
}

void space_show_m2p(const struct domain *d, mfn_t root, bool user)
{
	const uint64_t *ours = mfn_to_virt(mm_hv_root());
	uint64_t *l4 = mfn_to_virt(root);

	if (!user)
		l4[HV_M2P_SLOT] = ours[HV_M2P_SLOT];
	else if (m2p_strict(d))
		l4[HV_M2P_SLOT] = 0;
}

/* ---- roots ----------------------------------------------------------------------- */

/* The caller has made sure that no CPU has this root loaded: its tables may become data at once. */
void space_drop_root(mfn_t *root)
{
	mfn_t old = *root;

	root->v = 0;
	if (old.v)
		ref_type_put(mfn_to_page(old));
}

/* Called in kernel mode, like every hypercall, so the root in the CPU is the kernel's. Guests
 * expect a flush even when the root stays. The old one is given up only after the CPU has left
 * it. */
int space_new_root(struct vcpu *v, mfn_t mfn, bool user)
{
	mfn_t *root = user ? &v->mm.root_user : &v->mm.root, old = *root;
	struct page_info *page;
	int error;

	if (mfn.v == 0 && !user)
		return -XEN_EINVAL;
	if (mfn.v == old.v) {
		if (!user)
			hw_flush();
		return 0;
	}
	error = mfn.v ? ref_type_get(mfn, v->domain, PT_L4, &page) : 0;
	if (error)
		return error;
	if (mfn.v)
		space_show_m2p(v->domain, mfn, user);
	*root = mfn;
	if (!user && this_cpu()->loaded == v)
		hw_set_root(mfn);
	space_drop_root(&old);
	if (!user)
		space_drop_ldt(v);
	return 0;
}

/* For a vCPU whose root and GDT are about to be taken away under a CPU that idles in them. */
void space_leave(const struct vcpu *v)
{
	if (this_cpu()->loaded != v)
		return;
	hw_load_ldt(0, 0);
	hw_load_gdt(0);
	hw_set_root(mm_hv_root());
}

/* ---- GDT ------------------------------------------------------------------------- */

static void put_frames(const uint32_t *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (frames[i])
			ref_type_put(frame_at(frames[i]));
}

/* All or nothing, and the old GDT untouched: the caller may still fail for other reasons. */
int space_get_gdt(struct vcpu *v, const uint64_t *frames, uint64_t entries, uint32_t *out)
{
	struct page_info *page;

	for (unsigned i = 0; i < DIV_ROUND_UP(entries, 512); i++) {
		int error = ref_type_get((mfn_t){frames[i]}, v->domain, PT_SEG, &page);

		if (error) {
			put_frames(out, i);
			return error;
		}
		out[i] = frame_number(page);
	}
	return 0;
}

/* New entries, flush, then the old frames: they may become writable the moment they are put, while
 * the CPU must not take a descriptor from them any more. The same order as in space_drop_ldt. No
 * limit is set by `entries`: pages without a frame are not mapped, and those with one are checked
 * to their ends. */
void space_install_gdt(struct vcpu *v, const uint32_t *frames, uint32_t entries)
{
	uint32_t old[HV_GDT_GUEST_PAGES];
	uint64_t *slots = area_slots(v);

	memcpy(old, v->mm.gdt, sizeof(old));
	memcpy(v->mm.gdt, frames, sizeof(old));
	v->mm.gdt_entries = entries;
	for (unsigned i = 0; i < HV_GDT_GUEST_PAGES; i++)
		slots[i] = frames[i] ? pte_make((mfn_t){frames[i]}, AREA_FLAGS) : 0;
	hw_flush();
	put_frames(old, HV_GDT_GUEST_PAGES);
}

/* ---- LDT ------------------------------------------------------------------------- */

/* Pages come back by faults. With a new root they must, since ldt_base then means other frames. */
void space_drop_ldt(struct vcpu *v)
{
	uint32_t old[HV_LDT_PAGES];
	bool any = false;

	memcpy(old, v->mm.ldt, sizeof(old));
	memset(v->mm.ldt, 0, sizeof(v->mm.ldt));
	for (unsigned i = 0; i < HV_LDT_PAGES; i++) {
		any |= old[i] != 0;
		area_slots(v)[HV_GDT_PAGES + i] = 0;
	}
	if (!any)
		return;
	hw_flush();
	put_frames(old, HV_LDT_PAGES);
}

/* Base and length are all that is asked now. What lies there is looked at page by page, when the
 * CPU first wants a descriptor from it. */
bool space_ldt_ok(uint64_t base, uint64_t entries)
{
	return !entries || (base % PAGE_SIZE == 0 && entries <= LDT_ENTRIES_MAX &&
			    guest_range_ok(base, entries * 8));
}

int space_set_ldt(struct vcpu *v, uint64_t base, uint64_t entries)
{
	if (!space_ldt_ok(base, entries))
		return -XEN_EINVAL;
	space_drop_ldt(v);
	v->mm.ldt_base = base;
	v->mm.ldt_entries = (uint32_t)entries;
	if (this_cpu()->loaded == v)
		hw_load_ldt(mm_gdt_base(v) + HV_LDT_OFFSET, v->mm.ldt_entries);
	return 0;
}

/* The CPU read a descriptor from a page of v's LDT that is not mapped yet: in whatever mode, but
 * the LDT lies in the kernel's address space. False also when the page cannot become an LDT page;
 * the fault is then the guest's. A guest that touches the area itself brings the page in just the
 * same and faults again, this time for good. */
bool mm_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code)
{
	uint64_t index = (address - (mm_gdt_base(v) + HV_LDT_OFFSET)) / PAGE_SIZE, *entry = NULL;
	struct page_info *page;
	bool fixed = false;

	if (v->domain->id == DOMID_IDLE || index >= HV_LDT_PAGES)
		return false;
	mm_lock();
	if (!v->mm.ldt[index] && index * 512 < v->mm.ldt_entries)
		entry = walk_to_l1(v->mm.root, v->mm.ldt_base + index * PAGE_SIZE);
	if (entry && (*entry & PTE_PRESENT) &&
	    !ref_type_get(pte_mfn(*entry), v->domain, PT_SEG, &page)) {
		v->mm.ldt[index] = frame_number(page);
		area_slots(v)[HV_GDT_PAGES + index] = pte_make(page_to_mfn(page), AREA_FLAGS);
		fixed = true;
	}
	mm_unlock();
	return fixed;
}

/* ---- loading --------------------------------------------------------------------- */

/* Guest kernel and guest user are both ring 3; what keeps the one from the other are two roots. */
static mfn_t root_by_mode(const struct vcpu *v)
{
	return v->pv.kernel_mode ? v->mm.root : v->mm.root_user;
}

/* The page of reserved descriptors in the area is the CPU's on which the vCPU runs. The root comes
 * first: the GDT's address means nothing before. */
void mm_activate(struct vcpu *v)
{
	if (v->domain->id == DOMID_IDLE || !root_by_mode(v).v) {
		hw_load_ldt(0, 0);
		hw_load_gdt(0);
		hw_set_root(mm_hv_root());
		return;
	}
	area_slots(v)[HV_GDT_GUEST_PAGES] = pte_make(virt_to_mfn(hw_gdt_page()), AREA_FLAGS);
	hw_set_root(root_by_mode(v));
	hw_load_gdt(mm_gdt_base(v));
	hw_load_ldt(mm_gdt_base(v) + HV_LDT_OFFSET, v->mm.ldt_entries);
}

/* GDT and LDT lie in the hole, the same under either root, so only CR3 changes. */
bool mm_toggle_user(struct vcpu *v)
{
	mfn_t root = root_by_mode(v);

	if (root.v)
		hw_set_root(root);
	return root.v != 0;
}
