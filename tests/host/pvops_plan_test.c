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
#include "thin_fixture.h"

char hypercall_page[PAGE_SIZE];
void pvops_refused(const char *op, int64_t error)
{
	fail_msg("%s refused (%d)", op, (int)error);
	__builtin_unreachable();
}

#define PV_GROUP(g)
#define PV_GROUP_END(g)
#define PV_OP0(g, n, c, room, ret)                                 PV_##c,
#define PV_OP1(g, n, c, room, ret, t1, a1)                         PV_##c,
#define PV_OP2(g, n, c, room, ret, t1, a1, t2, a2)                 PV_##c,
#define PV_OP4(g, n, c, room, ret, t1, a1, t2, a2, t3, a3, t4, a4) PV_##c,
#define PV_VOID0(g, n, c, room)                                    PV_##c,
#define PV_VOID1(g, n, c, room, t1, a1)                            PV_##c,
#define PV_VOID2(g, n, c, room, t1, a1, t2, a2)                    PV_##c,
#define PV_RAW(g, n, c, room)                                      PV_##c,
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
	if (a->id == X86_INS_JNE) /* back to where it was copied with */
		assert_memory_equal(a->bytes, b->bytes, 2);
	else if (!rip_target(a))
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

/* Sites of class OPERAND have their bytes from the compiler: memory_as_the_compiler_names_it(). */
static void check_all_rooms(unsigned op)
{
	if (class_of[op] == PV_OPERAND)
		return;
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
				      PV_irq_irq_enable, PV_irq_safe_halt,  PV_mmu_read_cr2,
				      PV_mmu_read_cr3};

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
		if (class_of[op] == PV_OPERAND)
			continue;
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

/* Assembled as PV_OPERANDS does it, in data: before and lea, the instruction, after. */
#define OPERAND(name, before, lea, native, after)                                                  \
	extern const struct pv_operand name;                                                       \
	__asm__(".pushsection .data.rel.ro\n .balign 8\n" #name                                    \
		": .long 0\n .byte 3f-1f, 4f-3f, 5f-4f, 2f-1f\n"                                   \
		"1: " before "\n 2: " lea "\n 3: " native "\n 4: " after                           \
		"\n 5: .balign 8\n .skip 40\n .popsection")
#define UNLOCK(name, memory) OPERAND(name, "", "lea " memory ", %rdi", "movb $0, " memory, "")
#define STORE(name, value, memory)                                                                 \
	OPERAND(name, "push " value "; push %rdi", "lea " memory ", %rdi",                         \
		"movq " value ", " memory, "")
/* Memory relative to rip, by a register, by a high register, and far from the stack pointer. */
UNLOCK(unlock_rip, "pv_shared_page+5(%rip)");
UNLOCK(unlock_rbx, "(%rbx)");
UNLOCK(unlock_r13, "0x1234(%r13)");
UNLOCK(unlock_rsp, "0x12345(%rsp)");
STORE(store_rip, "%rcx", "pv_shared_page+5(%rip)");
STORE(store_rdi, "%rdi", "(%rdi)");
STORE(store_r12, "%r9", "(%r12)");
STORE(store_zero, "$0", "8(%rbx, %rcx, 8)");
STORE(store_number, "$-123456", "0x12345(%r8, %r15, 2)");
STORE(store_rsp, "%rax", "8(%rsp)");
STORE(store_rsp_index, "%rax", "8(%rsp, %rcx, 4)");
OPERAND(load_rip, "", "lea pv_shared_page+5(%rip), %rbp; push %rbp",
	"mov pv_shared_page+5(%rip), %rbp", "pop %rbp");
OPERAND(load_rsp, "", "lea 16(%rsp), %r11; push %r11", "mov 16(%rsp), %r11", "pop %r11");
OPERAND(and_both, "push %rdi; push %rsi", "", "and %rdi, %rsi", "pop %rsi");
OPERAND(or_number, "push $0x63; push %r14", "", "or $0x63, %r14", "pop %r14");

#define LINE_MAX_LEN 256u
static void add_text(char *out, const cs_insn *insn)
{
	size_t len = strlen(out);
	char operands[sizeof(insn->op_str)];

	memcpy(operands, insn->op_str, sizeof(operands));
	drop_cs(operands);
	if (rip_target(insn))
		snprintf(operands, sizeof(operands), "%s",
			 rip_target(insn) == (uint64_t)(uintptr_t)(pv_shared_page + 5) ? "shared"
										       : "?");
	snprintf(out + len, LINE_MAX_LEN - len, "%s %s;", insn->mnemonic, operands);
}

/* Instructions as text, those relative to rip by what they mean; the call by whether it goes where it should. */
static void read_site(const uint8_t *code, size_t len, uint64_t address, uint64_t target, char *out)
{
	cs_insn *insns;
	size_t n = cs_disasm(cs, code, len, address, 0, &insns), size = 0;

	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		bool is_call = insns[i].id == X86_INS_CALL;
		uint64_t to = !is_call ? 0
			      : rip_target(&insns[i])
				  ? rip_target(&insns[i])
				  : (uint64_t)insns[i].detail->x86.operands[0].imm;

		size += insns[i].size;
		if (!is_call)
			add_text(out, &insns[i]);
		else
			strcat(out, to == target ? "call;" : "wild call;");
	}
	assert_int_equal(size, len);
	if (n)
		cs_free(insns, n);
}

static void check_site(const struct pv_place *at, const uint8_t *code, uint64_t target,
		       const char *want)
{
	char text[LINE_MAX_LEN];

	read_site(code, at->room, at->site, target, text);
	assert_string_equal(text, want);
}

/* What the record holds, read where it lies, is what the site must be; the call comes between. */
static void wanted(const struct pv_operand *o, char *around, char *native)
{
	uint64_t at = (uint64_t)(uintptr_t)o->code;
	unsigned end = o->before_len + o->native_len;

	read_site(o->code, o->before_len, at, 0, around);
	strcat(around, "call;");
	read_site(o->code + o->before_len, o->native_len, at + o->before_len, 0, native);
	read_site(o->code + end, o->after_len, at + end, 0, around + strlen(around));
}

static void check_operand(const struct pv_operand *operand, enum pv_op op)
{
	struct pv_impl call = {.kind = PV_CALL, .thin = true, PV_FN(pv_unfilled)};
	struct pv_place at = place_near((uint64_t)(uintptr_t)pv_unfilled,
					operand->before_len + 6u + operand->after_len, PV_OPERAND);
	uint8_t code[PV_ROOM_MAX];
	char around[LINE_MAX_LEN], native[LINE_MAX_LEN];

	wanted(operand, around, native);
	at.operand = operand;
	assert_int_equal(pv_plan_original(&at, code), 0);
	check_site(&at, code, at.slot, around);
	assert_int_equal(pv_plan(&at, &call, code), 0);
	check_site(&at, code, call.fn, around);
	assert_int_equal(pv_plan(&at, &pv_impls[op], code), 0);
	if (at.room <= 15) /* one instruction, and not a nop more */
		check_site(&at, code, 0, native);
	assert_int_equal(code[at.room <= 15 ? at.room - operand->native_len : 0] == 0x2e,
			 at.room > 15);
	call.thin = false;
	assert_int_equal(pv_plan(&at, &call, code), -XEN_EINVAL);
	at.room--;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	at.room++, at.operand = NULL;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
}

/* Natively a lock is given back by one store to wherever it is, and an entry set by one store of whatever it is;
 * elsewhere their addresses go to a function. */
static void memory_as_the_compiler_names_it(void **state)
{
	pvops_init_native(&env);
	check_operand(&unlock_rip, PV_lock_queued_spin_unlock);
	check_operand(&unlock_rbx, PV_lock_queued_spin_unlock);
	check_operand(&unlock_r13, PV_lock_queued_spin_unlock);
	check_operand(&unlock_rsp, PV_lock_queued_spin_unlock);
	check_operand(&store_rip, PV_mmu_set_pte);
	check_operand(&store_rdi, PV_mmu_set_pmd);
	check_operand(&store_r12, PV_mmu_set_pud);
	check_operand(&store_zero, PV_mmu_set_pgd);
	check_operand(&store_number, PV_mmu_ptep_modify_prot_commit);
	check_operand(&load_rip, PV_mmu_ptep_modify_prot_start);
	check_operand(&load_rsp, PV_mmu_ptep_modify_prot_start);
	check_operand(&and_both, PV_mmu_pte_val);
	check_operand(&or_number, PV_mmu_make_pte);
}

/* Records that would have a site write over others, or take an address by what its own pushes changed. */
static void operands_that_are_refused(void **state)
{
	struct pv_place at =
	    place_near((uint64_t)(uintptr_t)pv_unfilled, store_rsp.before_len + 6u, PV_OPERAND);
	struct pv_operand bad = store_rdi;
	uint8_t code[PV_ROOM_MAX];

	at.operand = &store_rsp;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	at.room = (uint8_t)(store_rsp_index.before_len + 6u), at.operand = &store_rsp_index;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	at.room = (uint8_t)(bad.before_len + 6u), at.operand = &bad;
	assert_int_equal(pv_plan_original(&at, code), 0);
	bad.native_len = 0;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	bad.native_len = (uint8_t)(at.room + 1);
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	bad.native_len = 3, bad.lea_at = (uint8_t)(bad.before_len + 1);
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
	bad.lea_at = 0, bad.before_len = 18, bad.native_len = 15, at.room = 24;
	assert_int_equal(pv_plan_original(&at, code), -XEN_EINVAL);
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
	    cmocka_unit_test(operands_that_are_refused),
	};

	return cmocka_run_group_tests(tests, open_capstone, close_capstone);
}
