/* pvops_xen_test.c: each operation of a PV domain makes the hypercall that means it.
 *
 * Shows: what set_pte, set_ptes, write_cr3, load_idt, load_sp0 and the others ask of a fake hypervisor, with
 * machine addresses where it wants those; entries turned from our frame numbers to the machine's and back,
 * frames of others left as they are; batches cut at 64 and stopped by a refusal; a refusal nobody can
 * answer ends the kernel with the operation's name. Why: on bare metal the processor says no; here only
 * the arguments of a call stand between a wrong mapping and another's memory.
 *
 * links: pvops/plan.c pvops/fill.c pvops/xen_pv.c pvops/xen_mmu.c pvops/xen_queue.c
 * links: hypercall/multicall.c hypercall/count.c pvops/native_cpu.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include <amphi/pvops.h>
#include "fake_hypercall.h"
#include "thin_fixture.h"

static uint64_t readonly_pfn;
static bool readonly_value;
static jmp_buf on_refused;
static const char *refused_op;

void pvops_refused(const char *op, int64_t error)
{
	refused_op = op;
	longjmp(on_refused, 1);
}

/* What the last call was, with what lay behind its pointers. */
static struct {
	uint64_t nr, a[4];
	struct mmu_update reqs[64];
	struct mmuext_op ext, ext2; /* the first, and the second of two */
	bool readonly_at_call;
	struct trap_info traps[64];
	unsigned n_calls, n_reqs, n_ports;
	const uint8_t *ports_at;
} seen;
static int64_t answer;
static unsigned refuse_call = ~0u;

static void look_behind(void)
{
	const void *p = (const void *)(uintptr_t)seen.a[0];

	if (seen.nr == __HYPERVISOR_mmu_update) {
		assert_true(seen.a[1] <= 64);
		memcpy(seen.reqs, p, seen.a[1] * sizeof(seen.reqs[0]));
		seen.n_reqs += (unsigned)seen.a[1];
	} else if (seen.nr == __HYPERVISOR_mmuext_op) {
		memcpy(&seen.ext, p, sizeof(seen.ext));
		if (seen.a[1] == 2)
			memcpy(&seen.ext2, (const struct mmuext_op *)p + 1, sizeof(seen.ext2));
		seen.readonly_at_call = readonly_value;
	} else if (seen.nr == __HYPERVISOR_update_va_mapping) {
		readonly_pfn = (seen.a[0] >> PAGE_SHIFT) - 256;
		readonly_value = seen.a[1];
	} else if (seen.nr == __HYPERVISOR_physdev_op) {
		const struct physdev_set_iobitmap *op =
		    (const struct physdev_set_iobitmap *)(uintptr_t)seen.a[1];

		seen.ports_at = op->bitmap.p;
		seen.n_ports = op->nr_ports;
	} else if (seen.nr == __HYPERVISOR_set_trap_table) {
		for (unsigned i = 0; i < 64; i++) {
			memcpy(&seen.traps[i], (const struct trap_info *)p + i,
			       sizeof(struct trap_info));
			if (!seen.traps[i].address)
				break;
		}
	}
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	seen.nr = nr;
	seen.a[0] = a1, seen.a[1] = a2, seen.a[2] = a3, seen.a[3] = a4;
	look_behind();
	return seen.n_calls++ == refuse_call ? -XEN_EPERM : answer;
}

/* Our pfn n is machine frame 1000 + n; the virtual address a is machine address a + 1 TiB. */
#define MACHINE(va) ((uint64_t)(uintptr_t)(va) + (1ull << 40))
static maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){MACHINE(va)};
}
static mfn_t pfn_to_mfn(pfn_t pfn)
{
	return pfn.v < 100 ? (mfn_t){1000 + pfn.v} : MFN_NONE;
}
static pfn_t mfn_to_pfn(mfn_t mfn)
{
	return (pfn_t){mfn.v >= 1000 && mfn.v < 1100 ? mfn.v - 1000 : ~0ull};
}
/* pfn n is mapped at 1 MiB + n pages; the entry says what is asked for. */
static void direct_entry(pfn_t pfn, bool readonly, uint64_t *out_va, uint64_t *out_entry)
{
	*out_va = (256 + pfn.v) << PAGE_SHIFT;
	*out_entry = readonly;
}
static const struct pvops_env env = {.virt_to_maddr = virt_to_maddr,
				     .pfn_to_mfn = pfn_to_mfn,
				     .mfn_to_pfn = mfn_to_pfn,
				     .direct_entry = direct_entry};

static int fresh(void **state)
{
	memset(&seen, 0, sizeof(seen));
	answer = 0;
	refuse_call = ~0u;
	refused_op = NULL;
	pvops_init_xen_pv(&env);
	return 0;
}

static void one_entry(void **state)
{
	uint64_t entry = 0;

	pv_set_pte(&entry, 0x1234067);
	assert_int_equal(seen.nr, __HYPERVISOR_mmu_update);
	assert_true(seen.reqs[0].ptr == (MACHINE(&entry) | MMU_NORMAL_PT_UPDATE));
	assert_int_equal(seen.reqs[0].val, 0x1234067);
	assert_int_equal(seen.a[1], 1);
	assert_int_equal(seen.a[3], DOMID_SELF);
	assert_int_equal(entry, 0); /* never written by us */
	pv_set_pmd(&entry, 1), pv_set_pud(&entry, 2), pv_set_pgd(&entry, 3);
	assert_int_equal(seen.n_calls, 4);
	assert_int_equal(seen.reqs[0].val, 3);
}

static void many_entries(void **state)
{
	static uint64_t table[150], values[150];

	for (unsigned i = 0; i < 150; i++)
		values[i] = i;
	assert_int_equal(pv_set_ptes(table, values, 150, 12), 0);
	assert_int_equal(seen.n_calls, 3);
	assert_int_equal(seen.n_reqs, 150);
	assert_int_equal(seen.a[1], 22);
	assert_int_equal(seen.a[3], 12);
	assert_true(seen.reqs[21].ptr == MACHINE(&table[149]));
	assert_int_equal(seen.reqs[21].val, 149);
	/* a refusal is an answer here, and ends it */
	memset(&seen, 0, sizeof(seen));
	refuse_call = 1;
	assert_int_equal(pv_set_ptes(table, values, 150, 12), -XEN_EPERM);
	assert_int_equal(seen.n_calls, 2);
}

static void frames_of_entries(void **state)
{
	assert_int_equal(pv_make_pte(5ull << 12, 0x63), 1005ull << 12 | 0x63);
	assert_int_equal(pv_pte_val(1005ull << 12 | 0x63, ~0ull), 5ull << 12 | 0x63);
	assert_int_equal(pv_pte_val(1005ull << 12 | 0x63, 0xffff000), 5ull << 12);
	assert_int_equal(pv_pte_val(1ull << 63 | 1099ull << 12 | 1, ~0ull),
			 1ull << 63 | 99ull << 12 | 1);
	assert_int_equal(pv_pte_val(5000ull << 12 | 0x63, ~0ull),
			 5000ull << 12 | 0x63);                   /* another's */
	assert_int_equal(pv_make_pte(100ull << 12, 0x63), 0);     /* no frame: no entry */
	assert_int_equal(pv_make_pte(5ull << 12, 0), 5ull << 12); /* not present */
	assert_int_equal(pv_pte_val(1005ull << 12, ~0ull), 1005ull << 12);
}

static void address_spaces(void **state)
{
	pv_write_cr3(0x77000);
	assert_int_equal(seen.ext.cmd, MMUEXT_NEW_BASEPTR);
	assert_int_equal(seen.ext.arg1.mfn, 0x77);
	assert_int_equal(pv_read_cr3(), 0x77000);
	pv_flush_tlb_kernel();
	assert_int_equal(seen.ext.cmd, MMUEXT_TLB_FLUSH_LOCAL);
	pv_flush_tlb_one(0xffff880000005000);
	assert_int_equal(seen.ext.cmd, MMUEXT_INVLPG_LOCAL);
	assert_true(seen.ext.arg1.linear_addr == 0xffff880000005000);
	pv_alloc_pt(17, 1);
	assert_true(readonly_pfn == 17 && readonly_value);
	pv_release_pt(18, 1);
	assert_true(readonly_pfn == 18 && !readonly_value);
}

/* The page below is the image's own; what it shows then need not be. */
static void a_fixed_mapping(void **state)
{
	assert_int_equal(pv_set_fixmap(pv_shared_page, 0x77063), 0);
	assert_int_equal(seen.nr, __HYPERVISOR_update_va_mapping);
	assert_true(seen.a[0] == (uintptr_t)pv_shared_page && seen.a[1] == 0x77063);
	assert_int_equal(seen.a[2], UVMF_INVLPG);
	answer = -XEN_EPERM;
	assert_int_equal(pv_set_fixmap(pv_shared_page, 1), -XEN_EPERM);
}

/* A top table is pinned while it is read-only, and writable again only when the pin is gone. */
static void top_tables(void **state)
{
	readonly_value = false;
	pv_alloc_pt(17, 4);
	assert_int_equal(seen.n_calls, 1);
	pv_enter_mmap(17);
	assert_true(seen.ext.cmd == MMUEXT_PIN_L4_TABLE && seen.ext.arg1.mfn == 1017 &&
		    seen.readonly_at_call);
	pv_exit_mmap(17);
	assert_int_equal(seen.n_calls, 3);
	pv_release_pt(17, 4);
	assert_true(seen.ext.cmd == MMUEXT_UNPIN_TABLE && seen.ext.arg1.mfn == 1017 &&
		    seen.readonly_at_call);
	assert_true(readonly_pfn == 17 && !readonly_value);
	seen.n_calls = 0;
	pv_activate_mm(0x78000, 0x79000);
	assert_true(seen.n_calls == 1 && seen.a[1] == 2);
	assert_true(seen.ext.cmd == MMUEXT_NEW_BASEPTR && seen.ext.arg1.mfn == 0x78);
	assert_true(seen.ext2.cmd == MMUEXT_NEW_USER_BASEPTR && seen.ext2.arg1.mfn == 0x79);
	assert_int_equal(pv_read_cr3(), 0x78000);
	pv_activate_mm(0x78000, 0);
	assert_int_equal(seen.ext2.arg1.mfn, 0);
}

/* A null selector must not keep the base of another program. */
static void segments_of_programs(void **state)
{
	pv_load_fs_base(0x5678);
	assert_true(seen.nr == __HYPERVISOR_set_segment_base && seen.a[0] == SEGBASE_FS &&
		    seen.a[1] == 0x5678);
	seen.n_calls = 0;
	pv_load_gs_index(0x3b);
	assert_true(seen.a[0] == SEGBASE_GS_USER_SEL && seen.a[1] == 0x3b && seen.n_calls == 1);
	pv_load_gs_index(0);
	assert_true(seen.a[0] == SEGBASE_GS_USER && seen.a[1] == 0 && seen.n_calls == 3);
}

static void descriptors(void **state)
{
	const struct pv_gate gates[] = {
	    {.vector = 3, .dpl = 3, .irq_off = true, .handler = 0x1000},
	    {.vector = 4},
	    {.vector = 14, .handler = 0x2000},
	};
	uint64_t sp0 = 0, gdt[4];

	pv_load_idt(gates, 3);
	assert_int_equal(seen.traps[0].vector, 3);
	assert_int_equal(seen.traps[0].flags, 3 | 4);
	assert_int_equal(seen.traps[0].cs, FLAT_KERNEL_CS);
	assert_int_equal(seen.traps[0].address, 0x1000);
	assert_int_equal(seen.traps[1].vector, 14); /* the empty one is left out */
	assert_int_equal(seen.traps[1].flags, 0);
	assert_int_equal(seen.traps[2].address, 0);
	pv_load_sp0(&sp0, 0x8000);
	assert_int_equal(sp0, 0x8000);
	assert_true(seen.nr == __HYPERVISOR_stack_switch && seen.a[0] == FLAT_KERNEL_SS &&
		    seen.a[1] == 0x8000);
	pv_write_gdt_entry(&gdt[1], 0xaa);
	assert_true(seen.nr == __HYPERVISOR_update_descriptor && seen.a[0] == MACHINE(&gdt[1]) &&
		    seen.a[1] == 0xaa);
	pv_load_gs_base(0x1234);
	assert_true(seen.nr == __HYPERVISOR_set_segment_base && seen.a[0] == SEGBASE_GS_KERNEL &&
		    seen.a[1] == 0x1234);
	pv_set_ldt(gdt, 4);
	assert_true(seen.ext.cmd == MMUEXT_SET_LDT && seen.ext.arg2.nr_ents == 4);
	pv_clts();
	assert_true(seen.nr == __HYPERVISOR_fpu_taskswitch && seen.a[0] == 0);
}

/* Each change of a table is a hypercall, so entries that stay are left alone. An LDT's pages are read-only first. */
static void tables_of_programs(void **state)
{
	uint64_t gdt[3] = {1, 2, 3}, tls[3] = {1, 20, 30};
	void *ldt = (void *)(uintptr_t)((1010ull << PAGE_SHIFT) - (1ull << 40));

	pv_load_tls(gdt, tls);
	assert_int_equal(seen.n_calls, 2);
	assert_true(seen.nr == __HYPERVISOR_update_descriptor && seen.a[0] == MACHINE(&gdt[2]) &&
		    seen.a[1] == 30);
	pv_write_ldt_entry(&gdt[0], 0xbb);
	assert_true(seen.nr == __HYPERVISOR_update_descriptor && seen.a[1] == 0xbb);
	pv_alloc_ldt(ldt, 513);
	assert_true(readonly_pfn == 11 && readonly_value); /* the second of two */
	pv_free_ldt(ldt, 512);
	assert_true(readonly_pfn == 10 && !readonly_value);
	pv_set_debugreg(7, 0x401);
	assert_true(seen.nr == __HYPERVISOR_set_debugreg && seen.a[0] == 7 && seen.a[1] == 0x401);
	answer = 0xffff0ff1;
	assert_int_equal(pv_get_debugreg(6), 0xffff0ff1);
	assert_true(seen.nr == __HYPERVISOR_get_debugreg && seen.a[0] == 6);
}

static void ports_of_programs(void **state)
{
	static struct pv_ports ports;

	pv_update_io_bitmap(NULL, &ports);
	assert_true(seen.nr == __HYPERVISOR_physdev_op && seen.a[0] == PHYSDEVOP_set_iobitmap);
	assert_true(seen.ports_at == ports.denied && seen.n_ports == PV_PORTS);
	pv_invalidate_io_bitmap(NULL);
	assert_true(seen.ports_at == NULL && seen.n_ports == 0);
}

static void waiting(void **state)
{
	pv_safe_halt();
	assert_true(seen.nr == __HYPERVISOR_sched_op && seen.a[0] == SCHEDOP_block);
	pv_halt();
	assert_true(seen.nr == __HYPERVISOR_sched_op && seen.a[0] == SCHEDOP_poll);
}

static void a_refusal_names_the_operation(void **state)
{
	uint64_t entry = 0;

	answer = -XEN_EINVAL;
	if (!setjmp(on_refused))
		pv_set_pte(&entry, 1);
	assert_string_equal(refused_op, "set_pte");
	if (!setjmp(on_refused))
		pv_write_cr3(0);
	assert_string_equal(refused_op, "write_cr3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(one_entry, fresh),
	    cmocka_unit_test_setup(many_entries, fresh),
	    cmocka_unit_test_setup(frames_of_entries, fresh),
	    cmocka_unit_test_setup(address_spaces, fresh),
	    cmocka_unit_test_setup(top_tables, fresh),
	    cmocka_unit_test_setup(a_fixed_mapping, fresh),
	    cmocka_unit_test_setup(segments_of_programs, fresh),
	    cmocka_unit_test_setup(descriptors, fresh),
	    cmocka_unit_test_setup(tables_of_programs, fresh),
	    cmocka_unit_test_setup(ports_of_programs, fresh),
	    cmocka_unit_test_setup(waiting, fresh),
	    cmocka_unit_test_setup(a_refusal_names_the_operation, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
