/* shell.c: the shell: its table of commands, its prompt, and the commands given by do=.
 *
 * Callers: kmain starts the thread; other files add commands. Calls shell_parse.c, the console.
 * A command that fails in do= ends the domain with code 1 unless "stay" was said: somebody is
 * waiting for the result, and nobody is at the keys.
 */
#include <amphi/error_name.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include "boot.h"
#include "cmdline.h"
#include "console.h"
#include "mm.h"
#include "power.h"
#include "shell.h"
#include "shell_parse.h"
#include "time.h"

#define TABLES_MAX 32u
#define LINE_MAX   256u

/* Tables and not one table: each room's commands are told by it (commands_*.c, service_commands.c),
 * and nothing here names them. */
static struct {
	const struct shell_command *commands;
	unsigned count;
} tables[TABLES_MAX];
static unsigned n_tables;

/* Before the shell runs, or in its own thread: nothing guards the list. */
void shell_add(const struct shell_command *table, unsigned count)
{
	if (n_tables == TABLES_MAX) {
		klog(LOG_ERROR, "shell: no room for the commands from %s on", table->name);
		return;
	}
	tables[n_tables].commands = table;
	tables[n_tables++].count = count;
}

/* The last of a name wins: a role may give a word of everybody's more to do. */
static const struct shell_command *find(const char *name)
{
	unsigned t, i;

	for (t = n_tables; t-- > 0;)
		for (i = 0; i < tables[t].count; i++)
			if (!strcmp(tables[t].commands[i].name, name))
				return &tables[t].commands[i];
	return NULL;
}

/* In the order in which tables were added. */
static int help(int argc, char **argv)
{
	const struct shell_command *c;
	unsigned t, i;

	for (t = 0; t < n_tables; t++)
		for (i = 0; i < tables[t].count; i++) {
			c = &tables[t].commands[i];
			if (find(c->name) != c)
				continue;
			console_printf("  %-10s %-23s %s\n", c->name, c->usage, c->help);
		}
	return 0;
}

static const struct shell_command help_command = {"help", "", "this list", help};

/* -EINVAL means "used wrongly" and shows the usage; any other error is told by its name. A command
 * that has more to say says it itself. With a '-' before its name it may fail, as in a Makefile. */
static int run_command(int argc, char **argv)
{
	bool may_fail = argv[0][0] == '-';
	const struct shell_command *c = find(argv[0] += may_fail);
	int error;

	if (!c) {
		console_printf("%s: no such command; try help\n", argv[0]);
		return -XEN_ENOENT;
	}
	error = c->run(argc, argv);
	if (error == -XEN_EINVAL)
		console_printf("usage: %s %s\n", c->name, c->usage);
	else if (error)
		console_printf("%s: %s\n", c->name, error_name(error));
	return may_fail ? 0 : error;
}

/* Stops at the first command that fails: those behind it were meant for what it would have done.
 * line is cut to pieces. */
int shell_line(char *line)
{
	char *argv[SHELL_MAX_ARGS + 1];
	int argc, error;

	while (*line) {
		argc = shell_parse(&line, argv);
		if (argc < 0)
			console_printf("shell: %s\n", argc == -XEN_E2BIG ? "too many words"
									 : "a quote does not end");
		/* An empty command, as between two ';', is none and no error. */
		error = argc > 0 ? run_command(argc, argv) : argc;
		if (error)
			return error;
	}
	return 0;
}

/* ---- at the keys -------------------------------------------------------------------- */

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

/* Back, over, and back: the one way that every terminal knows. */
static void erase(size_t n)
{
	while (n--)
		console_write("\b \b", 3);
}

/* Arrow and function keys send ESC [ ... letter; there is no history for them to move in. A bare
 * ESC waits for the next key, which it eats; nothing sends one by chance. */
static void skip_escape(void)
{
	uint8_t c = console_read_byte();

	if (c == '[')
		do
			c = console_read_byte();
		while (c < 0x40);
}

/* What a key that is not text does; returns the line's new length. Ctrl-C has nothing to break off
 * here: commands do not read keys while they run. It empties the line. */
static size_t edit(uint8_t key, size_t len)
{
	switch (key) {
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (!len)
			return 0;
		erase(1);
		return len - 1;
	case KEY_CTRL_C:
	case KEY_CTRL_U:
		erase(len);
		return 0;
	case KEY_ESCAPE:
		skip_escape();
		return len;
	default:
		return len;
	}
}

/* Echoed here, since a serial line does not. A line that is full takes no more keys, and shows it.
 */
static void read_line(char *line, size_t cap)
{
	size_t len = 0;
	uint8_t key;

	for (;;) {
		key = console_read_byte();
		if (key == '\r' || key == '\n')
			break;
		/* Bytes above 0x7f are text: whoever types UTF-8 gets it back. */
		if (key < ' ' || key == KEY_DELETE) {
			len = edit(key, len);
			continue;
		}
		if (len + 1 == cap)
			continue;
		line[len++] = (char)key;
		console_write((char *)&key, 1);
	}
	console_write("\n", 1);
	line[len] = '\0';
}

/* ---- the thread --------------------------------------------------------------------- */

/* The host tool takes its times and its table from these lines. */
static void say_ready(void)
{
	unsigned sites[4];

	pvops_count_sites(sites);
	console_printf("@ready\n@stat ready_tsc=%llu tsc_hz=%llu memory_kib=%llu free_kib=%llu\n",
		       (unsigned long long)time_tsc(), (unsigned long long)time_tsc_hz(),
		       (unsigned long long)pages_total_count() * 4,
		       (unsigned long long)pages_free_count() * 4);
	console_printf("@stat pv_sites=%u pv_inline=%u pv_call=%u pv_hypercall=%u pv_unfilled=%u "
		       "pv_indirect=%u platform=%s\n",
		       sites[PV_INLINE] + sites[PV_CALL] + sites[PV_HYPERCALL] + sites[PV_UNFILLED],
		       sites[PV_INLINE], sites[PV_CALL], sites[PV_HYPERCALL], sites[PV_UNFILLED],
		       pvops_count_indirect(), boot_platform_name(boot.platform));
}

/* The line is static because do= may be longer than a stack should bear, and there is one shell.
 * Errors at the prompt have been told and end nothing. */
void shell_run(const char *(*prompt)(void))
{
	static char line[MAX(LINE_MAX, CMDLINE_DO_MAX)];

	shell_add(&help_command, 1);
	say_ready();
	str_copy(line, sizeof(line), cmdline.commands);
	if (shell_line(line) && !cmdline.stay)
		power_halt(1);
	for (;;) {
		console_printf("%s> ", prompt());
		read_line(line, LINE_MAX);
		(void)shell_line(line);
	}
}
