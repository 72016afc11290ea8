/* emulate.h: privileged instructions that a PV guest may execute all the same.
 *
 * Private. emulate_decode is pure and knows bytes only (tested and fuzzed on the host); emulate.c
 * carries out for a vCPU what was decoded; cpuid.c and msr.c say what a guest sees of the CPU.
 * trap.c calls. An instruction that is not ours to emulate is the guest's exception.
 */
#ifndef HV_EMULATE_H
#define HV_EMULATE_H

#include <amphi/types.h>

struct vcpu;
struct cpuid_regs;

#define INSN_MAX 15u

enum insn_op {
	INSN_NONE,
	INSN_IN,
	INSN_OUT,
	INSN_CLI,
	INSN_STI,
	INSN_CLTS,
	INSN_INVD,
	INSN_WBINVD,
	INSN_READ_CR,
	INSN_WRITE_CR,
	INSN_RDMSR,
	INSN_WRMSR,
	INSN_CPUID,
	INSN_MOV_STORE, /* mov reg -> memory */
	INSN_MOV_IMM,   /* mov imm32 -> memory */
	INSN_XCHG,      /* reg <-> memory */
	INSN_CMPXCHG,
	INSN_AND_REG, /* memory &= reg, or imm */
	INSN_OR_REG,
	INSN_AND_IMM,
	INSN_OR_IMM,
	INSN_BTR, /* bit number in imm */
	INSN_BTS,
};

struct insn {
	enum insn_op op;
	uint8_t length;  /* bytes, prefixes included */
	uint8_t width;   /* of the operand: 1, 2, 4 or 8 */
	uint8_t reg;     /* ModRM.reg with REX.R: number of a general, or control register */
	uint8_t rm;      /* ModRM.rm with REX.B, for moves between registers */
	bool port_in_dx; /* else imm */
	uint64_t imm;    /* port, or sign-extended operand */
};

/* Reads one instruction of 64-bit code from n bytes. op is INSN_NONE when it is none of the above
 * (string I/O, ins and outs, is not: the guest gets its #GP) or not complete within n. Memory operands are skipped over, not computed: their address is known
 * from the fault. */
void emulate_decode(const uint8_t *bytes, unsigned n, struct insn *out);

/* #GP with error code 0 at the vCPU's RIP: true when the instruction has been carried out. */
bool emulate_privileged(struct vcpu *v);

/* #UD: true when it was "ud2a; 'xen'; cpuid" and has been carried out. */
bool emulate_forced(struct vcpu *v);

/* A write fault in kernel mode: true when it was to a page table of the guest's and has been done.
 */
bool emulate_table_write(struct vcpu *v, uint64_t address);

/* What CPUID says to a PV guest. */
void cpuid_for_guest(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

/* false: the guest gets #GP. */
bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *out);
bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

#endif
