/* shell_parse.c: cuts a line into commands and words, in place.
 *
 * Caller: shell.c and the fuzzer. Calls nothing. The words are copied down over the quotes that
 * they lose, so writing never overtakes reading.
 */
#include <stddef.h>
#include <xen/errno.h>
#include "shell_parse.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* '#' does not: "a#b" is a word, and a comment begins only where a word could. */
static bool ends_word(char c)
{
	return !c || is_space(c) || c == ';';
}

/* Copies one word from *from to *to with a NUL behind; returns false when a quote does not end.
 * *from is left at the character that ended the word, which is told in *out_end: the NUL may
 * overwrite it. */
static bool take_word(char **from, char **to, char *out_end)
{
	char *r = *from, *w = *to;
	char quote = '\0';

	while (*r && (quote || !ends_word(*r))) {
		if (quote ? *r == quote : *r == '"' || *r == '\'') {
			quote = quote ? '\0' : *r;
			r++;
			continue;
		}
		*w++ = *r++;
	}
	*out_end = *r;
	*w++ = '\0';
	*from = r;
	*to = w;
	return !quote;
}

/* The rest of a command that is not wanted. Blind for quotes, which is enough: a line with an error
 * in it is not gone on with. */
static char *skip_command(char *p)
{
	while (*p && *p != ';')
		p++;
	return *p ? p + 1 : p;
}

/* argv gets pointers into the line, and NULL behind the last. One call takes one command; *line is
 * moved behind its ';' or to the end. */
int shell_parse(char **line, char **argv)
{
	char *r = *line, *w;
	char end = '\0';
	int n = 0;

	for (;;) {
		while (is_space(*r))
			r++;
		if (*r == '#')
			while (*r)
				r++;
		if (!*r || *r == ';')
			break;
		if (n == SHELL_MAX_ARGS) {
			*line = skip_command(r);
			argv[0] = NULL;
			return -XEN_E2BIG;
		}
		/* Words move down only within themselves, so a later word is still whole when its
		 * turn comes. */
		w = r;
		argv[n++] = w;
		if (!take_word(&r, &w, &end)) {
			*line = r;
			argv[0] = NULL;
			return -XEN_EINVAL;
		}
		if (!end)
			break;
		if (end == ';')
			break;
		r++;
	}
	/* end tells of the ';' that the word's NUL has overwritten, *r of one that stood alone. */
	*line = end == ';' || *r ? r + 1 : r;
	argv[n] = NULL;
	return n;
}
