/* iperf_json.c: the little JSON that iperf3 speaks, read and written.
 *
 * Contract: iperf.h. Caller: iperf.c. Pure. No parser: a key is looked for wherever it stands, which is enough for a peer that means well, and
 * wrong numbers of one that does not are only wrong numbers.
 */
#include <amphi/printf.h>
#include <amphi/string.h>

#include "iperf.h"

#define ULL(x) ((unsigned long long)(x))

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

/* Digits with a point among them or not, times ten to the power of places that is behind: in 10^-9. A number that is too long is wrong. */
static uint64_t nano(const char *p)
{
	uint64_t digits = 0;
	int places = 9, exponent = 0;
	bool point = false, minus;

	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
		if (*p == '.') {
			point = true;
		} else if (digits < UINT64_MAX / 20) {
			digits = digits * 10 + (uint64_t)(*p - '0');
			places -= point;
		} else {
			places += !point;
		}
	}
	if (*p == 'e' || *p == 'E') {
		minus = p[1] == '-';
		for (p += p[1] == '-' || p[1] == '+' ? 2 : 1;
		     *p >= '0' && *p <= '9' && exponent < 99; p++)
			exponent = exponent * 10 + (*p - '0');
		places += minus ? -exponent : exponent;
	}
	for (; places > 0 && digits <= UINT64_MAX / 10; places--)
		digits *= 10;
	for (; places < 0 && digits; places++)
		digits /= 10;
	return digits;
}

bool iperf_json_seconds(const char **text, const char *key, uint64_t *out_ns)
{
	const char *p = find(*text, key);

	if (!p || *p < '0' || *p > '9')
		return false;
	*out_ns = nano(p);
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
	size_t n = fmt_text(out, cap,
			    "{\"%s\":true,\"omit\":0,\"time\":%u,\"num\":0,\"blockcount\":0,"
			    "\"parallel\":%u,%s\"len\":%u,\"pacing_timer\":1000,",
			    params->udp ? "udp" : "tcp", params->seconds, params->streams,
			    params->reverse ? "\"reverse\":true," : "",
			    params->udp ? params->packet_bytes : 131072);

	if (params->udp && n < cap)
		n += fmt_text(out + n, cap - n, "\"bandwidth\":%llu,\"udp_counters_64bit\":1,",
			      (unsigned long long)params->rate_bit_s);
	return n < cap ? n + fmt_text(out + n, cap - n, "\"client_version\":\"3.12\"}") : n;
}

/* iperf3 numbers its streams 1, 3, 4, 5, and looks for those numbers. */
size_t iperf_json_results(char *out, size_t cap, const struct iperf_stream_result *results,
			  unsigned streams, uint64_t ns)
{
	unsigned long long ms = ns / 1000000;
	const struct iperf_stream_result *r;
	size_t n = fmt_text(out, cap,
			    "{\"cpu_util_total\":0,\"cpu_util_user\":0,\"cpu_util_system\":0,"
			    "\"sender_has_retransmits\":0,\"streams\":[");

	for (unsigned i = 0; i < streams && n < cap; i++) {
		r = &results[i];
		n += fmt_text(out + n, cap - n,
			      "%s{\"id\":%u,\"bytes\":%llu,\"retransmits\":-1,"
			      "\"jitter\":%llu.%09llu,\"errors\":%llu,\"packets\":%llu,"
			      "\"start_time\":0,\"end_time\":%llu.%03llu}",
			      i ? "," : "", i ? i + 2 : 1, ULL(r->bytes),
			      ULL(r->jitter_ns / 1000000000), ULL(r->jitter_ns % 1000000000),
			      ULL(r->lost), ULL(r->packets), ms / 1000, ms % 1000);
	}
	return n < cap ? n + fmt_text(out + n, cap - n, "]}") : n;
}
