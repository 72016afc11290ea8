/* iperf_json.c: the little JSON that iperf3 speaks, read and written.
 *
 * Contract: iperf.h. Caller: iperf.c. Pure. No parser: a key is looked for wherever it stands, which is enough for a peer that means well, and
 * wrong numbers of one that does not are only wrong numbers.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "iperf.h"

/* Behind "key": and blanks; NULL: there is no such key. */
static const char *find(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; (text = strchr(text, '"')); text++) {
		if (strncmp(text + 1, key, n) || text[n + 1] != '"')
			continue;
		for (text += n + 2; *text == ' ' || *text == '\t' || *text == '\n' || *text == ':';)
			text++;
		return text;
	}
	return NULL;
}

bool iperf_json_number(const char **text, const char *key, uint64_t *out)
{
	const char *p = find(*text, key);

	if (!p || *p < '0' || *p > '9')
		return false;
	for (*out = 0; *p >= '0' && *p <= '9'; p++)
		*out = *out * 10 + (uint64_t)(*p - '0');
	*text = p;
	return true;
}

bool iperf_json_is_true(const char *text, const char *key)
{
	const char *p = find(text, key);

	return p && str_starts(p, "true");
}

size_t iperf_json_params(char *out, size_t cap, const struct iperf_params *params)
{
	return fmt_text(out, cap,
			"{\"tcp\":true,\"omit\":0,\"time\":%u,\"num\":0,\"blockcount\":0,"
			"\"parallel\":%u,%s\"len\":131072,\"pacing_timer\":1000,"
			"\"client_version\":\"3.12\"}",
			params->seconds, params->streams,
			params->reverse ? "\"reverse\":true," : "");
}

/* iperf3 numbers its streams 1, 3, 4, 5, and looks for those numbers. */
size_t iperf_json_results(char *out, size_t cap, const uint64_t *bytes, unsigned streams,
			  uint64_t ns)
{
	unsigned long long ms = ns / 1000000;
	size_t n = fmt_text(out, cap,
			    "{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,"
			    "\"sender_has_retransmits\":0,\"streams\":[");

	for (unsigned i = 0; i < streams && n < cap; i++)
		n += fmt_text(out + n, cap - n,
			      "%s{\"id\":%u,\"bytes\":%llu,\"retransmits\":-1,\"jitter\":0,"
			      "\"errors\":0,\"packets\":0,\"start_time\":0,"
			      "\"end_time\":%llu.%03llu}",
			      i ? "," : "", i ? i + 2 : 1, (unsigned long long)bytes[i], ms / 1000,
			      ms % 1000);
	return n < cap ? n + fmt_text(out + n, cap - n, "]}") : n;
}
