/* user_insn_test.c: the instruction a program was ended for is named right, port and interrupt included.
 *
 * Shows: each form of in and out with its port, prefixes before them, every row of the tables by bytes that an
 * assembler makes of it, what is none of these, and instructions that are cut off at each length.
 * Why: the message is all that a program's author gets to see.
 *
 * links: kernel/user_insn.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/user_insn.h"

#define DX 0x1234

static const struct {
	uint8_t len, bytes[8];
	enum user_insn_kind kind;
	const char *name; /* NULL: none of these */
	unsigned number;
} cases[] = {
    {2, {0xe4, 0x60}, USER_INSN_IN, "in", 0x60},
    {2, {0xe5, 0x60}, USER_INSN_IN, "in", 0x60},
    {2, {0xe6, 0x80}, USER_INSN_OUT, "out", 0x80},
    {3, {0x66, 0xe7, 0x80}, USER_INSN_OUT, "out", 0x80},
    {1, {0xec}, USER_INSN_IN, "in", DX},
    {2, {0x66, 0xed}, USER_INSN_IN, "in", DX},
    {1, {0xee}, USER_INSN_OUT, "out", DX},
    {1, {0xef}, USER_INSN_OUT, "out", DX},
    {2, {0xf3, 0x6c}, USER_INSN_IN, "in", DX},
    {3, {0xf3, 0x48, 0x6d}, USER_INSN_IN, "in", DX},
    {1, {0x6e}, USER_INSN_OUT, "out", DX},
    {2, {0xf2, 0x6f}, USER_INSN_OUT, "out", DX},
    {2, {0xcd, 0x80}, USER_INSN_INT, "int", 0x80},
    {1, {0xf4}, USER_INSN_PRIVILEGED, "hlt", 0},
    {1, {0xfa}, USER_INSN_PRIVILEGED, "cli", 0},
    {1, {0xfb}, USER_INSN_PRIVILEGED, "sti", 0},
    {3, {0x0f, 0x00, 0xd0}, USER_INSN_PRIVILEGED, "lldt", 0},
    {3, {0x0f, 0x00, 0xd8}, USER_INSN_PRIVILEGED, "ltr", 0},
    {3, {0x0f, 0x00, 0xc0}, USER_INSN_PRIVILEGED, NULL, 0}, /* sldt: not ours to refuse */
    {4, {0x0f, 0x01, 0x14, 0x24}, USER_INSN_PRIVILEGED, "lgdt", 0},
    {4, {0x0f, 0x01, 0x1c, 0x24}, USER_INSN_PRIVILEGED, "lidt", 0},
    {4, {0x0f, 0x01, 0x04, 0x24}, USER_INSN_PRIVILEGED, "sgdt", 0},
    {4, {0x0f, 0x01, 0x3c, 0x24}, USER_INSN_PRIVILEGED, "invlpg", 0},
    {3, {0x0f, 0x01, 0xf0}, USER_INSN_PRIVILEGED, "lmsw", 0},
    {3, {0x0f, 0x01, 0xd1}, USER_INSN_PRIVILEGED, "xsetbv", 0},
    {3, {0x0f, 0x01, 0xf8}, USER_INSN_PRIVILEGED, "swapgs", 0},
    {2, {0x0f, 0x06}, USER_INSN_PRIVILEGED, "clts", 0},
    {2, {0x0f, 0x08}, USER_INSN_PRIVILEGED, "invd", 0},
    {2, {0x0f, 0x09}, USER_INSN_PRIVILEGED, "wbinvd", 0},
    {3, {0x0f, 0x20, 0xc0}, USER_INSN_PRIVILEGED, "mov from a control register", 0},
    {4, {0x44, 0x0f, 0x22, 0xc0}, USER_INSN_PRIVILEGED, "mov to a control register", 0},
    {3, {0x0f, 0x21, 0xf8}, USER_INSN_PRIVILEGED, "mov from a debug register", 0},
    {3, {0x0f, 0x23, 0xf8}, USER_INSN_PRIVILEGED, "mov to a debug register", 0},
    {2, {0x0f, 0x30}, USER_INSN_PRIVILEGED, "wrmsr", 0},
    {2, {0x0f, 0x32}, USER_INSN_PRIVILEGED, "rdmsr", 0},
    {2, {0x0f, 0x33}, USER_INSN_PRIVILEGED, "rdpmc", 0},
    {2, {0x48, 0x90}, USER_INSN_PRIVILEGED, NULL, 0},
    {2, {0x0f, 0x0b}, USER_INSN_PRIVILEGED, NULL, 0},
    {2, {0x8e, 0xd8}, USER_INSN_PRIVILEGED, NULL, 0},
};

static void names(void **state)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct user_insn insn = {.name = "untouched"};
		bool is = user_insn_read(cases[i].bytes, cases[i].len, DX, &insn);

		assert_int_equal(is, cases[i].name != NULL);
		assert_string_equal(insn.name, is ? cases[i].name : "untouched");
		if (is)
			assert_true(insn.kind == cases[i].kind && insn.number == cases[i].number);
	}
}

/* Nothing is guessed from what cannot be read. */
static void cut_off(void **state)
{
	static const uint8_t prefixes[20] = {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
					     0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xf4};
	struct user_insn insn;

	assert_false(user_insn_read(prefixes, 0, DX, &insn));
	assert_false(user_insn_read((const uint8_t[]){0xe4}, 1, DX, &insn));
	assert_false(user_insn_read((const uint8_t[]){0xcd}, 1, DX, &insn));
	assert_false(user_insn_read((const uint8_t[]){0x0f}, 1, DX, &insn));
	assert_false(user_insn_read((const uint8_t[]){0x0f, 0x01}, 2, DX, &insn));
	assert_false(user_insn_read(prefixes, 16, DX, &insn)); /* longer than any instruction */
	assert_true(user_insn_read(prefixes + 1, 15, DX, &insn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
