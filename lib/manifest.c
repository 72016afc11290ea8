/* manifest.c: reads and writes the lines by which the host tool tells the service domain what the
 * boot archive holds (the form is described in amphi/manifest.h).
 *
 * Pure, no allocation; what is read is not trusted beyond its own line. Callers: kernel/service_archive.c
 * reads, the host tool writes. Calls: string.h.
 */
#include <amphi/manifest.h>
#include <amphi/string.h>
#include <amphi/xen.h>

/* One row a kind: the word, and what stands before the value. The prefix leaves room for other ways
 * to name a disk than by its serial number. */
static const struct {
	const char *word, *prefix;
} kinds[] = {
    [MANIFEST_DOMAIN] = {"domain", ""},
    [MANIFEST_SPARE] = {"spare", ""},
    [MANIFEST_FILE] = {"file", ""},
    [MANIFEST_DISK] = {"disk", "serial="},
};

void manifest_open(struct manifest_reader *reader, const char *text, size_t len)
{
	*reader = (struct manifest_reader){.text = text, .len = len};
}

/* A piece of the text that is being read. */
struct span {
	const char *at, *end;
};

/* The last line may lack its newline. next then points behind the end, which the first test takes
 * for it. */
static bool take_line(struct manifest_reader *r, struct span *out)
{
	size_t start = r->next, end = start;

	if (start >= r->len)
		return false;
	while (end < r->len && r->text[end] != '\n')
		end++;
	r->next = end + 1;
	r->line++;
	*out = (struct span){r->text + start, r->text + end};
	return true;
}

/* Cuts the next field off the line: what is before the next blank. Blanks part fields one by one,
 * so an empty field is seen as such and refused by who needs it. */
static struct span take_field(struct span *line)
{
	struct span field = {line->at, line->at};

	while (field.end < line->end && *field.end != ' ')
		field.end++;
	line->at = field.end < line->end ? field.end + 1 : field.end;
	return field;
}

/* Spans have no NUL, so the length is asked before bytes are compared. */
static bool skip_prefix(struct span *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if ((size_t)(s->end - s->at) < len || memcmp(s->at, prefix, len) != 0)
		return false;
	s->at += len;
	return true;
}

/* The whole word: "disks" is not "disk". */
static bool find_kind(struct span word, enum manifest_kind *out)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct span rest = word;

		if (skip_prefix(&rest, kinds[k].word) && rest.at == rest.end) {
			*out = (enum manifest_kind)k;
			return true;
		}
	}
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a field, unescaped; -1 on a bad escape or an escaped NUL. An escaped NUL would
 * end the string early in every use of it. */
static int take_char(struct span *s)
{
	int hi, lo;

	if (*s->at != '%')
		return (unsigned char)*s->at++;
	if (s->end - s->at < 3)
		return -1;
	hi = hex_digit(s->at[1]), lo = hex_digit(s->at[2]);
	s->at += 3;
	return hi < 0 || lo < 0 || (hi | lo) == 0 ? -1 : hi << 4 | lo;
}

/* Unescapes a whole field into a buffer of MANIFEST_FIELD_MAX; an empty one is refused. */
static bool unescape(struct span field, char *out)
{
	size_t n = 0;

	while (field.at < field.end) {
		int c = take_char(&field);

		if (c <= 0 || n + 1 >= MANIFEST_FIELD_MAX)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return n > 0;
}

/* line.at != line.end: a fourth field. Values of a later form shall not be half understood. */
static int parse_line(struct span line, struct manifest_line *out)
{
	struct span word = take_field(&line), key = take_field(&line), value = take_field(&line);

	if (line.at != line.end || !find_kind(word, &out->kind) ||
	    !skip_prefix(&value, kinds[out->kind].prefix) || !unescape(key, out->key) ||
	    !unescape(value, out->value))
		return -XEN_EINVAL;
	return 1;
}

/* Blank lines and comments are passed over. A bad line gives an error and reading may go on behind
 * it. */
int manifest_next(struct manifest_reader *reader, struct manifest_line *out)
{
	struct span line;

	while (take_line(reader, &line)) { /* each step eats a line */
		out->line = reader->line;
		if (line.at < line.end && *line.at != '#')
			return parse_line(line, out);
	}
	return 0;
}

/* Bad lines do not hide good ones; whoever walks the whole reports them. A value that does not fit
 * is as good as none. */
int manifest_find(const char *text, size_t len, enum manifest_kind kind, const char *key, char *out,
		  size_t cap)
{
	struct manifest_reader reader;
	struct manifest_line line;
	int got;

	manifest_open(&reader, text, len);
	while ((got = manifest_next(&reader, &line)) != 0) {
		if (got == 1 && line.kind == kind && strcmp(line.key, key) == 0)
			return str_copy(out, cap, line.value) ? 0 : -XEN_ENOENT;
	}
	return -XEN_ENOENT;
}

/* ---- writing ------------------------------------------------------------------------ */

struct sink {
	char *out;
	size_t cap, len;
};

/* Counts on when full, as snprintf does: the caller learns the length that would have been. */
static void put_char(struct sink *s, char c)
{
	if (s->len < s->cap)
		s->out[s->len] = c;
	s->len++;
}

static void put_plain(struct sink *s, const char *text)
{
	for (; *text; text++)
		put_char(s, *text);
}

/* Bytes above 0x7f stay: names in UTF-8 are readable in the archive. */
static void put_escaped(struct sink *s, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c > ' ' && c != '%' && c != 0x7f) {
			put_char(s, *text);
			continue;
		}
		put_char(s, '%');
		put_char(s, hex[c >> 4]);
		put_char(s, hex[c & 15]);
	}
}

size_t manifest_format(char *out, size_t cap, enum manifest_kind kind, const char *key,
		       const char *value)
{
	struct sink s = {out, cap, 0};

	put_plain(&s, kinds[kind].word);
	put_char(&s, ' ');
	put_escaped(&s, key);
	put_char(&s, ' ');
	put_plain(&s, kinds[kind].prefix);
	put_escaped(&s, value);
	put_char(&s, '\n');
	if (s.len < cap)
		out[s.len] = 0;
	return s.len;
}
