/* user_insn_fuzz.c: whatever bytes a program was ended at, they are read within their length.
 *
 * Why: the bytes are the program's. The input is the instruction, in memory of just its length; what is said of it
 * has a name, a port is one of 65536, an interrupt one of 256, and more bytes behind change nothing once it was
 * recognised. Called by libFuzzer; calls kernel/user_insn.c.
 * links: kernel/user_insn.c
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/user_insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct user_insn insn, longer;
	uint8_t more[64] = {0};

	if (size > 32 || !user_insn_read(data, size, 0xffff, &insn))
		return 0;
	must(insn.name && insn.kind <= USER_INSN_INT);
	must(insn.number <= (insn.kind == USER_INSN_INT ? 255 : 65535));
	memcpy(more, data, size);
	must(user_insn_read(more, sizeof(more), 0xffff, &longer));
	must(longer.kind == insn.kind && longer.number == insn.number);
	return 0;
}
