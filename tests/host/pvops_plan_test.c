/* pvops_plan_test.c: what the planner makes of every operation, read by a disassembler that is not ours.
 *
 * Shows: for every operation of every platform, in every class of site and every room, the bytes decode
 * to whole instructions that fill the site; inline forms do what the short function does; calls and jumps
 * lead to the function; nothing changes a register that the site's class promises to keep; on bare metal
 * a hot operation is its instructions and no nop; what cannot be done is refused. Why: a wrong byte here is a crash at
 * boot on a machine we do not have.
 *
 * links: pvops/plan.c pvops/fill.c pvops/native.c pvops/native_cpu.c pvops/xen_pv.c
 * links: pvops/xen_mmu.c pvops/xen_queue.c hypercall/multicall.c hypercall/count.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <capstone/capstone.h>

#include <amphi/hypercall.h>
#include "pvops/impl.h"
#include "pvops/lock.h"

/* What the platform files refer to; none of it runs here. */
char pv_shared_page[PAGE_SIZE];
char hypercall_page[PAGE_SIZE];
void pv_xen_irq_enable(void);
void pv_xen_restore_fl(void);
void pv_xen_iret(void);
void pv_xen_sysret(void);
void pv_xen_irq_enable(void) {}
void pv_xen_restore_fl(void) {}
void pv_xen_iret(void) {}
void pv_xen_sysret(void) {}
void pv_unfilled(void) {}
/* The file itself: its code becomes part of this program. */
__asm__(".include \"pvops/thin.S\"\n .text\n");

void lock_slow_spinning(struct spinlock *lock, spin_serve_fn *serve) {}
void pvops_refused(const char *op, int64_t error)
{
	fail_msg("%s refused (%d)", op, (int)error);
	__builtin_unreachable();
}

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                 PV_##c,
#define PV_OP1(g, n, c, room, ret, t1, a1)         PV_##c,
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2) PV_##c,
#define PV_VOID0(g, n, c, room)                    PV_##c,
#define PV_VOID1(g, n, c, room, t1, a1)            PV_##c,
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)    PV_##c,
#define PV_RAW(g, n, c, room)                      PV_##c,
static const uint8_t class_of[PV_OP_COUNT] = {
#include <amphi/pvops.def>
};

static const struct pvops_env env;
static csh cs;

static int open_capstone(void **state)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return -1;
	return cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
}

static int close_capstone(void **state)
{
	return cs_close(&cs);
}

/* A place near the function, as in an image. */
static struct pv_place place_near(uint64_t fn, unsigned room, unsigned class)
{
	return (struct pv_place){.site = fn + 0x12345,
				 .slot = fn + 0x654321,
				 .room = (uint8_t)room,
				 .class = (uint8_t) class};
}

static size_t decode(const uint8_t *code, const struct pv_place *at, cs_insn **insns)
{
	size_t n = cs_disasm(cs, code, at->room, at->site, 0, insns), len = 0;

	for (size_t i = 0; i < n; i++)
		len += (*insns)[i].size;
	assert_int_equal(len, at->room);
	return n;
}

/* The 64-bit register that holds reg, by name, for those that matter. */
static bool is_part_of_rax(uint16_t reg)
{
	return reg == X86_REG_RAX || reg == X86_REG_EAX || reg == X86_REG_AX || reg == X86_REG_AL ||
	       reg == X86_REG_AH;
}

static bool may_change(uint16_t reg, unsigned class)
{
	static const char *const caller_saved[] = {"rcx", "ecx", "rdx", "edx",
						   "rsi", "rdi", "r8",  "r9"};
	const char *name = cs_reg_name(cs, reg);

	if (is_part_of_rax(reg))
		return class != PV_BARE;
	if (class == PV_JUMP && (reg == X86_REG_RCX || reg == X86_REG_R11))
		return true; /* sysret's */
	if (reg == X86_REG_EFLAGS || reg == X86_REG_RSP || reg == X86_REG_RIP)
		return true;
	/* system registers are what the operation is for */
	if (strncmp(name, "cr", 2) == 0 && name[2] >= '0' && name[2] <= '9')
		return true;
	for (size_t i = 0; class == PV_FULL && i < ARRAY_SIZE(caller_saved); i++)
		if (strcmp(name, caller_saved[i]) == 0)
			return true;
	return false;
}

static void check_registers(const cs_insn *insn, unsigned class)
{
	cs_regs reads, writes;
	uint8_t n_reads, n_writes;

	if (insn->id == X86_INS_CALL)
		return; /* what the function changes is judged by .thin */
	assert_int_equal(cs_regs_access(cs, insn, reads, &n_reads, writes, &n_writes), 0);
	for (unsigned i = 0; i < n_writes; i++)
		if (!may_change(writes[i], class))
			fail_msg("%s %s changes %s", insn->mnemonic, insn->op_str,
				 cs_reg_name(cs, writes[i]));
}

static int stack_move(const cs_insn *insn)
{
	if (insn->id == X86_INS_PUSH || insn->id == X86_INS_PUSHFQ)
		return 1;
	return insn->id == X86_INS_POP || insn->id == X86_INS_POPFQ ? -1 : 0;
}

/* The address a rip-relative operand means, or 0. */
static uint64_t rip_target(const cs_insn *insn)
{
	const cs_x86 *x = &insn->detail->x86;

	for (unsigned i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_MEM && x->operands[i].mem.base == X86_REG_RIP)
			return insn->address + insn->size + (uint64_t)x->operands[i].mem.disp;
	return 0;
}

/* CS as a segment means nothing in 64-bit mode; Capstone names it where there is an operand in memory. */
static void drop_cs(char *operands)
{
	char *found = strstr(operands, "cs:");

	if (found)
		memmove(found, found + 3, strlen(found + 3) + 1);
}

static void same_instruction(const cs_insn *a, const cs_insn *b)
{
	char operands[sizeof(a->op_str)];

	memcpy(operands, a->op_str, sizeof(operands));
	drop_cs(operands);
	assert_string_equal(a->mnemonic, b->mnemonic);
	assert_true(rip_target(a) == rip_target(b));
	if (!rip_target(a))
		assert_string_equal(operands, b->op_str);
}

/* A site has a nop only where there is nothing to do, no prefix may go before a segment's, or an instruction would be
 * longer than 15 bytes; no room is so long but a jump's. */
static bool may_have_nop(const struct pv_impl *impl, size_t len)
{
	return !impl->code_len || impl->code[0] == 0x65 || len > 15;
}

static size_t length(const cs_insn *insns, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += insns[i].size;
	return len;
}

static void check_tail(const cs_insn *insns, size_t from, size_t n, unsigned class)
{
	for (size_t i = from; i < n; i++)
		assert_int_equal(insns[i].id, class == PV_JUMP ? X86_INS_INT3 : X86_INS_NOP);
}

/* The short function itself, decoded at its own address, is what the site must do. */
static void check_inline(const struct pv_impl *impl, const cs_insn *insns, size_t n, unsigned class)
{
	const uint8_t *from =
	    impl->code_from ? impl->code_from : (const uint8_t *)(uintptr_t)impl->fn;
	cs_insn *own = NULL;
	size_t n_own = impl->code_len
			   ? cs_disasm(cs, from, impl->code_len, (uint64_t)(uintptr_t)from, 0, &own)
			   : 0;
	int depth = 0;

	assert_true(n_own <= n);
	for (size_t i = 0; i < n_own; i++) {
		same_instruction(&insns[i], &own[i]);
		check_registers(&insns[i], class);
		depth += stack_move(&insns[i]);
	}
	assert_int_equal(abs(depth), impl->code_from ? 1 : 0);
	check_tail(insns, n_own, n, class);
	if (class != PV_JUMP && !may_have_nop(impl, length(insns, n)))
		assert_true(n == n_own);
	if (own)
		cs_free(own, n_own);
}

static void check_direct(const struct pv_impl *impl, const cs_insn *insns, size_t n, unsigned class)
{
	assert_int_equal(insns[0].id, class == PV_JUMP ? X86_INS_JMP : X86_INS_CALL);
	assert_int_equal(insns[0].detail->x86.operands[0].type, X86_OP_IMM);
	assert_true((uint64_t)insns[0].detail->x86.operands[0].imm == impl->fn);
	check_tail(insns, 1, n, class);
	if (class != PV_JUMP && length(insns, n) <= 15)
		assert_int_equal(n, 1);
}

static void check_plan(const struct pv_impl *impl, const struct pv_place *at)
{
	uint8_t code[PV_ROOM_MAX];
	cs_insn *insns;
	size_t n;

	assert_int_equal(pv_plan(at, impl, code), 0);
	n = decode(code, at, &insns);
	if (impl->kind == PV_UNFILLED) {
		assert_int_equal(insns[0].id, X86_INS_UD2);
		check_tail(insns, 1, n, PV_JUMP);
	} else if (impl->kind == PV_INLINE && impl->code_len <= at->room) {
		check_inline(impl, insns, n, at->class);
	} else {
		check_direct(impl, insns, n, at->class);
	}
	cs_free(insns, n);
}

static void check_all_rooms(unsigned op)
{
	uint64_t near = pv_impls[op].fn ? pv_impls[op].fn : (uint64_t)(uintptr_t)pv_unfilled;

	for (unsigned room = pv_room[op]; room <= PV_ROOM_MAX; room++) {
		struct pv_place at = place_near(near, room, class_of[op]);

		check_plan(&pv_impls[op], &at);
		at.site = near - 0x54321; /* backwards too */
		check_plan(&pv_impls[op], &at);
	}
}

static void every_operation_native(void **state)
{
	pvops_init_native(&env);
	for (unsigned op = 0; op < PV_OP_COUNT; op++)
		check_all_rooms(op);
	assert_int_equal(pv_impls[PV_irq_irq_disable].kind, PV_INLINE);
	assert_int_equal(pv_impls[PV_irq_save_fl].code_len, 1);
	assert_int_equal(pv_impls[PV_irq_read_fl].code_len, 2);
	/* on the way back to a program no register is free */
	assert_int_equal(pv_impls[PV_cpu_swapgs].code_len, 3);
	assert_memory_equal(pv_impls[PV_cpu_swapgs].code, "\x0f\x01\xf8", 3);
	/* too long for a site: called */
	assert_int_equal(pv_impls[PV_cpu_write_xcr0].kind, PV_CALL);
	assert_int_equal(pv_impls[PV_cpu_read_msr].kind, PV_INLINE);
}

/* The price of being able to run elsewhere: on bare metal nothing beside the instructions. */
static void hot_operations_cost_nothing(void **state)
{
	static const uint8_t hot[] = {PV_irq_save_fl,    PV_irq_restore_fl, PV_irq_irq_disable,
				      PV_irq_irq_enable, PV_irq_safe_halt,  PV_mmu_set_pte,
				      PV_mmu_pte_val,    PV_mmu_read_cr2};

	pvops_init_native(&env);
	for (size_t i = 0; i < sizeof(hot); i++) {
		const struct pv_impl *impl = &pv_impls[hot[i]];
		struct pv_place at = place_near(impl->fn, pv_room[hot[i]], class_of[hot[i]]);
		uint8_t code[PV_ROOM_MAX];
		cs_insn *insns, *own;
		size_t n, n_own;

		assert_int_equal(pv_plan(&at, impl, code), 0);
		n = decode(code, &at, &insns);
		n_own = cs_disasm(cs, impl->code, impl->code_len, impl->fn, 0, &own);
		assert_true(n_own > 0 && n == n_own);
		cs_free(insns, n), cs_free(own, n_own);
	}
}

static void every_operation_xen_pv(void **state)
{
	pvops_init_xen_pv(&env);
	for (unsigned op = 0; op < PV_OP_COUNT; op++)
		check_all_rooms(op);
	assert_int_equal(pv_impls[PV_irq_irq_disable].kind, PV_INLINE);
	assert_true(pv_impls[PV_cpu_swapgs].kind == PV_INLINE &&
		    pv_impls[PV_cpu_swapgs].code_len == 0);
	assert_int_equal(pv_impls[PV_cpu_load_tr].kind, PV_UNFILLED);
}

/* Before patching each pointer is called as it is, so none may be empty. */
static void no_pointer_is_null(void **state)
{
	for (int xen = 0; xen < 2; xen++) {
		xen ? pvops_init_xen_pv(&env) : pvops_init_native(&env);
		for (unsigned op = 0; op < PV_OP_COUNT; op++)
			assert_non_null(((void **)&pv_ops)[op]);
	}
	assert_ptr_equal((void *)pv_ops.cpu.load_tr, (void *)pv_unfilled);
}

static void the_compilers_bytes(void **state)
{
	for (unsigned op = 0; op < PV_OP_COUNT; op++) {
		struct pv_place at = place_near(0x40000000, pv_room[op], class_of[op]);
		uint8_t code[PV_ROOM_MAX];
		cs_insn *insns;
		size_t n;

		assert_int_equal(pv_plan_original(&at, code), 0);
		n = decode(code, &at, &insns);
		assert_int_equal(insns[0].id, at.class == PV_JUMP ? X86_INS_JMP : X86_INS_CALL);
		assert_true(rip_target(&insns[0]) == at.slot);
		for (size_t i = 1; i < n; i++)
			assert_int_equal(insns[i].id, X86_INS_NOP);
		cs_free(insns, n);
	}
}

/* Assembled as PV_OPERAND_SITE does it: memory relative to rip, by a register, by a high register, and far from
 * the stack pointer. */
#define OPERAND(name, memory)                                                                      \
	extern const struct pv_operand name;                                                       \
	__asm__(".pushsection .data.rel.ro\n .balign 32\n" #name                                   \
		": .long 0\n .byte 2f-1f, 3f-2f\n"                                                 \
		"1: lea " memory ", %rdi\n 2: movb $0, " memory "\n 3: .balign 32\n .popsection")
OPERAND(operand_rip, "pv_shared_page+5(%rip)");
OPERAND(operand_rbx, "(%rbx)");
OPERAND(operand_r13, "0x1234(%r13)");
OPERAND(operand_rsp, "0x12345(%rsp)");

/* The address that the instruction's operand means: itself when it is by registers. */
static void same_memory(const cs_insn *insn, const struct pv_operand *operand, unsigned memory_at)
{
	const x86_op_mem *mem = &insn->detail->x86.operands[memory_at].mem;
	cs_insn *own;

	if (mem->base == X86_REG_RIP) {
		assert_true(rip_target(insn) == (uint64_t)(uintptr_t)(pv_shared_page + 5));
		return;
	}
	assert_int_equal(cs_disasm(cs, operand->code, operand->lea_len, 0, 1, &own), 1);
	assert_int_equal(mem->base, own->detail->x86.operands[1].mem.base);
	assert_true(mem->disp == own->detail->x86.operands[1].mem.disp);
	cs_free(own, 1);
}

static void check_operand(const struct pv_operand *operand)
{
	struct pv_impl call = {.kind = PV_CALL, .thin = true, PV_FN(pv_unfilled)};
	struct pv_place at =
	    place_near((uint64_t)(uintptr_t)pv_unfilled, operand->lea_len + 6u, PV_OPERAND);
	uint8_t code[PV_ROOM_MAX];
	cs_insn *insns;

	at.operand = operand;
	assert_int_equal(pv_plan_original(&at, code), 0);
	assert_int_equal(decode(code, &at, &insns), 2);
	assert_int_equal(insns[0].id, X86_INS_LEA);
	assert_int_equal(insns[0].detail->x86.operands[0].reg, X86_REG_RDI);
	same_memory(&insns[0], operand, 1);
	assert_true(insns[1].id == X86_INS_CALL && rip_target(&insns[1]) == at.slot);
	cs_free(insns, 2);
	assert_int_equal(pv_plan(&at, &call, code), 0);
	assert_int_equal(decode(code, &at, &insns), 2);
	same_memory(&insns[0], operand, 1);
	assert_true(insns[1].id == X86_INS_CALL &&
		    (uint64_t)insns[1].detail->x86.operands[0].imm == call.fn);
	cs_free(insns, 2);
	assert_int_equal(pv_plan(&at, &pv_impls[PV_lock_queued_spin_unlock], code), 0);
	assert_int_equal(decode(code, &at, &insns), 1);
	assert_int_equal(insns[0].id, X86_INS_MOV);
	assert_int_equal(insns[0].detail->x86.operands[0].size, 1);
	assert_int_equal(insns[0].detail->x86.operands[1].imm, 0);
	same_memory(&insns[0], operand, 0);
	cs_free(insns, 1);
	call.thin = false;
	assert_int_equal(pv_plan(&at, &call, code), -XEN_EINVAL);
	at.room--;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	at.room++, at.operand = NULL;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
}

/* Natively a lock is given back by one store to wherever it is; elsewhere its address goes to a function. */
static void memory_as_the_compiler_names_it(void **state)
{
	pvops_init_native(&env);
	check_operand(&operand_rip);
	check_operand(&operand_rbx);
	check_operand(&operand_r13);
	check_operand(&operand_rsp);
}

static void what_is_refused(void **state)
{
	struct pv_impl full = {.kind = PV_CALL, .fn = 0x1000000}, empty = {.kind = PV_CALL};
	struct pv_place at = place_near(full.fn, 6, PV_THIN);
	uint8_t code[PV_ROOM_MAX];

	assert_int_equal(pv_plan(&at, &full, code),
			 -XEN_EINVAL); /* a C call would lose registers */
	full.thin = true;
	assert_int_equal(pv_plan(&at, &full, code), 0);
	assert_int_equal(pv_plan(&at, &empty, code), -XEN_EINVAL);
	full.kind = 7;
	assert_int_equal(pv_plan(&at, &full, code), -XEN_EINVAL);
	full.kind = PV_INLINE, full.code_len = PV_CODE_MAX + 1;
	assert_int_equal(pv_plan(&at, &full, code), -XEN_EINVAL);
	full.code_len = 4, full.fix_at = PV_CODE_MAX - 3;
	assert_int_equal(pv_plan(&at, &full, code), -XEN_EINVAL);
	full.kind = PV_CALL, full.code_len = full.fix_at = 0;
	at.site = full.fn + (1ull << 31) + 100;
	assert_int_equal(pv_plan(&at, &full, code), -XEN_ERANGE);
	assert_int_equal(pv_plan_original(&at, code), 0);
	at.slot = at.site + (1ull << 31) + 7;
	assert_int_equal(pv_plan_original(&at, code), -XEN_ERANGE);
	at.room = 5;
	assert_int_equal(pv_plan(&at, &full, code), -XEN_EINVAL);
	at.room = PV_ROOM_MAX + 1;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_operation_native),
	    cmocka_unit_test(hot_operations_cost_nothing),
	    cmocka_unit_test(every_operation_xen_pv),
	    cmocka_unit_test(no_pointer_is_null),
	    cmocka_unit_test(the_compilers_bytes),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(memory_as_the_compiler_names_it),
	};

	return cmocka_run_group_tests(tests, open_capstone, close_capstone);
}
