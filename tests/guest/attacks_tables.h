/* attacks_tables.h: attempts on page tables, descriptors and registers.
 *
 * A part of pv_attacks.c, which includes it and has the words it is written in: one function for each attempt.
 */
#ifndef GUEST_ATTACKS_TABLES_H
#define GUEST_ATTACKS_TABLES_H

/* ---- frames of others, and tables that are not what they seem ------------------------------------ */

static long map_foreign(void)
{
	return map(foreign() << 12 | FLAGS);
}
static long map_foreign_read_only(void)
{
	return map(foreign() << 12 | READ_ONLY);
}
static long map_beyond_memory(void)
{
	return map((1ull << 38) | FLAGS);
}
static long map_highest_frame(void)
{
	return map(0xffffffffff000ull | FLAGS);
}
static long map_as_another_domain(void)
{
	return mmu_update(maddr_of(&tables[1][WINDOW >> 12 & 511]), foreign() << 12 | FLAGS, 0);
}
static long map_as_no_domain(void)
{
	return mmu_update(maddr_of(&tables[1][WINDOW >> 12 & 511]), FLAGS, 0x1234);
}
static long map_l1_writable(void)
{
	return map(frame_of(tables[1]) << 12 | FLAGS);
}
static long map_l2_writable(void)
{
	return map(frame_of(tables[2]) << 12 | FLAGS);
}
static long map_l4_writable(void)
{
	return map(frame_of(tables[4]) << 12 | FLAGS);
}
static long map_reserved_bits(void)
{
	return map(frame_of(data[0]) << 12 | FLAGS | 1ull << 51);
}
static long l4_to_l1(void)
{
	return mmu_update(maddr_of(&tables[4][7]), frame_of(tables[1]) << 12 | READ_ONLY,
			  DOMID_SELF);
}
static long l4_to_data(void)
{
	return mmu_update(maddr_of(&tables[4][7]), frame_of(data[0]) << 12 | READ_ONLY, DOMID_SELF);
}
static long l4_to_itself_writable(void)
{
	return mmu_update(maddr_of(&tables[4][7]), frame_of(tables[4]) << 12 | FLAGS, DOMID_SELF);
}
static long l4_to_foreign(void)
{
	return mmu_update(maddr_of(&tables[4][7]), foreign() << 12 | READ_ONLY, DOMID_SELF);
}
static long l4_of_the_hypervisor(void)
{
	return mmu_update(maddr_of(&tables[4][256]), frame_of(tables[3]) << 12 | FLAGS, DOMID_SELF);
}
static long l3_to_l1(void)
{
	return mmu_update(maddr_of(&tables[3][7]), frame_of(tables[1]) << 12 | FLAGS, DOMID_SELF);
}
static long l3_to_l4(void)
{
	return mmu_update(maddr_of(&tables[3][7]), frame_of(tables[4]) << 12 | FLAGS, DOMID_SELF);
}
static long l2_to_l3(void)
{
	return mmu_update(maddr_of(&tables[2][7]), frame_of(tables[3]) << 12 | FLAGS, DOMID_SELF);
}
static long l2_to_writable_page(void)
{
	return mmu_update(maddr_of(&tables[2][7]), frame_of(data[0]) << 12 | FLAGS, DOMID_SELF);
}
static long l2_large_page(void)
{
	return mmu_update(maddr_of(&tables[2][7]), 0x80 | FLAGS, DOMID_SELF);
}
static long update_unknown_kind(void)
{
	return mmu_update(maddr_of(&tables[1][WINDOW >> 12 & 511]) | 4, 0, DOMID_SELF);
}
static long update_foreign_table(void)
{
	return mmu_update(foreign() << 12, FLAGS, DOMID_SELF);
}
static long m2p_of_foreign(void)
{
	return mmu_update(foreign() << 12 | MMU_MACHPHYS_UPDATE, 5, DOMID_SELF);
}
static long m2p_beyond_memory(void)
{
	return mmu_update(1ull << 46 | MMU_MACHPHYS_UPDATE, 5, DOMID_SELF);
}
static long updates_at_unmapped(void)
{
	return hypercall(__HYPERVISOR_mmu_update, UNMAPPED, 1, 0, DOMID_SELF);
}
static long updates_of_the_hypervisor(void)
{
	return hypercall(__HYPERVISOR_mmu_update, XEN_AREA + (1ull << 40), 1, 0, DOMID_SELF);
}
static long updates_non_canonical(void)
{
	return hypercall(__HYPERVISOR_mmu_update, NON_CANONICAL, 1, 0, DOMID_SELF);
}
static long updates_without_end(void)
{
	return hypercall(__HYPERVISOR_mmu_update, UNMAPPED - 16, 0x3fffffff, 0, DOMID_SELF);
}
static long va_of_the_hypervisor(void)
{
	return hypercall(__HYPERVISOR_update_va_mapping, XEN_AREA, frame_of(data[0]) << 12 | FLAGS,
			 0, 0);
}
static long va_non_canonical(void)
{
	return hypercall(__HYPERVISOR_update_va_mapping, NON_CANONICAL, FLAGS, 0, 0);
}
static long va_without_table(void)
{
	return hypercall(__HYPERVISOR_update_va_mapping, UNMAPPED, frame_of(data[0]) << 12 | FLAGS,
			 0, 0);
}
static long va_of_another_domain(void)
{
	return hypercall(__HYPERVISOR_update_va_mapping_otherdomain, WINDOW, FLAGS, 0, 0);
}

/* Entries that lead to others' frames, in a page of ours that nobody can write any more. */
static long pin_garbage(void)
{
	uint64_t va = (uint64_t)data[1], frame = frame_of(data[1]);
	long result;

	for (unsigned i = 0; i < 512; i++)
		((volatile uint64_t *)data[1])[i] = foreign() << 12 | FLAGS;
	hypercall(__HYPERVISOR_update_va_mapping, va, frame << 12 | READ_ONLY, UVMF_INVLPG, 0);
	result = ext(MMUEXT_PIN_L1_TABLE, frame, 0, DOMID_SELF);
	hypercall(__HYPERVISOR_update_va_mapping, va, frame << 12 | FLAGS, UVMF_INVLPG, 0);
	return result;
}

static long pin_writable_page(void)
{
	return ext(MMUEXT_PIN_L1_TABLE, frame_of(data[0]), 0, DOMID_SELF);
}
static long pin_l1_as_l4(void)
{
	return ext(MMUEXT_PIN_L4_TABLE, frame_of(tables[1]), 0, DOMID_SELF);
}
static long pin_l4_as_l1(void)
{
	return ext(MMUEXT_PIN_L1_TABLE, frame_of(tables[4]), 0, DOMID_SELF);
}
static long pin_foreign(void)
{
	return ext(MMUEXT_PIN_L1_TABLE, foreign(), 0, DOMID_SELF);
}
static long pin_for_another(void)
{
	return ext(MMUEXT_PIN_L1_TABLE, frame_of(data[0]), 0, 0);
}
static long pin_beyond_memory(void)
{
	return ext(MMUEXT_PIN_L1_TABLE, FOREVER, 0, DOMID_SELF);
}
static long unpin_what_is_not(void)
{
	return ext(MMUEXT_UNPIN_TABLE, frame_of(data[0]), 0, DOMID_SELF);
}
static long unpin_foreign(void)
{
	return ext(MMUEXT_UNPIN_TABLE, foreign(), 0, DOMID_SELF);
}
static long base_of_data(void)
{
	return ext(MMUEXT_NEW_BASEPTR, frame_of(data[0]), 0, DOMID_SELF);
}
static long base_of_l1(void)
{
	return ext(MMUEXT_NEW_BASEPTR, frame_of(tables[1]), 0, DOMID_SELF);
}
static long base_of_foreign(void)
{
	return ext(MMUEXT_NEW_BASEPTR, foreign(), 0, DOMID_SELF);
}
static long user_base_of_data(void)
{
	return ext(MMUEXT_NEW_USER_BASEPTR, frame_of(data[0]), 0, DOMID_SELF);
}
static long user_base_of_foreign(void)
{
	return ext(MMUEXT_NEW_USER_BASEPTR, foreign(), 0, DOMID_SELF);
}
static long clear_a_table(void)
{
	return ext(MMUEXT_CLEAR_PAGE, frame_of(tables[1]), 0, DOMID_SELF);
}
static long clear_foreign(void)
{
	return ext(MMUEXT_CLEAR_PAGE, foreign(), 0, DOMID_SELF);
}
static long copy_onto_a_table(void)
{
	return copy_page(frame_of(tables[2]), frame_of(data[0]));
}
static long copy_from_foreign(void)
{
	return copy_page(frame_of(data[0]), foreign());
}
static long copy_to_foreign(void)
{
	return copy_page(foreign(), frame_of(data[0]));
}
static long ldt_unaligned(void)
{
	return ext(MMUEXT_SET_LDT, (uint64_t)data[0] + 8, 4, DOMID_SELF);
}
static long ldt_too_long(void)
{
	return ext(MMUEXT_SET_LDT, (uint64_t)data[0], 8193, DOMID_SELF);
}
static long ldt_of_the_hypervisor(void)
{
	return ext(MMUEXT_SET_LDT, XEN_AREA, 4, DOMID_SELF);
}
static long ext_unknown(void)
{
	return ext(99, 0, 0, DOMID_SELF);
}

/* ---- descriptors, traps, registers ------------------------------------------------------------------- */

static long gdt(const void *page, uint64_t frame, unsigned entries)
{
	uint64_t frames[16];

	for (unsigned i = 0; i < 16; i++)
		frames[i] = page ? frame_of(page) : frame;
	return hypercall(__HYPERVISOR_set_gdt, (uint64_t)frames, entries, 0, 0);
}

static long gdt_writable(void)
{
	return gdt(data[0], 0, 16);
}
static long gdt_of_a_table(void)
{
	return gdt(tables[1], 0, 16);
}
static long gdt_foreign(void)
{
	return gdt(0, foreign(), 16);
}
static long gdt_too_long(void)
{
	return gdt(data[0], 0, 0x10000);
}
static long gdt_at_unmapped(void)
{
	return hypercall(__HYPERVISOR_set_gdt, UNMAPPED, 16, 0, 0);
}
static long descriptor(uint64_t at, uint64_t value)
{
	return hypercall(__HYPERVISOR_update_descriptor, at, value, 0, 0);
}
/* It may be taken, but not as it is: privilege 3 is put in. */
static long descriptor_ring_0(void)
{
	long result = descriptor(maddr_of(data[2]), 0x00af9b000000ffffull);

	return !result && (*(volatile uint64_t *)data[2] >> 45 & 3) == 3 ? MENDED : result;
}
static long descriptor_call_gate(void)
{
	return descriptor(maddr_of(data[2]), 0x0000ec0000080000ull);
}
static long descriptor_task_state(void)
{
	return descriptor(maddr_of(data[2]), 0x0000890000000067ull);
}
static long descriptor_in_a_table(void)
{
	return descriptor(maddr_of(tables[1]), 0x00cff3000000ffffull);
}
static long descriptor_foreign(void)
{
	return descriptor(foreign() << 12, 0x00cff3000000ffffull);
}
static long descriptor_unaligned(void)
{
	return descriptor(maddr_of(data[2]) + 3, 0x00cff3000000ffffull);
}

static long trap_non_canonical(void)
{
	struct trap_info table[] = {{3, 0, 0xe033, NON_CANONICAL}, {0, 0, 0, 0}};

	return hypercall(__HYPERVISOR_set_trap_table, (uint64_t)table, 0, 0, 0);
}

static long traps_at_unmapped(void)
{
	return hypercall(__HYPERVISOR_set_trap_table, UNMAPPED, 0, 0, 0);
}
static long callbacks_non_canonical(void)
{
	return hypercall(__HYPERVISOR_set_callbacks, NON_CANONICAL, 0, 0, 0);
}
static long base_non_canonical(void)
{
	return hypercall(__HYPERVISOR_set_segment_base, SEGBASE_FS, NON_CANONICAL, 0, 0);
}
static long base_unknown(void)
{
	return hypercall(__HYPERVISOR_set_segment_base, 7, 0, 0, 0);
}
static long break_in_the_hypervisor(void)
{
	return hypercall(__HYPERVISOR_set_debugreg, 0, XEN_AREA + (1ull << 40), 0, 0);
}
static long debug_register_9(void)
{
	return hypercall(__HYPERVISOR_set_debugreg, 9, 0, 0, 0);
}
static long debug_io_breakpoint(void)
{
	return hypercall(__HYPERVISOR_set_debugreg, 7, 0x20003, 0, 0);
}
static long get_debug_register_9(void)
{
	return hypercall(__HYPERVISOR_get_debugreg, 9, 0, 0, 0);
}

#endif
