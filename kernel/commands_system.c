/* commands_system.c: the shell's commands that end the kernel, or let it wait.
 *
 * Caller: shell.c. Calls power.h and panic.h.
 */
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>
#include "commands.h"
#include "console.h"
#include "panic.h"
#include "power.h"
#include "shell.h"
#include "thread.h"
#include "time.h"

/* An exit code is a byte on every platform that has one. */
static int halt(int argc, char **argv)
{
	uint64_t code = 0;

	if (argc > 2 || (argc == 2 && (!str_to_u64(argv[1], &code) || code > 255)))
		return -XEN_EINVAL;
	power_halt((int)code);
}

/* Drained first: a reset throws away what a ring or a FIFO still holds. */
static int reboot(int argc, char **argv)
{
	console_drain();
	power_reboot();
}

/* For tests of what a panic prints and of the toolstack's on_crash. */
static int crash(int argc, char **argv)
{
	panic("somebody typed crash");
}

/* The same by way of the processor: through the trap entry, the fixup table and the registers'
 * dump. */
static int fault(int argc, char **argv)
{
	volatile uint32_t *nowhere;

	__asm__("" : "=r"(nowhere) : "0"(0x10ull)); /* or the compiler sees through it */
	*nowhere = 1;
	return -XEN_EFAULT;
}

/* At most a quarter of an hour and a bit: more is a wrong unit. */
static int sleep_ms(int argc, char **argv)
{
	uint64_t ms;

	if (argc != 2 || !str_to_u64(argv[1], &ms) || ms > 1000000)
		return -XEN_EINVAL;
	thread_sleep_ns(ms * NS_PER_MS);
	return 0;
}

/* For do=: a mark in the log between commands. */
static int echo(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		console_printf("%s%s", i > 1 ? " " : "", argv[i]);
	console_write("\n", 1);
	return 0;
}

void commands_system_add(void)
{
	static const struct shell_command table[] = {
	    {"echo", "[WORD...]", "says the words", echo},
	    {"sleep", "MS", "waits", sleep_ms},
	    {"halt", "[CODE]", "ends with this exit code (0-255)", halt},
	    {"reboot", "", "starts the machine or domain anew", reboot},
	    {"crash", "", "panics, on purpose", crash},
	    {"fault", "", "writes where nothing is mapped, on purpose", fault},
	};

	shell_add(table, ARRAY_SIZE(table));
}
