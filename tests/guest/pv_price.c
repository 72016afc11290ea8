/* pv_price.c: a PV kernel that prints what the hypervisor's calls cost, in ticks of the TSC, and ends.
 *
 * Runs as the first domain of real Xen and of amphi-hv under QEMU's -icount, where a tick is an instruction; the same
 * code on both, so what differs is the hypervisor. It makes a second domain of seven pages, whose memory, event channel
 * and grant the calls are about; when that is over the second domain runs child(), and both send each other an
 * event in turns. Lines: "@call NAME N", N of one call. Run by tests/bench/calls.sh.
 */
#include "pv.h"

#define ROUNDS 256u
#define FLAGS  0x27ull /* present, writable, user (a PV kernel is in ring 3), accessed */
#define WINDOWS                                                                                    \
	0x1a0000ull /* addresses without a use: behind the image, within the tables there are */
#define REF   8u
#define PAGES 7u

enum page { CODE, STACK, L4, L3, L2, L1, GRANTED };

static struct start_info *start;
static uint64_t *own_l1; /* of the first 2 MiB, read-only */
static uint16_t child_id;
static uint64_t child_page[PAGES], shared_frame, table_frame;
static uint32_t own_port, child_port;
static char scratch[2][4096] __attribute__((aligned(4096)));

static void must(const char *what, long result)
{
	if (result >= 0)
		return;
	print("FAILED ");
	print(what);
	print_number(" -", (uint64_t)-result);
	end(SHUTDOWN_crash);
}

static uint64_t own_frame(const void *va)
{
	return ((const uint64_t *)start->mfn_list)[(uint64_t)va >> 12];
}

/* ---- windows ------------------------------------------------------------------------------- */

static long set_l1(uint64_t va, uint64_t entry, uint16_t owner)
{
	struct mmu_update u = {.ptr = own_frame(own_l1) << 12 | (va >> 12 & 511) * 8, .val = entry};

	return hypercall(__HYPERVISOR_mmu_update, (uint64_t)&u, 1, 0, owner);
}

static void *window(unsigned n, uint64_t frame)
{
	uint64_t va = WINDOWS + n * 4096;
	struct mmuext_op flush = {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = va};

	must("a window", set_l1(va, frame << 12 | FLAGS, child_id));
	must("a flush", hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&flush, 1, 0, DOMID_SELF));
	return (void *)va;
}

static void close_window(unsigned n)
{
	must("an end of a window", set_l1(WINDOWS + n * 4096, 0, DOMID_SELF));
}

/* ---- the second domain --------------------------------------------------------------------- */

static inline long child_call(uint64_t nr, uint64_t a, uint64_t b)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r), "+D"(a), "+S"(b)
			 : "a"(nr)
			 : "rcx", "r11", "r10", "rdx", "memory");
	return r;
}

/* In the second domain, at the same address: code, then its stack, then the shared page. Waits for an event,
 * answers it. rdi is its port. */
__attribute__((section(".child,\"ax\",@progbits#"), aligned(4096), noinline, used)) static void
child(uint64_t port)
{
	evtchn_port_t ports[1] = {(evtchn_port_t)port};
	struct sched_poll poll = {.nr_ports = 1};
	struct evtchn_send send = {.port = (evtchn_port_t)port};
	uint64_t *pending =
	    ((struct shared_info *)(((uint64_t)ports & ~4095ull) + 4096))->evtchn_pending;

	set_xen_guest_handle(poll.ports, ports);
	for (;;) {
		child_call(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&poll);
		pending[0] &= ~(1ull << port);
		child_call(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send);
	}
}

static long domctl(struct xen_domctl *op, uint32_t cmd)
{
	op->cmd = cmd;
	op->domain = child_id;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return hypercall(__HYPERVISOR_domctl, (uint64_t)op, 0, 0, 0);
}

static void make_domain(void)
{
	static struct xen_domctl op;
	struct xen_memory_reservation r = {.nr_extents = PAGES};
	struct xen_domctl_createdomain *c = &op.u.createdomain;

	child_id = DOMID_INVALID;
	c->max_vcpus = 1;
	c->max_evtchn_port = 1023;
	c->max_grant_frames = -1;
	c->max_maptrack_frames = -1;
	c->grant_opts = XEN_DOMCTL_GRANT_version(1);
	must("createdomain", domctl(&op, XEN_DOMCTL_createdomain));
	child_id = op.domain;
	op = (struct xen_domctl){.u.max_vcpus.max = 1};
	must("max_vcpus", domctl(&op, XEN_DOMCTL_max_vcpus));
	op = (struct xen_domctl){.u.max_mem.max_memkb = 4096};
	must("max_mem", domctl(&op, XEN_DOMCTL_max_mem));
	op = (struct xen_domctl){0};
	must("getdomaininfo", domctl(&op, XEN_DOMCTL_getdomaininfo));
	shared_frame = op.u.getdomaininfo.shared_info_frame;
	for (uint64_t i = 0; i < PAGES; i++)
		child_page[i] = i;
	r.domid = child_id;
	set_xen_guest_handle(r.extent_start, child_page);
	if (hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uint64_t)&r, 0, 0) != PAGES)
		must("populate_physmap", -1);
}

static void make_ports(void)
{
	struct evtchn_alloc_unbound a = {.dom = child_id, .remote_dom = 0};
	struct evtchn_bind_interdomain b = {.remote_dom = child_id};

	must("alloc_unbound",
	     hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uint64_t)&a, 0, 0));
	child_port = b.remote_port = a.port;
	must("bind_interdomain", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain,
					   (uint64_t)&b, 0, 0));
	own_port = b.local_port;
}

static void make_grant(void)
{
	xen_pfn_t frame = 0;
	struct gnttab_setup_table s = {.dom = child_id, .nr_frames = 1};
	struct grant_entry_v1 *table;

	set_xen_guest_handle(s.frame_list, &frame);
	must("setup_table",
	     hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uint64_t)&s, 1, 0));
	table = window(0, table_frame = frame);
	table[REF] = (struct grant_entry_v1){.flags = GTF_permit_access,
					     .frame = (uint32_t)child_page[GRANTED]};
	close_window(0);
}

/* ---- prices -------------------------------------------------------------------------------- */

static void price(const char *name, uint64_t since, unsigned n)
{
	uint64_t each = (tsc() - since) / n;

	print("@call ");
	print(name);
	print_number(" ", each);
}

static void null_price(void)
{
	uint64_t since = tsc();

	for (unsigned i = 0; i < ROUNDS; i++)
		hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);
	price("null", since, ROUNDS);
}

/* The other side takes each event in, as a running domain would. */
static void send_price(void)
{
	struct shared_info *shared = window(0, shared_frame);
	struct evtchn_send send = {.port = own_port};
	uint64_t since = tsc();

	for (unsigned i = 0; i < ROUNDS; i++) {
		hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0, 0);
		shared->evtchn_pending[0] = 0;
		shared->vcpu_info[0].evtchn_pending_sel = 0;
		shared->vcpu_info[0].evtchn_upcall_pending = 0;
	}
	price("event_send", since, ROUNDS);
	close_window(0);
}

static void mmu_price(void)
{
	uint64_t frames[2] = {own_frame(scratch[0]), own_frame(scratch[1])}, since = tsc();

	for (unsigned i = 0; i < ROUNDS; i++)
		must("mmu_update", set_l1(WINDOWS, frames[i & 1] << 12 | FLAGS, DOMID_SELF));
	price("mmu_update", since, ROUNDS);
	since = tsc();
	for (unsigned i = 0; i < ROUNDS; i++)
		hypercall(__HYPERVISOR_update_va_mapping, WINDOWS, frames[i & 1] << 12 | FLAGS,
			  UVMF_INVLPG | UVMF_LOCAL, 0);
	price("update_va_mapping", since, ROUNDS);
	close_window(0);
}

static void grant_price(void)
{
	struct gnttab_map_grant_ref map = {
	    .host_addr = WINDOWS, .flags = GNTMAP_host_map, .ref = REF, .dom = child_id};
	struct gnttab_copy copy = {.source.u.ref = REF,
				   .source.domid = child_id,
				   .dest.u.gmfn = own_frame(scratch[0]),
				   .dest.domid = DOMID_SELF,
				   .len = 4096,
				   .flags = GNTCOPY_source_gref};
	uint64_t since = tsc();

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct gnttab_unmap_grant_ref unmap = {.host_addr = WINDOWS};

		hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (uint64_t)&map, 1,
			  0);
		must("map_grant_ref", map.status);
		unmap.handle = map.handle;
		hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (uint64_t)&unmap,
			  1, 0);
		must("unmap_grant_ref", unmap.status);
	}
	price("grant_map_unmap", since, ROUNDS);
	since = tsc();
	for (unsigned i = 0; i < ROUNDS; i++) {
		hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_copy, (uint64_t)&copy, 1, 0);
		must("copy", copy.status);
	}
	price("grant_copy_4k", since, ROUNDS);
}

/* ---- two domains --------------------------------------------------------------------------- */

static void put_table(enum page table, unsigned slot, uint64_t entry)
{
	uint64_t *va = window(0, child_page[table]);

	va[slot] = entry;
	close_window(0);
}

static void fill(enum page page, const char *from)
{
	volatile uint64_t *va = window(0, child_page[page]);

	for (unsigned i = 0; i < 512; i++)
		va[i] = from ? ((const uint64_t *)from)[i] : 0;
	close_window(0);
}

/* Its code where it is here, for it knows its own address; tables last, as they may be written no more once they are
 * tables. Returns the address of its code. */
static uint64_t make_memory(void)
{
	uint64_t at = (uint64_t)child & ~4095ull, first = at >> 12 & 511;

	fill(CODE, (const char *)at);
	for (enum page p = STACK; p <= L1; p++)
		fill(p, 0);
	put_table(L1, first, child_page[CODE] << 12 | FLAGS);
	put_table(L1, first + 1, child_page[STACK] << 12 | FLAGS);
	put_table(L1, first + 2, shared_frame << 12 | FLAGS);
	put_table(L2, 0, child_page[L1] << 12 | FLAGS);
	put_table(L3, 0, child_page[L2] << 12 | FLAGS);
	put_table(L4, 0, child_page[L3] << 12 | FLAGS);
	return at;
}

static void start_child(void)
{
	static struct vcpu_guest_context context;
	static struct xen_domctl op;
	struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = child_page[L4]};
	struct shared_info *shared;
	uint64_t code = make_memory();

	shared = window(0, shared_frame);
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	shared->evtchn_mask[0] = ~0ull;
	close_window(0);
	must("a pin", hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&pin, 1, 0, child_id));
	context.flags = VGCF_in_kernel | VGCF_online;
	context.user_regs.rip = (uint64_t)child;
	context.user_regs.rsp = code + 2 * 4096 - 8;
	context.user_regs.rdi = child_port;
	context.user_regs.cs = 0xe033;
	context.user_regs.ss = context.user_regs.ds = context.user_regs.es = 0xe02b;
	context.user_regs.rflags = 0x202;
	context.kernel_ss = 0xe02b;
	context.kernel_sp = context.user_regs.rsp;
	context.ctrlreg[3] = child_page[L4] << 12;
	op = (struct xen_domctl){0};
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
	must("setvcpucontext", domctl(&op, XEN_DOMCTL_setvcpucontext));
	op = (struct xen_domctl){0};
	must("unpausedomain", domctl(&op, XEN_DOMCTL_unpausedomain));
}

/* There and back: two events, two waits, two changes of the domain that runs. */
static void switch_price(void)
{
	struct shared_info *shared = (struct shared_info *)(WINDOWS + 4096);
	struct evtchn_send send = {.port = own_port};
	evtchn_port_t ports[1] = {own_port};
	struct sched_poll poll = {.nr_ports = 1};
	uint64_t since = 0;

	must("the shared page", set_l1(WINDOWS + 4096, start->shared_info | FLAGS, DOMID_SELF));
	set_xen_guest_handle(poll.ports, ports);
	start_child();
	for (unsigned i = 0; i < 16 + ROUNDS; i++) {
		if (i == 16)
			since = tsc();
		hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0, 0);
		hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&poll, 0, 0);
		shared->evtchn_pending[0] &= ~(1ull << own_port);
	}
	price("domain_there_and_back", since, ROUNDS);
}

void guest_main(struct start_info *si)
{
	uint64_t *l4 = (uint64_t *)si->pt_base;

	start = si;
	own_l1 = table_at(table_at(table_at(l4[0])[0])[0]);
	null_price();
	make_domain();
	make_ports();
	make_grant();
	send_price();
	mmu_price();
	grant_price();
	switch_price();
	print("pv_price: done\n");
	end(SHUTDOWN_poweroff);
}
