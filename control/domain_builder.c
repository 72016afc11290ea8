/* domain_builder.c: builds a PV domain by the calls Xen's own toolstack makes, step by step.
 *
 * The steps are a table; the first that fails ends the domain again, and with it all the
 * steps before have done, so there is one way to unwind. Not the life cycle: store nodes, consoles
 * and deaths are control.c's. Caller: control.c. Calls: builder_*.c, elf.h, host_control.h.
 */
#include <amphi/domain_builder.h>
#include <amphi/host.h>
#include <amphi/printf.h>
#include <amphi/string.h>

#include "builder.h"
#include <amphi/error_name.h>

#define WEIGHT_DEFAULT 256u /* of Xen's schedulers */
#define E820_RAM       1u   /* ACPI's word for it */

/* The text begins with the domain's name since several may be made by one command, and only one
 * line is printed for each failure. What fits is kept: a cut text is better than none. */
int build_fail(struct build *b, int err, const char *fmt, ...)
{
	va_list args;
	size_t n = fmt_text(b->why, BUILD_WHY_MAX, "%s: ", b->plan->name);

	va_start(args, fmt);
	if (n < BUILD_WHY_MAX)
		fmt_vtext(b->why + n, BUILD_WHY_MAX - n, fmt, args);
	va_end(args);
	return err;
}

static int domctl(struct build *b, struct xen_domctl *op, unsigned cmd)
{
	op->cmd = cmd;
	op->domain = b->out->domid;
	return host_domctl(op);
}

/* ---- steps that touch nothing but this domain ---------------------------------------- */

/* Two ways to be too small. The kernel's own end is compared first, as its size comes from a file:
 * the layout's sums are then over numbers that fit a domain. */
static int plan_layout(struct build *b)
{
	struct start_layout *l = &b->layout;

	l->virt_base = b->notes.virt_base;
	l->kernel_end_paddr = elf_xen_paddr(&b->notes, b->image.paddr_end);
	l->ramdisk_bytes = b->plan->ramdisk ? b->plan->ramdisk_bytes : 0;
	if (l->kernel_end_paddr > b->plan->memory_kib * 1024)
		return build_fail(b, -XEN_ENOMEM,
				  "memory too small: %llu KiB, and the kernel ends at %llu KiB",
				  (unsigned long long)b->plan->memory_kib,
				  (unsigned long long)(l->kernel_end_paddr / 1024));
	if (layout_plan(l))
		return 0;
	if (l->pages < l->needs_pages)
		return build_fail(b, -XEN_ENOMEM,
				  "memory too small: %llu KiB given, at least %llu KiB needed",
				  (unsigned long long)b->plan->memory_kib,
				  (unsigned long long)l->needs_pages * 4);
	return build_fail(b, -XEN_ENOEXEC, "kernel '%s' is for addresses no guest can have",
			  b->plan->kernel_name);
}

/* The notes of the image decide everything that follows: where it is linked (VIRT_BASE), where it
 * is entered, where its hypercall page lies. They are views; the kernel's bytes stay until the end.
 */
int build_read_image(struct build *b, const void *bytes, size_t len)
{
	const char *why = NULL;
	int err = elf_open(bytes, len, &b->image, &why);

	if (!err)
		err = elf_read_xen_notes(&b->image, &b->notes, &why);
	if (err)
		return build_fail(b, err, "kernel '%s' is %s", b->plan->kernel_name, why);
	b->out->is_linux = !strcmp(b->notes.guest_os, "linux");
	return plan_layout(b);
}

/* What a packed kernel says is known when it is unpacked, for which the domain has to be there. */
static int read_kernel(struct build *b)
{
	int err = build_find_packed(b);

	b->layout.pages = b->plan->memory_kib / (PAGE_SIZE / 1024);
	if (err || b->packed.how)
		return err;
	return build_read_image(b, b->plan->kernel, b->plan->kernel_bytes);
}

/* Eight bytes a page of the new domain: 64 KiB for 32 MiB, and the one large thing we need
 * meanwhile. */
static int allocate_list(struct build *b)
{
	b->frames_pages = (unsigned)PAGES_FOR(b->layout.pages * sizeof(mfn_t));
	b->frames = host_pages_alloc(b->frames_pages);
	return b->frames ? 0 : -XEN_ENOMEM;
}

/* ---- steps that the hypervisor takes -------------------------------------------------- */

static int create(struct build *b)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .domain = DOMID_INVALID};
	struct xen_domctl_createdomain *c = &op.u.createdomain;
	int err;

	/* domain = DOMID_INVALID: the hypervisor picks a free number. */
	c->max_vcpus = b->plan->max_vcpus;
	/* What libxl gives: -1 stands for the hypervisor's own limits, 1023 for as many ports as
	 * the two-level interface needs for its kernels. */
	c->max_evtchn_port = 1023;
	c->max_grant_frames = -1;
	c->max_maptrack_frames = -1;
	c->grant_opts = XEN_DOMCTL_GRANT_version(1);
	c->flags = b->plan->passthrough ? XEN_DOMCTL_CDF_iommu : 0;
	/* A handle that no other living domain has: the time of its making. */
	memcpy(c->handle, &(uint64_t){host_time_ns()}, sizeof(uint64_t));
	err = host_domctl(&op);
	if (err)
		return err;
	b->out->domid = op.domain;
	b->created = true;
	return 0;
}

/* max_vcpus makes the vCPUs, which set_context needs; max_mem must be there before populate,
 * because a new domain's limit is nothing. */
static int set_limits(struct build *b)
{
	struct xen_domctl op = {0};
	int err;

	op.u.max_vcpus.max = b->plan->max_vcpus;
	err = domctl(b, &op, XEN_DOMCTL_max_vcpus);
	if (err)
		return err;
	op = (struct xen_domctl){0};
	op.u.max_mem.max_memkb = b->plan->max_memory_kib + BUILD_MEMORY_SLACK_KIB;
	return domctl(b, &op, XEN_DOMCTL_max_mem);
}

/* One piece of RAM up to its limit, as libxl tells it for a guest that may grow: Linux makes its page list so
 * long. A hypervisor that knows the limit itself need not have the call. */
static int tell_memory_map(struct build *b)
{
	struct {
		uint64_t start, bytes;
		uint32_t type;
	} __attribute__((packed)) ram = {0, b->plan->max_memory_kib * 1024, E820_RAM};
	struct xen_foreign_memory_map op = {.domid = b->out->domid, .map.nr_entries = 1};

	set_xen_guest_handle(op.map.buffer, (void *)&ram);
	(void)host_memory_op(XENMEM_set_memory_map, &op);
	return 0;
}

/* A list of 64 bits is as long as any hypervisor's is read: what is beyond it counts as zeros. */
static int pin_vcpus(struct build *b)
{
	for (unsigned i = 0; b->plan->cpus && i < b->plan->max_vcpus; i++) {
		uint64_t cpus = b->plan->cpus[i];
		struct xen_domctl op = {0};
		struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
		int err;

		if (!cpus)
			continue;
		a->vcpu = i;
		a->flags = XEN_VCPUAFFINITY_HARD;
		set_xen_guest_handle(a->cpumap_hard.bitmap, (uint8_t *)&cpus);
		a->cpumap_hard.nr_bits = 64;
		err = domctl(b, &op, XEN_DOMCTL_setvcpuaffinity);
		if (err)
			return build_fail(b, err, "cpus: vCPU %u cannot be pinned: %s", i,
					  err == -XEN_EINVAL ? "no such processors"
							     : error_name(err));
	}
	return 0;
}

/* Weight and cap go to whichever of Xen's schedulers answers; both have them under these names. A
 * hypervisor that has neither runs the domain all the same. */
static int set_share(struct build *b)
{
	uint32_t weight = b->plan->cpu_weight ? b->plan->cpu_weight : WEIGHT_DEFAULT;
	struct xen_domctl op = {0};

	if (!b->plan->cpu_weight && !b->plan->cpu_cap)
		return 0;
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op.u.scheduler_op.u.credit.weight = (uint16_t)weight;
	op.u.scheduler_op.u.credit.cap = (uint16_t)b->plan->cpu_cap;
	if (domctl(b, &op, XEN_DOMCTL_scheduler_op) == 0)
		return 0;
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.u.credit2.weight = (uint16_t)weight;
	op.u.scheduler_op.u.credit2.cap = (uint16_t)b->plan->cpu_cap;
	(void)domctl(b, &op, XEN_DOMCTL_scheduler_op);
	return 0;
}

/* Guests read the real time-stamp counter (tsc_mode = "native"); a hypervisor that knows no other
 * way need not have the call. */
static int set_clock(struct build *b)
{
	struct xen_domctl op = {0};

	op.u.tsc_info.tsc_mode = 2;
	(void)domctl(b, &op, XEN_DOMCTL_settscinfo);
	return 0;
}

/* The hypervisor made the page with the domain. Its frame goes into the start info, and its masks
 * are set by build_mask_events. */
static int find_shared_info(struct build *b)
{
	struct xen_domctl op = {0};
	int err = domctl(b, &op, XEN_DOMCTL_getdomaininfo);

	b->shared_info = (mfn_t){op.u.getdomaininfo.shared_info_frame};
	return err;
}

/* Ports of the new domain that wait for the service domain's end: both numbers are told in the
 * start info, and the store's and the consoles' side bind to them when the domain is introduced. */
static int make_ports(struct build *b)
{
	int err = host_event_alloc_for(b->out->domid, b->plan->service, &b->out->store_port);

	if (err)
		return err;
	return host_event_alloc_for(b->out->domid, b->plan->service, &b->out->console_port);
}

/* The hypervisor writes its stubs where the kernel says. One without such a page brings its own. */
static int fill_hypercall_page(struct build *b)
{
	struct xen_domctl op = {0};
	uint64_t pfn = (b->notes.hypercall_page - b->notes.virt_base) >> PAGE_SHIFT;

	if (!(b->notes.present & ELF_NOTE_BIT(XEN_ELFNOTE_HYPERCALL_PAGE)))
		return 0;
	op.u.hypercall_init.gmfn = b->frames[pfn].v;
	return domctl(b, &op, XEN_DOMCTL_hypercall_init);
}

/* In order: what a domain is before it has memory. A restored one begins with these too. */
static const struct step {
	int (*take)(struct build *b);
	const char *what;
} making[] = {
    {create, "create the domain"},
    {set_limits, "set its limits"},
    {tell_memory_map, "tell its memory map"},
    {set_clock, "set its clock"},
    {set_share, "set its share of the processors"},
    {pin_vcpus, "pin its vCPUs"},
    {find_shared_info, "find its shared page"},
    {make_ports, "make its event channels"},
};

/* Before the making nothing but our own memory is used. The order matters in these places: the kernel
 * before its hypercall page, which lies inside a segment; every page written and unmapped before the
 * pin; the pin before the registers, because cr3 must be a table by then. */
static const struct step before[] = {
    {read_kernel, "read the kernel"},
    {build_check_memory, "ask for memory"},
    {allocate_list, "find memory for its page list"},
};

static const struct step filling[] = {
    {build_populate, "give it memory"},
    {build_unpack_kernel, "unpack the kernel"},
    {build_load_kernel, "load the kernel"},
    {build_drop_unpacked, "let go of what it was unpacked from"},
    {fill_hypercall_page, "fill its hypercall page"},
    {build_load_ramdisk, "load the ramdisk"},
    {build_write_p2m, "write its page list"},
    {build_write_tables, "write its page tables"},
    {build_write_start_info, "write its start info"},
    {build_offer_rings, "offer its rings"},
    {build_mask_events, "mask its events"},
    {build_pin_tables, "have its page tables checked"},
    {build_set_context, "set its first registers"},
};

/* A step that knows better has written why; for others the table's words and the error's name will
 * do. */
static int take_steps(struct build *b, const struct step *steps, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int err = steps[i].take(b);

		if (!err)
			continue;
		if (!b->why[0])
			build_fail(b, err, "cannot %s: %s", steps[i].what, error_name(err));
		return err;
	}
	return 0;
}

int build_make_domain(struct build *b)
{
	return take_steps(b, making, ARRAY_SIZE(making));
}

static int build_all(struct build *b)
{
	int err = take_steps(b, before, ARRAY_SIZE(before));

	if (!err)
		err = build_make_domain(b);
	return err ? err : take_steps(b, filling, ARRAY_SIZE(filling));
}

/* One way out for good and bad: only the domain itself is undone on an error, by ending it. Its
 * memory, ports and limits go with it, so no step has an undo of its own. */
int domain_build(const struct domain_plan *plan, struct built_domain *out, char *why)
{
	struct build *b = host_alloc(sizeof(*b));
	int err;

	*out = (struct built_domain){.domid = DOMID_INVALID};
	why[0] = 0;
	if (!b) {
		fmt_text(why, BUILD_WHY_MAX, "%s: no memory to build it", plan->name);
		return -XEN_ENOMEM;
	}
	*b = (struct build){.plan = plan, .out = out, .why = why};
	err = build_all(b);
	(void)build_drop_unpacked(b);
	if (err && b->created)
		(void)domain_destroy(out->domid);
	if (b->frames)
		host_pages_free(b->frames, b->frames_pages);
	host_free(b, sizeof(*b));
	return err;
}

/* A domain is made paused; this is its first instruction. Called when store and console know it. */
int domain_unpause(domid_t domid)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_unpausedomain, .domain = domid};

	return host_domctl(&op);
}

/* May take long; a hypervisor that interrupts it enters the call anew by itself, so one call is
 * enough. Frames that somebody maps by grant keep the domain's remains alive until they are let go.
 */
int domain_destroy(domid_t domid)
{
	struct xen_domctl op = {.cmd = XEN_DOMCTL_destroydomain, .domain = domid};

	return host_domctl(&op);
}
