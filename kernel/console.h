/* console.h: the kernel's words out and the user's keys in.
 *
 * Callers: everyone in kernel/. Output goes to one *sink* (serial port, Xen's console ring,
 * Xen's console_io) and is complete when the call returns, in any context, so a panic can be
 * read. Input is polled or woken by the sink's interrupt and goes to the shell, or to one other
 * taker (the service domain's console switch). Not a terminal: no cursor, no history.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };

/* ---- output: any context ------------------------------------------------------------ */

/* Text as it is; "\n" becomes "\r\n" where the sink wants it. */
void console_write(const char *text, size_t len);
/* Ends the line that a prompt has left open, so that what follows begins one. Any context. */
void console_break_line(void);
void console_vprintf(const char *fmt, va_list args);
void console_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One log line; fmt ends without a newline. Lines below the level of loglevel= are left out. */
void klog(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void klog_v(enum log_level level, const char *fmt, va_list args);
void klog_set_level(enum log_level least);

/* While muted, console_write and the log are dropped; console_write_raw never is. A panic ends
 * the muting. For the console switch, while another domain has the terminal. */
void console_mute(bool muted);
void console_write_raw(const char *text, size_t len);

/* Waits, for a while at most, until the other end has taken all output: before a shutdown. */
void console_drain(void);

/* ---- input: thread context ---------------------------------------------------------- */

/* [waits] the next byte for the shell. */
uint8_t console_read_byte(void);

/* Takes all input: fn is called with each byte in the worker context instead of the shell's
 * getting it. NULL gives it back to the shell. */
typedef void console_input_fn(void *ctx, uint8_t byte);
void console_take_input(console_input_fn *fn, void *ctx);

/* While fn is not NULL, Ctrl-C meant for the shell calls it, in any context with interrupts off, and is not
 * given to the shell. */
void console_on_ctrl_c(void (*fn)(void));

/* Gives a byte to the shell as if it had been typed. Any context; dropped when 256 are waiting. */
void console_feed_shell(uint8_t byte);

/* ---- sinks -------------------------------------------------------------------------- */

struct console_sink {
	const char *name;
	/* All of it, waiting for room by polling when there must; any context. */
	void (*write)(const char *text, size_t len);
	/* Up to cap bytes that are there; 0: none. Interrupts off. */
	size_t (*read)(uint8_t *out, size_t cap);
	/* Whether a terminal hangs behind it that wants "\r\n". */
	bool wants_cr;
};

/* Picks the platform's sink for output. First thing in kmain, interrupts off. */
void console_early_init(void);
/* Binds the input's interrupt or event, so that reading works. After time_init. */
void console_init(void);
/* In a new world after a suspend: the sink goes on where it was. Interrupts off. */
void console_resume(void);
/* From a sink's interrupt: there may be input. Any context. */
void console_input_ready(void);

#endif
