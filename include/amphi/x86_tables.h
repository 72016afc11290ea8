/* x86_tables.h: the descriptor tables of a 64-bit processor, as it reads them.
 *
 * Layouts and what fills them, for whoever runs on a bare CPU: the kernel's native side and the
 * hypervisor. Intel SDM volume 3: GDTR and IDTR, TSS descriptor, 64-bit TSS, 64-bit IDT. Pure.
 */
#ifndef AMPHI_X86_TABLES_H
#define AMPHI_X86_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* The operand of lgdt and lidt: the limit is the last byte's offset. */
struct x86_table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct x86_tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3;
	uint16_t iomap; /* at the limit: no bitmap, every I/O instruction of ring 3 faults */
} __attribute__((packed));
_Static_assert(sizeof(struct x86_tss) == 104, "64-bit TSS");

/* One with a bitmap of ports, a 0 bit allows; a processor reads two bytes of it at a time, hence the end. */
struct x86_tss_ports {
	struct x86_tss tss;
	uint8_t denied[8192], end; /* end: 0xff */
	uint8_t unused[7];
	uint64_t version; /* software's: what denied was copied from; 0: nothing */
} __attribute__((packed));
#define X86_TSS_PORTS_LIMIT (offsetof(struct x86_tss_ports, end))
#define X86_TSS_NO_PORTS    0xffffu /* in iomap: beyond any limit */

/* Of an LDT, likewise the lower half; the upper is base >> 32. */
static inline uint64_t x86_ldt_descriptor(uint64_t base, unsigned entries)
{
	return (entries * 8 - 1) | (base & 0xffffff) << 16 | 0x82ull << 40 |
	       (base >> 24 & 0xff) << 56;
}

/* The lower half of its descriptor in the GDT; the upper is base >> 32. */
static inline uint64_t x86_tss_descriptor(uint64_t base)
{
	return (sizeof(struct x86_tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
	       (base >> 24 & 0xff) << 56;
}

/* Flat segments; bits 45 and 46 are the ring. */
#define X86_CODE64 0x00af9b000000ffffull
#define X86_CODE32 0x00cf9b000000ffffull
#define X86_DATA   0x00cf93000000ffffull
#define X86_RING3  (3ull << 45)

struct x86_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct x86_gate) == 16, "a gate of 64-bit mode");

#define X86_GATE_INTERRUPT 0x8eu /* present, IF is cleared */
#define X86_GATE_TRAP      0x8fu
#define X86_GATE_DPL_SHIFT 5 /* the privilege of int n */

static inline struct x86_gate x86_gate(uint64_t handler, uint16_t selector, uint8_t ist,
				       unsigned type)
{
	return (struct x86_gate){
	    .offset_low = (uint16_t)handler,
	    .selector = selector,
	    .ist = ist,
	    .type = (uint8_t)type,
	    .offset_middle = (uint16_t)(handler >> 16),
	    .offset_high = (uint32_t)(handler >> 32),
	};
}

#endif
