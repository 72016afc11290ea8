/* guest_control_fuzz.c: no text in control/shutdown or control/sysrq is read beyond its end, or taken for more than
 * it says.
 *
 * Shows: any text gives one of the requests, a known one only when it is a known word to the letter; a line for the
 * shell only for one letter. Why: the nodes are written by another domain.
 *
 * links: kernel/guest_control_words.c lib/text.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/guest_control_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *spelling(enum control_request request, const char *text)
{
	switch (request) {
	case CONTROL_NOTHING:
		return "";
	case CONTROL_POWEROFF:
		return text[0] == 'h' ? "halt" : "poweroff";
	case CONTROL_REBOOT:
		return "reboot";
	case CONTROL_SUSPEND:
		return "suspend";
	default:
		return NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	enum control_request request;
	const char *want, *line;

	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	request = control_shutdown_word(text);
	want = spelling(request, text);
	if (request > CONTROL_UNKNOWN || (want && strcmp(want, text)))
		abort();
	line = control_sysrq_line(text);
	if (line && (strlen(text) != 1 || !strlen(line)))
		abort();
	free(text);
	return 0;
}
