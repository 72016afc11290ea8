/* pv_ends.c: a PV kernel that ends badly, in the way its command line says.
 *
 * Shows that a guest's mistake ends the guest, and that the hypervisor says which. Words: fault (a
 * page fault without a handler), stack (an exception, and no stack to tell it on), iret (with no
 * frame), user (user mode without a page table for it), watchdog (no sign of life).
 */
#include "pv.h"

static int is(const struct start_info *si, const char *word)
{
	const char *line = (const char *)si->cmd_line;

	while (*word && *word == *line)
		word++, line++;
	return *word == 0 && (*line == 0 || *line == ' ');
}

static void fault(void)
{
	*(volatile int *)0x123456789000 = 1;
}

static void no_stack(void)
{
	static struct trap_info table[] = {{6, 0, 0xe033, 0x100000}, {0, 0, 0, 0}};

	hypercall(__HYPERVISOR_set_trap_table, (uint64_t)table, 0, 0, 0);
	__asm__ volatile("movabsq $0x123456789000, %rsp\n\tud2");
}

static void bad_iret(void)
{
	__asm__ volatile("movabsq $0x123456789000, %rsp\n\tmovl $23, %eax\n\tsyscall");
}

static void user(void)
{
	__asm__ volatile("pushq $0xe02b\n\tpushq $0x1000\n\tpushq $0x202\n\tpushq $0xe033\n\t"
			 "pushq $0x1000\n\tpushq $0\n\tjmp hypercall_page + 23 * 32");
}

static void watchdog(void)
{
	struct sched_watchdog w = {.id = 0, .timeout = 1};

	if (hypercall(__HYPERVISOR_sched_op, SCHEDOP_watchdog, (uint64_t)&w, 0, 0) != 1)
		print("no watchdog\n");
	for (;;)
		;
}

void guest_main(struct start_info *si)
{
	static const struct {
		const char *word;
		void (*fn)(void);
	} ways[] = {{"fault", fault},
		    {"stack", no_stack},
		    {"iret", bad_iret},
		    {"user", user},
		    {"watchdog", watchdog}};

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (is(si, ways[i].word))
			ways[i].fn();
	print("this should not be reached\n");
	end(SHUTDOWN_poweroff);
}
