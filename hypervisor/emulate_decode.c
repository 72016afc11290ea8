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
	bool operand16, has_rex;
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

/* Returns the first byte that is no prefix. Segments, 32-bit addresses and repetition mean nothing
 * to the instructions here: where memory is meant, its address is known from the fault. */
static uint8_t prefixes(struct reader *r)
{
	for (;;) {
		uint8_t b = next(r);

		r->operand16 |= b == 0x66;
		if ((b & 0xe7) != 0x26 && (b & 0xfc) != 0x64 && (b & 0xfc) != 0xf0)
			return b;
		if (b == 0xf1 || r->ended) /* f1 is int1, no prefix */
			return b;
	}
}

static void set_registers(struct reader *r, uint8_t m)
{
	r->out->reg = (uint8_t)((m >> 3 & 7) | (r->rex & 4) << 1);
	r->out->rm = (uint8_t)((m & 7) | (r->rex & 1) << 3);
}

/* ModRM, with SIB and displacement skipped. */
static uint8_t modrm(struct reader *r)
{
	uint8_t m = next(r), mod = m >> 6, rm = m & 7;

	set_registers(r, m);
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

/* How the bytes behind an opcode are read. */
enum form {
	PLAIN, /* there are none */
	PORT_DX,
	PORT_IMM,
	CONTROL,   /* ModRM between registers */
	MEMORY,    /* ModRM between memory and a register */
	GROUP_IMM, /* ModRM whose reg field is the operation; an operand follows, */
	GROUP_IMM8 /* which is a byte while the other is not */
};

enum { GROUP_BITS, GROUP_ARITH, GROUP_STORE };

static const uint8_t groups[][8] = {
    [GROUP_BITS] = {[5] = INSN_BTS, [6] = INSN_BTR},
    [GROUP_ARITH] = {[1] = INSN_OR_IMM, [4] = INSN_AND_IMM},
    [GROUP_STORE] = {[0] = INSN_MOV_IMM},
};

/* 0x0fnn: two bytes. last: the even opcode is for bytes, the odd one behind it for wider ones. */
static const struct opcode {
	uint16_t first, last;
	uint8_t form, op; /* op: an enum insn_op, or the group */
} opcodes[] = {
    {0x08, 0x09, MEMORY, INSN_OR_REG},
    {0x20, 0x21, MEMORY, INSN_AND_REG},
    {0x80, 0x81, GROUP_IMM, GROUP_ARITH},
    {0x83, 0x83, GROUP_IMM8, GROUP_ARITH},
    {0x86, 0x87, MEMORY, INSN_XCHG},
    {0x88, 0x89, MEMORY, INSN_MOV_STORE},
    {0xc6, 0xc7, GROUP_IMM, GROUP_STORE},
    {0xe4, 0xe5, PORT_IMM, INSN_IN},
    {0xe6, 0xe7, PORT_IMM, INSN_OUT},
    {0xec, 0xed, PORT_DX, INSN_IN},
    {0xee, 0xef, PORT_DX, INSN_OUT},
    {0xfa, 0xfa, PLAIN, INSN_CLI},
    {0xfb, 0xfb, PLAIN, INSN_STI},
    {0x0f06, 0x0f06, PLAIN, INSN_CLTS},
    {0x0f08, 0x0f08, PLAIN, INSN_INVD},
    {0x0f09, 0x0f09, PLAIN, INSN_WBINVD},
    {0x0f20, 0x0f20, CONTROL, INSN_READ_CR},
    {0x0f22, 0x0f22, CONTROL, INSN_WRITE_CR},
    {0x0f30, 0x0f30, PLAIN, INSN_WRMSR},
    {0x0f32, 0x0f32, PLAIN, INSN_RDMSR},
    {0x0fa2, 0x0fa2, PLAIN, INSN_CPUID},
    {0x0fb0, 0x0fb1, MEMORY, INSN_CMPXCHG},
    {0x0fba, 0x0fba, GROUP_IMM8, GROUP_BITS},
};

/* AH to BH are not understood. Ports take 32 bits at most, REX.W means nothing to them; and the mod
 * field of a move with a control register is ignored by the CPU: always registers. */
static void decode_form(struct reader *r, const struct opcode *o, bool byte)
{
	struct insn *out = r->out;
	uint8_t m;

	out->op = o->form >= GROUP_IMM ? INSN_NONE : (enum insn_op)o->op;
	if (o->form != PLAIN)
		out->width = byte ? 1 : r->rex & 8 ? 8 : r->operand16 ? 2 : 4;
	switch (o->form) {
	case PORT_DX:
	case PORT_IMM:
		out->width = MIN(out->width, r->operand16 ? 2 : 4);
		out->port_in_dx = o->form != PORT_IMM;
		if (o->form == PORT_IMM)
			out->imm = next(r);
		break;
	case CONTROL:
		out->width = 8;
		set_registers(r, next(r));
		break;
	case MEMORY:
		m = modrm(r);
		if (m >= 0xc0 || (byte && !r->has_rex && out->reg >= 4))
			out->op = INSN_NONE;
		break;
	case GROUP_IMM:
	case GROUP_IMM8:
		m = modrm(r);
		out->op = m >= 0xc0 ? INSN_NONE : (enum insn_op)groups[o->op][m >> 3 & 7];
		out->imm = next_signed(r, o->form == GROUP_IMM8 ? 1 : MIN(out->width, 4));
		break;
	default:
		break;
	}
}

void emulate_decode(const uint8_t *bytes, unsigned n, struct insn *out)
{
	struct reader r = {.bytes = bytes, .n = n, .out = out};
	unsigned code = prefixes(&r);

	*out = (struct insn){.op = INSN_NONE};
	if ((code & 0xf0) == 0x40) {
		r.has_rex = true;
		r.rex = (uint8_t)code;
		code = next(&r);
	}
	if (code == 0x0f)
		code = code << 8 | next(&r);
	for (const struct opcode *o = opcodes; o < opcodes + ARRAY_SIZE(opcodes); o++)
		if (code >= o->first && code <= o->last)
			decode_form(&r, o, o->first != o->last && code == o->first);
	if (r.ended)
		out->op = INSN_NONE;
	out->length = (uint8_t)r.at;
}
