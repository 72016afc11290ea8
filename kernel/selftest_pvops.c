/* selftest_pvops.c: the self-test's checks of pv operations that one CPU can see the effect of.
 *
 * Caller: commands_selftest.c. Page tables are selftest_tables.c; traps (load_idt, iret, cr2) selftest_traps.c;
 * stacks, segments and returns to ring 3 are what the program of selftest_user.c runs on.
 */
#include <amphi/pvops.h>

#include "boot.h"
#include "mm_parts.h"
#include "selftest.h"
#include "time.h"

#define MSR_EFER     0xc0000080u
#define MSR_FS_BASE  0xc0000100u
#define MSR_NOWHERE  0x4fffbeefu
#define EFER_LMA     (1ull << 10)
#define CR0_PE_PG    (1ull << 31 | 1)
#define CR4_PAE      (1ull << 5)
#define LEAF_EXT     0x80000001u
#define LEAF_EXT_LM  (1u << 29)
#define A_BASE       0x123456789000ull
#define WAIT_MAX_NS  NS_PER_S
#define CLOCK_ROUNDS 1000u

static bool is_filled(enum pv_op op)
{
	struct pv_op_report r;

	pvops_report(op, &r);
	return r.kind != PV_UNFILLED;
}

/* Through save and restore in both states, nested as callers nest them. */
static const char *irq_flag(void)
{
	uint64_t outer, inner;

	WANT(irqs_enabled());
	outer = irq_save();
	WANT(!irqs_enabled());
	inner = irq_save();
	irq_restore(inner);
	WANT(!irqs_enabled());
	pv_irq_enable();
	WANT(irqs_enabled());
	pv_irq_disable();
	WANT(!irqs_enabled());
	irq_restore(outer);
	WANT(irqs_enabled());
	return NULL;
}

static void set_flag(void *ctx)
{
	*(volatile bool *)ctx = true;
}

/* An interrupt that comes between the look and the halt must end the halt: else this never returns. */
static const char *safe_halt(void)
{
	volatile bool rang = false;
	struct timer timer = {.fn = set_flag, .ctx = (void *)&rang};
	uint64_t end_ns = time_ns() + WAIT_MAX_NS;

	timer_set(&timer, time_ns() + NS_PER_MS);
	pv_irq_disable();
	while (!rang && time_ns() < end_ns) {
		pv_safe_halt();
		pv_irq_disable();
	}
	pv_irq_enable();
	timer_cancel(&timer);
	WANT(rang);
	return NULL;
}

static const char *cpuid(void)
{
	uint32_t first[4] = {0}, again[4] = {0}, ext[4] = {LEAF_EXT};

	pv_cpuid(first);
	pv_cpuid(again);
	pv_cpuid(ext);
	WANT(first[0] >= 1);
	WANT(first[1] && first[1] == again[1] && first[2] == again[2] && first[3] == again[3]);
	WANT(ext[3] & LEAF_EXT_LM);
	return NULL;
}

/* Of registers that every platform lets us see there are two; that of FS nobody here uses, for it is
 * programs'. */
static const char *msr(void)
{
	uint64_t base;

	WANT(pv_read_msr(MSR_EFER) & EFER_LMA);
	pv_load_fs_base(A_BASE);
	base = pv_read_msr(MSR_FS_BASE);
	pv_write_msr(MSR_FS_BASE, A_BASE + 8);
	WANT(base == A_BASE);
	base = pv_read_msr(MSR_FS_BASE);
	pv_load_fs_base(0);
	WANT(base == A_BASE + 8);
	return NULL;
}

/* Whether one that is nowhere faults is the processor's affair: an emulator's may read it as 0. Either way
 * the kernel goes on, with 0. */
static const char *msr_safe(void)
{
	uint64_t value;

	WANT(pv_read_msr_safe(MSR_EFER, &value) == 0 && value & EFER_LMA);
	value = 1;
	WANT(pv_read_msr_safe(MSR_NOWHERE, &value) == 0 || value == 0);
	WANT(pv_write_msr_safe(MSR_FS_BASE, A_BASE) == 0);
	value = pv_read_msr(MSR_FS_BASE);
	pv_load_fs_base(0);
	WANT(value == A_BASE);
	return NULL;
}

/* Where the processor is ours it has one, loaded at the start. */
static const char *task_register(void)
{
	WANT((pv_store_tr() != 0) == (boot.platform != BOOT_XEN_PV));
	return NULL;
}

/* What was put off is there after the flush, and gone after the end. */
static const char *lazy_mode(void)
{
	uint64_t *page = pages_alloc(1), *leaf, seen, left, *window = vmap_reserve(1);

	WANT(page && window);
	*page = A_BASE;
	leaf = mm_leaf((uint64_t)(uintptr_t)window);
	pv_lazy_mode_enter();
	pv_set_pte(leaf, pv_make_pte(virt_to_pfn(page).v << PAGE_SHIFT,
				     mm_flags.leaf | mm_flags.no_execute));
	pv_lazy_mode_flush();
	seen = *(volatile uint64_t *)window;
	pv_set_pte(leaf, 0);
	pv_flush_tlb_one((uint64_t)(uintptr_t)window);
	pv_lazy_mode_leave();
	left = *leaf & PTE_PRESENT;
	vmap_release(window, 1);
	pages_free(page, 1);
	WANT(seen == A_BASE && !left);
	return NULL;
}

/* Operations that a platform leaves out have no row here. */
static const char *control_registers(void)
{
	uint64_t top = virt_to_maddr(mm_top).v;

	pv_write_cr3(top);
	WANT((pv_read_cr3() & PTE_FRAME) == top);
	if (is_filled(PV_cpu_read_cr0))
		WANT((pv_read_cr0() & CR0_PE_PG) == CR0_PE_PG);
	if (is_filled(PV_cpu_read_cr4))
		WANT(pv_read_cr4() & CR4_PAE);
	pv_clts();
	return NULL;
}

static const char *io_delay(void)
{
	uint64_t before = time_tsc();

	pv_io_delay();
	WANT(time_tsc() > before);
	return NULL;
}

static const char *clocks(void)
{
	uint64_t last_ns = pv_sched_clock(), steal_ns = pv_steal_clock(), now_ns;

	for (unsigned i = 0; i < CLOCK_ROUNDS; i++) {
		now_ns = pv_sched_clock();
		WANT(now_ns >= last_ns);
		last_ns = now_ns;
	}
	WANT(last_ns > 0);
	WANT(pv_steal_clock() >= steal_ns);
	return NULL;
}

static const char *sites(void)
{
	unsigned counts[4];

	pvops_count_sites(counts);
	WANT(counts[PV_INLINE] > 0);
	WANT(pvops_count_indirect() == 0);
	WANT(pvops_verify(NULL, NULL) == 0);
	return NULL;
}

static const struct selftest tests[] = {
    {"pvops irq flag", irq_flag},
    {"pvops safe_halt", safe_halt},
    {"pvops cpuid", cpuid},
    {"pvops msr", msr},
    {"pvops msr that may not be", msr_safe},
    {"pvops task register", task_register},
    {"pvops lazy mode", lazy_mode},
    {"pvops control registers", control_registers},
    {"pvops io_delay", io_delay},
    {"pvops clocks", clocks},
    {"pvops sites", sites},
};
const struct selftest_room selftest_pvops = {tests, ARRAY_SIZE(tests)};
