/* json.c: reads a JSON text from front to back, with a stack of the objects and arrays around.
 *
 * One value is one turn of a loop: no recursion, as the depth is the text's. The place of a value is kept as
 * one text that grows and shrinks with the stack. Caller: restore_config.c. Calls string.h.
 */
#include <amphi/string.h>
#include <amphi/types.h>
#include <amphi/xen.h>

#include "json.h"

struct level {
	bool array;
	size_t path_len; /* of the path around it */
	unsigned count;
};

struct reader {
	const char *at, *begin, *end;
	char path[JSON_PATH_MAX];
	size_t path_len;
	char text[JSON_TEXT_MAX];
	struct level levels[JSON_DEPTH_MAX];
	unsigned depth;
	int (*fn)(void *ctx, const struct json_value *v);
	void *ctx;
};

/* 0 at the end of the text, which no token begins with. */
static char look(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
	return r->at < r->end ? *r->at : 0;
}

static bool take(struct reader *r, char c)
{
	if (look(r) != c)
		return false;
	r->at++;
	return true;
}

/* ---- texts ------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind the backslash; the character, or 0: none that is allowed. */
static char escape(struct reader *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = r->at < r->end ? *r->at++ : 0;
	const char *known = c ? strchr(from, c) : NULL;
	int value = 0;

	if (known)
		return to[known - from];
	if (c != 'u' || r->end - r->at < 4)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		int digit = hex_digit(*r->at++);

		if (digit < 0)
			return 0;
		value = value << 4 | digit;
	}
	return value < 0x80 ? (char)value : 0;
}

/* Into r->text; a NUL inside would cut it for whoever uses it, so there may be none. */
static bool take_string(struct reader *r)
{
	size_t n = 0;

	if (!take(r, '"'))
		return false;
	while (r->at < r->end && *r->at != '"' && n < sizeof(r->text) - 1) {
		char c = *r->at++;

		if (c == '\\')
			c = escape(r);
		if (!c)
			return false;
		r->text[n++] = c;
	}
	r->text[n] = 0;
	return r->at < r->end && *r->at++ == '"';
}

static bool is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E';
}

/* A number, true, false or null; which of them it may be is for who wants it. */
static bool take_word(struct reader *r)
{
	size_t n = 0;

	while (r->at < r->end && is_word_char(*r->at) && n < sizeof(r->text) - 1)
		r->text[n++] = *r->at++;
	r->text[n] = 0;
	return n > 0;
}

/* ---- places ------------------------------------------------------------------------------------ */

static bool path_add(struct reader *r, const char *text)
{
	size_t len = strlen(text);

	if (len >= sizeof(r->path) - r->path_len)
		return false;
	memcpy(r->path + r->path_len, text, len + 1);
	r->path_len += len;
	return true;
}

static void path_cut(struct reader *r, size_t len)
{
	r->path_len = len;
	r->path[len] = 0;
}

/* An array inside an array of objects does not count. */
static unsigned outer_index(const struct reader *r)
{
	for (unsigned i = 0; i < r->depth; i++)
		if (r->levels[i].array)
			return r->levels[i].count - 1;
	return 0;
}

static bool enter(struct reader *r, bool array)
{
	if (r->depth == JSON_DEPTH_MAX || (array && !path_add(r, "[]")))
		return false;
	r->levels[r->depth++] = (struct level){.array = array, .path_len = r->path_len};
	return true;
}

/* ---- the document ------------------------------------------------------------------------------ */

/* In front of each value but the first of all: the comma, and in an object the key. */
static bool take_key(struct reader *r, struct level *l)
{
	path_cut(r, l->path_len);
	if (l->count++ && !take(r, ','))
		return false;
	if (l->array)
		return true;
	if (!take_string(r) || (r->path_len && !path_add(r, ".")))
		return false;
	return path_add(r, r->text) && take(r, ':');
}

/* True: it was an end. The place is then that of what has ended. */
static bool take_end(struct reader *r)
{
	const struct level *l = &r->levels[r->depth - 1];

	if (!take(r, l->array ? ']' : '}'))
		return false;
	path_cut(r, l->path_len);
	r->depth--;
	return true;
}

static int take_value(struct reader *r)
{
	struct json_value v = {.path = r->path, .index = outer_index(r), .text = r->text};
	char c = look(r);

	if (c == '{' || c == '[') {
		r->at++;
		return enter(r, c == '[') ? 0 : -XEN_EINVAL;
	}
	v.is_string = c == '"';
	if (!(v.is_string ? take_string(r) : take_word(r)))
		return -XEN_EINVAL;
	return r->fn(r->ctx, &v);
}

/* Something is open all the time: the document's own object or array. */
static int read_all(struct reader *r)
{
	int err = take_value(r);

	while (!err && r->depth) { /* each round eats a bracket or a value */
		struct level *l = &r->levels[r->depth - 1];

		if (take_end(r))
			continue;
		err = take_key(r, l) ? take_value(r) : -XEN_EINVAL;
	}
	return err || !look(r) ? err : -XEN_EINVAL;
}

int json_read(const char *text, size_t len, int (*fn)(void *ctx, const struct json_value *v),
	      void *ctx, size_t *out_at)
{
	struct reader r = {.at = text, .begin = text, .end = text + len, .fn = fn, .ctx = ctx};
	int err = read_all(&r);

	*out_at = (size_t)(r.at - r.begin);
	return err;
}
