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

/* A bare operation on memory, with its native instruction, in which %[operand] is that memory. */
#define PV_OPERAND_SITE(o, native, memory_)                                                        \
	__asm__ inline volatile(                                                                   \
	    "771: lea %[operand], %%rdi\n"                                                         \
	    "call *pv_ops+8*%c[op](%%rip)\n 772:\n"                                                \
	    ".pushsection .pv_operands,\"a\"\n .balign 32\n"                                       \
	    ".long 771b-.\n .byte 774f-773f, 775f-774f\n"                                          \
	    "773: lea %[operand], %%rdi\n 774: " native "\n 775:\n"                                \
	    ".balign 32\n .popsection\n"                                                           \
	    ".pushsection .pv_sites,\"a\"\n .balign 4\n .long 771b-.\n"                            \
	    ".word %c[op]\n .byte 772b-771b\n .byte %c[cls]\n .popsection\n" ::[operand] "m"(      \
		memory_),                                                                          \
	    [op] "i"(o), [cls] "i"(PV_OPERAND)                                                     \
	    : "rdi", "memory", "cc")

/* The registers are those of the C calling convention: rdi, rsi in, rax out. An operation without an
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
#define PV_CALL_FULL0(o, room)       PV_CALL_C0(o, room, FULL)
#define PV_CALL_FULL1(o, room, d)    PV_CALL_C1(o, room, FULL, d)
#define PV_CALL_FULL2(o, room, d, s) PV_CALL_C2(o, room, FULL, d, s)

#ifdef AMPHI_HOST_TEST
/* The operations of a host test are C functions, which keep less than the others do. */
#define PV_CALL_BARE0(o, room)       PV_CALL_C0(o, room, BARE)
#define PV_CALL_BARE1(o, room, d)    PV_CALL_C1(o, room, BARE, d)
#define PV_CALL_BARE2(o, room, d, s) PV_CALL_C2(o, room, BARE, d, s)
#define PV_CALL_THIN0(o, room)       PV_CALL_C0(o, room, THIN)
#define PV_CALL_PURE1(o, room, d)    PV_CALL_C1(o, room, THIN, d)
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
/* Not volatile, and no memory: what is not used is not asked, and what was asked is not asked again. */
#define PV_CALL_PURE1(o, room, d)                                                                  \
	({                                                                                         \
		uint64_t pv_a;                                                                     \
		__asm__ inline(PV_SITE                                                             \
			       : "=a"(pv_a)                                                        \
			       : "D"((uint64_t)(d)), PV_SITE_IN(o, room, THIN)                     \
			       : "cc");                                                            \
		pv_a;                                                                              \
	})
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
