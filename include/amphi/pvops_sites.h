/* pvops_sites.h: how an operation is called: the site in the text and its record.
 *
 * Taken in by amphi/pvops.h, which is what everybody includes; apart from it so that a kernel without
 * patching (tests/plain, for measurements alone) can have a file of this name with the instructions in
 * place, found first. Has pv_NAME(...) for each row of amphi/pvops.def, the two forms for naked functions,
 * and irq_save and irq_restore. Calls nobody: each site goes through pv_ops until it is patched.
 */
#ifndef AMPHI_PVOPS_SITES_H
#define AMPHI_PVOPS_SITES_H

#include <amphi/pvops.h>

#define PV_SITE                                                                                    \
	"771: call *pv_ops+8*%c[op](%%rip)\n"                                                      \
	".org 771b+%c[room], 0x90\n"                                                               \
	".pushsection .pv_sites,\"a\"\n"                                                           \
	".balign 4\n .long 771b-.\n .word %c[op]\n .byte %c[room]\n .byte %c[cls]\n"               \
	".popsection\n"
#define PV_SITE_IN(o, r, c) [op] "i"(o), [room] "i"(r), [cls] "i"(PV_##c)

/* A jump that does not come back, for the body of a naked function. */
#define PV_TAIL_SITE(o, room)                                                                      \
	__asm__ volatile("771: jmp *pv_ops+8*%c[op](%%rip)\n"                                      \
			 ".org 771b+%c[bytes], 0x90\n"                                             \
			 ".pushsection .pv_sites,\"a\"\n"                                          \
			 ".balign 4\n .long 771b-.\n .word %c[op]\n .byte %c[bytes]\n"             \
			 " .byte %c[cls]\n"                                                        \
			 ".popsection\n" ::[op] "i"(o),                                            \
			 [bytes] "i"(room), [cls] "i"(PV_JUMP))

/* A bare operation without arguments, for the same place. */
#define PV_BARE_SITE(o, room) __asm__ inline volatile(PV_SITE ::PV_SITE_IN(o, room, BARE))

/* An operation whose native form is one instruction, with the operands that the compiler chooses for it: it and its
 * neighbours are what they would be without a site. The site itself pushes and calls, as "before", "lea" (what puts
 * an address somewhere; it stands first or after pushes) and "after" say; the record keeps a copy of these and of the
 * instruction. Who is called finds its arguments where they were pushed, and keeps all registers. */
#define PV_OPERANDS(before, lea, native, after)                                                    \
	"771: " before "774: " lea "call *pv_ops+8*%c[op](%%rip)\n772: " after "773:\n"            \
	".pushsection .pv_operands,\"a\"\n .balign 8\n"                                            \
	"775: .long 771b-.\n .byte 777f-776f, 778f-777f, 773b-772b, 774b-771b\n"                   \
	"776: " before lea "777: " native "\n778: " after ".org 775b+40\n .popsection\n"           \
	".pushsection .pv_sites,\"a\"\n .balign 4\n .long 771b-.\n"                                \
	" .word %c[op]\n .byte 773b-771b\n .byte %c[cls]\n .popsection\n"
#define PV_OPERANDS_IN(o) [op] "i"(o), [cls] "i"(PV_OPERAND)

/* One that needs nothing but the address of that memory; rdi is lost. */
#define PV_OPERAND_SITE(o, native, memory_)                                                        \
	__asm__ inline volatile(                                                                   \
	    PV_OPERANDS("", "lea %[operand], %%rdi\n", native, "")::[operand] "m"(memory_),        \
	    PV_OPERANDS_IN(o)                                                                      \
	    : "rdi", "memory", "cc")

/* The registers are those of the C calling convention: rdi, rsi, rdx, rcx in, rax out. An operation without an
 * argument sets none of them. "inline" is for the compiler's estimate of size, which would take the lines of
 * the record for instructions and leave functions out of line for it. */
#define PV_LOST "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc"
#define PV_CALL_C0(o, room, cls)                                                                   \
	({                                                                                         \
		uint64_t pv_a;                                                                     \
		__asm__ inline volatile(PV_SITE                                                    \
					: "=a"(pv_a)                                               \
					: PV_SITE_IN(o, room, cls)                                 \
					: "rdi", "rsi", PV_LOST);                                  \
		pv_a;                                                                              \
	})
#define PV_CALL_C1(o, room, cls, d)                                                                \
	({                                                                                         \
		uint64_t pv_a, pv_d = (uint64_t)(d);                                               \
		__asm__ inline volatile(PV_SITE                                                    \
					: "=a"(pv_a), "+D"(pv_d)                                   \
					: PV_SITE_IN(o, room, cls)                                 \
					: "rsi", PV_LOST);                                         \
		pv_a;                                                                              \
	})
#define PV_CALL_C2(o, room, cls, d, s)                                                             \
	({                                                                                         \
		uint64_t pv_a, pv_d = (uint64_t)(d), pv_s = (uint64_t)(s);                         \
		__asm__ inline volatile(PV_SITE                                                    \
					: "=a"(pv_a), "+D"(pv_d), "+S"(pv_s)                       \
					: PV_SITE_IN(o, room, cls)                                 \
					: PV_LOST);                                                \
		pv_a;                                                                              \
	})
#define PV_CALL_C4(o, room, cls, d, s, x, c)                                                       \
	({                                                                                         \
		uint64_t pv_a, pv_d = (uint64_t)(d), pv_s = (uint64_t)(s), pv_x = (x), pv_c = (c); \
		__asm__ inline volatile(PV_SITE                                                    \
					: "=a"(pv_a), "+D"(pv_d), "+S"(pv_s), "+d"(pv_x),          \
					  "+c"(pv_c)                                               \
					: PV_SITE_IN(o, room, cls)                                 \
					: "r8", "r9", "r10", "r11", "memory", "cc");               \
		pv_a;                                                                              \
	})
#define PV_CALL_FULL0(o, room)             PV_CALL_C0(o, room, FULL)
#define PV_CALL_FULL1(o, room, d)          PV_CALL_C1(o, room, FULL, d)
#define PV_CALL_FULL2(o, room, d, s)       PV_CALL_C2(o, room, FULL, d, s)
#define PV_CALL_FULL4(o, room, d, s, x, c) PV_CALL_C4(o, room, FULL, d, s, x, c)

#ifdef AMPHI_HOST_TEST
/* The operations of a host test are C functions, which keep less than the others do. */
#define PV_CALL_BARE0(o, room)       PV_CALL_C0(o, room, BARE)
#define PV_CALL_BARE1(o, room, d)    PV_CALL_C1(o, room, BARE, d)
#define PV_CALL_BARE2(o, room, d, s) PV_CALL_C2(o, room, BARE, d, s)
#define PV_CALL_THIN0(o, room)       PV_CALL_C0(o, room, THIN)
#else
/* These leave even their arguments as they are: around a site the compiler keeps what it would keep around the
 * instruction itself. */
#define PV_CALL_BARE0(o, room)                                                                     \
	({                                                                                         \
		__asm__ inline volatile(PV_SITE ::PV_SITE_IN(o, room, BARE) : "memory", "cc");     \
		0;                                                                                 \
	})
#define PV_CALL_BARE1(o, room, d)                                                                  \
	({                                                                                         \
		__asm__ inline volatile(PV_SITE ::"D"((uint64_t)(d)), PV_SITE_IN(o, room, BARE)    \
					: "memory", "cc");                                         \
		0;                                                                                 \
	})
#define PV_CALL_BARE2(o, room, d, s)                                                               \
	({                                                                                         \
		__asm__ inline volatile(PV_SITE ::"D"((uint64_t)(d)), "S"((uint64_t)(s)),          \
					PV_SITE_IN(o, room, BARE)                                  \
					: "memory", "cc");                                         \
		0;                                                                                 \
	})
#define PV_CALL_THIN0(o, room)                                                                     \
	({                                                                                         \
		uint64_t pv_a;                                                                     \
		__asm__ inline volatile(PV_SITE                                                    \
					: "=a"(pv_a)                                               \
					: PV_SITE_IN(o, room, THIN)                                \
					: "memory", "cc");                                         \
		pv_a;                                                                              \
	})
#endif

/* Those with the compiler's operands: value and rdi are pushed, the address is in rdi, and who is called takes both from
 * the stack. So memory may not be on the stack, which the planner looks after. */
#define PV_CALL_STORE2(o, room, d, s)                                                              \
	({                                                                                         \
		uint64_t *pv_m = (d);                                                              \
		PV_NOT_STACK(pv_m);                                                                \
		__asm__ inline volatile(PV_OPERANDS("push %[value]\npush %%rdi\n",                 \
						    "lea %[memory], %%rdi\n",                      \
						    "movq %[value], %[memory]", "")                \
					: [memory] "=m"(*pv_m)                                     \
					: [value] "re"((uint64_t)(s)), PV_OPERANDS_IN(o)           \
					: "memory", "cc");                                         \
		0;                                                                                 \
	})
/* The address is pushed, and the value popped. */
#define PV_CALL_LOAD1(o, room, d)                                                                  \
	({                                                                                         \
		uint64_t pv_v;                                                                     \
		__asm__ inline volatile(PV_OPERANDS("",                                            \
						    "lea %[memory], %[value]\npush %[value]\n",    \
						    "movq %[memory], %[value]", "pop %[value]\n")  \
					: [value] "=r"(pv_v)                                       \
					: [memory] "m"(*(const uint64_t *)(d)), PV_OPERANDS_IN(o)  \
					: "memory", "cc");                                         \
		pv_v;                                                                              \
	})
/* Both are pushed, the second first, and the result popped. Not volatile, and no memory: what is not used is not asked,
 * and what was asked is not asked again. */
#define PV_CALL_BOTH(o, native, d, s)                                                              \
	({                                                                                         \
		uint64_t pv_v = (uint64_t)(d);                                                     \
		__asm__ inline(PV_OPERANDS("push %[other]\npush %[value]\n", "",                   \
					   native " %[other], %[value]", "pop %[value]\n")         \
			       : [value] "+r"(pv_v)                                                \
			       : [other] "re"((uint64_t)(s)), PV_OPERANDS_IN(o)                    \
			       : "cc");                                                            \
		pv_v;                                                                              \
	})
/* The address is pushed, and goes with the return. */
#define PV_CALL_INVLPG1(o, room, d)                                                                \
	({                                                                                         \
		__asm__ inline volatile(PV_OPERANDS("push %[address]\n", "",                       \
						    "invlpg (%[address])",                         \
						    "")::[address] "r"((uint64_t)(d)),             \
					PV_OPERANDS_IN(o)                                          \
					: "memory", "cc");                                         \
		0;                                                                                 \
	})
#define PV_CALL_AND2(o, room, d, s) PV_CALL_BOTH(o, "and", d, s)
#define PV_CALL_OR2(o, room, d, s)  PV_CALL_BOTH(o, "or", d, s)
#ifdef AMPHI_HOST_TEST
/* A test's tables may be local variables: by a register all the same. */
#define PV_NOT_STACK(p) __asm__("" : "+r"(p))
#else
#define PV_NOT_STACK(p)
#endif

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_RAW(g, n, c, room)
#define PV_OP0(g, n, c, room, ret)                                                                 \
	static inline ret pv_##n(void)                                                             \
	{                                                                                          \
		return (ret)PV_CALL_##c##0(PV_##g##_##n, room);                                    \
	}
#define PV_OP1(g, n, c, room, ret, t1, a1)                                                         \
	static inline ret pv_##n(t1 a1)                                                            \
	{                                                                                          \
		return (ret)PV_CALL_##c##1(PV_##g##_##n, room, a1);                                \
	}
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                                                 \
	static inline ret pv_##n(t1 a1, t2 a2)                                                     \
	{                                                                                          \
		return (ret)PV_CALL_##c##2(PV_##g##_##n, room, a1, a2);                            \
	}
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4)                                 \
	static inline ret pv_##n(t1 a1, t2 a2, t3 a3, t4 a4)                                       \
	{                                                                                          \
		return (ret)PV_CALL_##c##4(PV_##g##_##n, room, a1, a2, a3, a4);                    \
	}
#define PV_VOID0(g, n, c, room)                                                                    \
	static inline void pv_##n(void)                                                            \
	{                                                                                          \
		(void)PV_CALL_##c##0(PV_##g##_##n, room);                                          \
	}
#define PV_VOID1(g, n, c, room, t1, a1)                                                            \
	static inline void pv_##n(t1 a1)                                                           \
	{                                                                                          \
		(void)PV_CALL_##c##1(PV_##g##_##n, room, a1);                                      \
	}
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                                                    \
	static inline void pv_##n(t1 a1, t2 a2)                                                    \
	{                                                                                          \
		(void)PV_CALL_##c##2(PV_##g##_##n, room, a1, a2);                                  \
	}
#include <amphi/pvops.def>

/* Interrupts off, and back to what they were. What is saved means something to irq_restore() alone. It goes by the
 * stack, and so into whichever register the compiler likes, as it would around pushf and popf themselves. */
static inline uint64_t irq_save(void)
{
	uint64_t saved;

	__asm__ inline volatile(PV_SITE "pop %[saved]\n"
				: [saved] "=r"(saved)
				: PV_SITE_IN(PV_irq_save_fl, 8, BARE)
				: "memory", "cc");
	pv_irq_disable();
	return saved;
}
static inline void irq_restore(uint64_t saved)
{
	__asm__ inline volatile("push %[saved]\n" PV_SITE ::[saved] "r"(saved),
				PV_SITE_IN(PV_irq_restore_fl, 6, BARE)
				: "memory", "cc");
}
static inline bool irqs_enabled(void)
{
	return pv_read_fl() & PV_FLAGS_IF;
}

#endif
