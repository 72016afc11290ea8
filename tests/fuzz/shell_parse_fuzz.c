/* shell_parse_fuzz.c: no line makes the shell's parser leave the line or go round for ever.
 *
 * Shows: for any bytes each call moves on, words lie inside the line and end in it, and argv is
 * closed by NULL. Why: lines come from a command line written by others.
 *
 * links: kernel/shell_parse.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/shell_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *line = text, *before;
	char *argv[SHELL_MAX_ARGS + 1];
	int n, i;

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	while (*line) {
		before = line;
		n = shell_parse(&line, argv);
		if (line <= before || line > text + size || n > SHELL_MAX_ARGS)
			abort();
		for (i = 0; i < n; i++)
			if (argv[i] < before || argv[i] + strlen(argv[i]) > text + size)
				abort();
		if (n >= 0 && argv[n])
			abort();
	}
	free(text);
	return 0;
}
