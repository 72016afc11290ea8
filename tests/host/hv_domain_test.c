/* hv_domain_test.c: domains are made, counted, ended and gone without a trace.
 *
 * Shows: ids, limits, the commands of domctl with good and bad arguments, shutdown and crash and
 * what is told of them, teardown in pieces, a hundred domains made and destroyed. Why: a page, port
 * or number lost with each domain stops a service after a day. Expected: all hold, and every page
 * is back after each.
 *
 * links: tests/host/hv_fake.c tests/host/hv_fake_cpu.c lib/printf.c lib/text.c
 * links: hypervisor/event.c hypervisor/event_op.c hypervisor/event_close.c
 * links: hypervisor/grant.c hypervisor/grant_op.c hypervisor/grant_map.c hypervisor/grant_copy.c
 * links: hypervisor/domain.c hypervisor/domain_end.c hypervisor/dispatch.c hypervisor/version.c
 * links: hypervisor/vcpu_op.c hypervisor/domctl.c hypervisor/domctl_vcpu.c hypervisor/domctl_hw.c
 * links: hypervisor/sysctl.c hypervisor/toolstack.c hypervisor/keys.c hypervisor/sched_op.c
 * links: hypervisor/frame.c lib/heap.c hypervisor/page_type.c hypervisor/pte.c
 * links: hypervisor/mm_domain.c hypervisor/mm_grant.c hypervisor/mm_context.c hypervisor/mm_space.c
 * links: hypervisor/mmu_update.c hypervisor/mmuext.c hypervisor/descriptor.c
 * links: hypervisor/memory_op.c hypervisor/memory_exchange.c
 * links: hypervisor/event_2l.c hypervisor/event_fifo.c
 * links: hypervisor/grant_entry.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv_fake.h"

static struct domain *dom0;
static uint64_t free_before;

static int setup(void **state)
{
	free_before = fake_free_pages();
	dom0 = fake_domain(1, 64);
	fake.log[0] = '\0';
	fake.machine_ended = false;
	fake.on_machine_end = NULL;
	return 0;
}

static int teardown(void **state)
{
	fake.preempt_after = -1;
	fake_domain_end(dom0);
	return fake_free_pages() == free_before ? 0 : -1;
}

/* ---- words for what follows ------------------------------------------------------------ */

static struct xen_domctl op;

static long domctl(uint32_t cmd, domid_t id)
{
	long result;

	op.cmd = cmd;
	op.domain = id;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	result = hc_domctl(FAKE_PUT(0, op));
	memcpy(&op, fake_arena, sizeof(op));
	return result;
}

static domid_t create(domid_t id, unsigned max_vcpus)
{
	memset(&op, 0, sizeof(op));
	op.u.createdomain.max_vcpus = max_vcpus;
	op.u.createdomain.max_grant_frames = -1;
	op.u.createdomain.handle[0] = 0x42;
	assert_int_equal(domctl(XEN_DOMCTL_createdomain, id), 0);
	return op.domain;
}

static long destroy(domid_t id)
{
	long result;
	bool again;

	do {
		result = domctl(XEN_DOMCTL_destroydomain, id);
		again = dom0->vcpu[0]->call.restart;
		dom0->vcpu[0]->call.restart = false;
	} while (again);
	return result;
}

static struct xen_domctl_getdomaininfo *info(domid_t id)
{
	memset(&op, 0, sizeof(op));
	assert_int_equal(domctl(XEN_DOMCTL_getdomaininfo, id), 0);
	return &op.u.getdomaininfo;
}

static struct domain *found(domid_t id)
{
	struct domain *d = domain_find(id);

	assert_non_null(d);
	domain_put(d);
	return d;
}

/* ---- making ---------------------------------------------------------------------------- */

static void ids_are_given_and_kept(void **state)
{
	domid_t a = create(0, 1), b = create(DOMID_INVALID, 1), c = create(3, 1);

	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(c, 3);
	op.u.createdomain.max_vcpus = 1;
	op.u.createdomain.max_grant_frames = -1;
	assert_int_equal(domctl(XEN_DOMCTL_createdomain, 3), -XEN_EEXIST);
	assert_int_equal(destroy(1), 0);
	assert_int_equal(create(0, 1), 4); /* not 1 again, and 3 is taken */
	assert_int_equal(destroy(4), 0);
	assert_int_equal(destroy(2), 0);
	assert_int_equal(destroy(3), 0);
	assert_int_equal(destroy(3), -XEN_ESRCH);
}

/* Numbers begin again at 1 when they have run out. */
static void ids_go_round(void **state)
{
	domid_t id = 0;
	unsigned i;

	for (i = 1; i < DOMID_FIRST_RESERVED; i++) {
		id = create(0, 1);
		assert_int_equal(destroy(id), 0);
	}
	assert_int_equal(id, DOMID_FIRST_RESERVED - 1);
	id = create(0, 1);
	assert_int_equal(id, 1);
	assert_int_equal(destroy(id), 0);
}

static void a_new_domain_is_paused_and_empty(void **state)
{
	domid_t id = create(0, 2);
	struct xen_domctl_getdomaininfo *i = info(id);

	assert_int_equal(i->domain, id);
	assert_int_equal(i->flags, XEN_DOMINF_paused);
	assert_int_equal(i->tot_pages, 0);
	assert_int_equal(i->max_pages, 0);
	assert_int_equal(i->nr_online_vcpus, 0);
	assert_int_equal(i->max_vcpu_id, 1);
	assert_int_equal(i->handle[0], 0x42);
	assert_ptr_equal(mfn_to_virt((mfn_t){i->shared_info_frame}), found(id)->events.shared);
	assert_null(page_alloc_domain(found(id), 0));
	op.u.max_mem.max_memkb = 8;
	assert_int_equal(domctl(XEN_DOMCTL_max_mem, id), 0);
	assert_non_null(page_alloc_domain(found(id), 0));
	assert_non_null(page_alloc_domain(found(id), 0));
	assert_null(page_alloc_domain(found(id), 0));
	assert_int_equal(info(id)->tot_pages, 2);
	assert_int_equal(destroy(id), 0);
}

/* As xenconsoled goes through all domains. */
static void the_next_domain_is_found(void **state)
{
	domid_t id = create(5, 1);

	assert_int_equal(info(1)->domain, 5);
	assert_int_equal(op.domain, 5);
	assert_int_equal(domctl(XEN_DOMCTL_getdomaininfo, 6), -XEN_ESRCH);
	assert_int_equal(domctl(XEN_DOMCTL_getdomaininfo, DOMID_SELF), -XEN_EINVAL);
	assert_int_equal(destroy(id), 0);
}

static void what_is_not_offered_is_refused(void **state)
{
	static const struct xen_domctl_createdomain bad[] = {
	    {.max_vcpus = 0, .max_grant_frames = -1},
	    {.max_vcpus = MAX_VCPUS + 1, .max_grant_frames = -1},
	    {.max_vcpus = 1, .max_grant_frames = 0},
	    {.max_vcpus = 1, .max_grant_frames = -1, .flags = XEN_DOMCTL_CDF_hvm},
	    {.max_vcpus = 1, .max_grant_frames = -1, .flags = XEN_DOMCTL_CDF_iommu},
	    {.max_vcpus = 1, .max_grant_frames = -1, .arch.emulation_flags = 1},
	    {.max_vcpus = 1, .max_grant_frames = -1, .cpupool_id = 1},
	    {.max_vcpus = 1, .max_grant_frames = -1, .grant_opts = 3},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		op.u.createdomain = bad[i];
		assert_int_equal(domctl(XEN_DOMCTL_createdomain, 0), -XEN_EINVAL);
	}
}

/* Memory ends at each possible moment of the making: an error, and nothing is kept. */
static void making_fails_without_a_trace(void **state)
{
	void *hoard[FAKE_FRAMES];
	unsigned n = 0, created = 0;
	uint64_t before;
	struct domain *d;

	while ((hoard[n] = hv_page_alloc(0)))
		n++;
	while (n > 0 && !created) {
		hv_page_free(hoard[--n], 0);
		before = fake_free_pages();
		created = domain_create(DOMID_INVALID, MAX_VCPUS, &d) == 0;
		if (!created)
			assert_int_equal(fake_free_pages(), before);
	}
	assert_true(created);
	fake_domain_end(d);
	while (n > 0)
		hv_page_free(hoard[--n], 0);
}

static void only_the_first_domain_calls(void **state)
{
	struct domain *guest = fake_domain(1, 4);

	fake_run(guest->vcpu[0]);
	assert_int_equal(domctl(XEN_DOMCTL_pausedomain, 0), -XEN_EPERM);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_domctl(0), -XEN_EFAULT);
	op.interface_version++;
	assert_int_equal(hc_domctl(FAKE_PUT(0, op)), -XEN_EACCES);
	assert_int_equal(domctl(XEN_DOMCTL_gethvmcontext, guest->id), -XEN_ENOSYS);
	assert_int_equal(domctl(100000, guest->id), -XEN_ENOSYS);
	assert_int_equal(domctl(XEN_DOMCTL_pausedomain, 99), -XEN_ESRCH);
	assert_int_equal(domctl(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL); /* itself */
	assert_int_equal(domctl(XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
	fake_domain_end(guest);
}

/* ---- commands -------------------------------------------------------------------------- */

static void pauses_are_counted(void **state)
{
	domid_t id = create(0, 1);

	assert_int_equal(domctl(XEN_DOMCTL_pausedomain, id), 0);
	assert_int_equal(domctl(XEN_DOMCTL_unpausedomain, id), 0);
	assert_true(info(id)->flags & XEN_DOMINF_paused);
	assert_int_equal(domctl(XEN_DOMCTL_unpausedomain, id), 0);
	assert_false(info(id)->flags & XEN_DOMINF_paused);
	assert_int_equal(found(id)->vcpu[0]->sched.pause_count, 0);
	assert_int_equal(domctl(XEN_DOMCTL_unpausedomain, id), -XEN_EINVAL);
	assert_int_equal(found(id)->vcpu[0]->sched.pause_count, 0);
	assert_int_equal(destroy(id), 0);
}

static void vcpu_commands(void **state)
{
	struct vcpu_guest_context ctx = {.user_regs.rip = 13};
	domid_t id = create(0, 2);

	op.u.max_vcpus.max = 2;
	assert_int_equal(domctl(XEN_DOMCTL_max_vcpus, id), 0);
	op.u.max_vcpus.max = 3;
	assert_int_equal(domctl(XEN_DOMCTL_max_vcpus, id), -XEN_EINVAL);
	FAKE_PUT(8192, ctx);
	op.u.vcpucontext.vcpu = 0;
	op.u.vcpucontext.ctxt.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 8192);
	assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, id), -XEN_EINVAL);
	assert_int_equal(domctl(XEN_DOMCTL_getvcpucontext, id), -XEN_ENODATA);
	op.u.vcpucontext.vcpu = 2;
	assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, id), -XEN_EINVAL);
	assert_int_equal(domctl(XEN_DOMCTL_getvcpucontext, id), -XEN_EINVAL);
	op.u.vcpucontext.vcpu = 0;
	op.u.vcpucontext.ctxt.p = NULL;
	assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, id), 0); /* taken away */
	found(id)->vcpu[1]->initialised = true;
	found(id)->vcpu[1]->pv.regs.rip = 0x77;
	op.u.vcpucontext.vcpu = 1;
	op.u.vcpucontext.ctxt.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 8192);
	assert_int_equal(domctl(XEN_DOMCTL_getvcpucontext, id), 0);
	memcpy(&ctx, fake_arena + 8192, sizeof(ctx));
	assert_int_equal(ctx.user_regs.rip, 0x77);
	op.u.getvcpuinfo.vcpu = 1;
	assert_int_equal(domctl(XEN_DOMCTL_getvcpuinfo, id), 0);
	assert_int_equal(op.u.getvcpuinfo.online, 0);
	op.u.getvcpuinfo.vcpu = 5;
	assert_int_equal(domctl(XEN_DOMCTL_getvcpuinfo, id), -XEN_ESRCH);
	assert_int_equal(destroy(id), 0);
}

/* The one callback that the plain context does not have; a rest that is too short, or points at us, is no
 * context. */
static void extended_context(void **state)
{
	struct xen_domctl_ext_vcpucontext *e = &op.u.ext_vcpucontext;
	domid_t id = create(0, 2);
	struct vcpu_pv *pv = &found(id)->vcpu[1]->pv;

	*e = (struct xen_domctl_ext_vcpucontext){.vcpu = 1, .size = sizeof(*e)};
	e->syscall32_callback_eip = 0x1234;
	e->syscall32_disables_events = 1;
	e->mcg_cap = 9;
	assert_int_equal(domctl(XEN_DOMCTL_set_ext_vcpucontext, id), 0);
	assert_int_equal(pv->callback[PV_CB_SYSCALL32], 0x1234);
	assert_true(pv->callback_masks[PV_CB_SYSCALL32]);
	*e = (struct xen_domctl_ext_vcpucontext){.vcpu = 1};
	assert_int_equal(domctl(XEN_DOMCTL_get_ext_vcpucontext, id), 0);
	assert_int_equal(e->syscall32_callback_eip, 0x1234);
	assert_int_equal(e->syscall32_disables_events, 1);
	assert_int_equal(e->mcg_cap, 0);
	e->syscall32_callback_eip = 1ull << 47;
	assert_int_equal(domctl(XEN_DOMCTL_set_ext_vcpucontext, id), -XEN_EINVAL);
	e->syscall32_callback_eip = 0;
	e->size = 31;
	assert_int_equal(domctl(XEN_DOMCTL_set_ext_vcpucontext, id), -XEN_EINVAL);
	assert_int_equal(pv->callback[PV_CB_SYSCALL32], 0x1234);
	e->vcpu = 2;
	assert_int_equal(domctl(XEN_DOMCTL_get_ext_vcpucontext, id), -XEN_EINVAL);
	assert_int_equal(destroy(id), 0);
}

/* One that has shut down runs on; one that has not is none the less paused by its toolstack. */
static void a_checkpoint_goes_on(void **state)
{
	domid_t id = create(0, 1);

	assert_int_equal(domctl(XEN_DOMCTL_resumedomain, id), 0);
	assert_int_equal(found(id)->vcpu[0]->sched.pause_count, 1);
	assert_int_equal(domctl(XEN_DOMCTL_unpausedomain, id), 0);
	domain_shutdown(found(id), SHUTDOWN_suspend);
	assert_int_equal(found(id)->vcpu[0]->sched.pause_count, 1);
	assert_int_equal(info(id)->flags >> XEN_DOMINF_shutdownshift, SHUTDOWN_suspend);
	assert_int_equal(domctl(XEN_DOMCTL_resumedomain, id), 0);
	assert_int_equal(found(id)->vcpu[0]->sched.pause_count, 0);
	assert_false(info(id)->flags & XEN_DOMINF_shutdown);
	domain_shutdown(found(id), SHUTDOWN_poweroff);
	assert_int_equal(info(id)->flags >> XEN_DOMINF_shutdownshift, SHUTDOWN_poweroff);
	assert_int_equal(destroy(id), 0);
}

static void affinity_is_the_one_cpu(void **state)
{
	domid_t id = create(0, 1);

	memset(&op, 0, sizeof(op));
	memset(fake_arena + 4096, 0xff, 16);
	op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
	op.u.vcpuaffinity.cpumap_hard.nr_bits = 16;
	op.u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(domctl(XEN_DOMCTL_getvcpuaffinity, id), 0);
	assert_int_equal(fake_arena[4096], 1);
	assert_int_equal(fake_arena[4097], 0);
	assert_int_equal(fake_arena[4098], 0xff);
	assert_int_equal(domctl(XEN_DOMCTL_setvcpuaffinity, id), 0);
	op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_SOFT;
	op.u.vcpuaffinity.cpumap_soft = op.u.vcpuaffinity.cpumap_hard;
	fake_arena[4096] = 3;
	assert_int_equal(domctl(XEN_DOMCTL_setvcpuaffinity, id), 0);
	assert_int_equal(fake_arena[4096], 1); /* the one that there is */
	assert_int_equal(found(id)->vcpu[0]->sched.soft, 3);
	assert_int_equal(domctl(XEN_DOMCTL_getvcpuaffinity, id), 0);
	op.u.vcpuaffinity.vcpu = 1;
	assert_int_equal(domctl(XEN_DOMCTL_getvcpuaffinity, id), -XEN_EINVAL);
	assert_int_equal(domctl(XEN_DOMCTL_setvcpuaffinity, id), -XEN_EINVAL);
	assert_int_equal(destroy(id), 0);
}

static void rights_are_checked_for_range(void **state)
{
	domid_t id = create(0, 1);

	op.u.ioport_permission = (struct xen_domctl_ioport_permission){0x3f8, 8, 1};
	assert_int_equal(domctl(XEN_DOMCTL_ioport_permission, id), 0);
	op.u.ioport_permission.nr_ports = 0;
	assert_int_equal(domctl(XEN_DOMCTL_ioport_permission, id), -XEN_EINVAL);
	op.u.ioport_permission.nr_ports = 0x10000;
	assert_int_equal(domctl(XEN_DOMCTL_ioport_permission, id), -XEN_EINVAL);
	op.u.ioport_permission.first_port = 0xffffffff;
	assert_int_equal(domctl(XEN_DOMCTL_ioport_permission, id), -XEN_EINVAL);
	op.u.iomem_permission.first_mfn = ~0ull;
	op.u.iomem_permission.nr_mfns = 2;
	assert_int_equal(domctl(XEN_DOMCTL_iomem_permission, id), -XEN_EINVAL);
	op.u.iomem_permission.nr_mfns = 1;
	assert_int_equal(domctl(XEN_DOMCTL_iomem_permission, id), 0);
	op.u.irq_permission.pirq = 4096;
	assert_int_equal(domctl(XEN_DOMCTL_irq_permission, id), -XEN_EINVAL);
	assert_int_equal(destroy(id), 0);
}

static void small_commands(void **state)
{
	domid_t id = create(0, 1);

	op.u.address_size.size = 64;
	assert_int_equal(domctl(XEN_DOMCTL_set_address_size, id), 0);
	op.u.address_size.size = 32;
	assert_int_equal(domctl(XEN_DOMCTL_set_address_size, id), -XEN_EINVAL);
	assert_int_equal(domctl(XEN_DOMCTL_get_address_size, id), 0);
	assert_int_equal(op.u.address_size.size, 64);
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	assert_int_equal(domctl(XEN_DOMCTL_scheduler_op, id), 0);
	assert_int_equal(op.u.scheduler_op.u.credit.weight, 256);
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS;
	assert_int_equal(domctl(XEN_DOMCTL_scheduler_op, id), -XEN_EINVAL);
	op.u.setdomainhandle.handle[15] = 9;
	assert_int_equal(domctl(XEN_DOMCTL_setdomainhandle, id), 0);
	assert_int_equal(info(id)->handle[15], 9);
	assert_int_equal(destroy(id), 0);
}

static void the_hypercall_page_is_written(void **state)
{
	domid_t id = create(0, 1);
	const uint8_t *page;
	mfn_t frame;

	found(id)->mm.max_pages = 4;
	frame = fake_frame(found(id));
	op.u.hypercall_init.gmfn = frame.v;
	assert_int_equal(domctl(XEN_DOMCTL_hypercall_init, id), 0);
	page = mfn_to_virt(frame);
	assert_int_equal(page[17 * 32 + 3], 0xb8); /* mov $17, %eax */
	assert_int_equal(page[17 * 32 + 4], 17);
	assert_int_equal(page[23 * 32 + 3], 0x50); /* iret pushes rax too */
	assert_int_equal(page[23 * 32 + 5], 23);
	assert_int_equal(mfn_to_page(frame)->count, 1);
	op.u.hypercall_init.gmfn = fake_frame(dom0).v;
	assert_int_equal(domctl(XEN_DOMCTL_hypercall_init, id), -XEN_EACCES);
	op.u.hypercall_init.gmfn = ~0ull;
	assert_int_equal(domctl(XEN_DOMCTL_hypercall_init, id), -XEN_EACCES);
	assert_int_equal(destroy(id), 0);
}

static void frames_are_described(void **state)
{
	domid_t id = create(0, 1);
	xen_pfn_t words[2];

	found(id)->mm.max_pages = 4;
	words[0] = fake_frame(found(id)).v;
	words[1] = ~0ull;
	FAKE_PUT(4096, words);
	op.u.getpageframeinfo3.num = 2;
	op.u.getpageframeinfo3.array.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(domctl(XEN_DOMCTL_getpageframeinfo3, id), 0);
	memcpy(words, fake_arena + 4096, sizeof(words));
	assert_int_equal(words[0], XEN_DOMCTL_PFINFO_NOTAB);
	assert_int_equal(words[1], XEN_DOMCTL_PFINFO_XTAB);
	op.u.getpageframeinfo3.num = 1025;
	assert_int_equal(domctl(XEN_DOMCTL_getpageframeinfo3, id), -XEN_E2BIG);
	assert_int_equal(destroy(id), 0);
}

/* ---- ends ------------------------------------------------------------------------------ */

static void a_shutdown_is_told_once(void **state)
{
	struct domain *guest = fake_domain(1, 4);
	struct evtchn_bind_virq b = {.virq = VIRQ_DOM_EXC};
	struct shared_info *s = dom0->events.shared;

	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_event_channel_op(EVTCHNOP_bind_virq, FAKE_PUT(0, b)), 0);
	domain_shutdown(guest, SHUTDOWN_suspend);
	assert_int_not_equal(s->evtchn_pending[0], 0);
	domain_shutdown(guest, SHUTDOWN_crash);
	assert_int_equal(info(guest->id)->flags,
			 XEN_DOMINF_shutdown | SHUTDOWN_suspend << XEN_DOMINF_shutdownshift);
	assert_int_equal(guest->vcpu[0]->sched.pause_count, 1);
	fake_domain_end(guest);
}

static void a_crash_says_why(void **state)
{
	struct domain *guest = fake_domain(1, 4);

	fake_run(guest->vcpu[0]);
	domain_crash(guest, "named frame %x that it does not own", 0x123);
	assert_non_null(strstr(fake.log, "domain 1 crashed: named frame 123"));
	assert_int_equal(guest->shutdown_code, SHUTDOWN_crash);
	fake_domain_end(guest);
}

static void the_first_domain_takes_the_machine_along(void **state)
{
	jmp_buf back;

	fake.on_machine_end = &back;
	if (setjmp(back) == 0)
		domain_shutdown(dom0, SHUTDOWN_poweroff);
	assert_true(fake.machine_ended);
}

/* However often it is interrupted, teardown ends, and nobody finds the domain meanwhile. */
static void teardown_goes_in_pieces(void **state)
{
	domid_t id = create(0, 4);
	unsigned i, restarts = 0;

	found(id)->mm.max_pages = 500;
	for (i = 0; i < 500; i++)
		fake_frame(found(id));
	do {
		fake.preempt_after = 0;
		dom0->vcpu[0]->call.restart = false;
		assert_int_equal(domctl(XEN_DOMCTL_destroydomain, id), 0);
		if (!dom0->vcpu[0]->call.restart)
			break;
		restarts++;
		assert_null(domain_get(id));
		assert_true(info(id)->flags & XEN_DOMINF_dying);
		assert_int_equal(domctl(XEN_DOMCTL_unpausedomain, id), -XEN_ESRCH);
	} while (restarts < 1000);
	assert_in_range(restarts, 5, 100);
	assert_null(domain_find(id));
}

static void a_hundred_domains_leave_nothing(void **state)
{
	uint64_t before = fake_free_pages();
	unsigned i, j;
	domid_t id;

	for (i = 0; i < 100; i++) {
		id = create(0, 1 + i % 3);
		found(id)->mm.max_pages = 20;
		for (j = 0; j < 20; j++)
			fake_frame(found(id));
		assert_int_equal(destroy(id), 0);
		assert_int_equal(fake_free_pages(), before);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(ids_are_given_and_kept),
	    TEST(ids_go_round),
	    TEST(a_new_domain_is_paused_and_empty),
	    TEST(the_next_domain_is_found),
	    TEST(what_is_not_offered_is_refused),
	    TEST(making_fails_without_a_trace),
	    TEST(only_the_first_domain_calls),
	    TEST(pauses_are_counted),
	    TEST(vcpu_commands),
	    TEST(extended_context),
	    TEST(a_checkpoint_goes_on),
	    TEST(affinity_is_the_one_cpu),
	    TEST(rights_are_checked_for_range),
	    TEST(small_commands),
	    TEST(the_hypercall_page_is_written),
	    TEST(frames_are_described),
	    TEST(a_shutdown_is_told_once),
	    TEST(a_crash_says_why),
	    TEST(the_first_domain_takes_the_machine_along),
	    TEST(teardown_goes_in_pieces),
	    TEST(a_hundred_domains_leave_nothing),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
