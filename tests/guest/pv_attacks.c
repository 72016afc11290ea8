/* pv_attacks.c: a domain without rights that tries what a hostile kernel would, one attempt after the other.
 *
 * Each prints "attack NAME: RESULT", the error as the hypervisor gives it (or, for grants, the status); none may succeed,
 * and none may end anything but this domain. tests/xen/attacks_test.sh compares the lines on real Xen and on amphi-hv.
 * What ends the attacker (a bad iret and the like) is in pv_ends.c, random calls in pv_hostile.c.
 */
#include "pv.h"

#define FLAGS         0x27ull /* present, writable, user (a PV kernel is in ring 3), accessed */
#define READ_ONLY     0x25ull
#define WINDOW        0x1a0000ull /* an address without a use, in the tables there are */
#define UNMAPPED      0x7f0000000000ull
#define NON_CANONICAL 0x800000000000ull
#define XEN_AREA      0xffff800000000000ull
#define MENDED        (-1000) /* taken, without what was wrong about it */
#define FOREVER       (1ull << 40)

static struct start_info *start;
static uint64_t *tables[5]; /* of the first 2 MiB, by level, read-only */
static char data[4][4096] __attribute__((aligned(4096)));

static uint64_t frame_of(const void *va)
{
	return ((const uint64_t *)start->mfn_list)[(uint64_t)va >> 12];
}

static uint64_t maddr_of(const void *va)
{
	return frame_of(va) << 12 | ((uint64_t)va & 4095);
}

/* A frame that is in use by somebody else: the lowest whose number is not one of ours. Below 1 MiB and a little above,
 * machines keep firmware; 4 MiB is the hypervisor's, or the first domain's. */
static uint64_t foreign(void)
{
	return 0x400;
}

static long mmu_update(uint64_t ptr, uint64_t val, uint16_t domain)
{
	struct mmu_update u = {.ptr = ptr, .val = val};

	return hypercall(__HYPERVISOR_mmu_update, (uint64_t)&u, 1, 0, domain);
}

static long map(uint64_t entry)
{
	return mmu_update(maddr_of(&tables[1][WINDOW >> 12 & 511]), entry, DOMID_SELF);
}

static long ext(unsigned cmd, uint64_t arg1, uint64_t arg2, uint16_t domain)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = arg1, .arg2.nr_ents = (unsigned)arg2};

	return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, domain);
}

static long copy_page(uint64_t to, uint64_t from)
{
	struct mmuext_op op = {.cmd = MMUEXT_COPY_PAGE, .arg1.mfn = to, .arg2.src_mfn = from};

	return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)&op, 1, 0, DOMID_SELF);
}

static long event(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, cmd, (uint64_t)arg, 0, 0);
}

static long grant(unsigned cmd, void *arg, unsigned n)
{
	return hypercall(__HYPERVISOR_grant_table_op, cmd, (uint64_t)arg, n, 0);
}

static long memory(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_memory_op, cmd, (uint64_t)arg, 0, 0);
}

static long vcpu(unsigned cmd, unsigned id, void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, cmd, id, (uint64_t)arg, 0);
}

#include "attacks_tables.inc"
#include "attacks_grants.inc"
#include "attacks_calls.inc"

#define A(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}
static const struct {
	const char *name;
	long (*fn)(void);
} attacks[] = {
    A(map_foreign),
    A(map_foreign_read_only),
    A(map_beyond_memory),
    A(map_highest_frame),
    A(map_as_another_domain),
    A(map_as_no_domain),
    A(map_l1_writable),
    A(map_l2_writable),
    A(map_l4_writable),
    A(map_reserved_bits),
    A(l4_to_l1),
    A(l4_to_data),
    A(l4_to_itself_writable),
    A(l4_to_foreign),
    A(l4_of_the_hypervisor),
    A(l3_to_l1),
    A(l3_to_l4),
    A(l2_to_l3),
    A(l2_to_writable_page),
    A(l2_large_page),
    A(update_unknown_kind),
    A(update_foreign_table),
    A(m2p_of_foreign),
    A(m2p_beyond_memory),
    A(updates_at_unmapped),
    A(updates_of_the_hypervisor),
    A(updates_non_canonical),
    A(updates_without_end),
    A(va_of_the_hypervisor),
    A(va_non_canonical),
    A(va_without_table),
    A(va_of_another_domain),
    A(pin_garbage),
    A(pin_writable_page),
    A(pin_l1_as_l4),
    A(pin_l4_as_l1),
    A(pin_foreign),
    A(pin_for_another),
    A(pin_beyond_memory),
    A(unpin_what_is_not),
    A(unpin_foreign),
    A(base_of_data),
    A(base_of_l1),
    A(base_of_foreign),
    A(user_base_of_data),
    A(user_base_of_foreign),
    A(clear_a_table),
    A(clear_foreign),
    A(copy_onto_a_table),
    A(copy_from_foreign),
    A(copy_to_foreign),
    A(ldt_unaligned),
    A(ldt_too_long),
    A(ldt_of_the_hypervisor),
    A(ext_unknown),
    A(gdt_writable),
    A(gdt_of_a_table),
    A(gdt_foreign),
    A(gdt_too_long),
    A(gdt_at_unmapped),
    A(descriptor_ring_0),
    A(descriptor_call_gate),
    A(descriptor_task_state),
    A(descriptor_in_a_table),
    A(descriptor_foreign),
    A(descriptor_unaligned),
    A(trap_non_canonical),
    A(traps_at_unmapped),
    A(callbacks_non_canonical),
    A(base_non_canonical),
    A(base_unknown),
    A(break_in_the_hypervisor),
    A(debug_register_9),
    A(debug_io_breakpoint),
    A(get_debug_register_9),
    A(give_foreign),
    A(give_a_table),
    A(give_beyond_memory),
    A(give_of_another),
    A(take_too_much),
    A(take_for_another),
    A(take_order_63),
    A(take_without_end),
    A(memory_unknown),
    A(memory_of_the_machine),
    A(reservation_of_another),
    A(exchange_foreign),
    A(exchange_sizes_differ),
    A(send_to_0),
    A(send_to_unbound),
    A(send_to_4_billion),
    A(close_0),
    A(close_free),
    A(bind_port_of_dom0),
    A(bind_port_beyond),
    A(bind_no_domain),
    A(alloc_for_others),
    A(virq_99),
    A(virq_of_vcpu_99),
    A(virq_global_elsewhere),
    A(ipi_of_vcpu_99),
    A(pirq_of_others),
    A(status_of_another),
    A(reset_another),
    A(move_unbound),
    A(unmask_unbound),
    A(events_at_unmapped),
    A(event_unknown),
    A(all_ports),
    A(grant_of_dom0),
    A(grant_of_no_domain),
    A(grant_ref_beyond),
    A(grant_without_map),
    A(grants_at_unmapped),
    A(grants_without_end),
    A(grant_unknown),
    A(unmap_handle_0),
    A(unmap_handle_beyond),
    A(copy_grant_of_dom0),
    A(copy_over_a_page_end),
    A(copy_without_grants),
    A(setup_another),
    A(setup_too_large),
    A(query_another),
    A(up_of_99),
    A(up_uninitialised),
    A(initialise_itself),
    A(initialise_at_unmapped),
    A(vcpu_unknown),
    A(physid),
    A(initialise_with_rights),
    A(info_foreign),
    A(info_over_a_page_end),
    A(info_in_a_table),
    A(sched_unknown),
    A(poll_at_unmapped),
    A(poll_too_many),
    A(shut_down_dom0),
    A(watchdog_of_nobody),
    A(control_domains),
    A(control_system),
    A(control_platform),
    A(io_level_4),
    A(io_ports_too_many),
    A(interrupt_of_others),
    A(call_63),
    A(call_beyond),
    A(call_negative),
    A(multicalls_at_unmapped),
    A(multicalls_without_end),
    A(assist_99),
    A(version_99),
    A(version_to_the_hypervisor),
};

/* A call that says how much it has done says 0 when it did nothing. */
static void attempt(const char *name, long result)
{
	print("attack ");
	print(name);
	if (result < 0)
		print_number(": -", (uint64_t)-result);
	else
		print_number(": ", (uint64_t)result);
}

void guest_main(struct start_info *si)
{
	start = si;
	pv_console_begin(si);
	tables[4] = (uint64_t *)si->pt_base;
	for (unsigned level = 4; level > 1; level--)
		tables[level - 1] = table_at(tables[level][0]);
	for (unsigned i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attempt(attacks[i].name, attacks[i].fn());
	print("pv_attacks: done\n");
	end(SHUTDOWN_poweroff);
}
