/* commands_line.c: the shell's commands that run other commands: beside the shell, or again and again.
 *
 * Caller: shell.c. Calls shell_line() and thread.h. For do=, where one line must make all of the load that a
 * test wants. Not a language: no conditions and no variables but the number of the round.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "commands.h"
#include "console.h"
#include "mm.h"
#include "shell.h"
#include "thread.h"

#define LINE_BYTES 512u

/* Puts the round's number in the place of each '%'. -XEN_E2BIG: it does not fit. */
static int fill_in(const char *text, uint64_t round, char *out)
{
	char number[24];
	size_t used = 0, len;

	fmt_text(number, sizeof(number), "%llu", (unsigned long long)round);
	for (; *text; text++) {
		const char one[2] = {*text, '\0'}, *part = *text == '%' ? number : one;

		len = strlen(part);
		if (used + len >= LINE_BYTES)
			return -XEN_E2BIG;
		memcpy(out + used, part, len);
		used += len;
	}
	out[used] = '\0';
	return 0;
}

/* The words as one line again. A line with ';' in it is one word, by its quotes; quotes within are lost. */
static int join(char **words, char *out)
{
	size_t used = 0, len;

	for (; *words; words++) {
		len = strlen(*words);
		if (used + len + 1 >= LINE_BYTES)
			return -XEN_E2BIG;
		memcpy(out + used, *words, len);
		used += len;
		out[used++] = ' ';
	}
	out[used] = '\0';
	return 0;
}

/* The line is made anew for each round, because the shell cuts it to pieces. */
static int repeat(int argc, char **argv)
{
	char text[LINE_BYTES], line[LINE_BYTES];
	uint64_t count;
	int error;

	if (argc < 3 || !str_to_u64(argv[1], &count))
		return -XEN_EINVAL;
	error = join(argv + 2, text);
	for (uint64_t round = 1; round <= count && !error; round++) {
		error = fill_in(text, round, line);
		if (!error)
			error = shell_line(line);
	}
	return error;
}

static void start_thread(void *ctx)
{
	(void)shell_line(ctx);
	kfree(ctx, LINE_BYTES);
}

/* Its errors are told like any command's, and end nothing. */
static int start(int argc, char **argv)
{
	char *line;
	int error;

	if (argc < 2)
		return -XEN_EINVAL;
	line = kmalloc(LINE_BYTES);
	if (!line)
		return -XEN_ENOMEM;
	error = join(argv + 1, line);
	if (!error && !thread_create("start", start_thread, line))
		error = -XEN_ENOMEM;
	if (error)
		kfree(line, LINE_BYTES);
	return error;
}

void commands_line_add(void)
{
	static const struct shell_command table[] = {
	    {"start", "LINE", "runs a line of commands beside the shell", start},
	    {"repeat", "COUNT LINE", "runs a line so often, with the round's number for each %",
	     repeat},
	};

	shell_add(table, ARRAY_SIZE(table));
}
