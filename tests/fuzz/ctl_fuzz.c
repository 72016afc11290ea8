/* ctl_fuzz.c: no bytes at the control port lead the line reader or the parser out of their buffers, and
 * every line gets one reply, under its tag, with one ending.
 *
 * Shows: for any bytes a request's words lie in its line, words hold printable characters only, the tag
 * is one, and a refusal has a reason. Why: the other end of a serial line may be anything.
 *
 * links: control/ctl.c lib/error_name.c lib/printf.c lib/text.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/ctl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned newlines;

static void take(void *ctx, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		newlines += text[i] == '\n';
}

static void check_words(const struct ctl_request *r, const char *line, size_t len)
{
	for (int i = 0; i < r->argc; i++) {
		if (r->argv[i] < line || r->argv[i] + strlen(r->argv[i]) > line + len)
			abort();
		for (const char *c = r->argv[i]; *c; c++)
			if (*c <= ' ' || *c > '~')
				abort();
	}
	if (r->argc < 1 || r->argc > (int)CTL_WORDS_MAX || r->argv[r->argc])
		abort();
}

static void take_line(char *line)
{
	struct ctl_answer answer = {.err = 0};
	size_t len = strlen(line);
	struct ctl_request r;

	answer.err = ctl_parse(line, &r, answer.why);
	if (!answer.err)
		check_words(&r, line, len);
	if ((answer.err != 0) != (answer.why[0] != 0) || !r.tag[0])
		abort();
	newlines = 0;
	ctl_reply(r.tag, &answer, take, NULL);
	if (newlines != 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl_input *in = calloc(1, sizeof(*in));

	for (size_t i = 0; i < size; i++)
		if (ctl_input_byte(in, data[i]))
			take_line(in->line);
	free(in);
	return 0;
}
