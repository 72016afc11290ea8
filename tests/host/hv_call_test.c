/* hv_call_test.c: hypercalls find their handlers, alone and in batches, and say what is true.
 *
 * Shows: numbers without a handler, restarts through registers and through a batch, batches that
 * contain what they may not, xen_version, vm_assist, vcpu_op, platform_op and sysctl with good and
 * bad arguments. Why: dispatch is the door of the hypervisor; a restart that loses an argument does
 * half a thing twice. Expected: all hold.
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

static struct domain *dom0, *guest;
static uint64_t free_before;

static int setup(void **state)
{
	free_before = fake_free_pages();
	dom0 = fake_domain(1, 64);
	guest = fake_domain(2, 64);
	fake.preempt_after = -1;
	fake.log[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	fake.preempt_after = -1;
	fake_domain_end(guest);
	fake_domain_end(dom0);
	return fake_free_pages() == free_before ? 0 : -1;
}

static struct guest_regs call(uint64_t op, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct guest_regs r = {.rax = op, .rdi = a0, .rsi = a1, .rdx = a2, .rip = 0x1002};

	hypercall_from_guest(&r);
	return r;
}

/* ---- dispatch -------------------------------------------------------------------------- */

static void unknown_numbers_get_enosys(void **state)
{
	fake_run(guest->vcpu[0]);
	assert_int_equal(call(__HYPERVISOR_xsm_op, 0, 0, 0).rax, -XEN_ENOSYS);
	assert_int_equal(call(11, 0, 0, 0).rax, -XEN_ENOSYS);
	assert_int_equal(call(63, 0, 0, 0).rax, -XEN_ENOSYS);
	assert_int_equal(call(64, 0, 0, 0).rax, -XEN_ENOSYS);
	assert_int_equal(call(~0ull, 0, 0, 0).rax, -XEN_ENOSYS);
	assert_string_equal(hypercall_name(11), "?");
	assert_string_equal(hypercall_name(1000), "?");
	assert_string_equal(hypercall_name(__HYPERVISOR_xsm_op), "xsm_op");
}

static void a_call_is_counted_and_answers(void **state)
{
	uint64_t before = hypercall_count(__HYPERVISOR_xen_version);
	struct guest_regs r;

	fake_run(guest->vcpu[0]);
	r = call(__HYPERVISOR_xen_version, XENVER_version, 0, 0);
	assert_int_equal(r.rax, 4 << 16 | 17);
	assert_int_equal(r.rip, 0x1002);
	assert_int_equal(hypercall_count(__HYPERVISOR_xen_version), before + 1);
}

/* A list of copies, done by sixteens, stops in the middle: the guest's registers then name the rest. */
static void a_restart_goes_through_the_registers(void **state)
{
	struct gnttab_copy ops[64] = {0};
	struct guest_regs r;

	fake_run(guest->vcpu[0]);
	FAKE_PUT(0, ops);
	fake.preempt_after = 1;
	r = call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, FAKE_GUEST_BASE, 64);
	assert_int_equal(r.rip, 0x1000);
	assert_int_equal(r.rax, __HYPERVISOR_grant_table_op);
	assert_int_equal(r.rdi, GNTTABOP_copy);
	assert_int_equal(r.rsi, FAKE_GUEST_BASE + 32 * sizeof(ops[0]));
	assert_int_equal(r.rdx, 32);
	hypercall_from_guest(&r);
	assert_int_equal(r.rax, 0);
	assert_int_equal(r.rip, 0x1000);
}

/* ---- multicall ------------------------------------------------------------------------- */

static struct multicall_entry *batch(void)
{
	return (struct multicall_entry *)(void *)fake_arena;
}

static void a_batch_runs_each_entry(void **state)
{
	struct multicall_entry e[4] = {
	    {.op = __HYPERVISOR_xen_version, .args = {XENVER_version}},
	    {.op = 11},
	    {.op = __HYPERVISOR_multicall, .args = {FAKE_GUEST_BASE, 1}},
	    {.op = __HYPERVISOR_iret},
	};

	fake_run(guest->vcpu[0]);
	FAKE_PUT(0, e);
	assert_int_equal(call(__HYPERVISOR_multicall, FAKE_GUEST_BASE, 4, 0).rax, 0);
	assert_int_equal(batch()[0].result, 4 << 16 | 17);
	assert_int_equal(batch()[1].result, -XEN_ENOSYS);
	assert_int_equal(batch()[2].result, -XEN_EINVAL);
	assert_int_equal(batch()[3].result, -XEN_EINVAL);
	assert_int_equal(call(__HYPERVISOR_multicall, 0, 1, 0).rax, -XEN_EFAULT);
	assert_int_equal(call(__HYPERVISOR_multicall, 0, 0, 0).rax, 0);
}

/* Not after the first: in a batch of two, that would put off the one which is to wait until the guest has come back for it. */
static void a_batch_stops_between_entries(void **state)
{
	struct multicall_entry e[9];
	struct guest_regs r;

	for (unsigned i = 0; i < 9; i++)
		e[i] = (struct multicall_entry){.op = __HYPERVISOR_xen_version,
						.args = {XENVER_version}};
	fake_run(guest->vcpu[0]);
	FAKE_PUT(0, e);
	fake.preempt_after = 0;
	r = call(__HYPERVISOR_multicall, FAKE_GUEST_BASE, 9, 0);
	assert_int_equal(r.rip, 0x1000);
	assert_int_equal(r.rdi, FAKE_GUEST_BASE + 7 * sizeof(e[0]));
	assert_int_equal(r.rsi, 2);
	assert_int_equal(batch()[6].result, 4 << 16 | 17);
	assert_int_equal(batch()[7].result, 0);
}

static void an_entry_that_restarts_goes_on_in_place(void **state)
{
	struct gnttab_copy ops[64] = {0};
	struct multicall_entry e = {
	    .op = __HYPERVISOR_grant_table_op,
	    .args = {GNTTABOP_copy, FAKE_GUEST_BASE + 4096, 64},
	    .result = 99,
	};
	struct guest_regs r;

	fake_run(guest->vcpu[0]);
	FAKE_PUT(0, e);
	FAKE_PUT(4096, ops);
	fake.preempt_after = 0; /* after the first sixteen */
	r = call(__HYPERVISOR_multicall, FAKE_GUEST_BASE, 1, 0);
	assert_int_equal(r.rip, 0x1000);
	assert_int_equal(r.rdi, FAKE_GUEST_BASE);
	assert_int_equal(r.rsi, 1);
	assert_int_equal(batch()[0].args[2], 48);
	assert_int_equal(batch()[0].result, 99);
	hypercall_from_guest(&r);
	assert_int_equal(r.rax, 0);
	assert_int_equal(batch()[0].result, 0);
}

/* An entry ends the domain: what stands behind it is not run. */
static void a_batch_ends_with_its_domain(void **state)
{
	struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};
	struct multicall_entry e[2] = {
	    {.op = __HYPERVISOR_sched_op, .args = {SCHEDOP_shutdown, FAKE_GUEST_BASE + 4096}},
	    {.op = __HYPERVISOR_xen_version, .args = {XENVER_version}, .result = 99},
	};

	fake_run(guest->vcpu[0]);
	FAKE_PUT(0, e);
	FAKE_PUT(4096, s);
	assert_int_equal(call(__HYPERVISOR_multicall, FAKE_GUEST_BASE, 2, 0).rip, 0x1002);
	assert_true(guest->shut_down);
	assert_int_equal(batch()[1].result, 99);
}

/* ---- xen_version, vm_assist ------------------------------------------------------------ */

static void versions_are_told(void **state)
{
	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_xen_version(XENVER_extraversion, FAKE_GUEST_BASE), 0);
	assert_string_equal((char *)fake_arena, ".0-amphi");
	assert_int_equal(hc_xen_version(XENVER_capabilities, FAKE_GUEST_BASE), 0);
	assert_string_equal((char *)fake_arena, "xen-3.0-x86_64 ");
	assert_int_equal(hc_xen_version(XENVER_compile_info, FAKE_GUEST_BASE), 0);
	assert_int_equal(hc_xen_version(XENVER_changeset, FAKE_GUEST_BASE), 0);
	assert_int_equal(hc_xen_version(XENVER_platform_parameters, FAKE_GUEST_BASE), 0);
	assert_int_equal(*(uint64_t *)(void *)fake_arena, HYPERVISOR_VIRT_START);
	assert_int_equal(hc_xen_version(XENVER_pagesize, 0), PAGE_SIZE);
	assert_int_equal(hc_xen_version(XENVER_guest_handle, FAKE_GUEST_BASE), 0);
	assert_int_equal(hc_xen_version(XENVER_build_id, 0), -XEN_ENODATA);
	assert_int_equal(hc_xen_version(99, 0), -XEN_ENOSYS);
	assert_int_equal(hc_xen_version(XENVER_extraversion, 0), -XEN_EFAULT);
	assert_int_equal(
	    hc_xen_version(XENVER_capabilities, FAKE_GUEST_BASE + FAKE_GUEST_SIZE - 100),
	    -XEN_EFAULT);
}

static void the_command_line_is_the_first_domains(void **state)
{
	version_set_command_line("dom0_mem=32M");
	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_xen_version(XENVER_commandline, FAKE_GUEST_BASE), 0);
	assert_string_equal((char *)fake_arena, "");
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_xen_version(XENVER_commandline, FAKE_GUEST_BASE), 0);
	assert_string_equal((char *)fake_arena, "dom0_mem=32M");
}

static void features_are_those_there_are(void **state)
{
	struct xen_feature_info f = {.submap_idx = 0};
	uint64_t va = FAKE_PUT(0, f);

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_xen_version(XENVER_get_features, va), 0);
	memcpy(&f, fake_arena, sizeof(f));
	assert_true(f.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1);
	assert_false(f.submap >> XENFEAT_auto_translated_physmap & 1);
	assert_false(f.submap >> XENFEAT_dom0 & 1);
	fake_run(dom0->vcpu[0]);
	hc_xen_version(XENVER_get_features, va);
	memcpy(&f, fake_arena, sizeof(f));
	assert_true(f.submap >> XENFEAT_dom0 & 1);
	f.submap_idx = 1;
	FAKE_PUT(0, f);
	assert_int_equal(hc_xen_version(XENVER_get_features, va), -XEN_EINVAL);
}

static void assists_are_the_known_ones(void **state)
{
	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3), 0);
	assert_int_equal(guest->vm_assist, 1u << VMASST_TYPE_pae_extended_cr3);
	assert_int_equal(hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_pae_extended_cr3), 0);
	assert_int_equal(guest->vm_assist, 0);
	assert_int_equal(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_m2p_strict), 0);
	assert_int_equal(guest->vm_assist, 1ull << VMASST_TYPE_m2p_strict);
	assert_int_equal(hc_vm_assist(VMASST_CMD_enable, 6), -XEN_EINVAL);
	assert_int_equal(hc_vm_assist(VMASST_CMD_enable, 64), -XEN_EINVAL);
	assert_int_equal(hc_vm_assist(2, VMASST_TYPE_pae_extended_cr3), -XEN_ENOSYS);
}

/* ---- vcpu_op --------------------------------------------------------------------------- */

static void vcpus_go_up_and_down(void **state)
{
	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_vcpu_op(VCPUOP_is_up, 1, 0), 1);
	assert_int_equal(hc_vcpu_op(VCPUOP_down, 1, 0), 0);
	assert_int_equal(hc_vcpu_op(VCPUOP_is_up, 1, 0), 0);
	assert_false(guest->shut_down);
	assert_int_equal(hc_vcpu_op(VCPUOP_up, 1, 0), 0);
	assert_int_equal(hc_vcpu_op(VCPUOP_up, 2, 0), -XEN_ENOENT);
	assert_int_equal(hc_vcpu_op(VCPUOP_up, ~0ull, 0), -XEN_ENOENT);
	assert_int_equal(hc_vcpu_op(VCPUOP_send_nmi, 0, FAKE_GUEST_BASE), -XEN_EINVAL);
	assert_int_equal(hc_vcpu_op(99, 0, 0), -XEN_ENOSYS);
	hc_vcpu_op(VCPUOP_down, 1, 0);
	assert_int_equal(hc_vcpu_op(VCPUOP_down, 0, 0), 0);
	assert_true(guest->shut_down); /* nothing is left that could run */
	assert_int_equal(guest->shutdown_code, SHUTDOWN_poweroff);
}

static void a_vcpu_is_initialised_once(void **state)
{
	struct vcpu_guest_context ctx = {0};
	uint64_t va = FAKE_PUT(0, ctx);

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_vcpu_op(VCPUOP_initialise, 1, va), -XEN_EEXIST);
	guest->vcpu[1]->initialised = false;
	vcpu_down(guest->vcpu[1]);
	assert_int_equal(hc_vcpu_op(VCPUOP_up, 1, 0), -XEN_EINVAL);
	assert_int_equal(hc_vcpu_op(VCPUOP_initialise, 1, 0), -XEN_EFAULT);
	ctx.user_regs.rip = 13;
	FAKE_PUT(0, ctx);
	assert_int_equal(hc_vcpu_op(VCPUOP_initialise, 1, va), -XEN_EINVAL);
	ctx.user_regs.rip = 14; /* registers in order, no page tables */
	FAKE_PUT(0, ctx);
	assert_int_equal(hc_vcpu_op(VCPUOP_initialise, 1, va), -XEN_EINVAL);
	assert_false(guest->vcpu[1]->initialised);
}

static void timers_are_checked(void **state)
{
	struct vcpu_set_periodic_timer p = {.period_ns = 999999};
	struct vcpu_set_singleshot_timer s = {.timeout_abs_ns = 5, .flags = VCPU_SSHOTTMR_future};
	uint64_t va = FAKE_PUT(0, p);

	fake_run(guest->vcpu[0]);
	fake.now_ns = 10;
	assert_int_equal(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, va), -XEN_EINVAL);
	p.period_ns = 1000000;
	FAKE_PUT(0, p);
	assert_int_equal(hc_vcpu_op(VCPUOP_set_periodic_timer, 0, va), 0);
	assert_int_equal(guest->vcpu[0]->sched.period_ns, 1000000);
	assert_int_equal(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, 0), 0);
	assert_int_equal(guest->vcpu[0]->sched.period_ns, 0);
	FAKE_PUT(0, s);
	assert_int_equal(hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, va), -XEN_ETIME);
	assert_int_equal(hc_vcpu_op(VCPUOP_set_singleshot_timer, 1, va), -XEN_EINVAL);
	assert_int_equal(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 1, 0), -XEN_EINVAL);
	assert_int_equal(hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0), 0);
}

static void areas_are_registered(void **state)
{
	struct vcpu_register_runstate_memory_area r = {.addr.p = 0x1234};
	struct vcpu_register_time_memory_area t = {.addr.p = 0x5678};
	struct vcpu_register_vcpu_info i = {.mfn = fake_frame(guest).v, .offset = 64};
	uint64_t va = FAKE_PUT(0, r);

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_vcpu_op(VCPUOP_register_runstate_memory_area, 1, va), 0);
	assert_int_equal(guest->vcpu[1]->sched.runstate_va, 0x1234);
	FAKE_PUT(0, t);
	assert_int_equal(hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, va), 0);
	assert_int_equal(guest->vcpu[0]->sched.time_area_va, 0x5678);
	FAKE_PUT(0, i);
	assert_int_equal(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, va), -XEN_EINVAL); /* it runs */
	vcpu_down(guest->vcpu[1]);
	assert_int_equal(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, va), 0);
	assert_int_equal(hc_vcpu_op(VCPUOP_register_vcpu_info, 1, va), -XEN_EINVAL);
	assert_int_equal(hc_vcpu_op(VCPUOP_get_runstate_info, 0, va), 0);
	assert_int_equal(hc_vcpu_op(VCPUOP_get_runstate_info, 0, 0), -XEN_EFAULT);
	assert_int_equal(hc_vcpu_op(VCPUOP_get_physid, 0, va), -XEN_EINVAL);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_vcpu_op(VCPUOP_get_physid, 0, va), 0);
}

/* ---- sysctl, platform_op --------------------------------------------------------------- */

static struct xen_sysctl *sysctl(uint32_t cmd, struct xen_sysctl op)
{
	op.cmd = cmd;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), 0);
	return (struct xen_sysctl *)(void *)fake_arena;
}

static void sysctl_is_the_first_domains(void **state)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo};

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_EPERM);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_sysctl(FAKE_GUEST_BASE), -XEN_EACCES);
	assert_int_equal(hc_sysctl(0), -XEN_EFAULT);
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op.cmd = 1000;
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_ENOSYS);
	op.cmd = 0;
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_ENOSYS);
}

static void the_machine_is_described(void **state)
{
	struct xen_sysctl op = {0};
	struct xen_sysctl_physinfo *p = &sysctl(XEN_SYSCTL_physinfo, op)->u.physinfo;

	assert_int_equal(p->nr_cpus, 1);
	assert_int_equal(p->total_pages, FAKE_FRAMES);
	assert_int_equal(p->free_pages, fake_free_pages());
	assert_true(p->capabilities & XEN_SYSCTL_PHYSCAP_pv);
	assert_int_equal(sysctl(XEN_SYSCTL_availheap, op)->u.availheap.avail_bytes,
			 fake_free_pages() * PAGE_SIZE);
	assert_int_equal(sysctl(XEN_SYSCTL_sched_id, op)->u.sched_id.sched_id,
			 XEN_SCHEDULER_CREDIT);
	assert_int_equal(sysctl(XEN_SYSCTL_cputopoinfo, op)->u.cputopoinfo.num_cpus, 1);
}

/* As whoever does not know how many there are has to ask: for the numbers, then for the rest. */
static void what_is_in_use_is_counted(void **state)
{
	struct xen_sysctl op = {.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_query};
	struct xen_sysctl_perfc_desc *desc = (void *)(fake_arena + 4096);
	uint32_t *n = (void *)(fake_arena + 8192), all = 0;

	memset(desc, 0xff, 4096);
	memset(n, 0xff, 4096);
	assert_int_equal(sysctl(XEN_SYSCTL_perfc_op, op)->u.perfc_op.nr_counters, 4);
	assert_int_equal((uint8_t)desc[0].name[0], 0xff); /* nobody asked for it */
	op.u.perfc_op.desc.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	op.u.perfc_op.val.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 8192);
	assert_int_equal(sysctl(XEN_SYSCTL_perfc_op, op)->u.perfc_op.nr_vals, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(strnlen(desc[i].name, sizeof(desc[i].name)) < sizeof(desc[i].name));
		assert_int_equal(desc[i].name[sizeof(desc[i].name) - 1], 0); /* nothing of ours */
		assert_int_equal(desc[i].nr_vals, 1);
		all += n[i];
	}
	assert_string_equal(desc[0].name, "in use: interrupt vectors");
	assert_int_equal(n[0], 5);
	assert_int_equal(all, 5 + 7 + 11 + 2 * 3); /* pirqs of two domains */
	assert_int_equal(n[4], ~0u);
	op.u.perfc_op.val.p = (void *)(uintptr_t)1;
	op.cmd = XEN_SYSCTL_perfc_op;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_EFAULT);
	op.u.perfc_op.cmd = XEN_SYSCTL_PERFCOP_reset;
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_EOPNOTSUPP);
}

static void domains_are_listed(void **state)
{
	struct xen_sysctl op = {.u.getdomaininfolist = {.first_domain = 0, .max_domains = 10}};
	struct xen_domctl_getdomaininfo *info;

	op.u.getdomaininfolist.buffer.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, op)->u.getdomaininfolist.num_domains,
			 2);
	info = (void *)(fake_arena + 4096);
	assert_int_equal(info[0].domain, 0);
	assert_int_equal(info[1].domain, guest->id);
	assert_int_equal(info[1].max_pages, 64);
	assert_int_equal(info[1].nr_online_vcpus, 2);
	op.u.getdomaininfolist.first_domain = guest->id;
	op.u.getdomaininfolist.max_domains = 1;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, op)->u.getdomaininfolist.num_domains,
			 1);
	assert_int_equal(info[0].domain, guest->id);
}

static void debug_keys_dump(void **state)
{
	struct xen_sysctl op = {.u.debug_keys.nr_keys = 7};

	memcpy(fake_arena + 4096, "?dmegqZ", 7);
	op.u.debug_keys.keys.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	sysctl(XEN_SYSCTL_debug_keys, op);
	assert_non_null(strstr(fake.log, "domain 1: refs"));
	assert_non_null(strstr(fake.log, "grant frames"));
	assert_non_null(strstr(fake.log, "is not known"));
	op.u.debug_keys.nr_keys = 65;
	op.cmd = XEN_SYSCTL_debug_keys;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	assert_int_equal(hc_sysctl(FAKE_PUT(0, op)), -XEN_E2BIG);
}

static void the_console_is_read(void **state)
{
	struct xen_sysctl op = {.u.readconsole = {.count = 5, .index = 7}};

	strcpy(fake.log, "hello world");
	op.u.readconsole.buffer.p = (void *)(uintptr_t)(FAKE_GUEST_BASE + 4096);
	op = *sysctl(XEN_SYSCTL_readconsole, op);
	assert_int_equal(op.u.readconsole.count, 5);
	assert_memory_equal(fake_arena + 4096, "hello", 5);
	/* As xl dmesg does: until nothing more comes. */
	op.u.readconsole.incremental = 1;
	op.u.readconsole.count = 100;
	op = *sysctl(XEN_SYSCTL_readconsole, op);
	assert_int_equal(op.u.readconsole.count, 6);
	assert_memory_equal(fake_arena + 4096, " world", 6);
	assert_int_equal(sysctl(XEN_SYSCTL_readconsole, op)->u.readconsole.count, 0);
}

static void the_clock_is_set(void **state)
{
	struct xen_platform_op op = {
	    .cmd = XENPF_settime64,
	    .interface_version = XENPF_INTERFACE_VERSION,
	    .u.settime64 = {.secs = 1, .nsecs = 2, .system_time = 333},
	};
	uint64_t va = FAKE_PUT(0, op);

	fake_run(guest->vcpu[0]);
	assert_int_equal(hc_platform_op(va), -XEN_EPERM);
	fake_run(dom0->vcpu[0]);
	assert_int_equal(hc_platform_op(va), 0);
	assert_int_equal(fake.now_ns, 333);
	op.u.settime64.nsecs = 1000000000;
	FAKE_PUT(0, op);
	assert_int_equal(hc_platform_op(va), -XEN_EINVAL);
	op.cmd = XENPF_get_cpuinfo;
	FAKE_PUT(0, op);
	assert_int_equal(hc_platform_op(va), 0);
	op.cmd = 12345;
	FAKE_PUT(0, op);
	assert_int_equal(hc_platform_op(va), -XEN_ENOSYS);
	op.interface_version++;
	FAKE_PUT(0, op);
	assert_int_equal(hc_platform_op(va), -XEN_EACCES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(unknown_numbers_get_enosys),
	    TEST(a_call_is_counted_and_answers),
	    TEST(a_restart_goes_through_the_registers),
	    TEST(a_batch_runs_each_entry),
	    TEST(a_batch_stops_between_entries),
	    TEST(an_entry_that_restarts_goes_on_in_place),
	    TEST(a_batch_ends_with_its_domain),
	    TEST(versions_are_told),
	    TEST(the_command_line_is_the_first_domains),
	    TEST(features_are_those_there_are),
	    TEST(assists_are_the_known_ones),
	    TEST(vcpus_go_up_and_down),
	    TEST(a_vcpu_is_initialised_once),
	    TEST(timers_are_checked),
	    TEST(areas_are_registered),
	    TEST(sysctl_is_the_first_domains),
	    TEST(the_machine_is_described),
	    TEST(what_is_in_use_is_counted),
	    TEST(domains_are_listed),
	    TEST(debug_keys_dump),
	    TEST(the_console_is_read),
	    TEST(the_clock_is_set),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
