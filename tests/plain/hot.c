/* hot.c: the hot operations as functions, so that what a kernel without pvops does for each can be read.
 *
 * Compiled with the plain kernel's amphi/pvops_sites.h and linked into nothing: tests/plain/hot_sites.c decodes the
 * functions and holds the patched sites of ours against them. One function per operation, named hot_ and the
 * operation's name; arguments and results are in the registers that the sites have them in, those of a C call.
 */
#include <amphi/pvops.h>

#define HOT_OP0(name)                                                                              \
	uint64_t hot_##name(void);                                                                 \
	HOT uint64_t hot_##name(void)                                                              \
	{                                                                                          \
		return pv_##name();                                                                \
	}
#define HOT_OP1(name, type)                                                                        \
	uint64_t hot_##name(type value);                                                           \
	HOT uint64_t hot_##name(type value)                                                        \
	{                                                                                          \
		return pv_##name(value);                                                           \
	}
#define HOT_VOID0(name)                                                                            \
	void hot_##name(void);                                                                     \
	HOT void hot_##name(void)                                                                  \
	{                                                                                          \
		pv_##name();                                                                       \
	}
#define HOT_VOID1(name, type)                                                                      \
	void hot_##name(type value);                                                               \
	HOT void hot_##name(type value)                                                            \
	{                                                                                          \
		pv_##name(value);                                                                  \
	}
#define HOT_SET(name)                                                                              \
	void hot_##name(uint64_t *entry, uint64_t value);                                          \
	HOT void hot_##name(uint64_t *entry, uint64_t value)                                       \
	{                                                                                          \
		pv_##name(entry, value);                                                           \
	}
/* The first in the register of the result, so that nothing has to be moved. */
#define HOT_BOTH(name)                                                                             \
	uint64_t hot_##name(uint64_t other);                                                       \
	HOT uint64_t hot_##name(uint64_t other)                                                    \
	{                                                                                          \
		uint64_t value;                                                                    \
		__asm__ volatile("" : "=a"(value));                                                \
		return pv_##name(value, other);                                                    \
	}
#define HOT_RAW(name, op)                                                                          \
	void hot_##name(void);                                                                     \
	__attribute__((naked)) void hot_##name(void)                                               \
	{                                                                                          \
		__asm__ volatile(PLAIN_##op "; ret");                                              \
	}
/* A frame pointer is the function's, not the operation's. */
#define HOT __attribute__((optimize("omit-frame-pointer")))

HOT_RAW(save_fl, PV_irq_save_fl)
HOT_RAW(restore_fl, PV_irq_restore_fl)
HOT_OP0(read_fl)
HOT_VOID0(irq_disable)
HOT_VOID0(irq_enable)
HOT_OP0(read_cr2)
HOT_OP0(read_cr3)
HOT_VOID1(write_cr3, uint64_t)
HOT_BOTH(pte_val)
HOT_BOTH(make_pte)
HOT_OP1(ptep_modify_prot_start, uint64_t *)
HOT_SET(ptep_modify_prot_commit)
HOT_SET(load_sp0)
HOT_SET(write_gdt_entry)
HOT_VOID1(flush_tlb_one, uint64_t)
HOT_SET(set_pte)
HOT_SET(set_pmd)
HOT_SET(set_pud)
HOT_SET(set_pgd)
HOT_VOID1(queued_spin_unlock, struct spinlock *)
