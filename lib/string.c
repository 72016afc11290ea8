/* string.c: the memory and string functions of the freestanding programs.
 *
 * The kernel and the hypervisor link this; host programs have the C library's. The compiler calls
 * memcpy, memmove, memset and memcmp on its own account, and turns loops that copy or fill into such
 * calls: so these use the string instructions, which are also the shortest code and, on processors
 * with ERMS, the fastest for the sizes we move. It knows no such loop for memcmp.
 */
#include <amphi/string.h>

/* dst may also lie below an overlapping src: both loops go upwards, and memmove relies on it. */
void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8, rest = n % 8;

	/* Eight bytes an iteration: under an instruction-counting emulator each iteration counts. */
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(rest)::"memory");
	return dst;
}

/* The other direction is rare and short, so bytes will do. An interrupt may come while the
 * direction flag is set: every entry of the kernel and the hypervisor clears it, and iret brings it
 * back. */
void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	d += n - 1;
	s += n - 1;
	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory", "cc");
	return dst;
}

void *memset(void *dst, int byte, size_t n)
{
	void *d = dst;
	uint64_t pattern = 0x0101010101010101ull * (uint8_t)byte;
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
	return dst;
}

/* What is equal goes by in words; where they differ is found byte by byte. */
int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint64_t v, w;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		__builtin_memcpy(&v, x, sizeof(v));
		__builtin_memcpy(&w, y, sizeof(w));
		if (v != w)
			break;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

/* n counts what is left, so 0 means that all n were equal. */
int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; n--)
		a++, b++;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

/* A NUL asked for is found at the end, as C has it. The cast takes const away, which the prototype
 * wants. */
char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}
