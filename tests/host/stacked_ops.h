/* stacked_ops.h: C functions as operations whose arguments lie on the stack (classes STORE, AND and OR of
 * amphi/pvops.def), for tests that play the machine.
 *
 * Taken in by tests whose units have such sites, once in a program. STACKED(STORE, set_pte, void, uint64_t *, uint64_t)
 * makes stacked_set_pte of set_pte(), to be put into pv_ops; the function is not static, as only the assembler sees
 * the call. The macros are those of the kernel.
 */
#ifndef STACKED_OPS_H
#define STACKED_OPS_H

#define STACKED(kind, fn, ret, t1, t2)                                                             \
	ret fn(t1, t2);                                                                            \
	ret stacked_##fn(t1, t2);                                                                  \
	__asm__("\t" #kind "_CALL stacked_" #fn ", " #fn "\n")

__asm__(".include \"pvops/keep.S\"\n .text\n");

#endif
