/* shell_parse_test.c: a shell line is cut into the commands and words that one expects.
 *
 * Shows: spaces, quotes, ';', comments, too many words, quotes that do not end. Why: do= comes from
 * a domain file, and a line that is cut wrongly may fill the wrong disk. Expected: all equal.
 *
 * links: kernel/shell_parse.c
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <xen/errno.h>
#include "kernel/shell_parse.h"

static char text[512], result[512];
static char *argv[SHELL_MAX_ARGS + 1];

/* "[a][b]|[c]|!-7|" : words in brackets, a bar after each command. */
static const char *cut(const char *input)
{
	char *line = text;
	size_t used = 0;
	int n, i;

	snprintf(text, sizeof(text), "%s", input);
	result[0] = '\0';
	while (*line) {
		n = shell_parse(&line, argv);
		if (n < 0)
			used += (size_t)sprintf(result + used, "!%d", n);
		for (i = 0; i < n; i++)
			used += (size_t)sprintf(result + used, "[%s]", argv[i]);
		if (n >= 0)
			assert_null(argv[n]);
		used += (size_t)sprintf(result + used, "|");
	}
	return result;
}

static void words_and_commands(void **state)
{
	assert_string_equal(cut(""), "");
	assert_string_equal(cut("  "), "|");
	assert_string_equal(cut("help"), "[help]|");
	assert_string_equal(cut(" sha256\txvda "), "[sha256][xvda]|");
	assert_string_equal(cut("a b;c"), "[a][b]|[c]|");
	assert_string_equal(cut("a b ; c d ;"), "[a][b]|[c][d]|");
	assert_string_equal(cut(";;a"), "|"
					"|"
					"[a]|");
	assert_string_equal(cut("a # b; c"), "[a]|");
	assert_string_equal(cut("a#b"), "[a#b]|");
}

static void quotes(void **state)
{
	assert_string_equal(cut("say \"a b; c\" d"), "[say][a b; c][d]|");
	assert_string_equal(cut("say 'it \"is\"';x"), "[say][it \"is\"]|[x]|");
	assert_string_equal(cut("a\"b c\"d"), "[ab cd]|");
	assert_string_equal(cut("\"\""), "[]|");
	assert_string_equal(cut("a \"b"), "!-22|");
}

static void too_many_words(void **state)
{
	assert_string_equal(cut("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;x"),
			    "[1][2][3][4][5][6][7][8][9][10][11][12][13][14][15][16]|[x]|");
	assert_string_equal(cut("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; x"), "!-7|[x]|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_and_commands),
	    cmocka_unit_test(quotes),
	    cmocka_unit_test(too_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
