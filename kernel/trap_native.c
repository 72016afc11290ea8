/* trap_native.c: descriptors and gates on bare metal.
 *
 * Called once by boot_native.c. One flat code segment, one data segment, and a TSS for two stacks: one for
 * entries from ring 3 (user_native.c, which adds the segments of programs), and one for double faults and
 * NMIs, so that a kernel stack overrun is a report and not a reset. The I/O bitmap's place beyond the TSS's
 * end denies programs every port. Interrupt vectors are irq.c's.
 */
#include <amphi/pvops.h>
#include <amphi/x86_tables.h>

#include "trap_parts.h"
#include "user_parts.h"

#define VECTORS           256u
#define GATES             32u /* handed over at a time */
#define STUB_SIZE         16u
#define VECTOR_BREAKPOINT 3u /* the one exception that programs raise by name */
#define SEL_TSS           0x18u
#define IST_STACK         4096u

extern const char trap_stubs_native[];

static struct x86_tss tss = {.iomap = sizeof(tss)};
static uint8_t ist_stack[IST_STACK] __attribute__((aligned(16)));
static uint64_t gdt[PAGE_SIZE / 8] __attribute__((aligned(4096))) = {0, X86_CODE64, X86_DATA};

/* One stack for NMI and double fault: natively both end in a panic. A descriptor of the TSS
 * takes two places of the table (SDM, "TSS Descriptor in 64-bit mode"). */
static void make_tss(void)
{
	uint64_t base = (uint64_t)(uintptr_t)&tss;

	tss.ist[0] = (uint64_t)(uintptr_t)(ist_stack + IST_STACK);
	pv_write_gdt_entry(&gdt[SEL_TSS / 8], x86_tss_descriptor(base));
	pv_write_gdt_entry(&gdt[SEL_TSS / 8 + 1], base >> 32);
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

/* The table before the selectors in it. The 8259s are moved and masked before anybody turns
 * interrupts on. */
void trap_init_native(void)
{
	trap_is_native = true;
	make_tss();
	pv_load_gdt(gdt, SEL_TSS / 8 + 2);
	pv_set_ldt(NULL, 0);
	pv_load_tr(SEL_TSS);
	trap_percpu_init();
	make_gates();
	irq_init_legacy();
}

uint64_t *trap_native_gdt(void)
{
	return gdt;
}

/* The TSS is packed, and its stacks lie at odd words: nobody minds on x86. */
uint64_t *trap_native_sp0(void)
{
	return (uint64_t *)(void *)((char *)&tss + offsetof(struct x86_tss, rsp));
}
