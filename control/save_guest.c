/* save_guest.c: a suspended domain's list of frames, its tables and its vCPUs, in its own numbers.
 *
 * The list is found as toolstacks find it since Xen 4.6: the shared page has the address it has in the guest
 * (p2m_vaddr) and a page table that maps it there (p2m_cr3); the older tree of frame lists is not
 * read, which kernels before Linux 4.4 have alone. Tables are walked by frames that the hypervisor lets us map as that domain's
 * own. Of a frame, the machine's table tells a number, and the domain's list must agree: either alone is
 * the guest's word. Callers in save_guest.h. Calls host_control.h. Worker context.
 */
#include <amphi/host.h>
#include <amphi/string.h>

#include "control_private.h"
#include "save_guest.h"

#define PTE_PRESENT 1ull
#define PTE_FRAME   0x000ffffffffff000ull
#define ENTRIES     512u
#define MAP_PAGES   32u
#define NUMBERS_MAX (1ull << 32) /* of the stream's 32 bits for the last one: 16 TiB */
/* Holes may make a domain's numbers go beyond what it may have of memory, and the list is copied. */
#define NUMBERS_SLACK  (1u << 18)
#define USER_END       0x0000800000000000ull
#define KERNEL_BEGIN   0xffff880000000000ull /* behind the hypervisor's own */
#define HV_L4_FIRST    256u
#define HV_L4_LAST     271u
#define GDT_PAGE_DESCS 512u

static int bad(const struct save_guest *g, const char *what)
{
	return control_fail(-XEN_EINVAL, "%s: cannot be saved: %s", g->name, what);
}

int save_guest_copy(const struct save_guest *g, mfn_t frame, void *out)
{
	const void *view;
	int err = host_foreign_view(g->domid, &frame, 1, &view);

	if (err)
		return err;
	memcpy(out, view, PAGE_SIZE);
	host_foreign_unmap(view, 1);
	return 0;
}

/* ---- where the list is ---------------------------------------------------------------------- */

static int read_info(struct save_guest *g, uint64_t *out_most)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = g->domid};
	int err = host_domctl(&op);

	if (!err && op.domain != g->domid)
		err = -XEN_ESRCH;
	if (err)
		return control_fail(err, "%s: the hypervisor does not know it", g->name);
	*out_most = op.u.getdomaininfo.max_pages * 2 + NUMBERS_SLACK;
	g->vcpus = op.u.getdomaininfo.max_vcpu_id + 1;
	g->shared_info = (mfn_t){op.u.getdomaininfo.shared_info_frame};
	return 0;
}

/* page: a page of ours to read into, as in the following. */
static int read_shared(struct save_guest *g, void *page, struct arch_shared_info *out)
{
	const struct shared_info *info = page;
	uint64_t end;
	int err = save_guest_copy(g, g->shared_info, page);

	if (err)
		return control_fail(err, "%s: its shared page cannot be read", g->name);
	*out = info->arch;
	end = out->p2m_vaddr + out->max_pfn * sizeof(uint64_t);
	if (!out->p2m_cr3)
		return bad(g, "it does not say where its list of frames is");
	if (!out->max_pfn || out->max_pfn >= NUMBERS_MAX || out->p2m_vaddr % PAGE_SIZE ||
	    end < out->p2m_vaddr || (end > USER_END && out->p2m_vaddr < KERNEL_BEGIN))
		return bad(g, "its list of frames is at no address");
	g->pfns = out->max_pfn;
	return 0;
}

/* Reads the table of level 1 that maps va, into page. */
static int walk(const struct save_guest *g, uint64_t cr3, uint64_t va, uint64_t *page)
{
	mfn_t frame = {xen_cr3_to_pfn(cr3)};

	for (unsigned level = 4; level > 0; level--) {
		uint64_t entry;

		if (save_guest_copy(g, frame, page))
			return bad(g, "a table that maps its list of frames is not its own");
		if (level == 1)
			break;
		entry = page[va >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1)];
		if (!(entry & PTE_PRESENT))
			return bad(g, "its list of frames is not mapped");
		frame = (mfn_t){(entry & PTE_FRAME) >> PAGE_SHIFT};
	}
	return 0;
}

/* One table of level 1 has the frames of 512 pages of the list, which is the numbers of 1 GiB. */
static int find_list(struct save_guest *g, const struct arch_shared_info *arch, uint64_t *page)
{
	for (unsigned i = 0; i < g->list_pages; i++) {
		uint64_t va = arch->p2m_vaddr + i * PAGE_SIZE, entry;
		unsigned slot = va >> PAGE_SHIFT & (ENTRIES - 1);
		int err = i == 0 || slot == 0 ? walk(g, arch->p2m_cr3, va, page) : 0;

		if (err)
			return err;
		entry = page[slot];
		if (!(entry & PTE_PRESENT) || (entry & PTE_FRAME) >> PAGE_SHIFT >= SAVE_NO_FRAME)
			return bad(g, "a page of its list of frames is not mapped");
		g->list[i] = (uint32_t)((entry & PTE_FRAME) >> PAGE_SHIFT);
	}
	return 0;
}

/* ---- the list ------------------------------------------------------------------------------- */

/* Bits above say of an entry that it is no frame of the domain's (identity, another's), and all ones
 * that there is none. */
static void take_entries(struct save_guest *g, uint64_t first, const uint64_t *entries)
{
	uint64_t n = MIN(g->pfns - first, PAGE_SIZE / sizeof(*entries));

	for (uint64_t i = 0; i < n; i++) {
		uint64_t frame = entries[i];

		g->frames[first + i] = frame < SAVE_NO_FRAME ? (uint32_t)frame : SAVE_NO_FRAME;
		g->present += frame < SAVE_NO_FRAME;
	}
}

static int read_list(struct save_guest *g)
{
	for (unsigned i = 0; i < g->list_pages; i += MAP_PAGES) {
		unsigned n = MIN(g->list_pages - i, MAP_PAGES);
		mfn_t frames[MAP_PAGES];
		const void *view;

		for (unsigned k = 0; k < n; k++)
			frames[k] = (mfn_t){g->list[i + k]};
		if (host_foreign_view(g->domid, frames, n, &view))
			return bad(g, "a page of its list of frames is not its own");
		for (unsigned k = 0; k < n; k++)
			take_entries(g, (uint64_t)(i + k) * ENTRIES,
				     (const uint64_t *)view + k * ENTRIES);
		host_foreign_unmap(view, n);
	}
	return 0;
}

/* Each page of the list is a page of memory: of those the stream has the numbers. */
static int check_list(const struct save_guest *g)
{
	uint64_t pfn;

	for (unsigned i = 0; i < g->list_pages; i++)
		if (!save_guest_number(g, g->list[i], &pfn))
			return bad(g, "a page of its list of frames is not in the list");
	return 0;
}

static void *alloc_words(uint64_t count, unsigned *out_pages)
{
	*out_pages = (unsigned)PAGES_FOR(count * sizeof(uint32_t));
	return host_pages_alloc(*out_pages);
}

static int read_all(struct save_guest *g, uint64_t *page)
{
	struct arch_shared_info arch = {0};
	uint64_t most = 0;
	int err = read_info(g, &most);

	if (!err)
		err = read_shared(g, page, &arch);
	if (!err && g->pfns > most)
		err = bad(g, "its list of frames is longer than any memory it may have");
	if (err)
		return err;
	g->list_pages = (unsigned)DIV_ROUND_UP(g->pfns, ENTRIES);
	g->frames = alloc_words(g->pfns, &g->frames_pages);
	g->list = alloc_words(g->list_pages, &g->list_alloc);
	if (!g->frames || !g->list)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", g->name);
	err = find_list(g, &arch, page);
	if (!err)
		err = read_list(g);
	return err ? err : check_list(g);
}

int save_guest_read(struct save_guest *g)
{
	void *page = host_pages_alloc(1);
	int err;

	if (!page)
		return control_fail(-XEN_ENOMEM, "%s: no memory to save it", g->name);
	err = read_all(g, page);
	host_pages_free(page, 1);
	return err;
}

void save_guest_drop(struct save_guest *g)
{
	if (g->frames)
		host_pages_free(g->frames, g->frames_pages);
	if (g->list)
		host_pages_free(g->list, g->list_alloc);
	g->frames = g->list = NULL;
}

/* ---- frames into numbers -------------------------------------------------------------------- */

bool save_guest_number(const struct save_guest *g, uint64_t frame, uint64_t *out_pfn)
{
	*out_pfn = host_frame_number((mfn_t){frame}).v;
	return *out_pfn < g->pfns && g->frames[*out_pfn] == frame;
}

/* The hypervisor's own slots of a root are none of the domain's memory; it gives them anew. What is not present
 * is the guest's to read as it likes. */
int save_guest_turn_table(const struct save_guest *g, unsigned level, uint64_t pfn,
			  uint64_t *entries)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t number;

		if (level == 4 && i >= HV_L4_FIRST && i <= HV_L4_LAST)
			entries[i] = 0;
		if (!(entries[i] & PTE_PRESENT))
			continue;
		if (!save_guest_number(g, (entries[i] & PTE_FRAME) >> PAGE_SHIFT, &number))
			return control_fail(
			    -XEN_EINVAL,
			    "%s: cannot be saved: entry %u of the level %u table at "
			    "page 0x%llx maps what is not its own",
			    g->name, i, level, (unsigned long long)pfn);
		entries[i] = (entries[i] & ~PTE_FRAME) | number << PAGE_SHIFT;
	}
	return 0;
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

static bool turn_cr3(const struct save_guest *g, unsigned long *cr3)
{
	uint64_t pfn;

	if (!save_guest_number(g, xen_cr3_to_pfn(*cr3), &pfn))
		return false;
	*cr3 = xen_pfn_to_cr3(pfn);
	return true;
}

static bool turn_gdt(const struct save_guest *g, struct vcpu_guest_context *c)
{
	uint64_t pages = DIV_ROUND_UP(c->gdt_ents, GDT_PAGE_DESCS), pfn;

	for (uint64_t i = 0; i < ARRAY_SIZE(c->gdt_frames); i++) {
		if (i < pages && !save_guest_number(g, c->gdt_frames[i], &pfn))
			return false;
		c->gdt_frames[i] = i < pages ? pfn : 0;
	}
	return pages <= ARRAY_SIZE(c->gdt_frames);
}

/* libxc marks a user's root that is there by bit 0: page 0 may be one. The first vCPU's rdx is the third argument of
 * its last call, the frame of its start information (<xen/sched.h>). */
static int turn_context(const struct save_guest *g, unsigned vcpu, struct vcpu_guest_context *c)
{
	uint64_t pfn;

	if (!turn_cr3(g, &c->ctrlreg[3]) || !turn_gdt(g, c))
		return bad(g, "a vCPU's tables are not its own");
	if (c->ctrlreg[1] && !turn_cr3(g, &c->ctrlreg[1]))
		return bad(g, "a vCPU's table for programs is not its own");
	c->ctrlreg[1] |= c->ctrlreg[1] != 0;
	if (vcpu)
		return 0;
	if (!save_guest_number(g, c->user_regs.rdx, &pfn))
		return bad(g, "it does not say where its start information is");
	c->user_regs.rdx = pfn;
	return 0;
}

int save_guest_context(const struct save_guest *g, unsigned vcpu, struct vcpu_guest_context *out)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuinfo, .domain = g->domid};
	int err;

	op.u.getvcpuinfo.vcpu = vcpu;
	if (host_domctl(&op) || !op.u.getvcpuinfo.online)
		return -XEN_ENODATA;
	op = (struct xen_domctl){.cmd = XEN_DOMCTL_getvcpucontext, .domain = g->domid};
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, out);
	err = host_domctl(&op);
	if (err)
		return control_fail(err, "%s: vCPU %u cannot be read", g->name, vcpu);
	return turn_context(g, vcpu, out);
}
