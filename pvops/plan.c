/* plan.c: the planner: from a call site and the filling of its operation to the bytes of the site.
 *
 * Pure: no memory but its arguments, no state, so the host test runs every operation of every platform
 * through it and decodes the result. It writes nothing to text; patch.c does. Encodings are those of the
 * Intel SDM vol. 2: CALL rel32 (E8), JMP rel32 (E9), CALL/JMP [rip+disp32] (FF /2, FF /4), UD2 (0F 0B),
 * and the recommended multi-byte NOPs of table 4-12, the last with a segment prefix more. What is left of a
 * site is filled with prefixes of its first instruction: a nop would be an instruction more to execute.
 */
#include <amphi/string.h>
#include <amphi/xen.h>

#include "plan.h"

#define CALL_LEN     5u
#define INDIRECT_LEN 6u

#define NOP_MAX 10u

/* By length. A prefix more on longer ones would be slow to decode on some processors. */
static const uint8_t nops[NOP_MAX][NOP_MAX] = {
    {0x90},
    {0x66, 0x90},
    {0x0f, 0x1f, 0x00},
    {0x0f, 0x1f, 0x40, 0x00},
    {0x0f, 0x1f, 0x44, 0x00, 0x00},
    {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
    {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
    {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
};

/* As few instructions as will do: each is a slot in the pipeline for nothing. */
static void put_nops(uint8_t *out, unsigned len)
{
	while (len) {
		unsigned step = MIN(len, NOP_MAX);

		memcpy(out, nops[step - 1], step);
		out += step;
		len -= step;
	}
}

/* Says CS, and is ignored in 64-bit mode (SDM vol. 1, 3.3.4), also before a near call. */
#define PREFIX_NOTHING 0x2eu
#define INSN_MAX       15u /* bytes; with its prefixes */

static bool has_segment(uint8_t first_byte)
{
	return first_byte == 0x64 || first_byte == 0x65;
}

/* How many such prefixes go before code, whose first instruction begins with it, at a site that has spare bytes
 * more. None where a prefix that does mean a segment is there: which of two holds is no processor's promise. A
 * jump takes none, as nothing runs after it. */
static unsigned count_prefixes(const struct pv_place *at, const uint8_t *code, unsigned len)
{
	if (!len || at->class == PV_JUMP || has_segment(code[0]))
		return 0;
	return MIN(at->room - len, INSN_MAX - MIN(len, INSN_MAX));
}

/* Returns where the code comes to lie. After a jump nothing runs: int3, so that a way in would be noticed. */
static unsigned put_code(const struct pv_place *at, uint8_t *out, const uint8_t *code, unsigned len)
{
	unsigned prefixes = count_prefixes(at, code, len), used = prefixes + len;

	memset(out, PREFIX_NOTHING, prefixes);
	memcpy(out + prefixes, code, len);
	if (at->class == PV_JUMP)
		memset(out + used, 0xcc, at->room - used);
	else
		put_nops(out + used, at->room - used);
	return prefixes;
}

/* Text and pv_ops lie within 2 GiB, but planner and tests take any addresses. */
static int put_rel32(uint8_t *out, int64_t distance)
{
	int32_t rel = (int32_t)distance;

	if (rel != distance)
		return -XEN_ERANGE;
	memcpy(out, &rel, sizeof(rel));
	return 0;
}

/* Where the byte ModRM is: behind a REX prefix, when there is one, and an opcode of one byte (SDM vol. 2, 2.1). */
static unsigned modrm_at(const uint8_t *code)
{
	return (code[0] & 0xf0) == 0x40 ? 2 : 1;
}

/* ModRM says that a SIB byte follows, and that its base is the stack pointer: register 4 without REX.B. */
static bool is_by_stack_pointer(const uint8_t *code)
{
	unsigned at = modrm_at(code);

	return (code[at] & 0xc7) != 0xc4 && (code[at] & 7) == 4 && (code[at + 1] & 7) == 4 &&
	       (at == 1 || !(code[0] & 1));
}

/* All of it fits, and an address taken after something was pushed does not go by what the pushes changed. */
static bool operand_ok(const struct pv_operand *op, unsigned room)
{
	if (op->before_len + INDIRECT_LEN + op->after_len != room ||
	    op->before_len + op->native_len + op->after_len > PV_OPERAND_CODE)
		return false;
	if (!op->native_len || op->native_len > room || op->lea_at > op->before_len)
		return false;
	return !op->lea_at || op->lea_at == op->before_len ||
	       !is_by_stack_pointer(op->code + op->lea_at);
}

/* A record comes from the compiler and is not trusted more than needed: a wrong room would write
 * over the next function. */
static bool place_ok(const struct pv_place *at)
{
	if (at->room < INDIRECT_LEN || at->room > PV_ROOM_MAX || at->class > PV_OPERAND)
		return false;
	return at->class != PV_OPERAND || (at->operand && operand_ok(at->operand, at->room));
}

/* The instruction at code, whose operand may be in memory, was assembled there and was copied to out, to run at to. Mod
 * 0 with r/m 5 is a displacement relative to rip (SDM vol. 2, 2.2.1.6), which changes by how far it moved. */
static int fix_moved(uint8_t *out, uint64_t to, const uint8_t *code)
{
	unsigned modrm = modrm_at(code);
	int32_t disp;

	if ((code[modrm] & 0xc7) != 0x05)
		return 0;
	memcpy(&disp, code + modrm + 1, sizeof(disp));
	return put_rel32(out + modrm + 1, disp + (int64_t)((uint64_t)(uintptr_t)code - to));
}

/* What stands around the call at a site of that class; the rest of it, which is the call, is as another's. */
static int put_around(const struct pv_place *at, uint8_t *out, struct pv_place *rest)
{
	const struct pv_operand *op = at->operand;

	*rest = *at;
	if (at->class != PV_OPERAND)
		return 0;
	rest->site += op->before_len;
	rest->room = INDIRECT_LEN;
	memcpy(out, op->code, op->before_len);
	memcpy(out + op->before_len + INDIRECT_LEN, op->code + op->before_len + op->native_len,
	       op->after_len);
	if (op->lea_at == op->before_len)
		return 0;
	return fix_moved(out + op->lea_at, at->site + op->lea_at, op->code + op->lea_at);
}

/* FF 15: call, FF 25: jmp, both through [rip + disp32]. The padding is .org's, one-byte nops. */
int pv_plan_original(const struct pv_place *at, uint8_t out[PV_ROOM_MAX])
{
	struct pv_place rest;
	int err = place_ok(at) ? put_around(at, out, &rest) : -XEN_EINVAL;

	if (err)
		return err;
	out += rest.site - at->site;
	out[0] = 0xff;
	out[1] = at->class == PV_JUMP ? 0x25 : 0x15;
	memset(out + INDIRECT_LEN, 0x90, rest.room - INDIRECT_LEN);
	return put_rel32(out + 2, (int64_t)(rest.slot - (rest.site + INDIRECT_LEN)));
}

static bool keeps_registers(const struct pv_place *at)
{
	return at->class == PV_THIN || at->class == PV_BARE || at->class == PV_OPERAND;
}

/* Such a site tells the compiler that at most rax and the flags change; a C function keeps no such
 * promise. */
static int plan_direct(const struct pv_place *at, const struct pv_impl *impl, uint8_t *out)
{
	uint8_t code[CALL_LEN] = {at->class == PV_JUMP ? 0xe9 : 0xe8};
	struct pv_place rest;
	uint64_t end;

	if (!impl->fn || (keeps_registers(at) && !impl->thin))
		return -XEN_EINVAL;
	if (put_around(at, out, &rest))
		return -XEN_ERANGE;
	end = rest.site + count_prefixes(&rest, code, CALL_LEN) + CALL_LEN;
	if (put_rel32(code + 1, (int64_t)(impl->fn - end)))
		return -XEN_ERANGE;
	(void)put_code(&rest, out + (rest.site - at->site), code, CALL_LEN);
	return 0;
}

/* The instruction alone, as the compiler would have it. */
static int plan_operand(const struct pv_place *at, uint8_t *out)
{
	const uint8_t *native = at->operand->code + at->operand->before_len;
	unsigned prefixes = put_code(at, out, native, at->operand->native_len);

	return fix_moved(out + prefixes, at->site + prefixes, native);
}

/* Moved from fn to the site, a displacement changes by how far its instruction moved. fix_at 0 is
 * free to mean "none": no instruction begins with its displacement. */
static int plan_inline(const struct pv_place *at, const struct pv_impl *impl, uint8_t *out)
{
	unsigned prefixes = put_code(at, out, impl->code, impl->code_len);
	int32_t there;

	if (!impl->fix_at)
		return 0;
	memcpy(&there, impl->code + impl->fix_at, sizeof(there));
	return put_rel32(out + prefixes + impl->fix_at,
			 there + (int64_t)(impl->fn - (at->site + prefixes)));
}

/* An operation that the platform lacks is ud2: a trap with an address beats a wild jump. */
int pv_plan(const struct pv_place *at, const struct pv_impl *impl, uint8_t out[PV_ROOM_MAX])
{
	static const uint8_t ud2[] = {0x0f, 0x0b};

	if (!place_ok(at) || impl->code_len > PV_CODE_MAX ||
	    impl->fix_at > PV_CODE_MAX - sizeof(int32_t))
		return -XEN_EINVAL;
	switch (impl->kind) {
	case PV_UNFILLED:
		memset(out, 0xcc, at->room);
		memcpy(out, ud2, sizeof(ud2));
		return 0;
	case PV_INLINE:
		if (at->class == PV_OPERAND)
			return plan_operand(at, out);
		if (impl->code_len <= at->room)
			return plan_inline(at, impl, out);
		return plan_direct(at, impl, out);
	case PV_CALL:
	case PV_HYPERCALL:
		return plan_direct(at, impl, out);
	}
	return -XEN_EINVAL;
}
