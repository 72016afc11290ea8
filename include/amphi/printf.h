/* printf.h: formatted text for freestanding code.
 *
 * Understands %d %i %u %x %X %p %c %s %% with flags - 0, width, precision (a number or *), and
 * the lengths hh h l ll z. Never writes beyond cap, always ends with NUL when cap > 0, and
 * returns the length the whole text would have had. Any context; no state.
 */
#ifndef AMPHI_PRINTF_H
#define AMPHI_PRINTF_H

#include <stdarg.h>
#include <stddef.h>

size_t fmt_vtext(char *out, size_t cap, const char *fmt, va_list args);
size_t fmt_text(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
