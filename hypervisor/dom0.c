/* dom0.c: builds the first domain, the only one the hypervisor builds itself.
 *
 * Caller: boot.c. From boot module 0 (a kernel with Xen's PV notes) and the others (its ramdisk) it
 * makes what "start of day" in xen/xen.h describes, and leaves the domain's vCPU 0 ready to run.
 * Everything else in the world is built by that domain's control/, which does the same over
 * hypercalls. What is wrong with the modules is said, and the machine stops.
 */
#include <amphi/elf.h>
#include <amphi/start_layout.h>
#include <amphi/string.h>

#include "boot.h"
#include "domain.h"

#define DEFAULT_BYTES  (32ull << 20)
#define ORDER_MAX      9u
#define SMALLEST_PAGES 1024u /* 4 MiB: the map ends on a 4 MiB boundary */
#define IO_FRAMES_END  (1ull << 40)

/* The domain while it is being built. The p2m list is written straight into the domain's frames,
 * and read there. */
struct dom0_plan {
	struct domain *d;
	struct start_layout l;
	uint64_t *list; /* frames of the p2m list, in the hypervisor's memory while building */
	uint64_t n_list;
	unsigned list_order;
	struct elf_image image;
	struct elf_xen_notes notes;
};

/* The entry of the p2m list for pfn. */
static uint64_t *p2m_entry(const struct dom0_plan *plan, uint64_t pfn)
{
	uint64_t *page = mfn_to_virt((mfn_t){plan->list[pfn / 512]});

	return &page[pfn % 512];
}

static void *pfn_to_virt(const struct dom0_plan *plan, uint64_t pfn)
{
	return mfn_to_virt((mfn_t){*p2m_entry(plan, pfn)});
}

/* ---- plan ------------------------------------------------------------------------------ */

static void open_modules(struct dom0_plan *plan)
{
	const struct boot_info *boot = boot_info();
	const struct boot_module *m = boot->modules;
	const char *why;

	if (boot->n_modules == 0)
		hv_panic("no kernel for the first domain: the boot loader passed no module");
	if (elf_open(maddr_to_virt((maddr_t){m->start}), m->end - m->start, &plan->image, &why) !=
		0 ||
	    elf_read_xen_notes(&plan->image, &plan->notes, &why) != 0)
		hv_panic("the first domain's kernel (module 0): %s", why);
	plan->l.ramdisk_bytes = dom0_ramdisk(boot, NULL, NULL);
}

static void lay_out(struct dom0_plan *plan)
{
	struct start_layout *l = &plan->l;
	uint64_t bytes = DEFAULT_BYTES;
	char text[48];

	if (boot_option("dom0_mem", text, sizeof(text)) && !boot_read_size(text, &bytes))
		hv_panic("dom0_mem=%s is not a size (such as 32M)", text);
	if (bytes / PAGE_SIZE < SMALLEST_PAGES)
		hv_panic("dom0_mem is %lu KiB; the least is %u KiB", (bytes / 1024),
			 SMALLEST_PAGES * 4);
	l->pages = bytes / PAGE_SIZE;
	l->virt_base = plan->notes.virt_base;
	l->kernel_end_paddr = plan->notes.virt_end - plan->notes.virt_base;
	l->no_rings = true;
	if (!layout_plan(l))
		hv_panic("too little memory for the first domain: dom0_mem is %lu KiB, kernel and "
			 "ramdisk need %lu KiB at %lx",
			 l->pages * 4, l->needs_pages * 4, l->virt_base);
	plan->n_list = PAGES_FOR(l->pages * sizeof(uint64_t));
}

/* ---- memory ---------------------------------------------------------------------------- */

static void no_memory(const struct dom0_plan *plan)
{
	hv_panic("too little memory for the first domain: %u of %lu KiB free",
		 plan->d->mm.nr_pages * 4, plan->l.pages * 4);
}

static void enter(struct dom0_plan *plan, uint64_t pfn, uint64_t mfn)
{
	*p2m_entry(plan, pfn) = mfn;
	m2p_set((mfn_t){mfn}, pfn);
}

/* The list comes first, since all else is noted in it. */
static void take_list(struct dom0_plan *plan)
{
	for (uint64_t i = 0; i < plan->n_list; i++) {
		struct page_info *page = page_alloc_domain(plan->d, 0);

		if (page == NULL)
			no_memory(plan);
		plan->list[i] = page_to_mfn(page).v;
	}
	for (uint64_t i = 0; i < plan->n_list; i++)
		enter(plan, plan->l.p2m_pfn + i, plan->list[i]);
}

/* The largest blocks there are, so that what the domain takes to be contiguous mostly is. */
static void take_range(struct dom0_plan *plan, uint64_t pfn, uint64_t end)
{
	unsigned order = ORDER_MAX;

	while (pfn < end) {
		struct page_info *page;

		while ((1ull << order) > end - pfn)
			order--;
		page = page_alloc_domain(plan->d, order);
		if (page == NULL && order == 0)
			no_memory(plan);
		if (page == NULL) {
			order--;
			continue;
		}
		for (uint64_t i = 0; i < 1ull << order; i++)
			enter(plan, pfn++, page_to_mfn(page).v + i);
	}
}

/* Copies into the domain's frames from byte `at` of its memory on. */
static void put(struct dom0_plan *plan, uint64_t at, const void *from, uint64_t n)
{
	const uint8_t *p = from;

	while (n != 0) {
		uint64_t offset = at & ~PAGE_MASK, part = MIN(n, PAGE_SIZE - offset);

		memcpy((uint8_t *)pfn_to_virt(plan, at >> PAGE_SHIFT) + offset, p, part);
		at += part;
		p += part;
		n -= part;
	}
}

static void put_ramdisk(void *ctx, uint64_t at, const void *bytes, uint64_t n)
{
	struct dom0_plan *plan = ctx;

	put(plan, plan->l.ramdisk_pfn * PAGE_SIZE + at, bytes, n);
}

static void load_contents(struct dom0_plan *plan)
{
	const struct elf_xen_notes *n = &plan->notes;

	for (unsigned i = 0; i < plan->image.n_segments; i++) {
		const struct elf_segment *s = &plan->image.segments[i];

		put(plan, elf_xen_paddr(n, s->paddr), s->data, s->file_bytes);
	}
	(void)dom0_ramdisk(boot_info(), put_ramdisk, plan);
	if (n->present & ELF_NOTE_BIT(XEN_ELFNOTE_HYPERCALL_PAGE))
		hypercall_page_fill(
		    pfn_to_virt(plan, (n->hypercall_page - n->virt_base) / PAGE_SIZE));
}

/* Written through the direct map before anybody runs on them; mm checks them like any other
 * guest's, which is why the layout has the tables themselves mapped read-only. */
static void write_tables(struct dom0_plan *plan)
{
	const struct start_layout *l = &plan->l;

	for (unsigned n = 0; n < l->n_tables; n++) {
		uint64_t *table = pfn_to_virt(plan, l->tables_pfn + n), pfn, flags;
		unsigned level, index;

		layout_table(l, n, &level, &index);
		for (unsigned slot = 0; slot < PTES; slot++)
			table[slot] = layout_entry(l, level, index, slot, &pfn, &flags)
					  ? *p2m_entry(plan, pfn) << PAGE_SHIFT | flags
					  : 0;
	}
}

/* ---- what the kernel is told ----------------------------------------------------------- */

static void tell_kernel(struct dom0_plan *plan, struct vcpu *v)
{
	struct start_info *si = pfn_to_virt(plan, plan->l.start_info_pfn);
	struct vcpu_guest_context *c = hv_alloc(sizeof(*c));

	layout_start_info(&plan->l, boot_info()->modules[0].cmdline, si);
	si->shared_info = virt_to_maddr(plan->d->events.shared).v;
	si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
	if (c == NULL)
		hv_panic("no memory for the first domain's context");
	layout_context(&plan->l, plan->notes.entry, c);
	if (pv_set_context(v, c) != 0)
		hv_panic("the first domain's entry point %lx is not in its own memory",
			 plan->notes.entry);
	hv_free(c, sizeof(*c));
}

/* All of the hardware that the hypervisor does not need for itself. */
static void give_hardware(struct domain *d)
{
	if (io_port_permit(d, 0, 0xffff, true) != 0 ||
	    io_mem_permit(d, (mfn_t){0}, (mfn_t){IO_FRAMES_END - 1}, true) != 0)
		hv_panic("no memory for the first domain's I/O rights");
	for (uint32_t pirq = 0; pirq < IO_PIRQS; pirq++)
		(void)io_irq_permit(d, pirq, true);
	iommu_boot_devices(d);
}

static void create(struct dom0_plan *plan)
{
	char text[24];
	uint64_t vcpus = 1;

	if (boot_option("dom0_max_vcpus", text, sizeof(text)) &&
	    (!str_to_u64(text, &vcpus) || vcpus == 0 || vcpus > MAX_VCPUS))
		hv_panic("dom0_max_vcpus=%s is not a number from 1 to %u", text, MAX_VCPUS);
	if (domain_create(0, (unsigned)vcpus, &plan->d) != 0)
		hv_panic("no memory for the first domain");
	while ((PAGE_SIZE << plan->list_order) < plan->n_list * sizeof(uint64_t))
		plan->list_order++;
	plan->list = hv_page_alloc(plan->list_order);
	if (plan->list == NULL)
		hv_panic("no memory to build the first domain");
}

void dom0_build(void)
{
	static struct dom0_plan plan;
	struct vcpu *v;
	int rc;

	open_modules(&plan);
	lay_out(&plan);
	create(&plan);
	take_list(&plan);
	take_range(&plan, 0, plan.l.p2m_pfn);
	take_range(&plan, plan.l.p2m_pfn + plan.n_list, plan.l.pages);
	load_contents(&plan);
	write_tables(&plan);
	v = plan.d->vcpu[0];
	rc = mm_set_boot_root(v, (mfn_t){*p2m_entry(&plan, plan.l.tables_pfn)});
	if (rc != 0)
		hv_panic("the first domain's page tables are refused (error %d)", rc);
	tell_kernel(&plan, v);
	give_hardware(plan.d);
	for (unsigned i = 0; i < boot_info()->n_modules; i++)
		mm_boot_release(boot_info()->modules[i].start, boot_info()->modules[i].end);
	hv_page_free(plan.list, plan.list_order);
	time_update_vcpu(v);
	event_set_mask(&v->events, true);
	v->initialised = true;
	vcpu_up(v);
	hv_printk("domain 0: %lu KiB, %u vCPU%s, kernel %s, entry %lx", plan.l.pages * 4,
		  plan.d->max_vcpus, plan.d->max_vcpus == 1 ? "" : "s", plan.notes.guest_os,
		  plan.notes.entry);
	(void)domain_ctl_unpause(plan.d);
}
