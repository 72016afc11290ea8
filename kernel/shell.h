/* shell.h: commands by hand or from the command line's do=.
 *
 * Callers: kmain starts it; service.c and others add their commands. Commands run in the shell's
 * thread and may wait; what touches drivers or the store goes through worker_call or block_io.
 * A command's answer is text for people; lines that begin with '@' are for the host tool.
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include <stdbool.h>

#define SHELL_MAX_ARGS 16

struct shell_command {
	const char *name, *usage, *help;
	/* argv[0] is the name; returns 0 or a negative XEN_Exxx, which the shell reports. */
	int (*run)(int argc, char **argv);
};

/* Adds a table of commands, kept by pointer. Before or while the shell runs; thread context. */
void shell_add(const struct shell_command *table, unsigned count);

/* Runs do=, then reads commands until the end of the world. prompt gives the name to show, each
 * time it is wanted. Never returns. */
void shell_run(const char *(*prompt)(void)) __attribute__((noreturn));

/* One line, which may hold several commands with ';' between. The first error ends it and is
 * returned. line is changed. */
int shell_line(char *line);

#endif
