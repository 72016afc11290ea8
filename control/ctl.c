/* ctl.c: the control port's lines: bytes to lines, lines to requests, answers to replies.
 *
 * The protocol is told in amphi/ctl.h. The other end is a program of the host and is trusted with the
 * commands, not with their form: whatever the bytes are, the worst is a refusal. Pure. Callers:
 * kernel/service_session.c, tests, a fuzzer. Calls printf.h, string.h.
 */
#include <amphi/ctl.h>
#include <amphi/error_name.h>
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/xen.h>

/* ---- lines from bytes ------------------------------------------------------------------- */

/* Collecting begins anew behind a line that was given. */
bool ctl_input_byte(struct ctl_input *in, uint8_t byte)
{
	if (byte == CTL_BYTE_RESET) {
		in->len = 0;
		in->too_long = false;
		return false;
	}
	if (byte == '\n') {
		if (in->len && in->line[in->len - 1] == '\r')
			in->len--;
		in->line[in->len] = 0;
		in->len = 0;
		return in->line[0] || in->too_long;
	}
	if (in->len == 0)
		in->too_long = false; /* that of the line before */
	if (in->len < sizeof(in->line) - 1)
		in->line[in->len++] = (char)byte;
	else
		in->too_long = true;
	return false;
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool is_tag_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The tag at the line's beginning; NULL when there is none, else what follows it. */
static char *take_tag(char *line, char *tag)
{
	size_t n = 0;

	while (n < CTL_TAG_MAX - 1 && is_tag_char(line[n])) {
		tag[n] = line[n];
		n++;
	}
	tag[n] = 0;
	if (n && (line[n] == ' ' || !line[n]))
		return line + n;
	(void)str_copy(tag, CTL_TAG_MAX, "?");
	return NULL;
}

/* Words are parted by blanks and have no other form: no name or number holds a blank. */
static int cut_words(char *s, struct ctl_request *out)
{
	for (;;) { /* each round eats a word */
		while (*s == ' ')
			*s++ = 0;
		if (!*s)
			break;
		if (out->argc == (int)CTL_WORDS_MAX)
			return -XEN_E2BIG;
		out->argv[out->argc++] = s;
		while (*s && *s != ' ')
			s++;
	}
	out->argv[out->argc] = NULL;
	return 0;
}

static bool is_printable(const char *s)
{
	while (*s >= ' ' && *s <= '~')
		s++;
	return !*s;
}

static int refuse(int err, char *why, const char *text)
{
	(void)str_copy(why, CTL_WHY_MAX, text);
	return err;
}

int ctl_parse(char *line, struct ctl_request *out, char *why)
{
	char *rest;

	memset(out, 0, sizeof(*out));
	why[0] = 0;
	rest = take_tag(line, out->tag);
	if (!rest)
		return refuse(-XEN_EINVAL, why, "a line begins with a tag of letters and digits");
	if (!is_printable(rest))
		return refuse(-XEN_EINVAL, why, "a line may hold printable ASCII only");
	if (cut_words(rest, out))
		return refuse(-XEN_E2BIG, why, "too many words");
	if (!out->argc)
		return refuse(-XEN_EINVAL, why, "no command; try help");
	return 0;
}

/* ---- replies -------------------------------------------------------------------------------- */

/* An answer that was refused may have lines as well: what was known by then. */
void ctl_reply(const char *tag, const struct ctl_answer *answer,
	       void (*write)(void *ctx, const char *text, size_t len), void *ctx)
{
	char end[CTL_TAG_MAX + CTL_WHY_MAX + 64];
	size_t at = 0, len;

	while (at < answer->len) { /* each round eats a line */
		len = 0;
		while (answer->text[at + len] != '\n')
			len++;
		write(ctx, tag, strlen(tag));
		write(ctx, "> ", 2);
		write(ctx, answer->text + at, len + 1);
		at += len + 1;
	}
	if (answer->err)
		fmt_text(end, sizeof(end), "%s! %s %s\n", tag, error_name(answer->err),
			 answer->why);
	else
		fmt_text(end, sizeof(end), "%s.\n", tag);
	write(ctx, end, strlen(end));
}
