/* smp_start.c: finds the machine's other CPUs and starts them, one by one.
 *
 * Called once by boot.c, after the clocks are known and before there are domains. The CPUs are
 * those that ACPI names; one that does not come is left out, and said so. They find nothing to do
 * and wait; the boot CPU keeps the hypervisor's lock from here until it first leaves for a guest.
 * Calls cpu.c, apic.c, sched.c for what each CPU has of its own.
 */
#include <amphi/string.h>

#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "io.h"
#include "layout.h"
#include "mm_private.h"
#include "percpu.h"
#include "pte.h"
#include "sched.h"
#include "smp.h"
#include "time.h"

#define INIT_NS  10000000ull  /* Intel SDM 3A, 8.4.4.1: between INIT and the first start-up */
#define COME_NS  200000000ull /* a CPU that is not here by then does not come */
#define AGAIN_NS 1000000ull   /* the second start-up, for those that missed the first */

extern uint64_t hv_root_table[512], boot_l3_direct[512], boot_l2[512];
extern const uint8_t smp_trampoline[], smp_trampoline_end[];
void smp_main(void) __attribute__((noreturn));
void entry_start(void) __attribute__((noreturn));

/* Of the CPU that is being started. */
uint64_t smp_start_stack;
static uint32_t starting;

/* On the new CPU, on its own stack. What it has said cpus_online with is complete. */
void smp_main(void)
{
	uint32_t id = starting;

	cpu_init(id);
	apic_start();
	__atomic_fetch_or(&cpus_online, 1u << id, __ATOMIC_SEQ_CST);
	entry_start();
}

static bool come(uint32_t id, uint64_t within_ns)
{
	uint64_t end = time_now_ns() + within_ns;

	while (!(__atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE) >> id & 1)) {
		if (time_now_ns() > end)
			return false;
		spin_relax();
	}
	return true;
}

/* A CPU that did not come is held where it is, and its number goes to no other. */
static void start_one(uint32_t id, uint32_t apic)
{
	if (!cpu_prepare(id))
		hv_panic("no memory for CPU %u", id);
	sched_init(id);
	hv_percpu[id].apic_id = apic;
	smp_start_stack = hv_percpu[id].stack_top;
	starting = id;
	apic_send_start(apic, SMP_TRAMPOLINE_PAGE);
	if (come(id, AGAIN_NS))
		return;
	apic_send_start(apic, SMP_TRAMPOLINE_PAGE);
	if (come(id, COME_NS))
		return;
	apic_send_start(apic, 0);
	hv_printk("the CPU with APIC id %u does not start", apic);
}

/* The trampoline's page at its own address, where a CPU is when it turns paging on. The direct map's
 * first entry is what boot.S made; it may be executed for as long as this takes. */
static void map_trampoline(bool yes)
{
	hv_root_table[0] =
	    yes ? ((uint64_t)boot_l3_direct - HV_IMAGE_VIRT) | PTE_PRESENT | PTE_RW : 0;
	boot_l2[0] = yes ? boot_l2[0] & ~PTE_NX : boot_l2[0] | PTE_NX;
	hw_flush();
}

void smp_start(void)
{
	const struct acpi_info *acpi = acpi_info();
	uint64_t most = MAX_CPUS, begin;
	uint32_t n = 1;

	hv_enter();
	(void)boot_option_number("maxcpus", &most);
	most = MIN(MIN(MAX(most, 1), MAX_CPUS), acpi->n_cpus);
	if (most < 2)
		return;
	memcpy(maddr_to_virt((maddr_t){SMP_TRAMPOLINE_PAGE << PAGE_SHIFT}), smp_trampoline,
	       (size_t)(smp_trampoline_end - smp_trampoline));
	map_trampoline(true);
	for (unsigned i = 0; i < acpi->n_cpus; i++)
		if (acpi->cpu[i] != this_cpu()->apic_id)
			apic_send_start(acpi->cpu[i], 0);
	for (begin = time_now_ns(); time_now_ns() - begin < INIT_NS;)
		spin_relax();
	for (unsigned i = 0; i < acpi->n_cpus && n < most; i++) {
		if (acpi->cpu[i] == this_cpu()->apic_id || acpi->cpu[i] > 254)
			continue;
		start_one(n++, acpi->cpu[i]);
	}
	map_trampoline(false);
	cpus_ask(cpus_online, ASK_FLUSH);
	/* They have had to do for the lock; now they find that there is nothing, and wait. */
	hv_breathe();
	hv_printk("%u CPUs", cpus_count());
}
