/* smp_native.c: CPUs of a machine that has local APICs: bare, KVM's, and those of a PVH domain.
 *
 * Called by smp.c. Firmware's tables name the CPUs (lib/acpi.c); one is woken by INIT and startup interrupts
 * (SDM vol. 3, "MP Initialization Protocol"), begins in smp_trampoline.S in a page below 1 MiB, and gets the
 * boot CPU's control registers before it runs C. The pages below 1 MiB were never given to anybody (mm_native.c).
 */
#include <amphi/pvops.h>
#include <amphi/string.h>

#include "boot.h"
#include "boot_parse.h"
#include "console.h"
#include "kvm_guest.h"
#include "lapic.h"
#include "mm_parts.h"
#include "smp.h"
#include "smp_xen.h"
#include "thread.h"
#include "time.h"
#include "trap_parts.h"

#define MSR_EFER    0xc0000080u
#define MSR_PAT     0x277u
#define EFER_LMA    0x400u /* the processor's own word: long mode is active */
#define CR0_TS      8u
#define APIC_ID_MAX 254u /* 255 means all, and larger ones need the x2APIC's registers */

/* The page with the code, and three with page tables that map it. */
#define LOW_PAGES 4u
#define LOW_FIRST                                                                                  \
	0x08u /* pfn; below lie tables and buffers of firmware that the map may call memory */
#define LOW_END    0xa0u
#define INIT_NS    (10 * NS_PER_MS)
#define STARTUP_US 200u

/* As in smp_trampoline.S. */
struct words {
	uint64_t gdt[2], stack, percpu, entry;
	uint32_t cr0, cr3, cr4, efer, begun, far_offset;
	uint16_t far_selector, gdt_limit;
	uint32_t gdt_base;
} __attribute__((packed));

extern const char smp_trampoline[], smp_trampoline_64[], smp_trampoline_words[],
    smp_trampoline_end[];

static uint64_t low_pfn, kernel_cr3, pat;
static uint8_t kick_vector;
static bool is_parked[CPUS_MAX];

/* ---- who is there -------------------------------------------------------------------------- */

static bool overlaps(uint64_t first, uint64_t start, uint64_t len_bytes)
{
	return start < (first + LOW_PAGES) << PAGE_SHIFT && start + len_bytes > first << PAGE_SHIFT;
}

/* Wholly in memory, in nothing else, and not the ramdisk. */
static bool is_usable(uint64_t first)
{
	bool in_memory = false;

	if (boot.ramdisk_len_bytes && overlaps(first, boot.ramdisk_start, boot.ramdisk_len_bytes))
		return false;
	for (unsigned i = 0; i < boot.n_ranges; i++) {
		const struct boot_range *r = &boot.ranges[i];
		uint64_t from, end;

		if (r->type != 1 && overlaps(first, r->start, r->size_bytes))
			return false;
		if (r->type == 1 && boot_range_pages(r, &from, &end))
			in_memory |= from <= first && first + LOW_PAGES <= end;
	}
	return in_memory;
}

/* 0: none. */
static uint64_t find_low_pages(void)
{
	for (uint64_t pfn = LOW_FIRST; pfn + LOW_PAGES <= LOW_END; pfn++)
		if (is_usable(pfn))
			return pfn;
	return 0;
}

/* The kick is all in having come: the lock was taken on the way in, and the queue is looked at on the way
 * out. */
static void kicked(void *ctx) {}

/* What further CPUs need and may not be there. */
static bool can_start(void)
{
	if (low_pfn)
		return true;
	low_pfn = find_low_pages();
	return low_pfn && !irq_vector_alloc(kicked, NULL, &kick_vector);
}

static unsigned find(uint32_t *ids, unsigned max)
{
	unsigned n = 0;

	ids[n++] = lapic_present() ? lapic_read(LAPIC_ID) >> 24 : 0;
	if (!lapic_present() || !boot.acpi.n_cpus)
		klog(LOG_INFO, "one CPU is used: %s",
		     lapic_present() ? "no table of the firmware names others" : "it has no APIC");
	if (!lapic_present() || boot.acpi.n_cpus < 2)
		return n;
	if (!can_start()) {
		klog(LOG_WARN, "one CPU of %u is used: no memory below 640 KiB", boot.acpi.n_cpus);
		return n;
	}
	for (unsigned i = 0; i < boot.acpi.n_cpus && n < max; i++)
		if (boot.acpi.cpu[i] > APIC_ID_MAX)
			klog(LOG_WARN, "CPU with local APIC %u left out: its number is too high",
			     boot.acpi.cpu[i]);
		else if (boot.acpi.cpu[i] != ids[0])
			ids[n++] = boot.acpi.cpu[i];
	return n;
}

/* ---- starting --------------------------------------------------------------------------------- */

/* On the new CPU, on its own stack, with the trampoline's tables. */
static void begin(struct percpu *percpu)
{
	pv_write_cr3(kernel_cr3);
	trap_init_cpu_native(percpu->cpu);
	pv_write_msr(MSR_PAT, pat);
	lapic_init_cpu();
	if (boot.platform == BOOT_XEN_PVH)
		smp_xen_cpu_begin(percpu);
	smp_started();
}

/* The kernel's half, and the lowest 2 MiB where they are. */
static void make_tables(void)
{
	uint64_t *top = pfn_to_virt((pfn_t){low_pfn + 1}), *l3 = pfn_to_virt((pfn_t){low_pfn + 2}),
		 *l2 = pfn_to_virt((pfn_t){low_pfn + 3});

	memcpy(top, mm_top, PAGE_SIZE);
	memset(l3, 0, 2 * PAGE_SIZE);
	top[0] = (low_pfn + 2) << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE;
	l3[0] = (low_pfn + 3) << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE;
	l2[0] = PTE_PRESENT | PTE_WRITE | PTE_LARGE;
}

/* Control registers are the boot CPU's; what ring 3 needs beyond is set up before the first program there. */
static struct words *make_page(const struct percpu *percpu, void *stack_top)
{
	char *page = pfn_to_virt((pfn_t){low_pfn});
	struct words *w = (struct words *)(page + (smp_trampoline_words - smp_trampoline));
	uint32_t base = (uint32_t)(low_pfn << PAGE_SHIFT);

	memcpy(page, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
	w->stack = (uint64_t)(uintptr_t)stack_top;
	w->percpu = (uint64_t)(uintptr_t)percpu;
	w->entry = (uint64_t)(uintptr_t)begin;
	w->cr0 = (uint32_t)pv_read_cr0() & ~CR0_TS;
	w->cr3 = base + PAGE_SIZE;
	w->cr4 = (uint32_t)pv_read_cr4();
	w->efer = (uint32_t)pv_read_msr(MSR_EFER) & ~EFER_LMA;
	w->far_offset = base + (uint32_t)(smp_trampoline_64 - smp_trampoline);
	w->gdt_base = base + (uint32_t)(smp_trampoline_words - smp_trampoline);
	return w;
}

/* The second startup interrupt is for processors that lose the first; one that has begun ignores it. */
static int start(struct percpu *percpu, void *stack_top)
{
	int error = trap_prepare_native(percpu->cpu);
	struct words *w;

	if (error)
		return error;
	kernel_cr3 = virt_to_maddr(mm_top).v;
	pat = pv_read_msr(MSR_PAT);
	is_parked[percpu->cpu] = false;
	make_tables();
	w = make_page(percpu, stack_top);
	lapic_send(percpu->id, LAPIC_ICR_INIT);
	thread_sleep_ns(INIT_NS);
	lapic_send(percpu->id, LAPIC_ICR_STARTUP | (uint32_t)low_pfn);
	time_delay_us(STARTUP_US);
	if (!*(volatile uint32_t *)&w->begun)
		lapic_send(percpu->id, LAPIC_ICR_STARTUP | (uint32_t)low_pfn);
	return 0;
}

/* ---- running, and not -------------------------------------------------------------------------- */

static void kick(struct percpu *percpu)
{
	kvm_send_ipi(percpu->id, kick_vector);
}

/* Interrupts stay off: only INIT ends this. An NMI meanwhile would be a panic's, and is ignored there. The mark
 * comes when the stack is needed no more: the operation is an instruction in place. */
static void park(void) __attribute__((noreturn));
static void park(void)
{
	__atomic_store_n(&is_parked[this_cpu()->cpu], true, __ATOMIC_RELEASE);
	for (;;)
		pv_halt();
}

static bool parked(struct percpu *percpu)
{
	return __atomic_load_n(&is_parked[percpu->cpu], __ATOMIC_ACQUIRE);
}

static void stop(struct percpu *percpu)
{
	lapic_send(percpu->id, LAPIC_ICR_NMI);
}

const struct smp_platform smp_native_platform = {
    .find = find,
    .start = start,
    .kick = kick,
    .park = park,
    .parked = parked,
    .stop = stop,
};

const struct smp_platform *smp_platform(void)
{
	return boot_on_xen() ? smp_xen_platform() : &smp_native_platform;
}
