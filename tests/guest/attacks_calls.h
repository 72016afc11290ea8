/* attacks_calls.h: attempts by memory, events, vCPUs and what is the first domain's.
 *
 * A part of pv_attacks.c, which includes it and has the words it is written in: one function for each attempt.
 */
#ifndef GUEST_ATTACKS_CALLS_H
#define GUEST_ATTACKS_CALLS_H

/* ---- memory ------------------------------------------------------------------------------------------ */

static long reservation(unsigned cmd, uint64_t frame, uint64_t n, unsigned order, uint16_t domain)
{
	static xen_pfn_t frames[4];
	struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = domain};

	frames[0] = frames[1] = frames[2] = frames[3] = frame;
	set_xen_guest_handle(r.extent_start, frames);
	return memory(cmd, &r);
}

static long give_foreign(void)
{
	return reservation(XENMEM_decrease_reservation, foreign(), 1, 0, DOMID_SELF);
}
static long give_a_table(void)
{
	return reservation(XENMEM_decrease_reservation, frame_of(tables[1]), 1, 0, DOMID_SELF);
}
static long give_beyond_memory(void)
{
	return reservation(XENMEM_decrease_reservation, FOREVER, 1, 0, DOMID_SELF);
}
static long give_of_another(void)
{
	return reservation(XENMEM_decrease_reservation, foreign(), 1, 0, 0);
}
static long take_too_much(void)
{
	return reservation(XENMEM_increase_reservation, 0, 1, 9, DOMID_SELF);
}
static long take_for_another(void)
{
	return reservation(XENMEM_increase_reservation, 0, 1, 0, 0);
}
static long take_order_63(void)
{
	return reservation(XENMEM_populate_physmap, 0, 1, 63, DOMID_SELF);
}
static long take_without_end(void)
{
	return reservation(XENMEM_increase_reservation, 0, 1ull << 60, 0, DOMID_SELF);
}
static long memory_unknown(void)
{
	return memory(63, data[0]);
}
static long memory_of_the_machine(void)
{
	return memory(XENMEM_machine_memory_map, data[0]);
}

static long reservation_of_another(void)
{
	domid_t domain = 0;

	return memory(XENMEM_current_reservation, &domain);
}

static long exchange_foreign(void)
{
	static xen_pfn_t in[1], out[1];
	struct xen_memory_exchange e = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
					.out = {.nr_extents = 1, .domid = DOMID_SELF}};

	in[0] = foreign();
	set_xen_guest_handle(e.in.extent_start, in);
	set_xen_guest_handle(e.out.extent_start, out);
	return memory(XENMEM_exchange, &e);
}

static long exchange_sizes_differ(void)
{
	struct xen_memory_exchange e = {.in = {.nr_extents = 1, .domid = DOMID_SELF},
					.out = {.nr_extents = 3, .domid = DOMID_SELF}};

	set_xen_guest_handle(e.in.extent_start, (xen_pfn_t *)data[0]);
	set_xen_guest_handle(e.out.extent_start, (xen_pfn_t *)data[0]);
	return memory(XENMEM_exchange, &e);
}

/* ---- event channels ---------------------------------------------------------------------------------- */

static long send(evtchn_port_t port)
{
	struct evtchn_send s = {.port = port};

	return event(EVTCHNOP_send, &s);
}

static long send_to_0(void)
{
	return send(0);
}
static long send_to_unbound(void)
{
	return send(900);
}
static long send_to_4_billion(void)
{
	return send(~0u);
}

static long close_port(evtchn_port_t port)
{
	struct evtchn_close c = {.port = port};

	return event(EVTCHNOP_close, &c);
}

static long close_0(void)
{
	return close_port(0);
}
static long close_free(void)
{
	return close_port(900);
}

static long bind_to(domid_t domain, evtchn_port_t port)
{
	struct evtchn_bind_interdomain b = {.remote_dom = domain, .remote_port = port};

	return event(EVTCHNOP_bind_interdomain, &b);
}

static long bind_port_of_dom0(void)
{
	return bind_to(0, 1);
}
static long bind_port_beyond(void)
{
	return bind_to(0, ~0u);
}
static long bind_no_domain(void)
{
	return bind_to(0x4321, 1);
}

static long alloc_for_others(void)
{
	struct evtchn_alloc_unbound a = {.dom = 0, .remote_dom = DOMID_SELF};

	return event(EVTCHNOP_alloc_unbound, &a);
}

static long virq(unsigned n, unsigned cpu)
{
	struct evtchn_bind_virq b = {.virq = n, .vcpu = cpu};

	return event(EVTCHNOP_bind_virq, &b);
}

static long virq_99(void)
{
	return virq(99, 0);
}
static long virq_of_vcpu_99(void)
{
	return virq(VIRQ_TIMER, 99);
}
static long virq_global_elsewhere(void)
{
	return virq(VIRQ_DOM_EXC, 1);
}

static long ipi_of_vcpu_99(void)
{
	struct evtchn_bind_ipi b = {.vcpu = 99};

	return event(EVTCHNOP_bind_ipi, &b);
}

static long pirq_of_others(void)
{
	struct evtchn_bind_pirq b = {.pirq = 9};

	return event(EVTCHNOP_bind_pirq, &b);
}

static long status_of_another(void)
{
	struct evtchn_status s = {.dom = 0, .port = 1};

	return event(EVTCHNOP_status, &s);
}

static long reset_another(void)
{
	struct evtchn_reset r = {.dom = 0};

	return event(EVTCHNOP_reset, &r);
}

static long move_unbound(void)
{
	struct evtchn_bind_vcpu b = {.port = 900, .vcpu = 0};

	return event(EVTCHNOP_bind_vcpu, &b);
}

static long unmask_unbound(void)
{
	struct evtchn_unmask u = {.port = ~0u};

	return event(EVTCHNOP_unmask, &u);
}

static long events_at_unmapped(void)
{
	return event(EVTCHNOP_send, (void *)UNMAPPED);
}
static long event_unknown(void)
{
	return event(99, data[0]);
}

/* All there are: the end must come, and everything be given back. */
static long all_ports(void)
{
	static evtchn_port_t ports[5000];
	unsigned n = 0;
	long result = 0;

	while (n < 5000) {
		struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};

		result = event(EVTCHNOP_alloc_unbound, &a);
		if (result)
			break;
		ports[n++] = a.port;
	}
	while (n)
		close_port(ports[--n]);
	return result;
}

/* ---- vCPUs, scheduling, what is the first domain's -------------------------------------------------- */

static long up_of_99(void)
{
	return vcpu(VCPUOP_up, 99, 0);
}
static long up_uninitialised(void)
{
	return vcpu(VCPUOP_up, 1, 0);
}
static long initialise_itself(void)
{
	return vcpu(VCPUOP_initialise, 0, data[0]);
}
static long initialise_at_unmapped(void)
{
	return vcpu(VCPUOP_initialise, 1, (void *)UNMAPPED);
}
static long vcpu_unknown(void)
{
	return vcpu(99, 0, data[0]);
}
static long physid(void)
{
	return vcpu(VCPUOP_get_physid, 0, data[0]);
}

/* Ring 0 selectors, another's tables. */
static long initialise_with_rights(void)
{
	static struct vcpu_guest_context c;

	c.flags = VGCF_in_kernel;
	c.user_regs.cs = 0xe008;
	c.user_regs.ss = 0xe010;
	c.ctrlreg[3] = foreign() << 12;
	return vcpu(VCPUOP_initialise, 1, &c);
}

static long info(uint64_t frame, uint32_t offset)
{
	struct vcpu_register_vcpu_info i = {.mfn = frame, .offset = offset};

	return vcpu(VCPUOP_register_vcpu_info, 0, &i);
}

static long info_foreign(void)
{
	return info(foreign(), 0);
}
static long info_over_a_page_end(void)
{
	return info(frame_of(data[3]), 4096 - 32);
}
static long info_in_a_table(void)
{
	return info(frame_of(tables[1]), 0);
}

static long sched(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_sched_op, cmd, (uint64_t)arg, 0, 0);
}
static long sched_unknown(void)
{
	return sched(99, data[0]);
}
static long poll_at_unmapped(void)
{
	return sched(SCHEDOP_poll, (void *)UNMAPPED);
}

static long poll_too_many(void)
{
	struct sched_poll p = {.nr_ports = 100000};

	set_xen_guest_handle(p.ports, (evtchn_port_t *)data[0]);
	return sched(SCHEDOP_poll, &p);
}

static long shut_down_dom0(void)
{
	struct sched_remote_shutdown r = {.domain_id = 0, .reason = SHUTDOWN_crash};

	return sched(SCHEDOP_remote_shutdown, &r);
}

static long watchdog_of_nobody(void)
{
	struct sched_watchdog w = {.id = 77, .timeout = 5};

	return sched(SCHEDOP_watchdog, &w);
}

static long control_domains(void)
{
	static struct xen_domctl op;

	op.cmd = XEN_DOMCTL_destroydomain;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return hypercall(__HYPERVISOR_domctl, (uint64_t)&op, 0, 0, 0);
}

static long control_system(void)
{
	static struct xen_sysctl op;

	op.cmd = XEN_SYSCTL_physinfo;
	op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return hypercall(__HYPERVISOR_sysctl, (uint64_t)&op, 0, 0, 0);
}

static long control_platform(void)
{
	static struct xen_platform_op op;

	op.cmd = XENPF_settime64;
	op.interface_version = XENPF_INTERFACE_VERSION;
	return hypercall(__HYPERVISOR_platform_op, (uint64_t)&op, 0, 0, 0);
}

static long physdev(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_physdev_op, cmd, (uint64_t)arg, 0, 0);
}

static long io_level_4(void)
{
	struct physdev_set_iopl s = {.iopl = 4};

	return physdev(PHYSDEVOP_set_iopl, &s);
}

static long io_ports_too_many(void)
{
	struct physdev_set_iobitmap s = {.nr_ports = 65537};

	return physdev(PHYSDEVOP_set_iobitmap, &s);
}

static long interrupt_of_others(void)
{
	struct physdev_map_pirq m = {
	    .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 9, .pirq = 9};

	return physdev(PHYSDEVOP_map_pirq, &m);
}

static long call_number(uint64_t nr)
{
	long r;

	__asm__ volatile("push %%rcx\n push %%r11\n syscall\n pop %%r11\n pop %%rcx"
			 : "=a"(r)
			 : "a"(nr), "D"(0), "S"(0), "d"(0)
			 : "memory", "r8", "r9", "r10");
	return r;
}

static long call_63(void)
{
	return call_number(63);
}
static long call_beyond(void)
{
	return call_number(1u << 30);
}
static long call_negative(void)
{
	return call_number(~0ull);
}
static long multicalls_at_unmapped(void)
{
	return hypercall(__HYPERVISOR_multicall, UNMAPPED, 1, 0, 0);
}
static long multicalls_without_end(void)
{
	return hypercall(__HYPERVISOR_multicall, UNMAPPED - 64, ~0u, 0, 0);
}
static long assist_99(void)
{
	return hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 99, 0, 0);
}
static long version_99(void)
{
	return hypercall(__HYPERVISOR_xen_version, 99, 0, 0, 0);
}
static long version_to_the_hypervisor(void)
{
	return hypercall(__HYPERVISOR_xen_version, XENVER_extraversion, XEN_AREA + (1ull << 40), 0,
			 0);
}

#endif
