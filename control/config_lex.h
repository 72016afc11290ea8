/* config_lex.h: the words of a domain file (xl.cfg(5)), private to control/.
 *
 * config_lex.c cuts the text into tokens; domain_config.c gives them meaning. Tokens are views into
 * the caller's text: nothing is copied until token_text. Pure; any context.
 */
#ifndef CONTROL_CONFIG_LEX_H
#define CONTROL_CONFIG_LEX_H

#include <amphi/types.h>

enum token_kind {
	TOKEN_END,
	TOKEN_NEWLINE, /* or ';' */
	TOKEN_NAME,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_EQUALS,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_BAD, /* why says what is wrong */
};

struct token {
	enum token_kind kind;
	unsigned line, column; /* from 1, of its first character */
	const char *at;        /* a string's text starts after its quote */
	size_t len;
	uint64_t number;
	const char *why;
};

struct lexer {
	const char *text;
	size_t len, next;
	unsigned line;
	size_t line_start;
};

void lexer_open(struct lexer *lexer, const char *text, size_t len);

/* The next token; TOKEN_END again and again at the end. Moves on after TOKEN_BAD too. */
void lexer_next(struct lexer *lexer, struct token *out);

/* Writes the text of a name, number or string with its escapes undone, and a NUL. False: it does
 * not fit into cap, or holds a NUL; out is then "". */
bool token_text(const struct token *token, char *out, size_t cap);

/* How to call it in a message: "a string", "']'". */
const char *token_kind_name(enum token_kind kind);

#endif
