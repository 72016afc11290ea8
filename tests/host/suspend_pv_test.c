/* suspend_pv_test.c: what a PV domain's memory holds when it is carried away, and what it takes up afterwards.
 *
 * Shows: at the call the shared page's place holds a frame of the domain's own with the same contents, the grant
 * table is unmapped, events are masked in what the next vCPU begins with, and start_info is named by its frame, with
 * the rings in the domain's own numbers; in a new world the page, the ports and the vCPU's memory are those of the
 * toolstack's answer; in the same world all is mapped as it was, and the vCPU is not registered a second time.
 * Why: a foreign frame left in a page table makes xl save fail, and a number not taken anew is a dead console.
 *
 * links: kernel/suspend_xen_pv.c hypercall/count.c tests/host/fake_hypercall.c tests/host/fake_percpu.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <amphi/hypercall.h>
#include <amphi/pvops.h>

#include "fake_hypercall.h"
#include "fake_percpu.h"
#include "kernel/boot.h"
#include "kernel/boot_start.h"
#include "kernel/mm_parts.h"
#include "kernel/panic.h"
#include "kernel/suspend.h"
#include "kernel/vcpu_xen.h"

#define OLD_SHARED 0x111000ull
#define NEW_SHARED 0x222000ull
#define OWN_PFN    1u
#define OWN_MFN    0x901u
#define STORE_PFN  5u
#define CONS_PFN   6u

char pv_shared_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static char direct[8 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
uint64_t mm_test_kernel_base, mm_test_direct_base;
struct mm_flags mm_flags = {.leaf = PTE_PRESENT | PTE_USER};
struct boot_info boot;
struct pv_ops pv_ops;
uint64_t *mm_top = (uint64_t *)direct;
static uint64_t active; /* top table */

static struct start_info start_info;
static uint64_t shared_entry; /* what is mapped at pv_shared_page */
static int grants_mapped, p2m_told, registered;
static int64_t answer;
static struct start_info *carried; /* as the toolstack finds it */

/* ---- the kernel around it ------------------------------------------------------------------- */

pfn_t virt_to_pfn(const void *va)
{
	if (va == pv_shared_page)
		return (pfn_t){OWN_PFN};
	return (pfn_t){((uintptr_t)va - (uintptr_t)direct) >> PAGE_SHIFT};
}

mfn_t pfn_to_mfn(pfn_t pfn)
{
	return (mfn_t){pfn.v + 0x900};
}

maddr_t virt_to_maddr(const void *va)
{
	return (maddr_t){(uint64_t)(uintptr_t)va};
}

void mm_xen_tell_p2m(void)
{
	assert_int_equal(shared_entry & PTE_FRAME, boot.start_info->shared_info);
	p2m_told++;
}

void boot_xen_pv_unmap_grants(void)
{
	grants_mapped--;
}

void boot_xen_pv_map_grants(void)
{
	assert_int_equal(shared_entry & PTE_FRAME, boot.start_info->shared_info);
	grants_mapped++;
}

int vcpu_xen_register(struct percpu *percpu, unsigned vcpu, mfn_t frame)
{
	assert_ptr_equal(percpu, this_cpu());
	assert_int_equal(vcpu, 0);
	assert_int_equal(shared_entry & PTE_FRAME, NEW_SHARED);
	registered++;
	return 0;
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	__builtin_unreachable();
}

/* ---- the hypervisor and the toolstack -------------------------------------------------------- */

static void carry(uint64_t info_mfn)
{
	carried = (struct start_info *)(uintptr_t)(info_mfn << PAGE_SHIFT);
	assert_int_equal(shared_entry & PTE_FRAME, (uint64_t)OWN_MFN << PAGE_SHIFT);
	assert_int_equal(grants_mapped, 0);
	assert_int_equal(carried->store_mfn, STORE_PFN);
	assert_int_equal(carried->console.domU.mfn, CONS_PFN);
	assert_int_equal(((struct shared_info *)pv_shared_page)->vcpu_info[0].evtchn_upcall_mask,
			 1);
	assert_memory_equal(direct + OWN_PFN * PAGE_SIZE, pv_shared_page, PAGE_SIZE);
	if (answer)
		return;
	carried->shared_info = NEW_SHARED;
	carried->store_mfn = 0x805, carried->store_evtchn = 31;
	carried->console.domU.mfn = 0x806, carried->console.domU.evtchn = 32;
}

int64_t fake_hypercall(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t nr)
{
	assert_int_equal(nr, __HYPERVISOR_sched_op);
	assert_int_equal(a1, SCHEDOP_shutdown);
	assert_int_equal(((struct sched_shutdown *)(uintptr_t)a2)->reason, SHUTDOWN_suspend);
	carry(a3);
	return answer;
}

static int set_fixmap(void *page, uint64_t entry)
{
	assert_ptr_equal(page, pv_shared_page);
	assert_true(entry & PTE_WRITE && entry & PTE_PRESENT && !(entry & PTE_LARGE));
	shared_entry = entry;
	return 0;
}

static void activate(uint64_t maddr, uint64_t user_maddr)
{
	assert_int_equal(user_maddr, 0);
	active = maddr;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static int fresh(void **state)
{
	mm_test_direct_base = (uintptr_t)direct;
	pv_ops.mmu.activate_mm = activate, pv_ops.mmu.set_fixmap = set_fixmap;
	active = 0;
	memset(pv_shared_page, 0x5a, sizeof(pv_shared_page));
	start_info = (struct start_info){.nr_pages = 77,
					 .shared_info = OLD_SHARED,
					 .store_mfn = 0x905,
					 .store_evtchn = 1,
					 .console.domU = {.mfn = 0x906, .evtchn = 2}};
	boot = (struct boot_info){.start_info = &start_info,
				  .shared_info = (struct shared_info *)pv_shared_page,
				  .store_page = direct + STORE_PFN * PAGE_SIZE,
				  .console_page = direct + CONS_PFN * PAGE_SIZE,
				  .store_port = 1,
				  .console_port = 2};
	shared_entry = OLD_SHARED;
	grants_mapped = 1;
	p2m_told = registered = 0;
	return 0;
}

static void go(int64_t what_is_answered, enum suspend_end end)
{
	answer = what_is_answered;
	assert_null(suspend_xen_pv_stop());
	assert_int_equal(suspend_xen_pv_leave(), what_is_answered);
	suspend_xen_pv_go_on(end);
	assert_int_equal(grants_mapped, 1);
	assert_int_equal(p2m_told, 1);
	assert_int_equal(carried->nr_pages, 77);
}

static void a_new_world(void **state)
{
	go(0, SUSPEND_NEW_WORLD);
	assert_int_equal(shared_entry & PTE_FRAME, NEW_SHARED);
	assert_int_equal(registered, 1);
	assert_int_equal(boot.store_port, 31);
	assert_int_equal(boot.console_port, 32);
	assert_int_equal(active, (uintptr_t)direct);
	assert_int_equal(start_info.nr_pages, 77);
	registered = p2m_told = 0;
	start_info.shared_info = OLD_SHARED; /* and once more, from there */
	go(0, SUSPEND_NEW_WORLD);
	assert_int_equal(registered, 1);
}

static void the_same_world(void **state)
{
	go(1, SUSPEND_SAME_WORLD);
	assert_int_equal(shared_entry & PTE_FRAME, OLD_SHARED);
	assert_int_equal(registered, 0);
	assert_int_equal(boot.store_port, 1);
	assert_int_equal(boot.console_port, 2);
	assert_int_equal(start_info.store_mfn, 0x905);
	assert_int_equal(active, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_new_world, fresh),
	    cmocka_unit_test_setup(the_same_world, fresh),
	};

	fake_cpu_run_on(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
