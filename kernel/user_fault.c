/* user_fault.c: exceptions of programs: handed to the program's own handler, or its end with a message.
 *
 * Called by trap.c with interrupts off, on the program's kernel stack. A page fault in the range that the
 * program named goes to its handler, as a call with a struct user_context below the red zone; everything
 * else ends the program and nothing else. NMI, double fault and machine check are not the program's doing:
 * trap.c keeps them.
 */
#include <amphi/pvops.h>
#include <amphi/string.h>
#include <amphi/xen.h>

#include "console.h"
#include "user_insn.h"
#include "user_parts.h"

#define VECTOR_DEBUG      1u
#define VECTOR_NO_FPU     7u
#define VECTOR_GENERAL    13u
#define VECTOR_PAGE_FAULT 14u
#define FAULT_PRESENT     1u
#define FAULT_WRITE       2u
#define FAULT_EXEC        16u
#define FAULT_WATCHED     (1ull << 32)
#define RED_ZONE          128u
#define STACK_ROOM        (1ull << 20) /* an access this far below the stack was meant for the stack */
#define FLAGS_PROGRAM     0xcd5ull     /* CF PF AF ZF SF DF OF */
#define FLAGS_DF          0x400ull
#define FLAGS_FIXED       0x202ull /* IF, and the bit that is always set */

/* The 15 registers lie in the same order in both. */
#define N_REGISTERS 15u
_Static_assert(offsetof(struct trap_frame, rdi) == 8 * (N_REGISTERS - 1), "r15 to rdi");
_Static_assert(offsetof(struct user_context, rdi) == 8 * (N_REGISTERS - 1), "r15 to rdi");

/* ---- to the handler and back ------------------------------------------------------------ */

/* Copied, and only what a program may know: no selectors. */
static void fill_context(struct user_context *c, const struct trap_frame *frame, uint64_t address,
			 uint64_t access)
{
	memcpy(c, frame, 8 * N_REGISTERS);
	c->rip = frame->rip;
	c->rflags = frame->rflags;
	c->rsp = frame->rsp;
	c->address = address;
	c->access = access;
}

/* false: there is no stack to call it on, or the fault came out of a code segment that is not ours to give: a handler
 * would begin in it. */
static bool call_handler(struct user_task *task, struct trap_frame *frame, uint64_t address,
			 uint64_t access)
{
	struct user_context context;
	uint64_t at = ((frame->rsp - RED_ZONE) & ~15ull) - sizeof(context);

	if (frame->cs != user_platform.cs)
		return false;
	fill_context(&context, frame, address, access);
	if (user_copy_to(&task->space, at, &context, sizeof(context)))
		return false;
	frame->rdi = at;
	frame->rsp = at - 8; /* as after a call; there is nothing to return to */
	frame->rip = task->fault_handler;
	frame->rflags &= ~FLAGS_DF;
	frame->ss = user_platform.ss;
	return true;
}

/* true: the program goes on, at its handler or where it was. */
static bool hand_over(struct user_task *task, struct trap_frame *frame, uint64_t address)
{
	switch (frame->vector) {
	case VECTOR_NO_FPU:
		return user_fpu_trap(&task->cpu);
	case VECTOR_DEBUG:
		return user_watch_hit(&task->cpu.rights) && task->fault_size &&
		       call_handler(task, frame, task->cpu.rights.watched, FAULT_WATCHED);
	case VECTOR_PAGE_FAULT:
		return address >= task->fault_start &&
		       address - task->fault_start < task->fault_size &&
		       call_handler(task, frame, address,
				    frame->error & (FAULT_PRESENT | FAULT_WRITE | FAULT_EXEC));
	}
	return false;
}

/* The program may have changed all of it. Addresses stay below USER_END, so that neither iret
 * nor sysret meets one that is not canonical; selectors stay the frame's, and of the flags only
 * a program's own pass. */
int user_resume(struct user_task *task, struct trap_frame *frame, uint64_t context)
{
	struct user_context c;

	if (user_copy_from(&task->space, &c, context, sizeof(c)))
		return -XEN_EFAULT;
	if (c.rip >= USER_END || c.rsp >= USER_END)
		return -XEN_EINVAL;
	memcpy(frame, &c, 8 * N_REGISTERS);
	frame->rip = c.rip;
	frame->rflags = (c.rflags & FLAGS_PROGRAM) | FLAGS_FIXED;
	frame->rsp = c.rsp;
	return 0;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* A guess from the address alone, for the message. */
static const char *where(uint64_t address, bool present)
{
	if (address >= USER_END)
		return "which is not a program's";
	if (address < USER_STACK_LOW && address >= USER_STACK_LOW - STACK_ROOM)
		return "below its stack: it has overrun it";
	return present ? "which it has no right to" : "where nothing is";
}

static void say_page_fault(const struct user_task *task, const struct trap_frame *frame,
			   uint64_t address)
{
	const char *what = frame->error & FAULT_EXEC    ? "executes"
			   : frame->error & FAULT_WRITE ? "writes"
							: "reads";

	console_printf("program %s (%d) has ended: at %llx it %s %llx, %s\n", task->name, task->pid,
		       (unsigned long long)frame->rip, what, (unsigned long long)address,
		       where(address, frame->error & FAULT_PRESENT));
}

/* As much of the instruction as is the program's memory. */
static bool read_insn(const struct user_task *task, const struct trap_frame *frame,
		      struct user_insn *out)
{
	uint8_t bytes[USER_INSN_MAX];
	size_t n = 0;

	while (n < sizeof(bytes) && !user_copy_from(&task->space, &bytes[n], frame->rip + n, 1))
		n++;
	return user_insn_read(bytes, n, (uint16_t)frame->rdx, out);
}

static void say_protection(const struct user_task *task, const struct trap_frame *frame)
{
	static const char *const formats[] = {
	    [USER_INSN_PRIVILEGED] = "%s, which is the kernel's",
	    [USER_INSN_IN] = "%s, port %x, which it has no right to",
	    [USER_INSN_OUT] = "%s, port %x, which it has no right to",
	    [USER_INSN_INT] = "%s %x, which is no system call",
	};
	struct user_insn insn;

	console_printf("program %s (%d) has ended: general protection at %llx", task->name,
		       task->pid, (unsigned long long)frame->rip);
	if (read_insn(task, frame, &insn)) {
		console_printf(": ");
		console_printf(formats[insn.kind], insn.name, insn.number);
	} else {
		console_printf(": an address or a selector that cannot be");
	}
	console_printf("\n");
}

static void say_exception(const struct user_task *task, const struct trap_frame *frame)
{
	console_printf("program %s (%d) has ended: %s at %llx\n", task->name, task->pid,
		       trap_name((unsigned)frame->vector), (unsigned long long)frame->rip);
}

/* The address is read before interrupts are on: another program's fault may replace it. */
void user_exception(struct trap_frame *frame)
{
	struct user_task *task = user_current();
	uint64_t address = pv_read_cr2();

	if (hand_over(task, frame, address)) {
		user_going_back();
		return;
	}
	pv_irq_enable();
	if (frame->vector == VECTOR_PAGE_FAULT)
		say_page_fault(task, frame, address);
	else if (frame->vector == VECTOR_GENERAL)
		say_protection(task, frame);
	else
		say_exception(task, frame);
	user_end((int)(USER_ENDED_BY + frame->vector));
}
