/* user_insn.c: recognises the instructions that ring 3 may not execute.
 *
 * Called by user_fault.c after a general protection fault; pure, see user_insn.h. Only opcodes are looked at: prefixes
 * are skipped, operands matter where they name a port or tell instructions of one opcode apart. Opcodes: Intel
 * SDM vol. 2, appendix A.
 */
#include "user_insn.h"

#define REX_MASK 0xf0u
#define REX      0x40u
#define TWO_BYTE 0x0fu

/* mod_rm: the byte after the opcode must have these values in these bits, or mask is 0. */
struct row {
	uint8_t opcode, mask, value;
	const char *name;
};

static const struct row one_byte[] = {
    {0xf4, 0, 0, "hlt"},
    {0xfa, 0, 0, "cli"},
    {0xfb, 0, 0, "sti"},
};

/* A register's form of 01 comes before the memory's with the same digits. */
static const struct row two_byte[] = {
    {0x00, 0x38, 0x10, "lldt"},
    {0x00, 0x38, 0x18, "ltr"},
    {0x01, 0xff, 0xd1, "xsetbv"},
    {0x01, 0xff, 0xf8, "swapgs"},
    {0x01, 0xff, 0xca, "clac"},
    {0x01, 0xff, 0xcb, "stac"},
    {0x01, 0x38, 0x00, "sgdt"},
    {0x01, 0x38, 0x08, "sidt"},
    {0x01, 0x38, 0x10, "lgdt"},
    {0x01, 0x38, 0x18, "lidt"},
    {0x01, 0x38, 0x20, "smsw"},
    {0x01, 0x38, 0x30, "lmsw"},
    {0x01, 0x38, 0x38, "invlpg"},
    {0x06, 0, 0, "clts"},
    {0x07, 0, 0, "sysret"},
    {0x08, 0, 0, "invd"},
    {0x09, 0, 0, "wbinvd"},
    {0x20, 0, 0, "mov from a control register"},
    {0x21, 0, 0, "mov from a debug register"},
    {0x22, 0, 0, "mov to a control register"},
    {0x23, 0, 0, "mov to a debug register"},
    {0x30, 0, 0, "wrmsr"},
    {0x32, 0, 0, "rdmsr"},
    {0x33, 0, 0, "rdpmc"},
    {0x35, 0, 0, "sysexit"},
};

/* Ports: immediate or dx; in and out differ by bit 1. */
#define IS_IN_OUT_IMM(op) (((op)&0xfcu) == 0xe4u)
#define IS_IN_OUT_DX(op)  (((op)&0xfcu) == 0xecu)
#define IS_INS_OUTS(op)   (((op)&0xfcu) == 0x6cu)

static bool is_prefix(uint8_t b)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					   0x66, 0x67, 0xf0, 0xf2, 0xf3};

	for (unsigned i = 0; i < sizeof(prefixes); i++)
		if (b == prefixes[i])
			return true;
	return (b & REX_MASK) == REX;
}

static bool look_up(const struct row *rows, unsigned n, const uint8_t *at, size_t left,
		    struct user_insn *out)
{
	for (const struct row *r = rows; r < rows + n; r++) {
		if (r->opcode != at[0] || (r->mask && left < 2))
			continue;
		if (r->mask && (at[1] & r->mask) != r->value)
			continue;
		*out = (struct user_insn){USER_INSN_PRIVILEGED, r->name, 0};
		return true;
	}
	return false;
}

/* Which port, or which interrupt; left is at least 1. */
static bool read_number(const uint8_t *at, size_t left, uint16_t dx, struct user_insn *out)
{
	bool writes = at[0] & 2;

	if (at[0] == 0xcd && left > 1)
		*out = (struct user_insn){USER_INSN_INT, "int", at[1]};
	else if (IS_IN_OUT_IMM(at[0]) && left > 1)
		*out = (struct user_insn){writes ? USER_INSN_OUT : USER_INSN_IN,
					  writes ? "out" : "in", at[1]};
	else if (IS_IN_OUT_DX(at[0]) || IS_INS_OUTS(at[0]))
		*out = (struct user_insn){writes ? USER_INSN_OUT : USER_INSN_IN,
					  writes ? "out" : "in", dx};
	else
		return false;
	return true;
}

bool user_insn_read(const uint8_t *bytes, size_t len, uint16_t dx, struct user_insn *out)
{
	size_t at = 0;

	while (at < len && at < USER_INSN_MAX && is_prefix(bytes[at]))
		at++;
	if (at >= len || at >= USER_INSN_MAX)
		return false;
	if (bytes[at] != TWO_BYTE)
		return read_number(bytes + at, len - at, dx, out) ||
		       look_up(one_byte, ARRAY_SIZE(one_byte), bytes + at, len - at, out);
	at++;
	return at < len && look_up(two_byte, ARRAY_SIZE(two_byte), bytes + at, len - at, out);
}
