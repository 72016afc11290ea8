/* blktrace_fuzz: no text that a guest puts into the store as a traced request is read beyond its end, or taken for more
 * than it says.
 *
 * Shows: what is taken has its steps in order and only members within their ranges, and written again it is the same; a
 * wish for traces likewise. Why: the nodes are another domain's, and what is taken is counted with.
 *
 * links: protocol/blktrace.c lib/printf.c lib/text.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amphi/blktrace.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const char *text)
{
	struct blkfront_trace row, again;
	char written[BLKTRACE_TEXT_MAX];

	if (!blktrace_parse(text, &row))
		return;
	for (unsigned i = 1; i < BLKFRONT_STEPS; i++)
		if (row.at_ns[i] < row.at_ns[i - 1])
			abort();
	blktrace_text(&row, written);
	if (!blktrace_parse(written, &again) || again.vdev != row.vdev ||
	    again.number != row.number || again.op != row.op || again.status != row.status ||
	    again.sector != row.sector || again.bytes != row.bytes ||
	    memcmp(again.at_ns, row.at_ns, sizeof(row.at_ns)) != 0)
		abort();
}

static void check_wish(const char *text)
{
	unsigned vdev, every;

	if (!blktrace_asked(text, &vdev, &every))
		return;
	for (; *text; text++)
		if (*text != ' ' && (*text < '0' || *text > '9'))
			abort();
}

/* The text alone in its memory, so that a byte beyond it is seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_row(text);
	check_wish(text);
	free(text);
	return 0;
}
