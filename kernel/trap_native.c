/* trap_native.c: descriptors and gates on bare metal.
 *
 * Called once by boot_native.c, and by smp_native.c on each further CPU. One flat code segment, one data
 * segment, and a TSS for two stacks: one for entries from ring 3 (user_native.c, which adds the segments of
 * programs), and one for double faults and NMIs, so that a kernel stack overrun is a report and not a reset.
 * These each CPU has for itself; the gates all share. The I/O bitmap's place beyond the TSS's end denies
 * programs every port. Interrupt vectors are irq.c's.
 */
#include <amphi/pvops.h>
#include <amphi/x86_tables.h>

#include "mm.h"
#include "trap_parts.h"
#include "user_parts.h"

#define VECTORS           256u
#define GATES             32u /* handed over at a time */
#define STUB_SIZE         16u
#define VECTOR_BREAKPOINT 3u /* the one exception that programs raise by name */
#define SEL_TSS           0x18u
#define IST_STACK         4096u

extern const char trap_stubs_native[];

/* A CPU's own. */
struct tables {
	uint64_t gdt[PAGE_SIZE / 8];
	uint8_t ist_stack[IST_STACK];
	struct x86_tss tss;
} __attribute__((aligned(4096)));

static struct tables boot_tables, *tables[CPUS_MAX] = {&boot_tables};

/* One stack for NMI and double fault: natively both end in a panic. A descriptor of the TSS
 * takes two places of the table (SDM, "TSS Descriptor in 64-bit mode"). A CPU that comes again finds its
 * old descriptor marked as busy, and gets a new one. */
static void make_tables(struct tables *t)
{
	uint64_t base = (uint64_t)(uintptr_t)&t->tss;

	t->tss.iomap = sizeof(t->tss);
	t->tss.ist[0] = (uint64_t)(uintptr_t)(t->ist_stack + IST_STACK);
	pv_write_gdt_entry(&t->gdt[1], X86_CODE64);
	pv_write_gdt_entry(&t->gdt[2], X86_DATA);
	pv_write_gdt_entry(&t->gdt[SEL_TSS / 8], x86_tss_descriptor(base));
	pv_write_gdt_entry(&t->gdt[SEL_TSS / 8 + 1], base >> 32);
}

/* The table before the selectors in it. */
static void load_tables(unsigned cpu)
{
	pv_load_gdt(tables[cpu]->gdt, SEL_TSS / 8 + 2);
	pv_set_ldt(NULL, 0);
	pv_load_tr(SEL_TSS);
	trap_percpu_init(cpu);
}

/* By batches, since on the other platform a table of gates is one hypercall. Interrupts off in
 * all: the entry code may not be interrupted before it has its frame. */
static void make_gates(void)
{
	struct pv_gate gates[GATES];

	for (unsigned first = 0; first < VECTORS; first += GATES) {
		for (unsigned i = 0; i < GATES; i++)
			gates[i] = (struct pv_gate){
			    .vector = (uint8_t)(first + i),
			    .dpl = first + i == VECTOR_BREAKPOINT ? 3 : 0,
			    .irq_off = true,
			    .handler =
				(uint64_t)(uintptr_t)trap_stubs_native + (first + i) * STUB_SIZE,
			};
		pv_load_idt(gates, GATES);
	}
}

/* The 8259s are moved and masked before anybody turns interrupts on. */
void trap_init_native(void)
{
	trap_is_native = true;
	make_tables(&boot_tables);
	load_tables(0);
	make_gates();
	irq_init_legacy();
}

int trap_prepare_native(unsigned cpu)
{
	if (!tables[cpu])
		tables[cpu] = pages_alloc(PAGES_FOR(sizeof(struct tables)));
	if (!tables[cpu])
		return -XEN_ENOMEM;
	make_tables(tables[cpu]);
	return 0;
}

/* No gate is new: the table that is there is loaded. */
void trap_init_cpu_native(unsigned cpu)
{
	load_tables(cpu);
	pv_load_idt(NULL, 0);
}

uint64_t *trap_native_gdt(void)
{
	return tables[this_cpu()->cpu]->gdt;
}

/* The TSS is packed, and its stacks lie at odd words: nobody minds on x86. */
uint64_t *trap_native_sp0(void)
{
	return (uint64_t *)(void *)((char *)&tables[this_cpu()->cpu]->tss +
				    offsetof(struct x86_tss, rsp));
}
