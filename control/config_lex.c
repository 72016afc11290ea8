/* config_lex.c: cuts a domain file into tokens (private contract in config_lex.h).
 *
 * The language is that of xl.cfg(5): names, numbers (decimal, 0x), strings in ' or " with backslash
 * escapes, = [ ] , and statements ended by a newline or ';'; # starts a comment. Not a parser: it
 * does not know which tokens may follow which. Pure. Caller: domain_config.c and its fuzzer. Calls:
 * string.h.
 */
#include <amphi/string.h>

#include "config_lex.h"

/* text need not end in a NUL and stays the caller's. */
void lexer_open(struct lexer *lexer, const char *text, size_t len)
{
	*lexer = (struct lexer){.text = text, .len = len, .line = 1};
}

/* Not the C library's: those ask a locale, and this runs in the kernel. */
static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_name_start(c) || is_digit(c);
}

/* c | 0x20 makes capitals small and moves nothing else into a to f. */
static int digit_value(char c, unsigned base)
{
	int v = -1;

	if (is_digit(c))
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20) - 'a' + 10;
	return v >= 0 && (unsigned)v < base ? v : -1;
}

/* -1 at the end, never a byte's value: text may hold NULs and need not end in one. */
static int peek(const struct lexer *l)
{
	return l->next < l->len ? (unsigned char)l->text[l->next] : -1;
}

/* A carriage return is a blank, so files with DOS line ends read as others do. The newline that
 * ends a comment stays: it ends the statement too. */
static void skip_blanks_and_comment(struct lexer *l)
{
	while (peek(l) == ' ' || peek(l) == '\t' || peek(l) == '\r' || peek(l) == '\f')
		l->next++;
	if (peek(l) != '#')
		return;
	while (peek(l) != '\n' && peek(l) != -1)
		l->next++;
}

static void bad(struct token *out, const char *why)
{
	out->kind = TOKEN_BAD;
	out->why = why;
}

/* A ';' is a newline to the parser and none to the counting of lines. */
static void lex_newline(struct lexer *l, struct token *out)
{
	out->kind = TOKEN_NEWLINE;
	if (l->text[l->next++] != '\n')
		return;
	l->line++;
	l->line_start = l->next;
}

/* Letters behind a number's digits are taken with it: "12ab" is one bad number, not two good
 * tokens. */
static void lex_word(struct lexer *l, struct token *out)
{
	while (l->next < l->len && is_word(l->text[l->next]))
		l->next++;
	out->len = (size_t)(l->text + l->next - out->at);
}

static void lex_number(struct lexer *l, struct token *out)
{
	unsigned base = 10;
	size_t i = 0;

	lex_word(l, out);
	out->kind = TOKEN_NUMBER;
	if (out->len > 2 && out->at[0] == '0' && (out->at[1] | 0x20) == 'x') {
		base = 16;
		i = 2;
	}
	for (; i < out->len; i++) {
		int digit = digit_value(out->at[i], base);
		if (digit < 0) {
			bad(out, "not a number");
			return;
		}
		/* Asked before the product is made: afterwards it would have wrapped. */
		if (out->number > (~0ull - (unsigned)digit) / base) {
			bad(out, "a number too large");
			return;
		}
		out->number = out->number * base + (unsigned)digit;
	}
}

/* A string ends on its own line; \x with two hexadecimal digits, and \ before any other character
 * than a letter or digit, or one of n t r, are escapes. Another letter is an error and does not
 * stand for itself: a misspelt escape should not end up in a file name. */
static bool good_escape(const struct lexer *l, size_t backslash)
{
	size_t i = backslash + 1;

	if (i >= l->len || l->text[i] == '\n')
		return false;
	if (l->text[i] == 'x')
		return i + 2 < l->len && digit_value(l->text[i + 1], 16) >= 0 &&
		       digit_value(l->text[i + 2], 16) >= 0;
	return !is_word(l->text[i]) || strchr("ntr", l->text[i]) != NULL;
}

/* The escapes are only checked here. They are undone by token_text, into the caller's memory: a
 * token is a view and owns nothing. A bad one is told when the string has ended, so that reading
 * goes on behind it. */
static void lex_string(struct lexer *l, struct token *out)
{
	char quote = l->text[l->next++];
	bool escapes_good = true;

	out->kind = TOKEN_STRING;
	out->at = l->text + l->next;
	while (peek(l) != quote) {
		if (peek(l) == -1 || peek(l) == '\n') {
			bad(out, "a string without its closing quote");
			return;
		}
		if (peek(l) == '\\') {
			escapes_good &= good_escape(l, l->next);
			/* The character behind a backslash is passed over, a quote above all; never
			 * the end of the line. */
			l->next += l->next + 1 < l->len && l->text[l->next + 1] != '\n';
		}
		l->next++;
	}
	out->len = (size_t)(l->text + l->next - out->at);
	l->next++;
	if (!escapes_good)
		bad(out, "a string with an unknown backslash escape");
}

/* Always eats the character, good or bad: lexer_next must move on with each call. */
static void lex_mark(struct lexer *l, struct token *out)
{
	static const struct {
		char c;
		enum token_kind kind;
	} marks[] = {
	    {'=', TOKEN_EQUALS}, {'[', TOKEN_OPEN}, {']', TOKEN_CLOSE}, {',', TOKEN_COMMA}};
	char c = l->text[l->next++];

	out->len = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
		if (c == marks[i].c) {
			out->kind = marks[i].kind;
			return;
		}
	}
	bad(out, "a character that has no meaning here");
}

/* The place of a token is that of its first character, taken before anything is read of it; a
 * string's is its quote. A byte outside ASCII is no name: it ends in lex_mark and is told. */
void lexer_next(struct lexer *l, struct token *out)
{
	int c;

	skip_blanks_and_comment(l);
	*out = (struct token){.line = l->line,
			      .column = (unsigned)(l->next - l->line_start) + 1,
			      .at = l->text + l->next};
	c = peek(l);
	if (c == -1) {
		out->kind = TOKEN_END;
	} else if (c == '\n' || c == ';') {
		lex_newline(l, out);
	} else if (is_name_start((char)c)) {
		out->kind = TOKEN_NAME;
		lex_word(l, out);
	} else if (is_digit((char)c)) {
		lex_number(l, out);
	} else if (c == '\'' || c == '"') {
		lex_string(l, out);
	} else {
		lex_mark(l, out);
	}
}

/* The character at *i of a string that lexer_next has accepted; moves *i behind it. No bounds are
 * tested here: good_escape has seen to it that an escape is whole. */
static char unescape(const struct token *t, size_t *i)
{
	char c = t->at[(*i)++];

	if (t->kind != TOKEN_STRING || c != '\\')
		return c;
	c = t->at[(*i)++];
	if (c == 'x') {
		*i += 2;
		return (char)(digit_value(t->at[*i - 2], 16) << 4 | digit_value(t->at[*i - 1], 16));
	}
	return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
}

/* No NUL can come out, though \x00 can be written: what follows it would silently be missing from a
 * path or a name. */
bool token_text(const struct token *t, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < t->len;) {
		char c = unescape(t, &i);

		if (c == 0 || n + 1 >= cap) {
			out[0] = 0;
			return false;
		}
		out[n++] = c;
	}
	out[n] = 0;
	return true;
}

/* Said of what stands there: "a number where '=' should be". */
const char *token_kind_name(enum token_kind kind)
{
	static const char *const names[] = {
	    [TOKEN_END] = "the end of the file",
	    [TOKEN_NEWLINE] = "the end of the line",
	    [TOKEN_NAME] = "a name",
	    [TOKEN_NUMBER] = "a number",
	    [TOKEN_STRING] = "a string",
	    [TOKEN_EQUALS] = "'='",
	    [TOKEN_OPEN] = "a list",
	    [TOKEN_CLOSE] = "']'",
	    [TOKEN_COMMA] = "','",
	    [TOKEN_BAD] = "an unreadable character",
	};

	return names[kind];
}
