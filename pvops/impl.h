/* impl.h: the table of fillings, and short words to write one. Private to pvops/.
 *
 * pv_impls[op] is what operation op is on this platform; pv_env what the kernel lent us, pv_room the
 * bytes of its sites. Written by
 * native.c or xen_pv.c at start and by pvops_provide(); read by patch.c and report.c.
 */
#ifndef PVOPS_IMPL_H
#define PVOPS_IMPL_H

#include <amphi/pvops.h>

#include "plan.h"

extern struct pv_impl pv_impls[PV_OP_COUNT];
extern const struct pvops_env *pv_env;
extern const uint8_t pv_room[PV_OP_COUNT];

/* Ends in ud2, in thunks.S; every pointer of pv_ops that nobody fills. */
extern void pv_unfilled(void);

/* A short function written in the assembler, whose instructions are also the inline form: pv_fill()
 * copies what lies between the two labels. Thin when its text is. Only the file that uses it sees it. */
#define PV_SHORT(name, text)                                                                       \
	void name(void);                                                                           \
	extern const uint8_t name##_end[];                                                         \
	__asm__(".pushsection .text\n .type " #name ", @function\n" #name ":\n" text "\n" #name    \
		"_end: ret\n .size " #name ", .-" #name "\n .popsection")

/* The same for an operation that leaves a word on the stack or takes one, which no function does by itself:
 * called is what it does as a function. The inline form goes from name_code to name_end. */
#define PV_STACKED(name, text, called)                                                             \
	void name(void);                                                                           \
	extern const uint8_t name##_code[], name##_end[];                                          \
	__asm__(".pushsection .text\n .type " #name ", @function\n" #name "_code: " text           \
		"\n" #name "_end:\n" #name ": " called "\n .size " #name ", .-" #name              \
		"\n .popsection")

/* What a load of an entry is when it is called, on every platform: class LOAD, amphi/pvops_sites.h. */
#define PV_LOAD_CALLED                                                                             \
	"push %rax; mov 16(%rsp), %rax; mov (%rax), %rax; mov %rax, 16(%rsp); pop %rax; ret"

/* Rows for a platform's table. at: the displacement in the inline form, see plan.h. */
#define PV_FN(f) .fn = (uint64_t)(uintptr_t)(f)
#define PV_INLINED(f)                                                                              \
	{                                                                                          \
		.kind = PV_INLINE, .thin = true, PV_FN(f), .code_end = f##_end, .name = #f         \
	}
#define PV_INLINED_STACKED(f)                                                                      \
	{                                                                                          \
		.kind = PV_INLINE, .thin = true, PV_FN(f), .code_from = f##_code,                  \
		.code_end = f##_end, .name = #f                                                    \
	}
#define PV_INLINED_FIX(f, at)                                                                      \
	{                                                                                          \
		.kind = PV_INLINE, .thin = true, PV_FN(f), .code_end = f##_end, .fix_at = (at)     \
	}
#define PV_CALLED_THIN(k, f)                                                                       \
	{                                                                                          \
		.kind = (k), .thin = true, PV_FN(f), .name = #f                                    \
	}
#define PV_CALLED(k, f)                                                                            \
	{                                                                                          \
		.kind = (k), PV_FN(f), .name = #f                                                  \
	}

/* Takes a platform's table: copies it and points pv_ops at the functions. */
void pv_fill(const struct pv_impl table[PV_OP_COUNT], const struct pvops_env *env);

/* The same for one operation. thin: fn changes rax and the flags only. */
void pv_fill_one(enum pv_op op, enum pv_kind kind, void *fn, bool thin);

#endif
