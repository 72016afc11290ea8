/* console.c: output: text, formatted text and log lines, to the one sink.
 *
 * Callers: everyone in the kernel, from any context. Calls the sink (console_sinks.h); on a bare machine the screen is
 * a second one, which shows what the serial port says. Each call's
 * text is written with interrupts off, so lines of handlers and threads do not mix and a
 * sink needs no lock. Before a sink was picked the first word picks it, so that boot code can
 * panic.
 */
#include <amphi/error_name.h>
#include <amphi/printf.h>
#include <amphi/pvops.h>
#include <amphi/string.h>
#include "boot.h"
#include "cmdline.h"
#include "console.h"
#include "console_input.h"
#include "console_sinks.h"
#include "time.h"

#define LINE_MAX 512u

/*   klog, console_printf, console_write --(muted: dropped)--> CR before LF where wanted --.
 *                                                                                         +--> sink
 *   console_write_raw (a guest's bytes, passed through) ---------------------------------'
 */
static const struct console_port *port;
/* Shows the same; NULL: nothing does. */
static const struct console_port *mirror;
static enum log_level least_level = LOG_INFO;
static bool muted;
/* The last text ended within a line: a prompt, as a rule. Echo is not seen here, which costs at most
 * an empty line. */
static bool line_open;

/* By platform first: what a PV domain may touch is not what a bare machine has. The ring is read by
 * a toolstack's console daemon; a first domain has none and speaks on the hypervisor's line. */
static const struct console_port *pick(enum console_choice choice)
{
	if (!boot_on_xen())
		return choice == CONSOLE_SCREEN ? &console_screen : &console_serial;
	if (choice == CONSOLE_SERIAL && boot.privileged)
		return &console_serial;
	if (boot.console_page && choice != CONSOLE_HYPERVISOR)
		return &console_ring;
	return &console_hypervisor;
}

/* A bare machine's screen shows what the serial port says; without a serial port it is all there is. */
static void add_screen(void)
{
	if (boot_on_xen() || port == &console_screen || !console_screen.start())
		return;
	if (port)
		mirror = &console_screen;
	else
		port = &console_screen;
}

/* Before the command line is read, so that what is wrong with it can be said. */
void console_early_init(void)
{
	port = pick(CONSOLE_AUTO);
	if (!port->start())
		port = NULL;
	add_screen();
}

/* One that does not start leaves the early one: a console in the wrong place beats none. */
static void choose(const struct console_port *wanted)
{
	if (wanted != port && wanted->start())
		port = wanted;
	if (port == mirror || cmdline.console == CONSOLE_SERIAL)
		mirror = NULL;
}

void console_init(void)
{
	int error;

	choose(pick(cmdline.console));
	if (!port)
		return;
	if (mirror)
		(void)mirror->listen();
	console_input_init(&port->sink);
	error = port->listen();
	if (error)
		klog(LOG_WARN, "console %s: no input: %s", port->sink.name, error_name(error));
}

static void emit(const char *text, size_t len)
{
	port->sink.write(text, len);
	if (mirror)
		mirror->sink.write(text, len);
}

/* Not muted: it is what the terminal's present owner says. */
void console_write_raw(const char *text, size_t len)
{
	uint64_t flags;

	if (!port)
		console_early_init();
	if (!port)
		return;
	flags = irq_save();
	emit(text, len);
	irq_restore(flags);
}

/* In few pieces: to a ring each is a notification. */
static void write_with_cr(const char *text, size_t len)
{
	char out[LINE_MAX];
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (n + 2 > sizeof(out)) {
			emit(out, n);
			n = 0;
		}
		if (text[i] == '\n')
			out[n++] = '\r';
		out[n++] = text[i];
	}
	emit(out, n);
}

void console_write(const char *text, size_t len)
{
	uint64_t flags;

	if (muted || !len)
		return;
	if (!port)
		console_early_init();
	if (!port)
		return;
	line_open = text[len - 1] != '\n';
	if (!port->sink.wants_cr) {
		console_write_raw(text, len);
		return;
	}
	flags = irq_save();
	write_with_cr(text, len);
	irq_restore(flags);
}

/* Before an end, when what is still in a ring would be lost with us. */
void console_drain(void)
{
	if (port && port->drain)
		port->drain();
}

void console_resume(void)
{
	if (port && port->resume)
		port->resume();
}

/* Drops and does not keep: the service domain's words would come out in the middle of a guest's
 * screen sooner or later. panic() lifts it. */
void console_mute(bool on)
{
	muted = on;
}

/* Reports ("@...") and lines with a name or time before them ("[...") are told apart by their first
 * character, so they do not begin behind a prompt. */
static size_t break_line(char *text, char first)
{
	text[0] = '\n';
	return line_open && (first == '@' || first == '[');
}

void console_break_line(void)
{
	if (line_open)
		console_write("\n", 1);
}

/* A line longer than LINE_MAX is cut, silently: lines of this length are nobody's. */
void console_vprintf(const char *fmt, va_list args)
{
	char text[LINE_MAX];
	size_t len = break_line(text, fmt[0]);

	len += fmt_vtext(text + len, sizeof(text) - len, fmt, args);
	console_write(text, MIN(len, sizeof(text) - 1));
}

void console_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	console_vprintf(fmt, args);
	va_end(args);
}

/* "[seconds.micros] text" with the level named from warnings on. One write, so that it is whole. */
void klog_v(enum log_level level, const char *fmt, va_list args)
{
	static const char *const names[LOG_LEVELS] = {"", "", "warning: ", "error: "};
	uint64_t us = time_ns() / NS_PER_US;
	char text[LINE_MAX];
	size_t len;

	if (level < least_level)
		return;
	len = break_line(text, '[');
	len += fmt_text(text + len, sizeof(text) - len, "[%3llu.%06llu] %s",
			(unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000),
			names[level]);
	len += fmt_vtext(text + len, sizeof(text) - len, fmt, args);
	len = MIN(len, sizeof(text) - 2);
	text[len++] = '\n';
	console_write(text, len);
}

void klog(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	klog_v(level, fmt, args);
	va_end(args);
}

void klog_set_level(enum log_level least)
{
	least_level = least;
}
