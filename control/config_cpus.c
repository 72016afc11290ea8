/* config_cpus.c: `cpus` of a domain file: the processors that vCPUs may run on.
 *
 * As xl.cfg(5) has it: a text is for every vCPU, an element of a list for the vCPU of its place, and
 * those behind the list's end run anywhere. Not the pinning itself (domain_builder.c), nor whether
 * the machine has such processors. Pure. Caller: domain_config.c. Calls: config_lex.h, string.h.
 */
#include <amphi/string.h>

#include "config_parse.h"

#define SPEC_MAX 128u
#define ALL_CPUS (~0ull)

/* A number at *s, which moves behind it. Up to three digits, so that nothing can overflow. */
static bool take_number(const char **s, unsigned *out)
{
	unsigned n = 0, digits = 0;

	for (; **s >= '0' && **s <= '9' && digits < 3; (*s)++, digits++)
		n = n * 10 + (unsigned)(**s - '0');
	*out = n;
	return digits > 0 && n < CONFIG_MAX_CPUS;
}

/* The bits first..last, both of them below 64. */
static uint64_t range(unsigned first, unsigned last)
{
	return (ALL_CPUS >> (63 - last)) & (ALL_CPUS << first);
}

/* One part of a list: "all", "N", "N-M", the last two with '^' for "without". */
static bool take_part(const char **s, uint64_t *cpus)
{
	bool without = **s == '^';
	unsigned first, last;

	if (!strncmp(*s, "all", 3)) {
		*s += 3;
		*cpus = ALL_CPUS;
		return true;
	}
	*s += without;
	if (!take_number(s, &first))
		return false;
	last = first;
	if (**s == '-') {
		(*s)++;
		if (!take_number(s, &last) || last < first)
			return false;
	}
	if (without)
		*cpus &= ~range(first, last);
	else
		*cpus |= range(first, last);
	return true;
}

/* Parts are taken in their order, so "0-3,^1" is 0, 2 and 3, and "^1,0-3" is all four. */
static bool parse(const char *s, uint64_t *out)
{
	*out = 0;
	for (;;) { /* each round eats a part */
		if (!take_part(&s, out))
			return false;
		if (!*s)
			return *out != 0;
		if (*s++ != ',')
			return false;
	}
}

/* A number may stand alone, as a text of one. */
static bool read_cpus(const struct token *v, uint64_t *out)
{
	char text[SPEC_MAX];

	if (v->kind != TOKEN_NUMBER)
		return token_text(v, text, sizeof(text)) && parse(text, out);
	if (v->number >= CONFIG_MAX_CPUS)
		return false;
	*out = 1ull << v->number;
	return true;
}

/* "any" is kept as no bits at all, which also is what an unpinned vCPU has. */
void config_set_cpus(struct config_parser *p, const struct token *v)
{
	unsigned first = p->in_list ? p->n_cpus++ : 0;
	unsigned end = p->in_list ? first + 1 : CONFIG_MAX_VCPUS;
	uint64_t cpus;

	if (!read_cpus(v, &cpus)) {
		config_error(p, v,
			     "cpus wants processors from 0 to %u as in \"0-3,^1\", or \"all\"",
			     CONFIG_MAX_CPUS - 1);
		return;
	}
	for (unsigned i = first; i < MIN(end, CONFIG_MAX_VCPUS); i++)
		p->out->cpus[i] = cpus == ALL_CPUS ? 0 : cpus;
}
