/* emulate_decode.c: reads one instruction that a PV guest may have wanted the hypervisor to do.
 *
 * Pure: bytes in, struct insn out; nothing of a vCPU is seen here, so that it can be tested and
 * fuzzed on the host. A parser of hostile input: every byte is taken through next(), which stops at
 * the end. Intel SDM volume 2, appendix A has the map of opcodes. Called by emulate.c.
 */
#include <amphi/types.h>

#include "emulate.h"

struct reader {
	const uint8_t *bytes;
	unsigned n, at;
	bool ended;
	/* prefixes */
	bool operand16, rep, has_rex, bad;
	uint8_t rex;
	struct insn *out;
};

static uint8_t next(struct reader *r)
{
	if (r->at >= r->n || r->at >= INSN_MAX) {
		r->ended = true;
		return 0;
	}
	return r->bytes[r->at++];
}

/* n bytes, little endian, sign extended. */
static uint64_t next_signed(struct reader *r, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)next(r) << (8 * i);
	return n == 8 ? v : (uint64_t)((int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n));
}

/* Returns the first byte that is no prefix. FS and GS matter to string I/O, which then is not ours;
 * nothing else here cares whose segment it is. */
static uint8_t prefixes(struct reader *r)
{
	for (;;) {
		uint8_t b = next(r);

		if (b == 0x66)
			r->operand16 = true;
		else if (b == 0x67)
			r->out->address32 = true;
		else if (b == 0xf2 || b == 0xf3)
			r->rep = true;
		else if (b == 0x64 || b == 0x65)
			r->bad = true;
		else if (b != 0x26 && b != 0x2e && b != 0x36 && b != 0x3e && b != 0xf0)
			return b;
		if (r->ended)
			return b;
	}
}

static uint8_t opcode(struct reader *r)
{
	uint8_t b = prefixes(r);

	if ((b & 0xf0) != 0x40)
		return b;
	r->has_rex = true;
	r->rex = b;
	return next(r);
}

static uint8_t width(const struct reader *r, bool byte)
{
	if (byte)
		return 1;
	if (r->rex & 8)
		return 8;
	return r->operand16 ? 2 : 4;
}

/* ModRM, with SIB and displacement skipped. */
static uint8_t modrm(struct reader *r)
{
	uint8_t m = next(r), mod = m >> 6, rm = m & 7;

	r->out->reg = (uint8_t)((m >> 3 & 7) | (r->rex & 4) << 1);
	r->out->rm = (uint8_t)(rm | (r->rex & 1) << 3);
	if (mod == 3)
		return m;
	if (rm == 4 && (next(r) & 7) == 5 && mod == 0)
		(void)next_signed(r, 4);
	if (mod == 1)
		(void)next(r);
	else if (mod == 2 || (mod == 0 && rm == 5))
		(void)next_signed(r, 4);
	return m;
}

/* An operation between memory and a register or an immediate. AH to BH are not understood. */
static void memory_op(struct reader *r, enum insn_op op, bool byte)
{
	uint8_t m = modrm(r);

	r->out->op = op;
	r->out->width = width(r, byte);
	if (m >= 0xc0 || (byte && !r->has_rex && r->out->reg >= 4))
		r->out->op = INSN_NONE;
}

/* The operation is in the reg field; 0: not one of ours. */
static void group_op(struct reader *r, const uint8_t ops[8], bool byte, unsigned imm_bytes)
{
	uint8_t m = modrm(r);

	r->out->op = m >= 0xc0 ? INSN_NONE : (enum insn_op)ops[m >> 3 & 7];
	r->out->width = width(r, byte);
	if (imm_bytes == 4 && r->out->width == 2)
		imm_bytes = 2;
	r->out->imm = next_signed(r, imm_bytes);
}

/* in, out, ins, outs: 32 bits at most, REX.W means nothing. */
static void port_op(struct reader *r, enum insn_op op, bool byte)
{
	r->out->op = op;
	r->out->width = byte ? 1 : r->operand16 ? 2 : 4;
	r->out->port_in_dx = true;
	r->out->repeat = r->rep;
}

static void decode_port(struct reader *r, uint8_t b)
{
	bool byte = (b & 1) == 0;

	if (b >= 0x6c && b <= 0x6f) {
		port_op(r, b < 0x6e ? INSN_INS : INSN_OUTS, byte);
		if (r->bad)
			r->out->op = INSN_NONE;
		return;
	}
	port_op(r, b & 2 ? INSN_OUT : INSN_IN, byte);
	if (b < 0xe8) {
		r->out->port_in_dx = false;
		r->out->imm = next(r);
	}
}

static void decode_cr(struct reader *r, uint8_t b)
{
	uint8_t m = next(r);

	/* The mod field is ignored by the CPU: always registers. */
	r->out->reg = (uint8_t)((m >> 3 & 7) | (r->rex & 4) << 1);
	r->out->rm = (uint8_t)((m & 7) | (r->rex & 1) << 3);
	r->out->width = 8;
	r->out->op = b == 0x20 ? INSN_READ_CR : INSN_WRITE_CR;
}

static const uint8_t bit_ops[8] = {[5] = INSN_BTS, [6] = INSN_BTR};
static const uint8_t arith_ops[8] = {[1] = INSN_OR_IMM, [4] = INSN_AND_IMM};
static const uint8_t store_ops[8] = {[0] = INSN_MOV_IMM};

static void decode_0f(struct reader *r)
{
	static const struct {
		uint8_t code, op;
	} plain[] = {
	    {0x06, INSN_CLTS},  {0x08, INSN_INVD},  {0x09, INSN_WBINVD},
	    {0x30, INSN_WRMSR}, {0x32, INSN_RDMSR}, {0xa2, INSN_CPUID},
	};
	uint8_t b = next(r);

	for (unsigned i = 0; i < ARRAY_SIZE(plain); i++)
		if (plain[i].code == b)
			r->out->op = (enum insn_op)plain[i].op;
	if (b == 0x20 || b == 0x22)
		decode_cr(r, b);
	else if (b == 0xb0 || b == 0xb1)
		memory_op(r, INSN_CMPXCHG, b == 0xb0);
	else if (b == 0xba)
		group_op(r, bit_ops, false, 1);
}

static void decode_one(struct reader *r, uint8_t b)
{
	bool byte = (b & 1) == 0;

	if (b == 0x0f)
		decode_0f(r);
	else if ((b >= 0x6c && b <= 0x6f) || (b >= 0xe4 && b <= 0xe7) || (b >= 0xec && b <= 0xef))
		decode_port(r, b);
	else if (b == 0xfa || b == 0xfb)
		r->out->op = b == 0xfa ? INSN_CLI : INSN_STI;
	else if (b == 0x88 || b == 0x89)
		memory_op(r, INSN_MOV_STORE, byte);
	else if (b == 0x86 || b == 0x87)
		memory_op(r, INSN_XCHG, byte);
	else if (b == 0x08 || b == 0x09)
		memory_op(r, INSN_OR_REG, byte);
	else if (b == 0x20 || b == 0x21)
		memory_op(r, INSN_AND_REG, byte);
	else if (b == 0xc6 || b == 0xc7)
		group_op(r, store_ops, byte, byte ? 1 : 4);
	else if (b == 0x80 || b == 0x81)
		group_op(r, arith_ops, byte, byte ? 1 : 4);
	else if (b == 0x83)
		group_op(r, arith_ops, false, 1);
}

void emulate_decode(const uint8_t *bytes, unsigned n, struct insn *out)
{
	struct reader r = {.bytes = bytes, .n = n, .out = out};

	*out = (struct insn){.op = INSN_NONE};
	decode_one(&r, opcode(&r));
	if (r.ended)
		out->op = INSN_NONE;
	out->length = (uint8_t)r.at;
}
