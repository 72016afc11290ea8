/* string.h: memory and string functions for freestanding code.
 *
 * The prototypes are the C library's own, so that host programs link against the C library and
 * the kernel and hypervisor against lib/string.c. str_* are ours; none of them allocates.
 */
#ifndef AMPHI_STRING_H
#define AMPHI_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* Copies src with its NUL into dst[cap]; cuts and returns false when it does not fit. */
bool str_copy(char *dst, size_t cap, const char *src);

/* Whether s begins with prefix. */
bool str_starts(const char *s, const char *prefix);

/* Reads an unsigned number (decimal, or hexadecimal after 0x) that is the whole of s.
 * Returns false on an empty string, another character, or overflow of 64 bits. */
bool str_to_u64(const char *s, uint64_t *out);

#endif
