/* text.c: the string helpers that the C library does not have.
 *
 * Linked into everything, host programs too (the functions with the C library's names are in
 * string.c, which host programs leave out). Pure; any context.
 */
#include <amphi/string.h>

/* A cut text is still a text: there is always a NUL within cap, unless cap is 0. */
bool str_copy(char *dst, size_t cap, const char *src)
{
	size_t len = strlen(src), n = len < cap ? len : cap - 1;

	if (!cap)
		return false;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return n == len;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The value of a digit in any base up to 16, or 16 for what is none. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* Strict on purpose: numbers come from command lines, store nodes of guests and domain files, and
 * "12abc", " 12" or 2^64 in one of them is a mistake or an attack. No octal: 010 is ten. */
bool str_to_u64(const char *s, uint64_t *out)
{
	unsigned base = 10;
	uint64_t value = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned digit = digit_value(*s);

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return true;
}
