/* hv_emulate_fuzz: the instruction decoder on any bytes.
 *
 * Why: a guest chooses them. Expected: no access outside the given bytes, a length within them and
 * within fifteen, a width the executor can use, the same answer twice, and nothing from a prefix of
 * what was decoded.
 *
 * links: hypervisor/emulate_decode.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/emulate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		abort();
}

static void check(const uint8_t *bytes, unsigned n)
{
	struct insn first, second;

	emulate_decode(bytes, n, &first);
	emulate_decode(bytes, n, &second);
	demand(memcmp(&first, &second, sizeof(first)) == 0);
	demand(first.length <= n && first.length <= INSN_MAX);
	if (first.op == INSN_NONE)
		return;
	demand(first.length > 0 && first.reg < 16 && first.rm < 16);
	if (first.op >= INSN_MOV_STORE || first.op <= INSN_OUT)
		demand(first.width == 1 || first.width == 2 || first.width == 4 ||
		       (first.width == 8 && first.op >= INSN_MOV_STORE));
	emulate_decode(bytes, first.length - 1, &second);
	demand(second.op == INSN_NONE);
}

/* A copy of exactly n bytes, so that the sanitizer sees a read too far. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = size > 20 ? 20 : (unsigned)size;
	uint8_t *bytes = malloc(n + !n);

	memcpy(bytes, data, n);
	check(bytes, n);
	free(bytes);
	return 0;
}
