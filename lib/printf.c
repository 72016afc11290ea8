/* printf.c: formatted text into a buffer; the contract is amphi/printf.h.
 *
 * One pass over the format: parse a conversion into struct spec, make its digits in a small
 * buffer, emit with padding. Used by every console, log line and store value, so it neither
 * allocates nor locks. An unknown conversion is printed as it stands, so a mistake is seen.
 */
#include <amphi/printf.h>
#include <amphi/string.h>
#include <amphi/types.h>

/* len counts on beyond cap, so that the caller can see that something was cut and by how much. */
struct sink {
	char *out;
	size_t cap, len;
};

/* One conversion: what stands between '%' and its letter. */
struct spec {
	bool left, zero;
	int width, precision; /* precision -1: none given */
	unsigned size_bytes;  /* of an integer argument */
};

/* len counts on beyond cap, and the last byte of out stays free for the NUL. */
static void put(struct sink *sink, char c)
{
	if (sink->len + 1 < sink->cap)
		sink->out[sink->len] = c;
	sink->len++;
}

/* Text is always padded with blanks: zeros are a number's own (put_number). */
static void put_padded(struct sink *sink, const struct spec *spec, const char *text, size_t len)
{
	size_t pad = spec->width > 0 && (size_t)spec->width > len ? (size_t)spec->width - len : 0;

	for (size_t i = 0; !spec->left && i < pad; i++)
		put(sink, ' ');
	for (size_t i = 0; i < len; i++)
		put(sink, text[i]);
	for (size_t i = 0; spec->left && i < pad; i++)
		put(sink, ' ');
}

/* Digits are made from the end of buf backwards. 64 bytes are more than the 20 digits of the
 * largest number; a precision beyond is cut to them. The 0 flag becomes a precision (C11 7.21.6.1):
 * the sign then stands before the zeros by itself. */
static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, char kind,
		       bool minus)
{
	char buf[64], *end = buf + sizeof(buf), *p = end;
	const char *digits = kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = kind == 'x' || kind == 'X' ? 16 : 10;
	long least = spec->precision >= 0 ? spec->precision : 1;

	if (spec->zero && !spec->left && spec->precision < 0)
		least = spec->width - minus;
	least = MIN(least, (long)sizeof(buf) - 2);
	for (; value; value /= base)
		*--p = digits[value % base];
	while (end - p < least)
		*--p = '0';
	if (minus)
		*--p = '-';
	put_padded(sink, spec, p, (size_t)(end - p));
}

/* Bounded, so that a long row of digits is a large width and no overflow. */
static const char *parse_count(const char *fmt, int *out, va_list *args)
{
	*out = 0;
	if (*fmt == '*') {
		*out = va_arg(*args, int);
		return fmt + 1;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		if (*out < 10000)
			*out = *out * 10 + (*fmt - '0');
	return fmt;
}

/* '#' is read and does nothing. l, ll and z are all eight bytes on this machine. */
static const char *parse_spec(const char *fmt, struct spec *spec, va_list *args)
{
	*spec = (struct spec){.precision = -1, .size_bytes = sizeof(int)};
	for (; *fmt == '-' || *fmt == '0' || *fmt == '#'; fmt++) {
		spec->left |= *fmt == '-';
		spec->zero |= *fmt == '0';
	}
	fmt = parse_count(fmt, &spec->width, args);
	if (spec->width < 0) {
		spec->left = true;
		spec->width = -spec->width;
	}
	if (*fmt == '.')
		fmt = parse_count(fmt + 1, &spec->precision, args);
	/* hh is the half of a half. */
	for (; *fmt == 'l' || *fmt == 'z' || *fmt == 'h'; fmt++)
		spec->size_bytes = *fmt == 'h' ? spec->size_bytes / 2 : sizeof(long);
	return fmt;
}

/* Arguments narrower than int come as int (C11 6.5.2.2) and are cut here, as h and hh ask for. */
static void put_signed(struct sink *sink, const struct spec *spec, va_list *args)
{
	int64_t v = spec->size_bytes == sizeof(long) ? va_arg(*args, long) : va_arg(*args, int);

	if (spec->size_bytes == 2)
		v = (int16_t)v;
	if (spec->size_bytes == 1)
		v = (int8_t)v;
	put_number(sink, spec, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 'd', v < 0);
}

/* 'p' and 'x' come here as well. What is narrower than int is cut as in put_signed. */
static void put_unsigned(struct sink *sink, const struct spec *spec, char kind, va_list *args)
{
	uint64_t v = spec->size_bytes == sizeof(long) ? va_arg(*args, unsigned long)
						      : va_arg(*args, unsigned);

	if (spec->size_bytes < sizeof(int))
		v &= (1u << (8 * spec->size_bytes)) - 1;
	put_number(sink, spec, v, kind, false);
}

/* NULL is printed in words: a message about a missing name should not be the next fault. */
static void put_string(struct sink *sink, const struct spec *spec, const char *s)
{
	s = s ? s : "(null)";
	put_padded(sink, spec, s,
		   spec->precision >= 0 ? strnlen(s, (size_t)spec->precision) : strlen(s));
}

/* No %n, no floating point: the kernel has no use for the one and no registers for the other. */
static void put_conversion(struct sink *sink, struct spec *spec, char kind, va_list *args)
{
	char c;

	switch (kind) {
	case 'd':
	case 'i':
		put_signed(sink, spec, args);
		return;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(sink, spec, kind, args);
		return;
	case 'p':
		spec->size_bytes = sizeof(long);
		put(sink, '0');
		put(sink, 'x');
		put_unsigned(sink, spec, 'x', args);
		return;
	case 'c':
		c = (char)va_arg(*args, int);
		put_padded(sink, spec, &c, 1);
		return;
	case 's':
		put_string(sink, spec, va_arg(*args, const char *));
		return;
	default:
		/* The argument of an unknown conversion is not taken: the rest of the line may be
		 * wrong, but is memory we were given. */
		if (kind != '%')
			put(sink, '%');
		put(sink, kind);
	}
}

/* The list is copied because one that is a parameter has no address to pass on (it is an array
 * there and a pointer here). A '%' at the very end is dropped. */
size_t fmt_vtext(char *out, size_t cap, const char *fmt, va_list args)
{
	struct sink sink = {out, cap, 0};
	va_list rest;

	va_copy(rest, args);
	while (*fmt) {
		struct spec spec;

		if (*fmt != '%') {
			put(&sink, *fmt++);
			continue;
		}
		fmt = parse_spec(fmt + 1, &spec, &rest);
		if (!*fmt)
			break;
		put_conversion(&sink, &spec, *fmt++, &rest);
	}
	va_end(rest);
	if (cap)
		out[MIN(sink.len, cap - 1)] = '\0';
	return sink.len;
}

/* A list made here is one of this function's own, so fmt_vtext may use it up. */
size_t fmt_text(char *out, size_t cap, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = fmt_vtext(out, cap, fmt, args);
	va_end(args);
	return len;
}
