/* native_cpu.c: bare-metal operations that are functions: the processor's tables, what programs may have of it
 * (segments of their own, break points, ports), and registers that may not exist.
 *
 * Called through the sites (native.c has the table), at start, and when a program is switched to or asks for one of
 * these; by the kernel without pvops too (tests/plain).
 * References: Intel SDM vol. 3, "Segment descriptor types", "Debug registers", "I/O permission bit map".
 */
#include <amphi/fixup.h>
#include <amphi/string.h>
#include <amphi/x86_tables.h>
#include <amphi/xen.h>

#include "native_parts.h"

#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u /* the program's, while the kernel runs */
#define IDT_ENTRIES        256u

void native_load_gdt(void *table, unsigned entries)
{
	struct x86_table_ptr ptr = {(uint16_t)(entries * 8 - 1), (uint64_t)(uintptr_t)table};

	__asm__ volatile("lgdt %0" ::"m"(ptr));
}

static struct x86_gate idt[IDT_ENTRIES];

/* Double fault, NMI and a debug exception that MOV SS has put off (SDM vol. 3, "Masking exceptions and interrupts when
 * switching stacks") may find the stack unusable, so they have one of their own (TSS, IST 1). */
static uint8_t ist_of(uint8_t vector)
{
	return vector == 8 || vector == 2 || vector == 1;
}

/* Gates are merged into the table, so one without a row keeps what it had. cs is read and not
 * assumed: the boot protocols enter with different ones. */
void native_load_idt(const void *gates, unsigned entries)
{
	const struct pv_gate *gate = gates;
	struct x86_table_ptr ptr = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	for (unsigned i = 0; i < entries; i++, gate++) {
		if (!gate->handler)
			continue;
		idt[gate->vector] = x86_gate(gate->handler, cs, ist_of(gate->vector),
					     (gate->irq_off ? X86_GATE_INTERRUPT : X86_GATE_TRAP) |
						 (unsigned)gate->dpl << X86_GATE_DPL_SHIFT);
	}
	__asm__ volatile("lidt %0" ::"m"(ptr));
}

static void write_base(uint32_t msr, uint64_t base)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)base), "d"((uint32_t)(base >> 32)));
}

void native_load_gs_base(uint64_t base)
{
	write_base(MSR_GS_BASE, base);
}

/* Loading the selector loads the base with it, so the program's is swapped in for the moment. AMD's
 * processors keep the base when the selector is null (APM vol. 2, 4.5.3): it is another program's. */
void native_load_gs_index(uint16_t selector)
{
	__asm__ volatile("swapgs; mov %w0, %%gs; swapgs" ::"r"(selector) : "memory");
	if (selector < 4)
		write_base(MSR_KERNEL_GS_BASE, 0);
}

/* The fault leads behind the line that says all went well. */
int native_read_msr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	int status = -XEN_EIO;

	__asm__ volatile("1: rdmsr\n xor %[status], %[status]\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : "+a"(low), "+d"(high), [status] "+r"(status)
			 : "c"(msr)
			 : "cc");
	*value = (uint64_t)high << 32 | low;
	return status;
}

int native_write_msr_safe(uint32_t msr, uint64_t value)
{
	int status = -XEN_EIO;

	__asm__ volatile("1: wrmsr\n xor %[status], %[status]\n 2:\n" TRAP_FIXUP("1b", "2b")
			 : [status] "+r"(status)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory", "cc");
	return status;
}

/* The GDT is the CPU's own, and the processor knows best which that is. */
void native_set_ldt(const void *table, unsigned entries)
{
	uint64_t base = (uint64_t)(uintptr_t)table, *gdt;
	uint16_t selector = entries ? PV_GDT_LDT * 8 : 0;
	struct x86_table_ptr ptr;

	__asm__ volatile("sgdt %0" : "=m"(ptr));
	gdt = (uint64_t *)(uintptr_t)ptr.base;
	if (entries) {
		gdt[PV_GDT_LDT] = x86_ldt_descriptor(base, entries);
		gdt[PV_GDT_LDT + 1] = base >> 32;
	}
	__asm__ volatile("lldt %w0" ::"r"(selector) : "memory");
}

void native_load_tls(uint64_t *first, const uint64_t *descriptors)
{
	for (unsigned i = 0; i < PV_TLS_ENTRIES; i++)
		first[i] = descriptors[i];
}

/* The number is part of the instruction. */
#define CASE_GET(n)                                                                                \
	case n:                                                                                    \
		__asm__ volatile("mov %%db" #n ", %0" : "=r"(value));                              \
		break
#define CASE_SET(n)                                                                                \
	case n:                                                                                    \
		__asm__ volatile("mov %0, %%db" #n ::"r"(value) : "memory");                       \
		break

uint64_t native_get_debugreg(unsigned number)
{
	uint64_t value = 0;

	switch (number) {
		CASE_GET(0);
		CASE_GET(1);
		CASE_GET(2);
		CASE_GET(3);
		CASE_GET(6);
		CASE_GET(7);
	}
	return value;
}

void native_set_debugreg(unsigned number, uint64_t value)
{
	switch (number) {
		CASE_SET(0);
		CASE_SET(1);
		CASE_SET(2);
		CASE_SET(3);
		CASE_SET(6);
		CASE_SET(7);
	}
}

/* 8 KiB are copied only when they are not there already: of two programs, the one with ports finds its own
 * again after the other. */
void native_update_io_bitmap(struct x86_tss_ports *tss, const struct pv_ports *ports)
{
	if (tss->version != ports->version)
		memcpy(tss->denied, ports->denied, sizeof(tss->denied));
	tss->version = ports->version;
	tss->tss.iomap = offsetof(struct x86_tss_ports, denied);
}

/* The processor looks at the offset at each use: no reload is needed. */
void native_invalidate_io_bitmap(struct x86_tss_ports *tss)
{
	tss->tss.iomap = X86_TSS_NO_PORTS;
}
