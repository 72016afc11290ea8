/* emulate_regs.h: a guest's general registers by the numbers instructions use.
 *
 * Private to the emulator. Writes follow the CPU's rule: 32 bits clear the upper half, 8 and 16
 * leave the rest. The old high-byte registers (AH to BH) have no number here.
 */
#ifndef HV_EMULATE_REGS_H
#define HV_EMULATE_REGS_H

#include <amphi/types.h>

#include "emulate.h"
#include "layout.h"
#include "pv.h"

static inline uint64_t *reg_ptr(struct guest_regs *r, unsigned number)
{
	uint64_t *const table[16] = {
	    &r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
	    &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15,
	};

	return table[number & 15];
}

static inline uint64_t width_mask(unsigned bytes)
{
	return bytes == 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

static inline uint64_t reg_read(struct guest_regs *r, unsigned number, unsigned bytes)
{
	return *reg_ptr(r, number) & width_mask(bytes);
}

static inline void reg_write(struct guest_regs *r, unsigned number, unsigned bytes, uint64_t value)
{
	uint64_t *p = reg_ptr(r, number), mask = width_mask(bytes);

	*p = bytes == 4 ? (uint32_t)value : (*p & ~mask) | (value & mask);
}

/* The bytes at RIP; returns how many could be read. */
unsigned emulate_fetch(const struct vcpu *v, uint8_t bytes[INSN_MAX]);

/* Whether the guest runs 64-bit code: in the flat segment, or in one of its own tables (Linux starts
 * its second and further vCPUs so), of which LAR shows bit L. SDM 3A 3.4.5, 2A LAR. */
static inline bool code_is_64(const struct guest_regs *r)
{
	uint32_t selector = (uint16_t)r->cs, rights = 0;

	if (selector == HV_GUEST_CS64)
		return true;
	__asm__("larl %1, %0" : "+r"(rights) : "r"(selector) : "cc");
	return rights >> 21 & 1;
}

#endif
