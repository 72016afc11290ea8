/* hv_emulate_test: the decoder of privileged instructions reads each as the CPU would.
 *
 * Why: it stands between a guest's bytes and the machine's ports, and a length that is off by one
 * continues the guest in the middle of an instruction. Expected: op, length, width and operands for
 * every form that guests use, agreement with capstone on the length of each, nothing decoded from a
 * cut or foreign instruction.
 *
 * links: hypervisor/emulate_decode.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <capstone/capstone.h>
#include <cmocka.h>

#include "hypervisor/emulate.h"

struct sample {
	const char *name;
	uint8_t bytes[INSN_MAX];
	uint8_t n;
	struct insn want;
};

#define B(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})

static const struct sample samples[] = {
    {"in al, 0x71", B(0xe4, 0x71), {INSN_IN, .width = 1, .imm = 0x71}},
    {"in eax, 0x71", B(0xe5, 0x71), {INSN_IN, .width = 4, .imm = 0x71}},
    {"in al, dx", B(0xec), {INSN_IN, .width = 1, .port_in_dx = true}},
    {"in ax, dx", B(0x66, 0xed), {INSN_IN, .width = 2, .port_in_dx = true}},
    {"in eax, dx", B(0xed), {INSN_IN, .width = 4, .port_in_dx = true}},
    {"rex.w in eax, dx", B(0x48, 0xed), {INSN_IN, .width = 4, .port_in_dx = true}},
    {"out 0x80, al", B(0xe6, 0x80), {INSN_OUT, .width = 1, .imm = 0x80}},
    {"out dx, al", B(0xee), {INSN_OUT, .width = 1, .port_in_dx = true}},
    {"out dx, ax", B(0x66, 0xef), {INSN_OUT, .width = 2, .port_in_dx = true}},
    {"out dx, eax", B(0xef), {INSN_OUT, .width = 4, .port_in_dx = true}},
    {"rep in ax, dx", B(0xf3, 0x66, 0xed), {INSN_IN, .width = 2, .port_in_dx = true}},
    {"fs addr32 out dx, al", B(0x64, 0x67, 0xee), {INSN_OUT, .width = 1, .port_in_dx = true}},
    {"cli", B(0xfa), {INSN_CLI}},
    {"sti", B(0xfb), {INSN_STI}},
    {"clts", B(0x0f, 0x06), {INSN_CLTS}},
    {"invd", B(0x0f, 0x08), {INSN_INVD}},
    {"wbinvd", B(0x0f, 0x09), {INSN_WBINVD}},
    {"mov rax, cr0", B(0x0f, 0x20, 0xc0), {INSN_READ_CR, .width = 8}},
    {"mov r9, cr4", B(0x41, 0x0f, 0x20, 0xe1), {INSN_READ_CR, .width = 8, .reg = 4, .rm = 9}},
    {"mov cr3, rdi", B(0x0f, 0x22, 0xdf), {INSN_WRITE_CR, .width = 8, .reg = 3, .rm = 7}},
    {"mov cr8, rax", B(0x44, 0x0f, 0x22, 0xc0), {INSN_WRITE_CR, .width = 8, .reg = 8}},
    {"rdmsr", B(0x0f, 0x32), {INSN_RDMSR}},
    {"wrmsr", B(0x0f, 0x30), {INSN_WRMSR}},
    {"cpuid", B(0x0f, 0xa2), {INSN_CPUID}},
    {"mov [rdi], rsi", B(0x48, 0x89, 0x37), {INSN_MOV_STORE, .width = 8, .reg = 6}},
    {"mov [r13+8], r9d", B(0x45, 0x89, 0x4d, 0x08), {INSN_MOV_STORE, .width = 4, .reg = 9}},
    {"mov [rip+x], rax", B(0x48, 0x89, 0x05, 1, 2, 3, 4), {INSN_MOV_STORE, .width = 8}},
    {"mov [rsp+rax*8+x], rdx",
     B(0x48, 0x89, 0x94, 0xc4, 1, 2, 3, 4),
     {INSN_MOV_STORE, .width = 8, .reg = 2}},
    {"mov [x], rdx", B(0x48, 0x89, 0x14, 0x25, 1, 2, 3, 4), {INSN_MOV_STORE, .width = 8, .reg = 2}},
    {"movq [rdi], -2",
     B(0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff),
     {INSN_MOV_IMM, .width = 8, .imm = ~1ull}},
    {"movw [rdi], 5", B(0x66, 0xc7, 0x07, 5, 0), {INSN_MOV_IMM, .width = 2, .imm = 5}},
    {"xchg [rdi], rax", B(0x48, 0x87, 0x07), {INSN_XCHG, .width = 8}},
    {"lock cmpxchg [rdi], rdx",
     B(0xf0, 0x48, 0x0f, 0xb1, 0x17),
     {INSN_CMPXCHG, .width = 8, .reg = 2}},
    {"lock and byte [rdi], ~2",
     B(0xf0, 0x80, 0x27, 0xfd),
     {INSN_AND_IMM, .width = 1, .imm = ~2ull}},
    {"lock or qword [rdi], 1", B(0xf0, 0x48, 0x83, 0x0f, 1), {INSN_OR_IMM, .width = 8, .imm = 1}},
    {"lock and [rdi], rax", B(0xf0, 0x48, 0x21, 0x07), {INSN_AND_REG, .width = 8}},
    {"or [rdi], sil", B(0x40, 0x08, 0x37), {INSN_OR_REG, .width = 1, .reg = 6}},
    {"lock btr qword [rdi], 5",
     B(0xf0, 0x48, 0x0f, 0xba, 0x37, 5),
     {INSN_BTR, .width = 8, .imm = 5}},
    {"lock bts qword [rdi], 6",
     B(0xf0, 0x48, 0x0f, 0xba, 0x2f, 6),
     {INSN_BTS, .width = 8, .imm = 6}},
};

static void check_sample(const struct sample *s)
{
	struct insn got;

	emulate_decode(s->bytes, s->n, &got);
	if (got.op != s->want.op || got.length != s->n)
		fail_msg("%s: op %d length %u", s->name, got.op, got.length);
	assert_int_equal(got.width, s->want.width);
	assert_int_equal(got.imm, s->want.imm);
	assert_int_equal(got.port_in_dx, s->want.port_in_dx);
	if (got.op < INSN_MOV_IMM && got.reg != s->want.reg)
		fail_msg("%s: reg %u", s->name, got.reg);
	if (got.op == INSN_READ_CR || got.op == INSN_WRITE_CR)
		assert_int_equal(got.rm, s->want.rm);
}

static void samples_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		check_sample(&samples[i]);
}

/* A cut instruction is not one, wherever it is cut. */
static void cut_is_nothing(void **state)
{
	struct insn got;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		for (unsigned n = 0; n < samples[i].n; n++) {
			emulate_decode(samples[i].bytes, n, &got);
			if (got.op != INSN_NONE && n < samples[i].n)
				fail_msg("%s: %u of %u bytes give op %d", samples[i].name, n,
					 samples[i].n, got.op);
		}
	}
}

/* Bytes behind the instruction change nothing. */
static void tail_is_ignored(void **state)
{
	uint8_t bytes[INSN_MAX];
	struct insn got;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		memset(bytes, 0xcc, sizeof(bytes));
		memcpy(bytes, samples[i].bytes, samples[i].n);
		emulate_decode(bytes, sizeof(bytes), &got);
		assert_int_equal(got.op, samples[i].want.op);
		assert_int_equal(got.length, samples[i].n);
	}
}

/* Not ours: hlt, iret, lgdt, mov between registers, string I/O, int1, fifteen prefixes. */
static void foreign_is_nothing(void **state)
{
	static const struct {
		uint8_t bytes[INSN_MAX + 1], n;
	} foreign[] = {
	    {B(0xf4)},
	    {B(0xcf)},
	    {B(0x0f, 0x01, 0x17)},
	    {B(0x48, 0x89, 0xc3)},
	    {B(0x6c)},
	    {B(0xf3, 0x6f)},
	    {B(0xf1, 0xfa)},
	    {B(0x88, 0x27)},
	    {B(0x80, 0x07, 1)},
	    {B(0xc7, 0x0f, 0, 0, 0, 0)},
	    {B(0x0f, 0xba, 0x27, 5)},
	    {B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	       0x66, 0xec)},
	};
	struct insn got;

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		emulate_decode(foreign[i].bytes, foreign[i].n, &got);
		assert_int_equal(got.op, INSN_NONE);
	}
}

/* Capstone knows the length of every instruction: it must be ours too, whatever we take one for.
 * The bytes are a walk over opcodes, ModRM and prefixes; capstone takes more prefixes than we. */
static void check_against_capstone(csh handle, const uint8_t *bytes)
{
	struct insn got;
	cs_insn *list;
	size_t n;

	emulate_decode(bytes, INSN_MAX, &got);
	if (got.op == INSN_NONE)
		return;
	n = cs_disasm(handle, bytes, INSN_MAX, 0, 1, &list);
	if (n == 0)
		return;
	if (list[0].size != got.length)
		fail_msg("%02x %02x %02x %02x: %s %s has %u bytes, we say %u", bytes[0], bytes[1],
			 bytes[2], bytes[3], list[0].mnemonic, list[0].op_str, list[0].size,
			 got.length);
	cs_free(list, n);
}

static void check_opcode(csh handle, const uint8_t *front, unsigned op)
{
	uint8_t bytes[INSN_MAX];
	unsigned at;

	for (unsigned modrm = 0; modrm < 256; modrm++) {
		memset(bytes, 0, sizeof(bytes));
		for (at = 0; front[at] != 0; at++)
			bytes[at] = front[at];
		if (op >= 256)
			bytes[at++] = 0x0f;
		bytes[at++] = (uint8_t)op;
		bytes[at++] = (uint8_t)modrm;
		bytes[at] = 0x25; /* SIB with a displacement */
		check_against_capstone(handle, bytes);
	}
}

static void lengths_agree(void **state)
{
	static const uint8_t fronts[][3] = {{0},          {0x48},       {0x66},
					    {0xf0, 0x41}, {0xf3, 0x48}, {0x66, 0x44}};
	csh handle;

	(void)state;
	assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
	for (unsigned f = 0; f < sizeof(fronts) / sizeof(fronts[0]); f++)
		for (unsigned op = 0; op < 512; op++)
			check_opcode(handle, fronts[f], op);
	cs_close(&handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(samples_decode),  cmocka_unit_test(cut_is_nothing),
	    cmocka_unit_test(tail_is_ignored), cmocka_unit_test(foreign_is_nothing),
	    cmocka_unit_test(lengths_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
