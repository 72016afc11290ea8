/* guest_control_words.c: the words of control/shutdown and control/sysrq as tables.
 *
 * Pure: reads texts, calls nobody but string functions. Called by guest_control.c, a host test and a fuzzer.
 * Not here: what is done about a request.
 */
#include <amphi/string.h>
#include <amphi/types.h>

#include "guest_control_words.h"

/* xl writes poweroff, reboot and suspend. "halt" is what older tools call a power-off. */
static const struct {
	const char *word;
	enum control_request request;
} words[] = {
    {"", CONTROL_NOTHING},      {"poweroff", CONTROL_POWEROFF}, {"halt", CONTROL_POWEROFF},
    {"reboot", CONTROL_REBOOT}, {"suspend", CONTROL_SUSPEND},
};

enum control_request control_shutdown_word(const char *text)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(text, words[i].word))
			return words[i].request;
	return CONTROL_UNKNOWN;
}

/* The letters are those that Linux uses for the nearest thing. */
static const struct {
	char letter;
	const char *line;
} sysrqs[] = {
    {'b', "reboot"}, {'c', "crash"}, {'h', "help"}, {'m', "mem"}, {'o', "halt"}, {'t', "threads"},
};

const char *control_sysrq_line(const char *text)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sysrqs); i++)
		if (text[0] == sysrqs[i].letter && !text[1])
			return sysrqs[i].line;
	return NULL;
}

static const struct {
	const char *node;
	enum control_request request;
} features[] = {
    {"control/feature-poweroff", CONTROL_POWEROFF},
    {"control/feature-reboot", CONTROL_REBOOT},
    {"control/feature-suspend", CONTROL_SUSPEND},
};

const char *control_feature(unsigned i, enum control_request *out_request)
{
	if (i >= ARRAY_SIZE(features))
		return NULL;
	*out_request = features[i].request;
	return features[i].node;
}
