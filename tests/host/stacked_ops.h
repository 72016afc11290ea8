/* stacked_ops.h: C functions as operations whose arguments lie on the stack (classes STORE, AND, OR
 * and INVLPG of amphi/pvops.def), for tests that play the machine.
 *
 * Taken in by tests whose units have such sites, once in a program. STACKED(STORE, set_pte, void, uint64_t *, uint64_t)
 * makes stacked_set_pte of set_pte(), to be put into pv_ops; the function is not static, as only the assembler sees
 * the call. The macros are those of the kernel.
 */
#ifndef STACKED_OPS_H
#define STACKED_OPS_H

#define STACKED(kind, fn, ret, ...)                                                                \
	ret fn(__VA_ARGS__);                                                                       \
	ret stacked_##fn(__VA_ARGS__);                                                             \
	__asm__("\t" #kind "_CALL stacked_" #fn ", " #fn "\n")

__asm__(".include \"pvops/keep.S\"\n .text\n");

#endif
