/* cmdline_fuzz.c: no text makes the command line's reader leave its buffers.
 *
 * Shows: any bytes are read without touching memory outside the text or the result, the result
 * is ended by NUL, and complaints name a part of the text. Why: a domain's command line is written
 * by whoever builds the domain.
 *
 * links: kernel/cmdline.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text_start, *text_end;

static void complain(const char *why, const char *word, size_t len)
{
	if (word < text_start || word + len > text_end || !why)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct cmdline c;

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	text_start = text, text_end = text + size;
	cmdline_parse(text, &c, complain);
	if (strnlen(c.commands, sizeof(c.commands)) == sizeof(c.commands) ||
	    strnlen(c.name, sizeof(c.name)) == sizeof(c.name))
		abort();
	free(text);
	return 0;
}
